//! Deadlines of operations, and the `maxTimeMS` that commands get from them.
//!
//! A server continues a command whose caller has stopped waiting, unless the command has a time limit. So a command with one reply
//! is sent with the time that is left. A query that may have getMores gets no limit, for two reasons: `maxTimeMS` limits all of them
//! together, while the deadline of an iteration limits each wait; and mongod 6.0 counts their time up to twice (a find of 140
//! documents in 14 replies, 10 ms each, ended after 1.7 s with `maxTimeMS: 3000`). Such a query is killed at its deadline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::bson::{cstr, RawArray, RawBsonRef, RawDocument, RawDocumentBuf};
use mongodb::error::Error as DriverError;
use mongodb::event::sdam::SdamEvent;

use super::failure::{from_driver, out_of_time};
use crate::error::Error;

/// The key of a command's time limit.
pub(crate) const MAX_TIME: &str = "maxTimeMS";

/// The longest time limit that a server accepts, in milliseconds: 24 days.
const MAX_MILLIS: u128 = i32::MAX as u128;

/// Time that a server needs to end a command after its limit, and to reply. A reply gives the reason, and the connection stays usable.
const END_OF_COMMAND: Duration = Duration::from_millis(5);

/// Difference of a server's clocks: the one that ends operations may be ahead of the one that starts them.
const CLOCK_DIFFERENCE: Duration = Duration::from_millis(20);

/// Commands of a caller that get no `maxTimeMS`.
const UNLIMITED: [&str; 25] = [
    // It would limit the getMores that follow.
    "find",
    "listCollections",
    "listIndexes",
    // The server refuses it, except for tailable cursors.
    "getMore",
    // These release resources of the server.
    "abortTransaction",
    "commitTransaction",
    "endSessions",
    "killAllSessions",
    "killAllSessionsByPattern",
    "killCursors",
    "killOp",
    "killSessions",
    "refreshSessions",
    "startSession",
    // These are not operations on data.
    "authenticate",
    "configureFailPoint",
    "hello",
    "isMaster",
    "ismaster",
    "logout",
    "ping",
    "replSetStepDown",
    "saslContinue",
    "saslStart",
    "shutdown",
];

/// Commands that read and have one reply.
const READS: [&str; 4] = ["count", "dbHash", "distinct", "explain"];

/// The time limit of an operation, and the time at which it passes.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<(Duration, Instant)>);

impl Deadline {
    /// Starts a deadline now; without a limit it never passes.
    pub(crate) fn start(limit: Option<Duration>) -> Self {
        // A time beyond the range of the clock never comes.
        Deadline(limit.and_then(|limit| Some((limit, Instant::now().checked_add(limit)?))))
    }

    /// The time limit for a command that is sent now.
    pub(crate) fn server_time(
        &self,
        given: Option<Duration>,
        round_trip: &RoundTrip,
    ) -> ServerTime {
        let left = self
            .0
            .map(|(_, end)| end.saturating_duration_since(Instant::now()));
        let limit = self.0.map(|(limit, _)| limit);
        ServerTime::new(given, left, limit, round_trip)
    }

    /// Sets the time limit of a command that is sent now. With `has`, the command has a [`MAX_TIME`] of the caller.
    pub(crate) fn limited(
        &self,
        command: RawDocumentBuf,
        has: bool,
        round_trip: &RoundTrip,
    ) -> (RawDocumentBuf, ServerTime) {
        let given = has.then(|| command.get(MAX_TIME).ok().flatten().and_then(whole));
        let given = match given {
            // The server reports the fault.
            Some(None) => return (command, ServerTime::default()),
            given => given.flatten(),
        };
        let time = self.server_time(given.map(Duration::from_millis), round_trip);
        let (Some(max), Some(_)) = (time.max, time.deadline) else {
            return (command, time);
        };
        let mut command = match given {
            None => command,
            Some(_) => match without_max_time(&command) {
                Some(rest) => rest,
                None => return (command, ServerTime::default()),
            },
        };
        let millis = i32::try_from(max.as_millis()).unwrap_or(i32::MAX);
        command.append(cstr!("maxTimeMS"), millis);
        (command, time)
    }
}

/// The time limit of a command on the server.
#[derive(Clone, Copy, Default)]
pub(crate) struct ServerTime {
    /// The command's `maxTimeMS`: whole milliseconds, at least one.
    pub(crate) max: Option<Duration>,
    /// The total time of the deadline that it follows from, and its start; `None` if the caller set the limit.
    deadline: Option<(Duration, Instant)>,
}

