//! Events of operations for logs and listeners, delivered on the caller's thread.
//!
//! The package sets two callbacks: `requested()` returns the requested events as bits, `receive(events)` receives them. Only
//! threads of Python that hold no lock of this crate call them. Events of other threads (of the runtime, of the garbage
//! collector, of the consumer of an Arrow stream) wait in the core's queue for the next call.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use data_bridge::error::{Error, ErrorKind};
use data_bridge::source::events::{self, Event, Field, Level, Topic};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList};

use crate::error::class_name;
use crate::lock::lock;

/// Bits of `requested()`.
pub(crate) const CONNECTION: u8 = 1;
pub(crate) const CURSOR: u8 = 2;
pub(crate) const COMMAND: u8 = 4;
/// The end of each failed operation, without its start.
pub(crate) const FAILURES: u8 = 8;
pub(crate) const LISTENERS: u8 = 16;

static CALLBACKS: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Set, once, the callback that returns the requested events as bits, and the callback that receives events. Both are called
/// on the caller's threads.
#[pyfunction]
pub(crate) fn set_event_callbacks(py: Python<'_>, requested: Py<PyAny>, receive: Py<PyAny>) {
    let _ = CALLBACKS.set(py, (requested, receive));
}

/// Deliver the events in the queue.
#[pyfunction]
pub(crate) fn deliver_events(py: Python<'_>) -> PyResult<()> {
    deliver_queued(py)
}

/// Delivers the events in the queue; only checks a flag if it is empty.
pub(crate) fn deliver_queued(py: Python<'_>) -> PyResult<()> {
    if !events::any() {
        return Ok(());
    }
    deliver(py, &events::take())
}

fn deliver(py: Python<'_>, events: &[Event]) -> PyResult<()> {
    let Some((_, receive)) = CALLBACKS.get(py) else {
        return Ok(());
    };
    if events.is_empty() {
        return Ok(());
    }
    let list = PyList::empty(py);
    for event in events {
        let fields = PyDict::new(py);
        for (name, value) in &event.fields {
            match value {
                Field::Text(text) => fields.set_item(name, text)?,
                Field::Number(number) => fields.set_item(name, number)?,
                Field::Seconds(seconds) => fields.set_item(name, seconds)?,
            }
        }
        let topic = match event.topic {
            Topic::Connection => "connection",
            Topic::Command => "command",
            Topic::Cursor => "cursor",
        };
        let level = match event.level {
            Level::Debug => 10,
            Level::Info => 20,
            Level::Warning => 30,
        };
        let since = event.at.duration_since(std::time::UNIX_EPOCH);
        let at = since.unwrap_or_default().as_secs_f64();
        list.append((topic, level, at, event.message, fields))?;
    }
    receive.call1(py, (list,))?;
    Ok(())
}

/// The record of one operation, from its start to its end, which is reported once.
pub(crate) struct OperationRecord {
    request: u64,
    operation: String,
    database: String,
    collection: Option<String>,
    started_at: Instant,
    pid: u32,
    /// True for an operation with one reply, whose duration is that of the wait; a read measures each wait itself.
    single: bool,
    requested: u8,
    reported: AtomicBool,
    end: Mutex<Option<End>>,
}

/// The end of an operation.
struct End {
    took: Duration,
    error: Option<(&'static str, Option<i32>)>,
    counts: Option<(u64, u64)>,
}

/// The requested events of an operation before its start.
pub(crate) struct Request {
    requested: u8,
    /// The number of the operation in events; 0 if no events are requested.
    pub id: u64,
}

impl Request {
    /// Calls `requested()` of the package. Needed at the start of each operation: levels and listeners may change at any time.
    pub fn begin(py: Python<'_>) -> PyResult<Self> {
        let Some((requested, _)) = CALLBACKS.get(py) else {
            return Ok(Request {
                requested: 0,
                id: 0,
            });
        };
        let requested: u8 = requested.call0(py)?.extract(py)?;
        let topics = [
            (CONNECTION, Topic::Connection),
            (CURSOR, Topic::Cursor),
            (COMMAND, Topic::Command),
        ];
        let topics = topics.into_iter().filter(|(bit, _)| requested & bit != 0);
        events::set_verbose(&topics.map(|(_, topic)| topic).collect::<Vec<_>>());
        let id = if requested == 0 && events::slow().is_none() {
            0
        } else {
            NEXT.fetch_add(1, Ordering::Relaxed)
        };
        Ok(Request { requested, id })
    }

    /// Records the start of an operation with one reply, and delivers its event.
    pub fn single(
        self,
        py: Python<'_>,
        names: &OperationNames<'_>,
    ) -> PyResult<Option<Arc<OperationRecord>>> {
        self.start(py, names, true)
    }

    /// As `single`, for a read, whose waits for replies are measured one by one.
    pub fn read(
        self,
        py: Python<'_>,
        names: &OperationNames<'_>,
    ) -> PyResult<Option<Arc<OperationRecord>>> {
        self.start(py, names, false)
    }

