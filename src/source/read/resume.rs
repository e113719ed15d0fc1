//! Reads in `_id` order that go on behind the last row handed on when their cursor is lost.
//!
//! Where they go on is said by index bounds (`min`, `max`), which order all BSON types; `$gt` compares within one type.
//! Two things about bounds that are easily missed, both of mongod 6.0: `min` is inclusive, so the row that came last comes
//! again, unless it was deleted meanwhile; and a scan without `max` ends before a row whose `_id` is MaxKey.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{doc, Bson, Document, RawDocumentBuf};
use mongodb::options::{FindOptions, Hint};
use mongodb::Database;

use super::query::{ask, Query};
use crate::error::{Error, ErrorKind, RawValue, Result};
use crate::raw::{document_len, find_id, key_len, ElementType};
use crate::reader::Reply;
use crate::source::connection::failure::from_driver;

/// How often a read goes on in a row without a new row.
const ATTEMPTS: u32 = 6;

/// How long it waits before it goes on for the second time in a row; then twice as long each time.
const BACKOFF: Duration = Duration::from_millis(100);

/// Codes that say the cursor is lost, or the server: those of the specification of retryable reads, those of the specification
/// of change streams that do not concern change streams alone, and QueryPlanKilled (175) and CursorKilled (237). Not among
/// them: Interrupted (11601), by which an operator ends an operation, and CappedPositionLost (136), after which rows are gone.
const LOST: [i32; 21] = [
    6, 7, 43, 63, 89, 91, 133, 134, 150, 175, 189, 237, 262, 9001, 10058, 10107, 11600, 11602,
    13388, 13435, 13436,
];

/// The label of an error after which the same command may be sent again, whatever its code: an overloaded server, for one.
const RETRYABLE: &str = "RetryableError";

/// Where a read stands that goes on when its cursor is lost.
pub(crate) struct Resume {
    collection: String,
    filter: Document,
    options: FindOptions,
    descending: bool,
    /// Rows handed on.
    rows: u64,
    /// The `_id` of the last one, once there is one.
    last: Option<RawValue>,
    /// The next row that comes may be the last one again.
    again: bool,
    /// The cursor that is open does not reach MaxKey.
    short: bool,
    /// A reply was handed on that could not be read here: the reader will say what is wrong with it.
    unreadable: bool,
    /// The cursor that was asked for is open: what fails from here on is a getMore.
    open: bool,
    inspected: bool,
    attempts: u32,
    resumed: Arc<AtomicU64>,
}

impl Resume {
    /// Makes a find one that can go on; `resumed` counts how often it did.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] for a find whose place is not told by the `_id` of its last row.
    pub(crate) fn new(
        collection: &str,
        filter: Document,
        mut options: FindOptions,
        resumed: Arc<AtomicU64>,
    ) -> Result<Self> {
        let descending = check(&options)?;
        options.sort = Some(doc! {"_id": if descending { -1 } else { 1 }});
        options.hint = Some(Hint::Keys(doc! {"_id": 1}));
        Ok(Resume {
            collection: collection.to_owned(),
            filter,
            options,
            descending,
            rows: 0,
            last: None,
            again: false,
            short: false,
            unreadable: false,
            open: false,
            inspected: false,
            attempts: 0,
            resumed,
        })
    }

    /// What is read.
    pub(crate) fn collection(&self) -> &str {
        &self.collection
    }

    /// Looks at the collection, once.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] for one in which an `_id` does not tell a place.
    pub(crate) async fn inspect(&mut self, database: Database) -> Result<()> {
        if !self.inspected {
            let criteria = self.options.selection_criteria.as_ref();
            let ask = |command| ask(&database, command, criteria);
            let hello = ask(doc! {"hello": 1}).await.map_err(from_driver)?;
            let list = doc! {"listCollections": 1, "filter": {"name": &self.collection}};
            let found = ask(list).await.map_err(from_driver)?;
            check_collection(&hello, &found)?;
            self.inspected = true;
        }
        Ok(())
    }

