//! Counts per path of values that were rescued, nulled or rounded, for the report.

use std::sync::Arc;

use crate::chunk::{BoundedPathMap, Occurrence};
use crate::error::{RawValue, Step};
use crate::raw::ElementType;
use crate::schema::{FirstDocument, SchemaStep, TypeCount};

/// The action on a value that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Moved to the column of rescued values.
    Rescued,
    /// Replaced by null.
    Nulled,
    /// Replaced by the nearest value.
    Rounded,
}

/// Values of one path that did not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictCount {
    /// The types of the values, in order of first appearance, each with a count and its first document.
    pub types: Vec<TypeCount>,
    /// The action on the values.
    pub action: Action,
}

/// Values that did not fit, in a part of a result; parts joined in result order equal the whole.
#[derive(Clone, Debug, Default)]
pub struct ConflictCounts {
    /// Values that were rescued or nulled.
    conflicts: CountsByPath,
    /// Values that were rounded. Counted apart, because their order among the conflicts would depend on the split of
    /// the result.
    rounded: CountsByPath,
}

/// Values with one kind of action, by path.
#[derive(Clone, Debug, Default)]
pub struct CountsByPath {
    found: BoundedPathMap<Vec<SchemaStep>, ConflictCount>,
    total: u64,
}

impl ConflictCounts {
    /// Values that were rescued or nulled.
    pub fn conflicts(&self) -> &CountsByPath {
        &self.conflicts
    }

    /// Values that were rounded.
    pub fn rounded(&self) -> &CountsByPath {
        &self.rounded
    }

    /// Adds the counts of the part that begins at `first_row`.
    pub fn join(&mut self, other: &ConflictCounts, first_row: u64) {
        self.conflicts.join(&other.conflicts, first_row);
        self.rounded.join(&other.rounded, first_row);
    }

    pub(super) fn record(
        &mut self,
        path: &[Step],
        kind: ElementType,
        row: usize,
        action: Action,
        id: impl FnOnce() -> Option<RawValue>,
    ) {
        let list = match action {
            Action::Rescued | Action::Nulled => &mut self.conflicts,
            Action::Rounded => &mut self.rounded,
        };
        let path: Vec<SchemaStep> = path
            .iter()
            .map(|step| match step {
                Step::Key(key) => SchemaStep::Key(Arc::clone(key)),
                Step::Index(_) => SchemaStep::Items,
            })
            .collect();
        let occurrence = list.found.next_occurrence(row as u64);
        list.add((&path, occurrence), kind, 1, action, || {
            Some(FirstDocument {
                row: row as u64,
                id: id().map(Arc::new),
            })
        });
    }
}

impl CountsByPath {
    /// Counts by path, in order of first appearance, for at most the first 1,000 paths in path order.
    pub fn found(&self) -> Vec<(&[SchemaStep], &ConflictCount)> {
        let found = self.found.in_order().into_iter();
        found
            .map(|(path, conflict)| (path.as_slice(), conflict))
            .collect()
    }

    /// The action on values at paths that [`found`](Self::found) omits, and their number.
    pub fn unlisted(&self) -> Option<(Action, u64)> {
        let of =
            |conflict: &ConflictCount| conflict.types.iter().map(|seen| seen.count).sum::<u64>();
        let listed: u64 = self.found.iter().map(|(.., conflict)| of(conflict)).sum();
        let left = self.total - listed;
        // A policy has one action at all paths.
        let (.., conflict) = self.found.iter().next()?;
        (left > 0).then_some((conflict.action, left))
    }

    fn join(&mut self, other: &CountsByPath, first_row: u64) {
        self.total += other.unlisted().map_or(0, |(_, count)| count);
        for (path, (row, nth), conflict) in other.found.iter() {
            let occurrence = (row + first_row, nth);
            for seen in &conflict.types {
                self.add(
                    (path, occurrence),
                    seen.kind,
                    seen.count,
                    conflict.action,
                    || {
                        seen.first.clone().map(|first| FirstDocument {
                            row: first.row + first_row,
                            ..first
                        })
                    },
                );
            }
        }
    }

    fn add(
        &mut self,
        (path, occurrence): (&Vec<SchemaStep>, Occurrence),
        kind: ElementType,
        count: u64,
        action: Action,
        first: impl FnOnce() -> Option<FirstDocument>,
    ) {
        self.total += count;
        let new = || ConflictCount {
            types: Vec::new(),
            action,
        };
        let Some(conflict) = self.found.get_or_insert(path, occurrence, new) else {
            return;
        };
        match conflict.types.iter_mut().find(|known| known.kind == kind) {
            Some(known) => known.count += count,
            None => conflict.types.push(TypeCount {
                kind,
                count,
                first: first(),
            }),
        }
    }
}
