//! The memory limit of eager reads.

use std::sync::atomic::{AtomicU64, Ordering};

static LIMIT: AtomicU64 = AtomicU64::new(0);

/// Maximum bytes of BSON that an eager read may receive; `None` for no limit.
pub fn max_result_bytes() -> Option<u64> {
    Some(LIMIT.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
}

/// Sets [`max_result_bytes`] for later reads; 0 for no limit.
pub fn set_max_result_bytes(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}
