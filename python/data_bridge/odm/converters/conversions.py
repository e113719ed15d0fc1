"""Converters of Python types that are stored as other types: UUID, Decimal, date, and the types of `register_type`."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any, ClassVar

from bson.binary import Binary
from bson.decimal128 import Decimal128

from ..._core import NativeConverter
from ..errors import Mismatch
from .checks import run
from .converter import DUMPED, Converter, decimal128, to_decimal
from .custom_types import CustomType


class PythonTypeConverter(Converter):
    """A Python type that is stored as another type."""

    kinds: ClassVar[dict[type, type[PythonTypeConverter]]] = {}
    kind: type

    def __init__(self) -> None:
        self.name = self.kind.__name__

    def __init_subclass__(cls) -> None:
        # The class of a converter with checks has the kind of its base.
        if "kind" in cls.__dict__:
            PythonTypeConverter.kinds[cls.kind] = cls
            DUMPED[cls.kind] = cls.stored

    @classmethod
    def stored(cls, value: object) -> Any:
        """Return a value of the type as it is stored."""
        return cls().dump(value)

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

    def native(self) -> NativeConverter:
        return NativeConverter.uuid()

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
            return to_decimal(stored)
        if isinstance(stored, int) and type(stored) is not bool:
            return decimal.Decimal(stored)
        raise self.fail(stored)

    def native(self) -> NativeConverter:
        return NativeConverter.decimal()

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

    def native(self) -> NativeConverter:
        return NativeConverter.date()

    def accept(self, value: object) -> dt.date:
        if isinstance(value, dt.datetime):
            raise Mismatch("date without a time", value)
        return super().accept(value)  # type: ignore[no-any-return]

    def dump(self, value: object) -> dt.datetime:
        return dt.datetime.combine(self.accept(value), dt.time())

    def exact(self, value: object) -> bool:
        return type(value) is dt.date


class CustomConverter(Converter):
    """A class of `register_type`."""

    # The class may allow changes in place.
    keeps = True
    custom = True

    def __init__(self, custom: CustomType, stored: Converter) -> None:
        self.name = custom.kind.__name__
        self.custom_type = custom
        self.stored = stored
        self.deep = stored.deep

    def is_cyclic(self, above: frozenset[Any] = frozenset()) -> bool:
        # Objects of the program may refer to anything.
        return True

    def load(self, stored: object, place: object) -> Any:
        return self._made(self.stored.load(stored, place))

    def accept(self, value: object) -> Any:
        if isinstance(value, self.custom_type.kind):
            return value
        try:
            stored = self.stored.accept(value)
        except Mismatch:
            raise self.fail(value) from None
        return self._made(stored)

    def dump(self, value: object) -> Any:
        return self.stored.dump(run(self.custom_type.to_bson, self.accept(value)))

    def exact(self, value: object) -> bool:
        return isinstance(value, self.custom_type.kind)

    def _made(self, stored: object) -> Any:
        made = run(self.custom_type.from_bson, stored)
        if not isinstance(made, self.custom_type.kind):
            raise TypeError(f"from_bson of {self.name} returned a {type(made).__name__}")
        return made
