//! The slow, exact check of one document: it reports the fault, its offset and its path.
//!
//! The fast layers stop at the first unreadable byte. This walk then finds the details of the error for the user.
//! Tests also use it as the naive twin of the fast layers.

use std::sync::Arc;

use super::{value_len, Element, ElementType, Elements, Malformed, TextPolicy, MAX_DEPTH};
use crate::error::{Error, Location, Path, RawValue, Step};

/// Checks every header, length, key and text of the document that fills `bytes`.
///
/// # Errors
/// A decode error with the offset from the document's start, the path, and the `_id` if it is readable.
pub fn validate(bytes: &[u8], text: TextPolicy) -> Result<(), Error> {
    let mut walk = Walk {
        text,
        path: Vec::new(),
    };
    let outcome = match super::document_len(bytes, 0) {
        Ok(len) if len == bytes.len() => walk.elements(bytes, 0, 1, false),
        Ok(_) => Err(Malformed::new(
            0,
            "a document's length is less than the bytes given",
        )),
        Err(malformed) => Err(malformed),
    };
    outcome.map_err(|malformed| {
        Error::decode(malformed.offset, malformed.reason).at(Location {
            document: None,
            id: find_id(bytes),
            path: walk.path,
        })
    })
}

/// Returns the value of the first top-level `_id`, if the bytes up to its end are readable.
pub fn find_id(bytes: &[u8]) -> Option<RawValue> {
    // The document's length may be wrong while its elements up to `_id` are valid.
    let mut at = 4;
    while let Some(kind) = bytes.get(at).and_then(|&byte| ElementType::from_byte(byte)) {
        let key = super::key_len(bytes, at + 1).ok()?;
        let value = at + 1 + key + 1;
        let len = value_len(kind, bytes, value).ok()?;
        if &bytes[at + 1..at + 1 + key] == b"_id" {
            return Some(RawValue {
                tag: kind.byte(),
                bytes: bytes[value..value + len].to_vec(),
            });
        }
        at = value + len;
    }
    None
}

struct Walk {
    text: TextPolicy,
    path: Path,
}

impl Walk {
    /// Checks the elements. On an error, `self.path` holds its path.
    fn elements(
        &mut self,
        bytes: &[u8],
        base: usize,
        depth: usize,
        list: bool,
    ) -> Result<(), Malformed> {
        let shift = |malformed: Malformed| Malformed {
            offset: base + malformed.offset,
            ..malformed
        };
        if depth > MAX_DEPTH {
            return Err(Malformed::new(base, "nested too deep: over 200 levels"));
        }
        let mut elements = Elements::new(bytes).map_err(shift)?;
        let mut index = 0;
        while let Some(element) = elements.next() {
            let key = match &element {
                Ok(element) => Some(element.key),
                Err(_) => elements.failed_key(),
            };
            if let Some(key) = key {
                self.path.push(if list {
                    Step::Index(index)
                } else {
                    Step::Key(Arc::from(String::from_utf8_lossy(key).as_ref()))
                });
            }
            let element = element.map_err(shift)?;
            index += 1;
            if !list {
                let key_at = base + element.offset - 1 - element.key.len();
                self.text(element.key, key_at, "a key is not UTF-8")?;
            }
            self.value(element, base + element.offset, depth)?;
            self.path.pop();
        }
        Ok(())
    }

    fn value(&mut self, element: Element<'_>, at: usize, depth: usize) -> Result<(), Malformed> {
        let value = element.value;
        let string = |from: usize, to: usize| &value[from..to];
        match element.kind {
            ElementType::String | ElementType::Code | ElementType::Symbol => {
                self.text(string(4, value.len() - 1), at + 4, "a string is not UTF-8")
            }
            ElementType::DbPointer => self.text(
                string(4, value.len() - 13),
                at + 4,
                "a namespace is not UTF-8",
            ),
            ElementType::Regex => {
                let pattern = super::key_len(value, 0)?;
                self.text(string(0, pattern), at, "a pattern is not UTF-8")?;
                self.text(
                    string(pattern + 1, value.len() - 1),
                    at + pattern + 1,
                    "regular expression options are not UTF-8",
                )
            }
            ElementType::CodeWithScope => {
                let code = 4 + super::i32_at(value, 4)? as usize;
                self.text(string(8, 4 + code - 1), at + 8, "a string is not UTF-8")?;
                self.elements(&value[4 + code..], at + 4 + code, depth + 1, false)
            }
            ElementType::Document => self.elements(value, at, depth + 1, false),
            ElementType::List => self.elements(value, at, depth + 1, true),
            _ => Ok(()),
        }
    }

    fn text(&self, bytes: &[u8], at: usize, reason: &'static str) -> Result<(), Malformed> {
        match self.text.decode(bytes) {
            Ok(_) => Ok(()),
            Err(invalid) => Err(Malformed::new(at + invalid.valid_up_to, reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// A document of one element.
    fn document(kind: u8, key: &[u8], value: &[u8]) -> Vec<u8> {
        let len = 4 + 1 + key.len() + 1 + value.len() + 1;
        let mut bytes = (len as i32).to_le_bytes().to_vec();
        bytes.push(kind);
        bytes.extend_from_slice(key);
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.push(0);
        bytes
    }

    fn nested(levels: usize) -> Vec<u8> {
        let mut bytes = vec![5, 0, 0, 0, 0];
        for _ in 1..levels {
            bytes = document(0x03, b"a", &bytes);
        }
        bytes
    }

    #[test]
    fn two_hundred_levels_and_no_more() {
        assert!(validate(&nested(200), TextPolicy::Strict).is_ok());
        let error = validate(&nested(201), TextPolicy::Strict).unwrap_err();
        assert!(error.to_string().contains("too deep"), "{error}");
        assert_eq!(error.location().path.len(), 200);
    }

    #[test]
    fn an_error_names_offset_path_and_id() {
        let mut inner = document(0x02, b"name", b"\x03\0\0\0a\xff\0");
        inner = document(0x04, b"list", &document(0x03, b"0", &inner));
        let mut bytes = document(0x10, b"_id", &7i32.to_le_bytes());
        bytes.pop();
        bytes.extend_from_slice(&inner[4..]);
        let len = bytes.len() as i32;
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        let error = validate(&bytes, TextPolicy::Strict).unwrap_err();
        let offset = bytes.iter().position(|&byte| byte == 0xff).unwrap() as u64;
        assert!(matches!(error.kind(), ErrorKind::Decode { offset: at, .. } if *at == offset));
        assert_eq!(
            error.location().path,
            vec![
                Step::Key("list".into()),
                Step::Index(0),
                Step::Key("name".into())
            ]
        );
        assert_eq!(error.location().id.as_ref().unwrap().to_string(), "7");
        assert!(validate(&bytes, TextPolicy::Replace).is_ok());
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = document(0x0B, b"r", b"pattern\0im\0");
        for end in 0..bytes.len() {
            assert!(validate(&bytes[..end], TextPolicy::Strict).is_err());
        }
        assert!(validate(&bytes, TextPolicy::Strict).is_ok());
    }
}
