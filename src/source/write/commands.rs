//! Writes: commands that are sent as raw bytes, and retried if that is safe.
//!
//! The driver's typed writes take its `Document`, which keeps only the last of equal keys, and they cannot send several updates at
//! once to a server before 8.0. Its `run_command` sends bytes, but never retries. So a retryable write gets a `txnNumber` of this
//! crate: the server executes a number at most once for a session, and replies to a repetition with the result of the first time.

use std::time::Duration;

use mongodb::bson::{cstr, RawBsonRef, RawDocument, RawDocumentBuf};
use mongodb::error::{Error as DriverError, ErrorKind as DriverKind};
use mongodb::Database;

use crate::error::Result;
use crate::source::connection::caller_bson;
use crate::source::connection::client::Client;
use crate::source::connection::deadline::Deadline;
use crate::source::connection::failure::from_driver;
use crate::source::connection::names;
use crate::source::connection::raw_command::{
    add_causal_time, record_retry, reply_bytes, RawReply,
};
use crate::source::connection::session::{primary, Session};
use crate::source::runtime::task::Task;

/// The server's label of an error after which a write may be sent again.
const RETRYABLE: &str = "RetryableWriteError";

/// The server's label of a second failure that gives no result of the first attempt.
const NOTHING_WRITTEN: &str = "NoWritesPerformed";

/// The server's code for a `txnNumber` on a server that is no member of a replica set; it has other meanings, too.
const ILLEGAL_OPERATION: i32 = 20;

impl Client {
    /// Runs a command that writes, and returns the reply as BSON, also if statements of it failed.
    ///
    /// With `retry` the command changes each document at most once, and may be sent a second time after a lost connection or a
    /// stepdown of the primary. It must be false in a transaction.
    ///
    /// # Errors
    /// [`InvalidQuery`](crate::error::ErrorKind::InvalidQuery) or
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument) for a command or a name that cannot be sent.
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
        let numbered =
            retry && !snapshot && self.retries_writes() && self.write_sessions()?.supported();
        let transient = session.as_ref().and_then(Session::transient_label);
        let label = transient.or(numbered.then_some(RETRYABLE));
        Ok(self.labelled_task(timeout, label, async move {
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
                    let mut guard = session.lock_for_operation(database.name()).await?;
                    let command = add_causal_time(command, &mut guard).map_err(from_driver)?;
                    let mut write = database.run_raw_command(command);
                    if transient.is_some() {
                        // The transaction's read preference is for reads, but the driver would check it here.
                        write = write.selection_criteria(primary());
                    }
                    let reply = reply_bytes(write.session(guard.session()?).await);
                    guard.operation_ended();
                    reply
                }
                None => reply_bytes(database.run_raw_command(command).await),
            };
            reply.map_err(|error| time.failure(error))
        }))
    }

    /// Runs the command with a `txnNumber`, twice if need be; `None` if the server takes no such numbers.
    ///
    /// The number belongs to a session of this crate, because the driver does not expose the numbers that a caller's session has
    /// used. The caller's session still reads its own writes: it gets the times of the operation.
    async fn write_numbered(
        &self,
        database: &Database,
        command: &RawDocumentBuf,
        limited: bool,
        session: &Option<Session>,
        deadline: &Deadline,
    ) -> Result<Option<Vec<u8>>> {
        let mut callers = match session {
            Some(session) => Some(session.lock_for_operation(database.name()).await?),
            None => None,
        };
        let mut writer = self.write_sessions()?.take(self.driver().await?).await?;
        let with_time;
        let command = match &mut callers {
            Some(guard) => {
                with_time = add_causal_time(command.clone(), guard).map_err(from_driver)?;
                &with_time
            }
            None => command,
        };
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
        let mut outcome = reply_bytes(database.run_raw_command(first).session(&mut *own).await);
        let mut lost = outcome.as_ref().is_err_and(is_lost);
        if lost || is_retryable(&outcome) {
            record_retry(database, command);
            let (second, left) = attempt()?;
            let second = reply_bytes(database.run_raw_command(second).session(&mut *own).await);
            lost = lost || second.as_ref().is_err_and(is_lost);
            let no_result = matches!(&second, Err(error) if error.contains_label(NOTHING_WRITTEN)
                || is_selection(error));
            if !no_result {
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
            // Keep the session unused for a while: the server may still be executing the write. It must not return to the driver's
            // pool: the driver marks a session as broken only if the command was in flight, and would number its own transactions
            // below those of this crate.
            drop(writer);
        } else {
            writer.finish();
        }
        match outcome {
            Ok(reply) => Ok(Some(reply)),
            Err(error) if refuses_numbers(&error) => {
                self.write_sessions()?.set_unsupported();
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

/// Returns whether the connection was lost: the server may have executed the command.
fn is_lost(error: &DriverError) -> bool {
    matches!(
        *error.kind,
        DriverKind::Io(_) | DriverKind::ConnectionPoolCleared { .. }
    )
}

/// Returns whether no server was found: the command was not sent.
fn is_selection(error: &DriverError) -> bool {
    matches!(*error.kind, DriverKind::ServerSelection { .. })
}

/// Returns whether the server labelled the error, or an error in the reply, as retryable.
fn is_retryable(outcome: &RawReply) -> bool {
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

/// Returns whether the server refused the `txnNumber`, as it is no member of a replica set.
fn refuses_numbers(error: &DriverError) -> bool {
    // The driver replaces the server's text "Transaction numbers are only allowed ...".
    matches!(&*error.kind, DriverKind::Command(command) if command.code == ILLEGAL_OPERATION
        && (command.message.starts_with("Transaction numbers")
            || command.message.contains("does not support retryable writes")))
}
