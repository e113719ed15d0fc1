//! The inverse of `conform`: documents over any Arrow data, such as a result read back from Parquet.
//!
//! Arrow has one null: in a document it reads as a missing key, in a list as null. Types without an exact BSON
//! counterpart are refused by path, and values that do not fit by row and path.

mod decimal;
mod extension;
mod leaf;
mod map;
mod nested;
mod shaped;
mod time;

pub use shaped::chunks_from_batch;

use std::convert::Infallible;
use std::sync::Arc;

use arrow_array::{cast::AsArray, AnyDictionaryArray, Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field};

use super::internal_error;
use crate::chunk::{Chunk, Column, DuplicateKeys, Tagged, Values};
use crate::error::{Error, ErrorKind, Location, Path, Result, Step};
use crate::raw::{ElementType, MAX_DEPTH};
use crate::schema::{extension_name, PYMONGOARROW_BINARY};

/// Reads the rows of `batch` as documents, including a column of shapes, which is read like any other. Columns of
/// types that a Chunk has share their buffers.
///
/// # Errors
/// `InvalidArgument` with the path, and the row of an invalid value, for data that BSON cannot hold exactly; a decode
/// error for a cell of our extension types that holds invalid BSON.
pub fn chunk_from_batch(batch: &RecordBatch) -> Result<Chunk> {
    let mut reader = ArrowReader {
        path: Vec::new(),
        rows: Rows::Top,
    };
    let schema = batch.schema();
    let documents = reader.documents(schema.fields(), batch.columns(), batch.num_rows(), None)?;
    Ok(Chunk {
        documents: Arc::new(documents),
        bytes: batch.get_array_memory_size(),
        duplicates: 0,
        duplicate_keys: DuplicateKeys::default(),
    })
}

/// The mapping from a slot to its row in the batch, for errors.
#[derive(Clone)]
enum Rows {
    /// Slots and rows are equal.
    Top,
    /// The items of lists with these offsets.
    Items(arrow_buffer::OffsetBuffer<i32>, Arc<Rows>),
}

/// Reads Arrow data; holds the current path and the mapping to rows.
struct ArrowReader {
    path: Path,
    rows: Rows,
}

impl ArrowReader {
    /// Reads the column `field` with the cells of `array`; lists have null cells, but no missing ones.
    fn column(&mut self, field: &Field, array: &ArrayRef) -> Result<Arc<Column>> {
        if self.path.len() > MAX_DEPTH {
            return Err(self.invalid("more than 200 levels of nesting".into()));
        }
        let array = self.unpack(array)?;
        let extension = extension_name(field).map(|name| match name {
            PYMONGOARROW_BINARY => self.pymongoarrow_binary(field, &array).map(Some),
            name => self.extension(name, &array),
        });
        let values = match extension.transpose()?.flatten() {
            Some(values) => values,
            None => self.core_type(&array)?,
        };
        Ok(Arc::new(Column::dense(values)))
    }

    /// Removes dictionary and run-end encoding.
    fn unpack(&self, array: &ArrayRef) -> Result<ArrayRef> {
        match array.data_type() {
            DataType::Dictionary(_, _) => {
                let dictionary: &dyn AnyDictionaryArray = array.as_any_dictionary();
                let decoded =
                    arrow_select::take::take(dictionary.values(), dictionary.keys(), None);
                self.unpack(&decoded.map_err(internal_error)?)
            }
            DataType::RunEndEncoded(_, values) => self.cast(array, values.data_type()),
            _ => Ok(Arc::clone(array)),
        }
    }

    fn core_type(&mut self, array: &ArrayRef) -> Result<Values> {
        Ok(match array.data_type() {
            DataType::Struct(fields) => {
                let array = array.as_struct();
                self.struct_values(fields, array)?
            }
            DataType::List(item) => self.list_values(item, array.as_list())?,
            DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => {
                let list = self.cast(array, &DataType::List(Arc::clone(item)))?;
                self.list_values(item, list.as_list())?
            }
            DataType::Map(_, _) => self.map_values(array.as_map())?,
            _ => self.leaf(array)?,
        })
    }

    /// Casts `array` to `wanted`, by a cast that cannot change a value.
    fn cast(&self, array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
        if array.data_type() == wanted {
            return Ok(Arc::clone(array));
        }
        let options = arrow_cast::CastOptions {
            safe: false,
            ..Default::default()
        };
        arrow_cast::cast_with_options(array, wanted, &options).map_err(|error: ArrowError| {
            self.invalid(format!("{} cannot be read: {error}", array.data_type()))
        })
    }

    /// Returns whether the current column holds items of lists.
    fn in_list(&self) -> bool {
        matches!(self.path.last(), Some(Step::Index(_)))
    }

    /// Reads the values below `step`.
    fn read_below<T>(
        &mut self,
        step: Step,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.path.push(step);
        let outcome = read(self);
        self.path.pop();
        outcome
    }

    /// Returns an `InvalidArgument` error at the current path.
    fn invalid(&self, text: String) -> Error {
        Error::new(ErrorKind::InvalidArgument(text)).at(Location {
            path: self.path.clone(),
            ..Location::default()
        })
    }

    fn unsupported(&self, found: &DataType) -> Error {
        self.invalid(format!(
            "a column of type {found} has no counterpart in BSON: cast or drop the column"
        ))
    }

    /// Locates `error` at `slot`: adds the row, and replaces "any item" by list positions.
    fn locate(&self, slot: usize, error: Error) -> Error {
        let mut path = self.path.clone();
        let mut rows = &self.rows;
        let mut slot = slot;
        let mut steps = path.iter_mut().rev();
        while let Rows::Items(offsets, outer) = rows {
            let list = offsets
                .partition_point(|&offset| offset as usize <= slot)
                .saturating_sub(1);
            let position = slot - offsets[list] as usize;
            if let Some(step) = steps.find(|step| matches!(step, Step::Index(_))) {
                *step = Step::Index(position as u32);
            }
            slot = list;
            rows = outer;
        }
        error.at(Location {
            document: Some(slot as u64),
            id: None,
            path,
        })
    }

    /// Checks that the cells of `tagged` up to `slot` fit 32-bit offsets.
    fn check_size(&self, slot: usize, tagged: &Tagged) -> Result<()> {
        match u32::try_from(tagged.byte_len()) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.value_error(
                slot,
                "over 4 GiB of values in one batch: use smaller batches",
            )),
        }
    }

    fn value_error(&self, slot: usize, text: impl Into<String>) -> Error {
        self.locate(slot, Error::new(ErrorKind::InvalidArgument(text.into())))
    }
}

/// Appends Arrow's null: missing in documents, null in lists.
fn push_null(tagged: &mut Tagged, in_list: bool) {
    if in_list {
        let _ = tagged.push_with(ElementType::Null.byte(), |_| Ok::<_, Infallible>(()));
    } else {
        tagged.push_missing();
    }
}
