"""From a native operation to an asyncio future.

Native threads never attach to the interpreter: when an operation is done, one of them writes its token into a pipe.
The event loop watches the pipe's other end; where a loop cannot (`add_reader` is not implemented), one thread that
Python owns does, for all loops of that kind.

A pipe, not a socket pair: one page of it holds 512 tokens, while a socket buffer charges several hundred bytes each.
A pipe's write end is closed only when nothing will write into it any more, lest a token land in a file that has got
the same number.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import struct
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .._core import Operation

if TYPE_CHECKING:
    import asyncio


T = TypeVar("T")

_TOKEN = struct.Struct("=Q")
_READ_SIZE = 4096
_GRACE = 2.0
"""Seconds to wait for cancelled operations when a loop ends."""


class EndsWithLoop(Protocol):
    """An iteration that belongs to one event loop."""

    def loop_ended(self) -> None:
        """Called when the event loop ends."""


async def complete(operation: Operation[T]) -> T:
    """The operation's result; cancelling the task cancels the operation."""
    from asyncio import CancelledError, get_running_loop

    loop = get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    pipe = _pipe_of(loop)
    pipe.watch(operation, future)
    try:
        await future
    except CancelledError:
        operation.cancel()
        raise
    return operation.result()


class _Pipe:
    """Tokens on their way from native threads to futures."""

    def __init__(self, wake: Callable[[asyncio.Future[None]], None]) -> None:
        self._wake = wake
        self._receive, self._send = os.pipe()
        self._tokens = itertools.count()
        self._pending: dict[int, tuple[Operation[Any], asyncio.Future[None]]] = {}
        self._pid = os.getpid()

    @property
    def receive(self) -> int:
        """The file descriptor to watch."""
        return self._receive

    def watch(self, operation: Operation[Any], future: asyncio.Future[None]) -> None:
        """Wake `future` once `operation` is done."""
        token = next(self._tokens)
        self._pending[token] = (operation, future)
        try:
            operation.notify(self._send, token)
        except BaseException:
            del self._pending[token]
            raise

    def drain(self) -> None:
        """Read what has come and wake its futures. Tokens are written whole (8 bytes, less than PIPE_BUF)."""
        for (token,) in _TOKEN.iter_unpack(os.read(self._receive, _READ_SIZE)):
            _, future = self._pending.pop(token, (None, None))
            if future is not None:
                self._wake(future)

    def close(self) -> None:
        """Cancel what is pending, wait for it, close both ends; leave them open when something never came back."""
        if self._send < 0:
            return
        if self._pid == os.getpid():  # a forked child has none of the threads that would write
            for operation, _ in self._pending.values():
                operation.cancel()
            end = time.monotonic() + _GRACE
            while self._pending and select.select([self._receive], [], [], max(0.0, end - time.monotonic()))[0]:
                for (token,) in _TOKEN.iter_unpack(os.read(self._receive, _READ_SIZE)):
                    self._pending.pop(token, None)
            if self._pending:
                return
        os.close(self._receive)
        os.close(self._send)
        self._receive = self._send = -1


class _Watch:
    """The pipe and the iterations of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self.iterations: weakref.WeakSet[EndsWithLoop] = weakref.WeakSet()
        pipe = _Pipe(_resolve)
        self.pipe: _Pipe | None = pipe
        """None where the loop cannot watch one: the shared pipe serves it."""
        try:
            loop.add_reader(pipe.receive, pipe.drain)
        except NotImplementedError:
            pipe.close()
            self.pipe = None
        except BaseException:
            pipe.close()
            raise
        # `asyncio.run` finishes asynchronous generators before it closes the loop: ours then closes the pipe.
        self._guard = self._closed_with_loop()

    async def start(self) -> None:
        """Register with the running loop's asynchronous generators."""
        await self._guard.__anext__()

    async def _closed_with_loop(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.close()

    def ended(self) -> bool:
        """Return whether the loop was collected or closed."""
        loop = self._loop()
        return loop is None or loop.is_closed()

    def close(self) -> None:
        """End the iterations, stop watching and close the pipe."""
        for iteration in list(self.iterations):
            iteration.loop_ended()
        loop, pipe = self._loop(), self.pipe
        if loop is not None:
            if _watches.get(loop) is self:
                del _watches[loop]
            if pipe is not None and not loop.is_closed() and pipe.receive >= 0:
                loop.remove_reader(pipe.receive)
        if pipe is not None:
            pipe.close()
        # An open pipe waits for something that never came back: looked at again when the next pipe is made.
        if pipe is None or pipe.receive < 0:
            with _lock, contextlib.suppress(ValueError):
                _all.remove(self)


_lock = threading.RLock()
_watches: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = weakref.WeakKeyDictionary()
_all: list[_Watch] = []
_thread_pipe: _Pipe | None = None


def _renew_lock() -> None:
    """In a forked child: another thread may have held the lock, and does not exist there to let it go."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def at_end_of(loop: asyncio.AbstractEventLoop, iteration: EndsWithLoop) -> None:
    """Call `iteration.loop_ended()` when `asyncio.run` ends the loop; later where the loop is ended otherwise."""
    watch = _watch_of(loop)
    if watch is not None:
        watch.iterations.add(iteration)


def _pipe_of(loop: asyncio.AbstractEventLoop) -> _Pipe:
    watch = _watch_of(loop)
    pipe = None if watch is None else watch.pipe
    return _shared_pipe() if pipe is None else pipe


def _watch_of(loop: asyncio.AbstractEventLoop) -> _Watch | None:
    """The loop's watch; None for a loop that is about to end."""
    watch = _watches.get(loop)
    if watch is not None and (watch.pipe is None or watch.pipe.receive >= 0):
        return watch
    with _lock:
        for ended in [watch for watch in _all if watch.ended()]:
            ended.close()
    if getattr(loop, "_asyncgens_shutdown_called", False):
        return None  # this late nothing would close a pipe of the loop's own
    watch = _Watch(loop)
    with _lock:
        _watches[loop] = watch
        _all.append(watch)
    # Steps to the generator's `yield`, which waits for nothing: no other task runs in between.
    coroutine = watch.start()
    with contextlib.suppress(StopIteration):
        coroutine.send(None)
    return watch


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _resolve_in_its_loop(future: asyncio.Future[None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has closed: nothing waits in it
        future.get_loop().call_soon_threadsafe(_resolve, future)


def _shared_pipe() -> _Pipe:
    global _thread_pipe
    with _lock:
        if _thread_pipe is None or _thread_pipe._pid != os.getpid():
            _thread_pipe = _Pipe(_resolve_in_its_loop)
            threading.Thread(target=_serve, args=(_thread_pipe,), name="data-bridge-waiter", daemon=True).start()
        return _thread_pipe


def _serve(pipe: _Pipe) -> None:
    while True:
        pipe.drain()
