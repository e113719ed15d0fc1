//! The values of a column, as the writer reads them: slices of their bytes, without a dispatch by Arrow type.

use arrow_array::{Array, BooleanArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};

use super::document::DocumentWriter;
use super::output::{Header, Output};
use crate::chunk::{encode_cell, Column, Marker, Placement, Tagged, Values};
use crate::raw::ElementType;

/// A column: its key, its nulls and its values.
pub(super) struct Field<'a> {
    pub header: Header,
    pub column: Cells<'a>,
}

/// A column without its key.
pub(super) struct Cells<'a> {
    /// The rows of the slots of a sparse column.
    rows: Option<&'a [u32]>,
    nulls: Option<&'a NullBuffer>,
    values: CellValues<'a>,
}

enum CellValues<'a> {
    Null,
    /// double, int64, date and internal timestamp
    Eight(&'a [i64]),
    Int32(&'a [i32]),
    Boolean(&'a BooleanArray),
    /// string, JavaScript and symbol
    Text {
        offsets: &'a [i32],
        bytes: &'a [u8],
    },
    /// Binary of subtype 0.
    Binary {
        offsets: &'a [i32],
        bytes: &'a [u8],
    },
    ObjectId(&'a [u8]),
    Decimal128(&'a [u8]),
    Uuid(&'a [u8]),
    Marker,
    Document(Box<DocumentWriter<'a>>),
    List {
        offsets: &'a OffsetBuffer<i32>,
        items: Box<Cells<'a>>,
        first: Header,
    },
    Tagged(&'a Tagged),
    /// Rare types, encoded cell by cell.
    Other(&'a Values),
}

impl<'a> Cells<'a> {
    /// The cells of `column`; `keeps_null` states whether nulls below it are written.
    pub(super) fn new(column: &'a Column, keeps_null: bool) -> Self {
        let values = column.values();
        let rows = match column.placement() {
            Placement::Dense => None,
            Placement::Sparse { rows, .. } => Some(&rows[..]),
        };
        let mut nulls = None;
        let mut with_nulls = |array: &'a dyn Array| nulls = array.nulls();
        let cells = match values {
            Values::Null(_) => CellValues::Null,
            Values::Double(array) => {
                with_nulls(array);
                CellValues::Eight(array.values().inner().typed_data())
            }
            Values::Int64(array) => {
                with_nulls(array);
                CellValues::Eight(array.values())
            }
            Values::DateTime(array) => {
                with_nulls(array);
                CellValues::Eight(array.values())
            }
            // The increment is the lower half, and is first on the wire.
            Values::Timestamp(array) => {
                with_nulls(array);
                CellValues::Eight(array.values().inner().typed_data())
            }
            Values::Int32(array) => {
                with_nulls(array);
                CellValues::Int32(array.values())
            }
            Values::Boolean(array) => {
                with_nulls(array);
                CellValues::Boolean(array)
            }
            Values::String(array) | Values::Code(array) | Values::Symbol(array) => {
                with_nulls(array);
                CellValues::Text {
                    offsets: array.value_offsets(),
                    bytes: array.value_data(),
                }
            }
            Values::Binary(array) => {
                with_nulls(array);
                CellValues::Binary {
                    offsets: array.value_offsets(),
                    bytes: array.value_data(),
                }
            }
            Values::ObjectId(array) => {
                with_nulls(array);
                CellValues::ObjectId(array.value_data())
            }
            Values::Decimal128(array) => {
                with_nulls(array);
                CellValues::Decimal128(array.value_data())
            }
            Values::Uuid(array) => {
                with_nulls(array);
                CellValues::Uuid(array.value_data())
            }
            Values::Marker(_, array) => {
                with_nulls(array);
                CellValues::Marker
            }
            Values::Document {
                nulls: found,
                documents,
            } => {
                nulls = found.as_ref();
                CellValues::Document(Box::new(DocumentWriter::new(documents, keeps_null)))
            }
            Values::List {
                nulls: found,
                offsets,
                items,
            } => {
                nulls = found.as_ref();
                CellValues::List {
                    offsets,
                    first: Header::first_item(kind(items.values())),
                    items: Box::new(Cells::new(items, keeps_null)),
                }
            }
            Values::Subtyped { bytes, .. } => {
                with_nulls(bytes);
                CellValues::Other(values)
            }
            Values::Regex { pattern, .. } => {
                with_nulls(pattern);
                CellValues::Other(values)
            }
            Values::DbPointer { id, .. } => {
                with_nulls(id);
                CellValues::Other(values)
            }
            Values::CodeWithScope { code, .. } => {
                with_nulls(code);
                CellValues::Other(values)
            }
            Values::Tagged(tagged) => CellValues::Tagged(tagged),
        };
        Cells {
            rows,
            nulls: nulls.filter(|nulls| nulls.null_count() > 0),
            values: cells,
        }
    }

    /// The slot of the value at `row`; `None` if it has none.
    #[inline(always)]
    pub(super) fn slot(&self, row: usize) -> Option<usize> {
        let slot = match self.rows {
            None => row,
            Some(rows) => rows.binary_search(&(row as u32)).ok()?,
        };
        if self.nulls.is_some_and(|nulls| nulls.is_null(slot)) {
            return None;
        }
        match &self.values {
            CellValues::Null => None,
            CellValues::Tagged(tagged) => tagged.get(slot).map(|_| slot),
            _ => Some(slot),
        }
    }

    /// The number of the first `len` rows of a dense column that have a value.
    pub(super) fn count(&self, len: usize) -> usize {
        match (&self.values, self.nulls) {
            (CellValues::Null, _) => 0,
            (CellValues::Tagged(tagged), _) => {
                (0..len).filter(|&slot| tagged.get(slot).is_some()).count()
            }
            (_, Some(nulls)) => len - nulls.null_count(),
            (_, None) => len,
        }
    }

    /// Calls `each` with the rows of a dense column of `len` rows that have a value.
    pub(super) fn for_each_present(&self, len: usize, each: impl FnMut(usize)) {
        match (&self.values, self.nulls) {
            (CellValues::Null, _) => {}
            (CellValues::Tagged(tagged), _) => {
                let present = |slot: &usize| tagged.get(*slot).is_some();
                (0..len).filter(present).for_each(each);
            }
            (_, Some(nulls)) => nulls.valid_indices().for_each(each),
            (_, None) => (0..len).for_each(each),
        }
    }

    /// The documents of a column of documents.
    pub(super) fn documents(&self) -> Option<&DocumentWriter<'a>> {
        match &self.values {
            CellValues::Document(documents) => Some(documents),
            _ => None,
        }
    }

    /// Writes the value in `slot`, which has one, under the key of `header`.
    #[inline]
    pub(super) fn write(&self, header: &Header, slot: usize, out: &mut Output) {
        match &self.values {
            CellValues::Eight(values) => out.element(header, values[slot].to_le_bytes()),
            CellValues::Int32(values) => out.element(header, values[slot].to_le_bytes()),
            CellValues::Text { offsets, bytes } => {
                let (start, end) = (offsets[slot] as usize, offsets[slot + 1] as usize);
                out.text(header, bytes, start, end);
            }
            CellValues::Boolean(array) => out.element(header, [u8::from(array.value(slot))]),
            CellValues::Binary { offsets, bytes } => {
                let (start, end) = (offsets[slot] as usize, offsets[slot + 1] as usize);
                out.binary(header, bytes, start, end);
            }
            CellValues::ObjectId(bytes) => out.element(header, fixed::<12>(bytes, slot)),
            CellValues::Decimal128(bytes) => out.element(header, fixed::<16>(bytes, slot)),
            CellValues::Uuid(bytes) => {
                out.element(header, [16, 0, 0, 0, UUID_SUBTYPE]);
                out.bytes(&fixed::<16>(bytes, slot));
            }
            CellValues::Document(documents) => {
                let start = out.begin_element(header);
                documents.write_elements(slot, out);
                out.end(start);
            }
            CellValues::List {
                offsets,
                items,
                first,
            } => {
                let start = out.begin_element(header);
                items.write_items(
                    first,
                    offsets[slot] as usize,
                    offsets[slot + 1] as usize,
                    out,
                );
                out.end(start);
            }
            CellValues::Null => out.header_of(ElementType::Null, header),
            CellValues::Marker => out.header(header),
            CellValues::Tagged(tagged) => match tagged.get(slot) {
                Some((kind, bytes)) => {
                    out.header_of(kind, header);
                    out.bytes(bytes);
                }
                None => out.header_of(ElementType::Null, header),
            },
            CellValues::Other(values) => write_cell(values, header, slot, out),
        }
    }

    /// Writes the items in a range of slots.
    fn write_items(&self, first: &Header, start: usize, end: usize, out: &mut Output) {
        let mut header = first.clone();
        for row in start..end {
            match self.slot(row) {
                Some(slot) => self.write(&header, slot, out),
                None => out.header_of(ElementType::Null, &header),
            }
            header.next_item();
            if out.is_full() {
                return;
            }
        }
    }
}

/// The binary subtype of UUIDs.
const UUID_SUBTYPE: u8 = 4;

fn fixed<const N: usize>(bytes: &[u8], slot: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[slot * N..slot * N + N]);
    value
}

fn write_cell(values: &Values, header: &Header, slot: usize, out: &mut Output) {
    out.header(header);
    let mut scratch = std::mem::take(&mut out.scratch);
    scratch.clear();
    // It can fail for values of 2 GiB or more, which no Arrow array with offsets of 32 bits holds.
    let _ = encode_cell(&values.cell(slot), &mut scratch);
    out.bytes(&scratch);
    out.scratch = scratch;
}

/// The type of the values of a column; any type for those of a column of several.
pub(super) fn kind(values: &Values) -> ElementType {
    match values {
        Values::Null(_) | Values::Tagged(_) => ElementType::Null,
        Values::Double(_) => ElementType::Double,
        Values::String(_) => ElementType::String,
        Values::Document { .. } => ElementType::Document,
        Values::List { .. } => ElementType::List,
        Values::Binary(_) | Values::Subtyped { .. } | Values::Uuid(_) => ElementType::Binary,
        Values::ObjectId(_) => ElementType::ObjectId,
        Values::Boolean(_) => ElementType::Boolean,
        Values::DateTime(_) => ElementType::DateTime,
        Values::Regex { .. } => ElementType::Regex,
        Values::DbPointer { .. } => ElementType::DbPointer,
        Values::Code(_) => ElementType::Code,
        Values::Symbol(_) => ElementType::Symbol,
        Values::CodeWithScope { .. } => ElementType::CodeWithScope,
        Values::Int32(_) => ElementType::Int32,
        Values::Timestamp(_) => ElementType::Timestamp,
        Values::Int64(_) => ElementType::Int64,
        Values::Decimal128(_) => ElementType::Decimal128,
        Values::Marker(Marker::Undefined, _) => ElementType::Undefined,
        Values::Marker(Marker::MinKey, _) => ElementType::MinKey,
        Values::Marker(Marker::MaxKey, _) => ElementType::MaxKey,
    }
}
