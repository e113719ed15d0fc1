//! Rows of columns as documents.

use super::cells::{kind, Cells, Field};
use super::output::{Header, Output};
use crate::chunk::Documents;
use crate::raw::ElementType;

/// Writes the rows of columns as documents.
pub(super) struct DocumentWriter<'a> {
    documents: &'a Documents,
    fields: Vec<Field<'a>>,
    keeps_null: bool,
    /// The fields with a value, if most have none.
    present: Option<Present>,
}

/// The number of columns from which those with a value are listed for each row.
const MANY_COLUMNS: usize = 32;

/// The rows up to which they are listed: columns of nulls take no memory, but a list for each row does.
const MANY_ROWS: usize = 1 << 20;

/// The fields with a value of each row. Their bitmaps are read column by column, a word at a time: in a table with hundreds of
/// columns of which a row uses a few, the test of each slot takes longer than the values.
struct Present {
    /// The end of each row in `fields`.
    ends: Vec<u32>,
    fields: Vec<u32>,
}

impl Present {
    /// The lists of `len` rows; `None` where they would not pay.
    fn new(fields: &[Field<'_>], len: usize) -> Option<Self> {
        if fields.len() < MANY_COLUMNS || len > MANY_ROWS {
            return None;
        }
        let cells: usize = fields.iter().map(|field| field.column.count(len)).sum();
        if cells > fields.len() * len / 4 {
            return None;
        }
        let mut ends = vec![0; len];
        for field in fields {
            field.column.for_each_present(len, |row| ends[row] += 1);
        }
        // First the start of each row, which filling moves to its end.
        let mut next = 0;
        for end in &mut ends {
            (*end, next) = (next, next + *end);
        }
        let mut all = vec![0; cells];
        for (number, field) in (0..).zip(fields) {
            field.column.for_each_present(len, |row| {
                all[ends[row] as usize] = number;
                ends[row] += 1;
            });
        }
        Some(Present { ends, fields: all })
    }

    fn of(&self, row: usize) -> &[u32] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.fields[start as usize..self.ends[row] as usize]
    }
}

impl<'a> DocumentWriter<'a> {
    /// A writer of `documents`; `keeps_null` states whether a slot without a value is written as null.
    pub(super) fn new(documents: &'a Documents, keeps_null: bool) -> Self {
        let fields = documents.fields().iter().map(|field| Field {
            header: Header::new(kind(field.column.values()), &field.name),
            column: Cells::new(&field.column, keeps_null),
        });
        let fields: Vec<Field<'a>> = fields.collect();
        let present = match keeps_null {
            true => None,
            false => Present::new(&fields, documents.len()),
        };
        DocumentWriter {
            documents,
            fields,
            keeps_null,
            present,
        }
    }

    /// The columns.
    pub(super) fn documents(&self) -> &'a Documents {
        self.documents
    }

    /// The column numbered `field`.
    pub(super) fn field(&self, field: usize) -> &Field<'a> {
        &self.fields[field]
    }

    /// Returns whether nulls are written.
    pub(super) fn keeps_null(&self) -> bool {
        self.keeps_null
    }

    /// Returns whether the document at `row` has the key numbered `field`, with a value or a null that is written.
    pub(super) fn writes(&self, row: usize, field: usize) -> bool {
        self.documents.has(row, field)
            && (self.keeps_null || self.fields[field].column.slot(row).is_some())
    }

    /// Writes the elements of the document at `row`.
    #[inline]
    pub(super) fn write_elements(&self, row: usize, out: &mut Output) {
        if let Some(present) = &self.present {
            for &field in present.of(row) {
                let field = &self.fields[field as usize];
                field.column.write(&field.header, row, out);
            }
            return;
        }
        for &field in self.documents.shape(row) {
            self.fields[field as usize].write(row, self.keeps_null, out);
        }
    }
}

impl Field<'_> {
    /// Writes the element at `row`, if it has a value or its null is kept.
    #[inline]
    pub(super) fn write(&self, row: usize, keeps_null: bool, out: &mut Output) {
        match self.column.slot(row) {
            Some(slot) => self.column.write(&self.header, slot, out),
            None if keeps_null => out.header_of(ElementType::Null, &self.header),
            None => {}
        }
    }
}
