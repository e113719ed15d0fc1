//! Python handles of Arrow schemas and RecordBatches, with the PyCapsule interface.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch as ArrowBatch, StructArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, SchemaRef};
use data_bridge::schema::{extension_name, schema_from_bytes, schema_to_bytes, STORED_TYPE_KEY};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyTuple};
use pyo3_arrow::error::PyArrowError;
use pyo3_arrow::ffi::{
    to_array_pycapsules, to_schema_pycapsule, to_stream_pycapsule, ArrayIterator,
};
use pyo3_arrow::PySchema;

use crate::error::to_pyerr;

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

    /// The fields with these names, in their order.
    fn _select(&self, names: Vec<String>) -> PyResult<Self> {
        let fields = names.iter().map(|name| self.0.index_of(name));
        let indices: Result<Vec<_>, _> = fields.collect();
        let selected = indices.and_then(|indices| self.0.project(&indices));
        let schema = selected.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Schema(schema.into()))
    }

    /// The Arrow type of the field at a path of names, and the name of its extension or of its stored type; None without such a
    /// field.
    fn _type_at(&self, path: Vec<String>) -> Option<(String, Option<String>)> {
        let mut fields = self.0.fields();
        let (last, parents) = path.split_last()?;
        for name in parents {
            let (_, parent) = fields.find(name)?;
            let DataType::Struct(below) = parent.data_type() else {
                return None;
            };
            fields = below;
        }
        let (_, field) = fields.find(last)?;
        let stored = field.metadata().get(STORED_TYPE_KEY).map(String::as_str);
        let stored = extension_name(field).or(stored).map(str::to_owned);
        Some((field.data_type().to_string(), stored))
    }

    /// The schema of the bytes that pickle keeps.
    #[staticmethod]
    fn _from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let schema = schema_from_bytes(data).map_err(|error| to_pyerr(py, error))?;
        Ok(Schema(schema))
    }

    /// The function and the bytes with which pickle makes the schema again.
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let py = slf.py();
        let bytes = schema_to_bytes(&slf.get().0).map_err(|error| to_pyerr(py, error))?;
        let made = slf.get_type().getattr("_from_bytes")?;
        Ok((made, (PyBytes::new(py, &bytes),)))
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
