//! Comparison of a document with the plain reading of its row, and the shape that converts one into the other.

use std::sync::Arc;

use super::format::{
    push_number, recast, DOCUMENT, DOUBLE, INT32, INT64, LIST, LITERAL, NULL, UNCHANGED,
};
use crate::chunk::{encode_cell, encode_wrapped, Cell, DocumentCell, Documents, ListCell};
use crate::conform::positions::Positions;
use crate::conform::{OnConflict, Policy};
use crate::error::Error;
use crate::schema::Kind;

/// Compares rows of one Chunk.
pub(super) struct RowComparison {
    /// True if the policy replaces conflicts by null.
    nulled: bool,
    /// Number of literals written so far.
    literals: usize,
    /// The first value that could not be written, because it takes 2 GiB or more.
    pub failure: Option<Error>,
    positions: Positions,
}

type Fields = [(Arc<str>, Kind)];

/// The current run of fields.
struct Run {
    first: usize,
    next: usize,
}

impl RowComparison {
    pub fn new(policy: &Policy) -> Self {
        RowComparison {
            nulled: policy.on_conflict == OnConflict::Null,
            literals: 0,
            failure: None,
            positions: Positions::default(),
        }
    }

    /// Returns whether the row of `plain` reads as `document`; otherwise appends the steps of the shape to `out`.
    pub fn document(
        &mut self,
        fields: &Fields,
        document: &DocumentCell<'_>,
        plain: &Documents,
        row: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        let read = |field: usize| plain.fields()[field].column.cell(row);
        let mut run: Option<Run> = None;
        let mut runs_only = true;
        let mut runs = 0;
        let mut known = 0;
        let mut expected = 0;
        for (key, cell) in document.entries() {
            let Some(field) = self.positions.of(fields, key, expected) else {
                continue;
            };
            expected = field + 1;
            known += 1;
            let plain = read(field);
            let mut step = Vec::new();
            let absent = matches!(plain, Cell::Null);
            let same = if matches!(cell, Cell::Null) || (absent && self.nulled) {
                step.push(NULL);
                false
            } else {
                self.cell(&fields[field].1, &cell, &plain, &mut step)
            };
            if same {
                let goes_on = run.as_ref().is_some_and(|run| {
                    field >= run.next && (run.next..field).all(|gap| is_null(&read(gap)))
                });
                match &mut run {
                    Some(run) if goes_on => run.next = field + 1,
                    _ => {
                        runs += usize::from(end(run.take(), fields.len(), read, out));
                        run = Some(Run {
                            first: field,
                            next: field + 1,
                        });
                    }
                }
            } else {
                runs += usize::from(end(run.take(), fields.len(), read, out));
                runs_only = false;
                push_number(2 * field + 2, out);
                out.extend_from_slice(&step);
            }
        }
        runs += usize::from(end(run.take(), fields.len(), read, out));
        out.push(0);
        // One run in field order is the plain reading, unless the row has a field that the document lacks.
        let same = runs_only && runs <= 1 && {
            let found = (0..plain.fields().len()).filter(|&field| !is_null(&read(field)));
            found.count() == known
        };
        if same {
            out.truncate(start);
        }
        same
    }

    /// Returns whether `plain` reads as `cell`; otherwise appends the conversion to `out`.
    fn cell(&mut self, kind: &Kind, cell: &Cell<'_>, plain: &Cell<'_>, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        match (kind, cell, plain) {
            (
                Kind::Document(fields),
                Cell::Document(document),
                Cell::Document(DocumentCell::Row { documents, row }),
            ) => {
                out.push(DOCUMENT);
                let same = self.document(fields, document, documents, *row, out);
                if same {
                    out.truncate(start);
                }
                return same;
            }
            (
                Kind::List(kind) | Kind::LargeList(kind) | Kind::FixedSizeList(kind, _),
                Cell::List(list),
                Cell::List(plain),
            ) if list.items().count() == plain.items().count() => {
                out.push(LIST);
                let same = self.list(kind, list, plain, out);
                if same {
                    out.truncate(start);
                }
                return same;
            }
            _ => {}
        }
        if same_value(cell, plain) {
            return true;
        }
        let is_cell = |&code: &u8| recast(code, plain).is_some_and(|made| same_value(&made, cell));
        match [INT32, INT64, DOUBLE].into_iter().find(is_cell) {
            Some(code) => out.push(code),
            None => {
                out.push(LITERAL);
                if let Err(error) = encode_wrapped(cell, out) {
                    self.failure.get_or_insert(error);
                }
                self.literals += 1;
            }
        }
        false
    }

    /// Compares lists of equal length, like [`cell`](Self::cell).
    fn list(
        &mut self,
        kind: &Kind,
        list: &ListCell<'_>,
        plain: &ListCell<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let mut all_same = true;
        let (mut last, mut item) = (Vec::new(), Vec::new());
        let mut count = 0;
        let mut may_repeat = false;
        for (cell, plain) in list.items().zip(plain.items()) {
            item.clear();
            let literals = self.literals;
            let nulled = self.nulled && is_null(&plain);
            if nulled || self.cell(kind, &cell, &plain, &mut item) {
                item.push(UNCHANGED);
            } else {
                all_same = false;
            }
            if count > 0 && may_repeat && item == last {
                count += 1;
                continue;
            }
            if count > 0 {
                push_number(count, out);
                out.extend_from_slice(&last);
            }
            // The reader of a shape may rely on the fact that literals never repeat.
            may_repeat = self.literals == literals;
            std::mem::swap(&mut last, &mut item);
            count = 1;
        }
        push_number(0, out);
        out.extend_from_slice(&last);
        all_same
    }
}

/// Writes the end of a run, extended over adjacent nulls, so that rows that differ only in missing fields have the
/// same shape.
fn end<'a>(
    run: Option<Run>,
    fields: usize,
    read: impl Fn(usize) -> Cell<'a>,
    out: &mut Vec<u8>,
) -> bool {
    let Some(Run {
        mut first,
        mut next,
    }) = run
    else {
        return false;
    };
    while first > 0 && is_null(&read(first - 1)) {
        first -= 1;
    }
    while next < fields && is_null(&read(next)) {
        next += 1;
    }
    push_number(2 * first + 1, out);
    push_number(next - first, out);
    true
}

fn is_null(cell: &Cell<'_>) -> bool {
    matches!(cell, Cell::Null)
}

/// Returns whether two cells have the same type and value; doubles are compared bit by bit.
fn same_value(a: &Cell<'_>, b: &Cell<'_>) -> bool {
    match (a, b) {
        (Cell::Int32(a), Cell::Int32(b)) => a == b,
        (Cell::Int64(a), Cell::Int64(b)) | (Cell::DateTime(a), Cell::DateTime(b)) => a == b,
        (Cell::Double(a), Cell::Double(b)) => a.to_bits() == b.to_bits(),
        (Cell::Boolean(a), Cell::Boolean(b)) => a == b,
        (Cell::String(a), Cell::String(b)) => a == b,
        (Cell::ObjectId(a), Cell::ObjectId(b)) => a == b,
        _ if a.element_type() != b.element_type() => false,
        _ => {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            encode_cell(a, &mut first).is_ok()
                && encode_cell(b, &mut second).is_ok()
                && first == second
        }
    }
}
