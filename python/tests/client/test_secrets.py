"""No secret in anything that shows: every error this package can be brought to, and every object, searched."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import pickle
import pprint
import shutil
import socket
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pymongo
import pytest
from certificates import Authority

import data_bridge
import mongod
from data_bridge import AsyncMongoClient, DataBridgeError, MongoClient

USER, ONE, TWO = "leakuser", "leakone", "leaktwo"
"""A user, and the text before and after an unusual character in the password."""
SECRETS = (USER, ONE, TWO)
PASSWORD = f"{ONE}-{TWO}"
CREDENTIALS = f"{USER}:{PASSWORD}"
NOWHERE = "127.0.0.1:9"
PACKAGE = str(Path(data_bridge.__file__).parent)

BAD_URIS = [
    *(f"mongodb://{USER}:{ONE}{odd}{TWO}@host/db" for odd in ("@", "/", "?", ":", "%", "%zz", "://")),
    *(f"mongodb://{USER}:{ONE}{odd}{TWO}@host:1,other/?w=1" for odd in ("@", "/", "?", "%")),
    *(f"{scheme}{CREDENTIALS}@host" for scheme in ("", "http://", "mongodb:/", "mongo://", "MONGODB://")),
    f"mongodb://{CREDENTIALS}@",
    f"mongodb://{CREDENTIALS}@/",
    f"mongodb://{CREDENTIALS}@host:port/",
    f"mongodb://{CREDENTIALS}@host:99999/",
    f"mongodb://{CREDENTIALS}@host:1:2/",
    f"mongodb://{CREDENTIALS}@host,,other/",
    f"mongodb://{CREDENTIALS}@[::1/",
    f"mongodb://{CREDENTIALS}@host/a b?w=1",
    f"mongodb+srv://{CREDENTIALS}@host:1/",
    f"mongodb+srv://{CREDENTIALS}@one.example,two.example/",
    f"mongodb+srv://{CREDENTIALS}@short/?directConnection=true",
    f"mongodb://{CREDENTIALS}",  # a parser takes it for host and port
    f"mongodb://:{PASSWORD}@host/",
    f"mongodb://{USER}:{ONE}%FF{TWO}@/",
]
BAD_OPTIONS = [
    f"{PASSWORD}=1",
    PASSWORD,
    f"authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:{PASSWORD},x",
    f"authMechanism=MONGODB-OIDC&authMechanismProperties=TOKEN_RESOURCE:{PASSWORD}",
    f"authMechanismProperties={PASSWORD}",
    f"tlsCertificateKeyFilePassword={PASSWORD}",
    f"tls=false&tlsCertificateKeyFilePassword={PASSWORD}",
    f"proxyPassword={PASSWORD}",
    f"connectTimeoutMS={PASSWORD}",
    f"timeoutMS={PASSWORD}",
    f"maxPoolSize={PASSWORD}",
    f"w={PASSWORD}&journal={PASSWORD}",
    f"tls={PASSWORD}",
    "directConnection=true&loadBalanced=true",
    "tlsInsecure=true&tlsAllowInvalidCertificates=true",
    "nope=1",
    "w",
]
BAD_KEYWORDS: list[dict[str, Any]] = [
    {"username": USER, "password": PASSWORD, "nope": 1},
    {"username": USER, "password": PASSWORD.encode()},
    {"username": 1, "password": PASSWORD},
    {"username": USER, "password": [PASSWORD]},
    {"password": PASSWORD},
    {"username": USER, "password": PASSWORD, "port": "1"},
    {"username": USER, "password": PASSWORD, "host": 3},
    {"username": USER, "password": PASSWORD, "host": ["a", "mongodb://b"]},
    {"username": USER, "password": PASSWORD, "host": "a@b"},
    {"username": USER, "password": PASSWORD, "timeout": "1"},
    {"username": USER, "password": PASSWORD, "document_class": list},
    {"username": USER, "password": PASSWORD, "tlsCAFile": "/nonexistent"},
    {"username": USER, "password": PASSWORD, "maxPoolSize": -1},
    {"tlsCertificateKeyFilePassword": PASSWORD},
    {"authMechanismProperties": {"AWS_SESSION_TOKEN": PASSWORD}, "authMechanism": "MONGODB-AWS"},
    {"host": f"{CREDENTIALS}@host"},
    {"host": [f"{CREDENTIALS}@host"]},
    {"host": f"mongodb://{CREDENTIALS}@host", "username": USER, "password": object()},
]


class Shown:
    """Everything that was shown, by what showed it."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.errors = 0

    def add(self, what: str, text: str) -> None:
        self.texts.append((what, text))

    @contextlib.contextmanager
    def failing(self, what: str, kinds: Any = (DataBridgeError, ValueError, TypeError, OSError)) -> Iterator[None]:
        with pytest.raises(kinds) as caught:
            yield
        self.errors += 1
        self.error(what, caught.value)

    def error(self, what: str, error: BaseException) -> None:
        chain: BaseException | None = error
        while chain is not None:
            self.add(what, f"{chain} {chain!r} {chain.args!r} {vars(chain)!r}")
            self.add(what, "".join(traceback.format_exception_only(chain)))
            with contextlib.suppress(TypeError, pickle.PicklingError, AttributeError):
                self.add(what, repr(pickle.dumps(chain)))
            chain = chain.__cause__ or chain.__context__
        # Error reports with variables show no secret in our frames; the caller's frames are the caller's.
        for frame in traceback.TracebackException.from_exception(error, capture_locals=True).stack:
            if frame.filename.startswith(PACKAGE):
                self.add(f"{what}: variables in {frame.name}", repr(frame.locals))

    def thing(self, what: str, value: Any) -> None:
        self.add(what, f"{value} {value!r}")
        if hasattr(value, "__dict__"):
            self.add(f"{what}: vars", f"{vars(value)} {pprint.pformat(vars(value))}")
        self.add(f"{what}: all that can be walked over", " ".join(_walk(value, 6)))
        for refuse in (pickle.dumps, copy.copy, copy.deepcopy):
            with self.failing(f"{what}: {refuse.__name__}", TypeError):
                refuse(value)

    def search(self) -> None:
        for what, text in self.texts:
            for secret in SECRETS:
                assert secret not in text, what


