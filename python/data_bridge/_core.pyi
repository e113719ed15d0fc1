"""The native module: private; `data_bridge` is its public face."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, final

from typing_extensions import Self, disjoint_base

__all__ = [
    "CALL_LISTENERS",
    "DEFAULT_TIMEOUT",
    "DUPLICATE_KEY_CODES",
    "LOG_COMMANDS",
    "LOG_CONNECTIONS",
    "LOG_CURSORS",
    "LOG_FAILURES",
    "AsyncIterator",
    "BatchReader",
    "BulkWriteError",
    "Client",
    "Codec",
    "ConnectionFailure",
    "DataBridgeError",
    "DecodeError",
    "Document",
    "DocumentIterator",
    "DuplicateKeyError",
    "ExecutionTimeout",
    "FieldSlot",
    "Form",
    "InstanceIterator",
    "Interruption",
    "InvalidOperation",
    "InvalidQuery",
    "ListView",
    "ModelClass",
    "ModelView",
    "Operation",
    "OperationFailure",
    "Reader",
    "RecordBatch",
    "ResultData",
    "ResultTooLarge",
    "Schema",
    "SchemaConflict",
    "ServerTimeout",
    "Session",
    "WTimeoutError",
    "WriteConcernError",
    "WriteError",
    "__version__",
    "_document_from_bson",
    "check_names",
    "configuration",
    "configure",
    "from_arrow",
    "read_bytes",
    "read_file",
    "read_iterable",
    "runs",
    "set_tellers",
    "shutdown",
    "tell_events",
]

_T = TypeVar("_T")

__version__: str
DEFAULT_TIMEOUT: float

# ---- errors (error.rs): raised by this module, re-exported by the package --------------------------------------------

DUPLICATE_KEY_CODES: Sequence[int]
"""Codes of the server's errors for a key that a unique index has already."""

class DataBridgeError(Exception):
    """Base of all errors of this package."""

class ConnectionFailure(DataBridgeError):
    labels: Sequence[str]

class OperationFailure(DataBridgeError):
    code: int
    code_name: str
    labels: Sequence[str]
    details: Any

class WriteError(OperationFailure): ...
class DuplicateKeyError(WriteError): ...
class WriteConcernError(OperationFailure): ...
class BulkWriteError(OperationFailure): ...
class InvalidOperation(DataBridgeError): ...

class ServerTimeout(DataBridgeError):
    """A deadline passed. Code and details are those of the server, if it ended the operation itself."""

    code: int
    code_name: str
    labels: Sequence[str]
    details: Any

class WTimeoutError(WriteConcernError, ServerTimeout): ...
class ExecutionTimeout(OperationFailure, ServerTimeout): ...

class DecodeError(DataBridgeError):
    """Malformed BSON."""

    document: int | None
    """Position of the document in the result, from 0."""
    id: Any
    """The document's `_id`, or None when it could not be read."""
    path: tuple[str | int, ...]
    offset: int
    """Byte offset from the start of the document."""

class SchemaConflict(DataBridgeError):
    document: int | None
    id: Any
    path: tuple[str | int, ...]
    expected: str
    found: str

class ResultTooLarge(DataBridgeError):
    bytes: int
    limit: int

class InvalidQuery(DataBridgeError): ...

# ---- operations (operation.rs) ---------------------------------------------------------------------------------------

@final
class Operation(Generic[_T]):
    """Work on a background thread, which does not use the interpreter before the result is read."""

    def wait(self) -> _T:
        """Block, detached, looking for signals every 50 ms; Ctrl-C cancels the work and raises KeyboardInterrupt."""
    def notify(self, fd: int, token: int) -> None:
        """Write `token` (8 bytes, native order) to the file descriptor `fd` once done; at once if it is done already."""
    def result(self) -> _T:
        """The outcome; only after it is done. The second call raises RuntimeError."""
    def cancel(self) -> None: ...

# ---- client (client.rs, session.rs) ----------------------------------------------------------------------------------

def check_names(database: str, collection: str | None = None) -> None:
    """Refuse a name of a database, or of a collection in it, that no server accepts."""

