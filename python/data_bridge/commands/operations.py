"""The arguments of `bulk_write` and `create_indexes`: classes with PyMongo's names, arguments and attributes.

PyMongo's own objects work too. They are recognised by the names of their classes, so PyMongo is not imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._typing import Collation, Hint, Sort, Update
from . import names
from .options import collation_of, pairs


class ReturnDocument:
    """The state of a document that `find_one_and_update` and `find_one_and_replace` return."""

    BEFORE = False
    """The document as it was."""
    AFTER = True
    """The document as it is now."""


class _Operation:
    __slots__: tuple[str, ...] = ()

    def __repr__(self) -> str:
        values = ", ".join(repr(getattr(self, name)) for name in self.__slots__)
        return f"{type(self).__name__}({values})"

    def __eq__(self, other: object) -> bool:
        if type(other) is type(self):
            return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]


class InsertOne(_Operation):
    """Insert a document."""

    __slots__ = ("_doc",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._doc = document


class DeleteOne(_Operation):
    """Delete the first document that matches."""

    __slots__ = ("_collation", "_filter", "_hint")

    def __init__(self, filter: Mapping[str, Any], collation: Collation | None = None, hint: Hint | None = None) -> None:
        self._filter, self._collation, self._hint = filter, collation, hint


class DeleteMany(DeleteOne):
    """Delete all documents that match."""

    __slots__ = ()


class ReplaceOne(_Operation):
    """Replace the first document that matches."""

    __slots__ = ("_collation", "_doc", "_filter", "_hint", "_sort", "_upsert")

    def __init__(
        self,
        filter: Mapping[str, Any],
        replacement: Mapping[str, Any],
        upsert: bool | None = None,
        collation: Collation | None = None,
        hint: Hint | None = None,
        *,
        sort: Sort | None = None,
    ) -> None:
        self._filter, self._doc, self._upsert = filter, replacement, upsert
        self._collation, self._hint, self._sort = collation, hint, sort


class UpdateMany(_Operation):
    """Update all documents that match."""

    __slots__ = ("_array_filters", "_collation", "_doc", "_filter", "_hint", "_upsert")

    def __init__(
        self,
        filter: Mapping[str, Any],
        update: Update,
        upsert: bool | None = None,
        collation: Collation | None = None,
        array_filters: list[Mapping[str, Any]] | None = None,
        hint: Hint | None = None,
    ) -> None:
        self._filter, self._doc, self._upsert = filter, update, upsert
        self._collation, self._array_filters, self._hint = collation, array_filters, hint


class UpdateOne(UpdateMany):
    """Update the first document that matches."""

    __slots__ = ("_sort",)

    def __init__(
        self,
        filter: Mapping[str, Any],
        update: Update,
        upsert: bool | None = None,
        collation: Collation | None = None,
        array_filters: list[Mapping[str, Any]] | None = None,
        hint: Hint | None = None,
        *,
        sort: Sort | None = None,
    ) -> None:
        super().__init__(filter, update, upsert, collation, array_filters, hint)
        self._sort = sort


class IndexModel:
    """An index to create.

    Parameters
    ----------
    keys
        A key, a mapping, or a list of keys and (key, direction) pairs.
    kwargs
        The server's options: name, unique, sparse, expireAfterSeconds, partialFilterExpression, collation, ...
    """

    __slots__ = ("_document",)

    def __init__(self, keys: Sort, **kwargs: Any) -> None:
        key = index_keys(keys)
        if "bucket_size" in kwargs:
            kwargs["bucketSize"] = kwargs.pop("bucket_size")
        if (collation := kwargs.pop("collation", None)) is not None:
            kwargs["collation"] = collation_of(collation)
        if kwargs.get("name") is None:
            kwargs["name"] = index_name(key)
        names.check_index(kwargs["name"])
        self._document: dict[str, Any] = {**kwargs, "key": key}

    @property
    def document(self) -> dict[str, Any]:
        """The index as the server takes it."""
        return self._document

    def __repr__(self) -> str:
        return f"IndexModel({self._document!r})"


def index_keys(keys: Sort) -> dict[str, Any]:
    """The keys of an index as a document.

    Raises
    ------
    TypeError, ValueError
        For keys that no index can have.
    """
    document = pairs("keys", keys)
    if not document:
        raise ValueError("an index must have a key")
    for key, value in document.items():
        if not isinstance(value, (str, int, Mapping)):
            raise TypeError(f"the key {key!r} of an index must have 1, -1 or a kind of index, got {value!r}")
    return document


def index_name(keys: Mapping[str, Any]) -> str:
    """The name that an index gets when it is given none."""
    return "_".join(f"{key}_{value}" for key, value in keys.items())


def documents_of(indexes: object) -> list[Mapping[str, Any]]:
    """Index models as the server takes them.

    Raises
    ------
    TypeError
        For anything that is no list of index models.
    """
    if isinstance(indexes, (str, bytes, Mapping)) or not isinstance(indexes, Iterable):
        raise TypeError(f"indexes must be a list of IndexModel, got {type(indexes).__name__}")
    documents = []
    for index in indexes:
        document = getattr(index, "document", None)
        if not isinstance(document, Mapping):
            raise TypeError(f"indexes must be a list of IndexModel, got {type(index).__name__} in it")
        documents.append(document)
    return documents


def information(indexes: list[dict[str, Any]]) -> dict[str, Any]:
    """Indexes by name, their keys as a list of pairs, as PyMongo's `index_information` gives them."""
    result = {}
    for index in indexes:
        rest = {key: value for key, value in index.items() if key not in ("name", "ns")}
        result[index["name"]] = {**rest, "key": list(index["key"].items())}
    return result
