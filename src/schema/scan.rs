//! Observation of a Chunk's types: work per column, and per cell only in columns of several types.

use std::cell::RefCell;
use std::sync::Arc;

use arrow_array::{
    Array, ArrowPrimitiveType, FixedSizeBinaryArray, PrimitiveArray, TimestampMillisecondArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use hashbrown::HashMap;

use super::decimal_digits::DecimalDigits;
use super::lossless_cast::int_to_double;
use super::observed_types::{FirstDocument, KeyTypes, ObservedTypes, PathTypes, TypeCount};
use crate::chunk::{encode_cell, Chunk, Column, Documents, Marker, Placement, Tagged, Values};
use crate::error::RawValue;
use crate::raw::{array, i32_at, ElementType};

pub(super) fn observe(chunk: &Chunk, first_row: u64) -> ObservedTypes {
    let scan = Scan {
        documents: &chunk.documents,
        id: chunk.documents.position("_id"),
        first_row,
        ids: RefCell::default(),
    };
    ObservedTypes {
        rows: chunk.rows() as u64,
        keys: scan.keys(&chunk.documents, &Rows::Top),
    }
}

/// The first milliseconds of the years 1 and 10000, since 1970 in UTC.
const YEAR_1: i64 = -62_135_596_800_000;
const YEAR_10000: i64 = 253_402_300_800_000;

/// Binary subtypes of UUIDs.
pub(super) const LEGACY_UUID: u8 = 3;
pub(super) const UUID: u8 = 4;

/// The mapping from a slot to its top-level row.
enum Rows<'a> {
    /// Slots and rows are equal.
    Top,
    /// The slots of a sparse column.
    Sparse(&'a [u32], &'a Rows<'a>),
    /// The items of lists.
    Items(&'a OffsetBuffer<i32>, &'a Rows<'a>),
}

impl Rows<'_> {
    fn row(&self, slot: usize) -> usize {
        match self {
            Rows::Top => slot,
            Rows::Sparse(rows, outer) => outer.row(rows[slot] as usize),
            Rows::Items(offsets, outer) => {
                let after = offsets.partition_point(|&offset| offset as usize <= slot);
                outer.row(after.saturating_sub(1))
            }
        }
    }
}

struct Scan<'a> {
    documents: &'a Documents,
    id: Option<usize>,
    first_row: u64,
    /// Copies of `_id`s by row, because most columns start in the same row.
    ids: RefCell<HashMap<usize, Option<Arc<RawValue>>>>,
}

