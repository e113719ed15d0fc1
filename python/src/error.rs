//! The Python exceptions: one base class, a class for each kind of error, Python's own classes where they exist.

use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};

use data_bridge::error::{ConnectionCause, Error, ErrorKind, Location, RawValue, Step};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple, PyType};

create_exception!(
    data_bridge,
    DataBridgeError,
    PyException,
    "The base of all errors of this package."
);
create_exception!(
    data_bridge,
    ConnectionFailure,
    DataBridgeError,
    "No usable connection: refused, lost, no suitable server, or failed authentication."
);
create_exception!(
    data_bridge,
    OperationFailure,
    DataBridgeError,
    "The server returned an error: `code`, `code_name`, `labels`, `details`."
);
// Raised by Python only; here, because Rust raises DuplicateKeyError, which derives from it.
create_exception!(
    data_bridge,
    WriteError,
    OperationFailure,
    "The server refused a write: `code`, `details`."
);
create_exception!(
    data_bridge,
    DuplicateKeyError,
    WriteError,
    "A write would give a unique index the same key twice."
);
create_exception!(
    data_bridge,
    WriteConcernError,
    OperationFailure,
    "A write was done, but its write concern was not met."
);
create_exception!(
    data_bridge,
    WTimeoutError,
    WriteConcernError,
    "A write was done, but its write concern was not met in time."
);
create_exception!(
    data_bridge,
    ServerTimeout,
    DataBridgeError,
    "A deadline passed: `timeout` of this package, or the server's `maxTimeMS`. `code` and `details` are the server's, if it \
     ended the operation."
);
create_exception!(
    data_bridge,
    ExecutionTimeout,
    OperationFailure, // and ServerTimeout
    "An operation reached its `maxTimeMS` on the server."
);
create_exception!(
    data_bridge,
    DecodeError,
    DataBridgeError,
    "Malformed BSON: `document` (its position in the result), `id`, `path`, `offset`."
);
create_exception!(
    data_bridge,
    SchemaConflict,
    DataBridgeError,
    "A value does not fit the schema: `document`, `id`, `path`, `expected`, `found`."
);
create_exception!(
    data_bridge,
    ResultTooLarge,
    DataBridgeError,
    "An eager read received more bytes than `config(max_result_bytes=)` allows: `bytes`, `limit`."
);
create_exception!(
    data_bridge,
    InvalidQuery,
    DataBridgeError,
    "A filter, pipeline or option that cannot be sent."
);
create_exception!(
    data_bridge,
    InvalidDocument,
    InvalidQuery,
    "A document, filter or pipeline that has no BSON form. The message names the path of the value."
);
create_exception!(
    data_bridge,
    DocumentTooLarge,
    InvalidDocument,
    "A document of more than 16 MiB, which no collection can store, or a command above a server's limit."
);

/// The server's code for an operation that reached its `maxTimeMS`, and the code's name.
const MAX_TIME_MS_EXPIRED: (i32, &str) = (50, "MaxTimeMSExpired");

/// The server's codes for a key that a unique index has already.
pub(crate) const DUPLICATE_KEY: [i32; 3] = [11000, 11001, 12582];

/// The option with which text that is not UTF-8 can be read.
const NOT_UTF8: &str = "; unicode_decode_error_handler=\"replace\" or \"ignore\", of MongoClient() or of the CodecOptions in \
                        codec_options=, reads such text";

/// The server's code for a cursor that it does not have.
const CURSOR_NOT_FOUND: i32 = 43;

/// The server's codes for a member that is not primary, is in recovery or shuts down; PyMongo's `_NOT_PRIMARY_CODES`.
const NOT_PRIMARY: [i32; 8] = [10058, 10107, 13435, 11600, 11602, 13436, 189, 91];

