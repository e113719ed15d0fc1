"""Reads when the server dies, is stopped, or is no longer the primary."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import servers
from proxy import Proxy
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern
from servers import WAYS, Admin, exact_or_error, failing, open_cursors, pid, stopped, wait_until

import mongod
from data_bridge import ConnectionFailure, DataBridgeError, MongoClient, ServerTimeout

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals")

ROWS = list(range(200))
READ: dict[str, Any] = {"batch_size": 10}


def load(admin: Admin) -> None:
    admin.get_database("dies", write_concern=WriteConcern("majority")).c.insert_many([{"_id": i} for i in ROWS])


@contextlib.contextmanager
def soon(act: Any, seconds: float = 0.15) -> Iterator[None]:
    """`act` on another thread, while the block runs."""
    timer = threading.Timer(seconds, act)
    timer.start()
    try:
        yield
    finally:
        timer.join()


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back() -> None:
    with contextlib.ExitStack() as stack:
        uri = stack.enter_context(mongod.embedded_mongod())
        # PyMongo, too, looks for its server when it is closed.
        first = stack.enter_context(Admin(uri, serverSelectionTimeoutMS=1000))
        load(first)
        assert first.address is not None
        proxy = Proxy(first.address)
        stack.callback(proxy.close)
        reader = stack.enter_context(servers.reader(proxy.uri, serverSelectionTimeoutMS=1000))
        slow: dict[str, Any] = {"failCommands": ["getMore"], "blockConnection": True, "blockTimeMS": 100}
        first.admin.command(
            "configureFailPoint", "failCommand", mode="alwaysOn", data={"appName": servers.NAME, **slow}
        )
        process = pid(first)
        with soon(lambda: os.kill(process, signal.SIGKILL), 0.5):
            outcome = reader.attempt("dies", "iterate", **READ)
        exact_or_error(outcome, ROWS)
        assert isinstance(outcome.error, ConnectionFailure)
        for way in ("to_arrow", "async iterate"):
            outcome = reader.attempt("dies", way, **READ)
            assert isinstance(outcome.error, ConnectionFailure)
            assert "serverSelectionTimeoutMS" in str(outcome.error)
        second = stack.enter_context(Admin(stack.enter_context(mongod.embedded_mongod())))
        load(second)
        assert second.address is not None
        proxy.target = second.address
        for way in WAYS:
            assert reader.attempt("dies", way, **READ).ids == ROWS
        wait_until(lambda: open_cursors(second) == 0)


def test_a_server_that_is_stopped(faulty_uri: str) -> None:
    with Admin(faulty_uri) as admin, servers.reader(faulty_uri) as reader:
        load(admin)
        process = pid(admin)
        assert reader.attempt("dies", "read", **READ).ids == ROWS
        assert reader.attempt("dies", "async read", **READ).ids == ROWS
        for way in WAYS:
            with stopped(process):
                outcome = reader.attempt("dies", way, timeout=0.3, **READ)
            assert isinstance(outcome.error, ServerTimeout)
            assert outcome.ids == []
        with failing(admin, "alwaysOn", failCommands=["getMore"], blockConnection=True, blockTimeMS=50):
            with soon(lambda: os.kill(process, signal.SIGSTOP), 0.2):
                outcome = reader.attempt("dies", "async iterate", timeout=1, **READ)
            os.kill(process, signal.SIGCONT)
        exact_or_error(outcome, ROWS)
        assert isinstance(outcome.error, ServerTimeout)
        for way in WAYS:
            assert reader.attempt("dies", way, **READ).ids == ROWS
        wait_until(lambda: open_cursors(admin) == 0)
        admin.drop_database("dies")


def test_closing_a_client_of_a_stopped_server_does_not_hang(faulty_uri: str) -> None:
    with Admin(faulty_uri) as admin:
        load(admin)
        process = pid(admin)
        client = MongoClient(faulty_uri)
        rows = iter(client.dies.c.find(batch_size=2))
        next(rows)
        with stopped(process):
            begun = time.monotonic()
            client.close()
            assert time.monotonic() - begun < servers.HANG
        with pytest.raises(DataBridgeError):
            list(client.dies.c.find())
        admin.drop_database("dies")


@pytest.mark.slow
def test_a_primary_that_steps_down_or_dies() -> None:
    with servers.replica_set(3) as (uri, members), Admin(uri) as admin, servers.reader(uri) as reader:
        load(admin)
        # Members may hold their documents in different natural orders.
        ordered = {**READ, "sort": [("_id", 1)]}
        slow: dict[str, Any] = {"failCommands": ["getMore"], "blockConnection": True, "blockTimeMS": 50}
        point = {"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": {"appName": servers.NAME, **slow}}
        for address in members:
            with Admin(f"mongodb://{address}/?directConnection=true") as member:
                member.admin.command(point)

        def step_down() -> None:
            with contextlib.suppress(PyMongoError):
                admin.admin.command("replSetStepDown", 5, force=True)

        for way in ("read", "async iterate"):
            with soon(step_down, 0.3):
                outcome = reader.attempt("dies", way, **ordered)
            exact_or_error(outcome, ROWS)
            wait_until(lambda: servers.primary_of(admin) is not None)
            assert reader.attempt("dies", way, timeout=60, **ordered).ids == ROWS
        with soon(step_down, 0.3):
            outcome = reader.attempt("dies", "iterate", resume=True, **ordered)
        assert (outcome.ids, outcome.error) == (ROWS, None)

        wait_until(lambda: servers.primary_of(admin) is not None)
        primary = members[str(servers.primary_of(admin))]
        with soon(primary.process.kill, 0.3):
            outcome = reader.attempt("dies", "read", resume=True, **ordered)
        assert (outcome.ids, outcome.error) == (ROWS, None)
        wait_until(lambda: servers.primary_of(admin) is not None)
        primary = members[str(servers.primary_of(admin))]
        with soon(primary.process.kill, 0.3):
            outcome = reader.attempt("dies", "read", **ordered)
        exact_or_error(outcome, ROWS)
        assert isinstance(outcome.error, DataBridgeError)
