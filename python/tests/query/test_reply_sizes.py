"""Numbers of documents that are requested at once, from the server's own profiler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import proxy as wire
import pytest
from proxy import Proxy
from pymongo.database import Database
from servers import NAME, Admin, failing

from data_bridge import MongoClient

COUNT = 5_000
KILOBYTE = "x" * 1_000
REPLY = 1_200 << 10


@pytest.fixture
def server(mongodb_uri: str, database: Database[dict[str, Any]]) -> Iterator[MongoClient]:
    """A client that has read nothing yet, of a server that keeps 5,000 documents of 1 kB."""
    database.c.insert_many([{"_id": i, "text": KILOBYTE} for i in range(COUNT)])
    with MongoClient(mongodb_uri) as client:
        # It has to be seen once that the server is near, however busy the machine is.
        for _ in range(50):
            client[database.name].other.find_one()
        yield client


def asked(database: Database[dict[str, Any]], client: MongoClient, **options: Any) -> list[int | None]:
    """Reads all; the batch sizes of the find and of each getMore."""
    database.command("profile", 2)
    try:
        assert len(client[database.name].c.find(**options).read()) == min(COUNT, options.get("limit", COUNT))
    finally:
        database.command("profile", 0)
    commands = [
        each["command"] for each in database["system.profile"].find({"ns": f"{database.name}.c"}, sort=[("ts", 1)])
    ]
    database["system.profile"].drop()
    return [each.get("batchSize") for each in commands if "find" in each or "getMore" in each]


def test_replies_hold_what_fits(server: MongoClient, database: Database[dict[str, Any]]) -> None:
    first = asked(database, server)
    assert len(first) == 5
    assert len(set(first)) == 1
    assert first[0] is not None
    assert 0.95 * REPLY < first[0] * 1_024 < 1.05 * REPLY


def test_a_size_is_learned(server: MongoClient, database: Database[dict[str, Any]]) -> None:
    """The size of documents that are read in part cannot be requested."""
    part = {"projection": {"_id": 1}}
    assert asked(database, server, **part) == [None, None]
    (size,) = asked(database, server, **part)
    assert size is not None
    assert size > COUNT
    assert len(asked(database, server)) == 5


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"batch_size": 2_000}, [2_000] * 3), ({"limit": 100}, [None]), ({"limit": 500}, [None] * 2)],
)
def test_what_says_itself_how_many(
    server: MongoClient, database: Database[dict[str, Any]], options: dict[str, Any], expected: list[int | None]
) -> None:
    assert asked(database, server, **options) == expected


@pytest.mark.parametrize(("filter", "sized"), [({}, True), ({"_id": {"$gte": 0}}, False)])
def test_one_document_after_the_other(
    server: MongoClient, database: Database[dict[str, Any]], filter: dict[str, Any], sized: bool
) -> None:
    """The first documents are to come at once: a query that searches for them requests no more."""
    database.command("profile", 2)
    assert sum(1 for _ in server[database.name].c.find(filter)) == COUNT
    database.command("profile", 0)
    (command,) = [each["command"] for each in database["system.profile"].find({"command.find": "c"})]
    assert ("batchSize" in command) == sized


def test_a_server_that_is_far(mongodb_uri: str, server: MongoClient, database: Database[dict[str, Any]]) -> None:
    address = database.client.address
    assert address is not None
    proxy = Proxy(address)
    try:
        proxy.spoil("", range(1, 100), wire.late(0.02))
        with MongoClient(proxy.uri) as client:
            for _ in range(3):
                assert asked(database, client) == [None, None]
    finally:
        proxy.close()


@pytest.mark.parametrize("code", [13, 59])
def test_a_server_that_does_not_say(faulty_uri: str, code: int) -> None:
    """No rights, no such command."""
    with MongoClient(faulty_uri, appName=NAME) as client, Admin(faulty_uri) as admin:
        admin.sizes.c.drop()
        admin.sizes.c.insert_many([{"_id": i} for i in range(COUNT)])
        with failing(admin, "alwaysOn", failCommands=["dataSize"], errorCode=code):
            assert len(client.sizes.c.find().read()) == COUNT


def test_a_view(server: MongoClient, database: Database[dict[str, Any]]) -> None:
    database.command("create", "v", viewOn="c", pipeline=[{"$unset": "text"}])
    for _ in range(2):
        assert server[database.name].v.find().read().to_dicts() == list(database.v.find())
