//! Columns of nulls that have a buffer. The C interface allows none for the null type, and arrow refuses one, but polars
//! exports one. So these columns are read as structs without fields, which may have a buffer and hold no values either.

use std::sync::Arc;

use arrow_array::ffi::FFI_ArrowArray;
use arrow_data::ArrayData;
use arrow_schema::{ArrowError, DataType, FieldRef, Fields};

/// The type under which `array`, of type `kind`, can be read.
pub(super) fn readable(array: &FFI_ArrowArray, kind: &DataType) -> DataType {
    let item = |field: &FieldRef| match array.num_children() {
        1 => with_type(field, readable(array.child(0), field.data_type())),
        _ => Arc::clone(field),
    };
    match kind {
        DataType::Null if array.num_buffers() > 0 => DataType::Struct(Fields::empty()),
        DataType::Struct(fields) if fields.len() == array.num_children() => {
            let fields = fields.iter().enumerate();
            let fields = fields
                .map(|(at, field)| with_type(field, readable(array.child(at), field.data_type())));
            DataType::Struct(fields.collect())
        }
        DataType::List(field) => DataType::List(item(field)),
        DataType::LargeList(field) => DataType::LargeList(item(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(item(field), *size),
        DataType::Map(field, sorted) => DataType::Map(item(field), *sorted),
        other => other.clone(),
    }
}

/// Data that was read as [`readable`], under its own type.
///
/// # Errors
/// None: the layouts are the same.
pub(super) fn restored(data: ArrayData, kind: &DataType) -> Result<ArrayData, ArrowError> {
    if data.data_type() == kind {
        return Ok(data);
    }
    let kinds: Vec<&DataType> = match kind {
        DataType::Null => return Ok(ArrayData::new_null(&DataType::Null, data.len())),
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => vec![field.data_type()],
        _ => Vec::new(),
    };
    let children = data.child_data().iter().cloned().zip(kinds);
    let children = children.map(|(child, kind)| restored(child, kind));
    let children = children.collect::<Result<_, _>>()?;
    let builder = data.into_builder().data_type(kind.clone());
    builder.child_data(children).build()
}

fn with_type(field: &FieldRef, kind: DataType) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(kind))
}
