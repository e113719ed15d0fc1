//! `ArrowWriter`: a write of Arrow data in progress.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_bridge::encode::{
    EncodeOptions, KeyPath, Nested, Nulls, OnConflict, Operation as Form, Plan, Roundings,
};
use data_bridge::error::Step;
use data_bridge::source::{self, RepeatedKeys, StatementKind, StreamOptions, Task, WriteStream};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use pyo3::IntoPyObjectExt;

use crate::error::to_pyerr_of_table;
use crate::lock::lock;
use crate::operations::operation::Operation;
use crate::operations::operation_events::OperationRecord;
use crate::reads::arrow::RecordBatch;
use crate::reads::table_options::TableOptions;
use crate::writes::arrow_source::ArrowSource;

/// The options of a write of Arrow data, as the package has them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct ArrowWriteOptions {
    operation: String,
    head: Vec<u8>,
    on: Vec<Vec<String>>,
    many: bool,
    nested: String,
    nulls: String,
    on_conflict: String,
    rounding: Vec<String>,
    statement_elements: Vec<u8>,
    repeated_keys: String,
    ignore_duplicates: bool,
    ordered: bool,
    parallel: usize,
    max_statements: usize,
    max_document_bytes: usize,
    retry: bool,
    unflatten: bool,
}

impl ArrowWriteOptions {
    pub(crate) fn kind(&self) -> StatementKind {
        match self.operation.as_str() {
            "insert" => StatementKind::Insert,
            "delete" => StatementKind::Delete,
            _ => StatementKind::Update,
        }
    }

    fn form(&self) -> PyResult<Form> {
        let keys = self.on.iter();
        let on: Vec<KeyPath> = keys
            .map(|path| path.iter().map(|key| Arc::from(key.as_str())).collect())
            .collect();
        let (many, upsert) = (
            self.many,
            matches!(self.operation.as_str(), "upsert" | "replace_or_insert"),
        );
        let nested = one_of(
            "nested",
            &self.nested,
            &[("merge", Nested::Merge), ("replace", Nested::Replace)],
        )?;
        Ok(match self.operation.as_str() {
            "insert" => Form::Insert { make_ids: true },
            "update" | "upsert" => Form::Update {
                on,
                upsert,
                many,
                nested,
            },
            "replace" | "replace_or_insert" => Form::Replace { on, upsert },
            "delete" => Form::Delete { on, many },
            other => {
                return Err(PyValueError::new_err(format!(
                    "no operation is called {other:?}"
                )))
            }
        })
    }

    fn encode_options(&self, types: &TableOptions) -> PyResult<EncodeOptions> {
        let nulls = [
            ("keep", Nulls::Keep),
            ("omit", Nulls::Omit),
            ("unset", Nulls::Unset),
        ];
        let conflicts = [("error", OnConflict::Error), ("null", OnConflict::Null)];
        let mut roundings = Roundings::default();
        for name in &self.rounding {
            match name.as_str() {
                "dates" => roundings.dates = true,
                "decimals" => roundings.decimals = true,
                other => {
                    return Err(PyValueError::new_err(format!(
                        "rounding must be \"dates\" or \"decimals\", got {other:?}"
                    )))
                }
            }
        }
        Ok(EncodeOptions {
            operation: self.form()?,
            nulls: one_of("nulls", &self.nulls, &nulls)?,
            schema: types.user_schema().map(|schema| schema.arrow().clone()),
            on_conflict: one_of("on_conflict", &self.on_conflict, &conflicts)?,
            roundings,
            max_document_bytes: self.max_document_bytes,
            statement_elements: self.statement_elements.clone(),
            hash_keys: self.repeated_keys != "any",
            unflatten: self.unflatten,
        })
    }

