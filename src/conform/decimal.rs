//! Decimals with a fixed scale.

use arrow_array::{Array, Decimal128Array, FixedSizeBinaryArray};
use arrow_buffer::ScalarBuffer;

use super::{ConformResult, Failure};
use crate::chunk::Cell;
use crate::raw::{Decimal, Digits, POWERS_OF_TEN};

/// Converts decimals to numbers of one scale; a value that does not fit is a conflict.
pub(super) fn numbers(
    array: &FixedSizeBinaryArray,
    precision: u8,
    scale: i8,
) -> ConformResult<Decimal128Array> {
    let mut numbers: Vec<i128> = Vec::with_capacity(array.len());
    for value in array {
        numbers.push(match value.and_then(|bytes| bytes.try_into().ok()) {
            // The bytes under nulls are zeros, so that they do not depend on the division of a result into Chunks.
            None => 0,
            Some(bytes) => number(bytes, precision, scale).ok_or(Failure::Conflict)?,
        });
    }
    let numbers = Decimal128Array::try_new(ScalarBuffer::from(numbers), array.nulls().cloned())?;
    Ok(numbers.with_precision_and_scale(precision, scale)?)
}

/// Converts a decimal to a number of one scale. Zeros of either sign are zero.
pub(super) fn number(bytes: [u8; 16], precision: u8, scale: i8) -> Option<i128> {
    match Decimal::from_bytes(bytes) {
        Decimal::Finite(digits) if digits.coefficient != 0 => scaled(digits, precision, scale),
        Decimal::Finite(_) | Decimal::NotCanonical(_) => Some(0),
        Decimal::Infinite { .. } | Decimal::NaN | Decimal::SignallingNaN => None,
    }
}

/// Returns the digits of a decimal or an integer.
pub(super) fn text(cell: &Cell<'_>) -> Option<String> {
    Some(match *cell {
        Cell::Decimal128(bytes) => Decimal::from_bytes(bytes).to_string(),
        Cell::Int32(value) => value.to_string(),
        Cell::Int64(value) => value.to_string(),
        _ => return None,
    })
}

/// Converts an integer to a decimal.
pub(super) fn of_int(value: i64) -> Digits {
    Digits {
        negative: value < 0,
        coefficient: value.unsigned_abs().into(),
        exponent: 0,
    }
}

/// Multiplies by ten to the power `scale`, if the result is an integer of at most `precision` digits. The negative
/// zero fails, because integers have none.
pub(super) fn scaled(digits: Digits, precision: u8, scale: i8) -> Option<i128> {
    if digits.coefficient == 0 {
        return (!digits.negative).then_some(0);
    }
    let shift = digits.exponent + i32::from(scale);
    let power = *POWERS_OF_TEN.get(shift.unsigned_abs() as usize)?;
    let unsigned = if shift == 0 {
        digits.coefficient
    } else if shift > 0 {
        digits.coefficient.checked_mul(power)?
    } else {
        digits
            .coefficient
            .is_multiple_of(power)
            .then_some(digits.coefficient / power)?
    };
    signed(digits, unsigned, precision)
}

/// Multiplies like [`scaled`], and rounds to the nearest integer, ties to even.
pub(super) fn rounded(digits: Digits, precision: u8, scale: i8) -> Option<i128> {
    let shift = digits.exponent + i32::from(scale);
    if digits.coefficient == 0 || shift >= 0 {
        let digits = Digits {
            negative: digits.negative && digits.coefficient != 0,
            ..digits
        };
        return scaled(digits, precision, scale);
    }
    // A shift of 35 or more drops all digits, and the first dropped digit is a zero.
    let unsigned = match 10u128.checked_pow(shift.unsigned_abs()) {
        None => 0,
        Some(power) => {
            let (whole, rest) = (digits.coefficient / power, digits.coefficient % power);
            // The power is even, so its half is exact.
            let up = rest > power / 2 || (rest == power / 2 && whole % 2 == 1);
            whole + u128::from(up)
        }
    };
    signed(digits, unsigned, precision)
}

fn signed(digits: Digits, unsigned: u128, precision: u8) -> Option<i128> {
    if unsigned >= *POWERS_OF_TEN.get(usize::from(precision))? {
        return None;
    }
    let value = i128::try_from(unsigned).ok()?;
    Some(if digits.negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_COEFFICIENT: u128 = 10u128.pow(34) - 1;

    fn of(coefficient: u128, exponent: i32) -> Digits {
        Digits {
            negative: false,
            coefficient,
            exponent,
        }
    }

    fn minus(digits: Digits) -> Digits {
        Digits {
            negative: true,
            ..digits
        }
    }

    #[test]
    fn scaling_keeps_the_number_or_fails() {
        assert_eq!(scaled(of(150, -2), 3, 1), Some(15));
        assert_eq!(scaled(of(155, -2), 3, 1), None);
        assert_eq!(scaled(of(15, 3), 5, 0), Some(15_000));
        assert_eq!(scaled(of(15, 3), 4, 0), None);
        assert_eq!(scaled(of(15, 3), 2, -3), Some(15));
        assert_eq!(scaled(of(0, 6111), 1, 0), Some(0));
        assert_eq!(scaled(of(1, 6111), 38, 0), None);
        assert_eq!(scaled(of(1, -6176), 38, 38), None);
        assert_eq!(
            scaled(of(MAX_COEFFICIENT, 4), 38, 0),
            Some(99_999_999_999_999_999_999_999_999_999_999_990_000)
        );
        assert_eq!(scaled(minus(of(0, 0)), 5, 0), None);
        assert_eq!(scaled(of_int(i64::MIN), 19, 0), Some(i64::MIN.into()));
    }

    #[test]
    fn halves_go_to_even() {
        for (coefficient, exponent, wanted) in [
            (5, -1, 0),
            (15, -1, 2),
            (25, -1, 2),
            (2_500_000_001, -9, 3),
            (249, -2, 2),
            (1, -6176, 0),
            (MAX_COEFFICIENT, -34, 1),
            (MAX_COEFFICIENT, -38, 0),
            (MAX_COEFFICIENT, -39, 0),
        ] {
            assert_eq!(rounded(of(coefficient, exponent), 38, 0), Some(wanted));
            let negative = minus(of(coefficient, exponent));
            assert_eq!(rounded(negative, 38, 0), Some(-wanted));
        }
        assert_eq!(rounded(minus(of(0, 0)), 5, 2), Some(0));
        assert_eq!(rounded(minus(of(0, -9)), 5, 2), Some(0));
        assert_eq!(rounded(of(9995, -1), 3, 0), None, "1000 has four digits");
        assert_eq!(rounded(of(9994, -1), 3, 0), Some(999));
        assert_eq!(rounded(of(1, 6111), 38, 0), None);
        assert_eq!(rounded(of_int(1250), 3, -2), Some(12));
    }
}
