//! A buffer for BSON: elements are written by copies of a fixed size where they are small.
//!
//! A copy of a constant number of bytes is one or two instructions, a copy of a variable number is a call. So a short key is
//! copied as a block of constant size, of which the bytes behind it are removed again.

use crate::raw::ElementType;

/// The size of the blocks that short keys are copied in.
const BLOCK: usize = 24;
/// The size of the blocks that short texts are copied in.
const TEXT_BLOCK: usize = 32;

/// The type and the key of an element.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// The first bytes of type, key and NUL.
    block: [u8; BLOCK],
    len: usize,
    /// All bytes, if they are longer than the block.
    long: Option<Box<[u8]>>,
}

impl Header {
    /// The header of elements with the key `key`, which has no NUL.
    pub(super) fn new(kind: ElementType, key: &str) -> Self {
        let mut bytes = Vec::with_capacity(key.len() + 2);
        bytes.push(kind.byte());
        bytes.extend_from_slice(key.as_bytes());
        bytes.push(0);
        let mut block = [0; BLOCK];
        let first = bytes.len().min(BLOCK);
        block[..first].copy_from_slice(&bytes[..first]);
        Header {
            block,
            len: bytes.len(),
            long: (bytes.len() > BLOCK).then(|| bytes.into()),
        }
    }

    /// The header of a list's first item.
    pub(super) fn first_item(kind: ElementType) -> Self {
        Header::new(kind, "0")
    }

    /// The type of the elements.
    pub(super) fn kind_byte(&self) -> u8 {
        self.block[0]
    }

    /// The number of bytes of type, key and NUL.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Changes the type.
    pub(super) fn set_kind(&mut self, kind: u8) {
        self.block[0] = kind;
        if let Some(long) = &mut self.long {
            long[0] = kind;
        }
    }

    /// Changes the header of an item to that of the next one.
    #[inline]
    pub(super) fn next_item(&mut self) {
        // Type, digits, NUL. A list has fewer than 2^31 items, so the digits fit the block.
        let mut at = self.len - 2;
        loop {
            if self.block[at] < b'9' {
                self.block[at] += 1;
                return;
            }
            self.block[at] = b'0';
            if at == 1 {
                break;
            }
            at -= 1;
        }
        self.block[1] = b'1';
        self.block[self.len - 1] = b'0';
        self.block[self.len] = 0;
        self.len += 1;
    }
}

/// Bytes of BSON.
#[derive(Debug)]
pub(super) struct Output {
    buffer: Vec<u8>,
    /// For values without a fast path.
    pub(super) scratch: Vec<u8>,
    /// The position after which a document is too large.
    limit: usize,
}

impl Output {
    /// Returns an empty buffer for about `expected` bytes.
    pub(super) fn new(expected: usize) -> Self {
        Output {
            buffer: Vec::with_capacity(expected),
            scratch: Vec::new(),
            limit: usize::MAX,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn written(&self) -> &[u8] {
        &self.buffer
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    /// Removes all bytes behind the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.buffer.truncate(len);
    }

    /// Replaces one byte.
    pub(super) fn set_byte(&mut self, at: usize, byte: u8) {
        self.buffer[at] = byte;
    }

    /// Sets the largest size of the document that begins here.
    pub(super) fn limit_to(&mut self, bytes: usize) {
        self.limit = self.len().saturating_add(bytes);
    }

    /// Returns whether the document is larger than its limit. Loops over input that may need less memory than their output
    /// end then.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.len() > self.limit
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.buffer.push(byte);
    }

    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends the first `len` bytes of a block.
    #[inline(always)]
    fn part<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        let end = self.buffer.len() + len;
        self.buffer.extend_from_slice(block);
        self.buffer.truncate(end);
    }

