//! Conversion of columns cell by cell, for storage that differs from the schema.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringBuilder,
    UInt32Builder, UInt8Builder,
};
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampMillisecondType,
};
use arrow_array::{new_null_array, Array, ArrayRef};
use arrow_schema::{DataType, Field};

use super::column::struct_from_parts;
use super::convert::Rounding;
use super::{
    arrow_only, coerce, mixed, nested_cells, represented, text, ConformResult, Failure, OnConflict,
    Policy,
};
use crate::chunk::{Cell, Values};
use crate::schema::Kind;

/// A sequence of cells: null and missing are both [`Cell::Null`].
pub(super) enum Slots<'a> {
    /// The values of a column.
    Values(&'a Values),
    /// Cells extracted from documents or lists that are kept as BSON.
    Cells(Vec<Cell<'a>>),
}

impl<'a> Slots<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Slots::Values(values) => values.len(),
            Slots::Cells(cells) => cells.len(),
        }
    }

    pub(super) fn get(&self, slot: usize) -> Cell<'a> {
        match self {
            Slots::Values(values) => values.cell(slot),
            Slots::Cells(cells) => cells[slot].clone(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Cell<'a>> + '_ {
        (0..self.len()).map(|slot| self.get(slot))
    }

    /// Passes each cell to `append`, converted by `read`; a value that `read` rejects is a conflict.
    pub(super) fn for_each_value<T>(
        &self,
        read: impl Fn(&Cell<'a>) -> Option<T>,
        mut append: impl FnMut(Option<T>),
    ) -> ConformResult<()> {
        for cell in self.iter() {
            match cell {
                Cell::Null => append(None),
                cell => append(Some(read(&cell).ok_or(Failure::Conflict)?)),
            }
        }
        Ok(())
    }
}

/// Builds an array of `kind`, whose Arrow field is `field`, from the cells.
pub(super) fn build_array(
    slots: &Slots<'_>,
    kind: &Kind,
    field: &Field,
    policy: &Policy,
) -> ConformResult<ArrayRef> {
    let fitting;
    let slots = if policy.on_conflict == OnConflict::Error {
        slots
    } else {
        let cells = slots
            .iter()
            .map(|cell| match coerce::can_coerce(kind, &cell) {
                true => cell,
                false => Cell::Null,
            });
        fitting = Slots::Cells(cells.collect());
        &fitting
    };
    Ok(match kind {
        Kind::Null => {
            slots.for_each_value(|_| None::<()>, |_| ())?;
            new_null_array(&DataType::Null, slots.len())
        }
        Kind::Double => primitive::<Float64Type>(slots, coerce::double, field)?,
        Kind::Int32 => primitive::<Int32Type>(slots, coerce::int32, field)?,
        Kind::Int64 => primitive::<Int64Type>(slots, coerce::int64, field)?,
        Kind::DateTime => primitive::<TimestampMillisecondType>(slots, coerce::date, field)?,
        Kind::Boolean => booleans(slots, coerce::boolean)?,
        Kind::Marker(wanted) => booleans(slots, |cell| {
            matches!(cell, Cell::Marker(found) if found == wanted).then_some(true)
        })?,
        Kind::String => strings(slots, coerce::string)?,
        Kind::Code => strings(slots, coerce::code)?,
        Kind::Symbol => strings(slots, coerce::symbol)?,
        Kind::ObjectId => fixed(slots, coerce::object_id)?,
        Kind::Decimal128 => fixed(slots, coerce::decimal)?,
        Kind::Uuid => fixed(slots, |cell| coerce::uuid(cell, None))?,
        Kind::LegacyUuid(order) => fixed(slots, |cell| coerce::uuid(cell, Some(*order)))?,
        Kind::Binary => binary(slots, coerce::binary)?,
        Kind::Mixed => mixed::encode(slots)?,
        Kind::Subtyped => {
            let mut subtypes = UInt8Builder::with_capacity(slots.len());
            let data = binary(slots, |cell| coerce::subtyped(cell).map(|(_, data)| data))?;
            slots.for_each_value(coerce::subtyped, |value| {
                subtypes.append_option(value.map(|(subtype, _)| subtype));
            })?;
            struct_of_two(field, Arc::new(subtypes.finish()), data)?
        }
        Kind::Regex => {
            let pattern = strings(slots, |cell| match *cell {
                Cell::Regex { pattern, .. } => Some(pattern),
                _ => None,
            })?;
            let options = strings(slots, |cell| match *cell {
                Cell::Regex { options, .. } => Some(options),
                _ => None,
            })?;
            struct_of_two(field, pattern, options)?
        }
        Kind::DbPointer => {
            let namespace = strings(slots, |cell| match *cell {
                Cell::DbPointer { namespace, .. } => Some(namespace),
                _ => None,
            })?;
            let id = fixed(slots, |cell| match *cell {
                Cell::DbPointer { id, .. } => Some(id),
                _ => None,
            })?;
            struct_of_two(field, namespace, id)?
        }
        Kind::CodeWithScope => {
            let code = strings(slots, |cell| match *cell {
                Cell::CodeWithScope { code, .. } => Some(code),
                _ => None,
            })?;
            let scope = binary(slots, |cell| match *cell {
                Cell::CodeWithScope { scope, .. } => Some(scope),
                _ => None,
            })?;
            struct_of_two(field, code, scope)?
        }
        Kind::Timestamp => {
            let mut times = UInt32Builder::with_capacity(slots.len());
            let mut increments = UInt32Builder::with_capacity(slots.len());
            let read = |cell: &Cell<'_>| match *cell {
                Cell::Timestamp { time, increment } => Some((time, increment)),
                _ => None,
            };
            slots.for_each_value(read, |value| {
                times.append_option(value.map(|(time, _)| time));
                increments.append_option(value.map(|(_, increment)| increment));
            })?;
            struct_of_two(
                field,
                Arc::new(times.finish()),
                Arc::new(increments.finish()),
            )?
        }
        Kind::Document(fields) => nested_cells::documents(slots, fields, field, policy)?,
        Kind::List(items) | Kind::LargeList(items) => {
            nested_cells::lists(slots, items, field, policy)?
        }
        Kind::FixedSizeList(items, size) => {
            nested_cells::fixed_lists(slots, items, *size, field, policy)?
        }
        Kind::Map(values) => nested_cells::maps(slots, values, field, policy)?,
        Kind::Json(storage) => mixed::json(slots, storage)?,
        Kind::Represented(to) => represented::array(slots, to, field, policy)?,
        Kind::Text {
            cast,
            legacy_uuid,
            storage,
        } => text::build_array(slots, *cast, *legacy_uuid, storage)?,
        Kind::ArrowOnly(to) => arrow_only::build_array(slots, to, field, Rounding::Refused)?,
        Kind::Rounded(to) => arrow_only::build_array(slots, to, field, Rounding::Allowed)?,
    })
}

/// Builds a struct of two parts with equal nulls.
fn struct_of_two(field: &Field, first: ArrayRef, second: ArrayRef) -> ConformResult<ArrayRef> {
    let nulls = first.nulls().cloned();
    struct_from_parts(field, vec![first, second], nulls.as_ref())
}

pub(super) fn primitive<T: ArrowPrimitiveType>(
    slots: &Slots<'_>,
    read: impl Fn(&Cell<'_>) -> Option<T::Native>,
    field: &Field,
) -> ConformResult<ArrayRef> {
    let mut builder =
        PrimitiveBuilder::<T>::with_capacity(slots.len()).with_data_type(field.data_type().clone());
    slots.for_each_value(read, |value| builder.append_option(value))?;
    Ok(Arc::new(builder.finish()))
}

fn booleans(
    slots: &Slots<'_>,
    read: impl Fn(&Cell<'_>) -> Option<bool>,
) -> ConformResult<ArrayRef> {
    let mut builder = BooleanBuilder::with_capacity(slots.len());
    slots.for_each_value(read, |value| builder.append_option(value))?;
    Ok(Arc::new(builder.finish()))
}

fn fixed<const N: usize>(
    slots: &Slots<'_>,
    read: impl Fn(&Cell<'_>) -> Option<[u8; N]>,
) -> ConformResult<ArrayRef> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(slots.len(), N as i32);
    let mut outcome = Ok(());
    slots.for_each_value(read, |value| match value {
        Some(bytes) => {
            if let Err(error) = builder.append_value(bytes) {
                outcome = Err(error);
            }
        }
        None => builder.append_null(),
    })?;
    outcome?;
    Ok(Arc::new(builder.finish()))
}

/// Builds a string array; the limit of 2 GiB of 32-bit offsets is checked before the bytes are copied.
pub(super) fn strings<'a>(
    slots: &Slots<'a>,
    read: impl Fn(&Cell<'a>) -> Option<&'a str>,
) -> ConformResult<ArrayRef> {
    let mut total = 0;
    slots.for_each_value(&read, |value| total += value.map_or(0, str::len))?;
    mixed::offset(total)?;
    let mut builder = StringBuilder::with_capacity(slots.len(), total);
    slots.for_each_value(read, |value| builder.append_option(value))?;
    Ok(Arc::new(builder.finish()))
}

/// Builds a binary array, with the limit of [`strings`].
pub(super) fn binary<'a>(
    slots: &Slots<'a>,
    read: impl Fn(&Cell<'a>) -> Option<&'a [u8]>,
) -> ConformResult<ArrayRef> {
    let mut total = 0;
    slots.for_each_value(&read, |value| total += value.map_or(0, <[u8]>::len))?;
    mixed::offset(total)?;
    let mut builder = BinaryBuilder::with_capacity(slots.len(), total);
    slots.for_each_value(read, |value| builder.append_option(value))?;
    Ok(Arc::new(builder.finish()))
}