/// Adds the classes to the module, with the defaults of their attributes.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    for class in [
        py.get_type::<DataBridgeError>(),
        py.get_type::<ConnectionFailure>(),
        py.get_type::<OperationFailure>(),
        py.get_type::<WriteError>(),
        py.get_type::<DuplicateKeyError>(),
        py.get_type::<WriteConcernError>(),
        py.get_type::<WTimeoutError>(),
        py.get_type::<ServerTimeout>(),
        py.get_type::<ExecutionTimeout>(),
        py.get_type::<DecodeError>(),
        py.get_type::<SchemaConflict>(),
        py.get_type::<ResultTooLarge>(),
        py.get_type::<InvalidQuery>(),
        py.get_type::<InvalidDocument>(),
        py.get_type::<DocumentTooLarge>(),
    ] {
        module.add(class.name()?.extract::<String>()?.as_str(), &class)?;
    }
    let (failure, timeout) = (
        py.get_type::<OperationFailure>(),
        py.get_type::<ServerTimeout>(),
    );
    for class in [&failure, &timeout] {
        class.setattr("code", 0)?;
        class.setattr("code_name", "")?;
        class.setattr("details", py.None())?;
    }
    for class in [&failure, &timeout, &py.get_type::<ConnectionFailure>()] {
        class.setattr("labels", PyTuple::empty(py))?;
    }
    // The server's errors of an exceeded time are timeouts as well. `create_exception` sets one base only.
    for (class, base) in [
        (py.get_type::<ExecutionTimeout>(), &failure),
        (
            py.get_type::<WTimeoutError>(),
            &py.get_type::<WriteConcernError>(),
        ),
    ] {
        class.setattr("__bases__", (base, &timeout))?;
    }
    for class in [
        py.get_type::<DecodeError>(),
        py.get_type::<SchemaConflict>(),
    ] {
        class.setattr("document", py.None())?;
        class.setattr("id", py.None())?;
        class.setattr("path", PyTuple::empty(py))?;
    }
    py.get_type::<DecodeError>().setattr("offset", 0)?;
    let too_large = py.get_type::<ResultTooLarge>();
    too_large.setattr("bytes", 0)?;
    too_large.setattr("limit", 0)?;
    let conflict = py.get_type::<SchemaConflict>();
    conflict.setattr("expected", "")?;
    conflict.setattr("found", "")
}

/// The Python exception for an error of the core.
pub(crate) fn to_pyerr(py: Python<'_>, error: Error) -> PyErr {
    match exception(py, &error) {
        Ok(raised) => PyErr::from_value(raised),
        Err(failed) => failed,
    }
}

/// As [`to_pyerr`], for data that no codec options apply to.
pub(crate) fn to_pyerr_of_table(py: Python<'_>, error: Error) -> PyErr {
    match raised(py, &error, error.to_string()) {
        Ok(raised) => PyErr::from_value(raised),
        Err(failed) => failed,
    }
}

fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let mut text = error.to_string();
    if matches!(error.kind(), ErrorKind::Decode { reason, .. } if reason.ends_with("not UTF-8")) {
        text.push_str(NOT_UTF8);
    }
    raised(py, error, text)
}

