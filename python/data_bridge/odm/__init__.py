"""Models: documents with declared fields, read lazily from the rows that a query decoded.

>>> from data_bridge import odm
>>> class User(odm.Document):
...     name: str
...     age: int
>>> User.age > 25
Expression({'age': {'$gt': 25}})

`data_bridge.Document` is another thing: the untyped view of one document, which raw queries give.
"""

from . import operators
from .async_document import AsyncDocument
from .async_model_query import AsyncModelQuery
from .binding import init
from .bulk_writer import AsyncBulkWriter, BulkWriter
from .copies import detach
from .document import Document
from .errors import (
    DocumentNotFound,
    NotFetched,
    NotInitialized,
    PartlyRead,
    RevisionConflict,
    UnsavedChanges,
    ValidationError,
)
from .expressions import Expression, Sort, path
from .fields import Field
from .hooks import Event, after_event, before_event
from .link import BackLink, Link
from .model import EmbeddedDocument
from .model_query import ModelQuery
from .trust import trusted

__all__ = [
    "AsyncBulkWriter",
    "AsyncDocument",
    "AsyncModelQuery",
    "BackLink",
    "BulkWriter",
    "Document",
    "DocumentNotFound",
    "EmbeddedDocument",
    "Event",
    "Expression",
    "Field",
    "Link",
    "ModelQuery",
    "NotFetched",
    "NotInitialized",
    "PartlyRead",
    "RevisionConflict",
    "Sort",
    "UnsavedChanges",
    "ValidationError",
    "after_event",
    "before_event",
    "detach",
    "init",
    "operators",
    "path",
    "trusted",
]
