//! Element headers: the start and length of each value, with every read checked against the available bytes.

use super::ElementType;

/// Maximum nesting of documents, lists and scopes, including the document itself: libbson's limit.
pub const MAX_DEPTH: usize = 200;

/// Bytes that are not BSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Offset into the walked bytes.
    pub offset: usize,
    /// The fault at that offset.
    pub reason: &'static str,
}

impl Malformed {
    #[cold]
    pub(crate) fn new(offset: usize, reason: &'static str) -> Self {
        Malformed { offset, reason }
    }
}

/// Returns the `N` bytes at `at`, if `bytes` holds them.
#[inline]
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// Reads the little-endian int32 at `at`.
///
/// # Errors
/// When `bytes` ends before the integer does.
#[inline]
pub fn i32_at(bytes: &[u8], at: usize) -> Result<i32, Malformed> {
    match array(bytes, at) {
        Some(value) => Ok(i32::from_le_bytes(value)),
        None => Err(Malformed::new(at, "the document ends inside a length")),
    }
}

/// Returns the length of the document or list at `at`. The length is at least 5 and lies inside `bytes`; the last
/// byte is NUL.
///
/// # Errors
/// When one of these conditions fails.
#[inline]
pub fn document_len(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let len = i32_at(bytes, at)?;
    if len < 5 {
        return Err(Malformed::new(at, "a document's length is under 5"));
    }
    let len = len as usize;
    if len > bytes.len() - at {
        return Err(Malformed::new(
            at,
            "a document's length exceeds the bytes around it",
        ));
    }
    if bytes[at + len - 1] != 0 {
        return Err(Malformed::new(
            at + len - 1,
            "a document does not end in NUL",
        ));
    }
    Ok(len)
}

/// Returns the length of the NUL-terminated key at `at`, without its NUL.
///
/// # Errors
/// When `bytes` ends before a NUL.
#[inline]
pub fn key_len(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    // Search eight bytes at a time: in a little-endian word, the lowest borrow of `- ONES` is at the first zero byte.
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut end = at;
    while let Some(word) = array(bytes, end) {
        let word = u64::from_le_bytes(word);
        let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeros != 0 {
            return Ok(end - at + zeros.trailing_zeros() as usize / 8);
        }
        end += 8;
    }
    bytes
        .get(end..)
        .and_then(|rest| rest.iter().position(|&byte| byte == 0))
        .map(|tail| end - at + tail)
        .ok_or_else(|| Malformed::new(at, "a key or regular expression does not end"))
}

/// Returns the length of the string at `at`, including its int32 length and final NUL.
#[inline]
fn string_len(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let len = i32_at(bytes, at)?;
    if len < 1 {
        return Err(Malformed::new(at, "a string's length is under 1"));
    }
    let len = len as usize;
    if len > bytes.len() - at - 4 {
        return Err(Malformed::new(at, "a string's length exceeds its document"));
    }
    if bytes[at + 4 + len - 1] != 0 {
        return Err(Malformed::new(
            at + 4 + len - 1,
            "a string does not end in NUL",
        ));
    }
    Ok(4 + len)
}

/// Returns the length in bytes of the value of type `kind` at `at`.
///
/// `bytes` must end where the enclosing document's elements end (before its final NUL). Nested documents, lists and
/// scopes are measured, not entered.
///
/// # Errors
/// When the value is incomplete, or its lengths contradict each other.
#[inline]
pub fn value_len(kind: ElementType, bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let len = match kind {
        ElementType::Double
        | ElementType::DateTime
        | ElementType::Timestamp
        | ElementType::Int64 => 8,
        ElementType::Int32 => 4,
        ElementType::ObjectId => 12,
        ElementType::Decimal128 => 16,
        ElementType::Null | ElementType::Undefined | ElementType::MinKey | ElementType::MaxKey => 0,
        ElementType::Boolean => match bytes.get(at) {
            Some(0 | 1) => 1,
            Some(_) => return Err(Malformed::new(at, "a boolean is neither 0 nor 1")),
            None => 1,
        },
        ElementType::String | ElementType::Code | ElementType::Symbol => string_len(bytes, at)?,
        ElementType::Document | ElementType::List => document_len(bytes, at)?,
        ElementType::Binary => binary_len(bytes, at)?,
        ElementType::Regex => {
            let pattern = key_len(bytes, at)? + 1;
            pattern + key_len(bytes, at + pattern)? + 1
        }
        ElementType::DbPointer => string_len(bytes, at)? + 12,
        ElementType::CodeWithScope => code_with_scope_len(bytes, at)?,
    };
    if len > bytes.len().saturating_sub(at) {
        return Err(Malformed::new(at, "the document ends inside a value"));
    }
    Ok(len)
}

