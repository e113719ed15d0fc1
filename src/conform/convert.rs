//! Numbers and dates in other types: the same value, or the nearest one if rounding is allowed.
//!
//! Numbers are rounded to the nearest value of the type, ties to even: IEEE 754's default. Dates are truncated to
//! their second or day, as calendars do. Values out of range never fit. NaN and infinities do not fit types without
//! them.

use std::str::FromStr;

use arrow_schema::TimeUnit;

use super::{coerce, decimal};
use crate::chunk::Cell;
use crate::raw::{Decimal, Digits};
use crate::schema::{double_to_int, int_to_double};

const MS_PER_DAY: i64 = 86_400_000;

/// Permission to change a value to the nearest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Only the same value fits.
    Refused,
    /// The nearest value fits.
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

/// Rounds to the nearest double without a fraction, never the negative zero, if rounding is allowed.
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

/// Converts to a float; every NaN gives the same NaN.
pub(super) fn float32(cell: &Cell<'_>, rounding: Rounding) -> Option<f32> {
    let double = match *cell {
        Cell::Double(value) => value,
        Cell::Int32(value) => value.into(),
        // Converted directly: a conversion through a double would round twice.
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

/// Parses decimal text. The standard library rounds to the nearest binary number, ties to even.
fn from_decimal<T: FromStr + Copy>(bytes: [u8; 16], is_finite: fn(T) -> bool) -> Option<T> {
    let decimal = Decimal::from_bytes(bytes);
    let float: T = decimal.to_string().parse().ok()?;
    match decimal {
        Decimal::Finite(_) => is_finite(float).then_some(float),
        Decimal::NotCanonical(_) => None,
        Decimal::Infinite { .. } | Decimal::NaN | Decimal::SignallingNaN => Some(float),
    }
}

/// Converts to a number of a plain table, in which zeros have no sign.
pub(super) fn plain_decimal(cell: &Cell<'_>, precision: u8, scale: i8) -> Option<i128> {
    match *cell {
        Cell::Decimal128(bytes) => decimal::number(bytes, precision, scale),
        _ => decimal(cell, precision, scale, Rounding::Refused),
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

/// Converts a date at midnight UTC. Any other date has a time of day, which the result would lose.
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

/// Returns whether a decimal128 equals a binary number of `bits` bits; the value must lie in that number's range.
pub(super) fn is_binary(bytes: [u8; 16], bits: u32) -> bool {
    let Decimal::Finite(Digits {
        coefficient,
        exponent,
        ..
    }) = Decimal::from_bytes(bytes)
    else {
        return true;
    };
    // Ten to the exponent is a power of five times a power of two. The power of two does not change the number of
    // bits, and neither do trailing zeros of the coefficient.
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
