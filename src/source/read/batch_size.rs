//! How many documents a reply is to hold.
//!
//! Asked for nothing, servers fill a reply with 16 MB: nothing is decoded while the first one is made, nothing is fetched while
//! the last one is decoded, and each needs new memory. With replies of a megabyte or a few, server, network and both sides'
//! cores work at once. But a query asks for documents, not bytes, and the driver sends the same number with every getMore: so it
//! has to be known before how large documents are. It is learned from earlier reads, or asked for, which takes a server
//! some microseconds. Measured in docs/design/0010-reply-sizes.md.

use mongodb::bson::{doc, Bson, Document};

use super::query::Query;
use crate::source::connection::document_sizes::{Kind, Sizes};

/// Bytes of a reply of documents of 512 bytes and more, and at most. Larger ones overlap less; smaller ones cost more round
/// trips, which show where documents are small: these take the server long and the client hardly any time.
const MIN_REPLY_BYTES: u64 = 1200 << 10;
const MAX_REPLY_BYTES: u64 = 4 << 20;
const LARGE_DOCUMENT_BYTES: u64 = 512;

/// Replies hold so many documents at least: an average says little of those that a query finds.
const MIN_DOCUMENTS: u64 = 1_000;

/// So many documents come in the first reply of a query that asks for no number.
const FIRST_REPLY_DOCUMENTS: u64 = 101;

/// Servers put no more than 16 MB in a reply, whatever was asked for.
const FULL_REPLY_BYTES: usize = 15 << 20;

/// A query with a smaller limit is not worth a question of its own.
const WORTH_ASKING: i64 = 1_000;

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
        if options.batch_size.is_some()
            || limit < 0
            || (1..=FIRST_REPLY_DOCUMENTS as i64).contains(&limit)
        {
            return None;
        }
        let projection = options.projection.as_ref();
        Some(SizedFind {
            asks: projection.is_none() && (limit == 0 || limit > WORTH_ASKING),
            kind: Kind::new(
                format!("{database}.{collection}"),
                projection.map_or(Some(Vec::new()), |some| some.to_vec().ok())?,
            ),
            batch: None,
        })
    }

    /// The command that asks for the size of a collection, from the numbers that a server keeps of it.
    pub(crate) fn question(&self) -> Document {
        doc! {"dataSize": self.kind.namespace(), "estimate": true}
    }

    /// Record the size of the documents of a first reply that others follow.
    pub(crate) fn record_first_reply(&self, sizes: &Sizes, bytes: usize) {
        if bytes < FULL_REPLY_BYTES {
            let documents = self.batch.unwrap_or(FIRST_REPLY_DOCUMENTS);
            sizes.note(&self.kind, (bytes as u64 / documents).max(1));
        }
    }

    /// Sets how many documents replies hold, of so many bytes each.
    pub(crate) fn set(&mut self, query: &mut Query, bytes: u64) {
        if let (Query::Find { options, .. }, 1..) = (query, bytes) {
            let reply = (MIN_REPLY_BYTES * LARGE_DOCUMENT_BYTES / bytes)
                .clamp(MIN_REPLY_BYTES, MAX_REPLY_BYTES);
            let batch = (reply / bytes).max(MIN_DOCUMENTS);
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
