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
    /// True if documents have the parts of the name as nested keys.
    nested: bool,
    /// True if the values are lists of documents.
    in_list: bool,
    below: Vec<SchemaKey>,
}

/// A key of the schema that no document has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentKey {
    /// Its path.
    pub path: Vec<SchemaStep>,
    /// True if its name has points, and documents have its parts as nested keys.
    pub nested: bool,
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
            nested: false,
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
            None => key.nested = key.nested || has_nested(documents, &key.name),
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
                    None => {
                        key.nested = key.nested || (!key.found && has_nested_cell(cell, &key.name));
                    }
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

/// Returns whether `documents` have the parts of `name` between its points as nested keys.
fn has_nested(documents: &Documents, name: &str) -> bool {
    name.match_indices('.').any(|(point, _)| {
        let below = documents.position(&name[..point]);
        below.is_some_and(|position| {
            has_path(&documents.fields()[position].column, &name[point + 1..])
        })
    })
}

/// Returns whether documents in `column`, or in its lists, have the key `name`, or its parts as nested keys.
fn has_path(column: &Column, name: &str) -> bool {
    match column.values() {
        Values::Document { documents, .. } => {
            documents.position(name).is_some() || has_nested(documents, name)
        }
        Values::List { items, .. } => has_path(items, name),
        Values::Tagged(tagged) => cells(tagged).any(|cell| has_path_cell(&cell, name)),
        _ => false,
    }
}

fn has_path_cell(cell: &Cell<'_>, name: &str) -> bool {
    match cell {
        Cell::Document(document) => {
            document.entries().any(|(key, _)| key == name) || has_nested_cell(cell, name)
        }
        Cell::List(list) => list.items().any(|item| has_path_cell(&item, name)),
        _ => false,
    }
}

fn has_nested_cell(cell: &Cell<'_>, name: &str) -> bool {
    let Cell::Document(document) = cell else {
        return false;
    };
    name.contains('.')
        && document.entries().any(|(key, value)| {
            let rest = name.strip_prefix(key);
            let rest = rest.and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| has_path_cell(&value, rest))
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
