//! Writes of a stream of record batches.
//!
//! ```text
//!  caller's thread                          run (a task of the runtime)
//!  feed(batch) ------ one batch --------->  slices of about one command
//!                                             encode       on the CPU threads, the next slice while commands are in flight
//!                                             lanes        commands of rows that must stay in order
//!                                             send         up to `parallel` commands in flight
//!  counts()  <------- shared ------------   replies        counts, failed rows
//!  finish, stop  <--- outcome -----------
//! ```
//!
//! Memory is bounded: one batch that waits, one slice that is encoded, and the commands in flight. A write stops between commands
//! only: a caller that is interrupted gets the counts of what the server has acknowledged.

mod commands;
mod counts;
mod run;
mod slices;

pub use counts::WriteCounts;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use tokio::sync::{mpsc, watch};

use self::run::Run;
use super::write_command::StatementKind;
use crate::encode::Plan;
use crate::error::{Error, ErrorKind, Result};
use crate::source::connection::client::Client;
use crate::source::connection::session::Session;
use crate::source::runtime::task::Task;

/// Attempts of a command that the server executes once: the connection may break several times in a long write.
const ATTEMPTS: usize = 8;

/// The options of [`Client::write_stream`].
pub struct StreamOptions {
    /// The database of the collection.
    pub database: String,
    /// The kind of the statements of the plan.
    pub kind: StatementKind,
    /// The elements of each command before its statements, with the collection.
    pub head: Vec<u8>,
    /// True to stop at the first row that fails.
    pub ordered: bool,
    /// The largest number of commands in flight; 1 for an ordered write.
    pub parallel: usize,
    /// The largest number of statements in a command: a server's `maxWriteBatchSize`.
    pub max_statements: usize,
    /// Each statement changes one document at most, and the write is acknowledged, outside of a transaction.
    pub retry: bool,
    /// Rows whose `_id` is stored already are no failures.
    pub ignore_duplicates: bool,
    /// Handling of keys that occur in several rows.
    pub repeated_keys: RepeatedKeys,
    /// The session of the caller.
    pub session: Option<Session>,
    /// Time limit of the whole write.
    pub timeout: Option<Duration>,
}

/// Handling of keys that occur in several rows. All but the first need the plan's hashes of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepeatedKeys {
    /// Rows are independent.
    Any,
    /// The second row of a key ends the write before its slice is sent.
    Refuse,
    /// Rows of one key are written in their order.
    InOrder,
}

/// A write in progress.
pub struct WriteStream {
    batches: Mutex<Option<mpsc::Sender<RecordBatch>>>,
    stop: watch::Sender<bool>,
    state: Arc<State>,
    /// Cancelled when the write is dropped.
    _run: Task<()>,
}

/// The state that a write shares with its caller.
struct State {
    counts: Mutex<WriteCounts>,
    /// The outcome, once the write has ended.
    outcome: watch::Sender<Option<Result<()>>>,
}

impl State {
    fn counts(&self) -> MutexGuard<'_, WriteCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets the outcome of a run that was dropped: its client was closed, or it panicked.
struct Ending(Arc<State>);

impl Drop for Ending {
    fn drop(&mut self) {
        let interrupted = Err(Error::new(ErrorKind::Cancelled));
        self.0.outcome.send_if_modified(|outcome| {
            let open = outcome.is_none();
            if open {
                *outcome = Some(interrupted);
                self.0.counts().interrupted();
            }
            open
        });
    }
}

impl Client {
    /// Starts a write of the batches that are fed to it, which have the schema of `plan`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] or [`ErrorKind::InvalidArgument`] for options that cannot be sent.
    pub fn write_stream(&self, plan: Plan, options: StreamOptions) -> Result<WriteStream> {
        let (sender, receiver) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(false);
        let state = Arc::new(State {
            counts: Mutex::new(WriteCounts::default()),
            outcome: watch::Sender::new(None),
        });
        let run = Run::new(self.clone(), plan, options, Arc::clone(&state))?;
        let ending = Ending(Arc::clone(&state));
        let task = Task::spawn(async move {
            let outcome = run.run(receiver, stopped).await;
            ending.0.outcome.send_replace(Some(outcome));
            Ok(())
        });
        Ok(WriteStream {
            batches: Mutex::new(Some(sender)),
            stop,
            state,
            _run: task,
        })
    }
}

impl WriteStream {
    /// Hands a batch over, once the one before it is encoded. The outcome is false if the write has ended, with an error of
    /// [`finish`](WriteStream::finish).
    pub fn feed(&self, batch: RecordBatch) -> Task<bool> {
        let sender = self.sender().clone();
        Task::spawn(async move {
            match sender {
                Some(sender) => Ok(sender.send(batch).await.is_ok()),
                None => Ok(false),
            }
        })
    }

    /// Waits for the end of the write, after the last batch.
    pub fn finish(&self) -> Task<()> {
        drop(self.sender().take());
        self.outcome()
    }

    /// Sends no more commands, and waits for the replies to those in flight. The outcome has the error that ended the write, if
    /// there was one before.
    pub fn stop(&self) -> Task<()> {
        self.stop.send_replace(true);
        self.finish()
    }

    /// The counts so far.
    pub fn counts(&self) -> WriteCounts {
        self.state.counts().clone()
    }

    /// The acknowledged rows, and the bytes of their commands.
    pub fn progress(&self) -> (u64, u64) {
        let counts = self.state.counts();
        (counts.rows, counts.bytes)
    }

    fn sender(&self) -> MutexGuard<'_, Option<mpsc::Sender<RecordBatch>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcome(&self) -> Task<()> {
        let mut outcome = self.state.outcome.subscribe();
        Task::spawn(async move {
            match outcome.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
                Err(_) => Err(Error::new(ErrorKind::Cancelled)),
            }
        })
    }
}
