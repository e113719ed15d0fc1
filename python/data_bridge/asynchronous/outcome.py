"""Waiting on the asynchronous side: `await outcome(operation)`, `await sleep(seconds)`."""

from __future__ import annotations

from ..connection.event_loop import complete as outcome

__all__ = ["outcome", "sleep"]


async def sleep(seconds: float) -> None:
    """Suspend the task."""
    from asyncio import sleep as suspend  # not needed to import the package

    await suspend(seconds)
