//! Cells as MongoDB Extended JSON v2. The text equals that of PyMongo's `bson.json_util.dumps` byte for byte, except
//! for the deprecated types that PyMongo converts (undefined, symbol, dbPointer).
//!
//! Source: <https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md>.

use std::fmt::{self, Write};

use super::cell::{Cell, DocumentCell, ListCell};
use super::column::Marker;
use crate::raw::Decimal;

/// Format of numbers and dates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JsonMode {
    /// Readable: numbers as JSON numbers, dates from 1970 to 9999 as ISO 8601. Does not distinguish int32 from int64.
    #[default]
    Relaxed,
    /// Each value with its type.
    Canonical,
}

/// Appends `cell`. Nesting levels are stored on the heap, not on the call stack.
pub fn write_json<'a>(cell: &Cell<'a>, mode: JsonMode, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = Writer { mode, out }.all(cell);
}

/// An unfinished document, list or scope.
struct Open<'a> {
    entries: Box<dyn Iterator<Item = (Option<&'a str>, Cell<'a>)> + 'a>,
    first: bool,
    close: &'static str,
}

impl<'a> Open<'a> {
    fn document(document: &DocumentCell<'a>, close: &'static str) -> Self {
        Open {
            entries: Box::new(document.entries().map(|(key, cell)| (Some(key), cell))),
            first: true,
            close,
        }
    }

    fn list(list: &ListCell<'a>) -> Self {
        Open {
            entries: Box::new(list.items().map(|cell| (None, cell))),
            first: true,
            close: "]",
        }
    }
}

struct Writer<'o> {
    mode: JsonMode,
    out: &'o mut String,
}

