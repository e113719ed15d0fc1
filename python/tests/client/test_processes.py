"""Forks, spawned processes and threads: each answer whole, or a clear error; never a hang, never mixed rows."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pymongo
import pytest
from pymongo.database import Database

from data_bridge import AsyncMongoClient, MongoClient

Mongo = Database[dict[str, Any]]

ROWS = 20_000

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def loaded(pymongo_client: pymongo.MongoClient[dict[str, Any]]) -> Iterator[Mongo]:
    name = f"data_bridge_test_{uuid4().hex}"
    pymongo_client[name].c.insert_many([{"_id": i, "n": i * 7, "text": "x" * (i % 50)} for i in range(ROWS)])
    yield pymongo_client[name]
    pymongo_client.drop_database(name)


def run(directory: Path, code: str, *arguments: str) -> str:
    """Return the output of a separate program; it is a file, as spawned processes import their parent's."""
    program = directory / "program.py"
    program.write_text(textwrap.dedent(code))
    # Python 3.12 warns of any fork with threads about; that is what is tried here.
    done = subprocess.run(
        [sys.executable, str(program), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


MULTIPROCESSING = """
import multiprocessing, sys
import data_bridge

uri, name, method = sys.argv[1:]

def own(limit):
    with data_bridge.MongoClient(uri) as client:
        return len(client[name].c.find({"_id": {"$lt": limit}}).read())

if method == "fork":
    parents = data_bridge.MongoClient(uri)
    assert len(parents[name].c.find().read()) == 20_000
    live = iter(parents[name].c.find(batch_size=10))
    next(live)

def inherited(limit):
    return len(parents[name].c.find({"_id": {"$lt": limit}}).read())

if __name__ == "__main__":
    with multiprocessing.get_context(method).Pool(4) as pool:
        assert pool.map(own, range(0, 400, 10)) == list(range(0, 400, 10))
        if method == "fork":
            assert pool.map(inherited, range(0, 400, 10)) == list(range(0, 400, 10))
    if method == "fork":
        assert len(list(live)) == 20_000 - 1
        assert inherited(100) == 100
    print("done")
"""


@pytest.mark.parametrize("method", [pytest.param("fork", marks=needs_fork), "spawn"])
def test_multiprocessing(mongodb_uri: str, loaded: Mongo, tmp_path: Path, method: str) -> None:
    assert run(tmp_path, MULTIPROCESSING, mongodb_uri, loaded.name, method) == "done\n"


SERVER = """
import asyncio, os, sys, threading, time
import data_bridge

uri, name = sys.argv[1:]
client = data_bridge.MongoClient(uri)
patient = data_bridge.AsyncMongoClient(uri)
c = client[name].c
result = c.find().read()                      # what a server loads before it forks its workers
live, stream = iter(c.find(batch_size=10)), c.find(batch_size=10).stream()
next(live), next(stream)
session = client.start_session()

# At work while it forks.
stop = threading.Event()
def work():
    while not stop.is_set():
        assert len(c.find({"_id": {"$lt": 500}}).read()) == 500
        assert c.count_documents({}) == 20_000
# A waiting thread holds this lock most of the time, and a child cannot get it.
first = {"$where": "this._id < 10 || sleep(30) || true"}
waiting, waited = iter(c.find(first, batch_size=2)), c.find(first, batch_size=2).stream(infer_rows=1)
next(waiting), next(waited)
def wait(for_):
    try:
        list(for_)
    except data_bridge.DataBridgeError:
        pass
for each in (waiting, waited):
    threading.Thread(target=wait, args=(each,), daemon=True).start()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()

def refused(call):
    try:
        call()
    except (data_bridge.DataBridgeError, RuntimeError) as error:  # the latter where a session is not usable any more
        assert str(error)
    else:
        raise AssertionError("taken for whole")

def child(number):
    assert len(c.find({"_id": {"$lt": 100}}).read()) == 100            # the parent's client
    assert c.find_one({"_id": number})["n"] == number * 7
    with data_bridge.MongoClient(uri) as own:                            # one of its own
        assert own[name].c.count_documents({}) == 20_000
    assert len(result) == 20_000 and result[5]["n"] == 35                # what the parent read
    assert result.to_arrow().num_rows == 20_000
    assert asyncio.run(patient[name].c.count_documents({})) == 20_000
    # Under way in the parent: refused here, and unharmed there.
    refused(lambda: stream.schema)
    refused(lambda: waited.schema)
    for read in (live, stream, waiting, waited):
        refused(lambda: list(read))
    refused(lambda: c.find_one({"_id": -1}, session=session))
    if number == 0:
        client.close()                                                   # closes its own connections only
        refused(lambda: c.find_one({}))
    elif number == 1:
        os._exit(0)
    elif number == 2:
        grandchild = os.fork()
        if grandchild == 0:
            assert c.count_documents({}) == 20_000
            os._exit(0)
        assert os.waitpid(grandchild, 0)[1] == 0

children = []
for number in range(8):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            child(number)
            code = 0
        except BaseException as error:
            import traceback
            traceback.print_exc()
        finally:
            # As a worker leaves: with what `atexit` has to do.
            import atexit
            atexit._run_exitfuncs()
            os._exit(code)
    children.append(pid)
codes = [os.waitpid(pid, 0)[1] for pid in children]
stop.set()
for thread in threads:
    thread.join()
assert codes == [0] * 8, codes
assert len(list(live)) == 20_000 - 1
assert c.find_one({"_id": 1}, session=session)["n"] == 7
client.close()
print("done")
"""


@needs_fork
@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_workers_forked_from_a_busy_server(mongodb_uri: str, loaded: Mongo, tmp_path: Path, times: int) -> None:
    for _ in range(times):
        assert run(tmp_path, SERVER, mongodb_uri, loaded.name) == "done\n"


def in_threads(number: int, work: Callable[[int], Any]) -> list[Any]:
    """`work` of each thread, all of which start together."""
    start = threading.Barrier(number)

    def one(thread: int) -> Any:
        start.wait(30)
        return work(thread)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number), timeout=60))


