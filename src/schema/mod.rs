//! L4: one schema for many Chunks: the types observed at each path, joined and resolved; schemas from users.
//!
//! [`ObservedTypes`] is a set per path, so joining is associative and independent of the split into pieces.
//! [`ObservedTypes::resolve`] determines the types once, at the end.

mod decimal_digits;
mod extension;
mod flat_names;
mod lossless_cast;
mod observed_types;
mod representation;
mod resolve;
mod scan;
mod serialized;
mod table;
mod type_names;
mod user_schema;
mod widening;

pub use decimal_digits::DecimalDigits;
pub use extension::{
    extension_name, extension_name_of, pymongoarrow_subtype, ARROW_JSON, ARROW_UUID, CODE,
    CODE_WITH_SCOPE, DBPOINTER, DECIMAL128, MAX_KEY, MIN_KEY, MIXED, OBJECT_ID,
    PYMONGOARROW_BINARY, REGEX, ROUNDED, ROUNDING_KEY, SHAPES, STORED_TYPE_KEY, SUBTYPED, SYMBOL,
    TIMESTAMP, UNDEFINED,
};
pub use flat_names::{flat_field, PATH_KEY};
pub use lossless_cast::{double_to_int, int_to_double};
pub use observed_types::{FirstDocument, KeyTypes, ObservedTypes, PathTypes, TypeCount};
pub use representation::{
    DecimalForm, MixedForm, Representation, Represented, StorageForm, StringLayout,
};
pub use resolve::Limits;
pub use serialized::{schema_from_bytes, schema_to_bytes};
pub use table::{Kind, TableSchema, TextCast, RESCUED};
pub use user_schema::{stored_type, type_metadata, NO_SUBTYPE};
pub use widening::{ColumnFact, ColumnNote, MixedReason, SchemaStep, WidenedPath};
