//! `WriteCommand`: an encoded write command, and the places of its statements among the caller's.

use std::sync::Mutex;

use data_bridge::error::{Error, ErrorKind};
use data_bridge::source;
use pyo3::exceptions::{PyIndexError, PyRuntimeError};
use pyo3::prelude::*;

use crate::error::to_pyerr;
use crate::lock::lock;

/// The places of a command's statements among the caller's.
pub(crate) enum Places {
    /// One after the other, from this one.
    From(usize),
    /// In any order: a command of an unordered bulk.
    Listed(Vec<usize>),
}

/// A write command that is ready to be sent, once.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct WriteCommand {
    command: Mutex<Option<source::WriteCommand>>,
    kind: source::StatementKind,
    statements: usize,
    places: Places,
    /// Each statement changes one document at most, so that the command may be sent twice.
    retryable: bool,
}

impl WriteCommand {
    pub(crate) fn new(command: source::WriteCommand, places: Places, retryable: bool) -> Self {
        WriteCommand {
            kind: command.kind(),
            statements: command.statements(),
            command: Mutex::new(Some(command)),
            places,
            retryable,
        }
    }

    /// The command, for its one attempt to be sent.
    pub(crate) fn take(&self) -> PyResult<source::WriteCommand> {
        lock(&self.command)
            .take()
            .ok_or_else(|| PyRuntimeError::new_err("the command was already sent"))
    }
}

#[pymethods]
impl WriteCommand {
    #[getter]
    fn kind(&self) -> &'static str {
        self.kind.name()
    }

    #[getter]
    fn retryable(&self) -> bool {
        self.retryable
    }

    fn __len__(&self) -> usize {
        self.statements
    }

    /// The place among the caller's statements of the one at `index` of the command.
    fn place(&self, index: usize) -> PyResult<usize> {
        let place = match &self.places {
            Places::From(first) => (index < self.statements).then_some(first + index),
            Places::Listed(places) => places.get(index).copied(),
        };
        place.ok_or_else(|| PyIndexError::new_err(format!("no statement has the index {index}")))
    }
}

/// The elements of a command before its statements, encoded.
pub(crate) struct Heads {
    /// The largest number of statements in a command.
    statements: usize,
    /// Of all commands but the last: they request an acknowledgement where the next one depends on it.
    checked: Vec<u8>,
    last: Vec<u8>,
}

impl Heads {
    pub(crate) fn new((checked, last): (Vec<u8>, Vec<u8>), statements: usize) -> Self {
        Heads {
            statements,
            checked,
            last,
        }
    }

    /// A command without statements, which is not the last; `begun` others are before it.
    pub(crate) fn begin(
        &self,
        py: Python<'_>,
        kind: source::StatementKind,
        begun: usize,
    ) -> PyResult<source::WriteCommand> {
        let limits = source::CommandLimits::following(begun, self.statements);
        source::WriteCommand::new(kind, &self.checked, limits).map_err(|error| to_pyerr(py, error))
    }

    /// The same command as the last one.
    pub(crate) fn end(
        &self,
        py: Python<'_>,
        command: source::WriteCommand,
    ) -> PyResult<source::WriteCommand> {
        if self.checked == self.last {
            return Ok(command);
        }
        command
            .with_head(&self.last)
            .map_err(|error| to_pyerr(py, error))
    }
}

/// Adds a statement. Returns false for one that fits no more.
///
/// # Errors
/// DocumentTooLarge for one that no command holds: it is the first of its command.
pub(crate) fn add(
    py: Python<'_>,
    command: &mut source::WriteCommand,
    statement: &[u8],
    place: usize,
) -> PyResult<bool> {
    if command.push(statement) {
        return Ok(true);
    }
    if command.statements() > 0 {
        return Ok(false);
    }
    let size = grouped(statement.len());
    let text =
        format!("operation {place} has {size} bytes, and no command can have more than 16 MiB");
    Err(to_pyerr(py, Error::new(ErrorKind::DocumentTooLarge(text))))
}

/// A number with its digits in groups of three.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
