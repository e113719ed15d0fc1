//! The pump: opens a cursor and prefetches its replies, up to a number of bytes.
//!
//! The driver's raw batch cursor returns a server's reply as a whole, and lacks the following, which the pump adds:
//!
//! - Deadlines: every wait for the server has one here.
//! - An end after errors: if it is polled after an error, it sends another getMore and skips a reply. The pump ends a cursor at its
//!   first error.
//! - Kills at the right server: the driver kills a dropped cursor by a command without an address, which goes to the primary. The
//!   pump records the server of a connection that is checked out, kills the cursor there and waits for the confirmation.
//! - Kills of a cursor whose id is unknown, because its find was dropped before the reply was read. Every run has a session of its
//!   own, whose id is known from the start, and `killSessions` ends all operations and cursors in it.
//! - Refreshes: sessions expire after 30 idle minutes, together with their cursors. The pump refreshes the session while the reader
//!   is slow.

mod replies;
mod wait;

use std::mem::take;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{join_all, FutureExt};
use mongodb::options::ServerAddress;
use mongodb::raw_batch_cursor::SessionRawBatchCursor;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{watch, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, Instant};

pub use self::replies::{prefetch_bytes, set_prefetch_bytes, set_refresh_interval};
use self::wait::WaitBudget;
use crate::error::{Error, ErrorKind, Result};
use crate::reader::Reply;
use crate::source::cleanup::implicit_session::{at_time, implicit};
use crate::source::cleanup::kill::PendingKill;
use crate::source::connection::client::{Client, CONTACTED_SERVERS};
use crate::source::connection::deadline::ServerTime;
use crate::source::connection::failure::from_driver;
use crate::source::connection::options::SnapshotTime;
use crate::source::connection::session::{Consistency, Session};
use crate::source::read::batch::split;
use crate::source::read::batch_size::SizedFind;
use crate::source::read::query::{open, Opened, Query};
use crate::source::read::resume::Resume;
use crate::source::read::run_events::RunEvents;
use crate::source::runtime::loop_handoff::BackgroundWork;
use crate::source::runtime::task::panicked;

/// The query of a run.
pub(crate) enum RunQuery {
    Once(Query),
    /// A find that continues if its cursor is lost.
    Resuming(Box<Resume>),
}

impl RunQuery {
    /// The operation and the collection that events name.
    fn operation(&self) -> (&'static str, Option<&str>) {
        match self {
            RunQuery::Once(Query::Find { collection, .. }) => ("find", Some(collection)),
            RunQuery::Once(Query::Aggregate { collection, .. }) => {
                ("aggregate", collection.as_deref())
            }
            RunQuery::Resuming(resume) => ("find", Some(resume.collection())),
        }
    }
}

/// The parameters of a run.
pub(crate) struct Request {
    pub(crate) client: Client,
    pub(crate) database: String,
    pub(crate) query: RunQuery,
    pub(crate) session: Option<Session>,
    /// The time that a read without a session sees; `None` for the present.
    pub(crate) snapshot: Option<SnapshotTime>,
    pub(crate) timeout: Option<Duration>,
    /// Time that earlier queries of the same read waited for the server.
    pub(crate) waited: Duration,
    /// The deadline is sent to the server, too.
    pub(crate) limits_server: bool,
    pub(crate) eager: bool,
    /// Limit of prefetched bytes.
    pub(crate) prefetch_bytes: usize,
    /// The number of the run in events.
    pub(crate) request: u64,
}

/// A message to the reader. `End` or `Failed` is the last one.
pub(crate) enum Message {
    Reply {
        reply: Reply,
        /// No message follows.
        last: bool,
        _permit: OwnedSemaphorePermit,
    },
    End,
    Failed(Error),
}

/// The channel to the reader, which gets the first outcome only.
pub(crate) struct Output {
    sender: Option<UnboundedSender<Message>>,
}

impl Output {
    pub(crate) fn new(sender: UnboundedSender<Message>) -> Self {
        Output {
            sender: Some(sender),
        }
    }

    /// Sends the outcome, after which nothing is sent.
    pub(crate) fn finish(&mut self, outcome: Result<()>) {
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(match outcome {
                Ok(()) => Message::End,
                Err(error) => Message::Failed(error),
            });
        }
    }
}

