"""Writes: the same call on our collections, sync and async, and on PyMongo's leaves the same documents, gives the same
result, or the same error.
"""

from __future__ import annotations

import atexit
import collections
import datetime as dt
import functools
import inspect
import types
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import bson
import pymongo
import pytest
from bson import SON, DBRef, ObjectId, Regex
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from oracle import assert_same
from pymongo.collation import Collation
from pymongo.database import Database
from strategies import documents, framed, one_of_each

import data_bridge
from data_bridge import Document, InvalidQuery, MongoClient

Mongo = Database[dict[str, Any]]
BOTH_SIDES = True
START = [{"_id": i, "a": i % 3, "s": "xX"[i % 2], "l": [{"n": i}, {"n": i + 1}]} for i in range(6)]
AFTER = data_bridge.ReturnDocument.AFTER


class Mine(dict):  # type: ignore[type-arg]
    """A mapping of the user's own."""


def tidy(value: Any) -> Any:
    """Without what differs from run to run."""
    if isinstance(value, Mapping):
        volatile = ("$clusterTime", "operationTime", "electionId", "opTime")
        return {key: tidy(item) for key, item in value.items() if key not in volatile}
    if isinstance(value, list):
        return [tidy(item) for item in value]
    return value


def described(result: Any) -> Any:
    """The name of a result's class, and its public attributes."""
    if result is None or isinstance(result, (Mapping, list, str)):
        return tidy(result.to_dict() if isinstance(result, Document) else result)
    names = [name for name in dir(type(result)) if not name.startswith("_")]
    return type(result).__name__, {name: tidy(getattr(result, name)) for name in names}


async def outcome(call: Callable[[Any], Any], collection: Any) -> tuple[Any, ...]:
    """Return the result or the exception of a call."""
    try:
        result = call(collection)
        if inspect.isawaitable(result):
            result = await result
        return ("result", described(result))
    except Exception as error:  # noqa: BLE001 - whatever it is, both must raise it
        code, details = getattr(error, "code", None), getattr(error, "details", None)
        return ("error", type(error).__name__, code, tidy(details))


