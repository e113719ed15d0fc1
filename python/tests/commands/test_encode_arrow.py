"""Arrow data as BSON, decoded by PyMongo: a type for each row of docs/types.md, and frames of other libraries."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import uuid
from pathlib import Path
from typing import Any

import bson
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from bson import Binary, Code, CodecOptions, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import UuidRepresentation

import data_bridge
from data_bridge._core import encode_arrow
from data_bridge.connection.codec import DEFAULT, native
from data_bridge.query.table_options import TableOptions

PAGE = (Path(__file__).parents[3] / "docs" / "types.md").read_text(encoding="utf-8")
OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, uuid_representation=UuidRepresentation.STANDARD)
MS = dt.datetime(2020, 1, 2, 3, 4, 5, 6000, tzinfo=dt.timezone.utc)
DAY = dt.datetime(2020, 1, 2, tzinfo=dt.timezone.utc)
DECIMAL = decimal.Decimal("-1.50")


def decoded(data: Any, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
    return bson.decode_all(encode_arrow(data, *arguments, **options), OPTIONS)


def extension(name: str, array: pa.Array, metadata: str = "") -> tuple[pa.Field, pa.Array]:
    found = {"ARROW:extension:name": name, "ARROW:extension:metadata": metadata}
    return pa.field("v", array.type, metadata=found), array


def run_ends(values: pa.Array) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), values)


# For each row of the page: arrays of a value and a null, and the value as PyMongo decodes it; None for a refused type.
ROWS: dict[str, tuple[list[Any], Any]] = {
    "Null": ([pa.nulls(2)], None),
    "Boolean": ([pa.array([True, None])], True),
    "Int8, Int16, Int32, UInt8, UInt16": (
        [pa.array([7, None], kind()) for kind in (pa.int8, pa.int16, pa.int32, pa.uint8, pa.uint16)],
        7,
    ),
    "Int64, UInt32": ([pa.array([7, None], kind()) for kind in (pa.int64, pa.uint32)], Int64(7)),
    "UInt64": ([pa.array([7, None], pa.uint64())], Int64(7)),
    "Float16, Float32, Float64": (
        [pa.array([1.5, None], kind()) for kind in (pa.float16, pa.float32, pa.float64)],
        1.5,
    ),
    "Utf8, LargeUtf8, Utf8View": (
        [pa.array(["é", None], kind()) for kind in (pa.string, pa.large_string, pa.string_view)],
        "é",
    ),
    "Binary, LargeBinary, BinaryView": (
        [pa.array([b"\x00\xff", None], kind()) for kind in (pa.binary, pa.large_binary, pa.binary_view)],
        b"\x00\xff",
    ),
    "FixedSizeBinary(12)": ([pa.array([b"0123456789ab", None], pa.binary(12))], ObjectId(b"0123456789ab")),
    "FixedSizeBinary of another width": ([pa.array([b"abc", None], pa.binary(3))], b"abc"),
    "Date32, Date64": ([pa.array([DAY.date(), None], kind()) for kind in (pa.date32, pa.date64)], DAY),
    "Timestamp of any unit": (
        [
            pa.array([MS.replace(tzinfo=None), None], pa.timestamp("us", zone)).cast(pa.timestamp(unit, zone))
            for unit in ("ms", "us", "ns")
            for zone in (None, "UTC", "Europe/Oslo")
        ],
        MS,
    ),
    "Decimal32, 64, 128, 256": (
        [pa.array([DECIMAL, None], kind(9, 2)) for kind in (pa.decimal32, pa.decimal64, pa.decimal128, pa.decimal256)],
        Decimal128("-1.50"),
    ),
    "Struct": (
        [pa.array([{"a": 1, "b": None}, None], pa.struct({"a": pa.int32(), "b": pa.string()}))],
        {"a": 1, "b": None},
    ),
    "List, LargeList, FixedSizeList, ListView, LargeListView": (
        [
            pa.array([[1, None], None], kind)
            for kind in (
                pa.list_(pa.int32()),
                pa.large_list(pa.int32()),
                pa.list_(pa.int32(), 2),
                pa.list_view(pa.int32()),
                pa.large_list_view(pa.int32()),
            )
        ],
        [1, None],
    ),
    "Map with string keys": (
        [pa.array([[("x", 1), ("y", 2), ("x", 3)], None], pa.map_(pa.string(), pa.int32()))],
        {"x": 3, "y": 2},
    ),
    "Dictionary, RunEndEncoded": (
        [pa.array(["a", None]).dictionary_encode(), run_ends(pa.array(["a", None]))],
        "a",
    ),
    "`pymongoarrow.objectid`, `.decimal128`, `.code`, `.binary`": (
        [
            extension("pymongoarrow.objectid", pa.array([b"0123456789ab", None], pa.binary(12))),
            extension("pymongoarrow.decimal128", pa.array([Decimal128("2.5").bid, None], pa.binary(16))),
            extension("pymongoarrow.code", pa.array(["f()", None])),
            extension("pymongoarrow.binary", pa.array([b"x", None], pa.binary()), "subtype=128"),
        ],
        [ObjectId(b"0123456789ab"), Decimal128("2.5"), Code("f()"), Binary(b"x", 128)],
    ),
    "any other extension type, `arrow.json`": (
        [extension("some.thing", pa.array(["a", None])), extension("arrow.json", pa.array(["a", None]))],
        "a",
    ),
    "Time, Duration, Interval, Union, Map with other keys": (
        [
            pa.array([1, None], pa.time32("s")),
            pa.array([1, None], pa.time64("us")),
            pa.array([1, None], pa.duration("s")),
            pa.array([pa.MonthDayNano((1, 2, 3)), None]),
            pa.UnionArray.from_sparse(pa.array([0, 0], pa.int8()), [pa.array([1, 2])]),
            pa.array([[(1, 2)], None], pa.map_(pa.int32(), pa.int32())),
        ],
        None,
    ),
}
REFUSED = "Time, Duration, Interval, Union, Map with other keys"


def table_of(column: Any) -> pa.Table:
    field, array = column if isinstance(column, tuple) else (pa.field("v", column.type), column)
    return pa.Table.from_arrays([array], schema=pa.schema([field]))


def rows_of_the_page() -> list[str]:
    section = PAGE.split("\n## Arrow to documents\n")[1].split("\n## ")[0]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table is not None
    return [line.strip("|").split(" | ")[0].strip() for line in table[0].splitlines()[2:]]


def test_the_page_has_a_row_for_each_type() -> None:
    assert rows_of_the_page() == list(ROWS)


@pytest.mark.parametrize("row", [row for row in ROWS if row != REFUSED])
def test_a_type_of_the_page(row: str) -> None:
    columns, value = ROWS[row]
    for number, column in enumerate(columns):
        table = table_of(column)
        wanted = value[number] if row.startswith("`pymongoarrow") else value
        kept, null = decoded(table)
        assert kept == {"v": wanted}
        assert type(kept["v"]) is type(wanted)
        assert null == {"v": None}
        # Documents that are read from the same data have the same bytes.
        for nulls in ("keep", "omit"):
            read = data_bridge.from_arrow(table, nulls=nulls).to_dicts()
            assert decoded(table, nulls=nulls) == [bson.decode(bson.encode(one), OPTIONS) for one in read]


@pytest.mark.parametrize("number", range(len(ROWS[REFUSED][0])))
def test_a_refused_type_of_the_page(number: int) -> None:
    table = table_of(ROWS[REFUSED][0][number])
    with pytest.raises(ValueError, match=r'path \["v"\]'):
        encode_arrow(table)
    if not pa.types.is_map(table.schema.field("v").type):
        assert decoded(table, on_conflict="null") == [{"v": None}, {"v": None}]


def test_values_that_bson_cannot_hold_name_row_and_id() -> None:
    table = pa.table({"_id": ["a", "b", "c"], "n": pa.array([1, 2, 2**63], pa.uint64())})
    with pytest.raises(ValueError, match=r'9223372036854775808 exceeds.*document 2, _id "c", path \["n"\]'):
        encode_arrow(table)
    assert decoded(table, on_conflict="null", nulls="omit")[2] == {"_id": "c"}
    instants = pa.table({"t": pa.array([1_999], pa.timestamp("us"))})
    with pytest.raises(ValueError, match="whole milliseconds"):
        encode_arrow(instants)
    (row,) = decoded(instants, round_dates=True)
    assert row["t"].microsecond == 1000


def documents() -> list[dict[str, Any]]:
    return [
        {
            "_id": ObjectId(),
            "text": "a",
            "int": 1,
            "long": Int64(2**40),
            "float": 0.5,
            "when": MS,
            "uuid": uuid.UUID(int=5),
            "price": Decimal128("1.25"),
            "bytes": b"\x00",
            "nested": {"a": 1, "b": ["x", None, "y"]},
            "regex": Regex("a", "i"),
            "stamp": Timestamp(4, 5),
            "min": MinKey(),
            "max": MaxKey(),
            "code": Code("f()", {"x": 1}),
            "mixed": 1,
            "empty": {},
            "null": None,
        },
        {"_id": ObjectId(), "mixed": "text", "nested": {"b": []}},
    ]


DOCUMENTS = b"".join(bson.encode(document, codec_options=OPTIONS) for document in documents())


def without_nulls(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: without_nulls(value) for key, value in document.items() if value is not None}
    return [without_nulls(item) for item in document] if isinstance(document, list) else document


def test_tables_with_shapes_are_the_original_bytes() -> None:
    result = data_bridge.read_bson(DOCUMENTS)
    assert encode_arrow(result.to_arrow(shapes=True)) == DOCUMENTS


@pytest.mark.parametrize("types", ["plain", "exact"])
def test_tables_are_the_original_values(types: str) -> None:
    table = data_bridge.read_bson(DOCUMENTS, types=types).to_arrow()  # type: ignore[arg-type]
    wanted = [without_nulls(document) for document in bson.decode_all(DOCUMENTS, OPTIONS)]
    assert decoded(table, nulls="omit") == wanted


def test_frames_of_other_libraries() -> None:
    rows = {"_id": [1, 2], "name": ["a", None], "when": [MS.replace(tzinfo=None)] * 2, "tags": [["x"], []]}
    wanted = [
        {"_id": 1, "name": "a", "when": MS, "tags": ["x"]},
        {"_id": 2, "name": None, "when": MS, "tags": []},
    ]
    source = pa.table(rows)
    frame = pd.DataFrame({name: pd.Series(column) for name, column in rows.items()}).convert_dtypes()
    assert decoded(pl.DataFrame(rows)) == wanted
    assert decoded(frame) == wanted
    assert decoded(duckdb.sql("SELECT * FROM source")) == wanted
    assert decoded(data_bridge.from_arrow(source, nulls="keep"), nulls="keep") == wanted


def test_a_mapping_gives_text_its_type() -> None:
    key = ObjectId()
    frame = pl.DataFrame({"_id": [str(key)], "text": [str(key)]})
    assert decoded(frame, "delete") == [{"q": {"_id": str(key)}, "limit": 1}]
    form = TableOptions(schema={"_id": ObjectId}).form(native(DEFAULT))
    assert decoded(frame, "delete", form=form) == [{"q": {"_id": key}, "limit": 1}]
    assert decoded(frame, form=form) == [{"_id": key, "text": str(key)}]


def test_flattened_tables_are_documents_again() -> None:
    table = data_bridge.read_bson(DOCUMENTS, types="exact", flatten=True).to_arrow()
    wanted = [without_nulls(document) for document in bson.decode_all(DOCUMENTS, OPTIONS)]
    assert decoded(table, nulls="omit", unflatten=True) == wanted
    with pytest.raises(ValueError, match=r'path \["a.b"\]'):
        encode_arrow(pa.table({"a": [1], "a.b": [2]}), unflatten=True)


def test_statements() -> None:
    table = pa.table({"_id": [1], "a": pa.array([{"b": 2, "c": None}]), "d": pa.array([None], pa.int32())})
    assert decoded(table, "update", nulls="omit", upsert=True) == [
        {"q": {"_id": 1}, "u": {"$set": {"a.b": 2}}, "upsert": True}
    ]
    assert decoded(table, "replace") == [{"q": {"_id": 1}, "u": {"_id": 1, "a": {"b": 2, "c": None}, "d": None}}]
    assert decoded(table, "delete", on=[["a", "b"]], many=True) == [{"q": {"a.b": 2}, "limit": 0}]
    for wrong in ({"nulls": "drop"}, {"nested": "x"}, {"on_conflict": "rescue"}):
        with pytest.raises(ValueError, match="must be one of"):
            encode_arrow(table, **wrong)
    with pytest.raises(ValueError, match="operation must be one of"):
        encode_arrow(table, "merge")
