"""Servers on Unix sockets: reads, and the end of a client whose server is gone."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proxy import Proxy
from pymongo.database import Database
from pymongo.uri_parser import parse_uri

from data_bridge import MongoClient

Mongo = Database[dict[str, Any]]

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets")

# Prints how a ping ends, waits for a line, and ends the client.
CHILD = """
import asyncio, sys
import data_bridge

uri, end = sys.argv[1:]
client = data_bridge.AsyncMongoClient(uri) if end == "awaited" else data_bridge.MongoClient(uri)

async def main():
    try:
        done = client.admin.command("ping")
        print((await done if end == "awaited" else done)["ok"], flush=True)
    except data_bridge.ConnectionFailure as error:
        print(error, flush=True)
    input()
    if end == "awaited":
        await client.close()
    elif end == "close":
        client.close()
    print("ended", flush=True)

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mongod.sock"


@pytest.fixture
def server(path: Path, mongodb_uri: str) -> Iterator[Proxy]:
    """The test server, on a Unix socket. Closed, it is as one that was killed: the file stays."""
    proxy = Proxy(parse_uri(mongodb_uri)["nodelist"][0], path)
    yield proxy
    proxy.close()


def test_reads(server: Proxy, database: Mongo) -> None:
    database.c.insert_many([{"_id": i, "text": f"text {i}"} for i in range(2_000)])
    with MongoClient(server.uri) as client:
        assert client[database.name].c.find().sort("_id").to_dicts() == list(database.c.find().sort("_id"))


@pytest.mark.parametrize("end", ["close", "awaited", "exit"])
@pytest.mark.parametrize("state", ["never there", "refuses", "removed"])
def test_the_end_of_a_client_whose_server_is_gone(server: Proxy, path: Path, state: str, end: str) -> None:
    if state == "never there":
        server.close()
        path.unlink()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, f"{server.uri}&serverSelectionTimeoutMS=2000", end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        answer = child.stdout.readline()
        assert ("No such file" in answer) if state == "never there" else (answer == "1.0\n")
        server.close()
        if state == "removed":
            path.unlink()
        rest, _ = child.communicate("\n", timeout=60)
    finally:
        child.kill()
    assert (rest, child.returncode) == ("ended\n", 0)
