//! Counts and times of a run, for the report.

use std::sync::Arc;
use std::time::Duration;

use super::reply::ConnectionFacts;
use crate::chunk::DuplicateKeys;
use crate::conform::{ConflictCounts, SchemaKeys};
use crate::error::Error;

/// The shortest round trip to a server that counts as far. Reads from nearer servers have smaller replies, too.
const FAR: Duration = Duration::from_millis(3);

/// The least waiting time and bytes of a read whose connection is judged.
const JUDGED_SECONDS: f64 = 0.25;
const JUDGED_BYTES: u64 = 1_000_000;

/// The rate from which compression gains nothing, in bytes per second: servers compress at about this rate.
const FAST: f64 = 60e6;

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
    /// The way in which the read was split, in the caller's words.
    pub plan: Option<Arc<str>>,
    /// The connection to the server.
    pub connection: Option<ConnectionFacts>,
    /// Values that did not fit the schema and were rescued, nulled or rounded.
    pub conflict_counts: ConflictCounts,
    /// The keys of the user's schema, and which of them documents have; `None` before the first batch, and for tables of
    /// whole results.
    pub schema_keys: Option<SchemaKeys>,
    /// The error that ended the run.
    pub error: Option<Error>,
}

impl Report {
    /// The connection, if the run spent most of its time on waiting for replies over it, and compression may shorten that: the
    /// server is far, the rate low, and the client offers no compression. A slow query of a far server counts, too: replies do
    /// not say how long the server worked.
    pub fn slow_connection(&self) -> Option<ConnectionFacts> {
        let connection = self.connection?;
        let working = self.seconds_decoding + self.seconds_conforming;
        let is_slow = connection.round_trip >= FAR
            && self.seconds_waiting >= JUDGED_SECONDS
            && self.seconds_waiting > working
            && self.bytes >= JUDGED_BYTES
            && (self.bytes as f64) < FAST * self.seconds_waiting;
        (is_slow && !connection.compressed).then_some(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 MB in 0.8 s over 25 ms.
    fn slow() -> Report {
        Report {
            bytes: 10_000_000,
            seconds_waiting: 0.8,
            seconds_decoding: 0.1,
            connection: Some(ConnectionFacts {
                round_trip: Duration::from_millis(25),
                compressed: false,
            }),
            ..Report::default()
        }
    }

    #[test]
    fn only_a_slow_connection_is_reported() {
        let report = slow();
        assert_eq!(report.slow_connection(), report.connection);
        let changes: [fn(&mut Report); 7] = [
            |report| report.connection = None,
            |report| report.bytes = 900_000,
            |report| report.bytes = 90_000_000,
            |report| report.seconds_waiting = 0.2,
            |report| report.seconds_decoding = 0.9,
            |report| {
                if let Some(connection) = &mut report.connection {
                    connection.compressed = true;
                }
            },
            |report| {
                if let Some(connection) = &mut report.connection {
                    connection.round_trip = Duration::from_millis(1);
                }
            },
        ];
        for (position, change) in changes.iter().enumerate() {
            let mut report = slow();
            change(&mut report);
            assert_eq!(report.slow_connection(), None, "change {position}");
        }
    }
}
