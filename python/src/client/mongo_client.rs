//! The client and its operations.

use std::time::Duration;

use data_bridge::error::Result;
use data_bridge::reader::Source;
use data_bridge::source::{self, RangeOptions, RangeQuery, Read, Task};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use pyo3::IntoPyObjectExt;

use crate::client::session::Session;
use crate::error::to_pyerr;
use crate::operations::operation::Operation;
use crate::operations::operation_events::{names_of, OperationNames, Request};
use crate::reads::reader::Reader;
use crate::reads::table_options::TableOptions;
use crate::values::codec::Codec;
use crate::writes::arrow_source::ArrowSource;
use crate::writes::arrow_writer::{ArrowWriteOptions, ArrowWriter};
use crate::writes::command::WriteCommand;

/// Refuse a name of a database, or of a collection in it, that no server accepts.
#[pyfunction]
#[pyo3(signature = (database, collection = None))]
pub(crate) fn check_names(
    py: Python<'_>,
    database: &str,
    collection: Option<&str>,
) -> PyResult<()> {
    source::check_names(database, collection).map_err(|error| to_pyerr(py, error))
}

/// The default deadline in seconds.
pub(crate) const DEFAULT_TIMEOUT: f64 = 600.0;

/// A client of the driver. It connects on first use, and can be used from any thread and after a fork.
#[pyclass(frozen, module = "data_bridge._core")]
pub(crate) struct Client {
    inner: source::Client,
}

#[pymethods]
impl Client {
    #[new]
    fn new(py: Python<'_>, uri: &str) -> PyResult<Self> {
        let inner = py.detach(|| source::Client::new(uri));
        inner
            .map(|inner| Client { inner })
            .map_err(|error| to_pyerr(py, error))
    }

    #[getter]
    fn default_database(&self) -> Option<&str> {
        self.inner.default_database()
    }

    /// The connection string with its credentials: a call, as serialisers that walk over attributes would find a property.
    fn reveal_uri(&self) -> &str {
        self.inner.uri()
    }

    /// Hosts and replica set, for repr; no credentials.
    #[getter]
    fn summary(&self) -> &str {
        self.inner.summary()
    }

    #[pyo3(signature = (database, collection, filter, options, *, session, selection, timeout, eager, resume, codec))]
    #[allow(clippy::too_many_arguments)] // the contract with the package, by keyword
    fn find(
        &self,
        py: Python<'_>,
        database: &str,
        collection: &str,
        filter: &[u8],
        options: &[u8],
        session: Option<&Bound<'_, Session>>,
        selection: &[u8],
        timeout: Option<f64>,
        eager: bool,
        resume: bool,
        codec: Codec,
    ) -> PyResult<Reader> {
        let mut read = read(options, selection, session, timeout)?;
        let request = Request::begin(py)?;
        read.request = request.id;
        read.resume = resume;
        let source = py.detach(|| self.inner.find(database, collection, filter, &read, eager));
        let names = names("find", database, Some(collection));
        reader(py, source, codec, eager, request, &names)
    }

    #[pyo3(signature = (database, collection, pipeline, options, *, session, selection, timeout, eager, codec))]
    #[allow(clippy::too_many_arguments)] // the contract with the package, by keyword
    fn aggregate(
        &self,
        py: Python<'_>,
        database: &str,
        collection: Option<&str>,
        pipeline: &[u8],
        options: &[u8],
        session: Option<&Bound<'_, Session>>,
        selection: &[u8],
        timeout: Option<f64>,
        eager: bool,
        codec: Codec,
    ) -> PyResult<Reader> {
        let mut read = read(options, selection, session, timeout)?;
        let request = Request::begin(py)?;
        read.request = request.id;
        let source = py.detach(|| {
            self.inner
                .aggregate(database, collection, pipeline, &read, eager)
        });
        let names = names("aggregate", database, collection);
        reader(py, source, codec, eager, request, &names)
    }

    #[pyo3(signature = (database, collection, queries, *, pipelines, selection, timeout, eager, resume, parallel, ordered, codec))]
    #[allow(clippy::too_many_arguments)] // the contract with the package, by keyword
    fn read_ranges(
        &self,
        py: Python<'_>,
        database: &str,
        collection: &str,
        queries: Vec<(PyBackedBytes, PyBackedBytes)>,
        pipelines: bool,
        selection: &[u8],
        timeout: Option<f64>,
        eager: bool,
        resume: bool,
        parallel: usize,
        ordered: bool,
        codec: Codec,
    ) -> PyResult<Reader> {
        let mut read = read(&[], selection, None, timeout)?;
        let request = Request::begin(py)?;
        read.request = request.id;
        read.resume = resume;
        let queries = queries.iter().map(|(body, options)| RangeQuery {
            body: body.to_vec(),
            options: options.to_vec(),
        });
        let queries = queries.collect();
        let options = RangeOptions {
            pipelines,
            parallel,
            ordered,
        };
        let source = py.detach(|| {
            self.inner
                .ranges(database, collection, queries, &read, eager, options)
        });
        let operation = if pipelines { "aggregate" } else { "find" };
        let names = names(operation, database, Some(collection));
        reader(py, source, codec, eager, request, &names)
    }

