"""Settings of the process for the time of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import data_bridge


@contextmanager
def prefetch_bytes(limit: int) -> Iterator[None]:
    """Replies of all reads that wait for their consumers have at most so many bytes."""
    before = data_bridge.config()["prefetch_bytes"]
    data_bridge.config(prefetch_bytes=limit)
    try:
        yield
    finally:
        data_bridge.config(prefetch_bytes=int(before))
