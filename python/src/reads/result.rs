//! A materialised result: all its Chunks in memory.

use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch as ArrowBatch;
use arrow_schema::SchemaRef;
use data_bridge::conform::{chunks_from_batch, with_types, ConflictCounts, Nulls};
use data_bridge::reader::{Decoded, Report, ResultSet, ResultSetBuilder};
use data_bridge::schema::{Representation, TableSchema};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList};

use crate::documents::document::Document;
use crate::error::{guarded, to_list, to_pyerr, to_pyerr_of_table};
use crate::ffi;
use crate::lock::lock;
use crate::models::field_slot::FieldSlot;
use crate::models::model_class::ModelClass;
use crate::reads::arrow::{self, RecordBatch, Schema};
use crate::reads::document_iterator::DocumentIterator;
use crate::reads::object_lists::{with_gc_paused, ObjectKind};
use crate::reads::report;
use crate::reads::rows::Rows;
use crate::reads::table_options::TableOptions;
use crate::values::codec::Codec;

/// A table of a result.
#[derive(Clone)]
struct Table {
    schema: SchemaRef,
    batches: Vec<ArrowBatch>,
}

type CacheKey = (Representation, bool);

/// A materialised result: Chunks, and the tables made from them.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct ResultData {
    rows: Arc<Rows>,
    /// The Arrow data that the documents were read from.
    original: Option<Table>,
    /// The latest table with inferred types, and its storage.
    table: Mutex<Option<(CacheKey, Table)>>,
    seconds_conforming: Mutex<f64>,
    conflict_counts: Mutex<ConflictCounts>,
}

impl ResultData {
    pub fn new(set: ResultSet, codec: Codec) -> Self {
        ResultData {
            rows: Arc::new(Rows::new(set, codec)),
            original: None,
            table: Mutex::new(None),
            seconds_conforming: Mutex::new(0.0),
            conflict_counts: Mutex::default(),
        }
    }

    /// Objects of all rows, made with the garbage collector paused.
    fn list<'py>(
        &self,
        py: Python<'py>,
        objects: &ObjectKind<'_, 'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        with_gc_paused(py, || {
            let list = PyList::empty(py);
            for number in 0..self.rows.set().chunks().len() {
                objects.append(&self.rows.py_chunk(py, number), &list)?;
                py.check_signals()?;
            }
            Ok(list)
        })
    }

    /// The table by `form`; without a form the original Arrow data, or else the table with exact types.
    fn table(&self, py: Python<'_>, form: Option<&TableOptions>, shapes: bool) -> PyResult<Table> {
        let exact = TableOptions::default();
        let made = py.detach(|| match (form, &self.original) {
            (None, Some(original)) if !shapes => Ok(original.clone()),
            (form, _) => self.cached(form.unwrap_or(&exact), shapes),
        });
        made.map_err(|error| to_pyerr(py, error))
    }

    fn cached(&self, form: &TableOptions, shapes: bool) -> data_bridge::error::Result<Table> {
        let Some(key) = form.cache_key().filter(|_| !shapes) else {
            return self.make(form, shapes);
        };
        let mut table = lock(&self.table);
        match &*table {
            Some((made, table)) if *made == key => Ok(table.clone()),
            _ => {
                let made = self.make(form, shapes)?;
                Ok(table.insert((key, made)).1.clone())
            }
        }
    }

    fn make(&self, form: &TableOptions, shapes: bool) -> data_bridge::error::Result<Table> {
        let set = self.rows.set();
        let columns = form.of_result(set, shapes)?;
        let (schema, policy) = (&columns.schema, &columns.policy);
        let mut arrow = columns.arrow().clone();
        let mut made = set.batches(schema, policy)?;
        if shapes {
            (arrow, made) = set.shaped(made, schema, policy)?;
        }
        if let Some(flat) = &columns.flat {
            let batches = made.batches.iter().map(|batch| flat.flatten(batch));
            made.batches = batches.collect::<data_bridge::error::Result<_>>()?;
        }
        *lock(&self.seconds_conforming) += made.seconds;
        // Replaced, not added: two tables have the same conflicts.
        *lock(&self.conflict_counts) = made.conflict_counts;
        Ok(Table {
            schema: arrow,
            batches: made.batches,
        })
    }
}

#[pymethods]
impl ResultData {
    fn __len__(&self) -> usize {
        self.rows.set().rows() as usize
    }

    fn document(&self, py: Python<'_>, index: u64) -> PyResult<Py<Document>> {
        if index >= self.rows.set().rows() {
            return Err(PyIndexError::new_err("no such document in the result"));
        }
        let (chunk, row) = self.rows.set().locate(index);
        Document::view(py, &self.rows.py_chunk(py, chunk), row as u32)
    }

    #[pyo3(signature = (start=0, stop=None))]
    fn documents(&self, start: u64, stop: Option<u64>) -> DocumentIterator {
        let rows = self.rows.set().rows();
        let stop = stop.unwrap_or(rows).min(rows);
        DocumentIterator::of_rows(Arc::clone(&self.rows), start.min(stop)..stop)
    }