fn binary_len(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let len = i32_at(bytes, at)?;
    if len < 0 {
        return Err(Malformed::new(at, "a binary's length is negative"));
    }
    let len = len as usize;
    let subtype = match bytes.get(at + 4) {
        Some(&subtype) => subtype,
        None => return Err(Malformed::new(at, "the document ends inside a binary")),
    };
    if len > bytes.len() - at - 5 {
        return Err(Malformed::new(at, "a binary's length exceeds its document"));
    }
    // Subtype 2 repeats the length inside the data.
    if subtype == 2 && (len < 4 || i32_at(bytes, at + 5)? as i64 != len as i64 - 4) {
        return Err(Malformed::new(
            at + 5,
            "a binary of subtype 2 has two lengths that differ",
        ));
    }
    Ok(5 + len)
}

fn code_with_scope_len(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let total = i32_at(bytes, at)?;
    if total < 14 || total as usize > bytes.len() - at {
        return Err(Malformed::new(
            at,
            "a code with scope's length does not fit its document",
        ));
    }
    let end = at + total as usize;
    let code = string_len(&bytes[..end], at + 4)?;
    let scope = document_len(&bytes[..end], at + 4 + code)?;
    if 4 + code + scope != total as usize {
        return Err(Malformed::new(
            at,
            "a code with scope's lengths do not add up",
        ));
    }
    Ok(total as usize)
}

/// One element of a document or list.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Its type.
    pub kind: ElementType,
    /// Its key, not yet checked for UTF-8.
    pub key: &'a [u8],
    /// Its value's bytes.
    pub value: &'a [u8],
    /// Offset of the value from the start of the document or list.
    pub offset: usize,
}

/// Walks the elements of one document or list, without entering nested ones.
///
/// Stops after the first error.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
    failed: bool,
}

impl<'a> Elements<'a> {
    /// Returns the elements of the document or list at the start of `bytes`.
    ///
    /// # Errors
    /// When the length or the final NUL is wrong.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let len = document_len(bytes, 0)?;
        Ok(Elements {
            bytes: &bytes[..len - 1],
            at: 4,
            failed: false,
        })
    }

    /// The key of the element that failed, if the key is readable.
    pub(super) fn failed_key(&self) -> Option<&'a [u8]> {
        let len = key_len(self.bytes, self.at + 1).ok()?;
        self.bytes.get(self.at + 1..self.at + 1 + len)
    }

    /// The key of the element at `start`, which was read before.
    ///
    /// # Panics
    /// When no element was read at `start`.
    pub fn key_at(&self, start: usize) -> &'a [u8] {
        let len = key_len(self.bytes, start + 1).unwrap_or_default();
        &self.bytes[start + 1..start + 1 + len]
    }

    /// Reads the element that starts at `start`.
    pub(super) fn read(&self, start: usize) -> Result<Element<'a>, Malformed> {
        let kind = ElementType::from_byte(self.bytes[start])
            .ok_or_else(|| Malformed::new(start, "an unknown element type"))?;
        let key = key_len(self.bytes, start + 1)?;
        let offset = start + 1 + key + 1;
        let len = value_len(kind, self.bytes, offset)?;
        Ok(Element {
            kind,
            key: &self.bytes[start + 1..start + 1 + key],
            value: &self.bytes[offset..offset + len],
            offset,
        })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.at >= self.bytes.len() {
            return None;
        }
        let element = self.read(self.at);
        match &element {
            Ok(element) => self.at = element.offset + element.value.len(),
            Err(_) => self.failed = true,
        }
        Some(element)
    }
}
