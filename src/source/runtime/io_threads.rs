//! The tokio runtime: one per process, made on first use.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::loop_handoff::{parked, Busy, Lending};
use crate::error::{Error, ErrorKind, Result};
use crate::reader::fork::PerProcess;

/// Sockets need little CPU, and decoding has its own pool. A second worker is woken for nothing at every turn of an exchange: 7
/// switches of threads a `find_one` instead of 4, a tenth of its time. Taken when the runtime is made.
static WORKERS: AtomicUsize = AtomicUsize::new(1);

/// The stack of a thread that runs tasks: the driver parses replies recursively where it builds its own documents (`distinct`,
/// commands), and a server's documents may nest 179 levels.
const STACK: usize = 4 << 20;

// Never dropped: dropping a runtime joins its threads, which must not be waited for when an interpreter exits.
static RUNTIME: PerProcess<Network> = PerProcess::new();

struct Network {
    runtime: Runtime,
    /// Of one thread only: several have no loop that could be lent.
    lending: Option<Lending>,
}

impl Network {
    fn new() -> io::Result<Self> {
        let workers = io_threads();
        let (mut builder, lending) = match workers {
            1 => (Builder::new_current_thread(), Some(Lending::new())),
            _ => (Builder::new_multi_thread(), None),
        };
        let runtime = builder
            .worker_threads(workers)
            .thread_stack_size(STACK)
            .thread_keep_alive(Duration::from_secs(10))
            .thread_name("data-bridge-io")
            .enable_all()
            .build()?;
        Ok(Network { runtime, lending })
    }

    fn start(&'static self) -> io::Result<()> {
        self.lending
            .as_ref()
            .map_or(Ok(()), |lending| lending.start(&self.runtime, STACK))
    }
}

/// This process's runtime.
pub(crate) fn handle() -> Result<Handle> {
    let failed = |error| {
        Error::new(ErrorKind::Io(format!(
            "no threads for network work: {error}"
        )))
    };
    let network = RUNTIME.get_or_try_init(|| Network::new().map_err(failed))?;
    network.start().map_err(failed)?;
    Ok(network.runtime.handle().clone())
}

/// Waits for something that happens on the runtime, `wait` at most; to be called from threads that may block.
pub(crate) fn wait<F: Future>(future: F, wait: Duration) -> Option<F::Output> {
    match RUNTIME.get() {
        Some(Network {
            runtime,
            lending: Some(lending),
        }) if !wait.is_zero() => lending.wait(runtime, future, wait, STACK),
        _ => parked(future, wait),
    }
}

/// For as long as it is held, what was spawned goes on without anybody [waiting](wait) for it.
pub(crate) fn busy() -> Option<Busy> {
    let lending = RUNTIME.get()?.lending.as_ref()?;
    Some(lending.busy())
}

/// How many threads this process's network work has, or will have.
pub fn io_threads() -> usize {
    match started() {
        Some(handle) => handle.metrics().num_workers(),
        None => WORKERS.load(Ordering::Relaxed),
    }
}

/// Sets [`io_threads`].
///
/// # Errors
/// When `threads` is 0, or the runtime exists with another number.
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

/// This process's runtime, if something already ran on it.
pub(crate) fn started() -> Option<&'static Handle> {
    RUNTIME.get().map(|network| network.runtime.handle())
}
