"""Converters of `bson` types that PyMongo reads as other types: Binary, DatetimeMS, and UUIDs as bytes."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from .converter import ScalarConverter, root_and_path


class BinaryConverter(ScalarConverter):
    """bytes and Binary: binary of any subtype.

    PyMongo reads subtype 0 as `bytes`, and the subtype of UUIDs as a `UUID`, depending on the codec options. A Binary
    is the value that was written.
    """

    # A UUID does not determine its subtype and byte order: these are read from the stored document.
    deep = True

    def load(self, stored: object, place: object) -> Any:
        if isinstance(stored, uuid.UUID) and (binary := _binary_at(place)) is not None:
            return binary
        return self.accept(stored)

    def accept(self, value: object) -> Any:
        return Binary(value) if self.kind is Binary and type(value) is bytes else super().accept(value)


class DatetimeMSConverter(ScalarConverter):
    """DatetimeMS: a date of any year, which PyMongo reads as a `datetime` where it can."""

    def load(self, stored: object, place: object) -> Any:
        return DatetimeMS(stored) if isinstance(stored, dt.datetime) else super().load(stored, place)


def _binary_at(place: Any) -> Binary | None:
    """Return the stored binary at a place in a document; None without the document."""
    document, path = root_and_path(place)
    if document is None or document.raw is None:
        return None
    try:
        found: Any = RawBSONDocument(document.raw)
        for step in path:
            found = found[step]
        if isinstance(found, Mapping):
            found = found["$id"]
    except (BSONError, LookupError, TypeError):
        return None
    return found if isinstance(found, Binary) else None


STORED: dict[type, type[ScalarConverter]] = {
    bytes: BinaryConverter,
    Binary: BinaryConverter,
    DatetimeMS: DatetimeMSConverter,
}
