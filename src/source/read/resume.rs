//! Reads in `_id` order that continue after the last delivered row if their cursor is lost.
//!
//! Index bounds (`min`, `max`) set the position at which a read continues: they order all BSON types, while `$gt` compares within
//! one type. Bounds have two properties that are easily missed, both of mongod 6.0. `min` is inclusive, so the last row comes again,
//! unless it was deleted meanwhile. A scan without `max` ends before a row whose `_id` is MaxKey.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{doc, Bson, Document, RawDocumentBuf};
use mongodb::options::{FindOptions, Hint};
use mongodb::Database;

use super::query::{command_for_selection, Query};
use crate::error::{Error, ErrorKind, RawValue, Result};
use crate::raw::{document_len, find_id, key_len, ElementType};
use crate::reader::Reply;
use crate::source::connection::failure::{from_driver, MAX_TIME_MS_EXPIRED};
use crate::source::connection::session::TRANSIENT_TRANSACTION;

/// Number of times that a read continues without a new row.
const ATTEMPTS: u32 = 6;

/// Pause before the second attempt without a new row; doubled for each further one.
const BACKOFF: Duration = Duration::from_millis(100);

/// Codes of a lost cursor or server: those of the specification of retryable reads, those of the specification of change streams that
/// do not concern change streams alone, QueryPlanKilled (175) and CursorKilled (237). Interrupted (11601), by which an operator ends
/// an operation, and CappedPositionLost (136), after which rows are missing, are not among them.
const LOST: [i32; 21] = [
    6, 7, 43, 63, 89, 91, 133, 134, 150, 175, 189, 237, 262, 9001, 10058, 10107, 11600, 11602,
    13388, 13435, 13436,
];

/// The label of an error after which the same command may be sent again, whatever its code: an overloaded server, for one.
const RETRYABLE: &str = "RetryableError";

/// The state of a find that continues if its cursor is lost.
pub(crate) struct Resume {
    collection: String,
    filter: Document,
    options: FindOptions,
    descending: bool,
    /// Delivered rows.
    rows: u64,
    /// The `_id` of the last delivered row, if there is one.
    last: Option<RawValue>,
    /// The next row may be the last delivered one.
    may_repeat: bool,
    /// The open cursor does not reach MaxKey.
    excludes_max_key: bool,
    /// A delivered reply could not be parsed here: the reader reports the fault.
    unreadable: bool,
    /// The requested cursor is open: a later failure is one of a getMore.
    open: bool,
    checked: bool,
    attempts: u32,
    resumed: Arc<AtomicU64>,
    /// The read has index bounds of its own, and another read has the row whose `_id` is MaxKey.
    is_range: bool,
}

impl Resume {
    /// Prepares a find that can continue; `resumed` counts the times that it did.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] for a find whose position is not defined by the `_id` of its last row.
    pub(crate) fn new(
        collection: &str,
        filter: Document,
        mut options: FindOptions,
        resumed: Arc<AtomicU64>,
    ) -> Result<Self> {
        let descending = check(&options, false)?;
        options.sort = Some(doc! {"_id": if descending { -1 } else { 1 }});
        options.hint = Some(Hint::Keys(doc! {"_id": 1}));
        Ok(Resume {
            collection: collection.to_owned(),
            filter,
            options,
            descending,
            rows: 0,
            last: None,
            may_repeat: false,
            excludes_max_key: false,
            unreadable: false,
            open: false,
            checked: false,
            attempts: 0,
            resumed,
            is_range: false,
        })
    }

    /// Prepares a find in a range of `_id`s, given by `min` and `max`, of a collection that was checked before.
    ///
    /// # Errors
    /// As [`Resume::new`].
    pub(crate) fn of_range(
        collection: &str,
        filter: Document,
        mut options: FindOptions,
        resumed: Arc<AtomicU64>,
    ) -> Result<Self> {
        check(&options, true)?;
        let bounds = (options.min.take(), options.max.take());
        let mut resume = Resume::new(collection, filter, options, resumed)?;
        (resume.options.min, resume.options.max) = bounds;
        resume.checked = true;
        resume.is_range = true;
        Ok(resume)
    }

    /// The collection that is read.
    pub(crate) fn collection(&self) -> &str {
        &self.collection
    }

    /// Checks the collection, once.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] for a collection in which an `_id` does not define a position.
    pub(crate) async fn check_server(&mut self, database: Database) -> Result<()> {
        if !self.checked {
            let criteria = self.options.selection_criteria.as_ref();
            let run = |command| command_for_selection(&database, command, criteria);
            let hello = run(doc! {"hello": 1}).await.map_err(from_driver)?;
            let list = doc! {"listCollections": 1, "filter": {"name": &self.collection}};
            let found = run(list).await.map_err(from_driver)?;
            check_collection(&hello, &found)?;
            self.checked = true;
        }
        Ok(())
    }

