//! How much an eager read may keep.

use std::sync::atomic::{AtomicU64, Ordering};

static LIMIT: AtomicU64 = AtomicU64::new(0);

/// How many bytes of BSON an eager read may receive; `None` for any number.
pub fn max_result_bytes() -> Option<u64> {
    Some(LIMIT.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
}

/// Sets [`max_result_bytes`] for the reads that start from now on; 0 for no limit.
pub fn set_max_result_bytes(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}
