//! MongoDB results as Apache Arrow, decoded in parallel, nothing lost.

pub mod error;
pub mod reader;
#[cfg(feature = "mongodb")]
pub mod source;
