//! Values that did not fit and were rescued or nulled, counted per path for the report.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::error::{RawValue, Step};
use crate::raw::ElementType;
use crate::schema::{First, Part, TypeSeen};

/// What did not fit at one path.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// Where: all items of a list are one.
    pub path: Vec<Part>,
    /// The types of the values, in order of first appearance, each with a count and its first document.
    pub types: Vec<TypeSeen>,
    /// Whether the values were rescued; else they were lost.
    pub rescued: bool,
}

/// What did not fit in a part of a result; joined in result order, it is what the whole would have given.
#[derive(Clone, Debug, Default)]
pub struct Misfits {
    found: Vec<Misfit>,
    places: HashMap<Vec<Part>, usize>,
}

impl Misfits {
    /// What did not fit, by path, in order of first appearance.
    pub fn found(&self) -> &[Misfit] {
        &self.found
    }

    /// Adds what did not fit in the part that begins at `first_row`.
    pub fn join(&mut self, other: Misfits, first_row: u64) {
        for misfit in other.found {
            for mut seen in misfit.types {
                if let Some(first) = &mut seen.first {
                    first.row += first_row;
                }
                self.add(misfit.path.clone(), seen, misfit.rescued);
            }
        }
    }

    pub(super) fn note(
        &mut self,
        path: &[Step],
        kind: ElementType,
        row: usize,
        rescued: bool,
        id: impl FnOnce() -> Option<RawValue>,
    ) {
        let path: Vec<Part> = path
            .iter()
            .map(|step| match step {
                Step::Key(key) => Part::Key(Arc::clone(key)),
                Step::Index(_) => Part::Items,
            })
            .collect();
        if let Some(&place) = self.places.get(&path) {
            let mut types = self.found[place].types.iter_mut();
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
        self.add(path, seen, rescued);
    }

    fn add(&mut self, path: Vec<Part>, seen: TypeSeen, rescued: bool) {
        let place = *self.places.entry(path).or_insert_with_key(|path| {
            self.found.push(Misfit {
                path: path.clone(),
                types: Vec::new(),
                rescued,
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
