//! Tasks of the runtime. A plain thread can wait for one, in slices, and cancel it.

use std::any::Any;
use std::future::Future;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::pin;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::io_threads;
use super::loop_handoff::BackgroundWork;
use crate::error::{Error, ErrorKind, Result};

/// A flag that is set for a blocking closure when its task is cancelled.
#[derive(Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Returns whether the closure should end as soon as it can.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A future or a blocking closure in progress on the runtime.
///
/// A caller waits on its own thread, and waiting knows nothing of interpreters: a binding waits in short slices and checks for
/// signals between them. Dropping a `Task` cancels it, unless it was [detached](Task::detached).
pub struct Task<T> {
    shared: Arc<Shared<T>>,
    stop: StopFlag,
    abort: Option<AbortHandle>,
    pid: u32,
    detached: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    done: Notify,
}

struct State<T> {
    phase: Phase<T>,
    callbacks: Vec<Box<dyn FnOnce() + Send>>,
    /// Held while there are callbacks: no thread waits for their work.
    background_work: Option<BackgroundWork>,
}

enum Phase<T> {
    Running,
    Done(Result<T>),
    Taken,
}

impl<T: Send + 'static> Task<T> {
    /// Runs `work` on the runtime. A panic in it becomes an [`ErrorKind::Internal`].
    pub fn spawn(work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        let mut task = Task::new();
        match io_threads::handle() {
            Ok(handle) => {
                let shared = task.shared.clone();
                let spawned = handle.spawn(async move {
                    let outcome = AssertUnwindSafe(work).catch_unwind().await;
                    shared.finish(outcome.unwrap_or_else(|panic| Err(panicked(&*panic))));
                });
                task.abort = Some(spawned.abort_handle());
            }
            Err(error) => task.shared.finish(Err(error)),
        }
        task
    }

    /// Runs `work` on a thread that may block. It should check its flag between its waits: a thread cannot be stopped from
    /// outside.
    pub fn spawn_blocking(work: impl FnOnce(&StopFlag) -> Result<T> + Send + 'static) -> Self {
        let mut task = Task::new();
        match io_threads::handle() {
            Ok(handle) => {
                let (shared, stop) = (task.shared.clone(), task.stop.clone());
                let spawned = handle.spawn_blocking(move || {
                    let outcome = catch_unwind(AssertUnwindSafe(|| work(&stop)));
                    shared.finish(outcome.unwrap_or_else(|panic| Err(panicked(&*panic))));
                });
                task.abort = Some(spawned.abort_handle());
            }
            Err(error) => task.shared.finish(Err(error)),
        }
        task
    }
}

