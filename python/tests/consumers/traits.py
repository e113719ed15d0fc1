"""Properties of the columns of tables, by which known failures name them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pyarrow as pa

import data_bridge
from consumers import cells


class Traits(NamedTuple):
    """A column's BSON type and placement, and its type in Arrow."""

    type: str
    placement: str
    shape: str
    """"struct", "list" or "scalar"."""
    leaves: frozenset[str]
    """The types of scalars at every level, as in "int32" and "decimal128(18)"; "binary" for all bytes."""
    is_extension: bool
    """True if the column, not only a value in it, has an extension type."""
    inner_extensions: frozenset[str]
    """The extension names below the column."""


@cache
def of(kind: str, placement: str, types: str) -> Traits:
    """Return the traits of a column."""
    column = cells.column(kind, placement)
    assert column is not None
    field = data_bridge.read_bson(column.documents, types=types).to_arrow().schema.field("x")
    storage = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
    shape = "struct" if pa.types.is_struct(storage) else "list" if pa.types.is_list(storage) else "scalar"
    inner = {_extension(each) for each in _below(field)}
    return Traits(
        kind,
        placement,
        shape,
        frozenset(_leaves(storage)),
        bool(_extension(field)),
        frozenset(inner - {""}),
    )


def _extension(field: pa.Field) -> str:
    if isinstance(field.type, pa.BaseExtensionType):
        return str(field.type.extension_name)
    return str((field.metadata or {}).get(b"ARROW:extension:name", b""), "utf-8")


def _below(field: pa.Field) -> Iterator[pa.Field]:
    kind = field.type
    children = [*kind] if pa.types.is_struct(kind) else [kind.value_field] if pa.types.is_list(kind) else []
    for child in children:
        yield child
        yield from _below(child)


def _leaves(kind: pa.DataType) -> Iterator[str]:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(field.type)
    elif pa.types.is_list(kind):
        yield from _leaves(kind.value_type)
    elif pa.types.is_decimal(kind):
        yield f"decimal128({kind.precision})"
    elif pa.types.is_timestamp(kind):
        yield "date"
    elif pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        yield "binary"
    else:
        yield str(kind)
