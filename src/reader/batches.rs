//! Live RecordBatches of one schema: given, or frozen from what the first documents show.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;

use super::pipeline::{Decoded, Progress, Reader};
use super::result_set::offset_document;
use crate::conform::{conform_with_counts, OnConflict, Policy, UnknownKeys};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Limits, ObservedTypes, Representation, TableSchema};

/// Makes RecordBatches of one schema from the Chunks of a [`Reader`] as they come.
pub struct BatchStream {
    schema: Option<TableSchema>,
    policy: Policy,
    /// Chunks of the documents the schema is inferred from.
    prefix: VecDeque<Decoded>,
    observed: ObservedTypes,
    infer_rows: u64,
    /// Of an inferred schema; a given one has it already.
    representation: Representation,
    narrowed: bool,
}

/// What [`BatchStream::poll`] found.
pub enum BatchProgress {
    /// The next RecordBatch.
    Batch(RecordBatch),
    /// Nothing within the time given; ask again.
    Pending,
    /// There is no more.
    End,
}

impl BatchStream {
    /// Batches of `schema`, which the user gave: keys it does not name are skipped.
    ///
    /// With [`OnConflict::Rescue`] the schema must have its column.
    pub fn with_user_schema(schema: TableSchema, on_conflict: OnConflict) -> Self {
        BatchStream {
            schema: Some(schema),
            policy: Policy {
                unknown: UnknownKeys::Skip,
                on_conflict,
            },
            prefix: VecDeque::new(),
            observed: ObservedTypes::default(),
            infer_rows: 0,
            representation: Representation::default(),
            narrowed: false,
        }
    }

    /// Batches of the schema that the first `infer_rows` documents show; what does not fit it later is a conflict.
    ///
    /// The reader must end a Chunk after that many documents ([`ReaderOptions::boundary`](super::ReaderOptions)), so that
    /// the answer does not depend on replies.
    pub fn with_inferred_schema(
        infer_rows: u64,
        on_conflict: OnConflict,
        representation: Representation,
    ) -> Self {
        BatchStream {
            schema: None,
            policy: Policy {
                unknown: UnknownKeys::Conflict,
                on_conflict,
            },
            prefix: VecDeque::new(),
            observed: ObservedTypes::default(),
            infer_rows,
            representation,
            narrowed: false,
        }
    }

    /// Whether the server left out keys of the documents. One that itself holds a key twice is an error then: where it
    /// does, the server may have left out more than it was asked to.
    #[must_use]
    pub fn narrowed(mut self, narrowed: bool) -> Self {
        self.narrowed = narrowed;
        self
    }

    /// The schema, waiting no longer than `wait` for the documents it is inferred from; `None` when that was too short.
    ///
    /// # Errors
    /// What kept these documents from coming; `SchemaConflict` when there are too many top-level keys.
    pub fn poll_schema(
        &mut self,
        reader: &mut Reader,
        wait: Duration,
    ) -> Result<Option<&TableSchema>> {
        let started = Instant::now();
        while self.schema.is_none() {
            let left = wait.saturating_sub(started.elapsed());
            match reader.poll(left)? {
                Progress::Chunk(decoded) => {
                    let seen = match &decoded.observed {
                        Some(observed) => observed.clone(),
                        None => ObservedTypes::of(&decoded.chunk, decoded.first_row),
                    };
                    self.observed.join(seen);
                    let rows = decoded.first_row + decoded.chunk.rows() as u64;
                    self.prefix.push_back(decoded);
                    if rows >= self.infer_rows {
                        self.freeze()?;
                    }
                }
                Progress::Pending => return Ok(None),
                Progress::End => self.freeze()?,
            }
        }
        Ok(self.schema.as_ref())
    }

    /// The schema, if it is known yet.
    pub fn schema(&self) -> Option<&TableSchema> {
        self.schema.as_ref()
    }

    /// What was seen in the documents the schema was inferred from.
    pub fn observed(&self) -> &ObservedTypes {
        &self.observed
    }

    fn freeze(&mut self) -> Result<()> {
        let schema = self.observed.resolve(&Limits::default())?;
        let schema = schema.represented(&self.representation);
        self.schema = Some(match self.policy.on_conflict {
            OnConflict::Rescue => schema.with_rescued()?,
            OnConflict::Error | OnConflict::Null => schema,
        });
        Ok(())
    }

    /// The next RecordBatch, waiting for it no longer than `wait`.
    ///
    /// # Errors
    /// The first error in result order; `SchemaConflict` for the first cell that does not fit.
    pub fn poll(&mut self, reader: &mut Reader, wait: Duration) -> Result<BatchProgress> {
        let started = Instant::now();
        if self.poll_schema(reader, wait)?.is_none() {
            return Ok(BatchProgress::Pending);
        }
        let decoded = match self.prefix.pop_front() {
            Some(decoded) => decoded,
            None => match reader.poll(wait.saturating_sub(started.elapsed()))? {
                Progress::Chunk(decoded) => decoded,
                Progress::Pending => return Ok(BatchProgress::Pending),
                Progress::End => return Ok(BatchProgress::End),
            },
        };
        let Some(schema) = &self.schema else {
            return Ok(BatchProgress::Pending);
        };
        // A projection to whole top-level keys leaves what is below them as it is.
        if self.narrowed && decoded.chunk.duplicate_keys.may_be_at_top() {
            let text = "a document holds a key twice, of which the server's projection may leave out others: give a projection \
                        of your own (one that excludes some key will do), or read the result";
            return Err(Error::new(ErrorKind::InvalidArgument(text.into())));
        }
        let started = Instant::now();
        let (batch, conflict_counts) = conform_with_counts(&decoded.chunk, schema, &self.policy)
            .map_err(|error| offset_document(error, decoded.first_row))?;
        let report = reader.report_mut();
        report
            .conflict_counts
            .join(&conflict_counts, decoded.first_row);
        report.seconds_conforming += started.elapsed().as_secs_f64();
        Ok(BatchProgress::Batch(batch))
    }
}
