//! The inverse of `conform`: documents over any Arrow data, such as a result read back from Parquet.
//!
//! Arrow has one null: in a document it reads as a missing key, in a list as null. Types without an exact BSON
//! counterpart are refused by path, and values that do not fit by row and path.

mod decimal;
mod extension;
mod json;
mod leaf;
mod losses;
mod map;
mod nested;
mod shaped;
mod stored;
mod time;
mod with_types;

pub use losses::{Loss, Lossy};
pub use shaped::{chunks_from_batch, shapes_column};
pub use with_types::with_types;

use std::convert::Infallible;
use std::sync::Arc;

use arrow_array::{cast::AsArray, AnyDictionaryArray, Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field};

use super::internal_error;
use crate::chunk::{Chunk, Column, Documents, DuplicateKeys, Tagged, Values};
use crate::error::{Error, ErrorKind, Location, Path, Result, Step};
use crate::raw::{ElementType, MAX_DEPTH};
use crate::schema::{extension_name, PYMONGOARROW_BINARY};

/// The meaning of Arrow's null in a document; in a list it is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nulls {
    /// A missing key.
    #[default]
    Omit,
    /// A key whose value is null.
    Keep,
}

/// Reads the rows of `batch` as documents, including a column of shapes, which is read like any other. Columns of
/// types that a Chunk has share their buffers.
///
/// # Errors
/// `InvalidArgument` with the path, and the row of an invalid value, for data that BSON cannot hold exactly; a decode
/// error for a cell of our extension types that holds invalid BSON.
pub fn chunk_from_batch(batch: &RecordBatch, nulls: Nulls) -> Result<Chunk> {
    read_batch(batch, nulls, StoredTypes::Read)
}

/// Reads the rows of `batch` with or without the stored types in the metadata of its fields.
pub(super) fn read_batch(
    batch: &RecordBatch,
    nulls: Nulls,
    stored_types: StoredTypes,
) -> Result<Chunk> {
    let mut reader = ArrowReader::new(nulls, stored_types);
    let schema = batch.schema();
    let documents = reader.documents(schema.fields(), batch.columns(), batch.num_rows(), None)?;
    Ok(Chunk {
        documents: Arc::new(documents),
        bytes: batch.get_array_memory_size(),
        duplicates: 0,
        duplicate_keys: DuplicateKeys::default(),
    })
}

/// The rows of a batch as columns, for a writer that handles nulls itself.
pub struct BatchColumns {
    /// The columns. Every row has all keys; a slot without a value holds Arrow's null. The null of a mixed cell is a value.
    pub documents: Documents,
    /// The values that were changed.
    pub losses: Vec<Loss>,
}

/// Reads the columns of `batch` like [`chunk_from_batch`], without the work of telling apart the keys of each row.
///
/// # Errors
/// The errors of [`chunk_from_batch`], except for values that `lossy` permits to change.
pub fn columns_from_batch(batch: &RecordBatch, lossy: Lossy) -> Result<BatchColumns> {
    let mut reader = ArrowReader::new(Nulls::Omit, StoredTypes::Read);
    reader.uniform = true;
    reader.lossy = lossy;
    let schema = batch.schema();
    let documents = reader.documents(schema.fields(), batch.columns(), batch.num_rows(), None)?;
    Ok(BatchColumns {
        documents,
        losses: reader.losses.into_vec(),
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
    nulls: Nulls,
    stored_types: StoredTypes,
    /// True if each row has all keys, whatever its nulls.
    uniform: bool,
    lossy: Lossy,
    losses: losses::Losses,
}

/// Handling of the stored types in the metadata of fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StoredTypes {
    /// Values have these types.
    Read,
    /// Values have the types of Arrow's columns, so that the reading does not depend on metadata, which consumers drop.
    Ignore,
}

impl ArrowReader {
    fn new(nulls: Nulls, stored_types: StoredTypes) -> Self {
        ArrowReader {
            path: Vec::new(),
            rows: Rows::Top,
            nulls,
            stored_types,
            uniform: false,
            lossy: Lossy::default(),
            losses: losses::Losses::default(),
        }
    }

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
            None => match self.stored(field, &array)? {
                Some(values) => values,
                None => self.core_type(&array)?,
            },
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
        let array = &with_short_offsets(array)?;
        arrow_cast::cast_with_options(array, wanted, &options).map_err(|error: ArrowError| {
            self.invalid(format!("{} cannot be read: {error}", array.data_type()))
        })
    }

    /// Returns whether Arrow's nulls are null at the current path: in lists, and in documents if they are kept.
    fn keeps_null(&self) -> bool {
        self.nulls == Nulls::Keep || matches!(self.path.last(), Some(Step::Index(_)))
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
            let list = list_of(offsets, slot);
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

/// Returns `array`, or a copy of it if it is a slice whose offsets exceed 32 bits: a cast to them does not count from the slice's
/// first value.
fn with_short_offsets(array: &ArrayRef) -> Result<ArrayRef> {
    let last = match array.data_type() {
        DataType::LargeUtf8 => array.as_string::<i64>().value_offsets().last(),
        DataType::LargeBinary => array.as_binary::<i64>().value_offsets().last(),
        DataType::LargeList(_) => array.as_list::<i64>().value_offsets().last(),
        _ => None,
    };
    if last.is_none_or(|&last| last <= i32::MAX.into()) {
        return Ok(Arc::clone(array));
    }
    let all: UInt32Array = (0..array.len() as u32).map(Some).collect();
    arrow_select::take::take(array, &all, None).map_err(internal_error)
}

/// Returns the list that holds the item `slot`.
fn list_of(offsets: &arrow_buffer::OffsetBuffer<i32>, slot: usize) -> usize {
    let end = offsets.partition_point(|&offset| offset as usize <= slot);
    end.saturating_sub(1)
}

/// Appends Arrow's null, as null or as a missing key.
fn push_null(tagged: &mut Tagged, keeps_null: bool) {
    if keeps_null {
        let _ = tagged.push_with(ElementType::Null.byte(), |_| Ok::<_, Infallible>(()));
    } else {
        tagged.push_missing();
    }
}
