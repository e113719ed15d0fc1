"""pandas frames of Arrow tables, with columns that pandas prints, compares, groups and exports."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BACKENDS = ("pyarrow", "numpy_nullable", "numpy")
"""The values of `dtype_backend`."""


def check_backend(dtype_backend: object) -> None:
    """Refuse an unknown backend.

    Raises
    ------
    ValueError
        For a value that is none of `BACKENDS`.
    """
    if dtype_backend not in BACKENDS:
        raise ValueError(f"dtype_backend must be one of {', '.join(BACKENDS)}, got {dtype_backend!r}")


def frame(table: pa.Table, dtype_backend: str) -> pd.DataFrame:
    """Convert a table; `dtype_backend` is one of `BACKENDS`.

    Raises
    ------
    ValueError
        For a column that pandas cannot hold, with its name: without pyarrow's types, dates outside the years 1 to 9999
        in structs.
    """
    import pandas as pd
    import pyarrow as pa

    columns = [_usable_column(column) for column in table.columns]
    # Without metadata: pandas keeps none.
    usable = pa.Table.from_arrays(columns, names=table.column_names)
    mappers = {"pyarrow": pd.ArrowDtype, "numpy_nullable": _nullable_types().get, "numpy": None}
    convert = functools.partial(pa.Table.to_pandas, types_mapper=mappers[dtype_backend])
    try:
        made: pd.DataFrame = convert(usable)
    except (ValueError, OverflowError) as error:
        raise _refusal(usable, convert) or error from error
    return made


def _refusal(table: pa.Table, convert: Callable[[pa.Table], object]) -> ValueError | None:
    """Return the error for the first column that is not converted by itself; None if each is."""
    for name in table.column_names:
        try:
            convert(table.select([name]))
        except (ValueError, OverflowError) as error:
            return ValueError(
                f'pandas cannot hold the column {name!r}: {error}; dtype_backend="pyarrow" keeps Arrow\'s values'
            )
    return None


def _usable_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    if _usable(column.type, pa.null()) == column.type:
        return column
    # pyarrow 26 casts a list of nulls to an invalid list of nulls; booleans that are all null have the same values.
    return column.cast(_usable(column.type, pa.bool_()))


def _usable(kind: pa.DataType, null: pa.DataType) -> pa.DataType:
    """Return the type for pandas: the storage of extension types, and binary for fixed-size binary, at every level.

    `null` is the type of values that are all null.

    pandas neither groups nor sorts `extension<arrow.uuid>`, and does not read fixed-size binaries back from the Parquet
    files it writes. pyarrow 26 gives it no Python objects for a list of fixed-size binaries or UUIDs, so that it does
    not print or export such a list; a second attempt crashes the process.
    """
    import pyarrow as pa
    from pyarrow import types

    if isinstance(kind, pa.BaseExtensionType):
        return _usable(kind.storage_type, null)
    if types.is_fixed_size_binary(kind):
        return pa.binary()
    if types.is_struct(kind):
        return pa.struct([(field.name, _usable(field.type, null)) for field in kind])
    if types.is_map(kind):
        return pa.map_(kind.key_type, _usable(kind.item_type, null))
    if types.is_fixed_size_list(kind):
        return pa.list_(_usable(kind.value_type, null), kind.list_size)
    if types.is_large_list(kind):
        return pa.large_list(_usable(kind.value_type, null))
    if types.is_list(kind):
        return pa.list_(_usable(kind.value_type, null))
    return null if types.is_null(kind) else kind


def _nullable_types() -> dict[pa.DataType, Any]:
    """Return pandas' nullable types, as its readers of Parquet choose them."""
    import pandas as pd
    import pyarrow as pa

    return {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.float32(): pd.Float32Dtype(),
        pa.float64(): pd.Float64Dtype(),
        pa.string(): pd.StringDtype(),
        pa.large_string(): pd.StringDtype(),
    }
