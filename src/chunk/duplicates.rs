//! Keys that occurred twice in one document, by path, for the report.

use hashbrown::HashMap;

use crate::error::{Path, RawValue};

/// Different paths that are told apart; the rest is in the total only. A key costs some hundred bytes here.
const MAX_PATHS: usize = 1000;

/// A key that occurred more than once in one document.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicateKey {
    /// Where; a list position of 0 stands for any item.
    pub path: Path,
    /// How many values were dropped for a later one.
    pub count: u64,
    /// The first document.
    pub row: u64,
    /// Its `_id`.
    pub id: Option<RawValue>,
}

/// Duplicate keys of a part of a result; joined in result order, they are those of the whole.
#[derive(Clone, Debug, Default)]
pub struct DuplicateKeys {
    found: Vec<DuplicateKey>,
    places: HashMap<Path, usize>,
}

impl DuplicateKeys {
    /// By path, in order of first appearance; no more than 1,000 of them.
    pub fn found(&self) -> &[DuplicateKey] {
        &self.found
    }

    /// Whether one may have stood in a document itself, not further down: certain, but past so many paths that not all are
    /// told apart.
    pub fn may_be_at_top(&self) -> bool {
        self.found.len() >= MAX_PATHS || self.found.iter().any(|key| key.path.len() == 1)
    }

    /// Notes a value that was dropped in the document at `row`.
    pub fn note(&mut self, path: &Path, row: u64, id: impl FnOnce() -> Option<RawValue>) {
        if let Some(&place) = self.places.get(path) {
            self.found[place].count += 1;
        } else if self.found.len() < MAX_PATHS {
            let (path, id) = (path.clone(), id());
            self.add(DuplicateKey {
                path,
                count: 1,
                row,
                id,
            });
        }
    }

    /// Adds those of the part that begins at `first_row`.
    pub fn join(&mut self, other: &DuplicateKeys, first_row: u64) {
        for key in &other.found {
            if let Some(&place) = self.places.get(&key.path) {
                self.found[place].count += key.count;
            } else if self.found.len() < MAX_PATHS {
                let row = key.row + first_row;
                self.add(DuplicateKey { row, ..key.clone() });
            }
        }
    }

    fn add(&mut self, key: DuplicateKey) {
        self.places.insert(key.path.clone(), self.found.len());
        self.found.push(key);
    }
}
