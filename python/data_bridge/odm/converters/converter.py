"""Converters of the values of one annotation: from stored values, from a user's values, and to stored values.

A converter is made once per annotation and class. The native module takes values of the types in `direct` as they are;
all others pass through `load`.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
from collections.abc import Iterable, Mapping
from typing import Any

from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId

from ..._core import Document, ListView
from ...commands import encode
from ..errors import Mismatch

MAX_STORED_DEPTH = 180
"""Levels of documents and lists the server stores."""

CLASS_KEY = "_class_id"
"""The key that names the class of a document in a tree of models."""

# As in field_slot.rs.
NULL, STRING, INT32, INT64, DOUBLE, BOOLEAN, OBJECT_ID, DATE, BINARY = (1 << bit for bit in range(9))

DIRECT: dict[type, int] = {
    str: STRING,
    int: INT32 | INT64,
    float: DOUBLE,
    bool: BOOLEAN,
    ObjectId: OBJECT_ID,
    dt.datetime: DATE,
    bytes: BINARY,
}


class Converter:
    """The base of all converters. Each method raises Mismatch for what does not fit."""

    name: str
    """The annotation, for messages."""
    direct: int = 0
    """Types on the wire that need no conversion."""
    keeps: bool = False
    """Values can be changed in place."""
    deep: bool = False
    """Values hold instances of models or links, which have to know where they are."""
    nullable: bool = False
    model: Any = None
    """The model of embedded documents, whose fields a path goes on with."""
    item: Converter | None = None
    """The converter of what a list or mapping holds."""
    keyed: bool = False
    """Items are found by key, not by position."""
    virtual: bool = False
    """Nothing is stored: the value is found by a query."""
    free: bool = False
    """Anything may be below: no declared fields."""
    links: Any = None
    """What a link refers to: see `links`."""

    def for_field(self, field: Any) -> Converter:
        """The converter within a field, whose options it may depend on."""
        return self

    def attribute(self, name: str) -> tuple[str, Any] | None:
        """Return the stored key and the owner of the converter of a field below; None where it is not declared."""
        if self.model is not None:
            field = self.model.__odm__.fields.get(name)
            return None if field is None else (field.key, field)
        # As the server does, a name goes through a list to its items.
        return self.item.attribute(name) if self.item is not None and not self.keyed else None

    def below(self, step: int | str) -> Converter | None:
        """The converter of what stands at a position or under a key; None where nothing can."""
        return self.item if self.keyed == isinstance(step, str) else None

    def parts(self) -> Iterable[Converter]:
        """The converters that this one is made of."""
        return () if self.item is None else (self.item,)

    def models(self) -> list[Any] | None:
        """The models that a list's items may be of; None where they may be anything."""
        if self.free:
            return None
        if self.model is not None:
            return [self.model]
        return self.item.models() if self.item is not None and not self.keyed else []

    def load(self, stored: Any, place: Any) -> Any:
        """The value for Python. `place` is a document, or a pair: the place of what holds the value, and its key."""
        raise NotImplementedError

    def accept(self, value: Any) -> Any:
        """What a user gives, as it is kept."""
        raise NotImplementedError

    def dump(self, value: Any) -> Any:
        """The value as it is stored; it is checked once more, as lists and dicts may have been changed in place."""
        return self.accept(value)

    def operand(self, value: Any) -> Any:
        """The value in a filter or update, as it is stored."""
        return self.dump(self.accept(value))

    def exact(self, value: Any) -> bool:
        """Whether a Union should take this converter for a value before it tries others."""
        return False

    def fail(self, value: Any) -> Mismatch:
        return Mismatch(self.name, value)


def models_of(converters: Iterable[Converter]) -> list[Any] | None:
    """As `Converter.models`, of several."""
    found = [each.models() for each in converters]
    return None if None in found else [model for models in found for model in models or ()]


class NoneConverter(Converter):
    """None."""

    name = "None"
    direct = NULL
    nullable = True

    def load(self, stored: Any, place: Any) -> None:
        return self.accept(stored)

    def accept(self, value: Any) -> None:
        if value is not None:
            raise self.fail(value)

    def exact(self, value: Any) -> bool:
        return value is None


