//! The digits of the decimals at one path, from which the precision and scale of a number column follow.

use super::observed_types::FirstDocument;
use crate::raw::{Decimal, Digits, POWERS_OF_TEN};

/// The digits of the decimals at one path, and of the integers beside them. Joining is associative and does not depend
/// on the order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecimalDigits {
    /// True if some value is NaN or infinite.
    special: bool,
    /// Digits before the point, in the longest value.
    integer: u32,
    /// Digits after the point as they are written, in the longest value that is not zero.
    written: u32,
    /// Digits after the point without the zeros at the end, in the longest value.
    significant: u32,
    /// The number of finite decimals by exponent, and the first document with one, in order of first appearance.
    exponents: Vec<ExponentCount>,
}

/// The finite decimals with one exponent.
#[derive(Clone, Debug, PartialEq)]
struct ExponentCount {
    exponent: i32,
    count: u64,
    first: FirstDocument,
}

impl DecimalDigits {
    /// Digits of a number that fits into 64 bits. With more of them, products and quotients overflow in pyarrow and
    /// pandas.
    const SHORT: u32 = 18;
    /// The largest precision of Arrow's Decimal128.
    pub(super) const PRECISION: u8 = 38;
    /// Digits that a number of the largest precision keeps free for sums.
    const SPARE: u32 = 3;
    /// Digits after the point of a number whose values are not known yet.
    pub(super) const SCALE: i8 = 10;

    /// Records the decimals with these bytes; `first` locates the one at a position.
    pub(super) fn record<'a>(
        &mut self,
        values: impl Iterator<Item = (usize, &'a [u8; 16])>,
        first: impl Fn(usize) -> FirstDocument,
    ) {
        let mut latest = None;
        for (slot, bytes) in values {
            let digits = match Decimal::from_bytes(*bytes) {
                Decimal::Finite(digits) | Decimal::NotCanonical(digits) => digits,
                Decimal::Infinite { .. } | Decimal::NaN | Decimal::SignallingNaN => {
                    self.special = true;
                    continue;
                }
            };
            self.extend(digits);
            let place = match latest {
                Some((exponent, place)) if exponent == digits.exponent => place,
                _ => self.place(digits.exponent, || first(slot)),
            };
            latest = Some((digits.exponent, place));
            self.exponents[place].count += 1;
        }
    }

    /// Records an integer, by its absolute value.
    pub(super) fn record_integer(&mut self, magnitude: u64) {
        self.extend(Digits {
            negative: false,
            coefficient: magnitude.into(),
            exponent: 0,
        });
    }

    /// Extends the lengths by those of a value. Most values are not longer than those before them, so each length is
    /// compared before it is computed.
    #[inline]
    fn extend(&mut self, digits: Digits) {
        let Digits {
            mut coefficient,
            exponent,
            ..
        } = digits;
        if coefficient == 0 {
            return;
        }
        let bound = usize::try_from(self.integer as i32 - exponent);
        let is_shorter =
            bound.is_ok_and(|bound| POWERS_OF_TEN.get(bound).is_none_or(|&p| coefficient < p));
        if !is_shorter {
            let length = coefficient.ilog10() as i32 + 1 + exponent;
            self.integer = self.integer.max(length.max(0) as u32);
        }
        let mut fraction = exponent.min(0).unsigned_abs();
        self.written = self.written.max(fraction);
        while fraction > self.significant {
            if coefficient % 10 != 0 {
                self.significant = fraction;
                break;
            }
            coefficient /= 10;
            fraction -= 1;
        }
    }

    fn place(&mut self, exponent: i32, first: impl FnOnce() -> FirstDocument) -> usize {
        let known = self
            .exponents
            .iter()
            .position(|seen| seen.exponent == exponent);
        known.unwrap_or_else(|| {
            self.exponents.push(ExponentCount {
                exponent,
                count: 0,
                first: first(),
            });
            self.exponents.len() - 1
        })
    }

    /// Adds the digits of the values that follow these.
    pub(super) fn join(&mut self, other: DecimalDigits) {
        self.special |= other.special;
        self.integer = self.integer.max(other.integer);
        self.written = self.written.max(other.written);
        self.significant = self.significant.max(other.significant);
        for seen in other.exponents {
            let place = self.place(seen.exponent, || seen.first);
            self.exponents[place].count += seen.count;
        }
    }

