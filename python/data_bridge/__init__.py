"""MongoDB results as Apache Arrow: decoded in parallel in Rust, nothing lost, documents built only when touched.

>>> from data_bridge import MongoClient
>>> orders = MongoClient("mongodb://localhost:27017").shop.orders    # nothing is connected yet
>>> query = orders.find({"total": {"$gt": 25}}, sort=[("total", -1)])   # nothing has run
>>> query.to_polars()                                                # doctest: +SKIP
"""

from ._core import Document, ListView, RecordBatch, Schema, __version__
from .async_client import AsyncCollection, AsyncDatabase, AsyncMongoClient
from .async_query import AsyncQuery
from .bson_source import read_bson
from .client import Collection, Database, MongoClient
from .configuration import config
from .errors import (
    ConnectionFailure,
    DataBridgeError,
    DecodeError,
    InvalidQuery,
    OperationFailure,
    SchemaConflict,
    ServerTimeout,
)
from .query import Query
from .report import Report
from .result import Result, from_arrow
from .session import AsyncClientSession, ClientSession
from .stream import AsyncStream, Stream

__all__ = [
    "AsyncClientSession",
    "AsyncCollection",
    "AsyncDatabase",
    "AsyncMongoClient",
    "AsyncQuery",
    "AsyncStream",
    "ClientSession",
    "Collection",
    "ConnectionFailure",
    "DataBridgeError",
    "Database",
    "DecodeError",
    "Document",
    "InvalidQuery",
    "ListView",
    "MongoClient",
    "OperationFailure",
    "Query",
    "RecordBatch",
    "Report",
    "Result",
    "Schema",
    "SchemaConflict",
    "ServerTimeout",
    "Stream",
    "__version__",
    "config",
    "from_arrow",
    "read_bson",
]
