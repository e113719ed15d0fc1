//! Where a key stands among the columns of a schema.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::schema::Kind;

/// As many fields are walked over; for more, a key that is not where it is expected is looked up.
const LINEAR_SEARCH_MAX: usize = 16;

/// Of the lists of fields in one schema, which must live as long: they are told apart by their addresses.
#[derive(Default)]
pub(super) struct Positions {
    places: HashMap<usize, HashMap<Arc<str>, usize>>,
}

impl Positions {
    /// Where `fields` has `key`; mostly that is where it is expected.
    pub fn of(&mut self, fields: &[(Arc<str>, Kind)], key: &str, expected: usize) -> Option<usize> {
        let is_key = |(name, _): &(Arc<str>, Kind)| **name == *key;
        if fields.get(expected).is_some_and(is_key) {
            return Some(expected);
        }
        if fields.len() <= LINEAR_SEARCH_MAX {
            return fields.iter().position(is_key);
        }
        let places = self.places.entry(fields.as_ptr() as usize);
        let names = places.or_insert_with(|| {
            let names = fields.iter().map(|(name, _)| Arc::clone(name));
            names.zip(0..).collect()
        });
        names.get(key).copied()
    }
}
