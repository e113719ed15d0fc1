"""From a native operation to a task that waits for it.

The event loop watches a channel from the native threads. Where a loop cannot (`add_reader` is not implemented, as in
the proactor loop of Windows), one thread that Python owns does, for all loops of that kind. A task that reads the
channel would save a thread switch there, but programs that wait for all tasks of their loop would wait for it too.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .._core import Operation
from .completion_channel import open_channel
from .waiter import Waiter

if TYPE_CHECKING:
    import asyncio


T = TypeVar("T")

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
    waiter = Waiter(loop)
    _waiting_of(loop).watch(operation, waiter)
    try:
        await waiter
    except CancelledError:
        operation.cancel()
        raise
    return operation.result()


class _Waiting:
    """Waiters for operations, by token, and the channel from the native threads."""

    def __init__(self, wake: Callable[[Waiter], None]) -> None:
        self._wake = wake
        self._channel = open_channel()
        self._tokens = itertools.count()
        self._pending: dict[int, tuple[Operation[Any], Waiter]] = {}
        self.pid = os.getpid()

    @property
    def receive(self) -> int:
        """The file descriptor to watch, or the handle of a socket; negative after `close`."""
        return self._channel.receive

    def watch(self, operation: Operation[Any], waiter: Waiter) -> None:
        """Wake `waiter` once `operation` is done."""
        token = next(self._tokens)
        self._pending[token] = (operation, waiter)
        try:
            self._channel.expect(operation, token)
        except BaseException:
            del self._pending[token]
            raise

    def drain(self) -> None:
        """Take the tokens that have come and wake their waiters."""
        waiters = [self._pending.pop(token)[1] for token in self._channel.take() if token in self._pending]
        for position, waiter in enumerate(waiters):
            try:
                self._wake(waiter)
            except BaseException:  # KeyboardInterrupt or SystemExit, of the task
                for left in waiters[position + 1 :]:
                    left.get_loop().call_soon(self._wake, left)
                raise

    def close(self) -> None:
        """Cancel what is pending, wait for it and close the channel; keep it open for operations that do not end."""
        if self.receive < 0:
            return
        if self.pid == os.getpid():  # a forked child has none of the threads that would deliver tokens
            for operation, _ in self._pending.values():
                operation.cancel()
            end = time.monotonic() + _GRACE
            while self._pending and self._channel.wait(max(0.0, end - time.monotonic())):
                for token in self._channel.take():
                    self._pending.pop(token, None)
            if self._pending:
                return
        self._channel.close()


class _Watch:
    """The waiters and the iterations of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self.iterations: weakref.WeakSet[EndsWithLoop] = weakref.WeakSet()
        waiting = _Waiting(Waiter.wake)
        self.waiting: _Waiting | None = waiting
        """None where the loop cannot watch the channel: the shared thread does."""
        try:
            loop.add_reader(waiting.receive, waiting.drain)
        except NotImplementedError:
            waiting.close()
            self.waiting = None
        except BaseException:
            waiting.close()
            raise
        # `asyncio.run` finishes asynchronous generators before it closes the loop: ours then closes the channel.
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
        """End the iterations, stop watching and close the channel."""
        for iteration in list(self.iterations):
            iteration.loop_ended()
        loop, waiting = self._loop(), self.waiting
        if loop is not None:
            if _watches.get(loop) is self:
                del _watches[loop]
            if waiting is not None and not loop.is_closed() and waiting.receive >= 0:
                loop.remove_reader(waiting.receive)
        if waiting is not None:
            waiting.close()
        # An open channel waits for an operation that did not end: it is closed when the next watch is made.
        if waiting is None or waiting.receive < 0:
            with _lock, contextlib.suppress(ValueError):
                _all.remove(self)


_lock = threading.RLock()
_watches: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = weakref.WeakKeyDictionary()
_all: list[_Watch] = []
_shared: _Waiting | None = None


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


def _waiting_of(loop: asyncio.AbstractEventLoop) -> _Waiting:
    watch = _watch_of(loop)
    waiting = None if watch is None else watch.waiting
    return _shared_waiting() if waiting is None else waiting


def _watch_of(loop: asyncio.AbstractEventLoop) -> _Watch | None:
    """The loop's watch; None for a loop that is about to end."""
    watch = _watches.get(loop)
    if watch is not None and (watch.waiting is None or watch.waiting.receive >= 0):
        return watch
    with _lock:
        for ended in [watch for watch in _all if watch.ended()]:
            ended.close()
    if getattr(loop, "_asyncgens_shutdown_called", False):
        return None  # this late nothing would close a channel of the loop's own
    watch = _Watch(loop)
    with _lock:
        _watches[loop] = watch
        _all.append(watch)
    # Steps to the generator's `yield`, which waits for nothing: no other task runs in between.
    coroutine = watch.start()
    with contextlib.suppress(StopIteration):
        coroutine.send(None)
    return watch


def _wake_in_its_loop(waiter: Waiter) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has closed: nothing waits in it
        waiter.get_loop().call_soon_threadsafe(waiter.wake)


def _shared_waiting() -> _Waiting:
    global _shared
    with _lock:
        if _shared is None or _shared.pid != os.getpid():
            _shared = _Waiting(_wake_in_its_loop)
            threading.Thread(target=_serve, args=(_shared,), name="data-bridge-waiter", daemon=True).start()
        return _shared


def _serve(waiting: _Waiting) -> None:
    while True:
        waiting.drain()
