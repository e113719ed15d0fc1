//! The tokio runtime: one per process, made on first use.

use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::process::PerProcess;
use crate::error::{Error, ErrorKind, Result};

/// Sockets need little CPU; decoding has its own pool.
const WORKERS: usize = 2;

/// A worker's stack: the driver parses replies recursively where it builds its own documents (`distinct`, commands), and
/// a server's documents may nest 179 levels.
const STACK: usize = 4 << 20;

// Never dropped: dropping a runtime joins its threads, which must not be waited for when an interpreter exits.
static RUNTIME: PerProcess<Runtime> = PerProcess::new();

/// This process's runtime.
pub(crate) fn handle() -> Result<Handle> {
    let runtime = RUNTIME.get_or_try_init(|| {
        Builder::new_multi_thread()
            .worker_threads(WORKERS)
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

/// This process's runtime, if something already ran on it.
pub(crate) fn started() -> Option<&'static Handle> {
    RUNTIME.get().map(Runtime::handle)
}
