//! `ModelView`, the base class of ODM models: a row of a Chunk, and the values that were kept from it or assigned.

use std::sync::{Arc, OnceLock};

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::documents::document::Document;
use crate::documents::py_chunk::PyChunk;
use crate::models::field_slot::FieldSlot;
use crate::models::held_values::{interned, FieldValues, HeldValues};
use crate::models::instance_state::{InstanceState, Origin, StoredRow};
use crate::models::location::Location;
use crate::models::model_class::ModelClass;
use crate::models::native_converter::NativeConverter;

/// The base class of models. An instance from a query has a row and no other state until a value is kept or assigned.
#[pyclass(frozen, subclass, weakref, module = "data_bridge._core")]
pub struct ModelView {
    /// The row that the instance was made from; `None` for an instance that Python code made.
    origin: Option<Origin>,
    state: OnceLock<Box<InstanceState>>,
}

impl ModelView {
    /// The base of an instance of `row`; `location` is that of an embedded one.
    #[inline]
    pub fn of(py_chunk: Arc<PyChunk>, row: usize, whole: bool, location: Option<Location>) -> Self {
        let row = StoredRow {
            py_chunk,
            row: row as u32,
            whole,
        };
        ModelView {
            origin: Some(Origin { row, location }),
            state: OnceLock::new(),
        }
    }

    #[inline]
    fn origin(&self) -> Option<&Origin> {
        self.origin
            .as_ref()
            .or_else(|| Some(&**self.state.get()?.filled.get()?))
    }

    /// The value of a field that was assigned or kept.
    #[inline]
    pub fn held<'py>(&self, name: &Bound<'py, PyString>) -> Option<Bound<'py, PyAny>> {
        self.state.get()?.held(name)
    }

    /// Calls `read` with the row of the stored document.
    #[inline]
    pub fn with_source<T>(&self, read: impl FnOnce(Option<&StoredRow>) -> T) -> T {
        if let Some(written) = self.state.get().and_then(|state| state.written()) {
            return read(Some(&written));
        }
        read(self.origin().map(|origin| &origin.row))
    }

    /// Keeps the value of a field, so that changes in place take effect. Returns the valid one: while Python code made
    /// `value`, another thread may have kept or assigned another, whose changes must not be lost. `cyclic`: the value may refer
    /// to the instance.
    pub fn keep<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
        value: Bound<'py, PyAny>,
        cyclic: bool,
    ) -> Bound<'py, PyAny> {
        let there = ModelView::change(slf, Some(name), cyclic, |held| {
            let there = held.get(name);
            if there.is_none() {
                held.kept.set(name, &value);
            }
            there
        });
        there.unwrap_or(value)
    }

    /// Assigns to a field.
    pub fn assign(slf: &Bound<'_, Self>, name: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) {
        let before =
            ModelView::change(slf, Some(name), true, |held| held.assigned.set(name, value));
        drop(before);
    }

    /// Changes the values that the instance holds, as [`InstanceState::change`].
    fn change<T>(
        slf: &Bound<'_, Self>,
        added: Option<&Bound<'_, PyString>>,
        cyclic: bool,
        change: impl FnOnce(&mut HeldValues) -> T,
    ) -> T {
        slf.get().state().change(slf, added, cyclic, change)
    }

    fn state(&self) -> &InstanceState {
        self.state.get_or_init(Box::default)
    }

    /// The values that the instance holds, as they are at this moment.
    fn held_values(&self, py: Python<'_>) -> HeldValues {
        self.state
            .get()
            .map_or_else(HeldValues::default, |state| state.values(py))
    }

    /// Returns whether no value can differ from the stored one: none was assigned, and kept are embedded models of which the
    /// same is true. Other kept values may have been changed in place.
    fn holds_stored_values(&self, py: Python<'_>) -> bool {
        let held = self.held_values(py);
        let unchanged = |value: &Bound<'_, PyAny>| match value.cast::<ModelView>() {
            Ok(view) => view.get().holds_stored_values(py),
            Err(_) => value.is_none(),
        };
        held.assigned.is_empty() && held.kept.iter(py).all(|(_, value)| unchanged(value))
    }

    /// The location of this instance, whose stored document is at `source`.
    pub fn location(&self, source: &StoredRow) -> Location {
        let location = self.origin().and_then(|origin| origin.location.clone());
        location.unwrap_or_else(|| Location::Document(Arc::clone(&source.py_chunk), source.row))
    }

    /// Location of this instance for messages: as set for an embedded one, else the document itself.
    pub fn place<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.origin().and_then(|origin| origin.location.as_ref()) {
            Some(location) => location.object(py),
            None => Ok(self._document(py)?.into_pyobject(py)?.into_any()),
        }
    }
}

