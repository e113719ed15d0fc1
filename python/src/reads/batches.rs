//! RecordBatches of a live read.

use std::sync::{Arc, Mutex, OnceLock};

use arrow_array::RecordBatch as ArrowBatch;
use arrow_schema::{ArrowError, SchemaRef};
use data_bridge::conform::FlatSchema;
use data_bridge::error::{Error, ErrorKind, Result};
use data_bridge::reader::{BatchProgress, BatchStream};
use data_bridge::schema::TableSchema;
use data_bridge::source::Task;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};

use crate::error::{caught, to_pyerr};
use crate::lock::lock;
use crate::operations::operation::{Operation, SIGNAL_INTERVAL};
use crate::reads::arrow::{self, RecordBatch, Schema};
use crate::reads::report;
use crate::reads::run::{Poll, Run};
use crate::reads::table_options::TableOptions;

/// RecordBatches of a live read, all of one schema.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct BatchReader(Arc<Batches>);

impl BatchReader {
    /// The read that the batches come from.
    pub(crate) fn run(&self) -> Arc<Run> {
        Arc::clone(&self.0.run)
    }
}

struct Batches {
    run: Arc<Run>,
    /// Locked only while the run's lock is held.
    stream: Mutex<BatchStream>,
    flat: Flat,
    /// True after the reader moved into a C stream.
    exported: Mutex<bool>,
}

/// The columns of a flattened stream, made when its schema is known.
enum Flat {
    Off,
    On(OnceLock<FlatSchema>),
}

impl Flat {
    fn of(&self, schema: &TableSchema) -> Result<Option<&FlatSchema>> {
        let Flat::On(made) = self else {
            return Ok(None);
        };
        if made.get().is_none() {
            // Of two threads, one sets it; both made the same.
            let _ = made.set(FlatSchema::new(schema)?);
        }
        Ok(made.get())
    }

    fn arrow(&self, schema: &TableSchema) -> Result<SchemaRef> {
        let flat = self.of(schema)?;
        Ok(flat.map_or(schema.arrow(), FlatSchema::arrow).clone())
    }
}

impl BatchReader {
    pub fn new(run: Arc<Run>, form: &TableOptions, infer_rows: u64, narrowed: bool) -> Self {
        if !form.has_schema() {
            run.set_boundary(infer_rows);
        }
        BatchReader(Arc::new(Batches {
            run,
            stream: Mutex::new(form.stream(infer_rows).narrowed(narrowed)),
            flat: match form.flattens() {
                true => Flat::On(OnceLock::new()),
                false => Flat::Off,
            },
            exported: Mutex::new(false),
        }))
    }

    fn open(&self, py: Python<'_>) -> PyResult<&Batches> {
        self.0.run.check().map_err(|error| to_pyerr(py, error))?;
        self.0.run.check_whole()?;
        if *lock(&self.0.exported) {
            return Err(exported());
        }
        Ok(&self.0)
    }
}

impl Batches {
    fn poll(&self) -> Result<Poll<ArrowBatch>> {
        self.run.with(|reader| {
            let mut stream = lock(&self.stream);
            let progress = stream.poll(reader, SIGNAL_INTERVAL);
            self.run.record_types(&stream);
            Ok(match progress? {
                BatchProgress::Batch(batch) => Poll::Found(match stream.schema() {
                    Some(schema) => match self.flat.of(schema)? {
                        Some(flat) => flat.flatten(&batch)?,
                        None => batch,
                    },
                    None => batch,
                }),
                BatchProgress::Pending => Poll::Pending,
                BatchProgress::End => Poll::End,
            })
        })
    }

    fn poll_schema(&self) -> Result<Poll<SchemaRef>> {
        self.run.with(|reader| {
            let mut stream = lock(&self.stream);
            let schema = stream.poll_schema(reader, SIGNAL_INTERVAL)?.cloned();
            self.run.record_types(&stream);
            Ok(match schema {
                Some(schema) => Poll::Found(self.flat.arrow(&schema)?),
                None => Poll::Pending,
            })
        })
    }

