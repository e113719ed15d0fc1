//! Positions of keys among the fields of a schema.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::schema::Kind;

/// Lists of at most this many fields are searched linearly; longer ones by hash table.
const LINEAR_SEARCH_MAX: usize = 16;

/// Hash tables by the address of a list of fields. The schema must outlive this value.
#[derive(Default)]
pub(super) struct Positions {
    places: HashMap<usize, HashMap<Arc<str>, usize>>,
}

impl Positions {
    /// Returns the position of `key` in `fields`, which is mostly `expected`.
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
