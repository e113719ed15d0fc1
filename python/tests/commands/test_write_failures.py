"""Writes when things go wrong: a lost connection, a primary that steps down, a deadline, Ctrl-C, cancellation."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pymongo
import pytest
from pymongo.database import Database
from write_fail_points import NAME, failing

import data_bridge
from data_bridge import AsyncMongoClient, ConnectionFailure, MongoClient, OperationFailure, ServerTimeout

Mongo = Database[dict[str, Any]]
BOTH_SIDES = True


ONCE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "insert_one": ("insert", lambda c: c.insert_one({"_id": 9})),
    "insert_many": ("insert", lambda c: c.insert_many([{"_id": 8}, {"_id": 9}])),
    "update_one": ("update", lambda c: c.update_one({"_id": 1}, {"$inc": {"a": 1}})),
    "replace_one": ("update", lambda c: c.replace_one({"_id": 1}, {"a": 2})),
    "delete_one": ("delete", lambda c: c.delete_one({})),
    "find_one_and_update": ("findAndModify", lambda c: c.find_one_and_update({"_id": 1}, {"$inc": {"a": 1}})),
    "bulk_write": ("update", lambda c: c.bulk_write([data_bridge.UpdateOne({"_id": 1}, {"$inc": {"a": 1}})])),
}
FAULTS: list[dict[str, Any]] = [
    {"closeConnection": True},
    # No error of a lost primary: the driver would wait for the next heartbeat.
    {"errorCode": 262, "errorLabels": ["RetryableWriteError"]},
    # The write was done, and its reply allows a retry: the server must not do it twice.
    {"writeConcernError": {"code": 91, "errmsg": "shutting down"}, "errorLabels": ["RetryableWriteError"]},
]


@pytest.mark.parametrize("fault", FAULTS, ids=["lost", "refused", "done"])
@pytest.mark.parametrize("name", ONCE)
def test_retried_once(name: str, fault: dict[str, Any], named: MongoClient, database: Mongo) -> None:
    command, call = ONCE[name]
    ours = named[database.name].c
    for session in (None, named.start_session()):
        database.c.drop()
        database.c.insert_many([{"_id": 1, "a": 1}, {"_id": 2}])
        call(ours.with_options())
        expected = list(database.c.find().sort("_id"))
        database.c.drop()
        database.c.insert_many([{"_id": 1, "a": 1}, {"_id": 2}])
        with failing(database.client.admin, {"times": 1}, failCommands=[command], **fault):
            if session is None:
                call(ours)
            else:
                call(_InSession(ours, session))
        assert list(database.c.find().sort("_id")) == expected
    # The second failure is raised, and nothing is tried a third time.
    if "closeConnection" in fault:
        with (
            failing(database.client.admin, {"times": 2}, failCommands=[command], **fault),
            pytest.raises(ConnectionFailure),
        ):
            call(ours)
        assert named[database.name].c.count_documents({}) == len(expected)


class _InSession:
    """A collection whose methods get a session."""

    def __init__(self, collection: Any, session: Any) -> None:
        self._collection, self._session = collection, session

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._collection, name)
        return lambda *arguments: method(*arguments, session=self._session)


def test_not_retried(named: MongoClient, database: Mongo, mongodb_uri: str) -> None:
    """Writes of many documents, with retries off in the URI, and in a transaction."""
    ours = named[database.name].c
    database.c.insert_one({"_id": 1})
    fault: dict[str, Any] = {"failCommands": ["update"], "closeConnection": True}
    with failing(database.client.admin, {"times": 1}, **fault), pytest.raises(ConnectionFailure):
        ours.update_many({}, {"$inc": {"a": 1}})
    with MongoClient(mongodb_uri, appName=NAME, retryWrites=False) as client:
        with failing(database.client.admin, {"times": 1}, **fault), pytest.raises(ConnectionFailure):
            client[database.name].c.update_one({}, {"$inc": {"a": 1}})
        client[database.name].c.update_one({}, {"$inc": {"b": 1}})
    with named.start_session() as session, session.start_transaction():
        with failing(database.client.admin, {"times": 1}, **fault), pytest.raises(ConnectionFailure) as caught:
            ours.update_one({}, {"$inc": {"a": 1}}, session=session)
        assert "TransientTransactionError" in caught.value.labels
        session.abort_transaction()
    assert database.c.find_one() == {"_id": 1, "b": 1}


def test_many_threads(named: MongoClient, database: Mongo) -> None:
    """Numbers are never used twice: the server would take the second write for a retry of the first."""
    ours = named[database.name].c
    database.c.insert_one({"_id": 1, "n": 0})

    def work() -> None:
        for _ in range(50):
            ours.update_one({"_id": 1}, {"$inc": {"n": 1}})
            with named.start_session() as session, session.start_transaction():
                ours.count_documents({}, session=session)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.c.find_one() == {"_id": 1, "n": 400}


def test_after_a_transaction(mongodb_uri: str, database: Mongo) -> None:
    """The driver's sessions come back from transactions with numbers that the server has seen."""
    database.c.insert_one({"_id": 1, "n": 0})
    with MongoClient(mongodb_uri) as client:
        ours = client[database.name].c
        for _ in range(3):
            with client.start_session() as session, session.start_transaction():
                ours.count_documents({}, session=session)
        for _ in range(3):
            ours.update_one({"_id": 1}, {"$inc": {"n": 1}})
    assert database.c.find_one() == {"_id": 1, "n": 3}