impl<T> Task<T> {
    fn new() -> Self {
        Task {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    phase: Phase::Running,
                    callbacks: Vec::new(),
                    background_work: None,
                }),
                done: Notify::new(),
            }),
            stop: StopFlag::default(),
            abort: None,
            pid: process::id(),
            detached: false,
        }
    }

    /// A task that is done, with this outcome.
    pub fn ready(outcome: Result<T>) -> Self {
        let task = Task::new();
        task.shared.finish(outcome);
        task
    }

    /// Lets the work continue if the `Task` is dropped: for work that cleans up.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Waits for the outcome, for `wait` at most; `None` while the work is in progress.
    ///
    /// The outcome is returned once; a second call returns [`ErrorKind::InvalidArgument`].
    pub fn wait_timeout(&self, wait: Duration) -> Option<Result<T>> {
        if self.inherited() {
            return Some(Err(Error::new(ErrorKind::Connection(
                "the operation was started before a fork, and only the parent process can finish it".into(),
            ))));
        }
        io_threads::wait(self.shared.outcome(), wait)
    }

    /// Returns whether the work is done, its outcome taken or not.
    pub fn is_done(&self) -> bool {
        self.inherited() || !matches!(self.shared.lock().phase, Phase::Running)
    }

    /// Calls `callback` once the work is done: at once, on this thread, if it is done already; else on an I/O thread, so it must
    /// be short and must not enter an interpreter.
    pub fn on_done(&self, callback: impl FnOnce() + Send + 'static) {
        if !self.inherited() {
            let mut state = self.shared.lock();
            if matches!(state.phase, Phase::Running) {
                state.callbacks.push(Box::new(callback));
                if state.background_work.is_none() {
                    state.background_work = io_threads::background_work();
                }
                return;
            }
        }
        callback();
    }

    /// Cancels the work: its outcome is [`ErrorKind::Cancelled`], unless it has one already.
    pub fn cancel(&self) {
        if self.inherited() {
            return;
        }
        self.stop.set();
        self.shared.finish(Err(Error::new(ErrorKind::Cancelled)));
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }

    fn inherited(&self) -> bool {
        self.pid != process::id()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if !self.detached {
            self.cancel();
        }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn outcome(&self) -> Result<T> {
        loop {
            let mut done = pin!(self.done.notified());
            done.as_mut().enable();
            if let Some(outcome) = self.take() {
                return outcome;
            }
            done.await;
        }
    }

    /// The outcome, if there is one.
    fn take(&self) -> Option<Result<T>> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.phase, Phase::Taken) {
            Phase::Running => {
                state.phase = Phase::Running;
                None
            }
            Phase::Done(outcome) => Some(outcome),
            Phase::Taken => Some(Err(Error::new(ErrorKind::InvalidArgument(
                "the outcome of this operation was already taken".into(),
            )))),
        }
    }

    /// Sets the outcome, unless there is one already.
    fn finish(&self, outcome: Result<T>) {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Running) {
            return;
        }
        state.phase = Phase::Done(outcome);
        let callbacks = std::mem::take(&mut state.callbacks);
        state.background_work = None;
        drop(state);
        self.done.notify_waiters();
        for callback in callbacks {
            callback();
        }
    }
}

/// The message of a caught panic, as an error.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".into());
    Error::new(ErrorKind::Internal(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(10);

    fn kind<T>(outcome: Option<Result<T>>) -> ErrorKind {
        match outcome {
            Some(Err(error)) => error.kind().clone(),
            Some(Ok(_)) => panic!("no error"),
            None => panic!("not done"),
        }
    }

    #[test]
    fn gives_its_outcome_once() {
        let task = Task::spawn(async { Ok(7) });
        assert_eq!(task.wait_timeout(LONG).unwrap().unwrap(), 7);
        assert!(task.is_done());
        assert!(matches!(
            kind(task.wait_timeout(LONG)),
            ErrorKind::InvalidArgument(_)
        ));
    }

    #[test]
    fn waits_in_slices_and_cancels() {
        let task = Task::<()>::spawn(std::future::pending());
        let begun = Instant::now();
        assert!(task.wait_timeout(Duration::from_millis(20)).is_none());
        assert!(begun.elapsed() >= Duration::from_millis(20));
        task.cancel();
        assert_eq!(
            kind(task.wait_timeout(Duration::ZERO)),
            ErrorKind::Cancelled
        );
    }

    #[test]
    fn panics_become_errors() {
        let task = Task::<()>::spawn(async { panic!("boom {}", 1) });
        assert_eq!(
            kind(task.wait_timeout(LONG)),
            ErrorKind::Internal("boom 1".into())
        );
        let task = Task::<()>::spawn_blocking(|_| panic!("bang"));
        assert_eq!(
            kind(task.wait_timeout(LONG)),
            ErrorKind::Internal("bang".into())
        );
    }

    #[test]
    fn dropping_stops_blocking_work() {
        let (began, begin) = mpsc::channel();
        let (ended, end) = mpsc::channel();
        let task = Task::spawn_blocking(move |stop| {
            let _ = began.send(());
            while !stop.is_set() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = ended.send(());
            Ok(())
        });
        // A closure that has not begun is not run at all.
        begin.recv_timeout(LONG).unwrap();
        drop(task);
        end.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn calls_back_once_done_or_at_once() {
        let (sender, calls) = mpsc::channel();
        let task = Task::spawn(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(())
        });
        let early = sender.clone();
        task.on_done(move || early.send("early").unwrap());
        assert_eq!(calls.recv_timeout(LONG).unwrap(), "early");
        task.on_done(move || sender.send("late").unwrap());
        assert_eq!(calls.recv_timeout(Duration::ZERO).unwrap(), "late");
    }
}
