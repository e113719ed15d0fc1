//! The resolved types of a table.

use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::representation::Represented;
use super::{extension, user_schema};
use crate::chunk::Marker;
use crate::error::{Error, ErrorKind, Result};

/// The type all values under one path have in a table.
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
    /// Lists of this.
    List(Box<Kind>),
    /// Several types: each cell as BSON.
    Mixed,
    /// Values in another Arrow type than the one they are found in; only schemas that were given ask for these.
    ArrowOnly(DataType),
    /// As [`Plain`](Kind::ArrowOnly), also where only a value near the one that was found can be held.
    Rounded(DataType),
    /// Values of an extension type in a plain Arrow type; only asked for.
    Represented(Represented),
    /// Lists of this behind 64-bit offsets; only given.
    LargeList(Box<Kind>),
    /// Lists of exactly so many of this; only given.
    FixedSizeList(Box<Kind>, i32),
    /// Documents of any keys, each holding this; only given.
    Map(Box<Kind>),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // What fits may depend on precision, unit or width: say them.
            Kind::ArrowOnly(plain) => return plain.fmt(f),
            Kind::Rounded(plain) => return write!(f, "{plain} rounded"),
            Kind::Represented(represented) => return represented.base().fmt(f),
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
            Kind::Mixed => "mixed",
        })
    }
}

impl Kind {
    /// The Arrow field of a column of this kind.
    pub fn field(&self, name: &str) -> Field {
        extension::to_field(name, self)
    }

    /// Whether values of this kind, or in it, may be rounded.
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

/// The columns of a table and their types, with the Arrow schema they make.
#[derive(Clone, Debug)]
pub struct TableSchema {
    fields: Vec<(Arc<str>, Kind)>,
    arrow: SchemaRef,
}

/// The name of the column of values that did not fit.
pub const RESCUED: &str = "_rescued";

impl TableSchema {
    /// A schema of these columns, in this order. Names must differ.
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

    /// The schema that a user gave as an Arrow schema.
    ///
    /// # Errors
    /// `InvalidArgument` naming the path of the first field whose type is not supported.
    pub fn from_user(schema: &Schema) -> Result<Self> {
        Ok(TableSchema::new(user_schema::from_fields(schema.fields())?))
    }

    /// The same with one more column in Arrow, of values that do not fit: a list of paths (keys, and list positions as
    /// decimal text) and values.
    ///
    /// # Errors
    /// `InvalidArgument` when a column has its name.
    pub fn with_rescued(mut self) -> Result<Self> {
        if self.fields.iter().any(|(name, _)| **name == *RESCUED) {
            let text = format!("a column is called {RESCUED:?}, as the one that values which do not fit are rescued to");
            return Err(Error::new(ErrorKind::InvalidArgument(text)));
        }
        let path = Kind::List(Box::new(Kind::String));
        let parts = vec![("path".into(), path), ("value".into(), Kind::Mixed)];
        let rescued = Kind::List(Box::new(Kind::Document(parts)));
        let mut arrow = self.arrow.fields().to_vec();
        arrow.push(Arc::new(rescued.field(RESCUED)));
        self.arrow = Arc::new(Schema::new(arrow));
        Ok(self)
    }

    /// The columns, but for that of [`with_rescued`](Self::with_rescued).
    pub fn fields(&self) -> &[(Arc<str>, Kind)] {
        &self.fields
    }

    /// The same as an Arrow schema; always the same `Arc`.
    pub fn arrow(&self) -> &SchemaRef {
        &self.arrow
    }
}

impl PartialEq for TableSchema {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields && self.arrow == other.arrow
    }
}

impl Eq for TableSchema {}
