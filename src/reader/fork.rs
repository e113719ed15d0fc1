//! State that belongs to one process and is never used, nor dropped, by its forked children.
//!
//! A child inherits the memory of its parent but none of its threads: a lock that was held at the fork stays held, a
//! channel's other end is gone, a runtime never runs. So such state carries the id of the process that made it.

use std::mem;
use std::process;
use std::sync::OnceLock;

use crate::error::Result;

/// A value that only the process that made it may use; a forked child forgets it instead of dropping it.
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

    /// As `get`.
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

/// One value for each process, made on first use.
///
/// A list of set-once cells rather than a lock around a map: a lock could be held by another thread at the moment of a
/// fork, and would then never be released in the child. The list grows by one for each generation of forks.
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

    /// This process's value, made by `make` when there is none yet. Of threads that race to make it, one wins.
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
                    // Made before the cell is entered, so that a fork cannot catch the cell half set.
                    drop(slot.set(Box::new(node)));
                }
            }
        }
    }

    /// This process's value, if it was made.
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
