"""Many statements: gathered into commands as large as a server takes, sent one after the other, their answers added up.

Statements are taken from their iterator as they are sent, so that a generator of documents is never held whole.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import bson

from . import failure, statement
from ._core import InvalidOperation, InvalidQuery, Operation, ServerTimeout
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


class Send(Protocol):
    """Starts one command: its bytes, whether it may be sent a second time, and the seconds it may take."""

    def __call__(self, command: bytes, retry: bool, timeout: float | None) -> Operation[bytes]: ...


class Deadline:
    """Seconds that are left for an operation of many commands."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """What is left of them.

        Raises
        ------
        ServerTimeout
            When nothing is.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise ServerTimeout(f"no answer from the server within {self._seconds:g} s")
        return left


def heads(collection: str, ordered: bool, shared: Mapping[str, Any], options: CodecOptions[Any]) -> dict[str, bytes]:
    """What a command of each kind says before its statements; `let` is not for inserts."""
    from . import encode

    result = {}
    for kind in KINDS:
        fields = {key: value for key, value in shared.items() if kind != "insert" or key != "let"}
        result[kind] = encode.document({kind: collection, "ordered": ordered, **fields}, options, "options")
    return result


def grouped(statements: Iterable[tuple[int, Statement]]) -> Iterator[tuple[int, Statement]]:
    """For unordered writes: inserts, then updates, then deletions, so that few commands are needed."""
    everything = list(statements)
    for kind in KINDS:
        yield from (entry for entry in everything if entry[1].kind == kind)


def run(
    statements: Iterator[tuple[int, Statement]],
    heads: Mapping[str, bytes],
    ordered: bool,
    acknowledged: bool,
    send: Send,
    timeout: float | None,
    options: CodecOptions[Any],
) -> Generator[Operation[bytes], bytes, dict[str, Any]]:
    """Send all statements, each with its position among the caller's.

    Raises
    ------
    BulkWriteError
        When some failed: at once if `ordered`, else after all were tried.
    InvalidOperation
        When there are none.
    """
    deadline = Deadline(timeout)
    totals = _Totals()
    batch: _Batch | None = None
    for position, one in statements:
        if batch is None or not batch.takes(one):
            if batch is not None:
                reply = yield send(batch.command(), batch.once, deadline.left())
                if not totals.add(batch, bson.decode(reply, options), acknowledged) and ordered:
                    raise totals.error()
            batch = _Batch(one.kind, heads[one.kind])
        batch.add(position, one)
    if batch is None:
        raise InvalidOperation("no operations to execute")
    reply = yield send(batch.command(), batch.once, deadline.left())
    totals.add(batch, bson.decode(reply, options), acknowledged)
    if totals.failed:
        raise totals.error()
    return totals.details


class _Batch:
    """The statements of one command."""

    def __init__(self, kind: str, head: bytes) -> None:
        self.kind = kind
        self.once = True
        self.ops: list[Any] = []
        self.positions: list[int] = []
        self._head = head
        self._items: list[bytes] = []
        self._room = statement.MAX_COMMAND_BYTES - _ENVELOPE_BYTES - len(head) - 16 - len(FIELDS[kind])

    def takes(self, one: Statement) -> bool:
        """Whether one more fits."""
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
        return statement.command(self._head, FIELDS[self.kind], self._items)


class _Totals:
    """What all commands did so far."""

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

    @property
    def failed(self) -> bool:
        return bool(self.details["writeErrors"] or self.details["writeConcernErrors"])

    def error(self) -> Exception:
        return failure.bulk(self.details, tuple(sorted(self._labels)))

    def add(self, batch: _Batch, reply: Mapping[str, Any], acknowledged: bool) -> bool:
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
        concern = failure.concern_error(reply)
        if concern:
            details["writeConcernErrors"].append(concern)
        self._labels.update(reply.get("errorLabels") or ())
        return not errors
