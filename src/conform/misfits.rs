//! Values that did not fit and were rescued, nulled or rounded, counted per path for the report.

use std::sync::Arc;

use hashbrown::HashMap;

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
    /// Where: all items of a list are one.
    pub path: Vec<Part>,
    /// The types of the values, in order of first appearance, each with a count and its first document.
    pub types: Vec<TypeSeen>,
    /// What became of the values.
    pub action: Action,
}

/// What did not fit in a part of a result; joined in result order, it is what the whole would have given.
#[derive(Clone, Debug, Default)]
pub struct Misfits {
    /// Rescued or nulled.
    conflicts: ByPath,
    /// Apart from these: which of both came first would depend on where a result was cut.
    rounded: ByPath,
}

#[derive(Clone, Debug, Default)]
struct ByPath {
    found: Vec<Misfit>,
    places: HashMap<Vec<Part>, usize>,
}

impl Misfits {
    /// What did not fit and was rescued or nulled, by path, in order of first appearance.
    pub fn found(&self) -> &[Misfit] {
        &self.conflicts.found
    }

    /// What was rounded, by path, in order of first appearance.
    pub fn rounded(&self) -> &[Misfit] {
        &self.rounded.found
    }

    /// Adds what did not fit in the part that begins at `first_row`.
    pub fn join(&mut self, other: Misfits, first_row: u64) {
        for misfit in other.conflicts.found.into_iter().chain(other.rounded.found) {
            let list = self.list(misfit.action);
            for mut seen in misfit.types {
                if let Some(first) = &mut seen.first {
                    first.row += first_row;
                }
                list.add(misfit.path.clone(), seen, misfit.action);
            }
        }
    }

    pub(super) fn note(
        &mut self,
        path: &[Step],
        kind: ElementType,
        row: usize,
        action: Action,
        id: impl FnOnce() -> Option<RawValue>,
    ) {
        let list = self.list(action);
        let path: Vec<Part> = path
            .iter()
            .map(|step| match step {
                Step::Key(key) => Part::Key(Arc::clone(key)),
                Step::Index(_) => Part::Items,
            })
            .collect();
        if let Some(&place) = list.places.get(&path) {
            let mut types = list.found[place].types.iter_mut();
            if let Some(seen) = types.find(|seen| seen.kind == kind) {
                seen.count += 1;
                return;
            }
        }
        let first = Some(First {
            row: row as u64,
            id: id().map(Arc::new),
        });
        let seen = TypeSeen {
            kind,
            count: 1,
            first,
        };
        list.add(path, seen, action);
    }

    fn list(&mut self, action: Action) -> &mut ByPath {
        match action {
            Action::Rescued | Action::Nulled => &mut self.conflicts,
            Action::Rounded => &mut self.rounded,
        }
    }
}

impl ByPath {
    fn add(&mut self, path: Vec<Part>, seen: TypeSeen, action: Action) {
        let place = *self.places.entry(path).or_insert_with_key(|path| {
            self.found.push(Misfit {
                path: path.clone(),
                types: Vec::new(),
                action,
            });
            self.found.len() - 1
        });
        let types = &mut self.found[place].types;
        match types.iter_mut().find(|known| known.kind == seen.kind) {
            Some(known) => known.count += seen.count,
            None => types.push(seen),
        }
    }
}
