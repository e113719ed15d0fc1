//! Operations in the background, and the events of all operations.

pub(crate) mod completions;
pub(crate) mod operation;
pub(crate) mod operation_events;
