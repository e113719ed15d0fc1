"""The arguments of `partitions`, and the numbers that follow from them."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..commands.options import check_bool
from .collection_facts import Size

PARTITION_BYTES = 64 << 20
"""Bytes of documents in a partition, where the caller gives no number."""
MAX_PARTITIONS = 10_000
_MOST_KEYS = 200_000
_KEYS = 20_000
_SLOW_LINE = 12_500_000
"""Bytes per second of one cursor on a slow line: 100 Mbit/s."""


class PartitionRequest(NamedTuple):
    """The arguments of `partitions`."""

    n: int | None = None
    by: str = "_id"
    snapshot: bool = False
    exact: bool = False
    force: bool = False
    expected_seconds: float | None = None
    infer_rows: int | None = None
    """None for no schema; 0 for a whole pass."""
    uri: str | None = None
    uri_env: str | None = None
    credentials: bool = False
    bytes: int = PARTITION_BYTES
    most: int = MAX_PARTITIONS

    @classmethod
    def check(cls, **arguments: Any) -> PartitionRequest:
        """Return the arguments.

        Raises
        ------
        TypeError, ValueError
            For a value that is not supported.
        """
        request = cls(**{**arguments, "infer_rows": check_infer_rows(arguments.get("infer_rows"))})
        if request.n is not None:
            if not isinstance(request.n, int) or isinstance(request.n, bool):
                raise TypeError(f"n must be an int, got {type(request.n).__name__}")
            if not 1 <= request.n <= MAX_PARTITIONS:
                raise ValueError(f"n must be between 1 and {MAX_PARTITIONS:,}, got {request.n}")
        if not isinstance(request.by, str):
            raise TypeError(f"by must be a str, got {type(request.by).__name__}")
        if not request.by or request.by.startswith("$") or "\0" in request.by:
            raise ValueError(f"by must be the name of a key, got {request.by!r}")
        for name in ("snapshot", "exact", "force", "credentials"):
            check_bool(name, getattr(request, name))
        if request.expected_seconds is not None and not request.snapshot:
            raise ValueError("expected_seconds is for snapshot=True: other reads have no limit of time")
        return request

    @property
    def origin(self) -> tuple[str | None, str | None, bool]:
        """The arguments of `Origin`."""
        return self.uri, self.uri_env, self.credentials

    def estimated_seconds(self, size: Size, parts: int) -> float | None:
        """Return the time of the read on slow lines, one for each partition; None if the size is unknown."""
        return None if size.bytes is None else size.bytes / (_SLOW_LINE * parts)


def check_infer_rows(infer_rows: object) -> int | None:
    """Return the number of rows to infer a schema from; 0 for all, None for no schema.

    Raises
    ------
    TypeError, ValueError
        For a value that is not supported.
    """
    if infer_rows is None:
        return None
    if infer_rows == "all":
        return 0
    if not isinstance(infer_rows, int) or isinstance(infer_rows, bool):
        raise TypeError(f'infer_rows must be an int, "all" or None, got {type(infer_rows).__name__}')
    if infer_rows < 1:
        raise ValueError(f"infer_rows must be positive, got {infer_rows}")
    return infer_rows


def partitions_for(request: PartitionRequest, size: Size) -> int:
    """Return the number of partitions to plan."""
    wanted = request.n
    if wanted is None:
        wanted = 1 if size.bytes is None else -(-size.bytes // request.bytes)
    return max(1, min(wanted, request.most, wanted if size.rows is None else size.rows))


def sample_size(parts: int) -> int:
    """Return the number of documents to sample: 200 for each of a few partitions, 10 for each of many."""
    return min(max(parts * 10, min(parts * 200, _KEYS)), _MOST_KEYS)
