//! Writes: commands that are sent as the bytes they are, and tried a second time when that is safe.
//!
//! The driver's typed writes take its own `Document`, which keeps only the last of equal keys, and cannot send several
//! updates at once to a server before 8.0. Its `run_command` sends bytes, but never retries. So a retryable write carries
//! a `txnNumber` of ours: the server runs a number at most once for a session, and answers it a second time with what
//! it did the first time.

use std::time::Duration;

use mongodb::bson::{cstr, Document, RawBsonRef, RawDocument, RawDocumentBuf};
use mongodb::error::{Error as DriverError, ErrorKind as DriverKind};
use mongodb::options::{ReadPreference, SelectionCriteria};
use mongodb::Database;

use crate::error::Result;
use crate::source::connection::caller_bson;
use crate::source::connection::client::Client;
use crate::source::connection::deadline::Deadline;
use crate::source::connection::failure::from_driver;
use crate::source::connection::names;
use crate::source::connection::session::{Guard, Session};
use crate::source::monitoring::events::{Event, Level, Topic};
use crate::source::runtime::task::Task;

/// The label of what may be tried again, from the server.
const RETRYABLE: &str = "RetryableWriteError";

/// The label of a second failure that says nothing of what the first attempt did.
const NOTHING_WRITTEN: &str = "NoWritesPerformed";

/// Commands that a causally consistent session sends the time of its last operation with. The driver does so for its own
/// operations, not for `run_command`. Reads are not among them: the driver runs them itself.
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

/// The server's code, among others, for a `txnNumber` on a server that is no member of a replica set.
const ILLEGAL_OPERATION: i32 = 20;

impl Client {
    /// Runs a command that writes; the reply as BSON, also when it tells of statements that failed.
    ///
    /// `retry` says that the command changes each document at most once, so that it may be sent a second time when a
    /// connection is lost or the primary steps down. In a transaction it must be false.
    ///
    /// # Errors
    /// [`InvalidQuery`](crate::error::ErrorKind::InvalidQuery) or
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument) for what cannot be sent.
    pub fn write(
        &self,
        database: &str,
        command: &[u8],
        session: Option<&Session>,
        retry: bool,
        timeout: Option<Duration>,
    ) -> Result<Task<Vec<u8>>> {
        names::check(database, None)?;
        let (command, limited) = caller_bson::command(command)?;
        self.check(session)?;
        let (this, session) = (self.clone(), session.cloned());
        let database = database.to_owned();
        let deadline = Deadline::start(timeout);
        // In a snapshot session the command is sent in that session, with its read concern: the server refuses it.
        let snapshot = session.as_ref().is_some_and(Session::is_snapshot);
        let numbered = retry && !snapshot && self.retries_writes() && self.writers()?.supported();
        let transient = session.as_ref().and_then(Session::transient_label);
        let label = transient.or(numbered.then_some(RETRYABLE));
        Ok(self.labelled(timeout, label, async move {
            let database = this.driver().await?.database(&database);
            if numbered {
                let numbered =
                    this.write_numbered(&database, &command, limited, &session, &deadline);
                if let Some(reply) = numbered.await? {
                    return Ok(reply);
                }
            }
            let (command, time) = deadline.limited(command, limited, this.round_trip()?);
            let reply = match &session {
                Some(session) => {
                    let mut guard = session.lock(database.name()).await?;
                    let command = causal(command, &mut guard).map_err(from_driver)?;
                    let mut write = database.run_raw_command(command);
                    if transient.is_some() {
                        // The transaction's read preference is one for reads: the driver would check it.
                        write = write.selection_criteria(SelectionCriteria::ReadPreference(
                            ReadPreference::Primary,
                        ));
                    }
                    let reply = bytes(write.session(guard.session()?).await);
                    guard.answered();
                    reply
                }
                None => bytes(database.run_raw_command(command).await),
            };
            reply.map_err(|error| time.failure(error))
        }))
    }

    /// Runs the command with a `txnNumber`, twice if need be; `None` when the server takes no such numbers.
    ///
    /// The number belongs to a session of our own: the driver does not tell which numbers a session of the caller has
    /// used. What a session is for, seeing one's own writes, holds all the same, as the times are handed over.
    async fn write_numbered(
        &self,
        database: &Database,
        command: &RawDocumentBuf,
        limited: bool,
        session: &Option<Session>,
        deadline: &Deadline,
    ) -> Result<Option<Vec<u8>>> {
        let mut callers = match session {
            Some(session) => Some(session.lock(database.name()).await?),
            None => None,
        };
        let mut writer = self.writers()?.take(self.driver().await?).await?;
        let mut command = command.clone();
        if let Some(guard) = &mut callers {
            command = causal(command, guard).map_err(from_driver)?;
        }
        let number = writer.number();
        let own = writer.session()?;
        if let Some(guard) = &mut callers {
            if let Some(time) = guard.session()?.cluster_time() {
                own.advance_cluster_time(time);
            }
        }
        let round_trip = self.round_trip()?;
        let attempt = || {
            let mut command = caller_bson::copy(command.as_bytes(), "write")?;
            command.append(cstr!("txnNumber"), number);
            Ok(deadline.limited(command, limited, round_trip))
        };
        let (first, mut time) = attempt()?;
        let mut outcome = bytes(database.run_raw_command(first).session(&mut *own).await);
        let mut lost = outcome.as_ref().is_err_and(is_lost);
        if lost || is_retryable(&outcome) {
            note_retry(database, &command);
            let (second, left) = attempt()?;
            let second = bytes(database.run_raw_command(second).session(&mut *own).await);
            lost = lost || second.as_ref().is_err_and(is_lost);
            let tells_nothing = matches!(&second, Err(error) if error.contains_label(NOTHING_WRITTEN)
                || is_selection(error));
            if !tells_nothing {
                (outcome, time) = (second, left);
            }
        }
        if let Some(guard) = &mut callers {
            let callers = guard.session()?;
            if let Some(time) = own.operation_time() {
                callers.advance_operation_time(time);
            }
            if let Some(time) = own.cluster_time() {
                callers.advance_cluster_time(time);
            }
        }
        if lost {
            // It rests, as the server may still be at the write. The driver must not have it: it marks a session as broken
            // only when the command was under way, and would number its own transactions below ours in any other.
            drop(writer);
        } else {
            writer.finish();
        }
        match outcome {
            Ok(reply) => Ok(Some(reply)),
            Err(error) if takes_no_numbers(&error) => {
                self.writers()?.set_unsupported();
                Ok(None)
            }
            Err(error) => {
                let retryable = is_lost(&error) || is_selection(&error);
                Err(time
                    .failure(error)
                    .with_label(retryable.then_some(RETRYABLE)))
            }
        }
    }
}

