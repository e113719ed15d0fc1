"""Transactions that write: committed, aborted, tried again; and sessions that see their own writes."""

from __future__ import annotations

from typing import Any

import pymongo
import pytest
from pymongo.database import Database
from write_fail_points import failing

from data_bridge import (
    AsyncClientSession,
    AsyncMongoClient,
    ClientSession,
    DuplicateKeyError,
    InsertOne,
    MongoClient,
    OperationFailure,
)

Mongo = Database[dict[str, Any]]


@pytest.fixture
def stored(database: Mongo) -> Mongo:
    database.c.insert_one({"_id": 1, "n": 0})
    return database


def test_commit_and_abort(client: MongoClient, stored: Mongo) -> None:
    ours = client[stored.name].c
    with client.start_session() as session:
        with session.start_transaction():
            ours.insert_one({"_id": 2}, session=session)
            ours.insert_many([{"_id": 3}, {"_id": 4}], session=session)
            ours.update_many({}, {"$inc": {"n": 1}}, session=session)
            ours.bulk_write([InsertOne({"_id": 5})], session=session)
            assert ours.find_one_and_delete({"_id": 4}, session=session) == {"_id": 4, "n": 1}
            assert ours.count_documents({}, session=session) == 4
            assert stored.c.count_documents({}) == 1
        assert stored.c.count_documents({}) == 4
        with pytest.raises(KeyError), session.start_transaction():  # noqa: PT012
            ours.delete_many({}, session=session)
            raise KeyError
        assert stored.c.count_documents({}) == 4
        with pytest.raises(DuplicateKeyError), session.start_transaction():  # noqa: PT012
            ours.delete_one({"_id": 5}, session=session)
            ours.insert_one({"_id": 1}, session=session)
        assert stored.c.count_documents({}) == 4
        ours.insert_one({"_id": 6}, session=session)
    assert stored.c.count_documents({}) == 5


def test_the_transactions_write_concern_counts(client: MongoClient, stored: Mongo) -> None:
    """The collection's own would be refused by the server within a transaction."""
    ours = client[stored.name].c.with_options(write_concern=pymongo.WriteConcern(w="majority"))
    with client.start_session() as session, session.start_transaction(write_concern={"w": 1}):
        ours.insert_one({"_id": 2}, session=session)
        ours.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
        ours.find_one_and_update({"_id": 1}, {"$inc": {"n": 1}}, session=session)
    assert stored.c.find_one({"_id": 1}) == {"_id": 1, "n": 2}


def test_with_transaction(client: MongoClient, stored: Mongo) -> None:
    ours = client[stored.name].c

    def work(session: ClientSession) -> str:
        ours.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
        return "done"

    def fails(session: ClientSession) -> None:
        work(session)
        raise KeyError("mine")

    def ends(session: ClientSession) -> str:
        work(session)
        session.abort_transaction()
        return "ended"

    with client.start_session() as session:
        assert session.with_transaction(work) == "done"
        with pytest.raises(KeyError, match="mine"):
            session.with_transaction(fails)
        assert session.with_transaction(ends) == "ended"
        assert not session.in_transaction
        assert session.with_transaction(work, write_concern={"w": "majority"}) == "done"
    assert stored.c.find_one() == {"_id": 1, "n": 2}


FAULTS: list[tuple[dict[str, Any], int]] = [
    ({"failCommands": ["commitTransaction"], "closeConnection": True}, 1),
    ({"failCommands": ["update"], "closeConnection": True}, 2),
    ({"failCommands": ["update"], "errorCode": 112, "errorLabels": ["TransientTransactionError"]}, 2),
    ({"failCommands": ["commitTransaction"], "errorCode": 251, "errorLabels": ["TransientTransactionError"]}, 2),
]


@pytest.mark.parametrize(("fault", "calls"), FAULTS)
def test_tried_again(fault: dict[str, Any], calls: int, named: MongoClient, stored: Mongo) -> None:
    ours, seen = named[stored.name].c, []

    def work(session: ClientSession) -> None:
        seen.append(1)
        ours.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)

    with named.start_session() as session, failing(stored.client.admin, {"times": 1}, **fault):
        session.with_transaction(work)
    assert len(seen) == calls
    assert stored.c.find_one() == {"_id": 1, "n": 1}


def test_not_tried_again(named: MongoClient, stored: Mongo) -> None:
    ours, seen = named[stored.name].c, []

    def work(session: ClientSession) -> None:
        seen.append(1)
        ours.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)

    fault = {"failCommands": ["commitTransaction"], "errorCode": 2}
    with named.start_session() as session:
        with failing(stored.client.admin, {"times": 1}, **fault), pytest.raises(OperationFailure):
            session.with_transaction(work)
        assert len(seen) == 1
        assert not session.in_transaction
        session.with_transaction(work)


async def test_async(mongodb_uri: str, stored: Mongo) -> None:
    async with AsyncMongoClient(mongodb_uri, appName="write_failures") as client, client.start_session() as session:
        ours, seen = client[stored.name].c, []

        async def work(session: AsyncClientSession) -> int:
            seen.append(1)
            await ours.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
            return len(seen)

        async def fails(session: AsyncClientSession) -> None:
            await work(session)
            raise KeyError("mine")

        assert await session.with_transaction(work) == 1
        with pytest.raises(KeyError, match="mine"):
            await session.with_transaction(fails)
        for fault, calls in FAULTS:
            seen.clear()
            with failing(stored.client.admin, {"times": 1}, **fault):
                assert await session.with_transaction(work) == calls
        async with session.start_transaction():
            await ours.insert_one({"_id": 2}, session=session)
            await ours.insert_many([{"_id": 3}], session=session)
        assert stored.c.find_one() == {"_id": 1, "n": 5}
        assert stored.c.count_documents({}) == 3


def test_sessions_see_their_own_writes(client: MongoClient, stored: Mongo) -> None:
    """Retryable writes are numbered in another session; its times reach the caller's."""
    ours = client[stored.name].c
    with client.start_session(causal_consistency=True) as session:
        for number in range(20):
            ours.update_one({"_id": 1}, {"$set": {"n": number}}, session=session)
            found = ours.find_one({"_id": 1}, session=session)
            assert found == {"_id": 1, "n": number}
