//! Counts and times of a run, for the report.

use crate::chunk::DuplicateKeys;
use crate::conform::{ConflictCounts, SchemaKeys};
use crate::error::Error;

/// Counts and times of one run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Number of documents.
    pub rows: u64,
    /// Number of bytes of BSON.
    pub bytes: u64,
    /// Number of replies of the source.
    pub replies: u64,
    /// Number of times that the source lost its server cursor and continued with another one.
    pub resumed: u64,
    /// Number of decoded Chunks.
    pub chunks: u64,
    /// Number of values replaced by a later value of the same key in their document.
    pub duplicates: u64,
    /// The duplicate keys by path.
    pub duplicate_keys: DuplicateKeys,
    /// Seconds spent waiting for the source with no other work.
    pub seconds_waiting: f64,
    /// Seconds spent decoding, summed over all threads.
    pub seconds_decoding: f64,
    /// Seconds spent making tables.
    pub seconds_conforming: f64,
    /// Values that did not fit the schema and were rescued, nulled or rounded.
    pub conflict_counts: ConflictCounts,
    /// The keys of the user's schema, and which of them documents have; `None` before the first batch, and for tables of
    /// whole results.
    pub schema_keys: Option<SchemaKeys>,
    /// The error that ended the run.
    pub error: Option<Error>,
}
