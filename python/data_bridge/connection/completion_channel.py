"""Channels from native threads to Python: a pipe, on Windows a pair of sockets.

Native threads never attach to the interpreter. The end of an operation puts its token into a queue, and a byte into
the channel if the queue was empty; a thread or an event loop that watches the other end then takes all tokens. Event
loops and `select` of Windows watch sockets only.
"""

from __future__ import annotations

import os
import select
from typing import Any

from .._core import Completions, Operation

_READ_SIZE = 4096


class Channel:
    """The read end, and the queue of tokens with the write end."""

    def __init__(self, receive: int, send: int) -> None:
        self.receive = receive
        """The file descriptor to watch, or the handle of a socket; -1 after `close`."""
        self._completions: Completions | None = Completions(send)

    def expect(self, operation: Operation[Any], token: int) -> None:
        """Deliver `token` once `operation` is done."""
        if self._completions is None:
            raise RuntimeError("the channel is closed")
        operation.notify(self._completions, token)

    def wait(self, seconds: float) -> bool:
        """Wait for tokens, and return whether there are some."""
        if hasattr(select, "poll"):  # takes descriptors of any value
            poll = select.poll()
            poll.register(self.receive, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        return bool(select.select([self.receive], [], [], seconds)[0])

    def take(self) -> list[int]:
        """Return the tokens that have come; wait for the first one."""
        self._read()
        return [] if self._completions is None else self._completions.take()

    def close(self) -> None:
        """Close the read end. The write end is closed once no operation will use it."""
        if self.receive >= 0:
            self._close()
            self.receive = -1
            self._completions = None

    def _read(self) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError


class PipeChannel(Channel):
    """A pipe."""

    def __init__(self) -> None:
        receive, send = os.pipe()
        try:
            os.set_blocking(send, False)
            super().__init__(receive, send)
        except BaseException:
            os.close(receive)
            raise
        finally:
            os.close(send)

    def _read(self) -> None:
        os.read(self.receive, _READ_SIZE)

    def _close(self) -> None:
        os.close(self.receive)


class SocketChannel(Channel):
    """A pair of connected sockets."""

    def __init__(self) -> None:
        import socket  # only Windows needs it

        self._socket, sender = socket.socketpair()
        try:
            sender.setblocking(False)
            super().__init__(self._socket.fileno(), sender.fileno())
        except BaseException:
            self._socket.close()
            raise
        finally:
            sender.close()

    def _read(self) -> None:
        self._socket.recv(_READ_SIZE)

    def _close(self) -> None:
        self._socket.close()


def open_channel() -> Channel:
    """A new channel of the kind that this platform can watch."""
    return SocketChannel() if os.name == "nt" else PipeChannel()
