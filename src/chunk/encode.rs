//! Encoding of cells as BSON in normal form: the bytes do not depend on the cell's storage, in columns or as BSON.

use std::io::Write;

use super::cell::{Cell, DocumentCell, ListCell};
use crate::error::{Error, ErrorKind, Result};

/// Appends the value of `cell`, without type and key.
///
/// # Errors
/// `InvalidArgument` when the value takes 2 GiB or more, because BSON's lengths are 32 bits wide. Normal form can be
/// longer than the value received, because list keys are renumbered. `out` then holds a part of the value.
pub fn encode_cell(cell: &Cell<'_>, out: &mut Vec<u8>) -> Result<()> {
    match cell {
        Cell::Null | Cell::Marker(_) => {}
        Cell::Double(value) => out.extend_from_slice(&value.to_le_bytes()),
        Cell::String(value) | Cell::Code(value) | Cell::Symbol(value) => string(value, out)?,
        Cell::Document(document) => encode_document(document, out)?,
        Cell::List(ListCell::Bson(bytes)) => out.extend_from_slice(bytes),
        Cell::List(list) => framed(out, |out| {
            let start = out.len();
            for (index, item) in list.items().enumerate() {
                out.push(item.element_type().byte());
                // Writing to a Vec cannot fail.
                let _ = write!(out, "{index}\0");
                encode_cell(&item, out)?;
                // Checked at every item: keys alone can multiply the length of a list.
                length(out.len() - start)?;
            }
            out.push(0);
            Ok(())
        })?,
        Cell::Binary { subtype, bytes } => {
            let inner = if *subtype == 2 { 4 } else { 0 };
            out.extend_from_slice(&length(bytes.len() + inner)?);
            out.push(*subtype);
            if *subtype == 2 {
                out.extend_from_slice(&length(bytes.len())?);
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
            string(namespace, out)?;
            out.extend_from_slice(id);
        }
        Cell::CodeWithScope { code, scope } => framed(out, |out| {
            string(code, out)?;
            out.extend_from_slice(scope);
            Ok(())
        })?,
        Cell::Int32(value) => out.extend_from_slice(&value.to_le_bytes()),
        Cell::Timestamp { time, increment } => {
            out.extend_from_slice(&increment.to_le_bytes());
            out.extend_from_slice(&time.to_le_bytes());
        }
        Cell::Decimal128(bytes) => out.extend_from_slice(bytes),
    }
    Ok(())
}

/// Appends a document.
///
/// # Errors
/// The errors of [`encode_cell`].
pub fn encode_document(document: &DocumentCell<'_>, out: &mut Vec<u8>) -> Result<()> {
    if let DocumentCell::Bson(bytes) = document {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    framed(out, |out| {
        for (key, value) in document.entries() {
            encode_element(key, &value, out)?;
        }
        out.push(0);
        Ok(())
    })
}

/// Appends the document `{"": cell}`, the form of a cell in a mixed column of a table.
///
/// # Errors
/// The errors of [`encode_cell`].
pub fn encode_wrapped(cell: &Cell<'_>, out: &mut Vec<u8>) -> Result<()> {
    framed(out, |out| {
        encode_element("", cell, out)?;
        out.push(0);
        Ok(())
    })
}

/// Appends an element: type, key and value.
///
/// # Errors
/// The errors of [`encode_cell`].
pub fn encode_element(key: &str, cell: &Cell<'_>, out: &mut Vec<u8>) -> Result<()> {
    out.push(cell.element_type().byte());
    out.extend_from_slice(key.as_bytes());
    out.push(0);
    encode_cell(cell, out)
}

fn string(text: &str, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&length(text.len() + 1)?);
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    Ok(())
}

/// Appends the output of `write` behind its length, which includes the four bytes of the length.
fn framed(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let len = length(out.len() - start)?;
    out[start..start + 4].copy_from_slice(&len);
    Ok(())
}

/// Encodes `len` as a BSON length.
fn length(len: usize) -> Result<[u8; 4]> {
    match i32::try_from(len) {
        Ok(len) => Ok(len.to_le_bytes()),
        Err(_) => {
            let text = "a value of 2 GiB or more as BSON: its lengths are 32 bits wide";
            Err(Error::new(ErrorKind::InvalidArgument(text.into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_end_at_two_gigabytes() {
        assert_eq!(length(i32::MAX as usize).unwrap(), i32::MAX.to_le_bytes());
        let error = length(i32::MAX as usize + 1).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)));
    }
}
