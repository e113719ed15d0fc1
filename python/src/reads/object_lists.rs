//! Lists of Documents, dicts or instances, made from whole Chunks.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::documents::document::Document;
use crate::documents::py_chunk::PyChunk;
use crate::models::model_class::ModelClass;

/// The kind of objects that rows are converted to.
pub enum ObjectKind<'a, 'py> {
    Documents,
    Dicts,
    Instances(&'a Bound<'py, ModelClass>),
}

impl ObjectKind<'_, '_> {
    /// Appends an object for each row of `py_chunk` to `list`.
    pub fn append(&self, py_chunk: &Arc<PyChunk>, list: &Bound<'_, PyList>) -> PyResult<()> {
        let (py, rows) = (list.py(), 0..py_chunk.rows());
        match self {
            ObjectKind::Documents => {
                for row in rows {
                    list.append(Document::view(py, py_chunk, row as u32)?)?;
                }
            }
            ObjectKind::Dicts => {
                for row in rows {
                    list.append(py_chunk.dict(py, row)?)?;
                }
            }
            ObjectKind::Instances(class) => {
                for row in rows {
                    list.append(class.get().make(py, py_chunk, row)?)?;
                }
            }
        }
        Ok(())
    }
}

/// Runs `build` with the garbage collector paused: the new objects are all in use, so a collection would free none.
pub fn with_gc_paused<T>(py: Python<'_>, build: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    struct Resume<'py>(Bound<'py, PyModule>);
    impl Drop for Resume<'_> {
        fn drop(&mut self) {
            // `gc.enable()` cannot fail.
            let _ = self.0.call_method0("enable");
        }
    }
    let gc = py.import("gc")?;
    if !gc.call_method0("isenabled")?.is_truthy()? {
        return build();
    }
    gc.call_method0("disable")?;
    let _resume = Resume(gc);
    build()
}