/// Runs a query to its end, its first error, or until `stop`.
pub(crate) async fn run(request: Request, output: Output, stop: watch::Receiver<bool>) {
    let (operation, collection) = request.query.operation();
    let events = RunEvents::new(request.request, operation, &request.database, collection);
    let mut pump = Pump {
        client: request.client,
        output,
        stop,
        wait_budget: WaitBudget {
            limit: request.timeout,
            eager: request.eager,
            waited: request.waited,
        },
        snapshot: request.snapshot,
        prefetch_bytes: request.prefetch_bytes,
        free_bytes: Arc::new(Semaphore::new(request.prefetch_bytes)),
        contacted_servers: Arc::default(),
        own_session: None,
        caller_session: None,
        in_transaction: false,
        cursor: None,
        events,
        pending_kills: Vec::new(),
        unfinished_cursors: Vec::new(),
        resume: None,
        background_work: None,
        limits_server: request.limits_server,
        time: ServerTime::default(),
    };
    let drive = pump.drive(&request.database, request.query, request.session);
    let outcome = AssertUnwindSafe(drive).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| Err(panicked(&*panic)));
    let outcome = outcome.map_err(|error| pump.time.error_of_deadline(error));
    let outcome = outcome.map_err(|error| with_history(error, pump.snapshot));
    pump.events.finished(&outcome);
    // After an error the cursor may still be open. Record it before the caller gets the error and ends the session.
    let pending = pump.take_pending_kill();
    pump.output.finish(outcome);
    if let Some(pending) = pending {
        pump.client.kill(pending).await;
    }
    let kills = take(&mut pump.pending_kills).into_iter();
    join_all(kills.map(|pending| pump.client.kill(pending))).await;
    if !pump.unfinished_cursors.is_empty() {
        pump.client
            .finish_cursors(take(&mut pump.unfinished_cursors))
            .await;
    }
}

struct Pump {
    client: Client,
    output: Output,
    stop: watch::Receiver<bool>,
    wait_budget: WaitBudget,
    prefetch_bytes: usize,
    free_bytes: Arc<Semaphore>,
    /// The servers that the query was sent to; the last one opened the cursor.
    contacted_servers: Arc<Mutex<Vec<ServerAddress>>>,
    /// The run's own session, until the query has a reply: killing the session kills the query.
    own_session: Option<Session>,
    /// The caller's session, until the query has a reply. Its cursors are killed when the caller ends it: before, it may have other
    /// operations than this run.
    caller_session: Option<Session>,
    /// The read is part of a transaction of the caller.
    in_transaction: bool,
    /// The time that the read sees.
    snapshot: Option<SnapshotTime>,
    /// The open cursor, once its first reply was read.
    cursor: Option<OpenCursor>,
    events: RunEvents,
    /// Kills of cursors and sessions that earlier attempts may have opened.
    pending_kills: Vec<PendingKill>,
    /// Cursors of the driver that were not read to their end.
    unfinished_cursors: Vec<SessionRawBatchCursor>,
    resume: Option<Box<Resume>>,
    /// Held while replies are prefetched.
    background_work: Option<BackgroundWork>,
    limits_server: bool,
    /// The query's time on the server.
    time: ServerTime,
}

/// The code of a read at a time that the server has no history of.
const SNAPSHOT_TOO_OLD: i32 = 239;

/// Adds the length of the server's history to the error of a read that needed more.
fn with_history(error: Error, snapshot: Option<SnapshotTime>) -> Error {
    let (ErrorKind::Operation { code, .. }, Some(snapshot)) = (error.kind(), snapshot) else {
        return error;
    };
    if *code != SNAPSHOT_TOO_OLD {
        return error;
    }
    let window = match snapshot.window {
        Some(window) => format!("for {window} s"),
        None => "for 300 s by default".to_owned(),
    };
    error.with_note(&format!(
        "the server keeps the history that the snapshot of {} needs {window} \
         (minSnapshotHistoryWindowInSeconds): read sooner after planning, or set a longer window",
        snapshot.time.time
    ))
}

struct OpenCursor {
    id: i64,
    database: String,
    collection: String,
}

