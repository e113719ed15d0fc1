//! The resolved types of a table.

use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::representation::{MixedForm, Representation, Represented};
use super::{extension, flat_names, user_schema};
use crate::chunk::Marker;
use crate::error::{Error, ErrorKind, Result};
use crate::raw::LegacyUuid;

/// The type of all values at one path of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only nulls.
    Null,
    /// double
    Double,
    /// int32
    Int32,
    /// int64
    Int64,
    /// bool
    Boolean,
    /// string
    String,
    /// date
    DateTime,
    /// ObjectId
    ObjectId,
    /// decimal128
    Decimal128,
    /// Binary, all of subtype 4 and 16 bytes.
    Uuid,
    /// Binary, all of 16 bytes and of subtype 4, or of subtype 3 in this byte order.
    LegacyUuid(LegacyUuid),
    /// Binary, all of subtype 0.
    Binary,
    /// Binary of any subtypes.
    Subtyped,
    /// Regular expression
    Regex,
    /// dbPointer
    DbPointer,
    /// JavaScript
    Code,
    /// symbol
    Symbol,
    /// JavaScript with a scope
    CodeWithScope,
    /// Internal timestamp
    Timestamp,
    /// undefined, minKey or maxKey
    Marker(Marker),
    /// Documents with these keys.
    Document(Vec<(Arc<str>, Kind)>),
    /// Lists of this kind.
    List(Box<Kind>),
    /// Several types: each cell as BSON.
    Mixed,
    /// Values in an Arrow type that no BSON type maps to; only in schemas from users.
    ArrowOnly(DataType),
    /// Values like [`ArrowOnly`](Kind::ArrowOnly), rounded to the nearest value if necessary.
    Rounded(DataType),
    /// Values of an extension type without its name; only on request.
    Represented(Box<Represented>),
    /// Several types: each cell as Extended JSON under the name `arrow.json`, in this type of text; only on request.
    Json(DataType),
    /// Strings in this type of text, and other values as text; only in schemas from users.
    Text {
        /// The values that are accepted beside strings.
        cast: TextCast,
        /// The byte order of UUIDs in binaries of subtype 3; `None` if those are no UUIDs.
        legacy_uuid: Option<LegacyUuid>,
        /// Utf8, LargeUtf8, Utf8View, or a dictionary of one of them.
        storage: DataType,
    },
    /// Lists of this kind with 64-bit offsets; only in schemas from users.
    LargeList(Box<Kind>),
    /// Lists of this kind with a fixed number of items; only in schemas from users.
    FixedSizeList(Box<Kind>, i32),
    /// Documents with any keys, whose values have this kind; only in schemas from users.
    Map(Box<Kind>),
}

/// The values that a column of text in a user's schema accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextCast {
    /// Strings, ObjectIds, UUIDs and decimals, whose plain form is text.
    Plain,
    /// Every value.
    Any,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Precision, unit or width can decide the conflict, so the text includes them.
            Kind::ArrowOnly(data_type) => return data_type.fmt(f),
            Kind::Rounded(data_type) => return write!(f, "{data_type} rounded"),
            Kind::Represented(represented) => {
                return match represented.decimal_number() {
                    Some((precision, scale)) => write!(
                        f,
                        "decimal128 of {precision} digits, {scale} of them after the point (decimal= chooses others)"
                    ),
                    None => represented.base().fmt(f),
                }
            }
            Kind::FixedSizeList(_, size) => return write!(f, "list of {size} items"),
            _ => {}
        }
        f.write_str(match self {
            Kind::Null => "null",
            Kind::Double => "double",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Boolean => "bool",
            Kind::String => "string",
            Kind::DateTime => "date",
            Kind::ObjectId => "objectId",
            Kind::Decimal128 => "decimal128",
            Kind::Uuid => "uuid (binary of subtype 4, 16 bytes)",
            Kind::LegacyUuid(_) => "uuid (binary of subtype 3 or 4, 16 bytes)",
            Kind::Text {
                cast: TextCast::Plain,
                ..
            } => "string",
            Kind::Binary => "binary of subtype 0",
            Kind::Subtyped => "binary of any subtype",
            Kind::Regex => "regex",
            Kind::DbPointer => "dbPointer",
            Kind::Code => "javascript",
            Kind::Symbol => "symbol",
            Kind::CodeWithScope => "javascriptWithScope",
            Kind::Timestamp => "timestamp",
            Kind::Marker(Marker::Undefined) => "undefined",
            Kind::Marker(Marker::MinKey) => "minKey",
            Kind::Marker(Marker::MaxKey) => "maxKey",
            Kind::Document(_) | Kind::Map(_) => "document",
            Kind::List(_) | Kind::LargeList(_) | Kind::FixedSizeList(..) => "list",
            Kind::ArrowOnly(_) | Kind::Rounded(_) | Kind::Represented(_) => "another Arrow type",
            Kind::Mixed
            | Kind::Json(_)
            | Kind::Text {
                cast: TextCast::Any,
                ..
            } => "mixed",
        })
    }
}

