//! The encoding of a shape: codes, numbers, and the fingerprint of its columns.

use arrow_schema::{DataType, FieldRef};

use crate::chunk::Cell;
use crate::raw::Malformed;
use crate::schema::{double_to_int, extension_name, int_to_double};

/// The value of the plain reading.
pub(super) const UNCHANGED: u8 = 0;
/// null
pub(super) const NULL: u8 = 1;
/// The same number as an int32.
pub(super) const INT32: u8 = 2;
/// The same number as an int64.
pub(super) const INT64: u8 = 3;
/// The same number as a double.
pub(super) const DOUBLE: u8 = 4;
/// A document with its own steps.
pub(super) const DOCUMENT: u8 = 5;
/// A list with its own runs.
pub(super) const LIST: u8 = 6;
/// Another value: the document `{"": value}`.
pub(super) const LITERAL: u8 = 7;

/// Converts the number `plain` to the type of `code`, if that is the same number.
pub(super) fn recast(code: u8, plain: &Cell<'_>) -> Option<Cell<'static>> {
    Some(match (code, plain) {
        (INT32, Cell::Int64(value)) => Cell::Int32(i32::try_from(*value).ok()?),
        (INT32, Cell::Double(value)) => Cell::Int32(i32::try_from(double_to_int(*value)?).ok()?),
        (INT64, Cell::Int32(value)) => Cell::Int64(i64::from(*value)),
        (INT64, Cell::Double(value)) => Cell::Int64(double_to_int(*value)?),
        (DOUBLE, Cell::Int32(value)) => Cell::Double(f64::from(*value)),
        (DOUBLE, Cell::Int64(value)) => Cell::Double(int_to_double(*value)?),
        _ => return None,
    })
}

/// Appends `value` as seven bits per byte, the lowest first.
pub(super) fn push_number(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Walks a shape.
pub(super) struct ShapeBytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> ShapeBytes<'a> {
    pub fn new(all: &'a [u8]) -> Self {
        ShapeBytes { all, at: 0 }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    /// Moves back to `at`, to read a repeated value again.
    pub fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    pub fn is_end(&self) -> bool {
        self.at == self.all.len()
    }

    pub fn wrong(&self, reason: &'static str) -> Malformed {
        Malformed::new(self.at, reason)
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = self.all.get(self.at);
        let byte = *byte.ok_or_else(|| self.wrong("the shape ends early"))?;
        self.at += 1;
        Ok(byte)
    }

    pub fn number(&mut self) -> Result<usize, Malformed> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).map_err(|_| self.wrong("a number is too large"));
            }
        }
        Err(self.wrong("a number is too large"))
    }

    /// Reads a document.
    pub fn document(&mut self) -> Result<&'a [u8], Malformed> {
        let len = crate::raw::document_len(self.all, self.at)?;
        let document = &self.all[self.at..self.at + len];
        self.at += len;
        Ok(document)
    }
}

/// Identifies the columns that the numbers in a shape count: names and nesting, in order. Types are excluded, because
/// tools change layouts.
pub(in crate::conform) fn fingerprint<'a>(fields: impl Iterator<Item = &'a FieldRef>) -> String {
    let mut hash = Hash(0xCBF2_9CE4_8422_2325);
    hash.fields(fields);
    format!("1 {:016x}", hash.0)
}

/// 64-bit FNV-1a: short, and stable across platforms and versions.
struct Hash(u64);

impl Hash {
    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    fn fields<'a>(&mut self, fields: impl Iterator<Item = &'a FieldRef>) {
        for field in fields {
            self.bytes(field.name().as_bytes());
            // NUL terminates the name, because our names cannot contain NUL.
            self.bytes(b"\0");
            self.inside(field);
        }
        self.bytes(b"}");
    }

    fn inside(&mut self, field: &FieldRef) {
        match field.data_type() {
            _ if extension_name(field).is_some() => self.bytes(b"."),
            DataType::Struct(fields) => {
                self.bytes(b"{");
                self.fields(fields.iter());
            }
            // Names of list items depend on the tool: Parquet uses "element".
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => {
                self.bytes(b"[");
                self.inside(item);
            }
            _ => self.bytes(b"."),
        }
    }
}