impl Pump {
    async fn drive(
        &mut self,
        database: &str,
        query: RunQuery,
        session: Option<Session>,
    ) -> Result<()> {
        let client = self.client.clone();
        let driver = match self.wait_for_server(client.driver()).await {
            Ok(driver) => driver?,
            Err(_) => return Err(Error::new(ErrorKind::Cancelled)),
        };
        match query {
            RunQuery::Once(query) => self.read(driver, database, query, session).await,
            RunQuery::Resuming(resume) => {
                self.resume = Some(resume);
                while let Some(wait) = self.read_resumably(driver, database, &session).await? {
                    // Killed at the end of the run: the server may be unreachable for a long time.
                    let pending = self.take_pending_kill();
                    self.pending_kills.extend(pending);
                    self.contacted_servers = Arc::default();
                    if self.wait_for_server(sleep(wait)).await.is_err() {
                        return Err(Error::new(ErrorKind::Cancelled));
                    }
                }
                Ok(())
            }
        }
    }

    /// Continues a read that can resume, to its end. Returns the time to wait before the next attempt, if one is needed.
    async fn read_resumably(
        &mut self,
        driver: &mongodb::Client,
        database: &str,
        session: &Option<Session>,
    ) -> Result<Option<Duration>> {
        let Some(mut resume) = self.resume.take() else {
            return Ok(None);
        };
        let checked = self
            .wait_for_server(resume.check_server(driver.database(database)))
            .await;
        let mut outcome = checked.unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled)));
        let mut query = match &outcome {
            Ok(()) => resume.next_query()?,
            Err(_) => None,
        };
        self.resume = Some(resume);
        while let Some(next) = query.take() {
            outcome = self.read(driver, database, next, session.clone()).await;
            if outcome.is_ok() {
                query = self
                    .resume
                    .as_mut()
                    .and_then(|resume| resume.max_key_query());
            }
        }
        match (outcome, &mut self.resume) {
            (Err(error), Some(resume)) => resume.wait_after(error).map(Some),
            (outcome, _) => outcome.map(|()| None),
        }
    }

    /// Reads one query, to its end or its first error.
    async fn read(
        &mut self,
        driver: &mongodb::Client,
        database: &str,
        mut query: Query,
        session: Option<Session>,
    ) -> Result<()> {
        let client = self.client.clone();
        let mut sized = SizedFind::of(database, &query, self.wait_budget.eager);
        if let Some(sized) = &mut sized {
            self.set_batch_size(&driver.database(database), sized, &mut query)
                .await?;
        }
        if query.has_one_reply(self.limits_server) {
            let (given, limit) = (*query.max_time(), self.wait_budget.limit);
            self.time =
                ServerTime::new(given, self.wait_budget.left(), limit, client.round_trip()?);
            *query.max_time() = self.time.max;
        }
        let session = match session {
            Some(session) => {
                self.in_transaction = session.in_transaction();
                self.caller_session = Some(session.clone());
                session
            }
            None => {
                let (session, consistency) = match self.snapshot {
                    Some(snapshot) => (at_time(driver, snapshot.time).await, Consistency::Snapshot),
                    None => (implicit(driver).await, Consistency::None),
                };
                let session = Session::new(&client, session.map_err(from_driver)?, consistency);
                self.own_session = Some(session.clone());
                session
            }
        };
        let opening = open(driver, database, query, &session);
        let begun = Instant::now();
        let opened = self
            .wait_for_server(CONTACTED_SERVERS.scope(self.contacted_servers.clone(), opening))
            .await;
        let Opened { mut cursor, first } = match opened {
            Ok(opened) => {
                self.collect_abandoned_attempts();
                let lost = |error: &Error| matches!(error.kind(), ErrorKind::Connection(_));
                if !opened.as_ref().is_err_and(lost) {
                    // The open cursor has an id, and the session can return to the driver's pool.
                    self.own_session = None;
                    self.caller_session = None;
                    client.document_sizes()?.record_exchange(begun.elapsed());
                }
                opened?
            }
            Err(late) => {
                // The cursor was opened while it was killed: now its id is known.
                if let Some(Ok(Opened { cursor, first })) = late {
                    self.unfinished_cursors.push(cursor);
                    self.record_reply(&split(first)?);
                }
                return Err(Error::new(ErrorKind::Cancelled));
            }
        };
        let outcome = self
            .deliver_replies(&mut cursor, first, &session, sized)
            .await;
        if outcome.is_err() {
            self.unfinished_cursors.push(cursor);
        }
        outcome
    }
}
