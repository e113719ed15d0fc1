"""maxTimeMS of operations: the server ends what the client has given up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import bson
import proxy
import pyarrow as pa
import pymongo
import pymongo.errors
import pytest
from proxy import Proxy
from pymongo.database import Database as MongoDatabase
from servers import wait_until

import data_bridge
from data_bridge import (
    AsyncMongoClient,
    ExecutionTimeout,
    MongoClient,
    OperationFailure,
    ServerTimeout,
    UpdateMany,
    WriteConcernError,
    WTimeoutError,
    odm,
)

Mongo = MongoDatabase[dict[str, Any]]
Pymongo = pymongo.MongoClient[dict[str, Any]]

NAME = "max-time"
ROWS = 300
SLOW = {"$where": "sleep(100) || true"}
"""Takes 30 s for all rows."""
EXPRESSION = {"$expr": {"$function": {"body": "function() { sleep(100); return true }", "args": [], "lang": "js"}}}
CHANGE = {"$set": {"changed": True}}
TIMEOUT = 0.5

LONG: dict[str, Callable[[Any], Any]] = {
    "update_many": lambda c: c.update_many(SLOW, CHANGE),
    "update_one": lambda c: c.update_one({"$where": "sleep(100)"}, CHANGE),
    "replace_one": lambda c: c.replace_one({"$where": "sleep(100)"}, {"changed": True}),
    "delete_many": lambda c: c.delete_many(SLOW),
    "find_one_and_update": lambda c: c.find_one_and_update({"$where": "sleep(100)"}, CHANGE),
    "find_one_and_delete": lambda c: c.find_one_and_delete({"$where": "sleep(100)"}),
    "bulk_write": lambda c: c.bulk_write([UpdateMany(SLOW, CHANGE)]),
    "count_documents": lambda c: c.count_documents(EXPRESSION),
    "distinct": lambda c: c.distinct("_id", SLOW),
    "find_one": lambda c: c.find_one({"$where": "sleep(100)"}),
    "find": lambda c: c.find(SLOW).read(),
    "find in small replies": lambda c: c.find(SLOW, batch_size=2).to_arrow(),
    "aggregate": lambda c: c.aggregate([{"$match": EXPRESSION}]).read(),
    "aggregate that stores": lambda c: c.aggregate([{"$match": EXPRESSION}, {"$out": "stored"}]).read(),
    "command": lambda c: c.database.command("update", c.name, updates=[{"q": SLOW, "u": CHANGE, "multi": True}]),
    "command that reads": lambda c: c.database.command("count", c.name, query=SLOW),
}


@pytest.fixture
def rows(database: Mongo) -> Mongo:
    database["c"].insert_many([{"_id": i} for i in range(ROWS)])
    return database


def named(uri: str) -> str:
    return f"{uri}{'&' if '?' in uri else '/?'}appName={NAME}"


def running(database: Mongo) -> list[Any]:
    stages: list[dict[str, Any]] = [
        {"$currentOp": {}},
        {"$match": {"appName": NAME, "active": True, "ns": {"$regex": f"^{database.name}[.]"}}},
    ]
    return list(database.client.admin.aggregate(stages))


def stops(database: Mongo) -> None:
    """Nothing is left of an operation that would run for half a minute, and it was ended on its way."""
    wait_until(lambda: not running(database), 20)
    assert database["c"].count_documents({"changed": True}) < ROWS
    assert database["c"].count_documents({}) > 0


def test_the_server_ends_what_reached_its_deadline(rows: Mongo, mongodb_uri: str) -> None:
    with MongoClient(named(mongodb_uri), timeout=TIMEOUT) as client:
        for name, call in LONG.items():
            with pytest.raises(ServerTimeout, match=rf"within {TIMEOUT} s \(timeout\)"):
                pytest.fail(f"{name} gave {call(client[rows.name]['c'])!r}")
            stops(rows)
        # A server explains what it did until then, as with PyMongo.
        plan: dict[str, Any] = {}
        while not plan:
            # The client's own clock may be faster than the answer.
            with contextlib.suppress(ServerTimeout):
                plan = client[rows.name]["c"].find(SLOW).explain("executionStats")
        assert plan["executionStats"]["executionSuccess"] is False
        stops(rows)


async def test_the_server_ends_awaited_operations_too(rows: Mongo, mongodb_uri: str) -> None:
    async with AsyncMongoClient(named(mongodb_uri), timeoutMS=int(TIMEOUT * 1000)) as client:
        for name, call in LONG.items():
            with pytest.raises(ServerTimeout, match=rf"within {TIMEOUT} s \(timeout\)"):
                pytest.fail(f"{name} gave {await call(client[rows.name]['c'])!r}")
            stops(rows)


def test_the_server_ends_writes_of_models(rows: Mongo, mongodb_uri: str) -> None:
    class Row(odm.Document):
        changed: bool = False

        class Settings:
            name = "c"

    with MongoClient(named(mongodb_uri)) as client:
        odm.init(client[rows.name], [Row])
        for call in (
            lambda: Row.find(odm.trusted(SLOW), timeout=TIMEOUT).update(CHANGE),
            lambda: Row.find(odm.trusted(SLOW), timeout=TIMEOUT).delete(),
            lambda: Row.find(odm.trusted({"$where": "sleep(100)"}), timeout=TIMEOUT).find_one_and_update(CHANGE),
            lambda: Row.find(odm.trusted(EXPRESSION), timeout=TIMEOUT).count(),
            lambda: Row.delete_many(odm.trusted(SLOW), timeout=TIMEOUT),
        ):
            with pytest.raises(ServerTimeout):
                call()
            stops(rows)


def test_a_write_in_a_transaction_is_ended_and_lets_go_of_its_documents(rows: Mongo, mongodb_uri: str) -> None:
    with MongoClient(named(mongodb_uri)) as client, client.start_session() as session:
        ours = client[rows.name]["c"]
        session.start_transaction()
        ours.update_one({"_id": 0}, CHANGE, session=session)
        with pytest.raises(ServerTimeout):
            ours.update_many({"_id": {"$lt": 200}, **SLOW}, CHANGE, session=session, timeout=TIMEOUT)
        session.abort_transaction()
        stops(rows)
        assert rows["c"].update_many({}, {"$set": {"other": 1}}).modified_count == ROWS
        assert rows["c"].count_documents({"changed": True}) == 0


@pytest.mark.slow
def test_a_read_of_many_replies_has_its_whole_deadline(database: Mongo, mongodb_uri: str) -> None:
    """A maxTimeMS of 10 s ends this read of 6 s: mongod 6.0 counts the time of getMores twice."""
    database["c"].insert_many([{"_id": i} for i in range(300)])
    slow: dict[str, Any] = {"$where": "sleep(20) || true"}
    with pytest.raises(pymongo.errors.ExecutionTimeout):
        list(database["c"].find(slow, batch_size=20, max_time_ms=10_000))
    with MongoClient(mongodb_uri) as client:
        assert len(client[database.name]["c"].find(slow, batch_size=20, timeout=10).read()) == 300


@pytest.mark.parametrize("way", ["find", "aggregate", "stream", "command"])
def test_iteration_may_take_longer_than_its_deadline(way: str, database: Mongo, mongodb_uri: str) -> None:
    """A deadline bounds each wait, where maxTimeMS would bound the time of all getMores."""
    database["c"].insert_many([{"_id": i} for i in range(60)])
    slow: dict[str, Any] = {"$where": "sleep(80) || true"}
    limit = 4 * TIMEOUT
    with MongoClient(mongodb_uri, timeout=limit) as client:
        ours, begun = client[database.name], time.monotonic()
        if way == "find":
            ids = [row["_id"] for row in ours["c"].find(slow, batch_size=5)]
        elif way == "stream":
            with ours["c"].find(slow, batch_size=5).stream() as batches:
                ids = [row for batch in batches for row in pa.record_batch(batch).column("_id").to_pylist()]
        elif way == "aggregate":
            body = EXPRESSION["$expr"]["$function"] | {"body": "function() { sleep(80); return true }"}
            stages = [{"$match": {"$expr": {"$function": body}}}]
            ids = [row["_id"] for row in ours["c"].aggregate(stages, batch_size=5)]
        else:
            with client.start_session() as session:
                reply = ours.command("find", "c", filter=slow, batchSize=5, session=session)["cursor"]
                ids = [row["_id"] for row in reply["firstBatch"]]
                while reply["id"]:
                    more = {"getMore": reply["id"], "collection": "c", "batchSize": 5}
                    reply = ours.command(more, session=session)["cursor"]
                    ids += [row["_id"] for row in reply["nextBatch"]]
        assert ids == list(range(60))
        assert time.monotonic() - begun > 2 * limit


Sent = Callable[[], list[tuple[str, "int | None"]]]


@pytest.fixture
def wire(database: Mongo, pymongo_client: Pymongo) -> Iterator[Proxy]:
    database["c"].insert_many([{"_id": i} for i in range(10)])
    assert pymongo_client.address is not None
    proxy = Proxy(pymongo_client.address)
    proxy.requests = []
    yield proxy
    proxy.close()


@pytest.fixture
def sent(wire: Proxy) -> Sent:
    """The commands that clients of the proxy have sent since the last call, each with its maxTimeMS."""

    def commands() -> list[tuple[str, int | None]]:
        requests, wire.requests = wire.requests or [], []
        found = [bson.decode(proxy.body(request)) for request in requests]
        named = [(next(iter(each)), each.get("maxTimeMS")) for each in found]
        # Beside the operations: heartbeats, the end of sessions, and the estimate that sizes of replies follow from.
        return [each for each in named if each[0] not in ("hello", "ismaster", "isMaster", "endSessions", "dataSize")]

    return commands


def writes(c: Any) -> None:
    c.insert_one({"_id": 100})
    c.update_one({"_id": 1}, CHANGE)
    c.delete_one({"_id": 100})
    c.find_one_and_update({"_id": 1}, CHANGE)
    c.insert_many([{}, {}])
    c.create_index("a")
    c.drop_index("a_1")
    c.database.command("collMod", c.name)


def reads(c: Any) -> None:
    assert c.find_one({"_id": 1})
    c.count_documents({})
    c.estimated_document_count()
    c.distinct("_id")
    c.find({"_id": 1}).explain()
    c.aggregate([{"$match": {"_id": 1}}, {"$project": {"a": 1}}]).explain()


def lists(c: Any) -> None:
    assert c.name in c.database.list_collection_names()
    assert c.database.list_collection_names({"type": "collection"})
    assert c.index_information()


def opens_cursors(c: Any) -> None:
    assert list(c.find(batch_size=3))
    assert c.find(batch_size=3).read()
    assert c.aggregate([{"$match": {}}]).read()
    assert list(c.aggregate([{"$match": {}}], batch_size=3))
    c.database.command("find", c.name)


def test_operations_say_how_long_they_may_take(database: Mongo, wire: Proxy, sent: Sent) -> None:
    with MongoClient(named(wire.uri), timeoutMS=20_000) as client:
        ours = client[database.name]["c"]
        for call in (writes, reads, lists):
            call(ours)
        limits = sent()
        assert {name for name, _ in limits} >= {"insert", "update", "delete", "findAndModify", "find", "aggregate"}
        assert all(limit is not None and 10_000 < limit < 20_000 for _, limit in limits), limits
        opens_cursors(ours)
        limits = sent()
        assert {name for name, _ in limits} >= {"find", "aggregate", "getMore"}
        assert all(limit is None for _, limit in limits), limits
        for call in (writes, reads, lists):
            call(ours.with_options(timeout=None))
        limits = sent()
        # A database has a deadline of its own.
        assert {name for name, limit in limits if limit is not None} == {"collMod", "listCollections"}


def test_the_default_deadline_bounds_writes_and_leaves_reads_to_the_server(
    database: Mongo, wire: Proxy, sent: Sent
) -> None:
    """A maxTimeMS of a read replaces the server's own defaultMaxTimeMS."""
    with MongoClient(named(wire.uri)) as client:
        ours = client[database.name]["c"]
        writes(ours)
        limits = sent()
        assert all(limit is not None and 590_000 < limit < 600_000 for _, limit in limits), limits
        reads(ours)
        opens_cursors(ours)
        limits = sent()
        assert all(limit is None for _, limit in limits), limits


