//! `ModelView`: what instances of ODM models are below: a row of a Chunk, and what was read from it or changed since.

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

/// The base of models. An instance that a query made holds a row and nothing else before a value has to be kept.
#[pyclass(frozen, subclass, weakref, module = "data_bridge._core")]
pub struct ModelView {
    /// The row it was made of; `None` for one made by hand.
    origin: OnceLock<StoredRow>,
    state: OnceLock<Box<InstanceState>>,
}

/// Where the stored values are.
#[derive(Clone)]
pub struct StoredRow {
    pub py_chunk: Arc<PyChunk>,
    pub row: usize,
    /// The document was read with all its keys.
    pub whole: bool,
}

/// What an instance has beside its row. Both dicts are by the names of fields.
struct InstanceState {
    /// Values made from stored ones and kept: lists, dicts, embedded models, which may be changed in place.
    kept: Py<PyDict>,
    /// Values that were assigned.
    assigned: Py<PyDict>,
    /// For messages: what holds this embedded instance and under which key, as nested pairs.
    place: OnceLock<Py<PyAny>>,
    /// The document as it was last written, which replaces the row.
    written: Mutex<Option<StoredRow>>,
}

impl ModelView {
    /// What is below an instance of `row`.
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

    /// Calls `read` with where the stored values are.
    #[inline]
    pub fn with_source<T>(&self, read: impl FnOnce(Option<&StoredRow>) -> T) -> T {
        if let Some(state) = self.state.get() {
            // Cloned: `read` may run Python code, and must find no lock held.
            let written = lock(&state.written).clone();
            if let Some(written) = written {
                return read(Some(&written));
            }
        }
        read(self.origin.get())
    }

    /// Keeps the value of a field, so that changes in place are seen. Gives the one that counts: while Python code made
    /// `value`, another thread may have kept or assigned one, whose changes must not be lost.
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
        // Made before it is stored: making a dict may run the collector, and so code that comes here again.
        let made = Box::new(InstanceState {
            kept: PyDict::new(py).unbind(),
            assigned: PyDict::new(py).unbind(),
            place: OnceLock::new(),
            written: Mutex::new(None),
        });
        self.state.get_or_init(|| made)
    }

    /// Where this instance stands: what it was given for an embedded one, else the document itself.
    pub fn place<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.state.get().and_then(|state| state.place.get()) {
            Some(place) => Ok(place.bind(py).clone()),
            None => Ok(self._document(py)?.into_pyobject(py)?.into_any()),
        }
    }
}

#[pymethods]
impl ModelView {
    /// An empty instance, whatever the arguments: they are for `__init__`.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ModelView {
            origin: OnceLock::new(),
            state: OnceLock::new(),
        }
    }

    /// Makes an empty instance one of `document`'s row; `place` says where it is embedded.
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
            // Set once, as the row is.
            let _ = self.state(document.py()).place.set(place);
        }
        Ok(())
    }

    /// Reads from `document`, as it is stored, from now on. Returns the values that were assigned until then: with `keep` they
    /// are kept values from then on, else they and all kept values are dropped from the instance.
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
        // One by one: dropping a value may run code, and so another thread, which assigns values that must stay assigned.
        for name in assigned.keys() {
            let value = assigned.call_method1(intern!(py, "pop"), (&name, &moved))?;
            if value.is(&moved) {
                continue; // deleted meanwhile
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
        // The one before is dropped after the lock is let go.
        let before = lock(&state.written).replace(source);
        drop(before);
        Ok(moved)
    }

    /// Reads from `document` again, or from none, as before a write that came to nothing.
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

    /// The stored document; None for an instance that is not stored.
    fn _document(&self, py: Python<'_>) -> PyResult<Option<Py<Document>>> {
        self.with_source(|source| {
            source
                .map(|source| Document::view(py, &source.py_chunk, source.row as u32))
                .transpose()
        })
    }

    /// For messages: the document, or a pair of what this instance is embedded in and its key.
    fn _place<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.place(py)
    }

    /// Whether anything was assigned, or made of stored values and kept.
    #[getter]
    fn _is_touched(&self, py: Python<'_>) -> bool {
        self.state.get().is_some_and(|state| {
            !state.kept.bind(py).is_empty() || !state.assigned.bind(py).is_empty()
        })
    }

    /// Whether there is a stored document, and it was read with all its keys.
    #[getter]
    fn _is_whole(&self) -> bool {
        self.with_source(|source| source.is_some_and(|source| source.whole))
    }

    /// Whether there is a stored document.
    #[getter]
    fn _is_stored(&self) -> bool {
        self.with_source(|source| source.is_some())
    }

    /// The values made from stored ones and kept, by field.
    #[getter]
    fn _kept<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.state(py).kept.bind(py).clone()
    }

    /// The values that were assigned, by field.
    #[getter]
    fn _assigned<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.state(py).assigned.bind(py).clone()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The dicts clear themselves, which breaks any cycle through here; a row leads to no object that could.
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

/// Adds the base of models and what makes them.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ModelView>()?;
    module.add_class::<ModelClass>()?;
    module.add_class::<FieldSlot>()?;
    Ok(())
}