/// The exception, made by a call of its class. PyO3 would make a lazy error an exception on the first access to its attributes,
/// and detach from the interpreter for that; in a daemon thread at the end of the process it would then panic.
fn raised<'py>(py: Python<'py>, error: &Error, text: String) -> PyResult<Bound<'py, PyAny>> {
    let class = match error.kind() {
        ErrorKind::Decode { .. } => py.get_type::<DecodeError>(),
        ErrorKind::SchemaConflict { .. } => py.get_type::<SchemaConflict>(),
        ErrorKind::Operation { code, .. } if DUPLICATE_KEY.contains(code) => {
            py.get_type::<DuplicateKeyError>()
        }
        ErrorKind::Operation { code, .. } if *code == MAX_TIME_MS_EXPIRED.0 => {
            py.get_type::<ExecutionTimeout>()
        }
        ErrorKind::Operation { .. } => py.get_type::<OperationFailure>(),
        ErrorKind::WriteConcern {
            timed_out: true, ..
        } => py.get_type::<WTimeoutError>(),
        ErrorKind::WriteConcern { .. } => py.get_type::<WriteConcernError>(),
        ErrorKind::InvalidQuery(_) => py.get_type::<InvalidQuery>(),
        ErrorKind::DocumentTooLarge(_) => py.get_type::<DocumentTooLarge>(),
        ErrorKind::InvalidArgument(_) => py.get_type::<PyValueError>(),
        ErrorKind::Connection(_) => py.get_type::<ConnectionFailure>(),
        ErrorKind::TooLarge { .. } => py.get_type::<ResultTooLarge>(),
        ErrorKind::Timeout(_) => py.get_type::<ServerTimeout>(),
        ErrorKind::Io(_) => py.get_type::<PyOSError>(),
        _ => py.get_type::<DataBridgeError>(),
    };
    let class = match counterpart(error) {
        Some(name) => variant(py, class, name)?,
        None => class,
    };
    let raised = class.call1((text,))?;
    match error.kind() {
        ErrorKind::Decode { offset, .. } => {
            place(py, &raised, error.location())?;
            raised.setattr("offset", offset)?;
        }
        ErrorKind::SchemaConflict { expected, found } => {
            place(py, &raised, error.location())?;
            raised.setattr("expected", expected)?;
            raised.setattr("found", found)?;
        }
        ErrorKind::Operation {
            code, code_name, ..
        } => set_reply(py, &raised, error, *code, code_name)?,
        // The server ended the operation before the deadline of this package passed.
        ErrorKind::Timeout(_) if !error.reply().is_empty() => {
            let (code, name) = MAX_TIME_MS_EXPIRED;
            set_reply(py, &raised, error, code, name)?;
        }
        ErrorKind::WriteConcern {
            code, code_name, ..
        } => {
            raised.setattr("code", code)?;
            raised.setattr("code_name", code_name)?;
            raised.setattr("labels", error.labels())?;
            raised.setattr("details", concern(py, error.reply()).ok())?;
        }
        ErrorKind::Timeout(_) => raised.setattr("labels", error.labels())?,
        ErrorKind::Connection(_) => raised.setattr("labels", error.labels())?,
        ErrorKind::TooLarge { bytes, limit } => {
            raised.setattr("bytes", bytes)?;
            raised.setattr("limit", limit)?;
        }
        _ => {}
    }
    Ok(raised)
}

/// Sets the attributes of an error that the server returned.
fn set_reply(
    py: Python<'_>,
    raised: &Bound<'_, PyAny>,
    error: &Error,
    code: i32,
    code_name: &str,
) -> PyResult<()> {
    raised.setattr("code", code)?;
    raised.setattr("code_name", code_name)?;
    raised.setattr("labels", error.labels())?;
    // A reply that cannot be decoded leaves the details unknown; the error itself matters more.
    raised.setattr("details", decode(py, error.reply()).ok())
}

/// The class of PyMongo that the exception is an instance of too, if its own class does not determine it.
fn counterpart(error: &Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::Operation { code, .. } if *code == CURSOR_NOT_FOUND => Some("CursorNotFound"),
        ErrorKind::Operation { code, .. } if NOT_PRIMARY.contains(code) => Some("NotPrimaryError"),
        ErrorKind::Connection(_) => match error.cause()? {
            ConnectionCause::Lost => Some("AutoReconnect"),
            ConnectionCause::NoServer => Some("ServerSelectionTimeoutError"),
            ConnectionCause::Authentication => Some("OperationFailure"),
            ConnectionCause::Closed => Some("InvalidOperation"),
            _ => None,
        },
        ErrorKind::Timeout(_) if !error.reply().is_empty() => Some("ExecutionTimeout"),
        _ => None,
    }
}

fn variant<'py>(
    py: Python<'py>,
    class: Bound<'py, PyType>,
    counterpart: &str,
) -> PyResult<Bound<'py, PyType>> {
    let module = py.import("data_bridge.integrations.pymongo_errors")?;
    let made = module.call_method1("variant", (class, counterpart))?;
    Ok(made.cast_into()?)
}

/// The write concern error of a reply with the reply's labels, as in PyMongo's `details`.
fn concern<'py>(py: Python<'py>, reply: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let reply = decode(py, reply)?;
    let concern = reply.get_item("writeConcernError")?;
    if reply.contains("errorLabels")? {
        concern.set_item("errorLabels", reply.get_item("errorLabels")?)?;
    }
    Ok(concern)
}

