//! Resolution of observed types to the types of a table.

use std::sync::Arc;

use super::observed_types::{ObservedTypes, PathTypes};
use super::representation::{DecimalForm, Representation};
use super::scan::{LEGACY_UUID, UUID};
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
const IDS_AND_TEXT: u32 = 1 << ElementType::ObjectId as u32 | 1 << ElementType::String as u32;
const DECIMAL: u32 = 1 << ElementType::Decimal128 as u32;

impl ObservedTypes {
    /// Returns the schema of the table in the storage of `representation` that holds all observed values.
    ///
    /// # Errors
    /// `SchemaConflict` when there are too many top-level keys.
    pub fn resolve(&self, limits: &Limits, representation: &Representation) -> Result<TableSchema> {
        let resolution = Resolution {
            limits,
            representation,
        };
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
            .map(|(name, seen)| (Arc::clone(name), resolution.kind(seen, 1)))
            .collect();
        Ok(TableSchema::new(fields))
    }

    /// Discards the types below paths that are certainly mixed, which bounds the size of joins.
    ///
    /// [`ObservedTypes::resolve`] under the same limits returns the same schema as before, in each representation.
    pub fn prune(&mut self, limits: &Limits) {
        for seen in self.keys.fields_mut() {
            seen.prune(1, limits);
        }
    }
}

/// The limits and the storage of a table whose types are resolved.
#[derive(Clone, Copy)]
pub(super) struct Resolution<'a> {
    pub limits: &'a Limits,
    pub representation: &'a Representation,
}

impl Resolution<'_> {
    /// Returns the kind of the column with the types `seen`, on Arrow level `level`; top-level columns are on level 1.
    pub fn kind(&self, seen: &PathTypes, level: u32) -> Kind {
        if self.is_mixed(seen, level) {
            return self.representation.leaf(&Kind::Mixed, None);
        }
        match seen.types.as_slice() {
            [] => Kind::Null,
            [only] => self.single_type_kind(seen, only.kind, level),
            _ if seen.type_bits() & DECIMAL != 0 => self.decimals(seen),
            // Only numbers remain: int32 and int64, or these with doubles and all of them exact.
            _ if seen.type_bits() & DOUBLE == 0 => Kind::Int64,
            _ => Kind::Double,
        }
    }

    /// Returns whether the values at this path are stored as BSON or Extended JSON.
    pub fn is_mixed(&self, seen: &PathTypes, level: u32) -> bool {
        if seen.is_certainly_mixed(level, self.limits) {
            return true;
        }
        match seen.types.as_slice() {
            [only] => only.kind == ElementType::Document && seen.document_keys().is_empty(),
            // Integers join decimals only as numbers.
            several => {
                several.len() > 1
                    && seen.type_bits() & DECIMAL != 0
                    && self.representation.decimal != DecimalForm::Number
            }
        }
    }

    /// Returns the reason that a column at this path is mixed; `None` if it is not, or if its types have no common
    /// type.
    pub fn mixed_reason(&self, seen: &PathTypes, level: u32) -> Option<MixedReason> {
        if !self.is_mixed(seen, level) {
            return None;
        }
        let nested = &self.limits.nested;
        let [only] = seen.types.as_slice() else {
            return match seen.type_bits() {
                IDS_AND_TEXT => Some(MixedReason::IdsAndText),
                types => (types & !(INTS | DOUBLE) == 0).then_some(MixedReason::Inexact),
            };
        };
        let nests = only.kind.bit() & (DOCUMENT | LIST) != 0;
        let keys = seen.keys.as_ref().map(|keys| keys.fields().len());
        Some(if nests && level >= nested.max_levels {
            MixedReason::TooDeep(nested.max_levels)
        } else if seen.mixed_in_table {
            MixedReason::MixedInTable
        } else if seen.kept_as_bson || keys > Some(nested.max_keys) {
            MixedReason::TooManyKeys(nested.max_keys)
        } else {
            MixedReason::Empty
        })
    }

    fn decimals(&self, seen: &PathTypes) -> Kind {
        let mut digits = seen.decimals.as_deref().cloned().unwrap_or_default();
        digits.record_integer(seen.largest_integer);
        self.representation.leaf(&Kind::Decimal128, Some(&digits))
    }

    fn single_type_kind(&self, seen: &PathTypes, kind: ElementType, level: u32) -> Kind {
        let kind = match kind {
            ElementType::Double => Kind::Double,
            ElementType::String => Kind::String,
            ElementType::Document => {
                let field = |(name, seen): &(Arc<str>, PathTypes)| {
                    (Arc::clone(name), self.kind(seen, level + 1))
                };
                return Kind::Document(seen.document_keys().iter().map(field).collect());
            }
            ElementType::List => {
                let items = seen.items.as_ref();
                let kind = items.map_or(Kind::Null, |items| self.kind(items, level + 1));
                return Kind::List(Box::new(kind));
            }
            ElementType::Decimal128 => return self.decimals(seen),
            ElementType::Binary => {
                let only =
                    |allowed: u64| seen.subtypes[1..] == [0; 3] && seen.subtypes[0] & !allowed == 0;
                let uuids = match self.representation.legacy_uuid {
                    None => 1 << UUID,
                    Some(_) => 1 << UUID | 1 << LEGACY_UUID,
                };
                if only(1) {
                    Kind::Binary
                } else if only(uuids) && !seen.not_uuid {
                    Kind::Uuid
                } else {
                    Kind::Subtyped
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
            ElementType::MaxKey => Kind::Marker(Marker::MaxKey),
            ElementType::MinKey => Kind::Marker(Marker::MinKey),
        };
        self.representation.leaf(&kind, None)
    }
}

impl PathTypes {
    fn document_keys(&self) -> &[(Arc<str>, PathTypes)] {
        self.keys.as_ref().map_or(&[], |keys| keys.fields())
    }

    /// Returns whether the path is mixed regardless of later values, in each representation.
    fn is_certainly_mixed(&self, level: u32, limits: &Limits) -> bool {
        let types = self.type_bits();
        let several = types.count_ones() > 1;
        let nests = types & (DOCUMENT | LIST) != 0;
        let joins = types & !(INTS | DOUBLE) == 0 || types & !(INTS | DECIMAL) == 0;
        self.kept_as_bson
            || (several && !joins)
            || (several && types & DOUBLE != 0 && self.inexact)
            || (nests && level >= limits.nested.max_levels)
            || self.document_keys().len() > limits.nested.max_keys
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
