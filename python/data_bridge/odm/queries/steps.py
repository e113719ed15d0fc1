"""One way to write what is waited for here and awaited there.

An operation is a generator. It calls a collection or query and yields what that gives: with a synchronous client the
outcome, with an asynchronous one something to await. Who runs it sends the outcome back.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar("T")
Steps = Generator[Any, Any, T]


def run(steps: Steps[T]) -> T:
    """Run an operation whose outcomes are there at once."""
    try:
        value = next(steps)
        while True:
            value = steps.send(value)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def run_async(steps: Steps[T]) -> T:
    """Run an operation, awaiting what can be awaited."""
    try:
        value = next(steps)
        while True:
            if inspect.isawaitable(value):
                try:
                    value = await value
                except BaseException as error:  # noqa: BLE001
                    value = steps.throw(error)
                    continue
            value = steps.send(value)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
