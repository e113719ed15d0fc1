//! Conversion of rows and their shapes to documents.

use super::format::{recast, ShapeBytes, DOCUMENT, LIST, LITERAL, NULL, UNCHANGED};
use crate::chunk::{encode_cell, encode_element, Cell, DocumentCell, Documents, ListCell};
use crate::raw::{normalise_document, ElementType, Elements, Malformed, TextPolicy};

/// Writes documents as BSON, by their shapes. The shapes are untrusted input.
#[derive(Default)]
pub(in crate::conform) struct DocumentWriter {
    /// True while the current value stands for several items.
    repeated: bool,
    literal: Vec<u8>,
}

impl DocumentWriter {
    /// Appends the document of a row under `shape`.
    ///
    /// # Errors
    /// When `shape` is invalid for this row; the offset is in the shape.
    pub fn write(
        &mut self,
        shape: &[u8],
        documents: &Documents,
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let mut bytes = ShapeBytes::new(shape);
        self.repeated = false;
        self.document(&mut bytes, documents, row, out)?;
        if !bytes.is_end() {
            return Err(bytes.wrong("there are bytes after the shape"));
        }
        Ok(())
    }

    fn document(
        &mut self,
        bytes: &mut ShapeBytes<'_>,
        documents: &Documents,
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let fields = documents.fields();
        let mut written = vec![false; fields.len()];
        let mut once = |field: usize, bytes: &ShapeBytes<'_>| match written.get_mut(field) {
            Some(written) if !*written => {
                *written = true;
                Ok(())
            }
            Some(_) => Err(bytes.wrong("a shape has a key twice")),
            None => Err(bytes.wrong("a shape names a column that does not exist")),
        };
        let start = begin(out);
        let mut steps = 0;
        let mut covered = 0;
        loop {
            let step = bytes.number()?;
            if step == 0 {
                return end(start, bytes, out);
            }
            steps += 1;
            if steps > fields.len() {
                return Err(bytes.wrong("a shape has more steps than there are columns"));
            }
            let field = (step - 1) / 2;
            if step % 2 == 1 {
                let count = bytes.number()?;
                let run = fields.iter().enumerate().skip(field).take(count);
                if field + count > fields.len() {
                    return Err(bytes.wrong("a shape names a column that does not exist"));
                }
                // Two runs may share the nulls between them. Without this limit, the work could grow to steps times
                // columns.
                covered += count;
                if covered > 2 * fields.len() {
                    return Err(bytes.wrong("a shape has more steps than there are columns"));
                }
                for (field, (name, column)) in
                    run.map(|(n, field)| (n, (&field.name, &field.column)))
                {
                    let cell = column.cell(row);
                    if !matches!(cell, Cell::Null) {
                        once(field, bytes)?;
                        element(bytes, name, &cell, out)?;
                    }
                }
            } else {
                once(field, bytes)?;
                let cell = fields[field].column.cell(row);
                self.value(bytes, &fields[field].name, &cell, out)?;
            }
        }
    }

    /// Appends an element derived from the plain reading of its value.
    fn value(
        &mut self,
        bytes: &mut ShapeBytes<'_>,
        key: &str,
        plain: &Cell<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        match (bytes.byte()?, plain) {
            (UNCHANGED, plain) => element(bytes, key, plain, out)?,
            // Applies only to a null: a value that was written there later must not be lost.
            (NULL, Cell::Null) => element(bytes, key, &Cell::Null, out)?,
            (DOCUMENT, Cell::Document(DocumentCell::Row { documents, row })) => {
                header(ElementType::Document, key, out);
                self.document(bytes, documents, *row, out)?;
            }
            (LIST, Cell::List(list)) => {
                header(ElementType::List, key, out);
                self.list(bytes, list, out)?;
            }
            (LITERAL, _) => self.literal(bytes, key, out)?,
            (code, plain) => match recast(code, plain) {
                Some(cell) => element(bytes, key, &cell, out)?,
                None => return Err(bytes.wrong("a shape does not match the value in its column")),
            },
        }
        Ok(())
    }

    fn list(
        &mut self,
        bytes: &mut ShapeBytes<'_>,
        list: &ListCell<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let start = begin(out);
        let mut left = list.items().count();
        let mut items = list.items().enumerate();
        loop {
            let count = bytes.number()?;
            if left == 0 || count > left {
                return Err(bytes.wrong("a shape has more items than the list"));
            }
            let last = count == 0;
            let count = if last { left } else { count };
            left -= count;
            let outer = self.repeated;
            self.repeated = outer || count > 1;
            let value = bytes.at();
            for (position, item) in items.by_ref().take(count) {
                bytes.rewind(value);
                self.value(bytes, &position.to_string(), &item, out)?;
                // Checked at every item: a list of nulls takes no memory, but its keys do.
                if out.len() - start > i32::MAX as usize {
                    return Err(bytes.wrong(TOO_LARGE));
                }
            }
            self.repeated = outer;
            if last {
                return end(start, bytes, out);
            }
        }
    }

    fn literal(
        &mut self,
        bytes: &mut ShapeBytes<'_>,
        key: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        if self.repeated {
            // Otherwise a few bytes could expand to any amount of memory.
            return Err(bytes.wrong("a shape repeats a literal"));
        }
        let at = bytes.at();
        let document = bytes.document()?;
        self.literal.clear();
        let wrong = |bad: Malformed| Malformed::new(at + bad.offset, bad.reason);
        normalise_document(document, 1, TextPolicy::Strict, &mut self.literal).map_err(wrong)?;
        let mut elements = Elements::new(&self.literal)?;
        match (elements.next().transpose()?, elements.next()) {
            (Some(element), None) if element.key.is_empty() => {
                header(element.kind, key, out);
                encode_cell(&Cell::from_bson(element.kind, element.value), out)
                    .map_err(|_| Malformed::new(at, TOO_LARGE))
            }
            _ => Err(Malformed::new(
                at,
                "a value in a shape is a document with the one key \"\"",
            )),
        }
    }
}

const TOO_LARGE: &str = "a value takes 2 GiB or more as BSON";

fn header(kind: ElementType, key: &str, out: &mut Vec<u8>) {
    out.push(kind.byte());
    out.extend_from_slice(key.as_bytes());
    out.push(0);
}

fn begin(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; 4]);
    out.len() - 4
}

/// Ends the document that starts at `start`.
fn end(start: usize, bytes: &ShapeBytes<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.push(0);
    let len = i32::try_from(out.len() - start);
    let len = len.map_err(|_| bytes.wrong("a document would be over 2 GiB"))?;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    Ok(())
}

/// Appends an element; it can fail only by its size.
fn element(
    bytes: &ShapeBytes<'_>,
    key: &str,
    cell: &Cell<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    encode_element(key, cell, out).map_err(|_| bytes.wrong(TOO_LARGE))
}
