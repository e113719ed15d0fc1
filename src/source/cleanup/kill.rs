//! Commands to the one server that holds a cursor or session: the driver itself sends such commands to the primary.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{doc, Document};
use mongodb::options::{SelectionCriteria, ServerAddress};
use tokio::time::{sleep, timeout};

use crate::source::monitoring::events::{verbose, Event, Level, Topic};

/// How long a server has to confirm a kill, attempt by attempt, and how long to wait before each: what goes wrong with one
/// connection, or one look at the topology, need not go wrong with the next; a server that refuses at once, as while it
/// steps down, may not seconds later; and a cursor that is left stays open for ten minutes.
const ATTEMPTS: [(Duration, Duration); 5] = [
    (Duration::ZERO, Duration::from_millis(500)),
    (Duration::from_millis(100), Duration::from_secs(1)),
    (Duration::from_millis(300), Duration::from_secs(2)),
    (Duration::from_secs(1), Duration::from_secs(5)),
    // The driver may take a heartbeat of 10 s to find a server again.
    (Duration::from_secs(4), Duration::from_secs(15)),
];

/// How long a session stays unused after its kill was not confirmed.
const QUARANTINE: Duration = Duration::from_secs(60);

/// What is open on a server, or may be, and has to be killed there.
pub(crate) struct PendingKill {
    address: ServerAddress,
    database: String,
    command: Document,
    /// The killed session, kept from the driver's pool until its kill is over.
    held: Option<Box<dyn Send + Sync>>,
}

impl PendingKill {
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

    /// Everything that is open in the session with this id. `held` keeps it from the driver's pool.
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

    /// Kills it and waits for that to be confirmed; whether it was.
    pub(crate) async fn kill(self, driver: &mongodb::Client) -> bool {
        let confirmed = kill(driver, &self.address, &self.database, self.command).await;
        if let (false, Some(session)) = (confirmed, self.held) {
            // The command may still arrive, and must not meet another operation that was given this session.
            tokio::spawn(async move {
                sleep(QUARANTINE).await;
                drop(session);
            });
        }
        confirmed
    }
}

/// Sends a command that kills, in a few attempts; whether it was confirmed.
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
                killed(Level::Debug, "killed", address, database, &command);
            }
            return true;
        }
    }
    // Somebody may want to look after it: a cursor of a session stays open for half an hour.
    killed(
        Level::Warning,
        "kill not confirmed",
        address,
        database,
        &command,
    );
    false
}

fn killed(
    level: Level,
    what: &'static str,
    address: &ServerAddress,
    database: &str,
    command: &Document,
) {
    let cursors = command.get_array("cursors").ok();
    let cursor = cursors.and_then(|cursors| cursors.first()?.as_i64());
    Event::new(Topic::Cursor, level, what)
        .with_some(
            "operation",
            command.iter().next().map(|(name, _)| name.as_str()),
        )
        .with("database", database)
        .with_some("collection", command.get_str("killCursors").ok())
        .with_some("cursor", cursor)
        .with("server", address.to_string())
        .note();
}

/// Sends a command; whether it was carried out in time.
pub(crate) async fn run_on_server(
    driver: &mongodb::Client,
    address: &ServerAddress,
    database: &str,
    command: Document,
    within: Duration,
) -> bool {
    let address = address.clone();
    let there = SelectionCriteria::Predicate(Arc::new(move |server| *server.address() == address));
    let database = driver.database(database);
    let sent = database.run_command(command).selection_criteria(there);
    matches!(timeout(within, sent).await, Ok(Ok(_)))
}
