//! The client, with one driver client for each process, made on first use.

use std::future::Future;
use std::mem::take;
use std::pin::Pin;
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
use crate::error::{ConnectionCause, Error, ErrorKind, Result};
use crate::reader::fork::PerProcess;
use crate::reader::ConnectionFacts;
use crate::source::cleanup::kill::PendingKill;
use crate::source::cleanup::killed_cursors::KilledCursors;
use crate::source::cleanup::registry;
use crate::source::monitoring::driver_events;
use crate::source::monitoring::events::{Event, Level, Topic};
use crate::source::runtime::io_threads;
use crate::source::runtime::task::Task;

/// Server selection timeout if the connection string has none: longer than the heartbeat interval of 10 s, because the next heartbeat
/// may be the first to find a server that refused a command during its shutdown.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Time that [`Client::close`] waits for the servers to confirm killed cursors and ended sessions.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Time limits of the driver's attempts to end sessions and connections.
const SHUTDOWN_LIMITS: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

tokio::task_local! {
    /// The servers that the operation of this scope was sent to; the last one replied. The driver does not expose the server of a
    /// cursor or a retry, but it checks out the connection on the task that runs the operation.
    pub(crate) static CONTACTED_SERVERS: Arc<Mutex<Vec<ServerAddress>>>;
}

/// A MongoDB client: cheap to clone, usable from any thread and after a fork.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    id: u64,
    address: Arc<Address>,
    closed: AtomicBool,
    native: PerProcess<Connected>,
}

/// The state of a client in one process.
struct Connected {
    address: Arc<Address>,
    driver: OnceCell<mongodb::Client>,
    heartbeats: HeartbeatFailures,
    write_sessions: WriteSessions,
    document_sizes: DocumentSizes,
    round_trip: RoundTrip,
    closing: watch::Sender<bool>,
    killed_cursors: Arc<KilledCursors>,
    /// Sessions in which a transaction was started.
    transactions: Mutex<Vec<WeakSession>>,
}

impl Connected {
    fn open_transactions(&self) -> MutexGuard<'_, Vec<WeakSession>> {
        self.transactions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connected {
    /// Ends the connections of a client that was not closed. The driver would kill the kept cursors, and not end before the replies.
    fn drop(&mut self) {
        if let (Some(driver), false) = (self.driver.take(), self.killed_cursors.is_empty()) {
            if let Ok(handle) = io_threads::handle() {
                handle.spawn(shut_down(
                    driver,
                    Arc::clone(&self.address),
                    Arc::clone(&self.killed_cursors),
                ));
            }
        }
    }
}

/// Ends sessions, then connections, in a few attempts: the driver waits for the reply to the end of sessions, which may be lost. Each
/// attempt takes another connection.
async fn shut_down(
    driver: mongodb::Client,
    address: Arc<Address>,
    killed_cursors: Arc<KilledCursors>,
) {
    // During a shutdown, the driver's monitor does not pause between attempts to connect. An attempt at such a socket fails without a
    // wait, so no other task of the thread would run. There is nothing to end either.
    if !address.is_local_and_down().await {
        attempt_shutdown(driver).await;
    }
    killed_cursors.clear();
}

async fn attempt_shutdown(driver: mongodb::Client) {
    for within in SHUTDOWN_LIMITS {
        let shutdown = driver.clone().shutdown().immediate(true);
        if timeout(within, shutdown).await.is_ok() {
            break;
        }
    }
}

impl Client {
    /// Reads the connection string. Names are looked up and servers connected with the first operation.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`], which never quotes user name or password.
    pub fn new(uri: &str) -> Result<Self> {
        Ok(Client(Arc::new(Inner {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            address: Arc::new(uri::parse(uri)?),
            closed: AtomicBool::new(false),
            native: PerProcess::new(),
        })))
    }

    /// The database that the connection string names.
    pub fn default_database(&self) -> Option<&str> {
        self.0.address.connection.default_database.as_deref()
    }

