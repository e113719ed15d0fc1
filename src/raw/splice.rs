//! Documents assembled from elements whose bytes are copied unchanged.

use std::collections::HashMap;

use super::{Element, Elements, Malformed};

/// Returns `written` with its elements under `keys` replaced by those of `stored`. The elements may have any type,
/// including types that a client cannot write.
///
/// If `stored` has a key twice, its last element is used. If `stored` lacks a key, the element of `written` remains.
///
/// # Errors
/// When `stored` or `written` is not a document.
pub fn splice_elements(stored: &[u8], written: &[u8], keys: &[&str]) -> Result<Vec<u8>, Malformed> {
    let mut kept: HashMap<&[u8], Option<&[u8]>> = HashMap::with_capacity(keys.len());
    kept.extend(keys.iter().map(|key| (key.as_bytes(), None)));
    for element in Elements::new(stored)? {
        let element = element?;
        if let Some(found) = kept.get_mut(element.key) {
            *found = Some(element_bytes(stored, &element));
        }
    }
    let mut spliced = Vec::with_capacity(written.len() + 64);
    spliced.extend([0; 4]);
    for element in Elements::new(written)? {
        let element = element?;
        let found = kept.get(element.key).copied().flatten();
        spliced.extend_from_slice(found.unwrap_or_else(|| element_bytes(written, &element)));
    }
    spliced.push(0);
    let len = i32::try_from(spliced.len())
        .map_err(|_| Malformed::new(0, "the document would be larger than 2 GiB"))?;
    spliced[..4].copy_from_slice(&len.to_le_bytes());
    Ok(spliced)
}

/// The bytes of an element, including its type and key.
fn element_bytes<'a>(document: &'a [u8], element: &Element<'a>) -> &'a [u8] {
    let start = element.offset - element.key.len() - 2;
    &document[start..element.offset + element.value.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// {"a": 1 (int32), "s": symbol "x", "u": undefined}
    const STORED: &[u8] =
        b"\x18\x00\x00\x00\x10a\x00\x01\x00\x00\x00\x0es\x00\x02\x00\x00\x00x\x00\x06u\x00\x00";
    /// {"u": null, "a": 2, "s": "x", "b": true}
    const WRITTEN: &[u8] =
        b"\x1c\x00\x00\x00\x0au\x00\x10a\x00\x02\x00\x00\x00\x02s\x00\x02\x00\x00\x00x\x00\x08b\x00\x01\x00";

    #[test]
    fn elements_stay_as_they_are() {
        let spliced = splice_elements(STORED, WRITTEN, &["s", "u", "b", "none"]).unwrap();
        let expected =
            b"\x1c\x00\x00\x00\x06u\x00\x10a\x00\x02\x00\x00\x00\x0es\x00\x02\x00\x00\x00x\x00\x08b\x00\x01\x00";
        assert_eq!(spliced, expected);
        assert_eq!(splice_elements(STORED, WRITTEN, &[]).unwrap(), WRITTEN);
        assert_eq!(splice_elements(WRITTEN, STORED, &[]).unwrap(), STORED);
    }

    #[test]
    fn bytes_that_are_no_document_are_refused() {
        assert!(splice_elements(&STORED[..9], WRITTEN, &["s"]).is_err());
        assert!(splice_elements(STORED, &WRITTEN[..9], &["s"]).is_err());
    }
}
