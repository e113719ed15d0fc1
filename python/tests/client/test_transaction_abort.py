"""Transactions whose first operation was cancelled, and what ends them: no lock may stay on the server."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pymongo
import pytest
from pymongo.database import Database
from write_fail_points import NAME, failing

from data_bridge import AsyncMongoClient, ClientSession, DataBridgeError, MongoClient, OperationFailure, ServerTimeout

Mongo = Database[dict[str, Any]]
BLOCKED = 0.6
"""Seconds that the server blocks a first operation before it begins it."""
OPERATIONS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "update_one": ("update", lambda c, session: c.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)),
    "update_many": ("update", lambda c, session: c.update_many({}, {"$inc": {"n": 1}}, session=session)),
    "bulk_write": ("delete", lambda c, session: c.bulk_write([pymongo.DeleteOne({"_id": 1})], session=session)),
    "find_one_and_update": (
        "findAndModify",
        lambda c, session: c.find_one_and_update({"_id": 1}, {"$inc": {"n": 1}}, session=session),
    ),
    "find_one": ("find", lambda c, session: c.find_one({"_id": 1}, session=session)),
    "to_list": ("find", lambda c, session: c.find({}, session=session).to_list()),
    "count_documents": ("aggregate", lambda c, session: c.count_documents({}, session=session)),
    "distinct": ("distinct", lambda c, session: c.distinct("n", session=session)),
    "command": (
        "insert",
        lambda c, session: c.database.command({"insert": c.name, "documents": [{"_id": 9}]}, session=session),
    ),
}
ENDS: dict[str, Callable[[MongoClient, ClientSession], Any]] = {
    "abort_transaction": lambda _, session: session.abort_transaction(),
    "end_session": lambda _, session: session.end_session(),
    "close": lambda client, _: client.close(),
    # It commits nothing, and raises; the caller need not abort after it.
    "commit_transaction": lambda _, session: session.commit_transaction(),
}


@pytest.fixture
def stored(database: Mongo) -> Mongo:
    database.c.insert_one({"_id": 1, "n": 0})
    return database


@contextlib.contextmanager
def blocking(stored: Mongo, command: str) -> Iterator[None]:
    fault = {"failCommands": [command], "blockConnection": True, "blockTimeMS": int(BLOCKED * 1000)}
    with failing(stored.client.admin, {"times": 1}, **fault):
        yield


def check_unlocked(stored: Mongo) -> None:
    """No transaction is open once the server has begun, or refused, the blocked operation."""
    time.sleep(BLOCKED + 0.3)
    with pymongo.timeout(5):
        stored.c.update_one({"_id": 1}, {"$set": {"other": True}})
        stored.c.drop()
    assert stored.client.admin.command("serverStatus")["transactions"]["currentOpen"] == 0


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", ["update_one", "find_one"])
def test_ends_after_a_first_operation_past_its_deadline(name: str, end: str, mongodb_uri: str, stored: Mongo) -> None:
    command, operation = OPERATIONS[name]
    with MongoClient(mongodb_uri, appName=NAME, timeout=0.3) as client:
        ours, session = client[stored.name].c, client.start_session()
        ours.find_one({})
        session.start_transaction()
        with blocking(stored, command):
            with pytest.raises(ServerTimeout) as caught:
                operation(ours, session)
            assert caught.value.labels == ["TransientTransactionError"]
            if end == "commit_transaction":
                with pytest.raises(OperationFailure) as failed:
                    ENDS[end](client, session)
                assert failed.value.code == 251
            else:
                ENDS[end](client, session)
            check_unlocked(stored)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation(name: str, mongodb_uri: str, stored: Mongo) -> None:
    command, operation = OPERATIONS[name]
    with MongoClient(mongodb_uri, appName=NAME, timeout=0.3) as client, client.start_session() as session:
        ours = client[stored.name].c
        ours.find_one({})
        with blocking(stored, command):
            with pytest.raises(ServerTimeout), session.start_transaction():
                operation(ours, session)
            assert stored.c.find_one() == {"_id": 1, "n": 0}
            check_unlocked(stored)
        # The session is as good as new.
        stored.c.insert_one({"_id": 1, "n": 0})
        with session.start_transaction():
            ours.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
            assert ours.find_one({}, session=session) == {"_id": 1, "n": 1}
        assert stored.c.find_one() == {"_id": 1, "n": 1}


def test_a_second_operation_is_not_taken_for_the_first(mongodb_uri: str, stored: Mongo) -> None:
    """It must neither begin the transaction again nor succeed without what the first one did."""
    with MongoClient(mongodb_uri, appName=NAME, timeout=0.3) as client, client.start_session() as session:
        ours = client[stored.name].c
        ours.find_one({})
        session.start_transaction()
        with blocking(stored, "insert"):
            with pytest.raises(ServerTimeout):
                ours.insert_one({"_id": 2}, session=session)
            with pytest.raises(OperationFailure) as caught:
                ours.insert_one({"_id": 3}, session=session)
            assert (caught.value.code, caught.value.labels) == (251, ["TransientTransactionError"])
            session.abort_transaction()
            check_unlocked(stored)


def test_a_dropped_session(mongodb_uri: str, stored: Mongo) -> None:
    with MongoClient(mongodb_uri, appName=NAME, timeout=0.3) as client:
        ours = client[stored.name].c
        ours.find_one({})
        session = client.start_session()
        session.start_transaction()
        with blocking(stored, "update"):
            with pytest.raises(ServerTimeout):
                ours.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
            del session
            check_unlocked(stored)


@pytest.mark.parametrize("name", ["update_one", "to_list", "find_one_and_update"])
async def test_a_cancelled_first_operation(name: str, mongodb_uri: str, stored: Mongo) -> None:
    command, operation = OPERATIONS[name]
    async with AsyncMongoClient(mongodb_uri, appName=NAME) as client, client.start_session() as session:
        ours = client[stored.name].c
        await ours.find_one({})
        with blocking(stored, command):

            async def work() -> None:
                async with session.start_transaction():
                    await operation(ours, session)

            task = asyncio.create_task(work())
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not session.in_transaction
            check_unlocked(stored)


async def test_cancelled_at_any_moment(mongodb_uri: str, stored: Mongo) -> None:
    """Before it is sent, while the server executes it, or after its reply."""
    async with AsyncMongoClient(mongodb_uri) as client, client.start_session() as session:
        ours = client[stored.name].c
        for attempt in range(60):

            async def work() -> None:
                async with session.start_transaction():
                    await ours.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
                    await asyncio.sleep(1)

            task = asyncio.create_task(work())
            await asyncio.sleep(attempt % 20 * 0.0002)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pymongo.timeout(5):
                stored.c.update_one({"_id": 1}, {"$set": {"other": attempt}})
    assert stored.c.find_one() == {"_id": 1, "n": 0, "other": 59}


@pytest.mark.parametrize("wait", [0, 0.05])
async def test_a_start_that_is_cancelled_starts_nothing(wait: float, mongodb_uri: str, stored: Mongo) -> None:
    """The next writes of the session are not part of a transaction that the caller never got."""
    async with AsyncMongoClient(mongodb_uri) as client:
        ours = client[stored.name].c
        await ours.find_one({})
        async with client.start_session() as session:
            task = asyncio.create_task(session.start_transaction()._opened())
            await asyncio.sleep(0)
            # The event loop is blocked: it sees the end of the start, which comes meanwhile, after the cancellation.
            threading.Event().wait(wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not session.in_transaction
            await ours.update_many({}, {"$inc": {"n": 1}}, session=session)
            assert stored.c.find_one() == {"_id": 1, "n": 1}
            async with session.start_transaction():
                await ours.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
            assert stored.c.find_one() == {"_id": 1, "n": 2}
            # Another one that is discarded, and the end of the session.
            task = asyncio.create_task(session.start_transaction()._opened())
            await asyncio.sleep(0)
            threading.Event().wait(wait)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert stored.c.find_one() == {"_id": 1, "n": 2}


def test_interrupted(mongodb_uri: str, stored: Mongo) -> None:
    with MongoClient(mongodb_uri, appName=NAME) as client, client.start_session() as session:
        ours = client[stored.name].c
        ours.find_one({})
        with blocking(stored, "update"):
            threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,)).start()
            with pytest.raises(KeyboardInterrupt), session.start_transaction():
                ours.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
            check_unlocked(stored)


def test_closing_aborts_what_was_begun(mongodb_uri: str, stored: Mongo) -> None:
    client = MongoClient(mongodb_uri)
    sessions = [client.start_session() for _ in range(3)]
    for number, session in enumerate(sessions):
        session.start_transaction()
        client[stored.name].c.insert_one({"_id": 10 + number}, session=session)
    sessions[0].commit_transaction()
    client.close()
    assert stored.client.admin.command("serverStatus")["transactions"]["currentOpen"] == 0
    assert stored.c.count_documents({}) == 2
    with contextlib.suppress(DataBridgeError):
        sessions[1].end_session()


FAULTS: dict[str, dict[str, Any]] = {
    "lost": {"closeConnection": True},
    "refused": {"errorCode": 262, "errorLabels": ["RetryableWriteError"]},
    "shutdown": {"errorCode": 91, "errorLabels": ["RetryableWriteError"]},
    "concern": {"writeConcernError": {"code": 91, "errmsg": "m"}, "errorLabels": ["RetryableWriteError"]},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_abort_is_retried(fault: str, mongodb_uri: str, stored: Mongo) -> None:
    """In the background too: after 91 the driver finds the server again at its next heartbeat."""
    with MongoClient(mongodb_uri, appName=NAME, heartbeatFrequencyMS=6000, timeout=1) as client:
        session = client.start_session()
        session.start_transaction()
        client[stored.name].c.insert_one({"_id": 2}, session=session)
        admin = stored.client.admin
        with failing(admin, {"times": 1}, failCommands=["abortTransaction"], **FAULTS[fault]):
            session.abort_transaction()
            end = time.monotonic() + 14
            while admin.command("serverStatus")["transactions"]["currentOpen"]:
                assert time.monotonic() < end
                time.sleep(0.1)
        with session.start_transaction():
            client[stored.name].c.insert_one({"_id": 3}, session=session)
    assert [document["_id"] for document in stored.c.find()] == [1, 3]
