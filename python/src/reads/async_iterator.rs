//! The iterator of `async for`: an asynchronous generator that an interruption ends with an error instead of silently.

use std::sync::OnceLock;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::ffi::AsyncGenerator;

/// The reason for which an iteration cannot continue; unset until the interruption.
#[pyclass(frozen, module = "data_bridge._core")]
#[derive(Default)]
pub(crate) struct Interruption(OnceLock<String>);

#[pymethods]
impl Interruption {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Set the reason; later calls have no effect.
    fn set(&self, reason: String) {
        let _ = self.0.set(reason);
    }

    /// Raise RuntimeError with the reason if it is set.
    fn check(&self) -> PyResult<()> {
        match self.0.get() {
            None => Ok(()),
            Some(reason) => Err(PyRuntimeError::new_err(reason.clone())),
        }
    }
}

/// The items of an asynchronous generator; raises RuntimeError after the interruption is set. A cancelled generator alone
/// would end as if it had no more items.
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

    /// End the iteration. The coroutine does not wait.
    fn aclose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.generator
            .object(py)
            .call_method0(pyo3::intern!(py, "aclose"))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The generator clears itself, which breaks any cycle through this object.
        self.generator.traverse(&visit)
    }
}
