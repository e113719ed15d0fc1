//! Fast paths for objects that PyO3 does not offer, and file descriptors that Python passes as numbers.

#[cfg(unix)]
use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::impl_::pymethods::tp_new_impl;
use pyo3::prelude::*;
use pyo3::types::PyType;
use pyo3::{PyClass, PyTraverseError, PyVisit};

use crate::documents::document::Document;
use crate::documents::list::ListView;
use crate::models::model_view::ModelView;

/// Classes whose instances cannot be part of a reference cycle, so that the garbage collector need not visit them.
///
/// # Safety
/// An instance (of the class itself, not of a subclass, which may have a `__dict__`) holds no reference to a Python object
/// that could ever refer to it.
unsafe trait Leaf: PyClass {}

// SAFETY: a view refers to columns, strings, dicts that map strings to None or ints, and a Codec: options and a tzinfo, made
// before any view.
unsafe impl Leaf for Document {}
// SAFETY: as for Document.
unsafe impl Leaf for ListView {}

/// A new instance that the garbage collector does not track.
///
/// PyO3 tracks the instances of every class. Each full collection would then visit all rows of a list of 500,000:
/// measured, 116 ns to make a row in such a list, 31 untracked.
#[inline]
#[allow(private_bounds)]
pub fn untracked<'py, T>(py: Python<'py>, value: T) -> PyResult<Bound<'py, T>>
where
    T: Leaf + Into<PyClassInitializer<T>>,
{
    let made = Bound::new(py, value)?;
    // SAFETY: a live object of a class with the collector's header, which every class of PyO3 has. Untracking is allowed at
    // any time; by `Leaf` no cycle is missed. Deallocation untracks again, which is harmless.
    unsafe { ffi::PyObject_GC_UnTrack(made.as_ptr().cast()) };
    Ok(made)
}

/// A class that a `class` statement made, with `object` as its only base and without its own `__new__`.
///
/// Invariant: for such a class `object.__new__` only returns zeroed memory, like `PyType_GenericAlloc`. Slots without a
/// value read as unset, so an instance is valid from the start.
///
/// Measured for an ObjectId, which nearly every document has: a call of its constructor from Python takes 303 ns; reading
/// an `_id` takes about 75 ns more than reading a bool, an upper bound for this allocation and the write of a slot.
#[derive(Debug)]
pub struct PlainClass(Py<PyType>);

impl PlainClass {
    /// `class`, if the invariant holds for it.
    pub fn of(class: &Bound<'_, PyType>) -> PyResult<Option<PlainClass>> {
        let py = class.py();
        let object = py.get_type::<PyAny>();
        // Only instances of `type` itself: a metaclass may allocate in another way. Bit 9 of the flags: a heap type.
        let ordinary = class.get_type().is(py.get_type::<PyType>())
            && class.getattr("__flags__")?.extract::<u64>()? & (1 << 9) != 0
            && class.getattr("__bases__")?.eq((&object,))?
            && class.getattr("__itemsize__")?.extract::<usize>()? == 0
            && class.getattr("__new__")?.is(&object.getattr("__new__")?);
        Ok(ordinary.then(|| PlainClass(class.clone().unbind())))
    }

    /// A new instance with unset slots.
    #[inline]
    pub fn instance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: attached to the interpreter, as `py` proves; the class is a live heap type for which the invariant holds,
        // checked when `self` was made. The call returns a new reference, or null with an exception set.
        unsafe {
            let object = ffi::PyType_GenericAlloc(self.0.as_ptr().cast(), 0);
            Bound::from_owned_ptr_or_err(py, object)
        }
    }
}

/// A class derived from `ModelView`.
///
/// Invariant: the class derives from `ModelView`, so that an instance of it begins with one.
pub struct Subclass(Py<PyType>);

impl Subclass {
    /// `class`, if the invariant holds for it.
    pub fn of(class: &Bound<'_, PyType>) -> PyResult<Option<Subclass>> {
        let derived = class.is_subclass_of::<ModelView>()?;
        Ok(derived.then(|| Subclass(class.clone().unbind())))
    }

    /// The class.
    pub fn class(&self) -> &Py<PyType> {
        &self.0
    }

    /// A new instance around `view`; `__new__` and `__init__` are not called.
    ///
    /// PyO3's own `__new__` of `ModelView` ends in the same call, but parses its arguments first: measured, 61 ns per
    /// instance there, 47 here. It takes the initializer, not the bare value, from which PyO3 would make a `ModelView` of any
    /// class.
    #[inline]
    pub fn instance<'py>(
        &self,
        py: Python<'py>,
        view: ModelView,
    ) -> PyResult<Bound<'py, ModelView>> {
        // SAFETY: attached, as `py` proves; the class is live, and derives from `ModelView` (the invariant). The call
        // allocates through the class, writes `view` into its `ModelView`, and returns a new reference, or an exception.
        unsafe {
            let object = tp_new_impl(py, PyClassInitializer::from(view), self.0.as_ptr().cast())?;
            Ok(Bound::from_owned_ptr(py, object).cast_into_unchecked())
        }
    }
}

/// An asynchronous generator.
///
/// Invariant: the object is an instance of that class itself, and `anext` the slot of the class.
///
/// Measured: a call of `__anext__` by name takes 45 ns more than a call of the slot, in a step of 80 ns.
pub struct AsyncGenerator {
    object: Py<PyAny>,
    anext: ffi::unaryfunc,
}

impl AsyncGenerator {
    /// `object`, if the invariant holds for it.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let refused = || PyTypeError::new_err("not an asynchronous generator");
        let class = object.get_type();
        let expected = std::ptr::addr_of_mut!(ffi::PyAsyncGen_Type);
        if class.as_type_ptr() != expected {
            return Err(refused());
        }
        // SAFETY: attached, as `class` proves; the class is alive. The slot of this number holds a `unaryfunc` or null, and an
        // `Option` of a function pointer has the same layout.
        let anext = unsafe {
            let slot = ffi::PyType_GetSlot(class.as_type_ptr(), ffi::Py_am_anext);
            std::mem::transmute::<*mut std::ffi::c_void, Option<ffi::unaryfunc>>(slot)
        };
        Ok(AsyncGenerator {
            object: object.clone().unbind(),
            anext: anext.ok_or_else(refused)?,
        })
    }

    /// The awaitable of its next item.
    #[inline]
    pub fn anext<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: attached, as `py` proves; the object is alive and of the class that has this slot (the invariant). The call
        // returns a new reference, or null with an exception set.
        unsafe { Bound::from_owned_ptr_or_err(py, (self.anext)(self.object.as_ptr())) }
    }

    /// The generator.
    pub fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.object.bind(py)
    }

    /// Passes the generator to the garbage collector.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.object)
    }
}

/// A duplicate of the file descriptor `fd`, so that Python may close its own at any time.
///
/// # Errors
/// If `fd` is not open.
#[cfg(unix)]
pub fn duplicate(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(9)); // EBADF
    }
    // SAFETY: the value is used for this one system call only, which fails on a descriptor that is not open; no memory
    // depends on it, and -1, the one value that must not be borrowed, was refused.
    unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()
}
