//! Hashes of keys, by which repeated keys are found: equal for values that are equal on the server.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use crate::raw::{Decimal, Digits, ElementType, Elements};

/// Two hash functions of this process, so that a hash has 128 bits.
static HASHERS: LazyLock<[RandomState; 2]> =
    LazyLock::new(|| [RandomState::new(), RandomState::new()]);

/// Hashes the values of a valid document; their keys are those of the same columns in each row. Values that are equal on the server
/// have equal hashes. `scratch` is empty.
pub(super) fn hash_values(document: &[u8], scratch: &mut Vec<u8>) -> u128 {
    normalise(document, false, scratch);
    let [high, low] = HASHERS.each_ref().map(|state| {
        let mut hasher = state.build_hasher();
        hasher.write(scratch);
        hasher.finish()
    });
    u128::from(high) << 64 | u128::from(low)
}

/// Appends a form of the elements of `document` that is equal for documents that are equal on the server.
fn normalise(document: &[u8], with_keys: bool, out: &mut Vec<u8>) {
    // The document was written here, so it is valid.
    let Ok(elements) = Elements::new(document) else {
        return;
    };
    for element in elements.flatten() {
        if with_keys {
            out.extend_from_slice(element.key);
            out.push(0);
        }
        let kind = match element.kind {
            ElementType::Symbol => ElementType::String,
            kind => kind,
        };
        if let Some(number) = Number::of(kind, element.value) {
            number.append(out);
            continue;
        }
        out.push(kind.byte());
        match kind {
            ElementType::Document | ElementType::List => {
                normalise(element.value, kind == ElementType::Document, out);
                out.push(0);
            }
            _ => {
                out.extend_from_slice(&(element.value.len() as u32).to_le_bytes());
                out.extend_from_slice(element.value);
            }
        }
    }
}

/// A number in a form that does not depend on its type. The server compares integers, doubles and decimals by their value.
#[derive(Debug, PartialEq)]
enum Number {
    /// Sign, coefficient without zeros at its end, exponent.
    Finite(bool, u128, i32),
    Infinite(bool),
    NaN,
}

impl Number {
    fn of(kind: ElementType, value: &[u8]) -> Option<Number> {
        Some(match kind {
            ElementType::Int32 => Number::int(i32::from_le_bytes(value.try_into().ok()?).into()),
            ElementType::Int64 => Number::int(i64::from_le_bytes(value.try_into().ok()?)),
            ElementType::Double => Number::double(f64::from_le_bytes(value.try_into().ok()?)),
            ElementType::Decimal128 => Number::decimal(value.try_into().ok()?),
            _ => return None,
        })
    }

    fn int(value: i64) -> Number {
        Number::finite(value < 0, value.unsigned_abs().into(), 0)
    }

    fn finite(negative: bool, mut coefficient: u128, mut exponent: i32) -> Number {
        if coefficient == 0 {
            return Number::Finite(false, 0, 0);
        }
        while coefficient.is_multiple_of(10) {
            coefficient /= 10;
            exponent += 1;
        }
        Number::Finite(negative, coefficient, exponent)
    }

    /// A double is compared with a decimal by its nearest decimal of 34 digits.
    fn double(value: f64) -> Number {
        if let Some(int) = crate::schema::double_to_int(value + 0.0) {
            return Number::int(int);
        }
        match Decimal::parse(&format!("{value:.33e}")) {
            Some(bytes) => Number::decimal(bytes),
            None => Number::NaN,
        }
    }

    fn decimal(bytes: [u8; 16]) -> Number {
        match Decimal::from_bytes(bytes) {
            Decimal::Finite(Digits {
                negative,
                coefficient,
                exponent,
            }) => Number::finite(negative, coefficient, exponent),
            Decimal::NotCanonical(_) => Number::int(0),
            Decimal::Infinite { negative } => Number::Infinite(negative),
            Decimal::NaN | Decimal::SignallingNaN => Number::NaN,
        }
    }

    fn append(&self, out: &mut Vec<u8>) {
        out.push(ElementType::Double.byte());
        match self {
            Number::Finite(negative, coefficient, exponent) => {
                out.push(u8::from(*negative));
                out.extend_from_slice(&coefficient.to_le_bytes());
                out.extend_from_slice(&exponent.to_le_bytes());
            }
            Number::Infinite(negative) => out.push(2 + u8::from(*negative)),
            Number::NaN => out.push(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Number {
        Number::decimal(Decimal::parse(text).unwrap())
    }

    #[test]
    fn numbers_of_all_types_are_equal_by_value() {
        for (left, right) in [
            (Number::int(1), Number::double(1.0)),
            (Number::int(100), decimal("1E+2")),
            (Number::int(0), Number::double(-0.0)),
            (Number::int(0), decimal("-0E+7")),
            (Number::double(0.5), decimal("0.50")),
            (
                Number::double(1e300),
                decimal("1.000000000000000052504760255204420E+300"),
            ),
            (
                Number::int(i64::MIN),
                Number::double(-9_223_372_036_854_775_808.0),
            ),
            (Number::double(f64::INFINITY), decimal("Infinity")),
        ] {
            assert_eq!(left, right);
        }
        for (left, right) in [
            (Number::int(1), Number::int(-1)),
            (Number::double(0.1), decimal("0.1")),
            (
                Number::int((1 << 53) + 1),
                Number::double((1u64 << 53) as f64),
            ),
            (decimal("Infinity"), decimal("-Infinity")),
        ] {
            assert_ne!(left, right);
        }
    }
}
