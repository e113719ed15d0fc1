"""Server calls, before anyone has said whether to wait for it or to await it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from .._core import DataBridgeError, Operation
from ..connection import event_loop

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
        return self._convert(await event_loop.complete(self._start()))


class Steps(Generic[T]):
    """As a Call, of several operations: a generator that yields each operation and is sent its outcome.

    An error of this package is raised in the generator, where the operation was yielded; any other ends both.
    """

    __slots__ = ("_run",)

    def __init__(self, run: Callable[[], Generator[Operation[Any], Any, T]]) -> None:
        self._run = run

    def wait(self) -> T:
        """Run all and block until they are done; Ctrl-C cancels the one under way."""
        steps = self._run()
        try:
            operation = next(steps)
            while True:
                try:
                    outcome = operation.wait()
                except DataBridgeError as error:
                    operation = steps.throw(error)
                else:
                    operation = steps.send(outcome)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    async def complete(self) -> T:
        """Run all without blocking the event loop; cancelling the task cancels the one under way."""
        steps = self._run()
        try:
            operation = next(steps)
            while True:
                try:
                    outcome = await event_loop.complete(operation)
                except DataBridgeError as error:
                    operation = steps.throw(error)
                else:
                    operation = steps.send(outcome)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


def same(value: T) -> T:
    """The outcome as it is."""
    return value
