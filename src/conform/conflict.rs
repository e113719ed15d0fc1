//! The slow look, in row order, for the cell that does not fit: what it is and where.

use std::sync::Arc;

use super::{decimal, fit, internal, Policy, UnknownKeys};
use crate::chunk::{encode_cell, Cell, DocumentCell, Documents};
use crate::error::{Error, Location, Path, RawValue, Step};
use crate::schema::{Kind, TableSchema};

/// The first conflict by row, then by the document's own key order.
#[cold]
pub(super) fn first(documents: &Arc<Documents>, schema: &TableSchema, policy: &Policy) -> Error {
    let mut search = Search {
        policy,
        path: Vec::new(),
    };
    for row in 0..documents.len() {
        let document = DocumentCell::Row { documents, row };
        if let Err(conflict) = search.document(&document, schema.fields()) {
            return Error::conflict(conflict.expected, conflict.found).at(Location {
                document: Some(row as u64),
                id: id(&document),
                path: search.path,
            });
        }
    }
    internal("a column does not fit its schema, but every cell does")
}

/// The `_id` of a document, if it has one.
fn id(document: &DocumentCell<'_>) -> Option<RawValue> {
    let (_, cell) = document.entries().find(|(key, _)| *key == "_id")?;
    let mut bytes = Vec::new();
    encode_cell(&cell, &mut bytes);
    Some(RawValue {
        tag: cell.element_type().byte(),
        bytes,
    })
}

struct Conflict {
    expected: String,
    found: String,
}

struct Search<'a> {
    policy: &'a Policy,
    path: Path,
}

impl Search<'_> {
    /// Leaves `self.path` at the place of the conflict.
    fn document(
        &mut self,
        document: &DocumentCell<'_>,
        fields: &[(Arc<str>, Kind)],
    ) -> Result<(), Conflict> {
        let mut expected = 0;
        for (key, cell) in document.entries() {
            // Keys mostly come where the schema has them.
            let named = |(_, (name, _)): &(usize, &(Arc<str>, Kind))| **name == *key;
            let there = fields.iter().enumerate().skip(expected).take(1).find(named);
            let place = there.or_else(|| fields.iter().enumerate().find(named));
            let kind = place.map(|(place, field)| {
                expected = place + 1;
                field
            });
            match kind {
                Some((name, kind)) => {
                    self.path.push(Step::Key(Arc::clone(name)));
                    self.cell(&cell, kind)?;
                    self.path.pop();
                }
                None if self.policy.unknown == UnknownKeys::Conflict => {
                    self.path.push(Step::Key(key.into()));
                    return Err(Conflict {
                        expected: "only keys that the schema has".into(),
                        found: format!("a new key holding {}", describe(&cell)),
                    });
                }
                None => {}
            }
        }
        Ok(())
    }

    fn cell(&mut self, cell: &Cell<'_>, outer: &Kind) -> Result<(), Conflict> {
        match (outer, cell) {
            (Kind::Document(fields), Cell::Document(document)) => {
                return self.document(document, fields)
            }
            (Kind::Map(kind), Cell::Document(document)) => {
                for (key, cell) in document.entries() {
                    self.path.push(Step::Key(key.into()));
                    self.cell(&cell, kind)?;
                    self.path.pop();
                }
                return Ok(());
            }
            (
                Kind::List(kind) | Kind::LargeList(kind) | Kind::FixedSizeList(kind, _),
                Cell::List(list),
            ) if fit::fits(outer, cell) => {
                for (position, item) in (0..).zip(list.items()) {
                    self.path.push(Step::Index(position));
                    self.cell(&item, kind)?;
                    self.path.pop();
                }
                return Ok(());
            }
            _ => {}
        }
        if fit::fits(outer, cell) {
            return Ok(());
        }
        Err(Conflict {
            expected: outer.to_string(),
            found: describe(cell),
        })
    }
}

/// A type, and the value where it decides whether it fits.
fn describe(cell: &Cell<'_>) -> String {
    let name = cell.element_type().name();
    match cell {
        Cell::Double(value) => format!("{name} {value:?}"),
        Cell::Int32(value) => format!("{name} {value}"),
        Cell::Int64(value) => format!("{name} {value}"),
        Cell::DateTime(value) => format!("{name} of {value} ms since 1970"),
        Cell::Decimal128(bytes) => match decimal::parts(*bytes) {
            Some(value) => format!("{name} {value}"),
            None => format!("{name} that is no finite number"),
        },
        Cell::List(list) => format!("{name} of {} items", list.items().count()),
        Cell::Binary { subtype, bytes } => {
            format!("{name} of subtype {subtype}, {} bytes", bytes.len())
        }
        _ => name.into(),
    }
}
