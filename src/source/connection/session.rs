//! Sessions and transactions.

use std::future::{Future, IntoFuture};
use std::mem::take;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use mongodb::bson::{rawdoc, Document, RawDocumentBuf, Timestamp};
use mongodb::error::Result as DriverResult;
use mongodb::options::{ReadPreference, SelectionCriteria, ServerAddress, SessionOptions};
use mongodb::ClientSession;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{timeout, timeout_at, Instant};

use super::client::{Client, CONTACTED_SERVERS};
use super::failure::from_driver;
use super::options;
use crate::error::{Error, ErrorKind, Result};
use crate::reader::fork::ForkGuard;
use crate::source::cleanup::kill::PendingKill;
use crate::source::runtime::task::Task;

/// A logical session: causal consistency, snapshots, transactions.
///
/// The operations of one session run one after the other. A cursor uses the session only while it waits for a reply, so that other
/// operations of the session can run while the documents are decoded.
#[derive(Clone)]
pub struct Session(Arc<ForkGuard<Inner>>);

/// A session that may have been dropped.
pub(crate) struct WeakSession(Weak<ForkGuard<Inner>>);

impl WeakSession {
    pub(crate) fn upgrade(&self) -> Option<Session> {
        self.0.upgrade().map(Session)
    }
}

struct Inner {
    client: Client,
    id: Document,
    consistency: Consistency,
    /// `None` once the session has ended and the driver has it back.
    driver_session: Mutex<Option<ClientSession>>,
    ended: AtomicBool,
    /// A transaction was started, but no commit or abort.
    in_transaction: AtomicBool,
    /// Numbers of transaction starts: the last requested one, the one of the open transaction, and the last discarded one.
    starts: AtomicU64,
    started: AtomicU64,
    discarded: AtomicU64,
    /// An abort is in progress.
    aborting: AtomicBool,
    first_operation: StdMutex<FirstOperation>,
    /// The database of a first operation that was cancelled: it may reach the server after the end of its transaction.
    late_operation: StdMutex<Option<String>>,
    /// Servers that may have a cursor of the session whose id is unknown, because the reply to its query was not read.
    unknown_cursors_on: StdMutex<Vec<ServerAddress>>,
}

/// The first operation of a transaction, which begins it on the server.
///
/// The driver records the beginning when that operation ends. If the operation is cancelled, the driver's abort and commit send
/// nothing, and the server keeps the locks until it ends the transaction itself, a minute later.
#[derive(Default)]
enum FirstOperation {
    /// There is no transaction, or its first operation has ended.
    #[default]
    Ended,
    /// No operation was sent.
    Expected,
    /// It may have been sent, to this database. If its session is unused, it was cancelled.
    Sent(String),
}

/// The guarantee that a session was started with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// A session of this crate, or one of the caller without causal consistency.
    None,
    /// Each operation sees the effects of those before it.
    Causal,
    /// All reads see one point in time. The server refuses writes.
    Snapshot,
}

impl Consistency {
    pub(crate) fn of(options: &SessionOptions) -> Self {
        if options.snapshot == Some(true) {
            Consistency::Snapshot
        } else if options.causal_consistency == Some(false) {
            Consistency::None
        } else {
            Consistency::Causal
        }
    }
}

/// Label of a commit that the server may have executed.
pub(crate) const UNKNOWN_COMMIT_RESULT: &str = "UnknownTransactionCommitResult";

/// Label of an error after which the whole transaction may be repeated.
pub(crate) const TRANSIENT_TRANSACTION: &str = "TransientTransactionError";

/// Time that a caller waits for the confirmation of an abort.
const ABORT_WAIT: Duration = Duration::from_secs(5);

/// Time limit of an abort, which continues in the background after [`ABORT_WAIT`]: the driver finds a server that refused a command
/// at the next heartbeat, which may be 10 s later. The server itself ends the transaction after a minute.
const ABORT_LIMIT: Duration = Duration::from_secs(15);

