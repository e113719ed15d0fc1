//! Waits for servers, until the reply, a deadline or a stop; and the kills of cursors that may then be open.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mongodb::options::ServerAddress;
use tokio::sync::watch;
use tokio::time::{timeout, Instant};

use super::{OpenCursor, Pump};
use crate::source::cleanup::kill::PendingKill;
use crate::source::connection::client::pass;
use crate::source::connection::session::{Session, TRANSIENT_TRANSACTION};
use crate::source::read::batch::Parts;

/// Time that a killed exchange has to end.
const LATE_REPLY_LIMIT: Duration = Duration::from_secs(1);

/// Time that a getMore in a transaction has before it is killed: killing an operation aborts the transaction, killing an idle cursor
/// does not.
const TRANSACTION_GRACE: Duration = Duration::from_secs(2);

impl Pump {
    /// Waits for the server until the deadline, or until the run is stopped. Then the reader gets the error at once, the query is
    /// killed, and the result is an `Err` with the late output of the wait, if there is one.
    pub(super) async fn wait_for_server<F: Future>(
        &mut self,
        wait: F,
    ) -> Result<F::Output, Option<F::Output>> {
        let mut wait = pin!(wait);
        let begun = Instant::now();
        let limit = self.wait_budget.left();
        let deadline = pass(limit);
        let (error, grace) = tokio::select! {
            biased;
            done = &mut wait => {
                let took = begun.elapsed();
                self.wait_budget.waited += took;
                self.events.waited(took, || last_server(&self.contacted_servers));
                return Ok(done);
            }
            () = stopped(&mut self.stop) => (self.client.interruption(), self.in_transaction),
            () = deadline => {
                let label = self.in_transaction.then_some(TRANSIENT_TRANSACTION);
                let error = self.client.no_answer(self.wait_budget.limit.unwrap_or_default());
                (error.with_label(label), false)
            }
        };
        let pending = self.take_pending_kill();
        self.output.finish(Err(error));
        let mut late = None;
        if grace && pending.is_some() {
            late = timeout(TRANSACTION_GRACE, &mut wait).await.ok();
        }
        // The kill and the wait run together: the wait may have a connection, or a place in a queue, that the kill needs.
        let killed = {
            // Without a server no query was sent. The driver may still be connecting in the interrupted wait: do not wait for it.
            let mut kill = pin!(async {
                match pending {
                    Some(pending) => self.client.kill(pending).await,
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
            // The kill ends the exchange on the server. With the reply read, the connection stays usable.
            late = timeout(LATE_REPLY_LIMIT, wait).await.ok();
        }
        Err(late)
    }

    /// Records a reply, and whether its cursor is open.
    pub(super) fn record_reply(&mut self, parts: &Parts) {
        let bytes = parts.reply.as_ref().map_or(0, |reply| reply.bytes().len());
        self.events
            .reply(parts.id, bytes, || last_server(&self.contacted_servers));
        self.cursor = (parts.id != 0).then(|| OpenCursor {
            id: parts.id,
            database: parts.database.clone(),
            collection: parts.collection.clone(),
        });
    }

    /// Takes the kill of the cursor or query that may be open now. The caller must send it.
    pub(super) fn take_pending_kill(&mut self) -> Option<PendingKill> {
        self.collect_abandoned_attempts();
        let address = self.address()?;
        match (self.cursor.take(), self.own_session.take()) {
            (
                Some(OpenCursor {
                    id,
                    database,
                    collection,
                }),
                _,
            ) => Some(PendingKill::cursor(address, database, collection, id)),
            (None, Some(session)) => session_kill(address, &session),
            (None, None) => {
                if let Some(session) = self.caller_session.take() {
                    session.record_unknown_cursor(address);
                }
                None
            }
        }
    }

    /// Records kills for attempts that the driver retried on another connection: a lost reply may have opened a cursor.
    pub(super) fn collect_abandoned_attempts(&mut self) {
        let mut contacted = self
            .contacted_servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while contacted.len() > 1 {
            let address = contacted.remove(0);
            match (&self.own_session, &self.caller_session) {
                (Some(session), _) => {
                    let kill = session_kill(address, session);
                    self.pending_kills.extend(kill);
                }
                (None, Some(session)) => session.record_unknown_cursor(address),
                (None, None) => {}
            }
        }
    }

    /// The server that replied last.
    pub(super) fn address(&self) -> Option<ServerAddress> {
        last_server(&self.contacted_servers)
    }
}

/// The kill of everything that is open in a session; `None` for a session of another process.
fn session_kill(address: ServerAddress, session: &Session) -> Option<PendingKill> {
    let id = session.id().ok()?.clone();
    Some(PendingKill::session(address, id, session.clone()))
}

/// The server that was contacted last.
pub(super) fn last_server(contacted: &Mutex<Vec<ServerAddress>>) -> Option<ServerAddress> {
    let contacted = contacted.lock().unwrap_or_else(PoisonError::into_inner);
    contacted.last().cloned()
}

/// Waits until the reader is dropped, its client closed, or the process exits.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The time that the run may still wait for the server.
pub(super) struct WaitBudget {
    pub(super) limit: Option<Duration>,
    /// All waits count; else those since the reader's last reply.
    pub(super) eager: bool,
    /// The time of the waits that count.
    pub(super) waited: Duration,
}

impl WaitBudget {
    /// The rest of the budget; `None` without a limit.
    pub(super) fn left(&self) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(self.waited))
    }

    /// Records that the reader has a reply.
    pub(super) fn reply_delivered(&mut self) {
        if !self.eager {
            self.waited = Duration::ZERO;
        }
    }
}