CALLS: dict[str, Callable[[Any], Any]] = {
    "insert_one": lambda c: c.insert_one({"_id": 9, "x": 1}),
    "insert_one twice": lambda c: c.insert_one({"_id": 1}),
    "insert_one SON": lambda c: c.insert_one(SON([("b", 1), ("_id", 9)])),
    "insert_one of a subclass": lambda c: c.insert_one(Mine(b=1, _id=9)),
    "insert_one odd keys": lambda c: c.insert_one({"_id": 9, "$set": 1, "a.b": {"$x": 2}, "": {".": 3}}),
    "insert_one list": lambda c: c.insert_one([{"_id": 9}]),
    "insert_one None": lambda c: c.insert_one(None),
    "insert_one list as _id": lambda c: c.insert_one({"_id": [1]}),
    "insert_one comment": lambda c: c.insert_one({"_id": 9}, comment={"a": 1}, bypass_document_validation=True),
    "insert_many": lambda c: c.insert_many([{"_id": 8}, {"_id": 9}]),
    "insert_many of a generator": lambda c: c.insert_many({"_id": i} for i in range(10, 20)),
    "insert_many nothing": lambda c: c.insert_many([]),
    "insert_many of an empty generator": lambda c: c.insert_many(iter([])),
    "insert_many of a mapping": lambda c: c.insert_many({"_id": 9}),
    "insert_many of None": lambda c: c.insert_many(None),
    "insert_many of wrong things": lambda c: c.insert_many([{"_id": 9}, 1]),
    "insert_many ordered": lambda c: c.insert_many([{"_id": 9}, {"_id": 1}, {"_id": 10}, {"_id": 2}]),
    "insert_many unordered": lambda c: c.insert_many([{"_id": 9}, {"_id": 1}, {"_id": 10}, {"_id": 2}], ordered=False),
    "update_one": lambda c: c.update_one({"a": 1}, {"$set": {"b": 1}}),
    "update_one no match": lambda c: c.update_one({"a": 7}, {"$set": {"b": 1}}),
    "update_one no change": lambda c: c.update_one({"_id": 1}, {"$set": {"a": 1}}),
    "update_one upsert": lambda c: c.update_one({"_id": 9}, {"$set": {"b": 1}}, upsert=True),
    "update_one upsert null": lambda c: c.update_one({"_id": None}, {"$set": {"b": 1}}, upsert=True),
    "update_one upsert that matches": lambda c: c.update_one({"_id": 1}, {"$set": {"b": 1}}, upsert=True),
    "update_one pipeline": lambda c: c.update_one({"_id": 1}, [{"$set": {"b": "$a"}}, {"$unset": "s"}]),
    "update_one replacement": lambda c: c.update_one({"_id": 1}, {"b": 1}),
    "update_one empty": lambda c: c.update_one({"_id": 1}, {}),
    "update_one empty pipeline": lambda c: c.update_one({"_id": 1}, []),
    "update_one None": lambda c: c.update_one({"_id": 1}, None),
    "update_one filter None": lambda c: c.update_one(None, {"$set": {"b": 1}}),
    "update_one mixed": lambda c: c.update_one({"_id": 1}, {"$set": {"b": 1}, "b": 1}),
    "update_one immutable": lambda c: c.update_one({"_id": 1}, {"$set": {"_id": 2}}),
    "update_one unknown operator": lambda c: c.update_one({}, {"$nonsense": {"b": 1}}),
    "update_one array_filters": lambda c: c.update_one(
        {"_id": 1}, {"$set": {"l.$[e].n": 9}}, array_filters=[{"e.n": 1}]
    ),
    "update_one array_filters tuple": lambda c: c.update_one({}, {"$set": {"b": 1}}, array_filters=({},)),
    "update_one collation": lambda c: c.update_one(
        {"s": "X"}, {"$inc": {"b": 1}}, collation=Collation("en", strength=2)
    ),
    "update_one hint": lambda c: c.update_one({"_id": 1}, {"$inc": {"b": 1}}, hint="_id_"),
    "update_one hint pairs": lambda c: c.update_one({"_id": 1}, {"$inc": {"b": 1}}, hint=[("_id", 1)]),
    "update_one missing hint": lambda c: c.update_one({"_id": 1}, {"$inc": {"b": 1}}, hint="none"),
    "update_one let": lambda c: c.update_one({"$expr": {"$eq": ["$_id", "$$x"]}}, {"$inc": {"b": 1}}, let={"x": 3}),
    "update_one let list": lambda c: c.update_one({}, {"$inc": {"b": 1}}, let=[1]),
    "update_one upsert int": lambda c: c.update_one({}, {"$inc": {"b": 1}}, upsert=1),
    "update_many": lambda c: c.update_many({"a": 1}, {"$set": {"b": 1}}),
    "update_many all": lambda c: c.update_many({}, [{"$set": {"b": {"$add": ["$a", 1]}}}]),
    "update_many upsert": lambda c: c.update_many({"_id": 9}, {"$set": {"b": 1}}, upsert=True),
    "update_many fails": lambda c: c.update_many({}, {"$inc": {"s": 1}}),
    "replace_one": lambda c: c.replace_one({"_id": 1}, {"x": 1}),
    "replace_one upsert": lambda c: c.replace_one({"_id": 9}, {"x": 1}, upsert=True),
    "replace_one empty": lambda c: c.replace_one({"_id": 1}, {}),
    "replace_one operators": lambda c: c.replace_one({"_id": 1}, {"$set": {"x": 1}}),
    "replace_one dotted": lambda c: c.replace_one({"_id": 1}, {"a.b": {"$x": 1}}),
    "replace_one list": lambda c: c.replace_one({"_id": 1}, [{"$set": {"x": 1}}]),
    "replace_one other _id": lambda c: c.replace_one({"_id": 1}, {"_id": 2}),
    "delete_one": lambda c: c.delete_one({"a": 1}),
    "delete_one no match": lambda c: c.delete_one({"a": 7}),
    "delete_one None": lambda c: c.delete_one(None),
    "delete_one bad": lambda c: c.delete_one({"$nonsense": 1}),
    "delete_many": lambda c: c.delete_many({"a": {"$gt": 0}}),
    "delete_many all": lambda c: c.delete_many({}),
    "delete_many options": lambda c: c.delete_many({"s": "X"}, collation={"locale": "en", "strength": 2}, hint="_id_"),
    "find_one_and_update": lambda c: c.find_one_and_update({"_id": 1}, {"$inc": {"a": 5}}),
    "find_one_and_update after": lambda c: c.find_one_and_update({"_id": 1}, {"$inc": {"a": 5}}, return_document=AFTER),
    "find_one_and_update no match": lambda c: c.find_one_and_update({"_id": 9}, {"$inc": {"a": 5}}),
    "find_one_and_update upsert": lambda c: c.find_one_and_update(
        {"_id": 9}, {"$inc": {"a": 5}}, upsert=True, return_document=AFTER
    ),
    "find_one_and_update sort": lambda c: c.find_one_and_update({}, {"$inc": {"a": 5}}, sort=[("a", -1), ("_id", -1)]),
    "find_one_and_update projection": lambda c: c.find_one_and_update({}, {"$inc": {"a": 5}}, {"a": 1, "_id": 0}),
    "find_one_and_update keys": lambda c: c.find_one_and_update({}, {"$inc": {"a": 5}}, ["a"]),
    "find_one_and_update pipeline": lambda c: c.find_one_and_update({}, [{"$set": {"b": "$a"}}], return_document=AFTER),
    "find_one_and_update array_filters": lambda c: c.find_one_and_update(
        {}, {"$set": {"l.$[e].n": 7}}, array_filters=[{"e.n": 0}], return_document=AFTER
    ),
    "find_one_and_update options": lambda c: c.find_one_and_update(
        {"s": "X"}, {"$inc": {"b": 1}}, hint="_id_", collation=Collation("en", strength=2), maxTimeMS=10_000
    ),
    "find_one_and_update return_document": lambda c: c.find_one_and_update({}, {"$inc": {"b": 1}}, return_document=3),
    "find_one_and_update replacement": lambda c: c.find_one_and_update({}, {"b": 1}),
    "find_one_and_update duplicate": lambda c: c.find_one_and_update(
        {"_id": {"$gt": 99}}, {"$set": {"_id": 1}}, upsert=True
    ),
    "find_one_and_replace": lambda c: c.find_one_and_replace({"_id": 1}, {"x": 1}),
    "find_one_and_replace after": lambda c: c.find_one_and_replace({"_id": 1}, {"x": 1}, return_document=AFTER),
    "find_one_and_replace operators": lambda c: c.find_one_and_replace({"_id": 1}, {"$set": {"x": 1}}),
    "find_one_and_delete": lambda c: c.find_one_and_delete({"a": 1}, sort=[("_id", -1)], projection={"l": 0}),
    "find_one_and_delete no match": lambda c: c.find_one_and_delete({"a": 7}),
}
# Arguments that PyMongo sends, and that a server ignores or names otherwise. Before PyMongo 4.20, the newest for
# Python 3.10, a wrong return_document is a ValueError.
STRICTER = {
    "update_one upsert int": "TypeError",
    "update_one let list": "TypeError",
    "find_one_and_update return_document": "TypeError",
}


