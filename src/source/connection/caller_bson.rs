//! BSON from the caller: filters, pipelines, options, commands.
//!
//! For reads the driver takes its `Document`, whose parser recurses (10,000 levels overflow the stack and abort the process) and keeps
//! only the last of equal keys. So the bytes are checked first, without recursion, and a document that the parser would change is
//! refused.

use mongodb::bson::{deserialize_from_slice, Document, RawDocumentBuf};

use super::deadline::MAX_TIME;
use crate::error::{Error, ErrorKind, Result};

/// Limit of levels in a read, with the top level as 1. A server refuses filters of more than 100 levels.
const MAX_LEVELS: usize = 100;

/// Limit of levels in a command that writes: a server accepts 200, and itself refuses documents that it cannot store.
const MAX_LEVELS_OF_WRITE: usize = 200;

/// Limit of bytes: a server's limit for a document, and its allowance for a command around it.
pub(crate) const MAX_BYTES: usize = (16 << 20) + (16 << 10);

/// Spare capacity of a copied command: for `txnNumber` (19 bytes) and `maxTimeMS` (15).
pub(crate) const SPARE_BYTES: usize = 34;

/// Parses `bytes` as the driver's document; no bytes are an empty document. `what` names it in errors.
pub(crate) fn document(bytes: &[u8], what: &str) -> Result<Document> {
    if bytes.is_empty() {
        return Ok(Document::new());
    }
    check(bytes, MAX_LEVELS, Text::Checked).map_err(|fault| fault.into_error(what))?;
    let document: Document =
        deserialize_from_slice(bytes).map_err(|error| invalid(what, &error.to_string()))?;
    let same_length = document
        .to_vec()
        .is_ok_and(|encoded| encoded.len() == bytes.len());
    if !same_length {
        return Err(invalid(
            what,
            "a key occurs twice in one document, or a list is not numbered from 0",
        ));
    }
    Ok(document)
}

/// Checks `bytes` as a command that is sent unchanged: keys that occur twice and text that is not UTF-8 reach the server, which stores
/// them. Returns the command, and whether it has a [`MAX_TIME`].
pub(crate) fn command(bytes: &[u8]) -> Result<(RawDocumentBuf, bool)> {
    let checked = check(bytes, MAX_LEVELS_OF_WRITE, Text::Any);
    let limited = checked.map_err(|fault| fault.into_error("write"))?;
    let command = copy(bytes, "write")?;
    if command.is_empty() {
        return Err(invalid("write", "an empty document"));
    }
    Ok((command, limited))
}

/// Checks the head of a command that writes, which gets a list of statements. Returns whether it has a [`MAX_TIME`].
pub(crate) fn head(bytes: &[u8]) -> Result<bool> {
    let checked = check(bytes, MAX_LEVELS_OF_WRITE, Text::Any);
    let limited = checked.map_err(|fault| fault.into_error("write"))?;
    match bytes.len() {
        5 => Err(invalid("write", "an empty document")),
        _ => Ok(limited),
    }
}

/// Checks a statement of a command that writes: it has two levels less than the command.
pub(crate) fn statement(bytes: &[u8]) -> Result<()> {
    let checked = check(bytes, MAX_LEVELS_OF_WRITE - 2, Text::Any);
    checked.map(drop).map_err(|fault| fault.into_error("write"))
}

/// Copies a command, with spare capacity for its `txnNumber` and `maxTimeMS`: without it, they would cause another copy.
pub(crate) fn copy(command: &[u8], what: &str) -> Result<RawDocumentBuf> {
    let mut own = Vec::with_capacity(command.len() + SPARE_BYTES);
    own.extend_from_slice(command);
    owned(own, what)
}

/// Takes a command over without a copy.
pub(crate) fn owned(command: Vec<u8>, what: &str) -> Result<RawDocumentBuf> {
    RawDocumentBuf::from_bytes(command).map_err(|error| invalid(what, &error.to_string()))
}

/// The check of text: it must be UTF-8, or may be anything.
#[derive(Clone, Copy, PartialEq)]
enum Text {
    Checked,
    Any,
}

/// The fault of a document.
#[derive(Debug)]
enum Fault {
    /// It has this number of bytes.
    TooLarge(usize),
    /// Its structure, depth or text.
    Malformed(String),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Fault::Malformed(reason)
    }
}