def test_threads_on_one_client(mongodb_uri: str, loaded: Mongo) -> None:
    # The client's first use is theirs, too.
    with MongoClient(mongodb_uri) as client:
        c = client[loaded.name].c

        def work(thread: int) -> bool:
            low = thread * 500
            query = c.find({"_id": {"$gte": low, "$lt": low + 500}}, sort="_id", batch_size=100)
            expected = list(range(low, low + 500))
            assert [document["_id"] for document in query] == expected
            assert query.to_arrow()["_id"].to_pylist() == expected
            assert sum(len(batch) for batch in query.stream()) == 500
            assert c.count_documents({"_id": {"$lt": low}}) == low
            return True

        assert in_threads(32, work) == [True] * 32


def test_threads_on_one_iterator(client: MongoClient, loaded: Mongo) -> None:
    documents = iter(client[loaded.name].c.find(batch_size=100))
    taken = in_threads(8, lambda _: [(each["_id"], each["n"]) for each in documents])
    # Each document went to one of them, and came whole.
    assert sorted(chain.from_iterable(taken)) == [(i, i * 7) for i in range(ROWS)]


def test_threads_on_one_stream(client: MongoClient, loaded: Mongo) -> None:
    with client[loaded.name].c.find(batch_size=500).stream() as stream:
        taken = in_threads(8, lambda _: [pa.record_batch(batch) for batch in stream])
    rows = pa.Table.from_batches(chain.from_iterable(taken)).to_pylist()
    assert sorted((row["_id"], row["n"]) for row in rows) == [(i, i * 7) for i in range(ROWS)]


def test_threads_on_one_arrow_stream(client: MongoClient, loaded: Mongo) -> None:
    stream = client[loaded.name].c.find(batch_size=500).stream()

    def take(_: int) -> int | str:
        try:
            return pa.RecordBatchReader.from_stream(stream).read_all().num_rows
        except RuntimeError as error:
            return str(error)

    taken = in_threads(8, take)
    assert [rows for rows in taken if isinstance(rows, int)] == [ROWS]
    assert all("handed out already" in text for text in taken if isinstance(text, str))


