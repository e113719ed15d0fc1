//! L6: the reader: replies in, Chunks out in result order, decoded in parallel within a byte limit.

mod batches;
pub(crate) mod fork;
mod limit;
mod local_source;
mod pipeline;
mod pool;
mod reply;
mod report;
mod result_set;
mod split;

pub use batches::{BatchProgress, BatchStream};
pub use limit::{max_result_bytes, set_max_result_bytes};
pub use local_source::{BytesSource, FileSource, ReplySource};
pub use pipeline::{Decoded, Progress, Reader, ReaderOptions};
pub use pool::{pool, set_threads, threads};
pub use reply::{Arrival, ConnectionFacts, Framing, Reply, Source};
pub use report::Report;
pub use result_set::{conflicts_in, ResultSet, ResultSetBuilder, Table};
