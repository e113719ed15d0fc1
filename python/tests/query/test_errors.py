"""Bad input and bad luck: typed errors that say what is wrong, and no secret in any of them."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Callable
from typing import Any

import bson
import pyarrow as pa
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

import data_bridge
from data_bridge import (
    ConnectionFailure,
    DataBridgeError,
    DecodeError,
    InvalidQuery,
    MongoClient,
    OperationFailure,
    ServerTimeout,
    read_bson,
)

Mongo = Database[dict[str, Any]]
SECRET = "hunter2"


def test_hierarchy() -> None:
    for kind in (
        ConnectionFailure,
        OperationFailure,
        ServerTimeout,
        DecodeError,
        data_bridge.SchemaConflict,
        InvalidQuery,
    ):
        assert issubclass(kind, DataBridgeError)


def test_refused_port() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=300)
    start = time.monotonic()
    with pytest.raises(ConnectionFailure) as caught:
        client.a.b.find().read()
    assert time.monotonic() - start < 5
    assert str(port) in str(caught.value)
    client.close()


def test_wrong_password_shows_no_secret(mongodb_uri: str) -> None:
    client = MongoClient(
        mongodb_uri, username="nobody", password=SECRET, authSource="admin", serverSelectionTimeoutMS=2000
    )
    with pytest.raises(DataBridgeError) as caught:
        client.a.b.find().read()
    shown = "".join(traceback.format_exception(caught.value)) + repr(client) + str(client.a.b.find())
    assert SECRET not in shown
    client.close()


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://user:{SECRET}@x@host",
        f"mongodb://user:{SECRET}/x@host/",
        f"mongodb://user:{SECRET}?x@host/",
        f"mongodb://user:{SECRET}%zz@host/",
        f"mongodb://user:{SECRET}:more@host/",
        f"mongodb://user:{SECRET}@host:notaport/",
        f"mongodb://user:{SECRET}@host/?nope=1",
        f"mongodb://user:{SECRET}@host/?w",
        f"mongodb://user:{SECRET}@host/?{SECRET}&w=1",
        f"mongodb://user:{SECRET}@host/?connectTimeoutMS={SECRET}",
        f"mongodb://user:{SECRET}@",
        f"http://user:{SECRET}@host",
    ],
)
def test_bad_uri_fails_at_once_and_shows_no_secret(uri: str) -> None:
    start = time.monotonic()
    with pytest.raises(ValueError, match=r".") as caught:
        MongoClient(uri)
    assert time.monotonic() - start < 1
    # Not the source lines of a traceback, which show this test's own text.
    assert SECRET not in str(caught.value) + repr(caught.value) + repr(caught.value.__cause__)


def test_deadline(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([{"_id": i} for i in range(10)])
    slow = {"$where": "sleep(1000) || true"}
    start = time.monotonic()
    with pytest.raises(ServerTimeout):
        client[database.name].c.find(slow, timeout=0.3).read()
    with pytest.raises(ServerTimeout):
        list(client[database.name].c.find(slow, timeout=0.3))
    assert time.monotonic() - start < 5
    with pytest.raises(DataBridgeError):
        client[database.name].c.find(slow, max_time_ms=200).read()
    assert client[database.name].c.count_documents({}) == 10


@pytest.mark.parametrize("value", [[], "x", 3, [("a", 1)]])
def test_a_filter_must_be_a_mapping(value: Any) -> None:
    with pytest.raises(TypeError, match=f"filter must be a mapping, got {type(value).__name__}"):
        MongoClient().a.b.find(value)


def deep(levels: int) -> dict[str, Any]:
    """A document of so many levels."""
    document: dict[str, Any] = {"x": 1}
    for _ in range(levels - 1):
        document = {"a": document}
    return document


def nested_list(levels: int) -> dict[str, Any]:
    inner: list[Any] = []
    for _ in range(levels):
        inner = [inner]
    return {"a": inner}


def test_deep_and_cyclic_filters() -> None:
    collection = MongoClient().a.b
    cyclic: dict[str, Any] = {}
    cyclic["self"] = [cyclic]
    shared: list[Any] = [1]
    for _ in range(60):
        shared = [shared, shared]
    for bad in (nested_list(20_000), nested_list(101), cyclic, deep(20_000), deep(101)):
        with pytest.raises(InvalidQuery):
            collection.find(bad)
        with pytest.raises(InvalidQuery):
            collection.aggregate([{"$match": bad}])
    with pytest.raises(InvalidQuery):
        collection.find({"a": shared})
    collection.find(deep(100))
    collection.find(nested_list(90))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": {"b": [1, {"c": object()}]}}, "['a']['b'][1]['c']"),
        ({"a": 1 << 70}, "['a']"),
        ({"a": {"x\0y": 1}}, "['a']"),
        ({"a": "\ud800"}, "['a']"),
        ({"a": {1: 2}}, "['a'][1]"),
    ],
)
def test_what_bson_cannot_hold(value: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        MongoClient().a.b.find(value)
    assert place in str(caught.value)


def test_raw_filters(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([{"_id": 1}, {"_id": 2}])
    ours = client[database.name].c
    assert ours.find(RawBSONDocument(bson.encode({"_id": 2}))).to_dicts() == [{"_id": 2}]


def test_arguments() -> None:
    collection = MongoClient().a.b
    wrong: dict[str, Any] = {
        "skip": "1",
        "limit": 1.5,
        "sort": 3,
        "projection": "a",
        "hint": 3,
        "let": [],
        "collation": 3,
        "allow_disk_use": "yes",
        "timeout": "1",
    }
    for keywords in (*({name: value} for name, value in wrong.items()), {"sort": [1]}, {"projection": [1]}):
        with pytest.raises(TypeError):
            collection.find({}, **keywords)
    for negative in ({"skip": -1}, {"batch_size": -1}, {"max_time_ms": -1}, {"timeout": -1}, {"limit": 1 << 64}):
        with pytest.raises(ValueError, match=r"."):
            collection.find({}, **negative)
    with pytest.raises(InvalidQuery, match="twice"):
        collection.find(sort=[("a", 1), ("a", -1)])
    with pytest.raises(TypeError):
        collection.aggregate({"$match": {}})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"pipeline\[1\]"):
        collection.aggregate([{}, 3])  # type: ignore[list-item]


def test_server_errors_are_typed(client: MongoClient, database: Mongo) -> None:
    database.c.insert_one({})
    with pytest.raises(OperationFailure) as caught:
        client[database.name].c.find({"$nope": 1}).read()
    assert caught.value.code == 2
    assert caught.value.code_name == "BadValue"
    assert isinstance(caught.value.labels, list)
    with pytest.raises(OperationFailure):
        list(client[database.name].c.aggregate([{"$nope": {}}]))
    with pytest.raises(OperationFailure):
        list(client[database.name].c.aggregate([{"$nope": {}}]).stream())
    assert client[database.name].c.count_documents({}) == 1


def test_the_client_works_after_each_failure(client: MongoClient, database: Mongo) -> None:
    database.c.insert_one({"_id": 1})
    ours = client[database.name].c
    failing: list[tuple[type[Exception], Callable[[], object]]] = [
        (TypeError, lambda: ours.find([])),  # type: ignore[arg-type]
        (InvalidQuery, lambda: ours.find(deep(20_000))),
        (OperationFailure, lambda: ours.find({"$nope": 1}).read()),
        (OperationFailure, lambda: list(ours.find({"$nope": 1}))),
        (ServerTimeout, lambda: ours.find({"$where": "sleep(1000) || true"}, timeout=0.1).read()),
        (data_bridge.SchemaConflict, lambda: ours.find(schema=pa.schema({"_id": pa.string()})).to_arrow()),
    ]
    for kind, fail in failing:
        with pytest.raises(kind, match=r"."):
            fail()
        assert ours.find().to_dicts() == [{"_id": 1}]


def test_malformed_bson_says_where() -> None:
    good = bson.encode({"_id": 7, "a": {"b": "text"}})
    bad = bytearray(good)
    bad[bad.index(b"text") - 4] = 200
    with pytest.raises(DecodeError) as caught:
        read_bson(good + bytes(bad)).read()
    error = caught.value
    assert error.document == 1
    assert error.id == 7
    assert error.path == ("a", "b")
    assert 0 < error.offset < len(good)
    seen: list[Any] = []
    with pytest.raises(DecodeError):
        seen.extend(document.to_dict() for document in read_bson([good, bytes(bad)]))
    assert seen in ([], [{"_id": 7, "a": {"b": "text"}}])


def test_a_query_that_failed_can_be_run_again(mongodb_uri: str, database: Mongo) -> None:
    database.c.insert_many([{"_id": i} for i in range(1000)])
    failing = {"failCommands": ["getMore"], "errorCode": 43, "appName": "again"}
    with MongoClient(mongodb_uri, appName="again", heartbeatFrequencyMS=500) as ours:
        query = ours[database.name].c.find(batch_size=10)
        database.client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=failing)
        with pytest.raises(OperationFailure) as caught:
            query.read()
        assert caught.value.code == 43
        assert query.report is not None
        assert query.report.error is caught.value
        assert len(query.read()) == 1000
        assert query.report.error is None