/// Time that the end of a session waits for kills in it. They continue after that.
const KILL_WAIT: Duration = Duration::from_secs(1);

impl Inner {
    fn unknown_cursors_on(&self) -> StdMutexGuard<'_, Vec<ServerAddress>> {
        locked(&self.unknown_cursors_on)
    }

    /// The database of a first operation that was cancelled.
    fn cancelled(&self) -> Option<String> {
        match &*locked(&self.first_operation) {
            FirstOperation::Sent(database) => Some(database.clone()),
            _ => None,
        }
    }
}

fn locked<T>(value: &StdMutex<T>) -> StdMutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Inner {
    /// Ends a session that the caller did not end, if a transaction or a cursor may be open in it. The driver would abort the
    /// transaction, too, but in a task without a deadline, and it does not know cursors whose first reply was lost.
    fn drop(&mut self) {
        let unknown_cursors_on = take(&mut *self.unknown_cursors_on());
        let late_operation = locked(&self.late_operation).take();
        let open = self.in_transaction.load(Ordering::Acquire)
            || late_operation.is_some()
            || !unknown_cursors_on.is_empty();
        if self.ended.load(Ordering::Acquire) || !open {
            return;
        }
        if let Some(session) = self.driver_session.get_mut().take() {
            let successor =
                Session::with(&self.client, session, self.consistency, unknown_cursors_on);
            if let Some(inner) = successor.0.get() {
                *locked(&inner.first_operation) = take(&mut *locked(&self.first_operation));
                *locked(&inner.late_operation) = late_operation;
            }
            drop(successor.end());
        }
    }
}

impl Session {
    pub(crate) fn new(client: &Client, session: ClientSession, consistency: Consistency) -> Self {
        Session::with(client, session, consistency, Vec::new())
    }

    fn with(
        client: &Client,
        session: ClientSession,
        consistency: Consistency,
        unknown_cursors_on: Vec<ServerAddress>,
    ) -> Self {
        Session(Arc::new(ForkGuard::new(Inner {
            client: client.clone(),
            id: session.id().clone(),
            consistency,
            driver_session: Mutex::new(Some(session)),
            ended: AtomicBool::new(false),
            in_transaction: AtomicBool::new(false),
            starts: AtomicU64::new(0),
            started: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            aborting: AtomicBool::new(false),
            first_operation: StdMutex::default(),
            late_operation: StdMutex::default(),
            unknown_cursors_on: StdMutex::new(unknown_cursors_on),
        })))
    }

    fn inner(&self) -> Result<&Inner> {
        self.0.get().ok_or_else(|| {
            invalid("the session was started before a fork, and only the parent process can use it")
        })
    }

    /// Returns whether the session was ended, or cannot be used in this process.
    pub fn ended(&self) -> bool {
        self.0
            .get()
            .is_none_or(|inner| inner.ended.load(Ordering::Acquire))
    }

    /// Starts a transaction. `options`: BSON `{readConcern?, writeConcern?, readPreference?, maxCommitTimeMS?}`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] for options that cannot be sent.
    pub fn start_transaction(&self, options: &[u8]) -> Result<Task<()>> {
        let options = options::transaction(options)?;
        let this = self.clone();
        let start = self.inner()?.starts.fetch_add(1, Ordering::AcqRel) + 1;
        Ok(Task::spawn(async move {
            let mut guard = this.lock().await?;
            if start <= guard.inner.discarded.load(Ordering::Acquire) {
                return Err(Error::new(ErrorKind::Cancelled));
            }
            if guard.inner.cancelled().is_some() {
                // A cancelled commit: the driver starts no second transaction before that one ends.
                guard.abort().await?;
            }
            let started = guard.session()?.start_transaction().with_options(options);
            started.await.map_err(from_driver)?;
            *locked(&guard.inner.first_operation) = FirstOperation::Expected;
            guard.inner.started.store(start, Ordering::Release);
            guard.inner.client.record_transaction(&this);
            guard.inner.in_transaction.store(true, Ordering::Release);
            Ok(())
        }))
    }

