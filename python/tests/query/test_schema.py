"""Schemas that are given: exact values or a conflict, for every Arrow type that is taken."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Mapping
from typing import Any

import bson
import pyarrow as pa
import pytest

import data_bridge
from data_bridge import Query, SchemaConflict

UTC = dt.timezone.utc
DAY = dt.datetime(2024, 2, 29, tzinfo=UTC)
NOON = DAY + dt.timedelta(hours=12, milliseconds=345)
D = decimal.Decimal


def query(documents: list[dict[str, Any]], schema: Any, **options: Any) -> Query:
    return data_bridge.read_bson(b"".join(map(bson.encode, documents)), schema=schema, **options)


def column(values: list[Any], kind: Any) -> pa.ChunkedArray:
    documents = [{"_id": number, "x": value} for number, value in enumerate(values)]
    table = query(documents, pa.schema([("x", kind)])).to_arrow()
    table.validate(full=True)
    assert table.schema.field("x").type == kind
    return table.column("x")


FITTING = [
    (pa.int8(), [127, -128, 5.0, bson.Int64(1), None], [127, -128, 5, 1, None]),
    (pa.int16(), [-32768, None], [-32768, None]),
    (pa.uint8(), [255, 0.0], [255, 0]),
    (pa.uint16(), [65535], [65535]),
    (pa.uint32(), [bson.Int64(2**32 - 1)], [2**32 - 1]),
    (pa.uint64(), [2**63 - 1, 2.0**63], [2**63 - 1, 2**63]),
    (pa.float32(), [0.5, 3, float("inf")], [0.5, 3.0, float("inf")]),
    (pa.decimal128(5, 2), [bson.Decimal128("1.50"), bson.Decimal128("1E+1"), 7], [D("1.50"), D("10.00"), D("7.00")]),
    (pa.large_string(), ["a", None, "\u00e9"], ["a", None, "\u00e9"]),
    (pa.string_view(), ["a", None, "longer than twelve bytes"], ["a", None, "longer than twelve bytes"]),
    (pa.dictionary(pa.int32(), pa.string()), ["a", "b", "a", None], ["a", "b", "a", None]),
    (pa.dictionary(pa.uint32(), pa.large_string()), ["a", "a"], ["a", "a"]),
    (pa.large_binary(), [b"a", None], [b"a", None]),
    (pa.binary_view(), [b"a"], [b"a"]),
    (pa.binary(3), [b"abc", None], [b"abc", None]),
    (pa.date32(), [DAY, None], [DAY.date(), None]),
    (pa.date64(), [DAY], [DAY.date()]),
    (pa.timestamp("s", "UTC"), [DAY], [DAY]),
    (pa.timestamp("ms"), [NOON], [NOON.replace(tzinfo=None)]),
    (pa.timestamp("us", "UTC"), [NOON], [NOON]),
    (pa.timestamp("ms", "+02:00"), [NOON], [NOON]),
    (pa.list_(pa.field("item", pa.int8()), 2), [[1, 2], None], [[1, 2], None]),
    (pa.large_list(pa.field("item", pa.float32())), [[1, 0.5], [], None], [[1.0, 0.5], [], None]),
    (pa.map_(pa.string(), pa.int64()), [{"a": 1, "b": None}, {}, None], [[("a", 1), ("b", None)], [], None]),
    (pa.struct([("a", pa.uint8())]), [{"a": 1, "b": "left out"}, {}], [{"a": 1}, {"a": None}]),
]


@pytest.mark.parametrize(("kind", "values", "wanted"), FITTING, ids=lambda value: str(value)[:40])
def test_exact_values(kind: pa.DataType, values: list[Any], wanted: list[Any]) -> None:
    assert column(values, kind).to_pylist() == wanted
    # The same where a column holds several types in BSON, and cells are read one by one.
    schema = pa.schema([("x", kind)])
    documents = [{"x": value} for value in values]
    batches = list(query(documents, schema).stream())
    assert pa.Table.from_batches([pa.record_batch(batch) for batch in batches]).column("x").to_pylist() == wanted


MISFITS = [
    (pa.int8(), 128),
    (pa.int8(), 0.5),
    (pa.uint8(), -1),
    (pa.uint32(), bson.Int64(2**32)),
    (pa.uint64(), -1),
    (pa.uint64(), 2.0**64),
    (pa.uint64(), -0.0),
    (pa.float32(), 0.1),
    (pa.float32(), 2**24 + 1),
    (pa.float32(), 1e300),
    (pa.decimal128(5, 2), bson.Decimal128("1.505")),
    (pa.decimal128(5, 2), bson.Decimal128("1000")),
    (pa.decimal128(5, 2), bson.Decimal128("NaN")),
    (pa.decimal128(5, 2), bson.Decimal128("Infinity")),
    (pa.decimal128(5, 2), bson.Decimal128("-0")),
    (pa.decimal128(5, 2), 1.5),
    (pa.large_string(), 1),
    (pa.string_view(), bson.Code("f")),
    (pa.dictionary(pa.int32(), pa.string()), 1),
    (pa.large_binary(), bson.Binary(b"a", 9)),
    (pa.binary(3), b"ab"),
    (pa.date32(), NOON),
    (pa.date32(), bson.DatetimeMS(86_400_000 * 2**31)),
    (pa.timestamp("s", "UTC"), NOON),
    (pa.timestamp("us"), bson.DatetimeMS(2**63 - 1)),
    (pa.timestamp("ns"), bson.DatetimeMS(2**62)),
    (pa.list_(pa.field("item", pa.int8()), 2), [1]),
    (pa.map_(pa.string(), pa.int64()), [1]),
]


@pytest.mark.parametrize(("kind", "value"), MISFITS, ids=str)
def test_what_would_not_be_exact_is_a_conflict(kind: pa.DataType, value: Any) -> None:
    with pytest.raises(SchemaConflict) as caught:
        column([None, value], kind)
    conflict = caught.value
    assert (conflict.document, conflict.id, conflict.path) == (1, 1, ("x",))
    assert conflict.expected
    assert conflict.found


def test_conflicts_inside_name_their_place() -> None:
    for kind, value, path in [
        (pa.map_(pa.string(), pa.int8()), {"a": 1, "b": 300}, ("x", "b")),
        (pa.large_list(pa.int8()), [1, 300], ("x", 1)),
        (pa.list_(pa.int8(), 2), [1, 300], ("x", 1)),
        (pa.struct([("a", pa.list_(pa.uint8()))]), {"a": [0, -1]}, ("x", "a", 1)),
    ]:
        with pytest.raises(SchemaConflict) as caught:
            column([value], kind)
        assert caught.value.path == path


def test_what_is_refused() -> None:
    for kind in (
        pa.float16(),
        pa.time32("s"),
        pa.duration("s"),
        pa.dictionary(pa.int8(), pa.string()),
        pa.month_day_nano_interval(),
    ):
        with pytest.raises(ValueError, match="a schema cannot hold"):
            column([None], kind)


@pytest.mark.parametrize("given", ["plain", "exact"])
def test_mapping(given: str) -> None:
    oid, uid = bson.ObjectId(), uuid.uuid4()
    document = {
        "i": 1, "f": 1.5, "s": "a", "b": True, "y": b"a", "t": NOON, "d": bson.Decimal128("1.50"), "o": oid,
        "u": bson.Binary.from_uuid(uid), "l": [1, 2], "n": {"a": [{"b": 1}]}, "named": 3, "arrow": 4, "any": 1,
    }  # fmt: skip
    schema: Mapping[str, Any] = {
        "i": int, "f": float, "s": str, "b": bool, "y": bytes, "t": dt.datetime, "d": decimal.Decimal,
        "o": bson.ObjectId, "u": uuid.UUID, "l": [int], "n": {"a": [{"b": "int8"}]}, "named": "uint16",
        "arrow": pa.int16(), "any": "mixed", "none": dt.date,
    }  # fmt: skip
    table = query([document], schema, types=given).to_arrow()
    types = {field.name: field.type for field in table.schema}
    assert types["i"] == pa.int64()
    assert types["t"] == pa.timestamp("ms", "UTC")
    assert types["n"] == pa.struct([("a", pa.list_(pa.struct([("b", pa.int8())])))])
    assert types["named"] == pa.uint16()
    assert types["arrow"] == pa.int16()
    assert types["none"] == pa.date32()
    assert table.schema.names == list(schema)
    # A name is taken literally.
    assert table.schema.field("any").metadata == {b"ARROW:extension:name": b"data_bridge.mixed"}
    if given == "plain":
        assert (types["d"], types["o"], types["u"]) == (pa.decimal128(38, 10), pa.string(), pa.string())
        (row,) = table.to_pylist()
        assert (row["d"], row["o"], row["u"]) == (D("1.5"), str(oid), str(uid))
        names = [table.schema.field(name).metadata[b"data_bridge.type"] for name in "dou"]
        assert names == [b"decimal128", b"objectid", b"uuid"]
        return
    (row,) = data_bridge.from_arrow(table).to_dicts()
    assert row["o"] == oid
    assert row["u"] == bson.Binary.from_uuid(uid)
    assert row["d"] == bson.Decimal128("1.50")
    assert row["t"] == NOON.replace(tzinfo=None)
    assert row["n"] == {"a": [{"b": 1}]}
    assert row["any"] == 1
    assert row["y"] == b"a"


def test_mapping_errors_name_their_place() -> None:
    for schema, error, text in [
        ({"a": {"b": complex}}, TypeError, r'\["a"\]\["b"\]'),
        ({"a": [int, str]}, ValueError, "one element"),
        ({"a": "int"}, ValueError, 'called "int"'),
        ({1: int}, TypeError, "str"),
        ({"a": pa.float16()}, ValueError, "Float16"),
        ({"a": {}}, ValueError, "Struct"),
        ({"a": pa.field("a", pa.int8(), nullable=False)}, ValueError, "nullable"),
    ]:
        with pytest.raises(error, match=text):
            query([], schema)


def test_representation() -> None:
    oid, uid = bson.ObjectId("0123456789abcdef01234567"), uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
    documents: list[dict[str, Any]] = [
        {"o": oid, "u": bson.Binary.from_uuid(uid), "s": "a", "l": [{"o": oid, "s": "b"}]},
        {"o": None, "l": [None, {"o": None}]},
    ]
    for schema in (None, {"o": bson.ObjectId, "u": uuid.UUID, "s": str, "l": [{"o": bson.ObjectId, "s": str}]}):
        made = query(documents, schema, objectid="hex", uuid="string", strings="large")
        for table in (made.to_arrow(), pa.Table.from_batches([pa.record_batch(batch) for batch in made.stream()])):
            table.validate(full=True)
            text = pa.large_string()
            assert table.schema.types[:3] == [text, text, text]
            assert table.schema.field("l").type == pa.list_(pa.struct([("o", text), ("s", text)]))
            assert table.to_pylist() == [
                {"o": str(oid), "u": str(uid), "s": "a", "l": [{"o": str(oid), "s": "b"}]},
                {"o": None, "u": None, "s": None, "l": [None, {"o": None, "s": None}]},
            ]
        table = query(documents, schema, objectid="binary", uuid="binary", strings="view").to_arrow()
        assert table.schema.types[:3] == [pa.binary(12), pa.binary(16), pa.string_view()]
        assert table.schema.field("u").metadata == {b"data_bridge.type": b"uuid"}
        assert table.column("u").to_pylist() == [uid.bytes, None]
    mixed = query([{"o": 1}], {"o": bson.ObjectId}, objectid="hex", on_conflict="rescue").to_arrow()
    assert mixed.column("o").to_pylist() == [None]
    for option in ("objectid", "uuid", "strings"):
        with pytest.raises(ValueError, match=option):
            query(documents, None, **{option: "guess"})
