"""A proxy of the wire protocol: it spoils chosen replies of a real server.

It splits the stream into messages and pairs replies with requests, so a rule can say "the third getMore reply".
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import bson

HEADER = struct.Struct("<iiii")
OP_MSG = 2013


class Link:
    """The way back to one client, as a rule sees it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._client = client
        self._server = server
        self._ended = False
        self._ways = 2
        self.mute = False
        """Nothing more goes back to the client, while the connection stays open."""

    def send(self, data: bytes) -> None:
        if not self.mute:
            self._client.sendall(data)

    def close(self) -> None:
        """An orderly end."""
        if not self._ended:
            self._ended = True
            for each in (self._client, self._server):
                _shut_down(each, socket.SHUT_RDWR)

    def reset(self) -> None:
        """An RST."""
        self._ended = True
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Wakes the reading thread and sends nothing to the client: only the last close does.
        _shut_down(self._client, socket.SHUT_RD)
        self._client.close()
        _shut_down(self._server, socket.SHUT_RDWR)

    def done(self) -> bool:
        """One of the two ways has ended, and so will the other. True when both have: the descriptors are given back."""
        self.close()
        self._ways -= 1
        if self._ways:
            return False
        self._client.close()
        self._server.close()
        return True


def _shut_down(end: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(how)


Spoil = Callable[[Link, bytes], None]
"""The treatment of a reply: header and body."""


class _Rule(NamedTuple):
    command: str
    nth: frozenset[int]
    spoil: Spoil


class Proxy:
    """Listens on a loopback port, or on a Unix socket at `path`, for one server at a time; `target` may change."""

    def __init__(self, target: tuple[str, int], path: Path | None = None) -> None:
        self.target = target
        self.requests: list[bytes] | None = None
        """A list that gets each request; none are kept without it."""
        self.recorded: list[dict[str, Any]] | None = None
        """The commands of the clients, while it is a list."""
        self._rule: _Rule | None = None
        self._count = 0
        self._lock = threading.Lock()
        self._links: list[Link] = []
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
            host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
            host = quote(str(path), safe="")
        self.uri = f"mongodb://{host}/?directConnection=true"
        threading.Thread(target=self._accept, daemon=True).start()

    def spoil(self, command: str, nth: int | Iterable[int], spoil: Spoil) -> None:
        """Spoil the nth replies to a command, or "" for any, counted from 1, of requests that are sent from now on."""
        with self._lock:
            self._count = 0
            self._rule = _Rule(command, frozenset([nth] if isinstance(nth, int) else nth), spoil)

    def heal(self) -> None:
        with self._lock:
            self._rule = None

    def cut(self) -> None:
        """End all connections."""
        for link in list(self._links):
            link.close()

    def close(self) -> None:
        # Wakes the accepting thread: until it returns, the system accepts connections.
        _shut_down(self._listener, socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            link = Link(client, server)
            self._links.append(link)
            rules: dict[int, _Rule] = {}
            for work in (self._requests, self._replies):
                threading.Thread(target=self._run, args=(work, client, server, link, rules), daemon=True).start()

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        link = arguments[2]
        assert isinstance(link, Link)
        with contextlib.suppress(OSError):
            work(*arguments)
        with self._lock:
            if link.done():
                self._links.remove(link)

    def _requests(self, client: socket.socket, server: socket.socket, _link: Link, rules: dict[int, _Rule]) -> None:
        for message in messages(client):
            _, request, _, opcode = HEADER.unpack_from(message)
            if self.requests is not None and opcode == OP_MSG:
                self.requests.append(message)
            rule = self._rule
            if rule is not None and opcode == OP_MSG and rule.command in ("", command_name(message)):
                rules[request] = rule
            recorded = self.recorded
            if recorded is not None and opcode == OP_MSG:
                recorded.append(command_of(message))
            server.sendall(message)

    def _replies(self, _client: socket.socket, server: socket.socket, link: Link, rules: dict[int, _Rule]) -> None:
        for message in messages(server):
            rule = rules.pop(HEADER.unpack_from(message)[2], None)
            spoil: Spoil = Link.send
            with self._lock:
                # No request from the time of another rule.
                if rule is not None and rule is self._rule:
                    self._count += 1
                    if self._count in rule.nth:
                        spoil = rule.spoil
            spoil(link, message)


def messages(source: socket.socket) -> Iterator[bytes]:
    """Whole messages until the end of the stream, which may be in the middle of one."""
    while (head := _exactly(source, 4)) and (rest := _exactly(source, int.from_bytes(head, "little") - 4)):
        yield head + rest


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            return b""
        data += more
    return data


def command_name(message: bytes) -> str:
    """The first key of an OP_MSG's body, which is its command."""
    end = message.index(b"\0", 26)  # header 16, flags 4, kind 1, length 4, type 1
    return message[26:end].decode()


def body(message: bytes) -> bytes:
    """The body of an OP_MSG, as BSON."""
    length = int.from_bytes(message[21:25], "little")
    return message[21 : 21 + length]


def command_of(message: bytes) -> dict[str, Any]:
    """The command of an OP_MSG, without its document sequences."""
    return bson.decode(body(message))


def drop(_link: Link, _reply: bytes) -> None:
    """The reply is lost, the connection stays."""


def hang(link: Link, _reply: bytes) -> None:
    link.mute = True


def close(link: Link, _reply: bytes) -> None:
    link.close()


def reset(link: Link, _reply: bytes) -> None:
    link.reset()


def truncate(link: Link, reply: bytes) -> None:
    """Half of it, then the end."""
    link.send(reply[: len(reply) // 2])
    link.close()


def truncate_and_hang(link: Link, reply: bytes) -> None:
    link.send(reply[: len(reply) // 2])
    link.mute = True


def trickle(link: Link, reply: bytes) -> None:
    """64 bytes each 10 ms."""
    for start in range(0, len(reply), 64):
        link.send(reply[start : start + 64])
        time.sleep(0.01)


def late(seconds: float) -> Spoil:
    def spoil(link: Link, reply: bytes) -> None:
        time.sleep(seconds)
        link.send(reply)

    return spoil


def changed(change: Callable[[bytearray], None]) -> Spoil:
    """The reply with bytes of it changed."""

    def spoil(link: Link, reply: bytes) -> None:
        data = bytearray(reply)
        change(data)
        link.send(bytes(data))

    return spoil


def number(offset: int, value: int) -> Callable[[bytearray], None]:
    """An int32 written over what is there; a negative offset counts from the end."""

    def change(data: bytearray) -> None:
        struct.pack_into("<i", data, offset % len(data), value)

    return change


def flip(bit: int) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        data[bit // 8 % len(data)] ^= 1 << bit % 8

    return change


def near(text: bytes, offset: int, new: bytes) -> Callable[[bytearray], None]:
    """`new` written over what stands `offset` bytes from where `text` is first found."""

    def change(data: bytearray) -> None:
        start = data.index(text) + offset
        data[start : start + len(new)] = new

    return change
