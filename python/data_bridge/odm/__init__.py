"""Models: documents with declared fields, read lazily from the rows that a query decoded.

>>> from data_bridge import odm
>>> class User(odm.Document):
...     name: str
...     age: int
>>> User.age > 25
Expression({'age': {'$gt': 25}})

`data_bridge.Document` is not a model: it is the untyped view of one document that raw queries return.
"""

from . import geo, operators
from .asynchronous.bulk_writer import AsyncBulkWriter
from .asynchronous.document import AsyncDocument
from .asynchronous.find_one import AsyncFindOne
from .asynchronous.query import AsyncModelQuery
from .asynchronous.view import AsyncView
from .converters.checks import ValidationInfo
from .converters.custom_types import register_type
from .converters.object_id import PydanticObjectId
from .errors import (
    DocumentNotFound,
    NotFetched,
    NotInitialized,
    PartlyRead,
    RevisionConflict,
    StillLinked,
    UnsavedChanges,
    ValidationError,
)
from .filters.expressions import Expression, Sort, path
from .filters.trust import trusted
from .initialization import init
from .models.copying import detach
from .models.delete_rules import OnDelete
from .models.field import Field
from .models.hooks import Event, after_event, before_event
from .models.link import BackLink, Link
from .models.model import EmbeddedDocument
from .models.time_series import Granularity, TimeSeriesConfig
from .models.validators import field_validator, model_validator
from .models.write_options import DeleteRules, WriteRules
from .synchronous.bulk_writer import BulkWriter
from .synchronous.document import Document
from .synchronous.query import ModelQuery
from .synchronous.view import View

__all__ = [
    "AsyncBulkWriter",
    "AsyncDocument",
    "AsyncFindOne",
    "AsyncModelQuery",
    "AsyncView",
    "BackLink",
    "BulkWriter",
    "DeleteRules",
    "Document",
    "DocumentNotFound",
    "EmbeddedDocument",
    "Event",
    "Expression",
    "Field",
    "Granularity",
    "Link",
    "ModelQuery",
    "NotFetched",
    "NotInitialized",
    "OnDelete",
    "PartlyRead",
    "PydanticObjectId",
    "RevisionConflict",
    "Sort",
    "StillLinked",
    "TimeSeriesConfig",
    "UnsavedChanges",
    "ValidationError",
    "ValidationInfo",
    "View",
    "WriteRules",
    "after_event",
    "before_event",
    "detach",
    "field_validator",
    "geo",
    "init",
    "model_validator",
    "operators",
    "path",
    "register_type",
    "trusted",
]
