//! Conversion of one column: shared if the types are equal, otherwise cast, encoded, or converted cell by cell.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{
    make_array, new_null_array, Array, ArrayRef, Float64Array, Int64Array, PrimitiveArray,
    StructArray, UInt32Array, UInt64Array,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field};

use super::cell_builder::{self, Slots};
use super::{
    arrow_only, binary, mixed, nested, represented, text, ConformResult, Failure, OnConflict,
    Policy,
};
use crate::chunk::{Column, Placement, Values};
use crate::schema::{int_to_double, Kind};

/// Converts `column` to an array of `kind`, whose Arrow field is `field`.
pub(super) fn column(
    column: &Column,
    kind: &Kind,
    field: &Field,
    policy: &Policy,
) -> ConformResult<ArrayRef> {
    let slots = values(column.values(), kind, field, policy)?;
    match column.placement() {
        Placement::Dense => Ok(slots),
        Placement::Sparse { rows, len } => expand_sparse(&slots, rows, *len),
    }
}

/// Places `slots` at `rows`, with nulls in all other rows. The bytes under those nulls are zeros. A take with null
/// indices would put copies of the first slot there, and the bytes of a table would depend on the split of its
/// result.
fn expand_sparse(slots: &ArrayRef, rows: &[u32], len: usize) -> ConformResult<ArrayRef> {
    use DataType::{Binary, LargeBinary, LargeList, LargeUtf8, List, Utf8};
    if slots.data_type() == &DataType::Null {
        return Ok(new_null_array(&DataType::Null, len));
    }
    let width = match slots.data_type() {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).ok(),
        other => other.primitive_width(),
    };
    if let Some(width) = width {
        return expand_fixed_width(slots, width, rows, expanded_nulls(slots, rows, len));
    }
    if let Some(slots) = slots.as_struct_opt() {
        let (fields, columns, _) = slots.clone().into_parts();
        let columns = columns
            .iter()
            .map(|column| expand_sparse(column, rows, len));
        let columns = columns.collect::<ConformResult<_>>()?;
        let nulls = expanded_nulls(slots, rows, len);
        return Ok(Arc::new(StructArray::try_new(
            fields,
            columns,
            Some(nulls),
        )?));
    }
    let mut from = vec![slots.len() as u32; len];
    for (slot, &row) in (0..).zip(rows) {
        from[row as usize] = slot;
    }
    if let Utf8 | LargeUtf8 | Binary | LargeBinary | List(_) | LargeList(_) = slots.data_type() {
        // These layouts hold no bytes under nulls.
        let from = UInt32Array::new(from.into(), Some(expanded_nulls(slots, rows, len)));
        return Ok(arrow_select::take::take(slots, &from, None)?);
    }
    let nothing = new_null_array(slots.data_type(), 1);
    let slots = arrow_select::concat::concat(&[slots, &nothing])?;
    Ok(arrow_select::take::take(
        &slots,
        &UInt32Array::from(from),
        None,
    )?)
}

/// Returns the validity of `len` rows: valid for rows with a non-null slot.
fn expanded_nulls(slots: &dyn Array, rows: &[u32], len: usize) -> NullBuffer {
    let mut there = vec![0u8; len.div_ceil(8)];
    for (slot, &row) in rows.iter().enumerate() {
        there[row as usize / 8] |= u8::from(slots.is_valid(slot)) << (row % 8);
    }
    NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(there), 0, len))
}

/// Places values of `width` bytes at `rows`, with zeros in all other rows. This is most of the work in wide tables
/// with few cells per row.
fn expand_fixed_width(
    slots: &ArrayRef,
    width: usize,
    rows: &[u32],
    nulls: NullBuffer,
) -> ConformResult<ArrayRef> {
    let data = slots.to_data();
    let start = data.offset() * width;
    let values = data.buffers()[0][start..].chunks_exact(width);
    let mut spread = vec![0; nulls.len() * width];
    for (value, &row) in values.zip(rows) {
        let at = row as usize * width;
        spread[at..at + width].copy_from_slice(value);
    }
    let spread = ArrayData::builder(slots.data_type().clone())
        .len(nulls.len())
        .nulls(Some(nulls))
        .add_buffer(Buffer::from_vec(spread))
        .align_buffers(true)
        .build()?;
    Ok(make_array(spread))
}

fn values(values: &Values, kind: &Kind, field: &Field, policy: &Policy) -> ConformResult<ArrayRef> {
    match convert_values(values, kind, field, policy) {
        // A value does not fit, and the policy keeps the others.
        Err(Failure::Conflict) if policy.on_conflict != OnConflict::Error => {
            cell_builder::build_array(&Slots::Values(values), kind, field, policy)
        }
        made => made,
    }
}

