//! The Python side of one Chunk, or of the documents at one path in it; its Documents share it.
//!
//! Work per Chunk is done here once, and only for the parts that are read: interned keys, a template dict per shape,
//! columns of embedded documents.

use std::sync::Arc;

use data_bridge::chunk::{Cell, DocumentCell, Documents};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

use crate::documents::document::Document;
use crate::documents::py_column::PyColumn;
use crate::values::codec::Codec;
use crate::values::value;

/// Number of fields whose keys are compared by pointer before the lookup in the dict of positions.
const COMPARED: usize = 16;

/// Maximum number of fields whose keys are interned. Documents with more are maps, and some Python versions never free an
/// interned string.
const INTERNED: usize = 256;

/// Documents as columns, with the Python objects that reads of them share.
pub struct PyChunk {
    documents: Arc<Documents>,
    codec: Codec,
    fields: Vec<PyField>,
    /// True if every row has every field.
    uniform: bool,
    /// True if some row may be a DBRef.
    dbrefs: bool,
    /// Key -> position in `fields`. A dict, so that lookups compare keys as a dict does.
    positions: PyOnceLock<Py<PyDict>>,
    /// For each shape, a dict of its keys with None. Empty if there are nearly as many shapes as rows.
    templates: Vec<PyOnceLock<Py<PyDict>>>,
}

struct PyField {
    key: Py<PyString>,
    column: PyColumn,
}

impl PyChunk {
    /// The chunk of `documents`, whose values are converted with `codec`.
    pub fn new(py: Python<'_>, documents: Arc<Documents>, codec: Codec) -> Arc<PyChunk> {
        let count = documents.fields().len();
        let fields: Vec<PyField> = documents
            .fields()
            .iter()
            .map(|field| PyField {
                key: if count <= INTERNED {
                    PyString::intern(py, &field.name).unbind()
                } else {
                    PyString::new(py, &field.name).unbind()
                },
                column: PyColumn::new(Arc::clone(&field.column)),
            })
            .collect();
        let shapes = documents.shapes().count();
        let reused = shapes == 1 || shapes * 4 <= documents.len();
        Arc::new(PyChunk {
            uniform: shapes == 1 && documents.shape(0).len() == count,
            dbrefs: documents.position("$ref").is_some() && documents.position("$id").is_some(),
            templates: (0..if reused { shapes } else { 0 })
                .map(|_| PyOnceLock::new())
                .collect(),
            positions: PyOnceLock::new(),
            documents,
            codec,
            fields,
        })
    }

