//! Average sizes of documents that a client has read, and the distance of its servers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where even the fastest exchange took longer, the server is far, and large replies are right.
const NEAR: Duration = Duration::from_millis(3);

/// So many kinds of documents are remembered.
const REMEMBERED: usize = 1_000;

/// What documents look like: where they come from, and the part of them that is read.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    namespace: String,
    projection: Vec<u8>,
}

impl Kind {
    pub(crate) fn new(namespace: String, projection: Vec<u8>) -> Self {
        Kind {
            namespace,
            projection,
        }
    }

    /// Database and collection, joined by a dot.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// What a client knows of its servers' documents, and how far the servers are.
pub(crate) struct Sizes {
    /// Average bytes, or 0 where that could not be told.
    known: Mutex<HashMap<Kind, u64>>,
    /// The fastest exchange, in microseconds.
    fastest: AtomicU64,
    /// Questions took long.
    far: AtomicBool,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes {
            known: Mutex::default(),
            fastest: AtomicU64::new(u64::MAX),
            far: AtomicBool::new(false),
        }
    }
}

impl Sizes {
    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn known(&self, kind: &Kind) -> Option<u64> {
        self.lock().get(kind).copied()
    }

    /// Notes an average. The smallest counts: of documents that differ, other queries may find the small ones, and many small
    /// replies cost more than a few large ones.
    pub(crate) fn note(&self, kind: &Kind, bytes: u64) {
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let least = known.entry(kind.clone()).or_insert(bytes);
        if bytes != 0 && (*least == 0 || bytes < *least) {
            *least = bytes;
        }
    }

    /// Notes how long an exchange took.
    pub(crate) fn took(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.fastest.fetch_min(micros, Ordering::Relaxed);
    }

    pub(crate) fn near(&self) -> bool {
        self.fastest.load(Ordering::Relaxed) < NEAR.as_micros() as u64
    }

    /// Whether it is known that questions take long.
    pub(crate) fn far(&self) -> bool {
        self.far.load(Ordering::Relaxed) && !self.near()
    }

    /// Questions took long.
    pub(crate) fn set_far(&self) {
        self.far.store(true, Ordering::Relaxed);
    }
}
