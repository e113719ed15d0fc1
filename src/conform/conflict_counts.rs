//! Values that did not fit and were rescued, nulled or rounded, counted per path for the report.

use std::sync::Arc;

use crate::chunk::{BoundedPathMap, Occurrence};
use crate::error::{RawValue, Step};
use crate::raw::ElementType;
use crate::schema::{FirstDocument, SchemaStep, TypeCount};

/// What became of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// They stand in the column of what did not fit.
    Rescued,
    /// They are lost.
    Nulled,
    /// A value near them stands in their cell.
    Rounded,
}

/// What did not fit at one path.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictCount {
    /// The types of the values, in order of first appearance, each with a count and its first document.
    pub types: Vec<TypeCount>,
    /// What became of the values.
    pub action: Action,
}

/// What did not fit in a part of a result; joined in result order, it is what the whole would have given.
#[derive(Clone, Debug, Default)]
pub struct ConflictCounts {
    /// Rescued or nulled.
    conflicts: CountsByPath,
    /// Apart from these: which of both came first would depend on where a result was cut.
    rounded: CountsByPath,
}

/// What one policy did, by path.
#[derive(Clone, Debug, Default)]
pub struct CountsByPath {
    found: BoundedPathMap<Vec<SchemaStep>, ConflictCount>,
    total: u64,
}

impl ConflictCounts {
    /// What was rescued or nulled.
    pub fn conflicts(&self) -> &CountsByPath {
        &self.conflicts
    }

    /// What was rounded.
    pub fn rounded(&self) -> &CountsByPath {
        &self.rounded
    }

    /// Adds what did not fit in the part that begins at `first_row`.
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
    /// By path, in order of first appearance; no more than 1,000 of them, which are then the first in the order of paths.
    pub fn found(&self) -> Vec<(&[SchemaStep], &ConflictCount)> {
        let found = self.found.in_order().into_iter();
        found
            .map(|(path, conflict)| (path.as_slice(), conflict))
            .collect()
    }

    /// What became of values at paths that are not among those, and of how many.
    pub fn unlisted(&self) -> Option<(Action, u64)> {
        let of =
            |conflict: &ConflictCount| conflict.types.iter().map(|seen| seen.count).sum::<u64>();
        let listed: u64 = self.found.iter().map(|(.., conflict)| of(conflict)).sum();
        let left = self.total - listed;
        // A policy does one thing, at listed paths and at others.
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
