"""The errors this package raises, beside Python's own `TypeError`, `ValueError` and `KeyError`.

`DataBridgeError` is the base of all of them:

- `ConnectionFailure`: no usable connection: refused, lost, no server selected, authentication failed.
- `OperationFailure`: the server answered with an error; `code`, `code_name`, `labels` and `details` are the server's.
  - `WriteError`: it refused a write. `DuplicateKeyError`: because a unique index has the key already.
  - `WriteConcernError`: a write was done, but its write concern not met. `WTimeoutError`: not in time,
    which is a `ServerTimeout` as well.
  - `BulkWriteError`: some of many writes failed; `details` lists them, and the counts of the others.
  - `CollectionInvalid`: `create_collection` found a collection of this name.
  - `ArrowWriteError`: some rows of a table were not written; `write_result` has the counts and the rows.
  - `ExecutionTimeout`: it reached the `max_time_ms` of the operation (code 50), which is a `ServerTimeout` as well.
- `ServerTimeout`: a deadline passed while waiting for the server; `labels`, and if the server ended the operation its
  `code` (50), `code_name` and `details`.
- `DecodeError`: malformed BSON; `document`, `id`, `path` and `offset` say where.
- `SchemaConflict`: a value does not fit the schema; `document`, `id`, `path`, `expected` and `found` say where and why.
- `ResultTooLarge`: an eager read came to more than `config(max_result_bytes=)`; `bytes`, `limit`.
- `InvalidQuery`: a filter, pipeline, document, option or name that cannot be sent.
  - `InvalidDocument`: because it cannot be encoded as BSON. `DocumentTooLarge`: because it has more than 16 MiB.
- `ConversionError`: a document does not fit the class that `to_models` was given; `document`, `id`, `path` say where.
- `InvalidOperation`: a call that is not possible here: no operations to execute, counts of an unacknowledged write.

Once `pymongo.errors` is imported, an exception is also an instance of PyMongo's class of that kind: `except
pymongo.errors.DuplicateKeyError` catches it.
"""

from __future__ import annotations

from typing import Any

from ._core import (
    ConnectionFailure,
    DataBridgeError,
    DecodeError,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidDocument,
    InvalidQuery,
    OperationFailure,
    ResultTooLarge,
    SchemaConflict,
    ServerTimeout,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)

__all__ = [
    "ArrowWriteError",
    "BulkWriteError",
    "CollectionInvalid",
    "ConnectionFailure",
    "ConversionError",
    "DataBridgeError",
    "DecodeError",
    "DocumentTooLarge",
    "DuplicateKeyError",
    "ExecutionTimeout",
    "InvalidDocument",
    "InvalidOperation",
    "InvalidQuery",
    "OperationFailure",
    "ResultTooLarge",
    "SchemaConflict",
    "ServerTimeout",
    "WTimeoutError",
    "WriteConcernError",
    "WriteError",
]


class BulkWriteError(OperationFailure):
    """Some of many writes failed. `details` names them, and has the counts of the others."""

    __module__ = "data_bridge"


class CollectionInvalid(OperationFailure):
    """`create_collection` found a collection of this name."""

    __module__ = "data_bridge"


class ArrowWriteError(OperationFailure):
    """Some rows of a table were not written. `write_result` has the counts of the others, and the rows that failed."""

    __module__ = "data_bridge"

    write_result: Any = None


class InvalidOperation(DataBridgeError):
    """A call that is not possible in this state.

    Examples are a bulk write without operations, and the result of an unacknowledged write.
    """

    __module__ = "data_bridge"


class ConversionError(DataBridgeError, ValueError):
    """A document does not fit the class that `to_models` was given. Its `__cause__` is the library's error.

    Attributes
    ----------
    document
        The position of the document in the result.
    id
        Its `_id`; None when it was not received.
    path
        The path of the value, as the library reports it: keys, and positions in lists.
    model
        The name of the class.
    """

    def __init__(self, text: str, model: str, document: int, id: Any = None, path: tuple[Any, ...] = ()) -> None:
        self.document = document
        self.id = id
        self.path = path
        self.model = model
        self._text = text
        place = ".".join(str(step) for step in path)
        where = f"document {document}" + ("" if id is None else f", with _id {id!r}")
        super().__init__(f"{model}: {place + ': ' if place else ''}{text}, in {where}")

    def moved(self, documents: int) -> ConversionError:
        """Return the same error for a part of a result that `documents` others precede."""
        return type(self)(self._text, self.model, self.document + documents, self.id, self.path)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._text, self.model, self.document, self.id, self.path)