def test_a_retry_has_the_time_that_is_left(database: Mongo, wire: Proxy, sent: Sent) -> None:
    fault = {
        "failCommands": ["insert", "update", "findAndModify", "listCollections", "listDatabases"],
        "appName": NAME,
        "blockConnection": True,
        "blockTimeMS": 400,
        "errorCode": 262,
        "errorLabels": ["RetryableWriteError"],
    }
    with MongoClient(named(wire.uri), timeout=20) as client:
        ours = client[database.name]["c"]
        for call in (
            lambda: ours.insert_one({"_id": "new"}),
            lambda: ours.update_one({"_id": 1}, CHANGE),
            lambda: ours.find_one_and_update({"_id": 1}, CHANGE),
            lambda: ours.database.list_collection_names(),
            lambda: client.list_database_names(),
        ):
            database.client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=fault)
            call()
            (name, first), (again, second) = sent()
            assert first is not None
            assert second is not None
            assert name == again
            assert second <= first - 400, name
    assert database["c"].count_documents({"_id": "new"}) == 1
    with MongoClient(named(wire.uri), retryReads=False) as client:
        database.client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=fault)
        with pytest.raises(OperationFailure) as caught:
            client.list_database_names()
        assert caught.value.code == 262


def test_the_smaller_of_both_times_counts(rows: Mongo, mongodb_uri: str) -> None:
    # As long as `maxTimeMS` of the other half: a busy machine takes its time for the answer.
    with MongoClient(named(mongodb_uri), timeout=60) as client:
        ours = client[rows.name]["c"]
        for short in (
            lambda: ours.find(SLOW, max_time_ms=100).read(),
            lambda: list(ours.find(SLOW, max_time_ms=100, batch_size=5)),
            lambda: ours.find_one_and_update({"$where": "sleep(100)"}, CHANGE, maxTimeMS=100),
            lambda: ours.count_documents(EXPRESSION, maxTimeMS=100),
            lambda: ours.database.command("count", "c", query=SLOW, maxTimeMS=100),
        ):
            # It is the server's answer, and a deadline that passed.
            for kind in (OperationFailure, ServerTimeout):
                with pytest.raises(kind, match=r"time limit.*\(maxTimeMS\)") as caught:
                    short()
                assert isinstance(caught.value, ExecutionTimeout)
                assert (caught.value.code, caught.value.code_name) == (50, "MaxTimeMSExpired")
                assert caught.value.details["code"] == 50
    with MongoClient(named(mongodb_uri), timeout=TIMEOUT) as client:
        ours = client[rows.name]["c"]
        for long in (
            lambda: ours.find_one({"$where": "sleep(100)"}, max_time_ms=60_000),
            lambda: ours.find_one_and_update({"$where": "sleep(100)"}, CHANGE, maxTimeMS=60_000),
            lambda: ours.count_documents(EXPRESSION, maxTimeMS=60_000),
            lambda: ours.database.command("count", "c", query=SLOW, maxTimeMS=60_000),
            lambda: ours.database.command("count", "c", query=SLOW, maxTimeMS=0),
        ):
            with pytest.raises(ServerTimeout, match=rf"within {TIMEOUT} s \(timeout\)") as timeout:
                long()
            assert not isinstance(timeout.value, ExecutionTimeout)
            stops(rows)


