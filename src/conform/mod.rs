//! L5: a Chunk brought into a table's types: `(chunk, schema, policy) -> RecordBatch`, a pure function.
//!
//! Columns that already are of the schema's type keep their buffers. Numbers are widened when that is exact, sparse columns
//! spread, mixed ones encoded; a cell that does not fit is an error that names it.

mod arrow_only;
mod binary;
mod cell_builder;
mod coerce;
mod column;
mod conflict;
mod conflict_counts;
mod convert;
mod decimal;
mod extension_text;
mod from_arrow;
mod mixed;
mod nested;
mod nested_cells;
mod positions;
mod rescue;
mod shapes;

pub use conflict_counts::{Action, ConflictCount, ConflictCounts, CountsByPath};
pub use from_arrow::{chunk_from_batch, chunks_from_batch};
pub use shapes::{add_shapes, with_shapes, SHAPES_COLUMN};

use arrow_array::{new_null_array, RecordBatch, RecordBatchOptions};
use arrow_schema::ArrowError;

use crate::chunk::Chunk;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::TableSchema;

/// What becomes of keys that the schema does not name, at any level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownKeys {
    /// A conflict: for a schema that was inferred.
    #[default]
    Conflict,
    /// Left out: for a schema that the user gave, where it is projection.
    Skip,
}

/// What becomes of a value that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// It is an error.
    #[default]
    Error,
    /// Its cell is null, and the value stands in the column that [`TableSchema::with_rescued`] adds.
    Rescue,
    /// Its cell is null, and the value is lost.
    Null,
}

/// How what does not fit the schema is handled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// Keys the schema does not name.
    pub unknown: UnknownKeys,
    /// Values that do not fit, and keys that are conflicts.
    pub on_conflict: OnConflict,
}

/// `chunk` as a table of `schema`.
///
/// # Errors
/// `SchemaConflict` for the first cell, by row and then by key order of its document, that does not fit. The row number
/// counts from 0 in the chunk.
pub fn conform(chunk: &Chunk, schema: &TableSchema, policy: &Policy) -> Result<RecordBatch> {
    conform_with_counts(chunk, schema, policy).map(|(batch, _)| batch)
}

/// As [`conform`], with what did not fit and was rescued or nulled, and what was rounded.
///
/// # Errors
/// As [`conform`]; with another policy than [`OnConflict::Error`] no value is a conflict.
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
            // Which values do not fit is asked one by one, so that it does not depend on how columns are stored.
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

/// Every value of `chunk` that does not fit `schema`, as the error it would be if it were the first: by row, then by key
/// order of its document. Keys that the schema does not name are left out.
///
/// # Errors
/// What keeps a table from being made for another reason.
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

/// Why a column could not be made.
enum Failure {
    /// Some cell does not fit; which one is found out by a second, slow look.
    Conflict,
    /// Anything else.
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

fn internal_error(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal(error.to_string()))
}
