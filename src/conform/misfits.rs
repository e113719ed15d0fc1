//! Values that did not fit and were rescued, nulled or rounded, counted per path for the report.

use std::sync::Arc;

use crate::chunk::{FirstPaths, Place};
use crate::error::{RawValue, Step};
use crate::raw::ElementType;
use crate::schema::{First, Part, TypeSeen};

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
pub struct Misfit {
    /// The types of the values, in order of first appearance, each with a count and its first document.
    pub types: Vec<TypeSeen>,
    /// What became of the values.
    pub action: Action,
}

/// What did not fit in a part of a result; joined in result order, it is what the whole would have given.
#[derive(Clone, Debug, Default)]
pub struct Misfits {
    /// Rescued or nulled.
    conflicts: Listed,
    /// Apart from these: which of both came first would depend on where a result was cut.
    rounded: Listed,
}

/// What one policy did, by path.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    found: FirstPaths<Vec<Part>, Misfit>,
    total: u64,
}

impl Misfits {
    /// What was rescued or nulled.
    pub fn conflicts(&self) -> &Listed {
        &self.conflicts
    }

    /// What was rounded.
    pub fn rounded(&self) -> &Listed {
        &self.rounded
    }

    /// Adds what did not fit in the part that begins at `first_row`.
    pub fn join(&mut self, other: &Misfits, first_row: u64) {
        self.conflicts.join(&other.conflicts, first_row);
        self.rounded.join(&other.rounded, first_row);
    }

    pub(super) fn note(
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
        let path: Vec<Part> = path
            .iter()
            .map(|step| match step {
                Step::Key(key) => Part::Key(Arc::clone(key)),
                Step::Index(_) => Part::Items,
            })
            .collect();
        let place = list.found.place(row as u64);
        list.add((&path, place), kind, 1, action, || {
            Some(First {
                row: row as u64,
                id: id().map(Arc::new),
            })
        });
    }
}

impl Listed {
    /// By path, in order of first appearance; no more than 1,000 of them, which are then the first in the order of paths.
    pub fn found(&self) -> Vec<(&[Part], &Misfit)> {
        let found = self.found.in_order().into_iter();
        found
            .map(|(path, misfit)| (path.as_slice(), misfit))
            .collect()
    }

    /// What became of values at paths that are not among those, and of how many.
    pub fn elsewhere(&self) -> Option<(Action, u64)> {
        let of = |misfit: &Misfit| misfit.types.iter().map(|seen| seen.count).sum::<u64>();
        let listed: u64 = self.found.iter().map(|(.., misfit)| of(misfit)).sum();
        let left = self.total - listed;
        // A policy does one thing, at listed paths and at others.
        let (.., misfit) = self.found.iter().next()?;
        (left > 0).then_some((misfit.action, left))
    }

    fn join(&mut self, other: &Listed, first_row: u64) {
        self.total += other.elsewhere().map_or(0, |(_, count)| count);
        for (path, (row, nth), misfit) in other.found.iter() {
            let place = (row + first_row, nth);
            for seen in &misfit.types {
                self.add((path, place), seen.kind, seen.count, misfit.action, || {
                    seen.first.clone().map(|first| First {
                        row: first.row + first_row,
                        ..first
                    })
                });
            }
        }
    }

    fn add(
        &mut self,
        (path, place): (&Vec<Part>, Place),
        kind: ElementType,
        count: u64,
        action: Action,
        first: impl FnOnce() -> Option<First>,
    ) {
        self.total += count;
        let new = || Misfit {
            types: Vec::new(),
            action,
        };
        let Some(misfit) = self.found.at(path, place, new) else {
            return;
        };
        match misfit.types.iter_mut().find(|known| known.kind == kind) {
            Some(known) => known.count += count,
            None => misfit.types.push(TypeSeen {
                kind,
                count,
                first: first(),
            }),
        }
    }
}