@pytest.mark.parametrize("name", CALLS)
async def test_as_pymongo(name: str, client: MongoClient, database: Mongo) -> None:
    call, seen = CALLS[name], []
    for collection in (database.c, client[database.name].c):
        database.c.drop()
        database.c.insert_many(START)
        seen.append((await outcome(call, collection), list(database.c.find().sort("_id"))))
    theirs, ours = seen
    if name in STRICTER:
        assert ours[0][1] == STRICTER[name]
        assert ours[1] == START
    else:
        assert ours == theirs


def test_the_given_document_gets_its_id(client: MongoClient, database: Mongo) -> None:
    ours = client[database.name].c
    one, many = {"a": 1}, [{"a": 2}, {"a": 3}]
    assert ours.insert_one(one).inserted_id is one["_id"]
    assert ours.insert_many(many).inserted_ids == [document["_id"] for document in many]
    assert all(isinstance(document["_id"], ObjectId) for document in [one, *many])
    assert list(database.c.find()) == [one, *many]
    assert next(iter(database.c.find_one() or {})) == "_id"


def test_documents_of_other_kinds(client: MongoClient, database: Mongo) -> None:
    """A mapping that cannot be changed is stored with a new `_id`; bytes are stored as they are."""
    ours = client[database.name].c
    view = Document({"b": 1, "c": {"d": [1]}})
    key = ours.insert_one(view).inserted_id
    assert list((ours.find_one(key) or {}).items()) == [("_id", key), ("b", 1), ("c", {"d": [1]})]
    assert "_id" not in view
    frozen = types.MappingProxyType({"b": 2})
    assert ours.find_one(ours.insert_one(frozen).inserted_id)["b"] == 2  # type: ignore[index]
    read = ours.find_one({"b": 1}, {"_id": 0})
    assert read is not None
    nested = {"_id": 1, "view": read, "list": read["c"]["d"]}
    ours.insert_one(nested)
    assert ours.find_one(1) == {"_id": 1, "view": {"b": 1, "c": {"d": [1]}}, "list": [1]}
    assert ours.replace_one({"_id": 1}, read).modified_count == 1
    assert ours.find_one(1) == {"_id": 1, "b": 1, "c": {"d": [1]}}
    raw = RawBSONDocument(bson.encode({"_id": 2, "x": 1}))
    assert ours.insert_one(raw).inserted_id is None
    assert ours.insert_many([RawBSONDocument(bson.encode({"_id": 3}))]).inserted_ids == []
    assert ours.find_one(2) == {"_id": 2, "x": 1}
    ordered = collections.OrderedDict(z=1, a=2, _id=4)
    ours.insert_one(ordered)
    assert list(ours.find_one(4) or {}) == ["_id", "z", "a"]


