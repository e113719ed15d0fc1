//! `ArrowSource`: the batches of another library, taken one by one.

use std::sync::{Arc, Mutex};

use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use data_bridge::schema::{extension_name, STORED_TYPE_KEY};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::error::{guarded, to_pyerr};
use crate::ffi::Batches;
use crate::lock::lock;
use crate::reads::arrow::{RecordBatch, Schema};
use crate::reads::batches::BatchReader;
use crate::reads::run::Run;
use crate::reads::table_options::TableOptions;

/// A table that is read once, batch by batch.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct ArrowSource {
    pub(crate) schema: SchemaRef,
    /// `None` while a thread takes a batch, and after the end.
    batches: Mutex<Option<Batches>>,
    /// The read that the batches come from, if it is one of this package.
    run: Option<Arc<Run>>,
}

#[pymethods]
impl ArrowSource {
    /// The table of an object with `__arrow_c_stream__` or `__arrow_c_array__`.
    #[new]
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !(object.hasattr("__arrow_c_stream__")? || object.hasattr("__arrow_c_array__")?) {
            return Err(PyTypeError::new_err(format!(
                "data must have __arrow_c_stream__: a polars or pandas frame, a pyarrow table, a DuckDB relation, a query; got {}",
                object.get_type().name()?
            )));
        }
        let batches = guarded(|| Batches::of(object))?;
        Ok(ArrowSource {
            schema: batches.schema().clone(),
            batches: Mutex::new(Some(batches)),
            run: object
                .cast::<BatchReader>()
                .ok()
                .map(|reader| reader.get().run()),
        })
    }

    #[getter]
    fn schema(&self) -> Schema {
        Schema(self.schema.clone())
    }

    /// The next batch; None at the end. It may take long, so an event loop calls it on another thread.
    fn next_batch(&self, py: Python<'_>) -> PyResult<Option<RecordBatch>> {
        let Some(mut batches) = lock(&self.batches).take() else {
            return Ok(None);
        };
        // A C stream passes on only the message of an error.
        let typed = |untyped| match self.run.as_ref().and_then(|run| run.report().error) {
            Some(error) => to_pyerr(py, error),
            None => untyped,
        };
        let batch = guarded(|| batches.next(py)).map_err(typed)?;
        if batch.is_some() {
            *lock(&self.batches) = Some(batches);
        }
        Ok(batch.map(RecordBatch))
    }

    /// Release the stream, as soon as no thread takes a batch of it.
    fn close(&self, py: Python<'_>) {
        let batches = lock(&self.batches).take();
        py.detach(|| drop(batches));
    }

    /// The columns at and below `path` whose type may have been lost on the way, with their kinds: "text", "binary",
    /// "date". Others, and those whose type the table or the schema of `form` records, are left out. A struct is
    /// followed by its fields.
    fn plain_leaves(
        &self,
        path: Vec<String>,
        form: &TableOptions,
    ) -> Vec<(Vec<String>, &'static str)> {
        let given = form.user_schema().map(|schema| schema.arrow());
        let mut found = Vec::new();
        if let Some(field) = at(&self.schema, &path) {
            let recorded = given.and_then(|schema| at(schema, &path));
            add_leaves(field, recorded, path, &mut found);
        }
        found
    }

    /// The names of the struct at `path`, in their order; None for another column.
    fn struct_names(&self, path: Vec<String>) -> Option<Vec<String>> {
        match at(&self.schema, &path)?.data_type() {
            DataType::Struct(fields) => {
                Some(fields.iter().map(|field| field.name().clone()).collect())
            }
            _ => None,
        }
    }
}

/// Adds the plain columns at and below a field.
fn add_leaves(
    field: &Field,
    recorded: Option<&Field>,
    path: Vec<String>,
    found: &mut Vec<(Vec<String>, &'static str)>,
) {
    if let DataType::Struct(fields) = field.data_type() {
        for below in fields {
            let recorded = recorded.and_then(|field| match field.data_type() {
                DataType::Struct(fields) => Some(fields.find(below.name())?.1.as_ref()),
                _ => None,
            });
            let mut path = path.clone();
            path.push(below.name().clone());
            add_leaves(below, recorded, path, found);
        }
    } else if let (Some(kind), true) = (
        kind_of(field),
        recorded.is_none_or(|field| kind_of(field).is_some()),
    ) {
        found.push((path, kind));
    }
}

/// The field at a path of keys.
fn at<'a>(schema: &'a ArrowSchema, path: &[String]) -> Option<&'a Field> {
    let (first, rest) = path.split_first()?;
    let mut field = schema.field_with_name(first).ok()?;
    for name in rest {
        let DataType::Struct(fields) = field.data_type() else {
            return None;
        };
        field = fields.find(name)?.1;
    }
    Some(field)
}

/// The kind of a plain column; `None` for one with a recorded type, and for others.
fn kind_of(field: &Field) -> Option<&'static str> {
    if extension_name(field).is_some() || field.metadata().contains_key(STORED_TYPE_KEY) {
        return None;
    }
    let kind = match field.data_type() {
        DataType::Dictionary(_, values) => values,
        kind => kind,
    };
    Some(match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary",
        DataType::FixedSizeBinary(width) if *width != 12 => "binary",
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => "date",
        _ => return None,
    })
}