@final
class Client:
    """One driver client; connects on first use; usable from any thread and after a fork."""

    def __new__(cls, uri: str) -> Self: ...
    @property
    def default_database(self) -> str | None: ...
    @property
    def summary(self) -> str:
        """Hosts and replica set, for repr; never credentials."""
    def find(
        self,
        database: str,
        collection: str,
        filter: bytes,
        options: bytes,
        *,
        session: Session | None,
        selection: bytes,
        timeout: float | None,
        eager: bool,
        resume: bool,
        codec: Codec,
    ) -> Reader:
        """Start a find. `options`: BSON of the driver's FindOptions (camelCase: sort, projection, batchSize, ...).
        `selection`: BSON {readPreference?: {mode, tagSets?, maxStalenessSeconds?}, readConcern?: {level}}.
        `timeout` in seconds; with `eager` it bounds the whole run, else each wait for the server. With `resume` it reads in
        `_id` order and goes on behind its last row when its cursor is lost.
        """
    def aggregate(
        self,
        database: str,
        collection: str | None,
        pipeline: bytes,
        options: bytes,
        *,
        session: Session | None,
        selection: bytes,
        timeout: float | None,
        eager: bool,
        codec: Codec,
    ) -> Reader:
        """Start an aggregate; `pipeline` is the BSON document {"pipeline": [...]}; collection None runs on the database."""
    def run_command(
        self,
        database: str,
        command: bytes,
        *,
        session: Session | None,
        selection: bytes,
        timeout: float | None,
        retry: bool = False,
    ) -> Operation[bytes]:
        """Run a command; the reply as BSON bytes. With `retry` it is one that reads, and is sent again as the driver's reads."""
    def write(
        self, database: str, command: bytes, *, session: Session | None, retry: bool, timeout: float | None
    ) -> Operation[bytes]:
        """Run a command that writes, a second time if `retry` and need be; the reply as BSON bytes."""
    def count_documents(
        self,
        database: str,
        collection: str,
        filter: bytes,
        options: bytes,
        *,
        session: Session | None,
        selection: bytes,
        timeout: float | None,
    ) -> Operation[int]: ...
    def estimated_document_count(
        self, database: str, collection: str, options: bytes, *, selection: bytes, timeout: float | None
    ) -> Operation[int]: ...
    def distinct(
        self,
        database: str,
        collection: str,
        key: str,
        filter: bytes,
        options: bytes,
        *,
        session: Session | None,
        selection: bytes,
        timeout: float | None,
    ) -> Operation[bytes]:
        """BSON {"values": [...]}."""
    def list_database_names(
        self, filter: bytes, *, session: Session | None, timeout: float | None
    ) -> Operation[list[str]]: ...
    def list_collection_names(
        self, database: str, filter: bytes, *, session: Session | None, timeout: float | None
    ) -> Operation[list[str]]: ...
    def start_session(self, options: bytes) -> Operation[Session]:
        """`options`: BSON {causalConsistency?: bool, snapshot?: bool}."""
    def close(self) -> Operation[None]:
        """Cancel what runs, kill open cursors, close connections."""

@final
class Session:
    @property
    def ended(self) -> bool: ...
    def start_transaction(self, options: bytes) -> Operation[None]:
        """`options`: BSON {readConcern?: {level}, writeConcern?: {w?, j?, wtimeout?}, maxCommitTimeMS?,
        readPreference?: {mode, tagSets?, maxStalenessSeconds?}}."""
    def discard_start(self) -> None: ...
    def commit_transaction(self, *, timeout: float | None) -> Operation[None]: ...
    def abort_transaction(self, *, timeout: float | None) -> Operation[None]: ...
    def end(self) -> Operation[None]: ...

def runs() -> int:
    """The number of reads in progress or in cleanup: for tests."""

def shutdown(timeout: float) -> None:
    """Close open cursors, waiting at most `timeout` seconds, and open no more: what `atexit` calls."""

def configure(
    threads: int | None,
    io_threads: int | None,
    prefetch_bytes: int | None,
    max_result_bytes: int | None = None,
    slow_seconds: float | None = None,
    refresh_seconds: float | None = None,
) -> None:
    """Set what is given, and (for tests) how often slow readers' sessions are refreshed; numbers of threads before first
    use, or ValueError. 0 bytes of a result, and infinite seconds, are no limit.
    """