def test_bytes_are_not_changed(client: MongoClient, database: Mongo) -> None:
    """Keys that occur twice, old types and odd regular expressions reach the server, and come back."""
    ours = client[database.name].c
    types_ = [(tag, name, value) for name, (tag, value) in one_of_each().items() if name != "_id"]
    one, two = b"\x01\0\0\0", b"\x02\0\0\0"
    elements = [(0x10, "_id", one), (0x10, "a", one), (0x10, "a", two), *types_]
    twice = framed(elements)
    ours.insert_one(RawBSONDocument(twice))
    ours.insert_one({"_id": 2})
    ours.replace_one({"_id": 2}, RawBSONDocument(framed(elements[1:])))
    options: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
    first, second = database.c.with_options(codec_options=options).find().sort("_id")
    assert first.raw == twice  # type: ignore[attr-defined]
    assert second.raw[13:] == twice[13:]  # type: ignore[attr-defined]


def test_text_that_is_not_utf8(client: MongoClient, database: Mongo) -> None:
    """It is stored as it is; the document that a deletion returns is not lost for it."""
    options: CodecOptions[Any] = CodecOptions(unicode_decode_error_handler="replace")
    ours = client[database.name].c.with_options(codec_options=options)
    bad = framed([(0x10, "_id", b"\x01\0\0\0"), (0x02, "s", b"\x03\0\0\0\xff\xfe\0")])
    ours.insert_one(RawBSONDocument(bad))
    with pytest.raises(data_bridge.DuplicateKeyError):
        ours.insert_one(RawBSONDocument(bad))
    for found in (ours.find_one_and_update({}, {"$set": {"a": 1}}), ours.find_one_and_delete({}, {"a": 0})):
        assert found == {"_id": 1, "s": "\ufffd\ufffd"}
    assert database.c.count_documents({}) == 0


