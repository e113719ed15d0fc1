//! The pump: opens a cursor and sends its replies on, as far ahead of the reader as a budget of bytes allows.
//!
//! The official driver's raw batch cursor hands a server reply over whole, and knows nothing else that is needed here:
//!
//! - It has no deadline: every wait for the server has one here.
//! - Polled after an error it sends another getMore and skips a reply, so a cursor is finished at its first error.
//! - A dropped cursor is killed by a command without an address, which goes to the primary; so the server that answers
//!   is noted when its connection is checked out, and killed there, waiting for the confirmation.
//! - A find that is dropped before its reply was read may leave a cursor that nobody knows the id of. So every run has a
//!   session of its own, whose id is known from the start, and `killSessions` ends whatever runs or is open in it.
//! - Sessions die after 30 idle minutes and take their cursors along: while the reader is slow, the session is refreshed.

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
use crate::source::cleanup::implicit_session::implicit;
use crate::source::cleanup::kill::PendingKill;
use crate::source::connection::client::{Client, ANSWERING};
use crate::source::connection::deadline::ServerTime;
use crate::source::connection::failure::from_driver;
use crate::source::connection::session::{Consistency, Session};
use crate::source::read::batch::split;
use crate::source::read::batch_size::SizedFind;
use crate::source::read::query::{open, Opened, Query};
use crate::source::read::resume::Resume;
use crate::source::read::run_events::RunEvents;
use crate::source::runtime::loop_handoff::BackgroundWork;
use crate::source::runtime::task::panicked;

/// What a run asks for.
pub(crate) enum Ask {
    Once(Query),
    /// A find that goes on when its cursor is lost.
    Resuming(Box<Resume>),
}

impl Ask {
    /// The operation and the collection that events name.
    fn operation(&self) -> (&'static str, Option<&str>) {
        match self {
            Ask::Once(Query::Find { collection, .. }) => ("find", Some(collection)),
            Ask::Once(Query::Aggregate { collection, .. }) => ("aggregate", collection.as_deref()),
            Ask::Resuming(resume) => ("find", Some(resume.collection())),
        }
    }
}

/// A query to pump.
pub(crate) struct Request {
    pub(crate) client: Client,
    pub(crate) database: String,
    pub(crate) ask: Ask,
    pub(crate) session: Option<Session>,
    pub(crate) timeout: Option<Duration>,
    /// The server gets the deadline, too.
    pub(crate) limits_server: bool,
    pub(crate) eager: bool,
    /// How many bytes of replies may be ready for the reader.
    pub(crate) budget: usize,
    /// The number that events call the run by.
    pub(crate) request: u64,
}

/// What the reader's side receives; after `End` or `Failed` nothing more.
pub(crate) enum Message {
    Reply {
        reply: Reply,
        /// Nothing comes behind it.
        last: bool,
        _permit: OwnedSemaphorePermit,
    },
    End,
    Failed(Error),
}

/// The reader's end of a pump; the first outcome is the one it gets.
pub(crate) struct Output {
    sender: Option<UnboundedSender<Message>>,
}

impl Output {
    pub(crate) fn new(sender: UnboundedSender<Message>) -> Self {
        Output {
            sender: Some(sender),
        }
    }

    fn finish(&mut self, outcome: Result<()>) {
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
    let (operation, collection) = request.ask.operation();
    let trace = RunEvents::new(request.request, operation, &request.database, collection);
    let mut pump = Pump {
        client: request.client,
        output,
        stop,
        wait_budget: WaitBudget {
            limit: request.timeout,
            eager: request.eager,
            waited: Duration::ZERO,
        },
        budget: request.budget,
        room: Arc::new(Semaphore::new(request.budget)),
        answering: Arc::default(),
        own_session: None,
        their_session: None,
        in_transaction: false,
        cursor: None,
        trace,
        pending_kills: Vec::new(),
        spent: Vec::new(),
        resume: None,
        background_work: None,
        limits_server: request.limits_server,
        time: ServerTime::default(),
    };
    let drive = pump.drive(&request.database, request.ask, request.session);
    let outcome = AssertUnwindSafe(drive).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| Err(panicked(&*panic)));
    let outcome = outcome.map_err(|error| pump.time.explained(error));
    pump.trace.finished(&outcome);
    // After an error the cursor may still be open; noted before the caller knows of the error and ends the session.
    let left = pump.leave();
    pump.output.finish(outcome);
    if let Some(left) = left {
        pump.client.kill(left).await;
    }
    let kills = take(&mut pump.pending_kills).into_iter();
    join_all(kills.map(|pending| pump.client.kill(pending))).await;
    if !pump.spent.is_empty() {
        pump.client.finish(take(&mut pump.spent)).await;
    }
}

