//! Keys that occurred more than once in one document, counted by path for the report.

use super::bounded_path_map::{BoundedPathMap, Occurrence};
use crate::error::{Path, RawValue};

/// A key that occurred more than once in one document.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicateKey {
    /// Number of values that a later value replaced.
    pub count: u64,
    /// The `_id` of the first document.
    pub id: Option<RawValue>,
}

/// Duplicate keys of a part of a result; parts joined in result order equal the whole.
#[derive(Clone, Debug, Default)]
pub struct DuplicateKeys {
    /// Counts by path; a list position of 0 stands for any item.
    found: BoundedPathMap<Path, DuplicateKey>,
    total: u64,
}

impl DuplicateKeys {
    /// Counts by path, in order of first appearance, for at most the first 1,000 paths in path order.
    pub fn found(&self) -> Vec<(&Path, &DuplicateKey)> {
        self.found.in_order()
    }

    /// Number of values dropped at paths that [`found`](Self::found) omits.
    pub fn unlisted(&self) -> u64 {
        let listed: u64 = self.found.iter().map(|(.., key)| key.count).sum();
        self.total - listed
    }

    /// Returns whether a top-level key may have occurred more than once. The answer is exact until the number of
    /// paths exceeds the limit.
    pub fn may_be_at_top(&self) -> bool {
        self.found.is_full() || self.found.iter().any(|(path, ..)| path.len() == 1)
    }

    /// Records a value that was dropped in the document at `row`.
    pub fn record(&mut self, path: &Path, row: u64, id: impl FnOnce() -> Option<RawValue>) {
        let occurrence = self.found.next_occurrence(row);
        self.add(path, occurrence, id, 1);
    }

    /// Adds the duplicate keys of the part that begins at `first_row`.
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
