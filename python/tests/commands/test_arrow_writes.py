"""Writes of Arrow data: what is stored, counts, failed rows, checks before the first command; PyMongo is the oracle."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import bson
import pyarrow as pa
import pymongo
import pytest
from bson import Int64, ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

import data_bridge
from data_bridge import ArrowWriteError, AsyncMongoClient, InvalidOperation, InvalidQuery, MongoClient, SchemaConflict
from data_bridge.commands import batches

Mongo = Database[dict[str, Any]]
RAW: bson.CodecOptions[Any] = bson.CodecOptions(document_class=RawBSONDocument)
BOTH_SIDES = True

IDS = [ObjectId() for _ in range(5)]


def stream(*batches: pa.RecordBatch) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(batches[0].schema, iter(batches))


def stored(database: Mongo) -> list[dict[str, Any]]:
    return list(database.c.find().sort("_id"))


def counts(result: Any) -> dict[str, int]:
    """The counts that are not 0."""
    names = ("inserted", "matched", "modified", "upserted", "deleted", "unknown", "failed")
    found = {name: getattr(result, f"{name}_count") for name in names}
    return {name: count for name, count in found.items() if count}


# ---- inserts ---------------------------------------------------------------------------------------------------------


def test_insert(client: MongoClient, database: Mongo) -> None:
    """Rows become documents in order; those without an `_id` get one, in front."""
    table = pa.table({"a": pa.array([1, None, 3], pa.int32()), "s": [{"x": "y"}, None, {"x": None}]})
    result = client[database.name].c.insert_arrow(table)
    assert counts(result) == {"inserted": 3}
    assert result.rows == 3
    assert result.failed.to_dicts() == []
    found = stored(database)
    assert [list(each) for each in found] == [["_id", "a", "s"]] * 3
    assert [{**each, "_id": 0} for each in found] == [
        {"_id": 0, "a": 1, "s": {"x": "y"}},
        {"_id": 0, "a": None, "s": None},
        {"_id": 0, "a": 3, "s": {"x": None}},
    ]
    assert len({each["_id"] for each in found}) == 3
    database.c.drop()
    client[database.name].c.insert_arrow(table, nulls="omit")
    assert [list(each)[1:] for each in stored(database)] == [["a", "s"], [], ["a", "s"]]


def test_insert_of_nothing(client: MongoClient, database: Mongo) -> None:
    table = pa.table({"a": pa.array([], pa.int64())})
    collection = client[database.name].c
    assert counts(collection.insert_arrow(table)) == {}
    assert counts(collection.upsert_arrow(pa.table({"_id": pa.array([], pa.int64())}))) == {}
    assert database.c.count_documents({}) == 0


def test_many_batches_and_commands(client: MongoClient, database: Mongo) -> None:
    """40 MB in batches of any size; the progress ends at the count."""
    seen: list[tuple[int, int]] = []

    def batches() -> Iterator[pa.RecordBatch]:
        number = 0
        for size in [1, 0, 5, 3000, 1, 40_000, 17, 0]:
            ids = pa.array(range(number, number + size), pa.int64())
            number += size
            text = pa.array(["x" * 900] * size, pa.string())
            yield pa.record_batch({"_id": ids, "t": text})

    schema = pa.schema({"_id": pa.int64(), "t": pa.string()})
    data = pa.RecordBatchReader.from_batches(schema, batches())
    result = client[database.name].c.insert_arrow(data, progress=lambda rows, size: seen.append((rows, size)))
    assert counts(result) == {"inserted": 43_024}
    assert database.c.count_documents({}) == 43_024
    assert database.c.count_documents({"_id": {"$gte": 0, "$lt": 43_024}, "t": "x" * 900}) == 43_024
    assert seen[-1][0] == 43_024
    assert seen[-1][1] > 40_000_000
    assert [rows for rows, _ in seen] == sorted(rows for rows, _ in seen)


@pytest.mark.parametrize("parallel", [1, 3])
def test_failed_rows(parallel: int, client: MongoClient, database: Mongo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are those of the data, whatever command they were sent in; an ordered write stops at the first."""
    monkeypatch.setattr(batches, "MAX_STATEMENTS", 7)
    database.c.create_index("k", unique=True)
    database.c.insert_many([{"_id": 20, "k": -1}, {"_id": -1, "k": 90}])
    data = {"_id": pa.array(range(100), pa.int64()), "k": pa.array(range(100), pa.int64())}
    collection = client[database.name].c
    with pytest.raises(ArrowWriteError, match=r"row 20 failed: E11000 .*; 1 more failed \(code 11000\)$") as caught:
        collection.insert_arrow(pa.table(data), ordered=False, parallel=parallel)
    assert isinstance(caught.value, data_bridge.OperationFailure)
    assert caught.value.code == 11000
    result = caught.value.write_result
    assert counts(result) == {"inserted": 98, "failed": 2}
    assert result.rows == 100
    failed = result.failed.to_dicts()
    assert [(each["row"], each["_id"], each["code"]) for each in failed] == [(20, 20, 11000), (90, 90, 11000)]
    assert [dict(each["details"]["keyValue"]) for each in failed] == [{"_id": 20}, {"k": 90}]
    assert result.failed.to_arrow().column("row").to_pylist() == [20, 90]
    # The rows of the table select those of the data.
    again = pa.table(data).take(result.failed.to_arrow()["row"])
    assert again["_id"].to_pylist() == [20, 90]

    database.c.delete_many({"_id": {"$ne": 20}})
    with pytest.raises(ArrowWriteError, match="row 20 failed") as caught:
        collection.insert_arrow(pa.table(data))
    assert counts(caught.value.write_result) == {"inserted": 20, "failed": 1}
    assert database.c.count_documents({}) == 21

    collected = collection.insert_arrow(pa.table(data), ordered=False, on_error="collect")
    assert counts(collected) == {"inserted": 79, "failed": 21}


