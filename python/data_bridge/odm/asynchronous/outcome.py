"""Hooks on the asynchronous side: `await maybe_await(hook())`."""

from __future__ import annotations

import inspect
from typing import Any


async def maybe_await(value: Any) -> Any:
    """The value of a hook; that of an awaitable once it is there."""
    return await value if inspect.isawaitable(value) else value