/// The name of the class of [`to_pyerr`]'s exception; `Cancelled` if the caller raises its own exception.
pub(crate) fn class_name(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Decode { .. } => "DecodeError",
        ErrorKind::SchemaConflict { .. } => "SchemaConflict",
        ErrorKind::Operation { code, .. } if DUPLICATE_KEY.contains(code) => "DuplicateKeyError",
        ErrorKind::Operation { code, .. } if *code == MAX_TIME_MS_EXPIRED.0 => "ExecutionTimeout",
        ErrorKind::Operation { .. } => "OperationFailure",
        ErrorKind::WriteConcern {
            timed_out: true, ..
        } => "WTimeoutError",
        ErrorKind::WriteConcern { .. } => "WriteConcernError",
        ErrorKind::InvalidQuery(_) => "InvalidQuery",
        ErrorKind::DocumentTooLarge(_) => "DocumentTooLarge",
        ErrorKind::InvalidArgument(_) => "ValueError",
        ErrorKind::Connection(_) => "ConnectionFailure",
        ErrorKind::Timeout(_) => "ServerTimeout",
        ErrorKind::TooLarge { .. } => "ResultTooLarge",
        ErrorKind::Io(_) => "OSError",
        ErrorKind::Cancelled => "Cancelled",
        _ => "DataBridgeError",
    }
}

/// Errors as a list of exceptions, not raised.
pub(crate) fn to_list(py: Python<'_>, errors: Vec<Error>) -> PyResult<Bound<'_, PyList>> {
    let made = errors.into_iter().map(|error| to_pyerr(py, error));
    PyList::new(
        py,
        made.map(|error| error.into_value(py)).collect::<Vec<_>>(),
    )
}

/// Runs `work`, and converts a panic to a [`DataBridgeError`]: unwinding into the interpreter would raise an exception that
/// `except Exception` does not catch.
pub(crate) fn guarded<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(DataBridgeError::new_err(format!(
            "internal error, please report it: {}",
            panic_text(&*panic)
        )))
    })
}

/// As [`guarded`], for work of the core on a thread that may not be attached.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Error::new(ErrorKind::Internal(panic_text(&*panic).into()))))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "a panic",
    }
}

fn place(py: Python<'_>, raised: &Bound<'_, PyAny>, location: &Location) -> PyResult<()> {
    raised.setattr("document", location.document)?;
    let id = location.id.as_ref().map(|id| value_of(py, id));
    // An `_id` that cannot be decoded is not known; the error itself matters more.
    raised.setattr("id", id.and_then(Result::ok))?;
    let path = location.path.iter().map(|step| match step {
        Step::Key(key) => key
            .as_ref()
            .into_pyobject(py)
            .map(|key| key.into_any())
            .map_err(PyErr::from),
        Step::Index(index) => index
            .into_pyobject(py)
            .map(|index| index.into_any())
            .map_err(PyErr::from),
    });
    let path = path.collect::<PyResult<Vec<_>>>()?;
    raised.setattr("path", PyTuple::new(py, path)?)
}

/// A BSON value as PyMongo decodes it, in the document `{"": value}`.
pub(crate) fn value_of<'py>(py: Python<'py>, value: &RawValue) -> PyResult<Bound<'py, PyAny>> {
    let length = value.bytes.len() + 7;
    let mut document = Vec::with_capacity(length);
    let length = i32::try_from(length).map_err(|_| PyValueError::new_err("too long"))?;
    document.extend(length.to_le_bytes());
    document.extend([value.tag, 0]);
    document.extend(&value.bytes);
    document.push(0);
    decode(py, &document)?.get_item("")
}

/// A BSON document as PyMongo decodes it, with dates of any year.
fn decode<'py>(py: Python<'py>, document: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let codec_options = py.import("bson.codec_options")?;
    let auto = codec_options
        .getattr("DatetimeConversion")?
        .getattr("DATETIME_AUTO")?;
    let options = PyDict::new(py);
    options.set_item("datetime_conversion", auto)?;
    let options = codec_options.call_method("CodecOptions", (), Some(&options))?;
    py.import("bson")?
        .call_method1("decode", (PyBytes::new(py, document), options))
}

/// ValueError with the message of an Arrow error.
pub(crate) fn arrow_error(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
