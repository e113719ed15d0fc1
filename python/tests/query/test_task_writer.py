"""`Collection.task_writer`: tasks that run more than once give the same documents, and pickles hold no credentials."""

from __future__ import annotations

import datetime as dt
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pushdown_zoo as zoo
import pyarrow as pa
import pymongo
import pytest
from bson import Int64, ObjectId
from pymongo.database import Database

import mongod
from data_bridge import ArrowWriteError, ArrowWriteResult, InvalidOperation, InvalidQuery, MongoClient
from data_bridge.query.task_writer import TaskWriter

BOTH_SIDES = True
SECRET = "hunter2-and-more"
ROWS = 100

WRITE = """
import pickle, sys
import pyarrow as pa
writer, start = pickle.load(sys.stdin.buffer)
table = pa.table({"_id": pa.array(range(start, start + 50), pa.int64()), "a": pa.array([start] * 50, pa.int64())})
result = writer.write(table)
print(result.inserted_count + result.upserted_count, result.matched_count)
"""


def table(first: int = 0, count: int = ROWS, **columns: list[Any]) -> pa.Table:
    ids = pa.array(range(first, first + count), pa.int64())
    return pa.table({"_id": ids, **(columns or {"a": [n / 2 for n in range(count)]})})


def in_another_process(writer: Any, start: int, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Write 50 rows in a new interpreter."""
    pickled = pickle.dumps((writer, start))
    variables = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", WRITE], input=pickled, capture_output=True, env=variables, check=False)


@pytest.mark.parametrize("operation", ["insert", "upsert", "replace"])
def test_a_task_that_runs_again_changes_nothing(client: MongoClient, database: Database[Any], operation: str) -> None:
    writer = client[database.name].c.task_writer(operation)
    first = writer.write(table())
    assert first.inserted_count + first.upserted_count == ROWS
    again = writer.write(table())
    assert (again.inserted_count, again.upserted_count, again.modified_count) == (0, 0, 0)
    assert (again.matched_count, again.failed_count, again.rows) == (ROWS, 0, ROWS)
    assert list(database.c.find().sort("_id", 1)) == [{"_id": n, "a": n / 2} for n in range(ROWS)]


def test_updates_and_deletes_that_run_again(client: MongoClient, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": Int64(n), "b": 1} for n in range(ROWS)])
    collection = client[database.name].c
    for _ in range(2):
        assert collection.task_writer("update").write(table()).matched_count == ROWS
    assert database.c.count_documents({"b": 1, "a": {"$gte": 0}}) == ROWS
    counts = [collection.task_writer("delete").write(table(0, 30)).deleted_count for _ in range(2)]
    assert counts == [30, 0]


def test_an_insert_that_was_cut_off(client: MongoClient, database: Database[Any]) -> None:
    """A part of the rows is stored; batches end anywhere."""
    writer = client[database.name].c.task_writer("insert")
    writer.write(table(0, 37))
    result = writer.write(pa.Table.from_batches(table().to_batches(max_chunksize=10)))
    assert (result.inserted_count, result.matched_count) == (63, 37)
    assert database.c.count_documents({}) == ROWS


def test_an_insert_never_replaces_another_document(client: MongoClient, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": Int64(12), "a": 6.0}, {"_id": Int64(53), "a": 0.0}, {"_id": Int64(70), "b": 1}])
    writer = client[database.name].c.task_writer("insert")
    rows = pa.Table.from_batches(table().to_batches(max_chunksize=20))
    with pytest.raises(ArrowWriteError, match="row 53 failed: E11000"):
        writer.write(rows)
    assert database.c.find_one({"_id": 53}) == {"_id": 53, "a": 0.0}
    collecting = client[database.name].c.task_writer("insert", on_error="collect")
    result = collecting.write(rows)
    assert result.failed_count == 2
    assert result.failed.to_arrow()["row"].to_pylist() == [53, 70]
    assert result.matched_count + result.inserted_count == ROWS - 2
    assert database.c.count_documents({}) == ROWS


def test_rows_of_every_type_that_run_again(client: MongoClient, database: Database[Any], mongodb_uri: str) -> None:
    database.source.insert_many(zoo.documents())
    with MongoClient(mongodb_uri) as own:
        exact = own[database.name].source.find(types="exact").to_arrow()
    writer = client[database.name].c.task_writer("insert", nulls="omit")
    assert writer.write(exact).inserted_count == exact.num_rows
    assert writer.write(exact).matched_count == exact.num_rows
    ids = pa.table({"_id": [str(ObjectId())], "at": [dt.datetime(2024, 1, 1, 0, 0, 0, 1500)]})
    typed = client[database.name].d.task_writer("insert", schema={"_id": ObjectId}, rounding="dates")
    assert [typed.write(ids).inserted_count, typed.write(ids).matched_count] == [1, 1]


def test_rows_without_an_id(client: MongoClient, database: Database[Any]) -> None:
    collection = client[database.name].c
    with pytest.raises(InvalidQuery, match="the rows have no _id"):
        collection.task_writer("insert").write(pa.table({"a": [1]}))
    with pytest.raises(InvalidQuery, match="1 rows have no _id"):
        collection.task_writer("insert").write(pa.table({"_id": [1, None]}))
    writer = collection.task_writer("insert_at_least_once")
    assert [writer.write(pa.table({"a": [1, 2]})).inserted_count for _ in range(2)] == [2, 2]
    assert database.c.count_documents({}) == 4


def test_keys_need_an_index(client: MongoClient, database: Database[Any]) -> None:
    writer = client[database.name].c.task_writer("upsert", on=["shop", "item"])
    rows = pa.table({"shop": [1, 1], "item": [1, 2], "price": [1.5, 2.5]})
    with pytest.raises(InvalidQuery, match="no unique index"):
        writer.write(rows)
    database.c.create_index([("shop", 1), ("item", 1)], unique=True)
    assert writer.write(rows).upserted_count == 2
    assert writer.write(rows).matched_count == 2


def test_arguments_are_checked_at_once(client: MongoClient, database: Database[Any]) -> None:
    collection = client[database.name].c
    for arguments, message in [
        (("merge",), "operation must be one of insert, "),
        (("upsert", "a.b"), "cannot be a key"),
    ]:
        with pytest.raises(ValueError, match=message):
            collection.task_writer(*arguments)
    for operation, options in [
        ("upsert", {"many": True}),
        ("insert", {"ordered": True}),
        ("insert", {"nested": "merge"}),
        ("delete", {"nulls": "omit"}),
        ("replace", {"sesion": None}),
    ]:
        with pytest.raises(TypeError, match=f"the operation '{operation}' has no option '{next(iter(options))}'"):
            collection.task_writer(operation, **options)
    with pytest.raises(ValueError, match="nulls must be"):
        collection.task_writer("upsert", nulls="skip")
    with pytest.raises(ValueError, match="exclude each other"):
        collection.task_writer("upsert", uri="mongodb://h", uri_env="X")
    with pytest.raises(InvalidOperation, match="must be acknowledged"):
        collection.with_options(write_concern={"w": 0}).task_writer("upsert")


def test_another_process_writes(client: MongoClient, database: Database[Any]) -> None:
    collection = client[database.name].c.with_options(write_concern={"w": 1, "j": True}, timeout=60)
    writer = collection.task_writer("upsert", schema={"a": float})
    ran = in_another_process(writer, 0)
    assert ran.stdout.split() == [b"50", b"0"], ran.stderr.decode()
    assert in_another_process(writer, 0).stdout.split() == [b"0", b"50"]
    assert database.c.find_one() == {"_id": 0, "a": 0.0}
    again: TaskWriter = pickle.loads(pickle.dumps(writer))
    assert repr(again) == f"TaskWriter(upsert into {database.name}.c)"
    assert again.__dask_tokenize__() == writer.__dask_tokenize__()
    assert again.__dask_tokenize__() != collection.task_writer("replace").__dask_tokenize__()


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The URI of a mongod with --auth, without user."""
    with mongod.embedded_mongod("--auth", replica_set=False) as uri:
        with pymongo.MongoClient[Any](uri) as first:
            first.admin.command("createUser", "keeper", pwd=SECRET, roles=["root"])
        yield uri


def test_credentials_stay_in_the_process(guarded: str) -> None:
    secret = guarded.replace("mongodb://", f"mongodb://keeper:{SECRET}@")
    with MongoClient(guarded, username="keeper", password=SECRET) as client:
        collection = client.t.c
        writer = collection.task_writer("upsert")
        named = collection.task_writer("upsert", uri_env="TASK_URI")
        for each in (writer, named):
            assert SECRET.encode() not in pickle.dumps(each)
            assert SECRET not in repr(each)
        assert writer.write(table()).upserted_count == ROWS
        # In this process, the client of the collection has them.
        assert pickle.loads(pickle.dumps(writer)).write(table()).matched_count == ROWS
        ran = in_another_process(writer, 0)
        assert ran.returncode != 0
        assert b"without the credentials of its client" in ran.stderr
        assert in_another_process(named, 0, TASK_URI=secret).stdout.split() == [b"0", b"50"]
        permitted = collection.task_writer("upsert", credentials=True)
        assert in_another_process(permitted, 200).stdout.split() == [b"50", b"0"]


def test_merged_results(client: MongoClient, database: Database[Any]) -> None:
    writer = client[database.name].c.task_writer("insert", on_conflict="null")
    far = {"t": [dt.timedelta(1)] * 3}
    results = [writer.write(table(first, 3, **far)) for first in (0, 3)]
    total = ArrowWriteResult.merged(results)
    assert (total.rows, total.inserted_count) == (6, 6)
    assert [(each.path, each.nulled, each.first_row) for each in total.skipped] == [(("t",), 6, 0)]
    assert ArrowWriteResult.merged([]).rows == 0
    assert ArrowWriteResult.merged([]).failed.to_dicts() == []
