//! A column made ready for Python: its values as objects, its documents and lists as nodes made when they are touched.

use std::sync::{Arc, OnceLock};

use data_bridge::chunk::{Cell, Column, DocumentCell, Documents, ListCell};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::documents::list::ListView;
use crate::documents::py_chunk::Node;
use crate::values::codec::Codec;
use crate::values::value;

/// A column, with what Python needs to read it.
pub struct ColumnNode {
    column: Arc<Column>,
    /// The documents its cells are.
    documents: OnceLock<Arc<Node>>,
    /// The items of the lists its cells are.
    items: OnceLock<Arc<Items>>,
}

/// The items of lists: what a `ListView` shows a range of.
pub struct Items {
    pub codec: Codec,
    pub column: ColumnNode,
}

impl ColumnNode {
    pub fn new(column: Arc<Column>) -> Self {
        ColumnNode {
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
            DocumentCell::Bson(bytes) => Node::from_bson(py, bytes, codec)?.view(py, 0),
        }
    }

    #[inline(never)]
    fn lazy_list<'py>(
        &self,
        py: Python<'py>,
        codec: &Codec,
        list: ListCell<'_>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match list {
            ListCell::Range { items, start, end } => {
                let items = self.items(codec, items);
                let view = ListView::view(py, items, start as u32, end as u32)?;
                Ok(view.into_bound(py).into_any())
            }
            ListCell::Bson(_) => ListView::from_bson(py, codec, &Cell::List(list)),
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

    #[inline]
    fn documents(&self, py: Python<'_>, codec: &Codec, documents: &Arc<Documents>) -> &Arc<Node> {
        // Only strings are made inside: no collector, no Python code, so no way to come back to the lock.
        self.documents
            .get_or_init(|| Node::new(py, Arc::clone(documents), codec.clone()))
    }

    #[inline]
    fn items(&self, codec: &Codec, items: &Arc<Column>) -> &Arc<Items> {
        self.items.get_or_init(|| {
            Arc::new(Items {
                codec: codec.clone(),
                column: ColumnNode::new(Arc::clone(items)),
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
