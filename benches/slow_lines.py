"""Parallel cursors on slow connections, and a lazy query beside reading everything: a part of `make bench`.

A proxy limits each connection to 100 Mbit/s, as a remote server or a busy line does. Each measurement is a process of
its own, and includes connecting and planning.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import random
import socket
import subprocess
import sys
import threading
import time
from typing import Any, TypeAlias

from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

RATE = 12_500_000
"""Bytes per second of a connection: 100 Mbit/s."""
CHUNK = 32 << 10
FAST_CHUNK = 1 << 20
"""The bytes that are passed on at once where no rate is given: smaller ones would limit it."""
LATE_CHUNKS = 1 << 8
"""The most chunks on their way."""
Late: TypeAlias = "queue.Queue[tuple[float, bytes]]"
"""Chunks with the time at which they are due."""
DATABASE = "data_bridge_bench"
DOCUMENT_BYTES = 2_000

READS = {
    "to_arrow": "collection.find(parallel=parallel).to_arrow().num_rows",
    "stream": "sum(batch.num_rows for batch in collection.find(parallel=parallel).stream())",
    "iterate": "sum(1 for _ in collection.find(parallel=parallel))",
    "everything, then polars": "len(collection.find().to_polars().filter(pl.col('n') < 1000).select('n', 'x'))",
    "to_lazy": "len(collection.find().to_lazy().filter(pl.col('n') < 1000).select('n', 'x').collect())",
}
CHILD = """
import sys, time
import polars as pl, pyarrow
from data_bridge import MongoClient
uri, parallel = sys.argv[1], int(sys.argv[2])
begun = time.perf_counter()
collection = MongoClient(uri).{database}.lines
rows = {read}
print(rows, time.perf_counter() - begun)
"""


class SlowProxy:
    """Passes connections on.

    Parameters
    ----------
    rate
        The most bytes per second that a connection receives; None for as many as there are.
    round_trip
        Seconds that are added to a request and its reply.
    """

    def __init__(self, address: tuple[str, int], rate: int | None = RATE, round_trip: float = 0.0) -> None:
        self._address, self._rate, self._delay = address, rate, round_trip / 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"mongodb://127.0.0.1:{self._listener.getsockname()[1]}/?directConnection=true"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(self._address)
            for source, sink, rate in ((client, server, None), (server, client, self._rate)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                late: Late = queue.Queue(LATE_CHUNKS)
                threading.Thread(target=self._receive, args=(source, late, rate), daemon=True).start()
                threading.Thread(target=_send, args=(source, sink, late), daemon=True).start()

    def _receive(self, source: socket.socket, late: Late, rate: int | None) -> None:
        due = time.monotonic()
        size = FAST_CHUNK if rate is None else CHUNK
        data = b"first"
        while data:
            try:
                data = source.recv(size)
            except OSError:
                data = b""
            if rate is not None:
                # An idle connection saves up nothing.
                due = max(due, time.monotonic() - CHUNK / rate) + len(data) / rate
                time.sleep(max(0.0, due - time.monotonic()))
            late.put((time.monotonic() + self._delay, data))


def _send(source: socket.socket, sink: socket.socket, late: Late) -> None:
    with contextlib.suppress(OSError):
        at, data = late.get()
        while data:
            time.sleep(max(0.0, at - time.monotonic()))
            sink.sendall(data)
            at, data = late.get()
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def load(client: MongoClient[dict[str, Any]], size: float) -> int:
    """Load documents of so many bytes unless they are stored already; return their number."""
    collection = client[DATABASE]["lines"]
    count = int(size / DOCUMENT_BYTES)
    if collection.estimated_document_count() == count:
        return count
    collection.drop()
    rng = random.Random(1)
    text = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz    ", k=100_000))
    batch: list[dict[str, Any]] = []
    for number in range(count):
        start = rng.randrange(len(text) - DOCUMENT_BYTES)
        batch.append({"n": number, "x": rng.random(), "text": text[start : start + DOCUMENT_BYTES - 70]})
        if len(batch) == 5_000 or number == count - 1:
            collection.insert_many(batch, ordered=False)
            batch.clear()
    collection.create_index("n")
    return count


def measured(uri: str, read: str, parallel: int) -> tuple[int, float]:
    """Return the rows and the seconds of a read in a process of its own."""
    program = CHILD.format(database=DATABASE, read=READS[read])
    command = [sys.executable, "-c", program, uri, str(parallel)]
    rows, seconds = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(rows), float(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--reads", nargs="+", choices=READS, default=["to_arrow", "stream", "to_lazy"])
    options = parser.parse_args()
    uri = os.environ["MONGODB_URI"]
    address = parse_uri(uri)["nodelist"][0]
    with MongoClient[dict[str, Any]](uri) as client:
        count = load(client, options.gigabytes * 1e9)
    slow = SlowProxy((address[0], address[1])).uri
    print(f"{count:,} documents of {DOCUMENT_BYTES:,} bytes, 100 Mbit/s for each connection")
    for read in options.reads:
        if read == "to_lazy":
            rows, whole = measured(uri, "everything, then polars", 1)
            found, lazy = measured(uri, read, 1)
            assert rows == found == min(count, 1000)
            print(
                f"to_lazy, a filter and two columns: {lazy:.2f} s; everything: {whole:.2f} s; {whole / lazy:.1f} times"
            )
            continue
        results = [measured(slow, read, parallel) for parallel in (1, options.parallel)]
        assert all(rows == count for rows, _ in results)
        one, many = (seconds for _, seconds in results)
        print(
            f"{read}: one cursor {one:.1f} s, {options.parallel} cursors {many:.1f} s: {one / many:.2f} times as fast"
        )


if __name__ == "__main__":
    main()
