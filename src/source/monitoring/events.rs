//! Events for logs and listeners: recorded on any thread, delivered on the caller's threads.
//!
//! An I/O thread must never enter an interpreter: an interpreter that exits would stop or abort the thread, and one whose thread
//! waits for a reply would deadlock with it. So events go into a bounded queue that takes no lock, and a caller that takes an
//! outcome takes the queued events, too. No event carries values, filters or messages of the server, which may quote values: only
//! names, addresses, durations, counts and ids.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicU8, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender, TryRecvError};
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, SystemTime};

use crate::reader::fork::PerProcess;

/// Number of queued events; events beyond it are counted and dropped.
const CAPACITY: usize = 1024;

/// The subject of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Connections and servers.
    Connection,
    /// Operations, and their exchanges with the server.
    Command,
    /// The server's cursors.
    Cursor,
}

/// The severity of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A step of normal operation.
    Debug,
    /// A change, such as a lost connection or a retry.
    Info,
    /// A fault, such as a slow exchange or a kill without confirmation.
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

/// An event: a message with facts.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its subject.
    pub topic: Topic,
    /// Its severity.
    pub level: Level,
    /// The time of the event.
    pub at: SystemTime,
    /// The message, a constant text.
    pub message: &'static str,
    /// The facts by name.
    pub fields: Vec<(&'static str, Field)>,
}

impl Event {
    /// An event with the current time.
    pub fn new(topic: Topic, level: Level, message: &'static str) -> Self {
        Event {
            topic,
            level,
            at: SystemTime::now(),
            message,
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

    /// Queues the event for the next [`take`]. Never blocks.
    pub fn record(self) {
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

/// The queue of one process: a forked child delivers no events of its parent, and finds no lock held.
struct Queue {
    sender: SyncSender<Event>,
    /// Locked by [`take`], never by [`Event::record`].
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

/// Returns whether there may be events to take: one atomic load.
pub fn any() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// Takes the queued events, in order; none while another thread takes them. Never blocks.
pub fn take() -> Vec<Event> {
    if !ANY.swap(false, Ordering::AcqRel) {
        return Vec::new();
    }
    let Some(queue) = QUEUE.get() else {
        return Vec::new(); // recorded before a fork
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

/// Returns whether events of [`Level::Debug`] are recorded for a topic. Other levels are rare and always recorded.
pub fn verbose(topic: Topic) -> bool {
    VERBOSE.load(Ordering::Relaxed) & bit(topic) != 0
}

/// Sets the topics whose events of [`Level::Debug`] are recorded.
pub fn set_verbose(topics: &[Topic]) {
    let bits = topics.iter().fold(0, |bits, topic| bits | bit(*topic));
    if VERBOSE.load(Ordering::Relaxed) != bits {
        VERBOSE.store(bits, Ordering::Relaxed);
    }
}

fn bit(topic: Topic) -> u8 {
    1 << topic as u8
}

/// Duration from which an exchange with the server is slow; `None` if none is.
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

    // One test, because the process has one queue.
    #[test]
    fn bounded_ordered_and_counted() {
        take();
        for number in 0..CAPACITY as u64 + 10 {
            Event::new(Topic::Cursor, Level::Debug, "test")
                .with("number", number)
                .record();
        }
        assert!(any());
        let events = take();
        let ours = events.iter().filter(|event| event.message == "test");
        let numbers: Vec<_> = ours.map(|event| event.fields[0].1.clone()).collect();
        assert!(numbers.len() > CAPACITY - 100); // other tests record events of their own
        assert!(numbers
            .windows(2)
            .all(|pair| matches!(pair, [Field::Number(a), Field::Number(b)] if a < b)));
        let last = events.last().unwrap();
        assert_eq!(last.message, "events dropped");
        assert!(matches!(last.fields[0].1, Field::Number(lost) if lost >= 10));

        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        Event::new(Topic::Cursor, Level::Debug, "threads").record();
                    }
                });
            }
        });
        let events = take();
        let ours = events.iter().filter(|event| event.message == "threads");
        assert_eq!(ours.count(), 400);
    }
}