    #[pyo3(signature = (database, command, *, session, selection, timeout, retry=false))]
    #[allow(clippy::too_many_arguments)] // the contract with the package, by keyword
    fn run_command(
        &self,
        py: Python<'_>,
        database: &str,
        command: &[u8],
        session: Option<&Bound<'_, Session>>,
        selection: &[u8],
        timeout: Option<f64>,
        retry: bool,
    ) -> PyResult<Operation> {
        let mut read = read(&[], selection, session, timeout)?;
        read.retry = retry;
        let names = named(database, command);
        let start = || self.inner.run_command(database, command, &read);
        operation(py, &names, start, bytes)
    }

    #[pyo3(signature = (database, command, *, session, retry, timeout))]
    fn write(
        &self,
        py: Python<'_>,
        database: &str,
        command: &[u8],
        session: Option<&Bound<'_, Session>>,
        retry: bool,
        timeout: Option<f64>,
    ) -> PyResult<Operation> {
        let (session, timeout) = (inner(session), duration(timeout)?);
        let names = named(database, command);
        let start = || self.inner.write(database, command, session, retry, timeout);
        operation(py, &names, start, bytes)
    }

    /// As [`write`](Self::write), for a command that was encoded for this one call.
    #[pyo3(signature = (database, collection, command, *, session, retry, timeout))]
    #[allow(clippy::too_many_arguments)] // the contract with the package, by keyword
    fn write_statements(
        &self,
        py: Python<'_>,
        database: &str,
        collection: &str,
        command: &WriteCommand,
        session: Option<&Bound<'_, Session>>,
        retry: bool,
        timeout: Option<f64>,
    ) -> PyResult<Operation> {
        let (session, timeout) = (inner(session), duration(timeout)?);
        let command = command.take()?;
        let names = names(command.kind().name(), database, Some(collection));
        let start = || {
            self.inner
                .write_statements(database, command, session, retry, timeout)
        };
        operation(py, &names, start, bytes)
    }

    /// Start a write of the batches that are fed to it.
    #[pyo3(signature = (database, collection, source, options, *, types, session, timeout))]
    #[allow(clippy::too_many_arguments)] // the contract with the package, by keyword
    fn write_arrow(
        &self,
        py: Python<'_>,
        database: &str,
        collection: &str,
        source: &ArrowSource,
        options: ArrowWriteOptions,
        types: &TableOptions,
        session: Option<&Bound<'_, Session>>,
        timeout: Option<f64>,
    ) -> PyResult<ArrowWriter> {
        let request = Request::begin(py)?;
        let names = names(options.kind().name(), database, Some(collection));
        let (session, timeout) = (inner(session).cloned(), duration(timeout)?);
        let stream = options.start(py, &self.inner, database, source, types, session, timeout)?;
        Ok(ArrowWriter::new(stream, request.single(py, &names)?))
    }

    #[pyo3(signature = (database, collection, filter, options, *, session, selection, timeout))]
    #[allow(clippy::too_many_arguments)] // the contract with the package, by keyword
    fn count_documents(
        &self,
        py: Python<'_>,
        database: &str,
        collection: &str,
        filter: &[u8],
        options: &[u8],
        session: Option<&Bound<'_, Session>>,
        selection: &[u8],
        timeout: Option<f64>,
    ) -> PyResult<Operation> {
        let read = read(options, selection, session, timeout)?;
        let names = names("aggregate", database, Some(collection));
        let start = || {
            self.inner
                .count_documents(database, collection, filter, &read)
        };
        operation(py, &names, start, |py, count| count.into_py_any(py))
    }

    #[pyo3(signature = (database, collection, options, *, selection, timeout))]
    fn estimated_document_count(
        &self,
        py: Python<'_>,
        database: &str,
        collection: &str,
        options: &[u8],
        selection: &[u8],
        timeout: Option<f64>,
    ) -> PyResult<Operation> {
        let read = read(options, selection, None, timeout)?;
        let names = names("count", database, Some(collection));
        let start = || {
            self.inner
                .estimated_document_count(database, collection, &read)
        };
        operation(py, &names, start, |py, count| count.into_py_any(py))
    }

