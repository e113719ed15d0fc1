"""MongoDB results as Apache Arrow: decoded in parallel in Rust, nothing lost, documents built only when touched.

>>> from data_bridge import MongoClient
>>> orders = MongoClient("mongodb://localhost:27017").shop.orders    # nothing is connected yet
>>> query = orders.find({"total": {"$gt": 25}}, sort=[("total", -1)])   # nothing has run
>>> query.to_polars()                                                # doctest: +SKIP
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from ._core import Document, ListView, RecordBatch, Schema, __version__, set_event_callbacks
from .asynchronous.client import AsyncMongoClient
from .asynchronous.collection import AsyncCollection
from .asynchronous.database import AsyncDatabase
from .asynchronous.session import AsyncClientSession
from .commands.operations import (
    DeleteMany,
    DeleteOne,
    IndexModel,
    InsertOne,
    ReplaceOne,
    ReturnDocument,
    UpdateMany,
    UpdateOne,
)
from .commands.write_results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult
from .config import config
from .errors import (
    ArrowWriteError,
    BulkWriteError,
    CollectionInvalid,
    ConnectionFailure,
    ConversionError,
    DataBridgeError,
    DecodeError,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidDocument,
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
from .integrations import pymongo_errors
from .integrations.pyarrow_registration import register_pyarrow_types
from .integrations.pymongo_handles import from_pymongo
from .integrations.queries import from_query
from .monitoring import logs
from .monitoring.listeners import (
    Listener,
    OperationFailed,
    OperationStarted,
    OperationSucceeded,
    add_listener,
    remove_listener,
)
from .query.arrow_write_result import ArrowWriteResult
from .query.async_query import AsyncQuery
from .query.bson_source import read_bson
from .query.id_values import object_ids, uuids
from .query.live_models import to_model
from .query.plain_json import json_default
from .query.query import Query
from .query.report import Report
from .query.result import Result, from_arrow
from .query.stream import AsyncStream, Stream
from .synchronous.client import MongoClient
from .synchronous.collection import Collection
from .synchronous.database import Database
from .synchronous.session import ClientSession

if TYPE_CHECKING:
    from . import odm
    from .query.partition import Partition, Partitions
    from .query.task_writer import TaskWriter

set_event_callbacks(logs.wanted, logs.record)
pymongo_errors.install()


def _document_html(self: Document) -> str:
    from .query import html  # a tenth of the package's import time, and needed by notebooks only

    return html.document(self)


# Notebooks look for it on the class, which is native.
Document._repr_html_ = _document_html  # type: ignore[method-assign]
Document.to_model = to_model  # type: ignore[method-assign]


_ON_FIRST_USE = {
    "Partition": ".query.partition",
    "Partitions": ".query.partition",
    "TaskWriter": ".query.task_writer",
}


def __getattr__(name: str) -> ModuleType | type:
    # Models, partitions and task writers are imported on first use: raw queries do not need them.
    if name == "odm":
        return import_module(".odm", __name__)
    if name in _ON_FIRST_USE:
        found: type = getattr(import_module(_ON_FIRST_USE[name], __name__), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ArrowWriteError",
    "ArrowWriteResult",
    "AsyncClientSession",
    "AsyncCollection",
    "AsyncDatabase",
    "AsyncMongoClient",
    "AsyncQuery",
    "AsyncStream",
    "BulkWriteError",
    "BulkWriteResult",
    "ClientSession",
    "Collection",
    "CollectionInvalid",
    "ConnectionFailure",
    "ConversionError",
    "DataBridgeError",
    "Database",
    "DecodeError",
    "DeleteMany",
    "DeleteOne",
    "DeleteResult",
    "Document",
    "DocumentTooLarge",
    "DuplicateKeyError",
    "ExecutionTimeout",
    "IndexModel",
    "InsertManyResult",
    "InsertOne",
    "InsertOneResult",
    "InvalidDocument",
    "InvalidOperation",
    "InvalidQuery",
    "ListView",
    "Listener",
    "MongoClient",
    "OperationFailed",
    "OperationFailure",
    "OperationStarted",
    "OperationSucceeded",
    "Partition",
    "Partitions",
    "Query",
    "RecordBatch",
    "ReplaceOne",
    "Report",
    "Result",
    "ResultTooLarge",
    "ReturnDocument",
    "Schema",
    "SchemaConflict",
    "ServerTimeout",
    "Stream",
    "TaskWriter",
    "UpdateMany",
    "UpdateOne",
    "UpdateResult",
    "WTimeoutError",
    "WriteConcernError",
    "WriteError",
    "__version__",
    "add_listener",
    "config",
    "from_arrow",
    "from_pymongo",
    "from_query",
    "json_default",
    "object_ids",
    "odm",
    "read_bson",
    "register_pyarrow_types",
    "remove_listener",
    "uuids",
]
