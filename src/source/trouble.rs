//! What the driver's monitors found wrong with servers, for the errors of deadlines: an operation that waits for a server
//! learns nothing of why none comes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mongodb::event::sdam::SdamEvent;
use mongodb::event::EventHandler;

use super::failure::text;

/// The latest failure of each server's monitor, until it hears from its server again.
#[derive(Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<BTreeMap<String, String>>>);

impl Trouble {
    /// What has the driver keep this up to date.
    pub(crate) fn handler(&self) -> EventHandler<SdamEvent> {
        let this = self.clone();
        EventHandler::callback(move |event| match event {
            SdamEvent::ServerHeartbeatFailed(event) => {
                let cause = text(&event.failure);
                this.lock().insert(event.server_address.to_string(), cause);
            }
            SdamEvent::ServerHeartbeatSucceeded(event) => {
                this.lock().remove(&event.server_address.to_string());
            }
            SdamEvent::ServerClosed(event) => {
                this.lock().remove(&event.address.to_string());
            }
            _ => {}
        })
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
