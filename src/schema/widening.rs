//! Paths with more than one type, for the report.

use std::sync::Arc;

use super::observed_types::{KeyTypes, ObservedTypes, PathTypes, TypeCount};
use super::resolve::Limits;
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
    /// The reason that it is mixed; `None` if it is not, or if its types have no common type.
    pub reason: Option<MixedReason>,
    /// The observed types in order of first appearance, each with a count and its first document.
    pub types: Vec<TypeCount>,
}

impl ObservedTypes {
    /// Returns the paths that hold more than one type, or are mixed for another reason, in column order.
    ///
    /// The second type of a path identifies the first document that differs.
    pub fn widened_paths(&self, limits: &Limits) -> Vec<WidenedPath> {
        let mut walk = Walk {
            limits,
            path: Vec::new(),
            found: Vec::new(),
        };
        walk.keys(&self.keys, 1);
        walk.found
    }
}

struct Walk<'a> {
    limits: &'a Limits,
    path: Vec<SchemaStep>,
    found: Vec<WidenedPath>,
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
        let kind = seen.kind(level, self.limits);
        let mixed = kind == Kind::Mixed;
        if mixed || seen.types().len() > 1 {
            self.found.push(WidenedPath {
                path: self.path.clone(),
                kind,
                reason: seen.mixed_reason(level, self.limits),
                types: seen.types().to_vec(),
            });
        }
        if mixed {
            return;
        }
        if let Some(keys) = seen.keys() {
            self.keys(keys, level + 1);
        }
        if let Some(items) = seen.items() {
            self.path.push(SchemaStep::Items);
            self.seen(items, level + 1);
            self.path.pop();
        }
    }
}