struct Pump {
    client: Client,
    output: Output,
    stop: watch::Receiver<bool>,
    wait_budget: WaitBudget,
    budget: usize,
    room: Arc<Semaphore>,
    /// The servers that were asked to open the cursor; the last one did.
    answering: Arc<Mutex<Vec<ServerAddress>>>,
    /// The run's session, while it is not the caller's and the query was not answered: killing it kills the query.
    own_session: Option<Session>,
    /// The caller's session, while the query was not answered. What may be open in it is killed when the caller ends it:
    /// until then there may be more in it than this run.
    their_session: Option<Session>,
    /// The read is a part of a transaction of the caller's.
    in_transaction: bool,
    /// The open cursor, once its first reply was read.
    cursor: Option<OpenCursor>,
    trace: RunEvents,
    /// What earlier attempts may have left open.
    pending_kills: Vec<PendingKill>,
    /// Cursors that were left before their end.
    spent: Vec<SessionRawBatchCursor>,
    resume: Option<Box<Resume>>,
    /// Replies are fetched ahead of the reader.
    background_work: Option<BackgroundWork>,
    limits_server: bool,
    /// The time that the server has for the query.
    time: ServerTime,
}

struct OpenCursor {
    id: i64,
    database: String,
    collection: String,
}

impl Pump {
    async fn drive(&mut self, database: &str, ask: Ask, session: Option<Session>) -> Result<()> {
        let client = self.client.clone();
        let driver = match self.wait_for_server(client.driver()).await {
            Ok(driver) => driver?,
            Err(_) => return Err(Error::new(ErrorKind::Cancelled)),
        };
        match ask {
            Ask::Once(query) => self.read(driver, database, query, session).await,
            Ask::Resuming(resume) => {
                self.resume = Some(resume);
                while let Some(wait) = self.go_on(driver, database, &session).await? {
                    // Found and killed when the run is over: its server may be out of reach for long.
                    let left = self.leave();
                    self.pending_kills.extend(left);
                    self.answering = Arc::default();
                    if self.wait_for_server(sleep(wait)).await.is_err() {
                        return Err(Error::new(ErrorKind::Cancelled));
                    }
                }
                Ok(())
            }
        }
    }

    /// Reads on from where a read that can resume stands, to its end; or else says how long to wait before it is tried
    /// again.
    async fn go_on(
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
        while let Some(asked) = query.take() {
            outcome = self.read(driver, database, asked, session.clone()).await;
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

    /// One query, to its end or its first error.
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
            self.size(&driver.database(database), sized, &mut query)
                .await?;
        }
        if query.answers_once(self.limits_server) {
            let (given, limit) = (*query.max_time(), self.wait_budget.limit);
            self.time =
                ServerTime::new(given, self.wait_budget.left(), limit, client.round_trip()?);
            *query.max_time() = self.time.max;
        }
        let session = match session {
            Some(session) => {
                self.in_transaction = session.in_transaction();
                self.their_session = Some(session.clone());
                session
            }
            None => {
                let session = implicit(driver).await.map_err(from_driver)?;
                let session = Session::new(&client, session, Consistency::None);
                self.own_session = Some(session.clone());
                session
            }
        };
        let opening = open(driver, database, query, &session);
        let begun = Instant::now();
        let opened = self
            .wait_for_server(ANSWERING.scope(self.answering.clone(), opening))
            .await;
        let Opened { mut cursor, first } = match opened {
            Ok(answer) => {
                self.set_apart();
                let lost = |error: &Error| matches!(error.kind(), ErrorKind::Connection(_));
                if !answer.as_ref().is_err_and(lost) {
                    // Answered: what is open now has an id of its own, and the session goes back to the driver's pool.
                    self.own_session = None;
                    self.their_session = None;
                    client.sizes()?.record_exchange(begun.elapsed());
                }
                answer?
            }
            Err(late) => {
                // Opened after all, while it was being killed: it has an id now.
                if let Some(Ok(Opened { cursor, first })) = late {
                    self.spent.push(cursor);
                    self.note(&split(first)?);
                }
                return Err(Error::new(ErrorKind::Cancelled));
            }
        };
        let outcome = self.replies(&mut cursor, first, &session, sized).await;
        if outcome.is_err() {
            self.spent.push(cursor);
        }
        outcome
    }
}
