//! I/O threads: the tokio runtime, the event loop and the tasks that run on it.

pub(super) mod io_threads;
pub(super) mod loop_handoff;
pub(super) mod task;