    /// What to ask now; `None` when nothing can come any more.
    pub(crate) fn query(&mut self) -> Result<Option<Query>> {
        let mut options = self.options.clone();
        let Some(last) = &self.last else {
            return Ok(Some(self.find(self.filter.clone(), options)));
        };
        let end = if self.descending {
            ElementType::MinKey
        } else {
            ElementType::MaxKey
        };
        let left = self.left();
        if left == Some(0) || last.tag == end.byte() {
            return Ok(None);
        }
        let bound = bound(last)?;
        options.skip = None;
        if self.descending {
            options.max = Some(bound);
        } else {
            options.min = Some(bound);
            self.again = true;
            self.short = true;
        }
        let more = u32::from(self.again);
        options.limit =
            left.map(|left| i64::try_from(left).unwrap_or(i64::MAX - 1) + i64::from(more));
        // The first reply brings something new, so that the read gets on though each getMore fails.
        options.batch_size = options.batch_size.map(|size| size.max(1 + more));
        Ok(Some(self.find(self.filter.clone(), options)))
    }

    /// What is left to ask when the cursor came to its end.
    pub(crate) fn rest(&mut self) -> Option<Query> {
        let short = std::mem::take(&mut self.short);
        if !short || self.left() == Some(0) {
            return None;
        }
        let mut options = self.options.clone();
        (options.skip, options.limit) = (None, Some(1));
        let filter = doc! {"$and": [self.filter.clone(), {"_id": {"$eq": Bson::MaxKey}}]};
        Some(self.find(filter, options))
    }

    /// Notes that the cursor was opened.
    pub(crate) fn opened(&mut self) {
        self.open = true;
    }

    /// Takes note of a reply that is about to be handed on; what of it is new.
    pub(crate) fn take(&mut self, reply: Reply) -> Option<Reply> {
        let bytes = reply.bytes();
        let left = self.left();
        let (mut from, mut at, mut rows) = (0, 0, 0);
        let mut last = None;
        while at < bytes.len() && left.is_none_or(|left| rows < left) {
            let Some((id, end)) = row(bytes, at) else {
                self.unreadable = true;
                return Some(reply.part(from..bytes.len()));
            };
            if std::mem::take(&mut self.again) && self.last.as_ref() == Some(&id) {
                from = end;
            } else {
                rows += 1;
                last = Some(id);
            }
            at = end;
        }
        if last.is_some() {
            self.last = last;
            self.rows += rows;
            self.attempts = 0;
        }
        (rows > 0).then(|| reply.part(from..at))
    }

    /// How long to wait before the read goes on after `error`.
    ///
    /// # Errors
    /// `error`, if it is of another kind, or came too often; then it says so.
    pub(crate) fn after(&mut self, error: Error) -> Result<Duration> {
        let labelled = |label: &str| error.labels().iter().any(|each| each == label);
        // The work of a transaction is lost as a whole.
        let whole = labelled("TransientTransactionError");
        let lost = match error.kind() {
            ErrorKind::Connection(_) => true,
            ErrorKind::Operation { code, .. } => LOST.contains(code) || labelled(RETRYABLE),
            ErrorKind::Timeout(_) => self.by_a_limit_of_the_server(&error),
            _ => false,
        };
        if !lost || whole || self.unreadable {
            return Err(error);
        }
        if self.attempts >= ATTEMPTS {
            return Err(error.with_note(&format!(
                "the read went on {ATTEMPTS} times in a row without a new row"
            )));
        }
        let wait = match self.attempts {
            0 => Duration::ZERO,
            more => BACKOFF * 2_u32.pow(more - 1),
        };
        self.attempts += 1;
        self.resumed.fetch_add(1, Ordering::Relaxed);
        Ok(wait)
    }

    /// Return whether a getMore exceeded a limit of the server's own (MaxTimeMSExpired, 50): not the caller's `maxTimeMS`,
    /// which would begin anew with another cursor, nor a deadline of this crate, which has no reply.
    fn by_a_limit_of_the_server(&self, error: &Error) -> bool {
        self.open && self.options.max_time.is_none() && !error.reply().is_empty()
    }

    /// Rows that may still come; `None` for any number.
    fn left(&self) -> Option<u64> {
        let limit = self.options.limit.filter(|limit| *limit != 0)?;
        Some(limit.unsigned_abs().saturating_sub(self.rows))
    }

    fn find(&mut self, filter: Document, options: FindOptions) -> Query {
        self.open = false;
        Query::Find {
            collection: self.collection.clone(),
            filter,
            options: Box::new(options),
        }
    }
}