def test_the_error_of_a_deadline_has_what_the_server_said(rows: Mongo, mongodb_uri: str) -> None:
    with MongoClient(mongodb_uri) as client:
        ours = client[rows.name]["c"]
        for _ in range(20):
            # The client's own clock may be faster than the answer.
            with pytest.raises(ServerTimeout) as caught:
                ours.update_many(SLOW, CHANGE, timeout=0.3)
            if caught.value.code:
                break
        assert (caught.value.code, caught.value.code_name) == (50, "MaxTimeMSExpired")
        assert caught.value.details["code"] == 50
        assert not isinstance(caught.value, OperationFailure)
        assert ServerTimeout("x").code == 0
        assert ServerTimeout("x").details is None


def test_a_write_concern_that_is_not_met_in_time(database: Mongo, pymongo_client: Pymongo, mongodb_uri: str) -> None:
    """The write was done: the error has the write concern's class, and is that of a deadline as well."""
    waited = {"code": 50, "codeName": "MaxTimeMSExpired", "errmsg": "operation exceeded time limit"}
    fault = {"failCommands": ["insert"], "appName": NAME, "writeConcernError": waited}
    with MongoClient(named(mongodb_uri), timeout=5) as client:
        for kind in (ServerTimeout, WriteConcernError):
            pymongo_client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=fault)
            with pytest.raises(kind, match="time limit") as caught:
                client[database.name]["c"].insert_one({})
            assert isinstance(caught.value, WTimeoutError)
            assert caught.value.code == 50
    assert database["c"].count_documents({}) == 2


