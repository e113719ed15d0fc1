//! Text: strings, code, symbols, regular expressions, and types that contain a string.

use arrow_array::{BinaryArray, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};

use super::frame::Positions;
use super::{primitive, Gather};
use crate::chunk::Values;
use crate::index::NULL_POSITION;
use crate::raw::{i32_at, key_len, normalise_document, Malformed, TextPolicy};

impl Gather<'_> {
    /// Gathers strings with an int32 length, `shift` bytes after their position.
    pub(super) fn strings(
        &self,
        positions: &Positions<'_>,
        shift: usize,
    ) -> Result<StringArray, Malformed> {
        self.text(positions, |at| {
            let start = at + shift + 4;
            let len = i32_at(self.bytes, at + shift)? as usize;
            Ok(start..start + len - 1)
        })
    }

    /// Gathers the text in the byte range that `range` returns for each position.
    ///
    /// All bytes are copied first and checked in one pass, because a check per value takes a quarter longer.
    fn text(
        &self,
        positions: &Positions<'_>,
        range: impl Fn(usize) -> Result<std::ops::Range<usize>, Malformed>,
    ) -> Result<StringArray, Malformed> {
        let (offsets, bytes) = self.variable(positions, &range)?;
        match StringArray::try_new(offsets, bytes, positions.nulls()) {
            Ok(array) => Ok(array),
            Err(_) if self.text == TextPolicy::Strict => Err(Malformed {
                offset: 0,
                reason: "a string is not UTF-8",
            }),
            Err(_) => self.repaired_text(positions, &range),
        }
    }

    /// Gathers a column with invalid UTF-8 under a policy that replaces or omits invalid bytes.
    fn repaired_text(
        &self,
        positions: &Positions<'_>,
        range: impl Fn(usize) -> Result<std::ops::Range<usize>, Malformed>,
    ) -> Result<StringArray, Malformed> {
        let not_utf8 = |offset| Malformed {
            offset,
            reason: "a string is not UTF-8",
        };
        // Arrow's builder panics past 2 GiB, and U+FFFD takes three bytes for one.
        let mut offsets: Vec<i32> = Vec::with_capacity(positions.at.len() + 1);
        offsets.push(0);
        let mut bytes = Vec::new();
        for &at in positions.at.iter() {
            if at != NULL_POSITION {
                let text = self.text.decode(&self.bytes[range(at as usize)?]);
                let text = text.map_err(|invalid| not_utf8(invalid.valid_up_to))?;
                bytes.extend_from_slice(text.as_bytes());
            }
            offsets.push(offset(bytes.len())?);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        StringArray::try_new(offsets, Buffer::from_vec(bytes), positions.nulls())
            .map_err(|_| not_utf8(0))
    }

    /// Copies the byte ranges that `range` returns, one after the other.
    pub(super) fn variable(
        &self,
        positions: &Positions<'_>,
        range: impl Fn(usize) -> Result<std::ops::Range<usize>, Malformed>,
    ) -> Result<(OffsetBuffer<i32>, Buffer), Malformed> {
        let mut offsets: Vec<i32> = Vec::with_capacity(positions.at.len() + 1);
        offsets.push(0);
        let mut total = 0usize;
        for &at in positions.at.iter() {
            if at != NULL_POSITION {
                total += range(at as usize)?.len();
            }
            offsets.push(total as i32);
        }
        offset(total)?;
        let mut bytes: Vec<u8> = Vec::with_capacity(total);
        for &at in positions.at.iter() {
            if at != NULL_POSITION {
                bytes.extend_from_slice(&self.bytes[range(at as usize)?]);
            }
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok((offsets, Buffer::from_vec(bytes)))
    }

    pub(super) fn regex(&self, positions: &Positions<'_>) -> Result<Values, Malformed> {
        let pattern = self.text(positions, |at| Ok(at..at + key_len(self.bytes, at)?))?;
        let options = self.text(positions, |at| {
            let start = at + key_len(self.bytes, at)? + 1;
            Ok(start..start + key_len(self.bytes, start)?)
        })?;
        Ok(Values::Regex { pattern, options })
    }

    pub(super) fn db_pointers(&self, positions: &Positions<'_>) -> Result<Values, Malformed> {
        let namespace = self.strings(positions, 0)?;
        let mut ids = Vec::with_capacity(positions.at.len());
        for &at in positions.at.iter() {
            ids.push(match at {
                NULL_POSITION => NULL_POSITION,
                at => at + 4 + i32_at(self.bytes, at as usize)? as u32,
            });
        }
        let ids = Positions {
            at: ids.into(),
            tags: Default::default(),
            has_nulls: positions.has_nulls,
        };
        Ok(Values::DbPointer {
            namespace,
            id: primitive::fixed::<12>(self.bytes, &ids, 0),
        })
    }

    pub(super) fn code_with_scope(
        &self,
        positions: &Positions<'_>,
        level: usize,
    ) -> Result<Values, Malformed> {
        let code = self.strings(positions, 4)?;
        let mut offsets: Vec<i32> = vec![0];
        let mut scopes = Vec::new();
        for &at in positions.at.iter() {
            if at != NULL_POSITION {
                let at = at as usize;
                let end = at + i32_at(self.bytes, at)? as usize;
                let scope = at + 8 + i32_at(self.bytes, at + 4)? as usize;
                // A scope is a nesting level, like an embedded document.
                let wrapped = &self.bytes[scope..end];
                self.scope(wrapped, level, &mut scopes)?;
            }
            offsets.push(offset(scopes.len())?);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let scope = BinaryArray::new(offsets, Buffer::from_vec(scopes), positions.nulls());
        Ok(Values::CodeWithScope { code, scope })
    }

    fn scope(&self, bytes: &[u8], level: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
        normalise_document(bytes, level + 1, self.text, out)
            .map(|duplicates| self.count_duplicates(duplicates))
    }
}

/// Converts `len` to an offset of an Arrow array.
fn offset(len: usize) -> Result<i32, Malformed> {
    i32::try_from(len).map_err(|_| Malformed {
        offset: 0,
        reason: "over 2 GiB of text or bytes in one column of a piece",
    })
}

#[cfg(test)]
mod tests {
    use super::offset;

    #[test]
    fn offsets_end_at_two_gigabytes() {
        assert_eq!(offset(i32::MAX as usize), Ok(i32::MAX));
        assert!(offset(i32::MAX as usize + 1).is_err());
    }
}
