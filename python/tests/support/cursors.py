"""The server's open cursors and running operations, and programs that a test runs in a process of their own."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

from pymongo.database import Database

Mongo = Database[dict[str, Any]]


def script(code: str, *arguments: str) -> list[str]:
    """The command that runs `code` with warnings as errors."""
    return [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments]


def open_cursors(database: Mongo) -> list[Any]:
    """Cursors on the database's collections, idle or at work; the server may list one twice, as both."""
    found = _operations(database, {"cursor": {"$exists": True}})
    return list({each["cursor"]["cursorId"]: each for each in found}.values())


def at_work(database: Mongo) -> list[Any]:
    """Return the server's running operations on the database's collections."""
    return _operations(database, {"active": True})


def _operations(database: Mongo, match: dict[str, Any]) -> list[Any]:
    stages: list[Any] = [
        {"$currentOp": {"idleCursors": True, "allUsers": True}},
        {"$match": {**match, "ns": {"$regex": f"^{database.name}\\."}}},
    ]
    return list(database.client.admin.aggregate(stages))


def wait_until_open(database: Mongo, seconds: float = 30.0) -> None:
    """One that a getMore takes up or lays down just then is in neither list: hence more than one look."""
    assert _until(lambda: bool(open_cursors(database)), seconds)


LOOKS = 20
"""Looks in a row that must find nothing."""


def wait_until_closed(database: Mongo, seconds: float = 30.0) -> None:
    """Until no cursor is open and nothing at work.

    A look lists operations first and idle cursors behind them. A cursor that a getMore takes up in between is in
    neither list: while replies are fetched ahead, one look in ten misses it, and `at_work` may then find it idle.
    """
    end = time.monotonic() + seconds
    missed = 0
    while missed < LOOKS:
        found = open_cursors(database) + at_work(database)
        assert not found or time.monotonic() < end, found
        missed = 0 if found else missed + 1
        time.sleep(0.05 if found else 0.005)


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return met
