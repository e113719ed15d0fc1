//! The split of replies into pieces: enough for every core, small enough for the cache.

use std::ops::Range;
use std::sync::Arc;

use super::reply::{Framing, Reply};
use crate::error::{Error, Location, Result};
use crate::raw::{document_len, find_id, key_len, other_format, ElementType, Malformed};

/// Documents that are decoded as one Chunk.
pub(super) struct Piece {
    /// The bytes of the documents.
    bytes: Bytes,
    /// The start of each document in [`Piece::bytes`].
    pub offsets: Vec<u32>,
    /// The position of the first document in the result.
    pub first_row: u64,
    /// The framing of the reply that holds the documents.
    framing: Framing,
}

enum Bytes {
    Shared(Reply, Range<usize>),
    Own(Vec<u8>),
}

impl Piece {
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Shared(reply, range) => &reply.bytes()[range.clone()],
            Bytes::Own(bytes) => bytes,
        }
    }

    /// Returns the error of decoding this piece. If it is the first document's and the source holds another format,
    /// returns an error with that format.
    pub fn detect_other_format(&self, error: Error) -> Error {
        match (self.first_row, error.location().document) {
            (0, Some(0)) => detect_other_format(error, self.bytes(), self.framing),
            _ => error,
        }
    }
}

/// Returns the error of a source's first document: the other format of its bytes if one is detected, else `error`.
fn detect_other_format(error: Error, bytes: &[u8], framing: Framing) -> Error {
    match framing {
        Framing::Concatenated => match other_format(bytes) {
            Some(format) => Error::decode(0, format).at(Location {
                document: Some(0),
                ..Location::default()
            }),
            None => error,
        },
        Framing::List => error,
    }
}

/// Maximum size of a piece with several documents: the values at one path then fit an Arrow array with 32-bit
/// offsets.
const MAX_PIECE: usize = i32::MAX as usize;

/// Minimum size of a piece of the last reply, which is otherwise split into at least four pieces so that the threads
/// finish at the same time.
const MIN_FINAL_PIECE: usize = 256 << 10;

/// Options of the split.
#[derive(Clone, Copy, Debug)]
pub(super) struct SplitOptions {
    /// Bytes at which a piece ends, after the document that reaches them.
    pub piece_bytes: usize,
    /// True to coalesce replies smaller than a piece instead of decoding them at once.
    pub coalesce: bool,
    /// Number of documents after which a piece ends, whatever its size.
    pub boundary: Option<u64>,
}

/// Splits replies in order.
pub(super) struct Splitter {
    options: SplitOptions,
    framing: Framing,
    rows: u64,
    coalesced: Vec<u8>,
    coalesced_offsets: Vec<u32>,
}

impl Splitter {
    pub fn new(options: SplitOptions) -> Self {
        Splitter {
            options,
            framing: Framing::List,
            rows: 0,
            coalesced: Vec::new(),
            coalesced_offsets: Vec::new(),
        }
    }

    /// Passes the pieces of `reply` to `take`, after the coalesced documents. `more`: the source is fetching another
    /// reply, which keeps the threads busy.
    ///
    /// # Errors
    /// When a document's frame is malformed; the documents before it were passed on.
    pub fn split(&mut self, reply: &Reply, more: bool, mut take: impl FnMut(Piece)) -> Result<()> {
        self.framing = reply.framing();
        if self.options.coalesce && reply.bytes().len() < self.options.piece_bytes {
            return self.coalesce(reply, take);
        }
        self.flush(&mut take);
        let bytes = reply.bytes();
        let most = self.options.piece_bytes;
        // Pieces have equal sizes: a reply slightly larger than a piece stays whole.
        let whole = (bytes.len() + most / 2) / most;
        let piece_bytes = match more {
            true => bytes.len().div_ceil(whole.max(1)),
            false => bytes.len().div_ceil(4).max(MIN_FINAL_PIECE).min(most),
        };
        let mut start = 0;
        let mut offsets = Vec::new();
        let mut at = 0;
        let mut outcome = Ok(());
        while at < bytes.len() {
            let (document, end) = match self.next_document(reply, at) {
                Ok(found) => found,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            };
            if !offsets.is_empty() && end - start > MAX_PIECE {
                take(self.piece(
                    Bytes::Shared(reply.clone(), start..at),
                    std::mem::take(&mut offsets),
                ));
                start = at;
            }
            offsets.push((document - start) as u32);
            self.rows += 1;
            at = end;
            if at - start >= piece_bytes || self.options.boundary == Some(self.rows) {
                take(self.piece(
                    Bytes::Shared(reply.clone(), start..at),
                    std::mem::take(&mut offsets),
                ));
                start = at;
            }
        }
        if !offsets.is_empty() {
            take(self.piece(Bytes::Shared(reply.clone(), start..at), offsets));
        }
        outcome
    }

