//! State of one process that its forked children neither use nor drop.
//!
//! A child inherits its parent's memory but none of its threads. A lock that was held at the fork stays locked, the
//! other end of a channel is missing, and a runtime never runs. Such state therefore carries the id of the process
//! that made it.

use std::mem;
use std::process;
use std::sync::OnceLock;

use crate::error::Result;

/// A value that only the process that made it may use; a forked child leaks it instead of dropping it.
pub(crate) struct ForkGuard<T> {
    pid: u32,
    value: Option<T>,
}

impl<T> ForkGuard<T> {
    pub(crate) fn new(value: T) -> Self {
        ForkGuard {
            pid: process::id(),
            value: Some(value),
        }
    }

    /// The value, or `None` in a forked child.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.pid == process::id())
    }

    /// The value, mutably, or `None` in a forked child.
    #[cfg(feature = "mongodb")]
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.value.as_mut().filter(|_| self.pid == process::id())
    }
}

impl<T> Drop for ForkGuard<T> {
    fn drop(&mut self) {
        if self.pid != process::id() {
            mem::forget(self.value.take());
        }
    }
}

/// One value per process, made on first use.
///
/// A list of set-once cells instead of a lock around a map: if another thread held the lock at a fork, the child
/// could never release it. The list grows by one entry per generation of forks.
pub(crate) struct PerProcess<T> {
    head: OnceLock<Box<Node<T>>>,
}

struct Node<T> {
    value: ForkGuard<T>,
    next: OnceLock<Box<Node<T>>>,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        PerProcess {
            head: OnceLock::new(),
        }
    }

    /// Returns this process's value; the first call makes it with `make`. If threads race, the value of one thread is
    /// kept.
    pub(crate) fn get_or_try_init(&self, make: impl Fn() -> Result<T>) -> Result<&T> {
        let mut slot = &self.head;
        loop {
            match slot.get() {
                Some(node) => match node.value.get() {
                    Some(value) => return Ok(value),
                    None => slot = &node.next,
                },
                None => {
                    let node = Node {
                        value: ForkGuard::new(make()?),
                        next: OnceLock::new(),
                    };
                    // The value is made before the cell is entered, so that a fork cannot happen while the cell is
                    // half set.
                    drop(slot.set(Box::new(node)));
                }
            }
        }
    }

    /// This process's value, if it was made already.
    pub(crate) fn get(&self) -> Option<&T> {
        let mut slot = &self.head;
        loop {
            let node = slot.get()?;
            match node.value.get() {
                Some(value) => return Some(value),
                None => slot = &node.next,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn one_value_for_all_threads() {
        let cell = PerProcess::new();
        let next = AtomicUsize::new(0);
        let make = || Ok(next.fetch_add(1, Ordering::SeqCst));
        std::thread::scope(|scope| {
            let seen: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| *cell.get_or_try_init(make).unwrap()))
                .collect();
            let seen: Vec<_> = seen.into_iter().map(|t| t.join().unwrap()).collect();
            assert!(seen.iter().all(|value| *value == seen[0]));
        });
        assert!(cell.get().is_some());
    }

    #[test]
    fn a_forked_child_does_not_drop_the_value() {
        struct Loud;
        impl Drop for Loud {
            fn drop(&mut self) {
                panic!("dropped in a child");
            }
        }
        let mut native = ForkGuard::new(Loud);
        native.pid = native.pid.wrapping_add(1);
        assert!(native.get().is_none());
        drop(native);
    }
}
