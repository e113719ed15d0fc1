//! L4: one schema for many Chunks: what was seen at each path, joined and resolved; schemas that were given.
//!
//! [`Observed`] is a set per path, so joining is associative and knows nothing of how a result was cut into pieces;
//! types are decided once, at the end, by [`Observed::resolve`].

mod exact;
mod extension;
mod findings;
mod given;
mod named;
mod observed;
mod resolve;
mod scan;
mod shown;
mod table;

pub use exact::{double_to_int, int_to_double};
pub use extension::{
    extension_name, pymongoarrow_subtype, ARROW_JSON, ARROW_UUID, CODE, CODE_WITH_SCOPE, DBPOINTER,
    DECIMAL128, MAX_KEY, MIN_KEY, MIXED, OBJECT_ID, PYMONGOARROW_BINARY, REGEX, ROUNDED,
    ROUNDING_KEY, SHAPES, SUBTYPED, SYMBOL, TIMESTAMP, UNDEFINED,
};
pub use findings::{Finding, Part, Reason};
pub use given::NO_SUBTYPE;
pub use observed::{First, Keys, Observed, Seen, TypeSeen};
pub use resolve::Limits;
pub use shown::{Decimals, Mixed, Representation, Shown, Store, Strings};
pub use table::{Kind, TableSchema, RESCUED};
