//! Documents or statements as bytes.

use std::io::Write;
use std::ops::Range;

use crate::error::Path;
use crate::raw::ElementType;

/// The documents or statements of one batch, in the order of its rows.
#[derive(Debug, Default)]
pub struct Encoded {
    pub(super) pieces: Vec<Piece>,
    /// The number of rows of each piece but the last.
    pub(super) piece_rows: usize,
    pub(super) rows: usize,
}

/// Consecutive rows as bytes.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub bytes: Vec<u8>,
    /// The end of each row in `bytes`.
    pub ends: Vec<usize>,
    /// The hash of each row's key; empty if none was requested.
    pub key_hashes: Vec<u128>,
    pub skipped: Vec<Skipped>,
}

/// Values at one path that are null, or rounded, because BSON cannot hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Their path; items of lists have the position 0.
    pub path: Path,
    /// The number of values that are null instead.
    pub nulled: u64,
    /// The number of values that were rounded.
    pub rounded: u64,
    /// The first of them, as a row of the stream.
    pub first_row: u64,
}

impl Encoded {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The size of all rows in bytes.
    pub fn byte_len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len()).sum()
    }

    /// The document or statement of `row`, counted from 0 in the batch.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        let piece = &self.pieces[row / self.piece_rows];
        let row = row % self.piece_rows;
        let start = if row == 0 { 0 } else { piece.ends[row - 1] };
        &piece.bytes[start..piece.ends[row]]
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + '_ {
        (0..self.rows).map(|row| self.get(row))
    }

    /// The hash of the key of `row`, if [`hash_keys`](super::EncodeOptions::hash_keys) requested it. Keys that are equal on
    /// the server have equal hashes, which differ from process to process.
    pub fn key_hash(&self, row: usize) -> Option<u128> {
        let piece = self.pieces.get(row / self.piece_rows.max(1))?;
        piece.key_hashes.get(row % self.piece_rows).copied()
    }

    /// The values that are null, or rounded, because BSON cannot hold them; one entry per path.
    pub fn skipped(&self) -> Vec<Skipped> {
        let mut all: Vec<Skipped> = Vec::new();
        for skipped in self.pieces.iter().flat_map(|piece| &piece.skipped) {
            match all.iter_mut().find(|known| known.path == skipped.path) {
                Some(known) => {
                    known.nulled += skipped.nulled;
                    known.rounded += skipped.rounded;
                }
                None => all.push(skipped.clone()),
            }
        }
        all
    }

    /// Appends the items of `rows` to the body of a BSON list: type, position and document of each. `first` is the position
    /// of the first.
    pub fn append_items(&self, rows: Range<usize>, first: usize, out: &mut Vec<u8>) {
        for (position, row) in (first..).zip(rows) {
            out.push(ElementType::Document.byte());
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{position}\0");
            out.extend_from_slice(self.get(row));
        }
    }
}
