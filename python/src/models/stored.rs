//! A stored value during its conversion, and the BSON types that conversions distinguish.

use std::sync::Arc;

use data_bridge::chunk::{Cell, DocumentCell, ListCell};
use pyo3::prelude::*;

use crate::documents::list::range_of_bson;
use crate::documents::py_chunk::PyChunk;
use crate::documents::py_column::{Items, PyColumn};
use crate::values::codec::Codec;

/// BSON types as bits; `converter.py` has the same numbers. A set of types is the sum of their bits.
pub const NULL: u32 = 1;
pub const STRING: u32 = 2;
pub const INT32: u32 = 4;
pub const INT64: u32 = 8;
pub const DOUBLE: u32 = 16;
pub const BOOLEAN: u32 = 32;
pub const OBJECT_ID: u32 = 64;
pub const DATE: u32 = 128;
pub const BINARY: u32 = 256;
pub const SUBTYPED_BINARY: u32 = 512;
pub const DECIMAL: u32 = 1024;
pub const TIMESTAMP: u32 = 2048;
pub const DOCUMENT: u32 = 4096;
pub const LIST: u32 = 8192;
/// All other types.
pub const OTHER: u32 = 16384;

/// The type of a value.
#[inline]
pub fn type_of(cell: &Cell<'_>) -> u32 {
    match cell {
        Cell::Null => NULL,
        Cell::String(_) => STRING,
        Cell::Int32(_) => INT32,
        Cell::Int64(_) => INT64,
        Cell::Double(_) => DOUBLE,
        Cell::Boolean(_) => BOOLEAN,
        Cell::ObjectId(_) => OBJECT_ID,
        Cell::DateTime(_) => DATE,
        Cell::Binary { subtype: 0, .. } => BINARY,
        Cell::Binary { .. } => SUBTYPED_BINARY,
        Cell::Decimal128(_) => DECIMAL,
        Cell::Timestamp { .. } => TIMESTAMP,
        Cell::Document(_) => DOCUMENT,
        Cell::List(_) => LIST,
        _ => OTHER,
    }
}

/// A value in a column.
#[derive(Clone, Copy)]
pub struct Stored<'a, 'py> {
    pub py: Python<'py>,
    pub codec: &'a Codec,
    pub column: &'a PyColumn,
    pub row: usize,
}

impl<'a, 'py> Stored<'a, 'py> {
    /// The value.
    #[inline]
    pub fn cell(&self) -> Cell<'a> {
        self.column.column().cell(self.row)
    }

    /// The value as PyMongo gives it, but documents and lists as views.
    pub fn lazy(&self) -> PyResult<Bound<'py, PyAny>> {
        self.column.lazy(self.py, self.codec, self.row)
    }

    /// The chunk and the row of the value; `None` if it is no document, or may be a DBRef.
    #[inline]
    pub fn document(&self) -> PyResult<Option<(Arc<PyChunk>, usize)>> {
        let (py_chunk, row) = match self.cell() {
            Cell::Document(DocumentCell::Row { documents, row }) => {
                let py_chunk = self.column.documents(self.py, self.codec, documents);
                (Arc::clone(py_chunk), row)
            }
            Cell::Document(DocumentCell::Bson(bytes)) => {
                (PyChunk::from_bson(self.py, bytes, self.codec)?, 0)
            }
            _ => return Ok(None),
        };
        Ok((!py_chunk.may_be_dbref(row)).then_some((py_chunk, row)))
    }

    /// The items of the value; `None` if it is no list.
    #[inline]
    pub fn list(&self) -> PyResult<Option<ListRange<'a>>> {
        match self.cell() {
            Cell::List(ListCell::Range { items, start, end }) => {
                let items = self.column.items(self.codec, items);
                Ok(Some(ListRange::OfColumn(items, start, end)))
            }
            cell @ Cell::List(ListCell::Bson(_)) => {
                let (items, start, end) = range_of_bson(self.py, self.codec, &cell)?;
                Ok(Some(ListRange::OfValue(items, start, end)))
            }
            _ => Ok(None),
        }
    }
}

/// The items of a list: a range of those of its column, or of the list alone.
pub enum ListRange<'a> {
    OfColumn(&'a Items, usize, usize),
    OfValue(Arc<Items>, usize, usize),
}

impl ListRange<'_> {
    /// The items that contain those of the list, its first item and the one after its last.
    #[inline]
    pub fn parts(&self) -> (&Items, usize, usize) {
        match self {
            ListRange::OfColumn(items, start, end) => (items, *start, *end),
            ListRange::OfValue(items, start, end) => (items, *start, *end),
        }
    }
}
