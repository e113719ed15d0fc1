//! Failures of the driver's heartbeats, for the errors of deadlines: an operation that waits for a server does not get the reason
//! that none is available.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mongodb::event::sdam::SdamEvent;

use super::failure::text;

/// The latest heartbeat failure of each server, until a heartbeat succeeds.
#[derive(Clone, Default)]
pub(crate) struct HeartbeatFailures(Arc<Mutex<BTreeMap<String, String>>>);

impl HeartbeatFailures {
    /// Takes an event of the driver into account.
    pub(crate) fn record(&self, event: &SdamEvent) {
        match event {
            SdamEvent::ServerHeartbeatFailed(event) => {
                let cause = text(&event.failure);
                self.lock().insert(event.server_address.to_string(), cause);
            }
            SdamEvent::ServerHeartbeatSucceeded(event) => {
                self.lock().remove(&event.server_address.to_string());
            }
            SdamEvent::ServerClosed(event) => {
                self.lock().remove(&event.address.to_string());
            }
            _ => {}
        }
    }

    /// Server and failure, one line for each server.
    pub(crate) fn lines(&self) -> Vec<String> {
        let found = self.lock();
        found
            .iter()
            .map(|(server, cause)| format!("{server}: {cause}"))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