    fn start(
        self,
        py: Python<'_>,
        names: &OperationNames<'_>,
        single: bool,
    ) -> PyResult<Option<Arc<OperationRecord>>> {
        if self.id == 0 {
            return Ok(None);
        }
        let record = OperationRecord {
            request: self.id,
            operation: names.operation.to_owned(),
            database: names.database.to_owned(),
            collection: names.collection.map(str::to_owned),
            started_at: Instant::now(),
            pid: process::id(),
            single,
            requested: self.requested,
            reported: AtomicBool::new(false),
            end: Mutex::new(None),
        };
        if self.requested & (COMMAND | LISTENERS) != 0 {
            deliver(py, &[record.event(Level::Debug, "started")])?;
        }
        Ok(Some(Arc::new(record)))
    }
}

/// The names in the events of an operation.
pub(crate) struct OperationNames<'a> {
    pub operation: &'a str,
    pub database: &'a str,
    pub collection: Option<&'a str>,
}

impl OperationRecord {
    /// Records the end of the operation, on any thread; later ends are ignored.
    pub fn end(&self, error: Option<&Error>, counts: Option<(u64, u64)>) {
        let mut end = lock(&self.end);
        if end.is_none() {
            *end = Some(End {
                took: self.started_at.elapsed(),
                error: error.map(|error| {
                    let code = match error.kind() {
                        ErrorKind::Operation { code, .. }
                        | ErrorKind::WriteConcern { code, .. } => Some(*code),
                        _ => None,
                    };
                    (class_name(error), code)
                }),
                counts,
            });
        }
    }

    /// Records that the caller abandoned the operation.
    pub fn cancelled(&self) {
        self.end(Some(&Error::new(ErrorKind::Cancelled)), None);
    }

    /// Delivers the events of the end, if it was not reported before.
    pub fn report(&self, py: Python<'_>) -> PyResult<()> {
        let events = self.ending();
        if events.is_empty() {
            return Ok(());
        }
        deliver(py, &events)
    }

    /// The events of the end; empty if it was reported before.
    fn ending(&self) -> Vec<Event> {
        let end = lock(&self.end);
        let Some(end) = &*end else {
            return Vec::new();
        };
        if self.reported.swap(true, Ordering::AcqRel) {
            return Vec::new();
        }
        let mut events = Vec::new();
        if self.single && events::slow().is_some_and(|limit| end.took >= limit) {
            events.push(self.event(Level::Warning, "slow").with("seconds", end.took));
        }
        match end.error {
            Some((class, code)) if self.requested & (FAILURES | COMMAND | LISTENERS) != 0 => {
                let failed = self.event(Level::Info, "failed").with("seconds", end.took);
                events.push(
                    failed
                        .with("error_type", class)
                        .with_some("code", code.map(i64::from)),
                );
            }
            None if self.requested & (COMMAND | LISTENERS) != 0 => {
                let succeeded = self.event(Level::Debug, "succeeded");
                events.push(
                    succeeded
                        .with("seconds", end.took)
                        .with_some("rows", end.counts.map(|(rows, _)| rows))
                        .with_some("bytes", end.counts.map(|(_, bytes)| bytes)),
                );
            }
            _ => {}
        }
        events
    }

    fn event(&self, level: Level, what: &'static str) -> Event {
        Event::new(Topic::Command, level, what)
            .with("request_id", self.request)
            .with("operation", self.operation.as_str())
            .with("database", self.database.as_str())
            .with_some("collection", self.collection.as_deref())
    }
}

impl OperationRecord {
    /// Queues the events of the end, if it was not reported before; for threads that must not run Python code.
    pub fn queue_end(&self) {
        if self.pid == process::id() {
            for event in self.ending() {
                event.record();
            }
        }
    }
}

impl Drop for OperationRecord {
    /// Queues the end of an abandoned operation for the next delivery.
    fn drop(&mut self) {
        self.cancelled();
        self.queue_end();
    }
}

/// The name of a command, its first key, and the name of its collection, that key's value if it is a string.
pub(crate) fn names_of(command: &[u8]) -> (&str, Option<&str>) {
    let key = command.get(5..).unwrap_or_default();
    let end = key.iter().position(|byte| *byte == 0).unwrap_or(0);
    let name = std::str::from_utf8(&key[..end]).unwrap_or_default();
    // A string: its length, its bytes, a NUL.
    let value = match (command.get(4), key.get(end + 5..)) {
        (Some(2), Some(value)) => value.split(|byte| *byte == 0).next(),
        _ => None,
    };
    let collection = value.and_then(|value| std::str::from_utf8(value).ok());
    // In other commands the value may be of any kind, even a secret.
    let known = OF_COLLECTIONS.contains(&name);
    (name, collection.filter(|_| known))
}

/// Commands whose value names a collection.
const OF_COLLECTIONS: [&str; 15] = [
    "aggregate",
    "collMod",
    "collStats",
    "count",
    "create",
    "createIndexes",
    "delete",
    "distinct",
    "drop",
    "dropIndexes",
    "find",
    "findAndModify",
    "insert",
    "listIndexes",
    "update",
];
