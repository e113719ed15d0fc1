//! Average sizes of documents that a client has read, and the distance of its servers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Limit of the fastest exchange with a near server. A far server gets no sized replies: large ones suit it best.
const NEAR_ROUND_TRIP: Duration = Duration::from_millis(3);

/// Number of document kinds with a known size.
const MAX_KINDS: usize = 1_000;

/// A kind of documents: their collection, and the projection.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct DocumentKind {
    namespace: String,
    projection: Vec<u8>,
}

impl DocumentKind {
    pub(crate) fn new(namespace: String, projection: Vec<u8>) -> Self {
        DocumentKind {
            namespace,
            projection,
        }
    }

    /// Database and collection, joined by a dot.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// The known sizes of documents, and the fastest exchange with the servers.
pub(crate) struct DocumentSizes {
    /// Average bytes; 0 if a server was asked and gave none.
    known: Mutex<HashMap<DocumentKind, u64>>,
    /// The fastest exchange, in microseconds.
    fastest: AtomicU64,
    /// Asking for a size took long.
    slow_question: AtomicBool,
}

impl Default for DocumentSizes {
    fn default() -> Self {
        DocumentSizes {
            known: Mutex::default(),
            fastest: AtomicU64::new(u64::MAX),
            slow_question: AtomicBool::new(false),
        }
    }
}

impl DocumentSizes {
    fn lock(&self) -> MutexGuard<'_, HashMap<DocumentKind, u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn known(&self, kind: &DocumentKind) -> Option<u64> {
        self.lock().get(kind).copied()
    }

    /// Records an average; the smallest counts. Another query may find the small documents of a kind, and many small replies cost
    /// more than a few large ones.
    pub(crate) fn record(&self, kind: &DocumentKind, bytes: u64) {
        let mut known = self.lock();
        if known.len() >= MAX_KINDS {
            known.clear();
        }
        let least = known.entry(kind.clone()).or_insert(bytes);
        if bytes != 0 && (*least == 0 || bytes < *least) {
            *least = bytes;
        }
    }

    /// Records the time of an exchange.
    pub(crate) fn record_exchange(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.fastest.fetch_min(micros, Ordering::Relaxed);
    }

    /// Returns whether an exchange was as fast as with a near server.
    pub(crate) fn is_near(&self) -> bool {
        self.fastest.load(Ordering::Relaxed) < NEAR_ROUND_TRIP.as_micros() as u64
    }

    /// Returns whether asking for a size is known to take long.
    pub(crate) fn is_far(&self) -> bool {
        self.slow_question.load(Ordering::Relaxed) && !self.is_near()
    }

    /// Records that asking for a size took long.
    pub(crate) fn set_far(&self) {
        self.slow_question.store(true, Ordering::Relaxed);
    }
}
