//! The documents of a materialised result, by row.

use std::sync::{Arc, OnceLock};

use data_bridge::reader::ResultSet;
use pyo3::prelude::*;

use crate::documents::py_chunk::PyChunk;
use crate::values::codec::Codec;

/// The documents of a result, with the Python side of each Chunk, made on first access.
pub(crate) struct Rows {
    set: ResultSet,
    py_chunks: Vec<OnceLock<Arc<PyChunk>>>,
    codec: Codec,
}

impl Rows {
    pub fn new(set: ResultSet, codec: Codec) -> Self {
        let py_chunks = set.chunks().iter().map(|_| OnceLock::new()).collect();
        Rows {
            set,
            py_chunks,
            codec,
        }
    }

    pub fn set(&self) -> &ResultSet {
        &self.set
    }

    pub fn py_chunk(&self, py: Python<'_>, chunk: usize) -> Arc<PyChunk> {
        let py_chunk = self.py_chunks[chunk].get_or_init(|| {
            let documents = Arc::clone(&self.set.chunks()[chunk].documents);
            PyChunk::new(py, documents, self.codec.clone())
        });
        Arc::clone(py_chunk)
    }
}
