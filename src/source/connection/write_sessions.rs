//! Driver sessions for retryable writes, with their transaction numbers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mongodb::ClientSession;

use super::failure::from_driver;
use crate::error::{Error, ErrorKind, Result};
use crate::source::cleanup::implicit_session::implicit;

/// Time that a session stays unused after a write without a reply: the server may still be executing it, and the session's next
/// write would wait for its end.
const QUARANTINE: Duration = Duration::from_secs(60);

/// The number before the first `txnNumber` of this crate. A session from the driver's pool may have had transactions of the caller,
/// which the driver numbers from 1; the server refuses a number that is not above the last one, or takes it for a retry.
const NUMBER_BEFORE_FIRST: i64 = 1 << 32;

/// The sessions of one client in one process. They are not returned to the driver: it would number its own transactions below the
/// numbers that the server knows from this crate.
#[derive(Clone, Default)]
pub(crate) struct WriteSessions(Arc<Shared>);

#[derive(Default)]
struct Shared {
    idle: Mutex<VecDeque<Idle>>,
    unsupported: AtomicBool,
}

struct Idle {
    session: ClientSession,
    number: i64,
    /// Unused until this time.
    usable_from: Instant,
}

impl WriteSessions {
    /// Takes a session that no other write uses.
    pub(crate) async fn take(&self, driver: &mongodb::Client) -> Result<Writer> {
        let (session, number) = match self.take_usable() {
            Some(idle) => (idle.session, idle.number),
            None => (
                implicit(driver).await.map_err(from_driver)?,
                NUMBER_BEFORE_FIRST,
            ),
        };
        Ok(Writer {
            sessions: self.clone(),
            session: Some(session),
            number: number + 1,
        })
    }

    fn take_usable(&self) -> Option<Idle> {
        let now = Instant::now();
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // The one used last, so that sessions that are not needed expire on the server.
        let position = idle.iter().rposition(|idle| idle.usable_from <= now)?;
        idle.remove(position)
    }

    fn put_back(&self, session: ClientSession, number: i64, quarantine: Duration) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push_back(Idle {
            session,
            number,
            usable_from: Instant::now() + quarantine,
        });
    }

    /// Returns false once the server refused numbered writes.
    pub(crate) fn supported(&self) -> bool {
        !self.0.unsupported.load(Ordering::Relaxed)
    }

    /// Records that the server takes no numbered writes: it is no member of a replica set.
    pub(crate) fn set_unsupported(&self) {
        self.0.unsupported.store(true, Ordering::Relaxed);
    }

    /// Returns the sessions to the driver, which ends them when its client is closed.
    pub(crate) fn clear(&self) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = std::mem::take(&mut *idle);
        drop(idle);
        drop(sessions);
    }
}

/// A session while one write uses it. If it is dropped before [`finish`](Writer::finish), it stays unused for a while.
pub(crate) struct Writer {
    sessions: WriteSessions,
    session: Option<ClientSession>,
    number: i64,
}

impl Writer {
    /// The `txnNumber` of this write.
    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    pub(crate) fn session(&mut self) -> Result<&mut ClientSession> {
        // Only `finish` and `drop` take it out.
        self.session
            .as_mut()
            .ok_or_else(|| Error::new(ErrorKind::Internal("a write has no session".into())))
    }

    /// Puts the session back for the next write.
    pub(crate) fn finish(mut self) {
        if let Some(session) = self.session.take() {
            self.sessions.put_back(session, self.number, Duration::ZERO);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.sessions.put_back(session, self.number, QUARANTINE);
        }
    }
}
