"""Operations that a consumer cannot do, as `docs/types.md` lists them.

Every column of a row fails, and no column without a row does. The first row that has a column counts.
`scripts/consumer_tables.py` writes the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from consumers import traits
from consumers.outcomes import Key, Outcome
from consumers.traits import Traits

VERSIONS = {"polars": "2.1.0", "pandas": "3.1.1", "DuckDB": "2.0.1", "pyarrow": "26.0.1"}
"""The versions in which the rows were seen."""

PLAIN, EXACT = "plain", "exact"
BOTH = (PLAIN, EXACT)
PANDAS = ("pandas pyarrow", "pandas numpy_nullable", "pandas numpy")
PANDAS_OBJECTS = PANDAS[1:]
"""Backends with Python objects for nested values."""

EARLY_OR_LATE = "date outside years 1 to 9999"
BEYOND = "date beyond year 292,000"
LARGE_SUM32, LARGE_SUM64 = "int32, sum above 2^31", "int64, sum above 2^63"
INT64 = ("int64", LARGE_SUM64)


class Known(NamedTuple):
    """A failure of an operation on the columns for which `where` is true."""

    consumers: tuple[str, ...]
    types: tuple[str, ...]
    operations: tuple[str, ...]
    columns: str
    """The columns in words."""
    where: Callable[[Traits], bool]
    errors: str
    """A regular expression in the exception's name and message; WrongResult for a wrong result."""
    result: str
    """The result in words, and the alternative."""

    @property
    def name(self) -> str:
        """Identify the row in the results of tests."""
        return "-".join([*self.consumers, *self.types, *self.operations, self.columns])

    @property
    def versions(self) -> str:
        """Return the versions in which the failure was seen."""
        return ", ".join(sorted({f"{library(name)} {VERSIONS[library(name)]}" for name in self.consumers}))

    def has(self, consumer: str, types: str, key: Key) -> bool:
        """Return whether the row names this operation and column."""
        if consumer not in self.consumers or types not in self.types or key.operation not in self.operations:
            return False
        return self.where(traits.of(key.type, key.placement, types))

    def explains(self, outcome: Outcome) -> bool:
        """Return whether this is the failure of the row."""
        return re.search(self.errors, f"{outcome.error}: {outcome.message}") is not None


def library(consumer: str) -> str:
    """Return the library of a consumer, whose version counts."""
    return consumer.partition(" ")[0]


@cache
def row(consumer: str, types: str, key: Key) -> Known | None:
    """Return the row of an operation on a column; None if it must succeed."""
    return next((known for known in KNOWN if known.has(consumer, types, key)), None)


def crashing(consumer: str, types: str, keys: Sequence[Key]) -> list[Key]:
    """Return the operations that end their process."""
    found = ((key, row(consumer, types, key)) for key in keys)
    return [key for key, known in found if known is not None and known.errors == "crash"]


def _always(of: Traits) -> bool:
    return True


def _nested(of: Traits) -> bool:
    return of.shape != "scalar"


def _lists(of: Traits) -> bool:
    return of.shape == "list"


def _structs(of: Traits) -> bool:
    return of.shape == "struct"


def _bytes(of: Traits) -> bool:
    return "binary" in of.leaves


def _early_or_late(of: Traits) -> bool:
    return of.type == EARLY_OR_LATE and "date" in of.leaves


def _beyond(of: Traits) -> bool:
    return of.type == BEYOND and "date" in of.leaves


def _far(of: Traits) -> bool:
    return _early_or_late(of) or _beyond(of)


def _null(of: Traits) -> bool:
    return of.leaves == {"null"}


def _all_of(*conditions: Callable[[Traits], bool]) -> Callable[[Traits], bool]:
    return lambda of: all(condition(of) for condition in conditions)


def _any_of(*conditions: Callable[[Traits], bool]) -> Callable[[Traits], bool]:
    return lambda of: any(condition(of) for condition in conditions)


def _in(types: Sequence[str], *placements: str) -> Callable[[Traits], bool]:
    return lambda of: of.type in types and of.placement in placements


def _number(*types: str) -> Callable[[Traits], bool]:
    return _in(types, "alone", "nullable", "list", "struct", "structs")


