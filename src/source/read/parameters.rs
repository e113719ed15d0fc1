//! The parameters of a read.

use std::time::Duration;

use crate::source::connection::deadline::Deadline;
use crate::source::connection::session::Session;

/// The parameters that all reads have.
#[derive(Clone, Copy, Default)]
pub struct Read<'a> {
    /// Options by the driver's names (`sort`, `batchSize`, `maxTimeMS`, ...) as BSON; empty bytes for none.
    pub options: &'a [u8],
    /// BSON `{readPreference?: {mode, tagSets?, maxStalenessSeconds?}, readConcern?: {level}}`; empty bytes for none.
    pub selection: &'a [u8],
    /// The session to read in.
    pub session: Option<&'a Session>,
    /// The deadline; `None` for no deadline.
    pub timeout: Option<Duration>,
    /// Send the deadline as `maxTimeMS` with a read that has one reply. It replaces the limit that an administrator sets for reads
    /// (`defaultMaxTimeMS`), so set it for a deadline that the caller requested.
    pub limits_server: bool,
    /// The number of the read in events.
    pub request: u64,
    /// Continue a find in `_id` order after its last row if its cursor is lost.
    pub resume: bool,
    /// The command only reads, and may be sent a second time. The driver retries its own reads, but never a `run_command`.
    pub retry: bool,
}

impl Read<'_> {
    /// Starts the deadline that the server gets for a read with one reply.
    pub(crate) fn server_deadline(&self) -> Deadline {
        Deadline::start(self.timeout.filter(|_| self.limits_server))
    }
}
