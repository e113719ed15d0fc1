//! `InsertEncoder`: an iterator of documents as insert commands of a few megabytes.

use data_bridge::encode::{new_object_id, MAX_DOCUMENT_BYTES};
use data_bridge::source::{StatementKind, WriteCommand as Command};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList};

use crate::error::{guarded, to_pyerr};
use crate::values::bson_types::BsonTypes;
use crate::writes::command::{add, Heads, Places, WriteCommand};
use crate::writes::dict_encoder::{DictEncoder, Unencoded};

/// Takes documents from an iterator while the commands before them are sent, so that a generator is never held whole.
#[pyclass(module = "data_bridge._core")]
pub(crate) struct InsertEncoder {
    documents: Py<PyIterator>,
    heads: Heads,
    encoder: DictEncoder,
    levels: usize,
    encode_other: Py<PyAny>,
    ids: Py<PyList>,
    /// The bytes of one document. Those of the first one of the next command, if that was taken.
    encoded: Vec<u8>,
    carried: Option<Py<PyAny>>,
    /// The place of the next document of the iterator.
    next: usize,
    commands: usize,
    ended: bool,
}

#[pymethods]
impl InsertEncoder {
    #[new]
    #[pyo3(signature = (documents, *, heads, max_statements, options, levels, ids, encode_other))]
    fn new(
        documents: &Bound<'_, PyAny>,
        heads: (Vec<u8>, Vec<u8>),
        max_statements: usize,
        options: &Bound<'_, PyAny>,
        levels: usize,
        ids: Bound<'_, PyList>,
        encode_other: Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Ok(InsertEncoder {
            documents: documents.try_iter()?.unbind(),
            heads: Heads::new(heads, max_statements),
            encoder: DictEncoder::new(options)?,
            levels,
            encode_other: encode_other.unbind(),
            ids: ids.unbind(),
            encoded: Vec::new(),
            carried: None,
            next: 0,
            commands: 0,
            ended: false,
        })
    }

    /// The next command and its documents; None after the last one.
    fn next_command<'py>(
        &mut self,
        py: Python<'py>,
    ) -> PyResult<Option<(WriteCommand, Bound<'py, PyList>)>> {
        guarded(|| self.encode_command(py))
    }
}

impl InsertEncoder {
    fn encode_command<'py>(
        &mut self,
        py: Python<'py>,
    ) -> PyResult<Option<(WriteCommand, Bound<'py, PyList>)>> {
        let mut command = self.heads.begin(py, StatementKind::Insert, self.commands)?;
        let documents = PyList::empty(py);
        let mut first = self.next;
        if let Some(document) = self.carried.take() {
            first -= 1;
            add(py, &mut command, &self.encoded, first)?;
            documents.append(document)?;
        }
        let mut iterator = self.documents.bind(py).clone();
        while !self.ended {
            let Some(document) = iterator.next().transpose()? else {
                self.ended = true;
                break;
            };
            let place = self.next;
            self.next += 1;
            self.encode_document(&document, place)?;
            if !add(py, &mut command, &self.encoded, place)? {
                self.carried = Some(document.unbind());
                break;
            }
            documents.append(document)?;
        }
        if command.statements() == 0 {
            return Ok(None);
        }
        if self.carried.is_none() {
            command = self.heads.end(py, command)?;
        }
        self.commands += 1;
        let command = WriteCommand::new(command, Places::From(first), true);
        Ok(Some((command, documents)))
    }

    /// Encodes a document, and adds its `_id` to the ids.
    fn encode_document(&mut self, document: &Bound<'_, PyAny>, place: usize) -> PyResult<()> {
        let py = document.py();
        match encode_stored(&self.encoder, &mut self.encoded, document, self.levels) {
            Ok(id) => self.ids.bind(py).append(id),
            Err(Unencoded::Raised(error)) => Err(error),
            Err(Unencoded::Other) => {
                let bytes = self.encode_other.bind(py).call1((document, place))?;
                copy_checked(&mut self.encoded, &bytes)
            }
        }
    }
}

/// Encodes a document that is a dict into `out`, and returns its `_id`. One that has none gets an ObjectId, also in the dict.
pub(crate) fn encode_stored<'py>(
    encoder: &DictEncoder,
    out: &mut Vec<u8>,
    document: &Bound<'py, PyAny>,
    levels: usize,
) -> Result<Bound<'py, PyAny>, Unencoded> {
    let py = document.py();
    let Ok(dict) = document.cast_exact::<PyDict>() else {
        return Err(Unencoded::Other);
    };
    out.clear();
    let key = intern!(py, "_id");
    let id = match dict.get_item(key)? {
        Some(id) => {
            encoder.document(out, dict, levels)?;
            id
        }
        None => {
            let new = new_object_id().map_err(|error| Unencoded::Raised(to_pyerr(py, error)))?;
            let id = BsonTypes::get(py)?.object_id(py, &new)?;
            dict.set_item(key, &id)?;
            encoder.document_with_id(out, dict, &new, levels)?;
            id
        }
    };
    // The package refuses a document that no server stores.
    match out.len() > MAX_DOCUMENT_BYTES {
        true => Err(Unencoded::Other),
        false => Ok(id),
    }
}

/// Copies a statement that the package encoded into `out`: it may hold bytes of the caller, so it is checked.
pub(crate) fn copy_checked(out: &mut Vec<u8>, statement: &Bound<'_, PyAny>) -> PyResult<()> {
    let bytes = statement.cast::<PyBytes>()?.as_bytes();
    Command::check(bytes).map_err(|error| to_pyerr(statement.py(), error))?;
    out.clear();
    out.extend_from_slice(bytes);
    Ok(())
}
