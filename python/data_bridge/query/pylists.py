"""Rows of a table as dicts of PyMongo's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bson import DBRef

from .. import _core
from .._core import Codec

if TYPE_CHECKING:
    import pyarrow as pa

_Completion = Callable[[Any], Any]


def rows(table: object, schema: pa.Schema, codec: Codec) -> list[dict[str, Any]]:
    """Return the rows, each with every column.

    Parameters
    ----------
    table
        The table as an Arrow stream.
    schema
        Its schema.
    codec
        Conversion of values; dates are always aware.
    """
    _, options = codec.__getnewargs_ex__()
    # Documents over the table: their values are made in bulk, and do not depend on types registered with pyarrow.
    dicts = _core.from_arrow(table, codec=Codec(**{**options, "tz_aware": True})).to_dicts()
    return list(map(_of_document(list(schema)), dicts))


def _completion(field: pa.Field) -> _Completion | None:
    """Return the function that adds null fields to a value of this type; None if there are none to add."""
    import pyarrow as pa
    from pyarrow import types

    kind = field.type
    if isinstance(kind, pa.BaseExtensionType) or b"ARROW:extension:name" in (field.metadata or ()):
        return None  # the value of another BSON type
    if types.is_struct(kind):
        return _of_document(list(kind))
    if types.is_map(kind):
        of_value = _completion(kind.item_field)
        return (
            None if of_value is None else lambda value: value and {key: of_value(each) for key, each in value.items()}
        )
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        of_item = _completion(kind.value_field)
        return None if of_item is None else lambda value: value and list(map(of_item, value))
    return None


def _of_document(fields: list[pa.Field]) -> _Completion:
    names = [field.name for field in fields]
    nested = [(field.name, each) for field in fields if (each := _completion(field)) is not None]
    count = len(names)

    def complete(value: Any) -> Any:
        if value is None:
            return None
        if type(value) is DBRef:
            reference = value.as_doc()
            value = {name: reference.get(name) for name in names}
        for name, each in nested:
            if name in value:
                value[name] = each(value[name])
        return value if len(value) == count else {name: value.get(name) for name in names}

    return complete
