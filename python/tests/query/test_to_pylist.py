"""`to_pylist`: the rows of a table as PyMongo's documents, and each documented difference."""

from __future__ import annotations

import datetime as dt
from typing import Any

import bson
import pyarrow as pa
import pytest
from bson import Binary, CodecOptions, DatetimeMS, DBRef, Decimal128, Int64, ObjectId
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from hypothesis import given, settings
from oracle import assert_same
from pymongo.database import Database
from strategies import collection, framed, one_of_each, raw_documents, results

import data_bridge
from data_bridge import AsyncMongoClient, MongoClient, Result, read_bson
from data_bridge.integrations import pyarrow_types

Mongo = Database[dict[str, Any]]
AWARE: CodecOptions[Any] = CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)


def result_of(*documents: bytes | dict[str, Any], **options: Any) -> Result:
    encoded = [each if isinstance(each, bytes) else bson.encode(each) for each in documents]
    return read_bson(b"".join(encoded), **options).read()


def assert_row(actual: Any, expected: Any, field: pa.Field, path: str) -> None:
    """Compare a value of a row with PyMongo's."""
    if expected is None:
        assert actual is None, path
    elif isinstance(expected, (int, float)) and not isinstance(expected, bool):
        # An int may have become an Int64 or a float of the same number.
        assert actual == expected or actual != actual, path
        assert type(actual) in {type(expected), Int64, float}, path
    elif isinstance(expected, DBRef) and pa.types.is_struct(field.type) and not field.metadata:
        assert_row(actual, dict(expected.as_doc()), field, path)
    elif isinstance(expected, dict) and pa.types.is_struct(field.type):
        assert list(actual) == [each.name for each in field.type], path
        assert set(expected) <= set(actual), path
        for each in field.type:
            assert_row(actual[each.name], expected.get(each.name), each, f"{path}[{each.name!r}]")
    elif isinstance(expected, list) and pa.types.is_list(field.type):
        assert len(actual) == len(expected), path
        for position, item in enumerate(expected):
            assert_row(actual[position], item, field.type.value_field, f"{path}[{position}]")
    else:
        assert_same(actual, expected, path)


def assert_rows(result: Result, encoded: list[bytes]) -> None:
    rows = result.to_pylist()
    row = pa.field("row", pa.struct(list(pa.schema(result.schema))))
    assert len(rows) == len(encoded)
    for position, document in enumerate(encoded):
        assert_row(rows[position], bson.decode(document, AWARE), row, f"rows[{position}]")


@settings(max_examples=50)
@given(results())
def test_rows_are_those_of_pymongo(documents: list[dict[str, Any]]) -> None:
    encoded = [bson.encode(document) for document in documents]
    assert_rows(read_bson(b"".join(encoded)).read(), encoded)


@settings(max_examples=50)
@given(raw_documents())
def test_rows_of_every_type_are_those_of_pymongo(document: bytes) -> None:
    assert_rows(result_of(document), [document])


def test_many_rows_are_those_of_pymongo() -> None:
    encoded = collection(7, 300)
    assert_rows(result_of(*encoded), encoded)


@pytest.mark.parametrize("name", one_of_each())
def test_rows_do_not_depend_on_registered_types(name: str) -> None:
    kind, value = one_of_each()[name]
    document = framed([(kind, "v", value), (4, "l", framed([(kind, "0", value)]))])
    result = result_of(document, {"other": 1})
    rows = result.to_pylist()
    data_bridge.register_pyarrow_types()
    try:
        again = result.to_pylist()
    finally:
        for each in pyarrow_types.TYPES:
            pa.unregister_extension_type(f"data_bridge.{each.name}")
    assert_same(again, rows)
    if name != "dbref":
        assert_same(rows[0], {**bson.decode(document, AWARE), "other": None})


# ---- each difference from PyMongo's documents ------------------------------------------------------------------------


def test_missing_keys_and_nulls_are_none_in_every_row() -> None:
    result = result_of({"a": 1, "s": {"x": 1, "l": [{"y": 1}]}}, {"b": None, "s": {"z": {"w": 1}, "l": [{}, None]}}, {})
    row = {"a": None, "s": None, "b": None}
    assert result.to_pylist() == [
        {**row, "a": 1, "s": {"x": 1, "l": [{"y": 1}], "z": None}},
        {**row, "s": {"x": None, "l": [{"y": None}, None], "z": {"w": 1}}},
        row,
    ]
    assert list(result.to_pylist()[1]) == ["a", "s", "b"]