    /// Discards the requested starts of transactions: the caller was interrupted while it waited for one, and has no transaction.
    /// Its next operations are not part of one.
    pub fn discard_start(&self) {
        if let Some(inner) = self.0.get() {
            let starts = inner.starts.load(Ordering::Acquire);
            inner.discarded.fetch_max(starts, Ordering::AcqRel);
        }
    }

    /// Commits the transaction, within `limit`.
    pub fn commit_transaction(&self, limit: Option<Duration>) -> Task<()> {
        let this = self.clone();
        let inner = match self.inner() {
            Ok(inner) => inner,
            Err(error) => return Task::ready(Err(error)),
        };
        let commit = async move {
            let mut guard = this.lock().await?;
            guard.record_cancelled_begin().await?;
            // For the driver, the transaction ends with any outcome of the commit, which may be sent again, but not aborted.
            guard.inner.in_transaction.store(false, Ordering::Release);
            *locked(&guard.inner.first_operation) = FirstOperation::Ended;
            let committed = guard.session()?.commit_transaction().await;
            let late_operation = locked(&guard.inner.late_operation).take();
            if let (Err(error), Some(database)) = (&committed, late_operation) {
                // Without this label the commit may be sent again, with the same number.
                if error.contains_label(TRANSIENT_TRANSACTION) {
                    let _ = guard.supersede(&database).await;
                }
            }
            committed.map_err(from_driver)
        };
        inner
            .client
            .labelled_task(limit, Some(UNKNOWN_COMMIT_RESULT), commit)
    }

    /// Aborts the transaction. An abort without a confirmation within `limit` is no error, and neither is an error of the server: the
    /// abort continues in the background, and the server ends the transaction itself.
    pub fn abort_transaction(&self, limit: Option<Duration>) -> Task<()> {
        let limit = limit.map_or(ABORT_WAIT, |limit| limit.min(ABORT_WAIT));
        let this = self.clone();
        let inner = match self.inner() {
            Ok(inner) => inner,
            Err(error) => return Task::ready(Err(error)),
        };
        inner.aborting.store(true, Ordering::Release);
        let abort = async move {
            let mut guard = this.lock().await?;
            let aborted = guard.abort().await;
            guard.inner.aborting.store(false, Ordering::Release);
            aborted?;
            guard.inner.in_transaction.store(false, Ordering::Release);
            Ok(())
        };
        Task::spawn(run_in_background(inner.client.clone(), limit, abort)).detached()
    }

    /// Ends the session, aborting a transaction in progress. Ending it twice is no error.
    pub fn end(&self) -> Task<()> {
        match self.inner() {
            Ok(inner) if !inner.ended.swap(true, Ordering::AcqRel) => {
                // The caller waited for this abort before.
                let aborting = inner.aborting.load(Ordering::Acquire);
                let limit = if aborting {
                    KILL_WAIT
                } else {
                    ABORT_WAIT + KILL_WAIT
                };
                let end =
                    run_in_background(inner.client.clone(), limit, self.clone().end_on_server());
                Task::spawn(end).detached()
            }
            _ => Task::ready(Ok(())),
        }
    }

    /// As [`Session::end`], if a transaction is in progress.
    pub(crate) async fn end_transaction(self) {
        if let Ok(inner) = self.inner() {
            let open = inner.in_transaction.load(Ordering::Acquire)
                || locked(&inner.late_operation).is_some();
            if open && !inner.ended.swap(true, Ordering::AcqRel) {
                let _ = self.end_on_server().await;
            }
        }
    }

