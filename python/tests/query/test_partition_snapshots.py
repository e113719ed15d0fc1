"""Partitions of one point in time, and the end of the server's history."""

from __future__ import annotations

import pickle
import threading
import time
from collections import Counter
from typing import Any

import pymongo
import pytest
from bson.timestamp import Timestamp
from pymongo.database import Database

import mongod
from data_bridge import InvalidOperation, MongoClient, OperationFailure


@pytest.mark.parametrize("form", ["find", "aggregate", "view"])
@pytest.mark.parametrize("parts", [1, 3, 20])
def test_all_partitions_see_one_moment(client: MongoClient, database: Database[Any], form: str, parts: int) -> None:
    database.c.insert_many([{"_id": number, "a": 0} for number in range(1000)])
    database.create_collection("v", viewOn="c", pipeline=[{"$match": {"a": {"$gte": 0}}}])
    names = client[database.name]
    queries = {"find": names.c.find(), "aggregate": names.c.aggregate([{"$unset": "b"}]), "view": names.v.find()}
    found = queries[form].partitions(parts, snapshot=True)
    assert isinstance(found.snapshot_time, Timestamp)
    assert len(found) == parts, found.reason
    database.c.update_many({}, {"$set": {"a": 1}})
    database.c.delete_many({"_id": {"$lt": 500}})
    database.c.insert_many([{"_id": number + 0.5, "a": 0} for number in range(1000)])
    rows = [document.to_dict() for part in pickle.loads(pickle.dumps(found)) for document in part]
    assert sorted(rows, key=lambda row: row["_id"]) == [{"_id": number, "a": 0} for number in range(1000)]
    assert queries[form].partitions(parts).snapshot_time is None


def test_writers_do_not_change_a_snapshot(client: MongoClient, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": number, "a": number} for number in range(2000)])
    database.c.create_index("a")
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            # Each moves a document from one range to another.
            database.c.update_one({"_id": number % 2000}, {"$set": {"a": (number * 7919) % 4000}})
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for parts in (2, 16):
            found = client[database.name].c.find().partitions(parts, by="a", snapshot=True)
            assert Counter(document["_id"] for part in found for document in part) == Counter(range(2000))
    finally:
        over.set()
        writer.join()


def test_the_end_of_history_is_named() -> None:
    with mongod.embedded_mongod() as uri, MongoClient(uri) as client, pymongo.MongoClient[Any](uri) as admin:
        admin.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=1)
        client.t.c.insert_many([{"_id": number, "x": "x" * 1000} for number in range(5000)])
        found = client.t.c.find().partitions(3, snapshot=True)
        with pytest.raises(InvalidOperation, match=r"expected to take 60 s, and the server keeps .* for 1 s"):
            client.t.c.find().partitions(3, snapshot=True, expected_seconds=60)
        window = r"for 1 s \(minSnapshotHistoryWindowInSeconds\)"
        with pytest.raises(OperationFailure, match=window) as caught:
            read_until_it_fails(found[1], admin)
        assert caught.value.code == 239


def read_until_it_fails(part: Any, admin: pymongo.MongoClient[Any]) -> None:
    for _ in range(60):
        admin.t.other.insert_one({})
        time.sleep(0.5)
        part.read()


def test_a_window_that_is_probably_too_short_is_a_remark(client: MongoClient, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": number} for number in range(100)])
    collection = client[database.name].c
    assert "history" not in collection.find().partitions(3, snapshot=True).reason
    with pytest.raises(InvalidOperation, match="minSnapshotHistoryWindowInSeconds"):
        collection.find().partitions(3, snapshot=True, expected_seconds=100_000)
    assert len(collection.find().partitions(3, snapshot=True, expected_seconds=5)) == 3
