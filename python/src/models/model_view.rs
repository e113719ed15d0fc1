//! `ModelView`, the base class of ODM models: a row of a Chunk, and the values that were kept from it or assigned.

use std::sync::{Arc, Mutex, OnceLock};

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::documents::document::Document;
use crate::documents::py_chunk::PyChunk;
use crate::lock::lock;
use crate::models::field_slot::FieldSlot;
use crate::models::model_class::ModelClass;

/// The base class of models. An instance from a query has a row and no other state until a value is kept or assigned.
#[pyclass(frozen, subclass, weakref, module = "data_bridge._core")]
pub struct ModelView {
    /// The row that the instance was made from; unset for a new instance.
    origin: OnceLock<StoredRow>,
    state: OnceLock<Box<InstanceState>>,
}

/// The chunk and the row of the stored document.
#[derive(Clone)]
pub struct StoredRow {
    pub py_chunk: Arc<PyChunk>,
    pub row: usize,
    /// True if the document was read with all its keys.
    pub whole: bool,
}

/// The state of an instance beside its row. The keys of both dicts are names of fields.
struct InstanceState {
    /// Values made from stored ones and kept because they may be changed in place: lists, dicts, embedded models.
    kept: Py<PyDict>,
    /// Values that were assigned.
    assigned: Py<PyDict>,
    /// Location of an embedded instance for messages: nested pairs of container and key.
    place: OnceLock<Py<PyAny>>,
    /// The document as of the last write, which replaces the row.
    written: Mutex<Option<StoredRow>>,
}

impl ModelView {
    /// The base of an instance of `row`.
    #[inline]
    pub fn of(py_chunk: &Arc<PyChunk>, row: usize, whole: bool) -> Self {
        let py_chunk = Arc::clone(py_chunk);
        ModelView {
            origin: OnceLock::from(StoredRow {
                py_chunk,
                row,
                whole,
            }),
            state: OnceLock::new(),
        }
    }

    /// The value of a field that was assigned or kept.
    #[inline]
    pub fn held<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(state) = self.state.get() else {
            return Ok(None);
        };
        let py = name.py();
        match state.assigned.bind(py).get_item(name)? {
            Some(value) => Ok(Some(value)),
            None => state.kept.bind(py).get_item(name),
        }
    }

    /// Calls `read` with the row of the stored document.
    #[inline]
    pub fn with_source<T>(&self, read: impl FnOnce(Option<&StoredRow>) -> T) -> T {
        if let Some(state) = self.state.get() {
            // Cloned: `read` may run Python code, so no lock may be held.
            let written = lock(&state.written).clone();
            if let Some(written) = written {
                return read(Some(&written));
            }
        }
        read(self.origin.get())
    }

    /// Keeps the value of a field, so that changes in place take effect. Returns the valid one: while Python code made
    /// `value`, another thread may have kept or assigned another, whose changes must not be lost.
    pub fn keep<'py>(
        &self,
        name: &Bound<'py, PyString>,
        value: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let state = self.state(name.py());
        if let Some(held) = self.held(name)? {
            return Ok(held);
        }
        state.kept.bind(name.py()).set_item(name, &value)?;
        Ok(value)
    }

    /// Assigns to a field.
    pub fn assign(&self, name: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let state = self.state(name.py());
        state.assigned.bind(name.py()).set_item(name, value)
    }

    fn state(&self, py: Python<'_>) -> &InstanceState {
        if let Some(state) = self.state.get() {
            return state;
        }
        // Made before it is stored: making a dict may run the garbage collector, and so Python code that calls this function.
        let made = Box::new(InstanceState {
            kept: PyDict::new(py).unbind(),
            assigned: PyDict::new(py).unbind(),
            place: OnceLock::new(),
            written: Mutex::new(None),
        });
        self.state.get_or_init(|| made)
    }

    /// Location of this instance for messages: as set for an embedded one, else the document itself.
    pub fn place<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.state.get().and_then(|state| state.place.get()) {
            Some(place) => Ok(place.bind(py).clone()),
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
            origin: OnceLock::new(),
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
        let (py_chunk, row) = document.get().parts();
        let py_chunk = Arc::clone(py_chunk);
        self.origin
            .set(StoredRow {
                py_chunk,
                row,
                whole,
            })
            .map_err(|_| PyRuntimeError::new_err("the instance has a row already"))?;
        if let Some(place) = place {
            // Set once, like the row.
            let _ = self.state(document.py()).place.set(place);
        }
        Ok(())
    }

    /// Read from `document`, the stored state, from now on. Return the values that were assigned before. With `keep` they
    /// become kept values, else they and all kept values are removed from the instance.
    fn _written<'py>(
        &self,
        document: &Bound<'py, Document>,
        whole: bool,
        keep: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = document.py();
        let (py_chunk, row) = document.get().parts();
        let state = self.state(py);
        let (kept, assigned) = (state.kept.bind(py), state.assigned.bind(py));
        let moved = PyDict::new(py);
        // One by one: dropping a value may run Python code, and so another thread, whose assignments must remain.
        for name in assigned.keys() {
            let value = assigned.call_method1(intern!(py, "pop"), (&name, &moved))?;
            if value.is(&moved) {
                continue; // deleted by another thread
            }
            if keep {
                kept.set_item(&name, &value)?;
            }
            moved.set_item(name, value)?;
        }
        if !keep {
            kept.clear();
        }
        let source = StoredRow {
            py_chunk: Arc::clone(py_chunk),
            row,
            whole,
        };
        // The previous row is dropped after the lock is released.
        let before = lock(&state.written).replace(source);
        drop(before);
        Ok(moved)
    }

    /// Read from `document` again, or from none, after a write that did not take effect.
    #[pyo3(signature = (document, whole))]
    fn _unwritten(&self, py: Python<'_>, document: Option<&Bound<'_, Document>>, whole: bool) {
        let source = document.map(|document| {
            let (py_chunk, row) = document.get().parts();
            StoredRow {
                py_chunk: Arc::clone(py_chunk),
                row,
                whole,
            }
        });
        let state = self.state(py);
        let before = std::mem::replace(&mut *lock(&state.written), source);
        drop(before);
    }

    /// The stored document; None if the instance is not stored.
    fn _document(&self, py: Python<'_>) -> PyResult<Option<Py<Document>>> {
        self.with_source(|source| {
            source
                .map(|source| Document::view(py, &source.py_chunk, source.row as u32))
                .transpose()
        })
    }

    /// Location for messages: the document, or the pair of the container of this instance and its key.
    fn _place<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.place(py)
    }

    /// Return whether a value was assigned or kept.
    #[getter]
    fn _is_touched(&self, py: Python<'_>) -> bool {
        self.state.get().is_some_and(|state| {
            !state.kept.bind(py).is_empty() || !state.assigned.bind(py).is_empty()
        })
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

    /// The values made from stored ones and kept, by name of field.
    #[getter]
    fn _kept<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.state(py).kept.bind(py).clone()
    }

    /// The values that were assigned, by name of field.
    #[getter]
    fn _assigned<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.state(py).assigned.bind(py).clone()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The dicts clear themselves, which breaks any cycle through this object; a row refers to no object in a cycle.
        if let Some(state) = self.state.get() {
            visit.call(&state.kept)?;
            visit.call(&state.assigned)?;
            if let Some(place) = state.place.get() {
                visit.call(place)?;
            }
        }
        Ok(())
    }
}

/// Adds the classes of this directory.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ModelView>()?;
    module.add_class::<ModelClass>()?;
    module.add_class::<FieldSlot>()?;
    Ok(())
}