impl ServerTime {
    /// The time `left` of a deadline after `limit`, less a round trip; or the `given` time, if it is shorter.
    pub(crate) fn new(
        given: Option<Duration>,
        left: Option<Duration>,
        limit: Option<Duration>,
        round_trip: &RoundTrip,
    ) -> Self {
        let own = left.and_then(|left| {
            let millis = (left - round_trip.within(left)).as_millis().max(1);
            let millis = u64::try_from(millis).ok()?;
            (u128::from(millis) <= MAX_MILLIS).then(|| Duration::from_millis(millis))
        });
        // To a server, 0 is no limit.
        let given = given.filter(|given| !given.is_zero());
        match own {
            Some(own) if given.is_none_or(|given| own < given) => ServerTime {
                max: Some(own),
                deadline: limit.map(|limit| (limit, Instant::now())),
            },
            _ => ServerTime {
                max: given,
                deadline: None,
            },
        }
    }

    /// Converts the error of a command that was sent with this limit.
    pub(crate) fn failure(&self, error: DriverError) -> Error {
        self.error_of_deadline(from_driver(error))
    }

    /// Converts an error of an exceeded limit to that of the deadline, if the limit follows from it. The server may have shorter limits
    /// of its own.
    pub(crate) fn error_of_deadline(&self, error: Error) -> Error {
        match (self.deadline, self.max) {
            (Some((limit, begun)), Some(max))
                if begun.elapsed() + CLOCK_DIFFERENCE.max(max / 10) >= max =>
            {
                out_of_time(error, limit)
            }
            _ => error,
        }
    }
}

/// The shortest round trip to a server, estimated from heartbeats.
///
/// The driver measures round trips, but reports only heartbeats that open a connection, and those that poll. The former take two round
/// trips at least, so half the time of a heartbeat is an estimate that is never far too long.
#[derive(Clone)]
pub(crate) struct RoundTrip(Arc<AtomicU64>);

