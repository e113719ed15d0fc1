//! L5: conversion of a Chunk to the types of a table: `(chunk, schema, policy) -> RecordBatch`, a pure function.
//!
//! Columns that already have the schema's type share their buffers. Numbers are widened if that is exact, sparse
//! columns are expanded, mixed columns are encoded. A cell that does not fit is an error with its location.

mod arrow_only;
mod binary;
mod cell_builder;
mod coerce;
mod column;
mod conflict;
mod conflict_counts;
mod convert;
mod decimal;
mod flatten;
mod from_arrow;
mod mixed;
mod nested;
mod nested_cells;
mod positions;
mod represented;
mod rescue;
mod schema_keys;
mod shapes;
mod text;

pub use conflict_counts::{Action, ConflictCount, ConflictCounts, CountsByPath};
pub use flatten::FlatSchema;
pub use from_arrow::{
    chunk_from_batch, chunks_from_batch, columns_from_batch, shapes_column, with_types,
    BatchColumns, Loss, Lossy, Nulls,
};
pub use schema_keys::{AbsentKey, NestedKey, SchemaKeys};
pub use shapes::{add_shapes, with_shapes, SHAPES_COLUMN};

use std::sync::Arc;

use arrow_array::{new_null_array, Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType};

use crate::chunk::Chunk;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::TableSchema;

/// Handling of keys that the schema does not name, at any level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownKeys {
    /// Conflict, for inferred schemas.
    #[default]
    Conflict,
    /// Omission, for schemas from users, which act as projections.
    Skip,
}

/// Handling of values that do not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Error.
    #[default]
    Error,
    /// Null in the cell; the value is stored in the column that [`TableSchema::with_rescued`] adds.
    Rescue,
    /// Null in the cell; the value is lost.
    Null,
}

/// Handling of keys and values that do not fit the schema.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// Handling of keys that the schema does not name.
    pub unknown: UnknownKeys,
    /// Handling of values that do not fit, and of keys that are conflicts.
    pub on_conflict: OnConflict,
}

/// Converts `chunk` to a table of `schema`.
///
/// # Errors
/// `SchemaConflict` for the first cell that does not fit, by row and then by key order of its document. The row
/// number counts from 0 in the chunk.
pub fn conform(chunk: &Chunk, schema: &TableSchema, policy: &Policy) -> Result<RecordBatch> {
    conform_with_counts(chunk, schema, policy).map(|(batch, _)| batch)
}

/// Converts like [`conform`], and counts the values that were rescued, nulled or rounded.
///
/// # Errors
/// The errors of [`conform`]; with a policy other than [`OnConflict::Error`], no value is a conflict.
pub fn conform_with_counts(
    chunk: &Chunk,
    schema: &TableSchema,
    policy: &Policy,
) -> Result<(RecordBatch, ConflictCounts)> {
    let documents = &chunk.documents;
    let arrow = schema.arrow();
    let mut conflict_counts = ConflictCounts::default();
    let strict = Policy {
        on_conflict: OnConflict::Error,
        ..*policy
    };
    let columns = nested::children(documents, schema.fields(), arrow.fields(), &strict);
    let mut columns = match columns {
        Ok(columns) => columns,
        Err(Failure::Error(error)) => return Err(error),
        Err(Failure::Conflict) if policy.on_conflict == OnConflict::Error => {
            return Err(conflict::first_conflict(documents, schema, policy))
        }
        Err(Failure::Conflict) => {
            // The values that do not fit are searched one by one, so that the result does not depend on the storage
            // of columns.
            let (found, rescued) = conflict::count_conflicts(documents, schema, policy)?;
            conflict_counts = found;
            let lenient = Policy {
                unknown: UnknownKeys::Skip,
                ..*policy
            };
            let columns = nested::children(documents, schema.fields(), arrow.fields(), &lenient);
            let mut columns = columns.map_err(Failure::into_error)?;
            columns.extend(rescued);
            columns
        }
    };
    conflict_counts.join(&conflict::count_rounded(documents, schema)?, 0);
    if let Some(missing) = arrow.fields().get(columns.len()) {
        columns.push(new_null_array(missing.data_type(), documents.len()));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(documents.len()));
    let batch = RecordBatch::try_new_with_options(arrow.clone(), columns, &options);
    Ok((batch.map_err(internal_error)?, conflict_counts))
}

/// Returns an error for every value of `chunk` that does not fit `schema`, by row and then by key order of its
/// document. Keys that the schema does not name are omitted.
///
/// # Errors
/// Any other error of the conversion.
pub fn conflicts(chunk: &Chunk, schema: &TableSchema) -> Result<Vec<Error>> {
    let policy = Policy {
        unknown: UnknownKeys::Skip,
        on_conflict: OnConflict::Error,
    };
    let arrow = schema.arrow();
    match nested::children(&chunk.documents, schema.fields(), arrow.fields(), &policy) {
        Ok(_) => Ok(Vec::new()),
        Err(Failure::Conflict) => conflict::list_conflicts(&chunk.documents, schema, &policy),
        Err(Failure::Error(error)) => Err(error),
    }
}

/// The reason that a column could not be converted.
enum Failure {
    /// A cell does not fit; a second, slow search finds it.
    Conflict,
    /// Any other error.
    Error(Error),
}

impl Failure {
    fn into_error(self) -> Error {
        match self {
            Failure::Conflict => internal_error("a cell that fits no schema was not replaced"),
            Failure::Error(error) => error,
        }
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        Failure::Error(internal_error(error))
    }
}

type ConformResult<T> = std::result::Result<T, Failure>;

/// Adds the nulls of the documents around `array` to it.
fn with_nulls(array: &ArrayRef, outer: Option<&NullBuffer>) -> Result<ArrayRef> {
    let Some(outer) = outer.filter(|outer| outer.null_count() > 0) else {
        return Ok(Arc::clone(array));
    };
    // These types have no validity bitmap: the first is null anyway, and `from_arrow` refuses the second.
    if matches!(array.data_type(), DataType::Null | DataType::Union(_, _)) {
        return Ok(Arc::clone(array));
    }
    let absent = arrow_array::BooleanArray::new(!outer.inner(), None);
    arrow_select::nullif::nullif(array, &absent).map_err(internal_error)
}

fn internal_error(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal(error.to_string()))
}
