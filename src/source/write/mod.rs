//! Writes: commands that change data.

pub(super) mod commands;
