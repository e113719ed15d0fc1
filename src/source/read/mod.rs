//! Reads: queries with a cursor, counts, distinct values, names, commands.

pub(super) mod batch;
pub(super) mod batch_size;
pub(super) mod commands;
pub(super) mod cursor;
pub(super) mod find;
pub(super) mod parameters;
pub(super) mod pump;
pub(super) mod query;
pub(super) mod ranges;
pub(super) mod resume;
pub(super) mod retried;
pub(super) mod run_events;
