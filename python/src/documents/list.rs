//! `ListView`: a list of a document. Its class is Python's, derived from `list`: C code takes no other sequence for a list.

use std::sync::Arc;

use data_bridge::chunk::{encode_wrapped, Cell, ListCell};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyType};

use crate::documents::py_chunk::PyChunk;
use crate::documents::py_column::Items;
use crate::ffi::ListClass;
use crate::values::codec::Codec;

/// The ListView of the items from `start` to `end`: documents and lists in it are views.
pub fn view<'py>(
    py: Python<'py>,
    items: &Items,
    start: usize,
    end: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let mut failed = None;
    let values = (start..end).map(|row| match items.column.lazy(py, &items.codec, row) {
        Ok(value) => value,
        Err(error) => {
            failed.get_or_insert(error);
            py.None().into_bound(py)
        }
    });
    let values = PyList::new(py, values)?;
    match failed {
        Some(error) => Err(error),
        None => class(py)?.1.instance(&values),
    }
}

/// A list that its column stores as BSON.
pub fn from_bson<'py>(
    py: Python<'py>,
    codec: &Codec,
    list: &Cell<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    let (items, start, end) = range_of_bson(py, codec, list)?;
    view(py, &items, start, end)
}

/// The items of a list that its column stores as BSON, and the range of the list among them.
pub fn range_of_bson(
    py: Python<'_>,
    codec: &Codec,
    list: &Cell<'_>,
) -> PyResult<(Arc<Items>, usize, usize)> {
    let mut bytes = Vec::new();
    encode_wrapped(list, &mut bytes).map_err(|error| crate::error::to_pyerr(py, error))?;
    let py_chunk = PyChunk::from_bson(py, &bytes, codec)?;
    match py_chunk.cell_at(0, intern!(py, "").as_any())? {
        Some((column, Cell::List(ListCell::Range { items, start, end }))) => {
            Ok((Arc::clone(column.items(codec, items)), start, end))
        }
        _ => Err(PyValueError::new_err(
            "a list was lost in its conversion to BSON",
        )),
    }
}

/// The class.
pub fn class(py: Python<'_>) -> PyResult<&(Py<PyType>, ListClass)> {
    static CLASS: PyOnceLock<(Py<PyType>, ListClass)> = PyOnceLock::new();
    CLASS.get_or_try_init(py, || {
        let class = py.import("data_bridge.list_view")?.getattr("ListView")?;
        let class = class.cast_into::<PyType>()?;
        match ListClass::of(&class)? {
            Some(made) => Ok((class.unbind(), made)),
            None => Err(PyTypeError::new_err("ListView is no plain list")),
        }
    })
}
