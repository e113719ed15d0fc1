//! Writes: record batches as BSON documents or statements of write commands, in parallel, without a Python object.
//!
//! ```text
//!  RecordBatch --> conform::from_arrow   slices of rows as columns of BSON types (shared buffers where the types agree)  }
//!                       |                                                                                                } rayon
//!                  writer                row by row: precomputed keys, values, patched lengths --> pieces of bytes       }
//!                       |
//!                  Encoded               documents to insert, or statements {q, u} to update, replace and delete
//! ```
//!
//! `from_arrow` alone knows the BSON type of each Arrow type, so documents that are read from a batch and documents that are
//! written from it are equal.

mod cells;
mod document;
mod encoded;
mod key;
mod key_hash;
mod object_ids;
mod options;
mod output;
mod piece;
mod plan;
mod unflatten;
mod update;

pub use encoded::{Encoded, Skipped};
pub use object_ids::new_object_id;
pub use options::{
    EncodeOptions, KeyPath, Nested, Nulls, OnConflict, Operation, Roundings, MAX_DOCUMENT_BYTES,
};
pub use plan::Plan;
