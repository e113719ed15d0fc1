//! Writes: commands that change data.

pub(super) mod commands;
pub(super) mod stream;
pub(super) mod write_command;
