"""Queries without partitions are refused by the name of their part, and keys by the fault of their index."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import pytest
from pymongo.database import Database

from data_bridge import InvalidOperation, InvalidQuery, MongoClient, read_bson

BOTH_SIDES = True


@pytest.fixture
def collection(client: Any, database: Database[Any]) -> Any:
    database.c.insert_many([{"_id": number, "a": number % 10, "s": "text"} for number in range(100)])
    database.c.create_index([("s", "text")])
    return client[database.name].c


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sort", {"sort": "a"}),
        ("skip", {"skip": 1}),
        ("limit", {"limit": 5}),
        ("min", {"min": {"_id": 1}, "hint": {"_id": 1}}),
        ("max", {"max": {"_id": 1}, "hint": {"_id": 1}}),
        ("returnKey", {"return_key": True}),
        ("the hint", {"hint": {"a": 1}}),
        ("the hint", {"hint": "$natural"}),
    ],
)
def test_options_of_finds(collection: Any, name: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuery, match=f"{name}.* has no partitions"):
        collection.find(**options).partitions(4)


@pytest.mark.parametrize(
    "filter",
    [
        {"$text": {"$search": "text"}},
        {"$or": [{"a": 1}, {"$text": {"$search": "text"}}]},
        {"a": {"$near": [0, 0]}},
        {"a": {"$nearSphere": [0, 0]}},
    ],
)
def test_operators_of_filters(collection: Any, filter: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuery, match=r"a query with \$(text|near|nearSphere) has no partitions"):
        collection.find(filter).partitions(4)


@pytest.mark.parametrize(
    "stage",
    [
        {"$group": {"_id": "$a"}},
        {"$sort": {"a": 1}},
        {"$limit": 10},
        {"$skip": 10},
        {"$sample": {"size": 3}},
        {"$count": "n"},
        {"$bucketAuto": {"groupBy": "$a", "buckets": 3}},
        {"$facet": {"a": []}},
        {"$sortByCount": "$a"},
        {"$unionWith": "c"},
        {"$setWindowFields": {"output": {}}},
        {"$densify": {"field": "a", "range": {"step": 1, "bounds": "full"}}},
        {"$geoNear": {"near": [0, 0], "distanceField": "d"}},
        {"$search": {}},
        {"$notYetInvented": {}},
    ],
)
def test_stages(collection: Any, stage: dict[str, Any]) -> None:
    name = next(iter(stage))
    with pytest.raises(InvalidQuery, match=f"the stage \\{name} of the pipeline has no partitions"):
        collection.aggregate([{"$match": {}}, stage]).partitions(4)


def test_other_sources(client: Any, collection: Any, database: Database[Any]) -> None:
    with pytest.raises(InvalidQuery, match="an aggregate on a database"):
        client[database.name].aggregate([{"$documents": []}]).partitions(2)
    with pytest.raises(InvalidQuery, match=r"read_bson\(\) reads files"):
        read_bson(b"").partitions(2)
    with client.start_session() as session, pytest.raises(InvalidQuery, match="a session has no partitions"):
        collection.find(session=session).partitions(2)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{"$limit": 5}], r"the stage \$limit of the view"),
        ([{"$group": {"_id": "$a"}}], r"the stage \$group of the view"),
        ([{"$project": {"_id": 0, "a": 1}}], r"the stage \$project of the view .*replaces _id"),
        ([{"$project": {"_id": "$a"}}], r"the stage \$project of the view .*replaces _id"),
        ([{"$set": {"_id": "$a"}}], r"the stage \$set of the view .*replaces _id"),
        ([{"$unset": "_id"}], r"the stage \$unset of the view .*replaces _id"),
        ([{"$replaceWith": {"_id": "$a"}}], r"the stage \$replaceWith of the view .*replaces _id"),
    ],
)
def test_views(collection: Any, client: Any, database: Database[Any], stages: list[Any], message: str) -> None:
    database.create_collection("v", viewOn="c", pipeline=stages)
    with pytest.raises(InvalidQuery, match=message):
        client[database.name].v.find().partitions(4)
    database.create_collection("w", viewOn="v", pipeline=[{"$match": {"a": 1}}])
    with pytest.raises(InvalidQuery, match=message):
        client[database.name].w.find().partitions(4)


def test_time_series(client: Any, database: Database[Any]) -> None:
    database.create_collection("c", timeseries={"timeField": "t"})
    database.c.insert_one({"t": dt.datetime(2020, 1, 1)})
    query = client[database.name].c.find()
    with pytest.raises(InvalidQuery, match="split by its time field: leave out by, or pass 't'"):
        query.partitions(2, by="v", snapshot=True)
    with pytest.raises(InvalidQuery, match="exact=True needs an index"):
        query.partitions(2, exact=True)
    database.create_collection("v", viewOn="c", pipeline=[])
    with pytest.raises(InvalidQuery, match="a view of a time series"):
        client[database.name].v.find().partitions(2)


@pytest.mark.parametrize("key", ["a", "n.b"])
@pytest.mark.parametrize("parts", [2, 7, 40])
@pytest.mark.parametrize("form", ["find", "aggregate"])
def test_another_key(client: Any, database: Database[Any], key: str, parts: int, form: str) -> None:
    values: list[Any] = [None, 1, 1.5, "x", "X", {"c": 1}, True, dt.datetime(2020, 1, 1), float("nan")] * 20
    documents = [{"_id": number, "a": value, "n": {"b": value}} for number, value in enumerate(values)]
    documents += [{"_id": 1000 + number, "a": number, "n": {"b": number}} for number in range(200)]
    database.c.insert_many([*documents, {"_id": 2000}, {"_id": 2001, "n": 5}])
    from bson import MaxKey

    database.c.insert_many([{"_id": 3000, "a": MaxKey(), "n": {"b": MaxKey()}}])
    database.c.create_index(key)
    collection = client[database.name].c
    query = collection.find() if form == "find" else collection.aggregate([{"$set": {"x": 1}}])
    for exact in (False, True):
        found = query.partitions(parts, by=key, snapshot=True, exact=exact)
        assert len(found) > 1, found.reason
        counts = Counter(document["_id"] for part in found for document in part)
        assert counts == Counter(document["_id"] for document in database.c.find())


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"sparse": True}, "sparse"),
        ({"partialFilterExpression": {"a": {"$gt": 3}}}, "partial"),
        ({"hidden": True}, "hidden"),
        ({"collation": {"locale": "en"}}, "of another collation"),
    ],
)
def test_faults_of_an_index(collection: Any, database: Database[Any], options: dict[str, Any], fault: str) -> None:
    database.c.create_index("a", **options)
    with pytest.raises(InvalidQuery, match=f"the index on a is {fault}"):
        collection.find().partitions(3, by="a", snapshot=True)


def test_keys_without_an_index(collection: Any, database: Database[Any]) -> None:
    message = "needs an ascending index on a alone"
    for index in (None, [("a", -1)], [("a", "hashed")], [("a", 1), ("s", 1)]):
        if index is not None:
            database.c.create_index(index)
        with pytest.raises(InvalidQuery, match=message):
            collection.find().partitions(3, by="a", snapshot=True)
    with pytest.raises(InvalidQuery, match="by='a' needs snapshot=True"):
        collection.find().partitions(3, by="a")


@pytest.mark.parametrize("form", ["find", "aggregate"])
def test_lists_under_the_key(client: Any, database: Database[Any], form: str) -> None:
    database.c.insert_many([{"_id": number, "a": number} for number in range(100)])
    database.c.create_index("a")
    collection = client[database.name].c
    query = collection.find() if form == "find" else collection.aggregate([{"$set": {"x": 1}}])
    planned = query.partitions(3, by="a", snapshot=True)
    database.c.insert_one({"_id": 100, "a": [1, 99]})
    with pytest.raises(InvalidQuery, match="the index on a is multikey"):
        query.partitions(3, by="a", snapshot=True)
    with pytest.raises(InvalidQuery, match="the index on a is multikey"):
        planned[0].read()
    database.c.drop_index("a_1")
    with pytest.raises(InvalidQuery, match="the index on a can no longer be used"):
        planned[0].read()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n": 0}, ValueError, "n must be between"),
        ({"n": 10_001}, ValueError, "n must be between"),
        ({"n": 2.0}, TypeError, "n must be an int"),
        ({"n": True}, TypeError, "n must be an int"),
        ({"by": 5}, TypeError, "by must be a str"),
        ({"by": "$a"}, ValueError, "by must be the name of a key"),
        ({"snapshot": 1}, TypeError, "snapshot must be a bool"),
        ({"infer_rows": 0}, ValueError, "infer_rows must be positive"),
        ({"infer_rows": "some"}, TypeError, "infer_rows must be"),
        ({"expected_seconds": 5}, ValueError, "expected_seconds is for snapshot=True"),
        ({"uri": "mongodb://x", "uri_env": "X"}, ValueError, "exclude each other"),
    ],
)
def test_arguments(collection: Any, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        collection.find().partitions(**arguments)


def test_capped_collections_have_no_snapshot(client: Any, database: Database[Any]) -> None:
    database.create_collection("c", capped=True, size=10_000)
    database.c.insert_one({"_id": 1})
    with pytest.raises(InvalidQuery, match="capped collection"):
        client[database.name].c.find().partitions(2, snapshot=True)


def test_a_standalone_server_has_no_snapshot() -> None:
    import mongod

    with mongod.embedded_mongod(replica_set=False) as uri, MongoClient(uri) as client:
        client.t.c.insert_many([{"_id": number} for number in range(10)])
        with pytest.raises(InvalidOperation, match="needs a replica set"):
            client.t.c.find().partitions(2, snapshot=True)
        assert sorted(d["_id"] for part in client.t.c.find().partitions(3) for d in part) == [*range(10)]
