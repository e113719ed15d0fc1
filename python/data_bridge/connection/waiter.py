"""`Waiter`: a task that waits for a native operation resumes in the callback that learns of its end.

A future would resume the task in the next turn of the event loop: one more system call for each operation. This class
has the part of `asyncio.Future` that a task uses.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


class Waiter:
    """An awaitable for one task, in the loop that runs it."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_done", "_loop", "_message")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._callback: Callable[[Waiter], object] | None = None
        self._context: Context | None = None
        self._done = self._cancelled = False
        self._message: Any = None

    def __await__(self) -> Generator[Waiter, None, None]:
        if not self._done:
            # Tasks expect this of a future that they did not get by mistake.
            self._asyncio_future_blocking = True
            yield self
        self.result()

    def wake(self) -> None:
        """Resume the task now. Called by the loop, outside of any task."""
        if self._done:
            return
        self._done = True
        callback, self._callback = self._callback, None
        if callback is not None and self._context is not None:
            self._context.run(callback, self)

    # ---- as asyncio.Future ------------------------------------------------------------------------------------------

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Waiter], object], *, context: Context | None = None) -> None:
        """Call `callback` at the end."""
        if self._done:
            self._loop.call_soon(callback, self, context=context)
        else:
            self._callback, self._context = callback, context or copy_context()

    def cancel(self, msg: Any = None) -> bool:
        """End with CancelledError, in the next turn of the loop."""
        if self._done:
            return False
        self._done = self._cancelled = True
        self._message = msg
        callback, self._callback = self._callback, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self._context)
        return True

    def done(self) -> bool:
        """Return whether it has ended."""
        return self._done

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._cancelled

    def result(self) -> None:
        """
        Raises
        ------
        CancelledError
            When it was cancelled.
        InvalidStateError
            Before its end.
        """
        from asyncio import CancelledError, InvalidStateError  # not needed to import the package

        if self._cancelled:
            raise CancelledError() if self._message is None else CancelledError(self._message)
        if not self._done:
            raise InvalidStateError("the operation has not ended")
