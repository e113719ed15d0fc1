"""Documents whose values engines and MongoDB compare differently, and the commands that a server got."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import UuidRepresentation
from pymongo.database import Database

NAN = float("nan")
START = dt.datetime(2024, 1, 1)
INTS = [None, 0, -1, 5, 7, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
FLOATS = [None, 0.0, -0.0, 1.5, 5.0, NAN, float("inf"), float("-inf"), -5.5, 1e300]
TEXTS = [None, "", "a", "A", "ab", "z", "5", "ä", "f" * 24, "a.b"]
IDS = [ObjectId(f"{number:024x}") for number in range(5)]
FAR = [DatetimeMS(-(10**14)), DatetimeMS(10**14)]
DATES = [None, START, START + dt.timedelta(milliseconds=1), dt.datetime(1969, 1, 1), *FAR]
MIXED = [None, 5, "5", 5.5, [9], {"x": 1}, True, Code("f"), Regex("a"), MinKey(), MaxKey(), Timestamp(1, 1), b"x"]
LISTS: list[Any] = [None, [], [1], [9, 3], [None]]


def documents() -> list[dict[str, Any]]:
    """Documents with each value of each column, and without keys."""
    columns: dict[str, list[Any]] = {
        "i": [None if value is None else Int64(value) for value in INTS],
        "f": FLOATS,
        "s": TEXTS,
        "o": [None, *IDS],
        "b": [None, True, False],
        "t": DATES,
        "m": MIXED,
        "l": LISTS,
        "n": [None, {}, {"x": 1}, {"x": 5, "y": NAN}, {"x": None}],
        "u": [None, *(Binary.from_uuid(uuid.UUID(int=n), UuidRepresentation.STANDARD) for n in range(3))],
        "d": [None, Decimal128(Decimal("1.5")), Decimal128(Decimal(5)), Decimal128(Decimal("-0"))],
        "y": [None, b"", b"bytes"],
    }
    drawn = random.Random(17)
    found = []
    for number in range(120):
        present = {name: drawn.choice(values) for name, values in columns.items() if drawn.random() < 0.9}
        found.append({"_id": number, **present})
    return found


@contextlib.contextmanager
def profiled(database: Database[Any]) -> Iterator[Any]:
    """A call that returns the finds and aggregates that the server got."""
    database.command("profile", 0)
    database.drop_collection("system.profile")
    database.command("profile", 2)

    def commands() -> list[dict[str, Any]]:
        entries = database.system.profile.find({"ns": f"{database.name}.c", "op": {"$in": ["query", "command"]}}).sort(
            "ts", 1
        )
        found = [entry["command"] for entry in entries]
        return [command for command in found if "find" in command or "aggregate" in command]

    try:
        yield commands
    finally:
        database.command("profile", 0)
