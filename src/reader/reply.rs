//! The interface between a source of documents and the reader.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;

/// Bytes that hold documents: a server reply, a mapped or read file, a caller's buffer. Not copied per document.
#[derive(Clone)]
pub struct Reply {
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
    framing: Framing,
}

/// Framing of the documents in a [`Reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Elements of a BSON list (type, key, document, ...), without the list's length and final NUL: a cursor's batch.
    List,
    /// Concatenated documents: a dump file.
    Concatenated,
}

impl Reply {
    /// Returns a reply with the documents in `range` of `bytes`.
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

    /// Returns a reply with only the bytes in `part`.
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

    /// Framing of the documents in [`Reply::bytes`].
    pub fn framing(&self) -> Framing {
        self.framing
    }
}

/// The result of [`Source::poll`].
pub enum Arrival {
    /// The next reply.
    Reply(Reply),
    /// No reply within the wait; poll again.
    Pending,
    /// The end of the source.
    End,
}

/// Facts about the connection to a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConnectionFacts {
    /// The shortest known round trip.
    pub round_trip: Duration,
    /// The client offers compression.
    pub compressed: bool,
}

/// A source of replies: a server's cursor, a file, bytes in memory.
///
/// A source is finished at its first error: after `Err` or [`Arrival::End`], it returns only `End`.
pub trait Source: Send {
    /// Returns the next reply, after waiting at most `wait` for it; `Duration::ZERO` does not wait.
    ///
    /// # Errors
    /// The error that prevented the next reply.
    fn poll(&mut self, wait: Duration) -> Result<Arrival>;

    /// Returns whether the server is executing the request for the next reply.
    fn is_fetching(&self) -> bool {
        false
    }

    /// Number of times that the source lost its server cursor and continued with another one.
    fn resume_count(&self) -> u64 {
        0
    }

    /// The connection that the replies come over; `None` if it is unknown, or if there is none.
    fn connection(&self) -> Option<ConnectionFacts> {
        None
    }
}
