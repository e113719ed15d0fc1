//! Sessions and transactions.

use std::mem::take;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use mongodb::bson::Document;
use mongodb::options::ServerAddress;
use mongodb::ClientSession;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use super::client::Client;
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

struct Inner {
    client: Client,
    id: Document,
    cell: Mutex<Option<ClientSession>>,
    ended: AtomicBool,
    /// A transaction was started, and is not known to be over.
    in_transaction: AtomicBool,
    /// Servers that may hold a cursor of the session whose id nobody was told.
    open_on: StdMutex<Vec<ServerAddress>>,
}

/// How long a server has to confirm that a transaction is aborted: without that it ends it itself, in a minute.
const ABORTING: Duration = Duration::from_secs(5);

/// How long the end of a session waits until what was left open in it is killed; it is killed after that, too.
const KILLING: Duration = Duration::from_secs(1);

impl Inner {
    fn open_on(&self) -> StdMutexGuard<'_, Vec<ServerAddress>> {
        self.open_on.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    /// Ends a session that nobody ended, where something may be open in it. The driver would abort its transaction as well, in
    /// a task that waits without a deadline; and does not know of cursors whose first reply got lost.
    fn drop(&mut self) {
        let open_on = take(&mut *self.open_on());
        let open = self.in_transaction.load(Ordering::Acquire) || !open_on.is_empty();
        if self.ended.load(Ordering::Acquire) || !open {
            return;
        }
        if let Some(session) = self.cell.get_mut().take() {
            drop(Session::with(&self.client, session, open_on).end());
        }
    }
}

impl Session {
    pub(crate) fn new(client: &Client, session: ClientSession) -> Self {
        Session::with(client, session, Vec::new())
    }

    fn with(client: &Client, session: ClientSession, open_on: Vec<ServerAddress>) -> Self {
        Session(Arc::new(ForkGuard::new(Inner {
            client: client.clone(),
            id: session.id().clone(),
            cell: Mutex::new(Some(session)),
            ended: AtomicBool::new(false),
            in_transaction: AtomicBool::new(false),
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
        Ok(Task::spawn(async move {
            let mut guard = this.lock().await?;
            let session = guard.session()?;
            let started = session.start_transaction().with_options(options).await;
            started.map_err(from_driver)?;
            this.inner()?.in_transaction.store(true, Ordering::Release);
            Ok(())
        }))
    }

    /// Commits the transaction, within `limit`.
    pub fn commit_transaction(&self, limit: Option<Duration>) -> Task<()> {
        let this = self.clone();
        let inner = match self.inner() {
            Ok(inner) => inner,
            Err(error) => return Task::ready(Err(error)),
        };
        inner.client.task(limit, async move {
            let mut guard = this.lock().await?;
            let committed = guard.session()?.commit_transaction().await;
            committed.map_err(from_driver)?;
            this.inner()?.in_transaction.store(false, Ordering::Release);
            Ok(())
        })
    }

    /// Aborts the transaction. That a server does not confirm it within `limit` is no error, as none that it answers with is: it
    /// ends the transaction itself.
    pub fn abort_transaction(&self, limit: Option<Duration>) -> Task<()> {
        let limit = limit.map_or(ABORTING, |limit| limit.min(ABORTING));
        let this = self.clone();
        Task::spawn(async move {
            let mut guard = this.lock().await?;
            let aborted = timeout(limit, guard.session()?.abort_transaction()).await;
            aborted.map_or(Ok(()), |aborted| aborted.map_err(from_driver))?;
            this.inner()?.in_transaction.store(false, Ordering::Release);
            Ok(())
        })
        .detached()
    }

    /// Ends the session, aborting a transaction in progress. Ending it twice is no error.
    pub fn end(&self) -> Task<()> {
        let inner = match self.inner() {
            Ok(inner) => inner,
            Err(_) => return Task::ready(Ok(())),
        };
        if inner.ended.swap(true, Ordering::AcqRel) {
            return Task::ready(Ok(()));
        }
        let this = self.clone();
        Task::spawn(async move {
            let inner = this.inner()?;
            let mut cell = inner.cell.lock().await;
            // Without a transaction this fails, which says nothing to the caller.
            if let Some(session) = cell.as_mut() {
                let _ = timeout(ABORTING, session.abort_transaction()).await;
            }
            let open_on = take(&mut *inner.open_on());
            if open_on.is_empty() {
                drop(cell.take());
                return Ok(());
            }
            drop(cell);
            let killing = tokio::spawn(this.clone().kill_on(open_on));
            let _ = timeout(KILLING, killing).await;
            Ok(())
        })
        .detached()
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

    /// Whether a transaction was started in it that is not known to be over.
    pub(crate) fn in_transaction(&self) -> bool {
        let inner = self.0.get();
        inner.is_some_and(|inner| inner.in_transaction.load(Ordering::Acquire))
    }

    /// The id that the server knows the session by.
    pub(crate) fn id(&self) -> Result<&Document> {
        Ok(&self.inner()?.id)
    }

    /// The driver's session, once no other operation uses it.
    pub(crate) async fn lock(&self) -> Result<Guard<'_>> {
        let inner = self.inner()?;
        let guard = inner.cell.lock().await;
        // Ended, but kept while what is open in it is killed: nothing else may be opened there.
        if guard.is_none() || inner.ended.load(Ordering::Acquire) {
            return Err(invalid("the session was ended"));
        }
        Ok(Guard(guard))
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
pub(crate) struct Guard<'a>(MutexGuard<'a, Option<ClientSession>>);

impl Guard<'_> {
    pub(crate) fn session(&mut self) -> Result<&mut ClientSession> {
        self.0
            .as_mut()
            .ok_or_else(|| invalid("the session was ended"))
    }
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument(text.into()))
}
