"""Clients, databases, collections: addresses, names, counts, commands, sessions. PyMongo is the oracle."""

from __future__ import annotations

import copy
import pickle
from typing import Any
from uuid import uuid4

import pymongo
import pytest
from bson import CodecOptions, ObjectId
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion, TypeRegistry
from bson.son import SON
from pymongo.database import Database
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import SecondaryPreferred

import data_bridge
from data_bridge import AsyncMongoClient, InvalidQuery, MongoClient, OperationFailure
from data_bridge.connection import uri as uri_module

Mongo = Database[dict[str, Any]]
BOTH_SIDES = True


def built(*args: Any, **kwargs: Any) -> str:
    host, port = (*args, None, None)[:2]
    return uri_module.build(host, port, kwargs).uri.reveal().replace("serverSelectionTimeoutMS=30000", "")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (built(), "mongodb://localhost:27017/?"),
        (built("h", 5), "mongodb://h:5/?"),
        (built("h:1", 5), "mongodb://h:1/?"),
        (built("::1"), "mongodb://[::1]:27017/?"),
        (built("[::1]:7"), "mongodb://[::1]:7/?"),
        (built("/tmp/m.sock"), "mongodb://%2Ftmp%2Fm.sock/?"),
        (built(["a", "b:2"], 9), "mongodb://a:9,b:2/?"),
        (built("mongodb://u:p%40@h/db?w=1"), "mongodb://u:p%40@h/db?w=1&"),
        (built("mongodb://a+b:c+%2B@h"), "mongodb://a%20b:c%20%2B@h/?"),
        (built("mongodb+srv://h/"), "mongodb+srv://h/?"),
        (built(username="a b", password="p@:/?"), "mongodb://a%20b:p%40%3A%2F%3F@localhost:27017/?"),
        (built("mongodb://x:y@h", username="z"), "mongodb://z@h/?"),
        (built(tls=True, retryReads=False), "mongodb://localhost:27017/?tls=true&retryReads=false&"),
        (built("mongodb://h/?tls=false", tls=True), "mongodb://h/?tls=true&"),
        (built(compressors=["zlib", "zstd"]), "mongodb://localhost:27017/?compressors=zlib,zstd&"),
        (built(ssl=True), "mongodb://localhost:27017/?tls=true&"),
        (
            built(readPreferenceTags=[{"dc": "ny", "rack": "1"}, {}]),
            "mongodb://localhost:27017/?readPreferenceTags=dc:ny,rack:1&readPreferenceTags=&",
        ),
        (
            built("mongodb://h/?readPreferenceTags=a:b&readPreferenceTags="),
            "mongodb://h/?readPreferenceTags=a:b&readPreferenceTags=&",
        ),
        (
            built(authMechanismProperties={"SERVICE_NAME": "m", "CANONICALIZE_HOST_NAME": True}),
            "mongodb://localhost:27017/?authMechanismProperties=SERVICE_NAME:m,CANONICALIZE_HOST_NAME:true&",
        ),
    ],
)
def test_address(made: str, expected: str) -> None:
    assert made == expected


def test_deadlines_of_pymongo_become_ours() -> None:
    assert MongoClient().timeout == 600
    assert MongoClient(timeoutMS=5000).timeout == 5
    assert MongoClient(socketTimeoutMS=2500).timeout == 2.5
    assert MongoClient("mongodb://h/?timeoutMS=1500").timeout == 1.5
    assert MongoClient(timeoutMS=5000, timeout=3).timeout == 3
    assert MongoClient(timeoutMS=0).timeout is None
    assert MongoClient(timeout=None).timeout is None


