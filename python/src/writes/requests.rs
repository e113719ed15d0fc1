//! The requests of a bulk write as commands: all are encoded before the first command is sent.

use data_bridge::source::{StatementKind, WriteCommand as Command};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyType};

use crate::error::guarded;
use crate::writes::command::{add, Heads, Places, WriteCommand};
use crate::writes::dict_encoder::{begin_document, end_document, DictEncoder, Unencoded};
use crate::writes::inserts::{copy_checked, encode_stored};

/// Requests between two checks for signals.
const SIGNAL_CHECKS: usize = 8192;

/// The class of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RequestKind {
    Insert,
    Update { many: bool },
    Replace,
    Delete { many: bool },
}

impl RequestKind {
    /// The kind of a class: those of this package and PyMongo have the same names and attributes.
    fn of(class: &Bound<'_, PyType>) -> PyResult<Option<Self>> {
        Ok(Some(match class.name()?.to_str()? {
            "InsertOne" => RequestKind::Insert,
            "UpdateOne" => RequestKind::Update { many: false },
            "UpdateMany" => RequestKind::Update { many: true },
            "ReplaceOne" => RequestKind::Replace,
            "DeleteOne" => RequestKind::Delete { many: false },
            "DeleteMany" => RequestKind::Delete { many: true },
            _ => return Ok(None),
        }))
    }

    fn statement(self) -> StatementKind {
        match self {
            RequestKind::Insert => StatementKind::Insert,
            RequestKind::Update { .. } | RequestKind::Replace => StatementKind::Update,
            RequestKind::Delete { .. } => StatementKind::Delete,
        }
    }

    /// Returns whether a request changes one document at most.
    fn once(self) -> bool {
        use RequestKind::{Delete, Update};
        !matches!(self, Update { many: true } | Delete { many: true })
    }
}

/// The commands of an ordered bulk, or of one kind in an unordered one.
#[derive(Default)]
struct Commands {
    ended: Vec<(Command, Vec<usize>, bool)>,
    open: Option<(Command, Vec<usize>, bool)>,
}

impl Commands {
    fn end(&mut self) {
        self.ended.extend(self.open.take());
    }

    /// Adds a statement to the open command, or to a new one if it has another kind or no room.
    fn add(
        &mut self,
        py: Python<'_>,
        heads: &Heads,
        kind: RequestKind,
        statement: &[u8],
        place: usize,
    ) -> PyResult<()> {
        loop {
            if self
                .open
                .as_ref()
                .is_some_and(|(command, ..)| command.kind() != kind.statement())
            {
                self.end();
            }
            let (command, places, once) = match &mut self.open {
                Some(open) => open,
                None => {
                    // All are encoded before the first one is sent, so it is not a small one.
                    let begun = self.ended.len() + 1;
                    let command = heads.begin(py, kind.statement(), begun)?;
                    self.open.insert((command, Vec::new(), true))
                }
            };
            if add(py, command, statement, place)? {
                places.push(place);
                *once &= kind.once();
                return Ok(());
            }
            self.end();
        }
    }
}

/// Encodes one request after the other.
struct RequestEncoder<'py> {
    encoder: DictEncoder,
    filter_levels: usize,
    levels: usize,
    encode_other: Bound<'py, PyAny>,
    /// The class of the last request, and its kind.
    class: Option<(Bound<'py, PyType>, RequestKind)>,
    encoded: Vec<u8>,
}

/// The commands of `requests`, in the order in which they are sent. `heads` has those of inserts, updates and deletes, which are
/// sent in this order in an unordered bulk. `levels` are those of filters and of documents.
#[pyfunction]
#[pyo3(signature = (requests, *, ordered, heads, max_statements, options, levels, encode_other))]
#[allow(clippy::too_many_arguments)] // the contract with the package, by keyword
pub(crate) fn encode_requests<'py>(
    py: Python<'py>,
    requests: &Bound<'py, PyList>,
    ordered: bool,
    heads: [(Vec<u8>, Vec<u8>); 3],
    max_statements: usize,
    options: &Bound<'py, PyAny>,
    levels: (usize, usize),
    encode_other: Bound<'py, PyAny>,
) -> PyResult<Vec<WriteCommand>> {
    let heads = heads.map(|heads| Heads::new(heads, max_statements));
    let mut encoder = RequestEncoder {
        encoder: DictEncoder::new(options)?,
        filter_levels: levels.0,
        levels: levels.1,
        encode_other,
        class: None,
        encoded: Vec::new(),
    };
    guarded(|| {
        let mut lists: [Commands; 3] = Default::default();
        for (place, request) in requests.iter().enumerate() {
            if place % SIGNAL_CHECKS == 0 {
                py.check_signals()?;
            }
            let kind = encoder.encode(&request, place)?;
            let position = kind.statement() as usize;
            let list = &mut lists[if ordered { 0 } else { position }];
            list.add(py, &heads[position], kind, &encoder.encoded, place)?;
        }
        let mut commands = Vec::new();
        for list in &mut lists {
            list.end();
            commands.append(&mut list.ended);
        }
        if let Some((command, places, once)) = commands.pop() {
            let command = heads[command.kind() as usize].end(py, command)?;
            commands.push((command, places, once));
        }
        let made = commands.into_iter().map(|(command, places, once)| {
            WriteCommand::new(command, Places::Listed(places), once)
        });
        Ok(made.collect())
    })
}