def test_threads_on_one_result(client: MongoClient, loaded: Mongo) -> None:
    result = client[loaded.name].c.find(sort="_id").read()
    work: list[Callable[[], Any]] = [
        lambda: [document["n"] for document in result] == [i * 7 for i in range(ROWS)],
        lambda: result.to_arrow()["n"].to_pylist() == [i * 7 for i in range(ROWS)],
        lambda: result[77]["n"] == 77 * 7,
        lambda: len(result.to_list()) == ROWS,
        lambda: result.to_dicts()[-1]["_id"] == ROWS - 1,
    ]
    assert all(in_threads(15, lambda thread: work[thread % len(work)]()))


def test_threads_on_one_query(client: MongoClient, loaded: Mongo) -> None:
    query = client[loaded.name].c.find({"_id": {"$lt": 1000}})
    assert in_threads(16, lambda _: len(query.read())) == [1000] * 16
    assert query.report is not None
    assert query.report.rows == 1000


@pytest.mark.parametrize("how", ["documents", "batches"])
def test_closing_from_another_thread(client: MongoClient, loaded: Mongo, how: str) -> None:
    query = client[loaded.name].c.find({"$where": "sleep(5) || true"}, batch_size=10)
    running: Any = query.stream(infer_rows=10) if how == "batches" else iter(query)
    read: list[int] = []
    first = threading.Event()

    def work() -> None:
        for each in running:
            read.append(1 if how == "documents" else len(each))
            first.set()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    assert first.wait(30)
    running.close()
    worker.join(10)
    assert not worker.is_alive()
    assert 0 < sum(read) < ROWS


SIZES = """
import os, sys, time, data_bridge

uri, name = sys.argv[1:]
assert data_bridge.config()["io_threads"] == 1
before = data_bridge.config(threads=3, io_threads=2)
assert (before["threads"], before["io_threads"]) == (3, 2)
c = data_bridge.MongoClient(uri)[name].c
assert len(c.find().read()) == 20_000
if os.path.isdir("/proc/self/task"):
    end = time.monotonic() + 30
    while True:
        names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
        # A thread that has not run yet bears the name of the one that started it.
        if sum(name.startswith("data-bridge-dec") for name in names) == 3 or time.monotonic() > end:
            break
        time.sleep(0.01)
    assert sum(name.startswith("data-bridge-dec") for name in names) == 3, names
    # Beside the workers, tokio's threads for what blocks bear the same name; there are none for a plain read.
    assert sum(name.startswith("data-bridge-io") for name in names) <= 3, names
for sizes in ({"threads": 4}, {"io_threads": 3}):
    try:
        data_bridge.config(**sizes)
    except ValueError as error:
        assert "already run" in str(error), error
    else:
        raise AssertionError(sizes)
assert data_bridge.config(threads=3, io_threads=2) == data_bridge.config()
print("done")
"""


def test_sizes_of_pools(mongodb_uri: str, loaded: Mongo, tmp_path: Path) -> None:
    assert run(tmp_path, SIZES, mongodb_uri, loaded.name) == "done\n"


def test_what_was_closed_is_not_taken_for_whole(client: MongoClient, loaded: Mongo) -> None:
    query = client[loaded.name].c.find(batch_size=500)
    with query.stream() as stream:
        reader = pa.RecordBatchReader.from_stream(stream)
        reader.read_next_batch()
    with pytest.raises(Exception, match="closed before all of it was read"):
        reader.read_all()
    with query.stream() as stream:
        reader = pa.RecordBatchReader.from_stream(stream)
        assert reader.read_all().num_rows == ROWS


async def test_tasks_on_one_reader(mongodb_uri: str, loaded: Mongo) -> None:
    async with AsyncMongoClient(mongodb_uri) as client:
        query = client[loaded.name].c.find(batch_size=500)
        documents, stream, read, rows = query.__aiter__(), query.stream(), [], []

        async def take_documents() -> None:
            async for document in documents:
                read.append(document["_id"])

        async def take_batches() -> None:
            async for batch in stream:
                rows.extend(pa.record_batch(batch).column("_id").to_pylist())

        # An asynchronous generator refuses a second task; batches go to one or the other.
        outcomes = await asyncio.gather(*[take_documents() for _ in range(5)], return_exceptions=True)
        assert sorted(map(type, outcomes), key=str) == [type(None)] + [RuntimeError] * 4
        assert sorted(read) == list(range(ROWS))
        await asyncio.gather(*[take_batches() for _ in range(5)])
        assert sorted(rows) == list(range(ROWS))