/// Notes that a command is sent a second time.
pub(crate) fn note_retry(database: &Database, command: &RawDocument) {
    let name = command.iter().next().and_then(|element| element.ok());
    Event::new(Topic::Command, Level::Info, "retried")
        .with_some("operation", name.map(|(name, _)| name.as_str().to_owned()))
        .with("database", database.name())
        .record();
}

/// The command with `readConcern.afterClusterTime`, if its session is causally consistent and the command a write.
pub(crate) fn causal(
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

/// A server's reply, or what the driver made of it.
pub(crate) type Outcome = Result<Vec<u8>, DriverError>;

/// The reply's bytes. The driver's `Document` cannot hold text that is not UTF-8, which must not make a write that was
/// done look as if it had failed, and lose a document that was deleted: then the bytes come with the driver's error.
pub(crate) fn bytes(outcome: Result<Document, DriverError>) -> Outcome {
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

fn succeeded(reply: &RawDocument) -> bool {
    match reply.get("ok") {
        Ok(Some(RawBsonRef::Double(ok))) => ok == 1.0,
        Ok(Some(RawBsonRef::Int32(ok))) => ok == 1,
        _ => false,
    }
}

/// Return whether the connection broke: the server may have executed the command.
fn is_lost(error: &DriverError) -> bool {
    matches!(
        *error.kind,
        DriverKind::Io(_) | DriverKind::ConnectionPoolCleared { .. }
    )
}

fn is_selection(error: &DriverError) -> bool {
    matches!(*error.kind, DriverKind::ServerSelection { .. })
}

fn is_retryable(outcome: &Outcome) -> bool {
    match outcome {
        Err(error) => error.contains_label(RETRYABLE),
        Ok(reply) => RawDocument::from_bytes(reply)
            .and_then(|reply| reply.get("errorLabels"))
            .is_ok_and(|labels| {
                let labels = labels.and_then(RawBsonRef::as_array);
                labels.is_some_and(|labels| {
                    labels
                        .into_iter()
                        .any(|label| label.is_ok_and(|label| label.as_str() == Some(RETRYABLE)))
                })
            }),
    }
}

fn takes_no_numbers(error: &DriverError) -> bool {
    // The driver puts a text of its own in place of the server's "Transaction numbers are only allowed ...".
    matches!(&*error.kind, DriverKind::Command(command) if command.code == ILLEGAL_OPERATION
        && (command.message.starts_with("Transaction numbers")
            || command.message.contains("does not support retryable writes")))
}