    /// The query for the rows that are left; `None` if there are none.
    pub(crate) fn next_query(&mut self) -> Result<Option<Query>> {
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
            self.may_repeat = true;
            self.excludes_max_key = !self.is_range;
        }
        let more = u32::from(self.may_repeat);
        options.limit =
            left.map(|left| i64::try_from(left).unwrap_or(i64::MAX - 1) + i64::from(more));
        // The first reply has a new row, so that the read advances even if each getMore fails.
        options.batch_size = options.batch_size.map(|size| size.max(1 + more));
        Ok(Some(self.find(self.filter.clone(), options)))
    }

    /// The query for a row whose `_id` is MaxKey, after a cursor that excluded it; `None` if there is no such row to read.
    pub(crate) fn max_key_query(&mut self) -> Option<Query> {
        let excluded = std::mem::take(&mut self.excludes_max_key);
        if !excluded || self.left() == Some(0) {
            return None;
        }
        let mut options = self.options.clone();
        (options.skip, options.limit) = (None, Some(1));
        let filter = doc! {"$and": [self.filter.clone(), {"_id": {"$eq": Bson::MaxKey}}]};
        Some(self.find(filter, options))
    }

    /// Records that the cursor was opened.
    pub(crate) fn set_open(&mut self) {
        self.open = true;
    }

    /// Records a reply that is about to be delivered, and returns its new rows.
    pub(crate) fn new_rows(&mut self, reply: Reply) -> Option<Reply> {
        let bytes = reply.bytes();
        let left = self.left();
        let (mut from, mut at, mut rows) = (0, 0, 0);
        let mut last = None;
        while at < bytes.len() && left.is_none_or(|left| rows < left) {
            let Some((id, end)) = row(bytes, at) else {
                self.unreadable = true;
                return Some(reply.part(from..bytes.len()));
            };
            if std::mem::take(&mut self.may_repeat) && self.last.as_ref() == Some(&id) {
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

    /// The time to wait before the read continues after `error`.
    ///
    /// # Errors
    /// `error`, if the read cannot continue after it. If there were too many attempts, the error states their number.
    pub(crate) fn wait_after(&mut self, error: Error) -> Result<Duration> {
        let labelled = |label: &str| error.labels().iter().any(|each| each == label);
        // A transaction cannot continue.
        let in_transaction = labelled(TRANSIENT_TRANSACTION);
        let lost = match error.kind() {
            ErrorKind::Connection(_) => true,
            ErrorKind::Operation { code, .. } if *code == MAX_TIME_MS_EXPIRED => {
                self.is_limit_of_the_server()
            }
            ErrorKind::Operation { code, .. } => LOST.contains(code) || labelled(RETRYABLE),
            _ => false,
        };
        if !lost || in_transaction || self.unreadable {
            return Err(error);
        }
        if self.attempts >= ATTEMPTS {
            return Err(error.with_note(&format!(
                "the read continued {ATTEMPTS} times in a row without a new row"
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

    /// Returns whether a getMore exceeded a limit that the server sets (MaxTimeMSExpired, 50): not the caller's `maxTimeMS`, which
    /// would start anew with another cursor. A deadline of this crate is a timeout, and has no code.
    fn is_limit_of_the_server(&self) -> bool {
        self.open && self.options.max_time.is_none()
    }

    /// Number of rows that may still come; `None` without a limit.
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

/// Refuses a collection in which an `_id` does not define a position, or not by index bounds.
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
    // A collection that does not exist has no rows.
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

/// Returns whether the rows are in descending order; refuses options that exclude `_id` order. A range has bounds of its own.
fn check(options: &FindOptions, is_range: bool) -> Result<bool> {
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
    if !is_range && (options.min.is_some() || options.max.is_some()) {
        return Err(refuse(
            "leave out `min` and `max`, which set the position of a resumed read",
        ));
    }
    if options.return_key == Some(true) {
        return Err(refuse("rows with `return_key` have no `_id`"));
    }
    if let Some(collation) = &options.collation {
        if collation.locale != "simple" {
            return Err(refuse("index bounds on `_id` have no collation"));
        }
    }
    if options.read_concern.as_ref() == Some(&mongodb::options::ReadConcern::snapshot()) {
        return Err(refuse("it would continue in another snapshot"));
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

/// An integer of any numeric type.
fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) if *number == 1.0 => Some(1),
        Bson::Double(number) if *number == -1.0 => Some(-1),
        _ => None,
    }
}

/// The `_id` of the document in the list element at `at`, and the position of the next element.
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
        // The driver's `Document` loses a key that occurs twice.
        Some(document) if document.to_vec().is_ok_and(|again| again == bytes) => Ok(document),
        _ => Err(refuse(&format!(
            "the _id {id} cannot be sent as an index bound"
        ))),
    }
}

fn refuse(reason: &str) -> Error {
    Error::new(ErrorKind::InvalidQuery(format!(
        "this read cannot resume: {reason}"
    )))
}
