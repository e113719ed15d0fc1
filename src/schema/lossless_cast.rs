//! Number conversions that fail instead of losing information.

/// 2^63: the first double above every int64.
const ABOVE_INT64: f64 = 9_223_372_036_854_775_808.0;

/// Converts `value` to a double if that is the same number.
///
/// The range is checked first: `i64::MAX as f64 as i64` saturates back to `i64::MAX`, although the double is 2^63.
#[inline]
pub fn int_to_double(value: i64) -> Option<f64> {
    let double = value as f64;
    (double < ABOVE_INT64 && double as i64 == value).then_some(double)
}

/// Converts `value` to an int64 if that is the same number: no fraction, in range, and not the negative zero.
#[inline]
pub fn double_to_int(value: f64) -> Option<i64> {
    let int = value as i64;
    let same = (int as f64).to_bits() == value.to_bits();
    (value < ABOVE_INT64 && same).then_some(int)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lossless_casts_return_a_value() {
        const TWO_53: i64 = 1 << 53;
        for exact in [0, 1, -1, TWO_53, -TWO_53, TWO_53 + 2, i64::MIN, 1 << 62] {
            let double = int_to_double(exact).unwrap();
            assert_eq!(double_to_int(double), Some(exact));
        }
        for inexact in [
            TWO_53 + 1,
            -TWO_53 - 1,
            i64::MAX,
            i64::MAX - 1,
            i64::MIN + 1,
        ] {
            assert_eq!(int_to_double(inexact), None, "{inexact}");
        }
        let doubles = [
            -0.0,
            0.5,
            1e300,
            -1e300,
            f64::NAN,
            f64::INFINITY,
            ABOVE_INT64,
        ];
        for double in doubles {
            assert_eq!(double_to_int(double), None, "{double}");
        }
        assert_eq!(double_to_int(-ABOVE_INT64), Some(i64::MIN));
    }
}
