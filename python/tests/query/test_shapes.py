"""`to_arrow(shapes=True)`: a table that reads back as exactly the documents it was made of."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from typing import Any

import bson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import strategies
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st
from oracle import assert_same
from pymongo.database import Database

import data_bridge
from data_bridge import AsyncMongoClient, DataBridgeError, MongoClient, read_bson

Mongo = Database[dict[str, Any]]
AUTO: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)


def parquet(table: pa.Table) -> pa.Table:
    file = io.BytesIO()
    pq.write_table(table, file)
    return pq.read_table(file)


def ipc_file(table: pa.Table) -> pa.Table:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return pa.ipc.open_file(sink.getvalue()).read_all()


TRIPS: dict[str, Callable[[pa.Table], pa.Table]] = {
    "none": lambda table: table,
    "Parquet": parquet,
    "IPC": ipc_file,
    "combined": lambda table: table.combine_chunks(),
    "cut": lambda table: pa.concat_tables([table.slice(0, 1), table.slice(1)]),
}


def expected(data: list[bytes]) -> list[dict[str, Any]]:
    return [bson.decode(document, AUTO) for document in data]


def check(data: list[bytes], trip: Callable[[pa.Table], pa.Table], **options: Any) -> None:
    table = trip(read_bson(b"".join(data), **options).to_arrow(shapes=True))
    assert_same(data_bridge.from_arrow(table).to_dicts(), expected(data))


@given(st.lists(strategies.documents(), max_size=5), st.sampled_from(list(TRIPS)))
def test_any_documents(documents: list[dict[str, Any]], trip: str) -> None:
    check([bson.encode(document) for document in documents], TRIPS[trip])


@given(strategies.results(), st.sampled_from(list(TRIPS)))
def test_any_results(documents: list[dict[str, Any]], trip: str) -> None:
    check([bson.encode(document) for document in documents], TRIPS[trip])


@given(st.lists(strategies.raw_documents(), max_size=5), st.sampled_from(list(TRIPS)))
def test_any_bytes(data: list[bytes], trip: str) -> None:
    check(data, TRIPS[trip])


@given(strategies.results(), st.sampled_from(["binary", "hex"]), st.sampled_from(["binary", "string"]))
def test_any_representation(documents: list[dict[str, Any]], objectid: str, uuid: str) -> None:
    data = [bson.encode(document) for document in documents]
    check(data, parquet, objectid=objectid, uuid=uuid, strings="large")


@given(st.integers(0, 2**32), st.integers(1, 400))
def test_collections(seed: int, count: int) -> None:
    check(strategies.collection(seed, count), parquet)


@given(st.integers(0, 2**32))
def test_rows_may_be_taken_in_any_order(seed: int) -> None:
    data = strategies.collection(seed, 60)
    table = read_bson(b"".join(data)).to_arrow(shapes=True)
    order = random.Random(seed).choices(range(len(data)), k=40)
    documents = data_bridge.from_arrow(table.take(order)).to_dicts()
    assert_same(documents, expected([data[place] for place in order]))


CASES: dict[str, list[dict[str, Any]]] = {
    "missing, null, empty": [{"d": {"x": 1}}, {"d": None}, {}, {"d": {}}, {"d": {"x": None}}],
    "order of keys": [{"a": 1, "b": {"x": 1, "y": 2}}, {"b": {"y": 1, "x": 2}, "a": 3}, {"b": {"y": 5}}],
    "int32 and int64": [{"n": 1}, {"n": bson.Int64(2)}, {"n": 3}],
    "integers and doubles": [{"n": 1}, {"n": 2.0}, {"n": bson.Int64(2**53)}, {"n": float("nan")}, {"n": -0.0}],
    "lists": [{"l": [1, bson.Int64(2), None]}, {"l": []}, {"l": None}, {"l": [[], None]}, {"l": [1] * 300}],
    "lists of documents": [
        {"l": [{"a": 1}, {"b": 2, "a": 3}]},
        {"l": [{"a": None}] * 5 + [{}]},
        {"l": [None, {"a": 1}]},
    ],
    "nothing but empty documents": [{}, {}],
    "null columns": [{"a": None}, {}, {"b": None, "a": None}],
}


@pytest.mark.parametrize("trip", TRIPS)
@pytest.mark.parametrize("case", CASES)
def test_what_arrow_has_no_place_for(case: str, trip: str) -> None:
    check([bson.encode(document) for document in CASES[case]], TRIPS[trip])


@pytest.mark.parametrize("case", ["missing, null, empty", "order of keys", "int32 and int64"])
def test_through_polars(case: str) -> None:
    # Not every case: polars 2.1 panics on an extension type inside a list.
    table = read_bson(b"".join(map(bson.encode, CASES[case]))).to_arrow(shapes=True)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    assert_same(data_bridge.from_arrow(frame.reverse()).to_dicts(), CASES[case][::-1])


def test_documents_over_a_megabyte_and_their_neighbours() -> None:
    documents = [{"_id": i, "s": "x" * 400_000, "n": i if i % 2 else bson.Int64(i)} for i in range(7)]
    check([bson.encode(document) for document in documents], parquet)


def test_uniform_documents_need_no_shape() -> None:
    documents = [{"_id": bson.ObjectId(), "a": i, "n": {"x": "y"}, "l": [{"v": i}]} for i in range(3000)]
    del documents[7]["n"]
    table = read_bson(b"".join(bson.encode(document) for document in documents)).to_arrow(shapes=True)
    assert table.schema.names == ["_id", "a", "n", "l", "_shapes"]
    assert table["_shapes"].null_count == len(documents)


def test_a_shape_does_not_depend_on_values_lengths_or_what_is_missing() -> None:
    documents = [
        {"_id": i, "n": None, "l": [bson.Int64(1), 2.5][: 1 + i % 2] + [0.5] * i, "o": {"x": i, "y": None}}
        for i in range(100)
    ]
    for document in documents[::3]:
        del document["_id"]
    table = read_bson(b"".join(bson.encode(document) for document in documents)).to_arrow(shapes=True)
    assert table["_shapes"].null_count == 0
    assert len(set(table["_shapes"].to_pylist())) <= 3


def test_without_shapes_null_reads_as_missing() -> None:
    data = bson.encode({"a": None, "b": 1}) + bson.encode({"a": 1, "b": 1})
    assert data_bridge.from_arrow(read_bson(data).to_arrow()).to_dicts() == [{"b": 1}, {"a": 1, "b": 1}]


def test_a_result_gives_both_tables_and_its_own_again() -> None:
    result = read_bson(bson.encode({"a": None, "b": 1})).read()
    assert "_shapes" not in result.to_arrow().schema.names
    table = result.to_arrow(shapes=True)
    assert "_shapes" not in result.to_arrow().schema.names
    again = data_bridge.from_arrow(table)
    assert again.to_arrow().equals(table)
    assert data_bridge.from_arrow(again.to_arrow(shapes=True).select([0, 1, 2])).to_dicts() == [{"a": None, "b": 1}]


def test_with_a_schema() -> None:
    documents = [
        {"_id": 1, "n": 1, "d": {"x": 1, "skipped": 2}, "skipped": 3},
        {"_id": None, "d": {"skipped": 2, "x": None}, "n": 2.0},
        {"skipped": 1},
    ]
    data = b"".join(bson.encode(document) for document in documents)
    wanted = {"n": "int64", "d": {"x": "int64"}, "_id": "int64"}
    kept = [{"_id": 1, "n": 1, "d": {"x": 1}}, {"_id": None, "d": {"x": None}, "n": 2.0}, {}]
    table = parquet(read_bson(data, schema=wanted).to_arrow(shapes=True))
    assert_same(data_bridge.from_arrow(table).to_dicts(), kept)


def test_what_did_not_fit() -> None:
    documents = [{"n": 1}, {"n": "x", "l": [1, "y", 2]}, {"n": 2.5}, {"n": None}]
    data = b"".join(bson.encode(document) for document in documents)
    schema = {"n": "int32", "l": ["int32"]}
    rescued = parquet(read_bson(data, schema=schema, on_conflict="rescue").to_arrow(shapes=True))
    assert rescued.schema.names == ["n", "l", "_rescued", "_shapes"]
    assert_same(data_bridge.from_arrow(rescued).to_dicts(), documents)
    nulled = parquet(read_bson(data, schema=schema, on_conflict="null").to_arrow(shapes=True))
    given_up = [{"n": 1}, {"n": None, "l": [1, None, 2]}, {"n": None}, {"n": None}]
    assert data_bridge.from_arrow(nulled).to_dicts() == given_up


@given(strategies.results())
def test_values_that_another_type_holds(documents: list[dict[str, Any]]) -> None:
    data = [bson.encode(document) for document in documents]
    names = list(dict.fromkeys(key for document in documents for key in document if key != "_rescued"))
    types = ["int64", "float64", "decimal128(30, 2)", "timestamp[s]", "string", "binary"]
    schema = {name: types[place % len(types)] for place, name in enumerate(names)}
    table = parquet(read_bson(b"".join(data), schema=schema, on_conflict="rescue").to_arrow(shapes=True))
    assert_same(data_bridge.from_arrow(table).to_dicts(), expected(data))


def test_a_key_of_the_columns_name_is_refused() -> None:
    query = read_bson(bson.encode({"_shapes": 1}))
    with pytest.raises(ValueError, match="_shapes"):
        query.to_arrow(shapes=True)
    assert query.to_arrow().num_rows == 1


def test_shapes_go_with_their_columns() -> None:
    table = read_bson(bson.encode({"a": None, "b": {"x": 1, "y": None}})).to_arrow(shapes=True)
    wrong = {
        "selected": table.select(["b", "_shapes"]),
        "reordered": table.select(["b", "a", "_shapes"]),
        "renamed": table.rename_columns(["a", "c", "_shapes"]),
        "more": table.append_column("c", pa.array([1])),
    }
    for what, changed in wrong.items():
        with pytest.raises(ValueError, match="other columns"):
            data_bridge.from_arrow(changed)
        assert data_bridge.from_arrow(changed.drop(["_shapes"])).to_dicts(), what
    moved = data_bridge.from_arrow(table.select(["_shapes", "a", "b"]))
    assert moved.to_dicts() == [{"a": None, "b": {"x": 1, "y": None}}]


def with_shapes(table: pa.Table, shapes: list[bytes | None]) -> pa.Table:
    place = table.schema.names.index("_shapes")
    return table.set_column(place, table.schema.field(place), pa.array(shapes, pa.binary()))


HOSTILE = [
    [{"a": 1, "b": {"x": 1, "y": None}, "l": [1, bson.Int64(2), 3]}, {"b": {}, "l": [{"v": 1}], "a": None}],
    [{"a": bson.Int64(1), "l": [{"v": None, "w": 2.5}, {"w": 1}]}, {"l": [], "d": {"e": {"f": [None, {}]}}}],
]


@given(st.data())
def test_hostile_shapes_are_errors(data: st.DataObject) -> None:
    documents = data.draw(st.sampled_from(HOSTILE))
    table = read_bson(b"".join(bson.encode(document) for document in documents)).to_arrow(shapes=True)
    shape = bytearray(data.draw(st.sampled_from([shape for shape in table["_shapes"].to_pylist() if shape])))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(shape)))
        shape[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"\0", b"\5", b"\6", b"\7", b"\xff\xff\xff\xff\x0f"]))
        )
    error, made = "", []
    try:
        made = data_bridge.from_arrow(with_shapes(table, [bytes(shape)] * table.num_rows)).to_dicts()
    except (DataBridgeError, ValueError) as raised:
        error = str(raised)
    assert "internal" not in error
    # What reads at all are documents.
    assert all(bson.decode(bson.encode(document)) is not None for document in made)


def number(value: int) -> bytes:
    return bytes([value])


ONE = bson.encode({"": 1})
BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "ends early"),
    "no end": (number(2) + b"\0", "ends early"),
    "more behind it": (b"\0\0", "bytes after"),
    "no such field": (number(2 * 9 + 2) + b"\0\0", "does not exist"),
    "a run too long": (number(1) + number(4) + b"\0", "does not exist"),
    "a number too large": (b"\xff\xff\xff\xff\xff\xff\0", "too large"),
    "a key twice": (number(2) + b"\0" + number(2) + b"\0\0", "twice"),
    "a key twice, in runs": (number(1) + number(1) + number(1) + number(1) + b"\0", "twice"),
    "steps without end": ((number(5) + number(0)) * 100 + b"\0", "more steps"),
    "a null where a value is": (number(2) + b"\1\0", "does not match"),
    "an unknown code": (number(2) + b"\x63\0", "does not match"),
    "a document that is none": (number(2) + b"\5\0\0", "does not match"),
    "a list that is none": (number(2) + b"\6\0\0\0", "does not match"),
    "too many items": (number(4) + b"\6\x09\0\0\0\0", "more items"),
    "items after the last": (number(4) + b"\6\2\0\1\0\0\0\0", "more items"),
    "a literal cut short": (number(2) + b"\7" + ONE[:-2] + b"\0", "malformed"),
    "a literal without an end": (number(2) + b"\7" + struct.pack("<i", 2**31 - 1) + b"\0", "malformed"),
    "a literal of two": (number(2) + b"\7" + bson.encode({"": 1, "b": 2}) + b"\0", "one key"),
    "a literal of none": (number(2) + b"\7" + bson.encode({}) + b"\0", "one key"),
    "a literal of another key": (number(2) + b"\7" + bson.encode({"a": 2}) + b"\0", "one key"),
    "a literal that is repeated": (number(4) + b"\6\0\7" + ONE + b"\0", "repeats"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_shapes_are_named_by_row(case: str) -> None:
    shape, message = BROKEN[case]
    table = read_bson(bson.encode({"a": 2.5, "l": [1, 2, 3], "n": None})).to_arrow(shapes=True)
    table = pa.concat_tables([table] * 3)
    with pytest.raises(data_bridge.DecodeError, match=message) as caught:
        data_bridge.from_arrow(with_shapes(table, [None, None, shape]))
    assert caught.value.document == 2
    assert caught.value.path == ("_shapes",)


def test_runs_may_not_look_at_columns_again_and_again() -> None:
    schema = {"a": "int32", **{f"n{place}": "int32" for place in range(20)}}
    table = read_bson(bson.encode({"a": 1}), schema=schema).to_arrow(shapes=True)
    nulls = number(3) + number(20)
    first = number(1) + number(1)
    made = data_bridge.from_arrow(with_shapes(table, [first + nulls + number(0)]))
    assert made.to_dicts() == [{"a": 1}]
    with pytest.raises(data_bridge.DecodeError, match="more steps"):
        data_bridge.from_arrow(with_shapes(table, [first + nulls * 3 + number(0)]))


def test_a_value_put_where_null_was_is_not_lost() -> None:
    table = read_bson(bson.encode({"a": None, "b": 1}) + bson.encode({"a": 1, "b": 1})).to_arrow(shapes=True)
    filled = table.set_column(0, table.schema.field("a"), table["a"].fill_null(0))
    with pytest.raises(data_bridge.DecodeError, match="does not match"):
        data_bridge.from_arrow(filled)
    assert data_bridge.from_arrow(filled.drop(["_shapes"])).to_dicts() == [{"a": 0, "b": 1}, {"a": 1, "b": 1}]


def test_shapes_of_other_types_and_without_a_fingerprint() -> None:
    table = read_bson(bson.encode({"a": None})).to_arrow(shapes=True)
    name = {b"ARROW:extension:name": b"data_bridge.shapes"}
    for metadata in (name, {**name, b"ARROW:extension:metadata": b"2 0"}):
        field = pa.field("_shapes", pa.binary(), metadata=metadata)
        with pytest.raises(ValueError, match="other columns"):
            data_bridge.from_arrow(table.set_column(1, field, table["_shapes"]))
    field = pa.field("_shapes", pa.int64(), metadata=table.schema.field("_shapes").metadata)
    with pytest.raises(ValueError, match="_shapes"):
        data_bridge.from_arrow(table.set_column(1, field, pa.array([1])))
    for kind in (pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())):
        field = pa.field("_shapes", kind, metadata=table.schema.field("_shapes").metadata)
        other = table.set_column(1, field, pa.array(table["_shapes"].to_pylist(), pa.binary()).cast(kind))
        assert data_bridge.from_arrow(other).to_dicts() == [{"a": None}]


def test_of_a_server(client: MongoClient, database: Mongo) -> None:
    data = strategies.collection(7, 500)
    for place, document in enumerate(data):
        database.c.insert_one(
            RawBSONDocument(strategies.document_of(b"\x10i\0" + struct.pack("<i", place), document[4:-1]))
        )
    query = client[database.name].c.find(batch_size=70, sort=[("i", 1)])
    table = parquet(query.to_arrow(shapes=True))
    assert_same(data_bridge.from_arrow(table).to_dicts(), query.to_dicts())


async def test_awaited(mongodb_uri: str, database: Mongo) -> None:
    database.c.insert_many([{"_id": 1, "a": None}, {"a": bson.Int64(3), "_id": 2}])
    async with AsyncMongoClient(mongodb_uri) as client:
        table = await client[database.name].c.find(sort=[("_id", 1)]).to_arrow(shapes=True)
    assert data_bridge.from_arrow(table).to_dicts() == [{"_id": 1, "a": None}, {"_id": 2, "a": 3}]
