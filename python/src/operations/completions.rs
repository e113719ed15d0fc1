//! The way of completed operations to the event loops of Python.

use std::io::{ErrorKind, Write};
use std::process;
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;

use crate::ffi::{duplicate, RawHandle, Sender};
use crate::lock::lock;

/// Tokens of operations that are done, and the write end of the pipe or pair of sockets that announces them.
///
/// One byte announces all tokens of the queue: it is written for a token that finds the queue empty. A full pipe needs no
/// wait, as the bytes in it announce the new token too.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct Completions {
    queue: Arc<Queue>,
}

struct Queue {
    tokens: Mutex<Vec<u64>>,
    sender: Sender,
    pid: u32,
}

impl Completions {
    /// A callback for the end of an operation, on any thread.
    pub(crate) fn callback(&self, token: u64) -> Box<dyn FnOnce() + Send> {
        let queue = self.queue.clone();
        Box::new(move || queue.push(token))
    }
}

impl Queue {
    fn push(&self, token: u64) {
        let mut tokens = lock(&self.tokens);
        let is_first = tokens.is_empty();
        tokens.push(token);
        drop(tokens);
        if is_first {
            let mut sender = &self.sender;
            // Without a reader, no thread waits for the token.
            while sender
                .write(&[0])
                .is_err_and(|error| error.kind() == ErrorKind::Interrupted)
            {}
        }
    }
}

#[pymethods]
impl Completions {
    /// A queue that is announced on `fd`: the descriptor of a pipe that does not block, on Windows the handle of a socket. It
    /// is duplicated.
    #[new]
    fn new(fd: RawHandle) -> PyResult<Self> {
        let queue = Queue {
            tokens: Mutex::default(),
            sender: duplicate(fd)?,
            pid: process::id(),
        };
        Ok(Completions {
            queue: Arc::new(queue),
        })
    }

    /// Return and remove the tokens. Read the bytes that announce them before.
    fn take(&self) -> Vec<u64> {
        if self.queue.pid != process::id() {
            return Vec::new(); // a thread of the parent process may have held the lock
        }
        std::mem::take(&mut *lock(&self.queue.tokens))
    }
}
