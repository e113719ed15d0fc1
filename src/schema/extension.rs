//! Kinds as Arrow fields and back: storage types, and the extension names that keep what Arrow has no type for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};
use arrow_schema::{DataType, Field, Fields, TimeUnit};

use super::table::Kind;
use crate::chunk::Marker;
use crate::error::{Error, ErrorKind, Location, Path, Result, Step};
use crate::raw::MAX_DEPTH;

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
/// undefined over Boolean: true where there is one.
pub const UNDEFINED: &str = "data_bridge.undefined";
/// minKey over Boolean: true where there is one.
pub const MIN_KEY: &str = "data_bridge.minkey";
/// maxKey over Boolean: true where there is one.
pub const MAX_KEY: &str = "data_bridge.maxkey";
/// Any value over Binary: the BSON document `{"": value}`.
pub const MIXED: &str = "data_bridge.mixed";
/// Arrow's own: FixedSizeBinary(16).
pub const ARROW_UUID: &str = "arrow.uuid";

/// PyMongoArrow's names for the same storage.
const PYMONGOARROW: [(&str, &str); 2] = [
    ("pymongoarrow.objectid", OBJECT_ID),
    ("pymongoarrow.decimal128", DECIMAL128),
];

/// The time zone of BSON dates in Arrow.
const UTC: &str = "UTC";
/// The field name of list items.
const ITEM: &str = "item";

/// The extension name of `field`, with PyMongoArrow's names read as ours.
pub fn extension_name(field: &Field) -> Option<&str> {
    let name = field.extension_type_name()?;
    let ours = PYMONGOARROW.iter().find(|(theirs, _)| *theirs == name);
    Some(ours.map_or(name, |(_, ours)| ours))
}

/// The extension name a kind has in Arrow.
fn name_of(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::ObjectId => OBJECT_ID,
        Kind::Decimal128 => DECIMAL128,
        Kind::Uuid => ARROW_UUID,
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
        _ => return None,
    })
}