NESTED = "structs and lists"
BYTES = "binary at any level"
FAR = "dates outside the years 1 to 9999, at any level"
VERY_FAR = "dates beyond the year 292,000, at any level"

_POLARS = [
    Known(("polars",), BOTH, ("values",), FAR, _early_or_late, "ValueError: year", "`to_list()` raises ValueError"),
    Known(
        ("polars",),
        BOTH,
        ("print",),
        FAR,
        _early_or_late,
        "ValueError: year",
        "`glimpse()` raises ValueError; `print()` works",
    ),
    Known(
        ("polars",),
        BOTH,
        ("values", "print", "json"),
        VERY_FAR,
        _beyond,
        "PanicException",
        "PanicException: filter such dates out, or cast the column to Int64",
    ),
    Known(
        ("polars",),
        BOTH,
        ("sum",),
        "int32 with a sum of 2^31 or more, int64 with one of 2^63 or more",
        _number(LARGE_SUM32, LARGE_SUM64),
        "WrongResult: a sum",
        "the sum wraps: cast to Int64, Int128 or Float64 first",
    ),
    Known(("polars",), BOTH, ("csv",), NESTED, _nested, "ComputeError: (CSV format|datatype ext)", "ComputeError"),
    Known(("polars",), BOTH, ("csv",), "dates beyond the year 292,000", _beyond, "PanicException", "PanicException"),
    Known(
        ("polars",),
        (PLAIN,),
        ("csv",),
        "binary",
        _bytes,
        "ComputeError: datatype binary",
        "ComputeError: encode the bytes with `.bin.encode(...)`",
    ),
    Known(
        ("polars",),
        (EXACT,),
        ("csv",),
        "binary, UUIDs, and every extension type",
        lambda of: of.is_extension or _bytes(of),
        "ComputeError: datatype (binary|ext)",
        "ComputeError: use plain types, or `.ext.storage()`",
    ),
    Known(
        ("polars",),
        BOTH,
        ("json",),
        "binary at any level, which in exact tables are also ids, decimals and mixed values",
        _bytes,
        "PanicException.*Writing BinaryView",
        "PanicException: encode the bytes with `.bin.encode(...)`",
    ),
    Known(
        ("polars",),
        (EXACT,),
        ("parquet",),
        "javascript and symbol in structs and lists",
        lambda of: not of.inner_extensions.isdisjoint({"data_bridge.code", "data_bridge.symbol"}),
        "PanicException",
        "PanicException: use plain types",
    ),
]

_DUCKDB = [
    Known(
        ("DuckDB",),
        BOTH,
        ("values",),
        FAR,
        _early_or_late,
        "WrongResult: read back as",
        "`fetchall()` gives text for them",
    ),
    Known(
        ("DuckDB",),
        BOTH,
        ("values", "print", "compare", "group", "sort", "join", "csv", "json", "parquet", "ipc"),
        VERY_FAR,
        _beyond,
        "ConversionException: .*Could not convert TimestampTZ to Microsecond",
        "ConversionException: DuckDB's dates are microseconds",
    ),
    Known(
        ("DuckDB",),
        (PLAIN,),
        ("json",),
        "decimal128 of more than 15 digits, at any level",
        lambda of: "decimal128(38)" in of.leaves,
        "WrongResult: read back as",
        "`read_json` gives doubles, unless `columns` names the type",
    ),
]