    /// Aborts the transaction, kills open cursors, and returns the session to the driver.
    async fn end_on_server(self) -> Result<()> {
        let inner = self.inner()?;
        let driver_session = inner.driver_session.lock().await;
        let mut guard = Guard {
            driver_session,
            inner,
        };
        // Without a transaction this fails, which does not concern the caller.
        let _ = guard.abort().await;
        let servers = take(&mut *inner.unknown_cursors_on());
        if servers.is_empty() {
            drop(guard.driver_session.take());
            return Ok(());
        }
        drop(guard);
        let killing = tokio::spawn(self.clone().kill_on(servers));
        let _ = timeout(KILL_WAIT, killing).await;
        Ok(())
    }

    pub(crate) fn is_same(&self, other: &Session) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.0))
    }

    /// Records a server that may have opened a cursor, because its reply was not read.
    pub(crate) fn record_unknown_cursor(&self, address: ServerAddress) {
        if let Some(inner) = self.0.get() {
            inner.unknown_cursors_on().push(address);
        }
    }

    /// Kills everything that is open in the session on these servers. The driver gets the session back when its last owner is dropped.
    async fn kill_on(self, addresses: Vec<ServerAddress>) {
        let Ok(inner) = self.inner() else { return };
        let kills = addresses
            .into_iter()
            .map(|address| PendingKill::session(address, inner.id.clone(), self.clone()))
            .map(|pending| inner.client.kill(pending));
        join_all(kills).await;
    }

    /// Returns whether its operations are part of a transaction.
    pub(crate) fn in_transaction(&self) -> bool {
        let inner = self.0.get();
        inner.is_some_and(|inner| inner.in_transaction.load(Ordering::Acquire))
    }

    /// The session's id on the server.
    pub(crate) fn id(&self) -> Result<&Document> {
        Ok(&self.inner()?.id)
    }

    /// Returns whether its reads see one point in time.
    pub(crate) fn is_snapshot(&self) -> bool {
        let inner = self.0.get();
        inner.is_some_and(|inner| inner.consistency == Consistency::Snapshot)
    }

    /// The label of a deadline's error: after such a failure in a transaction, the caller may repeat the transaction.
    pub(crate) fn transient_label(&self) -> Option<&'static str> {
        self.in_transaction().then_some(TRANSIENT_TRANSACTION)
    }

    /// The driver's session for one operation on a database, once no other operation uses it. Call [`Guard::operation_ended`] after
    /// the reply.
    pub(crate) async fn lock_for_operation(&self, database: &str) -> Result<Guard<'_>> {
        let mut guard = self.lock().await?;
        if guard.inner.in_transaction.load(Ordering::Acquire) {
            guard.record_cancelled_begin().await?;
            let mut first = locked(&guard.inner.first_operation);
            if matches!(*first, FirstOperation::Expected) {
                *first = FirstOperation::Sent(database.to_owned());
            }
            drop(first);
        }
        Ok(guard)
    }

    /// The driver's session for a command that begins no transaction on the server: a getMore, a commit.
    pub(crate) async fn lock(&self) -> Result<Guard<'_>> {
        let inner = self.inner()?;
        let driver_session = inner.driver_session.lock().await;
        // An ended session is kept while its cursors are killed: no other operation may use it.
        if driver_session.is_none() || inner.ended.load(Ordering::Acquire) {
            return Err(invalid("the session was ended"));
        }
        let mut guard = Guard {
            driver_session,
            inner,
        };
        let in_transaction = inner.in_transaction.load(Ordering::Acquire);
        let discarded = inner.discarded.load(Ordering::Acquire);
        if in_transaction && inner.started.load(Ordering::Acquire) <= discarded {
            // No operation was sent in it.
            guard.abort().await?;
            inner.in_transaction.store(false, Ordering::Release);
        }
        Ok(guard)
    }

    /// Refuses a session of another client.
    pub(crate) fn check(&self, client: &Client) -> Result<()> {
        let inner = self.inner()?;
        if inner.ended.load(Ordering::Acquire) {
            return Err(invalid("the session was ended"));
        }
        if inner.client.id() != client.id() {
            return Err(invalid("the session belongs to another client"));
        }
        Ok(())
    }
}

