//! Values as text: ids in hexadecimal digits, decimals in decimal digits, and in casts to text all other values as
//! relaxed Extended JSON without its outer wrapper.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::DataType;

use super::cell_builder::Slots;
use super::{coerce, decimal, mixed, ConformResult};
use crate::chunk::{write_json, Cell, JsonMode};
use crate::raw::{Decimal, LegacyUuid};
use crate::schema::TextCast;

/// Positions of a UUID's bytes that follow a hyphen in its text.
const HYPHENS: [usize; 4] = [4, 6, 8, 10];

/// Casts text to another layout of strings.
pub(super) fn in_layout(array: ArrayRef, layout: &DataType) -> ConformResult<ArrayRef> {
    match array.data_type() == layout {
        true => Ok(array),
        false => Ok(arrow_cast::cast(&array, layout)?),
    }
}

/// Writes the bytes of each value as hexadecimal digits.
pub(super) fn hex(array: &FixedSizeBinaryArray) -> ConformResult<ArrayRef> {
    let width = array.value_length() as usize;
    if array.null_count() > 0 {
        return written(array, 2 * width, |bytes, text| {
            text.extend(bytes.iter().flat_map(|&byte| digits(byte)));
        });
    }
    // All values at once.
    let bytes = &array.value_data()[..array.len() * width];
    mixed::offset(bytes.len() * 2)?;
    let text: Vec<[u8; 2]> = bytes.iter().map(|&byte| digits(byte)).collect();
    let offsets = OffsetBuffer::from_repeated_length(width * 2, array.len());
    let text = StringArray::try_new(offsets, Buffer::from_vec(text.into_flattened()), None)?;
    Ok(Arc::new(text))
}

/// Writes UUIDs with hyphens.
pub(super) fn uuids(array: &FixedSizeBinaryArray) -> ConformResult<ArrayRef> {
    written(array, 36, |bytes, text| text.extend(uuid_digits(bytes)))
}

/// Writes decimal128 values with every digit.
pub(super) fn decimals(array: &FixedSizeBinaryArray) -> ConformResult<ArrayRef> {
    let mut builder = StringBuilder::with_capacity(array.len(), 0);
    let mut text = String::new();
    let mut total = 0;
    for value in array {
        let Some(bytes) = value else {
            builder.append_null();
            continue;
        };
        text.clear();
        let bytes = bytes.try_into().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, "{}", Decimal::from_bytes(bytes));
        total += text.len();
        mixed::offset(total)?;
        builder.append_value(&text);
    }
    Ok(Arc::new(builder.finish()))
}

/// Writes each value by `write`, which appends `width` bytes of ASCII.
fn written(
    array: &FixedSizeBinaryArray,
    width: usize,
    write: impl Fn(&[u8], &mut Vec<u8>),
) -> ConformResult<ArrayRef> {
    let len = array.len() - array.null_count();
    mixed::offset(len * width)?;
    let mut text = Vec::with_capacity(len * width);
    let lengths = (0..array.len()).map(|slot| match array.is_valid(slot) {
        true => {
            let before = text.len();
            write(array.value(slot), &mut text);
            text.len() - before
        }
        false => 0,
    });
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = array.nulls().cloned();
    let text = StringArray::try_new(offsets, Buffer::from_vec(text), nulls)?;
    Ok(Arc::new(text))
}

/// The two hexadecimal digits of a byte, without a branch or a table, so that compilers convert many bytes at once.
#[inline]
fn digits(byte: u8) -> [u8; 2] {
    let byte = u16::from(byte);
    let halves = (byte >> 4 | byte << 8) & 0x0F0F;
    // 1 for each half above 9. No sum or product exceeds its byte.
    let letters = ((halves + 0x0606) >> 4) & 0x0101;
    (halves + 0x3030 + letters * u16::from(b'a' - b'0' - 10)).to_le_bytes()
}

/// The hexadecimal digits of a UUID, with its hyphens.
fn uuid_digits(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    bytes.iter().enumerate().flat_map(|(position, &byte)| {
        let hyphen = HYPHENS.contains(&position).then_some(b'-');
        hyphen.into_iter().chain(digits(byte))
    })
}

