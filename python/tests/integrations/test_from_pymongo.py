"""PyMongo's handles, taken over: the same answers, the same settings, nothing left out in silence."""

from __future__ import annotations

import copy
import datetime as dt
import gc
import threading
import traceback
import uuid
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import CodecOptions, Decimal128
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion, TypeDecoder, TypeRegistry
from certificates import Authority
from pymongo.database import Database
from pymongo.monitoring import CommandListener
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import Nearest, Primary, Secondary, SecondaryPreferred
from pymongo.server_api import ServerApi
from pymongo.write_concern import WriteConcern

import data_bridge
from data_bridge.connection.settings import preference
from data_bridge.integrations.pymongo_handles import _own_clients

Documents = Database[dict[str, Any]]


_made: list[Any] = []


def made(**keywords: Any) -> Any:
    """A PyMongo client that never connects."""
    client: Any = pymongo.MongoClient(**{"host": "nowhere.invalid", **keywords}, connect=False)
    _made.append(client)
    return client


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Closes what `made` made, and ours that were made of it."""
    yield
    while _made:
        client = _made.pop()
        for ours in _own_clients[id(client)].ours.values() if id(client) in _own_clients else ():
            if isinstance(ours, data_bridge.MongoClient):
                ours.close()
        client.close()


def test_each_kind_of_handle_becomes_ours(database: Documents) -> None:
    database.things.insert_one({"_id": 1})
    client = data_bridge.from_pymongo(database.client)
    assert type(client) is data_bridge.MongoClient
    ours = data_bridge.from_pymongo(database)
    assert type(ours) is data_bridge.Database
    assert ours.name == database.name
    things = data_bridge.from_pymongo(database.things)
    assert type(things) is data_bridge.Collection
    assert things.full_name == database.things.full_name
    assert things.find().to_dicts() == ours.things.find().to_dicts() == [{"_id": 1}]
    assert things.database.client is ours.client is client


async def test_asynchronous_ones_too(database: Documents, mongodb_uri: str) -> None:
    database.things.insert_one({"_id": 1})
    async with pymongo.AsyncMongoClient[dict[str, Any]](mongodb_uri) as client:
        assert type(data_bridge.from_pymongo(client)) is data_bridge.AsyncMongoClient
        assert type(data_bridge.from_pymongo(client[database.name])) is data_bridge.AsyncDatabase
        things = data_bridge.from_pymongo(client[database.name].things)
        assert type(things) is data_bridge.AsyncCollection
        assert await things.find().to_dicts() == [{"_id": 1}]
        sync = data_bridge.from_pymongo(client[database.name].things, asynchronous=False)
        assert sync.find().to_dicts() == [{"_id": 1}]
    other = data_bridge.from_pymongo(database.things, asynchronous=True)
    assert await other.find().to_dicts() == [{"_id": 1}]
    with pytest.raises(TypeError, match="asynchronous must be"):
        data_bridge.from_pymongo(database, asynchronous="yes")  # type: ignore[call-overload]


@pytest.mark.parametrize("other", [None, "mongodb://h", {}, object(), pymongo.MongoClient, iter([])])
def test_anything_else_is_refused(other: Any) -> None:
    with pytest.raises(TypeError, match="takes a MongoClient, Database or Collection"):
        data_bridge.from_pymongo(other)


def test_one_client_for_each(database: Documents, mongodb_uri: str) -> None:
    first = data_bridge.from_pymongo(database.client)
    assert data_bridge.from_pymongo(database.things).database.client is first
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as equal:
        # PyMongo's clients are equal when their servers are.
        assert equal == database.client
        assert data_bridge.from_pymongo(equal) is not first
    assert data_bridge.from_pymongo(database.client, asynchronous=True) is not first


def test_one_client_for_many_threads(mongodb_uri: str) -> None:
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.append(data_bridge.from_pymongo(client))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(each) for each in found}) == 1


def test_a_closed_client_of_ours_is_replaced(database: Documents, mongodb_uri: str) -> None:
    database.things.insert_one({"_id": 1})
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        ours = data_bridge.from_pymongo(client)
        ours.close()
        assert client[database.name].things.count_documents({}) == 1  # theirs is open
        again = data_bridge.from_pymongo(client)
        assert again is not ours
        assert again[database.name].things.find().to_dicts() == [{"_id": 1}]
        client.close()
        assert again[database.name].things.find().to_dicts() == [{"_id": 1}]
        with pytest.raises(data_bridge.InvalidOperation, match="closed"):
            data_bridge.from_pymongo(client)
        again.close()


def test_nothing_is_kept_of_clients_that_are_gone() -> None:
    client = made()
    reference = weakref.ref(data_bridge.from_pymongo(client))
    place = id(client)
    assert place in _own_clients
    assert reference() is data_bridge.from_pymongo(client)
    _made.clear()
    client.close()
    del client
    gc.collect()
    assert place not in _own_clients
    assert reference() is None


OPTIONS = {
    "appname": "reports",
    "compressors": "zlib",
    "zlibCompressionLevel": 3,
    "replicaSet": "rs",
    "serverSelectionTimeoutMS": 1500.0,
    "connectTimeoutMS": 2500,
    "maxPoolSize": 7,
    "retryWrites": False,
    "directConnection": False,
    "heartbeatFrequencyMS": 5000,
    "w": "majority",
    "authSource": "admin",
}


def test_options_of_keywords_and_uri_are_taken_over() -> None:
    said = {name: str(value).removesuffix(".0") for name, value in OPTIONS.items()}
    said = {name: text.lower() if text in ("True", "False") else text for name, text in said.items()}
    uri = "mongodb://nowhere.invalid/shop?" + "&".join(f"{name}={text}" for name, text in said.items())
    for client in (made(**OPTIONS), made(host=uri)):
        ours = data_bridge.from_pymongo(client)
        for name, text in said.items():
            assert f"{name}={text}".lower() in ours._address.uri.reveal().lower()
        # What the driver makes of them, PyMongo reads from the URI.
        theirs = ours.to_pymongo().options
        assert theirs.pool_options.appname == "reports"
        assert theirs.pool_options.max_pool_size == 7
        assert theirs.server_selection_timeout == 1.5
        assert theirs.write_concern == client.write_concern == WriteConcern("majority")
        assert not theirs.retry_writes
    assert data_bridge.from_pymongo(made(host=uri)).get_default_database().name == "shop"


def test_keywords_win_over_the_uri() -> None:
    client = made(host="mongodb://nowhere.invalid/?appName=one&tz_aware=false", appName="two", tz_aware=True)
    ours = data_bridge.from_pymongo(client)
    assert "appName=two" in ours._address.uri.reveal()
    assert "one" not in ours._address.uri.reveal()
    assert ours.codec_options.tz_aware is client.codec_options.tz_aware is True


@pytest.mark.parametrize(
    "arguments",
    [
        {"host": "a.invalid", "port": 27018},
        {"host": "a.invalid,b.invalid:1"},
        {"host": ["a.invalid", "b.invalid:1"], "port": 5},
        {"host": "mongodb://a.invalid,b.invalid:1/", "port": 27018},
        {"host": "mongodb://[::1]/", "port": 27018},
        {"host": "mongodb://%2Ftmp%2Fmongodb.sock", "port": 27018},
        {"host": None, "port": None},
        {"host": "mongodb://a.invalid/"},
    ],
)
def test_hosts_and_ports(arguments: dict[str, Any]) -> None:
    client = made(**arguments)
    ours = data_bridge.from_pymongo(client)
    assert ours.to_pymongo()._topology_settings.seeds == client._topology_settings.seeds


def test_credentials_arrive_and_are_never_shown() -> None:
    secret = "hunter2/:@%"
    by_uri = "mongodb://joe:hunter2%2F%3A%40%25@nowhere.invalid/?authSource=admin"
    for client in (made(username="joe", password=secret, authSource="admin"), made(host=by_uri)):
        ours = data_bridge.from_pymongo(client)
        credentials = ours.to_pymongo().options.pool_options._credentials
        assert (credentials.username, credentials.password, credentials.source) == ("joe", secret, "admin")
        for shown in (repr(ours), repr(ours.shop), repr(ours.shop.things.find()), repr(ours._address)):
            assert "hunter2" not in shown
            assert "joe" not in shown


@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        ({"server_api": ServerApi("1")}, "server_api"),
        ({"event_listeners": [CommandListener()]}, "event_listeners"),
        ({"server_selector": lambda servers: servers}, "server_selector"),
        ({"tls": True, "tlsAllowInvalidHostnames": True}, "tlsAllowInvalidHostnames"),
        ({"fsync": True}, "fsync"),
        ({"authMechanism": "MONGODB-OIDC", "authMechanismProperties": {"OIDC_CALLBACK": object()}}, "OIDC_CALLBACK"),
        ({}, "hedge"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*hedge:DeprecationWarning")
def test_what_is_not_supported_is_named_and_no_secret_shown(keywords: dict[str, Any], name: str) -> None:
    if name == "hedge":
        keywords = {"read_preference": SecondaryPreferred(hedge={"enabled": True})}
    if name == "OIDC_CALLBACK":
        client = made()
        client._init_kwargs.update(keywords)
    else:
        client = made(username="joe", password="hunter2", **keywords)
    with pytest.raises((ValueError, TypeError), match=name) as raised:
        data_bridge.from_pymongo(client)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_options_that_ask_for_nothing_are_no_obstacle() -> None:
    data_bridge.from_pymongo(
        made(event_listeners=[], server_api=None, fsync=False, waitQueueMultiple=None, max_adaptive_retries=1)
    )


@pytest.mark.parametrize(
    ("keywords", "encrypted"),
    [
        ({}, False),
        ({"tls": True}, True),
        ({"ssl": True}, True),
        ({"tls": False}, False),
        ({"tlsAllowInvalidCertificates": False}, True),
        ({"tlsAllowInvalidCertificates": True}, False),
        ({"tls": True, "tlsAllowInvalidCertificates": True}, True),
        ({"tls": True, "tlsInsecure": True}, True),
        ({"tlsCAFile": "ca.pem"}, True),
    ],
)
def test_encrypted_when_pymongo_is(keywords: dict[str, Any], encrypted: bool, tmp_path: Path) -> None:
    if "tlsCAFile" in keywords:
        keywords = {"tlsCAFile": str(Authority(tmp_path).certificate)}
    client = made(**keywords)
    assert (client.options.pool_options._ssl_context is not None) == encrypted
    uri = data_bridge.from_pymongo(client)._address.uri.reveal()
    assert ("tls=true" in uri) == encrypted
    if not encrypted:
        assert "tlsAllow" not in uri


CODECS = [
    {"tz_aware": True},
    {"tz_aware": True, "tzinfo": dt.timezone(dt.timedelta(hours=2))},
    {"uuidRepresentation": "standard"},
    {"uuidRepresentation": "javaLegacy"},
    {"datetime_conversion": "DATETIME_MS"},
    {"unicode_decode_error_handler": "ignore"},
    {},
]


@pytest.mark.parametrize("keywords", CODECS)
def test_values_are_what_pymongo_gives(database: Documents, mongodb_uri: str, keywords: dict[str, Any]) -> None:
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri, uuidRepresentation="standard") as writer:
        writer[database.name].things.insert_one(
            {"_id": uuid.uuid4(), "at": dt.datetime(2024, 5, 6), "d": Decimal128("1.5")}
        )
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri, **keywords) as client:
        ours = data_bridge.from_pymongo(client)
        assert ours.codec_options == client.codec_options
        expected = list(client[database.name].things.find())
        assert ours[database.name].things.find().to_dicts() == expected
        assert data_bridge.from_pymongo(client[database.name].things).find().to_dicts() == expected
        ours.close()


class _Decimals(TypeDecoder):
    bson_type = Decimal128

    def transform_bson(self, value: Any) -> Any:
        return value.to_decimal()


def test_codec_options_of_a_collection_are_its_own(database: Documents) -> None:
    database.things.insert_one({"_id": 1, "at": dt.datetime(2024, 5, 6)})
    aware = database.things.with_options(CodecOptions(tz_aware=True, uuid_representation=UuidRepresentation.STANDARD))
    assert data_bridge.from_pymongo(aware).codec_options == aware.codec_options
    assert data_bridge.from_pymongo(aware).find().to_dicts() == list(aware.find())
    assert data_bridge.from_pymongo(database.things).codec_options == database.codec_options
    assert data_bridge.from_pymongo(database).codec_options.datetime_conversion is DatetimeConversion.DATETIME


def test_unsupported_codec_options_are_named(mongodb_uri: str, database: Documents) -> None:
    database.things.insert_one({"_id": 1})
    registry: Any = TypeRegistry([_Decimals()])
    with pymongo.MongoClient[Any](mongodb_uri, type_registry=registry) as client:
        for handle in (client, client.shop, client.shop.things):
            with pytest.raises(ValueError, match="type_registry"):
                data_bridge.from_pymongo(handle)
        plain = client[database.name].with_options(CodecOptions(tz_aware=True))
        for own in (plain, plain.things, client[database.name].things.with_options(CodecOptions(tz_aware=True))):
            assert data_bridge.from_pymongo(own).codec_options.tz_aware
        assert data_bridge.from_pymongo(plain.things).find().to_dicts() == [{"_id": 1}]
    with pytest.raises(ValueError, match="document_class"):
        data_bridge.from_pymongo(made(document_class=type("Own", (dict,), {})))


@pytest.mark.parametrize(
    "mode", [Primary(), Nearest(), Secondary([{"dc": "east"}]), SecondaryPreferred(max_staleness=120)]
)
def test_read_preferences(mode: Any) -> None:
    by_object = made(read_preference=mode)
    collection = made().shop.things.with_options(read_preference=mode)
    client = data_bridge.from_pymongo(by_object)
    ours = data_bridge.from_pymongo(collection)
    assert preference(ours.read_preference) == preference(mode)
    settings = client._settings.read_preference
    assert (preference(settings) if settings is not None else {"mode": "primary"}) == preference(mode)
    # A collection may read from the primary where its client does not.
    primary = data_bridge.from_pymongo(by_object.shop.things.with_options(read_preference=Primary()))
    assert preference(primary.read_preference) == {"mode": "primary"}


def test_read_preference_of_the_uri() -> None:
    tags = "readPreferenceTags=dc:east&readPreferenceTags="
    uri = f"mongodb://nowhere.invalid/?readPreference=secondary&{tags}&maxStalenessSeconds=100"
    client = made(host=uri)
    ours = data_bridge.from_pymongo(client)
    assert preference(ours._settings.read_preference) == preference(client.read_preference)
    assert ours.to_pymongo().read_preference == client.read_preference


def test_read_and_write_concerns(database: Documents, mongodb_uri: str) -> None:
    database.things.insert_one({"_id": 1})
    seen: list[dict[str, Any]] = []
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri, readConcernLevel="majority", w=1) as client:
        things = client[database.name].things
        ours = data_bridge.from_pymongo(things)
        assert ours.read_concern == ReadConcern("majority")
        assert ours.write_concern == WriteConcern(1)
        assert data_bridge.from_pymongo(client)[database.name].things.read_concern == ReadConcern("majority")
        without = data_bridge.from_pymongo(things.with_options(read_concern=ReadConcern()))
        for handle, level in ((ours, "majority"), (without, None)):
            database.command({"profile": 2})
            try:
                assert handle.find({}, comment=f"level {level}").to_dicts() == [{"_id": 1}]
            finally:
                database.command({"profile": 0})
            (entry,) = database["system.profile"].find({"command.comment": f"level {level}"})
            seen.append(copy.copy(entry["command"].get("readConcern", {})))
        assert [each.get("level") for each in seen] == ["majority", None]
        with data_bridge.from_pymongo(client) as whole:
            assert whole.to_pymongo().read_concern == ReadConcern("majority")


@pytest.mark.parametrize(
    ("keywords", "seconds"),
    [({}, 600.0), ({"timeoutMS": 2500}, 2.5), ({"socketTimeoutMS": 1500}, 1.5), ({"timeoutMS": 0}, None)],
)
def test_timeouts(keywords: dict[str, Any], seconds: float | None) -> None:
    assert data_bridge.from_pymongo(made(**keywords)).timeout == seconds


def test_a_pymongo_session_is_refused_where_it_is_used(database: Documents) -> None:
    with database.client.start_session() as session, pytest.raises(TypeError, match="session"):
        data_bridge.from_pymongo(database.things).find(session=session)


def test_srv_addresses_are_left_to_the_driver() -> None:
    host = "mongodb+srv://joe:hunter2@cluster.example.com/shop?retryWrites=true&w=majority&srvMaxHosts=2&tls=true"
    ours = data_bridge.from_pymongo(made(host=host))
    assert repr(ours) == "MongoClient('cluster.example.com')"
    assert ours._address.uri.reveal().startswith("mongodb+srv://joe:hunter2@cluster.example.com/shop?")
    for option in ("retryWrites=true", "w=majority", "srvMaxHosts=2", "tls=true"):
        assert option in ours._address.uri.reveal()


def test_credentials_are_used(database: Documents, mongodb_uri: str) -> None:
    """A server checks credentials, also a server that accepts clients without any."""
    password = "p/:@%?#& ä"
    database.command("createUser", "joe", pwd=password, roles=["readWrite"])
    keywords = {"username": "joe", "password": password, "authSource": database.name}
    try:
        with pymongo.MongoClient[dict[str, Any]](mongodb_uri, **keywords) as client:
            with data_bridge.from_pymongo(client) as ours:
                status = ours[database.name].command("connectionStatus")
            assert status["authInfo"]["authenticatedUsers"] == [{"user": "joe", "db": database.name}]
        wrong = made(host=mongodb_uri, **{**keywords, "password": "hunter2"})
        with pytest.raises(data_bridge.ConnectionFailure) as raised:
            data_bridge.from_pymongo(wrong)[database.name].command("ping")
        assert "hunter2" not in "".join(traceback.format_exception(raised.value))
    finally:
        database.command("dropUser", "joe")
