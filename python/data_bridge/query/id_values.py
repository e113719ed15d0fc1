"""Ids of a series as values for a filter, from text, bytes or PyMongo's classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar
from uuid import UUID

from bson import Binary, ObjectId
from bson.binary import OLD_UUID_SUBTYPE, UUID_SUBTYPE, UuidRepresentation
from bson.errors import InvalidId

from ..connection import codec

T = TypeVar("T")


def object_ids(values: Iterable[Any]) -> list[ObjectId]:
    """ObjectIds of a series, for a filter such as `{"_id": {"$in": object_ids(frame["_id"])}}`.

    The list has an item for each value, in order; repeated values stay.

    Parameters
    ----------
    values
        A column of polars, pandas, pyarrow or numpy, or any iterable: of text of 24 hex digits, of 12 bytes, or of
        ObjectIds; with extension types or without.

    Raises
    ------
    TypeError
        When `values` is a single value or a whole frame, or for a value of another type, with its position.
    ValueError
        For a null, and for text and bytes that are no ObjectId, with their position. A null in a filter would match
        documents that lack the key: drop the nulls first.

    Examples
    --------
    >>> object_ids(["0123456789ab0123456789ab"])
    [ObjectId('0123456789ab0123456789ab')]
    """
    return _converted("object_ids", values, _object_id)


def uuids(values: Iterable[Any], uuid_representation: int | str = UuidRepresentation.STANDARD) -> list[Binary]:
    """UUIDs of a series, for a filter such as `{"user": {"$in": uuids(frame["user"])}}`.

    They are `bson.Binary`, which collections of every `uuid_representation` send as they are; PyMongo refuses a
    `uuid.UUID` unless its collection names one. The list has an item for each value, in order; repeated values stay.

    Parameters
    ----------
    values
        As for `object_ids`: text of 32 hex digits with or without hyphens, 16 bytes in the order of the digits,
        `uuid.UUID`s, or Binary of subtype 3 or 4, which remains as it is.
    uuid_representation
        The form in which the collection stores them: "standard" (subtype 4), "pythonLegacy", "javaLegacy",
        "csharpLegacy" (subtype 3), or a `bson.binary.UuidRepresentation`.

    Raises
    ------
    TypeError, ValueError
        As `object_ids`. A ValueError also for an unknown `uuid_representation`.

    Examples
    --------
    >>> uuids(["00112233-4455-6677-8899-aabbccddeeff"])
    [Binary(b'\\x00\\x11"3DUfw\\x88\\x99\\xaa\\xbb\\xcc\\xdd\\xee\\xff', 4)]
    """
    form = codec.from_keywords({"uuid_representation": uuid_representation}).uuid_representation
    if form == UuidRepresentation.UNSPECIFIED:
        raise ValueError("uuid_representation must name the form in which UUIDs are stored, such as standard")

    def convert(value: Any) -> Binary:
        if isinstance(value, Binary) and value.subtype in (OLD_UUID_SUBTYPE, UUID_SUBTYPE):
            return value
        return Binary.from_uuid(_uuid(value), form)

    return _converted("uuids", values, convert)


def _converted(name: str, values: Iterable[Any], convert: Callable[[Any], T]) -> list[T]:
    converted = []
    for position, value in enumerate(_values(name, values)):
        try:
            converted.append(convert(value))
        except TypeError:
            if not _is_null(value):
                raise TypeError(f"{name}(): {type(value).__name__} at position {position} is no id") from None
            raise ValueError(
                f"{name}(): null at position {position}. Drop nulls first (drop_nulls() of polars, dropna() of "
                "pandas, drop_null() of pyarrow): in a filter a null matches documents without the key"
            ) from None
        except (InvalidId, ValueError):
            raise ValueError(f"{name}(): {_shown(value)} at position {position} is no id") from None
    return converted


def _values(name: str, values: Any) -> Iterator[Any]:
    """Return the Python values of a series."""
    if isinstance(values, (str, bytes, ObjectId, UUID)):
        raise TypeError(f"{name}() takes several values: pass [{_shown(values)}] for a single one")
    if hasattr(type(values), "columns"):
        raise TypeError(f"{name}() takes one column: pass one of this {type(values).__name__}")
    if getattr(getattr(values, "dtype", None), "kind", None) == "S":
        # numpy drops zero bytes at the end of such values, but not of those of the type void.
        values = values.astype(f"V{values.dtype.itemsize}")
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(values, method):
            return iter(getattr(values, method)())
    if not isinstance(values, Iterable):
        raise TypeError(f"{name}() takes a series or another iterable, got {type(values).__name__}")
    return iter(values)


def _object_id(value: Any) -> ObjectId:
    if isinstance(value, bytes) and len(value) != 12:
        raise ValueError
    if isinstance(value, (str, bytes, ObjectId)):
        return ObjectId(value)
    raise TypeError


def _uuid(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, str):
        return UUID(value)
    if isinstance(value, bytes) and getattr(value, "subtype", 0) == 0:
        return UUID(bytes=bytes(value))
    raise TypeError


_NULLS = ("NAType", "NaTType")
"""The types of pandas.NA and pandas.NaT, which need no import here."""


def _is_null(value: object) -> bool:
    """Return whether a value is a null of Python, numpy or pandas."""
    is_nan = isinstance(value, float) and value != value
    return value is None or is_nan or type(value).__name__ in _NULLS


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "\N{HORIZONTAL ELLIPSIS}"
