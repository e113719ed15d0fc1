"""Converters of the values of one annotation: from stored values, from a user's values, and to stored values.

A converter is made once per annotation and class. The native module takes values of the types in `direct` as they are.
Other values pass through its `native` converter, if there is one, and through `load` if that gives no value. Both give
equal values; only `load` raises.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.timestamp import Timestamp

from ..._core import Document, ListView, NativeConverter
from ...commands import encode
from ..errors import Mismatch
from .custom_types import custom_type_of
from .object_fields import plain_object

CLASS_KEY = "_class_id"
"""The key that names the class of a document in a tree of models."""

# The bits of stored.rs.
NULL, STRING, INT32, INT64, DOUBLE, BOOLEAN, OBJECT_ID, DATE, BINARY = (1 << bit for bit in range(9))
DECIMAL128, TIMESTAMP = 1 << 10, 1 << 11

DIRECT: dict[type, int] = {
    str: STRING,
    int: INT32 | INT64,
    float: DOUBLE,
    bool: BOOLEAN,
    ObjectId: OBJECT_ID,
    dt.datetime: DATE,
    bytes: BINARY,
}
"""Types of values that need no conversion, by the annotation."""

AS_PYMONGO: dict[type, int] = {Int64: INT64, Decimal128: DECIMAL128, Timestamp: TIMESTAMP}
"""Types of values that are taken as PyMongo gives them, by the annotation."""


class Converter:
    """The base of all converters. Each method raises Mismatch for a value that does not fit."""

    name: str
    """The annotation, for messages."""
    direct: int = 0
    """Stored types that need no conversion."""
    keeps: bool = False
    """Values can be changed in place."""
    deep: bool = False
    """Values contain instances of models or links, which record their place in the document."""
    nullable: bool = False
    model: Any = None
    """The model of embedded documents; a path continues with its fields."""
    item: Converter | None = None
    """The converter of the items of a list or mapping."""
    keyed: bool = False
    """Items have keys instead of positions."""
    virtual: bool = False
    """Nothing is stored: a query finds the value."""
    custom: bool = False
    """A hook of the program converts the values."""
    annotation: Any = None
    """The annotation that the converter was made for."""
    free: bool = False
    """Any keys and items may be below: no field is declared."""
    links: Any = None
    """The converter of the links that the values are or contain."""
    target: Any = None
    """The model of the documents that a link leads to."""

    def is_cyclic(self, above: frozenset[Any] = frozenset()) -> bool:
        """Return whether a value may refer to objects that refer to it, as far as the annotation says.

        Parameters
        ----------
        above
            The models that contain the value.
        """
        return any(each.is_cyclic(above) for each in self.parts())

    def annotated(self, annotation: Any) -> Converter:
        """Record the annotation that the converter is made for; return the converter."""
        self.annotation = annotation
        return self

    def read_differs(self, above: frozenset[Any] = frozenset()) -> bool:
        """Return whether a read may give another value than the one that was written: times have milliseconds only.

        Parameters
        ----------
        above
            The models that contain the value.
        """
        return any(each.read_differs(above) for each in self.parts())

    def for_field(self, field: object) -> Converter:
        """Return the converter for a field, as its options may change the converter."""
        return self

    def attribute(self, name: str) -> tuple[str, Any] | None:
        """Return the stored key and the owner of the converter of a field below; None where it is not declared."""
        if self.model is not None:
            field = self.model.__odm__.fields.get(name)
            return None if field is None else (field.key, field)
        # As the server does, a name goes through a list to its items.
        return self.item.attribute(name) if self.item is not None and not self.keyed else None

    def below(self, step: int | str) -> Converter | None:
        """Return the converter of the value at a position or key; None where there can be no value."""
        return self.item if self.keyed == isinstance(step, str) else None

    def key(self, step: object) -> object:
        """Return the stored key of a key of this dict; any other step unchanged.

        Raises
        ------
        Mismatch
            For a key of another type.
        """
        return step

    def parts(self) -> Iterable[Converter]:
        """Return the converters that this one consists of."""
        return () if self.item is None else (self.item,)

    def keys_below(self) -> Mapping[str, Converter] | None:
        """Return the converters of the declared keys of a document; None for any other value."""
        return None

    def models(self) -> list[Any] | None:
        """Return the models of the items of a list; None where items may be any value."""
        if self.free:
            return None
        if self.model is not None:
            return [self.model]
        return [] if self.keyed else models_of(self.parts())

    def load(self, stored: object, place: object) -> Any:
        """Return the Python value. `place` is a document, or the pair of the container's place and a key."""
        raise NotImplementedError

    def native(self) -> NativeConverter | None:
        """Return the native converter, which gives the values of `load` for stored values of the expected types."""
        return None

    def within(self) -> NativeConverter:
        """Return the native converter of values within others; it calls `load` if there is no other."""
        return self.native() or NativeConverter.python(self.load, self.deep)

    def accept(self, value: object) -> Any:
        """Return the value of a user as the instance holds it."""
        raise NotImplementedError

    def dump(self, value: object) -> Any:
        """Return the value as it is stored. Check it again: lists and dicts may have been changed in place."""
        return self.accept(value)

    def operand(self, value: object) -> Any:
        """Return the value of a filter or update as it is stored."""
        return self.dump(self.accept(value))

    def unchecked(self) -> Converter:
        """Return the converter of the same values without constraints and validators."""
        return self

    def exact(self, value: object) -> bool:
        """Return whether a union tries this converter before others."""
        return False

    def fail(self, value: object) -> Mismatch:
        return Mismatch(self.name, value)


