//! Conversions of documents and lists: embedded models, and containers of converted values. Each returns `None` for a value of
//! another type, and where a value in it has one.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyList, PySet, PyString, PyTuple};

use crate::ffi;
use crate::models::location::Place;
use crate::models::model_class::ModelClass;
use crate::models::native_converter::NativeConverter;
use crate::models::stored::Stored;

/// The class of a converted list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    List,
    Set,
    FrozenSet,
    Tuple,
}

/// The instance of an embedded model. In a tree of models it is of the class that the document names under the key of `tree`.
pub fn embedded<'py>(
    stored: &Stored<'_, 'py>,
    class: &ModelClass,
    tree: Option<&(Py<PyString>, Py<PyDict>)>,
    place: &Place<'_>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = stored.py;
    let Some((py_chunk, row)) = stored.document()? else {
        return Ok(None);
    };
    let location = Some(place.location(py)?);
    if let Some((key, classes)) = tree {
        let named = py_chunk.get(row, key.bind(py).as_any())?;
        // Documents without a name are older than the tree.
        if let Some(name) = named.filter(|name| !name.is_none()) {
            if !name.is_instance_of::<PyString>() {
                return Ok(None);
            }
            let Some(class) = classes.bind(py).get_item(name)? else {
                return Ok(None);
            };
            let class = class.cast_into::<ModelClass>()?;
            let made = class.get().own(py, py_chunk, row, location)?;
            return Ok(Some(made.into_any()));
        }
    }
    let made = class.own(py, py_chunk, row, location)?;
    Ok(Some(made.into_any()))
}

/// A list of converted items, or a set or tuple of them. The garbage collector tracks a list only if `cyclic`: an item may
/// refer to it.
pub fn list<'py>(
    stored: &Stored<'_, 'py>,
    kind: ListKind,
    item: &NativeConverter,
    cyclic: bool,
    place: &Place<'_>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = stored.py;
    let Some(range) = stored.list()? else {
        return Ok(None);
    };
    let (items, start, end) = range.parts();
    // The end of the conversion: an error, or an item of another type.
    let mut failed = None;
    let converted = (start..end).map(|row| {
        let each = Stored {
            py,
            codec: &items.codec,
            column: &items.column,
            row,
        };
        if failed.is_none() {
            match item.load(&each, &place.item(row - start)) {
                Ok(Some(value)) => return value,
                other => failed = Some(other),
            }
        }
        py.None().into_bound(py)
    });
    if kind == ListKind::Tuple {
        let made = PyTuple::new(py, converted)?;
        return failed.unwrap_or_else(|| Ok(Some(made.into_any())));
    }
    let list = PyList::new(py, converted)?;
    if let Some(failed) = failed {
        return failed;
    }
    let class = match kind {
        ListKind::Set => py.get_type::<PySet>(),
        ListKind::FrozenSet => py.get_type::<PyFrozenSet>(),
        _ => {
            if !cyclic {
                ffi::untrack_list(&list);
            }
            return Ok(Some(list.into_any()));
        }
    };
    match class.call1((list,)) {
        Ok(made) => Ok(Some(made)),
        // A value that has no hash.
        Err(error) if error.is_instance_of::<PyTypeError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A tuple whose items have a converter each.
pub fn tuple<'py>(
    stored: &Stored<'_, 'py>,
    converters: &[Py<NativeConverter>],
    place: &Place<'_>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = stored.py;
    let Some(range) = stored.list()? else {
        return Ok(None);
    };
    let (items, start, end) = range.parts();
    if end - start != converters.len() {
        return Ok(None);
    }
    let mut converted = Vec::with_capacity(converters.len());
    for (position, converter) in converters.iter().enumerate() {
        let each = Stored {
            py,
            codec: &items.codec,
            column: &items.column,
            row: start + position,
        };
        match converter.get().load(&each, &place.item(position))? {
            Some(value) => converted.push(value),
            None => return Ok(None),
        }
    }
    Ok(Some(PyTuple::new(py, converted)?.into_any()))
}

/// A dict of converted values.
pub fn dict<'py>(
    stored: &Stored<'_, 'py>,
    item: &NativeConverter,
    place: &Place<'_>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = stored.py;
    let Some((py_chunk, row)) = stored.document()? else {
        return Ok(None);
    };
    let dict = PyDict::new(py);
    for (key, column) in py_chunk.entries(row) {
        let each = Stored {
            py,
            codec: stored.codec,
            column,
            row,
        };
        match item.load(&each, &place.value(key))? {
            Some(value) => dict.set_item(key, value)?,
            None => return Ok(None),
        }
    }
    Ok(Some(dict.into_any()))
}
