//! Events of connections, servers, commands and cursors, for logs and listeners.

pub(super) mod driver_events;
pub mod events;