impl Default for RoundTrip {
    fn default() -> Self {
        RoundTrip(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl RoundTrip {
    /// Records the time of a heartbeat.
    pub(crate) fn record(&self, event: &SdamEvent) {
        match event {
            // An awaited heartbeat lasts until the topology changes.
            SdamEvent::ServerHeartbeatSucceeded(event) if !event.awaited => {
                self.shorten(event.duration / 2);
            }
            _ => {}
        }
    }

    fn shorten(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_min(micros, Ordering::Relaxed);
    }

    /// The shortest round trip; `None` before a heartbeat.
    pub(crate) fn shortest(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            u64::MAX => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    /// The part of the time `left` that the server's reply needs. A tenth at most: the measured time may include a slow name look-up.
    fn within(&self, left: Duration) -> Duration {
        let round_trip = self.shortest().unwrap_or_default();
        (round_trip + END_OF_COMMAND).min(left / 10)
    }
}

/// Returns whether a command of the caller gets a `maxTimeMS`; commands that read get one with `reads` only.
pub(crate) fn takes_max_time(command: &RawDocument, reads: bool) -> bool {
    let Some(Ok((name, _))) = command.iter().next() else {
        return false;
    };
    match name.as_str() {
        // After a stage that stores the result, no getMore follows.
        "aggregate" => command.get_array("pipeline").is_ok_and(stores),
        name => !UNLIMITED.contains(&name) && (reads || !READS.contains(&name)),
    }
}

/// Returns whether the last stage stores the result.
fn stores(pipeline: &RawArray) -> bool {
    let last = pipeline.into_iter().last().and_then(Result::ok);
    let stage = last.and_then(RawBsonRef::as_document);
    let name = stage.and_then(|stage| stage.iter().next()?.ok());
    name.is_some_and(|(name, _)| stores_result(name.as_str()))
}

/// Returns whether a stage of this name stores the result of its pipeline.
pub(crate) fn stores_result(stage: &str) -> bool {
    matches!(stage, "$out" | "$merge")
}

/// A time in milliseconds of any numeric type.
fn whole(value: RawBsonRef<'_>) -> Option<u64> {
    match value {
        RawBsonRef::Int32(millis) => u64::try_from(millis).ok(),
        RawBsonRef::Int64(millis) => u64::try_from(millis).ok(),
        // Whole and small enough to be exact, so the cast loses nothing.
        RawBsonRef::Double(millis) if millis.fract() == 0.0 && (0.0..1e15).contains(&millis) => {
            Some(millis as u64)
        }
        _ => None,
    }
}

/// The other elements of a command; `None` if one of them cannot be parsed.
fn without_max_time(command: &RawDocument) -> Option<RawDocumentBuf> {
    let mut rest = RawDocumentBuf::new();
    for element in command {
        let (name, value) = element.ok()?;
        if name.as_str() != MAX_TIME {
            rest.append(name, value);
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{rawdoc, Bson, Document, RawBson};

    fn sent(command: RawDocumentBuf, seconds: Option<u64>) -> Document {
        let deadline = Deadline::start(seconds.map(Duration::from_secs));
        let has = command.get(MAX_TIME).unwrap().is_some();
        let (command, _) = deadline.limited(command, has, &RoundTrip::default());
        Document::try_from(command).unwrap()
    }

    #[test]
    fn a_command_gets_the_time_that_is_left() {
        let insert = rawdoc! {"insert": "c", "documents": [{"a": 1}]};
        let with = sent(insert.clone(), Some(10));
        let millis = with.get_i32("maxTimeMS").unwrap();
        assert!((9_000..10_000).contains(&millis), "{millis}");
        assert_eq!(with.keys().next().unwrap(), "insert");
        assert!(!sent(insert.clone(), None).contains_key("maxTimeMS"));
        // A time beyond the server's maximum is no limit.
        assert!(!sent(insert.clone(), Some(1 << 40)).contains_key("maxTimeMS"));
        assert_eq!(sent(insert, Some(0)).get_i32("maxTimeMS").unwrap(), 1);
    }

    #[test]
    fn the_smaller_time_stays() {
        for (given, expected) in [
            (Bson::Int32(70), Bson::Int32(70)),
            (Bson::Int64(70), Bson::Int64(70)),
            (Bson::Double(70.0), Bson::Double(70.0)),
            // Values that the server refuses are sent unchanged.
            (Bson::Double(7.5), Bson::Double(7.5)),
            (Bson::Int32(-1), Bson::Int32(-1)),
            (Bson::String("7".into()), Bson::String("7".into())),
        ] {
            let command = rawdoc! {"update": "c", "maxTimeMS": raw(&given), "comment": 1};
            let sent = sent(command, Some(10));
            assert_eq!(sent.get("maxTimeMS"), Some(&expected));
            assert_eq!(sent.len(), 3);
        }
        for given in [Bson::Int32(70_000), Bson::Int64(1 << 40), Bson::Int32(0)] {
            let command = rawdoc! {"update": "c", "maxTimeMS": raw(&given), "comment": 1};
            let sent = sent(command, Some(10));
            assert!(sent.get_i32("maxTimeMS").unwrap() <= 10_000);
            assert_eq!(sent.get_i32("comment").unwrap(), 1);
            assert_eq!(sent.len(), 3);
        }
    }

    #[test]
    fn a_round_trip_is_subtracted() {
        let round_trip = RoundTrip::default();
        let left = Duration::from_secs(1);
        let millis = |trip: &RoundTrip| {
            let time = ServerTime::new(None, Some(left), Some(left), trip);
            time.max.unwrap().as_millis()
        };
        assert_eq!(millis(&round_trip), 995);
        round_trip.shorten(Duration::from_millis(700));
        assert_eq!(millis(&round_trip), 900, "a tenth at most");
        round_trip.shorten(Duration::from_millis(20));
        round_trip.shorten(Duration::from_millis(30));
        assert_eq!(millis(&round_trip), 975);
    }

    #[test]
    fn commands_that_open_cursors_get_none() {
        for command in [
            rawdoc! {"find": "c"},
            rawdoc! {"aggregate": "c", "pipeline": [{"$match": {}}], "cursor": {}},
            rawdoc! {"getMore": 1_i64, "collection": "c"},
            rawdoc! {"killCursors": "c", "cursors": []},
            RawDocumentBuf::new(),
        ] {
            assert!(!takes_max_time(&command, true), "{command:?}");
        }
        for command in [
            rawdoc! {"explain": {"find": "c"}},
            rawdoc! {"aggregate": "c", "pipeline": [{"$match": {}}, {"$out": "d"}], "cursor": {}},
            rawdoc! {"validate": "c"},
        ] {
            assert!(takes_max_time(&command, true), "{command:?}");
        }
        assert!(!takes_max_time(&rawdoc! {"count": "c"}, false));
        assert!(takes_max_time(&rawdoc! {"validate": "c"}, false));
    }

    fn raw(value: &Bson) -> RawBson {
        RawBson::try_from(value.clone()).unwrap()
    }
}
