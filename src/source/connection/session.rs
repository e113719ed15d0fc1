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

use super::client::{Client, ANSWERING};
use super::failure::from_driver;
use super::options;
use crate::error::{Error, ErrorKind, Result};
use crate::reader::fork::ForkGuard;
use crate::source::cleanup::kill::PendingKill;
use crate::source::runtime::task::Task;

/// A logical session: causal consistency, snapshots, transactions.
///
/// The operations of one session run one after the other. A cursor holds it only while it waits for a reply, so that
/// other operations of the session can run while its documents are read.
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
    cell: Mutex<Option<ClientSession>>,
    ended: AtomicBool,
    /// A transaction was started, and neither its commit nor its abort was.
    in_transaction: AtomicBool,
    /// Starts of transactions are numbered: the last one that was requested, that of the open transaction, and the last one that
    /// was discarded.
    starts: AtomicU64,
    started: AtomicU64,
    discarded: AtomicU64,
    /// An abort is under way.
    aborting: AtomicBool,
    first: StdMutex<FirstOperation>,
    /// The database of a first operation that was cancelled: it may reach the server after the end of its transaction.
    late: StdMutex<Option<String>>,
    /// Servers that may hold a cursor of the session whose id nobody was told.
    open_on: StdMutex<Vec<ServerAddress>>,
}

/// The first operation of a transaction, which begins it on the server.
///
/// The driver notes the beginning when that operation ends. Of one that is cancelled it knows nothing: its abort and its
/// commit then send nothing, and the server keeps the locks until it ends the transaction itself, a minute later.
#[derive(Default)]
enum FirstOperation {
    /// There is no transaction, or its first operation has ended.
    #[default]
    Ended,
    /// None was sent.
    Expected,
    /// It may have been sent, to this database. Once its session is free again it was cancelled.
    Sent(String),
}

/// The guarantee that a session was started with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// A session of the package's own, or one of the caller's without causal consistency.
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

/// Label of a commit that may have happened.
pub(crate) const UNKNOWN_COMMIT_RESULT: &str = "UnknownTransactionCommitResult";

/// Label of a failure that the whole transaction may be repeated after.
pub(crate) const TRANSIENT_TRANSACTION: &str = "TransientTransactionError";

/// Longest wait of a caller for the confirmation that a transaction is aborted.
const ABORTING: Duration = Duration::from_secs(5);

/// Longest time that an abort is tried, in the background after [`ABORTING`]: the driver finds a server that refused a command
/// at the next heartbeat, which may be 10 s later. The server itself ends the transaction after a minute.
const ABORTING_UNSEEN: Duration = Duration::from_secs(15);

/// How long the end of a session waits until what was left open in it is killed; it is killed after that, too.
const KILLING: Duration = Duration::from_secs(1);

impl Inner {
    fn open_on(&self) -> StdMutexGuard<'_, Vec<ServerAddress>> {
        locked(&self.open_on)
    }

    /// The database of a first operation that was cancelled.
    fn cancelled(&self) -> Option<String> {
        match &*locked(&self.first) {
            FirstOperation::Sent(database) => Some(database.clone()),
            _ => None,
        }
    }
}

