//! `Document`: a row of a Chunk as a read-only mapping.

use std::sync::Arc;

use data_bridge::chunk::{encode_document, write_json, Cell, JsonMode};
use data_bridge::raw::splice_elements;
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyMapping, PyTuple, PyType};

use crate::documents::list;
use crate::documents::py_chunk::PyChunk;
use crate::error::to_pyerr;
use crate::ffi;
use crate::values::codec::Codec;
use crate::values::repr;

/// One document of a result: a read-only mapping that builds a value on access.
///
/// Embedded documents and lists are views too. A Document keeps in memory the rows that it came with; `detach()` returns
/// one that does not.
#[pyclass(frozen, subclass, mapping, module = "data_bridge")]
pub struct Document {
    py_chunk: Arc<PyChunk>,
    row: u32,
}

impl Document {
    /// The document at `row`.
    #[inline]
    pub fn view(py: Python<'_>, py_chunk: &Arc<PyChunk>, row: u32) -> PyResult<Py<Document>> {
        let py_chunk = Arc::clone(py_chunk);
        Ok(ffi::untracked(py, Document { py_chunk, row })?.unbind())
    }

    /// The chunk and the row of this document.
    pub fn parts(&self) -> (&Arc<PyChunk>, usize) {
        (&self.py_chunk, self.row())
    }

    /// Returns whether the document at `row` of `py_chunk` is this one, or has the same BSON.
    pub fn is_stored_as(
        &self,
        py: Python<'_>,
        py_chunk: &Arc<PyChunk>,
        row: usize,
    ) -> PyResult<bool> {
        if Arc::ptr_eq(&self.py_chunk, py_chunk) && self.row() == row {
            return Ok(true);
        }
        if self.py_chunk.len(self.row()) != py_chunk.len(row) {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        encode_document(&py_chunk.cell(row), &mut bytes).map_err(|error| to_pyerr(py, error))?;
        Ok(bytes == self.bson(py)?)
    }

    fn row(&self) -> usize {
        self.row as usize
    }

    fn bson(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        let mut bytes = Vec::new();
        encode_document(&self.py_chunk.cell(self.row()), &mut bytes)
            .map_err(|error| to_pyerr(py, error))?;
        Ok(bytes)
    }

    fn detached(&self, py: Python<'_>) -> PyResult<Document> {
        let py_chunk = PyChunk::from_bson(py, &self.bson(py)?, self.py_chunk.codec())?;
        Ok(Document { py_chunk, row: 0 })
    }

    fn is_same(&self, other: &Document) -> bool {
        Arc::ptr_eq(&self.py_chunk, &other.py_chunk) && self.row == other.row
    }

    /// `other` as a dict, or `None` if it has another number of keys.
    fn comparable<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let py = other.py();
        let dict = match other.cast::<PyDict>() {
            Ok(dict) => dict.clone(),
            Err(_) => py.get_type::<PyDict>().call1((other,))?.cast_into()?,
        };
        Ok((dict.len() == self.__len__()).then_some(dict))
    }
}

#[pymethods]
impl Document {
    /// A view of the same document, for subclasses; or a document made from a mapping.
    #[new]
    #[pyo3(signature = (source, /))]
    fn new(source: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(document) = source.cast::<Document>() {
            let document = document.get();
            return Ok(Document {
                py_chunk: Arc::clone(&document.py_chunk),
                row: document.row,
            });
        }
        let py = source.py();
        let bytes = py
            .import(intern!(py, "bson"))?
            .call_method1(intern!(py, "encode"), (source,))?;
        let bytes = bytes.cast::<PyBytes>()?.as_bytes();
        let py_chunk = PyChunk::from_bson(py, bytes, &Codec::exact(py)?)?;
        Ok(Document { py_chunk, row: 0 })
    }

