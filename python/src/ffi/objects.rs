//! ObjectKind: what pays and PyO3 does not offer, and descriptors that Python hands in as numbers.

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

/// Classes whose instances own nothing that could lead back to them, so that the garbage collector need not visit them.
///
/// # Safety
/// An instance (of the class itself, not of a subclass, which may have a `__dict__`) holds no reference to a Python object
/// that could ever refer to it.
unsafe trait Leaf: PyClass {}

// SAFETY: a view holds columns, strings, dicts that map strings to None or ints, and a Codec: settings and a tzinfo, made
// before any view.
unsafe impl Leaf for Document {}
// SAFETY: as for Document.
unsafe impl Leaf for ListView {}

/// A new instance, not tracked by the collector.
///
/// PyO3 makes every class a tracked one. A result kept as 500,000 rows would then be walked by each full collection:
/// measured, 116 ns to make a row in a kept list, 31 untracked.
#[inline]
#[allow(private_bounds)]
pub fn untracked<'py, T>(py: Python<'py>, value: T) -> PyResult<Bound<'py, T>>
where
    T: Leaf + Into<PyClassInitializer<T>>,
{
    let made = Bound::new(py, value)?;
    // SAFETY: a live object of a class with the collector's header, as PyO3 gives every class. Untracking is allowed at any
    // time; by `Leaf` no cycle goes unseen. Deallocation untracks once more, which is harmless.
    unsafe { ffi::PyObject_GC_UnTrack(made.as_ptr().cast()) };
    Ok(made)
}

/// A class that a `class` statement made, directly on `object` and without a `__new__` of its own.
///
/// Invariant: `object.__new__` does nothing for such a class but give out zeroed memory, which is what
/// `PyType_GenericAlloc` does; slots without a value read as unset, so an instance is valid from the start.
///
/// Measured for an ObjectId, one of which stands in nearly every document: called from Python its constructor takes
/// 303 ns; reading an `_id` takes about 75 ns more than reading a bool, which bounds what this and a slot written take.
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

/// A class derived from `ModelView`.
///
/// Invariant: the class derives from `ModelView`, so that an instance of it begins with one.
pub struct Subclass(Py<PyType>);

impl Subclass {
    /// `class`, when it keeps the invariant.
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
    /// This is what PyO3's own `__new__` of `ModelView` ends in, which is called with arguments that have to be taken apart
    /// first: measured, 61 ns an instance in that way, 47 in this. Given the initializer, not the bare value: of that, PyO3
    /// would make a `ModelView` whatever the class.
    #[inline]
    pub fn instance<'py>(
        &self,
        py: Python<'py>,
        view: ModelView,
    ) -> PyResult<Bound<'py, ModelView>> {
        // SAFETY: attached, as `py` shows; the class is live, and derives from `ModelView` (the invariant). The call
        // allocates through the class, writes `view` where its `ModelView` is, and gives a new reference, or an exception.
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
/// Measured: `__anext__` called by its name takes 45 ns more than the slot, in a step of 80.
pub struct AsyncGenerator {
    object: Py<PyAny>,
    anext: ffi::unaryfunc,
}

impl AsyncGenerator {
    /// `object`, when it keeps the invariant.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let refused = || PyTypeError::new_err("not an asynchronous generator");
        let class = object.get_type();
        let expected = std::ptr::addr_of_mut!(ffi::PyAsyncGen_Type);
        if class.as_type_ptr() != expected {
            return Err(refused());
        }
        // SAFETY: attached, as `class` shows; the class is alive. The slot of that number holds a `unaryfunc` or null, which an
        // `Option` of a function pointer has the layout of.
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
        // SAFETY: attached, as `py` shows; the object is alive and of the class whose slot this is (the invariant). The call gives
        // a new reference, or null with an exception set.
        unsafe { Bound::from_owned_ptr_or_err(py, (self.anext)(self.object.as_ptr())) }
    }

    /// The generator.
    pub fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.object.bind(py)
    }

    /// Shows the generator to the garbage collector.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.object)
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
