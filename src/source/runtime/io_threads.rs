//! The tokio runtime: one per process, made on first use.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::loop_handoff::{wait_parked, BackgroundWork, LoopHandoff};
use crate::error::{Error, ErrorKind, Result};
use crate::reader::fork::PerProcess;

/// The number of I/O threads, read when the runtime is made. One is enough: sockets need little CPU, and decoding has its own
/// pool. A second worker wakes for nothing at every step of an exchange: 7 thread switches for a `find_one` instead of 4, a tenth
/// of its time.
static WORKERS: AtomicUsize = AtomicUsize::new(1);

/// The stack of a thread that runs tasks: the driver parses replies recursively if it builds its own documents (`distinct`,
/// commands), and a server's documents may have 179 levels.
const STACK: usize = 4 << 20;

// Never dropped: dropping a runtime joins its threads, which must not be waited for when an interpreter exits.
static RUNTIME: PerProcess<Network> = PerProcess::new();

struct Network {
    runtime: Runtime,
    /// Present if there is one thread: several have no single loop to hand over.
    handoff: Option<LoopHandoff>,
}

impl Network {
    fn new() -> io::Result<Self> {
        let workers = io_threads();
        let (mut builder, handoff) = match workers {
            1 => (Builder::new_current_thread(), Some(LoopHandoff::new())),
            _ => (Builder::new_multi_thread(), None),
        };
        let runtime = builder
            .worker_threads(workers)
            .thread_stack_size(STACK)
            .thread_keep_alive(Duration::from_secs(10))
            .thread_name("data-bridge-io")
            .enable_all()
            .build()?;
        Ok(Network { runtime, handoff })
    }

    fn start(&'static self) -> io::Result<()> {
        self.handoff
            .as_ref()
            .map_or(Ok(()), |handoff| handoff.start(&self.runtime, STACK))
    }
}

/// This process's runtime, started if need be.
pub(crate) fn handle() -> Result<Handle> {
    let failed = |error| {
        Error::new(ErrorKind::Io(format!(
            "the I/O threads cannot be started: {error}"
        )))
    };
    let network = RUNTIME.get_or_try_init(|| Network::new().map_err(failed))?;
    network.start().map_err(failed)?;
    Ok(network.runtime.handle().clone())
}

/// Waits for an outcome of the runtime, for `wait` at most. Call it on threads that may block.
pub(crate) fn wait<F: Future>(future: F, wait: Duration) -> Option<F::Output> {
    match RUNTIME.get() {
        Some(Network {
            runtime,
            handoff: Some(handoff),
        }) if !wait.is_zero() => handoff.wait(runtime, future, wait, STACK),
        _ => wait_parked(future, wait),
    }
}

/// Keeps spawned tasks running without a thread that [waits](wait) for them, until the guard is dropped.
pub(crate) fn background_work() -> Option<BackgroundWork> {
    let handoff = RUNTIME.get()?.handoff.as_ref()?;
    Some(handoff.background_work())
}

/// The number of this process's I/O threads, started or to be started.
pub fn io_threads() -> usize {
    match started() {
        Some(handle) => handle.metrics().num_workers(),
        None => WORKERS.load(Ordering::Relaxed),
    }
}

/// Sets [`io_threads`].
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if `threads` is 0, or the runtime exists with another number.
pub fn set_io_threads(threads: usize) -> Result<()> {
    let invalid = |text: String| Err(Error::new(ErrorKind::InvalidArgument(text)));
    match started().map(|handle| handle.metrics().num_workers()) {
        _ if threads == 0 => invalid("io_threads must be at least 1".into()),
        Some(running) if running != threads => invalid(format!(
            "network work already runs on {running} threads; set io_threads before the first connection"
        )),
        _ => {
            WORKERS.store(threads, Ordering::Relaxed);
            Ok(())
        }
    }
}

/// This process's runtime, if a task already ran on it.
pub(crate) fn started() -> Option<&'static Handle> {
    RUNTIME.get().map(|network| network.runtime.handle())
}