def root_and_path(place: Any) -> tuple[Any, list[int | str]]:
    """Return the document of a place, as `Converter.load` takes it, and the path from there."""
    path: list[int | str] = []
    while isinstance(place, tuple):
        place, step = place
        path.insert(0, step)
    return place, path


def models_of(converters: Iterable[Converter]) -> list[Any] | None:
    """Return the models of several converters, like `Converter.models`."""
    found = [each.models() for each in converters]
    return None if None in found else [model for models in found for model in models or ()]


def embedded_models(converter: Converter) -> Iterator[Any]:
    """Yield the models of embedded documents in the values of a converter, without those below them."""
    if converter.model is not None:
        yield converter.model
    for each in converter.parts():
        yield from embedded_models(each)


def linked_models(converter: Converter) -> Iterator[Any]:
    """Yield the models of the documents that the links in the values of a converter lead to."""
    if converter.target is not None:
        yield converter.target
    for each in converter.parts():
        yield from linked_models(each)


class NoneConverter(Converter):
    """None."""

    name = "None"
    direct = NULL
    nullable = True

    def load(self, stored: object, place: object) -> None:
        return self.accept(stored)

    def native(self) -> NativeConverter:
        return NativeConverter.scalar(NULL)

    def accept(self, value: object) -> None:
        if value is not None:
            raise self.fail(value)

    def exact(self, value: object) -> bool:
        return value is None


