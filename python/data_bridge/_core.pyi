"""The native module of the package. It is private; `data_bridge` exports its public classes.

A native module has one stub. Its sections have the order of the directories of `python/src`, which contain the classes.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, final

from bson.codec_options import CodecOptions
from typing_extensions import Self, disjoint_base

from .list_view import ListView as ListView

__all__ = [
    "CALL_LISTENERS",
    "DEFAULT_TIMEOUT",
    "DUPLICATE_KEY_CODES",
    "LOG_COMMANDS",
    "LOG_CONNECTIONS",
    "LOG_CURSORS",
    "LOG_FAILURES",
    "ArrowSource",
    "ArrowWriter",
    "AsyncIterator",
    "BatchReader",
    "Client",
    "Codec",
    "Completions",
    "ConnectionFailure",
    "DataBridgeError",
    "DecodeError",
    "Document",
    "DocumentIterator",
    "DocumentTooLarge",
    "DuplicateKeyError",
    "ExecutionTimeout",
    "FieldSlot",
    "InsertEncoder",
    "InstanceIterator",
    "Interruption",
    "InvalidDocument",
    "InvalidQuery",
    "ListView",
    "ModelClass",
    "ModelView",
    "NativeConverter",
    "NativeTableOptions",
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
    "WriteCommand",
    "WriteConcernError",
    "WriteError",
    "__version__",
    "_document_from_bson",
    "check_names",
    "configuration",
    "configure",
    "deliver_events",
    "encode_arrow",
    "encode_dict",
    "encode_requests",
    "from_arrow",
    "read_bytes",
    "read_file",
    "read_iterable",
    "runs",
    "set_event_callbacks",
    "shutdown",
]

_T = TypeVar("_T")

__version__: str
DEFAULT_TIMEOUT: float

# ---- error.rs: errors that this module raises; the package re-exports them -------------------------------------------

DUPLICATE_KEY_CODES: Sequence[int]
"""Codes of the server's errors for a key that a unique index has already."""

class DataBridgeError(Exception):
    """The base of all errors of this package."""

class ConnectionFailure(DataBridgeError):
    """No usable connection: refused, lost, no suitable server, or failed authentication."""

    labels: Sequence[str]
    """Error labels of the driver, such as "TransientTransactionError"."""

class OperationFailure(DataBridgeError):
    """The server returned an error: `code`, `code_name`, `labels`, `details`."""

    code: int
    """The server's code; 0 if there is none."""
    code_name: str
    labels: Sequence[str]
    """Error labels of the server and the driver, such as "TransientTransactionError"."""
    details: Any
    """The server's reply as a dict, or None."""

class WriteError(OperationFailure):
    """The server refused a write: `code`, `details`."""

class DuplicateKeyError(WriteError):
    """A write would give a unique index the same key twice."""

class WriteConcernError(OperationFailure):
    """A write was done, but its write concern was not met."""

class ServerTimeout(DataBridgeError):
    """A deadline passed: `timeout` of this package, or the server's `maxTimeMS`. `code` and `details` are the server's, if
    it ended the operation.
    """

    code: int
    code_name: str
    labels: Sequence[str]
    details: Any

class WTimeoutError(WriteConcernError, ServerTimeout):
    """A write was done, but its write concern was not met in time."""

class ExecutionTimeout(OperationFailure, ServerTimeout):
    """An operation reached its `maxTimeMS` on the server."""

class DecodeError(DataBridgeError):
    """Malformed BSON: `document` (its position in the result), `id`, `path`, `offset`."""

    document: int | None
    """Position of the document in the result, from 0."""
    id: Any
    """The document's `_id`, or None if it could not be read."""
    path: tuple[str | int, ...]
    """Keys and positions of the value in the document."""
    offset: int
    """Byte offset from the start of the document."""

class SchemaConflict(DataBridgeError):
    """A value does not fit the schema: `document`, `id`, `path`, `expected`, `found`."""

    document: int | None
    """Position of the document in the result, from 0."""
    id: Any
    """The document's `_id`, or None if it could not be read."""
    path: tuple[str | int, ...]
    """Keys and positions of the value in the document."""
    expected: str
    """The type in the schema."""
    found: str
    """The type of the value."""