fn locked<T>(value: &StdMutex<T>) -> StdMutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Inner {
    /// Ends a session that nobody ended, where something may be open in it. The driver would abort its transaction as well, in
    /// a task that waits without a deadline; and does not know of cursors whose first reply got lost.
    fn drop(&mut self) {
        let open_on = take(&mut *self.open_on());
        let late = locked(&self.late).take();
        let open =
            self.in_transaction.load(Ordering::Acquire) || late.is_some() || !open_on.is_empty();
        if self.ended.load(Ordering::Acquire) || !open {
            return;
        }
        if let Some(session) = self.cell.get_mut().take() {
            let heir = Session::with(&self.client, session, self.consistency, open_on);
            if let Some(inner) = heir.0.get() {
                *locked(&inner.first) = take(&mut *locked(&self.first));
                *locked(&inner.late) = late;
            }
            drop(heir.end());
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
        open_on: Vec<ServerAddress>,
    ) -> Self {
        Session(Arc::new(ForkGuard::new(Inner {
            client: client.clone(),
            id: session.id().clone(),
            consistency,
            cell: Mutex::new(Some(session)),
            ended: AtomicBool::new(false),
            in_transaction: AtomicBool::new(false),
            starts: AtomicU64::new(0),
            started: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            aborting: AtomicBool::new(false),
            first: StdMutex::default(),
            late: StdMutex::default(),
            open_on: StdMutex::new(open_on),
        })))
    }

    fn inner(&self) -> Result<&Inner> {
        self.0.get().ok_or_else(|| {
            invalid("the session was started before a fork, and only the parent process can use it")
        })
    }

    /// Whether the session was ended, or cannot be used in this process.
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
            let mut guard = this.hold().await?;
            if start <= guard.inner.discarded.load(Ordering::Acquire) {
                return Err(Error::new(ErrorKind::Cancelled));
            }
            if guard.inner.cancelled().is_some() {
                // Left by a commit that was itself cancelled: the driver starts no second transaction before that one ends.
                guard.abort().await?;
            }
            let started = guard.session()?.start_transaction().with_options(options);
            started.await.map_err(from_driver)?;
            *locked(&guard.inner.first) = FirstOperation::Expected;
            guard.inner.started.store(start, Ordering::Release);
            guard.inner.client.opened_transaction(&this);
            guard.inner.in_transaction.store(true, Ordering::Release);
            Ok(())
        }))
    }

    /// Discards the starts of transactions that were requested: the caller was interrupted while it waited for one, and does not
    /// know of a transaction. The operations after it are not part of one.
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
            let mut guard = this.hold().await?;
            guard.settle().await?;
            // Over for the driver however the commit ends; it may be sent again, but not aborted.
            guard.inner.in_transaction.store(false, Ordering::Release);
            *locked(&guard.inner.first) = FirstOperation::Ended;
            let committed = guard.session()?.commit_transaction().await;
            let late = locked(&guard.inner.late).take();
            if let (Err(error), Some(database)) = (&committed, late) {
                // Without this label the commit may be sent again, and needs its number.
                if error.contains_label(TRANSIENT_TRANSACTION) {
                    let _ = guard.outdate(&database).await;
                }
            }
            committed.map_err(from_driver)
        };
        inner
            .client
            .labelled(limit, Some(UNKNOWN_COMMIT_RESULT), commit)
    }

    /// Aborts the transaction. That a server does not confirm it within `limit` is no error, as none that it answers with is: the
    /// abort goes on in the background, and the server ends the transaction itself.
    pub fn abort_transaction(&self, limit: Option<Duration>) -> Task<()> {
        let limit = limit.map_or(ABORTING, |limit| limit.min(ABORTING));
        let this = self.clone();
        let inner = match self.inner() {
            Ok(inner) => inner,
            Err(error) => return Task::ready(Err(error)),
        };
        inner.aborting.store(true, Ordering::Release);
        let abort = async move {
            let mut guard = this.hold().await?;
            let aborted = guard.abort().await;
            guard.inner.aborting.store(false, Ordering::Release);
            aborted?;
            guard.inner.in_transaction.store(false, Ordering::Release);
            Ok(())
        };
        Task::spawn(seen(inner.client.clone(), limit, abort)).detached()
    }

    /// Ends the session, aborting a transaction in progress. Ending it twice is no error.
    pub fn end(&self) -> Task<()> {
        match self.inner() {
            Ok(inner) if !inner.ended.swap(true, Ordering::AcqRel) => {
                // The caller has waited for this abort already.
                let aborting = inner.aborting.load(Ordering::Acquire);
                let limit = if aborting {
                    KILLING
                } else {
                    ABORTING + KILLING
                };
                let end = seen(inner.client.clone(), limit, self.clone().finish());
                Task::spawn(end).detached()
            }
            _ => Task::ready(Ok(())),
        }
    }

    /// As [`Session::end`], if a transaction is in progress.
    pub(crate) async fn end_transaction(self) {
        if let Ok(inner) = self.inner() {
            let open =
                inner.in_transaction.load(Ordering::Acquire) || locked(&inner.late).is_some();
            if open && !inner.ended.swap(true, Ordering::AcqRel) {
                let _ = self.finish().await;
            }
        }
    }

    async fn finish(self) -> Result<()> {
        let inner = self.inner()?;
        let cell = inner.cell.lock().await;
        let mut guard = Guard { cell, inner };
        // Without a transaction this fails, which says nothing to the caller.
        let _ = guard.abort().await;
        let open_on = take(&mut *inner.open_on());
        if open_on.is_empty() {
            drop(guard.cell.take());
            return Ok(());
        }
        drop(guard);
        let killing = tokio::spawn(self.clone().kill_on(open_on));
        let _ = timeout(KILLING, killing).await;
        Ok(())
    }

    pub(crate) fn is(&self, other: &Session) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.0))
    }

    /// Notes a server that was asked for a cursor and whose answer was not read.
    pub(crate) fn left_open(&self, address: ServerAddress) {
        if let Some(inner) = self.0.get() {
            inner.open_on().push(address);
        }
    }

    /// Kills what is open in it on these servers. The driver has it back when the last of us is dropped.
    async fn kill_on(self, addresses: Vec<ServerAddress>) {
        let Ok(inner) = self.inner() else { return };
        let kills = addresses
            .into_iter()
            .map(|address| PendingKill::session(address, inner.id.clone(), self.clone()))
            .map(|pending| inner.client.kill(pending));
        join_all(kills).await;
    }

    /// Return whether its operations are those of a transaction.
    pub(crate) fn in_transaction(&self) -> bool {
        let inner = self.0.get();
        inner.is_some_and(|inner| inner.in_transaction.load(Ordering::Acquire))
    }

    /// The id that the server knows the session by.
    pub(crate) fn id(&self) -> Result<&Document> {
        Ok(&self.inner()?.id)
    }

    pub(crate) fn is_snapshot(&self) -> bool {
        let inner = self.0.get();
        inner.is_some_and(|inner| inner.consistency == Consistency::Snapshot)
    }

    /// The label of a failure that says nothing about the server: such a failure of an operation in a transaction permits to
    /// repeat the transaction.
    pub(crate) fn transient_label(&self) -> Option<&'static str> {
        self.in_transaction().then_some(TRANSIENT_TRANSACTION)
    }

    /// The driver's session for one operation on a database, once no other operation uses it. [`Guard::answered`] is to be
    /// called after the reply.
    pub(crate) async fn lock(&self, database: &str) -> Result<Guard<'_>> {
        let mut guard = self.hold().await?;
        if guard.inner.in_transaction.load(Ordering::Acquire) {
            guard.settle().await?;
            let mut first = locked(&guard.inner.first);
            if matches!(*first, FirstOperation::Expected) {
                *first = FirstOperation::Sent(database.to_owned());
            }
            drop(first);
        }
        Ok(guard)
    }

    /// The driver's session for what begins no transaction on the server: a getMore, a commit.
    pub(crate) async fn hold(&self) -> Result<Guard<'_>> {
        let inner = self.inner()?;
        let cell = inner.cell.lock().await;
        // Ended, but kept while what is open in it is killed: nothing else may be opened there.
        if cell.is_none() || inner.ended.load(Ordering::Acquire) {
            return Err(invalid("the session was ended"));
        }
        let mut guard = Guard { cell, inner };
        let in_transaction = inner.in_transaction.load(Ordering::Acquire);
        let discarded = inner.discarded.load(Ordering::Acquire);
        if in_transaction && inner.started.load(Ordering::Acquire) <= discarded {
            // Nothing was sent in it.
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

/// A session held for one exchange with the server.
pub(crate) struct Guard<'a> {
    cell: MutexGuard<'a, Option<ClientSession>>,
    inner: &'a Inner,
}

