//! L3: what came over the wire, exactly, as columns.
//!
//! A [`Chunk`] is what one piece of a reply held. Its columns have the types on the wire; a shape for each document, nested
//! ones too, says which keys it had in which order; where one column saw several types its cells stay BSON, each with its
//! type. Documents read Chunks only; tables are made from them.

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
    /// Top-level documents: one row each.
    pub documents: Arc<Documents>,
    /// Size of the BSON they came as, in bytes.
    pub bytes: usize,
    /// Keys that occurred more than once in one document; the last value won.
    pub duplicates: u64,
    /// Which keys these are.
    pub duplicate_keys: DuplicateKeys,
}

impl Chunk {
    /// The number of documents.
    pub fn rows(&self) -> usize {
        self.documents.len()
    }
}

/// Documents under one path, as columns and shapes.
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
    /// Its column: as many slots as there are documents.
    pub column: Arc<Column>,
}

impl Documents {
    /// Documents from their parts.
    ///
    /// # Panics
    /// When a column or the shapes have another length than `len`.
    pub fn new(len: usize, shapes: Shapes, fields: Vec<Field>) -> Self {
        assert!(fields.iter().all(|field| field.column.len() == len));
        assert!(shapes.covers(len));
        Documents {
            len,
            shapes,
            fields,
        }
    }

    /// The number of rows. In nested documents a row may be one where there is no document.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All keys seen, in order of first appearance, with their columns.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The shapes of the rows.
    pub fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    /// The fields the document at `row` has, in its key order, as indexes into [`Documents::fields`].
    ///
    /// Meaningless (but safe) for a row where there is no document.
    #[inline]
    pub fn shape(&self, row: usize) -> &[u32] {
        self.shapes.of(row)
    }

    /// Whether the document at `row` has the field numbered `field`.
    ///
    /// Meaningless (but safe) for a row where there is no document.
    #[inline]
    pub fn has(&self, row: usize, field: usize) -> bool {
        self.shapes.has(row, field as u32)
    }

    /// The field named `name`, if any document has it.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| &*field.name == name)
    }
}