    /// The connection string as it was given, with credentials.
    pub fn uri(&self) -> &str {
        &self.0.address.uri
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

    /// Ends the runs, kills open cursors, closes connections. A second close is no error; any other use of a closed client is.
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
            registry::stop(Some(this.0.id), CLOSE_LIMIT).await;
            // The server would keep the locks of an open transaction for a minute.
            let open = take(&mut *this.connected()?.open_transactions());
            let ends = open.into_iter().filter_map(|session| session.upgrade());
            let ending = join_all(ends.map(Session::end_transaction));
            let _ = timeout(CLOSE_LIMIT, ending).await;
            this.write_sessions()?.clear();
            let connected = this.connected()?;
            if let Some(driver) = connected.driver.get() {
                // Do not wait for other owners of the driver's client: a session that Python holds would block the close.
                let left = CLOSE_LIMIT
                    .saturating_sub(begun.elapsed())
                    .max(CLOSE_LIMIT / 4);
                // The shutdown continues after the wait.
                let closing = tokio::spawn(shut_down(
                    driver.clone(),
                    Arc::clone(&this.0.address),
                    Arc::clone(&connected.killed_cursors),
                ));
                let _ = timeout(left, closing).await;
            }
            Ok(())
        })
        .detached()
    }

    /// Finishes killed cursors of the driver.
    pub(crate) async fn finish_cursors(&self, cursors: Vec<SessionRawBatchCursor>) {
        if let (Ok(connected), Ok(driver)) = (self.connected(), self.driver().await) {
            connected.killed_cursors.finish(driver, cursors).await;
        }
    }

    /// Kills a cursor or session that may be open on a server, and waits for the confirmation; returns whether it came.
    pub(crate) async fn kill(&self, pending: PendingKill) -> bool {
        match self.driver().await {
            Ok(driver) => pending.kill(driver).await,
            Err(_) => false,
        }
    }

    /// The number of the client in this process and its children.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// Refuses the use of a closed client, or of a session of another client.
    pub(crate) fn check(&self, session: Option<&Session>) -> Result<()> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(self.interruption());
        }
        session.map_or(Ok(()), |session| session.check(self))
    }

    /// The error of an exchange that was interrupted: its client was closed, or the caller cancelled it.
    pub(crate) fn interruption(&self) -> Error {
        if self.0.closed.load(Ordering::Acquire) {
            Error::new(ErrorKind::Connection("the client is closed".into()))
                .with_cause(Some(ConnectionCause::Closed))
        } else {
            Error::new(ErrorKind::Cancelled)
        }
    }

    /// Runs one exchange with the server, until its deadline or until the client is closed.
    pub(crate) fn task<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Task<T> {
        self.labelled_task(limit, None, work)
    }

    /// As [`Client::task`]; the error of a deadline gets the label that the driver gives a lost connection.
    pub(crate) fn labelled_task<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        label: Option<&'static str>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Task<T> {
        // Tasks are moved several times before they run, and the state of an exchange has 10 kB.
        let work: Pin<Box<dyn Future<Output = Result<T>> + Send>> = Box::pin(work);
        Task::spawn(self.clone().limited(limit, label, work))
    }

    /// The outcome of one exchange with the server, until its deadline or until the client is closed.
    pub(crate) async fn limited<T>(
        self,
        limit: Option<Duration>,
        label: Option<&'static str>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut closing = self.connected()?.closing.subscribe();
        tokio::select! {
            outcome = work => outcome,
            _ = closing.wait_for(|closing| *closing) => Err(self.interruption()),
            () = pass(limit) => {
                Err(self.no_answer(limit.unwrap_or_default()).with_label(label))
            }
        }
    }

    /// Waits until the client is closed and its close has had its time.
    pub(crate) async fn wait_until_closed(&self) {
        if let Ok(connected) = self.connected() {
            let mut closing = connected.closing.subscribe();
            let _ = closing.wait_for(|closing| *closing).await;
        }
        sleep(CLOSE_LIMIT).await;
    }

    /// The error of a deadline that passed, with the failures of the servers' heartbeats.
    pub(crate) fn no_answer(&self, limit: Duration) -> Error {
        let connected = self.0.native.get();
        let failures = connected.map(|connected| connected.heartbeats.lines());
        no_answer(limit, &failures.unwrap_or_default())
    }

    /// The sessions for retryable writes.
    pub(crate) fn write_sessions(&self) -> Result<&WriteSessions> {
        Ok(&self.connected()?.write_sessions)
    }

    /// Records a session whose transaction is aborted when the client is closed.
    pub(crate) fn record_transaction(&self, session: &Session) {
        if let Ok(connected) = self.connected() {
            let mut transactions = connected.open_transactions();
            transactions.retain(|known| {
                known.upgrade().is_some_and(|known| {
                    known.in_transaction() && !known.ended() && !known.is_same(session)
                })
            });
            transactions.push(session.downgrade());
        }
    }

    /// The known sizes of documents.
    pub(crate) fn document_sizes(&self) -> Result<&DocumentSizes> {
        Ok(&self.connected()?.document_sizes)
    }

    /// The shortest round trip to a server.
    pub(crate) fn round_trip(&self) -> Result<&RoundTrip> {
        Ok(&self.connected()?.round_trip)
    }

    /// The shortest round trip to a server, and whether compression is offered; `None` before a heartbeat.
    pub(crate) fn connection_facts(&self) -> Option<ConnectionFacts> {
        let round_trip = self.0.native.get()?.round_trip.shortest()?;
        let compressors = self.0.address.connection.compressors.as_ref();
        Some(ConnectionFacts {
            round_trip,
            compressed: compressors.is_some_and(|names| !names.is_empty()),
        })
    }

    /// Returns whether the connection string leaves retryable reads on.
    pub(crate) fn retries_reads(&self) -> bool {
        self.0.address.connection.retry_reads != Some(false)
    }

    /// Returns whether the connection string leaves retryable writes on.
    pub(crate) fn retries_writes(&self) -> bool {
        self.0.address.connection.retry_writes != Some(false)
    }

    fn connected(&self) -> Result<&Connected> {
        self.0.native.get_or_try_init(|| {
            Ok(Connected {
                address: Arc::clone(&self.0.address),
                driver: OnceCell::new(),
                heartbeats: HeartbeatFailures::default(),
                write_sessions: WriteSessions::default(),
                document_sizes: DocumentSizes::default(),
                round_trip: RoundTrip::default(),
                closing: watch::Sender::new(false),
                killed_cursors: Arc::default(),
                transactions: Mutex::default(),
            })
        })
    }

    /// This process's driver client. Call it on an I/O thread.
    pub(crate) async fn driver(&self) -> Result<&mongodb::Client> {
        let connected = self.connected()?;
        connected.driver.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<mongodb::Client> {
        let connection = self.0.address.connection.clone();
        let limit = connection
            .server_selection_timeout
            .unwrap_or(SERVER_SELECTION_TIMEOUT);
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
                let _ = CONTACTED_SERVERS.try_with(|servers| {
                    let mut contacted = servers.lock().unwrap_or_else(PoisonError::into_inner);
                    if !contacted.is_empty() {
                        // A second connection for one operation: the driver retries it.
                        Event::new(Topic::Command, Level::Info, "retried")
                            .with("server", event.address.to_string())
                            .record();
                    }
                    contacted.push(event.address);
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

/// Waits until a time limit has passed; forever without one.
pub(crate) async fn pass(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}
