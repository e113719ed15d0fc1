//! One write command in one buffer: its head, then the list of its statements.
//!
//! The buffer has the exact bytes of the command from the start, so that a statement is written once, at its place.

use crate::error::{Error, ErrorKind, Result};
use crate::source::connection::caller_bson;

/// Room for the elements that are added to each command: session, transaction number, cluster time, database, time limit.
const ENVELOPE_BYTES: usize = 1 << 10;

/// The size that the commands of a long write are filled to. A server takes four times as many bytes, but not faster: each side needs
/// several copies of a command, and memory of this size is used again for the next one, where larger blocks are new each time.
pub const COMMAND_BYTES: usize = 4 << 20;

/// The size of the first command: nothing is sent while it is encoded.
const FIRST_COMMAND_BYTES: usize = 1 << 20;

/// Limits of a command that are smaller than the server's limit of bytes.
#[derive(Clone, Copy, Debug)]
pub struct CommandLimits {
    /// Bytes that a command exceeds only for its first statement.
    pub bytes: usize,
    /// Statements: a server's `maxWriteBatchSize` at most.
    pub statements: usize,
}

impl CommandLimits {
    /// The limits of a command of a long write that follows `begun` others.
    pub fn following(begun: usize, statements: usize) -> Self {
        let bytes = match begun {
            0 => FIRST_COMMAND_BYTES,
            _ => COMMAND_BYTES,
        };
        CommandLimits { bytes, statements }
    }
}

/// Bytes of a list's key and type in front of a statement, and those that end list and command.
const ITEM_BYTES: usize = 8;

/// The kind of a command's statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// Documents to insert.
    Insert,
    /// `{q, u, ...}`: updates and replacements.
    Update,
    /// `{q, limit, ...}`
    Delete,
}

impl StatementKind {
    /// The name of the command.
    pub fn name(self) -> &'static str {
        match self {
            StatementKind::Insert => "insert",
            StatementKind::Update => "update",
            StatementKind::Delete => "delete",
        }
    }

    /// The key of the list of statements.
    fn list_key(self) -> &'static str {
        match self {
            StatementKind::Insert => "documents",
            StatementKind::Update => "updates",
            StatementKind::Delete => "deletes",
        }
    }
}

/// A command under construction, which never exceeds what a server accepts.
pub struct WriteCommand {
    kind: StatementKind,
    bytes: Vec<u8>,
    /// Position of the list's length.
    list: usize,
    statements: usize,
    limits: CommandLimits,
    /// The head has a time limit of the caller.
    limited: bool,
}

impl WriteCommand {
    /// An empty command. `head` is the document of its other elements, the command's name first; the list is added at its end.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] for a head that cannot be sent.
    pub fn new(kind: StatementKind, head: &[u8], limits: CommandLimits) -> Result<Self> {
        let limited = caller_bson::head(head)?;
        let mut bytes = Vec::with_capacity(head.len() + 64);
        bytes.extend_from_slice(&head[..head.len() - 1]);
        bytes.push(0x04);
        bytes.extend_from_slice(kind.list_key().as_bytes());
        bytes.push(0);
        let list = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        Ok(WriteCommand {
            kind,
            bytes,
            list,
            statements: 0,
            limits,
            limited,
        })
    }

    /// The kind of the statements.
    pub fn kind(&self) -> StatementKind {
        self.kind
    }

    /// The number of statements.
    pub fn statements(&self) -> usize {
        self.statements
    }

    /// The size so far, in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Adds an encoded statement; returns whether it fits. The first one may exceed the caller's limit, but not the server's.
    pub fn push(&mut self, statement: &[u8]) -> bool {
        if self.exceeds(self.bytes.len() + ITEM_BYTES + statement.len()) {
            return false;
        }
        self.begin_item();
        self.bytes.extend_from_slice(statement);
        self.statements += 1;
        true
    }

    /// Checks the bytes of a statement that this crate did not encode. One that is too large for a command passes: it does not fit.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] for bytes that are no document.
    pub fn check(statement: &[u8]) -> Result<()> {
        match statement.len() > caller_bson::MAX_BYTES {
            true => Ok(()),
            false => caller_bson::statement(statement),
        }
    }

