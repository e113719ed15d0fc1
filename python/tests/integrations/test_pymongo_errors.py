"""`except pymongo.errors.X` catches the errors of this package that PyMongo raises as X."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import bson
import pymongo
import pymongo.errors
import pytest
from pymongo.database import Database
from write_fail_points import NAME, failing

import data_bridge
from data_bridge import MongoClient, read_bson

Mongo = Database[dict[str, Any]]


@pytest.fixture
def stored(database: Mongo) -> Mongo:
    database.c.insert_many([{"_id": 1, "n": 0}, {"_id": 2}])
    return database


def _bulk(o: Any) -> Callable[[Any], Any]:
    return lambda c: c.bulk_write([o.InsertOne({"_id": 1}), o.InsertOne({"_id": 2})], ordered=False)


CALLS: dict[str, tuple[type[Exception], Callable[[Any], Any], dict[str, Any]]] = {
    "duplicate key": (pymongo.errors.DuplicateKeyError, lambda c: c.insert_one({"_id": 1}), {}),
    "duplicate key, findAndModify": (
        pymongo.errors.DuplicateKeyError,
        lambda c: c.find_one_and_update({"_id": 7, "x": 1}, {"$setOnInsert": {"n": 0}}, upsert=True),
        {},
    ),
    "write": (pymongo.errors.WriteError, lambda c: c.update_one({"_id": 1}, {"$inc": {"_id": 1}}), {}),
    "bulk": (pymongo.errors.BulkWriteError, lambda c: c.insert_many([{"_id": 3}, {"_id": 1}]), {}),
    "bulk_write": (pymongo.errors.BulkWriteError, _bulk(pymongo), {}),
    "operation": (pymongo.errors.OperationFailure, lambda c: c.find_one({"$x": 1}), {}),
    "command": (pymongo.errors.OperationFailure, lambda c: c.database.command("nope"), {}),
    "max_time_ms": (
        pymongo.errors.ExecutionTimeout,
        lambda c: list(c.find({"$where": "sleep(200) || true"}).max_time_ms(50)),
        {},
    ),
    "maxTimeMS of a command": (
        pymongo.errors.ExecutionTimeout,
        lambda c: c.database.command({"count": "c"}),
        {"failCommands": ["count"], "errorCode": 50},
    ),
    "write concern": (
        pymongo.errors.WriteConcernError,
        lambda c: c.insert_one({}),
        {"failCommands": ["insert"], "writeConcernError": {"code": 100, "errmsg": "m"}},
    ),
    "write concern in time": (
        pymongo.errors.WTimeoutError,
        lambda c: c.insert_one({}),
        {"failCommands": ["insert"], "writeConcernError": {"code": 64, "errmsg": "m", "errInfo": {"wtimeout": True}}},
    ),
    "cursor": (
        pymongo.errors.CursorNotFound,
        lambda c: list(c.find({}, batch_size=1)),
        {"failCommands": ["getMore"], "errorCode": 43},
    ),
    "not primary": (
        pymongo.errors.NotPrimaryError,
        lambda c: c.update_many({}, {"$set": {"a": 1}}),
        {"failCommands": ["update"], "errorCode": 10107},
    ),
    "lost": (
        pymongo.errors.AutoReconnect,
        lambda c: c.update_many({}, {"$set": {"a": 1}}),
        {"failCommands": ["update"], "closeConnection": True},
    ),
    "no BSON value": (bson.errors.InvalidDocument, lambda c: c.insert_one({"a": [object()]}), {}),
    "no BSON value in an update": (
        bson.errors.InvalidDocument,
        lambda c: c.update_one({}, {"$set": {"a": object()}}),
        {},
    ),
    "no BSON value in a filter": (bson.errors.InvalidDocument, lambda c: c.find_one({"a": object()}), {}),
    "no BSON value in a pipeline": (
        bson.errors.InvalidDocument,
        lambda c: list(c.aggregate([{"$match": {"a": object()}}])),
        {},
    ),
    "a key that is no text": (bson.errors.InvalidDocument, lambda c: c.insert_one({"a": {1: 2}}), {}),
    "more than 16 MiB": (pymongo.errors.DocumentTooLarge, lambda c: c.insert_one({"a": "x" * (17 << 20)}), {}),
    "more than 16 MiB in an update": (
        pymongo.errors.DocumentTooLarge,
        lambda c: c.update_one({}, {"$set": {"a": "x" * (17 << 20)}}),
        {},
    ),
    "a collection that exists": (
        pymongo.errors.CollectionInvalid,
        lambda c: c.database.create_collection(c.name),
        {},
    ),
    "a collection that exists, for the server": (
        pymongo.errors.OperationFailure,
        lambda c: c.database.create_collection(c.name, capped=True, size=5000, check_exists=False),
        {},
    ),
    "no operations": (pymongo.errors.InvalidOperation, lambda c: c.bulk_write([]), {}),
}
CLASSES: list[type[Exception]] = [
    pymongo.errors.PyMongoError,
    pymongo.errors.ConnectionFailure,
    pymongo.errors.AutoReconnect,
    pymongo.errors.NetworkTimeout,
    pymongo.errors.NotPrimaryError,
    pymongo.errors.ServerSelectionTimeoutError,
    pymongo.errors.OperationFailure,
    pymongo.errors.CursorNotFound,
    pymongo.errors.ExecutionTimeout,
    pymongo.errors.WriteError,
    pymongo.errors.DuplicateKeyError,
    pymongo.errors.WriteConcernError,
    pymongo.errors.WTimeoutError,
    pymongo.errors.BulkWriteError,
    pymongo.errors.InvalidOperation,
    pymongo.errors.ConfigurationError,
    pymongo.errors.CollectionInvalid,
    pymongo.errors.DocumentTooLarge,
    bson.errors.InvalidDocument,
]


def caught_by(error: Any) -> list[type[Exception]]:
    """The classes whose `except` catches the error; an isinstance() may be overridden, an `except` is not."""
    caught = []
    for kind in CLASSES:
        try:
            raise error
        except kind:
            caught.append(kind)
        except Exception:  # noqa: BLE001
            pass
    return caught


def raised(call: Callable[[], Any]) -> Any:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - the class is compared
        return error
    pytest.fail("no error")


@pytest.mark.parametrize("name", CALLS)
def test_caught_as_pymongos(name: str, mongodb_uri: str, stored: Mongo) -> None:
    kind, call, fault = CALLS[name]
    if name == "duplicate key, findAndModify":
        stored.c.create_index("n", unique=True, sparse=True)
    errors = []
    options: dict[str, Any] = {"appName": NAME, "heartbeatFrequencyMS": 500}
    with MongoClient(mongodb_uri, **options) as client, pymongo.MongoClient[Any](mongodb_uri, **options) as theirs:
        for some in (theirs, client):
            with failing(stored.client.admin, {"times": 1} if fault else "off", **fault):
                errors.append(raised(lambda some=some: call(some[stored.name].c)))  # type: ignore[misc]
            stored.c.delete_many({"_id": {"$nin": [1, 2]}})
    expected, error = errors
    assert isinstance(error, data_bridge.DataBridgeError)
    assert isinstance(error, kind)
    assert caught_by(error) == caught_by(expected)
    if not isinstance(expected, pymongo.errors.PyMongoError):
        return
    assert error.timeout is expected.timeout
    for label in ("RetryableWriteError", "TransientTransactionError"):
        assert error.has_error_label(label) is expected.has_error_label(label)
    if isinstance(expected, pymongo.errors.OperationFailure):
        assert error.code == expected.code
        assert type(error.details) is type(expected.details)


def test_deadlines_and_servers_that_are_not_found(mongodb_uri: str, stored: Mongo) -> None:
    separator = "&" if "?" in mongodb_uri else "?"
    with MongoClient(f"{mongodb_uri}{separator}appName={NAME}", timeout=0.3) as client:
        ours = client[stored.name].c
        ours.find_one({})
        fault = {"failCommands": ["insert", "find"], "blockConnection": True, "blockTimeMS": 600}
        for call in (lambda: ours.insert_one({}), lambda: ours.find_one({}), lambda: ours.find({}).to_list()):
            with (
                failing(stored.client.admin, {"times": 1}, **fault),
                pytest.raises(pymongo.errors.NetworkTimeout) as caught,
            ):
                call()
            assert isinstance(caught.value, data_bridge.ServerTimeout)
            assert not isinstance(caught.value, pymongo.errors.OperationFailure)
            assert caught.value.timeout
    with MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=200) as client:
        for call in (lambda: client.a.b.find_one({}), lambda: client.a.b.insert_one({})):
            with pytest.raises(pymongo.errors.ServerSelectionTimeoutError) as selection:
                call()
            assert isinstance(selection.value, data_bridge.ConnectionFailure)


def test_a_closed_client(mongodb_uri: str, stored: Mongo) -> None:
    errors = []
    for some in (pymongo.MongoClient[Any](mongodb_uri), MongoClient(mongodb_uri)):
        collection = some[stored.name].c
        assert collection.find_one({"_id": 1})
        some.close()
        for call in (collection.find_one, lambda c=collection: list(c.find()), lambda c=collection: c.insert_one({})):
            errors.append(raised(call))
    for expected, error in zip(errors[:3], errors[3:], strict=True):
        assert isinstance(expected, pymongo.errors.InvalidOperation)
        assert isinstance(error, pymongo.errors.InvalidOperation)
        assert isinstance(error, data_bridge.ConnectionFailure)


def test_malformed_documents() -> None:
    with pytest.raises(bson.errors.InvalidBSON) as caught:
        read_bson(b"\x0c\x00\x00\x00\x10a\x00\x01\x00").to_list()
    assert isinstance(caught.value, data_bridge.DecodeError)
    assert caught.value.document == 0


def test_they_stay_errors_of_this_package(client: MongoClient, stored: Mongo) -> None:
    error = raised(lambda: client[stored.name].c.insert_one({"_id": 1}))
    assert type(error).__name__ == "DuplicateKeyError"
    assert type(error).__module__ == "data_bridge"
    assert str(error).startswith("E11000")
    assert "full error" not in str(error)
    assert error.details["keyValue"] == {"_id": 1}
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert isinstance(again, data_bridge.DuplicateKeyError)
        assert isinstance(again, pymongo.errors.DuplicateKeyError)
        assert (str(again), again.code, again.details) == (str(error), error.code, error.details)
    # Errors that an application raises itself, and its own subclasses.
    assert isinstance(data_bridge.InvalidOperation("x"), pymongo.errors.InvalidOperation)
    assert data_bridge.InvalidOperation("x", 1).args == ("x", 1)

    class Mine(data_bridge.OperationFailure):
        pass

    assert type(Mine("x")) is Mine
    # PyMongo has no such errors.
    for kind in (data_bridge.SchemaConflict, data_bridge.ResultTooLarge):
        assert not isinstance(kind("x"), pymongo.errors.PyMongoError)


def test_pymongo_is_not_imported_for_it() -> None:
    code = """
    import sys
    import data_bridge
    try:
        data_bridge.MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=100).a.b.find_one({})
    except data_bridge.ConnectionFailure as error:
        assert type(error) is data_bridge.ConnectionFailure, type(error)
    assert "pymongo" not in sys.modules
    import pymongo.errors
    try:
        data_bridge.MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=100).a.b.find_one({})
    except pymongo.errors.ServerSelectionTimeoutError as error:
        assert isinstance(error, data_bridge.ConnectionFailure)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
