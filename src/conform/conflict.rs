//! The slow look, in row order, for the cell that does not fit: what it is and where.

use std::sync::Arc;

use super::{fit, internal, Policy, UnknownKeys};
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

    fn cell(&mut self, cell: &Cell<'_>, kind: &Kind) -> Result<(), Conflict> {
        let fits = match (kind, cell) {
            (_, Cell::Null) | (Kind::Mixed, _) => true,
            (Kind::Document(fields), Cell::Document(document)) => {
                return self.document(document, fields)
            }
            (Kind::List(kind), Cell::List(list)) => {
                for (position, item) in (0..).zip(list.items()) {
                    self.path.push(Step::Index(position));
                    self.cell(&item, kind)?;
                    self.path.pop();
                }
                return Ok(());
            }
            (Kind::Document(_) | Kind::List(_) | Kind::Null, _) => false,
            (Kind::Double, cell) => fit::double(cell).is_some(),
            (Kind::Int32, cell) => fit::int32(cell).is_some(),
            (Kind::Int64, cell) => fit::int64(cell).is_some(),
            (Kind::Boolean, cell) => fit::boolean(cell).is_some(),
            (Kind::String, cell) => fit::string(cell).is_some(),
            (Kind::Code, cell) => fit::code(cell).is_some(),
            (Kind::Symbol, cell) => fit::symbol(cell).is_some(),
            (Kind::DateTime, cell) => fit::date(cell).is_some(),
            (Kind::ObjectId, cell) => fit::object_id(cell).is_some(),
            (Kind::Decimal128, cell) => fit::decimal(cell).is_some(),
            (Kind::Uuid, cell) => fit::uuid(cell).is_some(),
            (Kind::Binary, cell) => fit::binary(cell).is_some(),
            (Kind::Subtyped, cell) => fit::subtyped(cell).is_some(),
            (Kind::Regex, cell) => matches!(cell, Cell::Regex { .. }),
            (Kind::DbPointer, cell) => matches!(cell, Cell::DbPointer { .. }),
            (Kind::CodeWithScope, cell) => matches!(cell, Cell::CodeWithScope { .. }),
            (Kind::Timestamp, cell) => matches!(cell, Cell::Timestamp { .. }),
            (Kind::Marker(wanted), cell) => matches!(cell, Cell::Marker(found) if found == wanted),
        };
        if fits {
            return Ok(());
        }
        Err(Conflict {
            expected: kind.to_string(),
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
        Cell::Binary { subtype, bytes } => {
            format!("{name} of subtype {subtype}, {} bytes", bytes.len())
        }
        _ => name.into(),
    }
}
