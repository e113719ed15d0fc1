"""Parts of writes that differ between the sides, here for the synchronous one: sessions and the values of hooks."""

from __future__ import annotations

from typing import Any

from ...synchronous.session import ClientSession

Session = ClientSession | None
"""The session of a call, or None."""


def maybe_await(value: Any) -> Any:
    """Return the value of a hook, which is never an awaitable on this side."""
    return value
