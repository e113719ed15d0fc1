//! Keys that occurred twice in one document, by path, for the report.

use super::bounded_path_map::{BoundedPathMap, Occurrence};
use crate::error::{Path, RawValue};

/// A key that occurred more than once in one document.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicateKey {
    /// How many values were dropped for a later one.
    pub count: u64,
    /// The `_id` of the first document.
    pub id: Option<RawValue>,
}

/// Duplicate keys of a part of a result; joined in result order, they are those of the whole.
#[derive(Clone, Debug, Default)]
pub struct DuplicateKeys {
    /// A list position of 0 stands for any item.
    found: BoundedPathMap<Path, DuplicateKey>,
    total: u64,
}

impl DuplicateKeys {
    /// By path, in order of first appearance; no more than 1,000 of them, which are then the first in the order of paths.
    pub fn found(&self) -> Vec<(&Path, &DuplicateKey)> {
        self.found.in_order()
    }

    /// How many values were dropped at paths that are not among those.
    pub fn unlisted(&self) -> u64 {
        let listed: u64 = self.found.iter().map(|(.., key)| key.count).sum();
        self.total - listed
    }

    /// Whether one may have stood in a document itself, not further down: certain, but past so many paths that not all are
    /// told apart.
    pub fn may_be_at_top(&self) -> bool {
        self.found.is_full() || self.found.iter().any(|(path, ..)| path.len() == 1)
    }

    /// Notes a value that was dropped in the document at `row`.
    pub fn record(&mut self, path: &Path, row: u64, id: impl FnOnce() -> Option<RawValue>) {
        let occurrence = self.found.next_occurrence(row);
        self.add(path, occurrence, id, 1);
    }

    /// Adds those of the part that begins at `first_row`.
    pub fn join(&mut self, other: &DuplicateKeys, first_row: u64) {
        for (path, (row, nth), key) in other.found.iter() {
            let occurrence = (row + first_row, nth);
            self.add(path, occurrence, || key.id.clone(), key.count);
        }
        self.total += other.unlisted();
    }

    fn add(
        &mut self,
        path: &Path,
        occurrence: Occurrence,
        id: impl FnOnce() -> Option<RawValue>,
        count: u64,
    ) {
        self.total += count;
        let new = || DuplicateKey { count: 0, id: id() };
        if let Some(key) = self.found.get_or_insert(path, occurrence, new) {
            key.count += count;
        }
    }
}
