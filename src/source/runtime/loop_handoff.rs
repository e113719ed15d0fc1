//! Who runs the event loop: a thread of its own, or who waits for an answer.
//!
//! Where one thread waits for an answer that another one reads from the socket, an exchange takes four switches of threads: to the
//! loop's thread, to the server's, back, and to who waits. A blocking driver takes two, and where a server answers in a tenth of a
//! millisecond that shows. So in a series of small exchanges the loop's thread lends the loop: who waits runs it meanwhile, its
//! tasks and those of everybody else. It takes the loop back when there is something that nobody waits for on a thread
//! ([`Busy`]), and after a millisecond in which nobody asked.

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

/// Waits belong to a series when one ends so soon after the other. What takes longer is not worth it.
const SERIES: Duration = Duration::from_millis(2);

/// So often the loop's thread looks at a loop that it lent: nobody runs it for twice that at most.
const IDLE: Duration = Duration::from_millis(1);

/// The loop of a runtime of one thread, and who runs it.
pub(super) struct Lending {
    /// The loop's thread, once it was started.
    thread: OnceLock<Thread>,
    starting: Mutex<()>,
    lent: AtomicBool,
    /// Somebody is done with it.
    back: AtomicBool,
    /// Asks the loop's thread to lend it.
    asked: Notify,
    /// Waits that run the loop, and how many there ever were.
    borrowers: AtomicUsize,
    borrowed: AtomicU64,
    busy: AtomicUsize,
    /// When a wait ended last, in microseconds since `began`; and whether that was soon after the one before.
    ended: AtomicU64,
    soon: AtomicBool,
    began: Instant,
}

impl Lending {
    pub(super) fn new() -> Self {
        Lending {
            thread: OnceLock::new(),
            starting: Mutex::new(()),
            lent: AtomicBool::new(false),
            back: AtomicBool::new(false),
            asked: Notify::new(),
            borrowers: AtomicUsize::new(0),
            borrowed: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            soon: AtomicBool::new(false),
            began: Instant::now(),
        }
    }

    /// Starts the loop's thread, if that was not done.
    pub(super) fn start(
        &'static self,
        runtime: &'static Runtime,
        stack: usize,
    ) -> std::io::Result<()> {
        if self.thread.get().is_some() {
            return Ok(());
        }
        // Who comes second must not go on before there is a thread that runs what it spawns.
        let _starting: MutexGuard<'_, ()> =
            self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.thread.get().is_none() {
            let handle = thread::Builder::new()
                .name("data-bridge-io".into())
                .stack_size(stack)
                .spawn(move || self.serve(runtime))?;
            let _ = self.thread.set(handle.thread().clone());
        }
        Ok(())
    }

    /// What the loop's thread does.
    fn serve(&self, runtime: &Runtime) {
        loop {
            runtime.block_on(self.asked.notified());
            self.back.store(false, Ordering::SeqCst);
            self.lent.store(true, Ordering::SeqCst);
            let mut seen = self.borrowed.load(Ordering::SeqCst);
            while self.busy.load(Ordering::SeqCst) == 0 && !self.back.load(Ordering::SeqCst) {
                thread::park_timeout(IDLE);
                let borrowed = self.borrowed.load(Ordering::SeqCst);
                if borrowed == seen && self.borrowers.load(Ordering::SeqCst) == 0 {
                    break;
                }
                seen = borrowed;
            }
            self.lent.store(false, Ordering::SeqCst);
        }
    }

    /// Waits for `future` on this thread, `wait` at most.
    pub(super) fn wait<F: Future>(
        &'static self,
        runtime: &Runtime,
        future: F,
        wait: Duration,
        stack: usize,
    ) -> Option<F::Output> {
        // On a thread of the runtime's own an asynchronous caller waits for the outcome.
        let able = self.in_series()
            && self.busy.load(Ordering::SeqCst) == 0
            && Handle::try_current().is_err()
            && has_stack(stack);
        let lent = self.lent.load(Ordering::SeqCst);
        let outcome = if able && lent {
            let borrower = Borrower::new(self);
            let outcome = runtime.block_on(async { timeout(wait, future).await });
            drop(borrower);
            if outcome.is_err() {
                // It takes longer: nothing that a switch of threads would add to.
                self.back.store(true, Ordering::SeqCst);
                self.wake();
            }
            outcome.ok()
        } else {
            let busy = self.busy();
            let outcome = parked(future, wait);
            drop(busy);
            if able && !lent && outcome.is_some() {
                self.asked.notify_one();
            }
            outcome
        };
        if outcome.is_some() {
            let now = self.micros();
            let before = self.ended.swap(now, Ordering::Relaxed);
            self.soon.store(is_soon(before, now), Ordering::Relaxed);
        }
        outcome
    }

