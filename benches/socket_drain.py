"""The floor of every reader: a find over a plain socket, whose replies are received and dropped.

It speaks OP_MSG itself, receives into one buffer that is made beforehand, and looks at nothing of a reply but its
length and its cursor id. No reader that uses the same server and the same protocol can be faster than that by much.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import bson
from pymongo.uri_parser import parse_uri

OP_MSG = 2013
HEADER = struct.Struct("<iiii")  # length, request id, response to, opcode
FLAGS = struct.Struct("<I")
MORE_TO_COME = 1 << 1
EXHAUST_ALLOWED = 1 << 16
LENGTH = struct.Struct("<i")
CURSOR_ID = struct.Struct("<q")
# MongoDB's largest message; replies to a find stay near 16 MB.
BUFFER_BYTES = 48_000_000
# Sizes of fixed-size BSON values; the others begin with their length.
FIXED = {0x01: 8, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8}


class SocketDrain:
    """One connection to the first host of a URI. Only for servers without authentication or TLS."""

    def __init__(self, uri: str) -> None:
        parsed = parse_uri(uri)
        if parsed["username"] or parsed["options"].get("tls"):
            raise ValueError("the socket drain speaks neither TLS nor authentication")
        host, port = parsed["nodelist"][0]
        self._socket = socket.create_connection((host, port or 27017))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(BUFFER_BYTES)
        # Touched once, so that the kernel's first-touch faults are not in the measured time.
        self._buffer[::4096] = b"\1" * len(range(0, BUFFER_BYTES, 4096))
        self._view = memoryview(self._buffer)
        self._requests = 0

    def close(self) -> None:
        self._socket.close()

    def drain(self, database: str, command: dict[str, Any], exhaust: bool = False) -> int:
        """Run a find or an aggregate, and drop its replies; return the number of bytes received."""
        return sum(len(reply) for reply in self.replies(database, command, exhaust))

    def replies(self, database: str, command: dict[str, Any], exhaust: bool = False) -> Iterator[memoryview]:
        """Yield the replies to a find or an aggregate and its getMores, each valid until the next one.

        The first key of `command` names it, and its value is the collection. With `exhaust`, the server streams the
        replies to one getMore.
        """
        collection = next(iter(command.values()))
        size = {"batchSize": command["batchSize"]} if "batchSize" in command else {}
        reply = self.run(database, command)
        cursor = cursor_id(reply)
        yield reply
        while cursor:
            more = {"getMore": bson.Int64(cursor), "collection": collection, **size, "$db": database}
            for reply in self._streamed(message(more, EXHAUST_ALLOWED)) if exhaust else [self.send(message(more))]:
                cursor = cursor_id(reply)
                yield reply

    def run(self, database: str, command: dict[str, Any]) -> memoryview:
        """Return the reply to one command, valid until the next one."""
        return self.send(message({**command, "$db": database}))

    def send(self, body: bytes | bytearray) -> memoryview:
        """Send a message, from its flag bits on; return the reply, valid until the next one."""
        self._requests += 1
        self._socket.sendall(HEADER.pack(HEADER.size + len(body), self._requests, 0, OP_MSG) + body)
        return self._reply(self._requests)

    def _streamed(self, body: bytes) -> Iterator[memoryview]:
        """Send a message; yield the reply, and those that the server sends without a further request."""
        yield self.send(body)
        while FLAGS.unpack_from(self._buffer, HEADER.size)[0] & MORE_TO_COME:
            # It answers the reply before it.
            yield self._reply(HEADER.unpack_from(self._buffer)[1])

    def _reply(self, request: int) -> memoryview:
        self._receive(0, HEADER.size)
        length, _, response_to, opcode = HEADER.unpack_from(self._buffer)
        if opcode != OP_MSG or response_to != request or not HEADER.size + 5 < length <= BUFFER_BYTES:
            raise ConnectionError(f"not a reply to what was asked: {length} bytes, opcode {opcode}")
        self._receive(HEADER.size, length)
        return self._view[HEADER.size + 5 : length]

    def _receive(self, start: int, stop: int) -> None:
        while start < stop:
            received = self._socket.recv_into(self._view[start:stop], 0, socket.MSG_WAITALL)
            if not received:
                raise ConnectionError("the server closed the connection")
            start += received


def message(command: dict[str, Any], flags: int = 0) -> bytes:
    """Return a message from its flag bits on, with one section of kind 0: the command."""
    return FLAGS.pack(flags) + b"\0" + bson.encode(command)


def elements(document: memoryview) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield (key, type, start, stop) of the values of a document, without nested values."""
    position, end = 4, len(document) - 1
    while position < end:
        kind = document[position]
        # Keys of replies are short: a copy of a few bytes is cheaper than a search without one.
        key = bytes(document[position + 1 : position + 65]).partition(b"\0")[0]
        start = position + 2 + len(key)
        if kind in FIXED:
            stop = start + FIXED[kind]
        elif kind == 0x07:
            stop = start + 12
        else:
            stop = start + LENGTH.unpack_from(document, start)[0] + {0x02: 4, 0x05: 5}.get(kind, 0)
        yield key, kind, start, stop
        position = stop


def cursor_id(reply: memoryview) -> int:
    """Return the id of the reply's cursor: 0 when the result is complete."""
    for key, _, start, stop in elements(reply):
        if key == b"cursor":
            for inner, _, inner_start, _ in elements(reply[start:stop]):
                if inner == b"id":
                    identifier: int = CURSOR_ID.unpack_from(reply, start + inner_start)[0]
                    return identifier
    raise ConnectionError(f"the server answered {bson.decode(bytes(reply))}")


def count_documents(drain: SocketDrain, database: str, command: dict[str, Any]) -> tuple[int, int]:
    """Return (documents, their bytes) that a drain of the command receives."""
    received = [measure_documents(reply) for reply in drain.replies(database, command)]
    return sum(each[0] for each in received), sum(each[1] for each in received)


def measure_documents(reply: memoryview) -> tuple[int, int]:
    """Return (documents, their bytes) in a reply, to check a drain."""
    documents = size = 0
    for key, _, start, stop in elements(reply):
        if key == b"cursor":
            cursor = reply[start:stop]
            for inner, _, first, last in elements(cursor):
                if inner in (b"firstBatch", b"nextBatch"):
                    for _, _, begin, end in elements(cursor[first:last]):
                        documents += 1
                        size += end - begin
    return documents, size
