//! The client: one driver client per process, made on first use.

use std::future::Future;
use std::mem::take;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use mongodb::event::cmap::CmapEvent;
use mongodb::event::EventHandler;
use mongodb::options::{ClientOptions, DriverInfo, ServerAddress};
use mongodb::raw_batch_cursor::SessionRawBatchCursor;
use tokio::sync::{watch, OnceCell};
use tokio::time::{sleep, timeout, Instant};

use super::deadline::RoundTrip;
use super::document_sizes::DocumentSizes;
use super::failure::{from_driver, no_answer, text};
use super::heartbeat_failures::HeartbeatFailures;
use super::options;
use super::session::{Consistency, Session, WeakSession};
use super::uri::{self, Address};
use super::write_sessions::WriteSessions;
use crate::error::{Error, ErrorKind, Result};
use crate::reader::fork::PerProcess;
use crate::source::cleanup::kill::PendingKill;
use crate::source::cleanup::killed_cursors::KilledCursors;
use crate::source::cleanup::registry;
use crate::source::monitoring::driver_events;
use crate::source::monitoring::events::{Event, Level, Topic};
use crate::source::runtime::io_threads;
use crate::source::runtime::task::Task;

/// The time to find a usable server in when the connection string gives none: longer than a heartbeat of 10 s, which may be the
/// first to find a server that answered that it shuts down.
const SERVER_SELECTION: Duration = Duration::from_secs(30);

/// How long closing a client waits for its servers to confirm that they killed its cursors and ended its sessions.
const CLOSING: Duration = Duration::from_secs(2);

/// How long the driver may take to end sessions and connections, attempt by attempt.
const SHUTDOWNS: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

tokio::task_local! {
    /// Where the servers that are asked are noted for the operation that runs in this scope, the one that answers last:
    /// the driver tells nobody which server holds a cursor, or that it asked again, but checks out the connection on the
    /// task that runs the operation.
    pub(crate) static ANSWERING: Arc<Mutex<Vec<ServerAddress>>>;
}

/// How a read is to be made.
#[derive(Clone, Copy, Default)]
pub struct Read<'a> {
    /// Options by the driver's names (`sort`, `batchSize`, `maxTimeMS`, ...) as BSON; empty bytes for none.
    pub options: &'a [u8],
    /// BSON `{readPreference?: {mode, tagSets?, maxStalenessSeconds?}, readConcern?: {level}}`; empty bytes for none.
    pub selection: &'a [u8],
    /// The session to read in.
    pub session: Option<&'a Session>,
    /// The deadline; `None` waits without end.
    pub timeout: Option<Duration>,
    /// The server gets the deadline as `maxTimeMS`, if the read answers once. That replaces the limit that an administrator
    /// sets for reads (`defaultMaxTimeMS`), so it is for deadlines that the caller asked for.
    pub limits_server: bool,
    /// The number that events call the read by.
    pub request: u64,
    /// Whether a find in `_id` order goes on behind its last row when its cursor is lost.
    pub resume: bool,
    /// The command only reads, and may be sent a second time. The driver retries its own reads, but never a `run_command`.
    pub retry: bool,
}

/// A MongoDB client: cheap to clone, usable from any thread and after a fork.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    id: u64,
    address: Address,
    closed: AtomicBool,
    native: PerProcess<Connected>,
}

/// What a client has in one process.
struct Connected {
    driver: OnceCell<mongodb::Client>,
    heartbeats: HeartbeatFailures,
    writers: WriteSessions,
    sizes: DocumentSizes,
    round_trip: RoundTrip,
    closing: watch::Sender<bool>,
    kept: Arc<KilledCursors>,
    /// Sessions that a transaction was started in.
    transactions: Mutex<Vec<WeakSession>>,
}

impl Connected {
    fn transactions(&self) -> MutexGuard<'_, Vec<WeakSession>> {
        self.transactions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connected {
    /// Of a client that nobody closed: the driver would kill what was kept, and not end before that is answered.
    fn drop(&mut self) {
        if let (Some(driver), false) = (self.driver.take(), self.kept.is_empty()) {
            if let Ok(handle) = io_threads::handle() {
                handle.spawn(shut_down(driver, Arc::clone(&self.kept)));
            }
        }
    }
}

/// Ends sessions, then connections. The driver waits for the answer to the former, which never comes when it gets lost: so it
/// begins again, with another connection.
async fn shut_down(driver: mongodb::Client, kept: Arc<KilledCursors>) {
    for within in SHUTDOWNS {
        let shutdown = driver.clone().shutdown().immediate(true);
        if timeout(within, shutdown).await.is_ok() {
            break;
        }
    }
    kept.clear();
}

impl Client {
    /// Reads the connection string; nothing is looked up or connected before the first operation.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`], which never quotes user name or password.
    pub fn new(uri: &str) -> Result<Self> {
        Ok(Client(Arc::new(Inner {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            address: uri::parse(uri)?,
            closed: AtomicBool::new(false),
            native: PerProcess::new(),
        })))
    }

