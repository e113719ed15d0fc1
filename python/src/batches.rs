//! Live RecordBatches.

use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch as ArrowBatch;
use arrow_schema::{ArrowError, SchemaRef};
use data_bridge::error::Result;
use data_bridge::reader::{BatchProgress, BatchStream};
use data_bridge::source::Task;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};

use crate::arrow::{self, RecordBatch, Schema};
use crate::error::caught;
use crate::form::Form;
use crate::lock::lock;
use crate::operation::Operation;
use crate::report;
use crate::run::{Look, Run, SLICE};

/// Live RecordBatches of one schema.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct BatchReader(Arc<Batches>);

struct Batches {
    run: Arc<Run>,
    /// Locked inside the run's own lock only.
    stream: Mutex<BatchStream>,
    /// Moved into a C stream.
    handed_out: Mutex<bool>,
}

impl BatchReader {
    pub fn new(run: Arc<Run>, form: &Form, infer_rows: u64, narrowed: bool) -> Self {
        if !form.is_given() {
            run.set_boundary(infer_rows);
        }
        BatchReader(Arc::new(Batches {
            run,
            stream: Mutex::new(form.stream(infer_rows).narrowed(narrowed)),
            handed_out: Mutex::new(false),
        }))
    }

    fn own(&self) -> PyResult<&Batches> {
        if *lock(&self.0.handed_out) {
            return Err(PyRuntimeError::new_err(
                "this stream was handed out already: a live stream can be read once",
            ));
        }
        Ok(&self.0)
    }
}

impl Batches {
    fn look(&self) -> Result<Look<ArrowBatch>> {
        self.run.with(|reader| {
            Ok(match lock(&self.stream).poll(reader, SLICE)? {
                BatchProgress::Batch(batch) => Look::Found(batch),
                BatchProgress::Pending => Look::Pending,
                BatchProgress::End => Look::End,
            })
        })
    }

    fn look_schema(&self) -> Result<Look<SchemaRef>> {
        self.run.with(|reader| {
            let schema = lock(&self.stream).poll_schema(reader, SLICE)?.cloned();
            Ok(match schema {
                Some(schema) => Look::Found(schema.arrow().clone()),
                None => Look::Pending,
            })
        })
    }

    fn schema(&self, py: Python<'_>) -> PyResult<SchemaRef> {
        // Known ones are answered without the run, which may be over.
        if let Some(schema) = py.detach(|| lock(&self.stream).schema().cloned()) {
            return Ok(schema.arrow().clone());
        }
        let schema = self.run.wait(py, || self.look_schema())?;
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
        let batches = self.own()?;
        let batch = batches.run.wait(py, || batches.look())?;
        Ok(batch.map(RecordBatch))
    }

    fn next_async(&self, py: Python<'_>) -> PyResult<Operation> {
        self.own()?.run.drain_feed(py)?;
        let batches = Arc::clone(&self.0);
        let task = Task::spawn_blocking(move |stop| {
            let stopped = || stop.is_set();
            batches.run.wait_unattached(|| batches.look(), stopped)
        });
        Ok(Operation::new(task, |py, batch| match batch {
            Some(batch) => Ok(Py::new(py, RecordBatch(batch))?.into_any()),
            None => Ok(py.None()),
        })
        .part_of(self.0.run.watch()))
    }

    fn schema_async(&self, py: Python<'_>) -> PyResult<Operation> {
        self.own()?.run.drain_feed(py)?;
        let batches = Arc::clone(&self.0);
        let task = Task::spawn_blocking(move |stop| {
            let known = lock(&batches.stream).schema().cloned();
            if let Some(schema) = known {
                return Ok(Some(schema.arrow().clone()));
            }
            let stopped = || stop.is_set();
            batches
                .run
                .wait_unattached(|| batches.look_schema(), stopped)
        });
        Ok(Operation::new(task, |py, schema| match schema {
            Some(schema) => Ok(Py::new(py, Schema(schema))?.into_any()),
            None => Err(PyRuntimeError::new_err(
                "the stream ended before its schema was known",
            )),
        })
        .part_of(self.0.run.watch()))
    }

    #[getter]
    fn schema(&self, py: Python<'_>) -> PyResult<Schema> {
        self.0.schema(py).map(Schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = self.schema(py)?;
        Ok(schema.__arrow_c_schema__(py)?)
    }

    /// Moves the reader into the stream: a second call raises RuntimeError.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        self.own()?.run.drain_feed(py)?;
        let schema = self.0.schema(py)?;
        *lock(&self.0.handed_out) = true;
        let batches = Arc::clone(&self.0);
        Ok(arrow::stream(py, LiveStream(batches), schema)?)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.run.close();
        self.0.run.tell(py)
    }

    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let run = &self.0.run;
        let observed = py.detach(|| lock(&self.0.stream).observed().clone());
        report::to_dict(py, &run.report(), Some(&observed), run.finished())
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.run.close();
        self.run.leave();
    }
}

/// What a C stream pulls from. Its consumer may or may not hold the interpreter: this never asks for it.
struct LiveStream(Arc<Batches>);

impl Iterator for LiveStream {
    type Item = std::result::Result<ArrowBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batches = &self.0;
        let next = caught(|| batches.run.wait_unattached(|| batches.look(), || false));
        // Our message is all that gets through a C stream; the report keeps the typed error.
        next.map_err(|error| ArrowError::ExternalError(Box::new(error)))
            .transpose()
    }
}
