//! Buffers from a Python iterable, pulled by the consumer's own thread and handed to the reader.

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

/// Bytes handed over before the reader is asked again: enough to keep the decode threads busy.
const BYTES_PER_PULL: usize = 4 << 20;

pub(crate) type Shared = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The bytes of an object with the buffer protocol; `bytes` are shared, others copied.
pub(crate) fn buffer(object: &Bound<'_, PyAny>) -> PyResult<Shared> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Arc::new(PyBackedBytes::from(bytes.clone())));
    }
    let buffer = PyBuffer::<u8>::get(object)?;
    Ok(Arc::new(buffer.to_vec(object.py())?))
}

/// Python's end.
pub(crate) struct BufferSender {
    iterator: Mutex<Option<(Py<PyAny>, Sender<Reply>)>>,
}

/// The reader's end.
pub(crate) struct IterableSource(Receiver<Reply>);

/// Both ends of a buffers of `iterator`.
pub(crate) fn iterable_source(iterator: Bound<'_, PyAny>) -> (BufferSender, IterableSource) {
    let (sender, receiver) = channel();
    let iterator = Mutex::new(Some((iterator.unbind(), sender)));
    (BufferSender { iterator }, IterableSource(receiver))
}

impl BufferSender {
    /// Pulls a few buffers.
    pub fn fill(&self, py: Python<'_>) -> PyResult<()> {
        self.pull(py, BYTES_PER_PULL)
    }

    /// Pulls all there are.
    pub fn drain(&self, py: Python<'_>) -> PyResult<()> {
        self.pull(py, usize::MAX)
    }

    fn pull(&self, py: Python<'_>, limit: usize) -> PyResult<()> {
        // Taken out while Python runs: its code may come back here, and must find no lock.
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
        // More comes only from the thread that is asking: waiting here would be for nothing.
        Ok(match self.0.recv_timeout(Duration::ZERO) {
            Ok(reply) => Arrival::Reply(reply),
            Err(RecvTimeoutError::Timeout) => Arrival::Pending,
            Err(RecvTimeoutError::Disconnected) => Arrival::End,
        })
    }
}