    /// All Documents, made with the garbage collector paused.
    fn document_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.list(py, &ObjectKind::Documents)
    }

    /// All documents as instances of a model, made with the garbage collector paused.
    fn instances<'py>(
        &self,
        py: Python<'py>,
        class: &Bound<'py, ModelClass>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.list(py, &ObjectKind::Instances(class))
    }

    /// Positions of the documents whose value of `field` needs a conversion, or is missing; the others need no check.
    fn unproven(&self, py: Python<'_>, field: &Bound<'_, FieldSlot>) -> PyResult<Vec<u64>> {
        let mut found = Vec::new();
        let mut first = 0;
        for (number, chunk) in self.rows.set().chunks().iter().enumerate() {
            let py_chunk = self.rows.py_chunk(py, number);
            for row in 0..chunk.rows() {
                if !field.get().is_direct(py, &py_chunk, row)? {
                    found.push(first + row as u64);
                }
            }
            first += chunk.rows() as u64;
            py.check_signals()?;
        }
        Ok(found)
    }

    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.list(py, &ObjectKind::Dicts)
    }

    #[pyo3(signature = (form=None))]
    fn schema(&self, py: Python<'_>, form: Option<&TableOptions>) -> PyResult<Schema> {
        let exact = TableOptions::default();
        py.detach(|| match (form, &self.original) {
            (None, Some(original)) => Ok(Schema(original.schema.clone())),
            (form, _) => {
                let columns = form.unwrap_or(&exact).of_result(self.rows.set(), false)?;
                Ok(Schema(columns.arrow().clone()))
            }
        })
        .map_err(|error| to_pyerr(py, error))
    }

    #[pyo3(signature = (form=None))]
    fn batches(&self, py: Python<'_>, form: Option<&TableOptions>) -> PyResult<Vec<RecordBatch>> {
        let table = self.table(py, form, false)?;
        Ok(table.batches.into_iter().map(RecordBatch).collect())
    }

    /// A C stream capsule, whose batches share the result's memory. Each call returns a new one. With `shapes` the table has
    /// the column that makes `from_arrow` exact.
    #[pyo3(signature = (form=None, requested_schema=None, *, shapes=false))]
    fn arrow_stream<'py>(
        &self,
        py: Python<'py>,
        form: Option<&TableOptions>,
        requested_schema: Option<Bound<'py, PyAny>>,
        shapes: bool,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let table = self.table(py, form, shapes)?;
        Ok(arrow::stream(
            py,
            table.batches.into_iter().map(Ok),
            table.schema,
        )?)
    }

    /// Number of the Chunks that `conflicts` takes.
    #[getter]
    fn chunks(&self) -> usize {
        self.rows.set().chunks().len()
    }

    /// Values of one Chunk that do not fit the form's schema, as exceptions.
    fn conflicts<'py>(
        &self,
        py: Python<'py>,
        form: &TableOptions,
        chunk: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let set = self.rows.set();
        if chunk >= set.chunks().len() {
            return Err(PyIndexError::new_err("no such piece of the result"));
        }
        let found = py.detach(|| match form.user_schema() {
            Some(schema) => set.conflicts(chunk, schema),
            None => Ok(Vec::new()),
        });
        to_list(py, found.map_err(|error| to_pyerr(py, error))?)
    }

    /// The report of the run, and of the table by `form`.
    #[pyo3(signature = (form=None))]
    fn report<'py>(
        &self,
        py: Python<'py>,
        form: Option<&TableOptions>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let set = self.rows.set();
        let mut report = set.report().clone();
        report.seconds_conforming += *lock(&self.seconds_conforming);
        report.conflict_counts = lock(&self.conflict_counts).clone();
        let schema = form.and_then(TableOptions::user_schema);
        report.schema_keys = schema.map(|schema| set.schema_keys(schema));
        let exact = Representation::exact();
        let representation = form.map_or(&exact, TableOptions::representation);
        report::to_dict(py, &report, Some((set.observed(), representation)), true)
    }
}

/// Documents of any object with `__arrow_c_stream__` or `__arrow_c_array__`; null is read as missing, unless nulls are kept.
/// Columns that the schema of `form` names have its types.
#[pyfunction]
#[pyo3(signature = (stream, *, codec, keep_nulls=false, form=None))]
pub(crate) fn from_arrow(
    py: Python<'_>,
    stream: &Bound<'_, PyAny>,
    codec: Codec,
    keep_nulls: bool,
    form: Option<&TableOptions>,
) -> PyResult<ResultData> {
    let nulls = match keep_nulls {
        true => Nulls::Keep,
        false => Nulls::Omit,
    };
    let types = form.and_then(TableOptions::user_schema);
    guarded(|| read_arrow(py, stream, codec, nulls, types))
}

fn read_arrow(
    py: Python<'_>,
    stream: &Bound<'_, PyAny>,
    codec: Codec,
    nulls: Nulls,
    types: Option<&TableSchema>,
) -> PyResult<ResultData> {
    let (schema, batches) = ffi::batches(stream)?;
    let mut builder = ResultSetBuilder::default();
    let mut report = Report::default();
    for batch in &batches {
        let first_row = report.rows;
        let chunks = py
            .detach(|| match types {
                Some(types) => chunks_from_batch(&with_types(batch, types.arrow())?, nulls),
                None => chunks_from_batch(batch, nulls),
            })
            .map_err(|mut error| {
                if let Some(document) = &mut error.location_mut().document {
                    *document += first_row;
                }
                to_pyerr_of_table(py, error)
            })?;
        py.check_signals()?;
        report.bytes += batch.get_array_memory_size() as u64;
        for chunk in chunks {
            let first_row = report.rows;
            report.rows += chunk.rows() as u64;
            report.chunks += 1;
            builder.push(Decoded {
                chunk: Arc::new(chunk),
                observed: None,
                first_row,
            });
        }
    }
    let mut data = ResultData::new(builder.finish(report), codec);
    data.original = Some(Table { schema, batches });
    Ok(data)
}
