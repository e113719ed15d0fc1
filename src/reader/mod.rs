//! L6: replies in, Chunks out, in order, decoded in parallel, bounded in bytes.

mod reply;

pub use reply::{Arrival, Framing, Reply, Source};
