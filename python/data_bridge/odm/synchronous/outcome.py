"""Hooks on the synchronous side: `maybe_await(hook())`."""

from __future__ import annotations

from typing import Any


def maybe_await(value: Any) -> Any:
    """The value of a hook, which is no awaitable here."""
    return value
