"""`parallel=`: one result on several cursors, with the schema, the rows and the errors of one."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import partition_keys as keys
import pyarrow as pa
import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from configured import prefetch_bytes
from cursors import open_cursors, wait_until_closed
from pymongo.database import Database

import data_bridge
from data_bridge import AsyncMongoClient, InvalidQuery, MongoClient, SchemaConflict

RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
ROWS = 5000


@pytest.fixture(autouse=True)
def small_ranges() -> Iterator[None]:
    """A limit with which small collections have many ranges."""
    with prefetch_bytes(64 << 10):
        yield


@pytest.fixture
def collection(client: Any, database: Database[Any]) -> Any:
    database.c.insert_many(
        [{"_id": number, "a": number if number % 2 else number / 3, "s": "x" * (number % 90)} for number in range(ROWS)]
    )
    database.c.insert_one({"_id": "last", "late": [1, None, {"b": True}]})
    return client[database.name].c


@pytest.fixture
def serial(collection: Any) -> pa.Table:
    table: pa.Table = collection.find(hint={"_id": 1}, sort={"_id": 1}).to_arrow()
    return table


@pytest.mark.parametrize("parallel", [2, 3, 16])
def test_tables_equal_those_of_one_cursor(collection: Any, serial: pa.Table, parallel: int) -> None:
    query = collection.find(parallel=parallel)
    assert query.to_arrow().equals(serial)
    assert query.report.rows == ROWS + 1
    assert query.read().report.paths == collection.find(sort={"_id": 1}).read().report.paths
    assert collection.aggregate([{"$match": {}}], parallel=parallel).to_arrow().equals(serial)
    assert query.schema() == collection.find().schema()
    assert query.first()["_id"] == 0


@pytest.mark.parametrize("parallel", [2, 7])
def test_streams_and_iteration(collection: Any, parallel: int) -> None:
    query = collection.find(parallel=parallel)
    assert [document["_id"] for document in query] == [*range(ROWS), "last"]
    assert [document["_id"] for document in query.to_list()] == [*range(ROWS), "last"]
    assert len(query.to_dicts()) == ROWS + 1
    typed = collection.find({"_id": {"$ne": "last"}}, {"_id": 1}, schema={"_id": int}, parallel=parallel)
    batches = [pa.record_batch(batch) for batch in typed.stream()]
    assert [value for batch in batches for value in batch.column("_id").to_pylist()] == [*range(ROWS)]
    assert sum(batch.num_rows for batch in collection.find({}, {"a": 1, "_id": 0}, parallel=3).stream()) == ROWS + 1


def test_rows_without_an_order(collection: Any) -> None:
    expected = Counter([*range(ROWS), "last"])
    query = collection.find(parallel=4, ordered=False)
    assert Counter(document["_id"] for document in query) == expected
    assert query.to_arrow().num_rows == ROWS + 1
    assert Counter(document["_id"] for document in query.to_list()) == expected


def test_ids_of_every_type(client: Any, database: Database[Any]) -> None:
    keys.insert(database.c, of_each=200)
    expected = keys.rows(database.get_collection("c", RAW).find())
    for ordered in (True, False):
        query = client[database.name].c.find(parallel=5, ordered=ordered)
        assert keys.rows(query) == expected
        assert keys.rows(query.read()) == expected


def test_asynchronous_queries(collection: Any, serial: pa.Table, database: Database[Any], mongodb_uri: str) -> None:
    async def read() -> None:
        async with AsyncMongoClient(mongodb_uri) as client:
            query = client[database.name].c.find(parallel=4)
            assert (await query.to_arrow()).equals(serial)
            assert [document["_id"] async for document in query] == [*range(ROWS), "last"]
            assert len(await query.to_list()) == ROWS + 1
            first = await query.first()
            assert first is not None
            assert first["_id"] == 0
            stream = client[database.name].c.find({}, {"_id": 0, "a": 1}, parallel=4).stream()
            assert (await stream.schema()).names == ["a"]
            assert sum([batch.num_rows async for batch in stream]) == ROWS + 1

    asyncio.run(read())


def test_cursors_work_at_once(collection: Any, database: Database[Any]) -> None:
    iterator = iter(collection.find({}, batch_size=1, parallel=4))
    next(iterator)
    assert within(lambda: len(open_cursors(database)) >= 4)
    del iterator
    wait_until_closed(database)


def within(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Return whether a condition is met within some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_the_first_error_in_the_order_of_the_result(client: Any, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": number, "a": number} for number in range(ROWS)])
    database.c.update_many({"_id": {"$in": [1234, 4000]}}, {"$set": {"a": "text"}})
    for parallel in (1, 4):
        query = client[database.name].c.find(schema={"_id": int, "a": int}, parallel=parallel)
        with pytest.raises(SchemaConflict) as caught:
            query.to_arrow()
        assert caught.value.id == 1234
        assert caught.value.document == 1234
    query = client[database.name].c.find(schema={"a": int}, on_conflict="null", parallel=4)
    assert query.to_arrow().column("a").null_count == 2
    assert query.report.paths[0]["count"] == 2


def test_memory_is_bounded_for_all_cursors(client: Any, database: Database[Any]) -> None:
    data_bridge.config(prefetch_bytes=1 << 20)
    database.c.insert_many([{"_id": number, "x": b"x" * 10_000} for number in range(3000)])
    stream = client[database.name].c.find(parallel=4, schema={"_id": int}, batch_size=10)
    rows = sum(batch.num_rows for batch in stream.stream())
    assert rows == 3000


def test_refusals(collection: Any, client: Any, database: Database[Any]) -> None:
    for query in (collection.find(parallel=2).sort("a"), collection.find(limit=3, parallel=2)):
        with pytest.raises(InvalidQuery, match="has no partitions"):
            query.read()
    with pytest.raises(InvalidQuery, match="leave parallel out"):
        collection.aggregate([{"$out": "d"}], parallel=2)
    for value, error in ((0, ValueError), (1000, ValueError), (2.0, TypeError), (True, TypeError)):
        with pytest.raises(error, match="parallel must be"):
            collection.find(parallel=value)
    with pytest.raises(TypeError, match="ordered must be a bool"):
        collection.find(parallel=2, ordered=1)
    assert "2 cursors" in repr(collection.find(parallel=2))
    assert len(client[database.name].missing.find(parallel=4).read()) == 0


def test_chained_calls(collection: Any) -> None:
    query = collection.find(parallel=3).project(["a"]).comment("here").batch_size(7)
    table = query.to_arrow()
    assert table.column_names == ["_id", "a"]
    assert table.num_rows == ROWS + 1
    assert "parallel" in query._repr_html_()


def test_models(collection: Any, mongodb_uri: str, database: Database[Any]) -> None:
    from data_bridge import odm

    class Row(odm.Document):
        id: int
        s: str

        class Settings:
            name = "c"

    database.c.delete_one({"_id": "last"})
    with MongoClient(mongodb_uri) as client:
        odm.init(client[database.name], [Row])
        assert [row.id for row in Row.find(parallel=3).to_list()] == [*range(ROWS)]
        assert [row.id for row in Row.find(parallel=3)] == [*range(ROWS)]
        assert len(Row.find(Row.s == "x", parallel=3).to_arrow()) == database.c.count_documents({"s": "x"})


def test_a_filter_with_an_index_is_read_on_one_cursor(collection: MongoClient, database: Database[Any]) -> None:
    database.c.create_index("a")
    rows: Any = collection
    query = rows.find({"a": 5}, parallel=4)
    assert [document["_id"] for document in query] == [5]
    reason = (
        "one partition: the filter uses the index a_1, which reading by _id would not: partitions(force=True) splits "
        "the result all the same"
    )
    assert query.report.plan == reason
    assert f"plan: {reason}" in str(query.report)
    assert query.read().report.plan == reason


def test_the_report_has_the_plan(collection: Any, mongodb_uri: str, database: Database[Any]) -> None:
    query = collection.find(parallel=2)
    query.to_arrow()
    ranges = query.report.plan
    assert ranges.endswith("documents")
    assert " ranges of _id, " in ranges
    with query.stream() as stream:
        assert sum(batch.num_rows for batch in stream) == ROWS + 1
        assert " ranges of _id, " in stream.report.plan
    assert collection.find().read().report.plan == ""
    small = collection.database.small
    database.small.insert_one({"_id": 1})
    query = small.find(parallel=2)
    assert len(query.to_list()) == 1
    assert query.report.plan == "one partition: the collection is small (14 bytes, 1 documents)"
    assert type(query.report).merged([query.report, query.report]).plan == query.report.plan

    async def awaited() -> str:
        async with AsyncMongoClient(mongodb_uri) as client:
            query = client[database.name].c.find(parallel=2)
            await query.to_arrow()
            return query.report.plan

    assert " ranges of _id, " in asyncio.run(awaited())
