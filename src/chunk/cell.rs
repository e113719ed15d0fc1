//! The value of a cell of a Chunk: one `Cell` type for every kind of column.

use std::sync::Arc;

use arrow_array::Array;

use super::column::{Column, Marker, Values};
use super::Documents;
use crate::raw::{array, i32_at, key_len, ElementType, Elements};

/// One value, borrowed from its column.
#[derive(Clone, Debug)]
pub enum Cell<'a> {
    /// null
    Null,
    /// double
    Double(f64),
    /// string
    String(&'a str),
    /// document
    Document(DocumentCell<'a>),
    /// list
    List(ListCell<'a>),
    /// binary; subtype 2 without its inner length
    Binary {
        /// Its subtype.
        subtype: u8,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// ObjectId
    ObjectId([u8; 12]),
    /// bool
    Boolean(bool),
    /// date: milliseconds since 1970 in UTC
    DateTime(i64),
    /// regular expression
    Regex {
        /// Its pattern.
        pattern: &'a str,
        /// Its options, as sent.
        options: &'a str,
    },
    /// dbPointer
    DbPointer {
        /// Its namespace.
        namespace: &'a str,
        /// Its ObjectId.
        id: [u8; 12],
    },
    /// JavaScript
    Code(&'a str),
    /// symbol
    Symbol(&'a str),
    /// JavaScript with a scope
    CodeWithScope {
        /// The code.
        code: &'a str,
        /// The scope: a BSON document in normal form.
        scope: &'a [u8],
    },
    /// int32
    Int32(i32),
    /// Internal timestamp.
    Timestamp {
        /// Seconds since 1970.
        time: u32,
        /// Ordinal within the second.
        increment: u32,
    },
    /// int64
    Int64(i64),
    /// decimal128, its 16 bytes on the wire
    Decimal128([u8; 16]),
    /// undefined, minKey or maxKey
    Marker(Marker),
}

/// A document, as a row of columns or as BSON in normal form.
#[derive(Clone, Debug)]
pub enum DocumentCell<'a> {
    /// A row of columns.
    Row {
        /// The columns.
        documents: &'a Arc<Documents>,
        /// The row.
        row: usize,
    },
    /// BSON.
    Bson(&'a [u8]),
}

/// A list, as a range of a column or as BSON in normal form.
#[derive(Clone, Debug)]
pub enum ListCell<'a> {
    /// A range of a column.
    Range {
        /// The column.
        items: &'a Arc<Column>,
        /// The first item.
        start: usize,
        /// One past the last item.
        end: usize,
    },
    /// BSON.
    Bson(&'a [u8]),
}

/// A key and its value.
pub type Entry<'a> = (&'a str, Cell<'a>);

impl Column {
    /// Returns the value at `row`: [`Cell::Null`] for null and for missing.
    #[inline]
    pub fn cell(&self, row: usize) -> Cell<'_> {
        match self.slot(row) {
            Some(slot) => self.values().cell(slot),
            None => Cell::Null,
        }
    }
}

impl Values {
    /// Returns the value in `slot`: [`Cell::Null`] for null and for missing.
    pub fn cell(&self, slot: usize) -> Cell<'_> {
        macro_rules! some {
            ($array:expr, $cell:expr) => {
                if $array.is_null(slot) {
                    Cell::Null
                } else {
                    $cell
                }
            };
        }
        match self {
            Values::Null(_) => Cell::Null,
            Values::Double(array) => some!(array, Cell::Double(array.value(slot))),
            Values::String(array) => some!(array, Cell::String(array.value(slot))),
            Values::Document { nulls, documents } => {
                if nulls.as_ref().is_some_and(|nulls| nulls.is_null(slot)) {
                    return Cell::Null;
                }
                Cell::Document(DocumentCell::Row {
                    documents,
                    row: slot,
                })
            }
            Values::List {
                nulls,
                offsets,
                items,
            } => {
                if nulls.as_ref().is_some_and(|nulls| nulls.is_null(slot)) {
                    return Cell::Null;
                }
                Cell::List(ListCell::Range {
                    items,
                    start: offsets[slot] as usize,
                    end: offsets[slot + 1] as usize,
                })
            }
            Values::Binary(array) => some!(
                array,
                Cell::Binary {
                    subtype: 0,
                    bytes: array.value(slot)
                }
            ),
            Values::Subtyped { subtypes, bytes } => some!(
                bytes,
                Cell::Binary {
                    subtype: subtypes.value(slot),
                    bytes: bytes.value(slot)
                }
            ),
            Values::Uuid(array) => some!(
                array,
                Cell::Binary {
                    subtype: 4,
                    bytes: array.value(slot)
                }
            ),
            Values::ObjectId(array) => some!(array, Cell::ObjectId(fixed(array.value(slot)))),
            Values::Boolean(array) => some!(array, Cell::Boolean(array.value(slot))),
            Values::DateTime(array) => some!(array, Cell::DateTime(array.value(slot))),
            Values::Regex { pattern, options } => some!(
                pattern,
                Cell::Regex {
                    pattern: pattern.value(slot),
                    options: options.value(slot)
                }
            ),
            Values::DbPointer { namespace, id } => some!(
                id,
                Cell::DbPointer {
                    namespace: namespace.value(slot),
                    id: fixed(id.value(slot))
                }
            ),
            Values::Code(array) => some!(array, Cell::Code(array.value(slot))),
            Values::Symbol(array) => some!(array, Cell::Symbol(array.value(slot))),
            Values::CodeWithScope { code, scope } => some!(
                code,
                Cell::CodeWithScope {
                    code: code.value(slot),
                    scope: scope.value(slot)
                }
            ),
            Values::Int32(array) => some!(array, Cell::Int32(array.value(slot))),
            Values::Timestamp(array) => some!(array, timestamp(array.value(slot))),
            Values::Int64(array) => some!(array, Cell::Int64(array.value(slot))),
            Values::Decimal128(array) => some!(array, Cell::Decimal128(fixed(array.value(slot)))),
            Values::Marker(marker, array) => some!(array, Cell::Marker(*marker)),
            Values::Tagged(tagged) => tagged
                .get(slot)
                .map_or(Cell::Null, |(kind, bytes)| Cell::from_bson(kind, bytes)),
        }
    }
}

fn timestamp<'a>(value: u64) -> Cell<'a> {
    Cell::Timestamp {
        time: (value >> 32) as u32,
        increment: value as u32,
    }
}

/// Returns the bytes of a value of width `N`.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    array(bytes, 0).unwrap_or([0; N])
}

impl<'a> Cell<'a> {
    /// Reads the value in `bytes`, which this crate wrote in normal form.
    pub fn from_bson(kind: ElementType, bytes: &'a [u8]) -> Cell<'a> {
        match kind {
            ElementType::Double => Cell::Double(f64::from_le_bytes(fixed(bytes))),
            ElementType::String => Cell::String(string(bytes, 0)),
            ElementType::Document => Cell::Document(DocumentCell::Bson(bytes)),
            ElementType::List => Cell::List(ListCell::Bson(bytes)),
            ElementType::Binary => {
                let subtype = bytes[4];
                Cell::Binary {
                    subtype,
                    bytes: &bytes[if subtype == 2 { 9 } else { 5 }..],
                }
            }
            ElementType::Undefined => Cell::Marker(Marker::Undefined),
            ElementType::ObjectId => Cell::ObjectId(fixed(bytes)),
            ElementType::Boolean => Cell::Boolean(bytes[0] != 0),
            ElementType::DateTime => Cell::DateTime(i64::from_le_bytes(fixed(bytes))),
            ElementType::Null => Cell::Null,
            ElementType::Regex => {
                let end = key_len(bytes, 0).unwrap_or_default();
                Cell::Regex {
                    pattern: text(&bytes[..end]),
                    options: text(&bytes[end + 1..bytes.len() - 1]),
                }
            }
            ElementType::DbPointer => Cell::DbPointer {
                namespace: string(bytes, 0),
                id: fixed(&bytes[bytes.len() - 12..]),
            },
            ElementType::Code => Cell::Code(string(bytes, 0)),
            ElementType::Symbol => Cell::Symbol(string(bytes, 0)),
            ElementType::CodeWithScope => {
                let code = string(bytes, 4);
                Cell::CodeWithScope {
                    code,
                    scope: &bytes[4 + 4 + code.len() + 1..],
                }
            }
            ElementType::Int32 => Cell::Int32(i32::from_le_bytes(fixed(bytes))),
            ElementType::Timestamp => timestamp(u64::from_le_bytes(fixed(bytes))),
            ElementType::Int64 => Cell::Int64(i64::from_le_bytes(fixed(bytes))),
            ElementType::Decimal128 => Cell::Decimal128(fixed(bytes)),
            ElementType::MaxKey => Cell::Marker(Marker::MaxKey),
            ElementType::MinKey => Cell::Marker(Marker::MinKey),
        }
    }

    /// The wire type of this value.
    pub fn element_type(&self) -> ElementType {
        match self {
            Cell::Null => ElementType::Null,
            Cell::Double(_) => ElementType::Double,
            Cell::String(_) => ElementType::String,
            Cell::Document(_) => ElementType::Document,
            Cell::List(_) => ElementType::List,
            Cell::Binary { .. } => ElementType::Binary,
            Cell::ObjectId(_) => ElementType::ObjectId,
            Cell::Boolean(_) => ElementType::Boolean,
            Cell::DateTime(_) => ElementType::DateTime,
            Cell::Regex { .. } => ElementType::Regex,
            Cell::DbPointer { .. } => ElementType::DbPointer,
            Cell::Code(_) => ElementType::Code,
            Cell::Symbol(_) => ElementType::Symbol,
            Cell::CodeWithScope { .. } => ElementType::CodeWithScope,
            Cell::Int32(_) => ElementType::Int32,
            Cell::Timestamp { .. } => ElementType::Timestamp,
            Cell::Int64(_) => ElementType::Int64,
            Cell::Decimal128(_) => ElementType::Decimal128,
            Cell::Marker(Marker::Undefined) => ElementType::Undefined,
            Cell::Marker(Marker::MinKey) => ElementType::MinKey,
            Cell::Marker(Marker::MaxKey) => ElementType::MaxKey,
        }
    }
}

/// Decodes text in normal form. Normal form is valid UTF-8; if a bug breaks that rule, the result is empty and not a
/// panic.
fn text(bytes: &[u8]) -> &str {
    simdutf8::basic::from_utf8(bytes).unwrap_or_default()
}

fn string(bytes: &[u8], at: usize) -> &str {
    let len = i32_at(bytes, at).unwrap_or(1) as usize;
    text(&bytes[at + 4..at + 4 + len - 1])
}

impl<'a> DocumentCell<'a> {
    /// Keys and values in key order.
    pub fn entries(&self) -> Box<dyn Iterator<Item = Entry<'a>> + 'a> {
        match *self {
            DocumentCell::Row { documents, row } => {
                Box::new(documents.shape(row).iter().map(move |&field| {
                    let field = &documents.fields()[field as usize];
                    (&*field.name, field.column.cell(row))
                }))
            }
            DocumentCell::Bson(bytes) => Box::new(elements(bytes).map(|element| {
                let value = Cell::from_bson(element.kind, element.value);
                (text(element.key), value)
            })),
        }
    }
}

impl<'a> ListCell<'a> {
    /// The items in order.
    pub fn items(&self) -> Box<dyn Iterator<Item = Cell<'a>> + 'a> {
        match *self {
            ListCell::Range { items, start, end } => {
                Box::new((start..end).map(move |row| items.cell(row)))
            }
            ListCell::Bson(bytes) => Box::new(
                elements(bytes).map(|element| Cell::from_bson(element.kind, element.value)),
            ),
        }
    }
}

fn elements(bytes: &[u8]) -> impl Iterator<Item = crate::raw::Element<'_>> {
    Elements::new(bytes).into_iter().flatten().flatten()
}
