"""The errors this package raises, beside Python's own `TypeError`, `ValueError` and `KeyError`.

`DataBridgeError` is the base of all of them:

- `ConnectionFailure`: no usable connection: refused, lost, no server selected, authentication failed.
- `OperationFailure`: the server answered with an error; `code`, `code_name`, `labels` and `details` are the server's.
  - `WriteError`: it refused a write. `DuplicateKeyError`: because a unique index has the key already.
  - `WriteConcernError`: a write was done, but its write concern not met. `WTimeoutError`: not in time.
  - `BulkWriteError`: some of many writes failed; `details` says which, and what the others did.
- `ServerTimeout`: a deadline passed while waiting for the server.
- `DecodeError`: malformed BSON; `document`, `id`, `path` and `offset` say where.
- `SchemaConflict`: a value does not fit the schema; `document`, `id`, `path`, `expected` and `found` say where and why.
- `ResultTooLarge`: an eager read came to more than `config(max_result_bytes=)`; `bytes`, `limit`.
- `InvalidQuery`: a filter, pipeline, document, option or name that cannot be sent.
- `InvalidOperation`: a call that makes no sense here: no operations to execute, a result that nobody acknowledged.
"""

from ._core import (
    BulkWriteError,
    ConnectionFailure,
    DataBridgeError,
    DecodeError,
    DuplicateKeyError,
    InvalidOperation,
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
    "BulkWriteError",
    "ConnectionFailure",
    "DataBridgeError",
    "DecodeError",
    "DuplicateKeyError",
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
