//! The decode pool: one per process, made on first use, never inherited by a forked child.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::fork::PerProcess;
use crate::error::{Error, ErrorKind, Result};

static POOL: PerProcess<ThreadPool> = PerProcess::new();

/// The number asked for; 0 for one thread a core.
static REQUESTED_THREADS: AtomicUsize = AtomicUsize::new(0);

/// The process's decode pool.
///
/// # Errors
/// When the system gives no threads.
pub fn pool() -> Result<&'static ThreadPool> {
    POOL.get_or_try_init(|| {
        ThreadPoolBuilder::new()
            .num_threads(requested_threads())
            .thread_name(|number| format!("data-bridge-decode-{number}"))
            .start_handler(|_| touch_allocator())
            .build()
            .map_err(|error| Error::new(ErrorKind::Internal(format!("no decode threads: {error}"))))
    })
}

/// Touches some memory of the allocator's of this thread: the first touch is dear, as the system clears huge pages then, and
/// the thread starts while a server still works on what is to be decoded.
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

/// The number of decode threads there are, or will be.
pub fn threads() -> usize {
    POOL.get()
        .map_or_else(requested_threads, ThreadPool::current_num_threads)
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument(text.into()))
}
