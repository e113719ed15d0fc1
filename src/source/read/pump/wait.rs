//! Waiting for servers: to a deadline, until nobody wants the answer, and what may then be open there.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mongodb::options::ServerAddress;
use tokio::sync::watch;
use tokio::time::{sleep, timeout, Instant};

use super::{OpenCursor, Pump};
use crate::source::cleanup::kill::PendingKill;
use crate::source::connection::session::{Session, TRANSIENT_TRANSACTION};
use crate::source::read::batch::Parts;

/// How long an exchange that was ended by a kill may take to say so.
const LATE: Duration = Duration::from_secs(1);

/// How long a getMore in a transaction may go on before it is killed: that aborts the transaction, killing an idle cursor does
/// not.
const IN_TRANSACTION: Duration = Duration::from_secs(2);

impl Pump {
    /// Waits for the server until the deadline, or until the run is stopped. Then the reader is told at once, the
    /// query is killed, and what the wait gave in the end comes as `Err`.
    pub(super) async fn wait_for_server<F: Future>(
        &mut self,
        wait: F,
    ) -> Result<F::Output, Option<F::Output>> {
        let mut wait = pin!(wait);
        let begun = Instant::now();
        let limit = self.wait_budget.left();
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
                self.wait_budget.waited += took;
                self.trace.answered(took, || last(&self.answering));
                return Ok(done);
            }
            () = stopped(&mut self.stop) => (self.client.interrupted(), self.in_transaction),
            () = over => {
                let label = self.in_transaction.then_some(TRANSIENT_TRANSACTION);
                let error = self.client.no_answer(self.wait_budget.limit.unwrap_or_default());
                (error.with_label(label), false)
            }
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
                    Some(left) => self.client.kill(left).await,
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

    pub(super) fn note(&mut self, parts: &Parts) {
        let bytes = parts.reply.as_ref().map_or(0, |reply| reply.bytes().len());
        self.trace.reply(parts.id, bytes, || last(&self.answering));
        self.cursor = (parts.id != 0).then(|| OpenCursor {
            id: parts.id,
            database: parts.database.clone(),
            collection: parts.collection.clone(),
        });
    }

    /// What is open on the server now, or may be; it is somebody else's to kill from here on.
    pub(super) fn leave(&mut self) -> Option<PendingKill> {
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
            ) => Some(PendingKill::cursor(address, database, collection, id)),
            (None, Some(session)) => session_kill(address, &session),
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
    pub(super) fn set_apart(&mut self) {
        let mut asked = self
            .answering
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while asked.len() > 1 {
            let address = asked.remove(0);
            match (&self.own_session, &self.their_session) {
                (Some(session), _) => {
                    let given_up = session_kill(address, session);
                    self.pending_kills.extend(given_up);
                }
                (None, Some(session)) => session.left_open(address),
                (None, None) => {}
            }
        }
    }

    pub(super) fn address(&self) -> Option<ServerAddress> {
        last(&self.answering)
    }
}

/// The kill of everything that is open in a session; `None` for one that is of no use in this process.
fn session_kill(address: ServerAddress, session: &Session) -> Option<PendingKill> {
    let id = session.id().ok()?.clone();
    Some(PendingKill::session(address, id, session.clone()))
}

/// The server that answered last, if any did.
pub(super) fn last(asked: &Mutex<Vec<ServerAddress>>) -> Option<ServerAddress> {
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    asked.last().cloned()
}

/// Until the reader is gone, its client closed, or the process about to leave.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How long the run may still wait for the server.
pub(super) struct WaitBudget {
    pub(super) limit: Option<Duration>,
    pub(super) eager: bool,
    /// What is to be counted: of all waits, or of those since the reader's last reply.
    pub(super) waited: Duration,
}

impl WaitBudget {
    pub(super) fn left(&self) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(self.waited))
    }

    /// The reader has a reply.
    pub(super) fn answered(&mut self) {
        if !self.eager {
            self.waited = Duration::ZERO;
        }
    }
}