def test_deadline(named: MongoClient, database: Mongo, mongodb_uri: str) -> None:
    with MongoClient(mongodb_uri, appName=NAME, timeout=0.3) as client:
        ours = client[database.name].c
        blocked: dict[str, Any] = {"failCommands": ["insert"], "blockConnection": True, "blockTimeMS": 2_000}
        with failing(database.client.admin, {"times": 2}, **blocked):
            begun = time.monotonic()
            with pytest.raises(ServerTimeout, match=r"0\.3 s"):
                ours.insert_one({"_id": 1})
            with pytest.raises(ServerTimeout):
                ours.insert_many([{"_id": 2}])
            assert time.monotonic() - begun < 2
        assert ours.insert_one({"_id": 3}).acknowledged


async def test_cancelled(mongodb_uri: str, database: Mongo) -> None:
    async with AsyncMongoClient(mongodb_uri, appName=NAME) as client:
        ours = client[database.name].c
        blocked: dict[str, Any] = {"failCommands": ["insert"], "blockConnection": True, "blockTimeMS": 2_000}
        with failing(database.client.admin, {"times": 2}, **blocked):
            begun = time.monotonic()
            for call in (ours.insert_one({"_id": 1}), ours.insert_many([{"_id": 2}])):
                task = asyncio.ensure_future(call)
                await asyncio.sleep(0.1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert time.monotonic() - begun < 2
        # Sessions of writes that were given up are not in the way of others.
        begun = time.monotonic()
        await ours.insert_one({"_id": 3})
        assert time.monotonic() - begun < 1


INTERRUPTED = """
import os, sys, data_bridge
client = data_bridge.MongoClient(os.environ["MONGODB_URI"], appName="write_failures")
print("ready", flush=True)
try:
    client[sys.argv[1]].c.insert_one({"_id": 1})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals of this kind")
def test_ctrl_c(mongodb_uri: str, database: Mongo) -> None:
    blocked: dict[str, Any] = {"failCommands": ["insert"], "blockConnection": True, "blockTimeMS": 4_000}
    with failing(database.client.admin, {"times": 1}, **blocked):
        command = [sys.executable, "-c", INTERRUPTED, database.name]
        environment = {**os.environ, "MONGODB_URI": mongodb_uri}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            while not any(op.get("appName") == NAME for op in _running(database)):
                time.sleep(0.05)
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
            assert time.monotonic() - begun < 3
            process.wait(10)


def _running(database: Mongo) -> list[dict[str, Any]]:
    pipeline = [{"$currentOp": {"allUsers": True}}, {"$match": {"command.insert": "c"}}]
    return list(database.client.admin.aggregate(pipeline))


def test_details_and_labels(named: MongoClient, database: Mongo) -> None:
    """Our errors of a refused command have the attributes of PyMongo's."""
    database.c.create_index("k", unique=True)
    database.c.insert_one({"_id": 1, "k": 1})
    seen = []
    for collection in (database.c, named[database.name].c):
        with pytest.raises(Exception, match="E11000") as caught:
            collection.find_one_and_update({"_id": 2}, {"$set": {"k": 1}}, upsert=True)  # type: ignore[attr-defined]
        seen.append(caught.value)
    theirs, ours = seen
    assert isinstance(theirs, pymongo.errors.OperationFailure)
    assert isinstance(ours, OperationFailure)
    assert type(ours).__name__ == type(theirs).__name__
    assert ours.code == theirs.code
    assert theirs.details is not None
    for key in ("keyPattern", "keyValue", "errmsg", "code", "codeName"):
        assert ours.details.get(key) == theirs.details.get(key)


def test_closed(database: Mongo, mongodb_uri: str) -> None:
    client = MongoClient(mongodb_uri)
    ours = client[database.name].c
    ours.insert_one({"_id": 1})
    client.close()
    with pytest.raises(ConnectionFailure, match="closed"):
        ours.insert_one({"_id": 2})