impl Scan<'_> {
    fn keys(&self, documents: &Documents, rows: &Rows<'_>) -> KeyTypes {
        let fields = documents.fields().iter();
        KeyTypes::new(
            fields
                .map(|field| (Arc::clone(&field.name), self.column(&field.column, rows)))
                .collect(),
        )
    }

    fn column(&self, column: &Column, rows: &Rows<'_>) -> PathTypes {
        match column.placement() {
            Placement::Dense => self.values(column.values(), rows),
            Placement::Sparse { rows: at, .. } => {
                self.values(column.values(), &Rows::Sparse(at, rows))
            }
        }
    }

    fn values(&self, values: &Values, rows: &Rows<'_>) -> PathTypes {
        let mut seen = PathTypes::default();
        let (kind, nulls) = match values {
            Values::Null(_) => return seen,
            Values::Tagged(tagged) => return self.tagged(tagged, rows),
            Values::Double(array) => (ElementType::Double, array.nulls()),
            Values::String(array) => (ElementType::String, array.nulls()),
            Values::Code(array) => (ElementType::Code, array.nulls()),
            Values::Symbol(array) => (ElementType::Symbol, array.nulls()),
            Values::Document { nulls, documents } => {
                seen.keys = Some(Box::new(self.keys(documents, rows)));
                (ElementType::Document, nulls.as_ref())
            }
            Values::List {
                nulls,
                offsets,
                items,
            } => {
                let items = self.column(items, &Rows::Items(offsets, rows));
                seen.items = Some(Box::new(items));
                (ElementType::List, nulls.as_ref())
            }
            Values::Binary(array) => {
                if array.null_count() < array.len() {
                    seen.record_binary(0, 0);
                }
                (ElementType::Binary, array.nulls())
            }
            Values::Subtyped { subtypes, bytes } => {
                for slot in (0..bytes.len()).filter(|&slot| bytes.is_valid(slot)) {
                    seen.record_binary(subtypes.value(slot), bytes.value_length(slot) as usize);
                }
                (ElementType::Binary, bytes.nulls())
            }
            Values::Uuid(array) => {
                seen.record_binary(UUID, 16);
                (ElementType::Binary, array.nulls())
            }
            Values::ObjectId(array) => (ElementType::ObjectId, array.nulls()),
            Values::Decimal128(array) => {
                seen.decimals = self.decimals(array, rows);
                (ElementType::Decimal128, array.nulls())
            }
            Values::Boolean(array) => (ElementType::Boolean, array.nulls()),
            Values::DateTime(array) => {
                seen.far_dates = self.far_dates(array, rows);
                (ElementType::DateTime, array.nulls())
            }
            Values::Regex { pattern, .. } => (ElementType::Regex, pattern.nulls()),
            Values::DbPointer { id, .. } => (ElementType::DbPointer, id.nulls()),
            Values::CodeWithScope { code, .. } => (ElementType::CodeWithScope, code.nulls()),
            Values::Int32(array) => {
                seen.largest_integer = largest(array, |value| value.unsigned_abs().into());
                (ElementType::Int32, array.nulls())
            }
            Values::Timestamp(array) => (ElementType::Timestamp, array.nulls()),
            Values::Int64(array) => {
                seen.largest_integer = largest(array, i64::unsigned_abs);
                // Below 2^53, every integer is exact.
                seen.inexact = seen.largest_integer > 1 << 53
                    && !array.iter().flatten().all(|v| int_to_double(v).is_some());
                (ElementType::Int64, array.nulls())
            }
            Values::Marker(marker, array) => (marker_type(*marker), array.nulls()),
        };
        seen.types.push(self.typed(kind, nulls, values.len(), rows));
        seen
    }

    fn typed(
        &self,
        kind: ElementType,
        nulls: Option<&NullBuffer>,
        len: usize,
        rows: &Rows<'_>,
    ) -> TypeCount {
        let first = match nulls {
            Some(nulls) => nulls.valid_indices().next(),
            None => (len > 0).then_some(0),
        };
        TypeCount {
            kind,
            count: (len - nulls.map_or(0, NullBuffer::null_count)) as u64,
            first: first.map(|slot| self.first(slot, rows)),
        }
    }

    fn tagged(&self, tagged: &Tagged, rows: &Rows<'_>) -> PathTypes {
        let mut seen = PathTypes {
            mixed_in_table: tagged.is_mixed_in_table(),
            ..PathTypes::default()
        };
        let values = (0..tagged.len()).filter_map(|slot| Some((slot, tagged.get(slot)?)));
        for (slot, (kind, bytes)) in values {
            match kind {
                ElementType::Null => continue,
                ElementType::Int32 => {
                    let value = i32_at(bytes, 0).unwrap_or_default();
                    seen.largest_integer = seen.largest_integer.max(value.unsigned_abs().into());
                }
                ElementType::Int64 => {
                    let value = i64::from_le_bytes(array(bytes, 0).unwrap_or_default());
                    seen.inexact |= int_to_double(value).is_none();
                    seen.largest_integer = seen.largest_integer.max(value.unsigned_abs());
                }
                ElementType::Decimal128 => {
                    let value = array(bytes, 0).unwrap_or_default();
                    seen.decimals
                        .get_or_insert_default()
                        .record([(slot, &value)].into_iter(), |slot| self.first(slot, rows));
                }
                ElementType::Binary => {
                    let len = i32_at(bytes, 0).unwrap_or_default();
                    let subtype = bytes.get(4).copied().unwrap_or_default();
                    seen.record_binary(subtype, len as usize);
                }
                // These have no columns to join. They stay BSON in every Chunk.
                ElementType::Document | ElementType::List => seen.kept_as_bson = true,
                _ => {}
            }
            match seen.types.iter_mut().find(|known| known.kind == kind) {
                Some(known) => known.count += 1,
                None => seen.types.push(TypeCount {
                    kind,
                    count: 1,
                    first: Some(self.first(slot, rows)),
                }),
            }
        }
        seen
    }

    fn far_dates(
        &self,
        array: &TimestampMillisecondArray,
        rows: &Rows<'_>,
    ) -> Option<(u64, FirstDocument)> {
        let is_far = |millis: i64| !(YEAR_1..YEAR_10000).contains(&millis);
        // One loop without branches. Values under nulls are arbitrary, so what it finds is counted again.
        let near = array
            .values()
            .iter()
            .fold(true, |near, &millis| near & !is_far(millis));
        if near {
            return None;
        }
        let far =
            || (0..array.len()).filter(|&slot| array.is_valid(slot) && is_far(array.value(slot)));
        let first = self.first(far().next()?, rows);
        Some((far().count() as u64, first))
    }

    fn decimals(
        &self,
        array: &FixedSizeBinaryArray,
        rows: &Rows<'_>,
    ) -> Option<Box<DecimalDigits>> {
        let mut digits = DecimalDigits::default();
        let values = array.iter().enumerate();
        let values = values.filter_map(|(slot, value)| Some((slot, value?.try_into().ok()?)));
        digits.record(values, |slot| self.first(slot, rows));
        (array.null_count() < array.len()).then(|| Box::new(digits))
    }

    fn first(&self, slot: usize, rows: &Rows<'_>) -> FirstDocument {
        let row = rows.row(slot);
        let mut ids = self.ids.borrow_mut();
        let id = ids
            .entry(row)
            .or_insert_with(|| document_id(self.documents, self.id, row).map(Arc::new));
        FirstDocument {
            row: self.first_row + row as u64,
            id: id.clone(),
        }
    }
}

