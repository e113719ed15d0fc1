//! The column that makes reading a table back exact: the information that Arrow cannot hold, row by row.
//!
//! A cell is null where the plain reading of the row, by [`chunk_from_batch`], equals the document. Otherwise it
//! holds the difference, found by comparing that reading with the document. The comparison does not rely on the
//! conversion rules of tables, so no rule can be missed.
//!
//! ```text
//! document  := step* 0x00                      keys in their order
//! step      := varint(2 * field + 1) varint(n) the plain reading of the next n fields from this one, without nulls
//!            | varint(2 * field + 2) value     this field
//! value     := code payload
//! list      := (varint(n) value)* 0x00 value   n items; the last value is for all remaining items
//! ```
//!
//! Fields are numbered in their struct, so a shape describes exactly these columns: its metadata holds their
//! fingerprint.

mod compare;
mod format;
mod read;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::from_arrow::{read_batch, StoredTypes};
use super::{internal_error, mixed, Failure, Nulls, Policy};
use crate::chunk::{Chunk, DocumentCell};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{TableSchema, SHAPES};
use compare::RowComparison;
pub(super) use format::fingerprint;
pub(super) use read::DocumentWriter;

/// The name of the column.
pub const SHAPES_COLUMN: &str = "_shapes";

/// Adds the column of [`add_shapes`] to `arrow`, behind the other columns.
///
/// # Errors
/// `InvalidArgument` when a column has its name.
pub fn with_shapes(arrow: &Schema) -> Result<SchemaRef> {
    if arrow.column_with_name(SHAPES_COLUMN).is_some() {
        let text = format!(
            "the key {SHAPES_COLUMN:?} has the name of the column that shapes=True adds: exclude it by a projection"
        );
        return Err(Error::new(ErrorKind::InvalidArgument(text)));
    }
    let metadata = HashMap::from([
        (EXTENSION_TYPE_NAME_KEY.into(), SHAPES.into()),
        (
            EXTENSION_TYPE_METADATA_KEY.into(),
            fingerprint(arrow.fields().iter()),
        ),
    ]);
    let column = Field::new(SHAPES_COLUMN, DataType::Binary, true).with_metadata(metadata);
    let mut fields = arrow.fields().to_vec();
    fields.push(Arc::new(column));
    Ok(Arc::new(Schema::new_with_metadata(
        fields,
        arrow.metadata().clone(),
    )))
}

/// Adds the column of shapes to `batch`, which was made from `chunk` with `schema` and `policy`; `shaped` is its
/// schema [`with_shapes`].
///
/// Keys that `schema` does not name stay omitted, and values that `policy` replaced by null stay null.
///
/// # Errors
/// `InvalidArgument` for a value that cannot be read back, such as a uint64 above BSON's integers.
pub fn add_shapes(
    chunk: &Chunk,
    schema: &TableSchema,
    policy: &Policy,
    batch: &RecordBatch,
    shaped: &SchemaRef,
) -> Result<RecordBatch> {
    let plain = read_batch(batch, Nulls::Omit, StoredTypes::Ignore)?;
    let mut comparison = RowComparison::new(policy);
    let mut column = BinaryBuilder::new();
    let mut shape = Vec::new();
    let mut size = 0;
    for row in 0..chunk.rows() {
        shape.clear();
        let document = DocumentCell::Row {
            documents: &chunk.documents,
            row,
        };
        let same = comparison.document(
            schema.fields(),
            &document,
            &plain.documents,
            row,
            &mut shape,
        );
        if let Some(failure) = comparison.failure.take() {
            return Err(failure);
        }
        if same {
            column.append_null();
            continue;
        }
        size += shape.len();
        mixed::offset(size).map_err(Failure::into_error)?;
        column.append_value(&shape);
    }
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(column.finish()) as ArrayRef);
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(shaped), columns, &options).map_err(internal_error)
}
