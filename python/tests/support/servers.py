"""Servers for tests that break them, and the ways to read from one that such tests try."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pymongo
from pymongo.errors import PyMongoError

import mongod
from data_bridge import AsyncMongoClient, DataBridgeError, MongoClient, _core

Options = dict[str, Any]
Admin = pymongo.MongoClient[dict[str, Any]]

NAME = "faulty"
"""The application name of clients that a fail point applies to."""

HANG = 30.0
"""Seconds after which something hangs, on the slowest machine."""


def pid(admin: Admin) -> int:
    return int(admin.admin.command("serverStatus")["pid"])


def connections(admin: Admin, name: str) -> list[dict[str, Any]]:
    """Of clients that call themselves so, as the server describes them."""
    stages: list[dict[str, Any]] = [
        {"$currentOp": {"idleConnections": True, "allUsers": True}},
        {"$match": {"appName": name}},
    ]
    return list(admin.admin.aggregate(stages))


def wait_until_at_rest(admin: Admin) -> None:
    """Until no cursor is open, and nothing that cleans up after reads sends what a proxy or fail point would count."""
    wait_until(lambda: open_cursors(admin) == 0 and _core.runs() == 0)


def open_cursors(admin: Admin) -> int:
    return int(admin.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"])


def wait_until(what: Callable[[], bool], seconds: float = HANG) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def failing(admin: Admin, mode: Any, point: str = "failCommand", **data: Any) -> Iterator[None]:
    """A fail point, for clients of this name if the point matches names."""
    if point == "failCommand":
        data = {"appName": NAME, **data}
    admin.admin.command("configureFailPoint", point, mode=mode, data=data)
    try:
        yield
    finally:
        admin.admin.command("configureFailPoint", point, mode="off")


def _state(task: Path) -> str:
    """Of a thread, on Linux; "T" is stopped."""
    try:
        return (task / "stat").read_text().rpartition(") ")[2][:1]
    except FileNotFoundError:  # it has ended
        return "T"


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """SIGSTOP for the block, which begins when all threads have stopped: until then, one may answer."""
    os.kill(process, signal.SIGSTOP)
    try:
        wait_until(lambda: all(_state(task) == "T" for task in Path(f"/proc/{process}/task").glob("*")))
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


class Outcome(NamedTuple):
    """The `_id`s that were returned, and the error that ended the read early."""

    ids: list[Any]
    error: BaseException | None
    seconds: float


def _iterate(query: Any, ids: list[Any]) -> None:
    for document in query:
        ids.append(document["_id"])


def _stream(query: Any, ids: list[Any]) -> None:
    import pyarrow as pa

    with query.stream() as stream:
        for batch in stream:
            ids.extend(pa.record_batch(batch).column("_id").to_pylist())


def _read(query: Any, ids: list[Any]) -> None:
    ids.extend(document["_id"] for document in query.read())


def _to_arrow(query: Any, ids: list[Any]) -> None:
    ids.extend(query.to_arrow().column("_id").to_pylist())


async def _async_read(query: Any, ids: list[Any]) -> None:
    ids.extend(document["_id"] for document in await query.read())


async def _async_iterate(query: Any, ids: list[Any]) -> None:
    async for document in query:
        ids.append(document["_id"])


async def _async_stream(query: Any, ids: list[Any]) -> None:
    import pyarrow as pa

    async with query.stream() as stream:
        async for batch in stream:
            ids.extend(pa.record_batch(batch).column("_id").to_pylist())


SYNC: dict[str, Callable[[Any, list[Any]], None]] = {
    "read": _read,
    "to_arrow": _to_arrow,
    "iterate": _iterate,
    "stream": _stream,
}
ASYNC: dict[str, Callable[[Any, list[Any]], Any]] = {
    "async read": _async_read,
    "async iterate": _async_iterate,
    "async stream": _async_stream,
}
WAYS = [*SYNC, *ASYNC]


class Reader:
    """One synchronous and one asynchronous client of a server, kept from read to read."""

    def __init__(self, uri: str, **options: Any) -> None:
        given = {"appName": NAME, "heartbeatFrequencyMS": 500, "serverSelectionTimeoutMS": 5000, **options}
        self._loop = asyncio.new_event_loop()
        self.client = MongoClient(uri, **given)
        self._asynchronous = AsyncMongoClient(uri, **given)

    def attempt(self, database: str, way: str, **options: Any) -> Outcome:
        """Reads `c` in one of WAYS."""
        ids: list[Any] = []
        error = None
        begun = time.monotonic()
        try:
            if way in SYNC:
                SYNC[way](self.client[database].c.find(**options), ids)
            else:
                query = self._asynchronous[database].c.find(**options)
                self._loop.run_until_complete(asyncio.wait_for(ASYNC[way](query, ids), 2 * HANG))
        except DataBridgeError as caught:
            error = caught
        return Outcome(ids, error, time.monotonic() - begun)

    def close(self) -> None:
        self.client.close()
        self._loop.run_until_complete(self._asynchronous.close())
        self._loop.close()


@contextmanager
def reader(uri: str, **options: Any) -> Iterator[Reader]:
    opened = Reader(uri, **options)
    try:
        yield opened
    finally:
        opened.close()


def exact_or_error(outcome: Outcome, expected: list[Any]) -> None:
    """All rows once, in their order; or an error, behind rows that are right."""
    assert outcome.seconds < HANG
    if outcome.error is None:
        assert outcome.ids == expected
    else:
        assert outcome.ids == expected[: len(outcome.ids)]


class Member:
    """A mongod of a replica set, which can be killed and started again with the same data."""

    def __init__(self, directory: Path, *extra: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._command = mongod.command_line(mongod.find_mongod(), directory, port, 0.25, True, extra)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, preexec_fn=mongod.die_with_parent)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def direct(self) -> str:
        return f"mongodb://{self.address}/?directConnection=true"


@contextmanager
def replica_set(count: int, *extra: str) -> Iterator[tuple[str, dict[str, Member]]]:
    """A replica set whose members fail over within seconds: its URI, and members by address. `extra` goes to mongod."""
    with ExitStack() as stack:
        members: dict[str, Member] = {}
        for _ in range(count):
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="data-bridge-member-")))
            member = Member(directory, *extra)
            stack.callback(member.kill)
            members[member.address] = member
        config = {
            "_id": mongod.REPLICA_SET,
            "members": [{"_id": i, "host": address} for i, address in enumerate(members)],
            "settings": {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500},
        }
        for member in members.values():
            with Admin(member.direct, serverSelectionTimeoutMS=30_000) as admin:
                admin.admin.command("ping")
        with Admin(next(iter(members.values())).direct) as admin:
            admin.admin.command("replSetInitiate", config)
        uri = f"mongodb://{','.join(members)}/?replicaSet={mongod.REPLICA_SET}"
        with Admin(uri, serverSelectionTimeoutMS=30_000) as admin:
            wait_until(lambda: primary_of(admin) is not None)
        yield uri, members


def primary_of(admin: Admin) -> str | None:
    with contextlib.suppress(PyMongoError):
        admin.admin.command("ping")
        primary = admin.primary
        return None if primary is None else f"{primary[0]}:{primary[1]}"
    return None
