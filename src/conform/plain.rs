//! Values in Arrow types that no column is found in: converted when that is exact, a conflict otherwise.

use std::sync::Arc;

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::types::*;
use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field, TimeUnit};

use super::cells::{self, primitive, Slots};
use super::decimal::{parts, Parts};
use super::{fit, internal, Failure, Made};
use crate::chunk::{Cell, Values};
use crate::schema::int_to_double;

const MS_PER_DAY: i64 = 86_400_000;

/// A column as `to`; text and bytes of one type are laid out anew without a look at each cell.
pub(super) fn column(values: &Values, to: &DataType, field: &Field) -> Made<ArrayRef> {
    match (holds(to), values) {
        (Holds::Text, Values::String(array)) => Ok(arrow_cast::cast(array, to)?),
        (Holds::Bytes, Values::Binary(array)) => Ok(arrow_cast::cast(array, to)?),
        _ => build(&Slots::Values(values), to, field),
    }
}

/// What a layout of text or bytes is for.
enum Holds {
    Text,
    Bytes,
    Other,
}

fn holds(to: &DataType) -> Holds {
    match to {
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => Holds::Text,
        DataType::LargeBinary | DataType::BinaryView => Holds::Bytes,
        _ => Holds::Other,
    }
}

/// The cells as `to`.
pub(super) fn build(slots: &Slots<'_>, to: &DataType, field: &Field) -> Made<ArrayRef> {
    match to {
        DataType::Int8 => primitive::<Int8Type>(slots, int, field),
        DataType::Int16 => primitive::<Int16Type>(slots, int, field),
        DataType::UInt8 => primitive::<UInt8Type>(slots, int, field),
        DataType::UInt16 => primitive::<UInt16Type>(slots, int, field),
        DataType::UInt32 => primitive::<UInt32Type>(slots, int, field),
        DataType::UInt64 => primitive::<UInt64Type>(slots, uint64, field),
        DataType::Float32 => primitive::<Float32Type>(slots, float32, field),
        DataType::Decimal32(precision, scale) => {
            primitive::<Decimal32Type>(slots, |cell| decimal(cell, *precision, *scale), field)
        }
        DataType::Decimal64(precision, scale) => {
            primitive::<Decimal64Type>(slots, |cell| decimal(cell, *precision, *scale), field)
        }
        DataType::Decimal128(precision, scale) => {
            primitive::<Decimal128Type>(slots, |cell| decimal(cell, *precision, *scale), field)
        }
        DataType::Date32 => primitive::<Date32Type>(slots, days, field),
        DataType::Date64 => primitive::<Date64Type>(slots, midnight, field),
        DataType::Timestamp(unit, _) => {
            let read = |cell: &Cell<'_>| instant(cell, *unit);
            match unit {
                TimeUnit::Second => primitive::<TimestampSecondType>(slots, read, field),
                TimeUnit::Millisecond => primitive::<TimestampMillisecondType>(slots, read, field),
                TimeUnit::Microsecond => primitive::<TimestampMicrosecondType>(slots, read, field),
                TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(slots, read, field),
            }
        }
        DataType::FixedSizeBinary(width) => fixed(slots, *width),
        to => match holds(to) {
            Holds::Text => Ok(arrow_cast::cast(&cells::strings(slots, fit::string)?, to)?),
            Holds::Bytes => Ok(arrow_cast::cast(&cells::binary(slots, fit::binary)?, to)?),
            Holds::Other => Err(unexpected(to)),
        },
    }
}

/// Whether a value can be converted; the same questions that [`build`] asks.
pub(super) fn fits(to: &DataType, cell: &Cell<'_>) -> bool {
    match to {
        DataType::Int8 => int::<i8>(cell).is_some(),
        DataType::Int16 => int::<i16>(cell).is_some(),
        DataType::UInt8 => int::<u8>(cell).is_some(),
        DataType::UInt16 => int::<u16>(cell).is_some(),
        DataType::UInt32 => int::<u32>(cell).is_some(),
        DataType::UInt64 => uint64(cell).is_some(),
        DataType::Float32 => float32(cell).is_some(),
        DataType::Decimal32(precision, scale) => decimal::<i32>(cell, *precision, *scale).is_some(),
        DataType::Decimal64(precision, scale) => decimal::<i64>(cell, *precision, *scale).is_some(),
        DataType::Decimal128(precision, scale) => {
            decimal::<i128>(cell, *precision, *scale).is_some()
        }
        DataType::Date32 => days(cell).is_some(),
        DataType::Date64 => midnight(cell).is_some(),
        DataType::Timestamp(unit, _) => instant(cell, *unit).is_some(),
        DataType::FixedSizeBinary(width) => of_width(cell, *width).is_some(),
        to => match holds(to) {
            Holds::Text => fit::string(cell).is_some(),
            Holds::Bytes => fit::binary(cell).is_some(),
            Holds::Other => false,
        },
    }
}

fn unexpected(to: &DataType) -> Failure {
    Failure::Error(internal(format!("no values are converted to {to}")))
}

fn int<T: TryFrom<i64>>(cell: &Cell<'_>) -> Option<T> {
    T::try_from(fit::int64(cell)?).ok()
}

fn uint64(cell: &Cell<'_>) -> Option<u64> {
    /// 2^64: the first double above every uint64.
    const ABOVE: f64 = 18_446_744_073_709_551_616.0;
    match *cell {
        Cell::Double(value) => {
            let int = value as u64;
            (value < ABOVE && (int as f64).to_bits() == value.to_bits()).then_some(int)
        }
        _ => int(cell),
    }
}

/// The same number as a float; any NaN is one.
fn float32(cell: &Cell<'_>) -> Option<f32> {
    let double = match *cell {
        Cell::Double(value) => value,
        Cell::Int32(value) => value.into(),
        Cell::Int64(value) => int_to_double(value)?,
        _ => return None,
    };
    let float = double as f32;
    (f64::from(float) == double || double.is_nan()).then_some(float)
}

fn decimal<T: TryFrom<i128>>(cell: &Cell<'_>, precision: u8, scale: i8) -> Option<T> {
    let number = match *cell {
        Cell::Decimal128(bytes) => parts(bytes)?,
        Cell::Int32(value) => Parts::of_int(value.into()),
        Cell::Int64(value) => Parts::of_int(value),
        _ => return None,
    };
    T::try_from(number.scaled(precision, scale)?).ok()
}

/// A date that is midnight in UTC: any other has a time of day that a date would lose.
fn midnight(cell: &Cell<'_>) -> Option<i64> {
    fit::date(cell).filter(|ms| ms % MS_PER_DAY == 0)
}

fn days(cell: &Cell<'_>) -> Option<i32> {
    (midnight(cell)? / MS_PER_DAY).try_into().ok()
}

fn instant(cell: &Cell<'_>, unit: TimeUnit) -> Option<i64> {
    let ms = fit::date(cell)?;
    match unit {
        TimeUnit::Second => (ms % 1000 == 0).then_some(ms / 1000),
        TimeUnit::Millisecond => Some(ms),
        TimeUnit::Microsecond => ms.checked_mul(1000),
        TimeUnit::Nanosecond => ms.checked_mul(1_000_000),
    }
}

fn of_width<'a>(cell: &Cell<'a>, width: i32) -> Option<&'a [u8]> {
    fit::binary(cell).filter(|bytes| bytes.len() == width as usize)
}

fn fixed(slots: &Slots<'_>, width: i32) -> Made<ArrayRef> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(slots.len(), width);
    let mut outcome = Ok(());
    slots.each(
        |cell| of_width(cell, width),
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
