//! MongoDB results as Apache Arrow, decoded in parallel without loss.
//!
//! ```text
//!  source    server cursor on tokio, prefetch bounded in bytes (I/O, no CPU work)
//!    |         Reply: one server reply, never copied per document
//!  reader    splits replies into pieces of about 1 MB          }
//!    |                                                         }
//!  index     one scan: shape of each document,                 } rayon, in parallel,
//!    |         type + position of each cell                    } in result order
//!  decode    column by column, tight loops                     }
//!    |                                                         }
//!  Chunk     columns in wire types, shapes, tags  ---------------> documents: rows of a Chunk, read through `Cell`
//!    |
//!  schema    observed types, joined over the whole result
//!  conform   (Chunk, schema, policy) -> RecordBatch  ------------> tables
//!
//!  encode    RecordBatch -> documents and statements as BSON, in parallel
//! ```
//!
//! Imports go down only: `error` <- `raw` <- `index` <- `chunk` <- `decode`, `schema` <- `conform` <- `reader` <-
//! `encode` <- `source`. A [`Chunk`](chunk::Chunk) holds exactly the values that the server sent. Documents read Chunks, and
//! tables are made from Chunks; neither depends on the other.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use data_bridge::reader::{BytesSource, Reader, ReaderOptions, ResultSet};
//! use data_bridge::conform::Policy;
//! use data_bridge::schema::Representation;
//!
//! // {"a": 1} and {"a": 2.5}
//! let bytes = [
//!     &b"\x0c\0\0\0\x10a\0\x01\0\0\0\0"[..],
//!     &b"\x10\0\0\0\x01a\0\0\0\0\0\0\0\x04\x40\0"[..],
//! ]
//! .concat();
//! let mut reader = Reader::new(Box::new(BytesSource::new(Arc::new(bytes))), ReaderOptions::default());
//! let result = ResultSet::read(&mut reader, || false)?;
//! let schema = result.schema(&Representation::plain())?;
//! let table = result.batches(&schema, &Policy::default())?;
//! assert_eq!(table.batches[0].num_rows(), 2);
//! assert_eq!(schema.arrow().field(0).data_type().to_string(), "Float64");
//! # Ok::<(), data_bridge::error::Error>(())
//! ```
#![warn(missing_docs)]

pub mod chunk;
pub mod conform;
pub mod decode;
pub mod encode;
pub mod error;
pub mod index;
pub mod raw;
pub mod reader;
pub mod schema;
#[cfg(feature = "mongodb")]
pub mod source;
