"""Interrupted calls of several steps: a cancelled task and a Ctrl-C leave the same state, at each place of a wait."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

import data_bridge
from data_bridge import AsyncMongoClient, DeleteOne, InsertOne, MongoClient, UpdateOne
from data_bridge.asynchronous import (
    collection,
    collection_arrow,
    collection_indexes,
    collection_writes,
    database,
    session,
)
from data_bridge.commands import batches
from data_bridge.synchronous import collection as sync_collection
from data_bridge.synchronous import collection_arrow as sync_collection_arrow
from data_bridge.synchronous import collection_indexes as sync_collection_indexes
from data_bridge.synchronous import collection_writes as sync_collection_writes
from data_bridge.synchronous import database as sync_database
from data_bridge.synchronous import session as sync_session

Mongo = Database[dict[str, Any]]
ASYNCHRONOUS = (collection, collection_arrow, collection_indexes, collection_writes, database, session)
SYNCHRONOUS = (
    sync_collection,
    sync_collection_arrow,
    sync_collection_indexes,
    sync_collection_writes,
    sync_database,
    sync_session,
)

CALLS: dict[str, Callable[[Any], Any]] = {
    "create_collection": lambda d: d.create_collection("new", capped=True, size=4096),
    "insert_many": lambda d: d.c.insert_many({"_id": i} for i in range(10, 17)),
    "insert_many with an error": lambda d: d.c.insert_many([{"_id": 20}, {"_id": 21}, {"_id": 22}, {"_id": 1}]),
    "bulk_write": lambda d: d.c.bulk_write(
        [
            InsertOne({"_id": 10}),
            UpdateOne({"_id": 10}, {"$set": {"a": 1}}),
            DeleteOne({"_id": 1}),
            UpdateOne({"_id": 11}, {"$set": {"a": 2}}, upsert=True),
            InsertOne({"_id": 12}),
        ]
    ),
    "drop": lambda d: d.c.drop(),
    "drop_collection": lambda d: d.drop_collection("c"),
    "create_indexes": lambda d: d.c.create_index("a"),
    "drop_indexes": lambda d: d.c.drop_indexes(),
    "rename": lambda d: d.c.rename("renamed"),
    "find_one_and_delete": lambda d: d.c.find_one_and_delete({}, sort=[("_id", 1)]),
}


def reset(theirs: Mongo) -> None:
    for name in theirs.list_collection_names():
        theirs.drop_collection(name)
    theirs.c.insert_many([{"_id": i, "a": i} for i in range(4)])
    theirs.c.create_index("b")


def state(theirs: Mongo) -> dict[str, Any]:
    """Return the documents and the names of the indexes of all collections."""
    return {
        name: (list(theirs[name].find().sort("_id", 1)), sorted(theirs[name].index_information()))
        for name in sorted(theirs.list_collection_names())
    }


def interrupted(uri: str, name: str, call: Callable[[Any], Any], place: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a call on the synchronous side with a Ctrl-C at its wait of this number; return the outcome."""
    waits = 0

    def outcome(operation: Any) -> Any:
        nonlocal waits
        waits += 1
        result = operation.wait()
        if waits == place:
            signal.raise_signal(signal.SIGINT)
        return result

    with monkeypatch.context() as patch, MongoClient(uri) as client:
        for module in SYNCHRONOUS:
            patch.setattr(module, "outcome", outcome)
        try:
            call(client[name])
        except KeyboardInterrupt:
            ended = "interrupted"
        except data_bridge.DataBridgeError as error:
            ended = type(error).__name__
        else:
            ended = "done"
        waits = 100  # no more places
        assert client[name].c.count_documents({}) >= 0
        with client.start_session() as another, another.start_transaction():
            client[name].c.find_one(session=another)
    return ended


async def cancelled(uri: str, name: str, call: Callable[[Any], Any], place: int, patch: pytest.MonkeyPatch) -> str:
    """Run a call on the asynchronous side, and cancel its task at its wait of this number; return the outcome."""
    from data_bridge.connection.event_loop import complete

    waits = 0

    async def outcome(operation: Any) -> Any:
        nonlocal waits
        waits += 1
        result = await complete(operation)
        if waits == place:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        return result

    async def called(client: AsyncMongoClient) -> None:
        await call(client[name])

    with patch.context() as patched:
        for module in ASYNCHRONOUS:
            patched.setattr(module, "outcome", outcome)
        async with AsyncMongoClient(uri) as client:
            try:
                await asyncio.create_task(called(client))
            except asyncio.CancelledError:
                ended = "interrupted"
            except data_bridge.DataBridgeError as error:
                ended = type(error).__name__
            else:
                ended = "done"
            waits = 100  # no more places
            assert await client[name].c.count_documents({}) >= 0
            async with client.start_session() as another, another.start_transaction():
                await client[name].c.find_one(session=another)
    return ended


@pytest.mark.parametrize("name", CALLS)
def test_both_sides_leave_the_same_state(
    name: str, mongodb_uri: str, database: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_STATEMENTS", 2)
    ends: list[str] = []
    states = []
    for place in range(1, 20):
        reset(database)
        ended = interrupted(mongodb_uri, database.name, CALLS[name], place, monkeypatch)
        first = state(database)
        reset(database)
        assert asyncio.run(cancelled(mongodb_uri, database.name, CALLS[name], place, monkeypatch)) == ended, place
        assert state(database) == first, place
        ends.append(ended)
        states.append(first)
        if ended != "interrupted":
            break
    places = {"create_collection": 2, "insert_many": 4, "insert_many with an error": 2, "bulk_write": 5}
    assert ends[:-1] == ["interrupted"] * places.get(name, 1)
    assert ends[-1] == ("BulkWriteError" if name == "insert_many with an error" else "done")
    if name == "insert_many":
        # Each wait ends one command of two documents; the commands after it are not sent.
        assert [len(each["c"][0]) for each in states] == [6, 8, 10, 11, 11]


@pytest.mark.parametrize("name", ["insert_many", "bulk_write"])
def test_a_cancelled_wait_sends_no_further_command(
    name: str, mongodb_uri: str, database: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancellation while the first command is in flight: the server may run it, and gets no other."""
    monkeypatch.setattr(batches, "MAX_STATEMENTS", 2)
    reset(database)

    async def run() -> None:
        async with AsyncMongoClient(mongodb_uri) as client:
            task = asyncio.create_task(CALLS[name](client[database.name]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    found = {document["_id"] for document in database.c.find()}
    assert found <= {0, 1, 2, 3, 10, 11}
