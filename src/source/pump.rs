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

use std::future::{Future, IntoFuture};
use std::mem::take;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{join_all, FutureExt};
use mongodb::bson::doc;
use mongodb::options::{ServerAddress, SessionOptions};
use mongodb::raw_batch_cursor::{RawBatch, SessionRawBatchCursor};
use tokio::sync::{watch, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout, Instant};

use super::batch::{take_apart, Parts};
use super::client::{Client, ANSWERING};
use super::direct::{self, Leftover};
use super::failure::{from_driver, is_final};
use super::query::{next, open, Opened, Query};
use super::resume::Resume;
use super::session::Session;
use super::sizes::{self, Sized};
use super::task::panicked;
use super::trace::Trace;
use crate::error::{Error, ErrorKind, Result};
use crate::reader::Reply;

/// How long an exchange that was ended by a kill may take to say so.
const LATE: Duration = Duration::from_secs(1);

/// How long a getMore in a transaction may go on before it is killed: that aborts the transaction, killing an idle cursor does
/// not.
const IN_TRANSACTION: Duration = Duration::from_secs(2);

/// How often a session is refreshed while its reader is slow, in milliseconds; servers let sessions die after 30 minutes.
static REFRESH: AtomicU64 = AtomicU64::new(300_000);

/// How long a server has to confirm that it refreshed a session.
const REFRESHED: Duration = Duration::from_secs(2);

/// What a reply costs beside its bytes, so that a million tiny replies are bounded too.
const OVERHEAD: usize = 512;

static PREFETCH: AtomicUsize = AtomicUsize::new(32 << 20);

/// How many bytes of replies a query may hold ready for its reader. One reply is always let through.
pub fn prefetch_bytes() -> usize {
    PREFETCH.load(Ordering::Relaxed)
}

/// Sets [`prefetch_bytes`] for the queries that start from now on.
pub fn set_prefetch_bytes(bytes: usize) {
    PREFETCH.store(bytes.clamp(1, u32::MAX as usize), Ordering::Relaxed);
}

/// Sets how often the session of a query is refreshed while its reader is slow: for tests.
#[doc(hidden)]
pub fn set_refresh_interval(interval: Duration) {
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    REFRESH.store(millis, Ordering::Relaxed);
}

/// What a run asks for.
pub(crate) enum Ask {
    Once(Query),
    /// A find that goes on when its cursor is lost.
    Resuming(Box<Resume>),
}

/// A query to pump.
pub(crate) struct Request {
    pub(crate) client: Client,
    pub(crate) database: String,
    pub(crate) ask: Ask,
    pub(crate) session: Option<Session>,
    pub(crate) timeout: Option<Duration>,
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
    sender: Option<Sender<Message>>,
}

