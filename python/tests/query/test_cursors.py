"""However a read is left, its cursor is closed: on the primary, and on a secondary, where it was opened."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pymongo
import pytest
from cursors import script
from pymongo.errors import PyMongoError

import mongod
from data_bridge import AsyncMongoClient, MongoClient, Query

ROWS = 20_000
SLOWLY = {"$where": "sleep(1) || true"}


class Server(NamedTuple):
    """A target of reads: its collection, the way to reach it, and the count of that server's cursors."""

    uri: str
    options: dict[str, Any]
    observer: pymongo.MongoClient[dict[str, Any]]

    def client(self) -> MongoClient:
        return MongoClient(self.uri, **self.options)

    def open(self) -> int:
        return int(self.observer.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"])

    def wait_until_open(self, number: int) -> None:
        """Until as many cursors are open."""
        end = time.monotonic() + 15
        while (found := self.open()) != number and time.monotonic() < end:
            time.sleep(0.05)
        assert found == number


@pytest.fixture(scope="module")
def alone() -> Iterator[Server]:
    """A server for these reads only: cursors of other tests would be counted."""
    with mongod.embedded_mongod() as uri, pymongo.MongoClient[dict[str, Any]](uri) as observer:
        fill(observer)
        yield Server(uri, {}, observer)


@pytest.fixture(scope="module")
def secondary() -> Iterator[Server]:
    """The secondary of a set of two."""
    with contextlib.ExitStack() as stack:
        uri = stack.enter_context(mongod.embedded_mongod())
        primary = stack.enter_context(pymongo.MongoClient[dict[str, Any]](uri))
        address = stack.enter_context(member())
        config = primary.admin.command("replSetGetConfig")["config"]
        config["version"] += 1
        # Without a vote and never primary, so that nothing has to be elected.
        config["members"].append({"_id": 1, "host": address, "priority": 0, "votes": 0})
        primary.admin.command("replSetReconfig", config)
        fill(primary)
        direct = f"mongodb://{address}/?directConnection=true"
        observer = stack.enter_context(pymongo.MongoClient[dict[str, Any]](direct))
        until(lambda: bool(observer.admin.command("hello")["secondary"]))
        until(lambda: observer.shop.c.estimated_document_count() == ROWS)
        yield Server(uri, {"readPreference": "secondary"}, observer)


@contextlib.contextmanager
def member() -> Iterator[str]:
    """A mongod that waits to be taken into a set."""
    with tempfile.TemporaryDirectory(prefix="data-bridge-secondary-", ignore_cleanup_errors=True) as directory:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = mongod.command_line(mongod.find_mongod(), Path(directory), port, 0.25, True, ())
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=mongod.die_with_parent)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def fill(admin: pymongo.MongoClient[dict[str, Any]]) -> None:
    admin.shop.c.insert_many([{"_id": i, "text": "x" * 2000} for i in range(ROWS)])


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(PyMongoError):
            if condition():
                return
        time.sleep(0.1)
    raise AssertionError("not in time")


def half_read(server: Server, query: Query, baseline: int) -> Any:
    documents = iter(query)
    next(documents)
    server.wait_until_open(baseline + 1)
    return documents


def leave_loop(server: Server, query: Query, baseline: int) -> None:
    for _ in query:
        server.wait_until_open(baseline + 1)
        break


def fail_in_loop(server: Server, query: Query, baseline: int) -> None:
    for document in query:
        server.wait_until_open(baseline + 1)
        with contextlib.suppress(KeyError):
            document["missing"]
        return


def abandon_generator(server: Server, query: Query, baseline: int) -> None:
    def numbers() -> Iterator[int]:
        for document in query:
            yield document["_id"]

    generator = numbers()
    next(generator)
    server.wait_until_open(baseline + 1)
    del generator


def close_generator(server: Server, query: Query, baseline: int) -> None:
    generator = (document["_id"] for document in query)
    next(generator)
    server.wait_until_open(baseline + 1)
    generator.close()


def lose_in_a_cycle(server: Server, query: Query, baseline: int) -> None:
    class Holder:
        pass

    holder = Holder()
    holder.documents = half_read(server, query, baseline)  # type: ignore[attr-defined]
    holder.itself = holder  # type: ignore[attr-defined]
    del holder
    gc.collect()


def close_iterator(server: Server, query: Query, baseline: int) -> None:
    half_read(server, query, baseline).close()


def leave_stream(server: Server, query: Query, baseline: int) -> None:
    with query.stream(infer_rows=10) as stream:
        next(stream)
        server.wait_until_open(baseline + 1)


def drop_stream(server: Server, query: Query, baseline: int) -> None:
    stream = query.stream(infer_rows=10)
    next(stream)
    server.wait_until_open(baseline + 1)