def _walk(value: Any, depth: int) -> Iterator[str]:
    """Every text that a serialiser finds by attributes, slots and items alone."""
    if isinstance(value, (str, bytes)):
        yield repr(value)
    elif depth and isinstance(value, Mapping):
        for pair in value.items():
            yield from _walk(pair, depth - 1)
    elif depth and isinstance(value, Sequence):
        for item in value:
            yield from _walk(item, depth - 1)
    elif depth and not isinstance(value, type):
        for each in (vars(value) if hasattr(value, "__dict__") else {}).values():
            yield from _walk(each, depth - 1)
        for slot in getattr(type(value), "__slots__", ()):
            yield from _walk(getattr(value, slot, None), depth - 1)
        yield repr(value)


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Shown]:
    """Texts to search after the test, with the logs, warnings and output of the test."""
    found = Shown()
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield found
    found.add("warnings", " ".join(str(each.message) for each in warned))
    for record in caplog.records:
        found.add(f"logger {record.name}", f"{record.getMessage()} {vars(record)}")
    found.add("what was written", " ".join(capfd.readouterr()))
    found.search()


def test_what_is_refused(shown: Shown) -> None:
    for uri in BAD_URIS:
        for kind in (MongoClient, AsyncMongoClient):
            with shown.failing(f"URI {uri}"):
                kind(uri)
    for options in BAD_OPTIONS:
        with shown.failing(f"options {options}"):
            made = MongoClient(f"mongodb://{CREDENTIALS}@{NOWHERE}/?{options}", serverSelectionTimeoutMS=50)
            made.a.b.find().read()  # what no parser refuses, the connection does
    for keywords in BAD_KEYWORDS:
        with shown.failing(f"keywords {keywords}"):
            MongoClient(**{"host": "host", **keywords})
    assert shown.errors == 2 * len(BAD_URIS) + len(BAD_OPTIONS) + len(BAD_KEYWORDS)


