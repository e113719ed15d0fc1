//! A result read to its end: its Chunks, and the tables made from them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use rayon::prelude::*;

use super::pipeline::{Decoded, Progress, Reader};
use super::pool::pool;
use super::Report;
use crate::chunk::Chunk;
use crate::conform::{
    add_shapes, conflicts, conform_with_counts, with_shapes, ConflictCounts, Policy, SchemaKeys,
};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Limits, ObservedTypes, Representation, TableSchema};

/// All Chunks of a result.
#[derive(Debug)]
pub struct ResultSet {
    chunks: Vec<Arc<Chunk>>,
    /// The position of the first row of each Chunk, followed by the number of rows.
    starts: Vec<u64>,
    observed: ObservedTypes,
    report: Report,
}

impl ResultSet {
    /// Reads `reader` to its end; calls `is_cancelled` every 50 ms.
    ///
    /// # Errors
    /// The first error in result order; [`ErrorKind::Cancelled`] when cancelled.
    pub fn read(reader: &mut Reader, is_cancelled: impl Fn() -> bool) -> Result<Self> {
        let mut builder = ResultSetBuilder::default();
        loop {
            match reader.poll(Duration::from_millis(50))? {
                Progress::Chunk(decoded) => builder.push(decoded),
                Progress::End => return Ok(builder.finish(reader.report().clone())),
                Progress::Pending if is_cancelled() => {
                    return Err(Error::new(ErrorKind::Cancelled))
                }
                Progress::Pending => {}
            }
        }
    }

    /// The Chunks in result order.
    pub fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    /// The number of documents.
    pub fn rows(&self) -> u64 {
        self.starts.last().copied().unwrap_or_default()
    }

    /// The position of the first row of the Chunk numbered `chunk`.
    pub fn start(&self, chunk: usize) -> u64 {
        self.starts[chunk]
    }

    /// Returns the Chunk of a row, and the row's position in it.
    ///
    /// # Panics
    /// When `row` is not below the number of rows.
    pub fn locate(&self, row: u64) -> (usize, usize) {
        assert!(row < self.rows());
        let chunk = self.starts.partition_point(|&start| start <= row) - 1;
        (chunk, (row - self.starts[chunk]) as usize)
    }

    /// Types observed at each path.
    pub fn observed(&self) -> &ObservedTypes {
        &self.observed
    }

    /// Counts and times of the run.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Returns the schema of the table in the storage of `representation` that holds all values.
    ///
    /// # Errors
    /// `SchemaConflict` when there are too many top-level keys.
    pub fn schema(&self, representation: &Representation) -> Result<TableSchema> {
        self.observed.resolve(&Limits::default(), representation)
    }

    /// Makes one RecordBatch per Chunk, in parallel.
    ///
    /// # Errors
    /// `SchemaConflict` for the first cell in result order that does not fit.
    pub fn batches(&self, schema: &TableSchema, policy: &Policy) -> Result<Table> {
        let started = Instant::now();
        let batches =
            self.map_chunks(|number| conform_with_counts(&self.chunks[number], schema, policy))?;
        let mut table = Table::default();
        for ((batch, conflict_counts), &start) in batches.into_iter().zip(&self.starts) {
            table.batches.push(batch);
            table.conflict_counts.join(&conflict_counts, start);
        }
        table.seconds = started.elapsed().as_secs_f64();
        Ok(table)
    }

    /// Adds the column of shapes to `table`, which [`batches`](Self::batches) made with `schema` and `policy`;
    /// returns the new schema and table. Documents read from that table are exact.
    ///
    /// # Errors
    /// The errors of [`with_shapes`] and [`add_shapes`].
    pub fn shaped(
        &self,
        mut table: Table,
        schema: &TableSchema,
        policy: &Policy,
    ) -> Result<(SchemaRef, Table)> {
        let started = Instant::now();
        let shaped = with_shapes(schema.arrow())?;
        table.batches = self.map_chunks(|number| {
            let (chunk, batch) = (&self.chunks[number], &table.batches[number]);
            add_shapes(chunk, schema, policy, batch, &shaped)
        })?;
        table.seconds += started.elapsed().as_secs_f64();
        Ok((shaped, table))
    }

