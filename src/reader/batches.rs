//! RecordBatches of one schema, made from Chunks as they arrive; the schema is the user's, or inferred from the first
//! documents.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;

use super::pipeline::{Decoded, Progress, Reader};
use super::result_set::offset_document;
use crate::conform::{conform_with_counts, OnConflict, Policy, SchemaKeys, UnknownKeys};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Limits, ObservedTypes, Representation, TableSchema};

/// Makes RecordBatches of one schema from the Chunks of a [`Reader`].
pub struct BatchStream {
    schema: Option<TableSchema>,
    policy: Policy,
    /// Chunks of the documents that the schema is inferred from.
    prefix: VecDeque<Decoded>,
    observed: ObservedTypes,
    infer_rows: u64,
    /// Storage options of an inferred schema; a user's schema includes them.
    representation: Representation,
    /// The schema of a result without documents, if it is known.
    empty_schema: TableSchema,
    narrowed: bool,
    /// The reader's error during inference of the schema, returned after the batches of the documents before it.
    pending_error: Option<Error>,
}

/// The result of [`BatchStream::poll`].
pub enum BatchProgress {
    /// The next RecordBatch.
    Batch(RecordBatch),
    /// No batch within the wait; poll again.
    Pending,
    /// The end of the result.
    End,
}

impl BatchStream {
    /// Returns batches of the user's `schema`; unknown keys are skipped.
    ///
    /// With [`OnConflict::Rescue`], the schema must have the column of rescued values.
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
            empty_schema: TableSchema::new(Vec::new()),
            narrowed: false,
            pending_error: None,
        }
    }

    /// Returns batches of the schema inferred from the first `infer_rows` documents; later values that do not fit are
    /// conflicts.
    ///
    /// The reader must end a Chunk after that many documents ([`ReaderOptions::boundary`](super::ReaderOptions)), so
    /// that the schema does not depend on the sizes of replies.
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
            representation: Representation {
                frozen: true,
                ..representation
            },
            empty_schema: TableSchema::new(Vec::new()),
            narrowed: false,
            pending_error: None,
        }
    }

    /// Makes unknown keys conflicts, as for an inferred schema.
    #[must_use]
    pub fn with_unknown_keys_refused(mut self) -> Self {
        self.policy.unknown = UnknownKeys::Conflict;
        self
    }

    /// Sets the schema of a result without documents; by default it has no columns. A user's schema precedes it.
    #[must_use]
    pub fn with_empty_schema(mut self, schema: TableSchema) -> Self {
        self.empty_schema = schema;
        self
    }

    /// Sets whether the server projects the documents. A document that holds a top-level key twice is then an error,
    /// because the server may have omitted keys beyond the projection.
    #[must_use]
    pub fn narrowed(mut self, narrowed: bool) -> Self {
        self.narrowed = narrowed;
        self
    }

    /// Returns the schema, after waiting at most `wait` for the documents that it is inferred from; `None` if they
    /// need longer.
    ///
    /// # Errors
    /// The error of the reader; `SchemaConflict` when there are too many top-level keys.
    pub fn poll_schema(
        &mut self,
        reader: &mut Reader,
        wait: Duration,
    ) -> Result<Option<&TableSchema>> {
        let started = Instant::now();
        while self.schema.is_none() {
            let left = wait.saturating_sub(started.elapsed());
            let progress = match reader.poll(left) {
                Ok(progress) => progress,
                // The documents before the error are returned first, as with a user's schema.
                Err(error) if !self.prefix.is_empty() => {
                    self.freeze()?;
                    self.pending_error = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            };
            match progress {
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

    /// The schema, if it is known already.
    pub fn schema(&self) -> Option<&TableSchema> {
        self.schema.as_ref()
    }

    /// The storage of inferred types.
    pub fn representation(&self) -> &Representation {
        &self.representation
    }

    /// The types observed in the documents that the schema was inferred from.
    pub fn observed(&self) -> &ObservedTypes {
        &self.observed
    }

    fn freeze(&mut self) -> Result<()> {
        let schema = match self.observed.rows() {
            0 => self.empty_schema.clone(),
            _ => self
                .observed
                .resolve(&Limits::default(), &self.representation)?,
        };
        self.schema = Some(match self.policy.on_conflict {
            OnConflict::Rescue => schema.with_rescued(&self.representation)?,
            OnConflict::Error | OnConflict::Null => schema,
        });
        Ok(())
    }

    /// Returns the next RecordBatch, after waiting at most `wait` for it.
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
            None if self.pending_error.is_some() => {
                let error = self.pending_error.take();
                return error.map_or(Ok(BatchProgress::End), Err);
            }
            None => match reader.poll(wait.saturating_sub(started.elapsed()))? {
                Progress::Chunk(decoded) => decoded,
                Progress::Pending => return Ok(BatchProgress::Pending),
                Progress::End => return Ok(BatchProgress::End),
            },
        };
        let Some(schema) = &self.schema else {
            return Ok(BatchProgress::Pending);
        };
        // A projection on whole top-level keys does not change nested keys.
        if self.narrowed && decoded.chunk.duplicate_keys.may_be_at_top() {
            let text = "a document holds a key twice, and the server's projection may then omit other keys: pass a projection \
                        (such as one that excludes a key), or read the whole result";
            return Err(Error::new(ErrorKind::InvalidArgument(text.into())));
        }
        let started = Instant::now();
        let (batch, conflict_counts) = conform_with_counts(&decoded.chunk, schema, &self.policy)
            .map_err(|error| offset_document(error, decoded.first_row))?;
        let report = reader.report_mut();
        if self.policy.unknown == UnknownKeys::Skip {
            let keys = &mut report.schema_keys;
            let keys = keys.get_or_insert_with(|| SchemaKeys::new(schema));
            keys.record(&decoded.chunk.documents);
        }
        report
            .conflict_counts
            .join(&conflict_counts, decoded.first_row);
        report.seconds_conforming += started.elapsed().as_secs_f64();
        Ok(BatchProgress::Batch(batch))
    }
}
