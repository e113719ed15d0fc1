//! Operations as logs and listeners see them, and the queue's events, told on the caller's thread.
//!
//! The package hands in two functions: `wanted()` says what anyone wants to hear, `tell(events)` tells it. They are called
//! only by threads that came from Python and hold no lock of ours. Whatever is noticed elsewhere (on the runtime's threads,
//! where an iterator is collected, by a consumer of an Arrow stream) waits in the core's queue for the next of these.

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

/// What `wanted()` answers, as bits.
pub(crate) const CONNECTION: u8 = 1;
pub(crate) const CURSOR: u8 = 2;
pub(crate) const COMMAND: u8 = 4;
/// How operations end, even if not how they begin.
pub(crate) const FAILURES: u8 = 8;
pub(crate) const LISTENERS: u8 = 16;

static TELLERS: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Hands in `wanted` and `tell`, once.
#[pyfunction]
pub(crate) fn set_tellers(py: Python<'_>, wanted: Py<PyAny>, tell: Py<PyAny>) {
    let _ = TELLERS.set(py, (wanted, tell));
}

/// Tells what was noted since.
#[pyfunction]
pub(crate) fn tell_events(py: Python<'_>) -> PyResult<()> {
    tell_noted(py)
}

/// Tells what was noted since; one look at a flag when there is nothing.
pub(crate) fn tell_noted(py: Python<'_>) -> PyResult<()> {
    if !events::any() {
        return Ok(());
    }
    tell(py, &events::take())
}

fn tell(py: Python<'_>, events: &[Event]) -> PyResult<()> {
    let Some((_, tell)) = TELLERS.get(py) else {
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
    tell.call1(py, (list,))?;
    Ok(())
}

/// One operation, from its start to its end, which is told once.
pub(crate) struct Watch {
    request: u64,
    operation: String,
    database: String,
    collection: Option<String>,
    begun: Instant,
    pid: u32,
    /// A wait for one reply is measured where it happens; an operation with one reply is that wait.
    single: bool,
    wanted: u8,
    told: AtomicBool,
    end: Mutex<Option<End>>,
}

/// How an operation ended.
struct End {
    took: Duration,
    error: Option<(&'static str, Option<i32>)>,
    counts: Option<(u64, u64)>,
}

/// What is wanted of the operation that is about to start.
pub(crate) struct Beginning {
    wanted: u8,
    /// The number that events call it by; 0 when there is nobody to tell.
    pub request: u64,
}

impl Beginning {
    /// Asks the package. To be called at the start of each operation: levels and listeners may change at any time.
    pub fn ask(py: Python<'_>) -> PyResult<Self> {
        let Some((wanted, _)) = TELLERS.get(py) else {
            return Ok(Beginning {
                wanted: 0,
                request: 0,
            });
        };
        let wanted: u8 = wanted.call0(py)?.extract(py)?;
        let topics = [
            (CONNECTION, Topic::Connection),
            (CURSOR, Topic::Cursor),
            (COMMAND, Topic::Command),
        ];
        let topics = topics.into_iter().filter(|(bit, _)| wanted & bit != 0);
        events::set_verbose(&topics.map(|(_, topic)| topic).collect::<Vec<_>>());
        let request = if wanted == 0 && events::slow().is_none() {
            0
        } else {
            NEXT.fetch_add(1, Ordering::Relaxed)
        };
        Ok(Beginning { wanted, request })
    }

    /// Watches an operation of one reply, which was started; tells that it was.
    pub fn single(self, py: Python<'_>, names: &Names<'_>) -> PyResult<Option<Arc<Watch>>> {
        self.start(py, names, true)
    }

    /// As `single`, of a read, whose waits for replies are measured one by one.
    pub fn read(self, py: Python<'_>, names: &Names<'_>) -> PyResult<Option<Arc<Watch>>> {
        self.start(py, names, false)
    }

    fn start(
        self,
        py: Python<'_>,
        names: &Names<'_>,
        single: bool,
    ) -> PyResult<Option<Arc<Watch>>> {
        if self.request == 0 {
            return Ok(None);
        }
        let watch = Watch {
            request: self.request,
            operation: names.operation.to_owned(),
            database: names.database.to_owned(),
            collection: names.collection.map(str::to_owned),
            begun: Instant::now(),
            pid: process::id(),
            single,
            wanted: self.wanted,
            told: AtomicBool::new(false),
            end: Mutex::new(None),
        };
        if self.wanted & (COMMAND | LISTENERS) != 0 {
            tell(py, &[watch.event(Level::Debug, "started")])?;
        }
        Ok(Some(Arc::new(watch)))
    }
}

/// Names of an operation.
pub(crate) struct Names<'a> {
    pub operation: &'a str,
    pub database: &'a str,
    pub collection: Option<&'a str>,
}

impl Watch {
    /// Notes how the operation ended, on any thread; the first end counts.
    pub fn end(&self, error: Option<&Error>, counts: Option<(u64, u64)>) {
        let mut end = lock(&self.end);
        if end.is_none() {
            *end = Some(End {
                took: self.begun.elapsed(),
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

    /// Notes that nobody wants the outcome any more.
    pub fn cancelled(&self) {
        self.end(Some(&Error::new(ErrorKind::Cancelled)), None);
    }

    /// Tells the end, if there is one that was not told.
    pub fn tell(&self, py: Python<'_>) -> PyResult<()> {
        let events = self.ending();
        if events.is_empty() {
            return Ok(());
        }
        tell(py, &events)
    }

    /// The events of the end, once.
    fn ending(&self) -> Vec<Event> {
        let end = lock(&self.end);
        let Some(end) = &*end else {
            return Vec::new();
        };
        if self.told.swap(true, Ordering::AcqRel) {
            return Vec::new();
        }
        let mut events = Vec::new();
        if self.single && events::slow().is_some_and(|limit| end.took >= limit) {
            events.push(self.event(Level::Warning, "slow").with("seconds", end.took));
        }
        match end.error {
            Some((class, code)) if self.wanted & (FAILURES | COMMAND | LISTENERS) != 0 => {
                let failed = self.event(Level::Info, "failed").with("seconds", end.took);
                events.push(
                    failed
                        .with("error_type", class)
                        .with_some("code", code.map(i64::from)),
                );
            }
            None if self.wanted & (COMMAND | LISTENERS) != 0 => {
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

impl Watch {
    /// Leaves the end, if it was not told, to the next thread that may tell it: for threads that must not run Python code.
    pub fn leave(&self) {
        if self.pid == process::id() {
            for event in self.ending() {
                event.record();
            }
        }
    }
}

impl Drop for Watch {
    /// What nobody came back for is left to the next who does.
    fn drop(&mut self) {
        self.cancelled();
        self.leave();
    }
}

/// The name of a command and of the collection it is about: its first key, and that key's value if it is text.
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
    // The value of such a command is a name in these, and may be anything, a secret even, in others.
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