/// Builds an array of the cells as text; values that `cast` does not accept are conflicts.
pub(super) fn build_array(
    slots: &Slots<'_>,
    cast: TextCast,
    legacy_uuid: Option<LegacyUuid>,
    layout: &DataType,
) -> ConformResult<ArrayRef> {
    let mut builder = StringBuilder::with_capacity(slots.len(), 0);
    let mut total = 0;
    let mut outcome = Ok(());
    slots.for_each_value(
        |cell| of_cell(cell, cast, legacy_uuid),
        |text| match text {
            Some(text) => {
                total += text.len();
                match mixed::offset(total) {
                    Ok(_) => builder.append_value(text),
                    Err(failure) => outcome = Err(failure),
                }
            }
            None => builder.append_null(),
        },
    )?;
    outcome?;
    in_layout(Arc::new(builder.finish()), layout)
}

/// Returns the text of a value in a cast; `None` if the cast does not accept the value.
pub(super) fn of_cell<'a>(
    cell: &Cell<'a>,
    cast: TextCast,
    legacy_uuid: Option<LegacyUuid>,
) -> Option<Cow<'a, str>> {
    let text = match *cell {
        Cell::String(text) => return Some(text.into()),
        Cell::Code(text) | Cell::Symbol(text) if cast == TextCast::Any => return Some(text.into()),
        Cell::ObjectId(bytes) => bytes
            .iter()
            .flat_map(|&byte| digits(byte))
            .map(char::from)
            .collect(),
        Cell::Decimal128(bytes) => Decimal::from_bytes(bytes).to_string(),
        _ => match coerce::uuid(cell, legacy_uuid) {
            Some(bytes) => uuid_digits(&bytes).map(char::from).collect(),
            None if cast == TextCast::Any => unwrapped_json(cell),
            None => return None,
        },
    };
    Some(text.into())
}

/// Writes relaxed Extended JSON, without the wrapper of a date or of a number that is not finite.
fn unwrapped_json(cell: &Cell<'_>) -> String {
    let mut text = String::new();
    write_json(cell, JsonMode::Relaxed, &mut text);
    let wrappers: &[&str] = match cell {
        Cell::DateTime(_) => &["{\"$date\": {\"$numberLong\": \"", "{\"$date\": \""],
        Cell::Double(_) => &["{\"$numberDouble\": \""],
        _ => &[],
    };
    match wrappers
        .iter()
        .find_map(|wrapper| text.strip_prefix(wrapper))
    {
        Some(inner) => inner.trim_end_matches(['"', '}']).to_owned(),
        None => text,
    }
}

/// Builds an array of decimals and integers as text; other values are conflicts.
pub(super) fn build_decimals(slots: &Slots<'_>) -> ConformResult<ArrayRef> {
    let mut builder = StringBuilder::with_capacity(slots.len(), 0);
    slots.for_each_value(decimal::text, |text| builder.append_option(text))?;
    mixed::offset(builder.values_slice().len())?;
    Ok(Arc::new(builder.finish()))
}

#[cfg(test)]
mod tests {
    use super::super::Failure;
    use super::*;

    #[test]
    fn bytes_are_written_in_hexadecimal() {
        let array =
            FixedSizeBinaryArray::try_from_iter([[0u8, 0x9a, 0xff], [1, 0x23, 0xb0]].into_iter());
        let text = hex(&array.unwrap()).map_err(Failure::into_error).unwrap();
        let text = text.as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!((text.value(0), text.value(1)), ("009aff", "0123b0"));
        for byte in 0..=255u8 {
            assert_eq!(digits(byte), format!("{byte:02x}").as_bytes());
        }
    }

    #[test]
    fn casts_write_values_without_wrappers() {
        let any = |cell: Cell<'_>| of_cell(&cell, TextCast::Any, None).unwrap().into_owned();
        assert_eq!(any(Cell::Double(f64::NAN)), "NaN");
        assert_eq!(any(Cell::Double(f64::NEG_INFINITY)), "-Infinity");
        assert_eq!(any(Cell::Double(1.5)), "1.5");
        assert_eq!(any(Cell::DateTime(0)), "1970-01-01T00:00:00Z");
        assert_eq!(any(Cell::DateTime(-1)), "-1");
        assert_eq!(any(Cell::Boolean(true)), "true");
        assert_eq!(
            any(Cell::Timestamp {
                time: 1,
                increment: 2
            }),
            "{\"$timestamp\": {\"t\": 1, \"i\": 2}}"
        );
        assert!(of_cell(&Cell::Int32(1), TextCast::Plain, None).is_none());
    }
}