#[pymethods]
impl ModelView {
    /// An empty instance. The arguments are ignored here; `__init__` takes them.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ModelView {
            origin: None,
            state: OnceLock::new(),
        }
    }

    /// Connect an empty instance with the row of `document`; `place` is its location if it is embedded.
    #[pyo3(signature = (document, whole, place=None))]
    fn _fill(
        &self,
        document: &Bound<'_, Document>,
        whole: bool,
        place: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let origin = Origin {
            row: StoredRow::of(document, whole),
            location: place.map(|place| Location::Object(Arc::new(place))),
        };
        let filled = &self.state().filled;
        if self.origin.is_some() || filled.set(Box::new(origin)).is_err() {
            return Err(PyRuntimeError::new_err("the instance has a row already"));
        }
        Ok(())
    }

    /// Read from `document`, the stored state, from now on. Return the values that were assigned before. With `keep` they
    /// become kept values, else they and all kept values are removed from the instance.
    fn _written<'py>(
        slf: &Bound<'py, Self>,
        document: &Bound<'py, Document>,
        whole: bool,
        keep: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let (assigned, dropped) = ModelView::change(slf, None, false, |held| {
            let assigned = std::mem::take(&mut held.assigned);
            let mut replaced = Vec::new();
            let mut kept = FieldValues::default();
            if keep {
                for (name, value) in assigned.iter(py) {
                    replaced.extend(held.kept.set(name, value));
                }
            } else {
                kept = std::mem::take(&mut held.kept);
            }
            (assigned, (replaced, kept))
        });
        drop(dropped);
        slf.get()
            .state()
            .set_written(Some(StoredRow::of(document, whole)));
        assigned.dict(py)
    }

    /// Read from `document` again, or from none, after a write that did not take effect.
    #[pyo3(signature = (document, whole))]
    fn _unwritten(&self, document: Option<&Bound<'_, Document>>, whole: bool) {
        self.state()
            .set_written(document.map(|document| StoredRow::of(document, whole)));
    }

    /// The stored document; None if the instance is not stored.
    fn _document(&self, py: Python<'_>) -> PyResult<Option<Py<Document>>> {
        self.with_source(|source| {
            source
                .map(|source| Document::view(py, &source.py_chunk, source.row))
                .transpose()
        })
    }

    /// Location for messages: the document, or the pair of the container of this instance and its key.
    fn _place<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.place(py)
    }

    /// Return whether the instance has a stored document that was read with all its keys.
    #[getter]
    fn _is_whole(&self) -> bool {
        self.with_source(|source| source.is_some_and(|source| source.whole))
    }

    /// Return whether the instance has a stored document.
    #[getter]
    fn _is_stored(&self) -> bool {
        self.with_source(|source| source.is_some())
    }

    /// The values made from stored ones and kept, by name of field; a copy.
    #[getter]
    fn _kept<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.held_values(py).kept.dict(py)
    }

    /// The values that were assigned, by name of field; a copy.
    #[getter]
    fn _assigned<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.held_values(py).assigned.dict(py)
    }

    /// Return whether the instance reads the same document as `document`, and holds no value that may differ from a stored one.
    fn _is_unchanged(&self, document: &Bound<'_, Document>) -> PyResult<bool> {
        let py = document.py();
        if !self.holds_stored_values(py) {
            return Ok(false);
        }
        self.with_source(|source| match source {
            Some(source) => document
                .get()
                .is_stored_as(py, &source.py_chunk, source.row as usize),
            None => Ok(false),
        })
    }

    /// The kept and the assigned values, as they are at this moment.
    fn _held_values<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>)> {
        let held = self.held_values(py);
        Ok((held.kept.dict(py)?, held.assigned.dict(py)?))
    }

    /// The assigned or kept value of a field, or `default`.
    fn _held<'py>(
        &self,
        name: &Bound<'py, PyString>,
        default: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.held(&interned(name)?).unwrap_or(default))
    }

    /// Hold the value of a field as one that is no change.
    fn _keep(
        slf: &Bound<'_, Self>,
        name: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let name = interned(name)?;
        let before = ModelView::change(slf, Some(&name), true, |held| held.kept.set(&name, value));
        drop(before);
        Ok(())
    }

    /// Assign a value that fits its field. Without `replace`, a value that was assigned remains.
    #[pyo3(signature = (name, value, *, replace=true))]
    fn _assign(
        slf: &Bound<'_, Self>,
        name: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
        replace: bool,
    ) -> PyResult<()> {
        let name = interned(name)?;
        let before = ModelView::change(slf, Some(&name), true, |held| {
            if !replace && held.assigned.get(&name).is_some() {
                return None;
            }
            held.assigned.set(&name, value)
        });
        drop(before);
        Ok(())
    }

    /// Remove the kept value of a field and return it, or `default`.
    fn _remove_kept<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
        default: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let name = interned(name)?;
        let removed = ModelView::change(slf, None, false, |held| held.kept.remove(&name));
        Ok(removed.map_or(default, |value| value.into_bound(slf.py())))
    }

    /// Remove the assigned value of a field and return it, or `default`.
    fn _remove_assigned<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
        default: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let name = interned(name)?;
        let removed = ModelView::change(slf, None, false, |held| held.assigned.remove(&name));
        Ok(removed.map_or(default, |value| value.into_bound(slf.py())))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.state.get() {
            Some(state) => state.traverse(&visit),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        if let Some(state) = self.state.get() {
            state.clear();
        }
    }
}

/// Adds the classes of this directory.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ModelView>()?;
    module.add_class::<ModelClass>()?;
    module.add_class::<FieldSlot>()?;
    module.add_class::<NativeConverter>()?;
    Ok(())
}
