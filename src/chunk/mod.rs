//! L3: received documents as columns, without loss.
//!
//! A [`Chunk`] holds the documents of one piece of a reply. Its columns have wire types. Each document, including
//! nested ones, has a shape: its keys in their order. A column with several types keeps its cells as BSON, each with
//! its type. Documents read only Chunks, and tables are made from Chunks.

mod bounded_path_map;
mod cell;
mod column;
mod duplicates;
mod encode;
mod json;
mod shapes;

pub(crate) use bounded_path_map::{BoundedPathMap, Occurrence};
pub use cell::{Cell, DocumentCell, Entry, ListCell};
pub use column::{Column, Marker, Placement, Tagged, Values};
pub use duplicates::{DuplicateKey, DuplicateKeys};
pub use encode::{encode_cell, encode_document, encode_element, encode_wrapped};
pub use json::{write_json, JsonMode};
pub use shapes::Shapes;

use std::sync::Arc;

/// The documents of one piece of a reply, as columns.
#[derive(Debug)]
pub struct Chunk {
    /// Top-level documents, one per row.
    pub documents: Arc<Documents>,
    /// Size of the documents as BSON, in bytes.
    pub bytes: usize,
    /// Number of values replaced by a later value of the same key in their document.
    pub duplicates: u64,
    /// Paths of the duplicate keys.
    pub duplicate_keys: DuplicateKeys,
}

impl Chunk {
    /// The number of documents.
    pub fn rows(&self) -> usize {
        self.documents.len()
    }
}

/// Documents at one path, as columns and shapes.
#[derive(Debug)]
pub struct Documents {
    len: usize,
    shapes: Shapes,
    fields: Vec<Field>,
}

/// A key and its column.
#[derive(Debug, Clone)]
pub struct Field {
    /// The key.
    pub name: Arc<str>,
    /// Its column, with one slot per document.
    pub column: Arc<Column>,
}

impl Documents {
    /// Assembles documents from their parts.
    ///
    /// # Panics
    /// When the length of a column or of the shapes differs from `len`.
    pub fn new(len: usize, shapes: Shapes, fields: Vec<Field>) -> Self {
        assert!(fields.iter().all(|field| field.column.len() == len));
        assert!(shapes.covers(len));
        Documents {
            len,
            shapes,
            fields,
        }
    }

    /// The number of rows. In nested documents, a row may hold no document.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All keys in order of first appearance, with their columns.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The shapes of the rows.
    pub fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    /// The fields of the document at `row` in key order, as indexes into [`Documents::fields`].
    ///
    /// Meaningless (but safe) for a row without a document.
    #[inline]
    pub fn shape(&self, row: usize) -> &[u32] {
        self.shapes.of(row)
    }

    /// Returns whether the document at `row` has the field numbered `field`.
    ///
    /// Meaningless (but safe) for a row without a document.
    #[inline]
    pub fn has(&self, row: usize, field: usize) -> bool {
        self.shapes.has(row, field as u32)
    }

    /// The index of the field `name`; `None` if no document has it.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| &*field.name == name)
    }
}