@given(document=documents())
def test_every_type(mongodb_uri: str, document: dict[str, Any]) -> None:
    """Values read back equal those that PyMongo reads of its own writes."""
    theirs, ours = shared(mongodb_uri)
    theirs.delete_many({})
    document.pop("_id", None)
    options = theirs.codec_options
    encoded = bson.encode({"_id": 1, **document}, codec_options=options)
    theirs.insert_one({"_id": 1, **document})
    ours.insert_one({"_id": 2, **document})
    ours.insert_many([{"_id": 3, **document}])
    ours.insert_one({"_id": 4})
    ours.update_one({"_id": 4}, [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {}]}}])
    raw = theirs.with_options(codec_options=options.with_options(document_class=RawBSONDocument))
    first, *others = [bytes(found.raw) for found in raw.find({"_id": {"$lt": 4}}).sort("_id")]  # type: ignore[attr-defined]
    assert len(others) == 2
    assert all(other[12:] == first[12:] for other in others)
    if "$" not in "".join(key[:1] for key in document):
        ours.replace_one({"_id": 4}, document)
        given_back = ours.find_one_and_replace({"_id": 4}, {})
        assert given_back is not None
        assert_same(given_back.to_dict(), bson.decode(encoded, options) | {"_id": 4})


@functools.cache
def shared(uri: str) -> tuple[Any, Any]:
    """One collection for all examples of a test."""
    options: CodecOptions[Any] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
    clients = pymongo.MongoClient[dict[str, Any]](uri), MongoClient(uri)
    for client in clients:
        atexit.register(client.close)
    theirs, ours = (client.data_bridge_test_every_type.c.with_options(codec_options=options) for client in clients)
    return theirs, ours


@pytest.mark.parametrize(
    "document",
    [{"a\0b": 1}, {"a": {"b\0": 1}}, {1: 2}, {"a": object()}, {"a": 2**64}, {"a": "\ud800"}, {"a": {1, 2}}],
    ids=["nul", "nested nul", "int key", "object", "large int", "surrogate", "set"],
)
def test_what_cannot_be_encoded(document: Any, client: MongoClient, database: Mongo) -> None:
    ours = client[database.name].c
    with pytest.raises(InvalidQuery):
        ours.insert_one(document)
    with pytest.raises(InvalidQuery, match=r"documents\[1\]"):
        ours.insert_many([{"_id": 1}, document])
    with pytest.raises(InvalidQuery):
        ours.update_one({}, {"$set": document})
    with pytest.raises(InvalidQuery):
        ours.replace_one({}, document)
    assert database.c.count_documents({}) == 0


@pytest.mark.parametrize("levels", [150, 180, 185, 5_000, 300_000])
def test_depth(levels: int, client: MongoClient, database: Mongo) -> None:
    ours = client[database.name].c
    document: dict[str, Any] = {}
    for _ in range(levels - 1):
        document = {"a": document}
    if levels <= 180:
        ours.insert_one(document)
        found = ours.find_one_and_delete({})
        assert found is not None
        assert found.to_bson() == bson.encode(document)
    elif levels < 190:
        with pytest.raises(data_bridge.WriteError, match="180 levels"):
            ours.insert_one(document)
    else:
        with pytest.raises(InvalidQuery, match="nested deeper"):
            ours.insert_one(document)
        deep = bson.decode(bson.encode({"a": 1}))
        for _ in range(1):
            deep["self"] = deep
        with pytest.raises(InvalidQuery, match="nested deeper"):
            ours.insert_one(deep)
    while document:  # a deep structure is taken apart here, as the interpreter's own way recurses
        document = document.pop("a", {})


def test_codec_options(client: MongoClient, database: Mongo) -> None:
    options: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD, tz_aware=True)
    ours = client[database.name].c.with_options(codec_options=options)
    key, moment = uuid.uuid4(), dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)
    ours.insert_one({"_id": key, "t": moment, "ref": DBRef("c", 1), "r": Regex("a", "i")})
    document = ours.find_one_and_update({"_id": key}, {"$set": {"u": key}}, return_document=AFTER)
    assert document == {"_id": key, "t": moment, "ref": DBRef("c", 1), "r": Regex("a", "i"), "u": key}
    assert ours.update_one({"_id": uuid.uuid4()}, {"$set": {"a": 1}}, upsert=True).upserted_id.version == 4
    with pytest.raises(InvalidQuery, match="UUID"):
        client[database.name].c.insert_one({"_id": key})
