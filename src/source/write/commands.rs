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
use crate::source::connection::caller_bson::{self, SPARE_BYTES};
use crate::source::connection::client::Client;
use crate::source::connection::deadline::Deadline;
use crate::source::connection::failure::from_driver;
use crate::source::connection::names;
use crate::source::connection::raw_command::{
    add_causal_time, record_retry, reply_bytes, RawReply,
};
use crate::source::connection::session::{primary, Session};
use crate::source::runtime::task::Task;
use crate::source::write::write_command::WriteCommand;

/// The server's label of an error after which a write may be sent again.
const RETRYABLE: &str = "RetryableWriteError";

/// Attempts of a write by the driver's rules: a second one after a lost connection or a stepdown.
const DRIVER_ATTEMPTS: usize = 2;

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
        let (command, limited) = caller_bson::command(command)?;
        self.send(database, command, limited, session, retry, timeout)
    }

    /// As [`Client::write`], for a command that was built with its statements.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument) for a name that cannot be sent.
    pub fn write_statements(
        &self,
        database: &str,
        command: WriteCommand,
        session: Option<&Session>,
        retry: bool,
        timeout: Option<Duration>,
    ) -> Result<Task<Vec<u8>>> {
        let (bytes, limited) = command.finish(SPARE_BYTES);
        let command = caller_bson::owned(bytes, "write")?;
        self.send(database, command, limited, session, retry, timeout)
    }

    fn send(
        &self,
        database: &str,
        command: RawDocumentBuf,
        limited: bool,
        session: Option<&Session>,
        retry: bool,
        timeout: Option<Duration>,
    ) -> Result<Task<Vec<u8>>> {
        let attempts = if retry { DRIVER_ATTEMPTS } else { 1 };
        let exchange = self.exchange(database, session, attempts)?;
        let deadline = Deadline::start(timeout);
        let label = exchange.label;
        let work = exchange.send(command, limited, deadline);
        Ok(self.labelled_task(timeout, label, work))
    }

    /// The way in which a command is sent. With more than one attempt, it changes each document at most once.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument) for a name or a session that cannot be used.
    pub(super) fn exchange(
        &self,
        database: &str,
        session: Option<&Session>,
        attempts: usize,
    ) -> Result<Exchange> {
        names::check(database, None)?;
        self.check(session)?;
        // In a snapshot session the command is sent in that session, with its read concern: the server refuses it.
        let snapshot = session.is_some_and(Session::is_snapshot);
        let numbered = attempts > 1
            && !snapshot
            && self.retries_writes()
            && self.write_sessions()?.supported();
        let transient = session.and_then(Session::transient_label);
        Ok(Exchange {
            client: self.clone(),
            database: database.to_owned(),
            session: session.cloned(),
            attempts: if numbered { attempts } else { 1 },
            in_transaction: transient.is_some(),
            label: transient.or(numbered.then_some(RETRYABLE)),
        })
    }
}

/// The way in which a command is sent: where, in which session, how often.
#[derive(Clone)]
pub(super) struct Exchange {
    client: Client,
    database: String,
    session: Option<Session>,
    /// More than one for a command that gets a `txnNumber`.
    attempts: usize,
    in_transaction: bool,
    /// The label of an error of its deadline.
    pub(super) label: Option<&'static str>,
}

impl Exchange {
    /// Sends a command, and returns the reply as BSON, also if statements of it failed.
    pub(super) async fn send(
        self,
        command: RawDocumentBuf,
        limited: bool,
        deadline: Deadline,
    ) -> Result<Vec<u8>> {
        let client = &self.client;
        let database = client.driver().await?.database(&self.database);
        if self.attempts > 1 {
            let numbered = self.send_numbered(&database, &command, limited, &deadline);
            if let Some(reply) = numbered.await? {
                return Ok(reply);
            }
        }
        let (command, time) = deadline.limited(command, limited, client.round_trip()?);
        let reply = match &self.session {
            Some(session) => {
                let mut guard = session.lock_for_operation(database.name()).await?;
                let command = add_causal_time(command, &mut guard).map_err(from_driver)?;
                let mut write = database.run_raw_command(command);
                if self.in_transaction {
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
    }

    /// Sends the command with a `txnNumber`, repeatedly if need be; `None` if the server takes no such numbers.
    ///
    /// The number belongs to a session of this crate, because the driver does not expose the numbers that a caller's session has
    /// used. The caller's session still reads its own writes: it gets the times of the operation.
    async fn send_numbered(
        &self,
        database: &Database,
        command: &RawDocumentBuf,
        limited: bool,
        deadline: &Deadline,
    ) -> Result<Option<Vec<u8>>> {
        let client = &self.client;
        let mut callers = match &self.session {
            Some(session) => Some(session.lock_for_operation(database.name()).await?),
            None => None,
        };
        let mut writer = client
            .write_sessions()?
            .take(client.driver().await?)
            .await?;
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
        let round_trip = client.round_trip()?;
        let attempt = || {
            let mut command = caller_bson::copy(command.as_bytes(), "write")?;
            command.append(cstr!("txnNumber"), number);
            Ok(deadline.limited(command, limited, round_trip))
        };
        let (first, mut time) = attempt()?;
        let mut outcome = reply_bytes(database.run_raw_command(first).session(&mut *own).await);
        let mut lost = outcome.as_ref().is_err_and(is_lost);
        for _ in 1..self.attempts {
            if !(outcome.as_ref().is_err_and(is_lost) || is_retryable(&outcome)) {
                break;
            }
            record_retry(database, command);
            let (next, left) = attempt()?;
            let next = reply_bytes(database.run_raw_command(next).session(&mut *own).await);
            lost = lost || next.as_ref().is_err_and(is_lost);
            let no_result = matches!(&next, Err(error) if error.contains_label(NOTHING_WRITTEN)
                || is_selection(error));
            if no_result {
                break;
            }
            (outcome, time) = (next, left);
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
                client.write_sessions()?.set_unsupported();
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
