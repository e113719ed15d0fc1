//! Operations: tasks on background threads, and the waits of Python for their results.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_bridge::error::Result;
use data_bridge::source::Task;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::{guarded, to_pyerr};
use crate::lock::lock;
use crate::operations::completions::Completions;
use crate::operations::operation_events::{deliver_queued, OperationRecord};

/// Interval between checks for signals, cancellation and close.
pub(crate) const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// The conversion of a result to a Python object, called on the thread that takes the result.
type ToPython = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// A task of any type.
trait AnyTask: Send + Sync {
    fn wait_timeout(&self, wait: Duration) -> Option<Result<ToPython>>;
    fn on_done(&self, callback: Box<dyn FnOnce() + Send>);
    fn cancel(&self);
}

struct ConvertedTask<T, F> {
    task: Task<T>,
    convert: Mutex<Option<F>>,
}

impl<T, F> AnyTask for ConvertedTask<T, F>
where
    T: Send + 'static,
    F: FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
{
    fn wait_timeout(&self, wait: Duration) -> Option<Result<ToPython>> {
        let outcome = self.task.wait_timeout(wait)?;
        let convert = || lock(&self.convert).take();
        Some(outcome.map(|value| -> ToPython {
            match convert() {
                Some(convert) => Box::new(move |py| convert(py, value)),
                None => Box::new(|_| Err(taken())),
            }
        }))
    }

    fn on_done(&self, callback: Box<dyn FnOnce() + Send>) {
        self.task.on_done(callback);
    }

    fn cancel(&self) {
        self.task.cancel();
    }
}

/// A task on a background thread. It does not use the interpreter; the thread that takes the result converts it.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct Operation {
    work: Box<dyn AnyTask>,
    taken: AtomicBool,
    events: Events,
}

/// The events that the end of the task causes.
enum Events {
    None,
    /// The task is the whole operation.
    Operation(Arc<OperationRecord>),
    /// The task is a part of a run, which records its own end.
    PartOfRun(Arc<OperationRecord>),
}

impl Operation {
    /// The operation of `task`. `convert` makes the result a Python object, on the thread that takes it.
    pub(crate) fn new<T, F>(task: Task<T>, convert: F) -> Self
    where
        T: Send + 'static,
        F: FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    {
        Operation {
            work: Box::new(ConvertedTask {
                task,
                convert: Mutex::new(Some(convert)),
            }),
            taken: AtomicBool::new(false),
            events: Events::None,
        }
    }

    /// The same operation; its end is recorded in `record`.
    pub(crate) fn recorded(mut self, record: Option<Arc<OperationRecord>>) -> Self {
        if let Some(record) = record {
            self.events = Events::Operation(record);
        }
        self
    }

    /// The same operation, a part of the run of `record`.
    pub(crate) fn part_of(mut self, record: Option<Arc<OperationRecord>>) -> Self {
        if let Some(record) = record {
            self.events = Events::PartOfRun(record);
        }
        self
    }

    fn poll(&self, py: Python<'_>, wait: Duration) -> PyResult<Option<Py<PyAny>>> {
        if self.taken.load(Ordering::Acquire) {
            return Err(taken());
        }
        let outcome = py.detach(|| self.work.wait_timeout(wait));
        deliver_queued(py)?;
        let Some(outcome) = outcome else {
            return Ok(None);
        };
        if self.taken.swap(true, Ordering::AcqRel) {
            return Err(taken());
        }
        match &self.events {
            Events::None => {}
            Events::PartOfRun(record) => record.report(py)?,
            Events::Operation(record) => {
                record.end(outcome.as_ref().err(), None);
                record.report(py)?;
            }
        }
        match outcome {
            Ok(ready) => guarded(|| ready(py)).map(Some),
            Err(error) => Err(to_pyerr(py, error)),
        }
    }
}

#[pymethods]
impl Operation {
    /// Block, detached from the interpreter, and check for signals every 50 ms. Ctrl-C cancels the task and raises
    /// KeyboardInterrupt.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        loop {
            if let Some(value) = self.poll(py, SIGNAL_INTERVAL)? {
                return Ok(value);
            }
            if let Err(interrupt) = py.check_signals() {
                self.cancel(py)?;
                return Err(interrupt);
            }
        }
    }

    /// Return the result of a task that is done, or raise its error. A second call raises RuntimeError.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.poll(py, Duration::ZERO)?
            .ok_or_else(|| PyRuntimeError::new_err("the operation is not done yet"))
    }

    /// Add `token` to `completions` when the task is done, or now if it is done already.
    fn notify(&self, py: Python<'_>, completions: &Completions, token: u64) {
        let callback = completions.callback(token);
        py.detach(|| self.work.on_done(callback));
    }

    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.work.cancel());
        match &self.events {
            Events::None => Ok(()),
            Events::Operation(record) | Events::PartOfRun(record) => {
                record.cancelled();
                record.report(py)
            }
        }
    }
}

fn taken() -> PyErr {
    PyRuntimeError::new_err("the result of this operation was already taken")
}
