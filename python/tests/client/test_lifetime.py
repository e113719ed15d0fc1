"""Ctrl-C, abandoned loops, memory, and what is never built."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymongo
import pytest
from cursors import script, wait_until_closed, wait_until_open
from pymongo.database import Database

from data_bridge import AsyncMongoClient, AsyncQuery, MongoClient, Query

Mongo = Database[dict[str, Any]]

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@pytest.fixture
def loaded(database: Mongo) -> Mongo:
    database.c.insert_many([{"_id": i, "text": "x" * 2000} for i in range(30_000)])
    return database


BLOCKED = """
import signal, sys, time
import data_bridge

signal.signal(signal.SIGINT, signal.default_int_handler)
client = data_bridge.MongoClient(sys.argv[1], appName=sys.argv[3])
query = client[sys.argv[2]].c.find({}, batch_size=10)
how = sys.argv[4]
print("ready", flush=True)
try:
    if how == "read":
        query.read()
    elif how == "iterate":
        for document in query:
            pass
    elif how == "stream":
        for batch in query.stream():
            pass
    elif how == "count":
        client[sys.argv[2]].c.count_documents({})
    elif how == "progress":
        query = client[sys.argv[2]].c.find({}, progress=lambda documents, size: None)
        query.read()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@posix
@pytest.mark.parametrize("how", ["read", "iterate", "stream", "count", "progress"])
def test_interrupt_ends_a_blocked_query(mongodb_uri: str, database: Mongo, how: str) -> None:
    database.c.insert_one({})
    application = f"blocked-{database.name}"
    admin = database.client.admin
    blocked = {
        "failCommands": ["find", "aggregate"],
        "blockConnection": True,
        "blockTimeMS": 4_000,
        "appName": application,
    }
    admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=blocked)
    command = script(BLOCKED, mongodb_uri, database.name, application, how)
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.7)
            start = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
            assert time.monotonic() - start < 0.5
            assert process.wait(timeout=5) == 0
    finally:
        admin.command("configureFailPoint", "failCommand", mode="off")


def test_leaving_a_loop_ends_its_cursor(client: MongoClient, loaded: Mongo) -> None:
    query = client[loaded.name].c.find(batch_size=10)
    for _ in query:
        wait_until_open(loaded)
        break
    wait_until_closed(loaded)
    with query.stream() as stream:
        next(stream)
        wait_until_open(loaded)
    wait_until_closed(loaded)
    documents = iter(query)
    next(documents)
    wait_until_open(loaded)
    del documents
    gc.collect()
    wait_until_closed(loaded)
    with pytest.raises(ZeroDivisionError):
        fail_within(query)
    wait_until_closed(loaded)


def fail_within(query: Query) -> None:
    for document in query:
        _ = document["_id"] / 0


def test_leaving_an_asynchronous_loop_ends_its_cursor(mongodb_uri: str, loaded: Mongo) -> None:
    async def use() -> None:
        async with AsyncMongoClient(mongodb_uri) as client:
            query = client[loaded.name].c.find(batch_size=10)
            async for _ in query:
                await asyncio.to_thread(wait_until_open, loaded)
                break
            await asyncio.to_thread(wait_until_closed, loaded)
            async with query.stream() as stream:
                await stream.__anext__()
                await asyncio.to_thread(wait_until_open, loaded)
            await asyncio.to_thread(wait_until_closed, loaded)

    asyncio.run(use())


def test_a_cursor_ends_though_its_event_loop_is_busy(mongodb_uri: str, loaded: Mongo) -> None:
    """No task of the event loop is needed: it runs nothing from the `break` to the look at the server."""

    async def use() -> None:
        async with AsyncMongoClient(mongodb_uri) as client:
            query = client[loaded.name].c.find(batch_size=10)
            async for _ in query:
                wait_until_open(loaded)
                break
            wait_until_closed(loaded)
            with pytest.raises(ZeroDivisionError):
                await fail_within_async(query)
            wait_until_closed(loaded)
            schema = {"_id": str}
            async for _ in query.conflicts(schema):
                wait_until_open(loaded)
                break
            wait_until_closed(loaded)

    asyncio.run(use())


async def fail_within_async(query: AsyncQuery) -> None:
    async for document in query:
        _ = document["_id"] / 0


