"""Reads when the server fails: all rows once, or an error; never a hang, and the same client goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import servers
from servers import (
    WAYS,
    Admin,
    Reader,
    connections,
    exact_or_error,
    failing,
    open_cursors,
    wait_until,
    wait_until_at_rest,
)

from data_bridge import ConnectionFailure, MongoClient, OperationFailure, ServerTimeout

ROWS = list(range(300))
READ = {"batch_size": 20}


@pytest.fixture(scope="module")
def admin(faulty_uri: str) -> Iterator[Admin]:
    with Admin(faulty_uri) as admin:
        admin.faults.c.insert_many([{"_id": i, "text": "x" * 50} for i in ROWS])
        yield admin
        admin.drop_database("faults")


@pytest.fixture(scope="module")
def reader(faulty_uri: str) -> Iterator[Reader]:
    with servers.reader(faulty_uri) as reader:
        yield reader


@pytest.fixture(autouse=True)
def afterwards(admin: Admin, reader: Reader) -> Iterator[None]:
    """Whatever happened, the client works and no cursor is left."""
    yield
    outcome = reader.attempt("faults", "read", **READ)
    assert (outcome.ids, outcome.error) == (ROWS, None)
    wait_until_at_rest(admin)


FAULTS: dict[str, tuple[dict[str, Any], type[Exception], int | None]] = {
    "closeConnection": ({"closeConnection": True}, ConnectionFailure, None),
    "not primary": ({"errorCode": 10107}, OperationFailure, 10107),
    "shutdown": ({"errorCode": 91}, OperationFailure, 91),
    "interrupted by shutdown": ({"errorCode": 11600}, OperationFailure, 11600),
    "interrupted": ({"errorCode": 11601}, OperationFailure, 11601),
    "cursor not found": ({"errorCode": 43}, OperationFailure, 43),
    "cursor killed": ({"errorCode": 237}, OperationFailure, 237),
    "max time": ({"errorCode": 50}, ServerTimeout, 50),
}


@pytest.mark.parametrize(
    ("fault", "nth"), [*((fault, 3) for fault in FAULTS), ("closeConnection", 1), ("cursor not found", 1)]
)
def test_a_get_more_that_fails(admin: Admin, reader: Reader, fault: str, nth: int) -> None:
    data, kind, code = FAULTS[fault]
    # One way each: which one reads makes no difference to the server, and which fault it is none to the reader.
    for way in WAYS if (fault, nth) == ("closeConnection", 3) else [WAYS[(len(fault) + nth) % len(WAYS)]]:
        with failing(admin, {"skip": nth - 1}, failCommands=["getMore"], **data):
            outcome = reader.attempt("faults", way, **READ)
        exact_or_error(outcome, ROWS)
        assert isinstance(outcome.error, kind)
        assert getattr(outcome.error, "code", None) == code
        assert len(outcome.ids) <= 20 * nth


@pytest.mark.parametrize("fault", FAULTS)
def test_a_find_that_fails_once_is_sent_again_or_fails(admin: Admin, reader: Reader, fault: str) -> None:
    data, kind, _ = FAULTS[fault]
    with failing(admin, {"times": 1}, failCommands=["find"], **data):
        outcome = reader.attempt("faults", "read", **READ)
    if fault in ("interrupted", "cursor not found", "cursor killed", "max time"):
        assert isinstance(outcome.error, kind)
    else:
        # No row was returned yet, so the driver may retry.
        assert (outcome.ids, outcome.error) == (ROWS, None)


@pytest.mark.parametrize(
    ("way", "command"), [*((way, "getMore") for way in WAYS), ("to_arrow", "find"), ("async iterate", "find")]
)
def test_a_command_that_blocks(admin: Admin, reader: Reader, way: str, command: str) -> None:
    with failing(admin, "alwaysOn", failCommands=[command], blockConnection=True, blockTimeMS=400):
        outcome = reader.attempt("faults", way, timeout=0.15, **READ)
    exact_or_error(outcome, ROWS)
    assert isinstance(outcome.error, ServerTimeout)


@pytest.mark.parametrize("data", [{"closeConnection": True}, {"errorCode": 91}, {"blockConnection": True}])
def test_a_kill_that_fails(admin: Admin, reader: Reader, data: dict[str, Any]) -> None:
    if "blockConnection" in data:
        data = {**data, "blockTimeMS": 700}
    with failing(admin, {"times": 1}, failCommands=["killCursors"], **data):
        for _ in reader.client.faults.c.find(batch_size=2):
            break
        wait_until_at_rest(admin)


def test_a_kill_that_is_refused_for_a_while(admin: Admin, reader: Reader) -> None:
    with failing(admin, "alwaysOn", failCommands=["killCursors"], errorCode=8):
        for _ in reader.client.faults.c.find(batch_size=2):
            break
        time.sleep(1)
        assert open_cursors(admin) == 1


@pytest.mark.parametrize(("fault", "more"), [("interrupted", 1), ("max time", 1), ("cursor not found", 0)])
def test_a_get_more_follows_the_kill_of_a_cursor(admin: Admin, faulty_uri: str, fault: str, more: int) -> None:
    """The driver learns that the cursor is gone, unless the server reported it. The reader has its error by then."""

    def get_mores() -> int:
        """Those that reached the cursor, or its absence: a fail point is not counted."""
        return int(admin.admin.command("serverStatus")["metrics"]["commands"]["getMore"]["total"])

    with servers.reader(faulty_uri) as own:
        before = get_mores()
        with failing(admin, {"times": 1}, failCommands=["getMore"], **FAULTS[fault][0]):
            outcome = own.attempt("faults", "read", **READ)
            wait_until_at_rest(admin)
    assert outcome.error is not None
    assert get_mores() - before == more


@pytest.mark.parametrize(
    ("mode", "millis"), [("alwaysOn", 4_000), pytest.param({"times": 1}, 60_000, marks=pytest.mark.slow)]
)
def test_a_close_that_is_not_answered_in_time(admin: Admin, faulty_uri: str, mode: Any, millis: int) -> None:
    """It returns, and the connections are closed when the answer comes, or at the next request."""
    client = MongoClient(faulty_uri, appName="closing")
    assert client.faults.c.count_documents({}) == len(ROWS)
    blocked = {"failCommands": ["endSessions"], "blockConnection": True, "blockTimeMS": millis}

    def ours() -> list[Any]:
        # The server does not notice that the client of a command that it blocks is gone.
        return [each for each in connections(admin, "closing") if "endSessions" not in each.get("command", {})]

    with failing(admin, mode, appName="closing", **blocked):
        client.close()
        assert ours()
        wait_until(lambda: not ours())


@pytest.mark.parametrize("way", WAYS)
def test_max_time_on_the_server(admin: Admin, reader: Reader, way: str) -> None:
    with failing(admin, "alwaysOn", "maxTimeAlwaysTimeOut"):
        outcome = reader.attempt("faults", way, max_time_ms=60_000, **READ)
    assert isinstance(outcome.error, ServerTimeout)
    assert outcome.ids == []


@pytest.mark.parametrize("way", ["read", "async iterate"])
def test_a_get_more_that_fails_within(admin: Admin, reader: Reader, way: str) -> None:
    with failing(admin, "alwaysOn", "failGetMoreAfterCursorCheckout", errorCode=8):
        outcome = reader.attempt("faults", way, **READ)
    exact_or_error(outcome, ROWS)
    assert isinstance(outcome.error, OperationFailure)
    assert outcome.error.code == 8


@pytest.mark.parametrize("way", ["to_arrow", "async iterate"])
@pytest.mark.parametrize("point", ["waitAfterPinningCursorBeforeGetMoreBatch", "getMoreHangAfterPinCursor"])
def test_a_get_more_that_hangs(admin: Admin, reader: Reader, way: str, point: str) -> None:
    with failing(admin, "alwaysOn", point, shouldCheckForInterrupt=True):
        outcome = reader.attempt("faults", way, timeout=0.2, **READ)
    exact_or_error(outcome, ROWS)
    assert isinstance(outcome.error, ServerTimeout)


def test_a_cursor_that_another_client_killed(admin: Admin, reader: Reader) -> None:
    documents = iter(reader.client.faults.c.find(batch_size=2, limit=200))
    ids = [next(documents)["_id"]]
    with failing(admin, "alwaysOn", failCommands=["getMore"], blockConnection=True, blockTimeMS=200):
        while cursors := _idle(admin):
            admin.faults.command("killCursors", "c", cursors=cursors)
    with pytest.raises(OperationFailure) as caught:
        ids.extend(document["_id"] for document in documents)
    assert caught.value.code in (43, 237)
    assert ids == ROWS[: len(ids)]


def _idle(admin: Admin) -> list[int]:
    stages: list[Any] = [
        {"$currentOp": {"idleCursors": True, "allUsers": True}},
        {"$match": {"cursor": {"$exists": True}, "ns": "faults.c"}},
    ]
    return [operation["cursor"]["cursorId"] for operation in admin.admin.aggregate(stages)]
