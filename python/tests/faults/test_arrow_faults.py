"""Writes of Arrow data while connections break, servers refuse and callers are interrupted: no row twice, none lost."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import proxy as wire
import pyarrow as pa
import pytest
from proxy import Proxy
from servers import NAME, Admin, failing

import data_bridge
from data_bridge import AsyncMongoClient, ConnectionFailure, MongoClient, OperationFailure, ServerTimeout
from data_bridge.commands import batches

ROWS = 400
COMMANDS = 20
BREAKS: list[Callable[[Any, bytes], None]] = [wire.close, wire.reset, wire.truncate]


@pytest.fixture(scope="module")
def admin(faulty_uri: str) -> Iterator[Admin]:
    with Admin(faulty_uri) as admin:
        yield admin
        admin.drop_database("arrow_faults")


@pytest.fixture(scope="module")
def through(proxy: Proxy) -> Iterator[MongoClient]:
    with MongoClient(proxy.uri, appName=NAME) as client:
        yield client


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> Iterator[None]:
    """Commands of few rows, so that a write has many of them."""
    monkeypatch.setattr(batches, "MAX_STATEMENTS", ROWS // COMMANDS)
    yield
    proxy.heal()


def table(value: int = 0) -> pa.Table:
    return pa.table({"_id": pa.array(range(ROWS), pa.int64()), "v": pa.array([value] * ROWS, pa.int64())})


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 40))])
def test_replies_that_are_lost(seed: int, admin: Admin, proxy: Proxy, through: MongoClient) -> None:
    """Five writes with up to three lost replies each: each command is executed once, and the counts are exact."""
    rng = random.Random(seed)
    collection, stored = through["arrow_faults"].c, admin["arrow_faults"].c
    options: dict[str, Any] = rng.choice([{}, {"ordered": False}, {"ordered": False, "parallel": 3}])
    stored.drop()
    calls: list[tuple[str, Any, dict[str, int]]] = [
        ("insert", lambda: collection.insert_arrow(table(), **options), {"inserted": ROWS}),
        ("update", lambda: collection.update_arrow(table(1), **options), {"matched": ROWS, "modified": ROWS}),
        ("update", lambda: collection.upsert_arrow(table(1), **options), {"matched": ROWS}),
        ("delete", lambda: collection.delete_arrow(table()[: ROWS // 2], **options), {"deleted": ROWS // 2}),
        (
            "update",
            lambda: collection.replace_arrow(table(2), upsert=True, **options),
            {"matched": ROWS // 2, "modified": ROWS // 2, "upserted": ROWS // 2},
        ),
    ]
    for command, call, expected in calls:
        proxy.spoil(command, rng.sample(range(1, 11), rng.randrange(1, 4)), rng.choice(BREAKS))
        result = call()
        proxy.heal()
        names = ("inserted", "matched", "modified", "upserted", "deleted", "unknown", "failed")
        counts = {name: getattr(result, f"{name}_count") for name in names}
        assert {name: count for name, count in counts.items() if count} == expected
    assert stored.count_documents({"v": 2}) == stored.count_documents({}) == ROWS


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after", "any"])
def test_two_hundred_breaks(moment: str, admin: Admin, proxy: Proxy, through: MongoClient) -> None:
    """The server or the proxy breaks a connection 200 times: before a command is executed, after it, or at any time."""
    rng = random.Random(moment)
    collection, stored = through["arrow_faults"].c, admin["arrow_faults"].c
    breaks = rounds = 0
    while breaks < 200:
        rounds += 1
        assert rounds < 400
        stored.drop()
        ordered = bool(rounds % 2)
        options: dict[str, Any] = {"ordered": ordered, "parallel": 1 if ordered else 3}
        with broken(moment, rng, admin, proxy) as count:
            inserted = collection.insert_arrow(table(), **options)
            updated = collection.upsert_arrow(table(1), **options)
            unchanged = collection.update_arrow(table(1), **options)
            deleted = collection.delete_arrow(table()[: ROWS // 2], **options)
            replaced = collection.replace_arrow(table(2), upsert=True, **options)
        breaks += count()
        assert (inserted.inserted_count, inserted.unknown_count) == (ROWS, 0)
        assert (updated.matched_count, updated.modified_count, updated.upserted_count) == (ROWS, ROWS, 0)
        assert (unchanged.matched_count, unchanged.modified_count, unchanged.unknown_count) == (ROWS, 0, 0)
        assert (deleted.deleted_count, deleted.unknown_count) == (ROWS // 2, 0)
        assert (replaced.matched_count, replaced.modified_count) == (ROWS // 2, ROWS // 2)
        assert (replaced.upserted_count, replaced.unknown_count) == (ROWS // 2, 0)
        assert stored.count_documents({"v": 2}) == stored.count_documents({}) == ROWS
    print(f"{breaks} breaks {moment} in {rounds} rounds")


@contextmanager
def broken(moment: str, rng: random.Random, admin: Admin, proxy: Proxy) -> Iterator[Callable[[], int]]:
    """Connections break meanwhile; gives a call that counts them afterwards."""
    found = 0
    if moment == "before":
        point = {"configureFailPoint": "failCommand"}
        data = {"appName": NAME, "failCommands": ["insert", "update", "delete"], "closeConnection": True}
        admin.admin.command({**point, "mode": {"activationProbability": 0.1}, "data": data})
        try:
            yield lambda: found
        finally:
            found = int(admin.admin.command({**point, "mode": "off"})["count"])
    elif moment == "after":

        def spoil(link: Any, reply: bytes) -> None:
            nonlocal found
            found += 1
            rng.choice(BREAKS)(link, reply)

        # Heartbeats are replies, too, and rare.
        proxy.spoil("", [each for each in range(1, 400) if rng.random() < 0.1], spoil)
        try:
            yield lambda: found
        finally:
            proxy.heal()
    else:
        done = threading.Event()

        def cut() -> None:
            nonlocal found
            while not done.wait(rng.uniform(0.002, 0.03)):
                proxy.cut()
                found += 1

        thread = threading.Thread(target=cut)
        thread.start()
        try:
            yield lambda: found
        finally:
            done.set()
            thread.join()


def test_connections_that_break_at_any_time(admin: Admin, proxy: Proxy, through: MongoClient) -> None:
    """Cut also while a command is on its way to the server."""
    collection, stored = through["arrow_faults"].c, admin["arrow_faults"].c
    rng = random.Random(3)
    done = threading.Event()
    cuts = 0

    def cut() -> None:
        nonlocal cuts
        while not done.is_set():
            time.sleep(rng.uniform(0.005, 0.04))
            proxy.cut()
            cuts += 1

    wide = table().append_column("t", pa.array(["x" * 5000] * ROWS))
    thread = threading.Thread(target=cut)
    thread.start()
    try:
        for round_ in range(12):
            stored.drop()
            result = collection.insert_arrow(wide, ordered=bool(round_ % 2))
            assert (result.inserted_count, result.unknown_count, result.failed_count) == (ROWS, 0, 0)
            assert stored.count_documents({}) == ROWS
    finally:
        done.set()
        thread.join()
    assert cuts > 10


@pytest.mark.parametrize("many", [False, True])
def test_without_retries(many: bool, admin: Admin, proxy: Proxy) -> None:
    """A lost reply leaves the rows of its command unknown, and the error has the counts of the others."""
    stored = admin["arrow_faults"].c
    stored.drop()
    uri = proxy.uri if many else proxy.uri + "&retryWrites=false"
    with MongoClient(uri) as client:
        collection = client["arrow_faults"].c
        if many:
            stored.insert_many([{"_id": number} for number in range(ROWS)])
        proxy.spoil("update" if many else "insert", 4, wire.close)
        with pytest.raises(ConnectionFailure) as caught:
            collection.update_arrow(table(5), many=True) if many else collection.insert_arrow(table(5))
        result = caught.value.write_result  # type: ignore[attr-defined]
        known = result.matched_count if many else result.inserted_count
        assert (known, result.unknown_count) == (3 * ROWS // COMMANDS, ROWS // COMMANDS)
        assert known <= stored.count_documents({"v": 5}) <= known + result.unknown_count


def test_a_server_that_refuses_a_command(admin: Admin, through: MongoClient) -> None:
    stored = admin["arrow_faults"].c
    stored.drop()
    refused = failing(admin, {"skip": 2}, failCommands=["insert"], errorCode=13)
    with refused, pytest.raises(OperationFailure) as caught:
        through["arrow_faults"].c.insert_arrow(table())
    result = caught.value.write_result  # type: ignore[attr-defined]
    assert (result.inserted_count, result.unknown_count) == (2 * ROWS // COMMANDS, 0)
    assert stored.count_documents({}) == 2 * ROWS // COMMANDS


def test_a_stepdown_is_retried(admin: Admin, through: MongoClient) -> None:
    """The server labels its error as retryable."""
    stored = admin["arrow_faults"].c
    stored.drop()
    labels = ["RetryableWriteError"]
    with failing(admin, {"times": 3}, failCommands=["insert"], errorCode=91, errorLabels=labels):
        result = through["arrow_faults"].c.insert_arrow(table())
    assert (result.inserted_count, result.unknown_count) == (ROWS, 0)
    assert stored.count_documents({}) == ROWS


def test_a_reply_that_does_not_come_in_time(admin: Admin, proxy: Proxy, through: MongoClient) -> None:
    stored = admin["arrow_faults"].c
    stored.drop()
    proxy.spoil("insert", 3, wire.drop)
    with pytest.raises(ServerTimeout) as caught:
        through["arrow_faults"].c.insert_arrow(table(), timeout=0.5)
    result = caught.value.write_result  # type: ignore[attr-defined]
    assert (result.inserted_count, result.unknown_count) == (2 * ROWS // COMMANDS, ROWS // COMMANDS)


def test_interrupt(admin: Admin, proxy: Proxy, through: MongoClient) -> None:
    """Ctrl-C stops between two commands: the one in flight is awaited and counted."""
    stored = admin["arrow_faults"].c
    stored.drop()
    proxy.spoil("insert", range(1, 1000), wire.late(0.05))
    timer = threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        through["arrow_faults"].c.insert_arrow(table())
    timer.join()
    result = caught.value.write_result  # type: ignore[attr-defined]
    assert 0 < result.inserted_count < ROWS
    assert (result.unknown_count, stored.count_documents({})) == (0, result.inserted_count)


async def test_cancellation(admin: Admin, proxy: Proxy) -> None:
    stored = admin["arrow_faults"].c
    stored.drop()
    proxy.spoil("insert", range(1, 1000), wire.late(0.05))
    results = []
    async with AsyncMongoClient(proxy.uri) as client:

        async def write() -> None:
            try:
                await client["arrow_faults"].c.insert_arrow(table())
            except asyncio.CancelledError as error:
                results.append(error.write_result)  # type: ignore[attr-defined]
                raise

        task = asyncio.ensure_future(write())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    [result] = results
    assert 0 < result.inserted_count < ROWS
    assert (result.unknown_count, stored.count_documents({})) == (0, result.inserted_count)


def test_a_client_that_is_closed(admin: Admin, proxy: Proxy) -> None:
    """The write ends with an error, and its rows in flight are unknown."""
    stored = admin["arrow_faults"].c
    stored.drop()
    proxy.spoil("insert", range(1, 1000), wire.late(0.05))
    client = MongoClient(proxy.uri)
    timer = threading.Timer(0.3, client.close)
    timer.start()
    with pytest.raises(data_bridge.DataBridgeError) as caught:
        client["arrow_faults"].c.insert_arrow(table())
    timer.join()
    result = caught.value.write_result  # type: ignore[attr-defined]
    found = stored.count_documents({})
    assert result.inserted_count <= found <= result.inserted_count + result.unknown_count < ROWS
