//! Schemas from users: the accepted Arrow types, and their kinds.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::extension::EXTENSION_TYPE_NAME_KEY;
use arrow_schema::{DataType, Field, Fields, TimeUnit};

use super::extension::{
    extension_name, is_text, kind_named, name_of, pymongoarrow_subtype, short_name, storage,
    ANY_VALUE, ARROW_JSON, CAST_KEY, EXTENSIONS, MIXED, PYMONGOARROW_BINARY, ROUNDED, ROUNDING_KEY,
    STORED_TYPE_KEY, UTC,
};
use super::representation::{plain_storage, Represented};
use super::table::{Kind, TextCast};
use crate::error::{Error, ErrorKind, Location, Path, Result, Step};
use crate::raw::MAX_DEPTH;

/// Returns the columns of a user's schema.
pub(super) fn from_fields(fields: &Fields) -> Result<Vec<(Arc<str>, Kind)>> {
    UserSchemaParser { path: Vec::new() }.fields(fields)
}

/// The fault of a [`PYMONGOARROW_BINARY`] field without its metadata.
pub const NO_SUBTYPE: &str =
    "pymongoarrow.binary has no subtype: set the extension's metadata to subtype=N, as PyMongoArrow does";

/// Walks a user's schema; `path` is the current path, with items of a list as `[0]`.
struct UserSchemaParser {
    path: Path,
}

impl UserSchemaParser {
    fn fields(&mut self, fields: &Fields) -> Result<Vec<(Arc<str>, Kind)>> {
        let mut names = HashSet::new();
        let mut kinds = Vec::with_capacity(fields.len());
        for field in fields {
            let name: Arc<str> = field.name().as_str().into();
            self.path.push(Step::Key(Arc::clone(&name)));
            if !names.insert(Arc::clone(&name)) {
                return Err(self.invalid(
                    "two fields of the schema have this name: rename or remove one".into(),
                ));
            }
            let kind = self.field(field)?;
            self.path.pop();
            kinds.push((name, kind));
        }
        Ok(kinds)
    }

    fn field(&mut self, field: &Field) -> Result<Kind> {
        if !field.is_nullable() {
            return Err(self.invalid(
                "a field of a schema must be nullable: any document may lack a key or hold null"
                    .into(),
            ));
        }
        let kind = match extension_name(field) {
            Some(PYMONGOARROW_BINARY) => self.pymongoarrow_binary(field)?,
            Some(name) => self.extension(name, field.data_type())?,
            None => match stored_type(field) {
                Some(represented) => Kind::Represented(Box::new(represented)),
                None => self.arrow_type(field.data_type())?,
            },
        };
        let kind = match (kind, field.metadata().get(CAST_KEY).map(String::as_str)) {
            (Kind::Text { storage, .. }, Some(ANY_VALUE)) => Kind::text(TextCast::Any, storage),
            (kind, _) => kind,
        };
        match field.metadata().get(ROUNDING_KEY).map(String::as_str) {
            None => Ok(kind),
            Some(ROUNDED) => kind.rounded().ok_or_else(|| {
                self.invalid(format!("values are not rounded to {}: only numbers and dates are", field.data_type()))
            }),
            Some(other) => Err(self.invalid(format!(
                "the metadata {ROUNDING_KEY:?} of a field must be {ROUNDED:?} or absent, got {other:?}"
            ))),
        }
    }

    fn extension(&self, name: &str, found: &DataType) -> Result<Kind> {
        if name == ARROW_JSON && is_text(found) {
            return Ok(Kind::Json(found.clone()));
        }
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

    /// Returns the kind of PyMongoArrow's binary: a binary column for subtype 0, a column of subtypes for all others.
    fn pymongoarrow_binary(&self, field: &Field) -> Result<Kind> {
        if field.data_type() != &DataType::Binary {
            return Err(self.unsupported(&format!(
                "extension {PYMONGOARROW_BINARY:?} over {} (it is defined over Binary)",
                field.data_type()
            )));
        }
        match pymongoarrow_subtype(field) {
            Some(0) => Ok(Kind::Binary),
            Some(_) => Ok(Kind::Subtyped),
            None => Err(self.invalid(NO_SUBTYPE.into())),
        }
    }

    fn arrow_type(&mut self, found: &DataType) -> Result<Kind> {
        Ok(match found {
            DataType::Null => Kind::Null,
            DataType::Float64 => Kind::Double,
            DataType::Int32 => Kind::Int32,
            DataType::Int64 => Kind::Int64,
            DataType::Boolean => Kind::Boolean,
            text if is_text(text) => Kind::text(TextCast::Plain, text.clone()),
            DataType::Dictionary(index, values) if is_text(values) && has_wide_index(index) => {
                Kind::text(TextCast::Plain, found.clone())
            }
            DataType::Binary => Kind::Binary,
            DataType::FixedSizeBinary(12) => Kind::ObjectId,
            DataType::Timestamp(TimeUnit::Millisecond, Some(zone)) if &**zone == UTC => {
                Kind::DateTime
            }
            DataType::Struct(fields) if !fields.is_empty() && self.path.len() < MAX_DEPTH => {
                Kind::Document(self.fields(fields)?)
            }
            DataType::List(item) => Kind::List(self.item_kind(item)?),
            DataType::LargeList(item) => Kind::LargeList(self.item_kind(item)?),
            DataType::FixedSizeList(item, size) => Kind::FixedSizeList(self.item_kind(item)?, *size),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(parts)
                    if parts.len() == 2 && parts[0].data_type() == &DataType::Utf8 =>
                {
                    Kind::Map(self.item_kind(&parts[1])?)
                }
                _ => return Err(self.unsupported("a map whose keys are not utf8")),
            },
            data_type if is_convertible(data_type) => Kind::ArrowOnly(data_type.clone()),
            DataType::Dictionary(..) => {
                return Err(self.unsupported(&format!(
                    "{found}: dictionaries hold strings, behind indexes of 32 or 64 bits (smaller ones could \
                     overflow in one batch and not in another)"
                )))
            }
            other => return Err(self.unsupported(&other.to_string())),
        })
    }

