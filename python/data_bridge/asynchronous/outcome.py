"""Waiting on the asynchronous side: `await outcome(operation)`, `await sleep(seconds)`."""

from __future__ import annotations

from typing import TypeVar

from .._core import ArrowSource, Operation, RecordBatch
from ..connection.event_loop import complete as outcome
from ..query import progress
from ..query.async_query import arrow_data
from ..query.query import open_arrow

__all__ = ["arrow_source", "outcome", "pulled", "sleep", "ticking"]

T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Suspend the task."""
    from asyncio import sleep as suspend  # not needed to import the package

    await suspend(seconds)


async def arrow_source(data: object) -> ArrowSource:
    """Open Arrow data on another thread: a synchronous query may be read as a whole then."""
    from asyncio import get_running_loop  # not needed to import the package

    return await get_running_loop().run_in_executor(None, open_arrow, await arrow_data(data))


async def pulled(source: ArrowSource) -> RecordBatch | None:
    """Take the next batch on another thread: the data may come from a query that takes long."""
    from asyncio import get_running_loop  # not needed to import the package

    return await get_running_loop().run_in_executor(None, source.next_batch)


async def ticking(operation: Operation[T], ticker: progress.Ticker | None) -> T:
    """Wait for an operation, and report its progress meanwhile."""
    if ticker is None:
        return await outcome(operation)
    import asyncio  # not needed to import the package

    task = asyncio.ensure_future(outcome(operation))
    try:
        while not task.done():
            await asyncio.wait([task], timeout=progress.INTERVAL)
            ticker.tick()
    finally:
        task.cancel()
    return task.result()
