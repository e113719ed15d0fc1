//! The slow search, in row order, for cells that do not fit: their values and locations.

use std::sync::Arc;

use arrow_array::ArrayRef;

use super::positions::Positions;
use super::rescue::Rescue;
use super::{
    arrow_only, coerce, internal_error, Action, ConflictCounts, Failure, OnConflict, Policy,
    UnknownKeys,
};
use crate::chunk::{encode_cell, Cell, DocumentCell, Documents};
use crate::error::{Error, Location, Path, RawValue, Step};
use crate::raw::Decimal;
use crate::schema::{Kind, TableSchema};

/// Returns the first conflict by row, then by the document's own key order.
#[cold]
pub(super) fn first_conflict(
    documents: &Arc<Documents>,
    schema: &TableSchema,
    policy: &Policy,
) -> Error {
    let mut search = ConflictSearch {
        policy,
        path: Vec::new(),
        positions: Positions::default(),
        found: ConflictSink::StopAtFirst,
    };
    for row in 0..documents.len() {
        let document = DocumentCell::Row { documents, row };
        let conflict = match search.document(&document, schema.fields()) {
            Ok(()) => continue,
            Err(SearchEnd::Error(error)) => return error,
            Err(SearchEnd::Conflict { expected, found }) => Error::conflict(expected, found),
        };
        return conflict.at(Location {
            document: Some(row as u64),
            id: id(&document),
            path: search.path,
        });
    }
    internal_error("a column does not fit its schema, but every cell does")
}

/// Lists all conflicts, each with its location.
#[cold]
pub(super) fn list_conflicts(
    documents: &Arc<Documents>,
    schema: &TableSchema,
    policy: &Policy,
) -> crate::error::Result<Vec<Error>> {
    let mut search = ConflictSearch {
        policy,
        path: Vec::new(),
        positions: Positions::default(),
        found: ConflictSink::List(List {
            documents,
            row: 0,
            errors: Vec::new(),
        }),
    };
    for row in 0..documents.len() {
        if let ConflictSink::List(list) = &mut search.found {
            list.row = row;
        }
        let document = DocumentCell::Row { documents, row };
        search
            .document(&document, schema.fields())
            .map_err(SearchEnd::into_error)?;
    }
    match search.found {
        ConflictSink::List(list) => Ok(list.errors),
        _ => Ok(Vec::new()),
    }
}

/// Counts all conflicts by path, and builds the column of rescued values under that policy.
#[cold]
pub(super) fn count_conflicts(
    documents: &Arc<Documents>,
    schema: &TableSchema,
    policy: &Policy,
) -> crate::error::Result<(ConflictCounts, Option<ArrayRef>)> {
    let rescue = policy.on_conflict == OnConflict::Rescue;
    let action = if rescue {
        Action::Rescued
    } else {
        Action::Nulled
    };
    let mut search = ConflictSearch {
        policy,
        path: Vec::new(),
        positions: Positions::default(),
        found: ConflictSink::Count(Box::new(Counter {
            documents,
            row: 0,
            action,
            conflict_counts: ConflictCounts::default(),
            rescue: rescue.then(Rescue::default),
        })),
    };
    for row in 0..documents.len() {
        if let ConflictSink::Count(counter) = &mut search.found {
            counter.row = row;
        }
        let document = DocumentCell::Row { documents, row };
        let done = search.document(&document, schema.fields());
        let rescue = match &mut search.found {
            ConflictSink::Count(counter) => counter.rescue.as_mut(),
            _ => None,
        };
        done.and_then(|()| Ok(rescue.map_or(Ok(()), Rescue::end_row)?))
            .map_err(SearchEnd::into_error)?;
    }
    let ConflictSink::Count(counter) = search.found else {
        return Ok(Default::default());
    };
    let Counter {
        conflict_counts,
        rescue,
        ..
    } = *counter;
    let field = schema.arrow().fields().get(schema.fields().len());
    let rescued = match (rescue, field) {
        (Some(rescue), Some(field)) => Some(rescue.finish(field).map_err(Failure::into_error)?),
        _ => None,
    };
    Ok((conflict_counts, rescued))
}

/// Counts all rounded values by path. Only columns that allow rounding are searched.
pub(super) fn count_rounded(
    documents: &Arc<Documents>,
    schema: &TableSchema,
) -> crate::error::Result<ConflictCounts> {
    let fields = schema.fields().iter().filter(|(_, kind)| kind.rounds());
    let columns: Vec<_> = fields
        .filter_map(|(name, kind)| {
            let found = documents
                .fields()
                .iter()
                .find(|field| field.name == *name)?;
            Some((name, kind, &found.column))
        })
        .collect();
    if columns.is_empty() {
        return Ok(ConflictCounts::default());
    }
    let policy = Policy {
        unknown: UnknownKeys::Skip,
        on_conflict: OnConflict::Null,
    };
    let mut search = ConflictSearch {
        policy: &policy,
        path: Vec::new(),
        positions: Positions::default(),
        found: ConflictSink::Count(Box::new(Counter {
            documents,
            row: 0,
            action: Action::Rounded,
            conflict_counts: ConflictCounts::default(),
            rescue: None,
        })),
    };
    for row in 0..documents.len() {
        if let ConflictSink::Count(counter) = &mut search.found {
            counter.row = row;
        }
        for (name, kind, column) in &columns {
            search.path.push(Step::Key(Arc::clone(name)));
            search
                .cell(&column.cell(row), kind)
                .map_err(SearchEnd::into_error)?;
            search.path.pop();
        }
    }
    match search.found {
        ConflictSink::Count(counter) => Ok(counter.conflict_counts),
        _ => Ok(ConflictCounts::default()),
    }
}

