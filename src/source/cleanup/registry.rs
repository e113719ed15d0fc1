//! The pumps under way in this process, so that closing a client and leaving the process can end them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind, Result};
use crate::reader::fork::PerProcess;
use crate::source::runtime::io_threads;

static REGISTRY: PerProcess<Registry> = PerProcess::new();

struct Registry {
    pumps: Mutex<Pumps>,
    alive: watch::Sender<usize>,
}

#[derive(Default)]
struct Pumps {
    next: u64,
    /// The process is about to leave: what a thread of it starts now would stay open on its server.
    leaving: bool,
    alive: HashMap<u64, (u64, watch::Sender<bool>)>,
}

impl Registry {
    fn of_this_process() -> Result<&'static Registry> {
        REGISTRY.get_or_try_init(|| {
            Ok(Registry {
                pumps: Mutex::default(),
                alive: watch::Sender::new(0),
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Pumps> {
        self.pumps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn none_left(&self, client: Option<u64>) -> bool {
        let pumps = self.lock();
        match client {
            None => pumps.alive.is_empty(),
            Some(client) => pumps.alive.values().all(|(owner, _)| *owner != client),
        }
    }
}

/// A pump's place in the registry, left when dropped: after its cursor was killed.
pub(crate) struct Ticket {
    id: u64,
    registry: &'static Registry,
}

/// Registers a pump of `client`, which `stop` ends.
pub(crate) fn enter(client: u64, stop: watch::Sender<bool>) -> Result<Ticket> {
    let registry = Registry::of_this_process()?;
    let mut pumps = registry.lock();
    if pumps.leaving {
        return Err(Error::new(ErrorKind::Cancelled));
    }
    let id = pumps.next;
    pumps.next += 1;
    pumps.alive.insert(id, (client, stop));
    Ok(Ticket { id, registry })
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut pumps = self.registry.lock();
        pumps.alive.remove(&self.id);
        let left = pumps.alive.len();
        drop(pumps);
        self.registry.alive.send_replace(left);
    }
}

/// Ends the pumps of `client`, or all, and waits up to `within` until their cursors are killed.
pub(crate) async fn stop(client: Option<u64>, within: Duration) {
    let Some(registry) = REGISTRY.get() else {
        return;
    };
    let mut alive = registry.alive.subscribe();
    for (owner, stop) in registry.lock().alive.values() {
        if client.is_none_or(|client| client == *owner) {
            stop.send_replace(true);
        }
    }
    let _ = timeout(within, alive.wait_for(|_| registry.none_left(client))).await;
}

/// How many runs of this process are under way, those included that are over for their readers and clean up: for tests.
#[doc(hidden)]
pub fn runs() -> usize {
    REGISTRY
        .get()
        .map_or(0, |registry| registry.lock().alive.len())
}

/// Ends every run of this process and waits, up to `within`, until the servers have closed their cursors.
///
/// To be called from a plain thread, not from the runtime.
pub fn shutdown(within: Duration) {
    if let Some(handle) = io_threads::started() {
        // `Handle::block_on` runs no loop.
        let _busy = io_threads::busy();
        handle.block_on(stop(None, within));
    }
}

/// As [`shutdown`], and refuses runs from then on: threads may go on while a process leaves.
///
/// What a process calls before it leaves: a cursor that is not killed stays open on its server for half an hour.
pub fn leave(within: Duration) {
    // Made now if nothing ran yet: a thread may be just about to start the first run.
    if let Ok(registry) = Registry::of_this_process() {
        registry.lock().leaving = true;
    }
    shutdown(within);
}
