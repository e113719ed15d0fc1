//! Commands that are sent as raw bytes: their replies, their causal time, the event of a retry.

use mongodb::bson::{cstr, Document, RawBsonRef, RawDocument, RawDocumentBuf};
use mongodb::error::{Error as DriverError, ErrorKind as DriverKind};
use mongodb::Database;

use super::session::Guard;
use crate::source::monitoring::events::{Event, Level, Topic};

/// Commands that get the time of the session's last operation, if the session is causally consistent. The driver adds it to its own
/// operations, not to a `run_command`. Reads are not in the list: the driver runs them itself.
const CAUSAL_WRITES: [&str; 10] = [
    "insert",
    "update",
    "delete",
    "findAndModify",
    "bulkWrite",
    "create",
    "createIndexes",
    "drop",
    "dropDatabase",
    "dropIndexes",
];

/// The bytes of a server's reply, or the driver's error.
pub(crate) type RawReply = Result<Vec<u8>, DriverError>;

/// The bytes of a reply. The driver's `Document` cannot hold text that is not UTF-8. That must not turn a write that was done into a
/// failure, or lose a deleted document: then the bytes are taken from the driver's error.
pub(crate) fn reply_bytes(outcome: Result<Document, DriverError>) -> RawReply {
    match outcome {
        Ok(reply) => Ok(reply.to_vec()?),
        Err(error) => match error.server_response() {
            Some(reply) if matches!(*error.kind, DriverKind::Bson(_)) && succeeded(reply) => {
                Ok(reply.as_bytes().to_vec())
            }
            _ => Err(error),
        },
    }
}

/// Returns whether a reply has `ok: 1`.
fn succeeded(reply: &RawDocument) -> bool {
    match reply.get("ok") {
        Ok(Some(RawBsonRef::Double(ok))) => ok == 1.0,
        Ok(Some(RawBsonRef::Int32(ok))) => ok == 1,
        _ => false,
    }
}

/// Records that a command is sent a second time.
pub(crate) fn record_retry(database: &Database, command: &RawDocument) {
    let name = command.iter().next().and_then(|element| element.ok());
    Event::new(Topic::Command, Level::Info, "retried")
        .with_some("operation", name.map(|(name, _)| name.as_str().to_owned()))
        .with("database", database.name())
        .record();
}

/// Adds `readConcern.afterClusterTime` to a command that writes, if its session is causally consistent.
pub(crate) fn add_causal_time(
    mut command: RawDocumentBuf,
    session: &mut Guard<'_>,
) -> Result<RawDocumentBuf, DriverError> {
    let Some(time) = session.causal_time() else {
        return Ok(command);
    };
    let Some((name, _)) = command.iter().next().transpose()? else {
        return Ok(command);
    };
    if !CAUSAL_WRITES.contains(&name.as_str()) {
        return Ok(command);
    }
    let after = cstr!("afterClusterTime");
    let name = cstr!("readConcern");
    let given = match command.get(name)? {
        Some(RawBsonRef::Document(given)) => given.to_owned(),
        Some(_) => return Ok(command),
        None => {
            let mut concern = RawDocumentBuf::new();
            concern.append(after, time);
            command.append(name, concern);
            return Ok(command);
        }
    };
    if given.get(after)?.is_some() {
        return Ok(command);
    }
    let mut concern = given;
    concern.append(after, time);
    let mut merged = RawDocumentBuf::new();
    for element in &command {
        let (key, value) = element?;
        if key == name {
            merged.append(key, concern.clone());
        } else {
            merged.append(key, value);
        }
    }
    Ok(merged)
}
