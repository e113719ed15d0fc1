"""Fail points for the write commands of one client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAME = "write_failures"


@contextmanager
def failing(admin: Any, mode: Any, **data: Any) -> Iterator[None]:
    """Commands of the client of that name fail."""
    fail: dict[str, Any] = {"configureFailPoint": "failCommand"}
    admin.command({**fail, "mode": mode, "data": {"appName": NAME, **data}})
    try:
        yield
    finally:
        admin.command({**fail, "mode": "off"})
