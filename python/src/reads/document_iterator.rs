//! Iterators over Documents: of one Chunk, of a whole result, or live.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use data_bridge::chunk::Chunk;
use pyo3::prelude::*;

use crate::documents::document::Document;
use crate::documents::py_chunk::PyChunk;
use crate::lock::lock;
use crate::models::model_class::ModelClass;
use crate::models::model_view::ModelView;
use crate::reads::rows::Rows;
use crate::reads::run::Run;
use crate::values::codec::Codec;

/// An iterator over Documents. Threads may share it: each document then goes to one of them.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct DocumentIterator {
    /// Rows that were received. More than one entry only if several threads waited for rows at the same time.
    queue: Mutex<VecDeque<ChunkRows>>,
    chunks: ChunkSource,
}

/// Rows of one Chunk.
struct ChunkRows {
    py_chunk: Arc<PyChunk>,
    rows: Range<u32>,
}

/// The source of the next Chunk.
enum ChunkSource {
    None,
    Live(Arc<Run>, Codec),
    Result(Arc<Rows>, Mutex<Range<u64>>),
}

impl DocumentIterator {
    /// The documents of `run`, as they arrive.
    pub fn live(run: Arc<Run>, codec: Codec) -> Self {
        Self::new(VecDeque::new(), ChunkSource::Live(run, codec))
    }

    /// The documents of one Chunk.
    pub fn of_chunk(py: Python<'_>, chunk: &Chunk, codec: &Codec) -> Self {
        let queue = VecDeque::from([ChunkRows::whole(py, chunk, codec)]);
        Self::new(queue, ChunkSource::None)
    }

    /// The documents of `rows` in `range`.
    pub fn of_rows(rows: Arc<Rows>, range: Range<u64>) -> Self {
        Self::new(
            VecDeque::new(),
            ChunkSource::Result(rows, Mutex::new(range)),
        )
    }

    fn new(queue: VecDeque<ChunkRows>, chunks: ChunkSource) -> Self {
        DocumentIterator {
            queue: Mutex::new(queue),
            chunks,
        }
    }

    /// The next row that was received. The lock is held only here, never during a wait.
    fn step(&self) -> Option<(Arc<PyChunk>, u32)> {
        let mut queue = lock(&self.queue);
        loop {
            let first = queue.front_mut()?;
            if let Some(row) = first.rows.next() {
                return Some((Arc::clone(&first.py_chunk), row));
            }
            // Drops the Chunk even if no caller takes another row.
            queue.pop_front();
        }
    }

    fn next_chunk(&self, py: Python<'_>) -> PyResult<Option<ChunkRows>> {
        match &self.chunks {
            ChunkSource::None => Ok(None),
            ChunkSource::Live(run, codec) => {
                let decoded = run.wait(py, || run.poll())?;
                Ok(decoded.map(|decoded| ChunkRows::whole(py, &decoded.chunk, codec)))
            }
            ChunkSource::Result(rows, range) => {
                let mut range = lock(range);
                if range.is_empty() {
                    return Ok(None);
                }
                let (chunk, row) = rows.set().locate(range.start);
                let there = rows.set().chunks()[chunk].rows() - row;
                let taken = (range.end - range.start).min(there as u64);
                range.start += taken;
                Ok(Some(ChunkRows {
                    py_chunk: rows.py_chunk(py, chunk),
                    rows: row as u32..row as u32 + taken as u32,
                }))
            }
        }
    }
}

impl ChunkRows {
    fn whole(py: Python<'_>, chunk: &Chunk, codec: &Codec) -> Self {
        ChunkRows {
            py_chunk: PyChunk::new(py, Arc::clone(&chunk.documents), codec.clone()),
            rows: 0..chunk.rows() as u32,
        }
    }
}

impl DocumentIterator {
    /// The next row; `None` at the end.
    fn next_row(&self, py: Python<'_>) -> PyResult<Option<(Arc<PyChunk>, u32)>> {
        loop {
            if let Some(next) = self.step() {
                return Ok(Some(next));
            }
            match self.next_chunk(py)? {
                Some(rows) => lock(&self.queue).push_back(rows),
                None => return Ok(None),
            }
        }
    }
}

#[pymethods]
impl DocumentIterator {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<Document>>> {
        self.next_row(py)?
            .map(|(py_chunk, row)| Document::view(py, &py_chunk, row))
            .transpose()
    }

    /// The same documents as instances of a model. Both iterators consume the same rows.
    fn instances(slf: Py<Self>, class: Py<ModelClass>) -> InstanceIterator {
        InstanceIterator {
            documents: slf,
            class,
        }
    }

    /// End the run of a live iterator.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        lock(&self.queue).clear();
        match &self.chunks {
            ChunkSource::Live(run, _) => {
                run.close();
                run.report_end(py)
            }
            _ => Ok(()),
        }
    }
}

impl Drop for DocumentIterator {
    fn drop(&mut self) {
        if let ChunkSource::Live(run, _) = &self.chunks {
            run.close();
            run.queue_end();
        }
    }
}

/// An iterator over instances of a model.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct InstanceIterator {
    documents: Py<DocumentIterator>,
    class: Py<ModelClass>,
}

#[pymethods]
impl InstanceIterator {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, ModelView>>> {
        match self.documents.get().next_row(py)? {
            Some((py_chunk, row)) => self.class.get().make(py, &py_chunk, row as usize).map(Some),
            None => Ok(None),
        }
    }

    /// End the run of a live iterator.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.documents.get().close(py)
    }
}