def test_codec_options_from_keywords_and_uri() -> None:
    options = MongoClient("mongodb://h/?tz_aware=true&uuidRepresentation=standard").codec_options
    assert options.tz_aware
    assert options.uuid_representation == UuidRepresentation.STANDARD
    assert MongoClient().codec_options.datetime_conversion == DatetimeConversion.DATETIME_AUTO
    assert MongoClient("mongodb://h/?tz_aware=true", tz_aware=False).codec_options.tz_aware is False
    assert MongoClient(uuidRepresentation="javaLegacy").codec_options.uuid_representation == 5


@pytest.mark.parametrize(
    "keywords",
    [
        {"document_class": SON},
        {"type_registry": TypeRegistry()},
        {"tz_aware": "perhaps"},
        {"uuidRepresentation": "round"},
        {"unicode_decode_error_handler": "surrogateescape"},
        {"foo": 1},
        {"host": "mongodb://h/?foo=1"},
        {"host": "mongodb://h/?tls"},
        {"host": "http://h"},
        {"host": "mongodb://"},
        {"event_listeners": []},
        {"password": "x"},
        {"timeout": 0},
        {"timeoutMS": -1},
    ],
)
def test_bad_settings(keywords: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        MongoClient(**keywords)


def test_navigation(client: MongoClient, database: Mongo) -> None:
    ours = client[database.name]
    assert ours.a.b.full_name == ours["a.b"].full_name == f"{database.name}.a.b"
    assert ours.a["b"] == ours["a.b"] != ours.a
    assert hash(ours.a["b"]) == hash(ours["a.b"])
    assert ours.a.database == ours
    assert ours.client == client
    assert client.get_database(database.name) == ours
    with pytest.raises(ValueError, match="default database"):
        MongoClient("mongodb://h").get_default_database()
    assert MongoClient("mongodb://h/shop").get_default_database().name == "shop"


@pytest.mark.parametrize("kind", [MongoClient, AsyncMongoClient])
def test_names_of_pymongo_never_become_children(kind: Any) -> None:
    ours, theirs = kind(), pymongo.MongoClient(connect=False)
    for own, other in ((ours, theirs), (ours.a, theirs.a), (ours.a.b, theirs.a.b)):
        for name in dir(other):
            if name.startswith("_") or hasattr(type(own), name):
                continue
            with pytest.raises(AttributeError, match="to_pymongo"):
                getattr(own, name)
        with pytest.raises(AttributeError):
            _ = own._private
        assert not hasattr(own, "__arrow_c_stream__")
        assert not hasattr(own, "_repr_html_")
    theirs.close()


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a$", "a/b", "a\\b", "a\0b", 'a"b', "\ud800"])
def test_bad_database_names(name: str) -> None:
    with pytest.raises(InvalidQuery):
        MongoClient()[name]


@pytest.mark.parametrize("name", ["", ".a", "a.", "a..b", "$a", "a$b", "a\0b"])
def test_bad_collection_names(name: str) -> None:
    with pytest.raises(InvalidQuery):
        MongoClient().db[name]


def test_names_must_be_text() -> None:
    with pytest.raises(TypeError):
        MongoClient()[1]  # type: ignore[index]
    with pytest.raises(TypeError):
        MongoClient().db[b"x"]  # type: ignore[index]


def test_what_handles_are_not() -> None:
    client = MongoClient("mongodb://user:hunter2@h/?appName=x")
    for handle in (client, client.a, client.a.b):
        assert "hunter2" not in repr(handle)
        assert "hunter2" not in str(handle)
        with pytest.raises(NotImplementedError):
            bool(handle)
        with pytest.raises(TypeError):
            iter(handle)
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(handle)
        with pytest.raises(TypeError, match="pickled"):
            copy.deepcopy(handle)
    with pytest.raises(TypeError, match="insert"):
        client.a.b.insert({})


def test_counts_and_distinct(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([{"_id": i, "k": i % 3, "s": "aAb"[i % 3]} for i in range(30)])
    ours = client[database.name].c
    for arguments in (
        {"filter": {}},
        {"filter": {"k": 1}},
        {"filter": {"k": {"$gt": 0}}, "skip": 3, "limit": 5},
        {"filter": {"k": 1}, "hint": "_id_", "comment": "x", "maxTimeMS": 5000},
        {"filter": {"s": "a"}, "collation": {"locale": "en", "strength": 2}},
    ):
        assert ours.count_documents(**arguments) == database.c.count_documents(**arguments)  # type: ignore[arg-type]
    assert ours.estimated_document_count() == 30
    assert ours.distinct("k") == database.c.distinct("k")
    assert ours.distinct("k", {"k": {"$ne": 0}}) == [1, 2]
    with pytest.raises(TypeError, match="unknown option"):
        ours.count_documents({}, batchSize=3)
    with pytest.raises(TypeError, match="mapping"):
        ours.count_documents([])  # type: ignore[arg-type]


def test_find_one(client: MongoClient, database: Mongo) -> None:
    key = ObjectId()
    database.c.insert_many([{"_id": key, "a": 1}, {"_id": 7, "a": 2}, {"_id": 8, "a": 2}])
    ours = client[database.name].c
    for arguments in (
        ((key,), {}),
        ((7,), {}),
        (({"a": 2},), {"sort": [("_id", -1)]}),
        (({"a": 2}, ["a"]), {"skip": 1}),
    ):
        document = ours.find_one(*arguments[0], **arguments[1])
        assert document is not None
        assert document.to_dict() == database.c.find_one(*arguments[0], **arguments[1])
    assert ours.find_one({"a": 3}) is None
    assert client[database.name].missing.find_one() is None


def test_lists_and_commands(client: MongoClient, database: Mongo) -> None:
    database.a.insert_one({"x": 1})
    database.b.insert_one({})
    ours = client[database.name]
    assert sorted(ours.list_collection_names()) == ["a", "b"]
    assert ours.list_collection_names({"name": "a"}) == ["a"]
    assert database.name in client.list_database_names()
    assert client.list_database_names({"name": database.name}) == [database.name]
    assert ours.command("ping")["ok"] == 1
    assert ours.command({"count": "a", "query": {"x": 1}})["n"] == 1
    assert ours.command("count", "a", query={"x": 2})["n"] == 0
    assert client.server_info()["version"] == database.client.server_info()["version"]
    with pytest.raises(OperationFailure) as caught:
        ours.command("noSuchCommand")
    assert caught.value.code == 59
    assert caught.value.code_name == "CommandNotFound"


def test_codec_options_reach_commands_and_queries(client: MongoClient, database: Mongo) -> None:
    key = uuid4()
    options = CodecOptions(uuid_representation=UuidRepresentation.STANDARD, tz_aware=True)
    database.get_collection("c", options).insert_one({"_id": 1, "u": key})  # type: ignore[arg-type]
    ours = client[database.name].c.with_options(codec_options=options)
    assert ours.find_one({"u": key}) is not None
    assert ours.distinct("u") == [key]
    assert ours.find().to_dicts() == [{"_id": 1, "u": key}]
    with pytest.raises(ValueError, match="document_class"):
        client.a.with_options(codec_options=CodecOptions(document_class=SON))
    with pytest.raises(TypeError):
        client.a.with_options(codec_options={})  # type: ignore[arg-type]


def test_read_preference_and_concern(client: MongoClient, database: Mongo) -> None:
    database.c.insert_one({"_id": 1})
    ours = client[database.name].c
    for preference in ("secondaryPreferred", "primary", SecondaryPreferred(max_staleness=120)):
        assert len(ours.with_options(read_preference=preference).find().read()) == 1
        assert len(ours.find(read_preference=preference).read()) == 1
    for concern in ("local", "majority", ReadConcern("majority"), ReadConcern()):
        assert len(ours.find(read_concern=concern).read()) == 1
        assert ours.with_options(read_concern=concern).count_documents({}) == 1
    with pytest.raises(ValueError, match="read_preference"):
        ours.find(read_preference="somewhere")
    with pytest.raises(TypeError):
        ours.find(read_concern=3)


def test_sessions(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([{"_id": i} for i in range(5)])
    ours = client[database.name].c
    with client.start_session(causal_consistency=True) as session:
        assert len(ours.find({}, session=session).read()) == 5
        assert ours.count_documents({}, session=session) == 5
        assert ours.find_one({"_id": 3}, session=session) is not None
    assert session.has_ended
    with pytest.raises(RuntimeError, match="ended"):
        ours.find({}, session=session)
    with client.start_session(snapshot=True) as session:
        assert len(ours.find({}, session=session).read()) == 5
        database.c.insert_one({"_id": 9})
        assert len(ours.find({}, session=session).read()) == 5
    with MongoClient() as other, other.start_session() as session, pytest.raises(ValueError, match="another client"):
        ours.find({}, session=session)
    with pytest.raises(TypeError, match="start_session"):
        ours.find({}, session=object())


def test_transactions(client: MongoClient, database: Mongo) -> None:
    database.c.insert_one({"_id": 1})
    ours = client[database.name].with_options(read_concern="majority").c
    with client.start_session() as session:
        with session.start_transaction(read_concern="snapshot"):
            assert session.in_transaction
            assert len(ours.find({}, session=session).read()) == 1
            database.c.insert_one({"_id": 2})
            assert len(ours.find({}, session=session).read()) == 1
        assert not session.in_transaction
        assert len(ours.find({}, session=session).read()) == 2
        with pytest.raises(ZeroDivisionError), session.start_transaction():
            raise_after(ours.find({}, session=session).read())
        assert not session.in_transaction
        session.start_transaction()
        with pytest.raises(RuntimeError, match="open already"):
            session.start_transaction()


def raise_after(_: object) -> None:
    raise ZeroDivisionError


def test_to_pymongo(mongodb_uri: str, database: Mongo) -> None:
    with MongoClient(mongodb_uri, tz_aware=True, timeoutMS=20_000) as client:
        theirs = client.to_pymongo()
        assert isinstance(theirs, pymongo.MongoClient)
        assert theirs is client.to_pymongo()
        collection = client[database.name].c.with_options(read_preference="nearest").to_pymongo()
        assert collection.codec_options.tz_aware
        assert collection.read_preference.name == "Nearest"
        collection.insert_one({"_id": 1})
        assert client[database.name].c.find().to_dicts() == [{"_id": 1}]


def test_a_closed_client_says_so(mongodb_uri: str) -> None:
    client = MongoClient(mongodb_uri)
    client.admin.command("ping")
    client.close()
    client.close()
    # The same class as that of a run that close() ended: callers that share a client catch one class.
    with pytest.raises(data_bridge.DataBridgeError, match="closed"):
        client.admin.command("ping")
    with pytest.raises(data_bridge.DataBridgeError, match="closed"):
        client.admin.c.find().read()


def test_config() -> None:
    before = data_bridge.config()
    assert data_bridge.config(prefetch_bytes=before["prefetch_bytes"]) == before
    with pytest.raises(ValueError, match="positive"):
        data_bridge.config(prefetch_bytes=0)
    with pytest.raises(TypeError):
        data_bridge.config(threads=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("mongodb://a.invalid,b.invalid:1/", "a.invalid:27018,b.invalid:1"),
        ("a.invalid,b.invalid:1", "a.invalid:27018,b.invalid:1"),
        (["a.invalid", "b.invalid:1"], "a.invalid:27018,b.invalid:1"),
        ("mongodb://[::1]/", "::1:27018"),
        ("mongodb+srv://cluster.example.com/", "cluster.example.com"),
    ],
)
def test_the_port_is_that_of_hosts_that_name_none(host: Any, shown: str) -> None:
    assert repr(data_bridge.MongoClient(host, 27018)) == f"MongoClient('{shown}')"
