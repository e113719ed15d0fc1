//! Kills of cursors and sessions, sent to the server that holds them: the driver sends such commands to the primary.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{doc, Document};
use mongodb::options::{SelectionCriteria, ServerAddress};
use tokio::time::{sleep, timeout};

use crate::source::monitoring::events::{verbose, Event, Level, Topic};

/// Pause before each attempt of a kill, and the attempt's time limit. A later attempt may succeed: it takes another connection
/// or view of the topology, and a server that steps down refuses for some seconds only. A cursor that is not killed stays open
/// for ten minutes.
const ATTEMPTS: [(Duration, Duration); 5] = [
    (Duration::ZERO, Duration::from_millis(500)),
    (Duration::from_millis(100), Duration::from_secs(1)),
    (Duration::from_millis(300), Duration::from_secs(2)),
    (Duration::from_secs(1), Duration::from_secs(5)),
    // The driver may take a heartbeat of 10 s to find a server again.
    (Duration::from_secs(4), Duration::from_secs(15)),
];

/// Time that a session is kept out of the pool after a kill without confirmation.
const QUARANTINE: Duration = Duration::from_secs(60);

/// A cursor or a session that is open on a server, or may be, and that has to be killed there.
pub(crate) struct PendingKill {
    address: ServerAddress,
    database: String,
    command: Document,
    /// The killed session, kept out of the driver's pool until its kill is over.
    held: Option<Box<dyn Send + Sync>>,
}

impl PendingKill {
    /// The kill of one cursor.
    pub(crate) fn cursor(
        address: ServerAddress,
        database: String,
        collection: String,
        id: i64,
    ) -> Self {
        PendingKill {
            address,
            database,
            command: doc! {"killCursors": collection, "cursors": [id]},
            held: None,
        }
    }

    /// The kill of everything that is open in the session with this id. `held` keeps the session out of the driver's pool.
    pub(crate) fn session(
        address: ServerAddress,
        id: Document,
        held: impl Send + Sync + 'static,
    ) -> Self {
        PendingKill {
            address,
            database: "admin".into(),
            command: doc! {"killSessions": [id]},
            held: Some(Box::new(held)),
        }
    }

    /// Sends the kill and waits for the confirmation; returns whether it came.
    pub(crate) async fn kill(self, driver: &mongodb::Client) -> bool {
        let confirmed = kill(driver, &self.address, &self.database, self.command).await;
        if let (false, Some(session)) = (confirmed, self.held) {
            // The command may still arrive, and would kill another operation that got this session.
            tokio::spawn(async move {
                sleep(QUARANTINE).await;
                drop(session);
            });
        }
        confirmed
    }
}

/// Sends a command that kills, in a few attempts; returns whether it was confirmed.
async fn kill(
    driver: &mongodb::Client,
    address: &ServerAddress,
    database: &str,
    command: Document,
) -> bool {
    for (pause, within) in ATTEMPTS {
        sleep(pause).await;
        if run_on_server(driver, address, database, command.clone(), within).await {
            if verbose(Topic::Cursor) {
                record(Level::Debug, "killed", address, database, &command);
            }
            return true;
        }
    }
    // A warning, because an operator may have to act: a cursor of a session stays open for half an hour.
    record(
        Level::Warning,
        "kill not confirmed",
        address,
        database,
        &command,
    );
    false
}

fn record(
    level: Level,
    message: &'static str,
    address: &ServerAddress,
    database: &str,
    command: &Document,
) {
    let cursors = command.get_array("cursors").ok();
    let cursor = cursors.and_then(|cursors| cursors.first()?.as_i64());
    Event::new(Topic::Cursor, level, message)
        .with_some(
            "operation",
            command.iter().next().map(|(name, _)| name.as_str()),
        )
        .with("database", database)
        .with_some("collection", command.get_str("killCursors").ok())
        .with_some("cursor", cursor)
        .with("server", address.to_string())
        .record();
}

/// Sends a command to one server; returns whether it was executed in time.
pub(crate) async fn run_on_server(
    driver: &mongodb::Client,
    address: &ServerAddress,
    database: &str,
    command: Document,
    within: Duration,
) -> bool {
    let address = address.clone();
    let this_server =
        SelectionCriteria::Predicate(Arc::new(move |server| *server.address() == address));
    let database = driver.database(database);
    let sent = database
        .run_command(command)
        .selection_criteria(this_server);
    matches!(timeout(within, sent).await, Ok(Ok(_)))
}
