//! Cells back to BSON, in normal form: the bytes do not depend on whether the cell stood in columns or was kept as BSON.

use std::io::Write;

use super::cell::{Cell, DocumentCell, ListCell};

/// Appends the value of `cell`, without type and key.
pub fn encode_cell(cell: &Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Null | Cell::Marker(_) => {}
        Cell::Double(value) => out.extend_from_slice(&value.to_le_bytes()),
        Cell::String(value) | Cell::Code(value) | Cell::Symbol(value) => string(value, out),
        Cell::Document(document) => encode_document(document, out),
        Cell::List(ListCell::Bson(bytes)) => out.extend_from_slice(bytes),
        Cell::List(list) => framed(out, |out| {
            for (index, item) in list.items().enumerate() {
                out.push(item.element_type().byte());
                // Writing to a Vec cannot fail.
                let _ = write!(out, "{index}\0");
                encode_cell(&item, out);
            }
            out.push(0);
        }),
        Cell::Binary { subtype, bytes } => {
            let inner = if *subtype == 2 { 4 } else { 0 };
            out.extend_from_slice(&(bytes.len() as i32 + inner).to_le_bytes());
            out.push(*subtype);
            if *subtype == 2 {
                out.extend_from_slice(&(bytes.len() as i32).to_le_bytes());
            }
            out.extend_from_slice(bytes);
        }
        Cell::ObjectId(bytes) => out.extend_from_slice(bytes),
        Cell::Boolean(value) => out.push(u8::from(*value)),
        Cell::DateTime(value) | Cell::Int64(value) => out.extend_from_slice(&value.to_le_bytes()),
        Cell::Regex { pattern, options } => {
            for part in [pattern, options] {
                out.extend_from_slice(part.as_bytes());
                out.push(0);
            }
        }
        Cell::DbPointer { namespace, id } => {
            string(namespace, out);
            out.extend_from_slice(id);
        }
        Cell::CodeWithScope { code, scope } => framed(out, |out| {
            string(code, out);
            out.extend_from_slice(scope);
        }),
        Cell::Int32(value) => out.extend_from_slice(&value.to_le_bytes()),
        Cell::Timestamp { time, increment } => {
            out.extend_from_slice(&increment.to_le_bytes());
            out.extend_from_slice(&time.to_le_bytes());
        }
        Cell::Decimal128(bytes) => out.extend_from_slice(bytes),
    }
}

/// Appends a document.
pub fn encode_document(document: &DocumentCell<'_>, out: &mut Vec<u8>) {
    if let DocumentCell::Bson(bytes) = document {
        out.extend_from_slice(bytes);
        return;
    }
    framed(out, |out| {
        for (key, value) in document.entries() {
            encode_element(key, &value, out);
        }
        out.push(0);
    });
}

/// Appends the document `{"": cell}`: how a mixed column of a table keeps a cell.
pub fn encode_wrapped(cell: &Cell<'_>, out: &mut Vec<u8>) {
    framed(out, |out| {
        encode_element("", cell, out);
        out.push(0);
    });
}

/// Appends an element: type, key and value.
pub fn encode_element(key: &str, cell: &Cell<'_>, out: &mut Vec<u8>) {
    out.push(cell.element_type().byte());
    out.extend_from_slice(key.as_bytes());
    out.push(0);
    encode_cell(cell, out);
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as i32 + 1).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

/// Puts the length of what `write` appends, and its own four bytes, before it.
fn framed(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = (out.len() - start) as i32;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
}
