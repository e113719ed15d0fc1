//! Paths with more than one type, for the report.

use std::sync::Arc;

use super::observed_types::{FirstDocument, KeyTypes, ObservedTypes, PathTypes, TypeCount};
use super::representation::Representation;
use super::resolve::{Limits, Resolution};
use super::table::Kind;

/// A step of a path in a schema; all items of a list share one step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchemaStep {
    /// A key.
    Key(Arc<str>),
    /// Any item of a list.
    Items,
}

/// The reason that a path is mixed although its types have a common type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixedReason {
    /// Doubles beside an integer that no double holds.
    Inexact,
    /// Documents with more different keys than this limit.
    TooManyKeys(usize),
    /// A document or list on this level, the last of a table.
    TooDeep(u32),
    /// Documents that are all empty.
    Empty,
    /// ObjectIds beside text, which may be the same ids.
    IdsAndText,
    /// The values were mixed in the table that they come from.
    MixedInTable,
}

/// A path that was widened or is mixed.
#[derive(Clone, Debug, PartialEq)]
pub struct WidenedPath {
    /// The path.
    pub path: Vec<SchemaStep>,
    /// The kind in the table.
    pub kind: Kind,
    /// True if the table stores the values as BSON or Extended JSON.
    pub mixed: bool,
    /// The reason that it is mixed; `None` if it is not, or if its types have no common type.
    pub reason: Option<MixedReason>,
    /// The observed types in order of first appearance, each with a count and its first document.
    pub types: Vec<TypeCount>,
}

/// A fact about the values of a column that its type does not show.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnNote {
    /// The path.
    pub path: Vec<SchemaStep>,
    /// The fact.
    pub fact: ColumnFact,
    /// The number of values for which it holds.
    pub count: u64,
    /// The first document with such a value.
    pub first: FirstDocument,
}

/// The facts about columns that a report lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnFact {
    /// Decimals are written with another number of digits after the point than the column has.
    Rescaled,
    /// Dates lie before the year 1 or after the year 9999.
    FarDates,
}

impl ObservedTypes {
    /// Returns the notes about the columns of a table in the storage of `representation`, in column order.
    pub fn column_notes(
        &self,
        limits: &Limits,
        representation: &Representation,
    ) -> Vec<ColumnNote> {
        self.walk(limits, representation).notes
    }

    /// Returns the paths of a table in the storage of `representation` that hold more than one type, or are mixed for another
    /// reason, in column order.
    ///
    /// The second type of a path identifies the first document that differs.
    pub fn widened_paths(
        &self,
        limits: &Limits,
        representation: &Representation,
    ) -> Vec<WidenedPath> {
        self.walk(limits, representation).found
    }

    fn walk<'a>(&self, limits: &'a Limits, representation: &'a Representation) -> Walk<'a> {
        let mut walk = Walk {
            resolution: Resolution {
                limits,
                representation,
            },
            path: Vec::new(),
            found: Vec::new(),
            notes: Vec::new(),
        };
        walk.keys(&self.keys, 1);
        walk
    }
}

struct Walk<'a> {
    resolution: Resolution<'a>,
    path: Vec<SchemaStep>,
    found: Vec<WidenedPath>,
    notes: Vec<ColumnNote>,
}

impl Walk<'_> {
    fn keys(&mut self, keys: &KeyTypes, level: u32) {
        for (name, seen) in keys.fields() {
            self.path.push(SchemaStep::Key(Arc::clone(name)));
            self.seen(seen, level);
            self.path.pop();
        }
    }

    fn seen(&mut self, seen: &PathTypes, level: u32) {
        let mixed = self.resolution.is_mixed(seen, level);
        if mixed || seen.types().len() > 1 {
            self.found.push(WidenedPath {
                path: self.path.clone(),
                kind: self.resolution.kind(seen, level),
                mixed,
                reason: self.resolution.mixed_reason(seen, level),
                types: seen.types().to_vec(),
            });
        }
        if mixed {
            return;
        }
        self.note(seen, level);
        if let Some(keys) = seen.keys() {
            self.keys(keys, level + 1);
        }
        if let Some(items) = seen.items() {
            self.path.push(SchemaStep::Items);
            self.seen(items, level + 1);
            self.path.pop();
        }
    }

    fn note(&mut self, seen: &PathTypes, level: u32) {
        let rescaled = seen.decimals.as_deref().and_then(|digits| {
            let Kind::Represented(number) = self.resolution.kind(seen, level) else {
                return None;
            };
            let (count, first) = digits.rescaled(number.decimal_number()?.1)?;
            Some((ColumnFact::Rescaled, count, first.clone()))
        });
        let far = seen.far_dates.as_ref();
        let far = far.map(|(count, first)| (ColumnFact::FarDates, *count, first.clone()));
        for (fact, count, first) in rescaled.into_iter().chain(far) {
            self.notes.push(ColumnNote {
                path: self.path.clone(),
                fact,
                count,
                first,
            });
        }
    }
}
