//! Fast paths for objects that PyO3 does not offer.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::impl_::pymethods::tp_new_impl;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyType};
use pyo3::{PyClass, PyTraverseError, PyVisit};

use crate::documents::document::Document;
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

/// A class derived from `list`, without its own `__new__` and attributes.
///
/// Invariant: for such a class `list.__new__` only returns zeroed memory, like `PyType_GenericAlloc`, which is an empty list.
pub struct ListClass(Py<PyType>);

impl ListClass {
    /// `class`, if the invariant holds for it.
    pub fn of(class: &Bound<'_, PyType>) -> PyResult<Option<ListClass>> {
        let list = class.py().get_type::<PyList>();
        let size = |class: &Bound<'_, PyType>| class.getattr("__basicsize__")?.extract::<usize>();
        let ordinary = class.get_type().is(class.py().get_type::<PyType>())
            && class.getattr("__bases__")?.eq((&list,))?
            && size(class)? == size(&list)?
            && class.getattr("__new__")?.is(&list.getattr("__new__")?);
        Ok(ordinary.then(|| ListClass(class.clone().unbind())))
    }

    /// An instance with these items, which the garbage collector does not track: they must not refer to it.
    #[inline]
    pub fn instance<'py>(&self, items: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: attached, as `items` proves; the class is a live heap type for which the invariant holds, checked when
        // `self` was made. The call returns a new reference, or null with an exception set.
        let made = unsafe {
            let object = ffi::PyType_GenericAlloc(self.0.as_ptr().cast(), 0);
            Bound::from_owned_ptr_or_err(items.py(), object)?
        };
        let list = made.cast::<PyList>()?;
        list.set_slice(0, 0, items)?;
        untrack_list(list);
        Ok(made)
    }
}

/// Sets an attribute as `object.__setattr__` does, also where the class has its own `__setattr__`.
pub fn set_slot(
    object: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: attached, as the `Bound`s prove; all three objects are alive. The call takes no reference, and returns -1 with
    // an exception set if it fails.
    let done =
        unsafe { ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value.as_ptr()) };
    match done {
        0 => Ok(()),
        _ => Err(PyErr::fetch(object.py())),
    }
}

/// A class derived from `ModelView`.
///
/// Invariant: the class derives from `ModelView`, so that an instance of it begins with one. If `bare`, an instance holds
/// nothing beside its `ModelView`: no `__dict__`, and no slots.
pub struct Subclass {
    class: Py<PyType>,
    bare: bool,
}

impl Subclass {
    /// `class`, if the invariant holds for it.
    pub fn of(class: &Bound<'_, PyType>) -> PyResult<Option<Subclass>> {
        if !class.is_subclass_of::<ModelView>()? {
            return Ok(None);
        }
        let base = class.py().get_type::<ModelView>();
        let size = |class: &Bound<'_, PyType>| class.getattr("__basicsize__")?.extract::<usize>();
        let bare = size(class)? == size(&base)?
            && class.getattr("__dictoffset__")?.eq(0)?
            && class.getattr("__itemsize__")?.eq(0)?;
        let class = class.clone().unbind();
        Ok(Some(Subclass { class, bare }))
    }

    /// The class.
    pub fn class(&self) -> &Py<PyType> {
        &self.class
    }

    /// A new instance around `view`, which holds no values yet; `__new__` and `__init__` are not called. The garbage
    /// collector does not track an instance of a bare class until [`track`] is called.
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
            let class = self.class.as_ptr().cast();
            let object = tp_new_impl(py, PyClassInitializer::from(view), class)?;
            if self.bare {
                // An object of a class with the collector's header. By `bare` it refers to its row only, which refers to no
                // instance, so no cycle is missed until it holds a value that may refer to it: `track` is called before.
                ffi::PyObject_GC_UnTrack(object.cast());
            }
            Ok(Bound::from_owned_ptr(py, object).cast_into_unchecked())
        }
    }
}

/// Has the garbage collector no longer track a list. If its items come to refer to it, it is never freed; nothing else follows
/// from that.
#[inline]
pub fn untrack_list(list: &Bound<'_, PyList>) {
    // SAFETY: attached, as the `Bound` proves; a live object of a class with the collector's header. Untracking is allowed at
    // any time, and the collector takes what an untracked object refers to as in use.
    unsafe { ffi::PyObject_GC_UnTrack(list.as_ptr().cast()) }
}

/// Has the garbage collector track an instance, which is about to hold a value that may refer to it. To be called under the lock of its values.
#[inline]
pub fn track(instance: &Bound<'_, ModelView>) {
    // SAFETY: attached, as the `Bound` proves; a live object of a class with the collector's header. The lock excludes another
    // thread between the two calls, and tracking runs no Python code.
    unsafe {
        if ffi::PyObject_GC_IsTracked(instance.as_ptr()) == 0 {
            ffi::PyObject_GC_Track(instance.as_ptr().cast());
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
