"""Partitions cover a result exactly once: the union of their rows is the result of one cursor."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import partition_keys as keys
import pytest
from bson import Int64, MaxKey, MinKey
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database
from strategies import OBJECT_IDS

from data_bridge import MongoClient, Query

RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
PARTS = (1, 2, 3, 8, 40, 64)


@pytest.fixture(scope="module")
def ids(pymongo_client: Any) -> Iterator[Any]:
    """A database with documents whose ids have every type, stored in every way."""
    database = pymongo_client["data_bridge_partition_keys"]
    keys.store(database)
    database.create_collection("view_of_view", viewOn="view", pipeline=[{"$set": {"more": 1}}])
    database.create_collection("collated_view", viewOn="plain", pipeline=[], collation=keys.COLLATION)
    yield database
    pymongo_client.drop_database(database)


def union(query: Any, **options: Any) -> Counter[str]:
    """The rows of all partitions."""
    return keys.rows(document for part in query.partitions(**options) for document in part)


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("name", ["plain", "clustered", "capped", "collated", "view", "view_of_view", "collated_view"])
@pytest.mark.parametrize("exact", [False, True])
def test_ids_of_every_type_come_once(client: Any, ids: Any, name: str, parts: int, exact: bool) -> None:
    collection = client[ids.name][name]
    expected = keys.rows(ids.get_collection(name, RAW).find())
    found = collection.find().partitions(parts, exact=exact)
    assert keys.rows(document for part in found for document in part) == expected
    # With a collation of the view's own, only keys without text are bounds.
    assert len(found) == parts or (name == "collated_view" and len(found) > parts // 4), found.reason
    assert max(expected.values()) == 1


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("name", ["plain", "clustered", "capped", "collated", "view", "collated_view"])
def test_pipelines_come_once(client: Any, ids: Any, name: str, parts: int) -> None:
    pipeline: list[Any] = [
        {"$match": {"even": {"$ne": True}}},
        {"$set": {"copies": [1, 2]}},
        {"$unwind": "$copies"},
        {"$project": {"n": 1, "copies": 1}},
    ]
    found = client[ids.name][name].aggregate(pipeline).partitions(parts, force=True)
    expected = keys.rows(ids.get_collection(name, RAW).aggregate(pipeline))
    assert keys.rows(document for part in found for document in part) == expected
    assert len(found) == parts or (name == "collated_view" and len(found) > parts // 4), found.reason


def test_both_sides_plan_the_same(ids: Any, mongodb_uri: str) -> None:
    from both_sides import opened

    expected = keys.rows(ids.get_collection("plain", RAW).find())
    for side in ("synchronous", "asynchronous"):
        with opened(side, mongodb_uri) as client:
            found = client[ids.name].plain.find().partitions(7)
            assert keys.rows(document for part in found for document in part.to_list()) == expected
            assert [part.index for part in found] == [*range(7)]


def test_a_sample_gives_bounds_for_ids_of_every_type(client: Any, database: Database[Any]) -> None:
    keys.insert(database.c, of_each=700)
    expected = keys.rows(database.get_collection("c", RAW).find())
    found = client[database.name].c.find().partitions(2)
    assert "sample" in found.reason
    assert len(found) == 2
    sizes = [len(part.read()) for part in found]
    assert sum(sizes) == len(expected)
    assert min(sizes) > len(expected) / 4
    assert union(client[database.name].c.find(), n=2) == expected


@pytest.mark.parametrize(
    "filter",
    [
        {"even": True},
        {"_id": {"$gt": 5}},
        {"_id": {"$type": "string"}},
        {"_id": MaxKey()},
        {"_id": {"$in": [1, 2, "text 3", MinKey()]}},
        {"$or": [{"_id": None}, {"n": {"$lt": 100}}]},
        {"$expr": {"$gt": ["$n", 500]}},
        {"n": -1},
    ],
)
@pytest.mark.parametrize("name", ["plain", "collated", "view"])
@pytest.mark.parametrize("force", [False, True])
def test_filters(client: Any, ids: Any, name: str, filter: dict[str, Any], force: bool) -> None:
    query = client[ids.name][name].find(filter, {"n": 1})
    expected = keys.rows(ids.get_collection(name, RAW).find(filter, {"n": 1}))
    for parts in (3, 16):
        assert union(query, n=parts, force=force) == expected


@pytest.mark.parametrize("projection", [{"n": 1}, {"_id": 0, "n": 1}, {"even": 0}, ["n"]])
def test_projections(client: Any, ids: Any, projection: Any) -> None:
    expected = keys.rows(ids.get_collection("plain", RAW).find({}, projection))
    assert union(client[ids.name].plain.find({}, projection), n=9) == expected


def test_a_selective_filter_keeps_its_index(client: Any, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": number, "a": number % 100} for number in range(1000)])
    database.c.create_index("a")
    collection = client[database.name].c
    found = collection.find({"a": 5}).partitions(4)
    assert len(found) == 1
    assert "the index a_1" in found.reason
    assert len(found[0].read()) == 10
    forced = collection.find({"a": 5}).partitions(4, force=True)
    assert len(forced) == 4
    assert sorted(document["_id"] for part in forced for document in part) == [*range(5, 1000, 100)]
    assert len(collection.find({"a": 5}, hint={"_id": 1}).partitions(4)) == 4
    by_id = collection.find({"_id": 7}).partitions(4)
    assert len(by_id) == 1
    assert "_id_" in by_id.reason
    aggregated = collection.aggregate([{"$match": {"a": 5}}]).partitions(4)
    assert len(aggregated) == 1
    assert "a_1" in aggregated.reason
    assert len(collection.find({"b": {"$exists": False}}).partitions(4)) == 4


def test_finds_are_read_by_index_bounds_and_pipelines_by_expressions(client: Any, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": number} for number in range(100)])
    collection = client[database.name].c
    with profiled(database) as commands:
        for part in collection.find({"x": None}).partitions(4):
            part.read()
    finds = [command for command in commands() if "find" in command and "'x': None" in repr(command["filter"])]
    bounded = [command for command in finds if "min" in command or "max" in command]
    assert [("min" in command, "max" in command) for command in bounded] == [
        (False, True),
        (True, True),
        (True, True),
        (True, False),
    ]
    assert all(command["hint"] == {"_id": 1} for command in finds)
    assert "$expr" not in repr(finds)
    assert "$gte" not in repr(finds)
    assert "{'_id': {'$eq': MaxKey()}}" in repr(commands())
    with profiled(database) as commands:
        for part in collection.aggregate([{"$match": {"x": None}}]).partitions(4):
            part.read()
    pipelines = [command for command in commands() if "'x': None" in repr(command) and "explain" not in command]
    assert len(pipelines) == 4
    assert all("$expr" in repr(command["pipeline"][0]) and "min" not in command for command in pipelines)


@contextlib.contextmanager
def profiled(database: Database[Any]) -> Iterator[Any]:
    """A call that returns the commands that the server got."""
    database.command("profile", 2)
    database.system.profile.find_one()
    start = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None) - dt.timedelta(milliseconds=2)
    seen = {entry["ts"] for entry in database.system.profile.find()}

    def commands() -> list[dict[str, Any]]:
        entries = database.system.profile.find({"ns": f"{database.name}.c", "ts": {"$gte": start}}).sort("ts", 1)
        return [entry["command"] for entry in entries if entry["ts"] not in seen]

    try:
        yield commands
    finally:
        database.command("profile", 0)


def test_sizes(client: Any, database: Database[Any]) -> None:
    collection = client[database.name].c
    missing = collection.find().partitions(4)
    assert len(missing) == 1
    assert "does not exist" in missing.reason
    assert len(collection.find().partitions(4, snapshot=True)[0].read()) == 0
    assert len(missing[0].read()) == 0
    database.create_collection("c")
    empty = collection.find().partitions(4)
    assert len(empty) == 1
    assert "empty" in empty.reason
    database.c.insert_many([{"_id": number} for number in range(3)])
    small = collection.find().partitions()
    assert len(small) == 1
    assert "small" in small.reason
    assert small.estimated_rows == 3
    most = collection.find().partitions(64)
    assert [len(part.read()) for part in most] == [1, 1, 1]
    assert [part.estimated_rows for part in most] == [1, 1, 1]


def test_default_number_follows_from_the_size(client: Any, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": number, "x": b"x" * (1 << 20)} for number in range(150)])
    found = client[database.name].c.find({}, {"x": 0}).partitions()
    assert len(found) == 3
    assert Counter(document["_id"] for part in found for document in part) == Counter(range(150))


def test_balance(client: Any, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": number} for number in range(40_000)])
    sampled = client[database.name].c.find().partitions(8)
    assert "sample" in sampled.reason
    sizes = [len(part.read()) for part in sampled]
    assert sum(sizes) == 40_000
    # The server's sample is small and not even.
    assert max(sizes) < 20_000
    assert [len(part.read()) for part in client[database.name].c.find().partitions(8, exact=True)] == [5_000] * 8


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.sets(
        st.one_of(
            st.integers(-(2**63), 2**63 - 1).map(Int64),
            st.text(max_size=6),
            OBJECT_IDS,
            st.binary(max_size=5),
            st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)).map(
                lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)
            ),
        ),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 64),
    st.booleans(),
    st.sampled_from(["plain", "collated", "clustered"]),
)
def test_generated_ids(
    client: MongoClient, database: Database[Any], values: set[Any], parts: int, exact: bool, name: str
) -> None:
    database.drop_collection(name)
    options: dict[str, Any] = {
        "plain": {},
        "collated": {"collation": {"locale": "fr", "strength": 3}},
        "clustered": {"clusteredIndex": {"key": {"_id": 1}, "unique": True}},
    }[name]
    database.create_collection(name, **options)
    documents = [{"_id": value, "n": number} for number, value in enumerate(values)]
    with contextlib.suppress(Exception):
        # Texts that are equal in the collation exclude each other.
        database[name].insert_many(documents, ordered=False)
    expected = keys.rows(database.get_collection(name, RAW).find())
    collection = client[database.name][name]
    assert union(collection.find(), n=parts, exact=exact) == expected
    assert union(collection.aggregate([{"$set": {"m": 1}}, {"$unset": "m"}]), n=parts) == expected


def test_collation_of_the_query(client: Any, ids: Any) -> None:
    other = {"locale": "de", "strength": 2}
    for name in ("plain", "collated"):
        collection = client[ids.name][name]
        expected = keys.rows(ids.get_collection(name, RAW).find())
        # Only keys without text are bounds: the index orders text differently.
        found = collection.find(collation=other).partitions(40)
        assert len(found) > 10
        assert keys.rows(document for part in found for document in part) == expected
        assert union(collection.aggregate([], collation=other), n=5) == expected
        assert union(collection.aggregate([], collation=other), n=5, force=True) == expected
    same = {"locale": "en", "strength": 1, "numericOrdering": True}
    found = client[ids.name].collated.find(collation=same).partitions(5)
    assert len(found) == 5
    stronger = client[ids.name].collated.find({"_id": {"$type": "string"}}, collation={"locale": "en"})
    assert union(stronger, n=20, force=True) == keys.rows(
        ids.get_collection("collated", RAW).find({"_id": {"$type": "string"}})
    )
    simple = client[ids.name].plain.find(collation={"locale": "simple"}).partitions(5)
    assert len(simple) == 5


def test_time_series_are_split_by_time(client: Any, database: Database[Any]) -> None:
    database.create_collection("c", timeseries={"timeField": "t", "metaField": "m"})
    times = [dt.datetime(2020, 1, 1) + dt.timedelta(minutes=7 * number) for number in range(2000)]
    times += [times[5], times[5]]
    database.c.insert_many([{"t": time, "m": number % 5, "v": number} for number, time in enumerate(times)])
    expected = Counter(range(len(times)))
    for query in (client[database.name].c.find(), client[database.name].c.aggregate([{"$set": {"w": 1}}])):
        for parts in (2, 7, 30):
            found = query.partitions(parts)
            assert len(found) == parts
            assert Counter(document["v"] for part in found for document in part) == expected
    # With these dates, the server no longer finds a range of time by the ids of its buckets.
    far = [dt.datetime(1960, 1, 1), dt.datetime(2200, 1, 1)]
    database.c.insert_many([{"t": time, "m": 9, "v": -1} for time in far])
    whole = client[database.name].c.find().partitions(7)
    assert len(whole) == 1
    assert "reads the whole collection for each range of t" in whole.reason
    forced = client[database.name].c.find().partitions(7, force=True)
    assert Counter(document["v"] for part in forced for document in part) == expected + Counter({-1: 2})
    found = client[database.name].c.find({"m": 3}).partitions(4, by="t", snapshot=True)
    assert Counter(document["v"] for part in found for document in part) == Counter(range(3, len(times), 5))


def test_documents_that_are_present_throughout_come_once(client: Any, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": number, "stays": True} for number in range(0, 4000, 2)])
    over = threading.Event()

    def write() -> None:
        number = 1
        while not over.is_set():
            database.c.insert_one({"_id": number})
            database.c.update_many({"_id": {"$gt": number % 4000, "$lt": number % 4000 + 50}}, {"$inc": {"x": 1}})
            database.c.delete_one({"_id": number - 40})
            number = (number + 38) % 4001 | 1

    with contextlib.ExitStack() as stack:
        writer = threading.Thread(target=_quiet, args=(write,))
        writer.start()
        stack.callback(writer.join)
        stack.callback(over.set)
        for query in (client[database.name].c.find(), client[database.name].c.aggregate([])):
            for parts in (2, 9, 33):
                counts = Counter(
                    document["_id"] for part in query.partitions(parts) for document in part if document.get("stays")
                )
                assert counts == Counter(range(0, 4000, 2))


def _quiet(write: Any) -> None:
    from pymongo.errors import DuplicateKeyError

    while True:
        try:
            return write()
        except DuplicateKeyError:
            continue


def test_plans_of_partitions_take_no_more_options(client: Any, ids: Any) -> None:
    from data_bridge import InvalidOperation

    query: Query = client[ids.name].plain.find().partitions(2)[0].query()
    for chained in ("sort", "project", "hint", "comment"):
        with pytest.raises(InvalidOperation, match=f"{chained} applies to a whole query"):
            getattr(query, chained)("n")
    for chained in ("skip", "limit"):
        with pytest.raises(InvalidOperation, match=f"{chained} applies to a whole query"):
            getattr(query, chained)(1)
    assert query.first() is not None
    assert query.report is not None
