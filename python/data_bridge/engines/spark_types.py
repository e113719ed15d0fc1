"""Arrow schemas in the types of Spark: each column is decoded into the type that Spark computes with."""

from __future__ import annotations

import pyarrow as pa
from pyarrow import types

from ..errors import InvalidQuery
from .engine_types import ENGINE_TYPES

_SPARK = ENGINE_TYPES["spark"]
_SIGNED = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64(), pa.uint64(): pa.decimal128(20, 0)}


def spark_schema(schema: pa.Schema, *, decoded: bool = False) -> pa.Schema:
    """Return a schema in Spark's types, with the metadata of its fields.

    Parameters
    ----------
    decoded
        Keep the types that documents are decoded into and that pyarrow casts to Spark's: binaries of one size.

    Raises
    ------
    InvalidQuery
        For a column of a type that Spark does not have.
    """
    return pa.schema([_field(field, field.name, decoded) for field in schema])


def _field(field: pa.Field, path: str, decoded: bool) -> pa.Field:
    # pyarrow shows types that are not registered with it as their storage.
    if isinstance(field.type, pa.BaseExtensionType) or b"ARROW:extension:name" in (field.metadata or {}):
        raise InvalidQuery(f"the column {path!r} has an extension type, and Spark has none: read plain tables")
    return field.with_type(_kind(field.type, path, decoded))


def _kind(kind: pa.DataType, path: str, decoded: bool) -> pa.DataType:
    if types.is_struct(kind):
        return pa.struct([_field(child, f"{path}.{child.name}", decoded) for child in kind])
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind) or types.is_list_view(kind):
        return pa.list_(_field(kind.value_field, path, decoded))
    if types.is_timestamp(kind):
        return pa.timestamp(_SPARK.timestamp_units[0], None if kind.tz is None else "UTC")
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_fixed_size_binary(kind):
        return kind if decoded else pa.binary()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_date64(kind):
        return pa.date32()
    if types.is_float16(kind):
        return pa.float32()
    return _SIGNED.get(kind, kind)