def test_an_asynchronous_iterator_that_outlives_its_event_loop_ends_its_cursor(mongodb_uri: str, loaded: Mongo) -> None:
    client = AsyncMongoClient(mongodb_uri)
    query = client[loaded.name].c.find(batch_size=10)
    kept: list[Any] = [aiter(query), query.stream(infer_rows=10), query.conflicts({"_id": str})]

    async def begin() -> None:
        for each in kept:
            await anext(each)
        await asyncio.to_thread(wait_until_open, loaded)

    asyncio.run(begin())
    wait_until_closed(loaded)
    asyncio.run(client.close())


def test_a_cursor_that_is_read_ahead_is_seen(client: MongoClient, loaded: Mongo) -> None:
    """Other tests here rely on it: single looks miss an open cursor, the helper does not."""
    documents = iter(client[loaded.name].c.find(batch_size=1))
    next(documents)
    begun = time.monotonic()
    with pytest.raises(AssertionError):
        wait_until_closed(loaded, 1.0)
    assert time.monotonic() - begun >= 1.0
    documents.close()  # type: ignore[attr-defined]
    wait_until_closed(loaded)


PEAK = """
import resource, sys, data_bridge
query = data_bridge.MongoClient(sys.argv[1])[sys.argv[2]].c.find(limit=int(sys.argv[3]))
rows = 0
if sys.argv[4] == "documents":
    for document in query:
        rows += 1
else:
    for batch in query.stream():
        rows += len(batch)
assert rows == int(sys.argv[3]), rows
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def million(pymongo_client: pymongo.MongoClient[dict[str, Any]]) -> Iterator[Mongo]:
    """1,000,000 documents of 150 bytes in a collection `c`, made by the server."""
    name = f"data_bridge_test_{uuid.uuid4().hex}"
    stages: list[Any] = [
        {"$documents": [{"i": {"$range": [0, 1000]}}]},
        {"$unwind": "$i"},
        {"$set": {"j": {"$range": [0, 1000]}}},
        {"$unwind": "$j"},
        {"$project": {"_id": {"$add": [{"$multiply": ["$i", 1000]}, "$j"]}, "i": 1, "text": {"$literal": "x" * 100}}},
        {"$out": {"db": name, "coll": "c"}},
    ]
    pymongo_client.admin.aggregate(stages)
    yield pymongo_client[name]
    pymongo_client.drop_database(name)


@posix
@pytest.mark.parametrize("how", ["documents", "batches"])
def test_memory_does_not_grow_with_the_result(mongodb_uri: str, million: Mongo, how: str) -> None:
    assert million.c.estimated_document_count() == 1_000_000

    def peak(rows: int) -> int:
        command = script(PEAK, mongodb_uri, million.name, str(rows), how)
        return int(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)

    # Peaks are in kB on Linux, in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    assert (peak(1_000_000) - peak(100_000)) * unit <= 64 << 20


def test_what_is_not_touched_is_not_built(client: MongoClient, database: Mongo) -> None:
    rows = 5_000
    database.c.insert_many([{f"key{k}": f"text {k} {i}" for k in range(20)} for i in range(rows)])
    result = client[database.name].c.find().read()
    result.to_list()
    gc.collect()
    before = sys.getallocatedblocks()
    documents = result.to_list()
    # One block a document, and a little for the list itself.
    assert sys.getallocatedblocks() - before < rows * 1.1 + 100
    before = sys.getallocatedblocks()
    first = documents[0]["key3"]
    assert first == "text 3 0"
    assert sys.getallocatedblocks() - before < 50


def test_threads_share_a_client(client: MongoClient, loaded: Mongo) -> None:
    def count(i: int) -> int:
        return len(client[loaded.name].c.find({"_id": {"$lt": i * 10}}).read())

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(count, range(64))) == [i * 10 for i in range(64)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_client_works_in_a_forked_child(mongodb_uri: str, loaded: Mongo) -> None:
    code = """
    import os, sys, data_bridge
    collection = data_bridge.MongoClient(sys.argv[1])[sys.argv[2]].c
    assert collection.count_documents({}) == 30_000
    child = os.fork()
    if child == 0:
        try:
            assert len(collection.find({"_id": {"$lt": 100}}).read()) == 100
        except data_bridge.DataBridgeError:
            pass  # a clear error is an answer too; a hang is not
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(collection.find({"_id": {"$lt": 100}}).read()) == 100
    """
    done = subprocess.run(
        # Python 3.12 warns of any fork with threads about; that is what is tried here.
        [sys.executable, "-c", textwrap.dedent(code), mongodb_uri, loaded.name],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
