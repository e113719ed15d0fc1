//! Replies cut into pieces: enough for every core, small enough for the cache.

use std::ops::Range;
use std::sync::Arc;

use super::reply::{Framing, Reply};
use crate::error::{Error, Location, Result};
use crate::raw::{document_len, find_id, key_len, ElementType, Malformed};

/// Documents to be decoded as one Chunk.
pub(super) struct Piece {
    /// What holds them.
    bytes: Bytes,
    /// Where each document starts in [`Piece::bytes`].
    pub offsets: Vec<u32>,
    /// The number of the first document in the result.
    pub first_row: u64,
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
}

/// No piece of several documents is larger: what is under one path then fits an Arrow array with 32-bit offsets.
const MAX_PIECE: usize = i32::MAX as usize;

/// The last reply is cut into four pieces at least, unless these were smaller than this: the threads end together.
const MIN_FINAL_PIECE: usize = 256 << 10;

/// How replies become pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct SplitOptions {
    /// A piece ends with the document that reaches this many bytes.
    pub piece_bytes: usize,
    /// Gather replies smaller than a piece instead of handing them on at once.
    pub coalesce: bool,
    /// Pieces end after this document, whatever their size.
    pub boundary: Option<u64>,
}

/// Cuts replies, in order.
pub(super) struct Splitter {
    options: SplitOptions,
    rows: u64,
    coalesced: Vec<u8>,
    coalesced_offsets: Vec<u32>,
}

impl Splitter {
    pub fn new(options: SplitOptions) -> Self {
        Splitter {
            options,
            rows: 0,
            coalesced: Vec::new(),
            coalesced_offsets: Vec::new(),
        }
    }

    /// Hands the pieces of `reply` to `take`, after what was gathered before. `more`: others follow, which keep the threads
    /// busy.
    ///
    /// # Errors
    /// When a document's frame is malformed: documents before it were handed on.
    pub fn split(&mut self, reply: &Reply, more: bool, mut take: impl FnMut(Piece)) -> Result<()> {
        if self.options.coalesce && reply.bytes().len() < self.options.piece_bytes {
            return self.coalesce(reply, take);
        }
        self.flush(&mut take);
        let bytes = reply.bytes();
        let most = self.options.piece_bytes;
        // Pieces of one size: a reply that is little larger than a piece is one.
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

    /// Copies the documents of a small reply behind those gathered before.
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

    /// Hands on what was gathered.
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
        }
    }

    /// Start and end of the document whose frame starts at `at`.
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
                Error::decode(malformed.offset - start, malformed.reason).at(Location {
                    document: Some(self.rows),
                    // Where no document starts there is no `_id`, whatever the bytes look like.
                    id: document.ok().and_then(|_| find_id(&bytes[start..])),
                    path: Vec::new(),
                })
            })
    }
}

/// Where the document of a list element starts.
fn list_item(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    if bytes[at] != ElementType::Document.byte() {
        return Err(Malformed {
            offset: at,
            reason: "a reply holds something that is no document",
        });
    }
    Ok(at + 1 + key_len(bytes, at + 1)? + 1)
}

/// A reply of one buffer that this process made.
pub(super) fn owned_reply(bytes: Vec<u8>) -> Reply {
    let len = bytes.len();
    Reply::new(Arc::new(bytes), 0..len, Framing::Concatenated)
}
