//! Process-wide settings.

use std::time::Duration;

use data_bridge::{reader, source};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::to_pyerr;

/// Size the decode pool, the threads of network work and the prefetch budget; threads before first use, or ValueError.
#[pyfunction]
#[pyo3(signature = (threads, io_threads, prefetch_bytes))]
pub(crate) fn configure(
    py: Python<'_>,
    threads: Option<usize>,
    io_threads: Option<usize>,
    prefetch_bytes: Option<usize>,
) -> PyResult<()> {
    if let Some(threads) = threads {
        reader::set_threads(threads).map_err(|error| to_pyerr(py, error))?;
    }
    if let Some(threads) = io_threads {
        source::set_io_threads(threads).map_err(|error| to_pyerr(py, error))?;
    }
    if let Some(bytes) = prefetch_bytes {
        source::set_prefetch_bytes(bytes);
    }
    Ok(())
}

#[pyfunction]
pub(crate) fn configuration(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let values = PyDict::new(py);
    values.set_item("threads", reader::threads())?;
    values.set_item("io_threads", source::io_threads())?;
    values.set_item("prefetch_bytes", source::prefetch_bytes())?;
    Ok(values)
}

/// Close open cursors, waiting at most `timeout` seconds, and open no more: what `atexit` calls.
#[pyfunction]
pub(crate) fn shutdown(py: Python<'_>, timeout: f64) -> PyResult<()> {
    let within = Duration::try_from_secs_f64(timeout)
        .map_err(|error| PyValueError::new_err(format!("timeout: {error}")))?;
    py.detach(|| source::leave(within));
    Ok(())
}
