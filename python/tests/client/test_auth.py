"""Users, passwords and rights, on a real mongod with authentication. PyMongo is the oracle of what a URI means."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pymongo
import pytest
from configured import prefetch_bytes

import mongod
from data_bridge import AsyncMongoClient, ConnectionFailure, MongoClient, OperationFailure

SECRET = "hunter2"
ODD = "p@ss:w/rd?#[]%20&=+ \u00fc\u20ac\"'\\"
ROWS = 2_000

Admin = pymongo.MongoClient[dict[str, Any]]


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The URI of a mongod with --auth, without user; `keeper` may do all."""
    with mongod.embedded_mongod("--auth", replica_set=False) as uri:
        with Admin(uri) as first:  # the first user may be made without one
            first.admin.command("createUser", "keeper", pwd="right", roles=["root"])
        with Admin(uri, username="keeper", password="right") as keeper:
            keeper.shop.c.insert_many([{"_id": i, "text": "x" * 1000} for i in range(ROWS)])
        yield uri


@pytest.fixture(scope="module")
def admin(guarded: str) -> Iterator[Admin]:
    with Admin(guarded, username="keeper", password="right") as keeper:
        yield keeper


def user(admin: Admin, name: str, password: str = SECRET, source: str = "admin", **options: Any) -> str:
    options = {"roles": [{"role": "read", "db": "shop"}], **options}
    admin[source].command("createUser", name, pwd=password, **options)
    return name


def whole(uri: str, **options: Any) -> int:
    with MongoClient(uri, serverSelectionTimeoutMS=5000, **options) as client:
        return len(client.shop.c.find().read())


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_mechanisms(guarded: str, admin: Admin, mechanism: str) -> None:
    name = user(admin, f"of-{mechanism}", mechanisms=[mechanism])
    assert whole(guarded, username=name, password=SECRET) == ROWS
    assert whole(guarded, username=name, password=SECRET, authMechanism=mechanism) == ROWS
    other = {"SCRAM-SHA-1": "SCRAM-SHA-256", "SCRAM-SHA-256": "SCRAM-SHA-1"}[mechanism]
    with pytest.raises(ConnectionFailure, match="authentication failed"):
        whole(guarded, username=name, password=SECRET, authMechanism=other)


def test_wrong_passwords_and_users(guarded: str, admin: Admin) -> None:
    name = user(admin, "wrong")
    for wrong, password in ((name, SECRET + "x"), ("nobody", SECRET)):
        with MongoClient(guarded, username=wrong, password=password, serverSelectionTimeoutMS=1000) as client:
            start = time.monotonic()
            with pytest.raises(ConnectionFailure, match="authentication failed") as first:
                client.shop.c.find().read()
            # As PyMongo's, which applications do not take for an error that passes.
            assert isinstance(first.value, pymongo.errors.OperationFailure)
            assert not isinstance(first.value, pymongo.errors.ConnectionFailure)
            assert time.monotonic() - start < 5  # a server that refuses is not looked for until selection times out
            # To the driver the server is unknown from then on, for as long as its monitor is silent.
            with pytest.raises(ConnectionFailure, match="Authentication failed") as again:
                client.shop.c.find().read()
            assert SECRET not in f"{first.value!r} {again.value!r}"


@pytest.mark.parametrize("password", [ODD, "a b", "a+b", "%41", "\u2168"])
def test_odd_characters(guarded: str, admin: Admin, password: str) -> None:
    name = user(admin, f"odd {ODD} {password}", password)
    host = guarded.removeprefix("mongodb://")
    assert whole(guarded, username=name, password=password) == ROWS
    for encode in (quote_plus, lambda text: quote(text, safe="")):
        uri = f"mongodb://{encode(name)}:{encode(password)}@{host}"
        with Admin(uri) as theirs:
            assert theirs.shop.c.estimated_document_count() == ROWS
        assert whole(uri) == ROWS


def test_the_database_of_users(guarded: str, admin: Admin) -> None:
    name = user(admin, "local", source="shop")
    host = guarded.removeprefix("mongodb://")
    given = {"username": name, "password": SECRET}
    assert whole(guarded, **given, authSource="shop") == ROWS
    assert whole(f"{guarded}&authSource=shop", **given) == ROWS
    assert whole(f"mongodb://{name}:{SECRET}@{host.replace('/?', '/shop?')}") == ROWS
    assert whole(f"mongodb://{name}:{SECRET}@{host.replace('/?', '/elsewhere?')}&authSource=shop") == ROWS
    for options in ({}, {"authSource": "elsewhere"}):
        with pytest.raises(ConnectionFailure, match="authentication failed"):
            whole(guarded, **given, **options)


def test_no_rights(guarded: str, admin: Admin) -> None:
    name = user(admin, "poor", roles=[])
    with MongoClient(guarded, username=name, password=SECRET) as poor, MongoClient(guarded) as nobody:
        for client in (poor, nobody):
            c = client.shop.c
            refused: list[Callable[[], object]] = [
                lambda c=c: c.find().read(),
                lambda c=c: list(c.find()),
                lambda c=c: list(c.find().stream()),
                lambda c=c: c.aggregate([{"$match": {}}]).read(),
                lambda c=c: c.count_documents({}),
                lambda c=c: c.distinct("_id"),
                lambda c=c: c.insert_one({"_id": -1}),
                lambda c=c: c.aggregate([{"$out": "d"}]).read(),
                lambda client=client: client.shop.command("dbStats"),
            ]
            for call in refused:
                with pytest.raises(OperationFailure) as caught:
                    call()
                assert caught.value.code == 13
                assert caught.value.code_name == "Unauthorized"
    assert admin.shop.c.count_documents({}) == ROWS


@pytest.fixture
def little_ahead() -> Iterator[None]:
    """Replies are requested one after the other, as they are read."""
    with prefetch_bytes(1):
        yield


def revoke(admin: Admin, name: str) -> None:
    admin.admin.command("revokeRolesFromUser", name, roles=[{"role": "read", "db": "shop"}])


def drop(admin: Admin, name: str) -> None:
    admin.admin.command("dropUser", name)


@pytest.mark.usefixtures("little_ahead")
@pytest.mark.parametrize("end", [revoke, drop])
@pytest.mark.parametrize("how", ["documents", "batches"])
def test_rights_that_end_while_reading(guarded: str, admin: Admin, end: Callable[..., None], how: str) -> None:
    name = user(admin, f"{end.__name__}-{how}")
    with MongoClient(guarded, username=name, password=SECRET) as client:
        query = client.shop.c.find(batch_size=50)
        running: Any = iter(query) if how == "documents" else query.stream(infer_rows=10)
        next(running)
        end(admin, name)
        with pytest.raises(OperationFailure) as caught:
            for _ in running:
                pass
        # Never an end that looks like one.
        assert caught.value.code == 13
        assert SECRET not in str(caught.value)
        assert next(running, None) is None
    assert admin.admin.command("serverStatus")["metrics"]["cursor"]["open"]["pinned"] == 0


async def test_asynchronous(guarded: str, admin: Admin) -> None:
    name = user(admin, "patient")
    async with AsyncMongoClient(guarded, username=name, password=SECRET) as client:
        assert len(await client.shop.c.find().read()) == ROWS
    async with AsyncMongoClient(guarded, username=name, password="wrong") as client:
        with pytest.raises(ConnectionFailure, match="authentication failed"):
            await client.shop.c.find().read()
