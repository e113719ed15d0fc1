"""Replies that the server streams (exhaustAllowed) beside a getMore for each, on a bare socket.

A proxy adds latency. The figures are the upper limit of the gain of an exhaust cursor: nothing is decoded.
docs/design/0024-exhaust-and-compression.md has the reason why the client does not use one.
"""

from __future__ import annotations

import argparse
import os
import queue
import socket
import statistics
import struct
import threading
import time
from itertools import count

import bson
from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

from slow_lines import DATABASE, load

OP_MSG = 2013
MORE_TO_COME = 1 << 1
EXHAUST_ALLOWED = 1 << 16
HEADER = struct.Struct("<iiii")
CURSOR_ID_WITHIN = 256
"""The cursor's id stands in front of the documents, or, from server 8.1 on, behind them."""


class LateProxy:
    """Passes bytes on after half of a round trip; the rate is that of the loopback."""

    def __init__(self, address: tuple[str, int], round_trip: float) -> None:
        self._address, self._delay = address, round_trip / 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(self._address)
            for source, sink in ((client, server), (server, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                due: queue.Queue[tuple[float, bytes]] = queue.Queue()
                threading.Thread(target=self._receive, args=(source, due), daemon=True).start()
                threading.Thread(target=self._send, args=(sink, due), daemon=True).start()

    def _receive(self, source: socket.socket, due: queue.Queue[tuple[float, bytes]]) -> None:
        data = b"first"
        while data:
            try:
                data = source.recv(1 << 20)
            except OSError:
                data = b""
            due.put((time.monotonic() + self._delay, data))

    def _send(self, sink: socket.socket, due: queue.Queue[tuple[float, bytes]]) -> None:
        while True:
            at, data = due.get()
            time.sleep(max(0.0, at - time.monotonic()))
            try:
                if data:
                    sink.sendall(data)
                    continue
                sink.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            return


class Connection:
    """OP_MSG on a socket, without a driver."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(49 << 20)
        self._ids = count(1)

    def send(self, command: dict[str, object], flags: int = 0) -> None:
        body = struct.pack("<I", flags) + b"\x00" + bson.encode(command)
        self._socket.sendall(HEADER.pack(HEADER.size + len(body), next(self._ids), 0, OP_MSG) + body)

    def receive(self) -> tuple[int, int, int]:
        """Return the flags, the cursor's id and the length of the next reply."""
        view = memoryview(self._buffer)
        self._fill(view[: HEADER.size])
        length = HEADER.unpack(view[: HEADER.size])[0]
        self._fill(view[HEADER.size : length])
        (flags,) = struct.unpack_from("<I", view, HEADER.size)
        return flags, self._cursor(length), length

    def _fill(self, view: memoryview) -> None:
        while view:
            view = view[self._socket.recv_into(view) :]

    def _cursor(self, length: int) -> int:
        name = b"\x12id\x00"
        at = self._buffer.find(name, 0, CURSOR_ID_WITHIN)
        if at < 0:
            at = self._buffer.rfind(name, length - CURSOR_ID_WITHIN, length)
        return int(struct.unpack_from("<q", self._buffer, at + len(name))[0])


def read(address: tuple[str, int], batch_size: int | None, exhaust: bool) -> float:
    """Return the seconds until the last reply."""
    connection = Connection(address)
    size: dict[str, object] = {} if batch_size is None else {"batchSize": batch_size}
    connection.send({"hello": 1, "$db": "admin"})
    connection.receive()
    begun = time.perf_counter()
    connection.send({"find": "lines", "batchSize": batch_size or 101, "$db": DATABASE})
    flags, cursor, _ = connection.receive()
    while cursor:
        if not flags & MORE_TO_COME:
            more = {"getMore": bson.Int64(cursor), "collection": "lines", **size, "$db": DATABASE}
            connection.send(more, EXHAUST_ALLOWED if exhaust else 0)
        flags, cursor, _ = connection.receive()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=0.2)
    parser.add_argument("--milliseconds", type=float, nargs="+", default=[0, 5, 25])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    uri = os.environ["MONGODB_URI"]
    host, port = parse_uri(uri)["nodelist"][0]
    with MongoClient[dict[str, object]](uri) as client:
        number = load(client, options.gigabytes * 1e9)
    print(f"{number:,} documents; seconds, median of {options.rounds} alternating rounds")
    for milliseconds in options.milliseconds:
        address = LateProxy((host, port), milliseconds / 1000).address if milliseconds else (host, port)
        for batch_size in (None, 1000):
            seconds: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(options.rounds):
                for exhaust, found in seconds.items():
                    found.append(read(address, batch_size, exhaust))
            requests, streamed = (statistics.median(found) for found in seconds.values())
            print(
                f"{milliseconds:g} ms, replies of {batch_size or '16 MB'}: getMore {requests:.3f},"
                f" exhaust {streamed:.3f}: {requests / streamed:.2f} times as fast"
            )


if __name__ == "__main__":
    main()
