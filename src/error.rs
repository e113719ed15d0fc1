//! The error type of every layer: a kind and a location in the result.

use std::fmt;
use std::sync::Arc;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure: its kind, its location and the server's reply.
///
/// Boxed, so that a `Result` of it has the size of a pointer on the hot paths.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    location: Location,
    labels: Vec<String>,
    reply: Vec<u8>,
    cause: Option<ConnectionCause>,
}

/// The causes of an [`ErrorKind::Connection`] that callers handle in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionCause {
    /// The connection was lost: the server may have executed the operation.
    Lost,
    /// No suitable server was found in time: nothing was sent.
    NoServer,
    /// The server refused the credentials.
    Authentication,
    /// The client was closed: nothing more is sent.
    Closed,
}

/// The kinds of failure that a caller can distinguish.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A document is not valid BSON.
    Decode {
        /// Byte offset from the start of the document.
        offset: u64,
        /// The fault at that offset.
        reason: String,
    },
    /// A value does not fit the schema, or no schema can be made.
    SchemaConflict {
        /// The type or condition that the schema requires.
        expected: String,
        /// The type or value found instead.
        found: String,
    },
    /// A filter, pipeline or option that cannot be sent to the server.
    InvalidQuery(String),
    /// A document or a command with more bytes than a server accepts.
    DocumentTooLarge(String),
    /// An invalid argument, reported before the operation starts.
    InvalidArgument(String),
    /// No usable connection: refused, lost, no server selected, authentication failed.
    Connection(String),
    /// The server returned an error.
    Operation {
        /// The server's error code.
        code: i32,
        /// The server's name of the code, such as `"CursorNotFound"`.
        code_name: String,
        /// The server's message.
        message: String,
    },
    /// A write was done, but its write concern was not met.
    WriteConcern {
        /// The server's error code.
        code: i32,
        /// The server's name of the code, such as `"WriteConcernFailed"`.
        code_name: String,
        /// The server's message.
        message: String,
        /// The write concern was not met in time.
        timed_out: bool,
    },
    /// A deadline expired: the caller's, or the server's, which replies with an error.
    Timeout(String),
    /// An eager read received more bytes than its limit.
    TooLarge {
        /// Bytes of BSON received.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A local file or stream could not be read.
    Io(String),
    /// The caller cancelled the operation, or the client was closed.
    Cancelled,
    /// A bug in this crate, caught before it aborts the process.
    Internal(String),
}

/// A location in a result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Location {
    /// Position of the document in the result, from 0.
    pub document: Option<u64>,
    /// The document's `_id`, if it was received and is readable.
    pub id: Option<RawValue>,
    /// Keys and list positions from the document's top level down.
    pub path: Path,
}

/// A sequence of keys and list positions; never a dotted string.
pub type Path = Vec<Step>;

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A key of a document.
    Key(Arc<str>),
    /// A position in a list.
    Index(u32),
}

/// A BSON value as its element type and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawValue {
    /// The BSON element type byte.
    pub tag: u8,
    /// The value's bytes, without type and key.
    pub bytes: Vec<u8>,
}

impl Error {
    /// Returns an error of `kind` without a location.
    pub fn new(kind: ErrorKind) -> Self {
        Error(Box::new(Inner {
            kind,
            location: Location::default(),
            labels: Vec::new(),
            reply: Vec::new(),
            cause: None,
        }))
    }

    /// Returns a [`ErrorKind::Decode`] error at a byte offset of a document.
    pub fn decode(offset: usize, reason: impl Into<String>) -> Self {
        Error::new(ErrorKind::Decode {
            offset: offset as u64,
            reason: reason.into(),
        })
    }

    /// Returns a [`ErrorKind::SchemaConflict`] error.
    pub fn conflict(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Error::new(ErrorKind::SchemaConflict {
            expected: expected.into(),
            found: found.into(),
        })
    }