def configuration() -> dict[str, int | float]: ...

# ---- events (watch.rs) -----------------------------------------------------------------------------------------------

LOG_CONNECTIONS: int
LOG_CURSORS: int
LOG_COMMANDS: int
LOG_FAILURES: int
"""The end of each operation, without its start."""
CALL_LISTENERS: int

def set_tellers(wanted: Callable[[], int], tell: Callable[[list[Any]], None]) -> None:
    """Set, once, the function that returns the requested events as bits, and the function that receives the events.

    The module calls both on the caller's threads.
    """

def tell_events() -> None:
    """Pass on the events since the last call."""

# ---- results (reader.rs, result.rs) ----------------------------------------------------------------------------------

@final
class Codec:
    """Conversion of BSON to Python: the supported part of bson.codec_options.CodecOptions."""

    def __new__(
        cls,
        *,
        tz_aware: bool,
        tzinfo: Any,
        uuid_representation: int,
        datetime_conversion: int,
        unicode_decode_error_handler: str,
    ) -> Self: ...
    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]:
        """The arguments of the constructor, for pickle."""

@final
class DocumentIterator:
    """Documents, one by one."""

    def __iter__(self) -> DocumentIterator: ...
    def __next__(self) -> Document: ...
    def instances(self, class_: ModelClass, /) -> InstanceIterator:
        """The same documents as instances of a model. Both iterators take from the same rows."""
    def close(self) -> None:
        """End the run of a live iterator."""

@final
class Interruption:
    """The reason that an iteration cannot go on, once there is one."""

    def __init__(self) -> None: ...
    def set(self, reason: str) -> None:
        """Set the reason; the first one stays."""
    def check(self) -> None:
        """Raise RuntimeError with the reason, if there is one."""

@final
class AsyncIterator(Generic[_T]):
    """The items of an asynchronous generator until its interruption is set: from then on RuntimeError."""

    def __init__(self, generator: AsyncGenerator[_T | None], interruption: Interruption) -> None: ...
    def __aiter__(self) -> AsyncIterator[_T]: ...
    def __anext__(self) -> Coroutine[Any, Any, _T]: ...
    def aclose(self) -> Coroutine[Any, Any, None]:
        """End the iteration: a coroutine, which waits for nothing."""

@final
class InstanceIterator:
    """Instances of a model, one by one."""

    def __iter__(self) -> InstanceIterator: ...
    def __next__(self) -> Any: ...
    def close(self) -> None:
        """End the run of a live iterator."""

def read_bytes(data: Any, *, codec: Codec, eager: bool) -> Reader:
    """Documents one after the other in an object with the buffer protocol."""

def read_file(path: str, *, codec: Codec, eager: bool) -> Reader: ...
def read_iterable(buffers: Iterator[Any], *, codec: Codec, eager: bool) -> Reader:
    """Buffers of whole documents, pulled from Python as they are needed."""

@final
class Reader:
    """A run under way: replies come in, Chunks go out, in order. One consumer at a time."""

    def documents(self) -> DocumentIterator:
        """Live, bounded memory: the next Document each step. Closing or dropping the iterator ends the run."""
    def batches(self, form: Form, infer_rows: int, *, narrowed: bool = False) -> BatchReader:
        """Live RecordBatches; without a given schema, freezes what the first `infer_rows` documents show. When the documents
        were `narrowed` by the server, one that itself holds a key twice is an error.
        """
    def next_conflicts(self, form: Form) -> list[SchemaConflict] | None:
        """Return the conflicts with the form's schema in the next piece; None at the end."""
    def next_conflicts_async(self, form: Form) -> Operation[list[SchemaConflict] | None]: ...
    def read_all(self) -> ResultData:
        """Everything, eagerly; blocks detached, looks for signals."""
    def read_list(self, class_: ModelClass | None = None, /, *, dicts: bool = False) -> tuple[ResultData, list[Any]]:
        """As `read_all`, with a list of what the rows become: Documents, dicts, or instances of a model. Those of one Chunk
        are made while the next ones are decoded."""
    def _drain(self) -> int:
        """Receive everything, decode nothing; bytes. For benchmarks."""

    def read_all_async(self) -> Operation[ResultData]: ...
    def next_documents_async(self) -> Operation[DocumentIterator | None]:
        """The documents of the next Chunk, or None at the end: what `async for` walks."""
    def close(self) -> None:
        """End the run; a second call does nothing. `report` still works."""
    @property
    def progress(self) -> tuple[int, int]:
        """(documents, bytes) so far; never blocks, from any thread, also while the reader is being read."""
    @property
    def complete(self) -> bool:
        """Return whether the run read its last reply, without an error."""
    def report(self) -> dict[str, Any]:
        """As `ResultData.report`, of what was read so far."""

