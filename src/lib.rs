//! MongoDB results as Apache Arrow, decoded in parallel, nothing lost.

pub mod chunk;
pub mod conform;
pub mod decode;
pub mod error;
pub mod index;
pub mod raw;
pub mod reader;
pub mod schema;
#[cfg(feature = "mongodb")]
pub mod source;
