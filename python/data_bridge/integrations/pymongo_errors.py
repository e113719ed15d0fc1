"""The exceptions of this package as instances of PyMongo's classes, so that `except pymongo.errors.X` catches them.

Importing `pymongo.errors` loads the whole of PyMongo, which takes longer than the import of this package. A handler
that names PyMongo's classes has imported them. So an exception that is made once they are imported is an instance of a
class derived from both, and one that is made before is not.
"""

from __future__ import annotations

import sys
from typing import Any

import bson.errors

from .. import errors
from ..errors import DataBridgeError

_COUNTERPARTS: dict[type[DataBridgeError], str] = {
    errors.DataBridgeError: "PyMongoError",
    errors.ConnectionFailure: "ConnectionFailure",
    errors.OperationFailure: "OperationFailure",
    errors.WriteError: "WriteError",
    errors.DuplicateKeyError: "DuplicateKeyError",
    errors.WriteConcernError: "WriteConcernError",
    errors.WTimeoutError: "WTimeoutError",
    errors.InvalidQuery: "PyMongoError",
    errors.ServerTimeout: "NetworkTimeout",
    errors.ExecutionTimeout: "ExecutionTimeout",
    errors.DecodeError: "InvalidBSON",
    errors.BulkWriteError: "BulkWriteError",
    errors.InvalidOperation: "InvalidOperation",
    errors.CollectionInvalid: "CollectionInvalid",
    errors.InvalidDocument: "InvalidDocument",
    errors.DocumentTooLarge: "DocumentTooLarge",
}
"""PyMongo's class of each class here; the native module names another one where the error's code or cause decides."""

_TIMEOUTS = frozenset({"NetworkTimeout", "ServerSelectionTimeoutError", "ExecutionTimeout", "WTimeoutError"})

_variants: dict[tuple[type[DataBridgeError], str], type[DataBridgeError]] = {}


def install() -> None:
    """Make each new exception of this package an instance of PyMongo's class, too."""
    DataBridgeError.__new__ = _new  # type: ignore[method-assign, assignment]


def variant(kind: type[DataBridgeError], name: str) -> type[DataBridgeError]:
    """A subclass of `kind` and of PyMongo's class of that name; `kind` itself while PyMongo is not imported."""
    made = _variants.get((kind, name))
    if made is None:
        foreign = getattr(sys.modules.get("pymongo.errors"), name, None) or getattr(bson.errors, name, None)
        if not isinstance(foreign, type):
            return kind
        made = _variants[kind, name] = _derive(kind, foreign)
    return made


def _derive(kind: type[DataBridgeError], foreign: type) -> type[DataBridgeError]:
    def reduce(self: Any) -> tuple[Any, ...]:
        return kind, self.args, self.__dict__

    def labels(self: Any) -> set[str]:
        return set(getattr(self, "labels", ()))

    def timeout(self: Any) -> bool:
        return foreign.__name__ in _TIMEOUTS or getattr(self, "code", 0) == 50

    namespace: dict[str, Any] = {
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        # PyMongo's constructors take other arguments and add to the text.
        "__init__": lambda self, *args: Exception.__init__(self, *args),
        "__reduce__": reduce,
        "_error_labels": property(labels),
    }
    if foreign.__name__ != "BulkWriteError":
        namespace["timeout"] = property(timeout)
    if issubclass(foreign, bson.errors.InvalidDocument):
        namespace["_document"] = None  # not kept: documents may hold secrets
    # Attributes of PyMongo's class that the class of this package lacks.
    for name in ("code", "details"):
        if hasattr(foreign, name) and not hasattr(kind, name):
            namespace[name] = None
    return type(kind.__name__, (kind, foreign), namespace)


def _new(cls: type[DataBridgeError], *args: Any, **_: Any) -> DataBridgeError:
    name = _COUNTERPARTS.get(cls)
    return Exception.__new__(cls if name is None else variant(cls, name), *args)