    /// Sets the location.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.0.location = location;
        self
    }

    /// Adds the labels that the server or the driver attached.
    #[must_use]
    pub fn with_labels(mut self, labels: Vec<String>) -> Self {
        self.0.labels = labels;
        self
    }

    /// The same error with one more label.
    #[cfg(feature = "mongodb")]
    #[must_use]
    pub(crate) fn with_label(mut self, label: Option<&str>) -> Self {
        if let Some(label) = label.filter(|label| !self.0.labels.iter().any(|has| has == label)) {
            self.0.labels.push(label.to_owned());
            self.0.labels.sort();
        }
        self
    }

    /// The same error with the cause of a connection's failure.
    #[cfg(feature = "mongodb")]
    #[must_use]
    pub(crate) fn with_cause(mut self, cause: Option<ConnectionCause>) -> Self {
        self.0.cause = cause;
        self
    }

    /// Adds the server's reply.
    #[must_use]
    pub fn with_reply(mut self, reply: Vec<u8>) -> Self {
        self.0.reply = reply;
        self
    }

    /// Appends `note`, the action that was taken, to the message of an error that a server caused.
    #[cfg(feature = "mongodb")]
    #[must_use]
    pub(crate) fn with_note(mut self, note: &str) -> Self {
        if let ErrorKind::Connection(text)
        | ErrorKind::Timeout(text)
        | ErrorKind::Operation { message: text, .. }
        | ErrorKind::WriteConcern { message: text, .. } = &mut self.0.kind
        {
            *text = format!("{text}; {note}");
        }
        self
    }

    /// Labels that state which operations can be retried, such as `"TransientTransactionError"`; sorted.
    pub fn labels(&self) -> &[String] {
        &self.0.labels
    }

    /// The cause of an [`ErrorKind::Connection`], if it is one that callers handle in a way of its own.
    pub fn cause(&self) -> Option<ConnectionCause> {
        self.0.cause
    }

    /// The server's reply as BSON; empty without one. It may hold values of documents, so no message includes it.
    pub fn reply(&self) -> &[u8] {
        &self.0.reply
    }

    /// The kind of failure.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The location of the failure.
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// The location of the failure; an outer layer completes it.
    pub fn location_mut(&mut self) -> &mut Location {
        &mut self.0.location
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ErrorKind::Decode { offset, reason } => {
                write!(f, "malformed BSON: {reason} at byte {offset}")?
            }
            ErrorKind::SchemaConflict { expected, found } => {
                write!(f, "schema conflict: expected {expected}, found {found}")?
            }
            ErrorKind::InvalidQuery(text)
            | ErrorKind::DocumentTooLarge(text)
            | ErrorKind::InvalidArgument(text)
            | ErrorKind::Connection(text)
            | ErrorKind::Timeout(text)
            | ErrorKind::Io(text) => f.write_str(text)?,
            ErrorKind::Operation {
                code,
                code_name,
                message,
                ..
            }
            | ErrorKind::WriteConcern {
                code,
                code_name,
                message,
                ..
            } => write!(f, "{message} (code {code}, {code_name})")?,
            ErrorKind::TooLarge { bytes, limit } => write!(
                f,
                "the result exceeds max_result_bytes: {bytes} bytes were received, the limit is {limit}; use stream() or \
                 iterate, which take bounded memory, or limit()"
            )?,
            ErrorKind::Cancelled => f.write_str("the operation was cancelled")?,
            ErrorKind::Internal(text) => write!(f, "internal error, please report it: {text}")?,
        }
        write!(f, "{}", self.0.location)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = " (";
        if let Some(document) = self.document {
            write!(f, "{separator}document {document}")?;
            separator = ", ";
        }
        if let Some(id) = &self.id {
            write!(f, "{separator}_id {id}")?;
            separator = ", ";
        }
        if !self.path.is_empty() {
            write!(f, "{separator}path {}", PathDisplay(&self.path))?;
            separator = ", ";
        }
        if separator == ", " {
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// Displays a path as `["key"][0]`, unambiguous for keys with dots.
pub struct PathDisplay<'a>(pub &'a [Step]);

impl fmt::Display for PathDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.0 {
            match step {
                Step::Key(key) => write!(f, "[{key:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.tag, self.bytes.as_slice()) {
            (0x02, bytes) if bytes.len() >= 5 => {
                let text = String::from_utf8_lossy(&bytes[4..bytes.len() - 1]);
                write!(f, "{text:?}")
            }
            (0x07, bytes) if bytes.len() == 12 => {
                f.write_str("ObjectId(\"")?;
                for byte in bytes {
                    write!(f, "{byte:02x}")?;
                }
                f.write_str("\")")
            }
            (0x10, &[a, b, c, d]) => write!(f, "{}", i32::from_le_bytes([a, b, c, d])),
            (0x12, bytes) if bytes.len() == 8 => {
                let mut value = [0; 8];
                value.copy_from_slice(bytes);
                write!(f, "{}", i64::from_le_bytes(value))
            }
            (0x01, bytes) if bytes.len() == 8 => {
                let mut value = [0; 8];
                value.copy_from_slice(bytes);
                write!(f, "{}", f64::from_le_bytes(value))
            }
            (tag, bytes) => write!(f, "of BSON type 0x{tag:02x}, {} bytes", bytes.len()),
        }
    }
}

impl std::error::Error for Error {}
