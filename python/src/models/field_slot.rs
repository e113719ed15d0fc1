//! `FieldSlot`: the descriptor of a declared field. The class returns the field's expression, an instance its value.

use std::sync::OnceLock;

use data_bridge::chunk::Cell;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::models::instance_state::StoredRow;
use crate::models::location::Place;
use crate::models::model_view::ModelView;
use crate::models::native_converter::NativeConverter;
use crate::models::scalars;
use crate::models::stored::{type_of, Stored};

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
    /// The conversion of expected values of other types.
    native: Option<Py<NativeConverter>>,
    /// `load(stored, place)`: the value from any other stored one; raises for one that does not fit.
    load: Py<PyAny>,
    /// `root(document)`: the root of locations in a variant of a model.
    root: Option<Py<PyAny>>,
    /// True if values from `load` can be changed in place; they are kept.
    keeps: bool,
    /// True if a value may refer to the instance, as far as its annotation says.
    cyclic: bool,
    /// `accept(value)`: the value that an assignment stores; raises for one that the field refuses.
    accept: Py<PyAny>,
    /// `assigned(instance, value)` in place of `accept`, for a field whose validators take the values of other fields.
    assigned: Option<Py<PyAny>>,
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
        instance: &Bound<'py, ModelView>,
        source: &StoredRow,
        plan: &Conversion,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = instance.py();
        let (py_chunk, row) = (&source.py_chunk, source.row as usize);
        let Some((column, cell)) = py_chunk.cell_at(row, self.key.bind(py).as_any())? else {
            return Ok(None);
        };
        let stored = Stored {
            py,
            codec: py_chunk.codec(),
            column,
            row,
        };
        if let Some(value) = scalars::unchanged(&stored, &cell, plan.direct)? {
            return Ok(Some(value));
        }
        self.converted(instance, source, plan, &stored).map(Some)
    }

    #[inline(never)]
    fn converted<'py>(
        &self,
        instance: &Bound<'py, ModelView>,
        source: &StoredRow,
        plan: &Conversion,
        stored: &Stored<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = stored.py;
        let native = match &plan.native {
            Some(native) => {
                let place = Place::field(instance.get(), source, plan.root.as_ref(), &self.key);
                native.get().load(stored, &place)?
            }
            None => None,
        };
        let value = match native {
            Some(value) => value,
            None => {
                let key = self.key.bind(py).clone().into_any();
                let place = PyTuple::new(py, [instance.get().place(py)?, key])?;
                plan.load.bind(py).call1((stored.lazy()?, place))?
            }
        };
        if plan.keeps {
            return Ok(ModelView::keep(
                instance,
                self.name.bind(py),
                value,
                plan.cyclic,
            ));
        }
        Ok(value)
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
        Ok(cell.is_some_and(|(_, cell)| {
            let (first, last) = py_chunk.codec().date_bounds;
            let fits = match cell {
                Cell::DateTime(millis) => (first..=last).contains(&millis),
                _ => true,
            };
            fits && type_of(&cell) & plan.direct != 0
        }))
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

    /// Set the conversion of the field; later calls have no effect. `root(document)` is the root of locations in a variant of
    /// a model; `assigned(instance, value)` takes the place of `accept`.
    #[pyo3(signature = (direct, native, load, keeps, cyclic, accept, missing, root=None, assigned=None))]
    #[allow(clippy::too_many_arguments)] // one for each part of the conversion
    fn _plan(
        &self,
        direct: u32,
        native: Option<Py<NativeConverter>>,
        load: Py<PyAny>,
        keeps: bool,
        cyclic: bool,
        accept: Py<PyAny>,
        missing: Py<PyAny>,
        root: Option<Py<PyAny>>,
        assigned: Option<Py<PyAny>>,
    ) {
        let plan = Conversion {
            direct,
            native,
            load,
            root,
            keeps,
            cyclic,
            accept,
            assigned,
            missing,
        };
        let _ = self.plan.set(plan);
    }

    fn __get__<'py>(
        &self,
        py: Python<'py>,
        instance: Option<&Bound<'py, ModelView>>,
        _owner: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(instance) = instance else {
            return Ok(self.expression.bind(py).clone());
        };
        let name = self.name.bind(py);
        if let Some(value) = instance.get().held(name) {
            return Ok(value);
        }
        let plan = self.plan(py)?;
        let stored = instance.get().with_source(|source| match source {
            Some(source) => self.stored(instance, source, plan),
            None => Ok(None),
        })?;
        match stored {
            Some(value) => Ok(value),
            None => {
                let value = plan.missing.bind(py).call1((instance,))?;
                Ok(ModelView::keep(instance, name, value, plan.cyclic))
            }
        }
    }

    fn __set__<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = instance.py();
        let instance = instance.cast::<ModelView>()?;
        let plan = self.plan(py)?;
        let value = match &plan.assigned {
            None => plan.accept.bind(py).call1((value,))?,
            Some(assigned) => assigned.bind(py).call1((instance, value))?,
        };
        ModelView::assign(instance, self.name.bind(py), &value);
        Ok(())
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
            visit.call(&plan.native)?;
            visit.call(&plan.root)?;
            visit.call(&plan.load)?;
            visit.call(&plan.accept)?;
            visit.call(&plan.assigned)?;
            visit.call(&plan.missing)?;
        }
        Ok(())
    }
}
