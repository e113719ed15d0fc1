"""Classes, codes and labels of errors that say what may be repeated: the same as PyMongo's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
import pytest
from pymongo.database import Database
from pymongo.errors import PyMongoError
from write_fail_points import NAME, failing

from data_bridge import (
    AsyncClientSession,
    AsyncMongoClient,
    ClientSession,
    ConnectionFailure,
    DataBridgeError,
    MongoClient,
    OperationFailure,
    ServerTimeout,
    WriteConcernError,
    WTimeoutError,
)

Mongo = Database[dict[str, Any]]
UNKNOWN = "UnknownTransactionCommitResult"
TRANSIENT = "TransientTransactionError"
RETRYABLE = "RetryableWriteError"


class Clients:
    """A client of ours and one of PyMongo's; fail points match their operations."""

    def __init__(self, uri: str) -> None:
        options: dict[str, Any] = {"appName": NAME, "heartbeatFrequencyMS": 500}
        self.ours = MongoClient(uri, **options)
        self.theirs = pymongo.MongoClient[dict[str, Any]](uri, **options)

    def failures(self, stored: Mongo, call: Callable[[Any], Any], times: int, **fault: Any) -> tuple[Any, Any]:
        """The errors of ours and of PyMongo's."""
        errors = []
        for client in (self.ours, self.theirs):
            with (
                failing(stored.client.admin, {"times": times}, **fault),
                pytest.raises((DataBridgeError, PyMongoError)) as caught,
            ):
                call(client[stored.name])
            errors.append(caught.value)
        ours, theirs = errors
        assert isinstance(ours, DataBridgeError)
        assert isinstance(theirs, PyMongoError)
        return ours, theirs


@pytest.fixture
def clients(mongodb_uri: str, stored: Mongo) -> Iterator[Clients]:
    clients = Clients(mongodb_uri)
    yield clients
    # The transaction of a commit that a fail point refused is still open.
    clients.theirs.admin.command("killAllSessions", [])
    clients.ours.close()
    clients.theirs.close()


@pytest.fixture
def stored(database: Mongo) -> Mongo:
    database.c.insert_one({"_id": 1, "n": 0})
    return database


WRITES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "insert_one": ("insert", lambda database: database.c.insert_one({})),
    "update_one": ("update", lambda database: database.c.update_one({}, {"$set": {"a": 1}})),
    "insert_many": ("insert", lambda database: database.c.insert_many([{}, {}])),
    "find_one_and_delete": ("findAndModify", lambda database: database.c.find_one_and_delete({"_id": 7})),
    # Never sent twice, so no label.
    "update_many": ("update", lambda database: database.c.update_many({}, {"$set": {"a": 1}})),
}


@pytest.mark.parametrize("name", WRITES)
def test_two_lost_connections(name: str, clients: Clients, stored: Mongo) -> None:
    command, call = WRITES[name]
    ours, theirs = clients.failures(stored, call, 2, failCommands=[command], closeConnection=True)
    assert isinstance(ours, ConnectionFailure)
    assert list(ours.labels) == sorted(theirs._error_labels)


def test_a_deadline_of_a_write(mongodb_uri: str, stored: Mongo) -> None:
    """As PyMongo's NetworkTimeout."""
    fault = {"failCommands": ["insert", "update"], "blockConnection": True, "blockTimeMS": 600}
    with MongoClient(mongodb_uri, appName=NAME, timeout=0.3) as client:
        ours = client[stored.name].c
        ours.find_one({})
        for call, labels in (
            (lambda: ours.insert_one({}), [RETRYABLE]),
            (lambda: ours.update_many({}, {"$set": {"a": 1}}), []),
        ):
            with failing(stored.client.admin, {"times": 1}, **fault), pytest.raises(ServerTimeout) as caught:
                call()
            assert list(caught.value.labels) == labels
            assert (caught.value.code, caught.value.details) == (0, None)


def commit(database: Any) -> None:
    with database.client.start_session() as session, session.start_transaction():
        database.c.insert_one({}, session=session)


COMMITS: dict[str, tuple[type[DataBridgeError], int, dict[str, Any]]] = {
    "maxTimeMS": (ServerTimeout, 1, {"errorCode": 50}),
    "concern, maxTimeMS": (WTimeoutError, 1, {"writeConcernError": {"code": 50, "errmsg": "m", "codeName": "x"}}),
    "concern, time": (
        WTimeoutError,
        1,
        {"writeConcernError": {"code": 64, "errmsg": "m", "codeName": "x", "errInfo": {"wtimeout": True}}},
    ),
    "concern": (WriteConcernError, 1, {"writeConcernError": {"code": 100, "errmsg": "m", "codeName": "x"}}),
    "concern, shutdown": (
        WriteConcernError,
        2,
        {"writeConcernError": {"code": 91, "errmsg": "m"}, "errorLabels": [RETRYABLE]},
    ),
    "lost": (ConnectionFailure, 2, {"closeConnection": True}),
    "stepped down": (OperationFailure, 2, {"errorCode": 10107, "errorLabels": [RETRYABLE]}),
    "other": (OperationFailure, 1, {"errorCode": 2}),
}


