//! The parts of a decimal128, and its text.
//!
//! Source: the binary encoding of IEEE 754-2008, which the BSON specification requires:
//! <https://github.com/mongodb/specifications/blob/master/source/bson-decimal128/decimal128.md>.

use std::fmt;

/// Powers of ten up to 10^38, the largest in 128 bits.
pub const POWERS_OF_TEN: [u128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < 39 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};
/// The largest canonical coefficient: 34 nines.
const MAX_COEFFICIENT: u128 = 9_999_999_999_999_999_999_999_999_999_999_999;
const BIAS: i32 = 6176;
const MAX_EXPONENT: i32 = 6111;

/// The value of a decimal128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// A number in its canonical encoding.
    Finite(Digits),
    /// A zero in a non-canonical encoding: its coefficient exceeds the largest, so it counts as zero.
    NotCanonical(Digits),
    /// Infinity.
    Infinite {
        /// True if below zero.
        negative: bool,
    },
    /// NaN, quiet.
    NaN,
    /// NaN, signalling.
    SignallingNaN,
}

/// A finite decimal: its sign, coefficient and exponent of ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits {
    /// True if below zero, or for the negative zero.
    pub negative: bool,
    /// Coefficient of at most 34 digits.
    pub coefficient: u128,
    /// Exponent of ten.
    pub exponent: i32,
}

impl Decimal {
    /// Decodes the 16 bytes of a decimal128.
    pub fn from_bytes(bytes: [u8; 16]) -> Decimal {
        let bits = u128::from_le_bytes(bytes);
        let negative = bits >> 127 == 1;
        let exponent = |at: u32| ((bits >> at) & 0x3fff) as i32 - BIAS;
        let zero = |exponent| {
            Decimal::NotCanonical(Digits {
                negative,
                coefficient: 0,
                exponent,
            })
        };
        match (bits >> 121) & 0b11_1111 {
            0b11_1111 => return Decimal::SignallingNaN,
            0b11_1110 => return Decimal::NaN,
            0b11_1100 | 0b11_1101 => return Decimal::Infinite { negative },
            // With both of these bits set, the exponent has another position. Its coefficient then exceeds the
            // largest.
            combination if combination >> 4 == 0b11 => return zero(exponent(111)),
            _ => {}
        }
        let coefficient = bits & ((1 << 113) - 1);
        if coefficient > MAX_COEFFICIENT {
            return zero(exponent(113));
        }
        Decimal::Finite(Digits {
            negative,
            coefficient,
            exponent: exponent(113),
        })
    }
}

impl Decimal {
    /// Parses the text that [`Display`](fmt::Display) writes, and other decimal notation; `None` for text that no decimal128
    /// holds exactly.
    pub fn parse(text: &str) -> Option<[u8; 16]> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let sign = u128::from(negative) << 127;
        let special = match unsigned.to_ascii_lowercase().as_str() {
            "nan" => Some(0x7c << 120),
            "inf" | "infinity" => Some(0x78 << 120),
            _ => None,
        };
        if let Some(bits) = special {
            return Some((sign | bits).to_le_bytes());
        }
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse().ok()?),
            None => (unsigned, 0i32),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        let significant = digits.trim_start_matches('0');
        // An exponent out of range can be reached by zeros, if there are digits left.
        let mut coefficient: u128 = match significant {
            "" => 0,
            digits if digits.len() > 34 => return None,
            digits => digits.parse().ok()?,
        };
        while exponent > MAX_EXPONENT && coefficient != 0 && coefficient * 10 <= MAX_COEFFICIENT {
            coefficient *= 10;
            exponent -= 1;
        }
        if coefficient == 0 {
            exponent = exponent.clamp(-BIAS, MAX_EXPONENT);
        }
        if !(-BIAS..=MAX_EXPONENT).contains(&exponent) {
            return None;
        }
        let exponent = u128::try_from(exponent + BIAS).ok()?;
        Some((sign | exponent << 113 | coefficient).to_le_bytes())
    }
}

