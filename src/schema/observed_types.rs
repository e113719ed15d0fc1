//! The types observed at each path, as sets that join in any grouping.

use std::sync::Arc;

use hashbrown::HashMap;

use super::decimal_digits::DecimalDigits;
use crate::chunk::Chunk;
use crate::error::RawValue;
use crate::raw::ElementType;

/// The keys and types observed in the documents of a result, or of a part of it.
///
/// Joining is associative. The parts of a result, joined in order, equal the whole. Columns come in order of first
/// appearance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedTypes {
    pub(super) rows: u64,
    pub(super) keys: KeyTypes,
}

/// The keys of the documents at one path, in order of first appearance.
#[derive(Clone, Debug, Default)]
pub struct KeyTypes {
    fields: Vec<(Arc<str>, PathTypes)>,
    /// The positions of the first fields by name; extended when a key is not at its expected position.
    places: HashMap<Arc<str>, usize>,
}

/// The types observed at one path. Nulls are not recorded, because they join with any type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathTypes {
    /// The observed types, in order of first appearance.
    pub(super) types: Vec<TypeCount>,
    /// True if some integer is not exact as a double.
    pub(super) inexact: bool,
    /// The largest absolute value of the integers.
    pub(super) largest_integer: u64,
    /// The digits of the decimals, if there are any.
    pub(super) decimals: Option<Box<DecimalDigits>>,
    /// The number of dates before the year 1 and after the year 9999, and the first document with one.
    pub(super) far_dates: Option<(u64, FirstDocument)>,
    /// Binary subtypes, one bit each.
    pub(super) subtypes: [u64; 4],
    /// True if some binary of subtype 3 or 4 does not have 16 bytes.
    pub(super) not_uuid: bool,
    /// True if documents or lists are kept as BSON: beside other types, too deep, or with too many keys.
    pub(super) kept_as_bson: bool,
    /// True if some values were mixed, that is BSON, in the table that they come from.
    pub(super) mixed_in_table: bool,
    /// The keys of documents at this path.
    pub(super) keys: Option<Box<KeyTypes>>,
    /// The types of list items at this path.
    pub(super) items: Option<Box<PathTypes>>,
}

/// A type observed at a path, with its count.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeCount {
    /// The type on the wire.
    pub kind: ElementType,
    /// The number of values of this type.
    pub count: u64,
    /// The first document with a value; `None` for a typed but empty column, which comes from Arrow.
    pub first: Option<FirstDocument>,
}

/// The first document with a type.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstDocument {
    /// Its position in the result.
    pub row: u64,
    /// Its `_id`, if it has one.
    pub id: Option<Arc<RawValue>>,
}

impl ObservedTypes {
    /// Observes `chunk`; `first_row` is the position of its first document in the result.
    pub fn of(chunk: &Chunk, first_row: u64) -> Self {
        super::scan::observe(chunk, first_row)
    }

    /// Adds the types of the documents that follow these.
    pub fn join(&mut self, other: ObservedTypes) {
        self.rows += other.rows;
        self.keys.join(other.keys);
    }

    /// The number of documents.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The top-level keys.
    pub fn keys(&self) -> &KeyTypes {
        &self.keys
    }
}

impl PathTypes {
    /// The observed types, in order of first appearance.
    pub fn types(&self) -> &[TypeCount] {
        &self.types
    }

    /// The observed types as a set of [`ElementType::bit`]s.
    pub fn type_bits(&self) -> u32 {
        self.types
            .iter()
            .fold(0, |bits, seen| bits | seen.kind.bit())
    }

    /// The keys of documents at this path.
    pub fn keys(&self) -> Option<&KeyTypes> {
        self.keys.as_deref()
    }

    /// The types of list items at this path.
    pub fn items(&self) -> Option<&PathTypes> {
        self.items.as_deref()
    }

    fn join(&mut self, other: PathTypes) {
        for seen in other.types {
            self.add(seen);
        }
        self.inexact |= other.inexact;
        self.largest_integer = self.largest_integer.max(other.largest_integer);
        match (&mut self.decimals, other.decimals) {
            (Some(mine), Some(theirs)) => mine.join(*theirs),
            (mine @ None, theirs) => *mine = theirs,
            (Some(_), None) => {}
        }
        match (&mut self.far_dates, other.far_dates) {
            (Some((mine, _)), Some((theirs, _))) => *mine += theirs,
            (mine @ None, theirs) => *mine = theirs,
            (Some(_), None) => {}
        }
        for (mine, theirs) in self.subtypes.iter_mut().zip(other.subtypes) {
            *mine |= theirs;
        }
        self.not_uuid |= other.not_uuid;
        self.kept_as_bson |= other.kept_as_bson;
        self.mixed_in_table |= other.mixed_in_table;
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
    /// The keys, with the types observed at each.
    pub fn fields(&self) -> &[(Arc<str>, PathTypes)] {
        &self.fields
    }

    pub(super) fn fields_mut(&mut self) -> impl Iterator<Item = &mut PathTypes> {
        self.fields.iter_mut().map(|(_, seen)| seen)
    }

    /// Returns keys from a list without duplicates.
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

    /// Returns the position of `name`. Consecutive documents have similar keys, so the search starts at `expected`.
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