    /// Appends the documents of a small reply to the coalesced ones.
    fn coalesce(&mut self, reply: &Reply, mut take: impl FnMut(Piece)) -> Result<()> {
        let bytes = reply.bytes();
        let mut at = 0;
        while at < bytes.len() {
            let (document, end) = match self.next_document(reply, at) {
                Ok(found) => found,
                Err(error) => {
                    self.flush(&mut take);
                    return Err(error);
                }
            };
            self.coalesced_offsets.push(self.coalesced.len() as u32);
            self.coalesced.extend_from_slice(&bytes[document..end]);
            self.rows += 1;
            at = end;
            if self.coalesced.len() >= self.options.piece_bytes
                || self.options.boundary == Some(self.rows)
            {
                self.flush(&mut take);
            }
        }
        Ok(())
    }

    /// Passes on the coalesced documents.
    pub fn flush(&mut self, mut take: impl FnMut(Piece)) {
        if !self.coalesced_offsets.is_empty() {
            let bytes = std::mem::take(&mut self.coalesced);
            let offsets = std::mem::take(&mut self.coalesced_offsets);
            take(self.piece(Bytes::Own(bytes), offsets));
        }
    }

    fn piece(&self, bytes: Bytes, offsets: Vec<u32>) -> Piece {
        let first_row = self.rows - offsets.len() as u64;
        Piece {
            bytes,
            offsets,
            first_row,
            framing: self.framing,
        }
    }

    /// Returns the start and end of the document whose frame starts at `at`.
    fn next_document(&self, reply: &Reply, at: usize) -> Result<(usize, usize)> {
        let bytes = reply.bytes();
        let document = match reply.framing() {
            Framing::Concatenated => Ok(at),
            Framing::List => list_item(bytes, at),
        };
        document
            .and_then(|document| Ok((document, document + document_len(bytes, document)?)))
            .map_err(|malformed| {
                let start = document.unwrap_or(at).min(bytes.len());
                let error =
                    Error::decode(malformed.offset - start, malformed.reason).at(Location {
                        document: Some(self.rows),
                        // Without the start of a document, the bytes cannot be searched for an `_id`.
                        id: document.ok().and_then(|_| find_id(&bytes[start..])),
                        path: Vec::new(),
                    });
                match (self.rows, at) {
                    (0, 0) => detect_other_format(error, bytes, reply.framing()),
                    _ => error,
                }
            })
    }
}

/// Returns the start of the document of a list element.
fn list_item(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    if bytes[at] != ElementType::Document.byte() {
        return Err(Malformed {
            offset: at,
            reason: "an item of a reply is not a document",
        });
    }
    Ok(at + 1 + key_len(bytes, at + 1)? + 1)
}

/// Returns a reply that owns its buffer.
pub(super) fn owned_reply(bytes: Vec<u8>) -> Reply {
    let len = bytes.len();
    Reply::new(Arc::new(bytes), 0..len, Framing::Concatenated)
}
