//! Work on a background thread, as Python waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_bridge::error::Result;
use data_bridge::source::Task;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::{guarded, to_pyerr};
use crate::operations::operation_events::{tell_noted, Watch};

/// How long a wait is deaf to Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// An outcome that still has to become a Python object, which happens on the thread that asks for it.
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
        let convert = || {
            self.convert
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
        };
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

/// Work on a background thread; never touches the interpreter until it is asked for its result.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct Operation {
    work: Box<dyn AnyTask>,
    taken: AtomicBool,
    events: Events,
}

/// What to tell when the work is over.
enum Events {
    None,
    /// The work is the operation.
    Operation(Arc<Watch>),
    /// The work is a part of a run, which notes its end itself.
    PartOfRun(Arc<Watch>),
}

impl Operation {
    /// The outcome of `task`, made a Python object by `convert` on the thread that asks for it.
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

    /// The same, telling of its end.
    pub(crate) fn watched(mut self, watch: Option<Arc<Watch>>) -> Self {
        if let Some(watch) = watch {
            self.events = Events::Operation(watch);
        }
        self
    }

    /// The same, telling of the end of the run it is a part of.
    pub(crate) fn part_of(mut self, watch: Option<Arc<Watch>>) -> Self {
        if let Some(watch) = watch {
            self.events = Events::PartOfRun(watch);
        }
        self
    }

    fn poll(&self, py: Python<'_>, wait: Duration) -> PyResult<Option<Py<PyAny>>> {
        if self.taken.load(Ordering::Acquire) {
            return Err(taken());
        }
        let outcome = py.detach(|| self.work.wait_timeout(wait));
        tell_noted(py)?;
        let Some(outcome) = outcome else {
            return Ok(None);
        };
        if self.taken.swap(true, Ordering::AcqRel) {
            return Err(taken());
        }
        match &self.events {
            Events::None => {}
            Events::PartOfRun(watch) => watch.tell(py)?,
            Events::Operation(watch) => {
                watch.end(outcome.as_ref().err(), None);
                watch.tell(py)?;
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
    /// Blocks, detached, looking for signals every 50 ms; Ctrl-C cancels the work and raises KeyboardInterrupt.
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

    /// The outcome; only after it is done. The second call raises RuntimeError.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.poll(py, Duration::ZERO)?
            .ok_or_else(|| PyRuntimeError::new_err("the operation is not done yet"))
    }

    /// Writes `token` (8 bytes, native order) to the file descriptor `fd` once done; at once if it is done already.
    fn notify(&self, py: Python<'_>, fd: i32, token: u64) -> PyResult<()> {
        let pipe = pipe::duplicate(fd)?;
        py.detach(|| {
            self.work
                .on_done(Box::new(move || pipe::write(pipe, token)))
        });
        Ok(())
    }

    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.work.cancel());
        match &self.events {
            Events::None => Ok(()),
            Events::Operation(watch) | Events::PartOfRun(watch) => {
                watch.cancelled();
                watch.tell(py)
            }
        }
    }
}

fn taken() -> PyErr {
    PyRuntimeError::new_err("the result of this operation was already taken")
}

#[cfg(unix)]
mod pipe {
    use std::fs::File;
    use std::io::{ErrorKind, Write};
    use std::os::fd::OwnedFd;
    use std::thread;
    use std::time::Duration;

    pub(super) use crate::ffi::duplicate;

    /// Writes a token whole (a pipe takes 8 bytes or none). A full pipe is waited for on a thread of its own: a token
    /// that is not written leaves its operation waiting for ever. A pipe whose reader is gone has nobody waiting.
    pub(super) fn write(fd: OwnedFd, token: u64) {
        let mut pipe = File::from(fd);
        if full(&mut pipe, token) {
            let retry = move || {
                while full(&mut pipe, token) {
                    thread::sleep(Duration::from_millis(1));
                }
            };
            let _ = thread::Builder::new()
                .name("data-bridge-notify".into())
                .spawn(retry);
        }
    }

    fn full(pipe: &mut File, token: u64) -> bool {
        let written = pipe.write_all(&token.to_ne_bytes());
        written.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

#[cfg(not(unix))]
mod pipe {
    use std::io;

    /// Never made: there are no such descriptors to select on here.
    pub(super) enum Pipe {}

    pub(super) fn duplicate(_: i32) -> io::Result<Pipe> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn write(pipe: Pipe, _: u64) {
        match pipe {}
    }
}
