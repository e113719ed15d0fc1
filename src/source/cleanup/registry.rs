//! Runs in progress in this process: closing a client and exiting the process end them.

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
    runs: Mutex<Runs>,
    alive: watch::Sender<usize>,
}

#[derive(Default)]
struct Runs {
    next: u64,
    /// The process is about to exit: a cursor opened now would stay open on its server.
    exiting: bool,
    /// The client and the stop signal of each run in progress.
    alive: HashMap<u64, (u64, watch::Sender<bool>)>,
}

impl Registry {
    fn of_this_process() -> Result<&'static Registry> {
        REGISTRY.get_or_try_init(|| {
            Ok(Registry {
                runs: Mutex::default(),
                alive: watch::Sender::new(0),
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self, client: Option<u64>) -> bool {
        let runs = self.lock();
        match client {
            None => runs.alive.is_empty(),
            Some(client) => runs.alive.values().all(|(owner, _)| *owner != client),
        }
    }
}

/// A registered run. Drop it after the run's cursor was killed.
pub(crate) struct Registration {
    id: u64,
    registry: &'static Registry,
}

/// Registers a run of `client`, which `stop` ends.
pub(crate) fn register(client: u64, stop: watch::Sender<bool>) -> Result<Registration> {
    let registry = Registry::of_this_process()?;
    let mut runs = registry.lock();
    if runs.exiting {
        return Err(Error::new(ErrorKind::Cancelled));
    }
    let id = runs.next;
    runs.next += 1;
    runs.alive.insert(id, (client, stop));
    Ok(Registration { id, registry })
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut runs = self.registry.lock();
        runs.alive.remove(&self.id);
        let alive = runs.alive.len();
        drop(runs);
        self.registry.alive.send_replace(alive);
    }
}

/// Ends the runs of `client`, or all, and waits up to `within` until their cursors are killed.
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
    let _ = timeout(within, alive.wait_for(|_| registry.is_empty(client))).await;
}

/// The number of this process's runs in progress, with those that clean up after their readers have the outcome: for tests.
#[doc(hidden)]
pub fn runs() -> usize {
    REGISTRY
        .get()
        .map_or(0, |registry| registry.lock().alive.len())
}

/// Ends every run of this process and waits, up to `within`, until the servers have closed their cursors.
///
/// Call it from a plain thread, not from an I/O thread.
pub fn shutdown(within: Duration) {
    if let Some(handle) = io_threads::started() {
        // `Handle::block_on` runs no loop.
        let _background_work = io_threads::background_work();
        handle.block_on(stop(None, within));
    }
}

/// As [`shutdown`], and refuses runs from then on: other threads may continue while a process exits.
///
/// Call it before the process exits: a cursor that is not killed stays open on its server for half an hour.
pub fn shutdown_at_exit(within: Duration) {
    // The registry is made now if no run was started: a thread may be about to start the first one.
    if let Ok(registry) = Registry::of_this_process() {
        registry.lock().exiting = true;
    }
    shutdown(within);
}