def test_what_cannot_be_reached(shown: Shown) -> None:
    for host in (f"mongodb://{CREDENTIALS}@{NOWHERE}", f"mongodb+srv://{CREDENTIALS}@nowhere.invalid"):
        client = MongoClient(host, serverSelectionTimeoutMS=200)
        objects(shown, client)
        calls = {
            "read": lambda client=client: client.a.b.find().read(),
            "iterate": lambda client=client: list(client.a.b.find()),
            "stream": lambda client=client: list(client.a.b.find().stream()),
            "arrow": lambda client=client: client.a.b.find().to_arrow(),
            "count": lambda client=client: client.a.b.count_documents({}),
            "insert": lambda client=client: client.a.b.insert_one({}),
            "command": lambda client=client: client.a.command("ping"),
        }
        for what, call in calls.items():
            with shown.failing(f"{what} at {host}"):
                call()
        client.close()
        with shown.failing("a closed client"):
            client.a.b.find().read()
        asyncio.run(unreachable(shown, host))


async def unreachable(shown: Shown, host: str) -> None:
    async with AsyncMongoClient(host, serverSelectionTimeoutMS=200) as client:
        objects(shown, client)
        with shown.failing("asynchronous read"):
            await client.a.b.find().read()
        with shown.failing("asynchronous iteration"):
            async for _ in client.a.b.find():
                pass


def objects(shown: Shown, client: Any) -> None:
    """Everything that leads to a client."""
    for what, value in {"client": client, "database": client.a, "collection": client.a.b}.items():
        shown.thing(what, value)
    query = client.a.b.find({})
    shown.add("query", f"{query} {query!r} {' '.join(_walk(query, 6))}")
    shown.add("bound methods", f"{client.close!r} {client.a.b.find!r}")


def test_what_a_server_refuses(shown: Shown) -> None:
    with mongod.embedded_mongod("--auth", replica_set=False) as uri:
        with pymongo.MongoClient[dict[str, Any]](uri) as first:
            first.admin.command("createUser", "keeper", pwd=PASSWORD, roles=["root"])
        for options in ({"username": USER}, {"username": "keeper"}, {"authMechanism": "SCRAM-SHA-1", "username": USER}):
            given = {"password": f"{PASSWORD}-wrong", "serverSelectionTimeoutMS": 300, **options}
            with MongoClient(uri, **given) as client:
                for _ in range(2):
                    with shown.failing("wrong password"):
                        client.a.b.find().read()
                objects(shown, client)
        with MongoClient(uri, username="keeper", password=PASSWORD) as client:
            with shown.failing("a failing command"):
                client.a.command("noSuchCommand")
            with shown.failing("a failing query"):
                client.a.b.find({"$nope": 1}).read()
            with shown.failing("misuse"):
                client.a.b.find({}, session=object())
            objects(shown, client)
            theirs = client.to_pymongo()
            shown.add("PyMongo's client", f"{theirs} {theirs!r} {client!r}")


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
def test_what_tls_refuses(shown: Shown, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    client_key = authority.sign("client", subject=f"/CN={USER}")
    with mongod.embedded_mongod(replica_set=False) as plain:
        host = plain.removeprefix("mongodb://")
        given: dict[str, Any] = {"tls": True, "serverSelectionTimeoutMS": 300}
        for options in ({}, {"tlsCAFile": authority.certificate}, {"tlsCertificateKeyFile": client_key}):
            with (
                MongoClient(f"mongodb://{CREDENTIALS}@{host}", **given, **options) as client,
                shown.failing(f"TLS with {list(options)}"),
            ):
                client.a.b.find().read()
        with shown.failing("an encrypted key"):
            MongoClient(plain, **given, tlsCertificateKeyFile=client_key, tlsCertificateKeyFilePassword=PASSWORD)
        with shown.failing("a key in no certificate"):
            MongoClient(plain, **given, tlsCertificateKeyFile=client_key.with_suffix(".key"))


def test_a_server_that_repeats_what_it_hears(shown: Shown) -> None:
    """A listener that is no MongoDB: what it sends back is not shown as it came."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        address = "{}:{}".format(*listener.getsockname())
        client = MongoClient(f"mongodb://{CREDENTIALS}@{address}", serverSelectionTimeoutMS=300)
        with shown.failing("no MongoDB"):
            client.a.b.find().read()
        client.close()
