//! The Python side of a column. The Python sides of its embedded documents and lists are made on first access.

use std::sync::{Arc, OnceLock};

use data_bridge::chunk::{Cell, Column, DocumentCell, Documents, ListCell};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::documents::list;
use crate::documents::py_chunk::PyChunk;
use crate::values::codec::Codec;
use crate::values::value;

/// A column, with the Python sides of its embedded documents and lists.
pub struct PyColumn {
    column: Arc<Column>,
    /// Made on the first access to an embedded document.
    documents: OnceLock<Arc<PyChunk>>,
    /// Made on the first access to a list.
    items: OnceLock<Arc<Items>>,
}

/// The items of all lists of a column; a list is a range of them.
pub struct Items {
    pub codec: Codec,
    pub column: PyColumn,
}

impl PyColumn {
    pub fn new(column: Arc<Column>) -> Self {
        PyColumn {
            column,
            documents: OnceLock::new(),
            items: OnceLock::new(),
        }
    }

    pub fn column(&self) -> &Arc<Column> {
        &self.column
    }

    /// The value at `row`, documents and lists as views.
    #[inline]
    pub fn lazy<'py>(
        &self,
        py: Python<'py>,
        codec: &Codec,
        row: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.column.cell(row) {
            Cell::Document(document) => self.lazy_document(py, codec, document),
            Cell::List(list) => self.lazy_list(py, codec, list),
            cell => value::scalar(py, codec, &cell),
        }
    }

    #[inline(never)]
    fn lazy_document<'py>(
        &self,
        py: Python<'py>,
        codec: &Codec,
        document: DocumentCell<'_>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match document {
            DocumentCell::Row { documents, row } => {
                self.documents(py, codec, documents).view(py, row)
            }
            DocumentCell::Bson(bytes) => PyChunk::from_bson(py, bytes, codec)?.view(py, 0),
        }
    }

    #[inline(never)]
    fn lazy_list<'py>(
        &self,
        py: Python<'py>,
        codec: &Codec,
        cell: ListCell<'_>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match cell {
            ListCell::Range { items, start, end } => {
                let items = self.items(codec, items);
                list::view(py, items, start, end)
            }
            ListCell::Bson(_) => list::from_bson(py, codec, &Cell::List(cell)),
        }
    }

    /// The value at `row`, documents as dicts and lists as lists.
    #[inline]
    pub fn plain<'py>(
        &self,
        py: Python<'py>,
        codec: &Codec,
        row: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.column.cell(row) {
            Cell::Document(DocumentCell::Row { documents, row }) => {
                self.documents(py, codec, documents).embedded(py, row)
            }
            Cell::List(ListCell::Range { items, start, end }) => {
                let list = self.items(codec, items).plain(py, start, end)?;
                Ok(list.into_any())
            }
            cell => value::scalar(py, codec, &cell),
        }
    }

    /// The embedded documents of this column, whose contents are `documents`.
    #[inline]
    pub fn documents(
        &self,
        py: Python<'_>,
        codec: &Codec,
        documents: &Arc<Documents>,
    ) -> &Arc<PyChunk> {
        // Only strings are made inside: neither the garbage collector nor Python code runs, so the lock is not re-entered.
        self.documents
            .get_or_init(|| PyChunk::new(py, Arc::clone(documents), codec.clone()))
    }

    /// The items of the lists of this column, which are `items`.
    #[inline]
    pub fn items(&self, codec: &Codec, items: &Arc<Column>) -> &Arc<Items> {
        self.items.get_or_init(|| {
            Arc::new(Items {
                codec: codec.clone(),
                column: PyColumn::new(Arc::clone(items)),
            })
        })
    }
}

impl Items {
    /// The items from `start` to `end` as a list, all the way down.
    pub fn plain<'py>(
        &self,
        py: Python<'py>,
        start: usize,
        end: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for row in start..end {
            list.append(self.column.plain(py, &self.codec, row)?)?;
        }
        Ok(list)
    }
}
