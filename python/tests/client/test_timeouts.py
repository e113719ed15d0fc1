"""Deadlines: where they are set, what they bound, what their errors say."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import servers
from configured import prefetch_bytes
from servers import Admin, failing, wait_until

import mongod
from data_bridge import ConnectionFailure, MongoClient, OperationFailure, ServerTimeout, _core

ROWS = 1000


@pytest.fixture(scope="module")
def admin(faulty_uri: str) -> Iterator[Admin]:
    with Admin(faulty_uri) as admin:
        # Larger than the data decoded ahead of a consumer that pauses.
        admin.slow.c.insert_many([{"_id": i, "text": "x" * 20_000} for i in range(ROWS)])
        yield admin
        admin.drop_database("slow")


@pytest.fixture
def narrow() -> Iterator[None]:
    """Nothing is fetched ahead."""
    with prefetch_bytes(1):
        yield


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_where_a_timeout_is_set(admin: Admin, faulty_uri: str) -> None:
    assert MongoClient(faulty_uri).timeout == 600
    with MongoClient(faulty_uri, appName=servers.NAME, timeout=0.15) as client:
        database = client.slow
        with failing(
            admin, "alwaysOn", failCommands=["find", "count", "aggregate"], blockConnection=True, blockTimeMS=600
        ):
            for collection, seconds, given in (
                (database.c, 0.15, {}),
                (database.with_options(timeout=0.16).c, 0.16, {}),
                (database.c.with_options(timeout=0.17), 0.17, {}),
                (database.c.with_options(timeout=None), 0.18, {"timeout": 0.18}),
            ):
                with pytest.raises(ServerTimeout, match=rf"within {seconds} s \(timeout\)"):
                    collection.find({"_id": 1}, **given).read()
            with pytest.raises(ServerTimeout, match=r"within 0.19 s"):
                database.c.with_options(timeout=0.19).count_documents({})
            for whole in (database.c.with_options(timeout=None), database.with_options(timeout=None).c):
                assert len(whole.find({"_id": 1}).read()) == 1
        assert database.c.with_options(timeout=30).count_documents({}) == ROWS
    for wrong in (0, -1, "1", True):
        with pytest.raises((TypeError, ValueError), match="timeout must be"):
            client.slow.c.with_options(timeout=wrong)


def test_an_eager_read_is_bounded_as_a_whole_and_a_live_one_by_each_wait(admin: Admin, faulty_uri: str) -> None:
    with MongoClient(faulty_uri, appName=servers.NAME) as client:
        query = client.slow.c.find({"_id": {"$lt": 12}}, batch_size=2, projection=["_id"], timeout=1.6)
        # Six replies, each of them late: 2.4 s, and 1.2 s to spare for each.
        with failing(admin, "alwaysOn", failCommands=["find", "getMore"], blockConnection=True, blockTimeMS=400):
            with pytest.raises(ServerTimeout):
                query.read()
            assert [row["_id"] for row in query] == list(range(12))
            with query.stream() as stream:
                assert sum(len(batch) for batch in stream) == 12


@pytest.mark.usefixtures("narrow")
def test_the_consumers_time_does_not_count(admin: Admin, faulty_uri: str) -> None:
    assert admin.slow.c.estimated_document_count() == ROWS
    with MongoClient(faulty_uri) as client:
        rows = iter(client.slow.c.find(batch_size=10, timeout=2))
        next(rows)
        time.sleep(2.5)
        assert sum(1 for _ in rows) == ROWS - 1


def test_max_time_is_the_servers(admin: Admin, faulty_uri: str) -> None:
    assert admin.slow.c.find_one({"_id": 1})
    with MongoClient(faulty_uri) as client, pytest.raises(ServerTimeout, match=r"time limit.*\(maxTimeMS\)"):
        client.slow.c.find({"$where": "sleep(50) || true"}, max_time_ms=100).read()


def test_server_selection_says_why(closed_port: int) -> None:
    host = f"127.0.0.1:{closed_port}"
    refused = pytest.raises(ConnectionFailure, match=rf"serverSelectionTimeoutMS.*{host}.*refused")
    with MongoClient(f"mongodb://{host}", serverSelectionTimeoutMS=300) as client, refused:
        client.a.b.find().read()
    # Our own deadline may come first.
    with MongoClient(f"mongodb://{host}", timeout=0.4) as client:
        for read in (lambda: client.a.b.find().read(), lambda: client.a.b.count_documents({})):
            with pytest.raises(ServerTimeout, match=rf"within 0.4 s \(timeout\); {host}: .*refused"):
                read()


@pytest.mark.parametrize(
    ("code", "command", "call"),
    [
        (91, "find", lambda c: c.find_one({"_id": 1})),
        pytest.param(11600, "update", lambda c: c.update_one({"_id": 1}, {"$set": {"a": 1}}), marks=pytest.mark.slow),
        pytest.param(91, "listCollections", lambda c: c.database.list_collection_names(), marks=pytest.mark.slow),
    ],
)
def test_a_retry_waits_for_the_next_heartbeat(
    code: int, command: str, call: Callable[[Any], Any], admin: Admin, faulty_uri: str
) -> None:
    """A server that reported its shutdown is used again after a heartbeat, which takes 10 s; here 11 s."""
    with MongoClient(faulty_uri, appName=servers.NAME, heartbeatFrequencyMS=11_000) as client:
        assert client.slow.c.find_one({"_id": 1})
        labels = ["RetryableWriteError"]
        with failing(admin, {"times": 1}, failCommands=[command], errorCode=code, errorLabels=labels):
            assert call(client.slow.c)


def test_an_answer_of_91_requests_a_check_at_once(admin: Admin, faulty_uri: str) -> None:
    """Polled heartbeats need no 10 s: the driver requests one, as the specification says."""
    options = {"appName": servers.NAME, "serverMonitoringMode": "poll"}
    with MongoClient(faulty_uri, **options) as client:
        assert client.slow.c.find_one({"_id": 1})
        for call in (
            lambda: client.slow.c.find_one({"_id": 1}),
            lambda: client.slow.c.update_one({"_id": 1}, {"$set": {"a": 1}}),
            client.slow.list_collection_names,
        ):
            begun = time.monotonic()
            with failing(
                admin,
                {"times": 1},
                failCommands=["find", "update", "listCollections"],
                errorCode=91,
                errorLabels=["RetryableWriteError"],
            ):
                assert call()
            assert time.monotonic() - begun < 8


def test_the_time_to_find_a_server_may_be_given(admin: Admin, faulty_uri: str) -> None:
    with MongoClient(faulty_uri, appName=servers.NAME, serverSelectionTimeoutMS=300) as client:
        assert client.slow.c.find_one({"_id": 1})
        begun = time.monotonic()
        fault = failing(admin, {"times": 1}, failCommands=["find"], errorCode=91)
        with fault, pytest.raises(OperationFailure) as caught:
            client.slow.c.find_one({"_id": 1})
        assert caught.value.code == 91
        assert time.monotonic() - begun < 8


@pytest.mark.usefixtures("narrow")
def test_a_slow_consumers_session_is_refreshed(admin: Admin, faulty_uri: str) -> None:
    def refreshed() -> int:
        return int(admin.admin.command("serverStatus")["metrics"]["commands"]["refreshSessions"]["total"])

    _core.configure(None, None, None, refresh_seconds=0.1)
    try:
        with MongoClient(faulty_uri) as client:
            rows = iter(client.slow.c.find(batch_size=10))
            next(rows)
            before = refreshed()
            wait_until(lambda: refreshed() >= before + 3)
            assert sum(1 for _ in rows) == ROWS - 1
    finally:
        _core.configure(None, None, None, refresh_seconds=300)


@pytest.mark.slow
@pytest.mark.usefixtures("narrow")
def test_a_cursor_that_the_server_reaps() -> None:
    """Idle cursors live as long as their sessions, unless the server has another setting."""
    limits = {
        "clientCursorMonitorFrequencySecs": 1,
        "cursorTimeoutMillis": 500,
        "enableTimeoutOfInactiveSessionCursors": "true",
    }
    arguments = [part for name, value in limits.items() for part in ("--setParameter", f"{name}={value}")]
    with mongod.embedded_mongod(*arguments) as uri, Admin(uri) as admin, MongoClient(uri) as client:
        admin.slow.c.insert_many([{"_id": i, "text": "x" * 20_000} for i in range(ROWS)])

        def pause(**options: Any) -> list[int]:
            rows = iter(client.slow.c.find(batch_size=10, **options))
            ids = [next(rows)["_id"]]
            reaped = admin.admin.command("serverStatus")["metrics"]["cursor"]["timedOut"]
            if "no_cursor_timeout" in options:
                time.sleep(2.5)
            else:
                wait_until(lambda: admin.admin.command("serverStatus")["metrics"]["cursor"]["timedOut"] > reaped)
            ids.extend(row["_id"] for row in rows)
            return ids

        with pytest.raises(OperationFailure) as caught:
            pause()
        assert caught.value.code == 43
        assert pause(resume=True) == list(range(ROWS))
        assert pause(no_cursor_timeout=True) == list(range(ROWS))


@pytest.mark.slow
@pytest.mark.usefixtures("narrow")
def test_a_consumer_that_pauses_longer_than_sessions_live() -> None:
    limits = {"localLogicalSessionTimeoutMinutes": 1, "logicalSessionRefreshMillis": 1000, "ttlMonitorSleepSecs": 1}
    arguments = [part for name, value in limits.items() for part in ("--setParameter", f"{name}={value}")]
    _core.configure(None, None, None, refresh_seconds=10)
    try:
        with mongod.embedded_mongod(*arguments) as uri, Admin(uri) as admin, MongoClient(uri) as client:
            admin.slow.c.insert_many([{"_id": i, "text": "x" * 20_000} for i in range(ROWS)])
            rows = iter(client.slow.c.find(batch_size=10))
            next(rows)
            # The control: a cursor whose session is not refreshed.
            other = admin.slow.c.find(batch_size=10)
            next(other)
            time.sleep(100)
            assert sum(1 for _ in rows) == ROWS - 1
            with pytest.raises(Exception, match="cursor"):
                list(other)
    finally:
        _core.configure(None, None, None, refresh_seconds=300)