    fn schema(&self, py: Python<'_>) -> PyResult<SchemaRef> {
        self.run.check().map_err(|error| to_pyerr(py, error))?;
        // A known schema needs no run, which may be over.
        if let Some(schema) = py.detach(|| lock(&self.stream).schema().cloned()) {
            return self
                .flat
                .arrow(&schema)
                .map_err(|error| to_pyerr(py, error));
        }
        let schema = self.run.wait(py, || self.poll_schema())?;
        schema
            .ok_or_else(|| PyRuntimeError::new_err("the stream ended before its schema was known"))
    }
}

#[pymethods]
impl BatchReader {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<RecordBatch>> {
        let batches = self.open(py)?;
        let batch = batches.run.wait(py, || batches.poll())?;
        Ok(batch.map(RecordBatch))
    }

    fn next_async(&self, py: Python<'_>) -> PyResult<Operation> {
        self.open(py)?.run.drain_iterable(py)?;
        let batches = Arc::clone(&self.0);
        let task = Task::spawn_blocking(move |stop| {
            let stopped = || stop.is_set();
            batches.run.wait_unattached(|| batches.poll(), stopped)
        });
        Ok(Operation::new(task, |py, batch| match batch {
            Some(batch) => Ok(Py::new(py, RecordBatch(batch))?.into_any()),
            None => Ok(py.None()),
        })
        .part_of(self.0.run.record()))
    }

    fn schema_async(&self, py: Python<'_>) -> PyResult<Operation> {
        self.open(py)?.run.drain_iterable(py)?;
        let batches = Arc::clone(&self.0);
        let task = Task::spawn_blocking(move |stop| {
            let known = lock(&batches.stream).schema().cloned();
            if let Some(schema) = known {
                return batches.flat.arrow(&schema).map(Some);
            }
            let stopped = || stop.is_set();
            batches
                .run
                .wait_unattached(|| batches.poll_schema(), stopped)
        });
        Ok(Operation::new(task, |py, schema| match schema {
            Some(schema) => Ok(Py::new(py, Schema(schema))?.into_any()),
            None => Err(PyRuntimeError::new_err(
                "the stream ended before its schema was known",
            )),
        })
        .part_of(self.0.run.record()))
    }

    #[getter]
    fn schema(&self, py: Python<'_>) -> PyResult<Schema> {
        self.0.schema(py).map(Schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = self.schema(py)?;
        Ok(schema.__arrow_c_schema__(py)?)
    }

    /// Move the reader into the stream; a second call raises RuntimeError.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        self.open(py)?.run.drain_iterable(py)?;
        let schema = self.0.schema(py)?;
        // Checked again: another thread may have made a stream while this one waited for the schema.
        if std::mem::replace(&mut *lock(&self.0.exported), true) {
            return Err(exported());
        }
        let batches = Arc::clone(&self.0);
        let live = LiveStream {
            batches,
            over: false,
        };
        Ok(arrow::stream(py, live, schema)?)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.run.close();
        self.0.run.report_end(py)
    }

    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let run = &self.0.run;
        run.check().map_err(|error| to_pyerr(py, error))?;
        report::to_dict(py, &run.report(), run.observed(), run.finished())
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.run.close();
        self.run.queue_end();
    }
}

fn exported() -> PyErr {
    PyRuntimeError::new_err("this stream was handed out already: a live stream can be read once")
}

/// The source of a C stream. It never attaches to the interpreter: its consumer may be attached or not.
struct LiveStream {
    batches: Arc<Batches>,
    over: bool,
}

impl LiveStream {
    fn pull(&self) -> Result<Option<ArrowBatch>> {
        let batches = &self.batches;
        let next = batches.run.wait_unattached(|| batches.poll(), || false)?;
        if next.is_none() && batches.run.closed() {
            // Without an error the consumer would take the rows so far for the whole result.
            return Err(Error::new(ErrorKind::InvalidArgument(
                "the stream was closed before all of it was read".into(),
            )));
        }
        Ok(next)
    }
}

impl Iterator for LiveStream {
    type Item = std::result::Result<ArrowBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = caught(|| self.pull());
        self.over = !matches!(next, Ok(Some(_)));
        // A C stream passes on only the message; the report has the typed error.
        next.map_err(|error| ArrowError::ExternalError(Box::new(error)))
            .transpose()
    }
}
