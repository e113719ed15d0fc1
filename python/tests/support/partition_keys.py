"""Documents whose `_id`s have every type that a server stores: the oracle of partitions."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import bson
from bson import Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from bson.binary import Binary, UuidRepresentation
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database

START = dt.datetime(2024, 1, 1)


def raw(tag: int, value: bytes) -> RawBSONDocument:
    """A document whose `_id` has a type that PyMongo does not write."""
    body = bytes([tag]) + b"_id\0" + value + b"\0"
    return RawBSONDocument((len(body) + 4).to_bytes(4, "little") + body)


def text(value: str) -> bytes:
    """The value of a string or a symbol."""
    encoded = value.encode() + b"\0"
    return len(encoded).to_bytes(4, "little") + encoded


def ids(of_each: int) -> list[Any]:
    """Values of each type, none of them equal for a server."""
    return [
        MinKey(),
        MaxKey(),
        None,
        float("nan"),
        float("inf"),
        False,
        True,
        *range(of_each),
        *(Int64(2**40 + number) for number in range(of_each)),
        *(number + 0.5 for number in range(of_each)),
        *(Decimal128(Decimal(number) + Decimal("0.25")) for number in range(of_each)),
        *(f"text {number}" for number in range(of_each)),
        *({"a": number, "b": [number, None]} for number in range(of_each)),
        *(bytes([number % 256, number // 256]) for number in range(of_each)),
        *(Binary.from_uuid(uuid.UUID(int=number), UuidRepresentation.STANDARD) for number in range(of_each)),
        *(ObjectId(f"{number:024x}") for number in range(of_each)),
        *(START + dt.timedelta(days=number) for number in range(of_each)),
        *(Timestamp(1_700_000_000 + number, number) for number in range(of_each)),
        *(Code(f"f{number}()") for number in range(of_each)),
        *(Code(f"f{number}()", {"x": number}) for number in range(of_each)),
    ]


def insert(collection: Collection[Any], of_each: int = 65, *, symbols: bool = True) -> int:
    """Insert documents with these ids, and with ids of old types; return their number."""
    documents: list[Any] = [
        {"_id": value, "n": number, "even": number % 2 == 0} for number, value in enumerate(ids(of_each))
    ]
    twice = b"\x10a\0\x01\0\0\0\x10a\0\x02\0\0\0\0"
    if symbols:
        documents += [raw(0x0E, text(f"symbol {number}")) for number in range(of_each)]
    documents += [raw(0x0C, text("c") + number.to_bytes(12, "big")) for number in range(of_each)]
    # A key that occurs twice: no driver sends it as a bound.
    documents += [raw(0x03, (len(twice) + 4).to_bytes(4, "little") + twice)]
    collection.insert_many(documents)
    return len(documents)


COLLATION = {"locale": "en", "strength": 1, "numericOrdering": True}
NAMES = ("plain", "clustered", "capped", "collated", "view")


def store(database: Database[Any]) -> None:
    """Store documents with ids of every type in each kind of collection; replaces the database."""
    database.client.drop_database(database)
    database.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True})
    database.create_collection("capped", capped=True, size=1 << 20)
    database.create_collection("collated", collation=COLLATION)
    for name in ("plain", "clustered", "capped", "collated"):
        # An index with a collation has no symbols.
        insert(database[name], symbols=name != "collated")
    database.create_collection("view", viewOn="plain", pipeline=[{"$match": {"even": {"$ne": False}}}, {"$unset": "n"}])


def rows(documents: Iterable[Any]) -> Counter[str]:
    """The documents as PyMongo reads them, with the number of times that each occurs."""
    return Counter(repr(bson.decode(document.raw)) for document in documents)
