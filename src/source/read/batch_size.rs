//! The `batchSize` of a find: the number of documents in a reply.
//!
//! Without one, servers fill a reply with 16 MB: no document is decoded while the server makes the first reply, none is fetched
//! while the client decodes the last one, and each reply needs new memory. With replies of a few megabytes, the server, the network
//! and the client work at the same time. A query requests a number of documents, not bytes, and the driver sends the same number
//! with every getMore: so the size of documents must be known before. It is known from earlier reads, or the server is asked,
//! which takes it some microseconds. Measured in docs/design/0010-reply-sizes.md.

use mongodb::bson::{doc, Bson, Document};

use super::query::Query;
use crate::source::connection::document_sizes::{DocumentKind, DocumentSizes};

/// Bytes of a reply: the minimum for documents of 512 bytes and more, and the maximum. Larger replies overlap less. Smaller replies
/// cost more round trips, which matter for small documents: they take the server long and the client hardly any time.
const MIN_REPLY_BYTES: u64 = 1200 << 10;
const MAX_REPLY_BYTES: u64 = 4 << 20;
const LARGE_DOCUMENT_BYTES: u64 = 512;

/// Minimum of documents in a reply: the documents that a query finds may differ from the average.
const MIN_DOCUMENTS: u64 = 1_000;

/// Number of documents in the first reply of a query without a `batchSize`.
const FIRST_REPLY_DOCUMENTS: u64 = 101;

/// Size from which the server may have cut a reply: it puts at most 16 MB into one.
const FULL_REPLY_BYTES: usize = 15 << 20;

/// Limit of a query from which the server is asked for the size of documents.
const MIN_LIMIT_TO_ASK: i64 = 1_000;

/// A find whose replies may get a `batchSize`.
pub(crate) struct SizedFind {
    pub(crate) kind: DocumentKind,
    /// The server may be asked for an unknown size.
    pub(crate) may_ask: bool,
    /// Number of documents in each reply but the last; `None` if the server decides.
    batch_size: Option<u64>,
}

impl SizedFind {
    /// Returns `None` for a query with a `batchSize` or a small limit. Returns it also for a filtered query that is not `eager`: its
    /// first document is wanted at once, and the server would search for all documents of a reply.
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
            may_ask: projection.is_none() && (limit == 0 || limit > MIN_LIMIT_TO_ASK),
            kind: DocumentKind::new(
                format!("{database}.{collection}"),
                projection.map_or(Some(Vec::new()), |some| some.to_vec().ok())?,
            ),
            batch_size: None,
        })
    }

    /// The command that estimates the size of a collection from its metadata.
    pub(crate) fn size_command(&self) -> Document {
        doc! {"dataSize": self.kind.namespace(), "estimate": true}
    }

    /// Records the size of the documents in a first reply that is not the last.
    pub(crate) fn record_first_reply(&self, sizes: &DocumentSizes, bytes: usize) {
        if bytes < FULL_REPLY_BYTES {
            let documents = self.batch_size.unwrap_or(FIRST_REPLY_DOCUMENTS);
            sizes.record(&self.kind, (bytes as u64 / documents).max(1));
        }
    }

    /// Sets the `batchSize` of a query for documents of so many bytes.
    pub(crate) fn set_batch_size(&mut self, query: &mut Query, bytes: u64) {
        if let (Query::Find { options, .. }, 1..) = (query, bytes) {
            let reply = (MIN_REPLY_BYTES * LARGE_DOCUMENT_BYTES / bytes)
                .clamp(MIN_REPLY_BYTES, MAX_REPLY_BYTES);
            let batch = (reply / bytes).max(MIN_DOCUMENTS);
            options.batch_size = u32::try_from(batch).ok();
            self.batch_size = options.batch_size.map(u64::from);
        }
    }
}

/// The average bytes of a document, from the reply to [`SizedFind::size_command`]; 0 if it gives none.
pub(crate) fn average_size(reply: &Document) -> u64 {
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
