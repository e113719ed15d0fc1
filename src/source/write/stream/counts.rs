//! The counts of a write, its failed rows and its write concern errors.

use mongodb::bson::{cstr, RawBsonRef, RawDocument, RawDocumentBuf};

use super::commands::{SentRow, SentRows};
use crate::encode::Skipped;
use crate::error::{Error, ErrorKind, Result};
use crate::source::write::write_command::StatementKind;

/// The server's counts, summed over the acknowledged commands.
#[derive(Clone, Debug, Default)]
pub struct WriteCounts {
    /// Rows of acknowledged commands, those that failed included.
    pub rows: u64,
    /// Bytes of acknowledged commands.
    pub bytes: u64,
    /// Acknowledged commands.
    pub commands: u64,
    /// Inserted documents.
    pub inserted: u64,
    /// Documents that updates and replacements matched.
    pub matched: u64,
    /// Documents that they changed.
    pub modified: u64,
    /// Documents that they inserted.
    pub upserted: u64,
    /// Deleted documents.
    pub deleted: u64,
    /// Rows of commands that were sent, without a reply that tells their result.
    pub unknown: u64,
    /// Rows that failed.
    pub failures: u64,
    /// One BSON document for each row that failed, one after the other: `row`, `_id`, `code`, `message`, `details`.
    pub failed: Vec<u8>,
    /// The documents of the server's write concern errors, one after the other.
    pub write_concern_errors: Vec<u8>,
    /// Values that are null, or were rounded, because BSON cannot hold them.
    pub skipped: Vec<Skipped>,
    /// Rows whose commands are in flight.
    pub(super) in_flight: u64,
}

/// The effect of a reply on an ordered write.
pub(super) enum Reply {
    Complete,
    /// A statement failed.
    Failed,
}

impl WriteCounts {
    /// Adds the reply to a command. `ignore_duplicates` leaves out rows whose `_id` is stored already.
    pub(super) fn add(
        &mut self,
        kind: StatementKind,
        rows: &SentRows,
        reply: &[u8],
        ignore_duplicates: bool,
    ) -> Result<Reply> {
        let reply = RawDocument::from_bytes(reply).map_err(unreadable)?;
        let n = count(reply.get("n").map_err(unreadable)?);
        match kind {
            StatementKind::Insert => self.inserted += n,
            StatementKind::Delete => self.deleted += n,
            StatementKind::Update => {
                let upserted = items(reply, "upserted")?.count() as u64;
                self.upserted += upserted;
                self.matched += n.saturating_sub(upserted);
                self.modified += count(reply.get("nModified").map_err(unreadable)?);
            }
        }
        self.rows += rows.len() as u64;
        self.commands += 1;
        let mut outcome = Reply::Complete;
        for error in items(reply, "writeErrors")? {
            if ignore_duplicates && is_duplicate_id(error) {
                continue;
            }
            outcome = Reply::Failed;
            self.failures += 1;
            let index = count(error.get("index").map_err(unreadable)?) as usize;
            let failed = failed_row(rows, index, error)?;
            self.failed.extend_from_slice(failed.as_bytes());
        }
        if let Some(RawBsonRef::Document(error)) =
            reply.get("writeConcernError").map_err(unreadable)?
        {
            self.write_concern_errors
                .extend_from_slice(error.as_bytes());
        }
        Ok(outcome)
    }

    /// Adds the values of one slice that BSON cannot hold.
    pub(super) fn add_skipped(&mut self, skipped: Vec<Skipped>) {
        for new in skipped {
            match self.skipped.iter_mut().find(|known| known.path == new.path) {
                Some(known) => {
                    known.nulled += new.nulled;
                    known.rounded += new.rounded;
                }
                None => self.skipped.push(new),
            }
        }
    }

    /// Records that no reply will be read to the commands in flight.
    pub(super) fn interrupted(&mut self) {
        self.unknown += std::mem::take(&mut self.in_flight);
    }
}

fn failed_row(rows: &SentRows, index: usize, error: &RawDocument) -> Result<RawDocumentBuf> {
    let mut failed = RawDocumentBuf::new();
    let row = rows.get(index);
    failed.append(
        cstr!("row"),
        row.as_ref().map_or(-1, |row| row.number as i64),
    );
    match row.as_ref().and_then(SentRow::id) {
        Some(id) => failed.append(cstr!("_id"), id),
        None => failed.append(cstr!("_id"), RawBsonRef::Null),
    }
    let code = count(error.get("code").map_err(unreadable)?) as i32;
    failed.append(cstr!("code"), code);
    let message = error
        .get_str("errmsg")
        .unwrap_or("the server gave no reason");
    failed.append(cstr!("message"), message);
    let mut details = RawDocumentBuf::new();
    for element in error {
        let (key, value) = element.map_err(unreadable)?;
        if !matches!(key.as_str(), "index" | "code" | "errmsg") {
            details.append(key, value);
        }
    }
    failed.append(cstr!("details"), details);
    Ok(failed)
}

