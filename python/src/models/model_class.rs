//! `ModelClass`: makes the instances of a model, many at once.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use crate::documents::document::Document;
use crate::documents::py_chunk::PyChunk;
use crate::ffi::Subclass;
use crate::models::location::Location;
use crate::models::model_view::ModelView;

/// Makes instances of a model in bulk; for a tree of models, of the class that each document names.
#[pyclass(frozen, module = "data_bridge._core")]
pub struct ModelClass {
    class: Subclass,
    whole: bool,
    /// The key that names the class, and the `ModelClass` of each name; other documents are instances of `class`.
    tree: Option<(Py<PyString>, Py<PyDict>)>,
}

#[pymethods]
impl ModelClass {
    /// `whole`: documents are read with all their keys. `tree`: the key that names a class, and the ModelClass of each name.
    #[new]
    #[pyo3(signature = (class, whole, tree=None))]
    fn new(
        class: &Bound<'_, PyType>,
        whole: bool,
        tree: Option<(Bound<'_, PyString>, Bound<'_, PyDict>)>,
    ) -> PyResult<Self> {
        let Some(class) = Subclass::of(class)? else {
            return Err(PyTypeError::new_err("a model must derive from ModelView"));
        };
        Ok(ModelClass {
            class,
            whole,
            tree: tree.map(|(key, classes)| {
                let key = PyString::intern(key.py(), &key.to_string_lossy());
                (key.unbind(), classes.unbind())
            }),
        })
    }

    /// The instance of one document.
    fn instance<'py>(&self, document: &Bound<'py, Document>) -> PyResult<Bound<'py, ModelView>> {
        let (py_chunk, row) = document.get().parts();
        self.make(document.py(), py_chunk, row)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.class.class())?;
        if let Some((_, classes)) = &self.tree {
            visit.call(classes)?;
        }
        Ok(())
    }
}

impl ModelClass {
    /// The instance of one row: one allocation.
    #[inline]
    pub fn make<'py>(
        &self,
        py: Python<'py>,
        py_chunk: &Arc<PyChunk>,
        row: usize,
    ) -> PyResult<Bound<'py, ModelView>> {
        if let Some((key, classes)) = &self.tree {
            if let Some(name) = py_chunk.get(row, key.bind(py).as_any())? {
                // Other values, such as lists, may not be hashable, and name no class.
                if name.is_instance_of::<PyString>() {
                    if let Some(class) = classes.bind(py).get_item(name)? {
                        let class = class.cast_into::<ModelClass>()?;
                        return class.get().own(py, Arc::clone(py_chunk), row, None);
                    }
                }
            }
        }
        self.own(py, Arc::clone(py_chunk), row, None)
    }

    /// The instance of one row, of this class whatever the document names; `location` is that of an embedded document.
    #[inline]
    pub fn own<'py>(
        &self,
        py: Python<'py>,
        py_chunk: Arc<PyChunk>,
        row: usize,
        location: Option<Location>,
    ) -> PyResult<Bound<'py, ModelView>> {
        self.class
            .instance(py, ModelView::of(py_chunk, row, self.whole, location))
    }
}