    /// The database that the connection string names.
    pub fn default_database(&self) -> Option<&str> {
        self.0.address.connection.default_database.as_deref()
    }

    /// Hosts and replica set, without credentials.
    pub fn summary(&self) -> &str {
        &self.0.address.summary
    }

    /// Starts a session. `options`: BSON `{causalConsistency?: bool, snapshot?: bool}`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] for options that cannot be sent.
    pub fn start_session(&self, options: &[u8]) -> Result<Task<Session>> {
        self.check(None)?;
        let options = options::session(options)?;
        let this = self.clone();
        Ok(Task::spawn(async move {
            let driver = this.driver().await?;
            let consistency = Consistency::of(&options);
            let session = driver.start_session().with_options(options).await;
            Ok(Session::new(
                &this,
                session.map_err(from_driver)?,
                consistency,
            ))
        }))
    }

    /// Ends what runs, kills open cursors, closes connections. Closing twice is no error; any other use afterwards is.
    pub fn close(&self) -> Task<()> {
        if self.0.closed.swap(true, Ordering::AcqRel) {
            return Task::ready(Ok(()));
        }
        let Some(connected) = self.0.native.get() else {
            return Task::ready(Ok(()));
        };
        connected.closing.send_replace(true);
        let this = self.clone();
        Task::spawn(async move {
            let begun = Instant::now();
            registry::stop(Some(this.0.id), CLOSING).await;
            // The server would keep the locks of an open transaction for a minute.
            let open = take(&mut *this.connected()?.transactions());
            let ends = open.into_iter().filter_map(|session| session.upgrade());
            let ending = join_all(ends.map(Session::end_transaction));
            let _ = timeout(CLOSING, ending).await;
            this.writers()?.clear();
            let connected = this.connected()?;
            if let Some(driver) = connected.driver.get() {
                // Not waiting for what still holds the driver's client: a session that Python keeps would block it.
                let left = CLOSING.saturating_sub(begun.elapsed()).max(CLOSING / 4);
                // It goes on by itself.
                let closing = tokio::spawn(shut_down(driver.clone(), Arc::clone(&connected.kept)));
                let _ = timeout(left, closing).await;
            }
            Ok(())
        })
        .detached()
    }

    /// Finishes cursors that were left, and killed.
    pub(crate) async fn finish(&self, cursors: Vec<SessionRawBatchCursor>) {
        if let (Ok(connected), Ok(driver)) = (self.connected(), self.driver().await) {
            connected.kept.finish(driver, cursors).await;
        }
    }

    /// Kill what may be open on a server, and wait until that is confirmed; return whether it was.
    pub(crate) async fn kill(&self, pending: PendingKill) -> bool {
        match self.driver().await {
            Ok(driver) => pending.kill(driver).await,
            Err(_) => false,
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// Refuses the use of a closed client, or of a session that is not its own.
    pub(crate) fn check(&self, session: Option<&Session>) -> Result<()> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(self.interrupted());
        }
        session.map_or(Ok(()), |session| session.check(self))
    }

    /// Why an exchange was broken off: its client was closed, or else nobody wants its outcome.
    pub(crate) fn interrupted(&self) -> Error {
        Error::new(if self.0.closed.load(Ordering::Acquire) {
            ErrorKind::Connection("the client is closed".into())
        } else {
            ErrorKind::Cancelled
        })
    }

    /// Runs one exchange with the server, until its deadline or until the client is closed.
    pub(crate) fn task<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Task<T> {
        self.labelled(limit, None, work)
    }

    /// As [`Client::task`]; the error of a deadline gets the label that the driver gives a lost connection.
    pub(crate) fn labelled<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        label: Option<&'static str>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Task<T> {
        let this = self.clone();
        Task::spawn(async move {
            let mut closing = this.connected()?.closing.subscribe();
            tokio::select! {
                outcome = work => outcome,
                _ = closing.wait_for(|closing| *closing) => Err(this.interrupted()),
                () = deadline(limit) => {
                    Err(this.no_answer(limit.unwrap_or_default()).with_label(label))
                }
            }
        })
    }

