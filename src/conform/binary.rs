//! Binary columns with a subtype beside the bytes.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, UInt8Array};
use arrow_schema::Field;

use super::column::struct_from_parts;
use super::ConformResult;

/// Adds subtype 0 to a column; the bytes are shared.
pub(super) fn with_subtype(array: &BinaryArray, field: &Field) -> ConformResult<ArrayRef> {
    let subtypes = UInt8Array::new(vec![0; array.len()].into(), array.nulls().cloned());
    struct_from_parts(
        field,
        vec![Arc::new(subtypes), Arc::new(array.clone())],
        array.nulls(),
    )
}