class ResultTooLarge(DataBridgeError):
    """An eager read received more bytes than `config(max_result_bytes=)` allows: `bytes`, `limit`."""

    bytes: int
    limit: int

class InvalidQuery(DataBridgeError):
    """A filter, pipeline or option that cannot be sent."""

class InvalidDocument(InvalidQuery):
    """A document, filter or pipeline that has no BSON form. The message names the path of the value."""

class DocumentTooLarge(InvalidDocument):
    """A document of more than 16 MiB, which no collection can store, or a command above a server's limit."""

# ---- values/: conversion of BSON to Python ---------------------------------------------------------------------------

@final
class Codec:
    """Options of the conversion from BSON to Python: the supported part of bson.codec_options.CodecOptions."""

    def __new__(
        cls,
        *,
        tz_aware: bool,
        tzinfo: Any,
        uuid_representation: int,
        datetime_conversion: int,
        unicode_decode_error_handler: str,
    ) -> Self: ...
    @property
    def uuid_representation(self) -> int: ...
    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]:
        """The keyword arguments with which pickle calls the constructor."""

# ---- documents/: views of documents and lists ------------------------------------------------------------------------

@disjoint_base
class Document(Mapping[str, Any]):
    """One document of a result: a read-only mapping that builds a value on access.

    Embedded documents and lists are views too. A Document keeps in memory the rows that it came with; `detach()` returns
    one that does not.
    """

    def __new__(cls, source: Mapping[str, Any], /) -> Self:
        """A view of the same document, for subclasses; or a document made from a mapping."""
    def __getitem__(self, key: str, /) -> Any: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def __reversed__(self) -> Iterator[str]: ...
    def get(self, key: str, default: Any = None, /) -> Any:
        """The value under `key`, or `default`."""
    def to_dict(self) -> dict[str, Any]:
        """The document as a dict, with dicts and lists inside, as PyMongo returns it."""
    def to_model(self, model: type[_T]) -> _T:
        """An object of a class of another library, as `Query.to_models`. Set by the package when it is imported."""
    def to_json(self, *, canonical: bool = False) -> str:
        """MongoDB Extended JSON v2, relaxed unless `canonical`, of the stored values: codec options do not apply."""
    def to_bson(self) -> bytes:
        """The document as BSON. Raises ValueError if it would take 2 GiB or more: list keys are written out."""
    def _kept_in(self, written: bytes, keys: list[str]) -> bytes:
        """The BSON document `written` with the elements under `keys` taken from this document, also of types that have no
        Python value.
        """
    def _repr_html_(self) -> str:
        """The fields for notebooks. Set by the package when it is imported."""
    def detach(self) -> Document:
        """A copy that keeps only this document in memory."""
    @property
    def raw(self) -> bytes:
        """`to_bson()`, under the name that PyMongo's encoder reads."""
    def copy(self) -> Self:
        """The document itself: it is immutable."""
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, _memo: Any) -> Self: ...

def _document_from_bson(data: bytes, codec: Codec) -> Document:
    """A Document that shares no chunk with others. Called by pickle and tests."""

# ---- models/: the base class of models and their fields --------------------------------------------------------------

