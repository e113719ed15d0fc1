//! The state of an instance beside its row: the values that it holds, and the document as of the last write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, TryLockError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::documents::document::Document;
use crate::documents::py_chunk::PyChunk;
use crate::ffi;
use crate::lock::lock;
use crate::models::held_values::HeldValues;
use crate::models::location::Location;
use crate::models::model_view::ModelView;

/// The chunk and the row of the stored document.
#[derive(Clone)]
pub struct StoredRow {
    pub py_chunk: Arc<PyChunk>,
    pub row: u32,
    /// True if the document was read with all its keys.
    pub whole: bool,
}

impl StoredRow {
    /// The row of a document.
    pub fn of(document: &Bound<'_, Document>, whole: bool) -> Self {
        let (py_chunk, row) = document.get().parts();
        StoredRow {
            py_chunk: Arc::clone(py_chunk),
            row: row as u32,
            whole,
        }
    }
}

/// The row that an instance was made from.
pub struct Origin {
    pub row: StoredRow,
    /// The location of an embedded instance.
    pub location: Option<Location>,
}

/// The state of an instance beside its row. No Python code runs while one of the locks is held: it could wait for it.
#[derive(Default)]
pub struct InstanceState {
    /// For each value that was ever held, the bit of its name: most fields hold none, and need no lock.
    names: AtomicU64,
    held: Mutex<HeldValues>,
    /// The document as of the last write, which replaces the row; unset before the first write.
    written: OnceLock<Box<Mutex<Option<StoredRow>>>>,
    /// The row of an instance that Python code made; unset for a new one.
    pub filled: OnceLock<Box<Origin>>,
}

/// One of 64 bits, chosen by the address of an interned name.
fn bit_of(name: &Bound<'_, PyString>) -> u64 {
    // Strings are at multiples of 16.
    1 << ((name.as_ptr() as usize >> 4) % 64)
}

impl InstanceState {
    /// The value of a field that was assigned or kept.
    #[inline]
    pub fn held<'py>(&self, name: &Bound<'py, PyString>) -> Option<Bound<'py, PyAny>> {
        if self.names.load(Ordering::Acquire) & bit_of(name) == 0 {
            return None;
        }
        lock(&self.held).get(name)
    }

    /// References to the values, as they are at this moment.
    pub fn values(&self, py: Python<'_>) -> HeldValues {
        lock(&self.held).copy(py)
    }

    /// Changes the values that `instance`, whose state this is, holds; `added` is the field of a value that it may not have
    /// held before, which may refer to the instance if `cyclic`. Values that `change` removes have to be returned by it:
    /// dropping a value may run Python code.
    pub fn change<T>(
        &self,
        instance: &Bound<'_, ModelView>,
        added: Option<&Bound<'_, PyString>>,
        cyclic: bool,
        change: impl FnOnce(&mut HeldValues) -> T,
    ) -> T {
        let mut held = lock(&self.held);
        if let Some(name) = added {
            self.names.fetch_or(bit_of(name), Ordering::Release);
        }
        if cyclic {
            ffi::track(instance);
        }
        change(&mut held)
    }

    /// The row of the document as of the last write; `None` if the row that the instance was made from is valid.
    #[inline]
    pub fn written(&self) -> Option<StoredRow> {
        lock(self.written.get()?).clone()
    }

    /// Sets the row of the document as of the last write.
    pub fn set_written(&self, row: Option<StoredRow>) {
        let written = self.written.get_or_init(Box::default);
        // The previous row is dropped after the lock is released.
        let before = std::mem::replace(&mut *lock(written), row);
        drop(before);
    }

    /// Passes the values to the garbage collector.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let held = match self.held.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => held.into_inner(),
            // Another thread changes the values: they are in use, so the instance is, too.
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        held.kept.traverse(visit)?;
        held.assigned.traverse(visit)
    }

    /// Drops the values.
    pub fn clear(&self) {
        let held = std::mem::take(&mut *lock(&self.held));
        drop(held);
    }
}
