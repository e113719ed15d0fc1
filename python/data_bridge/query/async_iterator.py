"""Iterations of `async for`, and the event loop that each belongs to.

An iteration is an asynchronous generator without the hooks of its event loop. With these hooks, a task of the event
loop closes a dropped generator, and the event loop may be busy or over; and the end of the event loop closes all
generators, after which they end as if all rows had been read. Without them, a dropped generator closes at once, as a
synchronous one does, and `event_loop` calls `loop_ended` at the end of the event loop: the iteration raises
RuntimeError.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .._core import AsyncIterator, Interruption, ModelClass, Operation, Reader
from ..connection import event_loop
from . import progress as progress_

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

INTERRUPTED = "the iteration was interrupted before its end and cannot go on: iterate over the query again"
ENDED_LOOP = "the iteration started in an event loop that has ended: iterate over the query again in this one"
OTHER_LOOP = "the iteration started in another event loop: iterate over the query again in this one"


class LoopBound:
    """An iteration of one event loop: RuntimeError in another one, after that loop ended, and after a cancellation."""

    __slots__ = ("__weakref__", "_interruption", "_loop", "_over")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = False
        self._interruption = Interruption()

    def check_loop(self) -> None:
        """Bind the iteration to the running loop, or refuse to go on.

        Raises
        ------
        RuntimeError
            When it was interrupted, or belongs to another loop.
        """
        from asyncio import get_running_loop

        self._interruption.check()
        loop = get_running_loop()
        if self._loop is None:
            self._loop = loop
            event_loop.at_end_of(loop, self)
        elif self._loop is not loop:
            self.interrupt(OTHER_LOOP)
            self._interruption.check()

    def interrupt(self, reason: str = INTERRUPTED) -> None:
        """Let whatever comes next raise RuntimeError; the first reason stays."""
        self._interruption.set(reason)

    def close(self) -> None:
        """End the iteration; a second call does nothing."""
        self._over = True

    def loop_ended(self) -> None:
        """Called when the iteration's event loop ends."""
        if not self._over:
            self.interrupt(ENDED_LOOP)
            self.close()

    def iterator(self, generator: AsyncGenerator[T | None, None]) -> AsyncIterator[T]:
        """The items of a generator after its first one, which it yields before it waits for anything."""
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            # A generator takes the hooks when its first step is made.
            first = generator.__anext__()
        finally:
            sys.set_asyncgen_hooks(*hooks)
        with contextlib.suppress(StopIteration):
            first.__await__().send(None)
        return AsyncIterator(generator, self._interruption)


class AsyncRun(LoopBound):
    """A live run: started at the first step, ended at its last one or when it is dropped."""

    __slots__ = ("_fetch", "_prepare", "_progress", "_reader", "_start", "_ticker")

    def __init__(
        self,
        start: Callable[[], Reader],
        fetch: Callable[[Reader], Operation[Any]],
        progress: progress_.Progress = None,
        prepare: Callable[[], Awaitable[Callable[[], Reader]]] | None = None,
    ) -> None:
        super().__init__()
        self._prepare = prepare
        self._start = start
        self._fetch = fetch
        self._progress = progress
        self._reader: Reader | None = None
        self._ticker: progress_.Ticker | None = None

    def open(self) -> Reader:
        """The reader of the run, which is started if that was not done."""
        if self._reader is None:
            self._reader = self._start()
            if self._progress is not None:
                self._ticker = progress_.Ticker(self._progress, self._reader)
        return self._reader

    def rows(self, maker: ModelClass | None = None) -> AsyncIterator[Any]:
        """The rows of all blocks, as instances of a model where there is a maker."""
        return self.iterator(self._rows(maker))

    async def _rows(self, maker: ModelClass | None) -> AsyncGenerator[Any, None]:
        try:
            yield None
            while (block := await self._next()) is not None:
                for row in block if maker is None else block.instances(maker):
                    yield row
                if self._ticker is not None:
                    self._ticker.tick()
        finally:
            self.close()

    async def _next(self) -> Any:
        """The next block; None at the end."""
        self.check_loop()
        try:
            if self._reader is None and self._prepare is not None:
                self._start = await self._prepare()
            return await event_loop.complete(self._fetch(self.open()))
        except Exception:
            raise
        except BaseException:
            # Rows of a reply may be lost with it.
            self.interrupt()
            raise

    def close(self) -> None:
        """End the run; a second call does nothing."""
        super().close()
        ticker, self._ticker = self._ticker, None
        if self._reader is not None:
            self._reader.close()
        if ticker is not None:
            ticker.__exit__()
