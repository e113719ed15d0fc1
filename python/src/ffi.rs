//! The one place with `unsafe`: instances of the bson package's small classes without a call to their constructors, and
//! descriptors that Python hands in as numbers.
//!
//! Measured on CPython 3.11 for an ObjectId, one of which stands in nearly every document: constructor 159 ns, this and a
//! slot written 60 ns.

#![allow(unsafe_code)]

#[cfg(unix)]
use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// A class that a `class` statement made, directly on `object` and without a `__new__` of its own.
///
/// Invariant: `object.__new__` does nothing for such a class but give out zeroed memory, which is what
/// `PyType_GenericAlloc` does; slots without a value read as unset, so an instance is valid from the start.
#[derive(Debug)]
pub struct PlainClass(Py<PyType>);

impl PlainClass {
    /// `class`, when it keeps the invariant.
    pub fn of(class: &Bound<'_, PyType>) -> PyResult<Option<PlainClass>> {
        let py = class.py();
        let object = py.get_type::<PyAny>();
        // Only instances of `type` itself: a metaclass may have its own way to allocate. Bit 9 of the flags: a heap type.
        let ordinary = class.get_type().is(py.get_type::<PyType>())
            && class.getattr("__flags__")?.extract::<u64>()? & (1 << 9) != 0
            && class.getattr("__bases__")?.eq((&object,))?
            && class.getattr("__itemsize__")?.extract::<usize>()? == 0
            && class.getattr("__new__")?.is(&object.getattr("__new__")?);
        Ok(ordinary.then(|| PlainClass(class.clone().unbind())))
    }

    /// A new instance, none of its slots set.
    #[inline]
    pub fn instance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: attached to the interpreter, as `py` shows; the class is a live heap type of which the invariant above
        // holds, checked when `self` was made. The call gives a new reference, or null with an exception set.
        unsafe {
            let object = ffi::PyType_GenericAlloc(self.0.as_ptr().cast(), 0);
            Bound::from_owned_ptr_or_err(py, object)
        }
    }
}

/// A descriptor of our own for what `fd` stands for, so that Python may close its own at any time.
///
/// # Errors
/// When `fd` is not open.
#[cfg(unix)]
pub fn duplicate(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(9)); // EBADF
    }
    // SAFETY: the value is used for this one system call only, which fails on a descriptor that is not open; no memory
    // depends on it, and -1, the one value that must not be borrowed, was refused.
    unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()
}
