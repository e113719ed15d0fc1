//! Numbers and dates as other types: the same value, or where that was allowed the nearest one.
//!
//! Numbers are rounded to the nearest value that the type has, of two equally near ones to the even one: IEEE 754's
//! default. Dates are cut down to the second or the day they lie in, which is what a calendar does. What lies out of
//! range, and what is no number where the type has none such, does not fit either way.

use std::str::FromStr;

use arrow_schema::TimeUnit;

use super::{coerce, decimal};
use crate::chunk::Cell;
use crate::raw::{Decimal, Digits};
use crate::schema::{double_to_int, int_to_double};

const MS_PER_DAY: i64 = 86_400_000;

/// Whether a value may become one near it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Only the same value will do.
    Refused,
    /// The nearest will do.
    Allowed,
}

impl Rounding {
    fn is_allowed(self) -> bool {
        self == Rounding::Allowed
    }
}

pub(super) fn int<T: TryFrom<i64>>(cell: &Cell<'_>, rounding: Rounding) -> Option<T> {
    let value = match *cell {
        Cell::Double(value) => double_to_int(round_to_integer(value, rounding))?,
        _ => coerce::int64(cell)?,
    };
    T::try_from(value).ok()
}

pub(super) fn uint64(cell: &Cell<'_>, rounding: Rounding) -> Option<u64> {
    /// 2^64: the first double above every uint64.
    const ABOVE: f64 = 18_446_744_073_709_551_616.0;
    match *cell {
        Cell::Double(value) => {
            let value = round_to_integer(value, rounding);
            let int = value as u64;
            (value < ABOVE && (int as f64).to_bits() == value.to_bits()).then_some(int)
        }
        _ => int(cell, rounding),
    }
}

/// The nearest double without a fraction, never the negative zero, if rounding is allowed; else the same.
fn round_to_integer(value: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Refused => value,
        Rounding::Allowed => value.round_ties_even() + 0.0,
    }
}

pub(super) fn double(cell: &Cell<'_>, rounding: Rounding) -> Option<f64> {
    match *cell {
        Cell::Int64(value) if rounding.is_allowed() => Some(value as f64),
        Cell::Decimal128(bytes) if rounding.is_allowed() => from_decimal(bytes, f64::is_finite),
        _ => coerce::double(cell),
    }
}

/// As a float; any NaN is one.
pub(super) fn float32(cell: &Cell<'_>, rounding: Rounding) -> Option<f32> {
    let double = match *cell {
        Cell::Double(value) => value,
        Cell::Int32(value) => value.into(),
        // At once: by way of a double it would be rounded twice.
        Cell::Int64(value) if rounding.is_allowed() => return Some(value as f32),
        Cell::Int64(value) => int_to_double(value)?,
        Cell::Decimal128(bytes) if rounding.is_allowed() => {
            return from_decimal(bytes, f32::is_finite)
        }
        _ => return None,
    };
    let float = double as f32;
    let near = rounding.is_allowed() && float.is_finite();
    (near || f64::from(float) == double || double.is_nan()).then_some(float)
}

/// The standard library reads decimal text to the nearest binary number, half to even.
fn from_decimal<T: FromStr + Copy>(bytes: [u8; 16], is_finite: fn(T) -> bool) -> Option<T> {
    let decimal = Decimal::from_bytes(bytes);
    let float: T = decimal.to_string().parse().ok()?;
    match decimal {
        Decimal::Finite(_) => is_finite(float).then_some(float),
        Decimal::NotCanonical(_) => None,
        Decimal::Infinite { .. } | Decimal::NaN | Decimal::SignallingNaN => Some(float),
    }
}

pub(super) fn decimal<T: TryFrom<i128>>(
    cell: &Cell<'_>,
    precision: u8,
    scale: i8,
    rounding: Rounding,
) -> Option<T> {
    let digits = match *cell {
        Cell::Decimal128(bytes) => match Decimal::from_bytes(bytes) {
            Decimal::Finite(digits) => digits,
            _ => return None,
        },
        Cell::Int32(value) => decimal::of_int(value.into()),
        Cell::Int64(value) => decimal::of_int(value),
        _ => return None,
    };
    let number = match rounding {
        Rounding::Refused => decimal::scaled(digits, precision, scale)?,
        Rounding::Allowed => decimal::rounded(digits, precision, scale)?,
    };
    T::try_from(number).ok()
}

/// A date that is midnight in UTC: any other has a time of day that a date would lose.
pub(super) fn midnight(cell: &Cell<'_>, rounding: Rounding) -> Option<i64> {
    whole_units(coerce::date(cell)?, MS_PER_DAY, rounding)?.checked_mul(MS_PER_DAY)
}

pub(super) fn days(cell: &Cell<'_>, rounding: Rounding) -> Option<i32> {
    let days = whole_units(coerce::date(cell)?, MS_PER_DAY, rounding)?;
    days.try_into().ok()
}

pub(super) fn instant(cell: &Cell<'_>, unit: TimeUnit, rounding: Rounding) -> Option<i64> {
    let ms = coerce::date(cell)?;
    match unit {
        TimeUnit::Second => whole_units(ms, 1000, rounding),
        TimeUnit::Millisecond => Some(ms),
        TimeUnit::Microsecond => ms.checked_mul(1000),
        TimeUnit::Nanosecond => ms.checked_mul(1_000_000),
    }
}

fn whole_units(ms: i64, unit: i64, rounding: Rounding) -> Option<i64> {
    (rounding.is_allowed() || ms % unit == 0).then(|| ms.div_euclid(unit))
}

/// Whether a decimal128 is the same number as a binary one of so many bits, in whose range it lies.
pub(super) fn is_binary(bytes: [u8; 16], bits: u32) -> bool {
    let Decimal::Finite(Digits {
        coefficient,
        exponent,
        ..
    }) = Decimal::from_bytes(bytes)
    else {
        return true;
    };
    // Ten to the exponent is a power of five and one of two; the latter does not change how many bits are needed, nor do the
    // coefficient's own.
    let coefficient = match coefficient {
        0 => return true,
        coefficient => coefficient >> coefficient.trailing_zeros(),
    };
    let Some(fives) = 5u128.checked_pow(exponent.unsigned_abs()) else {
        return false;
    };
    let odd = if exponent >= 0 {
        coefficient.checked_mul(fives)
    } else {
        (coefficient % fives == 0).then_some(coefficient / fives)
    };
    odd.is_some_and(|odd| u128::BITS - odd.leading_zeros() <= bits)
}
