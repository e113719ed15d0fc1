"""Sessions: what their writes send, and what they refuse, is what PyMongo's send and the server refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import bson
import pymongo
import pytest
from proxy import Proxy
from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.read_preferences import Nearest, SecondaryPreferred

from data_bridge import AsyncMongoClient, DataBridgeError, InsertOne, MongoClient, OperationFailure, UpdateOne

Mongo = Database[dict[str, Any]]
Call = Callable[[Any, Any], Any]


@pytest.fixture
def stored(database: Mongo) -> Mongo:
    database.c.insert_many([{"_id": 1, "n": 0}, {"_id": 2}])
    return database


@pytest.fixture
def recorder(database: Mongo) -> Iterator[Proxy]:
    address = database.client.address
    assert address is not None
    proxy = Proxy(address)
    yield proxy
    proxy.close()


WRITES: dict[str, Call] = {
    "insert_one": lambda d, s: d.c.insert_one({}, session=s),
    "insert_many": lambda d, s: d.c.insert_many([{}, {}], session=s),
    "update_one": lambda d, s: d.c.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=s),
    "update_many": lambda d, s: d.c.update_many({}, {"$inc": {"n": 1}}, session=s),
    "replace_one": lambda d, s: d.c.replace_one({"_id": 1}, {"n": 3}, session=s),
    "delete_one": lambda d, s: d.c.delete_one({"_id": 1}, session=s),
    "delete_many": lambda d, s: d.c.delete_many({"_id": 2}, session=s),
    "find_one_and_update": lambda d, s: d.c.find_one_and_update({"_id": 1}, {"$inc": {"n": 1}}, session=s),
    "find_one_and_delete": lambda d, s: d.c.find_one_and_delete({"_id": 2}, session=s),
    "bulk_write": lambda d, s: d.c.bulk_write(
        [pymongo.InsertOne({}), pymongo.UpdateOne({"_id": 1}, {"$set": {"n": 1}}), pymongo.DeleteOne({"_id": 2})],
        session=s,
    ),
    "create_index": lambda d, s: d.c.create_index("n", session=s),
    "create_collection": lambda d, s: d.create_collection("other", session=s, check_exists=False),
    "command": lambda d, s: d.command({"insert": "c", "documents": [{}]}, session=s),
    "command that reads": lambda d, s: d.command({"find": "c"}, session=s),
    "command with a read concern": lambda d, s: d.command({"find": "c", "readConcern": {"level": "local"}}, session=s),
    "find_one": lambda d, s: d.c.find_one({}, session=s),
    "drop_index": lambda d, s: (d.c.create_index("m", session=s), d.c.drop_index("m_1", session=s)),
    "drop": lambda d, s: d.c.drop(session=s),
}


def _concerns(recorder: Proxy, client: Any, name: str, call: Call, **options: Any) -> list[tuple[str, Any]]:
    """The commands of a call in a session that has read before, with their read concerns."""
    with client.start_session(**options) as session:
        client[name].c.find_one({}, session=session)
        recorder.recorded = []
        call(client[name], session)
        recorded, recorder.recorded = recorder.recorded, None
    concerns = []
    for command in recorded:
        operation = next(iter(command))
        if operation not in ("hello", "isMaster", "endSessions", "ismaster"):
            concern = dict(command.get("readConcern", {}))
            if "afterClusterTime" in concern:
                # Of what came before, not of the moment.
                assert isinstance(concern["afterClusterTime"], bson.Timestamp)
                assert concern["afterClusterTime"] <= command["$clusterTime"]["clusterTime"]
                concern["afterClusterTime"] = "time"
            concerns.append((operation, concern))
    return concerns


@pytest.mark.parametrize("options", [{}, {"causal_consistency": False}], ids=["causal", "not causal"])
@pytest.mark.parametrize("name", WRITES)
def test_the_time_that_operations_follow(name: str, options: dict[str, Any], recorder: Proxy, stored: Mongo) -> None:
    with pymongo.MongoClient[dict[str, Any]](recorder.uri) as theirs:
        expected = _concerns(recorder, theirs, stored.name, WRITES[name], **options)
    stored.drop_collection("other")
    stored.drop_collection("c")
    stored.c.insert_many([{"_id": 1, "n": 0}, {"_id": 2}])
    with MongoClient(recorder.uri) as client:
        assert _concerns(recorder, client, stored.name, WRITES[name], **options) == expected
    causal = "afterClusterTime" in dict(expected[-1][1])
    assert causal is (not options and name not in ("command that reads", "command with a read concern"))


def test_writes_follow_the_last_operation(recorder: Proxy, stored: Mongo) -> None:
    """The time is that of the session's last operation, also where retryable writes are numbered in another session."""
    with MongoClient(recorder.uri) as client, client.start_session() as session:
        ours = client[stored.name].c
        times = []
        for number in range(4):
            recorder.recorded = []
            ours.update_one({"_id": 1}, {"$set": {"n": number}}, session=session)
            (command,) = [command for command in recorder.recorded if "update" in command]
            times.append(command.get("readConcern", {}).get("afterClusterTime"))
        assert times[0] is None
        assert None not in times[1:]
        assert times[1:] == sorted(set(times[1:]))
        with session.start_transaction():
            recorder.recorded = []
            ours.insert_one({}, session=session)
            ours.insert_one({}, session=session)
            first, second = (command for command in recorder.recorded if "insert" in command)
        assert first["startTransaction"] is True
        assert first["readConcern"]["afterClusterTime"] >= times[-1]
        assert "readConcern" not in second


