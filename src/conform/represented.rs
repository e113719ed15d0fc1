//! Extension types without their names: as text, as numbers, as bytes, or as their parts.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, ArrayRef, BinaryArray, StructArray};
use arrow_schema::{DataType, Field};

use super::cell_builder::{self, primitive, Slots};
use super::column::convert_values;
use super::{convert, decimal, internal_error, mixed, text, ConformResult, Failure, Policy};
use crate::chunk::{write_json, Cell, DocumentCell, JsonMode, Values};
use crate::schema::{Kind, Represented};

/// Converts a column of one type.
pub(super) fn column(
    values: &Values,
    to: &Represented,
    field: &Field,
    policy: &Policy,
) -> ConformResult<ArrayRef> {
    match (to.base(), to.decimal_number(), values) {
        (Kind::Decimal128, Some((precision, scale)), Values::Decimal128(array)) => {
            Ok(Arc::new(decimal::numbers(array, precision, scale)?))
        }
        (Kind::Decimal128, None, Values::Decimal128(_)) | (Kind::ObjectId | Kind::Uuid, ..) => {
            let array = convert_values(values, to.base(), &to.base().field(""), policy)?;
            in_storage(array, to)
        }
        _ => array(&Slots::Values(values), to, field, policy),
    }
}

/// Builds an array of the cells.
pub(super) fn array(
    slots: &Slots<'_>,
    to: &Represented,
    field: &Field,
    policy: &Policy,
) -> ConformResult<ArrayRef> {
    let base = to.base();
    match (base, to.decimal_number(), to.storage()) {
        (Kind::Decimal128, Some((precision, scale)), _) => primitive::<Decimal128Type>(
            slots,
            |cell| convert::plain_decimal(cell, precision, scale),
            field,
        ),
        (Kind::Decimal128, None, DataType::FixedSizeBinary(_)) => {
            cell_builder::build_array(slots, base, &base.field(""), policy)
        }
        (Kind::Decimal128, None, layout) => text::in_layout(text::build_decimals(slots)?, layout),
        (Kind::Mixed, _, DataType::Binary) => mixed::encode(slots),
        (Kind::Mixed, _, layout) => mixed::json(slots, layout),
        _ => {
            let array = cell_builder::build_array(slots, base, &base.field(""), policy)?;
            in_storage(array, to)
        }
    }
}

/// Returns whether a value fits.
pub(super) fn can_convert(to: &Represented, cell: &Cell<'_>) -> bool {
    match (to.base(), to.decimal_number(), to.storage()) {
        (Kind::Decimal128, Some((precision, scale)), _) => {
            convert::plain_decimal(cell, precision, scale).is_some()
        }
        (Kind::Decimal128, None, storage) if !matches!(storage, DataType::FixedSizeBinary(_)) => {
            decimal::text(cell).is_some()
        }
        _ => super::coerce::can_coerce(to.base(), cell),
    }
}

/// Converts `array`, which holds the values in the storage of their extension type, to the storage of `to`.
fn in_storage(array: ArrayRef, to: &Represented) -> ConformResult<ArrayRef> {
    if array.data_type() == to.storage() || array.data_type() == &DataType::Null {
        return Ok(array);
    }
    let written = match (
        to.base(),
        array.as_fixed_size_binary_opt(),
        array.as_struct_opt(),
    ) {
        (Kind::ObjectId, Some(array), _) => text::hex(array)?,
        (Kind::Uuid | Kind::LegacyUuid(_), Some(array), _) => text::uuids(array)?,
        (Kind::Decimal128, Some(array), _) => text::decimals(array)?,
        (Kind::DbPointer, _, Some(array)) => {
            return with_second_part(array, to, |ids| {
                ids.as_fixed_size_binary_opt().map(text::hex)
            })
        }
        (Kind::CodeWithScope, _, Some(array)) => {
            return with_second_part(array, to, |scopes| {
                scopes.as_binary_opt::<i32>().map(scopes_as_json)
            })
        }
        _ => return Err(unexpected(&array)),
    };
    text::in_layout(written, to.storage())
}

/// Converts the second of the two parts of a struct.
fn with_second_part(
    array: &StructArray,
    to: &Represented,
    convert: impl Fn(&ArrayRef) -> Option<ConformResult<ArrayRef>>,
) -> ConformResult<ArrayRef> {
    let (DataType::Struct(fields), [first, second]) = (to.storage(), array.columns()) else {
        return Err(unexpected(array));
    };
    let second = convert(second).ok_or_else(|| unexpected(array))??;
    let columns = vec![Arc::clone(first), second];
    let nulls = array.nulls().cloned();
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        columns,
        nulls,
    )?))
}

fn scopes_as_json(scopes: &BinaryArray) -> ConformResult<ArrayRef> {
    let mut builder = StringBuilder::with_capacity(scopes.len(), 0);
    let mut text = String::new();
    for scope in scopes {
        let Some(scope) = scope else {
            builder.append_null();
            continue;
        };
        text.clear();
        let document = Cell::Document(DocumentCell::Bson(scope));
        write_json(&document, JsonMode::Relaxed, &mut text);
        mixed::offset(builder.values_slice().len() + text.len())?;
        builder.append_value(&text);
    }
    Ok(Arc::new(builder.finish()))
}

fn unexpected(array: &dyn Array) -> Failure {
    Failure::Error(internal_error(format!(
        "{} is not the storage of an extension type",
        array.data_type()
    )))
}
