"""The result of a write of Arrow data: counts, and the rows that failed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import bson
from bson.codec_options import CodecOptions

from ..commands import server_errors
from ..errors import ArrowWriteError
from .bson_source import read_bson
from .result import Result

_NUMBERS = ("rows", "inserted", "matched", "modified", "upserted", "deleted", "unknown", "failures")
_FAILED_ROWS = ("row", "_id", "code", "message", "details")


class SkippedValues(NamedTuple):
    """Values of one path that BSON cannot hold."""

    path: tuple[str | int, ...]
    """Keys; the items of lists have the position 0."""
    nulled: int
    """The number of values that were written as null."""
    rounded: int
    """The number of values that were rounded."""
    first_row: int
    """The first row with such a value."""


class ArrowWriteResult:
    """The acknowledged part of a write of Arrow data."""

    __slots__ = ("_counts",)

    def __init__(self, counts: dict[str, Any]) -> None:
        self._counts = counts

    @classmethod
    def merged(cls, results: Iterable[ArrowWriteResult]) -> ArrowWriteResult:
        """The sum of several writes. Rows of `failed` are counted from the first of their own write."""
        total: dict[str, Any] = {
            **dict.fromkeys(_NUMBERS, 0),
            "failed": b"",
            "write_concern_errors": b"",
            "skipped": [],
        }
        for result in results:
            for name, count in result._counts.items():
                total[name] = total[name] + count if name in total else count
        return cls({**total, "skipped": _summed(total["skipped"])})

    def with_stored(self, rows: Collection[int], first_row: int = 0) -> ArrowWriteResult:
        """The result in which some failed rows count as matched, since their documents were stored before.

        Parameters
        ----------
        rows
            Positions of these rows.
        first_row
            The position of the first row in data that the write had a part of: `failed` counts from there.
        """
        failed = [{**each, "row": each["row"] + first_row} for each in self._failures() if each["row"] not in rows]
        counts = dict(self._counts)
        settled = counts["failures"] - len(failed)
        encoded = b"".join(bson.encode(each, codec_options=_PLAIN) for each in failed)
        counts.update(failures=len(failed), failed=encoded, matched=counts["matched"] + settled)
        return ArrowWriteResult(counts)

    @property
    def rows(self) -> int:
        """The number of rows that the server has replied to, those that failed included."""
        return self._count("rows")

    @property
    def inserted_count(self) -> int:
        """The number of inserted documents."""
        return self._count("inserted")

    @property
    def matched_count(self) -> int:
        """The number of documents that updates and replacements matched."""
        return self._count("matched")

    @property
    def modified_count(self) -> int:
        """The number of documents that they changed."""
        return self._count("modified")

    @property
    def upserted_count(self) -> int:
        """The number of documents that they inserted."""
        return self._count("upserted")

    @property
    def deleted_count(self) -> int:
        """The number of deleted documents."""
        return self._count("deleted")

    @property
    def unknown_count(self) -> int:
        """The number of rows that were sent, and whose reply was lost: the server may have written them."""
        return self._count("unknown")

    @property
    def failed_count(self) -> int:
        """The number of rows that the server refused."""
        return self._count("failures")

    @property
    def failed(self) -> Result:
        """The rows that the server refused, as a table.

        `row` is the position in the data from 0, `_id` that of the document or of the key, `code` and `message` are the
        server's, and `details` has the rest of its reason: the index with the key, the rule of the validator.
        """
        documents = sorted(self._failures(), key=lambda each: each["row"])
        encoded = b"".join(bson.encode(each, codec_options=_PLAIN) for each in documents)
        schema = None if documents else {"row": "int64", "_id": "objectid", "code": "int32", "message": "string"}
        return read_bson(encoded, schema=schema).read()

    @property
    def skipped(self) -> list[SkippedValues]:
        """The values that BSON cannot hold, and that `on_conflict` or `rounding` made null or rounded."""
        return [SkippedValues(*each) for each in self._counts["skipped"]]

    @property
    def write_concern_errors(self) -> list[dict[str, Any]]:
        """The server's write concern errors: the writes were done."""
        return bson.decode_all(self._counts["write_concern_errors"]) if self._counts["write_concern_errors"] else []

    def _failures(self) -> list[dict[str, Any]]:
        return bson.decode_all(self._counts["failed"], _PLAIN) if self._counts["failed"] else []

    def _count(self, name: str) -> int:
        count: int = self._counts[name]
        return count

    def check(self) -> None:
        """
        Raises
        ------
        ArrowWriteError
            When rows failed, or a write concern was not met.
        """
        if not self.failed_count and not self._counts["write_concern_errors"]:
            return
        if self.failed_count:
            first = min(self._failures(), key=lambda each: each["row"])
            more = f"; {self.failed_count - 1:,} more failed" if self.failed_count > 1 else ""
            text = f"row {first['row']} failed: {first['message']}{more}"
            code = first["code"]
        else:
            concern = self.write_concern_errors[-1]
            text = f"the write concern was not met: {concern.get('errmsg', '')}"
            code = concern.get("code", 0)
        error = server_errors.made(ArrowWriteError, text, code, None)
        error.write_result = self  # type: ignore[attr-defined]
        raise error

    def __repr__(self) -> str:
        return f"ArrowWriteResult({', '.join(f'{name}={self._counts[name]:,}' for name in _NUMBERS)})"


def _summed(skipped: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return one entry for each path."""
    found: dict[Any, tuple[Any, ...]] = {}
    for path, nulled, rounded, first_row in skipped:
        _, other_nulled, other_rounded, other_row = found.get(tuple(path), (path, 0, 0, first_row))
        found[tuple(path)] = path, nulled + other_nulled, rounded + other_rounded, min(first_row, other_row)
    return [*found.values()]


_PLAIN: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=0)
