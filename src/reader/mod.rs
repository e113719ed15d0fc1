//! L6: replies in, Chunks out, in order, decoded in parallel, bounded in bytes.

mod batches;
mod cut;
mod limit;
mod memory;
mod pipeline;
mod pool;
pub(crate) mod process;
mod reply;
mod report;
mod result_set;

pub use batches::{BatchProgress, BatchStream};
pub use limit::{max_result_bytes, set_max_result_bytes};
pub use memory::{BytesSource, FileSource, ReplySource};
pub use pipeline::{Decoded, Progress, Reader, ReaderOptions};
pub use pool::{pool, set_threads, threads};
pub use reply::{Arrival, Framing, Reply, Source};
pub use report::Report;
pub use result_set::{conflicts_of, ResultSet, ResultSetBuilder, Table};
