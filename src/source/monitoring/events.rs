//! What happened, for logs and listeners: noted on any thread, told on threads of the caller's.
//!
//! Threads of the runtime must never enter an interpreter: one that is about to exit, or that the thread holding it is
//! waiting for us, would stop or abort them. So what they notice goes into a bounded queue that takes no lock, and whoever
//! comes for an outcome takes what is there and tells it. Nothing here carries values, filters or messages of the server,
//! which may quote values: only names, addresses, durations, counts and ids.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicU8, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender, TryRecvError};
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, SystemTime};

use crate::reader::fork::PerProcess;

/// Events kept for whoever comes next; those beyond are counted only.
const CAPACITY: usize = 1024;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Connections and servers.
    Connection,
    /// Operations and their exchanges with the server.
    Command,
    /// The server's cursors.
    Cursor,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The normal course of things.
    Debug,
    /// Something changed.
    Info,
    /// Something that should not happen.
    Warning,
}

/// One fact of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// A name or an address.
    Text(String),
    /// A count or an id.
    Number(i64),
    /// A duration in seconds.
    Seconds(f64),
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        Field::Text(text.to_owned())
    }
}

impl From<String> for Field {
    fn from(text: String) -> Self {
        Field::Text(text)
    }
}

impl From<i64> for Field {
    fn from(number: i64) -> Self {
        Field::Number(number)
    }
}

impl From<u64> for Field {
    fn from(number: u64) -> Self {
        Field::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<Duration> for Field {
    fn from(duration: Duration) -> Self {
        Field::Seconds(duration.as_secs_f64())
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it is about.
    pub topic: Topic,
    /// How much it matters.
    pub level: Level,
    /// When it happened.
    pub at: SystemTime,
    /// What happened, in words.
    pub what: &'static str,
    /// Its facts, by name.
    pub fields: Vec<(&'static str, Field)>,
}

impl Event {
    /// An event of now.
    pub fn new(topic: Topic, level: Level, what: &'static str) -> Self {
        Event {
            topic,
            level,
            at: SystemTime::now(),
            what,
            fields: Vec::new(),
        }
    }

    /// The event with one more fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Field>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The event with one more fact, if it is known.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Field>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Leaves the event for whoever takes the next ones. Never blocks.
    pub fn note(self) {
        let Ok(queue) = QUEUE.get_or_try_init(|| Ok(Queue::new())) else {
            return;
        };
        if queue.sender.try_send(self).is_err() {
            queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
        ANY.store(true, Ordering::Release);
    }
}

static QUEUE: PerProcess<Queue> = PerProcess::new();
static ANY: AtomicBool = AtomicBool::new(false);
static VERBOSE: AtomicU8 = AtomicU8::new(0);
static SLOW: AtomicU64 = AtomicU64::new(1_000_000_000);

/// One for each process: a forked child tells nothing of its parent's, and finds no lock held.
struct Queue {
    sender: SyncSender<Event>,
    /// Locked by whoever takes, never by whoever notes.
    receiver: Mutex<Receiver<Event>>,
    dropped: AtomicU64,
}

impl Queue {
    fn new() -> Self {
        let (sender, receiver) = sync_channel(CAPACITY);
        Queue {
            sender,
            receiver: Mutex::new(receiver),
            dropped: AtomicU64::new(0),
        }
    }
}

/// Whether there may be events to take: one look at a flag.
pub fn any() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// What was noted so far, in order; nothing while another thread is taking. Never blocks.
pub fn take() -> Vec<Event> {
    if !ANY.swap(false, Ordering::AcqRel) {
        return Vec::new();
    }
    let Some(queue) = QUEUE.get() else {
        return Vec::new(); // noted before a fork
    };
    let receiver = match queue.receiver.try_lock() {
        Ok(receiver) => receiver,
        Err(TryLockError::Poisoned(receiver)) => receiver.into_inner(),
        Err(TryLockError::WouldBlock) => {
            ANY.store(true, Ordering::Release);
            return Vec::new();
        }
    };
    let mut events = Vec::new();
    while events.len() < CAPACITY {
        match receiver.try_recv() {
            Ok(event) => events.push(event),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    drop(receiver);
    let dropped = queue.dropped.swap(0, Ordering::Relaxed);
    if dropped > 0 {
        let lost = Event::new(Topic::Command, Level::Warning, "events dropped");
        events.push(lost.with("count", dropped));
    }
    events
}

/// Whether events of [`Level::Debug`] are wanted; all others are rare, and noted always.
pub fn verbose(topic: Topic) -> bool {
    VERBOSE.load(Ordering::Relaxed) & bit(topic) != 0
}

/// Says of which topics events of [`Level::Debug`] are wanted.
pub fn set_verbose(topics: &[Topic]) {
    let bits = topics.iter().fold(0, |bits, topic| bits | bit(*topic));
    if VERBOSE.load(Ordering::Relaxed) != bits {
        VERBOSE.store(bits, Ordering::Relaxed);
    }
}

fn bit(topic: Topic) -> u8 {
    1 << topic as u8
}

/// From which duration on an exchange with the server is slow; `None` when none is.
pub fn slow() -> Option<Duration> {
    let nanos = SLOW.load(Ordering::Relaxed);
    (nanos != u64::MAX).then(|| Duration::from_nanos(nanos))
}

/// Sets [`slow`].
pub fn set_slow(threshold: Option<Duration>) {
    let nanos = threshold.and_then(|limit| u64::try_from(limit.as_nanos()).ok());
    SLOW.store(nanos.unwrap_or(u64::MAX), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test: the queue is the process's.
    #[test]
    fn bounded_ordered_and_counted() {
        take();
        for number in 0..CAPACITY as u64 + 10 {
            Event::new(Topic::Cursor, Level::Debug, "test")
                .with("number", number)
                .note();
        }
        assert!(any());
        let events = take();
        let ours = events.iter().filter(|event| event.what == "test");
        let numbers: Vec<_> = ours.map(|event| event.fields[0].1.clone()).collect();
        assert!(numbers.len() > CAPACITY - 100); // other tests note events of their own
        assert!(numbers
            .windows(2)
            .all(|pair| matches!(pair, [Field::Number(a), Field::Number(b)] if a < b)));
        let last = events.last().unwrap();
        assert_eq!(last.what, "events dropped");
        assert!(matches!(last.fields[0].1, Field::Number(lost) if lost >= 10));

        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        Event::new(Topic::Cursor, Level::Debug, "threads").note();
                    }
                });
            }
        });
        let events = take();
        let ours = events.iter().filter(|event| event.what == "threads");
        assert_eq!(ours.count(), 400);
    }
}
