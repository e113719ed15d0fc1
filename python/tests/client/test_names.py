"""Names of databases and collections, as PyMongo accepts them, and names and filters that are never sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymongo import MongoClient as PyMongoClient
from pymongo import errors as pymongo_errors
from pymongo.database import Database as PyMongoDatabase

from data_bridge import (
    DataBridgeError,
    IndexModel,
    InsertOne,
    InvalidQuery,
    MongoClient,
    OperationFailure,
    ReplaceOne,
    UpdateOne,
    odm,
)
from data_bridge._core import check_names

CLIENT = MongoClient("127.0.0.1", 9, serverSelectionTimeoutMS=1)
C = CLIENT.a.b
LONG = "\u00e6" * 128  # 256 bytes


NAMES = [
    *["", "a\0b", "\0", "a.b", ".a", "a.", "a..b", "$a", "a$b", "$", " ", "a b", "a/b", "a\\b", 'a"b'],
    *[
        "a*b",
        "<a>",
        "a:b",
        "a|b",
        "a?",
        "x" * 64,
        "\u00e6" * 32,
        LONG,
        "$external",
        "$cmd.a",
        "oplog.$main",
        "\U0001f600",
    ],
]


@pytest.mark.parametrize("name", NAMES)
def test_names_as_pymongo(name: str) -> None:
    # The handle and the core apply the same rule, at the time when the handle is made.
    theirs = PyMongoClient("127.0.0.1", 9, connect=False)
    for ours, pymongo in (
        (lambda: CLIENT[name], lambda: theirs[name]),
        (lambda: CLIENT.a[name], lambda: theirs.a[name]),
        (lambda: CLIENT.a.b[name], lambda: theirs.a.b[name]),
        (lambda: check_names(name), lambda: theirs[name]),
        (lambda: check_names("a", name), lambda: theirs.a[name]),
    ):
        try:
            pymongo()
        except pymongo_errors.InvalidName:
            with pytest.raises(InvalidQuery):
                ours()
        else:
            ours()


@pytest.mark.parametrize("name", ["a*b", "<a>", "a|b?"])
def test_names_that_some_platforms_refuse(
    client: MongoClient, database: PyMongoDatabase[dict[str, Any]], name: str
) -> None:
    ours = client[f"{database.name}{name}"]
    try:
        ours[name].insert_one({"_id": 1})
        assert database.client[ours.name][name].find_one() == {"_id": 1}
        assert ours[name].find_one() == {"_id": 1}
        assert ours[name].count_documents({}) == 1
        assert ours.list_collection_names() == [name]
    finally:
        database.client.drop_database(ours.name)


@pytest.mark.parametrize("length", [64, 300])
def test_lengths_that_the_server_refuses(client: MongoClient, length: int) -> None:
    for collection in (client["x" * length].c, client.a["x" * length]):
        if length == 64 and collection.database.name == "a":
            continue
        with pytest.raises(OperationFailure):
            collection.insert_one({})


@pytest.mark.parametrize("name", ["", "a\0b", "a.b", "$a", "a$b", " ", "a/b", "\ud800"])
def test_databases(name: str) -> None:
    for use in (
        lambda: CLIENT[name],
        lambda: CLIENT.get_database(name),
        lambda: CLIENT.get_default_database(name or "\0"),
        lambda: CLIENT._core.find(  # the core checks again
            name, "c", b"", b"", session=None, selection=b"", timeout=1.0, eager=True, resume=False, codec=_codec()
        ),
    ):
        with pytest.raises((InvalidQuery, ValueError, UnicodeEncodeError)):
            use()


def _codec() -> Any:
    from data_bridge.connection.codec import native

    return native(CLIENT.codec_options)


@pytest.mark.parametrize("name", ["", "a\0b", "\0", ".a", "a.", "a..b", "$a", "a$b", "$", "\ud800"])
def test_collections(name: str) -> None:
    for use in (
        lambda: CLIENT.a[name],
        lambda: CLIENT.a.get_collection(name),
        lambda: CLIENT.a.b[name] if name else CLIENT.a[name],
    ):
        with pytest.raises(InvalidQuery):
            use()


@pytest.mark.parametrize("name", ["", "a\0b", "a$b", "a..b"])
def test_collections_of_models(name: str) -> None:
    settings = type("Settings", (), {"name": name})
    with pytest.raises(InvalidQuery):
        odm.init(CLIENT.a, [type("Model", (odm.Document,), {"__module__": __name__, "Settings": settings})])


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800"])
def test_indexes(name: str) -> None:
    for use in (
        lambda: IndexModel("a", name=name),
        lambda: C.create_index("a", name=name),
        lambda: C.drop_index(name),
    ):
        with pytest.raises(InvalidQuery):
            use()
    with pytest.raises(TypeError):
        IndexModel("a", name=3)


@pytest.mark.parametrize(
    "write",
    [
        lambda: C.insert_one({"a\0b": 1}),
        lambda: C.insert_one({"a": {"b\0": 1}}),
        lambda: C.insert_many([{}, {"\0": 1}]),
        lambda: C.replace_one({}, {"a\0b": 1}),
        lambda: C.update_one({"a\0": 1}, {"$set": {"a": 1}}),
        lambda: C.update_one({}, {"$set": {"a\0": 1}}),
        lambda: C.update_one({}, {"$rename": {"a\0": "b"}}),
        lambda: C.update_many({}, [{"$set": {"a\0": 1}}]),
        lambda: C.delete_one({"a\0": 1}),
        lambda: C.find_one_and_update({"a\0": 1}, {"$set": {"a": 1}}),
        lambda: C.bulk_write([InsertOne({"a\0": 1})]),
        lambda: C.bulk_write([UpdateOne({"a\0": 1}, {"$set": {"a": 1}})]),
        lambda: C.bulk_write([ReplaceOne({}, {"a\0": 1})]),
        lambda: C.create_index("a\0b"),
        lambda: C.create_index([("a", 1), ("\0", 1)]),
        lambda: C.find({"a\0": 1}),
        lambda: C.find({}, {"a\0": 1}),
        lambda: C.find(sort="a\0"),
        lambda: C.find(hint={"a\0": 1}),
        lambda: C.find(let={"a\0": 1}),
        lambda: C.aggregate([{"$match": {"a\0": 1}}]),
        lambda: C.aggregate([{"$merge\0": "b"}]),
        lambda: C.count_documents({"a\0": 1}),
        lambda: C.distinct("a", {"a\0": 1}),
        lambda: CLIENT.a.command({"ping\0": 1}),
        lambda: CLIENT.a.command("ping\0"),
    ],
)
def test_keys_with_nul(write: Callable[[], Any]) -> None:
    # Not a connection failure, which is what it would be had anything been sent.
    with pytest.raises(InvalidQuery):
        write()


@pytest.mark.parametrize(
    "stage",
    [
        *({"$out": name} for name in ("", "a\0b", "$a", LONG)),
        *({"$out": {"db": name, "coll": "c"}} for name in ("a\0b", "a.b", "$a", LONG)),
        *({"$merge": {"into": name}} for name in ("", "a\0b", "$a", LONG)),
        *({"$merge": {"into": {"db": name, "coll": "c"}}} for name in ("a\0b", "a.b", "$a", LONG)),
    ],
)
def test_targets_of_pipelines(client: MongoClient, database: PyMongoDatabase[dict[str, Any]], stage: Any) -> None:
    # Pipelines are the programmer's, and not read: the server refuses, and nothing is there afterwards.
    database.c.insert_one({"_id": 1})
    with pytest.raises(OperationFailure):
        client[database.name].c.aggregate([stage]).read()
    assert database.list_collection_names() == ["c"]
    assert database.c.find_one() == {"_id": 1}


def nested(levels: int, make: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = make(value)
    return value


def asked_with(value: Any) -> list[Callable[[], Any]]:
    """Every way of handing a filter, a stage or a value in."""
    return [
        lambda: C.find(value).read(),
        lambda: list(C.find(value)),
        lambda: C.find_one(value),
        lambda: C.find({}, let={"x": value}).read(),
        lambda: C.aggregate([{"$match": value}]).read(),
        lambda: C.count_documents(value),
        lambda: C.distinct("a", value),
        lambda: C.insert_one(dict(value)),
        lambda: C.insert_many([dict(value)]),
        lambda: C.update_one(value, {"$set": {"a": 1}}),
        lambda: C.update_one({}, {"$set": value}),
        lambda: C.replace_one({}, value),
        lambda: C.delete_one(value),
        lambda: C.delete_many(value),
        lambda: C.bulk_write([InsertOne(dict(value))]),
        lambda: C.create_index("a", partialFilterExpression=value),
        lambda: CLIENT.a.command({"find": "b", "filter": value}),
        lambda: CLIENT.list_database_names(value),
        lambda: CLIENT.a.list_collection_names(value),
    ]


@pytest.mark.parametrize(
    "make", [lambda value: {"a": value}, lambda value: {"a": {"$not": [value]}}, lambda value: {"a": (1, value)}]
)
def test_depth(make: Callable[[Any], Any]) -> None:
    # Deeper than any stack of ours or of `bson`; released level by level, as the interpreter recurses too.
    deep = nested(100_000, make)
    for ask in asked_with(deep):
        with pytest.raises(InvalidQuery, match="deep"):
            ask()


def test_cycles() -> None:
    mapping: dict[str, Any] = {}
    mapping["a"] = {"b": [mapping]}
    items: list[Any] = []
    items.append(items)
    for value in (mapping, {"a": items}, {"a": {"$in": [{"b": items}]}}):
        for ask in asked_with(value):
            with pytest.raises(InvalidQuery):
                ask()


@pytest.mark.parametrize("value", [{"a": 1 << 63}, {"a": -(10**5000)}, {"a": "x" * (20 << 20)}])
def test_sizes(value: dict[str, Any]) -> None:
    for ask in asked_with(value):
        with pytest.raises(InvalidQuery) as caught:
            ask()
        assert len(str(caught.value)) < 300


def test_lengths_that_lie() -> None:
    import bson
    from bson.raw_bson import RawBSONDocument

    honest = bson.encode({"a": "text", "b": [1, {"c": 2}]})
    for at in (0, honest.index(b"text") - 4, honest.index(b"\x04b\0") + 3):
        for lie in (0, 3, 2**31 - 1, 2**32 - 1):
            bad = honest[:at] + lie.to_bytes(4, "little") + honest[at + 4 :]
            try:
                given = RawBSONDocument(bad)
            except bson.errors.InvalidBSON:
                continue
            for ask in asked_with(given)[:5]:
                # The core checks bytes that PyMongo does not: nothing is sent, and nothing is read behind their end.
                with pytest.raises((DataBridgeError, bson.errors.InvalidBSON)) as caught:
                    ask()
                assert "no server" not in str(caught.value)
