//! The iterator of `async for`: an asynchronous generator that can be told to end with an error instead of silently.

use std::sync::OnceLock;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::ffi::AsyncGenerator;

/// The reason that an iteration cannot go on, once there is one.
#[pyclass(frozen, module = "data_bridge._core")]
#[derive(Default)]
pub(crate) struct Interruption(OnceLock<String>);

#[pymethods]
impl Interruption {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Sets the reason; the first one stays.
    fn set(&self, reason: String) {
        let _ = self.0.set(reason);
    }

    /// Raises RuntimeError with the reason, if there is one.
    fn check(&self) -> PyResult<()> {
        match self.0.get() {
            None => Ok(()),
            Some(reason) => Err(PyRuntimeError::new_err(reason.clone())),
        }
    }
}

/// The items of a generator until its interruption is set: from then on RuntimeError. The generator alone would end as if it
/// had no more items, once it was cancelled.
#[pyclass(frozen, module = "data_bridge._core", name = "AsyncIterator")]
pub(crate) struct AsyncIterator {
    generator: AsyncGenerator,
    interruption: Py<Interruption>,
}

#[pymethods]
impl AsyncIterator {
    #[new]
    fn new(generator: &Bound<'_, PyAny>, interruption: Py<Interruption>) -> PyResult<Self> {
        Ok(AsyncIterator {
            generator: AsyncGenerator::of(generator)?,
            interruption,
        })
    }

    fn __aiter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __anext__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.interruption.get().check()?;
        self.generator.anext(py)
    }

    /// Ends the iteration: a coroutine, which waits for nothing.
    fn aclose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.generator
            .object(py)
            .call_method0(pyo3::intern!(py, "aclose"))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The generator clears itself, which breaks any cycle through here.
        self.generator.traverse(&visit)
    }
}
