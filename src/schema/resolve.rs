//! Resolution of observed types to the types of a table.

use std::sync::Arc;

use super::observed_types::{ObservedTypes, PathTypes};
use super::table::{Kind, TableSchema};
use super::widening::MixedReason;
use crate::chunk::Marker;
use crate::error::{Error, Result};
use crate::raw::ElementType;

/// Limits of the columns of a table.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Limits of nested paths, equal to those of decoding; paths beyond them are mixed.
    pub nested: crate::index::Limits,
    /// Maximum number of top-level keys; with more keys, no table is made.
    pub max_top_level_keys: usize,
}

impl Default for Limits {
    /// 10,000 columns: far more than tabular collections have, and few enough for every consumer of Arrow.
    fn default() -> Self {
        Limits {
            nested: Default::default(),
            max_top_level_keys: 10_000,
        }
    }
}

const DOCUMENT: u32 = 1 << ElementType::Document as u32;
const LIST: u32 = 1 << ElementType::List as u32;
const DOUBLE: u32 = 1 << ElementType::Double as u32;
const INTS: u32 = 1 << ElementType::Int32 as u32 | 1 << ElementType::Int64 as u32;

impl ObservedTypes {
    /// Returns the table schema that holds all observed values.
    ///
    /// # Errors
    /// `SchemaConflict` when there are too many top-level keys.
    pub fn resolve(&self, limits: &Limits) -> Result<TableSchema> {
        let fields = self.keys.fields();
        if fields.len() > limits.max_top_level_keys {
            return Err(Error::conflict(
                format!("at most {} top-level keys", limits.max_top_level_keys),
                format!(
                    "{} keys: select some by a projection or a schema, or iterate over the documents",
                    fields.len()
                ),
            ));
        }
        let fields = fields
            .iter()
            .map(|(name, seen)| (Arc::clone(name), seen.kind(1, limits)))
            .collect();
        Ok(TableSchema::new(fields))
    }

    /// Discards the types below paths that are certainly mixed, which bounds the size of joins.
    ///
    /// [`ObservedTypes::resolve`] under the same limits returns the same schema as before.
    pub fn prune(&mut self, limits: &Limits) {
        for seen in self.keys.fields_mut() {
            seen.prune(1, limits);
        }
    }
}

impl PathTypes {
    /// Returns the kind of the column at this path, on Arrow level `level`; top-level columns are on level 1.
    pub(super) fn kind(&self, level: u32, limits: &Limits) -> Kind {
        if self.is_certainly_mixed(level, limits) {
            return Kind::Mixed;
        }
        match self.types.as_slice() {
            [] => Kind::Null,
            [only] => self.single_type_kind(only.kind, level, limits),
            // Only numbers remain: int32 and int64, or these with doubles and all of them exact.
            _ if self.type_bits() & DOUBLE == 0 => Kind::Int64,
            _ => Kind::Double,
        }
    }

    /// Returns whether the path is mixed regardless of later values.
    fn is_certainly_mixed(&self, level: u32, limits: &Limits) -> bool {
        let types = self.type_bits();
        let several = types.count_ones() > 1;
        let nests = types & (DOCUMENT | LIST) != 0;
        let keys = self.keys.as_ref().map_or(0, |keys| keys.fields().len());
        self.kept_as_bson
            || (several && types & !(INTS | DOUBLE) != 0)
            || (several && types & DOUBLE != 0 && self.inexact)
            || (nests && level >= limits.nested.max_levels)
            || keys > limits.nested.max_keys
    }

    /// Returns the reason that a column at this path is mixed; `None` if it is not, or if its types have no common
    /// type.
    pub(super) fn mixed_reason(&self, level: u32, limits: &Limits) -> Option<MixedReason> {
        if self.kind(level, limits) != Kind::Mixed {
            return None;
        }
        let [only] = self.types.as_slice() else {
            let numbers = self.type_bits() & !(INTS | DOUBLE) == 0;
            return numbers.then_some(MixedReason::Inexact);
        };
        let nests = only.kind.bit() & (DOCUMENT | LIST) != 0;
        let keys = self.keys.as_ref().map(|keys| keys.fields().len());
        Some(if nests && level >= limits.nested.max_levels {
            MixedReason::TooDeep(limits.nested.max_levels)
        } else if self.mixed_in_table {
            MixedReason::MixedInTable
        } else if self.kept_as_bson || keys > Some(limits.nested.max_keys) {
            MixedReason::TooManyKeys(limits.nested.max_keys)
        } else {
            MixedReason::Empty
        })
    }

    fn single_type_kind(&self, kind: ElementType, level: u32, limits: &Limits) -> Kind {
        match kind {
            ElementType::Double => Kind::Double,
            ElementType::String => Kind::String,
            ElementType::Document => {
                let keys = self.keys.as_ref().map_or(&[][..], |keys| keys.fields());
                if keys.is_empty() {
                    // Arrow consumers disagree on structs without fields, and {} must not read as null.
                    return Kind::Mixed;
                }
                let field = |(name, seen): &(Arc<str>, PathTypes)| {
                    (Arc::clone(name), seen.kind(level + 1, limits))
                };
                Kind::Document(keys.iter().map(field).collect())
            }
            ElementType::List => {
                let items = self.items.as_ref();
                let kind = items.map_or(Kind::Null, |items| items.kind(level + 1, limits));
                Kind::List(Box::new(kind))
            }
            ElementType::Binary => {
                let generic = self.subtypes[1..] == [0; 3] && self.subtypes[0] & !1 == 0;
                match (generic, self.not_uuid) {
                    (true, _) => Kind::Binary,
                    (false, false) => Kind::Uuid,
                    (false, true) => Kind::Subtyped,
                }
            }
            ElementType::Undefined => Kind::Marker(Marker::Undefined),
            ElementType::ObjectId => Kind::ObjectId,
            ElementType::Boolean => Kind::Boolean,
            ElementType::DateTime => Kind::DateTime,
            ElementType::Null => Kind::Null,
            ElementType::Regex => Kind::Regex,
            ElementType::DbPointer => Kind::DbPointer,
            ElementType::Code => Kind::Code,
            ElementType::Symbol => Kind::Symbol,
            ElementType::CodeWithScope => Kind::CodeWithScope,
            ElementType::Int32 => Kind::Int32,
            ElementType::Timestamp => Kind::Timestamp,
            ElementType::Int64 => Kind::Int64,
            ElementType::Decimal128 => Kind::Decimal128,
            ElementType::MaxKey => Kind::Marker(Marker::MaxKey),
            ElementType::MinKey => Kind::Marker(Marker::MinKey),
        }
    }

    fn prune(&mut self, level: u32, limits: &Limits) {
        if self.is_certainly_mixed(level, limits) {
            self.kept_as_bson = true;
            self.keys = None;
            self.items = None;
            return;
        }
        if let Some(keys) = &mut self.keys {
            keys.fields_mut()
                .for_each(|seen| seen.prune(level + 1, limits));
        }
        if let Some(items) = &mut self.items {
            items.prune(level + 1, limits);
        }
    }
}
