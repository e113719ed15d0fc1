"""Timeouts of single calls, renaming collections and dropping databases: as PyMongo, on both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

import data_bridge
from data_bridge import AsyncMongoClient, MongoClient

Mongo = Database[dict[str, Any]]
BOTH_SIDES = True

CALLS: dict[str, Callable[..., Any]] = {
    "insert_one": lambda c, **rest: c.insert_one({"n": 1}, **rest),
    "insert_many": lambda c, **rest: c.insert_many([{"n": 1}], **rest),
    "update_one": lambda c, **rest: c.update_one({}, {"$inc": {"n": 1}}, **rest),
    "update_many": lambda c, **rest: c.update_many({}, {"$inc": {"n": 1}}, **rest),
    "replace_one": lambda c, **rest: c.replace_one({}, {"n": 5}, **rest),
    "delete_one": lambda c, **rest: c.delete_one({}, **rest),
    "delete_many": lambda c, **rest: c.delete_many({}, **rest),
    "bulk_write": lambda c, **rest: c.bulk_write([pymongo.InsertOne({"n": 1})], **rest),
    "find_one_and_update": lambda c, **rest: c.find_one_and_update({}, {"$inc": {"n": 1}}, **rest),
    "find_one_and_replace": lambda c, **rest: c.find_one_and_replace({}, {"n": 5}, **rest),
    "find_one_and_delete": lambda c, **rest: c.find_one_and_delete({}, **rest),
}


@pytest.fixture
def slow(pymongo_client: pymongo.MongoClient[Any], mongodb_uri: str) -> Iterator[str]:
    """A URI of which the server holds back each write for a while; the client's own limit is lower."""
    blocked = {
        "failCommands": ["insert", "update", "delete", "findAndModify"],
        "blockConnection": True,
        "blockTimeMS": 300,
        "appName": "slow-writes",
    }
    pymongo_client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=blocked)
    try:
        yield f"{mongodb_uri}{'&' if '?' in mongodb_uri else '/?'}appName=slow-writes"
    finally:
        pymongo_client.admin.command("configureFailPoint", "failCommand", mode="off")


def test_a_call_has_a_timeout_of_its_own(slow: str, database: Mongo) -> None:
    with MongoClient(slow, timeout=60) as client:
        collection = client[database.name]["c"]
        for name, call in CALLS.items():
            with pytest.raises(data_bridge.ServerTimeout):
                call(collection, timeout=0.05)
            assert call(collection, timeout=None) is not None or "find" in name
    with MongoClient(slow, timeout=0.05) as client:
        for name, call in CALLS.items():
            with pytest.raises(data_bridge.ServerTimeout):
                call(client[database.name]["c"])
            assert call(client[database.name]["c"], timeout=30) is not None or "find" in name


def test_a_call_that_is_awaited_has_one_too(slow: str, database: Mongo) -> None:
    async def run() -> None:
        async with AsyncMongoClient(slow, timeout=60) as client:
            collection = client[database.name]["c"]
            for name, call in CALLS.items():
                with pytest.raises(data_bridge.ServerTimeout):
                    await call(collection, timeout=0.05)
                assert await call(collection, timeout=30) is not None or "find" in name

    asyncio.run(run())


@pytest.mark.parametrize(("timeout", "error"), [(0, ValueError), (-1, ValueError), ("1", TypeError), (True, TypeError)])
def test_what_is_no_timeout_is_refused(client: MongoClient, database: Mongo, timeout: Any, error: Any) -> None:
    for call in CALLS.values():
        with pytest.raises(error, match="timeout"):
            call(client[database.name]["c"], timeout=timeout)
    assert database["c"].count_documents({}) == 0


def test_rename(client: MongoClient, database: Mongo) -> None:
    database["a"].insert_one({"n": 1})
    collection = client[database.name]["a"]
    assert collection.rename("b")["ok"] == 1.0
    assert database["b"].find_one({}, {"_id": 0}) == {"n": 1}
    assert "a" not in database.list_collection_names()
    with pytest.raises(data_bridge.OperationFailure) as caught:
        collection.rename("c")
    with pytest.raises(pymongo.errors.OperationFailure) as theirs:
        database["a"].rename("c")
    assert caught.value.code == theirs.value.code == 26
    database["c"].insert_one({"n": 2})
    with pytest.raises(data_bridge.OperationFailure):
        client[database.name]["b"].rename("c")
    client[database.name]["b"].rename("c", dropTarget=True, comment="mine")
    assert database["c"].find_one({}, {"_id": 0}) == {"n": 1}
    for wrong in ("", "a..b", "$x", "x\0y"):
        with pytest.raises(data_bridge.InvalidQuery):
            client[database.name]["c"].rename(wrong)
    with pytest.raises(TypeError, match="dropTarget"):
        client[database.name]["c"].rename("d", drop=True)

    assert database.list_collection_names() == ["c"]


def _uri(client: MongoClient) -> str:
    uri: str = client._address.uri.reveal()
    return uri


def test_drop_database(client: MongoClient, database: Mongo, pymongo_client: pymongo.MongoClient[Any]) -> None:
    names = [f"{database.name}{each}" for each in "xyz"]
    for name in names:
        pymongo_client[name]["c"].insert_one({})
    client.drop_database(names[0])
    client.drop_database(client[names[1]], comment="mine")
    client.drop_database(names[0])
    client.drop_database(client[names[2]])
    assert not set(names) & set(pymongo_client.list_database_names())
    for wrong in (5, None, pymongo_client[names[0]], b"x"):
        with pytest.raises(TypeError):
            client.drop_database(wrong)  # type: ignore[arg-type]
    with pytest.raises(data_bridge.InvalidQuery):
        client.drop_database("a.b")
    with MongoClient(_uri(client)) as other, pytest.raises(TypeError):
        client.drop_database(other[names[0]])
