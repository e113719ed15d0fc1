"""Many statements: gathered into commands as large as a server takes, sent one after the other, their answers added up.

Statements are taken from their iterator as they are sent, so that a generator of documents is never held whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .._core import InvalidQuery, ServerTimeout
from ..errors import InvalidOperation
from . import encode, server_errors, statement
from .statement import Statement

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions

_MAX_STATEMENTS = 100_000
"""Statements a server takes in one command (maxWriteBatchSize)."""
_ITEM_BYTES = 8
"""Type, position and NUL that a statement takes in a list of up to 100,000."""
_ENVELOPE_BYTES = 1 << 10
"""Room for the elements that are added to each command: session, transaction number, cluster time, database, time."""
FIELDS = {"insert": "documents", "update": "updates", "delete": "deletes"}
KINDS = tuple(FIELDS)


class Deadline:
    """Seconds that are left for an operation of many commands; the first command starts it, and has all of them."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end: float | None = None

    def left(self) -> float | None:
        """Return the seconds that are left for a command that is sent now.

        Raises
        ------
        ServerTimeout
            When the deadline has passed.
        """
        if self._seconds is None:
            return None
        if self._end is None:
            self._end = time.monotonic() + self._seconds
            return self._seconds
        left = self._end - time.monotonic()
        if left <= 0:
            raise ServerTimeout(f"no answer from the server within {self._seconds:g} s")
        return left


def head(kind: str, collection: str, ordered: bool, shared: Mapping[str, Any], options: CodecOptions[Any]) -> bytes:
    """Encode the fields of a command before its statements; inserts take no `let`."""
    fields = {key: value for key, value in shared.items() if kind != "insert" or key != "let"}
    return encode.document({kind: collection, "ordered": ordered, **fields}, options, "options")


def grouped(statements: Iterable[tuple[int, Statement]]) -> Iterator[tuple[int, Statement]]:
    """For unordered writes: inserts, then updates, then deletions, so that few commands are needed."""
    everything = list(statements)
    for kind in KINDS:
        yield from (entry for entry in everything if entry[1].kind == kind)


def cut(
    statements: Iterable[tuple[int, Statement]], heads: Mapping[str, bytes], checked_heads: Mapping[str, bytes]
) -> Iterator[Batch]:
    """Commands as large as a server takes, in order; statements are taken from their iterator as the commands are.

    Parameters
    ----------
    heads
        The part of the last command before its statements, for each kind.
    checked_heads
        The same for all other commands. Ordered writes without acknowledgement stop at the first error, so each command
        but the last requests an acknowledgement.

    Raises
    ------
    InvalidOperation
        When there are no statements.
    InvalidQuery
        For a statement that no command can hold.
    """
    batch: Batch | None = None
    for position, one in statements:
        if batch is None or not batch.takes(one):
            if batch is not None:
                batch.head = checked_heads[batch.kind]
                yield batch
            batch = Batch(one.kind, max(len(heads[one.kind]), len(checked_heads[one.kind])))
        batch.add(position, one)
    if batch is None:
        raise InvalidOperation("no operations to execute")
    batch.head = heads[batch.kind]
    yield batch


class Batch:
    """The statements of one command."""

    def __init__(self, kind: str, head_bytes: int) -> None:
        self.kind = kind
        self.once = True
        self.ops: list[Any] = []
        self.positions: list[int] = []
        self.head = b""
        self._items: list[bytes] = []
        self._room = statement.MAX_COMMAND_BYTES - _ENVELOPE_BYTES - head_bytes - 16 - len(FIELDS[kind])

    def takes(self, one: Statement) -> bool:
        """Return whether one more statement fits."""
        size = len(one.encoded) + _ITEM_BYTES
        return one.kind == self.kind and len(self._items) < _MAX_STATEMENTS and size <= self._room

    def add(self, position: int, one: Statement) -> None:
        size = len(one.encoded) + _ITEM_BYTES
        if size > self._room:
            raise InvalidQuery(f"operation {position} has {size:,} bytes, and no command can have more than 16 MiB")
        self._room -= size
        self._items.append(one.encoded)
        self.ops.append(one.op)
        self.positions.append(position)
        self.once = self.once and one.once

    def command(self) -> bytes:
        return statement.command(self.head, FIELDS[self.kind], self._items)


class Totals:
    """The sum of the replies so far."""

    def __init__(self) -> None:
        self.details: dict[str, Any] = {
            "writeErrors": [],
            "writeConcernErrors": [],
            "nInserted": 0,
            "nUpserted": 0,
            "nMatched": 0,
            "nModified": 0,
            "nRemoved": 0,
            "upserted": [],
        }
        self._labels: set[str] = set()

    def result(self) -> dict[str, Any]:
        """The details of a BulkWriteResult.

        Raises
        ------
        BulkWriteError
            When a statement or a write concern failed.
        """
        if self.details["writeErrors"] or self.details["writeConcernErrors"]:
            raise server_errors.bulk(self.details, tuple(sorted(self._labels)))
        return self.details

    def add(self, batch: Batch, reply: Mapping[str, Any], acknowledged: bool) -> bool:
        """Add a reply; False when a statement in it failed."""
        if not acknowledged:
            return True
        details, count = self.details, reply.get("n", 0)
        if batch.kind == "insert":
            details["nInserted"] += count
        elif batch.kind == "delete":
            details["nRemoved"] += count
        else:
            upserted = reply.get("upserted") or []
            details["upserted"] += [{**entry, "index": batch.positions[entry["index"]]} for entry in upserted]
            details["nUpserted"] += len(upserted)
            details["nMatched"] += count - len(upserted)
            details["nModified"] += reply.get("nModified", 0)
        errors = reply.get("writeErrors") or []
        for error in errors:
            place = error["index"]
            details["writeErrors"].append({**error, "index": batch.positions[place], "op": batch.ops[place]})
        concern = server_errors.concern_error(reply)
        if concern:
            details["writeConcernErrors"].append(concern)
        self._labels.update(reply.get("errorLabels") or ())
        return not errors
