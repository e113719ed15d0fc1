//! The decode pool: one per process, made on first use, never inherited by a forked child.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, ErrorKind, Result};

struct Pool {
    pid: u32,
    threads: Arc<ThreadPool>,
}

struct State {
    pool: Option<Pool>,
    threads: Option<usize>,
}

static STATE: Mutex<State> = Mutex::new(State {
    pool: None,
    threads: None,
});

/// The process's decode pool.
///
/// # Errors
/// When the system gives no threads.
pub fn pool() -> Result<Arc<ThreadPool>> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = std::process::id();
    if let Some(pool) = &state.pool {
        if pool.pid == pid {
            return Ok(Arc::clone(&pool.threads));
        }
    }
    let threads = state.threads.unwrap_or_else(default_threads);
    let threads = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("data-bridge-decode-{number}"))
        .build()
        .map_err(|error| Error::new(ErrorKind::Internal(format!("no decode threads: {error}"))))?;
    let threads = Arc::new(threads);
    let new = Pool {
        pid,
        threads: Arc::clone(&threads),
    };
    if let Some(parent) = state.pool.replace(new) {
        // Its threads exist only in the parent process: waiting for them, as dropping would, never ends.
        std::mem::forget(parent);
    }
    Ok(threads)
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Sets the number of decode threads of this process.
///
/// # Errors
/// When `threads` is 0, or the pool exists with another number.
pub fn set_threads(threads: usize) -> Result<()> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let running = state
        .pool
        .as_ref()
        .filter(|pool| pool.pid == std::process::id())
        .map(|pool| pool.threads.current_num_threads());
    match running {
        _ if threads == 0 => Err(invalid("threads must be at least 1")),
        Some(running) if running != threads => Err(invalid(&format!(
            "the decode pool already runs with {running} threads; set them before the first query"
        ))),
        _ => {
            state.threads = Some(threads);
            Ok(())
        }
    }
}

/// The number of decode threads there are, or will be.
pub fn threads() -> usize {
    let state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    state.threads.unwrap_or_else(default_threads)
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument(text.into()))
}