def test_ignored_duplicates(client: MongoClient, database: Mongo) -> None:
    """Only conflicts on `_id` are ignored, and the write goes on behind them."""
    database.c.create_index("k", unique=True)
    database.c.insert_many([{"_id": 1, "k": 1}, {"_id": 2, "k": 2}])
    table = pa.table({"_id": pa.array([1, 2, 3, 4], pa.int32()), "k": pa.array([9, 9, 3, 4], pa.int32())})
    collection = client[database.name].c
    assert counts(collection.insert_arrow(table, ignore_duplicates=True)) == {"inserted": 2}
    more = pa.table({"_id": pa.array([1, 5, 6], pa.int32()), "k": pa.array([9, 3, 6], pa.int32())})
    with pytest.raises(ArrowWriteError) as caught:
        collection.insert_arrow(more, ignore_duplicates=True)
    assert counts(caught.value.write_result) == {"inserted": 1, "failed": 1}
    assert [each["row"] for each in caught.value.write_result.failed.to_dicts()] == [1]
    assert [each["k"] for each in stored(database)] == [1, 2, 3, 4, 6]


def test_a_validator_names_its_rule(client: MongoClient, database: Mongo) -> None:
    database.create_collection("c", validator={"$jsonSchema": {"properties": {"a": {"maximum": 5}}}})
    table = pa.table({"a": [1, 9]})
    collection = client[database.name].c
    with pytest.raises(ArrowWriteError, match="row 1 failed: Document failed validation") as caught:
        collection.insert_arrow(table)
    details = caught.value.write_result.failed.to_dicts()[0]["details"]
    assert details["errInfo"]["details"]["operatorName"] == "$jsonSchema"
    assert counts(collection.insert_arrow(table, bypass_document_validation=True)) == {"inserted": 2}


# ---- updates, upserts, replacements, deletions -----------------------------------------------------------------------


START = [
    {"_id": 1, "a": 1, "s": {"x": 1, "y": 2}, "only": True},
    {"_id": 2, "a": 2},
    {"_id": 3, "a": 3, "s": 7},
]