impl Guard<'_> {
    pub(crate) fn session(&mut self) -> Result<&mut ClientSession> {
        self.cell
            .as_mut()
            .ok_or_else(|| invalid("the session was ended"))
    }

    /// Record that the operation ended with a reply or an error: the driver knows the state of the transaction.
    pub(crate) fn answered(&self) {
        if self.inner.in_transaction.load(Ordering::Acquire) {
            *locked(&self.inner.first) = FirstOperation::Ended;
        }
    }

    /// The time that a causally consistent session reads and writes after, where the driver does not send it.
    pub(crate) fn causal_time(&mut self) -> Option<Timestamp> {
        let outside = !self.inner.in_transaction.load(Ordering::Acquire);
        let causal = outside && self.inner.consistency == Consistency::Causal;
        self.session().ok().filter(|_| causal)?.operation_time()
    }

    /// Make the driver take the transaction for begun if its first operation was cancelled.
    ///
    /// The driver notes the beginning also when an operation fails before it is sent, as an empty command does.
    async fn settle(&mut self) -> Result<()> {
        if let Some(database) = self.inner.cancelled() {
            let session = self.session()?;
            let admin = session.client().database("admin");
            let nothing = admin
                .run_raw_command(RawDocumentBuf::new())
                .selection_criteria(primary())
                .session(session);
            let _ = ANSWERING.scope(Arc::default(), nothing.into_future()).await;
            *locked(&self.inner.late) = Some(database);
            *locked(&self.inner.first) = FirstOperation::Ended;
        }
        Ok(())
    }

    async fn abort(&mut self) -> Result<()> {
        let end = Instant::now() + ABORTING_UNSEEN;
        let _ = timeout_at(end, self.settle()).await;
        // Not begun for the driver if no server was found: then this sends nothing.
        let aborted = timeout_at(end, self.session()?.abort_transaction()).await;
        *locked(&self.inner.first) = FirstOperation::Ended;
        let late = locked(&self.inner.late).take();
        if let Some(database) = late {
            let _ = timeout_at(end, self.outdate(&database)).await;
        }
        aborted.map_or(Ok(()), |aborted| aborted.map_err(from_driver))
    }

    /// Make the server refuse a cancelled operation that it has not begun yet: it would begin the transaction after its abort.
    /// The server refuses an operation whose transaction has a lower number than the last one of its session.
    async fn outdate(&mut self, database: &str) -> DriverResult<()> {
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

/// Run `work` until its client was closed, and wait for it no longer than `limit`.
async fn seen(
    client: Client,
    limit: Duration,
    work: impl Future<Output = Result<()>> + Send + 'static,
) -> Result<()> {
    let work = tokio::spawn(async move {
        tokio::select! {
            outcome = work => outcome,
            () = client.was_closed() => Ok(()),
        }
    });
    match timeout(limit, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failed)) => Err(Error::new(ErrorKind::Internal(failed.to_string()))),
        Err(_) => Ok(()),
    }
}

fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument(text.into()))
}
