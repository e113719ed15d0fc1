//! What a source of documents hands to the reader.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;

/// Bytes that hold documents: a server reply, a mapped or read file, a caller's buffer. Never copied per document.
#[derive(Clone)]
pub struct Reply {
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
    framing: Framing,
}

/// How documents lie in a [`Reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Elements of a BSON list (type, key, document, ...), without the list's length and final NUL: a cursor's batch.
    List,
    /// One document after the other: a dump file.
    Concatenated,
}

impl Reply {
    /// The documents in `range` of `bytes`.
    ///
    /// # Panics
    /// When `range` is not inside `bytes`.
    pub fn new(
        bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
        range: Range<usize>,
        framing: Framing,
    ) -> Self {
        assert!(range.start <= range.end && range.end <= (*bytes).as_ref().len());
        Reply {
            bytes,
            range,
            framing,
        }
    }

    /// The bytes that hold the documents.
    pub fn bytes(&self) -> &[u8] {
        &(*self.bytes).as_ref()[self.range.clone()]
    }

    /// The same bytes, but for what lies outside `part` of them.
    ///
    /// # Panics
    /// When `part` is not inside [`Reply::bytes`].
    #[must_use]
    pub fn part(&self, part: Range<usize>) -> Self {
        assert!(part.start <= part.end && part.end <= self.range.len());
        let range = self.range.start + part.start..self.range.start + part.end;
        Reply {
            range,
            ..self.clone()
        }
    }

    /// How documents lie in [`Reply::bytes`].
    pub fn framing(&self) -> Framing {
        self.framing
    }
}

/// What [`Source::poll`] found.
pub enum Arrival {
    /// The next reply.
    Reply(Reply),
    /// Nothing within the time given; ask again.
    Pending,
    /// There is no more.
    End,
}

/// Where replies come from: a server's cursor, a file, bytes in memory.
///
/// A source is finished at its first error: after `Err` or [`Arrival::End`] it only ever answers `End`.
pub trait Source: Send {
    /// The next reply, waiting for it no longer than `wait`; `Duration::ZERO` only looks.
    ///
    /// # Errors
    /// Whatever kept the next reply from coming.
    fn poll(&mut self, wait: Duration) -> Result<Arrival>;

    /// Whether a server is at work on the next reply.
    fn is_fetching(&self) -> bool {
        false
    }

    /// How often it lost its server's cursor and went on with another one.
    fn resume_count(&self) -> u64 {
        0
    }
}
