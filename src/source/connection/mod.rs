//! The client: connection string, options, sessions, errors of the driver.

pub(super) mod caller_bson;
pub(super) mod client;
pub(super) mod deadline;
pub(super) mod document_sizes;
pub(super) mod failure;
pub(super) mod heartbeat_failures;
pub(super) mod names;
pub(super) mod options;
pub(super) mod raw_command;
pub(super) mod session;
pub(super) mod uri;
pub(super) mod write_sessions;
