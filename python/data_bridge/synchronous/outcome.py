"""Waiting on the synchronous side: `outcome(operation)`, `sleep(seconds)`."""

from __future__ import annotations

from time import sleep
from typing import TypeVar

from .._core import Operation

__all__ = ["outcome", "sleep"]

T = TypeVar("T")


def outcome(operation: Operation[T]) -> T:
    """Block until the operation is done; Ctrl-C cancels it."""
    return operation.wait()
