//! Runs the event loop on the I/O thread, or on the thread that waits for a reply.
//!
//! If one thread waits for a reply that another thread reads from the socket, an exchange takes four thread switches: to the I/O
//! thread, to the server's thread, back, and to the waiting thread. A blocking driver takes two, and the difference shows if a
//! server replies in a tenth of a millisecond. So in a series of small exchanges the I/O thread hands the loop over: the waiting
//! thread runs it meanwhile, with the tasks of all operations. The I/O thread takes the loop back if work is in progress that no
//! thread waits for ([`BackgroundWork`]), and after a millisecond without a wait. Measured in
//! docs/design/0011-event-loop-handoff.md.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Waits form a series if one ends less than this after the one before. A longer exchange gains nothing from the handoff.
const SERIES_GAP: Duration = Duration::from_millis(2);

/// Interval at which the I/O thread checks a loop that it handed over: no thread runs the loop for twice that at most.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// The event loop of a runtime of one thread, and the thread that runs it.
pub(super) struct LoopHandoff {
    /// The I/O thread, once it was started.
    io_thread: OnceLock<Thread>,
    starting: Mutex<()>,
    /// A waiting thread may run the loop.
    handed_over: AtomicBool,
    /// A wait takes long: the I/O thread takes the loop back.
    return_requested: AtomicBool,
    /// Wakes the I/O thread to hand the loop over.
    handoff_requested: Notify,
    /// Waits that run the loop now, and the number of those that ever did.
    running_waits: AtomicUsize,
    total_waits: AtomicU64,
    /// Guards of [`BackgroundWork`].
    background_work: AtomicUsize,
    /// The end of the last wait, in microseconds since `created`; and whether it followed closely on the one before.
    last_wait_end: AtomicU64,
    in_series: AtomicBool,
    created: Instant,
}

impl LoopHandoff {
    pub(super) fn new() -> Self {
        LoopHandoff {
            io_thread: OnceLock::new(),
            starting: Mutex::new(()),
            handed_over: AtomicBool::new(false),
            return_requested: AtomicBool::new(false),
            handoff_requested: Notify::new(),
            running_waits: AtomicUsize::new(0),
            total_waits: AtomicU64::new(0),
            background_work: AtomicUsize::new(0),
            last_wait_end: AtomicU64::new(0),
            in_series: AtomicBool::new(false),
            created: Instant::now(),
        }
    }

    /// Starts the I/O thread, unless it was started before.
    pub(super) fn start(
        &'static self,
        runtime: &'static Runtime,
        stack: usize,
    ) -> std::io::Result<()> {
        if self.io_thread.get().is_some() {
            return Ok(());
        }
        // A second caller must not return before there is a thread that runs what it spawns.
        let _starting: MutexGuard<'_, ()> =
            self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.io_thread.get().is_none() {
            let handle = thread::Builder::new()
                .name("data-bridge-io".into())
                .stack_size(stack)
                .spawn(move || self.run_io_thread(runtime))?;
            let _ = self.io_thread.set(handle.thread().clone());
        }
        Ok(())
    }

    /// Runs the loop, and hands it over on request, for the life of the process.
    fn run_io_thread(&self, runtime: &Runtime) {
        loop {
            runtime.block_on(self.handoff_requested.notified());
            self.return_requested.store(false, Ordering::SeqCst);
            self.handed_over.store(true, Ordering::SeqCst);
            let mut seen = self.total_waits.load(Ordering::SeqCst);
            while self.background_work.load(Ordering::SeqCst) == 0
                && !self.return_requested.load(Ordering::SeqCst)
            {
                thread::park_timeout(CHECK_INTERVAL);
                let total = self.total_waits.load(Ordering::SeqCst);
                if total == seen && self.running_waits.load(Ordering::SeqCst) == 0 {
                    break;
                }
                seen = total;
            }
            self.handed_over.store(false, Ordering::SeqCst);
        }
    }

    /// Waits for `future` on this thread, for `wait` at most.
    pub(super) fn wait<F: Future>(
        &'static self,
        runtime: &Runtime,
        future: F,
        wait: Duration,
        stack: usize,
    ) -> Option<F::Output> {
        // A thread of a runtime is excluded: an asynchronous caller waits on it.
        let may_run = self.continues_series()
            && self.background_work.load(Ordering::SeqCst) == 0
            && Handle::try_current().is_err()
            && has_stack(stack);
        let handed_over = self.handed_over.load(Ordering::SeqCst);
        let outcome = if may_run && handed_over {
            let running = RunningWait::new(self);
            let outcome = runtime.block_on(async { timeout(wait, future).await });
            drop(running);
            if outcome.is_err() {
                // The exchange takes long: a thread switch adds nothing to it.
                self.return_requested.store(true, Ordering::SeqCst);
                self.wake_io_thread();
            }
            outcome.ok()
        } else {
            let background = self.background_work();
            let outcome = wait_parked(future, wait);
            drop(background);
            if may_run && !handed_over && outcome.is_some() {
                self.handoff_requested.notify_one();
            }
            outcome
        };
        if outcome.is_some() {
            let now = self.micros();
            let before = self.last_wait_end.swap(now, Ordering::Relaxed);
            self.in_series
                .store(is_series(before, now), Ordering::Relaxed);
        }
        outcome
    }

    fn continues_series(&self) -> bool {
        let in_series = self.in_series.load(Ordering::Relaxed);
        in_series && is_series(self.last_wait_end.load(Ordering::Relaxed), self.micros())
    }

    /// Wakes the I/O thread while the loop is handed over.
    fn wake_io_thread(&self) {
        if let Some(thread) = self.io_thread.get() {
            thread.unpark();
        }
    }

    fn micros(&self) -> u64 {
        self.created.elapsed().as_micros() as u64
    }