impl PathTypes {
    fn record_binary(&mut self, subtype: u8, len: usize) {
        self.subtypes[subtype as usize / 64] |= 1 << (subtype % 64);
        self.not_uuid |= matches!(subtype, LEGACY_UUID | UUID) && len != 16;
    }
}

/// Returns the `_id` of the document at `row`, if it has one; `field` is the index of the `_id` column.
fn document_id(documents: &Documents, field: Option<usize>, row: usize) -> Option<RawValue> {
    let field = field?;
    if !documents.has(row, field) {
        return None;
    }
    let cell = documents.fields()[field].column.cell(row);
    let mut bytes = Vec::new();
    encode_cell(&cell, &mut bytes).ok()?;
    Some(RawValue {
        tag: cell.element_type().byte(),
        bytes,
    })
}

/// Returns the largest absolute value. Values under nulls are arbitrary, so they are skipped.
fn largest<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    magnitude: impl Fn(T::Native) -> u64 + Copy,
) -> u64 {
    let values = array.values();
    // Loops without branches.
    let of = |start: usize, end: usize| {
        let values = values[start..end].iter();
        values.fold(0, |largest: u64, &value| largest.max(magnitude(value)))
    };
    match array.nulls() {
        None => of(0, values.len()),
        Some(nulls) => {
            let valid = nulls.valid_slices();
            valid
                .map(|(start, end)| of(start, end))
                .max()
                .unwrap_or_default()
        }
    }
}

fn marker_type(marker: Marker) -> ElementType {
    match marker {
        Marker::Undefined => ElementType::Undefined,
        Marker::MinKey => ElementType::MinKey,
        Marker::MaxKey => ElementType::MaxKey,
    }
}
