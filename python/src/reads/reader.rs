//! A run, as Python holds it.

use std::path::PathBuf;
use std::sync::Arc;

use data_bridge::error::Error;
use data_bridge::reader::{
    conflicts_in, max_result_bytes, BytesSource, Decoded, FileSource, ReaderOptions,
    ResultSetBuilder, Source,
};
use data_bridge::schema::TableSchema;
use data_bridge::source::Task;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::documents::py_chunk::PyChunk;
use crate::error::{to_list, to_pyerr};
use crate::models::model_class::ModelClass;
use crate::operations::operation::Operation;
use crate::operations::operation_events::OperationRecord;
use crate::reads::arrow::Schema;
use crate::reads::batches::BatchReader;
use crate::reads::document_iterator::DocumentIterator;
use crate::reads::iterable_source::{self, BufferSender};
use crate::reads::object_lists::{with_gc_paused, ObjectKind};
use crate::reads::report;
use crate::reads::result::ResultData;
use crate::reads::run::{Poll, Run};
use crate::reads::table_options::TableOptions;
use crate::values::codec::Codec;

/// BSON decoded ahead of a live consumer: enough for every core, little beside the replies themselves.
const LIVE_AHEAD: usize = 8 << 20;

/// A read in progress: it receives replies and returns Chunks in order, to one consumer at a time.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct Reader {
    run: Arc<Run>,
    codec: Codec,
}

impl Reader {
    pub(crate) fn start(
        source: Box<dyn Source>,
        codec: Codec,
        eager: bool,
        record: Option<Arc<OperationRecord>>,
    ) -> Reader {
        Self::with_buffers(source, codec, eager, None, record)
    }

    fn with_buffers(
        source: Box<dyn Source>,
        codec: Codec,
        eager: bool,
        buffers: Option<BufferSender>,
        record: Option<Arc<OperationRecord>>,
    ) -> Reader {
        let mut options = ReaderOptions {
            decode: codec.decode_options(),
            eager,
            ..ReaderOptions::default()
        };
        if eager {
            options.max_bytes = max_result_bytes();
        } else {
            options.ahead_bytes = LIVE_AHEAD;
        }
        let run = Arc::new(Run::new(source, options, buffers, record));
        Reader { run, codec }
    }

    /// Reads everything, blocking; calls `each` with each Chunk as it arrives.
    fn gather(
        &self,
        py: Python<'_>,
        each: impl Fn(&Decoded) -> PyResult<()>,
    ) -> PyResult<ResultData> {
        let mut builder = ResultSetBuilder::default();
        while let Some(decoded) = self.run.wait(py, || self.run.poll())? {
            each(&decoded)?;
            builder.push(decoded);
        }
        let set = builder.finish(self.run.report());
        Ok(ResultData::new(set, self.codec.clone()))
    }
}

#[pymethods]
impl Reader {
    /// An iterator in bounded memory, one Document per step. Closing or dropping the iterator ends the run.
    fn documents(&self) -> DocumentIterator {
        DocumentIterator::live(Arc::clone(&self.run), self.codec.clone())
    }

    /// RecordBatches in bounded memory. Without a schema in `form`, the schema is inferred from the first `infer_rows`
    /// documents. `narrowed`: the server sends only some keys of the documents; a document with the same key twice is then
    /// an error.
    #[pyo3(signature = (form, infer_rows, *, narrowed=false))]
    fn batches(&self, form: &TableOptions, infer_rows: u64, narrowed: bool) -> BatchReader {
        BatchReader::new(Arc::clone(&self.run), form, infer_rows, narrowed)
    }

    /// Read everything. Blocks detached from the interpreter, and checks for signals.
    fn read_all(&self, py: Python<'_>) -> PyResult<ResultData> {
        self.gather(py, |_| Ok(()))
    }

