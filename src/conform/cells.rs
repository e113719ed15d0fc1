//! The way for columns that are not stored as the schema wants them: cell by cell, any value into any type it fits.

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

use super::column::parts;
use super::convert::Rounding;
use super::{fit, mixed, picked, plain, shown, Failure, Made, OnConflict, Policy};
use crate::chunk::{Cell, Values};
use crate::schema::{Kind, Shown};

/// A sequence of cells: null and missing are both [`Cell::Null`].
pub(super) enum Slots<'a> {
    /// As a column stores them.
    Values(&'a Values),
    /// Picked out of documents or lists that are kept as BSON.
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

    /// Hands each cell to `append`, read by `read`; a misfit when that gives nothing for a value.
    pub(super) fn each<T>(
        &self,
        read: impl Fn(&Cell<'a>) -> Option<T>,
        mut append: impl FnMut(Option<T>),
    ) -> Made<()> {
        for cell in self.iter() {
            match cell {
                Cell::Null => append(None),
                cell => append(Some(read(&cell).ok_or(Failure::Misfit)?)),
            }
        }
        Ok(())
    }
}

/// The cells as an array of `kind`, whose Arrow field is `field`.
pub(super) fn build(
    slots: &Slots<'_>,
    kind: &Kind,
    field: &Field,
    policy: &Policy,
) -> Made<ArrayRef> {
    let fitting;
    let slots = if policy.on_conflict == OnConflict::Error {
        slots
    } else {
        let cells = slots.iter().map(|cell| match fit::fits(kind, &cell) {
            true => cell,
            false => Cell::Null,
        });
        fitting = Slots::Cells(cells.collect());
        &fitting
    };
    Ok(match kind {
        Kind::Null => {
            slots.each(|_| None::<()>, |_| ())?;
            new_null_array(&DataType::Null, slots.len())
        }
        Kind::Double => primitive::<Float64Type>(slots, fit::double, field)?,
        Kind::Int32 => primitive::<Int32Type>(slots, fit::int32, field)?,
        Kind::Int64 => primitive::<Int64Type>(slots, fit::int64, field)?,
        Kind::DateTime => primitive::<TimestampMillisecondType>(slots, fit::date, field)?,
        Kind::Boolean => booleans(slots, fit::boolean)?,
        Kind::Marker(wanted) => booleans(slots, |cell| {
            matches!(cell, Cell::Marker(found) if found == wanted).then_some(true)
        })?,
        Kind::String => strings(slots, fit::string)?,
        Kind::Code => strings(slots, fit::code)?,
        Kind::Symbol => strings(slots, fit::symbol)?,
        Kind::ObjectId => fixed(slots, fit::object_id)?,
        Kind::Decimal128 => fixed(slots, fit::decimal)?,
        Kind::Uuid => fixed(slots, fit::uuid)?,
        Kind::Binary => binary(slots, fit::binary)?,
        Kind::Mixed => mixed::encode(slots)?,
        Kind::Subtyped => {
            let mut subtypes = UInt8Builder::with_capacity(slots.len());
            let data = binary(slots, |cell| fit::subtyped(cell).map(|(_, data)| data))?;
            slots.each(fit::subtyped, |value| {
                subtypes.append_option(value.map(|(subtype, _)| subtype));
            })?;
            together(field, Arc::new(subtypes.finish()), data)?
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
            together(field, pattern, options)?
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
            together(field, namespace, id)?
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
            together(field, code, scope)?
        }
        Kind::Timestamp => {
            let mut times = UInt32Builder::with_capacity(slots.len());
            let mut increments = UInt32Builder::with_capacity(slots.len());
            let read = |cell: &Cell<'_>| match *cell {
                Cell::Timestamp { time, increment } => Some((time, increment)),
                _ => None,
            };
            slots.each(read, |value| {
                times.append_option(value.map(|(time, _)| time));
                increments.append_option(value.map(|(_, increment)| increment));
            })?;
            together(
                field,
                Arc::new(times.finish()),
                Arc::new(increments.finish()),
            )?
        }
        Kind::Document(fields) => picked::documents(slots, fields, field, policy)?,
        Kind::List(items) | Kind::LargeList(items) => picked::lists(slots, items, field, policy)?,
        Kind::FixedSizeList(items, size) => {
            picked::fixed_lists(slots, items, *size, field, policy)?
        }
        Kind::Map(values) => picked::maps(slots, values, field, policy)?,
        Kind::Shown(Shown::Mixed(storage)) => mixed::json(slots, storage)?,
        Kind::Shown(shown) => {
            let base = shown.base();
            shown::show(build(slots, &base, &base.field(""), policy)?, shown)?
        }
        Kind::Plain(to) => plain::build(slots, to, field, Rounding::Refused)?,
        Kind::Rounded(to) => plain::build(slots, to, field, Rounding::Allowed)?,
    })
}

/// A struct of two parts that are null in the same places.
fn together(field: &Field, first: ArrayRef, second: ArrayRef) -> Made<ArrayRef> {
    let nulls = first.nulls().cloned();
    parts(field, vec![first, second], nulls.as_ref())
}

pub(super) fn primitive<T: ArrowPrimitiveType>(
    slots: &Slots<'_>,
    read: impl Fn(&Cell<'_>) -> Option<T::Native>,
    field: &Field,
) -> Made<ArrayRef> {
    let mut builder =
        PrimitiveBuilder::<T>::with_capacity(slots.len()).with_data_type(field.data_type().clone());
    slots.each(read, |value| builder.append_option(value))?;
    Ok(Arc::new(builder.finish()))
}

fn booleans(slots: &Slots<'_>, read: impl Fn(&Cell<'_>) -> Option<bool>) -> Made<ArrayRef> {
    let mut builder = BooleanBuilder::with_capacity(slots.len());
    slots.each(read, |value| builder.append_option(value))?;
    Ok(Arc::new(builder.finish()))
}

fn fixed<const N: usize>(
    slots: &Slots<'_>,
    read: impl Fn(&Cell<'_>) -> Option<[u8; N]>,
) -> Made<ArrayRef> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(slots.len(), N as i32);
    let mut outcome = Ok(());
    slots.each(read, |value| match value {
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

/// Text of cells; the 2 GiB that 32-bit offsets reach are checked before anything is copied.
pub(super) fn strings<'a>(
    slots: &Slots<'a>,
    read: impl Fn(&Cell<'a>) -> Option<&'a str>,
) -> Made<ArrayRef> {
    let mut total = 0;
    slots.each(&read, |value| total += value.map_or(0, str::len))?;
    mixed::offset(total)?;
    let mut builder = StringBuilder::with_capacity(slots.len(), total);
    slots.each(read, |value| builder.append_option(value))?;
    Ok(Arc::new(builder.finish()))
}

/// As [`strings`], for bytes.
pub(super) fn binary<'a>(
    slots: &Slots<'a>,
    read: impl Fn(&Cell<'a>) -> Option<&'a [u8]>,
) -> Made<ArrayRef> {
    let mut total = 0;
    slots.each(&read, |value| total += value.map_or(0, <[u8]>::len))?;
    mixed::offset(total)?;
    let mut builder = BinaryBuilder::with_capacity(slots.len(), total);
    slots.each(read, |value| builder.append_option(value))?;
    Ok(Arc::new(builder.finish()))
}
