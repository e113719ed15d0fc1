"""Servers on Unix sockets: reads, and the end of a client whose server is gone."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
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


class Relay:
    """A Unix socket whose connections lead to the test server."""

    def __init__(self, path: Path, target: tuple[str, int]) -> None:
        self.path = path
        self.uri = f"mongodb://{quote(str(path), safe='')}/?directConnection=true&serverSelectionTimeoutMS=2000"
        self._target = target
        self._ends: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """As when the server is killed: the file stays."""
        for each in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._ends += (client, server)
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(tmp_path: Path, mongodb_uri: str) -> Iterator[Relay]:
    relay = Relay(tmp_path / "mongod.sock", parse_uri(mongodb_uri)["nodelist"][0])
    yield relay
    relay.close()


def test_reads(relay: Relay, database: Mongo) -> None:
    database.c.insert_many([{"_id": i, "text": f"text {i}"} for i in range(2_000)])
    with MongoClient(relay.uri) as client:
        assert client[database.name].c.find().sort("_id").to_dicts() == list(database.c.find().sort("_id"))


@pytest.mark.parametrize("end", ["close", "awaited", "exit"])
@pytest.mark.parametrize("state", ["never there", "refuses", "removed"])
def test_the_end_of_a_client_whose_server_is_gone(relay: Relay, state: str, end: str) -> None:
    if state == "never there":
        relay.close()
        relay.path.unlink()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, relay.uri, end], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        answer = child.stdout.readline()
        assert ("No such file" in answer) if state == "never there" else (answer == "1.0\n")
        relay.close()
        if state == "removed":
            relay.path.unlink()
        rest, _ = child.communicate("\n", timeout=60)
    finally:
        child.kill()
    assert (rest, child.returncode) == ("ended\n", 0)
