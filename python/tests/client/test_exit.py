"""Leaving the process with work under way: no abort, no hang, the right code, nothing left open on the server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pymongo
import pytest
from cursors import open_cursors, script
from pymongo.database import Database

Mongo = Database[dict[str, Any]]

START = """
import asyncio, atexit, sys, threading, time
import data_bridge

uri, name = sys.argv[1:]
SLOW = {"$where": "sleep(20) || true"}

def daemon(work):
    def until_stopped():
        try:
            work()
        except data_bridge.DataBridgeError:
            pass  # cancelled, if the exit left time for it
    threading.Thread(target=until_stopped, daemon=True).start()
    time.sleep(0.1)

def leaving():
    print(time.monotonic(), flush=True)

last = []  # called after what the client's own exit does: first registered, last called
atexit.register(lambda: [work() for work in last])
client = data_bridge.MongoClient(uri)
c = client[name].c
"""

PROGRAMS: dict[str, tuple[str, int]] = {
    "query running": ("daemon(lambda: c.find(SLOW).read())", 0),
    "count running": ("daemon(lambda: c.count_documents(SLOW))", 0),
    "cursor open": ("documents = iter(c.find(batch_size=10)); next(documents)", 0),
    "stream half read": ("stream = c.find(batch_size=10).stream(); next(stream)", 0),
    "capsule half read": (
        """
import pyarrow
stream = c.find(batch_size=10).stream()
reader = pyarrow.RecordBatchReader.from_stream(stream)
reader.read_next_batch()
""",
        0,
    ),
    "daemon iterating": (
        """
def work():
    while True:
        for document in c.find(batch_size=10):
            document["text"]
daemon(work)
""",
        0,
    ),
    "daemon starting": (
        """
import random
def work():
    time.sleep(random.random() * 0.02)
    while True:
        for document in c.find(batch_size=10):
            document["text"]
threading.Thread(target=work, daemon=True).start()
time.sleep(random.random() * 0.02)
sys.stderr.write = lambda text: None  # the thread's excepthook reports the cancelled read
""",
        0,
    ),
    "first read at exit": (
        """
def first():
    global documents
    try:
        documents = iter(c.find(batch_size=10))
        next(documents)
    except data_bridge.DataBridgeError:
        return
    raise AssertionError("a read was started after the exit")
last.append(first)
""",
        0,
    ),
    "daemons reading": (
        """
def work():
    while True:
        c.find().read()
for _ in range(4):
    daemon(work)
""",
        0,
    ),
    "daemon connecting": ("daemon(lambda: data_bridge.MongoClient('127.0.0.1', 9).a.b.find().read())", 0),
    "sys.exit in a loop": (
        """
for document in c.find(batch_size=10):
    leaving()
    sys.exit(3)
""",
        3,
    ),
    "error in a loop": (
        """
for document in c.find(batch_size=10):
    leaving()
    sys.excepthook = lambda *error: None
    document["missing"]
""",
        1,
    ),
    "client closed": ("documents = iter(c.find(batch_size=10)); next(documents); client.close()", 0),
    "loop closed": (
        """
async def start():
    theirs = data_bridge.AsyncMongoClient(uri)[name].c
    global documents, tasks
    documents = theirs.find(batch_size=10).__aiter__()
    await documents.__anext__()
    tasks = [asyncio.ensure_future(theirs.find(SLOW).read()), asyncio.ensure_future(theirs.count_documents(SLOW))]
    await asyncio.sleep(0.1)
loop = asyncio.new_event_loop()
loop.run_until_complete(start())
loop.close()
loop.call_exception_handler = lambda context: None  # that tasks were pending is what is tried here
""",
        0,
    ),
    "asyncio.run with a read under way": (
        """
async def start():
    theirs = data_bridge.AsyncMongoClient(uri)[name].c
    global documents
    documents = theirs.find(batch_size=10).__aiter__()
    await documents.__anext__()
    asyncio.ensure_future(theirs.find(SLOW).read())
    await asyncio.sleep(0.1)
asyncio.run(start())
""",
        0,
    ),
}


RACES = ("daemon iterating", "daemon starting")
"""Exits whose course depends on the moment: these run more often."""


@pytest.fixture(scope="module")
def loaded(pymongo_client: pymongo.MongoClient[dict[str, Any]]) -> Iterator[Mongo]:
    name = f"data_bridge_test_{uuid4().hex}"
    pymongo_client[name].c.insert_many([{"_id": i, "text": "x" * 2000} for i in range(30_000)])
    yield pymongo_client[name]
    pymongo_client.drop_database(name)


@pytest.mark.parametrize("times", [3, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("program", list(PROGRAMS))
def test_exit(mongodb_uri: str, loaded: Mongo, program: str, times: int, capsys: pytest.CaptureFixture[str]) -> None:
    code, expected = PROGRAMS[program]
    times = max(times, 30) if program in RACES else times

    def once(_: int) -> tuple[float, subprocess.CompletedProcess[str]]:
        command = script(f"{START}\n{code}\nleaving()\n", mongodb_uri, loaded.name)
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        end = time.monotonic()
        return end - float(done.stdout or "inf"), done

    with ThreadPoolExecutor(1 if times == 100 else 3) as pool:
        runs = list(pool.map(once, range(times)))
    for _, done in runs:
        assert (done.returncode, done.stderr) == (expected, "")
    longest = max(seconds for seconds, _ in runs)
    with capsys.disabled():
        if times == 100:
            print(json.dumps({"program": program, "runs": times, "longest exit in s": round(longest, 3)}))
    assert longest < 15
    left = still_open(loaded)
    if left:
        loaded.command("killCursors", "c", cursors=left)
    assert left == []


def still_open(database: Mongo, seconds: float = 10.0) -> list[Any]:
    """Ids of the cursors that are open after a while."""
    end = time.monotonic() + seconds
    while (found := open_cursors(database)) and time.monotonic() < end:
        time.sleep(0.05)
    return [each["cursor"]["cursorId"] for each in found]
