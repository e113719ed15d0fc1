"""Reads that are sent as commands are retried as the driver's own reads: once, unless the URI has retryReads=false."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pymongo
import pytest
from servers import NAME, Admin, failing

from data_bridge import AsyncMongoClient, ConnectionFailure, DataBridgeError, MongoClient, OperationFailure

READS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "list_indexes": ("listIndexes", lambda c: c.list_indexes()),
    "index_information": ("listIndexes", lambda c: c.index_information()),
    "explain of a find": ("explain", lambda c: c.find({"a": 1}).explain()),
    "explain of an aggregate": ("explain", lambda c: c.aggregate([{"$match": {"a": 1}}]).explain()),
}
RETRIED: dict[str, dict[str, Any]] = {
    "lost connection": {"closeConnection": True},
    "shutdown": {"errorCode": 91},
    "not primary": {"errorCode": 10107},
    "interrupted by shutdown": {"errorCode": 11600},
    "read concern": {"errorCode": 134},
}
FINAL: dict[str, dict[str, Any]] = {
    "interrupted": {"errorCode": 11601},
    "unauthorized": {"errorCode": 13},
    "bad value": {"errorCode": 2},
}
OPTIONS: dict[str, Any] = {"appName": NAME, "heartbeatFrequencyMS": 500, "serverSelectionTimeoutMS": 5000}


@pytest.fixture(scope="module")
def admin(faulty_uri: str) -> Iterator[Admin]:
    with Admin(faulty_uri) as admin:
        admin.retried.c.insert_many([{"_id": i, "a": i % 3} for i in range(10)])
        admin.retried.c.create_index("a")
        yield admin
        admin.drop_database("retried")


@pytest.fixture(scope="module")
def client(faulty_uri: str, admin: Admin) -> Iterator[MongoClient]:
    with MongoClient(faulty_uri, **OPTIONS) as client:
        client.retried.c.find_one()
        yield client


def count(admin: Admin, command: str) -> int:
    """Number of such commands that the server has answered, well or not."""
    return int(admin.admin.command("serverStatus")["metrics"]["commands"][command]["total"])


@pytest.mark.parametrize("fault", RETRIED)
@pytest.mark.parametrize("read", READS)
def test_a_read_that_fails_once(admin: Admin, client: MongoClient, read: str, fault: str) -> None:
    command, run = READS[read]
    with failing(admin, {"times": 1}, failCommands=[command], **RETRIED[fault]):
        assert run(client.retried.c)
    with failing(admin, {"times": 1}, failCommands=[command], **RETRIED[fault]), client.start_session() as session:
        if command == "listIndexes":
            assert client.retried.c.list_indexes(session=session)
        else:
            assert client.retried.c.find(session=session).explain()


@pytest.mark.parametrize("fault", ["lost connection", "shutdown"])
@pytest.mark.parametrize("read", READS)
def test_a_read_that_fails_twice(admin: Admin, client: MongoClient, read: str, fault: str) -> None:
    command, run = READS[read]
    with failing(admin, {"times": 2}, failCommands=[command], **RETRIED[fault]):
        with pytest.raises(DataBridgeError) as failed:
            run(client.retried.c)
        assert isinstance(failed.value, ConnectionFailure if fault == "lost connection" else OperationFailure)
        # Both were sent.
        assert run(client.retried.c)


@pytest.mark.parametrize("fault", FINAL)
@pytest.mark.parametrize("read", READS)
def test_other_failures(admin: Admin, client: MongoClient, read: str, fault: str) -> None:
    command, run = READS[read]
    with failing(admin, {"times": 1}, failCommands=[command], **FINAL[fault]):
        before = count(admin, command)
        with pytest.raises(OperationFailure) as failed:
            run(client.retried.c)
    assert failed.value.code == FINAL[fault]["errorCode"]
    assert count(admin, command) - before <= 1


@pytest.mark.parametrize("read", ["list_indexes", "index_information", "explain of a find"])
def test_pymongo_does_the_same(faulty_uri: str, admin: Admin, read: str) -> None:
    command, run = READS[read]
    with (
        pymongo.MongoClient[dict[str, Any]](faulty_uri, **OPTIONS) as theirs,
        failing(admin, {"times": 1}, failCommands=[command], closeConnection=True),
    ):
        assert run(theirs.retried.c) is not None


@pytest.mark.parametrize("read", READS)
def test_without_retries(faulty_uri: str, admin: Admin, read: str) -> None:
    command, run = READS[read]
    with MongoClient(faulty_uri, retryReads=False, **OPTIONS) as client:
        client.retried.c.find_one()
        with (
            failing(admin, {"times": 1}, failCommands=[command], closeConnection=True),
            pytest.raises(ConnectionFailure),
        ):
            run(client.retried.c)


@pytest.mark.parametrize("read", READS)
def test_asynchronous_reads(faulty_uri: str, admin: Admin, read: str) -> None:
    command, run = READS[read]

    async def attempt() -> None:
        async with AsyncMongoClient(faulty_uri, **OPTIONS) as client:
            await client.retried.c.find_one()
            with failing(admin, {"times": 1}, failCommands=[command], errorCode=91):
                assert await run(client.retried.c)

    asyncio.run(attempt())


def test_commands_of_the_caller_are_sent_once(admin: Admin, client: MongoClient) -> None:
    # By the specification: their effect is unknown.
    fault = failing(admin, {"times": 1}, failCommands=["listIndexes"], closeConnection=True)
    with fault, pytest.raises(ConnectionFailure):
        client.retried.command("listIndexes", "c")