impl Output {
    pub(crate) fn new(sender: Sender<Message>) -> Self {
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
    let trace = Trace::new(request.request, &request.database, &request.ask);
    let mut pump = Pump {
        client: request.client,
        output,
        stop,
        patience: Patience {
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
        leftovers: Vec::new(),
        spent: Vec::new(),
        resume: None,
    };
    let drive = pump.drive(&request.database, request.ask, request.session);
    let outcome = AssertUnwindSafe(drive).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| Err(panicked(&*panic)));
    pump.trace.finished(&outcome);
    // After an error the cursor may still be open; noted before the caller knows of the error and ends the session.
    let left = pump.leave();
    pump.output.finish(outcome);
    if let Some(left) = left {
        left.kill(&pump.client).await;
    }
    let leftovers = take(&mut pump.leftovers).into_iter();
    join_all(leftovers.map(|leftover| leftover.kill(&pump.client))).await;
    if !pump.spent.is_empty() {
        pump.client.finish(take(&mut pump.spent)).await;
    }
}

struct Pump {
    client: Client,
    output: Output,
    stop: watch::Receiver<bool>,
    patience: Patience,
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
    trace: Trace,
    /// What earlier attempts may have left open.
    leftovers: Vec<Leftover>,
    /// Cursors that were left before their end.
    spent: Vec<SessionRawBatchCursor>,
    resume: Option<Box<Resume>>,
}

struct OpenCursor {
    id: i64,
    database: String,
    collection: String,
}

impl Pump {
    async fn drive(&mut self, database: &str, ask: Ask, session: Option<Session>) -> Result<()> {
        let client = self.client.clone();
        let driver = match self.attend(client.driver()).await {
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
                    self.leftovers.extend(left);
                    self.answering = Arc::default();
                    if self.attend(sleep(wait)).await.is_err() {
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
        let inspected = self.attend(resume.inspect(driver.database(database))).await;
        let mut outcome = inspected.unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled)));
        let mut query = match &outcome {
            Ok(()) => resume.query()?,
            Err(_) => None,
        };
        self.resume = Some(resume);
        while let Some(asked) = query.take() {
            outcome = self.read(driver, database, asked, session.clone()).await;
            if outcome.is_ok() {
                query = self.resume.as_mut().and_then(|resume| resume.rest());
            }
        }
        match (outcome, &mut self.resume) {
            (Err(error), Some(resume)) => resume.after(error).map(Some),
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
        let mut sized = Sized::of(database, &query, self.patience.eager);
        if let Some(sized) = &mut sized {
            self.size(&driver.database(database), sized, &mut query)
                .await?;
        }
        let session = match session {
            Some(session) => {
                self.in_transaction = session.in_transaction();
                self.their_session = Some(session.clone());
                session
            }
            None => {
                // The server is asked for nothing here. Not causally consistent, as the driver's implicit sessions.
                let options = SessionOptions::builder().causal_consistency(false).build();
                let session = driver.start_session().with_options(options).await;
                let session = session.map_err(from_driver)?;
                let session = Session::new(&client, session);
                self.own_session = Some(session.clone());
                session
            }
        };
        let opening = open(driver, database, query, &session);
        let begun = Instant::now();
        let opened = self
            .attend(ANSWERING.scope(self.answering.clone(), opening))
            .await;
        let Opened { mut cursor, first } = match opened {
            Ok(answer) => {
                self.set_apart();
                let lost = |error: &Error| matches!(error.kind(), ErrorKind::Connection(_));
                if !answer.as_ref().is_err_and(lost) {
                    // Answered: what is open now has an id of its own, and the session goes back to the driver's pool.
                    self.own_session = None;
                    self.their_session = None;
                    client.sizes()?.took(begun.elapsed());
                }
                answer?
            }
            Err(late) => {
                // Opened after all, while it was being killed: it has an id now.
                if let Some(Ok(Opened { cursor, first })) = late {
                    self.spent.push(cursor);
                    self.note(&take_apart(first)?);
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

    /// Sets how many documents a reply is to hold, asking how large they are if that is worth it.
    async fn size(
        &mut self,
        database: &mongodb::Database,
        sized: &mut Sized,
        query: &mut Query,
    ) -> Result<()> {
        let client = self.client.clone();
        let sizes = client.sizes()?;
        if sizes.known(&sized.kind).is_none() && sized.asks && !sizes.far() {
            // Twice at most: the first exchange of a client includes connecting.
            for _ in 0..2 {
                let mut ask = database.run_command(sized.question());
                let criteria = query.selection_criteria();
                if let Some(criteria) = criteria.or(database.selection_criteria()) {
                    ask = ask.selection_criteria(criteria.clone());
                }
                let begun = Instant::now();
                self.trace.asks(Some("dataSize"));
                let answered = self.attend(ask.into_future()).await;
                self.trace.asks(None);
                match answered.map_err(|_| Error::new(ErrorKind::Cancelled))? {
                    Ok(reply) => {
                        sizes.took(begun.elapsed());
                        sizes.note(&sized.kind, sizes::answer(&reply));
                    }
                    // The query would wait as long, and say the same.
                    Err(error) if is_final(&error) => return Err(from_driver(error)),
                    Err(_) => sizes.note(&sized.kind, 0),
                }
                if sizes.near() {
                    break;
                }
            }
            if !sizes.near() {
                sizes.set_far();
            }
        }
        if let (Some(bytes), true) = (sizes.known(&sized.kind), sizes.near()) {
            sized.set(query, bytes);
        }
        Ok(())
    }

    /// Delivers a cursor's replies, to its end or its first error.
    async fn replies(
        &mut self,
        cursor: &mut SessionRawBatchCursor,
        first: RawBatch,
        session: &Session,
        mut sized: Option<Sized>,
    ) -> Result<()> {
        let mut batch = Some(first);
        while let Some(received) = batch {
            let parts = take_apart(received)?;
            self.note(&parts);
            if let (Some(sized), Some(reply), true) = (sized.take(), &parts.reply, parts.id != 0) {
                self.client.sizes()?.seen(&sized, reply.bytes().len());
            }
            let reply = match &mut self.resume {
                Some(resume) => parts.reply.and_then(|reply| resume.take(reply)),
                None => parts.reply,
            };
            if let Some(reply) = reply {
                self.deliver(reply, session).await?;
            }
            if self.cursor.is_none() {
                return Ok(());
            }
            batch = match self.attend(next(cursor, session)).await {
                Ok(batch) => batch?,
                Err(_) => return Err(Error::new(ErrorKind::Cancelled)),
            };
        }
        Ok(())
    }

    /// Waits for the server until the deadline, or until the run is stopped. Then the reader is told at once, the
    /// query is killed, and what the wait gave in the end comes as `Err`.
    async fn attend<F: Future>(&mut self, wait: F) -> Result<F::Output, Option<F::Output>> {
        let mut wait = pin!(wait);
        let begun = Instant::now();
        let limit = self.patience.left();
        let over = async {
            match limit {
                Some(limit) => sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let (error, spare) = tokio::select! {
            biased;
            done = &mut wait => {
                let took = begun.elapsed();
                self.patience.waited += took;
                self.trace.answered(took, || last(&self.answering));
                return Ok(done);
            }
            () = stopped(&mut self.stop) => (self.client.interrupted(), self.in_transaction),
            () = over => (self.client.no_answer(self.patience.limit.unwrap_or_default()), false),
        };
        let left = self.leave();
        self.output.finish(Err(error));
        let mut late = None;
        if spare && left.is_some() {
            late = timeout(IN_TRANSACTION, &mut wait).await.ok();
        }
        // Both go on together: the wait may hold what the kill needs, a connection or its place in a queue.
        let killed = {
            // Without a server nothing was sent. The driver may then still be connecting, in the very wait that was broken
            // off, and must not be waited for.
            let mut kill = pin!(async {
                match left {
                    Some(left) => left.kill(&self.client).await,
                    None => false,
                }
            });
            loop {
                tokio::select! {
                    biased;
                    killed = &mut kill => break killed,
                    done = &mut wait, if late.is_none() => late = Some(done),
                }
            }
        };
        if late.is_none() && killed {
            // The kill ends the exchange on the server; hearing so keeps the connection usable.
            late = timeout(LATE, wait).await.ok();
        }
        Err(late)
    }

    /// Sends a reply on as soon as the reader has room for it. Nothing the reader does counts as waiting for the server.
    async fn deliver(&mut self, reply: Reply, session: &Session) -> Result<()> {
        let cost = (reply.bytes().len() + OVERHEAD).min(self.budget);
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let mut room = pin!(self.room.clone().acquire_many_owned(cost));
        let permit = loop {
            tokio::select! {
                biased;
                permit = &mut room => break permit,
                () = stopped(&mut self.stop) => return Err(self.client.interrupted()),
                () = sleep(Duration::from_millis(REFRESH.load(Ordering::Relaxed))) => {}
            }
            self.refresh(session).await;
        };
        let permit = permit.map_err(|_| Error::new(ErrorKind::Cancelled))?;
        self.patience.answered();
        let last = self.cursor.is_none() && self.resume.is_none();
        let message = Message::Reply {
            reply,
            last,
            _permit: permit,
        };
        match &self.output.sender {
            Some(sender) if sender.send(message).is_ok() => Ok(()),
            _ => Err(Error::new(ErrorKind::Cancelled)),
        }
    }

    /// Keeps the session alive. When it fails, the next getMore will say so.
    async fn refresh(&self, session: &Session) {
        let open = self.cursor.is_some();
        if let (true, Ok(id), Some(address)) = (open, session.id(), self.address()) {
            let command = doc! {"refreshSessions": [id]};
            direct::run(&self.client, &address, "admin", command, REFRESHED).await;
        }
    }

    fn note(&mut self, parts: &Parts) {
        let bytes = parts.reply.as_ref().map_or(0, |reply| reply.bytes().len());
        self.trace.reply(parts.id, bytes, || last(&self.answering));
        self.cursor = (parts.id != 0).then(|| OpenCursor {
            id: parts.id,
            database: parts.database.clone(),
            collection: parts.collection.clone(),
        });
    }

    /// What is open on the server now, or may be; it is somebody else's to kill from here on.
    fn leave(&mut self) -> Option<Leftover> {
        self.set_apart();
        let address = self.address()?;
        match (self.cursor.take(), self.own_session.take()) {
            (
                Some(OpenCursor {
                    id,
                    database,
                    collection,
                }),
                _,
            ) => Some(Leftover::cursor(address, database, collection, id)),
            (None, Some(session)) => Leftover::session(address, session),
            (None, None) => {
                if let Some(session) = self.their_session.take() {
                    session.left_open(address);
                }
                None
            }
        }
    }

    /// Notes what may be open of attempts to open the cursor that the driver gave up: their answers, lost on the way,
    /// may have been cursors.
    fn set_apart(&mut self) {
        let mut asked = self
            .answering
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while asked.len() > 1 {
            let address = asked.remove(0);
            match (&self.own_session, &self.their_session) {
                (Some(session), _) => {
                    let given_up = Leftover::session(address, session.clone());
                    self.leftovers.extend(given_up);
                }
                (None, Some(session)) => session.left_open(address),
                (None, None) => {}
            }
        }
    }

    fn address(&self) -> Option<ServerAddress> {
        last(&self.answering)
    }
}

/// The server that answered last, if any did.
fn last(asked: &Mutex<Vec<ServerAddress>>) -> Option<ServerAddress> {
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    asked.last().cloned()
}

/// Until the reader is gone, its client closed, or the process about to leave.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How long the run may still wait for the server.
struct Patience {
    limit: Option<Duration>,
    eager: bool,
    /// What is to be counted: of all waits, or of those since the reader's last reply.
    waited: Duration,
}

impl Patience {
    fn left(&self) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(self.waited))
    }

    /// The reader has a reply.
    fn answered(&mut self) {
        if !self.eager {
            self.waited = Duration::ZERO;
        }
    }
}