def drop_capsule(server: Server, query: Query, baseline: int) -> None:
    capsule = query.stream(infer_rows=10).__arrow_c_stream__()
    server.wait_until_open(baseline + 1)
    del capsule


def drop_consumer(server: Server, query: Query, baseline: int) -> None:
    reader = pa.RecordBatchReader.from_stream(query.stream(infer_rows=10))
    reader.read_next_batch()
    server.wait_until_open(baseline + 1)
    del reader


def end_transaction(server: Server, query: Query, baseline: int) -> None:
    del query
    with server.client() as client, client.start_session() as session:
        documents = half_read(server, client.shop.c.find(batch_size=10, session=session), baseline)
        next(documents)
        documents.close()


def fail_on_the_way(server: Server, query: Query, baseline: int) -> None:
    del baseline
    with contextlib.suppress(pa.ArrowInvalid, Exception):
        query.to_arrow(schema=pa.schema({"_id": pa.string()}))


WAYS = [
    leave_loop,
    fail_in_loop,
    abandon_generator,
    close_generator,
    lose_in_a_cycle,
    close_iterator,
    leave_stream,
    drop_stream,
    drop_capsule,
    drop_consumer,
    end_transaction,
    fail_on_the_way,
]

SERVERS = ["alone", pytest.param("secondary", marks=pytest.mark.slow)]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("server", SERVERS, indirect=True)
@pytest.mark.parametrize("way", WAYS)
def test_a_read_that_is_left(server: Server, way: Callable[[Server, Query, int], None]) -> None:
    baseline = server.open()
    with server.client() as client:
        way(server, client.shop.c.find(batch_size=10), baseline)
        gc.collect()
        server.wait_until_open(baseline)
        assert client.shop.c.count_documents({"_id": {"$lt": 10}}) == 10


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_a_client_that_is_closed(server: Server) -> None:
    baseline = server.open()
    client = server.client()
    kept = [iter(client.shop.c.find(batch_size=10)) for _ in range(5)]
    for documents in kept:
        next(documents)
    server.wait_until_open(baseline + 5)
    client.close()
    server.wait_until_open(baseline)


@pytest.mark.parametrize("server", SERVERS, indirect=True)
@pytest.mark.parametrize("how", ["read", "iterate", "stream"])
def test_a_task_that_is_cancelled(server: Server, how: str) -> None:
    baseline = server.open()

    async def work(client: AsyncMongoClient) -> None:
        query = client.shop.c.find(SLOWLY, batch_size=10)
        if how == "read":
            await query.read()
        elif how == "iterate":
            async for _ in query:
                pass
        else:
            async for _ in query.stream(infer_rows=10):
                pass

    async def use() -> None:
        async with AsyncMongoClient(server.uri, **server.options) as client:
            for _ in range(3):
                task = asyncio.ensure_future(work(client))
                await asyncio.to_thread(server.wait_until_open, baseline + 1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await asyncio.to_thread(server.wait_until_open, baseline)

    asyncio.run(use())


LEFT = """
import sys, data_bridge
client = data_bridge.MongoClient(sys.argv[1], **({"readPreference": sys.argv[2]} if sys.argv[2] else {}))
documents = iter(client.shop.c.find(batch_size=10))
next(documents)
stream = client.shop.c.find(batch_size=10).stream(infer_rows=10)
next(stream)
"""


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_a_process_that_is_left(server: Server) -> None:
    baseline = server.open()
    command = script(LEFT, server.uri, server.options.get("readPreference", ""))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    server.wait_until_open(baseline)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_what_outlives_its_client(alone: Server) -> None:
    with alone.client() as client:
        query = client.shop.c.find({"_id": {"$lt": 5_000}}, sort="_id", batch_size=100)
        stream = query.stream(infer_rows=100)
        batch, result, documents = next(stream), query.read(), list(query)
        capsule = query.read().__arrow_c_stream__()
        unread = query.stream(infer_rows=100).__arrow_c_stream__()
    client.close()
    del client, query, stream
    gc.collect()
    assert pa.record_batch(batch).column("_id").to_pylist() == list(range(len(batch)))
    assert [document["_id"] for document in documents] == list(range(5_000))
    assert result.to_arrow()["_id"].to_pylist() == list(range(5_000))
    assert pa.RecordBatchReader._import_from_c_capsule(capsule).read_all()["_id"].to_pylist() == list(range(5_000))
    # An iteration that has not ended raises, and is not taken for complete.
    with pytest.raises(Exception, match="closed"):
        pa.RecordBatchReader._import_from_c_capsule(unread).read_all()