@disjoint_base
class ModelView:
    """The base class of models. An instance from a query has a row and no other state until a value is kept or assigned."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """An empty instance. The arguments are ignored here; `__init__` takes them."""
    def _fill(self, document: Document, whole: bool, place: Any = None) -> None:
        """Connect an empty instance with the row of `document`; `place` is its location if it is embedded."""
    def _written(self, document: Document, whole: bool, keep: bool) -> dict[str, Any]:
        """Read from `document`, the stored state, from now on. Return the values that were assigned before. With `keep` they
        become kept values, else they and all kept values are removed from the instance.
        """
    def _unwritten(self, document: Document | None, whole: bool) -> None:
        """Read from `document` again, or from none, after a write that did not take effect."""
    def _document(self) -> Document | None:
        """The stored document; None if the instance is not stored."""
    def _place(self) -> Any:
        """Location for messages: the document, or the pair of the container of this instance and its key."""
    @property
    def _is_whole(self) -> bool:
        """Return whether the instance has a stored document that was read with all its keys."""
    @property
    def _is_stored(self) -> bool:
        """Return whether the instance has a stored document."""
    @property
    def _kept(self) -> dict[str, Any]:
        """The values made from stored ones and kept, by name of field; a copy."""
    @property
    def _assigned(self) -> dict[str, Any]:
        """The values that were assigned, by name of field; a copy."""
    def _is_unchanged(self, document: Document) -> bool:
        """Return whether the instance reads the same document as `document`, and holds no value that may differ from a stored
        one.
        """
    def _held_values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The kept and the assigned values, as they are at this moment."""
    def _held(self, name: str, default: Any) -> Any:
        """The assigned or kept value of a field, or `default`."""
    def _keep(self, name: str, value: Any) -> None:
        """Hold the value of a field as one that is no change."""
    def _assign(self, name: str, value: Any, *, replace: bool = True) -> None:
        """Assign a value that fits its field. Without `replace`, a value that was assigned remains."""
    def _remove_kept(self, name: str, default: Any) -> Any:
        """Remove the kept value of a field and return it, or `default`."""
    def _remove_assigned(self, name: str, default: Any) -> Any:
        """Remove the assigned value of a field and return it, or `default`."""

@final
class ModelClass:
    """Makes instances of a model in bulk; for a tree of models, of the class that each document names."""

    def __new__(
        cls, class_: type[ModelView], whole: bool, tree: tuple[str, dict[str, ModelClass]] | None = None
    ) -> Self: ...
    def instance(self, document: Document) -> Any:
        """The instance of one document."""

@final
class NativeConverter:
    """The conversion of stored values of one annotation.

    It converts values of the expected types. For any other value it gives none: the converter in Python, from which it is
    made, then converts the whole value of the field or raises the error. Both give equal values.
    """

    @staticmethod
    def scalar(types: int) -> NativeConverter:
        """Values of these types as they are, and numbers that are exactly one of them."""
    @staticmethod
    def as_pymongo(types: int) -> NativeConverter:
        """Values of these types as PyMongo gives them."""
    @staticmethod
    def plain() -> NativeConverter:
        """Values of any type as PyMongo gives them."""
    @staticmethod
    def uuid() -> NativeConverter: ...
    @staticmethod
    def decimal() -> NativeConverter: ...
    @staticmethod
    def date() -> NativeConverter: ...
    @staticmethod
    def choice(pairs: list[tuple[Any, Any]]) -> NativeConverter | None:
        """A choice of (stored value, member) pairs; None if a stored value is of a type that only Python compares."""
    @staticmethod
    def embedded(class_: ModelClass, tree: tuple[str, dict[str, ModelClass]] | None = None) -> NativeConverter:
        """An embedded model. `tree`: the key that names a class, and the ModelClass of each name."""
    @staticmethod
    def list_of(kind: type, item: NativeConverter, cyclic: bool) -> NativeConverter:
        """A list, set, frozenset or tuple of items of one type; `cyclic`: an item may refer to the list, as far as its annotation
        says.
        """
    @staticmethod
    def tuple_of(items: list[NativeConverter]) -> NativeConverter:
        """A tuple whose items have a type each."""
    @staticmethod
    def dict_of(item: NativeConverter) -> NativeConverter:
        """A dict of values of one type."""
    @staticmethod
    def optional(inner: NativeConverter) -> NativeConverter:
        """A value or null."""
    @staticmethod
    def union(members: list[NativeConverter]) -> NativeConverter:
        """The first member that fits exactly, else the first that fits."""
    @staticmethod
    def python(load: Callable[[Any, Any], Any], deep: bool) -> NativeConverter:
        """A conversion by Python code, within one of another kind. `load(stored, place)` raises ValueError for a value that does
        not fit; without `deep`, `place` is None.
        """