class ScalarConverter(Converter):
    """A type that BSON stores and PyMongo returns unchanged."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.name = kind.__name__
        self.direct = DIRECT.get(kind, 0)

    def load(self, stored: object, place: object) -> Any:
        kind = self.kind
        if isinstance(stored, kind) and (kind is not int or type(stored) is not bool):
            # Like the native module: only a field of Int64 has Int64 values.
            return int(stored) if type(stored) is Int64 and kind is int else stored
        # Shells write numbers as doubles, and other programs write 3 for 3.0. Accept exact conversions only.
        if kind is int and type(stored) is float and stored.is_integer():
            return int(stored)
        return self._float(stored)

    def native(self) -> NativeConverter | None:
        if self.direct:
            return NativeConverter.scalar(self.direct)
        types = AS_PYMONGO.get(self.kind)
        return None if types is None else NativeConverter.as_pymongo(types)

    def read_differs(self, above: frozenset[Any] = frozenset()) -> bool:
        return self.kind is dt.datetime

    def _float(self, value: object) -> float:
        if self.kind is float and isinstance(value, int) and type(value) is not bool:
            try:
                number = float(value)
            except OverflowError:
                raise self.fail(value) from None
            if number == value:
                return number
        raise self.fail(value)

    def accept(self, value: object) -> Any:
        kind = self.kind
        if isinstance(value, kind) and (kind is not int or type(value) is not bool):
            return value
        if kind is ObjectId and isinstance(value, str) and ObjectId.is_valid(value):
            return ObjectId(value)
        return self._float(value)

    def operand(self, value: object) -> Any:
        # An int field may be compared with 2.5: the server compares numbers of all types.
        if self.kind in (int, float) and isinstance(value, (int, float, Decimal128)) and type(value) is not bool:
            return value
        return super().operand(value)

    def exact(self, value: object) -> bool:
        return type(value) is self.kind or (type(value) is not bool and isinstance(value, self.kind))


class AnyConverter(Converter):
    """Any: the value that PyMongo returns; dicts and lists, which may be changed in place."""

    name = "Any"
    nullable = True
    free = True
    keeps = True
    # Not int64: Int64 is more than its value.
    direct = NULL | STRING | INT32 | DOUBLE | BOOLEAN | OBJECT_ID | DATE | BINARY

    def is_cyclic(self, above: frozenset[Any] = frozenset()) -> bool:
        return True

    def read_differs(self, above: frozenset[Any] = frozenset()) -> bool:
        return True

    def load(self, stored: object, place: object) -> Any:
        return plain(stored)

    def native(self) -> NativeConverter:
        return NativeConverter.plain()

    def accept(self, value: object) -> Any:
        return value

    def dump(self, value: object) -> Any:
        if isinstance(value, (Mapping, list, tuple)):
            # Check the depth without recursion first: the next step recurses.
            encode.check_depth(value, "value", encode.SERVER_DEPTH)
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
    return f"{field} ({link.name}) is not stored: filters and updates cannot use it"


def plain(stored: object) -> Any:
    """Return a view as dicts and lists."""
    if isinstance(stored, Document):
        return stored.to_dict()
    return stored.to_list() if isinstance(stored, ListView) else stored


def decimal128(value: decimal.Decimal) -> Decimal128:
    """Return a Decimal as it is stored."""
    try:
        return Decimal128(value)
    except decimal.DecimalException:
        raise Mismatch("a Decimal of at most 34 digits", value) from None


_COEFFICIENT_BITS = (1 << 113) - 1
_MAX_COEFFICIENT = 10**34 - 1


def to_decimal(stored: Decimal128) -> decimal.Decimal:
    """Return a stored value as a Decimal. A coefficient of more than 34 digits is 0, as BSON's specification says."""
    bits = int.from_bytes(stored.bid, "little")
    # PyMongo before 4.20 rounds such a coefficient, or raises. Two set bits behind the sign mean another layout.
    if bits >> 125 & 3 != 3 and bits & _COEFFICIENT_BITS > _MAX_COEFFICIENT:
        return decimal.Decimal((bits >> 127, (0,), (bits >> 113 & 0x3FFF) - 6176))
    return stored.to_decimal()


def each_of(convert: Any, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    """Return the converted values of (key, value) pairs."""
    converted = []
    for key, value in pairs:
        try:
            converted.append(convert(value))
        except Mismatch as mismatch:
            raise mismatch.under(key) from None
    return converted


DUMPED: dict[type, Any] = {}
"""The conversions of Python types that are stored as other types."""

AS_STORED = frozenset({str, int, float, bool, bytes, type(None), dt.datetime, ObjectId, Int64})
"""Types of values that are stored as they are."""


def dump_any(value: object) -> Any:
    """Return a value without a declared type as it is stored: models as documents, enums as their values.

    The models are those of this package and of pydantic, and dataclasses.
    """
    if type(value) in AS_STORED:
        return value
    dump = getattr(type(value), "_dump", None)
    if dump is not None:
        return dump(value)
    if (custom := custom_type_of(type(value))) is not None:
        return dump_any(custom.to_bson(value))
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping) and not isinstance(getattr(value, "raw", None), bytes):
        keys = key_texts(value)
        return dict(zip(keys, each_of(dump_any, zip(keys, value.values(), strict=True)), strict=True))
    if isinstance(value, (list, tuple)):
        return each_of(dump_any, enumerate(value))
    if isinstance(value, (set, frozenset)):
        return sorted((dump_any(each) for each in value), key=repr)
    if isinstance(value, dt.datetime):
        return value
    convert = next((DUMPED[each] for each in type(value).__mro__ if each in DUMPED), None)
    if convert is not None:
        return convert(value)
    plain_value = plain_object(value)
    return value if plain_value is value else dump_any(plain_value)


def key_texts(given: Iterable[Any]) -> list[Any]:
    """Return the keys of a mapping without a declared type as they are stored: those of `dict[K, T]` as their text.

    Raises
    ------
    Mismatch
        For two keys with one text.
    """
    keys = [key if type(key) is str else _key_text(key) for key in given]
    if len(set(keys)) < len(keys):
        twice = next(key for position, key in enumerate(keys) if key in keys[:position])
        raise Mismatch("keys that are stored under different names", given, found=f"{twice!r} twice")
    return keys


def _key_text(key: object) -> Any:
    if isinstance(key, enum.Enum):
        key = key.value
    if type(key) in (int, uuid.UUID, ObjectId):
        return str(key)
    return key.isoformat() if type(key) is dt.date else key
