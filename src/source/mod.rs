//! L7: MongoDB: clients, sessions, reads and writes.
//!
//! ```text
//!  caller's thread                       runtime (tokio workers, never attached to an interpreter)
//!  Client::find ----- Request --------->  pump: opens the cursor, then sends getMores
//!  CursorSource::poll <-- Reply --------  channel bounded in bytes
//!  drop(CursorSource) -- stop --------->  killCursors to the server that holds the cursor
//!  Task::wait  <----- outcome ----------  count, distinct, commands, sessions
//! ```
//!
//! In a series of small exchanges the I/O thread hands its event loop over to the caller's thread.
//!
//! All state is kept per process: a forked child makes its own runtime, driver client and registry, and never touches inherited
//! ones, because their threads do not exist in the child.
//!
//! The directories are layers, lowest first: `monitoring`, `runtime`, `cleanup`, `connection`, then `read` and `write`.

mod cleanup;
mod connection;
mod monitoring;
mod read;
mod runtime;
mod write;

pub use cleanup::registry::{runs, shutdown, shutdown_at_exit};
pub use connection::client::Client;
pub use connection::names::check as check_names;
pub use connection::session::Session;
pub use monitoring::events;
pub use read::cursor::CursorSource;
pub use read::parameters::Read;
pub use read::pump::{prefetch_bytes, set_prefetch_bytes, set_refresh_interval};
pub use read::ranges::{range_bytes, RangeOptions, RangeQuery, RangesSource};
pub use runtime::io_threads::{io_threads, set_io_threads};
pub use runtime::task::{StopFlag, Task};
pub use write::stream::{RepeatedKeys, StreamOptions, WriteCounts, WriteStream};
pub use write::write_command::{push_decimal, CommandLimits, StatementKind, WriteCommand};
