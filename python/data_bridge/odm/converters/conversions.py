"""Converters of Python types that are stored as other types: UUID, Decimal, date."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any, ClassVar

from bson.binary import Binary
from bson.decimal128 import Decimal128

from ..errors import Mismatch
from .converter import Converter, decimal128


class PythonTypeConverter(Converter):
    """A Python type that is stored as another type."""

    kinds: ClassVar[dict[type, type[PythonTypeConverter]]] = {}
    kind: type

    def __init__(self) -> None:
        self.name = self.kind.__name__

    def __init_subclass__(cls) -> None:
        PythonTypeConverter.kinds[cls.kind] = cls

    def accept(self, value: object) -> Any:
        if isinstance(value, self.kind):
            return value
        raise self.fail(value)

    def exact(self, value: object) -> bool:
        return isinstance(value, self.kind)


class UuidConverter(PythonTypeConverter):
    """UUID: binary of subtype 4, or of the representation in the codec options."""

    kind = uuid.UUID

    def load(self, stored: object, place: object) -> uuid.UUID:
        if isinstance(stored, uuid.UUID):
            return stored
        if isinstance(stored, Binary) and stored.subtype == 4 and len(stored) == 16:
            return uuid.UUID(bytes=bytes(stored))
        raise self.fail(stored)

    def accept(self, value: object) -> uuid.UUID:
        if isinstance(value, str):
            try:
                return uuid.UUID(value)
            except ValueError:
                raise self.fail(value) from None
        return super().accept(value)  # type: ignore[no-any-return]


class DecimalConverter(PythonTypeConverter):
    """Decimal: decimal128."""

    kind = decimal.Decimal

    def load(self, stored: object, place: object) -> decimal.Decimal:
        if isinstance(stored, Decimal128):
            return stored.to_decimal()
        if isinstance(stored, int) and type(stored) is not bool:
            return decimal.Decimal(stored)
        raise self.fail(stored)

    def accept(self, value: object) -> decimal.Decimal:
        if isinstance(value, int) and type(value) is not bool:
            return decimal.Decimal(value)
        return super().accept(value)  # type: ignore[no-any-return]

    def dump(self, value: object) -> Decimal128:
        return decimal128(self.accept(value))


class DateConverter(PythonTypeConverter):
    """date: midnight in UTC."""

    kind = dt.date

    def load(self, stored: object, place: object) -> dt.date:
        if isinstance(stored, dt.datetime):
            if stored.tzinfo is not None:
                stored = stored.astimezone(dt.timezone.utc)
            if stored.time() == dt.time():
                day: dt.date = stored.date()
                return day
            raise Mismatch("date (midnight in UTC)", stored)
        raise self.fail(stored)

    def accept(self, value: object) -> dt.date:
        if isinstance(value, dt.datetime):
            raise Mismatch("date without a time", value)
        return super().accept(value)  # type: ignore[no-any-return]

    def dump(self, value: object) -> dt.datetime:
        return dt.datetime.combine(self.accept(value), dt.time())

    def exact(self, value: object) -> bool:
        return type(value) is dt.date
