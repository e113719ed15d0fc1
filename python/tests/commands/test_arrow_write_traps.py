"""Traps of servers in writes by key: limits, keys that match others, values that look equal, ids that cannot change."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable
from typing import Any

import bson
import proxy as wire
import pyarrow as pa
import pymongo
import pytest
from bson import Binary, CodecOptions, Int64, ObjectId
from bson.raw_bson import RawBSONDocument
from proxy import Proxy
from pymongo.database import Database

from data_bridge import ArrowWriteError, MongoClient
from data_bridge.commands import batches, statement

Mongo = Database[dict[str, Any]]
BOTH_SIDES = True

RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)


def counts(result: Any) -> dict[str, int]:
    """The counts that are not 0."""
    names = ("inserted", "matched", "modified", "upserted", "deleted", "unknown", "failed")
    found = {name: getattr(result, f"{name}_count") for name in names}
    return {name: count for name, count in found.items() if count}


def stored(database: Mongo) -> list[dict[str, Any]]:
    return list(database.c.find().sort("_id"))


def oplog(database: Mongo) -> int:
    """The number of entries of the oplog for the collection, alone or in a transaction."""
    name = f"{database.name}.c"
    return database.client.local["oplog.rs"].count_documents({"$or": [{"ns": name}, {"o.applyOps.ns": name}]})


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_limits_are_those_of_servers(pymongo_client: pymongo.MongoClient[Any]) -> None:
    hello = pymongo_client.admin.command("hello")
    assert hello["maxBsonObjectSize"] == statement.MAX_DOCUMENT_BYTES
    assert hello["maxWriteBatchSize"] == batches.MAX_STATEMENTS
    assert hello["maxMessageSizeBytes"] > 2 * statement.MAX_DOCUMENT_BYTES


@pytest.mark.parametrize("kind", ["many", "large"])
def test_commands_stay_within_the_limits(kind: str, database: Mongo, pymongo_client: pymongo.MongoClient[Any]) -> None:
    """Of rows of a few bytes a command has 100,000 at most; one of documents of nearly 16 MiB has one."""
    address = pymongo_client.address
    assert address is not None
    hello = pymongo_client.admin.command("hello")
    if kind == "many":
        table = pa.table({"_id": pa.array(range(230_000), pa.int32())})
    else:
        texts = ["x" * ((16 << 20) - 30), "y", "z" * (15 << 20), "w"]
        table = pa.table({"_id": pa.array(range(4), pa.int32()), "t": texts})
    proxy = Proxy(address)
    proxy.requests = []
    try:
        with MongoClient(proxy.uri) as client:
            collection = client[database.name].c
            assert counts(collection.insert_arrow(table)) == {"inserted": len(table)}
            assert counts(collection.delete_arrow(table.slice(0, 3))) == {"deleted": 3}
        sent = [message for message in proxy.requests if wire.command_name(message) == "insert"]
    finally:
        proxy.close()
    rows = [len(wire.command_of(message)["documents"]) for message in sent]
    assert sum(rows) == len(table)
    assert max(rows) <= hello["maxWriteBatchSize"]
    assert max(len(message) for message in sent) <= hello["maxMessageSizeBytes"]
    assert len(rows) > 2


# ---- writes that change nothing --------------------------------------------------------------------------------------


def test_a_second_run_writes_no_oplog_entry(client: MongoClient, database: Mongo) -> None:
    """Upserts, updates and replacements of what is stored already: 0 modified, and the oplog does not grow."""
    table = pa.table(
        {
            "_id": pa.array(range(200), pa.int64()),
            "n": pa.array([None if each % 3 else each for each in range(200)], pa.int32()),
            "s": pa.array([{"x": each / 2, "y": None} for each in range(200)]),
            "l": pa.array([[each, None] for each in range(200)], pa.list_(pa.int64())),
        }
    )
    collection = client[database.name].c
    calls: list[Callable[[], Any]] = [
        lambda: collection.upsert_arrow(table),
        lambda: collection.upsert_arrow(table, nulls="keep"),
        lambda: collection.upsert_arrow(table, nulls="keep", nested="replace"),
        lambda: collection.update_arrow(table, nulls="unset"),
        lambda: collection.replace_arrow(table),
        lambda: collection.replace_arrow(table, nulls="omit", upsert=True),
    ]
    for call in calls:
        call()
        before, entries = stored(database), oplog(database)
        assert entries > 0
        assert counts(call()) == {"matched": 200}
        assert oplog(database) == entries
        assert stored(database) == before


def test_another_type_or_order_of_keys_is_a_change(client: MongoClient, database: Mongo) -> None:
    """So the types of a table are those that were read, and structs merge key by key."""
    documents = [{"_id": 1, "n": 5, "s": {"a": 1, "b": 2}}, {"_id": 2, "n": 6, "s": {"b": 2, "a": 1}}]
    database.c.insert_many(documents)
    collection = client[database.name].c
    table = collection.find().to_arrow()
    assert counts(collection.upsert_arrow(table)) == {"matched": 2}
    assert counts(collection.update_arrow(table)) == {"matched": 2}
    assert counts(collection.replace_arrow(collection.find().to_arrow(shapes=True))) == {"matched": 2}
    assert list(stored(database)[1]["s"]) == ["b", "a"]
    # A table has one order of the keys of a struct: the document as a whole is another one.
    assert counts(collection.replace_arrow(table)) == {"matched": 2, "modified": 1}
    assert list(stored(database)[1]["s"]) == ["a", "b"]
    longs = pa.table({"_id": pa.array([1, 2], pa.int32()), "n": pa.array([5, 6], pa.int64())})
    assert counts(collection.upsert_arrow(longs)) == {"matched": 2, "modified": 2}


def test_ints_of_two_sizes_stay_with_shapes(client: MongoClient, database: Mongo) -> None:
    """A column has one of both types."""
    database.c.insert_many([{"_id": 1, "n": 5}, {"_id": 2, "n": Int64(5)}])
    before = list(database.get_collection("c", RAW).find())
    collection = client[database.name].c
    shapes = collection.find().to_arrow(shapes=True)
    for call in (collection.upsert_arrow, collection.update_arrow, collection.replace_arrow):
        assert counts(call(shapes)) == {"matched": 2}
    assert list(database.get_collection("c", RAW).find()) == before
    assert counts(collection.upsert_arrow(collection.find().to_arrow())) == {"matched": 2, "modified": 1}


# ---- keys ------------------------------------------------------------------------------------------------------------


KEYLESS: dict[str, tuple[pa.Table, Any]] = {
    "null": (pa.table({"k": pa.array([1, None], pa.int32()), "v": [5, 6]}), "k"),
    "NaN": (pa.table({"k": [1.0, float("nan")], "v": [5, 6]}), "k"),
    "null _id": (pa.table({"_id": pa.array([1, None], pa.int32()), "v": [5, 6]}), "_id"),
    "null struct": (pa.table({"k": pa.array([{"a": 1}, None]), "v": [5, 6]}), [("k", "a")]),
    "null in a struct": (pa.table({"k": pa.array([{"a": 1}, {"a": None}]), "v": [5, 6]}), [("k", "a")]),
    "one of two": (pa.table({"k": [1, 1], "m": pa.array([1, None], pa.int32()), "v": [5, 6]}), ["k", "m"]),
    "column of nulls": (pa.table({"k": pa.nulls(2), "v": [5, 6]}), "k"),
}


@pytest.mark.parametrize("name", KEYLESS)
def test_rows_without_a_key(name: str, client: MongoClient, database: Mongo) -> None:
    """A filter of null matches documents without the key: they are refused before their command is sent."""
    start = [{"_id": 7, "other": 1}, {"_id": 8, "k": None}]
    database.c.insert_many(start)
    table, on = KEYLESS[name]
    collection = client[database.name].c
    for call in (
        lambda: collection.upsert_arrow(table, on=on, check_index=False),
        lambda: collection.update_arrow(table, on=on),
        lambda: collection.update_arrow(table, on=on, many=True),
        lambda: collection.replace_arrow(table, on=on),
        lambda: collection.replace_arrow(table, on=on, upsert=True, check_index=False),
        lambda: collection.delete_arrow(table, on=on),
        lambda: collection.delete_arrow(table, on=on, many=True),
    ):
        with pytest.raises(ValueError, match=r"the key is (null or missing|NaN)") as caught:
            call()
        assert counts(caught.value.write_result) == {}  # type: ignore[attr-defined]
    assert stored(database) == start


def test_rows_whose_documents_have_no_key(client: MongoClient, database: Mongo) -> None:
    """Tables with shapes distinguish a key that is missing from null: neither is a key."""
    start: list[dict[str, Any]] = [{"_id": 1, "k": 1}, {"_id": 2}]
    database.c.insert_many(start)
    collection = client[database.name].c
    table = collection.find().to_arrow(shapes=True)
    for call in (collection.update_arrow, collection.replace_arrow, collection.delete_arrow):
        with pytest.raises(ValueError, match="the key is null or missing"):
            call(table, on="k")
    with pytest.raises(ValueError, match="names a column that the data does not have"):
        collection.delete_arrow(table, on="m")
    assert stored(database) == start


def test_an_id_of_null_is_inserted_only(client: MongoClient, database: Mongo) -> None:
    """A server stores one document with the `_id` null; a row without one gets an ObjectId."""
    table = pa.table({"_id": pa.array([1, None], pa.int32()), "v": [5, 6]})
    collection = client[database.name].c
    assert counts(collection.insert_arrow(table)) == {"inserted": 2}
    assert [each["_id"] for each in stored(database)] == [None, 1]
    assert counts(collection.insert_arrow(table.slice(1), nulls="omit")) == {"inserted": 1}
    assert isinstance(stored(database)[-1]["_id"], ObjectId)


REPEATED: dict[str, list[Any]] = {
    "ints": [pa.array([1, 2, 1], pa.int32())],
    "texts": [pa.array(["a", "b", "a"])],
    "ids": [pa.array([b"a" * 12, b"b" * 12, b"a" * 12], pa.binary(12))],
    "dates": [pa.array([dt.datetime(2020, 1, 1), dt.datetime(2021, 1, 1), dt.datetime(2020, 1, 1)])],
    "structs": [pa.array([{"x": 1}, {"x": 2}, {"x": 1}])],
    "minus zero": [pa.array([0.0, 2.0, -0.0])],
    "two columns": [pa.array([1, 1, 1]), pa.array(["a", "b", "a"])],
}


@pytest.mark.parametrize("name", REPEATED)
def test_repeated_keys_of_each_type(name: str, client: MongoClient, database: Mongo) -> None:
    """The third row is refused by its number, and none of its slice is sent."""
    columns = REPEATED[name]
    names = [f"k{position}" for position in range(len(columns))]
    table = pa.table({**dict(zip(names, columns, strict=True)), "v": [5, 6, 7]})
    collection = client[database.name].c
    database.c.create_index([(each, 1) for each in names], unique=True)
    for call in (
        lambda: collection.upsert_arrow(table, on=names),
        lambda: collection.update_arrow(table, on=names),
        lambda: collection.replace_arrow(table, on=names, upsert=True),
        lambda: collection.delete_arrow(table, on=names),
    ):
        with pytest.raises(ValueError, match=r"has the key of an earlier row.*\(document 2\)") as caught:
            call()
        assert counts(caught.value.write_result) == {}  # type: ignore[attr-defined]
    assert stored(database) == []
    result = collection.upsert_arrow(table, on=names, on_duplicate="last")
    assert counts(result) == {"matched": 1, "modified": 1, "upserted": 2}
    assert sorted(each["v"] for each in stored(database)) == [6, 7]
    assert counts(collection.delete_arrow(table, on=names, on_duplicate="last")) == {"deleted": 2}


def test_keys_that_are_documents(client: MongoClient, database: Mongo) -> None:
    """They are compared by equality, also where their keys are those of operators."""
    database.c.create_index("k", unique=True)
    table = pa.table({"k": pa.array([{"$gt": 0}, {"$gt": 1}]), "v": [5, 6]})
    database.c.insert_one({"_id": 1, "k": 3})
    collection = client[database.name].c
    assert counts(collection.update_arrow(table, on="k")) == {}
    assert counts(collection.delete_arrow(table, on="k")) == {}
    plain = pa.table({"k": pa.array([{"a": 0}, {"a": 1}]), "v": [5, 6]})
    assert counts(collection.upsert_arrow(plain, on="k")) == {"upserted": 2}
    assert counts(collection.upsert_arrow(plain, on="k")) == {"matched": 2}
    assert database.c.count_documents({}) == 3


def test_keys_that_are_regular_expressions(client: MongoClient, database: Mongo) -> None:
    """A filter by one would match texts."""
    database.c.insert_many([{"_id": 1, "k": bson.Regex("a")}, {"_id": 2, "k": "a"}])
    collection = client[database.name].c
    table = client[database.name].c.find({"_id": 1}, types="exact").to_arrow()
    with pytest.raises(ValueError, match="the key is a regular expression"):
        collection.delete_arrow(table, on="k")
    assert database.c.count_documents({}) == 2


@pytest.mark.parametrize("kind", ["upsert", "replace"])
def test_several_writers_with_a_unique_key(kind: str, client: MongoClient, database: Mongo) -> None:
    """The server tries an upsert again that meets another one: no failure, and no key twice."""
    database.c.create_index("k", unique=True)
    collection = client[database.name].c
    failures: list[Exception] = []
    upserted = [0] * 4
    for round_ in range(3):
        table = pa.table({"k": pa.array(range(round_ * 200, round_ * 200 + 200), pa.int64()), "v": [round_] * 200})
        barrier = threading.Barrier(4)

        def write(place: int, table: pa.Table = table, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            try:
                if kind == "upsert":
                    result = collection.upsert_arrow(table, on="k", ordered=False, parallel=2)
                else:
                    result = collection.replace_arrow(table, on="k", upsert=True)
                upserted[place] += result.upserted_count
            except Exception as error:  # noqa: BLE001 - asserted below
                failures.append(error)

        threads = [threading.Thread(target=write, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert sum(upserted) == 600
    assert sorted(each["k"] for each in database.c.find()) == [*range(600)]


# ---- ids -------------------------------------------------------------------------------------------------------------


def test_an_id_cannot_change(client: MongoClient, database: Mongo) -> None:
    """A replacement by another key with an `_id` of its own is a failed row, with the server's code 66."""
    database.c.create_index("k", unique=True)
    database.c.insert_many([{"_id": each, "k": each, "v": 0} for each in range(4)])
    collection = client[database.name].c
    table = pa.table(
        {"_id": pa.array([0, 10, 2, 30], pa.int32()), "k": pa.array([0, 1, 2, 3], pa.int32()), "v": [1, 1, 1, 1]}
    )
    with pytest.raises(ArrowWriteError, match=r"row 1 failed.*_id.*\(code 66\)") as caught:
        collection.replace_arrow(table, on="k")
    assert counts(caught.value.write_result) == {"matched": 1, "modified": 1, "failed": 1}
    result = collection.replace_arrow(table, on="k", upsert=True, ordered=False, on_error="collect")
    assert counts(result) == {"matched": 2, "modified": 1, "failed": 2}
    failed = result.failed.to_dicts()
    assert [(each["row"], each["code"]) for each in failed] == [(1, 66), (3, 66)]
    assert [each["v"] for each in stored(database)] == [1, 0, 1, 0]
    # An upsert sets the `_id` of documents that it inserts only, an update never.
    assert counts(collection.upsert_arrow(table, on="k")) == {"matched": 4, "modified": 2}
    assert counts(collection.update_arrow(table, on="k")) == {"matched": 4}
    assert [each["_id"] for each in stored(database)] == [0, 1, 2, 3]


