//! The tokio runtime: one per process, made on first use.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, ErrorKind, Result};
use crate::reader::process::PerProcess;

/// Sockets need little CPU, and decoding has its own pool. A second worker is woken for nothing at every turn of an exchange: 7
/// switches of threads a `find_one` instead of 4, a tenth of its time. Taken when the runtime is made.
static WORKERS: AtomicUsize = AtomicUsize::new(1);

/// A worker's stack: the driver parses replies recursively where it builds its own documents (`distinct`, commands), and
/// a server's documents may nest 179 levels.
const STACK: usize = 4 << 20;

// Never dropped: dropping a runtime joins its threads, which must not be waited for when an interpreter exits.
static RUNTIME: PerProcess<Runtime> = PerProcess::new();

/// This process's runtime.
pub(crate) fn handle() -> Result<Handle> {
    let runtime = RUNTIME.get_or_try_init(|| {
        Builder::new_multi_thread()
            .worker_threads(io_threads())
            .thread_stack_size(STACK)
            .thread_keep_alive(Duration::from_secs(10))
            .thread_name("data-bridge-io")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Io(format!(
                    "no threads for network work: {error}"
                )))
            })
    })?;
    Ok(runtime.handle().clone())
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
    RUNTIME.get().map(Runtime::handle)
}
