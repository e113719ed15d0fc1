"""Waiting on the synchronous side: `outcome(operation)`, `sleep(seconds)`."""

from __future__ import annotations

from time import sleep
from typing import TypeVar

from .._core import ArrowSource, Operation, RecordBatch
from ..query import progress
from ..query.query import open_arrow

__all__ = ["arrow_source", "outcome", "pulled", "sleep", "ticking"]

T = TypeVar("T")


def outcome(operation: Operation[T]) -> T:
    """Block until the operation is done; Ctrl-C cancels it."""
    return operation.wait()


def arrow_source(data: object) -> ArrowSource:
    """Open Arrow data."""
    return open_arrow(data)


def pulled(source: ArrowSource) -> RecordBatch | None:
    """Take the next batch."""
    return source.next_batch()


def ticking(operation: Operation[T], ticker: progress.Ticker | None) -> T:
    """Wait for an operation, and report its progress meanwhile."""
    return operation.wait() if ticker is None else progress.wait(operation, ticker)