    /// As `read_all`, with a list of the rows as Documents, dicts, or instances of a model. The objects of one Chunk are made
    /// while the next Chunks are decoded.
    #[pyo3(signature = (class=None, /, *, dicts=false))]
    fn read_list<'py>(
        &self,
        py: Python<'py>,
        class: Option<&Bound<'py, ModelClass>>,
        dicts: bool,
    ) -> PyResult<(ResultData, Bound<'py, PyList>)> {
        let objects = match class {
            Some(class) => ObjectKind::Instances(class),
            None if dicts => ObjectKind::Dicts,
            None => ObjectKind::Documents,
        };
        let list = PyList::empty(py);
        let data = self.gather(py, |decoded| {
            let documents = Arc::clone(&decoded.chunk.documents);
            let py_chunk = PyChunk::new(py, documents, self.codec.clone());
            with_gc_paused(py, || objects.append(&py_chunk, &list))?;
            py.check_signals()
        })?;
        Ok((data, list))
    }

    /// Receive everything without decoding it; return the number of bytes. The baseline of benchmarks of decoding.
    fn _drain(&self, py: Python<'_>) -> PyResult<u64> {
        py.detach(|| self.run.drain())
            .map_err(|error| to_pyerr(py, error))
    }

    fn read_all_async(&self, py: Python<'_>) -> PyResult<Operation> {
        self.run.drain_iterable(py)?;
        let run = Arc::clone(&self.run);
        let task = Task::spawn_blocking(move |stop| {
            let mut builder = ResultSetBuilder::default();
            while let Some(decoded) = run.wait_unattached(|| run.poll(), || stop.is_set())? {
                builder.push(decoded);
            }
            Ok(builder.finish(run.report()))
        });
        let codec = self.codec.clone();
        Ok(Operation::new(task, move |py, set| {
            let data = ResultData::new(set, codec);
            Ok(Py::new(py, data)?.into_any())
        })
        .part_of(self.run.record()))
    }

    /// Read everything, and keep its schema only.
    fn read_schema_async(&self, py: Python<'_>, form: &TableOptions) -> PyResult<Operation> {
        self.run.drain_iterable(py)?;
        let run = Arc::clone(&self.run);
        let form = form.clone();
        let task = Task::spawn_blocking(move |stop| {
            let mut builder = ResultSetBuilder::default();
            while let Some(mut decoded) = run.wait_unattached(|| run.poll(), || stop.is_set())? {
                builder.observe(&mut decoded);
            }
            form.arrow(&builder.schema(form.representation())?)
        });
        Ok(Operation::new(task, |py, schema| {
            Ok(Py::new(py, Schema(schema))?.into_any())
        })
        .part_of(self.run.record()))
    }

    /// The documents of the next Chunk, or None at the end; used by `async for`.
    fn next_documents_async(&self, py: Python<'_>) -> PyResult<Operation> {
        self.run.drain_iterable(py)?;
        let run = Arc::clone(&self.run);
        let task =
            Task::spawn_blocking(move |stop| run.wait_unattached(|| run.poll(), || stop.is_set()));
        let codec = self.codec.clone();
        Ok(Operation::new(task, move |py, decoded| match decoded {
            Some(decoded) => {
                let documents = DocumentIterator::of_chunk(py, &decoded.chunk, &codec);
                Ok(Py::new(py, documents)?.into_any())
            }
            None => Ok(py.None()),
        })
        .part_of(self.run.record()))
    }

    /// Values of the next Chunk that do not fit the form's schema, as exceptions; None at the end.
    fn next_conflicts<'py>(
        &self,
        py: Python<'py>,
        form: &TableOptions,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let Some(schema) = form.user_schema() else {
            return Ok(None);
        };
        match self.run.wait(py, || conflicts(&self.run, schema))? {
            Some(found) => Ok(Some(to_list(py, found)?)),
            None => Ok(None),
        }
    }

    fn next_conflicts_async(&self, py: Python<'_>, form: &TableOptions) -> PyResult<Operation> {
        self.run.drain_iterable(py)?;
        let run = Arc::clone(&self.run);
        let schema = form.user_schema().cloned();
        let task = Task::spawn_blocking(move |stop| match schema {
            Some(schema) => run.wait_unattached(|| conflicts(&run, &schema), || stop.is_set()),
            None => Ok(None),
        });
        Ok(Operation::new(task, |py, found| match found {
            Some(found) => Ok(to_list(py, found)?.into_any().unbind()),
            None => Ok(py.None()),
        })
        .part_of(self.run.record()))
    }

    /// End the run; a second call does nothing. `report` still works.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.run.close();
        self.run.report_end(py)
    }

    /// The numbers of documents and bytes so far; never blocks.
    #[getter]
    fn progress(&self) -> (u64, u64) {
        self.run.progress()
    }

    /// Return whether the run read its last reply, without an error.
    #[getter]
    fn complete(&self) -> bool {
        self.run.complete()
    }

    /// Record the way in which the read was split, for its report.
    fn record_plan(&self, plan: &str) {
        self.run.record_plan(plan);
    }

    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        report::to_dict(
            py,
            &self.run.report(),
            self.run.observed(),
            self.run.finished(),
        )
    }
}

/// Polls for the next Chunk, and returns its values that do not fit `schema`.
fn conflicts(run: &Run, schema: &TableSchema) -> data_bridge::error::Result<Poll<Vec<Error>>> {
    Ok(match run.poll()? {
        Poll::Found(decoded) => {
            Poll::Found(conflicts_in(&decoded.chunk, decoded.first_row, schema)?)
        }
        Poll::Pending => Poll::Pending,
        Poll::End => Poll::End,
    })
}

impl Drop for Reader {
    fn drop(&mut self) {
        // An iterator or a stream may continue without this handle.
        if Arc::strong_count(&self.run) == 1 {
            self.run.close();
        }
    }
}

/// Read concatenated documents from an object with the buffer protocol.
#[pyfunction]
#[pyo3(signature = (data, *, codec, eager))]
pub(crate) fn read_bytes(data: &Bound<'_, PyAny>, codec: Codec, eager: bool) -> PyResult<Reader> {
    let source = BytesSource::new(iterable_source::buffer(data)?);
    Ok(Reader::start(Box::new(source), codec, eager, None))
}

/// Read concatenated documents from a file.
#[pyfunction]
#[pyo3(signature = (path, *, codec, eager))]
pub(crate) fn read_file(
    py: Python<'_>,
    path: PathBuf,
    codec: Codec,
    eager: bool,
) -> PyResult<Reader> {
    // `os.stat` raises Python's own exceptions for a file that cannot be read.
    py.import("os")?.call_method1("stat", (&path,))?;
    let source = FileSource::open(&path).map_err(|error| to_pyerr(py, error))?;
    Ok(Reader::start(Box::new(source), codec, eager, None))
}

/// Read buffers of whole documents, pulled from the Python iterable as they are needed.
#[pyfunction]
#[pyo3(signature = (buffers, *, codec, eager))]
pub(crate) fn read_iterable(
    buffers: &Bound<'_, PyAny>,
    codec: Codec,
    eager: bool,
) -> PyResult<Reader> {
    let (buffers, source) = iterable_source::iterable_source(buffers.try_iter()?.into_any());
    Ok(Reader::with_buffers(
        Box::new(source),
        codec,
        eager,
        Some(buffers),
        None,
    ))
}