/// Returns whether an insert failed because its `_id` is stored: not for another unique index.
fn is_duplicate_id(error: &RawDocument) -> bool {
    let code = error
        .get("code")
        .ok()
        .flatten()
        .map(|code| count(Some(code)));
    let pattern = error.get_document("keyPattern").ok();
    let keys = pattern.map(|pattern| pattern.iter().flatten().map(|(key, _)| key.as_str()));
    code == Some(11000) && keys.is_some_and(|keys| keys.eq(["_id"]))
}

/// The documents of a list; none without the list.
fn items<'a>(reply: &'a RawDocument, key: &str) -> Result<impl Iterator<Item = &'a RawDocument>> {
    let list = match reply.get(key).map_err(unreadable)? {
        Some(RawBsonRef::Array(list)) => Some(list),
        _ => None,
    };
    let items = list.into_iter().flatten();
    Ok(items.filter_map(|item| item.ok()?.as_document()))
}

fn count(value: Option<RawBsonRef<'_>>) -> u64 {
    match value {
        Some(RawBsonRef::Int32(number)) => u64::try_from(number).unwrap_or(0),
        Some(RawBsonRef::Int64(number)) => u64::try_from(number).unwrap_or(0),
        Some(RawBsonRef::Double(number)) if number >= 0.0 => number as u64,
        _ => 0,
    }
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal(format!(
        "the reply to a write cannot be read: {error}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{doc, Document};

    fn added(counts: &mut WriteCounts, kind: StatementKind, reply: Document, ignore: bool) -> bool {
        let reply = reply.to_vec().unwrap();
        let outcome = counts.add(kind, &SentRows::default(), &reply, ignore);
        matches!(outcome.unwrap(), Reply::Complete)
    }

    #[test]
    fn counts_of_each_kind() {
        let mut counts = WriteCounts::default();
        assert!(added(
            &mut counts,
            StatementKind::Insert,
            doc! {"n": 3, "ok": 1.0},
            false
        ));
        assert!(added(
            &mut counts,
            StatementKind::Delete,
            doc! {"n": 4_i64},
            false
        ));
        let upserts = doc! {"n": 5, "nModified": 2, "upserted": [{"index": 0, "_id": 1}]};
        assert!(added(&mut counts, StatementKind::Update, upserts, false));
        assert_eq!((counts.inserted, counts.deleted), (3, 4));
        assert_eq!(
            (counts.matched, counts.modified, counts.upserted),
            (4, 2, 1)
        );
        assert_eq!(counts.commands, 3);
    }

    #[test]
    fn failures_are_documents() {
        let duplicate = |key: &str| {
            doc! {"index": 0, "code": 11000, "errmsg": "E11000", "keyPattern": {key: 1}, "keyValue": {key: 5}}
        };
        let reply = doc! {"n": 1, "writeErrors": [duplicate("_id"), duplicate("k")],
        "writeConcernError": {"code": 64, "errmsg": "waiting"}};
        let mut counts = WriteCounts::default();
        assert!(!added(
            &mut counts,
            StatementKind::Insert,
            reply.clone(),
            false
        ));
        assert_eq!(counts.failures, 2);
        let first = Document::from_reader(&counts.failed[..]).unwrap();
        assert_eq!(first.get_str("message").unwrap(), "E11000");
        let details = first.get_document("details").unwrap();
        assert_eq!(
            details,
            &doc! {"keyPattern": {"_id": 1}, "keyValue": {"_id": 5}}
        );
        let concern = Document::from_reader(&counts.write_concern_errors[..]).unwrap();
        assert_eq!(concern.get_i32("code").unwrap(), 64);

        let mut ignoring = WriteCounts::default();
        assert!(!added(&mut ignoring, StatementKind::Insert, reply, true));
        assert_eq!(ignoring.failures, 1, "only conflicts on _id are ignored");
        let alone = doc! {"n": 0, "writeErrors": [duplicate("_id")]};
        assert!(added(&mut ignoring, StatementKind::Insert, alone, true));
    }

    #[test]
    fn commands_in_flight_become_unknown() {
        let mut counts = WriteCounts {
            in_flight: 7,
            ..WriteCounts::default()
        };
        counts.interrupted();
        assert_eq!((counts.unknown, counts.in_flight), (7, 0));
        let unreadable = counts.add(StatementKind::Insert, &SentRows::default(), b"no", false);
        assert!(unreadable.is_err());
    }
}
