//! Keys of a user's schema that no document has, for the report.

use std::sync::Arc;

use crate::chunk::{Cell, Column, Documents, Tagged, Values};
use crate::schema::{Kind, SchemaStep, TableSchema};

/// The keys of a schema, each with the fact whether a document has it.
#[derive(Clone, Debug, Default)]
pub struct SchemaKeys {
    keys: Vec<SchemaKey>,
    rows: u64,
}

#[derive(Clone, Debug)]
struct SchemaKey {
    name: Arc<str>,
    found: bool,
    nested: Option<NestedKey>,
    /// True if the values are lists of documents.
    in_list: bool,
    below: Vec<SchemaKey>,
}

/// A key of the schema that no document has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentKey {
    /// Its path.
    pub path: Vec<SchemaStep>,
    /// Set if its name has points, and documents have its parts as nested keys.
    pub nested: Option<NestedKey>,
}

/// The place of a key that the schema names by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NestedKey {
    /// In documents; a flattened table has a column for it.
    InDocuments,
    /// In documents that are items of a list.
    InLists,
}

impl SchemaKeys {
    /// The keys of `schema`, before the first document.
    pub fn new(schema: &TableSchema) -> Self {
        SchemaKeys {
            keys: keys_of(schema.fields()),
            rows: 0,
        }
    }

    /// Records the keys of `documents`.
    pub fn record(&mut self, documents: &Documents) {
        self.rows += documents.len() as u64;
        record(&mut self.keys, documents);
    }

    /// Returns the keys that no document has, in the order of the schema; none without documents. Keys below an absent one
    /// are not listed.
    pub fn absent(&self) -> Vec<AbsentKey> {
        let mut absent = Vec::new();
        if self.rows > 0 {
            list_absent(&self.keys, &mut Vec::new(), &mut absent);
        }
        absent
    }
}

fn keys_of(fields: &[(Arc<str>, Kind)]) -> Vec<SchemaKey> {
    let key = |(name, kind): &(Arc<str>, Kind)| {
        let mut in_list = false;
        let mut kind = kind;
        while let Kind::List(items) | Kind::LargeList(items) | Kind::FixedSizeList(items, _) = kind
        {
            in_list = true;
            kind = items;
        }
        SchemaKey {
            name: Arc::clone(name),
            found: false,
            nested: None,
            in_list,
            below: match kind {
                Kind::Document(fields) => keys_of(fields),
                _ => Vec::new(),
            },
        }
    };
    fields.iter().map(key).collect()
}

fn record(keys: &mut [SchemaKey], documents: &Documents) {
    for key in keys {
        match documents.position(&key.name) {
            Some(position) => {
                key.found = true;
                record_below(&mut key.below, &documents.fields()[position].column);
            }
            None => key.nested = key.nested.or_else(|| nested_key(documents, &key.name)),
        }
    }
}

fn record_below(keys: &mut [SchemaKey], column: &Column) {
    if keys.is_empty() {
        return;
    }
    match column.values() {
        Values::Document { documents, .. } => record(keys, documents),
        Values::List { items, .. } => record_below(keys, items),
        Values::Tagged(tagged) => cells(tagged).for_each(|cell| record_cell(keys, &cell)),
        _ => {}
    }
}

/// Records the keys of a document, or of the documents in a list.
fn record_cell(keys: &mut [SchemaKey], cell: &Cell<'_>) {
    if keys.is_empty() {
        return;
    }
    match cell {
        Cell::Document(document) => {
            let entries: Vec<_> = document.entries().collect();
            for key in keys {
                match entries.iter().find(|(name, _)| *name == &*key.name) {
                    Some((_, value)) => {
                        key.found = true;
                        record_cell(&mut key.below, value);
                    }
                    None if key.found => {}
                    None => key.nested = key.nested.or_else(|| nested_key_of_cell(cell, &key.name)),
                }
            }
        }
        Cell::List(list) => list.items().for_each(|item| record_cell(keys, &item)),
        _ => {}
    }
}

fn cells(tagged: &Tagged) -> impl Iterator<Item = Cell<'_>> {
    let values = (0..tagged.len()).filter_map(|slot| tagged.get(slot));
    values.map(|(kind, bytes)| Cell::from_bson(kind, bytes))
}

/// Searches `documents` for the parts of `name` between its points as nested keys.
fn nested_key(documents: &Documents, name: &str) -> Option<NestedKey> {
    name.match_indices('.').find_map(|(point, _)| {
        let position = documents.position(&name[..point])?;
        key_below(&documents.fields()[position].column, &name[point + 1..])
    })
}

/// Searches the documents in `column`, or in its lists, for the key `name`, or for its parts as nested keys.
fn key_below(column: &Column, name: &str) -> Option<NestedKey> {
    match column.values() {
        Values::Document { documents, .. } => match documents.position(name) {
            Some(_) => Some(NestedKey::InDocuments),
            None => nested_key(documents, name),
        },
        Values::List { items, .. } => key_below(items, name).map(|_| NestedKey::InLists),
        Values::Tagged(tagged) => cells(tagged).find_map(|cell| key_below_cell(&cell, name)),
        _ => None,
    }
}

fn key_below_cell(cell: &Cell<'_>, name: &str) -> Option<NestedKey> {
    match cell {
        Cell::Document(document) => match document.entries().any(|(key, _)| key == name) {
            true => Some(NestedKey::InDocuments),
            false => nested_key_of_cell(cell, name),
        },
        Cell::List(list) => list
            .items()
            .find_map(|item| key_below_cell(&item, name))
            .map(|_| NestedKey::InLists),
        _ => None,
    }
}

fn nested_key_of_cell(cell: &Cell<'_>, name: &str) -> Option<NestedKey> {
    let Cell::Document(document) = cell else {
        return None;
    };
    if !name.contains('.') {
        return None;
    }
    document.entries().find_map(|(key, value)| {
        let rest = name.strip_prefix(key)?.strip_prefix('.')?;
        key_below_cell(&value, rest)
    })
}

fn list_absent(keys: &[SchemaKey], path: &mut Vec<SchemaStep>, absent: &mut Vec<AbsentKey>) {
    for key in keys {
        path.push(SchemaStep::Key(Arc::clone(&key.name)));
        if key.found {
            let steps = path.len();
            path.extend(key.in_list.then_some(SchemaStep::Items));
            list_absent(&key.below, path, absent);
            path.truncate(steps);
        } else {
            absent.push(AbsentKey {
                path: path.clone(),
                nested: key.nested,
            });
        }
        path.pop();
    }
}
