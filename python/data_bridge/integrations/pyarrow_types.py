"""The extension types `data_bridge.*` as classes of pyarrow: `as_py()` of their scalars gives PyMongo's values.

Storage of any layout is accepted: other tools change it, to large binary or views for example.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

import bson
import pyarrow as pa
from bson import Binary, Code, DBRef, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions, DatetimeConversion

CODEC: CodecOptions[Any] = CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
"""Conversion of mixed cells and scopes: dates are aware, as those of Arrow's timestamps with a time zone."""


class BsonScalar(pa.ExtensionScalar):  # type: ignore[misc]  # pyarrow has no type hints
    """A scalar of a `data_bridge.*` type."""

    def as_py(self, **_: Any) -> Any:
        """Return PyMongo's value; None for null."""
        return None if self.value is None else self.type.to_value(self.value.as_py())


class BsonType(pa.ExtensionType):  # type: ignore[misc]
    """The base of the types. It has no parameters beside the storage, so fields have no extension metadata."""

    name: ClassVar[str]
    default_storage: ClassVar[pa.DataType]

    def __init__(self, storage: pa.DataType | None = None) -> None:
        super().__init__(self.default_storage if storage is None else storage, f"data_bridge.{self.name}")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> BsonType:
        return cls(storage)

    def __arrow_ext_scalar_class__(self) -> type[BsonScalar]:
        return BsonScalar

    def to_value(self, stored: Any) -> Any:
        """Return PyMongo's value for the Python value of the storage."""
        raise NotImplementedError


class ObjectIdType(BsonType):
    name = "objectid"
    default_storage = pa.binary(12)

    def to_value(self, stored: bytes) -> ObjectId:
        return ObjectId(stored)


class Decimal128Type(BsonType):
    name = "decimal128"
    default_storage = pa.binary(16)

    def to_value(self, stored: bytes) -> Decimal128:
        return Decimal128.from_bid(stored)


class BinaryType(BsonType):
    name = "binary"
    default_storage = pa.struct([("subtype", pa.uint8()), ("data", pa.binary())])

    def to_value(self, stored: dict[str, Any]) -> bytes:
        # As PyMongo: subtype 0 is bytes.
        data: bytes = stored["data"]
        return Binary(data, stored["subtype"]) if stored["subtype"] else data


class RegexType(BsonType):
    name = "regex"
    default_storage = pa.struct([("pattern", pa.string()), ("options", pa.string())])

    def to_value(self, stored: dict[str, str]) -> Regex[str]:
        return Regex(stored["pattern"], stored["options"])


class CodeType(BsonType):
    name = "code"
    default_storage = pa.string()

    def to_value(self, stored: str) -> Code:
        return cast(Code, Code(stored))


class CodeWithScopeType(BsonType):
    name = "code_with_scope"
    default_storage = pa.struct([("code", pa.string()), ("scope", pa.binary())])

    def to_value(self, stored: dict[str, Any]) -> Code:
        return cast(Code, Code(stored["code"], bson.decode(stored["scope"], CODEC)))


class SymbolType(BsonType):
    name = "symbol"
    default_storage = pa.string()

    def to_value(self, stored: str) -> str:
        return stored


class TimestampType(BsonType):
    name = "timestamp"
    default_storage = pa.struct([("time", pa.uint32()), ("increment", pa.uint32())])

    def to_value(self, stored: dict[str, int]) -> Timestamp:
        return Timestamp(stored["time"], stored["increment"])


class DBPointerType(BsonType):
    name = "dbpointer"
    default_storage = pa.struct([("namespace", pa.string()), ("id", pa.binary(12))])

    def to_value(self, stored: dict[str, Any]) -> DBRef:
        return DBRef(stored["namespace"], ObjectId(stored["id"]))


class MinKeyType(BsonType):
    name = "minkey"
    default_storage = pa.bool_()

    def to_value(self, stored: bool) -> MinKey:
        return MinKey()


class MaxKeyType(BsonType):
    name = "maxkey"
    default_storage = pa.bool_()

    def to_value(self, stored: bool) -> MaxKey:
        return MaxKey()


class UndefinedType(BsonType):
    name = "undefined"
    default_storage = pa.bool_()

    def to_value(self, stored: bool) -> None:
        return None


class MixedType(BsonType):
    name = "mixed"
    default_storage = pa.binary()

    def to_value(self, stored: bytes) -> Any:
        return bson.decode(stored, CODEC)[""]


TYPES = (
    ObjectIdType,
    Decimal128Type,
    BinaryType,
    RegexType,
    CodeType,
    CodeWithScopeType,
    SymbolType,
    TimestampType,
    DBPointerType,
    MinKeyType,
    MaxKeyType,
    UndefinedType,
    MixedType,
)


def register() -> None:
    """Register the types that are not registered yet."""
    for kind in TYPES:
        try:
            pa.register_extension_type(kind())
        except pa.ArrowKeyError:
            continue  # by an earlier call
