//! How many documents a reply is to hold.
//!
//! Asked for nothing, servers fill a reply with 16 MB: nothing is decoded while the first one is made, nothing is fetched while
//! the last one is decoded, and each needs new memory. With replies of a megabyte or a few, server, network and both sides'
//! cores work at once. But a query asks for documents, not bytes, and the driver sends the same number with every getMore: so it
//! has to be known before how large documents are. It is learned from earlier reads, or asked for, which takes a server
//! some microseconds. Measured in docs/design/0010-reply-sizes.md.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mongodb::bson::{doc, Bson, Document};

use super::query::Query;

/// Bytes of a reply of documents of 512 bytes and more, and at most. Larger ones overlap less; smaller ones cost more round
/// trips, which show where documents are small: these take the server long and the client hardly any time.
const REPLY: u64 = 1200 << 10;
const MOST: u64 = 4 << 20;
const SMALL: u64 = 512;

/// Where even the fastest exchange took longer, the server is far, and large replies are right.
const NEAR: Duration = Duration::from_millis(3);

/// Replies hold so many documents at least: an average says little of those that a query finds.
const FEWEST: u64 = 1_000;

/// So many documents come in the first reply of a query that asks for no number.
const FIRST: u64 = 101;

/// Servers put no more than 16 MB in a reply, whatever was asked for.
const CUT: usize = 15 << 20;

/// A query with a smaller limit is not worth a question of its own.
const WORTH_ASKING: i64 = 1_000;

/// So many kinds of documents are remembered.
const REMEMBERED: usize = 1_000;

/// What documents look like: where they come from, and the part of them that is read.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    namespace: String,
    projection: Vec<u8>,
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

    /// Notes the first reply of a query that others follow.
    pub(crate) fn seen(&self, sized: &SizedFind, bytes: usize) {
        if bytes < CUT {
            self.note(
                &sized.kind,
                (bytes as u64 / sized.batch.unwrap_or(FIRST)).max(1),
            );
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

/// A find whose replies may be sized.
pub(crate) struct SizedFind {
    pub(crate) kind: Kind,
    /// Whether it is worth asking for the size where it is not known.
    pub(crate) asks: bool,
    /// How many documents each reply holds, but the last; none: so many as the server likes.
    batch: Option<u64>,
}

impl SizedFind {
    /// `None` for a query that says itself how many, or has few; and for one whose first document is wanted at once (it is not
    /// `eager`), but may have to be looked for: the server would look for all of a reply.
    pub(crate) fn of(database: &str, query: &Query, eager: bool) -> Option<Self> {
        let Query::Find {
            collection,
            filter,
            options,
        } = query
        else {
            return None;
        };
        if !eager && !filter.is_empty() {
            return None;
        }
        let limit = options.limit.unwrap_or(0);
        if options.batch_size.is_some() || limit < 0 || (1..=FIRST as i64).contains(&limit) {
            return None;
        }
        let projection = options.projection.as_ref();
        Some(SizedFind {
            asks: projection.is_none() && (limit == 0 || limit > WORTH_ASKING),
            kind: Kind {
                namespace: format!("{database}.{collection}"),
                projection: projection.map_or(Some(Vec::new()), |some| some.to_vec().ok())?,
            },
            batch: None,
        })
    }

    /// The command that asks for the size of a collection, from the numbers that a server keeps of it.
    pub(crate) fn question(&self) -> Document {
        doc! {"dataSize": &self.kind.namespace, "estimate": true}
    }

    /// Sets how many documents replies hold, of so many bytes each.
    pub(crate) fn set(&mut self, query: &mut Query, bytes: u64) {
        if let (Query::Find { options, .. }, 1..) = (query, bytes) {
            let reply = (REPLY * SMALL / bytes).clamp(REPLY, MOST);
            let batch = (reply / bytes).max(FEWEST);
            options.batch_size = u32::try_from(batch).ok();
            self.batch = options.batch_size.map(u64::from);
        }
    }
}

/// The answer to [`SizedFind::question`].
pub(crate) fn answer(reply: &Document) -> u64 {
    let number = |key| match reply.get(key) {
        Some(Bson::Int32(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Bson::Int64(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Bson::Double(number)) => *number as u64,
        _ => 0,
    };
    number("size")
        .checked_div(number("numObjects"))
        .unwrap_or(0)
}
