//! Runs in progress, kills of cursors and sessions, cursors after their kill.

pub(super) mod implicit_session;
pub(super) mod kill;
pub(super) mod killed_cursors;
pub(super) mod registry;