SNAPSHOT = [name for name in WRITES if name not in ("command that reads", "find_one", "command with a read concern")]


@pytest.mark.parametrize("name", SNAPSHOT)
def test_snapshot_sessions_refuse_writes(name: str, client: MongoClient, stored: Mongo) -> None:
    """The server does, with code 72; nothing is written outside the session."""
    stored.c.create_index("m")
    before = list(stored.c.find())
    for some in (stored.client, client):
        with some.start_session(snapshot=True) as session:
            with pytest.raises((OperationFailure, pymongo.errors.OperationFailure)) as caught:
                WRITES[name](some[stored.name], session)
            assert caught.value.code == 72
            some[stored.name].c.find_one({}, session=session)
            with pytest.raises((OperationFailure, pymongo.errors.OperationFailure)) as caught:
                WRITES[name](some[stored.name], session)
            assert caught.value.code == 72
    assert list(stored.c.find()) == before
    assert stored.list_collection_names() == ["c"]


async def test_snapshot_sessions_refuse_writes_asynchronous(mongodb_uri: str, stored: Mongo) -> None:
    async with AsyncMongoClient(mongodb_uri) as client, client.start_session(snapshot=True) as session:
        ours = client[stored.name].c
        for call in (
            ours.insert_one({}, session=session),
            ours.bulk_write([InsertOne({}), UpdateOne({}, {"$set": {"a": 1}})], session=session),
        ):
            with pytest.raises(OperationFailure) as caught:
                await call
            assert caught.value.code == 72
    assert stored.c.count_documents({}) == 2


IN_TRANSACTIONS = [
    name for name in WRITES if name not in ("create_index", "drop_index", "drop", "command with a read concern")
]


def _outcomes(client: Any, stored: Mongo, **options: Any) -> dict[str, bool]:
    """The calls that a transaction takes, one transaction each, from collections with the client's read preference."""
    taken = {}
    for name in IN_TRANSACTIONS:
        stored.drop_collection("other")
        with client.start_session() as session:
            session.start_transaction(**options)
            try:
                WRITES[name](client[stored.name], session)
                taken[name] = True
            except (DataBridgeError, PyMongoError, ValueError):
                taken[name] = False
            session.abort_transaction()
    return taken


@pytest.mark.parametrize(
    ("uri_options", "options"),
    [
        ({"readPreference": "secondaryPreferred"}, {}),
        ({"readPreference": "nearest"}, {"read_preference": pymongo.ReadPreference.PRIMARY}),
        ({}, {"read_preference": SecondaryPreferred()}),
        ({"retryWrites": False}, {"read_preference": Nearest()}),
        ({}, {}),
    ],
)
def test_read_preferences_of_transactions(
    uri_options: dict[str, Any], options: dict[str, Any], mongodb_uri: str, stored: Mongo
) -> None:
    """They are for reads: reads are refused unless the preference is primary, writes never are."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri, **uri_options) as theirs:
        expected = _outcomes(theirs, stored, **options)
    with MongoClient(mongodb_uri, **uri_options) as client:
        taken = _outcomes(client, stored, **options)
        assert taken == expected
        reads_refused = not taken["find_one"]
        primary = options.get("read_preference", pymongo.ReadPreference.PRIMARY) == pymongo.ReadPreference.PRIMARY
        assert reads_refused is not (primary and not ("readPreference" in uri_options and not options))
        assert all(taken[name] for name in ("insert_one", "update_many", "find_one_and_update", "bulk_write"))


def test_a_first_operation_that_is_refused_leaves_nothing(mongodb_uri: str, stored: Mongo) -> None:
    with MongoClient(mongodb_uri, readPreference="secondary") as client, client.start_session() as session:
        ours = client[stored.name].c
        with pytest.raises(ValueError, match="primary"), session.start_transaction():
            ours.find_one({}, session=session)
        with session.start_transaction():
            ours.insert_one({"_id": 3}, session=session)
        with session.start_transaction():
            with pytest.raises(ValueError, match="primary"):
                ours.find_one({}, session=session)
            ours.insert_one({"_id": 4}, session=session)
    assert stored.c.count_documents({}) == 4