    /// Returns the keys of `schema` with the fact whether a document has them.
    pub fn schema_keys(&self, schema: &TableSchema) -> SchemaKeys {
        let mut keys = SchemaKeys::new(schema);
        for chunk in &self.chunks {
            keys.record(&chunk.documents);
        }
        keys
    }

    /// Returns every value of the Chunk numbered `chunk` that does not fit `schema`.
    ///
    /// # Errors
    /// The errors of [`conflicts`].
    pub fn conflicts(&self, chunk: usize, schema: &TableSchema) -> Result<Vec<Error>> {
        conflicts_in(&self.chunks[chunk], self.starts[chunk], schema)
    }

    /// Calls `make` with the number of each Chunk, in parallel; returns the first error in result order.
    fn map_chunks<T: Send>(&self, make: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
        let make =
            |chunk: usize| make(chunk).map_err(|error| offset_document(error, self.starts[chunk]));
        let made: Vec<_> = if self.chunks.len() == 1 {
            vec![make(0)]
        } else {
            let chunks = 0..self.chunks.len();
            pool()?.install(|| chunks.into_par_iter().map(make).collect())
        };
        made.into_iter().collect()
    }
}

/// A table made from a result.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// One RecordBatch per Chunk.
    pub batches: Vec<RecordBatch>,
    /// Values that did not fit and were rescued, nulled or rounded.
    pub conflict_counts: ConflictCounts,
    /// Seconds spent making the table.
    pub seconds: f64,
}

/// Builds a [`ResultSet`], Chunk by Chunk.
#[derive(Debug, Default)]
pub struct ResultSetBuilder {
    chunks: Vec<Arc<Chunk>>,
    starts: Vec<u64>,
    rows: u64,
    observed: ObservedTypes,
}

impl ResultSetBuilder {
    /// Appends a Chunk of the reader.
    pub fn push(&mut self, mut decoded: Decoded) {
        self.observe(&mut decoded);
        self.starts.push(self.rows);
        self.rows += decoded.chunk.rows() as u64;
        self.chunks.push(decoded.chunk);
    }

    /// Records the types of a Chunk of the reader without keeping it.
    pub fn observe(&mut self, decoded: &mut Decoded) {
        let observed = decoded.observed.take();
        let observed =
            observed.unwrap_or_else(|| ObservedTypes::of(&decoded.chunk, decoded.first_row));
        self.observed.join(observed);
        self.observed.prune(&Limits::default());
    }

    /// Returns the schema of the Chunks so far, as [`ResultSet::schema`].
    ///
    /// # Errors
    /// `SchemaConflict` when there are too many top-level keys.
    pub fn schema(&self, representation: &Representation) -> Result<TableSchema> {
        self.observed.resolve(&Limits::default(), representation)
    }

    /// Returns the result, after the last Chunk.
    pub fn finish(mut self, report: Report) -> ResultSet {
        self.starts.push(self.rows);
        ResultSet {
            chunks: self.chunks,
            starts: self.starts,
            observed: self.observed,
            report,
        }
    }
}

/// Returns every value that does not fit `schema`, of a Chunk whose first row is `first_row` in the result.
///
/// # Errors
/// The errors of [`conflicts`].
pub fn conflicts_in(chunk: &Chunk, first_row: u64, schema: &TableSchema) -> Result<Vec<Error>> {
    let found = conflicts(chunk, schema).map_err(|error| offset_document(error, first_row))?;
    let found = found
        .into_iter()
        .map(|error| offset_document(error, first_row));
    Ok(found.collect())
}

/// Converts the document number of a Chunk's error to its number in the result.
pub(super) fn offset_document(mut error: Error, first_row: u64) -> Error {
    if let Some(document) = &mut error.location_mut().document {
        *document += first_row;
    }
    error
}
