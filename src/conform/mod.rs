//! L5: a Chunk brought into a table's types: `(chunk, schema, policy) -> RecordBatch`, a pure function.
//!
//! Columns that already are of the schema's type keep their buffers. Numbers are widened when that is exact, sparse columns
//! spread, mixed ones encoded; a cell that does not fit is an error that names it.

mod binary;
mod cells;
mod column;
mod conflict;
mod decimal;
mod fit;
mod from_arrow;
mod mixed;
mod nested;
mod picked;
mod plain;

pub use from_arrow::chunk_from_batch;

use arrow_array::{RecordBatch, RecordBatchOptions};
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

/// How what does not fit the schema is handled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// Keys the schema does not name.
    pub unknown: UnknownKeys,
}

/// `chunk` as a table of `schema`.
///
/// # Errors
/// `SchemaConflict` for the first cell, by row and then by key order of its document, that does not fit. The row number
/// counts from 0 in the chunk.
pub fn conform(chunk: &Chunk, schema: &TableSchema, policy: &Policy) -> Result<RecordBatch> {
    let documents = &chunk.documents;
    let arrow = schema.arrow();
    let columns = nested::children(documents, schema.fields(), arrow.fields(), policy);
    let columns = match columns {
        Ok(columns) => columns,
        Err(Failure::Misfit) => return Err(conflict::first(documents, schema, policy)),
        Err(Failure::Error(error)) => return Err(error),
    };
    let options = RecordBatchOptions::new().with_row_count(Some(documents.len()));
    RecordBatch::try_new_with_options(arrow.clone(), columns, &options).map_err(internal)
}

/// Why a column could not be made.
enum Failure {
    /// Some cell does not fit; which one is found out by a second, slow look.
    Misfit,
    /// Anything else.
    Error(Error),
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        Failure::Error(internal(error))
    }
}

type Made<T> = std::result::Result<T, Failure>;

fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal(error.to_string()))
}