pub(super) fn convert_values(
    values: &Values,
    kind: &Kind,
    field: &Field,
    policy: &Policy,
) -> ConformResult<ArrayRef> {
    Ok(match (kind, values) {
        (_, Values::Null(len)) => new_null_array(field.data_type(), *len),
        (Kind::Mixed, values) => mixed::encode(&Slots::Values(values))?,
        (Kind::Double, Values::Double(array)) => Arc::new(array.clone()),
        (Kind::Int32, Values::Int32(array)) => Arc::new(array.clone()),
        (Kind::Int64, Values::Int64(array)) => Arc::new(array.clone()),
        (Kind::Boolean, Values::Boolean(array)) => Arc::new(array.clone()),
        (Kind::DateTime, Values::DateTime(array)) => Arc::new(array.clone()),
        (Kind::String, Values::String(array))
        | (Kind::Code, Values::Code(array))
        | (Kind::Symbol, Values::Symbol(array)) => Arc::new(array.clone()),
        (Kind::ObjectId, Values::ObjectId(array))
        | (Kind::Decimal128, Values::Decimal128(array))
        | (Kind::Uuid, Values::Uuid(array)) => Arc::new(array.clone()),
        (Kind::Binary, Values::Binary(array)) => Arc::new(array.clone()),
        (Kind::Marker(wanted), Values::Marker(found, array)) if wanted == found => {
            Arc::new(array.clone())
        }
        (Kind::Int64, Values::Int32(array)) => Arc::new(array.unary::<_, Int64Type>(i64::from)),
        (Kind::Double, Values::Int32(array)) => Arc::new(array.unary::<_, Float64Type>(f64::from)),
        (Kind::Double, Values::Int64(array)) => Arc::new(widen_to_double(array)?),
        (Kind::Int32, Values::Int64(array)) => Arc::new(narrow_to_int32(array)?),
        (Kind::Subtyped, Values::Subtyped { subtypes, bytes }) => struct_from_parts(
            field,
            vec![Arc::new(subtypes.clone()), Arc::new(bytes.clone())],
            bytes.nulls(),
        )?,
        (Kind::Subtyped, Values::Binary(array)) => binary::with_subtype(array, field)?,
        (Kind::Regex, Values::Regex { pattern, options }) => struct_from_parts(
            field,
            vec![Arc::new(pattern.clone()), Arc::new(options.clone())],
            pattern.nulls(),
        )?,
        (Kind::DbPointer, Values::DbPointer { namespace, id }) => struct_from_parts(
            field,
            vec![Arc::new(namespace.clone()), Arc::new(id.clone())],
            id.nulls(),
        )?,
        (Kind::CodeWithScope, Values::CodeWithScope { code, scope }) => struct_from_parts(
            field,
            vec![Arc::new(code.clone()), Arc::new(scope.clone())],
            code.nulls(),
        )?,
        (Kind::Timestamp, Values::Timestamp(array)) => split_timestamps(array, field)?,
        (Kind::Document(fields), Values::Document { nulls, documents }) => {
            nested::document(documents, nulls.as_ref(), fields, field, policy)?
        }
        (
            Kind::List(kind),
            Values::List {
                nulls,
                offsets,
                items,
            },
        ) => nested::list(items, offsets, nulls.as_ref(), kind, field, policy)?,
        (Kind::LegacyUuid(_), Values::Uuid(array)) => Arc::new(array.clone()),
        (Kind::Json(storage), values) => mixed::json(&Slots::Values(values), storage)?,
        (Kind::Represented(to), values) => represented::column(values, to, field, policy)?,
        (Kind::Text { storage, .. }, Values::String(array)) => {
            text::in_layout(Arc::new(array.clone()), storage)?
        }
        (Kind::Text { storage, .. }, Values::ObjectId(array)) => {
            text::in_layout(text::hex(array)?, storage)?
        }
        (Kind::ArrowOnly(to), values) => arrow_only::build_column(values, to, field)?,
        (
            Kind::LargeList(kind),
            Values::List {
                nulls,
                offsets,
                items,
            },
        ) => nested::list(items, offsets, nulls.as_ref(), kind, field, policy)?,
        (kind, values) => cell_builder::build_array(&Slots::Values(values), kind, field, policy)?,
    })
}

/// Builds a struct of parts of equal length, with the type of `field`.
pub(super) fn struct_from_parts(
    field: &Field,
    parts: Vec<ArrayRef>,
    nulls: Option<&NullBuffer>,
) -> ConformResult<ArrayRef> {
    let DataType::Struct(fields) = field.data_type() else {
        return Err(Failure::Error(super::internal_error(
            "a struct was expected",
        )));
    };
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        parts,
        nulls.cloned(),
    )?))
}

fn widen_to_double(array: &Int64Array) -> ConformResult<Float64Array> {
    // Values under nulls are arbitrary, so they are skipped.
    let exact = |value| int_to_double(value).ok_or(Failure::Conflict);
    array.try_unary::<_, Float64Type, _>(exact)
}

fn narrow_to_int32(array: &Int64Array) -> ConformResult<PrimitiveArray<Int32Type>> {
    array.try_unary(|value| i32::try_from(value).map_err(|_| Failure::Conflict))
}

fn split_timestamps(array: &UInt64Array, field: &Field) -> ConformResult<ArrayRef> {
    use arrow_array::types::UInt32Type;
    let time = array.unary::<_, UInt32Type>(|value| (value >> 32) as u32);
    let increment = array.unary::<_, UInt32Type>(|value| value as u32);
    struct_from_parts(
        field,
        vec![Arc::new(time), Arc::new(increment)],
        array.nulls(),
    )
}
