//! What the report says of paths that hold more than one type.

use std::sync::Arc;

use super::observed::{Keys, Observed, Seen, TypeSeen};
use super::resolve::Limits;
use super::table::Kind;

/// A step of a path in a schema: unlike in one document, all items of a list are one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A key.
    Key(Arc<str>),
    /// Any item of a list.
    Items,
}

/// The reason for which a path is mixed that its types do not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Doubles beside an integer that no double holds.
    Inexact,
    /// Documents with more than so many different keys.
    Keys(usize),
    /// A document or list on this level of a table.
    Levels(u32),
    /// Documents that are all empty.
    Empty,
    /// The table that the values came from had them as BSON.
    Table,
}

/// A path that was widened or is mixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Where.
    pub path: Vec<Part>,
    /// The type it has in the table.
    pub kind: Kind,
    /// The reason for which it is mixed, unless types without a common one are it.
    pub reason: Option<Reason>,
    /// The types seen there in order of first appearance, each with a count and its first document.
    pub types: Vec<TypeSeen>,
}

impl Observed {
    /// The paths that hold more than one type, or are mixed for another reason, in column order.
    ///
    /// The second of a finding's types says where it first differed.
    pub fn findings(&self, limits: &Limits) -> Vec<Finding> {
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
    path: Vec<Part>,
    found: Vec<Finding>,
}

impl Walk<'_> {
    fn keys(&mut self, keys: &Keys, level: u32) {
        for (name, seen) in keys.fields() {
            self.path.push(Part::Key(Arc::clone(name)));
            self.seen(seen, level);
            self.path.pop();
        }
    }

    fn seen(&mut self, seen: &Seen, level: u32) {
        let kind = seen.kind(level, self.limits);
        let mixed = kind == Kind::Mixed;
        if mixed || seen.types().len() > 1 {
            self.found.push(Finding {
                path: self.path.clone(),
                kind,
                reason: seen.reason(level, self.limits),
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
            self.path.push(Part::Items);
            self.seen(items, level + 1);
            self.path.pop();
        }
    }
}