    fn in_series(&self) -> bool {
        let soon = self.soon.load(Ordering::Relaxed);
        soon && is_soon(self.ended.load(Ordering::Relaxed), self.micros())
    }

    /// Wakes the loop's thread where it waits until it is to have the loop back.
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn micros(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// The loop's thread runs the loop until the guard is dropped: for what nobody waits for on a thread.
    pub(super) fn busy(&'static self) -> Busy {
        self.busy.fetch_add(1, Ordering::SeqCst);
        if self.lent.load(Ordering::SeqCst) {
            self.wake();
        }
        Busy(self)
    }
}

fn is_soon(before: u64, now: u64) -> bool {
    now.saturating_sub(before) < SERIES.as_micros() as u64
}

/// A wait that runs the loop.
struct Borrower(&'static Lending);

impl Borrower {
    fn new(lending: &'static Lending) -> Self {
        lending.borrowers.fetch_add(1, Ordering::SeqCst);
        lending.borrowed.fetch_add(1, Ordering::SeqCst);
        Borrower(lending)
    }
}

impl Drop for Borrower {
    fn drop(&mut self) {
        self.0.borrowers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// See [`Lending::busy`].
pub(crate) struct Busy(&'static Lending);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whether this thread has as large a stack as the loop's tasks may need: it may be one that somebody made small.
fn has_stack(least: usize) -> bool {
    stacker::remaining_stack().is_some_and(|left| left >= least)
}

/// Waits for `future`, `wait` at most; somebody else runs the loop.
pub(super) fn parked<F: Future>(future: F, wait: Duration) -> Option<F::Output> {
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

    /// A loop of a test's own, as the process's is waited for by other tests as well; and the stack that it needs.
    struct Loop(&'static Runtime, &'static Lending, usize);

    impl Loop {
        fn new() -> Self {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let found = Loop(
                Box::leak(Box::new(runtime)),
                Box::leak(Box::new(Lending::new())),
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

        /// Whether, of so many tasks one after the other, one was run by who waited.
        fn borrowed(&self, tasks: usize) -> bool {
            (0..tasks).any(|_| self.runner() == thread::current().id())
        }

        /// The same, in time: a busy machine breaks a series.
        fn borrows(&self) -> bool {
            let begun = Instant::now();
            while begun.elapsed() < LONG {
                if self.borrowed(100) {
                    return true;
                }
            }
            false
        }
    }

    #[test]
    fn who_waits_again_and_again_runs_the_loop() {
        assert!(Loop::new().borrows());
    }

    #[test]
    fn the_first_who_waits_does_not() {
        assert_ne!(Loop::new().runner(), thread::current().id());
    }

    #[test]
    fn nobody_borrows_what_is_busy() {
        let own = Loop::new();
        assert!(own.borrows());
        let busy = own.1.busy();
        assert!(!own.borrowed(1_000));
        drop(busy);
        assert!(own.borrows());
    }

    #[test]
    fn a_lent_loop_is_taken_back() {
        let own = Loop::new();
        assert!(own.borrows());
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
    fn a_long_wait_gives_the_loop_back() {
        let own = Loop::new();
        assert!(own.borrows());
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
    fn threads_with_too_small_a_stack_do_not_borrow() {
        let mut own = Loop::new();
        assert!(own.borrows());
        own.2 = 1 << 40;
        assert!(!own.borrowed(1_000));
    }

    #[test]
    fn threads_that_wait_at_once_all_get_their_outcomes() {
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
            assert_eq!(sum, (0..4_000).sum());
        });
    }
}