/// Returns the `_id` of a document, if it has one.
fn id(document: &DocumentCell<'_>) -> Option<RawValue> {
    let (_, cell) = document.entries().find(|(key, _)| *key == "_id")?;
    let mut bytes = Vec::new();
    encode_cell(&cell, &mut bytes).ok()?;
    Some(RawValue {
        tag: cell.element_type().byte(),
        bytes,
    })
}

/// The reason that a search ended early.
enum SearchEnd {
    /// The first conflict, in a search that stops there.
    Conflict { expected: String, found: String },
    /// Any other error.
    Error(Error),
}

impl SearchEnd {
    fn into_error(self) -> Error {
        match self {
            SearchEnd::Conflict { expected, found } => Error::conflict(expected, found),
            SearchEnd::Error(error) => error,
        }
    }
}

impl From<Failure> for SearchEnd {
    fn from(failure: Failure) -> Self {
        SearchEnd::Error(failure.into_error())
    }
}

struct ConflictSearch<'a> {
    policy: &'a Policy,
    path: Path,
    positions: Positions,
    found: ConflictSink<'a>,
}

/// Handling of a conflict.
enum ConflictSink<'a> {
    /// End the search.
    StopAtFirst,
    /// Add it to the list.
    List(List<'a>),
    /// Count it, and rescue it under that policy.
    Count(Box<Counter<'a>>),
}

struct List<'a> {
    documents: &'a Arc<Documents>,
    row: usize,
    errors: Vec<Error>,
}

struct Counter<'a> {
    documents: &'a Arc<Documents>,
    row: usize,
    /// The action on the values that the search finds.
    action: Action,
    conflict_counts: ConflictCounts,
    rescue: Option<Rescue>,
}

impl ConflictSearch<'_> {
    /// Searches a document. On a conflict, `self.path` holds its path.
    fn document(
        &mut self,
        document: &DocumentCell<'_>,
        fields: &[(Arc<str>, Kind)],
    ) -> Result<(), SearchEnd> {
        let mut expected = 0;
        for (key, cell) in document.entries() {
            match self.positions.of(fields, key, expected) {
                Some(place) => {
                    let (name, kind) = &fields[place];
                    expected = place + 1;
                    self.path.push(Step::Key(Arc::clone(name)));
                    self.cell(&cell, kind)?;
                    self.path.pop();
                }
                None if self.policy.unknown == UnknownKeys::Conflict => {
                    self.path.push(Step::Key(key.into()));
                    self.conflict(&cell, || SearchEnd::Conflict {
                        expected: "only keys of the schema".into(),
                        found: format!("a new key holding {}", describe(&cell)),
                    })?;
                    self.path.pop();
                }
                None => {}
            }
        }
        Ok(())
    }

    fn cell(&mut self, cell: &Cell<'_>, outer: &Kind) -> Result<(), SearchEnd> {
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
            ) if coerce::can_coerce(outer, cell) => {
                for (position, item) in (0..).zip(list.items()) {
                    self.path.push(Step::Index(position));
                    self.cell(&item, kind)?;
                    self.path.pop();
                }
                return Ok(());
            }
            _ => {}
        }
        if self.accepts(cell, outer) {
            return Ok(());
        }
        self.conflict(cell, || SearchEnd::Conflict {
            expected: outer.to_string(),
            found: describe(cell),
        })
    }

    /// Returns whether the search skips a value: it fits, or in the search for rounded values, it is not rounded.
    fn accepts(&self, cell: &Cell<'_>, kind: &Kind) -> bool {
        match &self.found {
            ConflictSink::Count(counter) if counter.action == Action::Rounded => match kind {
                Kind::Rounded(to) => !arrow_only::is_rounded(to, cell),
                _ => true,
            },
            _ => coerce::can_coerce(kind, cell),
        }
    }

    /// Handles the value at `self.path`, which does not fit.
    fn conflict(
        &mut self,
        cell: &Cell<'_>,
        stop: impl FnOnce() -> SearchEnd,
    ) -> Result<(), SearchEnd> {
        let counter = match &mut self.found {
            ConflictSink::StopAtFirst => return Err(stop()),
            ConflictSink::List(list) => {
                let (documents, row) = (list.documents, list.row);
                list.errors.push(stop().into_error().at(Location {
                    document: Some(row as u64),
                    id: id(&DocumentCell::Row { documents, row }),
                    path: self.path.clone(),
                }));
                return Ok(());
            }
            ConflictSink::Count(counter) => counter,
        };
        let (documents, row) = (counter.documents, counter.row);
        let id = || id(&DocumentCell::Row { documents, row });
        counter
            .conflict_counts
            .record(&self.path, cell.element_type(), row, counter.action, id);
        if let Some(rescue) = &mut counter.rescue {
            rescue.push(&self.path, cell)?;
        }
        Ok(())
    }
}

/// Describes a value by its type, and by its content if that decides the fit.
fn describe(cell: &Cell<'_>) -> String {
    let name = cell.element_type().name();
    match cell {
        Cell::Double(value) => format!("{name} {value:?}"),
        Cell::Int32(value) => format!("{name} {value}"),
        Cell::Int64(value) => format!("{name} {value}"),
        Cell::DateTime(value) => format!("{name} of {value} ms since 1970"),
        Cell::Decimal128(bytes) => match Decimal::from_bytes(*bytes) {
            Decimal::NotCanonical(_) => format!("{name} whose encoding is not canonical"),
            value => format!("{name} {value}"),
        },
        Cell::List(list) => format!("{name} of {} items", list.items().count()),
        Cell::Binary { subtype, bytes } => {
            format!("{name} of subtype {subtype}, {} bytes", bytes.len())
        }
        _ => name.into(),
    }
}