_PYARROW = [
    Known(("pyarrow",), BOTH, ("values",), FAR, _far, "OverflowError", "`to_pylist()` raises OverflowError"),
    Known(
        ("pyarrow",),
        BOTH,
        ("compare",),
        "structs, lists, and columns of nulls",
        _any_of(_nested, _null),
        "ArrowNotImplementedError: Function 'equal'",
        "ArrowNotImplementedError",
    ),
    Known(
        ("pyarrow",),
        BOTH,
        ("group",),
        NESTED,
        _nested,
        "ArrowNotImplementedError: Keys of type",
        "ArrowNotImplementedError",
    ),
    Known(
        ("pyarrow",),
        (EXACT,),
        ("compare", "group"),
        "UUIDs",
        lambda of: of.type == "UUID" and _bytes(of) and of.placement != "mixed",
        "ArrowNotImplementedError",
        'ArrowNotImplementedError: use plain types, or `uuid="binary"`',
    ),
    Known(
        ("pyarrow",),
        (EXACT,),
        ("sort",),
        "UUIDs, and structs of UUIDs",
        lambda of: of.type == "UUID" and not _lists(of) and of.placement != "mixed",
        "ArrowTypeError",
        'ArrowTypeError: use plain types, or `uuid="binary"`',
    ),
    Known(
        ("pyarrow",),
        BOTH,
        ("sort",),
        "lists, and structs of lists",
        lambda of: _lists(of) or (of.type == "list" and _structs(of)),
        "ArrowTypeError",
        "ArrowTypeError",
    ),
    Known(
        ("pyarrow",),
        BOTH,
        ("join",),
        "structs, lists, and columns of nulls",
        _any_of(_nested, _null),
        "ArrowInvalid: Data type .* is not supported in join key",
        "ArrowInvalid",
    ),
    Known(
        ("pyarrow",),
        BOTH,
        ("sum",),
        "int64 with a sum of 2^63 or more",
        _number(LARGE_SUM64),
        "WrongResult: a sum",
        "the sum wraps: cast to decimal128 or float64 first",
    ),
    Known(("pyarrow",), BOTH, ("csv",), NESTED, _nested, "ArrowInvalid: Unsupported Type", "ArrowInvalid"),
    Known(
        ("pyarrow",),
        BOTH,
        ("csv",),
        "binary, which in exact tables are also ids, decimals and mixed values",
        _bytes,
        "ArrowInvalid: .*(UTF8|arrow.uuid)|WrongResult: read back as",
        "the bytes are written as text; ArrowInvalid where they are not UTF-8, and for UUIDs",
    ),
    Known(
        ("pyarrow",),
        BOTH,
        ("csv",),
        "dates beyond the year 292,000",
        _beyond,
        "WrongResult: read back as",
        "a text that is no date",
    ),
    Known(
        ("pyarrow",), BOTH, ("json",), "all", _always, "NotImplementedError", "pyarrow reads JSON and does not write it"
    ),
]

