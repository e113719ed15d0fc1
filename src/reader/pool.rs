//! The decode pool: one per process, made on first use, not inherited by forked children.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::fork::PerProcess;
use crate::error::{Error, ErrorKind, Result};

static POOL: PerProcess<ThreadPool> = PerProcess::new();

/// The requested number of threads; 0 for one thread per core.
static REQUESTED_THREADS: AtomicUsize = AtomicUsize::new(0);

/// The process's decode pool.
///
/// # Errors
/// When the system cannot start threads.
pub fn pool() -> Result<&'static ThreadPool> {
    POOL.get_or_try_init(|| {
        ThreadPoolBuilder::new()
            .num_threads(requested_threads())
            .thread_name(|number| format!("data-bridge-decode-{number}"))
            .start_handler(|_| touch_allocator())
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Internal(format!(
                    "the decode threads could not start: {error}"
                )))
            })
    })
}

/// Touches memory of this thread's allocator. The first touch is expensive, because the system clears huge pages. The
/// thread starts while the server still executes the query, so the cost is hidden.
fn touch_allocator() {
    for size in [1 << 10, 1 << 13, 1 << 16, 1 << 19] {
        drop(black_box(vec![1_u8; size]));
    }
}

fn requested_threads() -> usize {
    match REQUESTED_THREADS.load(Ordering::Relaxed) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        requested => requested,
    }
}

/// Sets the number of decode threads of this process.
///
/// # Errors
/// When `threads` is 0, or the pool exists with another number.
pub fn set_threads(threads: usize) -> Result<()> {
    match POOL.get().map(ThreadPool::current_num_threads) {
        _ if threads == 0 => Err(invalid("threads must be at least 1")),
        Some(running) if running != threads => Err(invalid(&format!(
            "the decode pool already runs with {running} threads; set them before the first query"
        ))),
        _ => {
            REQUESTED_THREADS.store(threads, Ordering::Relaxed);
            Ok(())
        }
    }
}

/// The number of decode threads, running or configured.
pub fn threads() -> usize {
    POOL.get()
        .map_or_else(requested_threads, ThreadPool::current_num_threads)
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument(text.into()))
}
