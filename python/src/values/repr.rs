//! The text of `repr`: as of a dict or list, shortened. No Python objects are made for values that are left out.

use data_bridge::chunk::{Cell, DocumentCell};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyString};

use crate::values::codec::Codec;
use crate::values::value;

/// Bytes of text after which the remaining entries are left out.
const LONG: usize = 10_000;

/// Maximum bytes of one string or binary in the text.
const LONG_VALUE: usize = 1_000;

/// A document as text.
pub fn document(py: Python<'_>, codec: &Codec, document: &DocumentCell<'_>) -> PyResult<String> {
    let mut text = ReprWriter::new(py, codec);
    text.document(document)?;
    Ok(text.out)
}

struct ReprWriter<'a, 'py> {
    py: Python<'py>,
    codec: &'a Codec,
    out: String,
}

impl<'a, 'py> ReprWriter<'a, 'py> {
    fn new(py: Python<'py>, codec: &'a Codec) -> Self {
        ReprWriter {
            py,
            codec,
            out: String::new(),
        }
    }

    fn document(&mut self, document: &DocumentCell<'_>) -> PyResult<()> {
        self.out.push('{');
        for (position, (key, cell)) in document.entries().enumerate() {
            if !self.next(position) {
                break;
            }
            self.string(key)?;
            self.out.push_str(": ");
            self.cell(&cell)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn cell(&mut self, cell: &Cell<'_>) -> PyResult<()> {
        match cell {
            Cell::Document(document) if !value::may_be_dbref(document) => self.document(document),
            Cell::List(list) => {
                self.out.push('[');
                for (position, item) in list.items().enumerate() {
                    if !self.next(position) {
                        break;
                    }
                    self.cell(&item)?;
                }
                self.out.push(']');
                Ok(())
            }
            Cell::String(text) | Cell::Symbol(text) => self.string(text),
            Cell::Binary { subtype, bytes } if bytes.len() > LONG_VALUE => {
                let (shown, left_out) = bytes.split_at(LONG_VALUE);
                self.value(&Cell::Binary {
                    subtype: *subtype,
                    bytes: shown,
                })?;
                self.left_out(left_out.len());
                Ok(())
            }
            other => self.value(other),
        }
    }

    /// Starts an entry; returns false if the remaining entries are left out.
    fn next(&mut self, position: usize) -> bool {
        if position > 0 {
            self.out.push_str(", ");
        }
        let room = self.out.len() < LONG;
        if !room {
            self.out.push_str("...");
        }
        room
    }

    fn string(&mut self, text: &str) -> PyResult<()> {
        let mut end = text.len().min(LONG_VALUE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let shown = PyString::new(self.py, &text[..end]).repr()?;
        self.out.push_str(&shown.to_string_lossy());
        self.left_out(text.len() - end);
        Ok(())
    }

    fn left_out(&mut self, bytes: usize) {
        if bytes > 0 {
            self.out.push_str(&format!("...<{bytes} bytes more>"));
        }
    }

    #[inline(never)]
    fn value(&mut self, cell: &Cell<'_>) -> PyResult<()> {
        match value::plain(self.py, self.codec, cell).and_then(|value| value.repr()) {
            Ok(shown) => self.out.push_str(&shown.to_string_lossy()),
            // An error of one value, such as a date out of range, must not hide the other values.
            Err(error) if error.is_instance_of::<PyException>(self.py) => {
                self.out.push_str(&format!("<{error}>"));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