impl Writer<'_> {
    fn all<'a>(&mut self, cell: &Cell<'a>) -> fmt::Result {
        let mut open: Vec<Open<'a>> = self.value(cell)?.into_iter().collect();
        while let Some(innermost) = open.last_mut() {
            let Some((key, cell)) = innermost.entries.next() else {
                self.out.push_str(innermost.close);
                open.pop();
                continue;
            };
            if !std::mem::take(&mut innermost.first) {
                self.out.push_str(", ");
            }
            if let Some(key) = key {
                self.text(key)?;
                self.out.push_str(": ");
            }
            open.extend(self.value(&cell)?);
        }
        Ok(())
    }

    /// Writes a scalar value, or writes the opening of a nested value and returns the rest of it.
    fn value<'a>(&mut self, cell: &Cell<'a>) -> Result<Option<Open<'a>>, fmt::Error> {
        let canonical = self.mode == JsonMode::Canonical;
        match cell {
            Cell::Document(document) => {
                self.out.push('{');
                return Ok(Some(Open::document(document, "}")));
            }
            Cell::List(list) => {
                self.out.push('[');
                return Ok(Some(Open::list(list)));
            }
            Cell::CodeWithScope { code, scope } => {
                self.out.push_str("{\"$code\": ");
                self.text(code)?;
                self.out.push_str(", \"$scope\": {");
                return Ok(Some(Open::document(&DocumentCell::Bson(scope), "}}")));
            }
            Cell::Null => self.out.push_str("null"),
            Cell::Double(value) if canonical || !value.is_finite() => {
                self.out.push_str("{\"$numberDouble\": \"");
                self.double(*value)?;
                self.out.push_str("\"}");
            }
            Cell::Double(value) => self.double(*value)?,
            Cell::Int32(value) if canonical => self.number("$numberInt", (*value).into())?,
            Cell::Int64(value) if canonical => self.number("$numberLong", *value)?,
            Cell::Int32(value) => write!(self.out, "{value}")?,
            Cell::Int64(value) => write!(self.out, "{value}")?,
            Cell::String(text) => self.text(text)?,
            Cell::Boolean(value) => write!(self.out, "{value}")?,
            Cell::Binary { subtype, bytes } => {
                self.out.push_str("{\"$binary\": {\"base64\": \"");
                base64(bytes, self.out);
                write!(self.out, "\", \"subType\": \"{subtype:02x}\"}}}}")?;
            }
            Cell::ObjectId(id) => self.object_id(id)?,
            Cell::DateTime(ms) => self.date(*ms)?,
            Cell::Regex { pattern, options } => {
                self.out.push_str("{\"$regularExpression\": {\"pattern\": ");
                self.text(pattern)?;
                self.out.push_str(", \"options\": ");
                self.text(options)?;
                self.out.push_str("}}");
            }
            Cell::DbPointer { namespace, id } => {
                self.out.push_str("{\"$dbPointer\": {\"$ref\": ");
                self.text(namespace)?;
                self.out.push_str(", \"$id\": ");
                self.object_id(id)?;
                self.out.push_str("}}");
            }
            Cell::Code(code) => self.named("$code", code)?,
            Cell::Symbol(symbol) => self.named("$symbol", symbol)?,
            Cell::Timestamp { time, increment } => write!(
                self.out,
                "{{\"$timestamp\": {{\"t\": {time}, \"i\": {increment}}}}}"
            )?,
            Cell::Decimal128(bytes) => write!(
                self.out,
                "{{\"$numberDecimal\": \"{}\"}}",
                Decimal::from_bytes(*bytes)
            )?,
            Cell::Marker(Marker::Undefined) => self.out.push_str("{\"$undefined\": true}"),
            Cell::Marker(Marker::MinKey) => self.out.push_str("{\"$minKey\": 1}"),
            Cell::Marker(Marker::MaxKey) => self.out.push_str("{\"$maxKey\": 1}"),
        }
        Ok(None)
    }

    /// `{"name": "text"}`
    fn named(&mut self, name: &str, text: &str) -> fmt::Result {
        write!(self.out, "{{\"{name}\": ")?;
        self.text(text)?;
        self.out.push('}');
        Ok(())
    }

    fn number(&mut self, name: &str, value: i64) -> fmt::Result {
        write!(self.out, "{{\"{name}\": \"{value}\"}}")
    }

    fn object_id(&mut self, id: &[u8; 12]) -> fmt::Result {
        self.out.push_str("{\"$oid\": \"");
        for byte in id {
            write!(self.out, "{byte:02x}")?;
        }
        self.out.push_str("\"}");
        Ok(())
    }

    /// Writes a JSON string like Python's `json`: all characters except printable ASCII are escaped, those beyond 16
    /// bits as surrogates.
    fn text(&mut self, text: &str) -> fmt::Result {
        self.out.push('"');
        let mut unescaped = 0;
        for (at, char) in text.char_indices() {
            if matches!(char, ' '..='~') && !matches!(char, '"' | '\\') {
                continue;
            }
            self.out.push_str(&text[unescaped..at]);
            unescaped = at + char.len_utf8();
            match char {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                _ => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        write!(self.out, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        self.out.push_str(&text[unescaped..]);
        self.out.push('"');
        Ok(())
    }

    /// Writes the shortest text that parses to the same double, in the format of Python's `repr`.
    fn double(&mut self, value: f64) -> fmt::Result {
        if value.is_nan() {
            self.out.push_str("NaN");
            return Ok(());
        }
        if value.is_infinite() {
            let sign = if value < 0.0 { "-" } else { "" };
            return write!(self.out, "{sign}Infinity");
        }
        if value.is_sign_negative() {
            self.out.push('-');
        }
        // Between two texts of equal length and distance, Python selects the even digit. Rust's own formatting
        // selects the larger.
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(value.abs());
        if let Some((digits, exponent)) = text.split_once('e') {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            return write!(self.out, "{digits}e{sign}{exponent:0>2}");
        }
        // Python switches to an exponent one power of ten earlier.
        match text.strip_prefix("0.0000") {
            Some(digits) => {
                let (first, rest) = digits.split_at(1);
                let point = if rest.is_empty() { "" } else { "." };
                write!(self.out, "{first}{point}{rest}e-05")
            }
            None => self.out.write_str(text),
        }
    }

    fn date(&mut self, ms: i64) -> fmt::Result {
        /// The last millisecond of the year 9999.
        const LAST: i64 = 253_402_300_799_999;
        if self.mode == JsonMode::Canonical || !(0..=LAST).contains(&ms) {
            return write!(self.out, "{{\"$date\": {{\"$numberLong\": \"{ms}\"}}}}");
        }
        let (seconds, ms) = (ms / 1000, ms % 1000);
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(
            self.out,
            "{{\"$date\": \"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if ms > 0 {
            write!(self.out, ".{ms:03}")?;
        }
        self.out.push_str("Z\"}");
        Ok(())
    }
}

/// Converts a day count since 1970 to year, month and day; not for days before 1970.
///
/// Years begin in March here, so that the leap day is their last day:
/// <https://howardhinnant.github.io/date_algorithms.html>.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Writes base64 of RFC 4648, with padding.
fn base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            out.push(if digit > three.len() {
                '='
            } else {
                DIGITS[(bits >> (18 - 6 * digit)) as usize & 63].into()
            });
        }
    }
}
