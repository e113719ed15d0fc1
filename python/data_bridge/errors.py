"""The errors this package raises, beside Python's own `TypeError`, `ValueError` and `KeyError`.

`DataBridgeError` is the base of all of them:

- `ConnectionFailure`: no usable connection: refused, lost, no server selected, authentication failed.
- `OperationFailure`: the server answered with an error; `code`, `code_name` and `labels` are the server's.
- `ServerTimeout`: a deadline passed while waiting for the server.
- `DecodeError`: malformed BSON; `document`, `id`, `path` and `offset` say where.
- `SchemaConflict`: a value does not fit the schema; `document`, `id`, `path`, `expected` and `found` say where and why.
- `InvalidQuery`: a filter, pipeline, option or name that cannot be sent.
"""

from ._core import (
    ConnectionFailure,
    DataBridgeError,
    DecodeError,
    InvalidQuery,
    OperationFailure,
    SchemaConflict,
    ServerTimeout,
)

__all__ = [
    "ConnectionFailure",
    "DataBridgeError",
    "DecodeError",
    "InvalidQuery",
    "OperationFailure",
    "SchemaConflict",
    "ServerTimeout",
]
