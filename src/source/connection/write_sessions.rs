//! Sessions that retryable writes are numbered in.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mongodb::ClientSession;

use super::failure::from_driver;
use crate::error::{Error, ErrorKind, Result};
use crate::source::cleanup::implicit_session::implicit;

/// How long a session rests after a write in it was given up: the server may still be at it, and would make the next
/// write of the session wait for its end.
const REST: Duration = Duration::from_secs(60);

/// Below the first number of ours. A session that the driver hands out may have been through transactions of the caller's,
/// which the driver numbers from 1; a number that is not above the last one is refused, or taken for a retry.
const BELOW_OURS: i64 = 1 << 32;

/// The sessions of one client in one process. They are kept, not given back to the driver, which would number its
/// own transactions from where it left off, below what the server has seen of ours.
#[derive(Clone, Default)]
pub(crate) struct WriteSessions(Arc<Shared>);

#[derive(Default)]
struct Shared {
    idle: Mutex<VecDeque<Idle>>,
    refused: AtomicBool,
}

struct Idle {
    session: ClientSession,
    number: i64,
    from: Instant,
}

impl WriteSessions {
    /// A session that nobody else writes in.
    pub(crate) async fn take(&self, driver: &mongodb::Client) -> Result<Writer> {
        let (session, number) = match self.rested() {
            Some(idle) => (idle.session, idle.number),
            None => (implicit(driver).await.map_err(from_driver)?, BELOW_OURS),
        };
        Ok(Writer {
            home: self.clone(),
            session: Some(session),
            number: number + 1,
        })
    }

    fn rested(&self) -> Option<Idle> {
        let now = Instant::now();
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // The one used last, so that those that are not needed become too old for the server.
        let position = idle.iter().rposition(|idle| idle.from <= now)?;
        idle.remove(position)
    }

    fn keep(&self, session: ClientSession, number: i64, rest: Duration) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push_back(Idle {
            session,
            number,
            from: Instant::now() + rest,
        });
    }

    /// Whether the server takes numbered writes, as far as is known.
    pub(crate) fn supported(&self) -> bool {
        !self.0.refused.load(Ordering::Relaxed)
    }

    /// Notes that it does not: it is no member of a replica set.
    pub(crate) fn refuse(&self) {
        self.0.refused.store(true, Ordering::Relaxed);
    }

    /// Gives the sessions up, for the driver to end when its client is closed.
    pub(crate) fn clear(&self) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = std::mem::take(&mut *idle);
        drop(idle);
        drop(sessions);
    }
}

/// A session while one write uses it. Dropped before the write is finished, it rests.
pub(crate) struct Writer {
    home: WriteSessions,
    session: Option<ClientSession>,
    number: i64,
}

impl Writer {
    /// The number of this write.
    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    pub(crate) fn session(&mut self) -> Result<&mut ClientSession> {
        // Only `finish` and `drop` take it out.
        self.session
            .as_mut()
            .ok_or_else(|| Error::new(ErrorKind::Internal("a writer without a session".into())))
    }

    /// Gives the session back, for the next write.
    pub(crate) fn finish(mut self) {
        if let Some(session) = self.session.take() {
            self.home.keep(session, self.number, Duration::ZERO);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.home.keep(session, self.number, REST);
        }
    }
}
