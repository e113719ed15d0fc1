//! Buffers from a Python iterable: the consumer's thread pulls them and sends them to the reader.

use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_bridge::error::Result;
use data_bridge::reader::{Arrival, Framing, Reply, Source};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyIterator};

use crate::lock::lock;

/// Bytes to send before the next poll of the reader: enough to keep the decode threads busy.
const BYTES_PER_PULL: usize = 4 << 20;

pub(crate) type Shared = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The bytes of an object with the buffer protocol: shared for `bytes`, else copied.
pub(crate) fn buffer(object: &Bound<'_, PyAny>) -> PyResult<Shared> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Arc::new(PyBackedBytes::from(bytes.clone())));
    }
    let buffer = PyBuffer::<u8>::get(object)?;
    Ok(Arc::new(buffer.to_vec(object.py())?))
}

/// The end that pulls buffers from the iterator and sends them.
pub(crate) struct BufferSender {
    iterator: Mutex<Option<(Py<PyAny>, Sender<Reply>)>>,
}

/// The end that the reader receives from.
pub(crate) struct IterableSource(Receiver<Reply>);

/// Both ends for the buffers of `iterator`.
pub(crate) fn iterable_source(iterator: Bound<'_, PyAny>) -> (BufferSender, IterableSource) {
    let (sender, receiver) = channel();
    let iterator = Mutex::new(Some((iterator.unbind(), sender)));
    (BufferSender { iterator }, IterableSource(receiver))
}

impl BufferSender {
    /// Pulls and sends a few buffers.
    pub fn fill(&self, py: Python<'_>) -> PyResult<()> {
        self.pull(py, BYTES_PER_PULL)
    }

    /// Pulls and sends all buffers.
    pub fn drain(&self, py: Python<'_>) -> PyResult<()> {
        self.pull(py, usize::MAX)
    }

    fn pull(&self, py: Python<'_>, limit: usize) -> PyResult<()> {
        // Taken out while Python code runs: it may call this function, so no lock may be held.
        let Some((iterator, sender)) = lock(&self.iterator).take() else {
            return Ok(());
        };
        let mut pulled = 0;
        while pulled < limit {
            let next = iterator.bind(py).cast::<PyIterator>()?.clone().next();
            let Some(object) = next else {
                return Ok(());
            };
            let bytes = buffer(&object?)?;
            let len = (*bytes).as_ref().len();
            pulled += len;
            if sender
                .send(Reply::new(bytes, 0..len, Framing::Concatenated))
                .is_err()
            {
                return Ok(());
            }
        }
        *lock(&self.iterator) = Some((iterator, sender));
        Ok(())
    }
}

impl Source for IterableSource {
    fn poll(&mut self, _wait: Duration) -> Result<Arrival> {
        // Only the thread that polls sends more, so a wait would always time out.
        Ok(match self.0.recv_timeout(Duration::ZERO) {
            Ok(reply) => Arrival::Reply(reply),
            Err(RecvTimeoutError::Timeout) => Arrival::Pending,
            Err(RecvTimeoutError::Disconnected) => Arrival::End,
        })
    }
}