    /// Returns the precision and scale of a number column that holds all values; `None` if there is none, and the values
    /// are text.
    ///
    /// The scale is that of the longest fraction as it is written. If the column would be too wide, zeros at the end of
    /// fractions do not count. A column of up to 18 digits has the precision 18; a longer one has 38, of which 3 digits are
    /// spare. With `frozen`, the column has room for later values: precision 38 and at least 10 digits after the point, if
    /// the values leave them.
    pub fn number(&self, frozen: bool) -> Option<(u8, i8)> {
        if self.special {
            return None;
        }
        let longest = u32::from(Self::PRECISION) - Self::SPARE;
        let fraction = match self.integer + self.written <= longest {
            true => self.written,
            false => self.significant,
        };
        let total = self.integer + fraction;
        let scale = i8::try_from(fraction).ok()?;
        if total > longest {
            return None;
        }
        if frozen {
            let roomy = fraction.max(Self::SCALE as u32);
            return Some(match self.integer + roomy <= longest {
                true => (Self::PRECISION, roomy as i8),
                false => (Self::PRECISION, scale),
            });
        }
        Some(match total <= Self::SHORT {
            true => (Self::SHORT as u8, scale),
            false => (Self::PRECISION, scale),
        })
    }

    /// Returns the number of decimals that are written with another number of digits after the point than `scale`, and the
    /// first document with one.
    pub fn rescaled(&self, scale: i8) -> Option<(u64, &FirstDocument)> {
        let others = || {
            let exponent = -i32::from(scale);
            self.exponents
                .iter()
                .filter(move |seen| seen.exponent != exponent)
        };
        let first = others()
            .map(|seen| &seen.first)
            .min_by_key(|first| first.row)?;
        Some((others().map(|seen| seen.count).sum(), first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits_of(values: &[(u128, i32)]) -> DecimalDigits {
        let mut found = DecimalDigits::default();
        for (row, &(coefficient, exponent)) in values.iter().enumerate() {
            let bits = coefficient | ((exponent + 6176) as u128) << 113;
            let first = |_| FirstDocument {
                row: row as u64,
                id: None,
            };
            found.record([(0, &bits.to_le_bytes())].into_iter(), first);
        }
        found
    }

    fn number(values: &[(u128, i32)]) -> Option<(u8, i8)> {
        let whole = digits_of(values).number(false);
        // The same for each division into parts, in each order.
        for cut in 0..=values.len() {
            let (first, second) = values.split_at(cut);
            for (first, second) in [(first, second), (second, first)] {
                let mut joined = digits_of(first);
                joined.join(digits_of(second));
                assert_eq!(joined.number(false), whole);
            }
        }
        whole
    }

    #[test]
    fn columns_are_as_wide_as_their_values() {
        assert_eq!(number(&[]), Some((18, 0)));
        assert_eq!(number(&[(1999, -2), (5, 0)]), Some((18, 2)));
        assert_eq!(number(&[(15, 3)]), Some((18, 0)), "15E+3 has no fraction");
        assert_eq!(
            number(&[(0, -30), (0, 40), (1, -1)]),
            Some((18, 1)),
            "zeros do not count"
        );
        assert_eq!(number(&[(10u128.pow(18) - 1, 0)]), Some((18, 0)));
        assert_eq!(number(&[(10u128.pow(18), 0)]), Some((38, 0)));
        assert_eq!(number(&[(10u128.pow(16), 0), (1, -2)]), Some((38, 2)));
        assert_eq!(number(&[(10u128.pow(15), 0), (1, -2)]), Some((18, 2)));
        assert_eq!(number(&[(1, -18)]), Some((18, 18)));
        assert_eq!(number(&[(1, -35)]), Some((38, 35)));
        assert_eq!(number(&[(1, -36)]), None);
        assert_eq!(number(&[(1, 35)]), None, "3 digits are spare");
        assert_eq!(number(&[(1, 34)]), Some((38, 0)));
    }

    #[test]
    fn zeros_at_the_end_count_if_they_fit() {
        // 10^33 and 1.500: the written scale would need 37 digits.
        assert_eq!(number(&[(1, 33), (1500, -3)]), Some((38, 1)));
        assert_eq!(number(&[(1, 30), (1500, -3)]), Some((38, 3)));
        assert_eq!(number(&[(10u128.pow(33), -33), (5, 5)]), Some((18, 0)));
        assert_eq!(number(&[(1, 34), (15, -1)]), None);
    }

    #[test]
    fn frozen_columns_have_room() {
        let frozen = |values: &[(u128, i32)]| digits_of(values).number(true);
        assert_eq!(frozen(&[(1999, -2)]), Some((38, 10)));
        assert_eq!(frozen(&[(1, -12)]), Some((38, 12)));
        assert_eq!(frozen(&[(1, 29), (1, -2)]), Some((38, 2)));
    }

    #[test]
    fn values_written_otherwise_are_counted() {
        let found = digits_of(&[(150, -2), (15, -1), (0, 0), (2, -1)]);
        let (count, first) = found.rescaled(2).unwrap();
        assert_eq!((count, first.row), (3, 1));
        assert_eq!(digits_of(&[(150, -2)]).rescaled(2), None);
    }
}
