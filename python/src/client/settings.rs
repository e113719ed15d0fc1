//! Process-wide settings.

use std::time::Duration;

use data_bridge::{reader, source};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::to_pyerr;

/// Set the settings that are not None. `refresh_seconds`, the interval at which sessions of slow readers are refreshed, is
/// for tests. Numbers of threads can be set before first use; later they raise ValueError. `max_result_bytes=0` and
/// infinite `slow_seconds` are no limit.
#[pyfunction]
#[pyo3(signature = (threads, io_threads, prefetch_bytes, max_result_bytes=None, slow_seconds=None, refresh_seconds=None))]
pub(crate) fn configure(
    py: Python<'_>,
    threads: Option<usize>,
    io_threads: Option<usize>,
    prefetch_bytes: Option<usize>,
    max_result_bytes: Option<u64>,
    slow_seconds: Option<f64>,
    refresh_seconds: Option<f64>,
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
    if let Some(bytes) = max_result_bytes {
        reader::set_max_result_bytes(bytes);
    }
    if let Some(seconds) = slow_seconds {
        // No operation takes as long as a number of seconds that does not fit Duration.
        source::events::set_slow(Duration::try_from_secs_f64(seconds).ok());
    }
    if let Some(seconds) = refresh_seconds {
        source::set_refresh_interval(Duration::from_secs_f64(seconds.clamp(0.01, 1e9)));
    }
    Ok(())
}

/// The present settings.
#[pyfunction]
pub(crate) fn configuration(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let values = PyDict::new(py);
    values.set_item("threads", reader::threads())?;
    values.set_item("io_threads", source::io_threads())?;
    values.set_item("prefetch_bytes", source::prefetch_bytes())?;
    values.set_item("max_result_bytes", reader::max_result_bytes().unwrap_or(0))?;
    let slow = source::events::slow();
    values.set_item(
        "slow_seconds",
        slow.map_or(f64::INFINITY, |slow| slow.as_secs_f64()),
    )?;
    Ok(values)
}

/// Number of reads that run or still clean up; for tests.
#[pyfunction]
pub(crate) fn runs() -> usize {
    source::runs()
}

/// Close open cursors within `timeout` seconds, and refuse new ones. Called by `atexit`.
#[pyfunction]
pub(crate) fn shutdown(py: Python<'_>, timeout: f64) -> PyResult<()> {
    let within = Duration::try_from_secs_f64(timeout)
        .map_err(|error| PyValueError::new_err(format!("timeout: {error}")))?;
    py.detach(|| source::shutdown_at_exit(within));
    Ok(())
}