    /// Returns the kind of the items of a list, or of the values of a map.
    fn item_kind(&mut self, item: &Field) -> Result<Box<Kind>> {
        if self.path.len() >= MAX_DEPTH {
            return Err(self.invalid("the schema nests deeper than 200 levels".into()));
        }
        self.path.push(Step::Index(0));
        let kind = self.field(item)?;
        self.path.pop();
        Ok(Box::new(kind))
    }

    fn unsupported(&self, what: &str) -> Error {
        self.invalid(format!(
            "a schema cannot hold {what}; the accepted types are null, bool, all integers, float32, float64, decimal32, \
             decimal64, decimal128, strings and binary (also large, view and fixed-size; fixed_size_binary(12) is an \
             ObjectId), dictionaries of strings, date32, date64, timestamps, structs with fields, lists (also large \
             and fixed-size), maps with utf8 keys, arrow.uuid, arrow.json, and the pymongoarrow.* and data_bridge.* \
             extension types"
        ))
    }

    fn invalid(&self, text: String) -> Error {
        Error::new(ErrorKind::InvalidArgument(text)).at(Location {
            path: self.path.clone(),
            ..Location::default()
        })
    }
}

/// Returns the stored type in the metadata of a field of an earlier table; `None` for metadata that does not describe the
/// field's own type, such as that of a column that was cast.
pub fn stored_type(field: &Field) -> Option<Represented> {
    let base = kind_named(field.metadata().get(STORED_TYPE_KEY)?)?;
    // Consumers change the layout of text, and the metadata and nullability of nested fields.
    let known = [storage(&base), plain_storage(&base)].into_iter();
    let known = known
        .into_iter()
        .find(|known| is_layout_of(known, field.data_type()));
    Represented::new(base, known.unwrap_or_else(|| field.data_type().clone()))
}

/// Returns whether `found` holds the values of `wanted`, in any layout of text and bytes.
fn is_layout_of(wanted: &DataType, found: &DataType) -> bool {
    use DataType::{Binary, BinaryView, LargeBinary, Struct, Utf8};
    match (wanted, found) {
        (Struct(wanted), Struct(found)) => {
            wanted.len() == found.len()
                && wanted.iter().zip(found).all(|(wanted, found)| {
                    wanted.name() == found.name()
                        && is_layout_of(wanted.data_type(), found.data_type())
                })
        }
        (Utf8, found) => is_text(found),
        (Binary, Binary | LargeBinary | BinaryView) => true,
        _ => wanted == found,
    }
}

/// Returns the metadata that gives a column of `data_type` the type of `schema`, a field of an earlier table: an extension
/// name, or a stored type for text.
pub fn type_metadata<'a>(schema: &'a Field, data_type: &DataType) -> Option<(&'a str, &'a str)> {
    let holds_text = is_text(data_type)
        || matches!(data_type, DataType::Dictionary(_, values) if is_text(values));
    match (
        extension_name(schema),
        schema.metadata().get(STORED_TYPE_KEY),
    ) {
        (Some(ARROW_JSON), _) => Some((STORED_TYPE_KEY, short_name(MIXED))),
        (Some(name), _) if holds_text => Some((STORED_TYPE_KEY, short_name(name))),
        (Some(name), _) => Some((EXTENSION_TYPE_NAME_KEY, name)),
        (None, stored) => Some((STORED_TYPE_KEY, stored?)),
    }
}

impl Kind {
    /// Returns the kind for rounded values; `None` for types without an order to round in.
    pub(super) fn rounded(&self) -> Option<Kind> {
        use DataType::*;
        match self {
            Kind::Double | Kind::Int32 | Kind::Int64 | Kind::DateTime => {
                Some(Kind::Rounded(storage(self)))
            }
            Kind::ArrowOnly(
                data_type @ (Int8 | Int16 | UInt8 | UInt16 | UInt32 | UInt64 | Float32
                | Decimal32(..) | Decimal64(..) | Decimal128(..) | Date32 | Date64
                | Timestamp(..)),
            ) => Some(Kind::Rounded(data_type.clone())),
            _ => None,
        }
    }
}

