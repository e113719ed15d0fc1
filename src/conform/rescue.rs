//! The column of rescued values: for each row, a list of paths and values.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, ListArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field};

use super::{internal_error, mixed, ConformResult, Failure};
use crate::chunk::{encode_wrapped, Cell};
use crate::error::Step;

/// Collects rescued values row by row.
#[derive(Default)]
pub(super) struct Rescue {
    paths: ListBuilder<StringBuilder>,
    values: BinaryBuilder,
    count: usize,
    /// Total sizes of paths and of values, for 32-bit offsets.
    sizes: [usize; 2],
    offsets: Vec<i32>,
    valid: Vec<bool>,
    encoded: Vec<u8>,
}

impl Rescue {
    /// Adds a value to the current row.
    pub fn push(&mut self, path: &[Step], cell: &Cell<'_>) -> ConformResult<()> {
        for step in path {
            match step {
                Step::Key(key) => {
                    self.sizes[0] += key.len();
                    self.paths.values().append_value(key);
                }
                Step::Index(position) => {
                    self.sizes[0] += 10;
                    self.paths.values().append_value(position.to_string());
                }
            }
        }
        self.paths.append(true);
        self.count += 1;
        if matches!(cell, Cell::Null) {
            // A new key that holds null has a path, but no value.
            self.values.append_null();
        } else {
            self.encoded.clear();
            encode_wrapped(cell, &mut self.encoded).map_err(Failure::Error)?;
            self.sizes[1] += self.encoded.len();
            mixed::offset(self.sizes[1])?;
            self.values.append_value(&self.encoded);
        }
        mixed::offset(self.sizes[0])?;
        Ok(())
    }

    /// Ends the current row.
    pub fn end_row(&mut self) -> ConformResult<()> {
        let before = self.offsets.last().copied().unwrap_or_default();
        let end = mixed::offset(self.count)?;
        self.offsets.push(end);
        self.valid.push(end > before);
        Ok(())
    }

    /// Returns the column, whose Arrow field is `field`; null in rows without rescued values.
    pub fn finish(mut self, field: &Field) -> ConformResult<ArrayRef> {
        let DataType::List(item) = field.data_type() else {
            return Err(Failure::Error(internal_error("a list was expected")));
        };
        let DataType::Struct(parts) = item.data_type() else {
            return Err(Failure::Error(internal_error("a struct was expected")));
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.paths.finish()),
            Arc::new(self.values.finish()),
        ];
        let items = StructArray::try_new(parts.clone(), columns, None)?;
        self.offsets.insert(0, 0);
        let offsets = OffsetBuffer::new(self.offsets.into());
        let nulls = Some(NullBuffer::from(self.valid));
        let list = ListArray::try_new(Arc::clone(item), offsets, Arc::new(items), nulls)?;
        Ok(Arc::new(list))
    }
}
