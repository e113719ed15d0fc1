//! Extension types as bytes or text.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray};

use super::{internal_error, mixed, ConformResult, Failure};
use crate::raw::Decimal;
use crate::schema::Represented;

/// Converts `array`, which holds the values in the storage of their extension type, to the storage of `represented`.
pub(super) fn to_text(array: ArrayRef, represented: &Represented) -> ConformResult<ArrayRef> {
    if array.data_type() == represented.storage() {
        return Ok(array);
    }
    let Some(values) = array.as_any().downcast_ref::<FixedSizeBinaryArray>() else {
        // A column of nulls already has the requested storage.
        return Err(Failure::Error(internal_error(
            "bytes of a fixed size were expected",
        )));
    };
    // The longest text: two digits per byte and four hyphens, or a sign, 34 digits, a point and an exponent (or zeros
    // in its place).
    let total = values.len() * 43;
    mixed::offset(total)?;
    let mut builder = StringBuilder::with_capacity(values.len(), 0);
    let mut text = String::with_capacity(43);
    for value in values {
        let Some(bytes) = value else {
            builder.append_null();
            continue;
        };
        text.clear();
        write(bytes, represented, &mut text)
            .map_err(|error| Failure::Error(internal_error(error)))?;
        builder.append_value(&text);
    }
    Ok(arrow_cast::cast(
        &(Arc::new(builder.finish()) as ArrayRef),
        represented.storage(),
    )?)
}

fn write(bytes: &[u8], represented: &Represented, text: &mut String) -> std::fmt::Result {
    if let (Represented::Decimal128(_), Ok(bytes)) = (represented, bytes.try_into()) {
        return write!(text, "{}", Decimal::from_bytes(bytes));
    }
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(represented, Represented::Uuid(_)) && matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{byte:02x}")?;
    }
    Ok(())
}
