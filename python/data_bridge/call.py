"""One server call, before anyone has said whether to wait for it or to await it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from . import aio
from ._core import Operation

T = TypeVar("T")


class Call(Generic[T]):
    """How to start an operation, and what to make of its outcome: all that the sync and async classes share.

    Arguments are checked and encoded when a Call is made; nothing runs before `wait` or `complete`.
    """

    __slots__ = ("_convert", "_start")

    def __init__(self, start: Callable[[], Operation[Any]], convert: Callable[[Any], T]) -> None:
        self._start = start
        self._convert = convert

    def wait(self) -> T:
        """Run it and block until it is done; Ctrl-C cancels it."""
        return self._convert(self._start().wait())

    async def complete(self) -> T:
        """Run it without blocking the event loop; cancelling the task cancels it."""
        return self._convert(await aio.complete(self._start()))


def same(value: T) -> T:
    """The outcome as it is."""
    return value