    #[pyo3(signature = (database, collection, key, filter, options, *, session, selection, timeout))]
    #[allow(clippy::too_many_arguments)] // the contract with the package, by keyword
    fn distinct(
        &self,
        py: Python<'_>,
        database: &str,
        collection: &str,
        key: &str,
        filter: &[u8],
        options: &[u8],
        session: Option<&Bound<'_, Session>>,
        selection: &[u8],
        timeout: Option<f64>,
    ) -> PyResult<Operation> {
        let read = read(options, selection, session, timeout)?;
        let names = names("distinct", database, Some(collection));
        let start = || {
            self.inner
                .distinct(database, collection, key, filter, &read)
        };
        operation(py, &names, start, bytes)
    }

    #[pyo3(signature = (filter, *, session, timeout))]
    fn list_database_names(
        &self,
        py: Python<'_>,
        filter: &[u8],
        session: Option<&Bound<'_, Session>>,
        timeout: Option<f64>,
    ) -> PyResult<Operation> {
        let (session, timeout) = (inner(session), duration(timeout)?);
        let names = names("listDatabases", "admin", None);
        let start = || self.inner.list_database_names(filter, session, timeout);
        operation(py, &names, start, |py, names| names.into_py_any(py))
    }

    #[pyo3(signature = (database, filter, *, session, timeout))]
    fn list_collection_names(
        &self,
        py: Python<'_>,
        database: &str,
        filter: &[u8],
        session: Option<&Bound<'_, Session>>,
        timeout: Option<f64>,
    ) -> PyResult<Operation> {
        let (session, timeout) = (inner(session), duration(timeout)?);
        let names = names("listCollections", database, None);
        let start = || {
            self.inner
                .list_collection_names(database, filter, session, timeout)
        };
        operation(py, &names, start, |py, names| names.into_py_any(py))
    }

    fn start_session(&self, py: Python<'_>, options: &[u8]) -> PyResult<Operation> {
        let task = py.detach(|| self.inner.start_session(options));
        unrecorded(py, task, |py, inner| Session { inner }.into_py_any(py))
    }

    /// Cancel operations, kill open cursors, close connections.
    fn close(&self, py: Python<'_>) -> PyResult<Operation> {
        let task = py.detach(|| self.inner.close());
        unrecorded(py, Ok(task), |py, ()| Ok(py.None()))
    }
}

fn read<'a>(
    options: &'a [u8],
    selection: &'a [u8],
    session: Option<&'a Bound<'_, Session>>,
    timeout: Option<f64>,
) -> PyResult<Read<'a>> {
    Ok(Read {
        options,
        selection,
        session: inner(session),
        timeout: duration(timeout)?,
        limits_server: timeout != Some(DEFAULT_TIMEOUT),
        request: 0,
        resume: false,
        retry: false,
    })
}

fn inner<'a>(session: Option<&'a Bound<'_, Session>>) -> Option<&'a source::Session> {
    session.map(|session| &session.get().inner)
}

/// The timeout of a Python argument: None and infinity are no timeout.
pub(crate) fn duration(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    match seconds {
        None => Ok(None),
        Some(f64::INFINITY) => Ok(None),
        Some(seconds) => Duration::try_from_secs_f64(seconds)
            .map(Some)
            .map_err(|_| PyValueError::new_err(format!("timeout cannot be {seconds} s"))),
    }
}

fn reader(
    py: Python<'_>,
    source: Result<impl Source + 'static>,
    codec: Codec,
    eager: bool,
    request: Request,
    names: &OperationNames<'_>,
) -> PyResult<Reader> {
    let source = source.map_err(|error| to_pyerr(py, error))?;
    let record = request.read(py, names)?;
    Ok(Reader::start(Box::new(source), codec, eager, record))
}

/// Starts an operation with one reply, and records its events.
fn operation<T: Send + 'static>(
    py: Python<'_>,
    names: &OperationNames<'_>,
    start: impl FnOnce() -> Result<Task<T>> + Send,
    convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Operation> {
    let request = Request::begin(py)?;
    let task = py.detach(start).map_err(|error| to_pyerr(py, error))?;
    let record = request.single(py, names)?;
    Ok(Operation::new(task, convert).recorded(record))
}

fn unrecorded<T: Send + 'static>(
    py: Python<'_>,
    task: Result<Task<T>>,
    convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Operation> {
    let task = task.map_err(|error| to_pyerr(py, error))?;
    Ok(Operation::new(task, convert))
}

fn names<'a>(
    operation: &'a str,
    database: &'a str,
    collection: Option<&'a str>,
) -> OperationNames<'a> {
    OperationNames {
        operation,
        database,
        collection,
    }
}

fn named<'a>(database: &'a str, command: &'a [u8]) -> OperationNames<'a> {
    let (operation, collection) = names_of(command);
    names(operation, database, collection)
}

fn bytes(py: Python<'_>, bytes: Vec<u8>) -> PyResult<Py<PyAny>> {
    Ok(PyBytes::new(py, &bytes).into_any().unbind())
}