    /// Starts the write.
    #[allow(clippy::too_many_arguments)] // those of the call from Python
    pub(crate) fn start(
        self,
        py: Python<'_>,
        client: &source::Client,
        database: &str,
        source: &ArrowSource,
        types: &TableOptions,
        session: Option<source::Session>,
        timeout: Option<Duration>,
    ) -> PyResult<WriteStream> {
        let encode = self.encode_options(types)?;
        let repeated = [
            ("any", RepeatedKeys::Any),
            ("refuse", RepeatedKeys::Refuse),
            ("in_order", RepeatedKeys::InOrder),
        ];
        let options = StreamOptions {
            database: database.to_owned(),
            kind: self.kind(),
            ordered: self.ordered,
            parallel: self.parallel.max(1),
            max_statements: self.max_statements,
            retry: self.retry,
            ignore_duplicates: self.ignore_duplicates,
            repeated_keys: one_of("repeated_keys", &self.repeated_keys, &repeated)?,
            session,
            timeout,
            head: self.head,
        };
        py.detach(|| {
            let plan = Plan::new(&source.schema, encode)?;
            client.write_stream(plan, options)
        })
        .map_err(|error| to_pyerr_of_table(py, error))
    }
}

fn one_of<T: Copy>(name: &str, value: &str, known: &[(&str, T)]) -> PyResult<T> {
    let found = known.iter().find(|(known, _)| *known == value);
    found.map(|(_, found)| *found).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|(name, _)| format!("{name:?}")).collect();
        PyValueError::new_err(format!(
            "{name} must be {}, got {value:?}",
            names.join(" or ")
        ))
    })
}

/// A write in progress. It ends when it is dropped; `stop` ends it between two commands.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct ArrowWriter {
    stream: WriteStream,
    record: Mutex<Option<Arc<OperationRecord>>>,
}

impl ArrowWriter {
    pub(crate) fn new(stream: WriteStream, record: Option<Arc<OperationRecord>>) -> Self {
        ArrowWriter {
            stream,
            record: Mutex::new(record),
        }
    }

    fn end(&self, task: Task<()>) -> Operation {
        Operation::new(task, |py, ()| Ok(py.None())).recorded(lock(&self.record).take())
    }
}

#[pymethods]
impl ArrowWriter {
    /// Hand a batch over once the one before it is encoded; the result is False when the write has ended.
    fn feed(&self, py: Python<'_>, batch: &RecordBatch) -> Operation {
        let batch = batch.0.clone();
        let task = py.detach(|| self.stream.feed(batch));
        Operation::new(task, |py, accepted: bool| accepted.into_py_any(py))
    }

    /// Wait for the end of the write, after the last batch.
    fn finish(&self, py: Python<'_>) -> Operation {
        self.end(py.detach(|| self.stream.finish()))
    }

    /// Send no more commands, and wait for the replies to those in flight.
    fn stop(&self, py: Python<'_>) -> Operation {
        self.end(py.detach(|| self.stream.stop()))
    }

    /// Acknowledged rows, and bytes of their commands.
    #[getter]
    fn progress(&self, py: Python<'_>) -> (u64, u64) {
        py.detach(|| self.stream.progress())
    }

    /// The counts so far; failed rows and write concern errors as BSON documents, one after the other.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = py.detach(|| self.stream.counts());
        let all = PyDict::new(py);
        for (name, count) in [
            ("rows", counts.rows),
            ("inserted", counts.inserted),
            ("matched", counts.matched),
            ("modified", counts.modified),
            ("upserted", counts.upserted),
            ("deleted", counts.deleted),
            ("unknown", counts.unknown),
            ("failures", counts.failures),
            ("commands", counts.commands),
            ("bytes", counts.bytes),
        ] {
            all.set_item(name, count)?;
        }
        all.set_item("failed", PyBytes::new(py, &counts.failed))?;
        all.set_item(
            "write_concern_errors",
            PyBytes::new(py, &counts.write_concern_errors),
        )?;
        let skipped = PyList::empty(py);
        for each in counts.skipped {
            let path = each.path.iter().map(|step| match step {
                Step::Key(key) => key.as_ref().into_py_any(py),
                Step::Index(index) => index.into_py_any(py),
            });
            let path = PyTuple::new(py, path.collect::<PyResult<Vec<_>>>()?)?;
            skipped.append((path, each.nulled, each.rounded, each.first_row))?;
        }
        all.set_item("skipped", skipped)?;
        Ok(all)
    }
}
