"""Stored documents, a function of their `_id`: every read can compute the documents that it must give."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa
from bson.int64 import Int64

DATABASE = "soak"
EPOCH = dt.datetime(2020, 1, 1)
SCHEMA = pa.schema(
    [
        ("_id", pa.int32()),
        ("n", pa.int64()),
        ("half", pa.float64()),
        ("text", pa.string()),
        ("at", pa.timestamp("ms", "UTC")),
        ("d", pa.struct([("a", pa.list_(pa.int32())), ("even", pa.bool_())])),
    ]
)


class WrongRows(Exception):
    """A read gave other rows than the stored ones, without an error."""


class Shape:
    """A collection: so many documents with so many words each."""

    def __init__(self, name: str, count: int, words: int) -> None:
        self.name = name
        self.count = count
        self._words = words

    def document(self, number: int) -> dict[str, Any]:
        return {
            "_id": number,
            "n": Int64(number * 2_654_435_761 % 2**40),
            "half": number / 2,
            "text": f"word {number} " * (1 + number % self._words),
            "at": EPOCH + dt.timedelta(seconds=number),
            "d": {"a": list(range(1 + number % 4)), "even": number % 2 == 0},
        }

    @cached_property
    def documents(self) -> list[dict[str, Any]]:
        return [self.document(number) for number in range(self.count)]

    @cached_property
    def table(self) -> pa.Table:
        return pa.Table.from_pylist(self.documents, SCHEMA)


SHAPES = {shape.name: shape for shape in (Shape("small", 4_000, 9), Shape("large", 400, 3_000))}
"""Many replies of few bytes; few replies that are decoded by several threads."""


class Want(NamedTuple):
    """The rows of one read: those of `shape` from `low` to `high`, in this order."""

    shape: Shape
    low: int
    high: int

    @property
    def filter(self) -> dict[str, Any]:
        return {"_id": {"$gte": self.low, "$lt": self.high}}

    @property
    def stages(self) -> list[dict[str, Any]]:
        return [{"$match": self.filter}, {"$sort": {"_id": 1}}]

    def document(self, position: int, found: Any) -> None:
        """Check the row that a loop received at a position."""
        if self.low + position >= self.high:
            raise WrongRows(f"row {position} of {self}: one too many")
        expected = self.shape.documents[self.low + position]
        if found != expected:
            raise WrongRows(f"row {position} of {self}: {str(found)[:200]}")

    def all_documents(self, found: list[Any]) -> None:
        self.whole(len(found))
        for position, each in enumerate(found):
            self.document(position, each)

    def table(self, found: pa.Table, offset: int = 0) -> None:
        """Rows from `offset` on, as many as `found` has."""
        expected = self.shape.table.slice(self.low + offset, len(found))
        if offset + len(found) > self.high - self.low or not found.equals(expected):
            ids = found.column("_id").to_pylist() if "_id" in found.column_names else found.column_names
            raise WrongRows(f"{len(found)} rows from {offset} on of {self}: {ids[:3]} to {ids[-3:]}")

    def whole(self, count: int) -> None:
        """A read that ended without an error gave so many rows."""
        if count != self.high - self.low:
            raise WrongRows(f"{count} rows of {self}, and a clean end")

    def __str__(self) -> str:
        return f"{self.shape.name}[{self.low}:{self.high}]"


def load(database: Any) -> None:
    """Stores everything; `database` is PyMongo's, with the write concern that must outlive a server."""
    for shape in SHAPES.values():
        database.drop_collection(shape.name)
        database[shape.name].insert_many(shape.documents)
