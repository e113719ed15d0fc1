"""Types of the arguments that several calls take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import EllipsisType
from typing import Any, Protocol

Filter = Mapping[str, Any]
"""A query document of MongoDB."""
Sort = str | Mapping[str, Any] | Sequence[Any]
"""A key, a mapping, or a list of keys and (key, direction) pairs."""
Hint = Sort
"""The name of an index, or its keys as for a sort."""
Projection = Mapping[str, Any] | Iterable[str]
"""A projection document, or the keys to return."""
Update = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Update operators, or the stages of a pipeline."""
Pipeline = Sequence[Mapping[str, Any]]
"""The stages of an aggregation pipeline."""
Timeout = float | None | EllipsisType
"""Seconds; None for no limit; `...` for the default of the collection, database or client."""
Progress = bool | Callable[[int, int], Any] | None
"""True for a bar of tqdm, or a callable of (documents, bytes) so far."""


class HasDocument(Protocol):
    """An object of PyMongo's that holds its value as a document: Collation, WriteConcern, a read preference."""

    @property
    def document(self) -> Mapping[str, Any]:
        """The document, as the server takes it."""


class HasLevel(Protocol):
    """PyMongo's ReadConcern."""

    @property
    def level(self) -> str | None:
        """The name of the level; None for the server's default."""


class HasArrowSchema(Protocol):
    """An object with an Arrow schema, such as a pyarrow.Schema."""

    def __arrow_c_schema__(self) -> object:
        """Return the schema as a PyCapsule."""


class HasTypeMap(Protocol):
    """The schema of pymongoarrow."""

    @property
    def typemap(self) -> Mapping[str, Any]:
        """The names of fields and their types."""


TableSchema = Mapping[str, Any] | HasArrowSchema | HasTypeMap
"""A mapping of names to types, or an object with an Arrow schema."""
Collation = Mapping[str, Any] | HasDocument
ReadPreference = str | HasDocument
"""The name of a mode, or a read preference of PyMongo's."""
ReadConcern = str | HasLevel
"""The name of a level, or PyMongo's ReadConcern."""
WriteConcern = Mapping[str, Any] | HasDocument
"""A mapping such as {"w": 1}, or PyMongo's WriteConcern."""
