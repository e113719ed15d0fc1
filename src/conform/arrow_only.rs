//! Values in Arrow types that no BSON type maps to: converted if that is exact, or rounded if that is allowed;
//! otherwise a conflict.

use std::sync::Arc;

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::types::*;
use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field, TimeUnit};

use super::cell_builder::{self, primitive, Slots};
use super::convert::{self, Rounding};
use super::{coerce, internal_error, ConformResult, Failure};
use crate::chunk::{Cell, Values};

/// Converts a column to `to`; a column of only text or only bytes is cast as a whole.
pub(super) fn build_column(
    values: &Values,
    to: &DataType,
    field: &Field,
) -> ConformResult<ArrayRef> {
    match (layout_family(to), values) {
        (LayoutFamily::Text, Values::String(array)) => Ok(arrow_cast::cast(array, to)?),
        (LayoutFamily::Bytes, Values::Binary(array)) => Ok(arrow_cast::cast(array, to)?),
        _ => build_array(&Slots::Values(values), to, field, Rounding::Refused),
    }
}

/// The values that a layout stores.
enum LayoutFamily {
    Text,
    Bytes,
    Other,
}

fn layout_family(to: &DataType) -> LayoutFamily {
    match to {
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => LayoutFamily::Text,
        DataType::LargeBinary | DataType::BinaryView => LayoutFamily::Bytes,
        _ => LayoutFamily::Other,
    }
}

/// Converts the cells to `to`.
pub(super) fn build_array(
    slots: &Slots<'_>,
    to: &DataType,
    field: &Field,
    rounding: Rounding,
) -> ConformResult<ArrayRef> {
    macro_rules! converted {
        ($kind:ty, $convert:ident $(, $more:expr)*) => {
            primitive::<$kind>(slots, |cell| convert::$convert(cell $(, $more)*, rounding), field)
        };
    }
    match to {
        DataType::Int8 => converted!(Int8Type, int),
        DataType::Int16 => converted!(Int16Type, int),
        DataType::Int32 => converted!(Int32Type, int),
        DataType::Int64 => converted!(Int64Type, int),
        DataType::UInt8 => converted!(UInt8Type, int),
        DataType::UInt16 => converted!(UInt16Type, int),
        DataType::UInt32 => converted!(UInt32Type, int),
        DataType::UInt64 => converted!(UInt64Type, uint64),
        DataType::Float32 => converted!(Float32Type, float32),
        DataType::Float64 => converted!(Float64Type, double),
        DataType::Decimal32(digits, scale) => converted!(Decimal32Type, decimal, *digits, *scale),
        DataType::Decimal64(digits, scale) => converted!(Decimal64Type, decimal, *digits, *scale),
        DataType::Decimal128(digits, scale) => converted!(Decimal128Type, decimal, *digits, *scale),
        DataType::Date32 => converted!(Date32Type, days),
        DataType::Date64 => converted!(Date64Type, midnight),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => converted!(TimestampSecondType, instant, *unit),
            TimeUnit::Millisecond => converted!(TimestampMillisecondType, instant, *unit),
            TimeUnit::Microsecond => converted!(TimestampMicrosecondType, instant, *unit),
            TimeUnit::Nanosecond => converted!(TimestampNanosecondType, instant, *unit),
        },
        DataType::FixedSizeBinary(width) => fixed(slots, *width),
        to => match layout_family(to) {
            LayoutFamily::Text => Ok(arrow_cast::cast(
                &cell_builder::strings(slots, coerce::string)?,
                to,
            )?),
            LayoutFamily::Bytes => Ok(arrow_cast::cast(
                &cell_builder::binary(slots, coerce::binary)?,
                to,
            )?),
            LayoutFamily::Other => Err(unsupported_type(to)),
        },
    }
}

/// Returns whether a value can be converted, by the same rules as [`build_array`].
pub(super) fn can_convert(to: &DataType, cell: &Cell<'_>, rounding: Rounding) -> bool {
    match to {
        DataType::Int8 => convert::int::<i8>(cell, rounding).is_some(),
        DataType::Int16 => convert::int::<i16>(cell, rounding).is_some(),
        DataType::Int32 => convert::int::<i32>(cell, rounding).is_some(),
        DataType::Int64 => convert::int::<i64>(cell, rounding).is_some(),
        DataType::UInt8 => convert::int::<u8>(cell, rounding).is_some(),
        DataType::UInt16 => convert::int::<u16>(cell, rounding).is_some(),
        DataType::UInt32 => convert::int::<u32>(cell, rounding).is_some(),
        DataType::UInt64 => convert::uint64(cell, rounding).is_some(),
        DataType::Float32 => convert::float32(cell, rounding).is_some(),
        DataType::Float64 => convert::double(cell, rounding).is_some(),
        DataType::Decimal32(digits, scale) => {
            convert::decimal::<i32>(cell, *digits, *scale, rounding).is_some()
        }
        DataType::Decimal64(digits, scale) => {
            convert::decimal::<i64>(cell, *digits, *scale, rounding).is_some()
        }
        DataType::Decimal128(digits, scale) => {
            convert::decimal::<i128>(cell, *digits, *scale, rounding).is_some()
        }
        DataType::Date32 => convert::days(cell, rounding).is_some(),
        DataType::Date64 => convert::midnight(cell, rounding).is_some(),
        DataType::Timestamp(unit, _) => convert::instant(cell, *unit, rounding).is_some(),
        DataType::FixedSizeBinary(width) => bytes_of_width(cell, *width).is_some(),
        to => match layout_family(to) {
            LayoutFamily::Text => coerce::string(cell).is_some(),
            LayoutFamily::Bytes => coerce::binary(cell).is_some(),
            LayoutFamily::Other => false,
        },
    }
}

/// Returns whether a value changes when it is rounded.
pub(super) fn is_rounded(to: &DataType, cell: &Cell<'_>) -> bool {
    let same = match (to, cell) {
        (DataType::Float64, Cell::Decimal128(bytes)) => convert::is_binary(*bytes, 53),
        (DataType::Float32, Cell::Decimal128(bytes)) => convert::is_binary(*bytes, 24),
        _ => can_convert(to, cell, Rounding::Refused),
    };
    !same && can_convert(to, cell, Rounding::Allowed)
}

fn unsupported_type(to: &DataType) -> Failure {
    Failure::Error(internal_error(format!(
        "values cannot be converted to {to}"
    )))
}

fn bytes_of_width<'a>(cell: &Cell<'a>, width: i32) -> Option<&'a [u8]> {
    coerce::binary(cell).filter(|bytes| bytes.len() == width as usize)
}

fn fixed(slots: &Slots<'_>, width: i32) -> ConformResult<ArrayRef> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(slots.len(), width);
    let mut outcome = Ok(());
    slots.for_each_value(
        |cell| bytes_of_width(cell, width),
        |value| match value {
            Some(bytes) => {
                if let Err(error) = builder.append_value(bytes) {
                    outcome = Err(error);
                }
            }
            None => builder.append_null(),
        },
    )?;
    outcome?;
    Ok(Arc::new(builder.finish()))
}