    /// The first document of `bytes`, in a PyChunk of its own.
    pub fn from_bson(py: Python<'_>, bytes: &[u8], codec: &Codec) -> PyResult<Arc<PyChunk>> {
        let chunk = data_bridge::decode::decode(bytes, &[0], &codec.decode_options())
            .map_err(|error| crate::error::to_pyerr(py, error))?;
        Ok(PyChunk::new(py, chunk.documents, codec.clone()))
    }

    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.documents.len()
    }

    /// The number of keys of the document at `row`.
    pub fn len(&self, row: usize) -> usize {
        self.documents.shape(row).len()
    }

    /// The document at `row` as a cell.
    pub fn cell(&self, row: usize) -> DocumentCell<'_> {
        DocumentCell::Row {
            documents: &self.documents,
            row,
        }
    }

    /// The value under `key`, documents and lists as views; `None` if the document does not have the key.
    #[inline]
    pub fn get<'py>(
        &self,
        row: usize,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(field) = self.find(key)? else {
            return Ok(None);
        };
        let py = key.py();
        let value = self.fields[field].column.lazy(py, &self.codec, row)?;
        // Only null may stand for a missing value, so other values need no check of the shape.
        if value.is_none() && !self.holds(row, field) {
            return Ok(None);
        }
        Ok(Some(value))
    }

    /// The column and the cell under `key`; `None` if the document at `row` does not have the key.
    #[inline]
    pub fn cell_at(
        &self,
        row: usize,
        key: &Bound<'_, PyAny>,
    ) -> PyResult<Option<(&PyColumn, Cell<'_>)>> {
        let Some(field) = self.find(key)? else {
            return Ok(None);
        };
        let column = &self.fields[field].column;
        let cell = column.column().cell(row);
        let there = !matches!(cell, Cell::Null) || self.holds(row, field);
        Ok(there.then_some((column, cell)))
    }

    /// The keys of the document at `row` in their order, with their columns.
    pub fn entries(&self, row: usize) -> impl Iterator<Item = (&Py<PyString>, &PyColumn)> {
        self.documents.shape(row).iter().map(|&field| {
            let field = &self.fields[field as usize];
            (&field.key, &field.column)
        })
    }

    /// Returns whether the embedded document at `row` may be a DBRef; [`PyChunk::embedded`] decides.
    #[inline]
    pub fn may_be_dbref(&self, row: usize) -> bool {
        self.dbrefs && value::may_be_dbref(&self.cell(row))
    }

    /// Returns whether the document at `row` has `key`.
    pub fn contains(&self, row: usize, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.find(key)?.is_some_and(|field| self.holds(row, field)))
    }

    #[inline]
    fn holds(&self, row: usize, field: usize) -> bool {
        self.uniform || self.documents.has(row, field)
    }

    #[inline]
    fn find(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let found = self
            .fields
            .iter()
            .take(COMPARED)
            .position(|field| field.key.as_ptr() == key.as_ptr());
        match found {
            Some(field) => Ok(Some(field)),
            None => self.look_up(key),
        }
    }

    #[inline(never)]
    fn look_up(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let py = key.py();
        let positions = match self.positions.get(py) {
            Some(positions) => positions,
            None => {
                let positions = PyDict::new(py);
                for (position, field) in self.fields.iter().enumerate() {
                    positions.set_item(&field.key, position)?;
                }
                // Making a dict may run the garbage collector, and so Python code that calls this function: no lock is held.
                self.positions.get_or_init(py, || positions.unbind())
            }
        };
        let found = positions.bind(py).get_item(key)?;
        found.map(|position| position.extract()).transpose()
    }

    /// The keys of the document at `row`, in a shared dict of unspecified values; the caller must not change it.
    pub fn keys<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyDict>> {
        match self.template(py, row)? {
            Some(template) => Ok(template.clone()),
            None => self.new_keys(py, row),
        }
    }

    #[inline]
    fn template<'a, 'py>(
        &'a self,
        py: Python<'py>,
        row: usize,
    ) -> PyResult<Option<&'a Bound<'py, PyDict>>> {
        let Some(template) = self.templates.get(self.documents.shapes().id(row)) else {
            return Ok(None);
        };
        let template = match template.get(py) {
            Some(template) => template,
            None => {
                let keys = self.new_keys(py, row)?;
                template.get_or_init(py, || keys.unbind())
            }
        };
        Ok(Some(template.bind(py)))
    }

    fn new_keys<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyDict>> {
        let keys = PyDict::new(py);
        for &field in self.documents.shape(row) {
            keys.set_item(&self.fields[field as usize].key, py.None())?;
        }
        Ok(keys)
    }

    /// The document at `row` as a dict whose documents and lists are views.
    pub fn lazy_dict<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyDict>> {
        self.dict_of(py, row, |column| column.lazy(py, &self.codec, row))
    }

    /// The document at `row` as a dict, all the way down.
    pub fn dict<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyDict>> {
        self.dict_of(py, row, |column| column.plain(py, &self.codec, row))
    }

    #[inline]
    fn dict_of<'py>(
        &self,
        py: Python<'py>,
        row: usize,
        value: impl Fn(&PyColumn) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = match self.template(py, row)? {
            Some(template) => template.copy()?,
            None => PyDict::new(py),
        };
        for &field in self.documents.shape(row) {
            let field = &self.fields[field as usize];
            dict.set_item(field.key.bind(py), value(&field.column)?)?;
        }
        Ok(dict)
    }

    /// The embedded document at `row`: a dict, or the DBRef that it represents.
    pub fn embedded<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        let dict = self.dict(py, row)?;
        if self.dbrefs {
            return value::dbref_hook(self.codec.types, dict);
        }
        Ok(dict.into_any())
    }

    /// The embedded document at `row`: a view, or the DBRef that it represents.
    pub fn view<'py>(self: &Arc<Self>, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        if self.may_be_dbref(row) {
            let value = self.embedded(py, row)?;
            if !value.is_instance_of::<PyDict>() {
                return Ok(value);
            }
        }
        Ok(Document::view(py, self, row as u32)?
            .into_bound(py)
            .into_any())
    }
}