impl Kind {
    /// Text in a user's schema, in the layout `storage`.
    pub(super) fn text(cast: TextCast, storage: DataType) -> Kind {
        Kind::Text {
            cast,
            legacy_uuid: None,
            storage,
        }
    }

    /// The Arrow field of a column of this kind.
    pub fn field(&self, name: &str) -> Field {
        extension::to_field(name, self)
    }

    /// Returns whether values of this kind, or values nested in it, may be rounded.
    pub fn rounds(&self) -> bool {
        match self {
            Kind::Rounded(_) => true,
            Kind::Document(fields) => fields.iter().any(|(_, kind)| kind.rounds()),
            Kind::List(below)
            | Kind::LargeList(below)
            | Kind::FixedSizeList(below, _)
            | Kind::Map(below) => below.rounds(),
            _ => false,
        }
    }
}

/// The columns of a table and their types, with the equivalent Arrow schema.
#[derive(Clone, Debug)]
pub struct TableSchema {
    fields: Vec<(Arc<str>, Kind)>,
    arrow: SchemaRef,
}

/// The name of the column of rescued values.
pub const RESCUED: &str = "_rescued";

impl TableSchema {
    /// Returns a schema of these columns, in this order. Names must differ.
    pub fn new(fields: Vec<(Arc<str>, Kind)>) -> Self {
        let arrow: Vec<Field> = fields
            .iter()
            .map(|(name, kind)| extension::to_field(name, kind))
            .collect();
        TableSchema {
            fields,
            arrow: Arc::new(Schema::new(arrow)),
        }
    }

    /// Parses a user's Arrow schema.
    ///
    /// # Errors
    /// `InvalidArgument` with the path of the first field whose type is not supported.
    pub fn from_user(schema: &Schema) -> Result<Self> {
        Ok(TableSchema::new(user_schema::from_fields(schema.fields())?))
    }

    /// Parses a user's Arrow schema of a flattened table, and returns the schema with embedded documents that has these columns
    /// when it is flattened.
    ///
    /// # Errors
    /// The errors of [`from_user`](Self::from_user), and `InvalidArgument` when a column has the name of a document of others.
    pub fn from_flattened(schema: &Schema) -> Result<Self> {
        let mut documents = Vec::new();
        let kinds = user_schema::from_fields(schema.fields())?;
        for ((name, kind), field) in kinds.into_iter().zip(schema.fields()) {
            if !insert(&mut documents, &flat_names::flat_path(field)?, kind) {
                let text = format!("the column {name:?} of the schema lies below another column");
                return Err(Error::new(ErrorKind::InvalidArgument(text)));
            }
        }
        Ok(TableSchema::new(documents))
    }

    /// Adds a column to the Arrow schema for values that do not fit: a list of paths (keys, and list positions as
    /// decimal text) and values as BSON, without an extension name if `representation` has none for mixed columns.
    ///
    /// # Errors
    /// `InvalidArgument` when a column has its name.
    pub fn with_rescued(mut self, representation: &Representation) -> Result<Self> {
        if self.fields.iter().any(|(name, _)| **name == *RESCUED) {
            let text = format!("the key {RESCUED:?} has the name of the column of rescued values: exclude it by a projection, or use another \
                 on_conflict");
            return Err(Error::new(ErrorKind::InvalidArgument(text)));
        }
        let path = Kind::List(Box::new(Kind::String));
        let mixed = extension::storage(&Kind::Mixed);
        let value = match representation.mixed {
            MixedForm::Text => Represented::new(Kind::Mixed, mixed),
            MixedForm::Exact | MixedForm::Json => None,
        };
        let value = value.map_or(Kind::Mixed, |value| Kind::Represented(Box::new(value)));
        let parts = vec![("path".into(), path), ("value".into(), value)];
        let rescued = Kind::List(Box::new(Kind::Document(parts)));
        let mut arrow = self.arrow.fields().to_vec();
        arrow.push(Arc::new(rescued.field(RESCUED)));
        self.arrow = Arc::new(Schema::new(arrow));
        Ok(self)
    }

    /// The columns, without that of [`with_rescued`](Self::with_rescued).
    pub fn fields(&self) -> &[(Arc<str>, Kind)] {
        &self.fields
    }

    /// The equivalent Arrow schema; always the same `Arc`.
    pub fn arrow(&self) -> &SchemaRef {
        &self.arrow
    }
}

/// Adds a column to the document of its path; returns whether that was possible.
fn insert(fields: &mut Vec<(Arc<str>, Kind)>, path: &[String], kind: Kind) -> bool {
    let Some((key, rest)) = path.split_first() else {
        return false;
    };
    let known = fields.iter_mut().find(|(name, _)| **name == **key);
    match (known, rest.is_empty()) {
        (None, true) => fields.push((key.as_str().into(), kind)),
        (None, false) => {
            let mut below = Vec::new();
            insert(&mut below, rest, kind);
            fields.push((key.as_str().into(), Kind::Document(below)));
        }
        (Some((_, Kind::Document(below))), false) => return insert(below, rest, kind),
        (Some(_), _) => return false,
    }
    true
}

impl PartialEq for TableSchema {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields && self.arrow == other.arrow
    }
}

impl Eq for TableSchema {}
