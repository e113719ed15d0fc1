//! L7: MongoDB: client, cursor pump.
//!
//! ```text
//!  caller's thread                       runtime (tokio workers, never attached to an interpreter)
//!  Client::find ----- Request --------->  pump: open, then a getMore after the other
//!  CursorSource::poll <-- Reply --------  channel bounded in bytes
//!  drop(CursorSource) -- stop --------->  killCursors to the server that holds the cursor
//!  Task::wait  <----- outcome ----------  count, distinct, commands, sessions
//! ```
//!
//! In a series of small exchanges the runtime's loop is lent to the caller's thread.
//!
//! Everything here is keyed by process: a forked child makes its own runtime, driver client and registry, and never
//! touches what it inherited, because the threads that served it do not exist there.

mod batch;
mod client;
mod commands;
mod cursor;
mod deadline;
mod direct;
pub mod events;
mod failure;
mod filter;
mod lending;
mod names;
mod options;
mod pump;
mod query;
mod registry;
mod resume;
mod runtime;
mod servers;
mod session;
mod sizes;
mod spent;
mod task;
mod trace;
mod trouble;
mod uri;
mod write;
mod writers;

pub use client::{Client, Read};
pub use cursor::CursorSource;
pub use pump::{prefetch_bytes, set_prefetch_bytes, set_refresh_interval};
pub use registry::{leave, runs, shutdown};
pub use runtime::{io_threads, set_io_threads};
pub use session::Session;
pub use task::{StopFlag, Task};
