//! Documents and lists of a result: read-only views of columns.

pub(crate) mod document;
pub(crate) mod list;
pub(crate) mod py_chunk;
pub(crate) mod py_column;
