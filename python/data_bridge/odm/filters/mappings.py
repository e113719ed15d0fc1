"""Filters, updates and pipelines that the caller writes as mappings: fields as keys, and values as they are stored."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import InvalidQuery
from ..converters.converter import AS_STORED, dump_any, key_texts
from ..errors import Mismatch
from .trust import Trusted, check_code


class StoredKey:
    """The base of paths of fields, which may be keys of mappings."""

    __slots__ = ()

    _root: Any

    @property
    @abstractmethod
    def _key(self) -> str:
        """The dotted key in stored documents."""


class Condition:
    """The base of expressions, which may be values in mappings: `{"$match": User.age > 25}`."""

    __slots__ = ()

    document: Mapping[str, Any]


def stored(value: object) -> Any:
    """Return a deep copy with keys and values as they are stored: Enum, date, Decimal, models, fields, and so on.

    The values are not checked against the fields: a mapping is in the server's language.

    Raises
    ------
    InvalidQuery
        For a BackLink as a key, and for a key that a mapping has twice, as a field and as text.
    Mismatch
        For a value that cannot be stored, such as a Decimal of 40 digits, and for a Document, to which links refer.
    """
    if type(value) in AS_STORED:
        return value
    if isinstance(value, Mapping) and not isinstance(getattr(value, "raw", None), bytes):
        copy = {key: stored(below) for key, below in _stored_items(value)}
        return Trusted(copy) if isinstance(value, Trusted) else copy
    if isinstance(value, (list, tuple, set, frozenset)):
        return [stored(each) for each in value]
    if isinstance(value, Condition):
        return value.document
    info = getattr(type(value), "__odm__", None)
    if info is not None and info.is_collection:
        # A link to the document is stored, never the document.
        raise Mismatch("a Link or an _id", value)
    return _document_of(value, dump_any(value))


def _stored_items(value: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    keys = [key._key if isinstance(key, StoredKey) else key for key in value]
    if len(set(keys)) < len(keys):
        twice = next(key for position, key in enumerate(keys) if key in keys[:position])
        raise InvalidQuery(f"a mapping has the key {twice!r} twice: as a field and as text, or as two fields")
    return zip(key_texts(keys), value.values(), strict=True)


def _document_of(value: object, document: Any) -> Any:
    """Return the document of a model, whose undeclared keys may come from outside: it has no operators.

    Raises
    ------
    InvalidQuery
        For operators that run code.
    Mismatch
        For other operators.
    """
    if isinstance(document, dict) and not isinstance(value, Mapping):
        check_code(document, type(value).__name__)
        if any(isinstance(key, str) and key.startswith("$") for key in document):
            raise Mismatch("a model without keys that are operators", value)
    return document


def roots_in(value: object) -> Iterator[Any]:
    """Yield the fields of a model that the keys of a mapping start with. Its depth was checked."""
    rest = [value]
    while rest:
        current = rest.pop()
        if isinstance(current, Mapping) and not isinstance(getattr(current, "raw", None), bytes):
            yield from (key._root for key in current if isinstance(key, StoredKey))
            rest.extend(current.values())
        elif isinstance(current, (list, tuple)):
            rest.extend(current)
