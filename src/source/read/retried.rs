//! Commands that read: their time limits, and the second attempt.

use std::future::Future;

use mongodb::bson::RawDocumentBuf;
use mongodb::error::Result as DriverResult;
use mongodb::Database;

use crate::error::Result;
use crate::source::connection::client::Client;
use crate::source::connection::deadline::Deadline;
use crate::source::connection::failure::{is_final, is_retryable_read};
use crate::source::connection::raw_command::record_retry;
use crate::source::connection::session::Session;

/// Returns whether a read in this session may be sent a second time: not in a transaction, nor if the connection string has
/// `retryReads=false`.
pub(crate) fn may_retry(client: &Client, session: &Option<Session>) -> bool {
    let in_transaction = session.as_ref().is_some_and(Session::in_transaction);
    !in_transaction && client.retries_reads()
}

/// A command that reads. The driver retries its own reads, but no command of its caller.
pub(crate) struct RetriedRead<'a> {
    pub(crate) client: &'a Client,
    pub(crate) database: Database,
    pub(crate) command: RawDocumentBuf,
    /// The command has a `maxTimeMS` of the caller.
    pub(crate) limited: bool,
    pub(crate) retry: bool,
}

impl RetriedRead<'_> {
    /// Sends the command with the time that is left, and with `retry` a second time after an error for which the driver retries its
    /// own reads. The outer error of `send` is one of the session, the inner one is the driver's.
    pub(crate) async fn run<T, Sent>(
        &self,
        deadline: &Deadline,
        send: impl Fn(RawDocumentBuf) -> Sent,
    ) -> Result<T>
    where
        Sent: Future<Output = Result<DriverResult<T>>>,
    {
        let round_trip = self.client.round_trip()?;
        let limited = || deadline.limited(self.command.clone(), self.limited, round_trip);
        let (first, time) = limited();
        let error = match send(first).await? {
            Err(error) if self.retry && is_retryable_read(&error) => error,
            outcome => return outcome.map_err(|error| time.failure(error)),
        };
        record_retry(&self.database, &self.command);
        let (second, left) = limited();
        match send(second).await? {
            // No server was found for the second attempt: the first error names the cause.
            Err(again) if is_final(&again) => Err(time.failure(error)),
            outcome => outcome.map_err(|error| left.failure(error)),
        }
    }
}
