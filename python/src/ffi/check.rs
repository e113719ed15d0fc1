//! Whether foreign Arrow data stays within itself, before anything reads it.
//!
//! Arrow's readers index by offsets without looking: what is wrong in them is read out of bounds. The C interface tells no
//! lengths of buffers (those of text follow from its last offset), so a producer that lies about these cannot be found out;
//! one that makes a mistake within its own lengths is. Measured in `SECURITY.md`.

use arrow_data::ArrayData;
use arrow_schema::{ArrowError, DataType};

/// Checks the layout, each offset, each view, each key of a dictionary and each type id of a union.
///
/// # Errors
/// What is out of bounds.
pub(super) fn check(data: &ArrayData) -> Result<(), ArrowError> {
    data.validate()?;
    values(data)
}

fn values(data: &ArrayData) -> Result<(), ArrowError> {
    // That text is UTF-8 is checked where it is read: not twice.
    let bytes = match data.data_type() {
        DataType::Utf8 => Some(DataType::Binary),
        DataType::LargeUtf8 => Some(DataType::LargeBinary),
        DataType::Utf8View => Some(DataType::BinaryView),
        _ => None,
    };
    match bytes {
        // SAFETY: the same buffers, by a type with the same layout and weaker conditions; it is checked here, and never read.
        Some(bytes) => unsafe {
            let builder = data.clone().into_builder().data_type(bytes);
            builder.build_unchecked().validate_values()?;
        },
        None => data.validate_values()?,
    }
    data.child_data().iter().try_for_each(values)
}