/// Refuses a collection in which an `_id` does not tell a place, or not by index bounds.
///
/// `hello` and `collections` are the server's replies to `hello` and `listCollections`.
fn check_collection(hello: &Document, collections: &Document) -> Result<()> {
    if hello.get_str("msg").is_ok_and(|kind| kind == "isdbgrid") {
        return Err(refuse(
            "the `_id`s of a sharded cluster may occur on several shards",
        ));
    }
    let found = collections
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"));
    // What is not there has no rows.
    let Some(Bson::Document(found)) = found.ok().and_then(|found| found.first()) else {
        return Ok(());
    };
    let kind = found.get_str("type").unwrap_or("collection");
    if kind != "collection" {
        return Err(refuse(&format!("a {kind} has no index on `_id`")));
    }
    let options = found.get_document("options").cloned().unwrap_or_default();
    if options.contains_key("clusteredIndex") {
        return Err(refuse("the collection is clustered by `_id`"));
    }
    if options.contains_key("collation") {
        return Err(refuse("the collection has a collation"));
    }
    Ok(())
}

/// Whether the rows come in descending order; refuses options that do not go with `_id` order.
fn check(options: &FindOptions) -> Result<bool> {
    let descending = match &options.sort {
        None => false,
        Some(sort) if sort.is_empty() => false,
        Some(sort) => match (sort.len(), sort.get("_id").and_then(whole)) {
            (1, Some(1)) => false,
            (1, Some(-1)) => true,
            _ => return Err(refuse("the sort must be by `_id` only")),
        },
    };
    let hinted = match &options.hint {
        None => true,
        Some(Hint::Name(name)) => name == "_id_",
        Some(Hint::Keys(keys)) => keys.len() == 1 && keys.get("_id").and_then(whole) == Some(1),
        Some(_) => false,
    };
    if !hinted {
        return Err(refuse("the hint must be the index on `_id`"));
    }
    if options.min.is_some() || options.max.is_some() {
        return Err(refuse("`min` and `max` are needed for it"));
    }
    if options.return_key == Some(true) {
        return Err(refuse("`return_key` leaves out `_id`"));
    }
    if let Some(collation) = &options.collation {
        if collation.locale != "simple" {
            return Err(refuse("index bounds on `_id` have no collation"));
        }
    }
    if options.read_concern.as_ref() == Some(&mongodb::options::ReadConcern::snapshot()) {
        return Err(refuse("it would go on in another snapshot"));
    }
    let without_id = options.projection.iter().flatten().any(|(key, value)| {
        let kept = match value {
            Bson::Boolean(kept) => *kept,
            number => whole(number).is_some_and(|number| number != 0),
        };
        (key == "_id" && !kept) || key.starts_with("_id.")
    });
    if without_id {
        return Err(refuse("the projection must keep `_id`"));
    }
    Ok(descending)
}

/// A whole number of any type.
fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) if *number == 1.0 => Some(1),
        Bson::Double(number) if *number == -1.0 => Some(-1),
        _ => None,
    }
}

/// The `_id` of the document in the list element at `at`, and where the next element starts.
fn row(bytes: &[u8], at: usize) -> Option<(RawValue, usize)> {
    let document = at + 1 + key_len(bytes, at + 1).ok()? + 1;
    let end = document + document_len(bytes, document).ok()?;
    (bytes[at] == ElementType::Document.byte()).then_some(())?;
    Some((find_id(&bytes[document..end])?, end))
}

/// `{_id: value}`, exactly.
fn bound(id: &RawValue) -> Result<Document> {
    let mut bytes = vec![0; 4];
    bytes.push(id.tag);
    bytes.extend_from_slice(b"_id\0");
    bytes.extend_from_slice(&id.bytes);
    bytes.push(0);
    let len = i32::try_from(bytes.len()).unwrap_or_default();
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    let raw = RawDocumentBuf::from_bytes(bytes.clone()).ok();
    let document = raw.and_then(|raw| Document::try_from(raw).ok());
    match document {
        // The driver's documents lose what PyMongo's would: a key that stands twice, say.
        Some(document) if document.to_vec().is_ok_and(|again| again == bytes) => Ok(document),
        _ => Err(refuse(&format!(
            "the server cannot be asked for what is behind the _id {id}"
        ))),
    }
}

fn refuse(reason: &str) -> Error {
    Error::new(ErrorKind::InvalidQuery(format!(
        "this read cannot resume: {reason}"
    )))
}
