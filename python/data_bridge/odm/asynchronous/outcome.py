"""Parts of writes that differ between the sides, here for the asynchronous one: sessions and the values of hooks."""

from __future__ import annotations

import inspect
from typing import Any

from ...asynchronous.session import AsyncClientSession

Session = AsyncClientSession | None
"""The session of a call, or None."""


async def maybe_await(value: object) -> Any:
    """Return the value of a hook; await it if it is an awaitable."""
    return await value if inspect.isawaitable(value) else value