def test_an_error_50_that_comes_early_is_not_the_deadlines(rows: Mongo, mongodb_uri: str) -> None:
    """A server may have limits of its own."""
    fault = {"failCommands": ["update", "find"], "appName": NAME, "errorCode": 50}
    with MongoClient(named(mongodb_uri), timeout=5) as client:
        for call in (
            lambda: client[rows.name]["c"].update_one({}, CHANGE),
            lambda: client[rows.name]["c"].find().read(),
        ):
            rows.client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=fault)
            with pytest.raises(ExecutionTimeout):
                call()
    assert issubclass(data_bridge.ExecutionTimeout, data_bridge.DataBridgeError)


def test_what_differs_from_client_side_operations_timeout(
    database: Mongo, wire: Proxy, pymongo_client: Pymongo
) -> None:
    """As the guide's table has it."""
    with MongoClient(named(wire.uri), timeoutMS=20_000, socketTimeoutMS=1, w=1, wTimeoutMS=700) as client:
        assert client.timeout == 20
        wire.requests = []
        client[database.name]["c"].insert_one({})
        commands = [bson.decode(proxy.body(request)) for request in wire.requests]
        (inserted,) = [each for each in commands if "insert" in each]
        assert inserted["writeConcern"] == {"w": 1, "wtimeout": 700}
        assert inserted["maxTimeMS"] > 10_000
    fault = {"failCommands": ["insert"], "appName": NAME, "blockConnection": True, "blockTimeMS": 400}
    with MongoClient(named(wire.uri), w=0) as client:
        pymongo_client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=fault)
        begun = time.monotonic()
        assert not client[database.name]["c"].insert_one({"_id": "unacknowledged"}).acknowledged
        assert time.monotonic() - begun > 0.3
        assert database["c"].count_documents({"_id": "unacknowledged"}) == 1
    with (
        MongoClient(named(wire.uri), socketTimeoutMS=300) as client,
        pytest.raises(ServerTimeout, match=r"within 0.3 s"),
    ):
        client[database.name]["c"].update_many({"$where": "sleep(100) || true"}, CHANGE)
    with MongoClient(named(wire.uri), timeoutMS=0) as client:
        assert client.timeout is None
