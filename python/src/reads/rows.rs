//! The documents of a materialised result, by row.

use std::sync::{Arc, OnceLock};

use data_bridge::reader::ResultSet;
use pyo3::prelude::*;

use crate::documents::py_chunk::Node;
use crate::values::codec::Codec;

/// The documents of a result, with what Python keeps of each Chunk, made when it is first touched.
pub(crate) struct Rows {
    set: ResultSet,
    nodes: Vec<OnceLock<Arc<Node>>>,
    codec: Codec,
}

impl Rows {
    pub fn new(set: ResultSet, codec: Codec) -> Self {
        let nodes = set.chunks().iter().map(|_| OnceLock::new()).collect();
        Rows { set, nodes, codec }
    }

    pub fn set(&self) -> &ResultSet {
        &self.set
    }

    pub fn node(&self, py: Python<'_>, chunk: usize) -> Arc<Node> {
        let node = self.nodes[chunk].get_or_init(|| {
            let documents = Arc::clone(&self.set.chunks()[chunk].documents);
            Node::new(py, documents, self.codec.clone())
        });
        Arc::clone(node)
    }
}