impl Fault {
    fn into_error(self, what: &str) -> Error {
        match self {
            Fault::Malformed(reason) => invalid(what, &reason),
            Fault::TooLarge(bytes) => Error::new(ErrorKind::DocumentTooLarge(format!(
                "{what}: {bytes} bytes are more than a server accepts"
            ))),
        }
    }
}

fn invalid(what: &str, reason: &str) -> Error {
    Error::new(ErrorKind::InvalidQuery(format!("{what}: {reason}")))
}

/// Checks structure, depth and text of a whole document, without recursion. Returns whether it has a [`MAX_TIME`].
fn check(bytes: &[u8], max_levels: usize, text: Text) -> Result<bool, Fault> {
    if bytes.len() > MAX_BYTES {
        return Err(Fault::TooLarge(bytes.len()));
    }
    let mut reader = Bytes { bytes, at: 0, text };
    let mut ends = vec![reader.frame(bytes.len())?];
    let mut limited = false;
    while let Some(&end) = ends.last() {
        let tag = reader.byte()?;
        if tag == 0 {
            if reader.at != end {
                return Err(Fault::Malformed(format!(
                    "a document ends before its length says, at byte {}",
                    reader.at
                )));
            }
            ends.pop();
            continue;
        }
        let key = reader.key()?;
        limited |= ends.len() == 1 && key == MAX_TIME.as_bytes();
        match tag {
            0x06 | 0x0A | 0x7F | 0xFF => {}
            0x08 => {
                if reader.byte()? > 1 {
                    return Err(Fault::Malformed(format!(
                        "a boolean that is neither 0 nor 1, at byte {}",
                        reader.at - 1
                    )));
                }
            }
            0x10 => reader.skip(4)?,
            0x01 | 0x09 | 0x11 | 0x12 => reader.skip(8)?,
            0x07 => reader.skip(12)?,
            0x13 => reader.skip(16)?,
            0x02 | 0x0D | 0x0E => reader.string()?,
            0x05 => {
                let length = reader.length()?;
                reader.skip(length + 1)?;
            }
            0x0B => {
                reader.key()?;
                reader.key()?;
            }
            0x0C => {
                reader.string()?;
                reader.skip(12)?;
            }
            0x03 | 0x04 => ends.push(reader.frame(end)?),
            0x0F => {
                let start = reader.at;
                let total = reader.length()?;
                reader.string()?;
                let scope = reader.frame(end)?;
                if start.checked_add(total) != Some(scope) {
                    return Err(Fault::Malformed(format!(
                        "the length of code with scope is wrong, at byte {start}"
                    )));
                }
                ends.push(scope);
            }
            tag => {
                return Err(Fault::Malformed(format!(
                    "unknown type 0x{tag:02x} at byte {}",
                    reader.at
                )))
            }
        }
        if ends.len() > max_levels {
            return Err(Fault::Malformed(format!(
                "nested deeper than {max_levels} levels"
            )));
        }
        if reader.at >= end && ends.last() == Some(&end) {
            return Err(Fault::Malformed(format!(
                "a value runs past its document, at byte {}",
                reader.at
            )));
        }
    }
    if reader.at != bytes.len() {
        return Err(Fault::Malformed("bytes after the document's end".into()));
    }
    Ok(limited)
}

struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
    text: Text,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| format!("truncated at byte {}", self.at))?;
        self.at += count;
        Ok(taken)
    }

    fn skip(&mut self, count: usize) -> Result<(), String> {
        self.take(count).map(|_| ())
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn length(&mut self) -> Result<usize, String> {
        let at = self.at;
        let mut four = [0; 4];
        four.copy_from_slice(self.take(4)?);
        usize::try_from(i32::from_le_bytes(four))
            .map_err(|_| format!("a negative length at byte {at}"))
    }

    /// Enters a document that must end at or before `limit`, and returns its end.
    fn frame(&mut self, limit: usize) -> Result<usize, String> {
        let start = self.at;
        let length = self.length()?;
        match start.checked_add(length) {
            Some(end) if length >= 5 && end <= limit => Ok(end),
            _ => Err(format!("a document's length is wrong, at byte {start}")),
        }
    }

    fn key(&mut self) -> Result<&'a [u8], String> {
        let at = self.at;
        let rest = self.bytes.get(at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == 0);
        let length = length.ok_or_else(|| format!("truncated at byte {at}"))?;
        let text = &self.take(length + 1)?[..length];
        self.utf8(text, at)?;
        Ok(text)
    }

    fn string(&mut self) -> Result<(), String> {
        let at = self.at;
        let length = self.length()?;
        match self.take(length)?.split_last() {
            Some((0, text)) => self.utf8(text, at),
            _ => Err(format!("a string without its final NUL, at byte {at}")),
        }
    }

    fn utf8(&self, bytes: &[u8], at: usize) -> Result<(), String> {
        if self.text == Text::Any || simdutf8::basic::from_utf8(bytes).is_ok() {
            Ok(())
        } else {
            Err(format!("invalid UTF-8 at byte {at}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{doc, oid::ObjectId, Bson, Decimal128, Regex, Timestamp};

    fn nested(levels: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for inner in (1..levels).rev() {
            bytes.extend((5 + 8 * inner as i32).to_le_bytes());
            bytes.extend([3, b'a', 0]);
        }
        bytes.extend([5, 0, 0, 0, 0]);
        bytes.resize(bytes.len() + levels - 1, 0);
        bytes
    }

    fn every_type() -> Document {
        doc! {
            "double": 1.5, "string": "gråt", "document": {"a": {}}, "list": [1, [2, {}]],
            "binary": Bson::Binary(mongodb::bson::Binary {
                subtype: mongodb::bson::spec::BinarySubtype::Generic, bytes: vec![1, 2, 3] }),
            "old": Bson::Binary(mongodb::bson::Binary {
                subtype: mongodb::bson::spec::BinarySubtype::BinaryOld, bytes: vec![1, 2, 3] }),
            "undefined": Bson::Undefined, "id": ObjectId::new(), "bool": true,
            "date": mongodb::bson::DateTime::MIN, "null": null,
            "regex": Regex { pattern: "a.*".try_into().unwrap(), options: "i".try_into().unwrap() },
            "code": Bson::JavaScriptCode("f()".into()),
            "scoped": Bson::JavaScriptCodeWithScope(mongodb::bson::JavaScriptCodeWithScope {
                code: "f()".into(), scope: doc! {"x": 1} }),
            "symbol": Bson::Symbol("s".into()), "int": 1, "stamp": Timestamp { time: 1, increment: 2 },
            "long": 1_i64, "decimal": Decimal128::from_bytes([0; 16]),
            "min": Bson::MinKey, "max": Bson::MaxKey,
        }
    }

    #[test]
    fn every_type_is_unchanged() {
        let given = every_type();
        assert_eq!(document(&given.to_vec().unwrap(), "filter").unwrap(), given);
        assert!(document(&[], "filter").unwrap().is_empty());
    }

    #[test]
    fn caps_depth_without_recursion() {
        assert!(document(&nested(100), "filter").is_ok());
        for levels in [101, 10_000, 300_000] {
            let error = document(&nested(levels), "filter").unwrap_err();
            assert_eq!(
                error.kind(),
                &ErrorKind::InvalidQuery("filter: nested deeper than 100 levels".into())
            );
        }
    }

    #[test]
    fn commands_may_be_deeper() {
        assert!(command(&nested(200)).is_ok());
        for bytes in [&nested(201), &nested(300_000), &vec![5, 0, 0, 0, 0]] {
            assert!(command(bytes).is_err());
        }
    }

    #[test]
    fn refuses_every_truncation_and_survives_every_flip() {
        let bytes = every_type().to_vec().unwrap();
        for end in 1..bytes.len() {
            assert!(document(&bytes[..end], "filter").is_err(), "{end}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                // The parser must accept or refuse each document that passes the check, without a panic.
                let _ = document(&flipped, "filter");
            }
        }
    }

    #[test]
    fn refuses_keys_that_the_parser_would_lose() {
        let twice = [
            19, 0, 0, 0, 0x10, b'a', 0, 1, 0, 0, 0, 0x10, b'a', 0, 2, 0, 0, 0, 0,
        ];
        assert!(check(&twice, MAX_LEVELS, Text::Checked).is_ok());
        let (sent, limited) = command(&twice).unwrap();
        assert_eq!((sent.as_bytes(), limited), (&twice[..], false));
        let error = document(&twice, "filter").unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }

    #[test]
    fn refuses_wrong_lengths() {
        for bytes in [
            &[4, 0, 0, 0][..],
            &[5, 0, 0, 0, 0, 0],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0],
            &[9, 0, 0, 0, 8, b'b', 0, 2, 0],
            &[14, 0, 0, 0, 2, b'b', 0, 2, 0, 0, 0, 0xFF, 0, 0],
        ] {
            assert!(document(bytes, "filter").is_err(), "{bytes:?}");
        }
    }
}
