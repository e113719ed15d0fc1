//! Dicts to BSON, without a Python object for each: the same bytes as `bson.encode` gives.
//!
//! It encodes exact instances of the types that documents mostly have. Everything else, and every value that BSON does not
//! hold, is left to the package, which encodes the whole document with `bson.encode` and names the fault.

use data_bridge::source::push_decimal;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDateAccess, PyDateTime, PyDict, PyFloat, PyInt, PyList, PyString,
    PyTimeAccess, PyTuple, PyTzInfo, PyTzInfoAccess,
};

use crate::values::bson_types::BsonTypes;

/// Bytes after which a document is left to the package: no server stores one, and structures that share parts may have no end.
const MAX_ENCODED_BYTES: usize = 17 << 20;

/// The reason for which a document was not encoded.
pub(crate) enum Unencoded {
    /// It holds something that only the package encodes or refuses.
    Other,
    /// An exception that is no fault of the document: an interrupt.
    Raised(PyErr),
}

impl From<PyErr> for Unencoded {
    fn from(_: PyErr) -> Self {
        // A method of a value raised: the package calls it again, and reports the exception.
        Unencoded::Other
    }
}

type Encoded = Result<(), Unencoded>;

/// Encodes dicts under PyMongo's `CodecOptions`.
pub(crate) struct DictEncoder {
    types: &'static BsonTypes,
    utc: Py<PyTzInfo>,
    options: Py<PyAny>,
}

impl DictEncoder {
    /// An encoder with these options, a `CodecOptions`.
    pub(crate) fn new(options: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = options.py();
        Ok(DictEncoder {
            types: BsonTypes::get(py)?,
            utc: PyTzInfo::utc(py)?.to_owned().unbind(),
            options: options.clone().unbind(),
        })
    }

    /// Appends a document of at most `levels` levels. At the top level, an `_id` is the first element.
    pub(crate) fn document(
        &self,
        out: &mut Vec<u8>,
        dict: &Bound<'_, PyDict>,
        levels: usize,
    ) -> Encoded {
        let py = dict.py();
        let id_key = intern!(py, "_id");
        let id = dict.get_item(id_key)?;
        let begun = out.len();
        begin_document(out);
        if let Some(id) = &id {
            self.element(out, begun, b"_id", id, levels)?;
        }
        self.elements(out, begun, dict, id.is_some(), levels)?;
        end_document(out, begun);
        Ok(())
    }

    /// As [`document`](Self::document), for a dict whose `_id` is not in it: 12 bytes of an ObjectId.
    pub(crate) fn document_with_id(
        &self,
        out: &mut Vec<u8>,
        dict: &Bound<'_, PyDict>,
        id: &[u8; 12],
        levels: usize,
    ) -> Encoded {
        let begun = out.len();
        begin_document(out);
        out.extend_from_slice(b"\x07_id\0");
        out.extend_from_slice(id);
        self.elements(out, begun, dict, true, levels)?;
        end_document(out, begun);
        Ok(())
    }

    fn elements(
        &self,
        out: &mut Vec<u8>,
        begun: usize,
        dict: &Bound<'_, PyDict>,
        without_id: bool,
        levels: usize,
    ) -> Encoded {
        let length = dict.len();
        let mut items = dict.iter();
        // The iterator panics if the dict has changed, which another thread may do while a method of a value runs.
        while dict.len() == length {
            let Some((key, value)) = items.next() else {
                return Ok(());
            };
            let Ok(key) = key.cast_exact::<PyString>() else {
                return Err(Unencoded::Other);
            };
            let key = key.to_str()?.as_bytes();
            if key.contains(&0) {
                return Err(Unencoded::Other);
            }
            if without_id && key == b"_id" {
                continue;
            }
            self.element(out, begun, key, &value, levels)?;
        }
        Err(Unencoded::Other)
    }

