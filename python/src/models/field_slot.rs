//! `FieldSlot`: the descriptor of a declared field. The class returns the field's expression, an instance its value.

use std::sync::OnceLock;

use data_bridge::chunk::Cell;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyString, PyTuple};

use crate::models::model_view::{ModelView, StoredRow};
use crate::values::value;

/// BSON types that need no conversion for some annotation, as bits. A field's sum is the set that it reads directly.
const NULL: u32 = 1;
const STRING: u32 = 2;
const INT32: u32 = 4;
const INT64: u32 = 8;
const DOUBLE: u32 = 16;
const BOOLEAN: u32 = 32;
const OBJECT_ID: u32 = 64;
const DATE: u32 = 128;
const BINARY: u32 = 256;

/// A declared field. Its conversion is set once its annotation can be resolved, which a forward reference may delay.
#[pyclass(frozen, module = "data_bridge._core")]
pub struct FieldSlot {
    name: Py<PyString>,
    key: Py<PyString>,
    /// The value of access through the class.
    expression: Py<PyAny>,
    /// Called without arguments on access before the conversion is set; it calls `_plan`.
    resolve: Py<PyAny>,
    plan: OnceLock<Conversion>,
}

/// The conversion of a field.
struct Conversion {
    /// BSON types that need no conversion.
    direct: u32,
    /// `load(stored, place)`: the value from a stored one of another type.
    load: Py<PyAny>,
    /// True if values from `load` can be changed in place; they are kept.
    keeps: bool,
    /// `accept(value)`: the value that an assignment stores; raises for one that the field refuses.
    accept: Py<PyAny>,
    /// `missing(instance)`: the default of a field that the document does not have; raises if it has no default.
    missing: Py<PyAny>,
}

impl FieldSlot {
    fn plan(&self, py: Python<'_>) -> PyResult<&Conversion> {
        if let Some(plan) = self.plan.get() {
            return Ok(plan);
        }
        self.resolve.bind(py).call0()?;
        self.plan
            .get()
            .ok_or_else(|| PyRuntimeError::new_err("the field has no conversion"))
    }

    /// The value in the stored document; `None` if the document does not have the key.
    #[inline]
    fn stored<'py>(
        &self,
        view: &ModelView,
        source: &StoredRow,
        plan: &Conversion,
        key: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = key.py();
        let Some(cell) = source.py_chunk.cell_at(source.row, key.as_any())? else {
            return Ok(None);
        };
        if direct(&cell) & plan.direct != 0 {
            if let Cell::Int64(number) = cell {
                return Ok(Some(number.into_pyobject(py)?.into_any()));
            }
            let value = value::scalar(py, source.py_chunk.codec(), &cell)?;
            // A date out of the range of datetime has another type.
            if !matches!(cell, Cell::DateTime(_)) || value.is_instance_of::<PyDateTime>() {
                return Ok(Some(value));
            }
        }
        self.converted(view, source, plan, key)
    }

    #[inline(never)]
    fn converted<'py>(
        &self,
        view: &ModelView,
        source: &StoredRow,
        plan: &Conversion,
        key: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = key.py();
        let Some(stored) = source.py_chunk.get(source.row, key.as_any())? else {
            return Ok(None);
        };
        let place = PyTuple::new(py, [view.place(py)?, key.clone().into_any()])?;
        let value = plan.load.bind(py).call1((stored, place))?;
        if plan.keeps {
            return view.keep(self.name.bind(py), value).map(Some);
        }
        Ok(Some(value))
    }

    /// Returns whether the document at `row` has a value that needs no conversion.
    pub fn is_direct(
        &self,
        py: Python<'_>,
        py_chunk: &crate::documents::py_chunk::PyChunk,
        row: usize,
    ) -> PyResult<bool> {
        let plan = self.plan(py)?;
        let cell = py_chunk.cell_at(row, self.key.bind(py).as_any())?;
        Ok(cell.is_some_and(|cell| {
            let (first, last) = py_chunk.codec().date_bounds;
            let fits = match cell {
                Cell::DateTime(millis) => (first..=last).contains(&millis),
                _ => true,
            };
            fits && direct(&cell) & plan.direct != 0
        }))
    }
}

fn direct(cell: &Cell<'_>) -> u32 {
    match cell {
        Cell::Null => NULL,
        Cell::String(_) => STRING,
        Cell::Int32(_) => INT32,
        Cell::Int64(_) => INT64,
        Cell::Double(_) => DOUBLE,
        Cell::Boolean(_) => BOOLEAN,
        Cell::ObjectId(_) => OBJECT_ID,
        Cell::DateTime(_) => DATE,
        Cell::Binary { subtype: 0, .. } => BINARY,
        _ => 0,
    }
}

#[pymethods]
impl FieldSlot {
    #[new]
    fn new(
        py: Python<'_>,
        name: &str,
        key: &str,
        expression: Py<PyAny>,
        resolve: Py<PyAny>,
    ) -> Self {
        FieldSlot {
            // Interned, like the keys of a Chunk, so that most lookups compare pointers.
            name: PyString::intern(py, name).unbind(),
            key: PyString::intern(py, key).unbind(),
            expression,
            resolve,
            plan: OnceLock::new(),
        }
    }

    /// Set the conversion of the field; later calls have no effect.
    fn _plan(
        &self,
        direct: u32,
        load: Py<PyAny>,
        keeps: bool,
        accept: Py<PyAny>,
        missing: Py<PyAny>,
    ) {
        let plan = Conversion {
            direct,
            load,
            keeps,
            accept,
            missing,
        };
        let _ = self.plan.set(plan);
    }

    fn __get__<'py>(
        &self,
        py: Python<'py>,
        instance: Option<&Bound<'py, PyAny>>,
        _owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(instance) = instance else {
            return Ok(self.expression.bind(py).clone());
        };
        let view = instance.cast::<ModelView>()?.get();
        let name = self.name.bind(py);
        if let Some(value) = view.held(name)? {
            return Ok(value);
        }
        let plan = self.plan(py)?;
        let key = self.key.bind(py);
        let stored = view.with_source(|source| match source {
            Some(source) => self.stored(view, source, plan, key),
            None => Ok(None),
        })?;
        match stored {
            Some(value) => Ok(value),
            None => view.keep(name, plan.missing.bind(py).call1((instance,))?),
        }
    }

    fn __set__<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = instance.py();
        let view = instance.cast::<ModelView>()?.get();
        let value = self.plan(py)?.accept.bind(py).call1((value,))?;
        view.assign(self.name.bind(py), &value)
    }

    fn __delete__(&self, _instance: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyAttributeError::new_err(
            "a field cannot be deleted: assign None, or use update(Unset(...))",
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.expression)?;
        visit.call(&self.resolve)?;
        if let Some(plan) = self.plan.get() {
            visit.call(&plan.load)?;
            visit.call(&plan.accept)?;
            visit.call(&plan.missing)?;
        }
        Ok(())
    }
}
