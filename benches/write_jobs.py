"""Jobs that write, beside a bare socket that sends documents which were encoded before."""

from __future__ import annotations

import itertools
import struct
import uuid
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from jobs import pymongo_collection
from registry import Counted, Target, Work, group, job
from shapes import DATABASE

WRITTEN = ("flat", "nested", "wide")
COPY = "written"
COMMAND_BYTES = 16 << 20
SEQUENCE_BYTES = 48_000_000 - (16 << 10)
STATEMENTS = 100_000

group("insert dicts", ("flat", "nested"))
group("bulk_write dicts", ("flat",))
group("insert arrow", WRITTEN)
group("upsert unchanged", WRITTEN)


def fresh(target: Target) -> Any:
    """An empty collection, PyMongo's."""
    collection = pymongo_collection(target).database[COPY]
    collection.drop()
    collection.database.create_collection(COPY)
    return collection


def documents(target: Target) -> list[dict[str, Any]]:
    return list(pymongo_collection(target).find())


def counted(collection: Any, write: Callable[[], Any]) -> Work:
    return lambda: Counted(write(), lambda: collection.count_documents({}))


# ---- the bare socket -------------------------------------------------------------------------------------------------


def lists(head: dict[str, Any], key: str, statements: list[bytes]) -> Iterator[bytes]:
    """Commands of the list form, up to 16 MiB."""
    start = bson.encode({**head, "$db": DATABASE})[4:-1] + b"\x04" + key.encode() + b"\0"
    for part in parts(statements, COMMAND_BYTES, 10):
        items = b"".join(b"\x03%d\0%b" % (position, item) for position, item in enumerate(part))
        body = start + struct.pack("<i", len(items) + 5) + items + b"\0\0"
        yield b"\0\0\0\0\0" + struct.pack("<i", len(body) + 4) + body


def sequences(head: dict[str, Any], key: str, statements: list[bytes]) -> Iterator[bytes]:
    """Commands with a document sequence, up to 48 MB."""
    start = b"\0\0\0\0\0" + bson.encode({**head, "$db": DATABASE})
    for part in parts(statements, SEQUENCE_BYTES, 0):
        items = b"".join(part)
        yield start + b"\x01" + struct.pack("<i", len(items) + len(key) + 5) + key.encode() + b"\0" + items


def parts(statements: list[bytes], most: int, extra: int) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for statement in statements:
        if part and (len(part) == STATEMENTS or size + len(statement) + extra > most):
            yield part
            part, size = [], 0
        part.append(statement)
        size += len(statement) + extra
    yield part


NUMBER = b"\x12txnNumber\0"


Statements = Callable[[Target, list[dict[str, Any]], Any], list[bytes]]
"""Prepares an empty collection, and returns the statements that write the documents to it."""


def inserts(target: Target, found: list[dict[str, Any]], collection: Any) -> list[bytes]:
    return [bson.encode(each) for each in found]


def upserts(target: Target, found: list[dict[str, Any]], collection: Any) -> list[bytes]:
    collection.insert_many(found)
    return [bson.encode({"q": {"_id": each.pop("_id")}, "u": {"$set": each}, "upsert": True}) for each in found]


def merges(target: Target, found: list[dict[str, Any]], collection: Any) -> list[bytes]:
    """Those of `upsert_arrow`, which set the leaves of embedded documents by their paths."""
    from data_bridge._core import encode_arrow

    collection.insert_many(found)
    encoded = encode_arrow(table(target), "update", on=[["_id"]], nulls="omit", upsert=True)
    return [bytes(each.raw) for each in bson.decode_all(encoded, bson.CodecOptions(RawBSONDocument))]


def by_socket(
    form: Callable[..., Iterator[bytes]], statements: Statements = inserts, numbered: bool = False
) -> Callable[[Target], Work]:
    """`numbered`: each command has a session and a number, by which the server recognises one that is sent again."""

    def make(target: Target) -> Work:
        from socket_drain import SocketDrain

        found = documents(target)
        collection = fresh(target)
        command, key = ("insert", "documents") if statements is inserts else ("update", "updates")
        head: dict[str, Any] = {command: COPY}
        if numbered:
            head |= {"lsid": {"id": bson.Binary.from_uuid(uuid.uuid4())}, "txnNumber": bson.Int64(0)}
        messages = [bytearray(each) for each in form(head, key, statements(target, found, collection))]
        numbers = itertools.count(1)
        drain = SocketDrain(target.uri)

        def write() -> None:
            for message in messages:
                if numbered:
                    struct.pack_into("<q", message, message.index(NUMBER) + len(NUMBER), next(numbers))
                reply = bson.decode(drain.send(message))
                if not reply["ok"] or "writeErrors" in reply:
                    raise ConnectionError(f"the server answered {reply}")

        return counted(collection, write)

    return make