    fn list<'py>(
        &self,
        out: &mut Vec<u8>,
        begun: usize,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        levels: usize,
    ) -> Encoded {
        let at = out.len();
        begin_document(out);
        for (position, item) in items.enumerate() {
            let tag = out.len();
            out.push(0);
            push_decimal(out, position);
            out.push(0);
            self.value(out, begun, tag, &item, levels)?;
        }
        end_document(out, at);
        Ok(())
    }

    fn element(
        &self,
        out: &mut Vec<u8>,
        begun: usize,
        key: &[u8],
        value: &Bound<'_, PyAny>,
        levels: usize,
    ) -> Encoded {
        let tag = out.len();
        out.push(0);
        out.extend_from_slice(key);
        out.push(0);
        self.value(out, begun, tag, value, levels)
    }

    /// Appends a value, and writes its type at `tag`. `levels` is what the document around it may have.
    fn value(
        &self,
        out: &mut Vec<u8>,
        begun: usize,
        tag: usize,
        value: &Bound<'_, PyAny>,
        levels: usize,
    ) -> Encoded {
        let kind = if let Ok(text) = value.cast_exact::<PyString>() {
            let text = text.to_str()?;
            // A longer document is refused below.
            out.extend_from_slice(&(text.len() as u32 + 1).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
            out.push(0);
            0x02
        } else if let Ok(number) = value.cast_exact::<PyInt>() {
            let number: i64 = number.extract()?;
            match i32::try_from(number) {
                Ok(small) => {
                    out.extend_from_slice(&small.to_le_bytes());
                    0x10
                }
                Err(_) => {
                    out.extend_from_slice(&number.to_le_bytes());
                    0x12
                }
            }
        } else if let Ok(number) = value.cast_exact::<PyFloat>() {
            out.extend_from_slice(&number.value().to_le_bytes());
            0x01
        } else if let Ok(flag) = value.cast_exact::<PyBool>() {
            out.push(flag.is_true().into());
            0x08
        } else if value.is_none() {
            0x0A
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            let levels = below(out, begun, levels)?;
            let at = out.len();
            begin_document(out);
            self.elements(out, begun, dict, false, levels)?;
            end_document(out, at);
            0x03
        } else if let Ok(items) = value.cast_exact::<PyList>() {
            let levels = below(out, begun, levels)?;
            self.list(out, begun, items.iter(), levels)?;
            0x04
        } else if let Ok(at) = value.cast_exact::<PyDateTime>() {
            out.extend_from_slice(&self.millis(at)?.to_le_bytes());
            0x09
        } else if self.types.is_object_id(value) {
            let id = value.getattr(intern!(value.py(), "binary"))?;
            match id.cast_exact::<PyBytes>().map(|id| id.as_bytes()) {
                Ok(id) if id.len() == 12 => out.extend_from_slice(id),
                _ => return Err(Unencoded::Other),
            }
            0x07
        } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            let bytes = bytes.as_bytes();
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.push(0);
            out.extend_from_slice(bytes);
            0x05
        } else if self.types.is_int64(value) {
            out.extend_from_slice(&value.extract::<i64>()?.to_le_bytes());
            0x12
        } else if let Ok(items) = value.cast_exact::<PyTuple>() {
            let levels = below(out, begun, levels)?;
            self.list(out, begun, items.iter(), levels)?;
            0x04
        } else if self.types.is_other_scalar(value) {
            self.scalar(out, value)?
        } else {
            return Err(Unencoded::Other);
        };
        if out.len() - begun > MAX_ENCODED_BYTES {
            return Err(Unencoded::Other);
        }
        out[tag] = kind;
        Ok(())
    }

    /// Appends a value that `bson.encode` encodes by itself, and returns its type.
    fn scalar(&self, out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Result<u8, Unencoded> {
        let py = value.py();
        let document = PyDict::new(py);
        document.set_item("", value)?;
        let encode = py
            .import(intern!(py, "bson"))?
            .getattr(intern!(py, "encode"))?;
        let encoded = encode
            .call1((document, false, &self.options))
            .map_err(|error| match error.is_instance_of::<PyException>(py) {
                true => Unencoded::Other,
                false => Unencoded::Raised(error),
            })?;
        let encoded = encoded.cast::<PyBytes>().map_err(|_| Unencoded::Other)?;
        // Length, type, an empty key, the value, the final NUL.
        match encoded.as_bytes() {
            [_, _, _, _, kind, 0, value @ .., 0] => {
                out.extend_from_slice(value);
                Ok(*kind)
            }
            _ => Err(Unencoded::Other),
        }
    }

    /// Milliseconds since 1970. A datetime without a time zone is UTC.
    fn millis(&self, at: &Bound<'_, PyDateTime>) -> Result<i64, Unencoded> {
        if let Some(zone) = at.get_tzinfo() {
            if !zone.is(&self.utc) && !zone.is(&self.types.utc) {
                return self.zoned_millis(at);
            }
        }
        let days = days_since_1970(at.get_year(), at.get_month(), at.get_day());
        let hours = days * 24 + i64::from(at.get_hour());
        let minutes = hours * 60 + i64::from(at.get_minute());
        let seconds = minutes * 60 + i64::from(at.get_second());
        Ok(seconds * 1000 + i64::from(at.get_microsecond() / 1000))
    }

    fn zoned_millis(&self, at: &Bound<'_, PyDateTime>) -> Result<i64, Unencoded> {
        let mut encoded = Vec::new();
        self.scalar(&mut encoded, at)?;
        let millis = encoded.try_into().map_err(|_| Unencoded::Other)?;
        Ok(i64::from_le_bytes(millis))
    }
}

/// The levels of a value below one that may have `levels`.
fn below(out: &[u8], begun: usize, levels: usize) -> Result<usize, Unencoded> {
    match levels {
        0 | 1 => Err(Unencoded::Other),
        _ if out.len() - begun > MAX_ENCODED_BYTES => Err(Unencoded::Other),
        levels => Ok(levels - 1),
    }
}

/// Begins a document, whose length is not known yet.
pub(crate) fn begin_document(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
}

/// Ends the document that begins at `start`.
pub(crate) fn end_document(out: &mut Vec<u8>, start: usize) {
    out.push(0);
    // Below `MAX_ENCODED_BYTES`, or refused.
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Days from 1970-01-01 in the Gregorian calendar, of a year from 1.
fn days_since_1970(year: i32, month: u8, day: u8) -> i64 {
    // Years that begin in March have their leap day at the end.
    let (year, month) = match month {
        1 | 2 => (i64::from(year) - 1, i64::from(month) + 9),
        _ => (i64::from(year), i64::from(month) - 3),
    };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A dict as BSON; `None` for one that `bson.encode` must encode or refuse. `levels` is the number of levels that it may have.
#[pyfunction]
pub(crate) fn encode_dict<'py>(
    py: Python<'py>,
    document: &Bound<'py, PyAny>,
    options: &Bound<'py, PyAny>,
    levels: usize,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let Ok(dict) = document.cast_exact::<PyDict>() else {
        return Ok(None);
    };
    let mut out = Vec::with_capacity(256);
    match DictEncoder::new(options)?.document(&mut out, dict, levels) {
        Ok(()) => Ok(Some(PyBytes::new(py, &out))),
        Err(Unencoded::Other) => Ok(None),
        Err(Unencoded::Raised(error)) => Err(error),
    }
}
