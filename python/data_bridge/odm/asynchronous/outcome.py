"""Hooks on the asynchronous side: `await maybe_await(hook())`."""

from __future__ import annotations

import inspect
from typing import Any


async def maybe_await(value: Any) -> Any:
    """Return the value of a hook; await it if it is an awaitable."""
    return await value if inspect.isawaitable(value) else value