class ScalarConverter(Converter):
    """A type that BSON stores and PyMongo gives as it is."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.name = kind.__name__
        self.direct = DIRECT.get(kind, 0)

    def load(self, stored: Any, place: Any) -> Any:
        kind = self.kind
        if isinstance(stored, kind) and (kind is not int or type(stored) is not bool):
            # As the native module gives an int field: an Int64 is asked for by name.
            return int(stored) if type(stored) is Int64 and kind is int else stored
        # Numbers written by a shell are doubles; other programs write 3 where 3.0 is meant. Only what is exact passes.
        if kind is int and type(stored) is float and stored.is_integer():
            return int(stored)
        return self._float(stored)

    def _float(self, value: Any) -> float:
        if self.kind is float and isinstance(value, int) and type(value) is not bool:
            try:
                number = float(value)
            except OverflowError:
                raise self.fail(value) from None
            if number == value:
                return number
        raise self.fail(value)

    def accept(self, value: Any) -> Any:
        kind = self.kind
        if isinstance(value, kind) and (kind is not int or type(value) is not bool):
            return value
        if kind is ObjectId and isinstance(value, str) and ObjectId.is_valid(value):
            return ObjectId(value)
        return self._float(value)

    def operand(self, value: Any) -> Any:
        # An int field may be compared with 2.5: the server compares numbers of all types.
        if self.kind in (int, float) and isinstance(value, (int, float, Decimal128)) and type(value) is not bool:
            return value
        return super().operand(value)

    def exact(self, value: Any) -> bool:
        return type(value) is self.kind or (type(value) is not bool and isinstance(value, self.kind))


class AnyConverter(Converter):
    """Any: what PyMongo gives; documents as dicts and lists as lists, which may be changed."""

    name = "Any"
    nullable = True
    free = True
    keeps = True
    # Not int64: Int64 is more than its value.
    direct = NULL | STRING | INT32 | DOUBLE | BOOLEAN | OBJECT_ID | DATE | BINARY

    def load(self, stored: Any, place: Any) -> Any:
        return plain(stored)

    def accept(self, value: Any) -> Any:
        return value

    def dump(self, value: Any) -> Any:
        if isinstance(value, (Mapping, list, tuple)):
            # Looked at without recursion, before it is walked with it.
            encode.check_depth(value, "value", MAX_STORED_DEPTH)
        return dump_any(value)


def in_linked(key: str, stored: str, link: Any) -> str:
    """Return the message for a key of a linked document."""
    target = link.target.__name__
    return (
        f"{key} is not stored: a {link.name} holds the _id of the {target} only, as {stored}. "
        f"Find the {target} documents first, then the documents that link to them by their ids"
    )


def not_stored(field: str, link: Any) -> str:
    """Return the message for a field for which nothing is stored."""
    return f"{field} ({link.name}) is not stored: nothing can be asked of it or set"


def plain(stored: Any) -> Any:
    """A view as dicts and lists."""
    if isinstance(stored, Document):
        return stored.to_dict()
    return stored.to_list() if isinstance(stored, ListView) else stored


def decimal128(value: decimal.Decimal) -> Decimal128:
    """A Decimal as it is stored."""
    try:
        return Decimal128(value)
    except decimal.DecimalException:
        raise Mismatch("a Decimal of at most 34 digits", value) from None


def each_of(convert: Any, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    """The values of (key, value) pairs converted."""
    converted = []
    for key, value in pairs:
        try:
            converted.append(convert(value))
        except Mismatch as mismatch:
            raise mismatch.under(key) from None
    return converted


def dump_any(value: Any) -> Any:
    """A value without a declared type as it is stored: models as documents, enums as their values."""
    dump = getattr(type(value), "_dump", None)
    if dump is not None:
        return dump(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping) and not isinstance(getattr(value, "raw", None), bytes):
        return dict(zip(value, each_of(dump_any, value.items()), strict=True))
    if isinstance(value, (list, tuple)):
        return each_of(dump_any, enumerate(value))
    if isinstance(value, (set, frozenset)):
        return sorted((dump_any(each) for each in value), key=repr)
    if isinstance(value, decimal.Decimal):
        return decimal128(value)
    if type(value) is dt.date:
        return dt.datetime.combine(value, dt.time())
    return value