/// Formats every digit, and an exponent if needed, like Python's `str` of a `bson.Decimal128` or `decimal.Decimal`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decimal::Finite(digits) | Decimal::NotCanonical(digits) => digits.fmt(f),
            Decimal::Infinite { negative: false } => f.write_str("Infinity"),
            Decimal::Infinite { negative: true } => f.write_str("-Infinity"),
            // PyMongo formats both kinds of NaN, of either sign, like this.
            Decimal::NaN | Decimal::SignallingNaN => f.write_str("NaN"),
        }
    }
}

/// Formats by to-scientific-string of the General Decimal Arithmetic, <https://speleotrove.com/decimal/daconvs.html>.
impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let digits = self.coefficient.to_string();
        let whole = self.exponent + digits.len() as i32;
        write!(f, "{sign}")?;
        if self.exponent == 0 {
            return f.write_str(&digits);
        }
        if self.exponent < 0 && whole > -6 {
            let Ok(whole) = usize::try_from(whole) else {
                let zeros = whole.unsigned_abs() as usize;
                return write!(f, "0.{:0>zeros$}{digits}", "");
            };
            let (whole, fraction) = digits.split_at(whole);
            return write!(
                f,
                "{}.{fraction}",
                if whole.is_empty() { "0" } else { whole }
            );
        }
        let (first, others) = digits.split_at(1);
        let point = if others.is_empty() { "" } else { "." };
        write!(f, "{first}{point}{others}E{:+}", whole - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_matches_python() {
        for (coefficient, exponent, text) in [
            (0, 0, "0"),
            (0, -2, "0.00"),
            (0, -6, "0.000000"),
            (0, -7, "0E-7"),
            (0, 3, "0E+3"),
            (1, -6, "0.000001"),
            (1, -7, "1E-7"),
            (12, -7, "0.0000012"),
            (12, -8, "1.2E-7"),
            (150, -2, "1.50"),
            (150, -3, "0.150"),
            (150, 1, "1.50E+3"),
            (
                MAX_COEFFICIENT,
                6111,
                "9.999999999999999999999999999999999E+6144",
            ),
        ] {
            let digits = Digits {
                negative: false,
                coefficient,
                exponent,
            };
            assert_eq!(digits.to_string(), text);
            let negative = Digits {
                negative: true,
                ..digits
            };
            assert_eq!(negative.to_string(), format!("-{text}"));
            for (digits, text) in [(digits, text.to_owned()), (negative, format!("-{text}"))] {
                let parsed = Decimal::parse(&text).map(Decimal::from_bytes);
                assert_eq!(parsed, Some(Decimal::Finite(digits)), "{text}");
            }
        }
    }

    #[test]
    fn text_is_parsed_exactly_or_refused() {
        let parsed =
            |text: &str| Decimal::parse(text).map(|bytes| Decimal::from_bytes(bytes).to_string());
        assert_eq!(parsed("nan").as_deref(), Some("NaN"));
        assert_eq!(parsed("-Infinity").as_deref(), Some("-Infinity"));
        assert_eq!(parsed("1e6112").as_deref(), Some("1.0E+6112"));
        assert_eq!(parsed("00012.50").as_deref(), Some("12.50"));
        for refused in [
            "",
            "-",
            ".",
            "1e",
            "1e9999",
            "1e-6177",
            "x",
            "1_0",
            "12345678901234567890123456789012345",
        ] {
            assert_eq!(parsed(refused), None, "{refused}");
        }
    }

    #[test]
    fn special_and_noncanonical_encodings_are_distinguished() {
        let read = |high: u128| Decimal::from_bytes((high << 112).to_le_bytes());
        assert_eq!(read(0x7c00), Decimal::NaN);
        assert_eq!(read(0x7e00), Decimal::SignallingNaN);
        assert_eq!(read(0x7800), Decimal::Infinite { negative: false });
        assert_eq!(read(0xf800), Decimal::Infinite { negative: true });
        assert!(matches!(read(0x6c10), Decimal::NotCanonical(_)));
        let bits = (MAX_COEFFICIENT + 1) | ((BIAS as u128) << 113);
        let above = Decimal::from_bytes(bits.to_le_bytes());
        assert!(matches!(above, Decimal::NotCanonical(_)));
        assert_eq!(above.to_string(), "0");
        assert!(matches!(
            Decimal::from_bytes((bits - 1).to_le_bytes()),
            Decimal::Finite(_)
        ));
    }
}
