//! Values that an instance holds beside its row, by the name of their field.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Values by the name of their field, in the order in which they were added.
///
/// Names are interned, so a comparison of pointers suffices, and an instance holds few values: the first `N` take no
/// allocation.
pub struct FieldValues<const N: usize> {
    first: [Option<FieldValue>; N],
    /// In use only if `first` is full.
    others: Vec<FieldValue>,
}

type FieldValue = (Py<PyString>, Py<PyAny>);

/// The values of an instance.
#[derive(Default)]
pub struct HeldValues {
    /// Values made from stored ones and kept because they may be changed in place: lists, dicts, embedded models.
    pub kept: FieldValues<2>,
    /// Values that were assigned.
    pub assigned: FieldValues<0>,
}

impl HeldValues {
    /// The assigned value of a field, or the kept one.
    #[inline]
    pub fn get<'py>(&self, name: &Bound<'py, PyString>) -> Option<Bound<'py, PyAny>> {
        self.assigned.get(name).or_else(|| self.kept.get(name))
    }

    /// References to the same values.
    pub fn copy(&self, py: Python<'_>) -> HeldValues {
        HeldValues {
            kept: self.kept.copy(py),
            assigned: self.assigned.copy(py),
        }
    }
}

/// `name` as names of fields are: interned.
pub fn interned<'py>(name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
    Ok(PyString::intern(name.py(), name.to_str()?))
}

impl<const N: usize> Default for FieldValues<N> {
    fn default() -> Self {
        FieldValues {
            first: [const { None }; N],
            others: Vec::new(),
        }
    }
}

impl<const N: usize> FieldValues<N> {
    fn entries(&self) -> impl Iterator<Item = &FieldValue> {
        self.first.iter().flatten().chain(&self.others)
    }

    fn entry(&mut self, name: &Bound<'_, PyString>) -> Option<&mut FieldValue> {
        let mut entries = self.first.iter_mut().flatten().chain(&mut self.others);
        entries.find(|(each, _)| each.as_ptr() == name.as_ptr())
    }

    /// The value of a field.
    #[inline]
    pub fn get<'py>(&self, name: &Bound<'py, PyString>) -> Option<Bound<'py, PyAny>> {
        let mut entries = self.entries();
        let (_, value) = entries.find(|(each, _)| each.as_ptr() == name.as_ptr())?;
        Some(value.bind(name.py()).clone())
    }

    /// Adds or replaces the value of a field. Returns the replaced one, to be dropped after the lock is released.
    pub fn set(
        &mut self,
        name: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
    ) -> Option<Py<PyAny>> {
        let value = value.clone().unbind();
        if let Some((_, there)) = self.entry(name) {
            return Some(std::mem::replace(there, value));
        }
        self.push((name.clone().unbind(), value));
        None
    }

    fn push(&mut self, value: FieldValue) {
        match self.first.iter_mut().find(|place| place.is_none()) {
            Some(place) if self.others.is_empty() => *place = Some(value),
            _ => self.others.push(value),
        }
    }

    /// Removes the value of a field and returns it.
    pub fn remove(&mut self, name: &Bound<'_, PyString>) -> Option<Py<PyAny>> {
        let mut removed = None;
        let all = std::mem::take(self);
        for (each, value) in all.first.into_iter().flatten().chain(all.others) {
            if each.as_ptr() == name.as_ptr() {
                removed = Some(value);
            } else {
                self.push((each, value));
            }
        }
        removed
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.entries().next().is_none()
    }

    /// References to the same values.
    pub fn copy(&self, py: Python<'_>) -> Self {
        let mut copy = Self::default();
        for (name, value) in self.entries() {
            copy.push((name.clone_ref(py), value.clone_ref(py)));
        }
        copy
    }

    /// The values as a dict. Not to be called under a lock, as making a dict may run the garbage collector.
    pub fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in self.entries() {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    /// The names and values.
    pub fn iter<'a, 'py: 'a>(
        &'a self,
        py: Python<'py>,
    ) -> impl Iterator<Item = (&'a Bound<'py, PyString>, &'a Bound<'py, PyAny>)> {
        self.entries()
            .map(move |(name, value)| (name.bind(py), value.bind(py)))
    }

    /// Passes the values to the garbage collector.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.entries().try_for_each(|(_, value)| visit.call(value))
    }
}