impl<'py> RequestEncoder<'py> {
    /// Encodes the statement of a request, and returns its kind.
    fn encode(&mut self, request: &Bound<'py, PyAny>, place: usize) -> PyResult<RequestKind> {
        let kind = self.kind(request, place)?;
        match self.encode_plain(request, kind) {
            Ok(()) => Ok(kind),
            Err(Unencoded::Raised(error)) => Err(error),
            Err(Unencoded::Other) => {
                let bytes = self.encode_other.call1((request, place))?;
                copy_checked(&mut self.encoded, &bytes)?;
                Ok(kind)
            }
        }
    }

    fn kind(&mut self, request: &Bound<'py, PyAny>, place: usize) -> PyResult<RequestKind> {
        let class = request.get_type();
        match &self.class {
            Some((known, kind)) if known.is(&class) => Ok(*kind),
            _ => {
                let Some(kind) = RequestKind::of(&class)? else {
                    return Err(PyTypeError::new_err(format!(
                        "requests[{place}] is no operation such as InsertOne or UpdateOne, got {}",
                        class.name()?
                    )));
                };
                self.class = Some((class, kind));
                Ok(kind)
            }
        }
    }

    /// Encodes a request of dicts without options; the package encodes and refuses the others.
    fn encode_plain(
        &mut self,
        request: &Bound<'py, PyAny>,
        kind: RequestKind,
    ) -> Result<(), Unencoded> {
        let py = request.py();
        let out = &mut self.encoded;
        if kind == RequestKind::Insert {
            let document = request.getattr(intern!(py, "_doc"))?;
            return encode_stored(&self.encoder, out, &document, self.levels).map(drop);
        }
        let unset = |name: &Bound<'py, PyString>| match request.getattr(name)?.is_none() {
            true => Ok(()),
            false => Err(Unencoded::Other),
        };
        unset(intern!(py, "_collation"))?;
        unset(intern!(py, "_hint"))?;
        let filter = request.getattr(intern!(py, "_filter"))?;
        let filter = filter.cast_exact::<PyDict>().map_err(other)?;
        out.clear();
        begin_document(out);
        out.extend_from_slice(b"\x03q\0");
        self.encoder.document(out, filter, self.filter_levels)?;
        if let RequestKind::Delete { many } = kind {
            out.extend_from_slice(b"\x10limit\0");
            out.extend_from_slice(&i32::from(!many).to_le_bytes());
            end_document(out, 0);
            return Ok(());
        }
        let change = request.getattr(intern!(py, "_doc"))?;
        let change = change.cast_exact::<PyDict>().map_err(other)?;
        // A replacement starts with a plain key, an update with an operator.
        let first = change.iter().next().map(|(key, _)| key);
        let operator = match &first {
            Some(key) => key
                .cast_exact::<PyString>()
                .map_err(other)?
                .to_str()?
                .starts_with('$'),
            None => false,
        };
        if operator != (kind != RequestKind::Replace) {
            return Err(Unencoded::Other);
        }
        if request.hasattr(intern!(py, "_sort"))? {
            unset(intern!(py, "_sort"))?;
        }
        if let RequestKind::Update { many } = kind {
            unset(intern!(py, "_array_filters"))?;
            out.extend_from_slice(b"\x03u\0");
            self.encoder.document(out, change, self.levels)?;
            push_flag(out, b"multi", many);
        } else {
            out.extend_from_slice(b"\x03u\0");
            self.encoder.document(out, change, self.levels)?;
        }
        push_flag(
            out,
            b"upsert",
            request.getattr(intern!(py, "_upsert"))?.is_truthy()?,
        );
        end_document(out, 0);
        Ok(())
    }
}

fn other<E>(_: E) -> Unencoded {
    Unencoded::Other
}

fn push_flag(out: &mut Vec<u8>, key: &[u8], value: bool) {
    out.push(0x08);
    out.extend_from_slice(key);
    out.extend_from_slice(&[0, value.into()]);
}