for _group, _statements in (("insert dicts", inserts), ("insert arrow", inserts), ("upsert unchanged", upserts)):
    job(_group, "socket")(by_socket(lists, _statements))
    job(_group, "socket sequences")(by_socket(sequences, _statements))
    job(_group, "socket numbered")(by_socket(lists, _statements, numbered=True))
job("upsert unchanged", "socket merging")(by_socket(lists, merges))
job("upsert unchanged", "socket merging, numbered")(by_socket(lists, merges, numbered=True))
job("bulk_write dicts", "socket")(by_socket(lists))


# ---- dicts -----------------------------------------------------------------------------------------------------------


@job("insert dicts", "pymongo")
def pymongo_insert(target: Target) -> Work:
    found, collection = documents(target), fresh(target)
    return counted(collection, lambda: collection.insert_many(found))


@job("bulk_write dicts", "pymongo")
def pymongo_bulk(target: Target) -> Work:
    from pymongo import InsertOne

    found, collection = documents(target), fresh(target)
    return counted(collection, lambda: collection.bulk_write([InsertOne(each) for each in found]))


def ours(target: Target) -> Any:
    import data_bridge

    client = data_bridge.MongoClient(target.uri)
    client["admin"].command("ping")
    return client[DATABASE][COPY]


@job("insert dicts", "data_bridge")
def our_insert(target: Target) -> Work:
    found, collection, writer = documents(target), fresh(target), ours(target)
    return counted(collection, lambda: writer.insert_many(found))


@job("bulk_write dicts", "data_bridge")
def our_bulk(target: Target) -> Work:
    from data_bridge import InsertOne

    found, collection, writer = documents(target), fresh(target), ours(target)
    return counted(collection, lambda: writer.bulk_write([InsertOne(each) for each in found]))


# ---- tables ----------------------------------------------------------------------------------------------------------


def table(target: Target) -> Any:
    import data_bridge

    with data_bridge.MongoClient(target.uri) as client:
        return client[DATABASE][target.shape].find(types="exact").to_arrow()


@job("insert arrow", "data_bridge")
def our_arrow_insert(target: Target) -> Work:
    data, collection, writer = table(target), fresh(target), ours(target)
    return counted(collection, lambda: writer.insert_arrow(data))


@job("insert arrow", "data_bridge parallel=2")
def our_parallel_insert(target: Target) -> Work:
    data, collection, writer = table(target), fresh(target), ours(target)
    return counted(collection, lambda: writer.insert_arrow(data, ordered=False, parallel=2))


@job("insert arrow", "pymongoarrow")
def pymongoarrow_insert(target: Target) -> Work:
    find: Any = import_module("pymongoarrow.api").find_arrow_all
    write: Any = import_module("pymongoarrow.api").write
    data = find(pymongo_collection(target), {})
    collection = fresh(target)
    return counted(collection, lambda: write(collection, data))


@job("upsert unchanged", "data_bridge")
def our_upsert(target: Target) -> Work:
    data, found, collection, writer = table(target), documents(target), fresh(target), ours(target)
    collection.insert_many(found)

    def write() -> None:
        result = writer.upsert_arrow(data)
        if result.modified_count or result.upserted_count:
            raise AssertionError(f"an unchanged collection was changed: {result}")

    return counted(collection, write)


@job("upsert unchanged", "pymongo")
def pymongo_upsert(target: Target) -> Work:
    from pymongo import UpdateOne

    found, collection = documents(target), fresh(target)
    collection.insert_many(found)

    def write() -> None:
        requests = [
            UpdateOne({"_id": each["_id"]}, {"$set": {key: each[key] for key in each if key != "_id"}}, upsert=True)
            for each in found
        ]
        collection.bulk_write(requests)

    return counted(collection, write)
