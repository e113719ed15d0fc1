//! The options of a write, resolved once per stream.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use crate::conform::Lossy;

/// The largest document that servers accept, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 20;

/// The keys from the top level down to a value; never a dotted string.
pub type KeyPath = Vec<Arc<str>>;

/// The options of [`Plan::new`](super::Plan::new). The default inserts documents and keeps nulls.
#[derive(Clone, Debug)]
pub struct EncodeOptions {
    /// The form of the output.
    pub operation: Operation,
    /// The meaning of Arrow's null in documents; in lists it is null.
    pub nulls: Nulls,
    /// A schema whose columns give those of the same name their types.
    pub schema: Option<SchemaRef>,
    /// True if names with points are paths of embedded documents, as in flattened tables.
    pub unflatten: bool,
    /// Handling of values that BSON cannot hold.
    pub on_conflict: OnConflict,
    /// The values that may be rounded.
    pub roundings: Roundings,
    /// The largest document in bytes.
    pub max_document_bytes: usize,
    /// BSON elements that are appended to each statement, such as `hint` and `collation`; without length and final NUL.
    pub statement_elements: Vec<u8>,
    /// True to compute [`Encoded::key_hash`](super::Encoded::key_hash).
    pub hash_keys: bool,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        EncodeOptions {
            operation: Operation::Insert { make_ids: false },
            nulls: Nulls::Keep,
            schema: None,
            unflatten: false,
            on_conflict: OnConflict::Error,
            roundings: Roundings::default(),
            max_document_bytes: MAX_DOCUMENT_BYTES,
            statement_elements: Vec::new(),
            hash_keys: false,
        }
    }
}

impl EncodeOptions {
    pub(super) fn lossy(&self) -> Lossy {
        Lossy {
            nulls_conflicts: self.on_conflict == OnConflict::Null,
            rounds_dates: self.roundings.dates,
            rounds_decimals: self.roundings.decimals,
        }
    }
}

/// The form of the output of each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Documents, for the `documents` of an insert command.
    Insert {
        /// True to write an ObjectId of this process in front of each document without an `_id`.
        make_ids: bool,
    },
    /// `{q, u: {$set: ..}}`, for the `updates` of an update command.
    Update {
        /// The key columns.
        on: Vec<KeyPath>,
        /// True to insert a document where none matches.
        upsert: bool,
        /// True to update all documents that match.
        many: bool,
        /// Handling of structs.
        nested: Nested,
    },
    /// `{q, u: document}`, for the `updates` of an update command.
    Replace {
        /// The key columns.
        on: Vec<KeyPath>,
        /// True to insert a document where none matches.
        upsert: bool,
    },
    /// `{q, limit}`, for the `deletes` of a delete command.
    Delete {
        /// The key columns.
        on: Vec<KeyPath>,
        /// True to delete all documents that match.
        many: bool,
    },
}

/// The meaning of Arrow's null in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nulls {
    /// A null.
    #[default]
    Keep,
    /// No key; in an update, the stored value is unchanged.
    Omit,
    /// In an update, the key is removed; in documents, no key.
    Unset,
}

/// Handling of structs in updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nested {
    /// The fields of the struct are set in the stored document.
    #[default]
    Merge,
    /// The struct replaces the stored value.
    Replace,
}

/// Handling of values that BSON cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// An error with row and path.
    #[default]
    Error,
    /// Null; the values are lost, and counted.
    Null,
}

/// The values that may be changed to one that BSON holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roundings {
    /// Dates: truncated to their millisecond.
    pub dates: bool,
    /// Decimals: rounded to 34 digits, ties to even.
    pub decimals: bool,
}