    /// Appends the bytes in the range of `source`, by a copy of a fixed size if they are short.
    #[inline]
    fn bytes_of(&mut self, source: &[u8], start: usize, end: usize) {
        let len = end - start;
        match source.get(start..).and_then(<[u8]>::first_chunk) {
            Some(block) if len <= TEXT_BLOCK => self.part::<TEXT_BLOCK>(block, len),
            _ => self.bytes(&source[start..end]),
        }
    }

    /// Appends a header.
    #[inline]
    pub(super) fn header(&mut self, header: &Header) {
        match &header.long {
            None => self.part(&header.block, header.len),
            Some(long) => self.bytes(long),
        }
    }

    /// Appends a header of another type.
    #[inline]
    pub(super) fn header_of(&mut self, kind: ElementType, header: &Header) {
        let at = self.len();
        self.header(header);
        self.buffer[at] = kind.byte();
    }

    /// Appends an element whose value has `N` bytes.
    #[inline(always)]
    pub(super) fn element<const N: usize>(&mut self, header: &Header, value: [u8; N]) {
        self.buffer.reserve(BLOCK + N);
        self.header(header);
        self.buffer.extend_from_slice(&value);
    }

    /// Appends an element of text: the bytes in a range of `source`, with their length and NUL.
    #[inline]
    pub(super) fn text(&mut self, header: &Header, source: &[u8], start: usize, end: usize) {
        self.element(header, length(end - start + 1));
        self.bytes_of(source, start, end);
        self.byte(0);
    }

    /// Appends an element of binary: the bytes in a range of `source`, with their length and subtype.
    #[inline]
    pub(super) fn binary(&mut self, header: &Header, source: &[u8], start: usize, end: usize) {
        let [a, b, c, d] = length(end - start);
        self.element(header, [a, b, c, d, 0]);
        self.bytes_of(source, start, end);
    }

    /// Begins a document or list; returns its start.
    #[inline]
    pub(super) fn begin(&mut self) -> usize {
        let start = self.len();
        self.buffer.extend_from_slice(&[0; 4]);
        start
    }

    /// Begins an element that is a document or list; returns its start.
    #[inline]
    pub(super) fn begin_element(&mut self, header: &Header) -> usize {
        self.element(header, [0; 4]);
        self.len() - 4
    }

    /// Ends the document or list that begins at `start`.
    #[inline]
    pub(super) fn end(&mut self, start: usize) {
        self.byte(0);
        let len = length(self.len() - start);
        self.buffer[start..start + 4].copy_from_slice(&len);
    }
}

/// The bytes of a BSON length. Documents of 2 GiB or more are over the limit, and refused later.
#[inline]
fn length(len: usize) -> [u8; 4] {
    (len as u32).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_headers_count() {
        let mut header = Header::first_item(ElementType::Int32);
        for item in 0..12_345 {
            let mut out = Output::new(0);
            out.header(&header);
            assert_eq!(out.written(), format!("\x10{item}\0").as_bytes());
            header.next_item();
        }
    }

    #[test]
    fn elements_of_any_length_follow_each_other() {
        let source: Vec<u8> = (1..=200).collect();
        for key_len in [0, 1, 21, 22, 23, 24, 90] {
            let key = "k".repeat(key_len);
            let header = Header::new(ElementType::String, &key);
            for expected in [0, 1 << 12] {
                let mut out = Output::new(expected);
                let mut wanted = Vec::new();
                for len in [0, 1, 31, 32, 33, 150] {
                    for start in [0, 49, 50] {
                        out.text(&header, &source, start, start + len);
                        wanted.push(2);
                        wanted.extend_from_slice(key.as_bytes());
                        wanted.push(0);
                        wanted.extend_from_slice(&(len as u32 + 1).to_le_bytes());
                        wanted.extend_from_slice(&source[start..start + len]);
                        wanted.push(0);
                    }
                }
                out.element(&header, [7; 16]);
                wanted.extend_from_slice(format!("\x02{key}\0").as_bytes());
                wanted.extend_from_slice(&[7; 16]);
                assert_eq!(out.into_bytes(), wanted, "{key_len}");
            }
        }
    }
}
