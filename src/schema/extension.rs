//! Conversion between kinds and Arrow fields: storage types, and extension names for BSON types without an Arrow
//! type.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};
use arrow_schema::{DataType, Field, TimeUnit};

use super::table::{Kind, TextCast};
use crate::chunk::Marker;

/// ObjectId over FixedSizeBinary(12).
pub const OBJECT_ID: &str = "data_bridge.objectid";
/// decimal128 over FixedSizeBinary(16): the bytes on the wire.
pub const DECIMAL128: &str = "data_bridge.decimal128";
/// Binary of any subtype over struct<subtype: uint8, data: binary>.
pub const SUBTYPED: &str = "data_bridge.binary";
/// Regular expression over struct<pattern: utf8, options: utf8>.
pub const REGEX: &str = "data_bridge.regex";
/// dbPointer over struct<namespace: utf8, id: fixed_size_binary(12)>.
pub const DBPOINTER: &str = "data_bridge.dbpointer";
/// JavaScript over Utf8.
pub const CODE: &str = "data_bridge.code";
/// Symbol over Utf8.
pub const SYMBOL: &str = "data_bridge.symbol";
/// JavaScript with a scope over struct<code: utf8, scope: binary>; the scope is a BSON document.
pub const CODE_WITH_SCOPE: &str = "data_bridge.code_with_scope";
/// Internal timestamp over struct<time: uint32, increment: uint32>.
pub const TIMESTAMP: &str = "data_bridge.timestamp";
/// undefined over Boolean: true for each value.
pub const UNDEFINED: &str = "data_bridge.undefined";
/// minKey over Boolean: true for each value.
pub const MIN_KEY: &str = "data_bridge.minkey";
/// maxKey over Boolean: true for each value.
pub const MAX_KEY: &str = "data_bridge.maxkey";
/// Any value over Binary: the BSON document `{"": value}`.
pub const MIXED: &str = "data_bridge.mixed";
/// Shapes of the documents of a table's rows, over Binary; the metadata identifies the columns that they describe.
pub const SHAPES: &str = "data_bridge.shapes";
/// Arrow's own extension type for UUIDs, over FixedSizeBinary(16).
pub const ARROW_UUID: &str = "arrow.uuid";
/// Arrow's own extension type for JSON, over Utf8, LargeUtf8 or Utf8View.
pub const ARROW_JSON: &str = "arrow.json";
/// Metadata key of a field without an extension name: the stored type of its values, such as `objectid`.
pub const STORED_TYPE_KEY: &str = "data_bridge.type";
/// Metadata key of a field of text that accepts other values than text; its value is [`ANY_VALUE`].
pub const CAST_KEY: &str = "data_bridge.cast";
/// The only value of [`CAST_KEY`].
pub const ANY_VALUE: &str = "text";
/// Metadata key of a field whose values may be rounded; its value is [`ROUNDED`].
pub const ROUNDING_KEY: &str = "data_bridge.rounding";
/// The only value of [`ROUNDING_KEY`].
pub const ROUNDED: &str = "allowed";

/// PyMongoArrow's extension type for binary of one subtype, over Binary; its metadata is for example `subtype=5`.
pub const PYMONGOARROW_BINARY: &str = "pymongoarrow.binary";

/// PyMongoArrow's names for the same storage.
const PYMONGOARROW: [(&str, &str); 3] = [
    ("pymongoarrow.objectid", OBJECT_ID),
    ("pymongoarrow.decimal128", DECIMAL128),
    ("pymongoarrow.code", CODE),
];

/// The time zone of BSON dates in Arrow.
pub(super) const UTC: &str = "UTC";
/// The field name of list items.
const ITEM: &str = "item";

/// Returns the extension name of `field`, with PyMongoArrow's names replaced by ours.
pub fn extension_name(field: &Field) -> Option<&str> {
    let name = field.extension_type_name()?;
    let ours = PYMONGOARROW.iter().find(|(theirs, _)| *theirs == name);
    Some(ours.map_or(name, |(_, ours)| ours))
}

/// Returns the subtype in the metadata of a [`PYMONGOARROW_BINARY`] field; `None` without a valid one.
pub fn pymongoarrow_subtype(field: &Field) -> Option<u8> {
    let metadata = field.metadata().get(EXTENSION_TYPE_METADATA_KEY)?;
    match metadata.strip_prefix("subtype=")? {
        // Earlier releases wrote a subtype that was passed as a bool in this way.
        "True" => Some(1),
        "False" => Some(0),
        number => number.parse().ok(),
    }
}

/// The extension name of a kind in Arrow.
pub(super) fn name_of(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::ObjectId => OBJECT_ID,
        Kind::Decimal128 => DECIMAL128,
        Kind::Uuid | Kind::LegacyUuid(_) => ARROW_UUID,
        Kind::Subtyped => SUBTYPED,
        Kind::Regex => REGEX,
        Kind::DbPointer => DBPOINTER,
        Kind::Code => CODE,
        Kind::Symbol => SYMBOL,
        Kind::CodeWithScope => CODE_WITH_SCOPE,
        Kind::Timestamp => TIMESTAMP,
        Kind::Marker(Marker::Undefined) => UNDEFINED,
        Kind::Marker(Marker::MinKey) => MIN_KEY,
        Kind::Marker(Marker::MaxKey) => MAX_KEY,
        Kind::Mixed => MIXED,
        Kind::Json(_) => ARROW_JSON,
        _ => return None,
    })
}

