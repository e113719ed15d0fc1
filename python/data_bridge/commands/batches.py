"""Many statements: encoded into commands of a few megabytes, sent one after the other, their replies added up.

Documents are taken from their iterator as they are sent, so that a generator of documents is never held whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bson.raw_bson import RawBSONDocument

from .._core import InsertEncoder, ServerTimeout, WriteCommand, encode_requests
from ..errors import InvalidOperation
from . import encode, server_errors, statement

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions

MAX_STATEMENTS = 100_000
"""Statements a server takes in one command (maxWriteBatchSize)."""
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


def heads(
    kind: str,
    collection: str,
    ordered: bool,
    acknowledged: bool,
    shared: Mapping[str, Any],
    options: CodecOptions[Any],
) -> tuple[bytes, bytes]:
    """The part of a command before its statements: for all commands but the last, and for the last.

    Ordered writes without acknowledgement stop at the first error, so each command but the last requests an
    acknowledgement: as PyMongo's, with the server's default write concern in place of w=0.
    """
    last = head(kind, collection, ordered, shared, options)
    if acknowledged or not ordered:
        return last, last
    rest = {name: value for name, value in shared.items() if name != "writeConcern"}
    return head(kind, collection, ordered, rest, options), last


def head(kind: str, collection: str, ordered: bool, shared: Mapping[str, Any], options: CodecOptions[Any]) -> bytes:
    """Encode the fields of a command before its statements; inserts take no `let`."""
    fields = {key: value for key, value in shared.items() if kind != "insert" or key != "let"}
    return encode.document({kind: collection, "ordered": ordered, **fields}, options, "options")


def inserts(
    documents: Iterable[Any], heads: tuple[bytes, bytes], options: CodecOptions[Any], ids: list[Any]
) -> Iterator[Batch]:
    """Commands that insert documents, each as large as a server takes; documents are taken as the commands are.

    Parameters
    ----------
    heads
        As of `heads`.
    ids
        Gets the `_id` of each document, but for those of RawBSONDocuments.

    Raises
    ------
    InvalidOperation
        When there are no documents.
    DocumentTooLarge
        For a document that no command can hold.
    """

    def encode_other(document: Any, place: int) -> bytes:
        key, one = statement.insert(document, options, f"documents[{place}]")
        if not isinstance(document, RawBSONDocument):
            ids.append(key)
        return one.encoded

    encoder = InsertEncoder(
        documents,
        heads=heads,
        max_statements=MAX_STATEMENTS,
        options=options,
        levels=encode.STORED_DEPTH,
        ids=ids,
        encode_other=encode_other,
    )
    if (made := encoder.next_command()) is None:
        raise InvalidOperation("no operations to execute")
    while made is not None:
        command, taken = made
        yield Batch(command, taken.__getitem__)
        made = encoder.next_command()


def requests(
    operations: list[Any], ordered: bool, heads: Mapping[str, tuple[bytes, bytes]], options: CodecOptions[Any]
) -> list[Batch]:
    """Commands of the operations of a bulk: in order, or inserts, then updates, then deletions.

    Raises
    ------
    InvalidOperation
        When there are no operations.
    TypeError, ValueError, InvalidQuery
        For one that cannot be sent.
    """
    if not operations:
        raise InvalidOperation("no operations to execute")

    def encode_other(request: Any, place: int) -> bytes:
        return statement.of_request(request, options, place).encoded

    def shown(command: WriteCommand) -> Callable[[int], Any]:
        def op(index: int) -> Any:
            place = command.place(index)
            return statement.of_request(operations[place], options, place).op

        return op

    commands = encode_requests(
        operations,
        ordered=ordered,
        heads=(heads["insert"], heads["update"], heads["delete"]),
        max_statements=MAX_STATEMENTS,
        options=options,
        levels=(encode.MAX_DEPTH, encode.STORED_DEPTH),
        encode_other=encode_other,
    )
    return [Batch(command, shown(command)) for command in commands]


class Batch(NamedTuple):
    """A command of many statements."""

    command: WriteCommand
    op: Callable[[int], Any]
    """The statement at an index of the command, as an error shows it."""


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
        kind, place = batch.command.kind, batch.command.place
        if kind == "insert":
            details["nInserted"] += count
        elif kind == "delete":
            details["nRemoved"] += count
        else:
            upserted = reply.get("upserted") or []
            details["upserted"] += [{**entry, "index": place(entry["index"])} for entry in upserted]
            details["nUpserted"] += len(upserted)
            details["nMatched"] += count - len(upserted)
            details["nModified"] += reply.get("nModified", 0)
        errors = reply.get("writeErrors") or []
        for error in errors:
            index = error["index"]
            details["writeErrors"].append({**error, "index": place(index), "op": batch.op(index)})
        concern = server_errors.concern_error(reply)
        if concern:
            details["writeConcernErrors"].append(concern)
        self._labels.update(reply.get("errorLabels") or ())
        return not errors
