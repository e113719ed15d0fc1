"""Lists of ids in parts that fit into one command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_IDS = 100_000
"""Ids in one `$in`: a command has at most 16 MB."""


def id_chunks(ids: list[Any]) -> Iterator[list[Any]]:
    """Yield the ids in parts, in their order."""
    for start in range(0, len(ids), _IDS):
        yield ids[start : start + _IDS]
