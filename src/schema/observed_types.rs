//! What was seen under each path, as sets that join in any grouping.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::chunk::Chunk;
use crate::error::RawValue;
use crate::raw::ElementType;

/// What the documents of a result, or of a part of it, showed.
///
/// Joining is associative, and joining the parts of a result in order gives what the whole would have given. Columns come
/// in order of first appearance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedTypes {
    pub(super) rows: u64,
    pub(super) keys: KeyTypes,
}

/// The keys of the documents at one path, in order of first appearance.
#[derive(Clone, Debug, Default)]
pub struct KeyTypes {
    fields: Vec<(Arc<str>, PathTypes)>,
    /// The places of the first so many fields; extended when a key does not come where it is expected.
    places: HashMap<Arc<str>, usize>,
}

/// What was seen at one path. Nulls leave no mark: they join anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathTypes {
    /// The types seen, in order of first appearance.
    pub(super) types: Vec<TypeCount>,
    /// Some integer is not exact as a double.
    pub(super) inexact: bool,
    /// Binary subtypes, a bit each.
    pub(super) subtypes: [u64; 4],
    /// Some binary is not of subtype 4 with 16 bytes.
    pub(super) not_uuid: bool,
    /// Documents or lists that are kept as BSON: beside other types, too deep, or with too many keys.
    pub(super) kept_as_bson: bool,
    /// The keys of documents here.
    pub(super) keys: Option<Box<KeyTypes>>,
    /// The items of lists here.
    pub(super) items: Option<Box<PathTypes>>,
}

/// One type among those seen at a path.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeCount {
    /// The type on the wire.
    pub kind: ElementType,
    /// How many values had it.
    pub count: u64,
    /// The first of them; `None` when a column was typed but empty (it came from Arrow).
    pub first: Option<FirstDocument>,
}

/// The document in which something was first seen.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstDocument {
    /// Its position in the result.
    pub row: u64,
    /// Its `_id`, if it has one.
    pub id: Option<Arc<RawValue>>,
}

impl ObservedTypes {
    /// What `chunk` shows; `first_row` is the position of its first document in the result.
    pub fn of(chunk: &Chunk, first_row: u64) -> Self {
        super::scan::observe(chunk, first_row)
    }

    /// Adds what the documents after these showed.
    pub fn join(&mut self, other: ObservedTypes) {
        self.rows += other.rows;
        self.keys.join(other.keys);
    }

    /// The number of documents seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The top-level keys.
    pub fn keys(&self) -> &KeyTypes {
        &self.keys
    }
}

impl PathTypes {
    /// The types seen, in order of first appearance.
    pub fn types(&self) -> &[TypeCount] {
        &self.types
    }

    /// The types seen as a set of [`ElementType::bit`]s.
    pub fn type_bits(&self) -> u32 {
        self.types
            .iter()
            .fold(0, |bits, seen| bits | seen.kind.bit())
    }

    /// The keys of documents seen here.
    pub fn keys(&self) -> Option<&KeyTypes> {
        self.keys.as_deref()
    }

    /// What was seen in lists here.
    pub fn items(&self) -> Option<&PathTypes> {
        self.items.as_deref()
    }

    fn join(&mut self, other: PathTypes) {
        for seen in other.types {
            self.add(seen);
        }
        self.inexact |= other.inexact;
        for (mine, theirs) in self.subtypes.iter_mut().zip(other.subtypes) {
            *mine |= theirs;
        }
        self.not_uuid |= other.not_uuid;
        self.kept_as_bson |= other.kept_as_bson;
        match (&mut self.keys, other.keys) {
            (Some(mine), Some(theirs)) => mine.join(*theirs),
            (mine @ None, theirs) => *mine = theirs,
            (Some(_), None) => {}
        }
        match (&mut self.items, other.items) {
            (Some(mine), Some(theirs)) => mine.join(*theirs),
            (mine @ None, theirs) => *mine = theirs,
            (Some(_), None) => {}
        }
    }

    pub(super) fn add(&mut self, seen: TypeCount) {
        match self.types.iter_mut().find(|mine| mine.kind == seen.kind) {
            Some(mine) => {
                mine.count += seen.count;
                if mine.first.is_none() {
                    mine.first = seen.first;
                }
            }
            None => self.types.push(seen),
        }
    }
}

impl KeyTypes {
    /// The keys and what was seen under each.
    pub fn fields(&self) -> &[(Arc<str>, PathTypes)] {
        &self.fields
    }

    pub(super) fn fields_mut(&mut self) -> impl Iterator<Item = &mut PathTypes> {
        self.fields.iter_mut().map(|(_, seen)| seen)
    }

    /// KeyTypes from a list without duplicates.
    pub(super) fn new(fields: Vec<(Arc<str>, PathTypes)>) -> Self {
        KeyTypes {
            fields,
            places: HashMap::new(),
        }
    }

    fn join(&mut self, other: KeyTypes) {
        let mut expected = 0;
        for (name, seen) in other.fields {
            let place = match self.place(&name, expected) {
                Some(place) => {
                    self.fields[place].1.join(seen);
                    place
                }
                None => {
                    self.fields.push((name, seen));
                    self.fields.len() - 1
                }
            };
            expected = place + 1;
        }
    }

    /// The place of `name`; documents mostly repeat each other, so it is looked for at `expected` first.
    fn place(&mut self, name: &Arc<str>, expected: usize) -> Option<usize> {
        if let Some((there, _)) = self.fields.get(expected) {
            if Arc::ptr_eq(there, name) || there == name {
                return Some(expected);
            }
        }
        for place in self.places.len()..self.fields.len() {
            self.places.insert(Arc::clone(&self.fields[place].0), place);
        }
        self.places.get(name).copied()
    }
}

impl PartialEq for KeyTypes {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}