@final
class BatchReader:
    """Live RecordBatches of one schema."""

    def __iter__(self) -> BatchReader: ...
    def __next__(self) -> RecordBatch: ...
    def next_async(self) -> Operation[RecordBatch | None]: ...
    def schema_async(self) -> Operation[Schema]: ...
    @property
    def schema(self) -> Schema: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Moves the reader into the stream: a second call raises RuntimeError."""
    def close(self) -> None: ...
    def report(self) -> dict[str, Any]:
        """As `ResultData.report`, of what was read so far; also after the reader moved into a C stream."""

@final
class RecordBatch:
    @property
    def num_rows(self) -> int: ...
    @property
    def schema(self) -> Schema: ...
    def __len__(self) -> int: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class Schema:
    """An Arrow schema."""

    @staticmethod
    def from_arrow(obj: Any) -> Schema:
        """From any object with `__arrow_c_schema__`."""
    @staticmethod
    def from_mapping(mapping: Mapping[str, Any]) -> Schema:
        """From names and types: Python types, names of types, objects with `__arrow_c_schema__`, [T], mappings."""
    @property
    def names(self) -> list[str]: ...
    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __repr__(self) -> str:
        """One field a line: name, type, extension."""

@final
class Form:
    """The options of a table: the user's schema, the handling of values that do not fit it, the storage of types."""

    def __new__(
        cls,
        schema: Schema | None,
        on_conflict: str,
        *,
        objectid: str,
        uuid: str,
        decimal: str,
        mixed: str,
        strings: str,
    ) -> Form: ...
    def with_views(self) -> Form:
        """Return a copy that lays text out as views, as polars does, unless another layout was requested."""
    @property
    def schema(self) -> Schema | None:
        """The schema of tables, if one was given."""

    @property
    def keys(self) -> list[str] | None:
        """The top-level keys that tables are made of; None when that may be any: without a schema, and under rescue."""

@final
class ResultData:
    """A materialised result: Chunks, and the tables made from them."""

    def __len__(self) -> int: ...
    def document(self, index: int) -> Document: ...
    def documents(self, start: int = 0, stop: int | None = None) -> DocumentIterator: ...
    def document_list(self) -> list[Document]:
        """All Documents, built with the garbage collector paused."""
    def instances(self, class_: ModelClass, /) -> list[Any]:
        """All documents as instances of a model, built with the garbage collector paused."""
    def unproven(self, field: FieldSlot) -> list[int]:
        """The positions of documents with a value in `field` that access does not take as it is."""
    def to_dicts(self) -> list[dict[str, Any]]: ...
    def schema(self, form: Form | None = None) -> Schema: ...
    def batches(self, form: Form | None = None) -> list[RecordBatch]: ...
    def arrow_stream(
        self, form: Form | None = None, requested_schema: object | None = None, *, shapes: bool = False
    ) -> object:
        """A C stream capsule; its batches share the result's memory; may be called any number of times. With `shapes` it has
        the column that makes `from_arrow` exact.
        """
    @property
    def chunks(self) -> int:
        """The pieces that `conflicts` counts."""
    def conflicts(self, form: Form, chunk: int) -> list[SchemaConflict]:
        """Return the conflicts with the form's schema in one piece."""
    def report(self) -> dict[str, Any]:
        """rows, bytes, batches, seconds (by stage), duplicates, paths: [{path, types, action, count, first_id}],
        unlisted (values by action at paths that are not in paths), finished (no more will come: exhausted, closed, dropped or failed), error (the exception that ended it, or None).
        """

def from_arrow(stream: Any, *, codec: Codec) -> ResultData:
    """Documents over any object with `__arrow_c_stream__` or `__arrow_c_array__`; null reads as missing."""

