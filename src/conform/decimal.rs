//! BSON decimal128 taken apart, and as a number of a fixed scale when that is the same number.

use std::fmt;

/// The largest coefficient that is canonical: 34 nines.
const MAX_COEFFICIENT: u128 = 9_999_999_999_999_999_999_999_999_999_999_999;
const BIAS: i32 = 6176;

/// A finite decimal: its sign, coefficient and exponent of ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub negative: bool,
    pub coefficient: u128,
    pub exponent: i32,
}

/// The parts of 16 bytes on the wire; nothing for NaN, infinities, and encodings that are not canonical.
pub(super) fn parts(bytes: [u8; 16]) -> Option<Parts> {
    let bits = u128::from_le_bytes(bytes);
    // With both of these bits the exponent stands elsewhere: infinity, NaN, or a coefficient above the largest.
    if (bits >> 125) & 0b11 == 0b11 {
        return None;
    }
    let coefficient = bits & ((1 << 113) - 1);
    (coefficient <= MAX_COEFFICIENT).then_some(Parts {
        negative: bits >> 127 == 1,
        coefficient,
        exponent: ((bits >> 113) & 0x3fff) as i32 - BIAS,
    })
}

impl Parts {
    /// An integer.
    pub fn of_int(value: i64) -> Parts {
        Parts {
            negative: value < 0,
            coefficient: value.unsigned_abs().into(),
            exponent: 0,
        }
    }

    /// The number times ten to `scale`, when that is an integer of at most `precision` digits. The negative zero is
    /// not: an integer has none.
    pub fn scaled(self, precision: u8, scale: i8) -> Option<i128> {
        if self.coefficient == 0 {
            return (!self.negative).then_some(0);
        }
        let shift = self.exponent + i32::from(scale);
        let power = 10u128.checked_pow(shift.unsigned_abs())?;
        let digits = if shift >= 0 {
            self.coefficient.checked_mul(power)?
        } else {
            (self.coefficient % power == 0).then_some(self.coefficient / power)?
        };
        if digits >= 10u128.checked_pow(precision.into())? {
            return None;
        }
        let digits = i128::try_from(digits).ok()?;
        Some(if self.negative { -digits } else { digits })
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        write!(f, "{sign}{}E{:+}", self.coefficient, self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(coefficient: u128, exponent: i32) -> Parts {
        let bits = coefficient | (((exponent + BIAS) as u128) << 113);
        parts(bits.to_le_bytes()).unwrap()
    }

    #[test]
    fn only_the_same_number_is_given() {
        assert_eq!(of(150, -2).scaled(3, 1), Some(15));
        assert_eq!(of(155, -2).scaled(3, 1), None);
        assert_eq!(of(15, 3).scaled(5, 0), Some(15_000));
        assert_eq!(of(15, 3).scaled(4, 0), None);
        assert_eq!(of(15, 3).scaled(2, -3), Some(15));
        assert_eq!(of(0, 6111).scaled(1, 0), Some(0));
        assert_eq!(of(1, 6111).scaled(38, 0), None);
        assert_eq!(of(1, -6176).scaled(38, 38), None);
        assert_eq!(
            of(MAX_COEFFICIENT, 4).scaled(38, 0),
            Some(99_999_999_999_999_999_999_999_999_999_999_990_000)
        );
        let minus = |parts: Parts| Parts {
            negative: true,
            ..parts
        };
        assert_eq!(minus(of(0, 0)).scaled(5, 0), None);
        assert_eq!(Parts::of_int(i64::MIN).scaled(19, 0), Some(i64::MIN.into()));
    }

    #[test]
    fn what_is_no_finite_number_has_no_parts() {
        for high in [0x7c00_u128, 0x7800, 0xf800, 0x7e00, 0x6c10] {
            assert_eq!(parts((high << 112).to_le_bytes()), None, "{high:x}");
        }
        let bits = (MAX_COEFFICIENT + 1) | ((BIAS as u128) << 113);
        assert_eq!(parts(bits.to_le_bytes()), None);
    }
}
