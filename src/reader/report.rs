//! What a run did.

use crate::chunk::DuplicateKeys;
use crate::conform::ConflictCounts;
use crate::error::Error;

/// Counts and times of one run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Documents.
    pub rows: u64,
    /// Bytes of BSON.
    pub bytes: u64,
    /// Replies of the source.
    pub replies: u64,
    /// How often the source lost its server's cursor and went on with another one.
    pub resumed: u64,
    /// Chunks they were decoded to.
    pub chunks: u64,
    /// Keys that occurred more than once in one document.
    pub duplicates: u64,
    /// Which keys these are, by path.
    pub duplicate_keys: DuplicateKeys,
    /// Seconds in which there was nothing to do but wait for the source.
    pub seconds_waiting: f64,
    /// Seconds spent decoding, added up over all threads.
    pub seconds_decoding: f64,
    /// Seconds spent making tables.
    pub seconds_conforming: f64,
    /// Values that did not fit a schema and were rescued or nulled.
    pub conflict_counts: ConflictCounts,
    /// The error that ended the run.
    pub error: Option<Error>,
}