# ---- views (document.rs, list.rs) ------------------------------------------------------------------------------------

@disjoint_base
class Document(Mapping[str, Any]):
    """One document of a result: a read-only view that builds a value on access."""

    def __new__(cls, source: Mapping[str, Any], /) -> Self:
        """A view of the same document, for subclasses; or a document made of a mapping."""
    def __getitem__(self, key: str, /) -> Any: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def __reversed__(self) -> Iterator[str]: ...
    def get(self, key: str, default: Any = None, /) -> Any: ...
    def to_dict(self) -> dict[str, Any]: ...
    def to_json(self, *, canonical: bool = False) -> str:
        """MongoDB Extended JSON v2, relaxed unless `canonical`."""
    def to_bson(self) -> bytes: ...
    def _kept_in(self, written: bytes, keys: list[str]) -> bytes:
        """`written`, BSON too, in which the elements under `keys` are as in this document: also of types that no Python
        value has."""
    def detach(self) -> Document:
        """A copy that keeps only this document in memory."""
    @property
    def raw(self) -> bytes:
        """`to_bson()`, under the name PyMongo looks for when it encodes a Document."""
    def copy(self) -> Self:
        """The document itself: it cannot be changed."""
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, _memo: Any) -> Self: ...

def _document_from_bson(data: bytes, codec: Codec) -> Document:
    """A Document of its own: what pickle and tests call."""

@final
class ListView:
    """A list of a document: a read-only sequence that builds an item on access."""

    def __getitem__(self, key: int | slice, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def __reversed__(self) -> Iterator[Any]: ...
    def to_list(self) -> list[Any]: ...
    def index(self, value: Any, start: int = 0, stop: int | None = None, /) -> int: ...
    def count(self, value: Any) -> int: ...
    def copy(self) -> Self:
        """The list itself: it cannot be changed."""
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, _memo: Any) -> Self: ...

# ---- models (model.rs, field_slot.rs) --------------------------------------------------------------------------------

@disjoint_base
class ModelView:
    """The base of models: a row, and what was read from it or changed since."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """An empty instance, whatever the arguments: they are for `__init__`."""
    def _fill(self, document: Document, whole: bool, place: Any = None) -> None:
        """Make an empty instance one of `document`'s row; `place` is the place where it is embedded."""
    def _written(self, document: Document, whole: bool, keep: bool) -> dict[str, Any]:
        """Read from `document`, as it is stored, from now on. Return the values that were assigned until then: with `keep`
        they are kept values from then on, else they and all kept values are dropped."""
    def _unwritten(self, document: Document | None, whole: bool) -> None:
        """Read from `document` again, or from none, as before a write that came to nothing."""
    def _document(self) -> Document | None:
        """The stored document; None for an instance that is not stored."""
    def _place(self) -> Any:
        """For messages: the document, or a pair of what this instance is embedded in and its key."""
    @property
    def _is_touched(self) -> bool: ...
    @property
    def _is_whole(self) -> bool:
        """Return whether the instance has a stored document, which was read with all its keys."""
    @property
    def _is_stored(self) -> bool: ...
    @property
    def _kept(self) -> dict[str, Any]: ...
    @property
    def _assigned(self) -> dict[str, Any]: ...

@final
class ModelClass:
    """A model of which instances are made in bulk; for a tree of models, the class of each document."""

    def __new__(
        cls, class_: type[ModelView], whole: bool, tree: tuple[str, dict[str, ModelClass]] | None = None
    ) -> Self: ...
    def instance(self, document: Document) -> Any: ...

@final
class FieldSlot:
    """A declared field: on the class its expression, on an instance its value."""

    def __new__(cls, name: str, key: str, expression: Any, resolve: Callable[[], object]) -> Self: ...
    def _plan(
        self,
        direct: int,
        load: Callable[[Any, Any], Any],
        keeps: bool,
        accept: Callable[[Any], Any],
        missing: Callable[[Any], Any],
    ) -> None:
        """Set the conversion of the field; only the first call has an effect."""
    def __get__(self, instance: Any, owner: Any = None, /) -> Any: ...
    def __set__(self, instance: Any, value: Any, /) -> None: ...
    def __delete__(self, instance: Any, /) -> None: ...
