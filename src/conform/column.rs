//! One column: kept as it is where the type is the same, otherwise cast, encoded, or read cell by cell.

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

use super::cells::{self, Slots};
use super::{binary, mixed, nested, plain, shown, Failure, Made, OnConflict, Policy};
use crate::chunk::{Column, Placement, Values};
use crate::schema::{int_to_double, Kind, Shown};

/// `column` as an array of `kind`, whose Arrow field is `field`.
pub(super) fn column(
    column: &Column,
    kind: &Kind,
    field: &Field,
    policy: &Policy,
) -> Made<ArrayRef> {
    let slots = values(column.values(), kind, field, policy)?;
    match column.placement() {
        Placement::Dense => Ok(slots),
        Placement::Sparse { rows, len } => spread(&slots, rows, *len),
    }
}

/// `slots` put at `rows`, null everywhere else. What lies under those nulls is zeros: taken with null indices, it would be
/// copies of the first slot, and a table's bytes would tell where its result was cut.
fn spread(slots: &ArrayRef, rows: &[u32], len: usize) -> Made<ArrayRef> {
    use DataType::{Binary, LargeBinary, LargeList, LargeUtf8, List, Utf8};
    if slots.data_type() == &DataType::Null {
        return Ok(new_null_array(&DataType::Null, len));
    }
    let width = match slots.data_type() {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).ok(),
        other => other.primitive_width(),
    };
    if let Some(width) = width {
        return scatter(slots, width, rows, nulls(slots, rows, len));
    }
    if let Some(slots) = slots.as_struct_opt() {
        let (fields, columns, _) = slots.clone().into_parts();
        let columns = columns.iter().map(|column| spread(column, rows, len));
        let columns = columns.collect::<Made<_>>()?;
        let nulls = nulls(slots, rows, len);
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
        // Nothing can lie under the nulls of these.
        let from = UInt32Array::new(from.into(), Some(nulls(slots, rows, len)));
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

/// Which of `len` rows have a slot that is not null.
fn nulls(slots: &dyn Array, rows: &[u32], len: usize) -> NullBuffer {
    let mut there = vec![0u8; len.div_ceil(8)];
    for (slot, &row) in rows.iter().enumerate() {
        there[row as usize / 8] |= u8::from(slots.is_valid(slot)) << (row % 8);
    }
    NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(there), 0, len))
}

/// Values of `width` bytes put at `rows`, zeros everywhere else: in wide tables with few cells a row this is most of the work.
fn scatter(slots: &ArrayRef, width: usize, rows: &[u32], nulls: NullBuffer) -> Made<ArrayRef> {
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

fn values(values: &Values, kind: &Kind, field: &Field, policy: &Policy) -> Made<ArrayRef> {
    match whole(values, kind, field, policy) {
        // Some value does not fit, and the others are wanted.
        Err(Failure::Misfit) if policy.on_conflict != OnConflict::Error => {
            cells::build(&Slots::Values(values), kind, field, policy)
        }
        made => made,
    }
}

fn whole(values: &Values, kind: &Kind, field: &Field, policy: &Policy) -> Made<ArrayRef> {
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
        (Kind::Double, Values::Int64(array)) => Arc::new(doubles(array)?),
        (Kind::Int32, Values::Int64(array)) => Arc::new(narrowed(array)?),
        (Kind::Subtyped, Values::Subtyped { subtypes, bytes }) => parts(
            field,
            vec![Arc::new(subtypes.clone()), Arc::new(bytes.clone())],
            bytes.nulls(),
        )?,
        (Kind::Subtyped, Values::Binary(array)) => binary::with_subtype(array, field)?,
        (Kind::Regex, Values::Regex { pattern, options }) => parts(
            field,
            vec![Arc::new(pattern.clone()), Arc::new(options.clone())],
            pattern.nulls(),
        )?,
        (Kind::DbPointer, Values::DbPointer { namespace, id }) => parts(
            field,
            vec![Arc::new(namespace.clone()), Arc::new(id.clone())],
            id.nulls(),
        )?,
        (Kind::CodeWithScope, Values::CodeWithScope { code, scope }) => parts(
            field,
            vec![Arc::new(code.clone()), Arc::new(scope.clone())],
            code.nulls(),
        )?,
        (Kind::Timestamp, Values::Timestamp(array)) => timestamps(array, field)?,
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
        (Kind::Shown(Shown::Mixed(storage)), values) => {
            mixed::json(&Slots::Values(values), storage)?
        }
        (Kind::Shown(shown), values) => {
            let base = shown.base();
            shown::show(whole(values, &base, &base.field(""), policy)?, shown)?
        }
        (Kind::Plain(to), values) => plain::column(values, to, field)?,
        (
            Kind::LargeList(kind),
            Values::List {
                nulls,
                offsets,
                items,
            },
        ) => nested::list(items, offsets, nulls.as_ref(), kind, field, policy)?,
        (kind, values) => cells::build(&Slots::Values(values), kind, field, policy)?,
    })
}

/// A struct of equally long parts, with the type of `field`.
pub(super) fn parts(
    field: &Field,
    parts: Vec<ArrayRef>,
    nulls: Option<&NullBuffer>,
) -> Made<ArrayRef> {
    let DataType::Struct(fields) = field.data_type() else {
        return Err(Failure::Error(super::internal("a struct was expected")));
    };
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        parts,
        nulls.cloned(),
    )?))
}

fn doubles(array: &Int64Array) -> Made<Float64Array> {
    // Under nulls there may be any value: those are not looked at.
    let exact = |value| int_to_double(value).ok_or(Failure::Misfit);
    array.try_unary::<_, Float64Type, _>(exact)
}

fn narrowed(array: &Int64Array) -> Made<PrimitiveArray<Int32Type>> {
    array.try_unary(|value| i32::try_from(value).map_err(|_| Failure::Misfit))
}

fn timestamps(array: &UInt64Array, field: &Field) -> Made<ArrayRef> {
    use arrow_array::types::UInt32Type;
    let time = array.unary::<_, UInt32Type>(|value| (value >> 32) as u32);
    let increment = array.unary::<_, UInt32Type>(|value| value as u32);
    parts(
        field,
        vec![Arc::new(time), Arc::new(increment)],
        array.nulls(),
    )
}
