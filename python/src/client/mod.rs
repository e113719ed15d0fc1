//! Clients, sessions, and settings of the process.

pub(crate) mod mongo_client;
pub(crate) mod session;
pub(crate) mod settings;