/// The kinds that are extension types.
const EXTENSIONS: [Kind; 14] = [
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

fn parts<const N: usize>(parts: [(&str, DataType); N]) -> DataType {
    DataType::Struct(
        parts
            .map(|(name, kind)| Arc::new(Field::new(name, kind, true)))
            .into(),
    )
}

/// The Arrow type that holds a kind's values.
fn storage(kind: &Kind) -> DataType {
    match kind {
        Kind::Null => DataType::Null,
        Kind::Double => DataType::Float64,
        Kind::Int32 => DataType::Int32,
        Kind::Int64 => DataType::Int64,
        Kind::Boolean | Kind::Marker(_) => DataType::Boolean,
        Kind::String | Kind::Code | Kind::Symbol => DataType::Utf8,
        Kind::DateTime => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
        Kind::ObjectId => DataType::FixedSizeBinary(12),
        Kind::Decimal128 | Kind::Uuid => DataType::FixedSizeBinary(16),
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
    }
}

/// The Arrow field of a column. Everything is nullable: any document may lack any key.
pub(super) fn to_field(name: &str, kind: &Kind) -> Field {
    let field = Field::new(name, storage(kind), true);
    let Some(extension) = name_of(kind) else {
        return field;
    };
    let mut metadata = HashMap::from([(EXTENSION_TYPE_NAME_KEY.into(), extension.into())]);
    // `arrow.uuid` is defined to have no metadata; ours is there and empty, for consumers that look for the key.
    if extension != ARROW_UUID {
        metadata.insert(EXTENSION_TYPE_METADATA_KEY.into(), String::new());
    }
    field.with_metadata(metadata)
}

/// The columns of a given schema.
pub(super) fn from_fields(fields: &Fields) -> Result<Vec<(Arc<str>, Kind)>> {
    Given { path: Vec::new() }.fields(fields)
}

/// Walks a given schema; `path` is where it stands, items of a list as `[0]`.
struct Given {
    path: Path,
}

impl Given {
    fn fields(&mut self, fields: &Fields) -> Result<Vec<(Arc<str>, Kind)>> {
        let mut names = HashSet::new();
        let mut kinds = Vec::with_capacity(fields.len());
        for field in fields {
            let name: Arc<str> = field.name().as_str().into();
            self.path.push(Step::Key(Arc::clone(&name)));
            if !names.insert(Arc::clone(&name)) {
                return Err(self.refuse("this name occurs twice in the given schema".into()));
            }
            let kind = self.field(field)?;
            self.path.pop();
            kinds.push((name, kind));
        }
        Ok(kinds)
    }

    fn field(&mut self, field: &Field) -> Result<Kind> {
        if !field.is_nullable() {
            return Err(self.refuse(
                "a given field must be nullable: any document may lack a key or hold null".into(),
            ));
        }
        match extension_name(field) {
            Some(name) => self.extension(name, field.data_type()),
            None => self.plain(field.data_type()),
        }
    }

    fn extension(&self, name: &str, found: &DataType) -> Result<Kind> {
        let known = EXTENSIONS.iter().find(|kind| name_of(kind) == Some(name));
        let Some(kind) = known else {
            return Err(self.unsupported(&format!("extension {name:?}")));
        };
        let wanted = storage(kind);
        if !same_storage(&wanted, found) {
            return Err(self.unsupported(&format!(
                "extension {name:?} over {found} (it is defined over {wanted})"
            )));
        }
        Ok(kind.clone())
    }

    fn plain(&mut self, found: &DataType) -> Result<Kind> {
        Ok(match found {
            DataType::Null => Kind::Null,
            DataType::Float64 => Kind::Double,
            DataType::Int32 => Kind::Int32,
            DataType::Int64 => Kind::Int64,
            DataType::Boolean => Kind::Boolean,
            DataType::Utf8 => Kind::String,
            DataType::Binary => Kind::Binary,
            DataType::FixedSizeBinary(12) => Kind::ObjectId,
            DataType::Timestamp(TimeUnit::Millisecond, Some(zone)) if &**zone == UTC => {
                Kind::DateTime
            }
            DataType::Struct(fields) if !fields.is_empty() && self.path.len() < MAX_DEPTH => {
                Kind::Document(self.fields(fields)?)
            }
            DataType::List(item) if self.path.len() < MAX_DEPTH => {
                self.path.push(Step::Index(0));
                let kind = self.field(item)?;
                self.path.pop();
                Kind::List(Box::new(kind))
            }
            other => return Err(self.unsupported(&other.to_string())),
        })
    }

    fn unsupported(&self, what: &str) -> Error {
        self.refuse(format!(
            "a given schema cannot hold {what} yet; accepted are null, bool, int32, int64, float64, utf8, binary, \
             fixed_size_binary(12) as ObjectId, timestamp(ms, UTC), structs with fields, lists, arrow.uuid, \
             pymongoarrow.objectid and .decimal128, and the data_bridge.* extension types"
        ))
    }

    fn refuse(&self, text: String) -> Error {
        Error::new(ErrorKind::InvalidArgument(text)).at(Location {
            path: self.path.clone(),
            ..Location::default()
        })
    }
}

/// The same type but for nullability and metadata of a struct's parts.
fn same_storage(wanted: &DataType, found: &DataType) -> bool {
    match (wanted, found) {
        (DataType::Struct(wanted), DataType::Struct(found)) => {
            wanted.len() == found.len()
                && wanted.iter().zip(found).all(|(wanted, found)| {
                    wanted.name() == found.name() && wanted.data_type() == found.data_type()
                })
        }
        _ => wanted == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_its_field() {
        let mut kinds = EXTENSIONS.to_vec();
        kinds.extend([
            Kind::Null,
            Kind::Double,
            Kind::Int32,
            Kind::Int64,
            Kind::Boolean,
            Kind::String,
            Kind::DateTime,
            Kind::Binary,
        ]);
        for kind in kinds.clone() {
            kinds.push(Kind::List(Box::new(kind.clone())));
            kinds.push(Kind::Document(vec![
                ("a.b".into(), kind.clone()),
                ("".into(), kind),
            ]));
        }
        for kind in kinds {
            let fields = Fields::from(vec![to_field("x", &kind)]);
            assert_eq!(from_fields(&fields).unwrap(), [("x".into(), kind)]);
        }
    }

    #[test]
    fn what_is_refused_is_named_by_path() {
        let item = Field::new("element", DataType::LargeUtf8, true);
        let list = Field::new("b", DataType::List(Arc::new(item)), true);
        let outer = Field::new("a", DataType::Struct(vec![list].into()), true);
        let error = from_fields(&vec![outer].into()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)));
        let path = [Step::Key("a".into()), Step::Key("b".into()), Step::Index(0)];
        assert_eq!(error.location().path, path);
        assert!(error.to_string().contains("LargeUtf8"), "{error}");

        let twice = vec![Field::new("a", DataType::Int32, true); 2];
        assert!(from_fields(&twice.into()).is_err());
        let required = vec![Field::new("a", DataType::Int32, false)];
        assert!(from_fields(&required.into()).is_err());
    }

    #[test]
    fn pymongoarrow_names_are_read() {
        let field = |name: &str, width| {
            Field::new("x", DataType::FixedSizeBinary(width), true).with_metadata(HashMap::from([
                (EXTENSION_TYPE_NAME_KEY.into(), name.into()),
            ]))
        };
        let fields = vec![field("pymongoarrow.objectid", 12)].into();
        assert_eq!(from_fields(&fields).unwrap()[0].1, Kind::ObjectId);
        let fields = vec![field("pymongoarrow.decimal128", 16)].into();
        assert_eq!(from_fields(&fields).unwrap()[0].1, Kind::Decimal128);
    }
}