_PANDAS = [
    Known(("pandas pyarrow",), BOTH, ("values",), FAR, _far, "OverflowError", "`to_list()` raises OverflowError"),
    Known(
        PANDAS_OBJECTS,
        BOTH,
        ("values", "parquet", "ipc"),
        "structs, and lists of structs, with dates outside the years 1 to 9999",
        _all_of(_far, lambda of: of.placement in ("struct", "structs")),
        "ValueError: pandas cannot hold",
        '`to_pandas()` raises ValueError, with the name of the column: use `dtype_backend="pyarrow"`',
    ),
    Known(
        ("pandas pyarrow",),
        BOTH,
        ("print", "csv"),
        "structs, and lists of structs, with dates outside the years 1 to 9999",
        _all_of(_far, lambda of: of.placement in ("struct", "structs")),
        "ValueError: year",
        "ValueError",
    ),
    Known(
        PANDAS_OBJECTS,
        BOTH,
        ("print", "csv"),
        "dates outside the years 1 to 9999, also in structs, and in lists of structs",
        _all_of(_far, lambda of: of.placement != "list"),
        "ValueError: pandas cannot hold|NotImplementedError: toordinal",
        "NotImplementedError or ValueError",
    ),
    Known(
        ("pandas pyarrow",),
        BOTH,
        ("compare",),
        NESTED,
        _nested,
        "WrongResult: == of row",
        "`==` is False in every row",
    ),
    Known(
        PANDAS_OBJECTS,
        BOTH,
        ("compare",),
        "lists, structs of lists, and structs of dates outside the years 1 to 9999",
        lambda of: _lists(of) or (_structs(of) and (of.type == "list" or _far(of))),
        "ValueError",
        "ValueError",
    ),
    Known(
        PANDAS,
        BOTH,
        ("group", "join"),
        NESTED,
        _nested,
        "ArrowNotImplementedError|TypeError: unhashable|ValueError",
        "ArrowNotImplementedError or TypeError: group by a field of the struct",
    ),
    Known(
        PANDAS,
        BOTH,
        ("sort",),
        NESTED,
        _nested,
        "ArrowNotImplementedError|TypeError: '<' not supported|ValueError",
        "ArrowNotImplementedError, TypeError or ValueError: sort by a field of the struct",
    ),
    Known(
        ("pandas numpy",),
        BOTH,
        ("compare", "group", "sort", "join"),
        "int64 above 2^53 beside nulls",
        _in((LARGE_SUM64,), "nullable"),
        "WrongResult",
        "the column is of floats: different integers are equal",
    ),
    Known(
        PANDAS,
        BOTH,
        ("sum",),
        "int64 with a sum of 2^63 or more",
        _number(LARGE_SUM64),
        "WrongResult: a sum",
        "the sum wraps, or is rounded",
    ),
    Known(
        PANDAS_OBJECTS,
        BOTH,
        ("sum",),
        "int64 above 2^53 in lists with nulls, and in lists of structs with missing fields",
        _in(("int64",), "list", "structs"),
        "WrongResult: a sum",
        "the values are floats",
    ),
    Known(
        ("pandas numpy",),
        BOTH,
        ("sum",),
        "int64 above 2^53 beside nulls",
        _in(("int64",), "nullable"),
        "WrongResult: a sum",
        "the column is of floats",
    ),
    Known(
        PANDAS_OBJECTS,
        (PLAIN,),
        ("sum",),
        "decimal128 with a sum of more than 28 digits",
        _number("decimal128 of 35 digits"),
        "WrongResult: a sum",
        "the sum is rounded to the precision of `decimal.getcontext()`",
    ),
    Known(
        PANDAS_OBJECTS,
        BOTH,
        ("values", "parquet", "ipc"),
        "int64 above 2^53 in lists with nulls, and in lists of structs with missing fields",
        _in(INT64, "list", "structs"),
        "WrongResult: read back as",
        'the values are floats: use `dtype_backend="pyarrow"`',
    ),
    Known(
        ("pandas numpy",),
        BOTH,
        ("values", "parquet", "ipc", "csv"),
        "int64 above 2^53 beside nulls",
        _in(INT64, "nullable"),
        "WrongResult",
        'the column is of floats: use `dtype_backend="numpy_nullable"`',
    ),
    Known(
        PANDAS,
        BOTH,
        ("csv",),
        "lists with nulls of integers of more than 8 digits; lists of structs with missing fields, of int64 above 2^53",
        _any_of(_in((LARGE_SUM32, LARGE_SUM64), "list"), _in((LARGE_SUM64,), "structs")),
        "WrongResult: different values",
        "the text is of floats",
    ),
    Known(
        ("pandas pyarrow",),
        BOTH,
        ("json",),
        "structs, and lists of structs, with dates outside the years 1 to 9999",
        _all_of(_far, lambda of: of.placement in ("struct", "structs")),
        "crash",
        "`to_json` ends the process (segmentation fault)",
    ),
    Known(
        PANDAS,
        BOTH,
        ("json",),
        "dates outside the years 1 to 9999, also in structs, and in lists of structs",
        _all_of(_far, lambda of: of.placement != "list"),
        "OverflowError: Overflow occurred|ValueError: pandas cannot hold",
        "OverflowError or ValueError",
    ),
    Known(
        PANDAS,
        BOTH,
        ("json",),
        "binary at any level, which in exact tables are also ids, decimals and mixed values",
        _bytes,
        "UnicodeDecodeError|OverflowError|WrongResult: read back as",
        "the bytes are written as text; UnicodeDecodeError or OverflowError where they are not UTF-8",
    ),
    Known(
        PANDAS,
        BOTH,
        ("json",),
        "int64 above 2^53 beside nulls, in lists with nulls, and in lists of structs with missing fields",
        _in(INT64, "nullable", "list", "structs"),
        "WrongResult: read back as",
        "`read_json` gives floats",
    ),
]

KNOWN: list[Known] = [*_POLARS, *_DUCKDB, *_PYARROW, *_PANDAS]