/// A session that is locked for one exchange with the server.
pub(crate) struct Guard<'a> {
    driver_session: MutexGuard<'a, Option<ClientSession>>,
    inner: &'a Inner,
}

impl Guard<'_> {
    pub(crate) fn session(&mut self) -> Result<&mut ClientSession> {
        self.driver_session
            .as_mut()
            .ok_or_else(|| invalid("the session was ended"))
    }

    /// Records that the operation ended with a reply or an error: the driver knows the state of the transaction.
    pub(crate) fn operation_ended(&self) {
        if self.inner.in_transaction.load(Ordering::Acquire) {
            *locked(&self.inner.first_operation) = FirstOperation::Ended;
        }
    }

    /// The time after which a causally consistent session reads and writes, for commands to which the driver does not add it.
    pub(crate) fn causal_time(&mut self) -> Option<Timestamp> {
        let outside = !self.inner.in_transaction.load(Ordering::Acquire);
        let causal = outside && self.inner.consistency == Consistency::Causal;
        self.session().ok().filter(|_| causal)?.operation_time()
    }

    /// Makes the driver record the beginning of the transaction if its first operation was cancelled.
    ///
    /// The driver records the beginning also if an operation fails before it is sent, as an empty command does.
    async fn record_cancelled_begin(&mut self) -> Result<()> {
        if let Some(database) = self.inner.cancelled() {
            let session = self.session()?;
            let admin = session.client().database("admin");
            let empty_command = admin
                .run_raw_command(RawDocumentBuf::new())
                .selection_criteria(primary())
                .session(session);
            let _ = CONTACTED_SERVERS
                .scope(Arc::default(), empty_command.into_future())
                .await;
            *locked(&self.inner.late_operation) = Some(database);
            *locked(&self.inner.first_operation) = FirstOperation::Ended;
        }
        Ok(())
    }

    async fn abort(&mut self) -> Result<()> {
        let end = Instant::now() + ABORT_LIMIT;
        let _ = timeout_at(end, self.record_cancelled_begin()).await;
        // If no server was found, the transaction has not begun for the driver, and this sends nothing.
        let aborted = timeout_at(end, self.session()?.abort_transaction()).await;
        *locked(&self.inner.first_operation) = FirstOperation::Ended;
        let late_operation = locked(&self.inner.late_operation).take();
        if let Some(database) = late_operation {
            let _ = timeout_at(end, self.supersede(&database)).await;
        }
        aborted.map_or(Ok(()), |aborted| aborted.map_err(from_driver))
    }

    /// Makes the server refuse a cancelled operation that it has not begun: it would begin the transaction after its abort. The server
    /// refuses an operation whose transaction has a lower number than the last one of its session.
    async fn supersede(&mut self, database: &str) -> DriverResult<()> {
        let Ok(session) = self.session() else {
            return Ok(());
        };
        let database = session.client().database(database);
        session.start_transaction().await?;
        let find = rawdoc! {"find": "data_bridge.none", "filter": {"_id": {"$in": []}}};
        let find = database
            .run_raw_command(find)
            .selection_criteria(primary())
            .session(&mut *session)
            .await;
        session.abort_transaction().await?;
        find.map(drop)
    }
}

/// Runs `work` until its client is closed, and waits for it for `limit` at most.
async fn run_in_background(
    client: Client,
    limit: Duration,
    work: impl Future<Output = Result<()>> + Send + 'static,
) -> Result<()> {
    let work = tokio::spawn(async move {
        tokio::select! {
            outcome = work => outcome,
            () = client.wait_until_closed() => Ok(()),
        }
    });
    match timeout(limit, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failed)) => Err(Error::new(ErrorKind::Internal(failed.to_string()))),
        Err(_) => Ok(()),
    }
}

/// Selects the primary.
pub(crate) fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument(text.into()))
}