/// The kinds that are extension types.
pub(super) const EXTENSIONS: [Kind; 14] = [
    Kind::ObjectId,
    Kind::Decimal128,
    Kind::Uuid,
    Kind::Subtyped,
    Kind::Regex,
    Kind::DbPointer,
    Kind::Code,
    Kind::Symbol,
    Kind::CodeWithScope,
    Kind::Timestamp,
    Kind::Marker(Marker::Undefined),
    Kind::Marker(Marker::MinKey),
    Kind::Marker(Marker::MaxKey),
    Kind::Mixed,
];

/// Returns an extension name without the name before its point, such as `objectid`.
pub(super) fn short_name(extension: &str) -> &str {
    extension
        .split_once('.')
        .map_or(extension, |(_, name)| name)
}

/// Returns the extension name of an extension type; empty for other kinds.
pub fn extension_name_of(kind: &Kind) -> &'static str {
    name_of(kind).unwrap_or_default()
}

/// Returns the kind of an extension type by its [`short_name`].
pub(super) fn kind_named(name: &str) -> Option<Kind> {
    let has_name = |kind: &&Kind| name_of(kind).is_some_and(|full| short_name(full) == name);
    EXTENSIONS.iter().find(has_name).cloned()
}

/// Returns whether a type is text, in any layout.
pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn parts<const N: usize>(parts: [(&str, DataType); N]) -> DataType {
    DataType::Struct(
        parts
            .map(|(name, kind)| Arc::new(Field::new(name, kind, true)))
            .into(),
    )
}

/// The Arrow storage type of a kind.
pub(super) fn storage(kind: &Kind) -> DataType {
    match kind {
        Kind::Null => DataType::Null,
        Kind::Double => DataType::Float64,
        Kind::Int32 => DataType::Int32,
        Kind::Int64 => DataType::Int64,
        Kind::Boolean | Kind::Marker(_) => DataType::Boolean,
        Kind::String | Kind::Code | Kind::Symbol => DataType::Utf8,
        Kind::DateTime => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
        Kind::ObjectId => DataType::FixedSizeBinary(12),
        Kind::Decimal128 | Kind::Uuid | Kind::LegacyUuid(_) => DataType::FixedSizeBinary(16),
        Kind::Binary | Kind::Mixed => DataType::Binary,
        Kind::Subtyped => parts([("subtype", DataType::UInt8), ("data", DataType::Binary)]),
        Kind::Regex => parts([("pattern", DataType::Utf8), ("options", DataType::Utf8)]),
        Kind::DbPointer => parts([
            ("namespace", DataType::Utf8),
            ("id", DataType::FixedSizeBinary(12)),
        ]),
        Kind::CodeWithScope => parts([("code", DataType::Utf8), ("scope", DataType::Binary)]),
        Kind::Timestamp => parts([("time", DataType::UInt32), ("increment", DataType::UInt32)]),
        Kind::Document(fields) => {
            let field = |(name, kind): &(Arc<str>, Kind)| to_field(name, kind);
            DataType::Struct(fields.iter().map(field).collect())
        }
        Kind::List(items) => DataType::List(Arc::new(to_field(ITEM, items))),
        Kind::LargeList(items) => DataType::LargeList(Arc::new(to_field(ITEM, items))),
        Kind::FixedSizeList(items, size) => {
            DataType::FixedSizeList(Arc::new(to_field(ITEM, items)), *size)
        }
        Kind::Map(values) => {
            let key = Field::new("key", DataType::Utf8, false);
            let entry = DataType::Struct(vec![key, to_field("value", values)].into());
            DataType::Map(Arc::new(Field::new("entries", entry, false)), false)
        }
        Kind::ArrowOnly(data_type)
        | Kind::Rounded(data_type)
        | Kind::Json(data_type)
        | Kind::Text {
            storage: data_type, ..
        } => data_type.clone(),
        Kind::Represented(represented) => represented.storage().clone(),
    }
}

/// Returns the Arrow field of a column. All fields are nullable, because any document may lack any key.
pub(super) fn to_field(name: &str, kind: &Kind) -> Field {
    let field = Field::new(name, storage(kind), true);
    let (key, value) = match kind {
        Kind::Rounded(_) => (ROUNDING_KEY, ROUNDED),
        Kind::Text {
            cast: TextCast::Any,
            ..
        } => (CAST_KEY, ANY_VALUE),
        Kind::Represented(represented) => match name_of(represented.base()) {
            Some(name) => (STORED_TYPE_KEY, short_name(name)),
            None => return field,
        },
        kind => match name_of(kind) {
            // Only the name: extension metadata is optional.
            Some(name) => (EXTENSION_TYPE_NAME_KEY, name),
            None => return field,
        },
    };
    // A HashMap with one key has one order, so equal schemas have equal bytes.
    field.with_metadata(HashMap::from([(key.into(), value.into())]))
}