def test_a_dbref_is_a_dict_in_a_column_and_itself_in_a_mixed_cell() -> None:
    reference = DBRef("c", ObjectId(), "d", extra=1)
    (row,) = result_of({"r": reference, "l": [reference]}).to_pylist()
    expected = {"$ref": "c", "$id": reference.id, "$db": "d", "extra": 1}
    assert row == {"r": expected, "l": [expected]}
    assert type(row["r"]) is dict
    assert result_of({"m": reference}, {"m": 1}).to_pylist() == [{"m": reference}, {"m": 1}]
    # In the order of the column.
    (row,) = result_of({"r": {"$id": 1, "$ref": "c"}}).to_pylist()
    assert list(row["r"]) == ["$id", "$ref"]


def test_widened_ints_have_the_type_of_the_column() -> None:
    documents = [{"i": 1, "f": 1, "m": 1}, {"i": Int64(2), "f": 2.5, "m": "x"}]
    rows = result_of(*documents).to_pylist()
    assert rows == documents
    assert [type(row["i"]) for row in rows] == [Int64, Int64]
    assert [type(row["f"]) for row in rows] == [float, float]
    assert type(rows[0]["m"]) is int


def test_dates_outside_the_range_of_python_are_datetime_ms() -> None:
    late = DatetimeMS(300_000_000_000_000)
    result = result_of({"t": late}, {"t": dt.datetime(2024, 1, 2)})
    when = dt.datetime(2024, 1, 2, tzinfo=dt.timezone.utc)
    assert result.to_pylist() == [{"t": late}, {"t": when}]
    with pytest.raises(OverflowError):
        result.to_arrow().to_pylist()


# ---- values of the table ---------------------------------------------------------------------------------------------


def test_rows_are_those_of_the_table() -> None:
    documents: list[dict[str, Any]] = [{"_id": 1, "a": 1, "b": ObjectId()}, {"_id": 2, "a": "x", "c": 1}]
    rows = result_of(*documents, schema={"a": "float64", "d": "string"}, on_conflict="rescue").to_pylist()
    rescued = [{"path": ["a"], "value": "x"}]
    assert rows == [{"a": 1.0, "d": None, "_rescued": None}, {"a": None, "d": None, "_rescued": rescued}]
    with pytest.raises(data_bridge.SchemaConflict):
        result_of(*documents, schema={"a": "float64"}).to_pylist()
    texts = result_of(*documents, objectid="hex", mixed="json").to_pylist()
    assert texts[0] == {"_id": 1, "a": "1", "b": str(documents[0]["b"]), "c": None}


def test_casts_of_a_schema_read_as_documents_do() -> None:
    schema = pa.schema(
        [
            ("day", pa.date32()),
            ("naive", pa.timestamp("us")),
            ("price", pa.decimal128(10, 2)),
            ("kind", pa.dictionary(pa.int32(), pa.string())),
            ("map", pa.map_(pa.string(), pa.struct([("x", pa.int64()), ("y", pa.int64())]))),
        ]
    )
    day = dt.datetime(2024, 1, 2)
    document = {"day": day, "naive": day, "price": Decimal128("1.5"), "kind": "k", "map": {"one": {"x": 1}}}
    (row,) = result_of(document, schema=schema).to_pylist()
    aware = day.replace(tzinfo=dt.timezone.utc)
    assert row == {
        "day": aware,
        "naive": aware,
        "price": Decimal128("1.50"),
        "kind": "k",
        "map": {"one": {"x": 1, "y": None}},
    }


def test_codec_options_apply() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    options: CodecOptions[Any] = CodecOptions(
        tz_aware=True, tzinfo=zone, uuid_representation=UuidRepresentation.PYTHON_LEGACY
    )
    value = Binary(bytes(range(16)), 3)
    document = bson.encode({"u": value, "t": dt.datetime(2024, 1, 2)})
    (row,) = read_bson(document, codec_options=options).read().to_pylist()
    assert_same(row, bson.decode(document, options))
    assert data_bridge.from_arrow(result_of(document).to_arrow(), codec_options=options).to_pylist() == [row]


async def test_queries_read_rows(client: MongoClient, mongodb_uri: str, database: Mongo) -> None:
    documents = [{"_id": 1, "x": ObjectId()}, {"_id": 2, "y": 1}]
    database.c.insert_many(documents)
    expected = [{"_id": 1, "x": documents[0]["x"], "y": None}, {"_id": 2, "x": None, "y": 1}]
    query = client[database.name].c.find(sort="_id")
    assert query.to_pylist() == query.read().to_pylist() == expected
    assert query.report is not None
    assert query.report.rows == 2
    async with AsyncMongoClient(mongodb_uri) as awaited:
        assert await awaited[database.name].c.find(sort="_id").to_pylist() == expected