/// Returns whether values convert to this type, although no BSON type maps to it.
fn is_convertible(to: &DataType) -> bool {
    use DataType::*;
    matches!(
        to,
        Int8 | Int16
            | UInt8
            | UInt16
            | UInt32
            | UInt64
            | Float32
            | Decimal32(..)
            | Decimal64(..)
            | Decimal128(..)
            | LargeBinary
            | BinaryView
            | FixedSizeBinary(_)
            | Date32
            | Date64
            | Timestamp(..)
    )
}

/// Returns whether the indexes of a dictionary are of 32 bits or more.
fn has_wide_index(index: &DataType) -> bool {
    use DataType::{Int32, Int64, UInt32, UInt64};
    matches!(index, Int32 | Int64 | UInt32 | UInt64)
}

/// Returns whether two types are equal, except for nullability and metadata of a struct's fields.
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
    use std::collections::HashMap;

    use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};

    use super::super::extension::to_field;
    use super::*;

    #[test]
    fn every_kind_round_trips_through_its_field() {
        let mut kinds = EXTENSIONS.to_vec();
        kinds.extend([
            Kind::Null,
            Kind::Double,
            Kind::Int32,
            Kind::Int64,
            Kind::Boolean,
            Kind::text(TextCast::Plain, DataType::Utf8),
            Kind::text(TextCast::Any, DataType::Utf8View),
            Kind::DateTime,
            Kind::Binary,
            Kind::LargeList(Box::new(Kind::Int32)),
            Kind::FixedSizeList(Box::new(Kind::Uuid), 2),
            Kind::Map(Box::new(Kind::Mixed)),
            Kind::ArrowOnly(DataType::UInt64),
            Kind::Rounded(DataType::Int64),
            Kind::Rounded(DataType::Decimal128(10, -2)),
            Kind::Rounded(DataType::Date32),
            Kind::Json(DataType::LargeUtf8),
            Kind::ArrowOnly(DataType::Decimal128(10, -2)),
            Kind::ArrowOnly(DataType::Timestamp(TimeUnit::Nanosecond, None)),
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
    fn errors_name_the_path() {
        let item = Field::new("element", DataType::Float16, true);
        let list = Field::new("b", DataType::List(Arc::new(item)), true);
        let outer = Field::new("a", DataType::Struct(vec![list].into()), true);
        let error = from_fields(&vec![outer].into()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)));
        let path = [Step::Key("a".into()), Step::Key("b".into()), Step::Index(0)];
        assert_eq!(error.location().path, path);
        assert!(error.to_string().contains("Float16"), "{error}");

        let twice = vec![Field::new("a", DataType::Int32, true); 2];
        assert!(from_fields(&twice.into()).is_err());
        let required = vec![Field::new("a", DataType::Int32, false)];
        assert!(from_fields(&required.into()).is_err());
    }

    #[test]
    fn only_ordered_types_are_rounded() {
        let refused = |kind: DataType, value: &str| {
            let metadata = HashMap::from([(ROUNDING_KEY.into(), value.into())]);
            let field = Field::new("x", kind, true).with_metadata(metadata);
            from_fields(&vec![field].into()).unwrap_err().to_string()
        };
        assert!(refused(DataType::Utf8, ROUNDED).contains("Utf8"));
        assert!(refused(DataType::Float32, "up").contains("up"));
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
        let with = |name: &str, storage, metadata: &str| {
            let metadata = HashMap::from([
                (EXTENSION_TYPE_NAME_KEY.into(), name.into()),
                (EXTENSION_TYPE_METADATA_KEY.into(), metadata.into()),
            ]);
            let field = Field::new("x", storage, true).with_metadata(metadata);
            from_fields(&vec![field].into()).map(|mut found| found.remove(0).1)
        };
        let code = with("pymongoarrow.code", DataType::Utf8, "");
        assert_eq!(code.unwrap(), Kind::Code);
        for (metadata, kind) in [
            ("subtype=0", Kind::Binary),
            ("subtype=False", Kind::Binary),
            ("subtype=4", Kind::Subtyped),
            ("subtype=True", Kind::Subtyped),
            ("subtype=255", Kind::Subtyped),
        ] {
            let binary = with(PYMONGOARROW_BINARY, DataType::Binary, metadata);
            assert_eq!(binary.unwrap(), kind);
        }
        for metadata in ["", "subtype=", "subtype=256", "5"] {
            let error = with(PYMONGOARROW_BINARY, DataType::Binary, metadata).unwrap_err();
            assert!(error.to_string().contains("subtype"), "{error}");
        }
        assert!(with(PYMONGOARROW_BINARY, DataType::Utf8, "subtype=5").is_err());
    }
}