def test_update(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many(START)
    table = pa.table(
        {
            "_id": pa.array([1, 2, 9], pa.int32()),
            "a": pa.array([10, None, 90], pa.int32()),
            "s": pa.array([{"x": 5}, {"x": 6}, {"x": 7}], pa.struct({"x": pa.int32()})),
        }
    )
    result = client[database.name].c.update_arrow(table)
    assert counts(result) == {"matched": 2, "modified": 2}
    assert stored(database) == [
        {"_id": 1, "a": 10, "s": {"x": 5, "y": 2}, "only": True},
        {"_id": 2, "a": 2, "s": {"x": 6}},
        START[2],
    ]
    again = client[database.name].c.update_arrow(table)
    assert counts(again) == {"matched": 2}, "nothing is changed a second time"


def test_structs_that_meet_other_values(client: MongoClient, database: Mongo) -> None:
    """A stored scalar is a failed row; "replace" replaces it."""
    database.c.insert_many(START)
    table = pa.table({"_id": pa.array([3], pa.int32()), "s": pa.array([{"x": 5}], pa.struct({"x": pa.int32()}))})
    collection = client[database.name].c
    with pytest.raises(ArrowWriteError) as caught:
        collection.update_arrow(table)
    assert [each["_id"] for each in caught.value.write_result.failed.to_dicts()] == [3]
    assert counts(collection.update_arrow(table, nested="replace")) == {"matched": 1, "modified": 1}
    assert stored(database)[2] == {"_id": 3, "a": 3, "s": {"x": 5}}


def test_nulls_of_updates(client: MongoClient, database: Mongo) -> None:
    collection = client[database.name].c
    table = pa.table({"_id": pa.array([1], pa.int32()), "a": pa.array([None], pa.int32())})
    for nulls, expected in (("omit", {"_id": 1, "a": 1}), ("keep", {"_id": 1, "a": None}), ("unset", {"_id": 1})):
        database.c.drop()
        database.c.insert_one({"_id": 1, "a": 1})
        collection.update_arrow(table, nulls=nulls)
        assert stored(database) == [expected]


def test_upsert(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many(START)
    table = pa.table({"_id": pa.array([1, 4], pa.int32()), "a": pa.array([1, 4], pa.int32())})
    collection = client[database.name].c
    assert counts(collection.upsert_arrow(table)) == {"matched": 1, "upserted": 1}
    assert stored(database) == [*START, {"_id": 4, "a": 4}]
    assert counts(collection.upsert_arrow(table)) == {"matched": 2}


def test_upsert_by_other_keys(client: MongoClient, database: Mongo) -> None:
    database.c.create_index([("k.a", 1), ("m", 1)], unique=True)
    database.c.insert_one({"_id": 1, "k": {"a": 1}, "m": 1, "v": 0})
    table = pa.table(
        {
            "k": pa.array([{"a": 1}, {"a": 2}], pa.struct({"a": pa.int32()})),
            "m": pa.array([1, 2], pa.int32()),
            "v": pa.array([5, 6], pa.int32()),
        }
    )
    collection = client[database.name].c
    result = collection.upsert_arrow(table, on=[("k", "a"), "m"])
    assert counts(result) == {"matched": 1, "modified": 1, "upserted": 1}
    assert database.c.find_one({"_id": 1}) == {"_id": 1, "k": {"a": 1}, "m": 1, "v": 5}
    assert database.c.find_one({"m": 2}, {"_id": 0}) == {"k": {"a": 2}, "m": 2, "v": 6}


def test_replace(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many(START)
    table = pa.table({"_id": pa.array([1, 4], pa.int32()), "b": pa.array([None, 4], pa.int32())})
    collection = client[database.name].c
    assert counts(collection.replace_arrow(table)) == {"matched": 1, "modified": 1}
    assert stored(database) == [{"_id": 1, "b": None}, *START[1:]]
    assert counts(collection.replace_arrow(table, upsert=True)) == {"matched": 1, "upserted": 1}
    assert stored(database)[-1] == {"_id": 4, "b": 4}


def test_delete(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([*START, {"_id": 4, "a": 1}])
    collection = client[database.name].c
    assert counts(collection.delete_arrow(pa.table({"_id": pa.array([2, 9], pa.int32()), "a": [0, 0]}))) == {
        "deleted": 1
    }
    keys = pa.table({"a": pa.array([1], pa.int32())})
    assert counts(collection.delete_arrow(keys, on="a", many=True)) == {"deleted": 2}
    assert [each["_id"] for each in stored(database)] == [3]


@pytest.mark.parametrize("parallel", [1, 4])
def test_repeated_keys(parallel: int, client: MongoClient, database: Mongo, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are refused, also in different batches and number types; or the last one counts."""
    collection = client[database.name].c
    ids = pa.array([float(i % 50) for i in range(500)])
    table = pa.table({"_id": ids, "v": pa.array(range(500), pa.int64())})
    with pytest.raises(Exception, match="has the key of an earlier row") as caught:
        collection.upsert_arrow(table)
    assert counts(caught.value.write_result) == {}  # type: ignore[attr-defined]
    monkeypatch.setattr(batches, "MAX_STATEMENTS", 11)
    options: dict[str, Any] = {} if parallel == 1 else {"ordered": False, "parallel": parallel}
    result = collection.upsert_arrow(table, on_duplicate="last", **options)
    assert counts(result) == {"matched": 450, "modified": 450, "upserted": 50}
    assert [each["v"] for each in stored(database)] == list(range(450, 500))


def test_an_unchanged_table_changes_nothing(client: MongoClient, database: Mongo) -> None:
    """Also of sparse documents, and of types that Arrow widens."""
    documents: list[dict[str, Any]] = [
        {"_id": ObjectId(), "a": 1, "n": {"x": 1.5}, "u": bson.Binary.from_uuid(uuid.uuid4())},
        {"_id": ObjectId(), "l": [1, 2], "d": bson.Decimal128("1.10"), "t": dt.datetime(2024, 1, 1)},
        {"_id": ObjectId(), "a": 5, "n": {"y": "z"}, "i": Int64(7), "none": None},
    ]
    database.c.insert_many(documents)
    ours = client[database.name].c
    table = ours.find().to_arrow()
    assert counts(ours.upsert_arrow(table)) == {"matched": 3}
    assert counts(ours.update_arrow(table)) == {"matched": 3}
    assert stored(database) == documents
    assert counts(ours.delete_arrow(table)) == {"deleted": 3}


@pytest.mark.parametrize("consumer", ["polars", "pandas", "duckdb"])
def test_loop_through_frames(consumer: str, client: MongoClient, database: Mongo) -> None:
    """Read, enrich, write by `_id`: none is inserted, and no `_id` changes its type."""
    library = pytest.importorskip(consumer)
    database.c.insert_many([{"_id": each, "v": position} for position, each in enumerate(IDS)])
    ours = client[database.name].c
    if consumer == "polars":
        frame = ours.find().to_polars().with_columns(w=library.col("v") * 2)
    elif consumer == "pandas":
        frame = ours.find().to_pandas()
        frame["w"] = frame["v"] * 2
    else:
        arrow = ours.find().to_arrow()
        frame = library.sql("select *, v * 2 as w from arrow")
        assert arrow.num_rows == 5
    try:
        result = ours.upsert_arrow(frame)
    except InvalidQuery as error:
        # The type was lost: the error says how to restore it.
        assert "ObjectId" in str(error)  # noqa: PT017
        result = ours.upsert_arrow(frame, schema={"_id": ObjectId})
    assert counts(result) == {"matched": 5, "modified": 5}
    found = stored(database)
    assert [each["_id"] for each in found] == sorted(IDS)
    assert [each["w"] for each in found] == [each["v"] * 2 for each in found]


KEYS: dict[str, list[Any]] = {
    "ObjectId": IDS,
    "UUID": [bson.Binary.from_uuid(uuid.UUID(int=each)) for each in range(5)],
    "binary": [bytes([each]) * 3 for each in range(5)],
    "text": ["", "a", "ä", "5f5f5f5f5f5f5f5f5f5f5f5f", "1"],
    "int32": [1, 2, 3, -4, 0],
    "int64": [Int64(2**40 + each) for each in range(5)],
    "double": [0.5, 1.0, -2.25, 1e300, float("inf")],
    "decimal": [bson.Decimal128(each) for each in ("1.10", "2", "3.5", "-4", "1E+3")],
    "date": [dt.datetime(2024, 1, 1) + dt.timedelta(milliseconds=each) for each in range(5)],
    "bool": [True, False],
    "document": [{"a": each, "b": str(each)} for each in range(5)],
    "mixed": [1, "1", IDS[0], dt.datetime(2024, 1, 1), 2.5],
}


@pytest.mark.parametrize("types", ["plain", "exact"])
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("consumer", ["polars", "pandas", "duckdb"])
def test_loop_with_every_type_of_key(
    consumer: str, kind: str, types: Any, client: MongoClient, database: Mongo
) -> None:
    """A frame is written by its `_id`, at once or with the schema that its error names; never as new documents."""
    library = pytest.importorskip(consumer)
    ids = KEYS[kind]
    database.c.insert_many([{"_id": each, "v": position} for position, each in enumerate(ids)])
    before = types_and_values(database)
    ours = client[database.name].c
    query = ours.find(types=types)
    if consumer == "polars":
        frame = query.to_polars()
    elif consumer == "pandas":
        frame = query.to_pandas()
    else:
        arrow = query.to_arrow()
        assert arrow.num_rows == len(ids)
        frame = library.sql("select * from arrow")
    try:
        result = ours.upsert_arrow(frame)
    except InvalidQuery as error:
        assert "schema=" in str(error)  # noqa: PT017
        result = ours.upsert_arrow(frame, schema=query.schema())
    assert counts(result) == {"matched": len(ids)}
    assert types_and_values(database) == before


def types_and_values(database: Mongo) -> list[str]:
    ids = database.get_collection("c", RAW).distinct("_id")
    return sorted(f"{type(each).__name__} {each!r}" for each in ids)


# ---- checks before anything is sent ----------------------------------------------------------------------------------


REFUSED_TEXT: dict[str, Any] = {"objectid": IDS[0], "uuid": bson.Binary.from_uuid(uuid.uuid4()), "number": 5}


@pytest.mark.parametrize("kind", REFUSED_TEXT)
def test_text_keys(kind: str, client: MongoClient, database: Mongo) -> None:
    database.c.insert_one({"_id": REFUSED_TEXT[kind]})
    table = pa.table({"_id": [str(REFUSED_TEXT[kind])], "a": [1]})
    collection = client[database.name].c
    for call in (collection.insert_arrow, collection.upsert_arrow, collection.update_arrow, collection.delete_arrow):
        with pytest.raises(InvalidQuery, match="the key column '_id' is text"):
            call(table)
    assert database.c.count_documents({}) == 1
    assert counts(collection.upsert_arrow(table, check_keys=False)) == {"upserted": 1}
    with pytest.raises(InvalidQuery, match="the key column '_id' is text"):
        collection.upsert_arrow(table)
    assert counts(collection.upsert_arrow(table, check_keys=False)) == {"matched": 1}, "the target has both"


def test_text_keys_with_their_type(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([{"_id": each, "a": 0} for each in IDS])
    ours = client[database.name].c
    table = pa.table({"_id": [str(each) for each in IDS], "a": pa.array([1] * 5, pa.int32())})
    assert counts(ours.update_arrow(table, schema={"_id": ObjectId})) == {"matched": 5, "modified": 5}
    schema = ours.find().to_arrow().schema
    assert counts(ours.update_arrow(table, schema=schema)) == {"matched": 5}


def test_keys_that_match_others(client: MongoClient, database: Mongo) -> None:
    """A filter of null matches documents without the key: null and NaN are refused before their command."""
    database.c.insert_many(START)
    collection = client[database.name].c
    for keys in (pa.array([1, None], pa.int32()), pa.array([1.0, float("nan")])):
        table = pa.table({"k": keys, "a": [5, 5]})
        for call in (collection.update_arrow, collection.delete_arrow):
            with pytest.raises(ValueError, match=r"null|NaN") as caught:
                call(table, on="k")
            assert counts(caught.value.write_result) == {}  # type: ignore[attr-defined]
    assert stored(database) == START


@pytest.mark.parametrize("on", ["a.b", "$a", ["_id", "_id"], [()], [5]])
def test_keys_that_are_none(on: Any, client: MongoClient, database: Mongo) -> None:
    with pytest.raises((ValueError, TypeError), match="on="):
        client[database.name].c.upsert_arrow(pa.table({"a": [1]}), on=on)


INDEXES: dict[str, dict[str, Any]] = {
    "none": {},
    "not unique": {"keys": "k"},
    "sparse": {"keys": "k", "unique": True, "sparse": True},
    "partial": {"keys": "k", "unique": True, "partialFilterExpression": {"k": {"$gt": 0}}},
    "more keys": {"keys": [("k", 1), ("other", 1)], "unique": True},
    "collation": {"keys": "k", "unique": True, "collation": {"locale": "en", "strength": 2}},
}


@pytest.mark.parametrize("name", INDEXES)
def test_index_check(name: str, client: MongoClient, database: Mongo) -> None:
    options = dict(INDEXES[name])
    if options:
        database.c.create_index(options.pop("keys"), **options)
    table = pa.table({"k": [1], "a": [1]})
    collection = client[database.name].c
    for call in (collection.upsert_arrow, lambda *a, **o: collection.replace_arrow(*a, upsert=True, **o)):
        with pytest.raises(InvalidQuery, match="no unique index"):
            call(table, on="k")
    assert database.c.count_documents({}) == 0
    assert counts(collection.update_arrow(table, on="k")) == {}
    if name == "collation":
        assert counts(collection.upsert_arrow(table, on="k", collation=options["collation"])) == {"upserted": 1}
    else:
        assert counts(collection.upsert_arrow(table, on="k", check_index=False)) == {"upserted": 1}
    database.c.create_index("k", name="usable", unique=True)
    assert counts(collection.upsert_arrow(table, on="k")) == {"matched": 1}


def test_keys_of_lists(client: MongoClient, database: Mongo) -> None:
    database.c.create_index("k", unique=True)
    database.c.insert_one({"_id": 1, "k": [1, 2]})
    with pytest.raises(InvalidQuery, match="stores lists at 'k'"):
        client[database.name].c.upsert_arrow(pa.table({"k": [1], "a": [1]}), on="k")


def test_names_with_dots(client: MongoClient, database: Mongo) -> None:
    """They are written unchanged, unless they look like a path of the collection."""
    table = pa.table(
        {"_id": pa.array([1], pa.int32()), "x.y": pa.array([5], pa.int32()), "$z": pa.array([6], pa.int32())}
    )
    collection = client[database.name].c
    for call in (
        collection.upsert_arrow,
        collection.update_arrow,
        lambda data: collection.replace_arrow(data, upsert=True),
    ):
        database.c.drop()
        database.c.insert_one({"_id": 1, "a": 1})
        try:
            call(table)
        except ValueError as error:
            assert "$z" in str(error)  # noqa: PT017 - a replacement cannot have it
            continue
        assert {**database.c.find_one(), "a": 1} == {"_id": 1, "a": 1, "x.y": 5, "$z": 6}
    database.c.drop()
    database.c.insert_one({"_id": 1, "x": {"y": 1}})
    with pytest.raises(InvalidQuery, match=r"'x.y' would be written as one key"):
        collection.upsert_arrow(table)
    assert database.c.find_one() == {"_id": 1, "x": {"y": 1}}


def test_unflatten(client: MongoClient, database: Mongo) -> None:
    """A flattened table is written back as the documents that it was read from."""
    documents = [{"_id": 1, "a": {"b": 1, "c": {"d": "x"}}, "e": 5}, {"_id": 2, "a": {"b": 2, "c": {"d": "y"}}, "e": 6}]
    database.c.insert_many(documents)
    collection = client[database.name].c
    flat = collection.find(flatten=True).to_arrow()
    assert set(flat.column_names) == {"_id", "a.b", "a.c.d", "e"}
    assert counts(collection.upsert_arrow(flat, unflatten=True)) == {"matched": 2}
    database.c.drop()
    assert counts(collection.insert_arrow(flat, unflatten=True)) == {"inserted": 2}
    assert stored(database) == documents
    with pytest.raises(ValueError, match="rename one"):
        collection.insert_arrow(pa.table({"a": [1], "a.b": [1]}), unflatten=True)


def test_a_query_as_data(client: MongoClient, mongodb_uri: str, database: Mongo) -> None:
    """Copying a collection takes one line; a projection is refused where it would remove keys."""
    database.a.insert_many([{"_id": each, "v": [1, {"x": each}]} for each in range(1000)])
    with data_bridge.MongoClient(mongodb_uri) as blocking:
        source = blocking[database.name].a
        collection = client[database.name].c
        assert counts(collection.insert_arrow(source.find())) == {"inserted": 1000}
        assert stored(database) == list(database.a.find().sort("_id"))
        part = source.find({}, {"v": 1})
        with pytest.raises(InvalidQuery, match="has a projection"):
            collection.replace_arrow(part)
        assert counts(collection.replace_arrow(part, overwrite=True))["matched"] == 1000


def test_an_awaited_query_as_data(mongodb_uri: str, database: Mongo) -> None:
    """Copying a collection by awaited calls takes one line, too; its memory is bounded if the query has a schema."""
    database.a.insert_many([{"_id": each, "v": [1, {"x": each}], "n": each} for each in range(1000)])

    async def copy() -> None:
        async with AsyncMongoClient(mongodb_uri) as client:
            source, collection = client[database.name].a, client[database.name].c
            assert counts(await collection.insert_arrow(source.find(types="exact"))) == {"inserted": 1000}
            assert stored(database) == list(database.a.find().sort("_id"))
            assert counts(await collection.upsert_arrow(source.find())) == {"matched": 1000}
            with pytest.raises(InvalidQuery, match="has a projection"):
                await collection.replace_arrow(source.find({}, {"v": 1}))
            typed = source.find(schema={"_id": int, "n": float})
            assert counts(await collection.update_arrow(typed)) == {"matched": 1000, "modified": 1000}
            assert database.c.count_documents({"n": {"$type": "double"}, "v": {"$type": "array"}}) == 1000
            several = source.find(schema={"_id": int, "n": int}, parallel=3)
            assert counts(await collection.update_arrow(several)) == {"matched": 1000, "modified": 1000}
            pipeline = source.aggregate([{"$match": {"n": {"$lt": 10}}}, {"$set": {"m": "$n"}}])
            assert counts(await collection.upsert_arrow(pipeline)) == {"matched": 10, "modified": 10}
            stream = source.find({"n": {"$lt": 5}}, {"_id": 1}).stream()
            assert counts(await collection.delete_arrow(stream)) == {"deleted": 5}

    asyncio.run(copy())


def test_an_awaited_query_that_fails(mongodb_uri: str, database: Mongo) -> None:
    """The error is that of the read, and nothing is written."""
    database.a.insert_many([{"_id": each, "n": each} for each in range(10)])

    async def copy() -> None:
        async with AsyncMongoClient(mongodb_uri) as client:
            source, collection = client[database.name].a, client[database.name].c
            with pytest.raises(data_bridge.OperationFailure, match=r"\$nothing"):
                await collection.insert_arrow(source.find({"n": {"$nothing": 1}}))
            with pytest.raises(SchemaConflict, match="schema conflict: expected objectId, found int32 0") as raised:
                await collection.insert_arrow(source.find(schema={"n": ObjectId}))
            assert (raised.value.path, raised.value.id) == (("n",), 0)
            with MongoClient(mongodb_uri) as plain, pytest.raises(SchemaConflict):
                await collection.insert_arrow(plain[database.name].a.find(schema={"n": ObjectId}))

    asyncio.run(copy())
    assert database.c.count_documents({}) == 0


@pytest.mark.parametrize("live", [False, True])
def test_a_query_that_fails(live: bool, client: MongoClient, mongodb_uri: str, database: Mongo) -> None:
    """The errors of a query that is read live keep their types, through the C interface."""
    database.a.insert_many([{"_id": each, "n": each} for each in range(10)])
    with data_bridge.MongoClient(mongodb_uri) as blocking:
        source, collection = blocking[database.name].a, client[database.name].c
        failing = source.find({"n": {"$nothing": 1}}, schema={"n": int})
        with pytest.raises(data_bridge.OperationFailure, match=r"\$nothing"):
            collection.insert_arrow(failing.stream() if live else failing)
        misfit = source.find(schema={"n": ObjectId})
        with pytest.raises(SchemaConflict, match="expected objectId, found int32 0") as raised:
            collection.insert_arrow(misfit.stream() if live else misfit)
    assert (raised.value.path, raised.value.id, raised.value.write_result.rows) == (("n",), 0, 0)
    assert database.c.count_documents({}) == 0


def test_a_loop_runs_while_data_is_opened(mongodb_uri: str, database: Mongo) -> None:
    """A synchronous query is read on another thread."""
    database.a.insert_many([{"_id": each} for each in range(10)])

    class Slow:
        def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
            time.sleep(0.5)
            return pa.table({"a": [1]}).__arrow_c_stream__(requested_schema)

    async def write() -> int:
        steps = 0
        async with AsyncMongoClient(mongodb_uri) as client:
            await client["admin"].command("ping")
            writing = asyncio.ensure_future(client[database.name].c.insert_arrow(Slow()))
            while not writing.done():
                await asyncio.sleep(0.01)
                steps += 1
            assert counts(await writing) == {"inserted": 1}
        return steps

    assert asyncio.run(write()) > 10


ARGUMENTS: dict[str, tuple[str, dict[str, Any], type[Exception]]] = {
    "data": ("insert_arrow", {"data": [1]}, TypeError),
    "nulls": ("insert_arrow", {"nulls": "drop"}, ValueError),
    "unknown": ("insert_arrow", {"upsert": True}, TypeError),
    "ordered": ("insert_arrow", {"ordered": 1}, TypeError),
    "parallel": ("insert_arrow", {"parallel": 0}, ValueError),
    "parallel and ordered": ("insert_arrow", {"parallel": 2}, ValueError),
    "rounding": ("insert_arrow", {"rounding": "all"}, ValueError),
    "on_error": ("insert_arrow", {"on_error": "ignore"}, ValueError),
    "key without column": ("update_arrow", {"on": "missing"}, Exception),
    "progress": ("insert_arrow", {"progress": 3}, TypeError),
    "schema": ("insert_arrow", {"schema": 3}, TypeError),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments(name: str, client: MongoClient, database: Mongo) -> None:
    method, options, kind = ARGUMENTS[name]
    data = options.get("data", pa.table({"a": [1]}))
    rest = {key: value for key, value in options.items() if key != "data"}
    with pytest.raises(kind):
        getattr(client[database.name].c, method)(data, **rest)
    assert database.c.count_documents({}) == 0


def test_values_without_a_bson_type(client: MongoClient, database: Mongo) -> None:
    """A conflict names its row and column, and carries the rows that were written before."""
    collection = client[database.name].c
    first = pa.record_batch({"a": pa.array([1] * 50_000, pa.uint64())})
    second = pa.record_batch({"a": pa.array([1, 2**64 - 1], pa.uint64())})
    with pytest.raises(Exception, match=r"50,?001") as caught:
        collection.insert_arrow(stream(first, second))
    assert database.c.count_documents({}) == counts(caught.value.write_result).get("inserted", 0)  # type: ignore[attr-defined]
    database.c.drop()
    result = collection.insert_arrow(stream(first, second), on_conflict="null")
    assert counts(result) == {"inserted": 50_002}
    assert result.skipped == [(("a",), 1, 0, 50_001)]
    precise = pa.table({"d": pa.array([Decimal(1) / 3], pa.decimal128(38, 37))})
    with pytest.raises(Exception, match="d"):
        collection.insert_arrow(precise)
    assert counts(collection.insert_arrow(precise, rounding="decimals")) == {"inserted": 1}


def test_a_document_that_is_too_large_names_its_row(client: MongoClient, database: Mongo) -> None:
    table = pa.table({"_id": pa.array([1, 2, 3], pa.int32()), "t": ["x", "y" * (17 << 20), "z"]})
    for call in ("insert_arrow", "upsert_arrow"):
        with pytest.raises(Exception, match=r"row 1|document 1") as caught:
            getattr(client[database.name].c, call)(table)
        assert hasattr(caught.value, "write_result")


# ---- sessions, write concerns, timeouts, interrupts ------------------------------------------------------------------


def test_transaction(client: MongoClient, database: Mongo) -> None:
    database.create_collection("c")
    collection = client[database.name].c
    table = pa.table({"_id": pa.array(range(1000), pa.int64())})
    with client.start_session() as session:
        session.start_transaction()
        assert counts(collection.insert_arrow(table, session=session)) == {"inserted": 1000}
        assert database.c.count_documents({}) == 0
        session.abort_transaction()
        assert database.c.count_documents({}) == 0
        with session.start_transaction():
            collection.insert_arrow(table, session=session)
            collection.delete_arrow(table.slice(0, 400), session=session)
        assert database.c.count_documents({}) == 600
        collection.delete_arrow(table, session=session)
        assert collection.count_documents({}, session=session) == 0


def test_write_concern(client: MongoClient, database: Mongo) -> None:
    collection = client[database.name].c
    table = pa.table({"_id": pa.array([1, 2], pa.int64())})
    with pytest.raises(InvalidOperation, match="w=0"):
        collection.with_options(write_concern={"w": 0}).insert_arrow(table)
    with pytest.raises(ArrowWriteError, match="write concern") as caught:
        collection.with_options(write_concern=pymongo.WriteConcern(w=7, wtimeout=50)).insert_arrow(table)
    assert counts(caught.value.write_result) == {"inserted": 2}
    assert len(caught.value.write_result.write_concern_errors) == 1
    assert database.c.count_documents({}) == 2


def test_timeout(client: MongoClient, database: Mongo) -> None:
    """The time includes that of the data; what was acknowledged is counted."""

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(100):
            time.sleep(0.05)
            yield pa.record_batch({"t": ["x" * 1000] * 5000, "n": pa.array([number] * 5000, pa.int32())})

    schema = pa.schema({"t": pa.string(), "n": pa.int32()})
    data = pa.RecordBatchReader.from_batches(schema, batches())
    with pytest.raises(data_bridge.ServerTimeout) as caught:
        client[database.name].c.insert_arrow(data, timeout=0.5)
    result = caught.value.write_result  # type: ignore[attr-defined]
    found = database.c.count_documents({})
    assert result.inserted_count <= found <= result.inserted_count + result.unknown_count < 500_000


def test_a_stream_that_fails(client: MongoClient, database: Mongo) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"a": pa.array(range(30_000), pa.int64())})
        raise KeyError("mine")

    data = pa.RecordBatchReader.from_batches(pa.schema({"a": pa.int64()}), batches())
    with pytest.raises(Exception, match="mine") as caught:
        client[database.name].c.insert_arrow(data)
    assert database.c.count_documents({}) == caught.value.write_result.inserted_count  # type: ignore[attr-defined]


def test_repr(client: MongoClient, database: Mongo) -> None:
    result = client[database.name].c.insert_arrow(pa.table({"a": [1]}))
    assert repr(result) == (
        "ArrowWriteResult(rows=1, inserted=1, matched=0, modified=0, upserted=0, deleted=0, unknown=0, failures=0)"
    )
    assert result.write_concern_errors == []
    assert result.skipped == []