    /// Replaces the head of the command, which has the same kind of statements.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] for a head that cannot be sent, or one so much longer that the command becomes too large.
    pub fn with_head(&self, head: &[u8]) -> Result<Self> {
        let mut other = WriteCommand::new(self.kind, head, self.limits)?;
        other.bytes.reserve(self.bytes.len() - self.list);
        other.bytes.extend_from_slice(&self.bytes[self.list + 4..]);
        other.statements = self.statements;
        if other.bytes.len() + ITEM_BYTES > caller_bson::MAX_BYTES {
            return Err(Error::new(ErrorKind::InvalidQuery(
                "write: the options are too large".into(),
            )));
        }
        Ok(other)
    }

    fn begin_item(&mut self) {
        self.bytes.push(0x03);
        push_decimal(&mut self.bytes, self.statements);
        self.bytes.push(0);
    }

    fn exceeds(&self, bytes: usize) -> bool {
        let max = match self.statements {
            0 => caller_bson::MAX_BYTES,
            _ => self.limits.bytes.min(caller_bson::MAX_BYTES),
        };
        self.statements >= self.limits.statements || bytes + ITEM_BYTES + ENVELOPE_BYTES > max
    }

    /// The bytes of the whole command, and whether it has a time limit of the caller. `spare` is extra capacity.
    pub(super) fn finish(mut self, spare: usize) -> (Vec<u8>, bool) {
        self.bytes.reserve_exact(2 + spare);
        self.bytes.push(0);
        set_length(&mut self.bytes, self.list);
        self.bytes.push(0);
        set_length(&mut self.bytes, 0);
        (self.bytes, self.limited)
    }
}

/// Writes the length of the document that begins at `start` and ends at the end of `bytes`.
fn set_length(bytes: &mut [u8], start: usize) {
    // A command has less than 17 MiB.
    let length = (bytes.len() - start) as u32;
    bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Appends a number in decimal digits: the key of a list's item.
pub fn push_decimal(bytes: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    bytes.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{doc, Document};

    const MAX_STATEMENTS: usize = 100_000;

    fn command(bytes: usize) -> WriteCommand {
        let head = doc! {"insert": "c", "ordered": true}.to_vec().unwrap();
        let limits = CommandLimits {
            bytes,
            statements: MAX_STATEMENTS,
        };
        WriteCommand::new(StatementKind::Insert, &head, limits).unwrap()
    }

    fn finished(command: WriteCommand) -> Document {
        Document::from_reader(&command.finish(0).0[..]).unwrap()
    }

    #[test]
    fn has_the_bytes_of_the_command() {
        let statements: Vec<_> = (0..1234).map(|each| doc! {"a": each}).collect();
        let mut command = command(usize::MAX);
        for statement in &statements {
            assert!(command.push(&statement.to_vec().unwrap()));
        }
        assert_eq!(command.statements(), 1234);
        let other = doc! {"insert": "c", "writeConcern": {"w": 1}};
        let changed = command.with_head(&other.to_vec().unwrap()).unwrap();
        let list = statements.clone();
        assert_eq!(
            finished(command),
            doc! {"insert": "c", "ordered": true, "documents": list.clone()}
        );
        assert_eq!(
            finished(changed),
            doc! {"insert": "c", "writeConcern": {"w": 1}, "documents": list}
        );
    }

    #[test]
    fn stays_below_the_limits() {
        let large = doc! {"a": "x".repeat((16 << 20) - 13)}.to_vec().unwrap();
        assert_eq!(large.len(), 16 << 20);
        let small = doc! {"a": 1}.to_vec().unwrap();
        let mut one = command(1 << 20);
        assert!(one.push(&large), "the first may be larger than asked for");
        assert!(!one.push(&small));
        let mut none = command(1 << 20);
        assert!(!none.push(&[0; (16 << 20) + (16 << 10)]));
        let mut many = command(usize::MAX);
        for _ in 0..MAX_STATEMENTS {
            assert!(many.push(&small));
        }
        assert!(!many.push(&small));
        let mut full = command(usize::MAX);
        while full.push(&[0; 1000]) {}
        let (bytes, _) = full.finish(0);
        let most = caller_bson::MAX_BYTES - ENVELOPE_BYTES;
        assert!(
            (most - 1100..=most).contains(&bytes.len()),
            "{}",
            bytes.len()
        );
    }

    #[test]
    fn decimal_digits() {
        for number in [0, 7, 10, 99, 100, 99_999, 100_000, usize::MAX] {
            let mut bytes = Vec::new();
            push_decimal(&mut bytes, number);
            assert_eq!(bytes, number.to_string().into_bytes());
        }
    }
}
