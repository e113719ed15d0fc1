//! Sessions and transactions.

use data_bridge::error::Result;
use data_bridge::source::{self, Task};
use pyo3::prelude::*;

use crate::client::mongo_client::duration;
use crate::error::to_pyerr;
use crate::operations::operation::Operation;
use crate::operations::operation_events::{OperationNames, Request};

/// A logical session of a client.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct Session {
    pub(crate) inner: source::Session,
}

#[pymethods]
impl Session {
    #[getter]
    fn ended(&self) -> bool {
        self.inner.ended()
    }

    fn start_transaction(&self, py: Python<'_>, options: &[u8]) -> PyResult<Operation> {
        started(py, py.detach(|| self.inner.start_transaction(options)))
    }

    fn discard_start(&self) {
        self.inner.discard_start();
    }

    #[pyo3(signature = (*, timeout))]
    fn commit_transaction(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Operation> {
        let (request, limit) = (Request::begin(py)?, duration(timeout)?);
        let operation = started(py, Ok(py.detach(|| self.inner.commit_transaction(limit))))?;
        let record = request.single(py, &of_admin("commitTransaction"))?;
        Ok(operation.recorded(record))
    }

    #[pyo3(signature = (*, timeout))]
    fn abort_transaction(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Operation> {
        let (request, limit) = (Request::begin(py)?, duration(timeout)?);
        let operation = started(py, Ok(py.detach(|| self.inner.abort_transaction(limit))))?;
        let record = request.single(py, &of_admin("abortTransaction"))?;
        Ok(operation.recorded(record))
    }

    fn end(&self, py: Python<'_>) -> PyResult<Operation> {
        started(py, Ok(py.detach(|| self.inner.end())))
    }
}

fn of_admin(operation: &str) -> OperationNames<'_> {
    OperationNames {
        operation,
        database: "admin",
        collection: None,
    }
}

fn started(py: Python<'_>, task: Result<Task<()>>) -> PyResult<Operation> {
    let task = task.map_err(|error| to_pyerr(py, error))?;
    Ok(Operation::new(task, |py, ()| Ok(py.None())))
}