    /// Waits until the client was closed, and as long as that may take.
    pub(crate) async fn was_closed(&self) {
        if let Ok(connected) = self.connected() {
            let mut closing = connected.closing.subscribe();
            let _ = closing.wait_for(|closing| *closing).await;
        }
        sleep(CLOSING).await;
    }

    /// The error of a deadline that passed, with what is known to be wrong with the servers.
    pub(crate) fn no_answer(&self, limit: Duration) -> Error {
        let connected = self.0.native.get();
        let failures = connected.map(|connected| connected.heartbeats.lines());
        no_answer(limit, &failures.unwrap_or_default())
    }

    /// The sessions that retryable writes are numbered in.
    pub(crate) fn writers(&self) -> Result<&WriteSessions> {
        Ok(&self.connected()?.writers)
    }

    /// Records a session whose transaction is aborted when the client is closed.
    pub(crate) fn opened_transaction(&self, session: &Session) {
        if let Ok(connected) = self.connected() {
            let mut transactions = connected.transactions();
            transactions.retain(|known| {
                known.upgrade().is_some_and(|known| {
                    known.in_transaction() && !known.ended() && !known.is(session)
                })
            });
            transactions.push(session.downgrade());
        }
    }

    /// What is known of the documents that are read.
    pub(crate) fn sizes(&self) -> Result<&DocumentSizes> {
        Ok(&self.connected()?.sizes)
    }

    /// How long the way to a server and back takes at least.
    pub(crate) fn round_trip(&self) -> Result<&RoundTrip> {
        Ok(&self.connected()?.round_trip)
    }

    /// Return whether reads are sent a second time, unless the connection string says otherwise.
    pub(crate) fn retries_reads(&self) -> bool {
        self.0.address.connection.retry_reads != Some(false)
    }

    /// Whether the connection string leaves retryable writes on.
    pub(crate) fn retries_writes(&self) -> bool {
        self.0.address.connection.retry_writes != Some(false)
    }

    fn connected(&self) -> Result<&Connected> {
        self.0.native.get_or_try_init(|| {
            Ok(Connected {
                driver: OnceCell::new(),
                heartbeats: HeartbeatFailures::default(),
                writers: WriteSessions::default(),
                sizes: DocumentSizes::default(),
                round_trip: RoundTrip::default(),
                closing: watch::Sender::new(false),
                kept: Arc::default(),
                transactions: Mutex::default(),
            })
        })
    }

    /// This process's driver client; to be called on the runtime.
    pub(crate) async fn driver(&self) -> Result<&mongodb::Client> {
        let connected = self.connected()?;
        connected.driver.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<mongodb::Client> {
        let connection = self.0.address.connection.clone();
        let limit = connection
            .server_selection_timeout
            .unwrap_or(SERVER_SELECTION);
        // Only mongodb+srv waits here, for DNS.
        let parsed = timeout(limit, ClientOptions::parse(connection)).await;
        let mut options = parsed
            .map_err(|_| no_answer(limit, &[]))?
            .map_err(from_driver)?;
        options.server_selection_timeout = Some(limit);
        options.driver_info = Some(
            DriverInfo::builder()
                .name("data-bridge")
                .version(env!("CARGO_PKG_VERSION").to_owned())
                .build(),
        );
        options.cmap_event_handler = Some(EventHandler::callback(|event| {
            driver_events::connection(&event);
            if let CmapEvent::ConnectionCheckedOut(event) = event {
                let _ = ANSWERING.try_with(|place| {
                    let mut asked = place.lock().unwrap_or_else(PoisonError::into_inner);
                    if !asked.is_empty() {
                        // A second connection for one operation: the driver tries it again.
                        Event::new(Topic::Command, Level::Info, "retried")
                            .with("server", event.address.to_string())
                            .record();
                    }
                    asked.push(event.address);
                });
            }
        }));
        let connected = self.connected()?;
        let (heartbeats, round_trip) = (connected.heartbeats.clone(), connected.round_trip.clone());
        options.sdam_event_handler = Some(EventHandler::callback(move |event| {
            heartbeats.record(&event);
            round_trip.record(&event);
            driver_events::server(event);
        }));
        mongodb::Client::with_options(options)
            .map_err(|error| Error::new(ErrorKind::InvalidArgument(text(&error))))
    }
}

/// Until a deadline has passed.
pub(crate) async fn deadline(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}
