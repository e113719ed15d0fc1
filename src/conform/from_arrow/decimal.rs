//! Arrow decimals (one scale per column) as BSON decimal128 (one exponent per value).

use std::fmt::Display;

use arrow_array::types::{Decimal128Type, Decimal256Type, Decimal32Type, Decimal64Type};
use arrow_array::{
    cast::AsArray, Array, ArrayRef, ArrowPrimitiveType, FixedSizeBinaryArray, PrimitiveArray,
};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_schema::DataType;

use super::ArrowReader;
use crate::chunk::Values;
use crate::error::Result;

/// The digits of the largest coefficient.
const DIGITS: usize = 34;
/// One more than the largest coefficient.
const LIMIT: u128 = 10u128.pow(DIGITS as u32);
/// The exponent's bias, and the exponent's first bit in the encoding of coefficients below 2^113.
const BIAS: i32 = 6176;
const EXPONENT_AT: u32 = 113;

impl ArrowReader {
    /// Reads decimals of any width, which have `scale` digits after the point.
    pub(super) fn decimals(&self, array: &ArrayRef, scale: i8) -> Result<Values> {
        match array.data_type() {
            DataType::Decimal32(_, _) => {
                let small = |value: i32| Some(value.into());
                self.decimals_of::<Decimal32Type>(array.as_primitive(), scale, small)
            }
            DataType::Decimal64(_, _) => {
                let small = |value: i64| Some(value.into());
                self.decimals_of::<Decimal64Type>(array.as_primitive(), scale, small)
            }
            DataType::Decimal128(_, _) => {
                self.decimals_of::<Decimal128Type>(array.as_primitive(), scale, Some)
            }
            DataType::Decimal256(_, _) => {
                let small = |value: arrow_buffer::i256| value.to_i128();
                self.decimals_of::<Decimal256Type>(array.as_primitive(), scale, small)
            }
            other => Err(self.unsupported(other)),
        }
    }

    /// Reads decimals, whose unscaled values `small` converts to 128 bits if they fit.
    fn decimals_of<T: ArrowPrimitiveType<Native: Display>>(
        &self,
        array: &PrimitiveArray<T>,
        scale: i8,
        small: impl Fn(T::Native) -> Option<i128>,
    ) -> Result<Values> {
        // 34 digits and an exponent of -127 to 170 lie well within the range of decimal128.
        let exponent = -i32::from(scale);
        let mut values: Vec<[u8; 16]> = Vec::with_capacity(array.len());
        let (mut rounded_slots, mut nulled) = (Vec::new(), Vec::new());
        for slot in 0..array.len() {
            if array.is_null(slot) {
                values.push([0; 16]);
                continue;
            }
            let value = array.value(slot);
            let exact = small(value).filter(|value| value.unsigned_abs() < LIMIT);
            values.push(match exact {
                Some(value) => bytes(value < 0, value.unsigned_abs(), exponent),
                None if self.lossy.rounds_decimals => {
                    rounded_slots.push(slot);
                    rounded(&value.to_string(), exponent)
                }
                None if self.lossy.nulls_conflicts => {
                    nulled.push(slot);
                    [0; 16]
                }
                None => {
                    let text = "a decimal has more than the 34 digits that BSON's decimal128 holds";
                    return Err(self.value_error(slot, text));
                }
            });
        }
        let values = Buffer::from_vec(values.into_flattened());
        let mut nulls = array.nulls().cloned();
        if !nulled.is_empty() {
            let is_nulled = |slot| nulled.binary_search(&slot).is_ok();
            let kept: NullBuffer = (0..array.len()).map(|slot| !is_nulled(slot)).collect();
            nulls = NullBuffer::union(nulls.as_ref(), Some(&kept));
        }
        self.record_rounded(rounded_slots.into_iter());
        self.record_nulled(nulled.into_iter());
        Ok(Values::Decimal128(FixedSizeBinaryArray::new(
            16, values, nulls,
        )))
    }
}

/// The bytes of a decimal128 with a coefficient of at most 34 digits.
fn bytes(negative: bool, coefficient: u128, exponent: i32) -> [u8; 16] {
    debug_assert!(coefficient < LIMIT && (-127..=170).contains(&exponent));
    let sign = u128::from(negative) << 127;
    (sign | ((BIAS + exponent) as u128) << EXPONENT_AT | coefficient).to_le_bytes()
}

/// Rounds an integer of more than 34 digits, ties to even.
fn rounded(integer: &str, exponent: i32) -> [u8; 16] {
    let (negative, digits) = match integer.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, integer),
    };
    let (kept, dropped) = digits.split_at(DIGITS.min(digits.len()));
    let digit = |digit: u8| u128::from(digit - b'0');
    let mut coefficient = kept
        .bytes()
        .fold(0, |number, byte| number * 10 + digit(byte));
    let mut exponent = exponent + dropped.len() as i32;
    let half = dropped.starts_with('5') && dropped[1..].bytes().all(|byte| byte == b'0');
    let up = if half {
        coefficient % 2 == 1
    } else {
        dropped.as_bytes().first().is_some_and(|&byte| byte >= b'5')
    };
    coefficient += u128::from(up);
    if coefficient == LIMIT {
        coefficient /= 10;
        exponent += 1;
    }
    bytes(negative, coefficient, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::Decimal;

    #[test]
    fn long_integers_are_rounded_to_even() {
        let nines = "9".repeat(34);
        for (integer, wanted) in [
            (
                format!("1{}5", "0".repeat(33)),
                format!("1.{}E+34", "0".repeat(33)),
            ),
            (
                format!("1{}15", "0".repeat(32)),
                format!("1.{}2E+34", "0".repeat(32)),
            ),
            (
                format!("-1{}51", "0".repeat(33)),
                format!("-1.{}1E+35", "0".repeat(32)),
            ),
            (format!("{nines}5"), format!("1.{}E+35", "0".repeat(33))),
            (format!("{nines}4"), format!("9.{}E+34", "9".repeat(33))),
        ] {
            let text = Decimal::from_bytes(rounded(&integer, 0)).to_string();
            assert_eq!(text, wanted, "{integer}");
        }
    }
}
