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

mod cleanup;
mod connection;
mod monitoring;
mod read;
mod runtime;
mod write;

pub use cleanup::registry::{runs, shutdown, shutdown_at_exit};
pub use connection::client::{Client, Read};
pub use connection::names::check as check_names;
pub use connection::session::Session;
pub use monitoring::events;
pub use read::cursor::CursorSource;
pub use read::pump::{prefetch_bytes, set_prefetch_bytes, set_refresh_interval};
pub use runtime::io_threads::{io_threads, set_io_threads};
pub use runtime::task::{StopFlag, Task};
