//! Many objects at once.

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::node::Node;

/// Appends the document of every row of `node` to `list`, as dicts.
pub fn append_dicts(node: &Node, list: &Bound<'_, PyList>) -> PyResult<()> {
    for row in 0..node.rows() {
        list.append(node.dict(list.py(), row)?)?;
    }
    Ok(())
}

/// Runs `build` with the garbage collector paused: what it allocates is kept, so looking through it finds nothing.
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
