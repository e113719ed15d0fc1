"""Hooks on the synchronous side: `maybe_await(hook())`."""

from __future__ import annotations

from typing import Any


def maybe_await(value: Any) -> Any:
    """Return the value of a hook, which is never an awaitable on this side."""
    return value
