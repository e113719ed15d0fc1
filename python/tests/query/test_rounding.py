"""Rounding that a schema requests by name: the nearest value, counted; a conflict when there is none."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import os
from fractions import Fraction
from typing import Any

import bson
import numpy as np
import pyarrow as pa
import pytest
from bson import DatetimeMS, Decimal128, Int64
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import DECIMALS, DOUBLES, INT64, MILLISECONDS
from test_on_conflict import counts, pieces

import data_bridge
from data_bridge import Query, SchemaConflict

EXAMPLES = settings(max_examples=int(os.environ.get("DATA_BRIDGE_EXAMPLES", 150)))
WIDE = decimal.Context(prec=10_000, Emin=-999_999, Emax=999_999, traps=[])
INTS = st.integers(*INT64).map(Int64)


def query(values: list[Any], name: str, **options: Any) -> Query:
    documents = [{"_id": number, "x": value} for number, value in enumerate(values)]
    return data_bridge.read_bson(pieces(documents, 3), schema={"x": name}, **options)


def rounded(values: list[Any], name: str) -> list[Any]:
    """The cells of a column; None also where a value did not fit. Checked: streams, and which values are conflicts."""
    nulled = query(values, name, on_conflict="null")
    table = nulled.to_arrow()
    table.validate(full=True)
    cells: list[Any] = table.column("x").to_pylist()
    for value, cell in zip(values, cells, strict=True):
        if cell is None and value is not None:
            with pytest.raises(SchemaConflict) as raised:
                query([value], name).to_arrow()
            assert raised.value.expected.endswith(" rounded")
        else:
            assert repr(query([value], name).to_arrow().column("x").to_pylist()) == repr([cell])
    return cells


def number_of(value: Any) -> Fraction | float | None:
    """A BSON number as the number it is; a float for NaN and infinities, None for what is none."""
    if isinstance(value, Decimal128):
        value = value.to_decimal()
    if isinstance(value, (float, decimal.Decimal)) and not math.isfinite(value):
        return float("nan") if math.isnan(value) else float(value)
    return Fraction(value)


def canonical(value: Any) -> bool:
    """Return whether a decimal128 is written as its number is written."""
    return not isinstance(value, Decimal128) or Decimal128(value.to_decimal()).bid == value.bid


def check_counts(values: list[Any], cells: list[Any], name: str) -> None:
    """Counted are the values that another one stands for."""
    report = query(values, name, on_conflict="null")
    report.to_arrow()
    different = sum(
        cell is not None and (math.isfinite(cell) and number_of(value) != Fraction(cell))
        for value, cell in zip(values, cells, strict=True)
    )
    assert report.report is not None
    assert sum(entry[2] for entry in counts(report.report, "rounded")) == different


def fits(low: int, high: int, value: float) -> int | None:
    return round(value) if math.isfinite(value) and low <= round(value) <= high else None


@EXAMPLES
@example([0.5, 1.5, 2.5, -0.5, -1.5, 127.5, 127.49, -128.5, -128.51, 255.5, 2.0**63, -(2.0**63), 2.0**64, 1e300])
@example([float("nan"), float("inf"), float("-inf"), 9007199254740993.0, 0.49999999999999994, 2.0**63 - 1024])
@given(st.lists(DOUBLES | st.floats(-300, 300), max_size=8))
def test_doubles_to_integers(values: list[float]) -> None:
    values = [value for value in values if not (value == 0 and math.copysign(1, value) < 0)]
    for name, low, high in [
        ("int8", -(2**7), 2**7 - 1),
        ("uint8", 0, 2**8 - 1),
        ("int32", -(2**31), 2**31 - 1),
        ("uint32", 0, 2**32 - 1),
        ("int64", *INT64),
        ("uint64", 0, 2**64 - 1),
    ]:
        cells = rounded(values, f"{name} rounded")
        assert cells == [fits(low, high, value) for value in values]
        check_counts(values, cells, f"{name} rounded")


def test_the_negative_zero_becomes_an_integer() -> None:
    assert rounded([-0.0, -0.4], "int64 rounded") == [0, 0]
    assert rounded([-0.0, -0.4], "uint64 rounded") == [0, 0]


@EXAMPLES
@example([3.4028235677973366e38, 3.4028235677973362e38, 1e-46, -1e-46, 1.0000000596046448, 1.0000001788139343, 0.1])
@given(st.lists(DOUBLES | INTS, max_size=12))
def test_numbers_to_floats(values: list[Any]) -> None:
    def nearest(value: Any) -> Any:
        with np.errstate(over="ignore", under="ignore"):
            made = float(np.int64(value).astype(np.float32) if isinstance(value, int) else np.float32(value))
        return made if math.isfinite(made) or not math.isfinite(value) else None

    cells = rounded(values, "float32 rounded")
    assert list(map(repr, cells)) == [repr(nearest(value)) for value in values]
    check_counts(values, cells, "float32 rounded")


def test_integers_are_rounded_to_floats_once() -> None:
    # To a double first, it would lie half way between two floats and go to the even one, which is not the nearest.
    value = 2**60 + 2**36 + 1
    assert rounded([Int64(value)], "float32 rounded") == [2**60 + 2**37]


@EXAMPLES
@given(st.lists(INTS, max_size=12))
def test_integers_to_doubles(values: list[int]) -> None:
    cells = rounded([*values, Int64(2**53 + 1), Int64(2**63 - 1)], "float64 rounded")
    assert cells == [*map(float, values), 2.0**53, 2.0**63]
    check_counts(values, cells[:-2], "float64 rounded")


@EXAMPLES
@example([Decimal128(text) for text in ("0.1", "1.5", "1E+309", "-1E-6176", "1.7976931348623158E+308", "-0", "0.0")])
@example([Decimal128(text) for text in ("9007199254740993", "3.5E+38", "340282356779733661637539395458142568447")[:2]])
@given(st.lists(DECIMALS, max_size=8))
def test_decimals_to_floats(values: list[Decimal128]) -> None:
    def nearest(value: Decimal128, kind: Any) -> Any:
        if not canonical(value):
            return None
        number = value.to_decimal()
        if not number.is_finite():
            return float("nan") if number.is_nan() else float(number)
        # Exact: numpy has no way from text to a float32 that does not round twice.
        made = nearest_float32(number) if kind == "float32" else float(number)
        return None if math.isinf(made) else made

    values = [value for value in values if canonical(value) or value.to_decimal().is_finite()]
    for kind in ("float64", "float32"):
        cells = rounded(values, f"{kind} rounded")
        assert list(map(repr, cells)) == [repr(nearest(value, kind)) for value in values]
        check_counts(values, cells, f"{kind} rounded")


def nearest_float32(number: decimal.Decimal) -> float:
    with np.errstate(over="ignore", under="ignore"):
        around = np.float32(float(number))
        low, high = np.nextafter(around, np.float32("-inf")), np.nextafter(around, np.float32("inf"))
        if not np.isfinite(around):
            # Half way from the largest float to what would come after it.
            over = abs(Fraction(number)) >= Fraction(2**128 - 2**103)
            return math.copysign(math.inf if over else float(np.finfo(np.float32).max), number)
    candidates = [each for each in (around, low, high) if np.isfinite(each)]
    even = {each: int(each.view(np.uint32)) % 2 for each in candidates}
    best = min(candidates, key=lambda each: (abs(Fraction(float(each)) - Fraction(number)), even[each]))
    if abs(Fraction(number)) >= Fraction(2**128 - 2**103):
        return math.copysign(math.inf, number)
    return math.copysign(float(best), number)


@EXAMPLES
@example([Decimal128(text) for text in ("0.125", "0.135", "-0.125", "999.994999", "999.995", "-999.995", "1E-6176")])
@example([Decimal128(text) for text in ("NaN", "sNaN", "Infinity", "-Infinity", "-0", "1E+6111", "0E+6111", "12345")])
@example([Decimal128("5192296858534827628.530496329220096"), Decimal128("-0.0000000000001")])  # 29 digits, a zero
@given(st.lists(DECIMALS | st.decimals(-2000, 2000, places=4).map(Decimal128) | INTS, max_size=8))
def test_to_decimals(values: list[Any]) -> None:
    def nearest(value: Any, precision: int, scale: int) -> Any:
        if not canonical(value):
            return None
        number = value.to_decimal() if isinstance(value, Decimal128) else decimal.Decimal(value)
        if not number.is_finite():
            return None
        made = number.quantize(decimal.Decimal(1).scaleb(-scale), decimal.ROUND_HALF_EVEN, WIDE)
        made = WIDE.plus(made)
        return made if abs(Fraction(made)) < Fraction(10) ** (precision - scale) else None

    for precision, scale in ((5, 2), (38, 10), (34, 0)):
        name = f"decimal128({precision}, {scale}) rounded"
        cells = rounded(values, name)
        assert cells == [nearest(value, precision, scale) for value in values]
        # The negative zero is another value, though the same number.
        plain = [(v, c) for v, c in zip(values, cells, strict=True) if str(v)[0] != "-" or number_of(v) != 0]
        check_counts([v for v, _ in plain], [c for _, c in plain], name)


EPOCH = dt.datetime(1970, 1, 1)


@EXAMPLES
@example([0, -1, 1, 999, -999, -1000, 86_399_999, -86_400_000, -86_400_001, *INT64, 86_400_000 * 2**31 - 1])
@example([86_400_000 * 2**31, -86_400_000 * 2**31, -86_400_000 * 2**31 - 1])
@given(st.lists(MILLISECONDS, max_size=12))
def test_dates_are_cut_down(values: list[int]) -> None:
    day = 86_400_000
    dates = [DatetimeMS(value) for value in values]

    def ints(name: str, kind: Any) -> list[Any]:
        nulled = query(dates, name, on_conflict="null").to_arrow().column("x").cast(kind, safe=False)
        return nulled.to_pylist()

    assert ints("timestamp[s] rounded", pa.int64()) == [value // 1000 for value in values]
    days = [value // day for value in values]
    assert ints("date32 rounded", pa.int32()) == [each if -(2**31) <= each < 2**31 else None for each in days]
    table = query(dates, "date64 rounded", on_conflict="null").to_arrow()
    raw = pa.Array.from_buffers(pa.int64(), len(values), table.column("x").combine_chunks().buffers())
    assert raw.to_pylist() == [each * day if each * day >= INT64[0] else None for each in days]
    # Units that lose nothing are as without.
    exact = query(dates, "timestamp[us]", on_conflict="null").to_arrow()
    assert query(dates, "timestamp[us] rounded", on_conflict="null").to_arrow().equals(exact)


def test_what_is_rounded_is_counted_by_path() -> None:
    documents = [
        {"_id": 0, "x": 1.0, "l": [{"y": 0.5}, {"y": 1}], "m": {"k": 0.25}},
        {"_id": 1, "x": 1.5, "l": [{"y": "text"}], "m": {"k": 3}},
        {"_id": 2, "x": Decimal128("1.5"), "l": [{"y": 2.5}, {"y": 3.5}, None], "other": 0.1},
        {"_id": 3, "x": Decimal128("0.1"), "l": None},
    ]
    schema = {"x": "float32 rounded", "l": [{"y": "int8 rounded"}], "m": {"k": "int8 rounded"}}
    for size in (1, 2, 3, 100):
        made = data_bridge.read_bson(pieces(documents, size), schema=schema, on_conflict="rescue")
        for _ in range(2):
            # The second time in a stream.
            table = made.to_arrow() if _ == 0 else pa.table(made.stream())
            assert table.column("l").to_pylist()[0] == [{"y": 0}, {"y": 1}]
            assert counts(made.report, "rounded") == [
                (("l", ..., "y"), ("double",), 3, 0),
                (("m", "k"), ("double",), 1, 0),
                (("x",), ("decimal128",), 1, 3),
            ]
            assert counts(made.report, "rescued") == [(("l", ..., "y"), ("string",), 1, 1)]
            assert "rounded (double), 3 cells" in str(made.report)


def test_arrow_schemas_ask_in_metadata() -> None:
    allowed = {"data_bridge.rounding": "allowed"}
    schema = pa.schema(
        [
            pa.field("x", pa.float32(), metadata=allowed),
            pa.field("l", pa.list_(pa.field("item", pa.int32(), metadata=allowed))),
            pa.field("exact", pa.float32()),
        ]
    )
    data = bson.encode({"x": 0.1, "l": [0.6], "exact": 0.5})
    table = data_bridge.read_bson(data, schema=schema).to_arrow()
    assert table.schema.equals(schema, check_metadata=True)
    assert table.to_pylist() == [{"x": float(np.float32(0.1)), "l": [1], "exact": 0.5}]
    with pytest.raises(SchemaConflict, match="exact"):
        data_bridge.read_bson(bson.encode({"exact": 0.1}), schema=schema).to_arrow()
    named = data_bridge.read_bson(data, schema={"x": "float32 rounded", "l": ["int32 rounded"], "exact": "float32"})
    assert named.to_arrow().equals(table, check_metadata=True)
    for kind, metadata, text in [
        (pa.string(), allowed, "not rounded to Utf8"),
        (pa.float32(), {"data_bridge.rounding": "up"}, "allowed"),
    ]:
        with pytest.raises(ValueError, match=text):
            data_bridge.read_bson(data, schema=pa.schema([pa.field("x", kind, metadata=metadata)]))
    for name in ("string rounded", "rounded", "objectid rounded", "float32  rounded", "decimal128 rounded"):
        with pytest.raises(ValueError, match="no type is called"):
            data_bridge.read_bson(data, schema={"x": name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("int64 rounded", "1"),
        ("int64 rounded", Decimal128("1")),
        ("float64 rounded", "1"),
        ("decimal128(5, 2) rounded", 1.5),
        ("date32 rounded", 1),
        ("float32 rounded", DatetimeMS(0)),
        ("int8 rounded", True),
    ],
)
def test_other_types_are_conflicts(name: str, value: Any) -> None:
    assert rounded([value, None], name) == [None, None]


def test_a_large_decimal_that_is_a_double_is_not_rounded() -> None:
    # 2^100 * 10^20: with its own power of two it has 34 digits and more, without it 47 bits.
    found = query([Decimal128(f"{2**100}E+20"), Decimal128(f"{2**100 + 1}E+20")], "float64 rounded")
    assert found.to_arrow().column("x").to_pylist() == [float(2**100 * 10**20)] * 2
    assert found.report is not None
    assert [(entry["action"], entry["count"]) for entry in found.report.paths] == [("rounded", 1)]