    /// Keeps the loop on the I/O thread until the guard is dropped.
    pub(super) fn background_work(&'static self) -> BackgroundWork {
        self.background_work.fetch_add(1, Ordering::SeqCst);
        if self.handed_over.load(Ordering::SeqCst) {
            self.wake_io_thread();
        }
        BackgroundWork(self)
    }
}

fn is_series(before: u64, now: u64) -> bool {
    now.saturating_sub(before) < SERIES_GAP.as_micros() as u64
}

/// A wait that runs the loop.
struct RunningWait(&'static LoopHandoff);

impl RunningWait {
    fn new(handoff: &'static LoopHandoff) -> Self {
        handoff.running_waits.fetch_add(1, Ordering::SeqCst);
        handoff.total_waits.fetch_add(1, Ordering::SeqCst);
        RunningWait(handoff)
    }
}

impl Drop for RunningWait {
    fn drop(&mut self) {
        self.0.running_waits.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A guard for work that no thread waits for: the I/O thread runs the loop until it is dropped.
pub(crate) struct BackgroundWork(&'static LoopHandoff);

impl Drop for BackgroundWork {
    fn drop(&mut self) {
        self.0.background_work.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Returns whether this thread has as large a stack as the loop's tasks may need: a program may give its threads small ones.
fn has_stack(least: usize) -> bool {
    stacker::remaining_stack().is_some_and(|left| left >= least)
}

/// Waits for `future`, for `wait` at most, while another thread runs the loop.
pub(super) fn wait_parked<F: Future>(future: F, wait: Duration) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let begun = Instant::now();
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut context) {
            return Some(outcome);
        }
        let left = wait.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread::ThreadId;

    use tokio::runtime::Builder;
    use tokio::task::{yield_now, JoinHandle};
    use tokio::time::sleep;

    const LONG: Duration = Duration::from_secs(30);
    const STACK: usize = 1 << 20;

    /// A loop of its own for a test, as other tests wait for the process's loop; and the stack that it needs.
    struct Loop(&'static Runtime, &'static LoopHandoff, usize);

    impl Loop {
        fn new() -> Self {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let found = Loop(
                Box::leak(Box::new(runtime)),
                Box::leak(Box::new(LoopHandoff::new())),
                STACK,
            );
            found.1.start(found.0, STACK).unwrap();
            found
        }

        fn spawn<T: Send + 'static>(
            &self,
            task: impl Future<Output = T> + Send + 'static,
        ) -> JoinHandle<T> {
            self.0.spawn(task)
        }

        fn wait<T>(&self, task: JoinHandle<T>, wait: Duration) -> Option<T> {
            self.1.wait(self.0, task, wait, self.2).map(Result::unwrap)
        }

        /// The thread that ran a task that this one waited for.
        fn runner(&self) -> ThreadId {
            let task = self.spawn(async {
                yield_now().await;
                thread::current().id()
            });
            self.wait(task, LONG).unwrap()
        }

        /// Returns whether the waiting thread ran at least one of so many tasks, one after the other.
        fn handed_over(&self, tasks: usize) -> bool {
            (0..tasks).any(|_| self.runner() == thread::current().id())
        }

        /// Returns whether that happens in time: a busy machine breaks a series.
        fn is_handed_over(&self) -> bool {
            let begun = Instant::now();
            while begun.elapsed() < LONG {
                if self.handed_over(100) {
                    return true;
                }
            }
            false
        }
    }

    #[test]
    fn a_thread_that_waits_repeatedly_runs_the_loop() {
        assert!(Loop::new().is_handed_over());
    }

    #[test]
    fn the_first_wait_does_not_run_the_loop() {
        assert_ne!(Loop::new().runner(), thread::current().id());
    }

    #[test]
    fn background_work_keeps_the_loop_on_the_io_thread() {
        let own = Loop::new();
        assert!(own.is_handed_over());
        let work = own.1.background_work();
        assert!(!own.handed_over(1_000));
        drop(work);
        assert!(own.is_handed_over());
    }

    #[test]
    fn the_io_thread_takes_the_loop_back() {
        let own = Loop::new();
        assert!(own.is_handed_over());
        let (sender, receiver) = mpsc::channel();
        own.spawn(async move {
            sleep(Duration::from_millis(5)).await;
            sender.send(thread::current().id()).unwrap();
        });
        // Not a wait that could run the loop.
        let ran = receiver.recv_timeout(LONG).unwrap();
        assert_ne!(ran, thread::current().id());
    }

    #[test]
    fn a_long_wait_returns_the_loop() {
        let own = Loop::new();
        assert!(own.is_handed_over());
        let (sender, receiver) = mpsc::channel();
        let task = own.spawn(async move {
            sleep(Duration::from_millis(20)).await;
            sender.send(()).unwrap();
            std::future::pending::<()>().await
        });
        assert!(own.wait(task, Duration::from_millis(1)).is_none());
        receiver.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn threads_with_too_small_a_stack_do_not_run_the_loop() {
        let mut own = Loop::new();
        assert!(own.is_handed_over());
        own.2 = 1 << 40;
        assert!(!own.handed_over(1_000));
    }

    #[test]
    fn threads_that_wait_at_once_get_their_outcomes() {
        let own = Loop::new();
        let outcomes = |thread: u64| -> u64 {
            let tasks = (0..500).map(|number| {
                let task = own.spawn(async move {
                    yield_now().await;
                    thread * 500 + number
                });
                own.wait(task, LONG).unwrap()
            });
            tasks.sum()
        };
        let outcomes = &outcomes;
        thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || outcomes(n))).collect();
            let sum: u64 = threads.into_iter().map(|one| one.join().unwrap()).sum();
            assert_eq!(sum, (0..4_000).sum::<u64>());
        });
    }
}
