//! `ModelView`: what instances of ODM models are below: a row of a Chunk, and what was read from it or changed since.

use std::sync::{Arc, Mutex, OnceLock};

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::documents::document::Document;
use crate::documents::py_chunk::Node;
use crate::lock::lock;
use crate::models::field_slot::FieldSlot;
use crate::models::model_class::ModelClass;

/// The base of models. An instance that a query made holds a row and nothing else before a value has to be kept.
#[pyclass(frozen, subclass, weakref, module = "data_bridge._core")]
pub struct ModelView {
    /// The row it was made of; `None` for one made by hand.
    origin: OnceLock<Source>,
    touched: OnceLock<Box<Touched>>,
}

/// Where the stored values are.
#[derive(Clone)]
pub struct Source {
    pub node: Arc<Node>,
    pub row: usize,
    /// The document was read with all its keys.
    pub whole: bool,
}

/// What an instance has beside its row. Both dicts are by the names of fields.
struct Touched {
    /// Values made from stored ones and kept: lists, dicts, embedded models, which may be changed in place.
    kept: Py<PyDict>,
    /// Values that were assigned.
    assigned: Py<PyDict>,
    /// For messages: what holds this embedded instance and under which key, as nested pairs.
    place: OnceLock<Py<PyAny>>,
    /// The document as it was last written, which replaces the row.
    written: Mutex<Option<Source>>,
}

impl ModelView {
    /// What is below an instance of `row`.
    #[inline]
    pub fn of(node: &Arc<Node>, row: usize, whole: bool) -> Self {
        let node = Arc::clone(node);
        ModelView {
            origin: OnceLock::from(Source { node, row, whole }),
            touched: OnceLock::new(),
        }
    }

    /// The value of a field that was assigned or kept.
    #[inline]
    pub fn held<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(touched) = self.touched.get() else {
            return Ok(None);
        };
        let py = name.py();
        match touched.assigned.bind(py).get_item(name)? {
            Some(value) => Ok(Some(value)),
            None => touched.kept.bind(py).get_item(name),
        }
    }

    /// Calls `read` with where the stored values are.
    #[inline]
    pub fn with_source<T>(&self, read: impl FnOnce(Option<&Source>) -> T) -> T {
        if let Some(touched) = self.touched.get() {
            // Cloned: `read` may run Python code, and must find no lock held.
            let written = lock(&touched.written).clone();
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
        let touched = self.touched(name.py());
        if let Some(held) = self.held(name)? {
            return Ok(held);
        }
        touched.kept.bind(name.py()).set_item(name, &value)?;
        Ok(value)
    }

    /// Assigns to a field.
    pub fn assign(&self, name: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let touched = self.touched(name.py());
        touched.assigned.bind(name.py()).set_item(name, value)
    }

    fn touched(&self, py: Python<'_>) -> &Touched {
        if let Some(touched) = self.touched.get() {
            return touched;
        }
        // Made before it is stored: making a dict may run the collector, and so code that comes here again.
        let made = Box::new(Touched {
            kept: PyDict::new(py).unbind(),
            assigned: PyDict::new(py).unbind(),
            place: OnceLock::new(),
            written: Mutex::new(None),
        });
        self.touched.get_or_init(|| made)
    }

    /// Where this instance stands: what it was given for an embedded one, else the document itself.
    pub fn place<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.touched.get().and_then(|touched| touched.place.get()) {
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
            touched: OnceLock::new(),
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
        let (node, row) = document.get().parts();
        let node = Arc::clone(node);
        self.origin
            .set(Source { node, row, whole })
            .map_err(|_| PyRuntimeError::new_err("the instance has a row already"))?;
        if let Some(place) = place {
            // Set once, as the row is.
            let _ = self.touched(document.py()).place.set(place);
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
        let (node, row) = document.get().parts();
        let touched = self.touched(py);
        let (kept, assigned) = (touched.kept.bind(py), touched.assigned.bind(py));
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
        let source = Source {
            node: Arc::clone(node),
            row,
            whole,
        };
        // The one before is dropped after the lock is let go.
        let before = lock(&touched.written).replace(source);
        drop(before);
        Ok(moved)
    }

    /// Reads from `document` again, or from none, as before a write that came to nothing.
    #[pyo3(signature = (document, whole))]
    fn _unwritten(&self, py: Python<'_>, document: Option<&Bound<'_, Document>>, whole: bool) {
        let source = document.map(|document| {
            let (node, row) = document.get().parts();
            Source {
                node: Arc::clone(node),
                row,
                whole,
            }
        });
        let touched = self.touched(py);
        let before = std::mem::replace(&mut *lock(&touched.written), source);
        drop(before);
    }

    /// The stored document; None for an instance that is not stored.
    fn _document(&self, py: Python<'_>) -> PyResult<Option<Py<Document>>> {
        self.with_source(|source| {
            source
                .map(|source| Document::view(py, &source.node, source.row as u32))
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
        self.touched.get().is_some_and(|touched| {
            !touched.kept.bind(py).is_empty() || !touched.assigned.bind(py).is_empty()
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
        self.touched(py).kept.bind(py).clone()
    }

    /// The values that were assigned, by field.
    #[getter]
    fn _assigned<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.touched(py).assigned.bind(py).clone()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The dicts clear themselves, which breaks any cycle through here; a row leads to no object that could.
        if let Some(touched) = self.touched.get() {
            visit.call(&touched.kept)?;
            visit.call(&touched.assigned)?;
            if let Some(place) = touched.place.get() {
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