@final
class FieldSlot:
    """A declared field. The class returns its expression, an instance its value."""

    def __new__(cls, name: str, key: str, expression: Any, resolve: Callable[[], object]) -> Self: ...
    def _plan(
        self,
        direct: int,
        native: NativeConverter | None,
        load: Callable[[Any, Any], Any],
        keeps: bool,
        cyclic: bool,
        accept: Callable[[Any], Any],
        missing: Callable[[Any], Any],
        root: Callable[[Any], Any] | None = None,
        assigned: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        """Set the conversion of the field; later calls have no effect. `root(document)` is the root of locations in a variant of
        a model; `assigned(instance, value)` takes the place of `accept`.
        """
    def __get__(self, instance: Any, owner: Any = None, /) -> Any: ...
    def __set__(self, instance: Any, value: Any, /) -> None: ...
    def __delete__(self, instance: Any, /) -> None: ...

# ---- operations/: operations in the background and events ------------------------------------------------------------

@final
class Operation(Generic[_T]):
    """A task on a background thread. It does not use the interpreter; the thread that takes the result converts it."""

    def wait(self) -> _T:
        """Block, detached from the interpreter, and check for signals every 50 ms. Ctrl-C cancels the task and raises
        KeyboardInterrupt.
        """
    def notify(self, completions: Completions, token: int) -> None:
        """Add `token` to `completions` when the task is done, or now if it is done already."""
    def result(self) -> _T:
        """Return the result of a task that is done, or raise its error. A second call raises RuntimeError."""
    def cancel(self) -> None: ...

@final
class Completions:
    """Tokens of operations that are done, and the write end of the pipe or pair of sockets that announces them.

    One byte announces all tokens of the queue: it is written for a token that finds the queue empty. A full pipe needs no
    wait, as the bytes in it announce the new token too.
    """

    def __new__(cls, fd: int) -> Completions:
        """A queue that is announced on `fd`: the descriptor of a pipe that does not block, on Windows the handle of a socket.
        It is duplicated.
        """
    def take(self) -> list[int]:
        """Return and remove the tokens. Read the bytes that announce them before."""

LOG_CONNECTIONS: int
LOG_CURSORS: int
LOG_COMMANDS: int
LOG_FAILURES: int
"""The end of each failed operation, without its start."""
CALL_LISTENERS: int

def set_event_callbacks(requested: Callable[[], int], receive: Callable[[list[Any]], None]) -> None:
    """Set, once, the callback that returns the requested events as bits, and the callback that receives events. Both are
    called on the caller's threads.
    """

def deliver_events() -> None:
    """Deliver the events in the queue."""

# ---- reads/: reads, results and tables -------------------------------------------------------------------------------

@final
class Reader:
    """A read in progress: it receives replies and returns Chunks in order, to one consumer at a time."""

    def documents(self) -> DocumentIterator:
        """An iterator in bounded memory, one Document per step. Closing or dropping the iterator ends the run."""
    def batches(self, form: NativeTableOptions, infer_rows: int, *, narrowed: bool = False) -> BatchReader:
        """RecordBatches in bounded memory. Without a schema in `form`, the schema is inferred from the first `infer_rows`
        documents. `narrowed`: the server sends only some keys of the documents; a document with the same key twice is then
        an error.
        """
    def next_conflicts(self, form: NativeTableOptions) -> list[SchemaConflict] | None:
        """Values of the next Chunk that do not fit the form's schema, as exceptions; None at the end."""
    def next_conflicts_async(self, form: NativeTableOptions) -> Operation[list[SchemaConflict] | None]: ...
    def read_all(self) -> ResultData:
        """Read everything. Blocks detached from the interpreter, and checks for signals."""
    def read_list(self, class_: ModelClass | None = None, /, *, dicts: bool = False) -> tuple[ResultData, list[Any]]:
        """As `read_all`, with a list of the rows as Documents, dicts, or instances of a model. The objects of one Chunk are
        made while the next Chunks are decoded.
        """
    def _drain(self) -> int:
        """Receive everything without decoding it; return the number of bytes. The baseline of benchmarks of decoding."""

    def read_all_async(self) -> Operation[ResultData]: ...
    def read_schema_async(self, form: NativeTableOptions) -> Operation[Schema]:
        """Read everything, and keep its schema only."""
    def next_documents_async(self) -> Operation[DocumentIterator | None]:
        """The documents of the next Chunk, or None at the end; used by `async for`."""
    def close(self) -> None:
        """End the run; a second call does nothing. `report` still works."""
    @property
    def progress(self) -> tuple[int, int]:
        """The numbers of documents and bytes so far. Never blocks, in any thread, also during a read."""
    @property
    def complete(self) -> bool:
        """Return whether the run read its last reply, without an error."""
    def record_plan(self, plan: str) -> None:
        """Record the way in which the read was split, for its report; the first call counts."""
    def report(self) -> dict[str, Any]:
        """The report of `ResultData.report` for the rows so far."""

def read_bytes(data: Any, *, codec: Codec, eager: bool) -> Reader:
    """Read concatenated documents from an object with the buffer protocol."""

def read_file(path: str, *, codec: Codec, eager: bool) -> Reader:
    """Read concatenated documents from a file."""

def read_iterable(buffers: Iterator[Any], *, codec: Codec, eager: bool) -> Reader:
    """Read buffers of whole documents, pulled from the Python iterable as they are needed."""

def from_arrow(
    stream: Any, *, codec: Codec, keep_nulls: bool = False, form: NativeTableOptions | None = None
) -> ResultData:
    """Documents of any object with `__arrow_c_stream__` or `__arrow_c_array__`; null is read as missing, unless nulls are
    kept. Columns that the schema of `form` names have its types.
    """

@final
class ResultData:
    """A materialised result: its Chunks, and the tables made from them."""

    def __len__(self) -> int: ...
    def document(self, index: int) -> Document: ...
    def documents(self, start: int = 0, stop: int | None = None) -> DocumentIterator: ...
    def document_list(self) -> list[Document]:
        """All Documents, made with the garbage collector paused."""
    def instances(self, class_: ModelClass, /) -> list[Any]:
        """All documents as instances of a model, made with the garbage collector paused."""
    def unproven(self, field: FieldSlot) -> list[int]:
        """Positions of the documents whose value of `field` needs a conversion, or is missing; the others need no check."""
    def to_dicts(self) -> list[dict[str, Any]]: ...
    def schema(self, form: NativeTableOptions | None = None) -> Schema: ...
    def batches(self, form: NativeTableOptions | None = None) -> list[RecordBatch]: ...
    def arrow_stream(
        self, form: NativeTableOptions | None = None, requested_schema: object | None = None, *, shapes: bool = False
    ) -> object:
        """A C stream capsule, whose batches share the result's memory. Each call returns a new one. With `shapes` the table
        has the column that makes `from_arrow` exact.
        """
    @property
    def chunks(self) -> int:
        """Number of the Chunks that `conflicts` takes."""
    def conflicts(self, form: NativeTableOptions, chunk: int) -> list[SchemaConflict]:
        """Values of one Chunk that do not fit the form's schema, as exceptions."""
    def report(self, form: NativeTableOptions | None = None) -> dict[str, Any]:
        """rows, bytes, batches, seconds (by stage), plan, duplicates, paths: [{path, types, action, count, first_id}],
        unlisted (number of values by action at other paths), finished (no more rows follow: the run is exhausted, closed,
        dropped or failed), error (the exception that ended it, or None).
        """

@final
class DocumentIterator:
    """An iterator over Documents. Threads may share it: each document then goes to one of them."""

    def __iter__(self) -> DocumentIterator: ...
    def __next__(self) -> Document: ...
    def instances(self, class_: ModelClass, /) -> InstanceIterator:
        """The same documents as instances of a model. Both iterators consume the same rows."""
    def close(self) -> None:
        """End the run of a live iterator."""

@final
class InstanceIterator:
    """An iterator over instances of a model."""

    def __iter__(self) -> InstanceIterator: ...
    def __next__(self) -> Any: ...
    def close(self) -> None:
        """End the run of a live iterator."""

@final
class AsyncIterator(Generic[_T]):
    """The items of an asynchronous generator; raises RuntimeError after the interruption is set."""

    def __new__(cls, generator: AsyncGenerator[_T | None], interruption: Interruption) -> Self: ...
    def __aiter__(self) -> AsyncIterator[_T]: ...
    def __anext__(self) -> Coroutine[Any, Any, _T]: ...
    def aclose(self) -> Coroutine[Any, Any, None]:
        """End the iteration. The coroutine does not wait."""

@final
class Interruption:
    """The reason for which an iteration cannot continue; unset until the interruption."""

    def __new__(cls) -> Self: ...
    def set(self, reason: str) -> None:
        """Set the reason; later calls have no effect."""
    def check(self) -> None:
        """Raise RuntimeError with the reason if it is set."""

@final
class BatchReader:
    """RecordBatches of a live read, all of one schema."""

    def __iter__(self) -> BatchReader: ...
    def __next__(self) -> RecordBatch: ...
    def next_async(self) -> Operation[RecordBatch | None]: ...
    def schema_async(self) -> Operation[Schema]: ...
    @property
    def schema(self) -> Schema: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Move the reader into the stream; a second call raises RuntimeError."""
    def close(self) -> None: ...
    def report(self) -> dict[str, Any]:
        """The report of `ResultData.report` for the rows so far; also after the reader moved into a C stream."""

@final
class RecordBatch:
    """Rows of one schema."""

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
        """The schema of any object with `__arrow_c_schema__`."""
    def _select(self, names: list[str]) -> Schema:
        """The fields with these names, in their order."""
    def _type_at(self, path: list[str]) -> tuple[str, str | None] | None:
        """The Arrow type of the field at a path of names, and the name of its extension or of its stored type; None without
        such a field.
        """
    @staticmethod
    def _from_bytes(data: bytes) -> Schema:
        """The schema of the bytes that pickle keeps."""
    def __reduce__(self) -> tuple[Callable[[bytes], Schema], tuple[bytes]]:
        """The function and the bytes with which pickle makes the schema again."""
    @property
    def names(self) -> list[str]: ...
    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __repr__(self) -> str:
        """One line per field: name, type, extension."""

@final
class NativeTableOptions:
    """The options of tables: the schema, the policy for values that do not fit it, and the representation of types."""

    def __new__(
        cls,
        *,
        on_conflict: str,
        types: str,
        objectid: str | None,
        uuid: str | None,
        decimal: str | None,
        mixed: str | None,
        strings: str | None,
        flatten: bool,
        codec: Codec,
    ) -> NativeTableOptions: ...
    def with_schema(self, schema: Schema | Mapping[str, Any]) -> NativeTableOptions:
        """The same options with a schema: one of Arrow's, or a mapping of names to types."""
    def with_inferred_schema(self, schema: Schema | Mapping[str, Any]) -> NativeTableOptions:
        """The same options with a schema that was inferred from documents: keys that it does not name are conflicts."""
    def with_empty_columns(self, names: list[str]) -> NativeTableOptions:
        """The same options; an inferred table of a result without documents has these columns."""
    def with_views(self) -> NativeTableOptions:
        """The same options, with views as the layout of text in inferred tables, unless another layout is set: as in polars."""
    def with_exact(self) -> NativeTableOptions:
        """The same options with exact types, unless a switch chooses the storage of one type. Binaries of subtype 3 stay
        binaries.
        """
    @property
    def schema(self) -> Schema | None:
        """The schema of tables, if the caller set one."""
    @property
    def keys(self) -> list[str] | None:
        """The top-level keys that tables are made of. None if they may be any: without a schema, with an inferred one, and under
        "rescue"."""

# ---- writes/: Python values and Arrow data as statements of write commands -------------------------------------------

@final
class ArrowSource:
    """A table that is read once, batch by batch: an object with `__arrow_c_stream__` or `__arrow_c_array__`."""

    def __new__(cls, object: object) -> Self: ...
    @property
    def schema(self) -> Schema: ...
    def next_batch(self) -> RecordBatch | None:
        """The next batch; None at the end. It may take long, so an event loop calls it on another thread."""
    def close(self) -> None:
        """Release the stream, as soon as no thread takes a batch of it."""
    def plain_leaves(self, path: list[str], form: NativeTableOptions) -> list[tuple[list[str], str]]:
        """The columns at and below `path` whose type may have been lost on the way, with their kinds: "text", "binary" or
        "date". Others, and those whose type the table or the schema of `form` records, are left out.
        """
    def struct_names(self, path: list[str]) -> list[str] | None:
        """The names of the struct at `path`, in their order; None for another column."""

@final
class ArrowWriter:
    """A write of Arrow data in progress. It ends when it is dropped; `stop` ends it between two commands."""

    def feed(self, batch: RecordBatch) -> Operation[bool]:
        """Hand a batch over once the one before it is encoded; the result is False when the write has ended."""
    def finish(self) -> Operation[None]:
        """Wait for the end of the write, after the last batch."""
    def stop(self) -> Operation[None]:
        """Send no more commands, and wait for the replies to those in flight."""
    @property
    def progress(self) -> tuple[int, int]:
        """Acknowledged rows, and bytes of their commands."""
    def counts(self) -> dict[str, Any]:
        """The counts so far; failed rows and write concern errors as BSON documents, one after the other."""

@final
class WriteCommand:
    """A write command that is ready to be sent, once."""

    @property
    def kind(self) -> str:
        """insert, update or delete."""
    @property
    def retryable(self) -> bool:
        """Each statement changes one document at most, so that the command may be sent twice."""
    def __len__(self) -> int:
        """The number of statements."""
    def place(self, index: int) -> int:
        """The place among the caller's statements of the one at `index` of the command."""

@final
class InsertEncoder:
    """Takes documents from an iterator while the commands before them are sent."""

    def __new__(
        cls,
        documents: Iterable[Any],
        *,
        heads: tuple[bytes, bytes],
        max_statements: int,
        options: CodecOptions[Any],
        levels: int,
        ids: list[Any],
        encode_other: Callable[[Any, int], bytes],
    ) -> Self:
        """`heads`: the elements before the statements, for all commands but the last, and for the last. `ids` gets the `_id`
        of each dict. `encode_other` encodes a document at a place that is not encoded here, and adds its `_id`.
        """
    def next_command(self) -> tuple[WriteCommand, list[Any]] | None:
        """The next command and its documents; None after the last one."""

def encode_dict(document: object, options: CodecOptions[Any], levels: int) -> bytes | None:
    """A dict as BSON; None for one that `bson.encode` must encode or refuse. `levels`: what it may have."""

def encode_requests(
    requests: list[Any],
    *,
    ordered: bool,
    heads: tuple[tuple[bytes, bytes], tuple[bytes, bytes], tuple[bytes, bytes]],
    max_statements: int,
    options: CodecOptions[Any],
    levels: tuple[int, int],
    encode_other: Callable[[Any, int], bytes],
) -> list[WriteCommand]:
    """The commands of `requests`, in the order in which they are sent. `heads` has those of inserts, updates and deletes,
    which are sent in this order in an unordered bulk. `levels` are those of filters and of documents.
    """

def encode_arrow(
    stream: Any,
    operation: str = "insert",
    *,
    on: Sequence[Sequence[str]] | None = None,
    nulls: str = "keep",
    nested: str = "merge",
    upsert: bool = False,
    many: bool = False,
    make_ids: bool = False,
    on_conflict: str = "error",
    round_dates: bool = False,
    round_decimals: bool = False,
    unflatten: bool = False,
    form: NativeTableOptions | None = None,
) -> bytes:
    """Encode the rows of any object with `__arrow_c_stream__` or `__arrow_c_array__`: documents, or statements of a write
    command. Columns that the schema of `form` names have its types.
    """

# ---- client/: clients, sessions and settings -------------------------------------------------------------------------

def check_names(database: str, collection: str | None = None) -> None:
    """Refuse a name of a database, or of a collection in it, that no server accepts."""

@final
class Client:
    """A client of the driver. It connects on first use, and can be used from any thread and after a fork."""

    def __new__(cls, uri: str) -> Self: ...
    def reveal_uri(self) -> str:
        """The connection string with its credentials: a call, as serialisers that walk over attributes would find a
        property.
        """
    @property
    def default_database(self) -> str | None: ...
    @property
    def summary(self) -> str:
        """Hosts and replica set, for repr; no credentials."""
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
        `_id` order and continues after its last row if its cursor is lost.
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
    def read_ranges(
        self,
        database: str,
        collection: str,
        queries: Sequence[tuple[bytes, bytes]],
        *,
        pipelines: bool,
        selection: bytes,
        timeout: float | None,
        eager: bool,
        resume: bool,
        parallel: int,
        ordered: bool,
        codec: Codec,
    ) -> Reader:
        """Start queries whose rows are one result, on `parallel` cursors at once. `queries`: a filter, or {"pipeline": [...]} if
        `pipelines`, and options, for each. `selection` as for `find`, and {snapshot?: {time, window?}}: the point in time that
        all of them read at. `ordered`: rows come in the order of the queries; else as they arrive.
        """
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
        """Run a command; the result is the reply as BSON. With `retry`, for commands that read, it is retried like the
        driver's reads.
        """
    def write(
        self, database: str, command: bytes, *, session: Session | None, retry: bool, timeout: float | None
    ) -> Operation[bytes]:
        """Run a command that writes, with the driver's retry if `retry`; the result is the reply as BSON."""
    def write_statements(
        self,
        database: str,
        collection: str,
        command: WriteCommand,
        *,
        session: Session | None,
        retry: bool,
        timeout: float | None,
    ) -> Operation[bytes]:
        """As `write`, for a command that was encoded for this one call."""
    def write_arrow(
        self,
        database: str,
        collection: str,
        source: ArrowSource,
        options: dict[str, Any],
        *,
        types: NativeTableOptions,
        session: Session | None,
        timeout: float | None,
    ) -> ArrowWriter:
        """Start a write of the batches of `source`, which are fed to it. `options`: those of `ArrowWriteOptions.native`."""
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
        """The result is BSON {"values": [...]}."""
    def list_database_names(
        self, filter: bytes, *, session: Session | None, timeout: float | None
    ) -> Operation[list[str]]: ...
    def list_collection_names(
        self, database: str, filter: bytes, *, session: Session | None, timeout: float | None
    ) -> Operation[list[str]]: ...
    def start_session(self, options: bytes) -> Operation[Session]:
        """`options`: BSON {causalConsistency?: bool, snapshot?: bool}."""
    def close(self) -> Operation[None]:
        """Cancel operations, kill open cursors, close connections."""

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

def configure(
    threads: int | None,
    io_threads: int | None,
    prefetch_bytes: int | None,
    max_result_bytes: int | None = None,
    slow_seconds: float | None = None,
    refresh_seconds: float | None = None,
) -> None:
    """Set the settings that are not None. `refresh_seconds`, the interval at which sessions of slow readers are refreshed,
    is for tests. Numbers of threads can be set before first use; later they raise ValueError. `max_result_bytes=0` and
    infinite `slow_seconds` are no limit.
    """

def configuration() -> dict[str, int | float]:
    """The present settings."""

def runs() -> int:
    """Number of reads that run or still clean up; for tests."""

def shutdown(timeout: float) -> None:
    """Close open cursors within `timeout` seconds, and refuse new ones. Called by `atexit`."""
