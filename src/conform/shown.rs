//! Extension types shown as plain bytes or text.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray};

use super::{internal, mixed, Failure, Made};
use crate::raw::Decimal;
use crate::schema::Shown;

/// `array`, which holds the values of `shown` as their extension type does, as it is to be stored.
pub(super) fn show(array: ArrayRef, shown: &Shown) -> Made<ArrayRef> {
    if array.data_type() == shown.storage() {
        return Ok(array);
    }
    let Some(values) = array.as_any().downcast_ref::<FixedSizeBinaryArray>() else {
        // A column of nulls is made in the storage type at once.
        return Err(Failure::Error(internal(
            "bytes of a fixed size were expected",
        )));
    };
    // Two digits a byte and four hyphens; or a sign, 34 digits, a point and an exponent, or zeros in its place.
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
        write(bytes, shown, &mut text).map_err(|error| Failure::Error(internal(error)))?;
        builder.append_value(&text);
    }
    Ok(arrow_cast::cast(
        &(Arc::new(builder.finish()) as ArrayRef),
        shown.storage(),
    )?)
}

fn write(bytes: &[u8], shown: &Shown, text: &mut String) -> std::fmt::Result {
    if let (Shown::Decimal128(_), Ok(bytes)) = (shown, bytes.try_into()) {
        return write!(text, "{}", Decimal::from_bytes(bytes));
    }
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(shown, Shown::Uuid(_)) && matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{byte:02x}")?;
    }
    Ok(())
}
