//! `ListView`: a list of a document as a read-only sequence.

use std::sync::Arc;

use data_bridge::chunk::{encode_wrapped, Cell, ListCell};
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice, PyTuple};

use crate::documents::document::Document;
use crate::documents::py_chunk::PyChunk;
use crate::documents::py_column::Items;
use crate::ffi;
use crate::values::codec::Codec;
use crate::values::repr;

/// A list of a document: a read-only sequence that builds an item on access.
#[pyclass(frozen, sequence, module = "data_bridge")]
pub struct ListView {
    items: Arc<Items>,
    start: u32,
    end: u32,
}

impl ListView {
    /// The items from `start` to `end`.
    #[inline]
    pub fn view(
        py: Python<'_>,
        items: &Arc<Items>,
        start: u32,
        end: u32,
    ) -> PyResult<Py<ListView>> {
        let items = Arc::clone(items);
        Ok(ffi::untracked(py, ListView { items, start, end })?.unbind())
    }

    fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    fn cell(&self) -> Cell<'_> {
        Cell::List(ListCell::Range {
            items: self.items.column.column(),
            start: self.start as usize,
            end: self.end as usize,
        })
    }

    /// `{"": list}` as a PyChunk of its own.
    fn wrap(py: Python<'_>, codec: &Codec, list: &Cell<'_>) -> PyResult<Arc<PyChunk>> {
        let mut bytes = Vec::new();
        encode_wrapped(list, &mut bytes).map_err(|error| crate::error::to_pyerr(py, error))?;
        PyChunk::from_bson(py, &bytes, codec)
    }

    /// A list that its column stores as BSON.
    pub fn from_bson<'py>(
        py: Python<'py>,
        codec: &Codec,
        list: &Cell<'_>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let value = ListView::wrap(py, codec, list)?.get(0, intern!(py, "").as_any())?;
        value.ok_or_else(|| PyValueError::new_err("a list was lost in its conversion to BSON"))
    }

    /// The item at `index`, which is below `len`.
    #[inline]
    fn item<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        let row = self.start as usize + index;
        self.items.column.lazy(py, &self.items.codec, row)
    }

    /// Items as a list; documents and lists in it are views.
    fn list<'py>(
        &self,
        py: Python<'py>,
        indexes: impl Iterator<Item = usize>,
    ) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for index in indexes {
            list.append(self.item(py, index)?)?;
        }
        Ok(list)
    }

    /// Returns whether `item` is `value` or equals it, the comparison that list methods use.
    fn is(item: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(item.is(value) || item.eq(value)?)
    }
}

#[pymethods]
impl ListView {
    fn __len__(&self) -> usize {
        self.len()
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = index.py();
        let len = self.len() as isize;
        if let Ok(slice) = index.cast::<PySlice>() {
            let slice = slice.indices(len)?;
            if slice.step == 1 {
                let start = self.start + slice.start as u32;
                let end = start + slice.slicelength as u32;
                return Ok(ListView::view(py, &self.items, start, end)?
                    .into_bound(py)
                    .into_any());
            }
            let indexes = (0..slice.slicelength as isize)
                .map(|step| (slice.start + step * slice.step) as usize);
            return Ok(self.list(py, indexes)?.into_any());
        }
        if !index.hasattr(intern!(py, "__index__"))? {
            return Err(PyTypeError::new_err(format!(
                "list indices must be integers or slices, not {}",
                index.get_type().name()?
            )));
        }
        let position: isize = match index.extract() {
            Ok(position) => position,
            // Larger than any list.
            Err(_) => return Err(PyIndexError::new_err("list index out of range")),
        };
        let position = if position < 0 {
            position + len
        } else {
            position
        };
        if position < 0 || position >= len {
            return Err(PyIndexError::new_err("list index out of range"));
        }
        self.item(py, position as usize)
    }

    fn __iter__(slf: &Bound<'_, Self>) -> ListIterator {
        ListIterator {
            list: slf.clone().unbind(),
            next: 0,
        }
    }

    fn __reversed__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let list = self.list(py, (0..self.len()).rev())?;
        Ok(list.try_iter()?.into_any())
    }

    fn __contains__(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        for index in 0..self.len() {
            if ListView::is(&self.item(value.py(), index)?, value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The position of the first item equal to `value`.
    #[pyo3(signature = (value, start=0, stop=None, /))]
    fn index(
        &self,
        value: &Bound<'_, PyAny>,
        start: isize,
        stop: Option<isize>,
    ) -> PyResult<usize> {
        let len = self.len() as isize;
        let bound = |at: isize| (if at < 0 { at.saturating_add(len) } else { at }).clamp(0, len);
        for index in bound(start)..bound(stop.unwrap_or(len)) {
            if ListView::is(&self.item(value.py(), index as usize)?, value)? {
                return Ok(index as usize);
            }
        }
        Err(PyValueError::new_err(format!(
            "{} is not in list",
            value.repr()?
        )))
    }

    /// The number of items equal to `value`.
    fn count(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        let mut found = 0;
        for index in 0..self.len() {
            found += usize::from(ListView::is(&self.item(value.py(), index)?, value)?);
        }
        Ok(found)
    }

    /// The items as a list, with dicts and lists inside, as PyMongo returns it.
    fn to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.items.plain(py, self.start as usize, self.end as usize)
    }

    /// The list itself: it is immutable.
    fn copy(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    /// Pickles the list as an item of a Document, which pickles as BSON.
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py_chunk = ListView::wrap(py, &self.items.codec, &self.cell())?;
        let getitem = py.import("operator")?.getattr("getitem")?;
        let arguments = (Document::view(py, &py_chunk, 0)?, "").into_pyobject(py)?;
        Ok((getitem, arguments))
    }

    fn __richcmp__<'py>(
        &self,
        other: &Bound<'py, PyAny>,
        op: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let wanted = match op {
            CompareOp::Eq => true,
            CompareOp::Ne => false,
            _ => return Ok(py.NotImplemented().into_bound(py)),
        };
        let equal = if let Ok(other) = other.cast::<ListView>() {
            let other = other.get();
            let same = Arc::ptr_eq(&self.items, &other.items)
                && (self.start, self.end) == (other.start, other.end);
            same || self.len() == other.len() && self.to_list(py)?.eq(other.to_list(py)?)?
        } else if let Ok(other) = other.cast::<PyList>() {
            self.len() == other.len() && self.to_list(py)?.eq(other)?
        } else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        Ok((equal == wanted).into_pyobject(py)?.to_owned().into_any())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let shown = repr::cell(py, &self.items.codec, &self.cell())?;
        Ok(format!("ListView({shown})"))
    }
}

/// An iterator over a ListView.
#[pyclass(module = "data_bridge._core")]
pub struct ListIterator {
    list: Py<ListView>,
    next: usize,
}

#[pymethods]
impl ListIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let list = self.list.get();
        if self.next >= list.len() {
            return Ok(None);
        }
        let item = list.item(py, self.next)?;
        self.next += 1;
        Ok(Some(item))
    }

    fn __length_hint__(&self) -> usize {
        self.list.get().len() - self.next
    }
}
