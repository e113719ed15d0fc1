//! L2: one scan over a piece of BSON: where every cell is, what type it has, what shape each document has.
//!
//! Nothing is copied or converted here. A later gather reads each column in one tight loop, knowing its types.

mod cells;
mod scan;
mod shapes;

pub use cells::{Cells, ListIndex, Mode, Node, NodeField, NULL_POSITION};
pub use scan::{index_piece, Limits, ScanStop};
pub use shapes::{ShapeTrie, State, NO_STATE};