    #[inline]
    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match self.py_chunk.get(self.row(), key)? {
            Some(value) => Ok(value),
            None => Err(PyKeyError::new_err(key.clone().unbind())),
        }
    }

    /// The value under `key`, or `default`.
    #[pyo3(signature = (key, default=None, /))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.py_chunk.get(self.row(), key)?.or(default))
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.py_chunk.contains(self.row(), key)
    }

    fn __len__(&self) -> usize {
        self.py_chunk.len(self.row())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.py_chunk.keys(py, self.row())?.try_iter()
    }

    fn __reversed__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.py_chunk
            .keys(py, self.row())?
            .call_method0(intern!(py, "__reversed__"))
    }

    /// The keys, as of a dict.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.py_chunk
            .keys(py, self.row())?
            .call_method0(intern!(py, "keys"))
    }

    /// The values, as of a dict. This call builds them; embedded documents and lists are views.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.py_chunk
            .lazy_dict(py, self.row())?
            .call_method0(intern!(py, "values"))
    }

    /// Keys and values, as of a dict. This call builds them; embedded documents and lists are views.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.py_chunk
            .lazy_dict(py, self.row())?
            .call_method0(intern!(py, "items"))
    }

    /// The document as a dict, with dicts and lists inside, as PyMongo returns it.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.py_chunk.dict(py, self.row())
    }

    /// MongoDB Extended JSON v2, relaxed unless `canonical`, of the stored values: codec options do not apply.
    #[pyo3(signature = (*, canonical=false))]
    fn to_json(&self, canonical: bool) -> String {
        let mode = match canonical {
            true => JsonMode::Canonical,
            false => JsonMode::Relaxed,
        };
        let mut text = String::new();
        let document = Cell::Document(self.py_chunk.cell(self.row()));
        write_json(&document, mode, &mut text);
        text
    }

    /// The document as BSON. Raises ValueError if it would take 2 GiB or more: list keys are written out.
    fn to_bson<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.bson(py)?))
    }

    /// The BSON document `written` with the elements under `keys` taken from this document, also of types that have no
    /// Python value.
    fn _kept_in<'py>(
        &self,
        py: Python<'py>,
        written: &[u8],
        keys: Vec<PyBackedStr>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
        let spliced = splice_elements(&self.bson(py)?, written, &keys)
            .map_err(|malformed| PyValueError::new_err(malformed.reason))?;
        Ok(PyBytes::new(py, &spliced))
    }

    /// A copy that keeps only this document in memory.
    fn detach(&self, py: Python<'_>) -> PyResult<Document> {
        self.detached(py)
    }

    /// The document itself: it is immutable.
    fn copy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, class) = (slf.py(), slf.get_type());
        if class.is(py.get_type::<Document>()) {
            return Ok(slf.clone().into_any());
        }
        // A subclass may have attributes, which the copy must not share.
        class.call1((slf,))
    }

    fn __copy__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Document::copy(slf)
    }

    fn __deepcopy__<'py>(
        slf: &Bound<'py, Self>,
        _memo: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Document::copy(slf)
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, class) = (slf.py(), slf.get_type());
        let base = py.get_type::<Document>();
        let this = slf.get();
        if class.is(&base) {
            let maker = slf
                .py()
                .import(intern!(py, "data_bridge._core"))?
                .getattr(intern!(py, "_document_from_bson"))?;
            let codec = this.py_chunk.codec().clone();
            return Ok((maker, (this.to_bson(py)?, codec).into_pyobject(py)?));
        }
        let plain = Document::view(py, &this.py_chunk, this.row)?;
        Ok((class.into_any(), (plain,).into_pyobject(py)?))
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
        let equal = if let Ok(other) = other.cast::<Document>() {
            let other = other.get();
            self.is_same(other)
                || self.__len__() == other.__len__() && self.to_dict(py)?.eq(other.to_dict(py)?)?
        } else if other.cast::<PyMapping>().is_ok() {
            match self.comparable(other)? {
                Some(other) => self.to_dict(py)?.eq(other)?,
                None => false,
            }
        } else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        Ok((equal == wanted).into_pyobject(py)?.to_owned().into_any())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let name = slf.get_type().name()?;
        let shown = repr::document(
            slf.py(),
            this.py_chunk.codec(),
            &this.py_chunk.cell(this.row()),
        )?;
        Ok(format!("{name}({shown})"))
    }

    /// `dict`, so that `isinstance(document, dict)` holds for code that takes any JSON: pandas, FastAPI's encoder, the `json`
    /// module. The type is still `Document`, and an instance of a subclass has its own class.
    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyType> {
        let (py, class) = (slf.py(), slf.get_type());
        match class.is(py.get_type::<Document>()) {
            true => py.get_type::<PyDict>(),
            false => class,
        }
    }

    /// The marker by which PyMongo's encoder accepts `raw` as encoded BSON.
    #[classattr]
    fn _type_marker() -> i32 {
        101
    }

    /// `to_bson()`, under the name that PyMongo's encoder reads.
    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.to_bson(py)
    }
}

/// A Document that shares no chunk with others. Called by pickle and tests.
#[pyfunction]
fn _document_from_bson(py: Python<'_>, data: &[u8], codec: Codec) -> PyResult<Document> {
    let py_chunk = PyChunk::from_bson(py, data, &codec)?;
    Ok(Document { py_chunk, row: 0 })
}

/// Adds Codec and the views, and registers Document with `collections.abc` for `isinstance` and `match`.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<Codec>()?;
    module.add_class::<Document>()?;
    module.add("ListView", &list::class(py)?.0)?;
    module.add_function(wrap_pyfunction!(_document_from_bson, module)?)?;
    PyMapping::register::<Document>(py)
}