@pytest.mark.parametrize("name", COMMITS)
def test_commits(name: str, clients: Clients, stored: Mongo) -> None:
    kind, times, fault = COMMITS[name]
    ours, theirs = clients.failures(stored, commit, times, failCommands=["commitTransaction"], **fault)
    assert isinstance(ours, kind)
    assert list(ours.labels) == sorted(theirs._error_labels)
    if isinstance(theirs, pymongo.errors.OperationFailure):
        assert ours.code == theirs.code
        cut = {"$clusterTime", "operationTime"}
        assert {k: v for k, v in ours.details.items() if k not in cut} == {
            k: v for k, v in theirs.details.items() if k not in cut
        }


@contextmanager
def slow_commits(stored: Mongo, times: int) -> Iterator[None]:
    fault = {"failCommands": ["commitTransaction"], "blockConnection": True, "blockTimeMS": 600}
    with failing(stored.client.admin, {"times": times}, **fault):
        yield


def test_a_deadline_of_a_commit(mongodb_uri: str, stored: Mongo) -> None:
    """Its result is unknown, and it may be sent again."""
    with MongoClient(mongodb_uri, appName=NAME, timeout=0.3) as client, client.start_session() as session:
        session.start_transaction()
        client[stored.name].c.insert_one({"_id": 2}, session=session)
        with slow_commits(stored, 1), pytest.raises(ServerTimeout) as caught:
            session.commit_transaction()
        assert caught.value.labels == [UNKNOWN]
        session.commit_transaction()
    assert stored.c.count_documents({}) == 2


CALLS: dict[str, tuple[int, int, dict[str, Any]]] = {
    # Calls of the callback, commits that meet the fault, at two times, and the fault.
    "maxTimeMS": (1, 1, {"errorCode": 50}),
    "concern, maxTimeMS": (1, 1, {"writeConcernError": {"code": 50, "errmsg": "m"}}),
    "concern": (1, 1, {"writeConcernError": {"code": 100, "errmsg": "m"}}),
    "other": (1, 1, {"errorCode": 2}),
    "concern, time": (1, 2, {"writeConcernError": {"code": 64, "errmsg": "m", "errInfo": {"wtimeout": True}}}),
    "transient": (3, 2, {"errorCode": 251, "errorLabels": [TRANSIENT]}),
    "lost": (1, 2, {"closeConnection": True}),
}


@pytest.mark.parametrize("name", CALLS)
def test_with_transaction(name: str, clients: Clients, stored: Mongo) -> None:
    """The callback is called and the commit sent as often as by PyMongo."""
    calls, commits, fault = CALLS[name]
    point: dict[str, Any] = {"configureFailPoint": "failCommand"}
    data = {"appName": NAME, "failCommands": ["commitTransaction"], **fault}
    for client in (clients.theirs, clients.ours):
        seen: list[int] = []

        def work(session: Any, client: Any = client, seen: list[int] = seen) -> None:
            seen.append(1)
            client[stored.name].c.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)

        with client.start_session() as session:
            before = stored.client.admin.command({**point, "mode": {"times": 2}, "data": data})["count"]
            if commits == 1:
                with pytest.raises((DataBridgeError, PyMongoError)):
                    session.with_transaction(work)
            else:
                session.with_transaction(work)
        entered = stored.client.admin.command({**point, "mode": "off"})["count"] - before
        stored.client.admin.command("killAllSessions", [])
        assert (len(seen), entered) == (calls, commits), client


def test_with_transaction_repeats_a_commit_past_the_deadline(mongodb_uri: str, stored: Mongo) -> None:
    seen: list[int] = []
    with MongoClient(mongodb_uri, appName=NAME, timeout=0.3) as client, client.start_session() as session:

        def work(session: ClientSession) -> int:
            client[stored.name].c.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
            seen.append(1)
            return 5

        with slow_commits(stored, 2):
            assert session.with_transaction(work) == 5
    assert seen == [1]
    assert stored.c.find_one() == {"_id": 1, "n": 1}


async def test_with_transaction_asynchronous(mongodb_uri: str, stored: Mongo) -> None:
    seen: list[int] = []
    async with (
        AsyncMongoClient(mongodb_uri, appName=NAME, timeout=0.3) as client,
        client.start_session() as session,
    ):

        async def work(session: AsyncClientSession) -> None:
            seen.append(1)
            await client[stored.name].c.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)

        with slow_commits(stored, 2):
            await session.with_transaction(work)
        assert stored.c.find_one() == {"_id": 1, "n": 1}
        fault = {"failCommands": ["commitTransaction"], "writeConcernError": {"code": 50, "errmsg": "m"}}
        with failing(stored.client.admin, {"times": 1}, **fault), pytest.raises(WTimeoutError):
            await session.with_transaction(work)
        assert seen == [1, 1]
        # A first operation past its deadline is one that the transaction may be repeated after.
        fault = {"failCommands": ["update"], "blockConnection": True, "blockTimeMS": 600}
        with failing(stored.client.admin, {"times": 2}, **fault):
            await session.with_transaction(work)
            await asyncio.sleep(0.7)
        assert seen == [1] * 5
    assert stored.c.find_one() == {"_id": 1, "n": 3}
