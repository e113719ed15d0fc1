"""Models: documents with declared fields, read lazily from the rows that a query decoded.

>>> from data_bridge import odm
>>> class User(odm.Document):
...     name: str
...     age: int
>>> User.age > 25
Expression({'age': {'$gt': 25}})

`data_bridge.Document` is not a model: it is the untyped view of one document that raw queries return.
"""

from . import operators
from .asynchronous.bulk_writer import AsyncBulkWriter
from .asynchronous.document import AsyncDocument
from .asynchronous.query import AsyncModelQuery
from .errors import (
    DocumentNotFound,
    NotFetched,
    NotInitialized,
    PartlyRead,
    RevisionConflict,
    UnsavedChanges,
    ValidationError,
)
from .filters.expressions import Expression, Sort, path
from .filters.trust import trusted
from .initialization import init
from .models.copying import detach
from .models.field import Field
from .models.hooks import Event, after_event, before_event
from .models.link import BackLink, Link
from .models.model import EmbeddedDocument
from .synchronous.bulk_writer import BulkWriter
from .synchronous.document import Document
from .synchronous.query import ModelQuery

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