def test_ids_that_servers_refuse(client: MongoClient, database: Mongo) -> None:
    """A list and a regular expression are no `_id`: a failed row, or an error before the command."""
    collection = client[database.name].c
    table = pa.table({"_id": pa.array([[1], [2]], pa.list_(pa.int32()))})
    with pytest.raises(ArrowWriteError, match="row 0 failed") as caught:
        collection.insert_arrow(table)
    assert counts(caught.value.write_result) == {"failed": 1}
    with pytest.raises(ValueError, match="the key is a list"):
        collection.upsert_arrow(table)
    assert stored(database) == []


def test_ids_keep_their_types(client: MongoClient, database: Mongo) -> None:
    """The ids of a collection that has several types."""
    kinds: list[Any] = [1, Int64(2), 3.5, "x", ObjectId(), Binary.from_uuid(uuid.uuid4()), dt.datetime(2020, 1, 1)]
    kinds += [bson.Decimal128("7.10"), {"a": 1, "b": "x"}, True, bson.Timestamp(5, 6), b"bytes"]
    database.c.insert_many([{"_id": each, "v": position} for position, each in enumerate(kinds)])
    before = list(database.get_collection("c", RAW).find().sort("v"))
    collection = client[database.name].c
    table = client[database.name].c.find(types="exact").to_arrow()
    assert counts(collection.upsert_arrow(table)) == {"matched": len(kinds)}
    assert counts(collection.replace_arrow(table)) == {"matched": len(kinds)}
    assert list(database.get_collection("c", RAW).find().sort("v")) == before
    assert counts(collection.delete_arrow(table)) == {"deleted": len(kinds)}
