//! L2: one scan over a piece of BSON: the position and type of every cell, and the shape of every document.
//!
//! The scan copies and converts no values. A later gather reads each column in one tight loop with known types.

mod cells;
mod scan;
mod shapes;

pub use cells::{Cells, ListIndex, Mode, Node, NodeField, NULL_POSITION};
pub use scan::{index_piece, Limits, ScanStop};
pub use shapes::{ShapeTrie, State, NO_STATE};
