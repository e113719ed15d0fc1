//! What the driver's monitors found wrong with servers, for the errors of deadlines: an operation that waits for a server
//! learns nothing of why none comes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mongodb::event::sdam::SdamEvent;

use super::failure::text;

/// The latest failure of each server's monitor, until it hears from its server again.
#[derive(Clone, Default)]
pub(crate) struct HeartbeatFailures(Arc<Mutex<BTreeMap<String, String>>>);

impl HeartbeatFailures {
    /// Keeps this up to date.
    pub(crate) fn note(&self, event: &SdamEvent) {
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

    /// Server and failure, a line each.
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
