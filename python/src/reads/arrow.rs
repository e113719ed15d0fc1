//! Python handles of Arrow schemas and RecordBatches, with the PyCapsule interface.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch as ArrowBatch, StructArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, SchemaRef};
use data_bridge::schema::{extension_name, STORED_TYPE_KEY};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};
use pyo3_arrow::error::PyArrowError;
use pyo3_arrow::ffi::{
    to_array_pycapsules, to_schema_pycapsule, to_stream_pycapsule, ArrayIterator,
};
use pyo3_arrow::PySchema;

/// An Arrow schema.
#[pyclass(frozen, eq, module = "data_bridge._core")]
#[derive(PartialEq)]
pub(crate) struct Schema(pub SchemaRef);

#[pymethods]
impl Schema {
    /// The schema of any object with `__arrow_c_schema__`.
    #[staticmethod]
    fn from_arrow(object: PySchema) -> Self {
        Schema(object.into_inner())
    }

    #[getter]
    fn names(&self) -> Vec<&str> {
        let fields = self.0.fields().iter();
        fields.map(|field| field.name().as_str()).collect()
    }

    fn __len__(&self) -> usize {
        self.0.fields().len()
    }

    pub(crate) fn __arrow_c_schema__<'py>(
        &self,
        py: Python<'py>,
    ) -> Result<Bound<'py, PyCapsule>, PyArrowError> {
        to_schema_pycapsule(py, self.0.as_ref())
    }

    /// One line per field: name, type, and the extension name or the stored type.
    fn __repr__(&self) -> String {
        let fields = self.0.fields().iter();
        let lines: Vec<_> = fields
            .map(|field| format!("{}: {}", field.name(), described(field)))
            .collect();
        lines.join("\n")
    }
}

/// The type of a field, with the extension name or the stored type at each level.
fn described(field: &Field) -> String {
    let data_type = match field.data_type() {
        // The parts of an extension type are always the same.
        DataType::Struct(fields) if extension_name(field).is_none() => {
            let fields = fields.iter();
            let fields: Vec<_> = fields
                .map(|field| format!("{:?}: {}", field.name(), described(field)))
                .collect();
            format!("Struct({})", fields.join(", "))
        }
        DataType::List(item) => format!("List({})", described(item)),
        DataType::LargeList(item) => format!("LargeList({})", described(item)),
        DataType::FixedSizeList(item, size) => {
            format!("FixedSizeList({} x {})", size, described(item))
        }
        other => other.to_string(),
    };
    let stored = field.metadata().get(STORED_TYPE_KEY).map(String::as_str);
    match extension_name(field).or(stored) {
        Some(name) => format!("{data_type} ({name})"),
        None => data_type,
    }
}

/// Rows of one schema.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct RecordBatch(pub ArrowBatch);

#[pymethods]
impl RecordBatch {
    #[getter]
    fn num_rows(&self) -> usize {
        self.0.num_rows()
    }

    #[getter]
    fn schema(&self) -> Schema {
        Schema(self.0.schema())
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    fn __repr__(&self) -> String {
        format!(
            "RecordBatch({} rows, {} columns)",
            self.0.num_rows(),
            self.0.num_columns()
        )
    }

    fn __arrow_c_schema__<'py>(
        &self,
        py: Python<'py>,
    ) -> Result<Bound<'py, PyCapsule>, PyArrowError> {
        to_schema_pycapsule(py, self.0.schema().as_ref())
    }

    // The protocol allows to ignore a requested schema. Arrow's cast would convert values that overflow to null.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyTuple>, PyArrowError> {
        drop(requested_schema);
        let schema = self.0.schema();
        let rows = StructArray::from(self.0.clone());
        to_array_pycapsules(py, struct_field(&schema), &rows as &dyn Array, None)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyCapsule>, PyArrowError> {
        drop(requested_schema);
        stream(py, std::iter::once(Ok(self.0.clone())), self.0.schema())
    }
}

/// A C stream of `batches`.
pub(crate) fn stream<'py>(
    py: Python<'py>,
    batches: impl Iterator<Item = Result<ArrowBatch, ArrowError>> + Send + 'static,
    schema: SchemaRef,
) -> Result<Bound<'py, PyCapsule>, PyArrowError> {
    let rows = batches.map(|batch| Ok(Arc::new(StructArray::from(batch?)) as ArrayRef));
    let rows = ArrayIterator::new(rows, struct_field(&schema));
    to_stream_pycapsule(py, Box::new(rows), None)
}

/// The field of the struct that has the columns of `schema`.
fn struct_field(schema: &SchemaRef) -> FieldRef {
    let fields = DataType::Struct(schema.fields().clone());
    Arc::new(Field::new("", fields, false).with_metadata(schema.metadata().clone()))
}
