"""Partitions in other processes: pickles, their clients, and the credentials that they do not hold."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

import mongod
from data_bridge import InvalidOperation, MongoClient
from data_bridge.query.partition_origin import without_credentials

SECRET = "hunter2-and-more"
ROWS = 500

READ = """
import pickle, sys
partitions = pickle.load(sys.stdin.buffer)
rows = [document["_id"] for part in partitions for document in part]
tables = [] if partitions.schema is None else [part.to_arrow().num_rows for part in partitions]
from data_bridge.query import partition_origin
print(len(rows), len(set(rows)), sum(tables), len(partition_origin._clients))
"""


def in_another_process(pickled: bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run `READ` in a new interpreter."""
    return subprocess.run(
        [sys.executable, "-c", READ], input=pickled, capture_output=True, env={**os.environ, **environment}, check=False
    )


@pytest.fixture
def collection(client: MongoClient, database: Database[Any]) -> Any:
    database.c.insert_many([{"_id": number, "a": number / 2} for number in range(ROWS)])
    return client[database.name].c


@pytest.mark.parametrize("form", ["find", "aggregate"])
def test_another_process_reads_with_one_client(collection: Any, form: str) -> None:
    query = collection.find() if form == "find" else collection.aggregate([{"$set": {"b": "$a"}}])
    found = query.partitions(5, infer_rows=10)
    ran = in_another_process(pickle.dumps(found))
    assert ran.stdout.split() == [b"500", b"500", b"500", b"1"], ran.stderr.decode()


def test_a_partition_keeps_the_settings_of_its_query(client: MongoClient, database: Database[Any]) -> None:
    import uuid

    from bson.binary import UuidRepresentation
    from bson.codec_options import CodecOptions
    from pymongo.read_preferences import Nearest

    options: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD, tz_aware=True)
    database.get_collection("c", options).insert_many([{"_id": n, "u": uuid.UUID(int=n)} for n in range(50)])
    collection = client[database.name].c.with_options(options, read_preference=Nearest(), types="exact")
    schema = {"_id": int, "u": "uuid"}
    query = collection.find(
        {"u": {"$ne": uuid.UUID(int=7)}},
        {"u": 1},
        schema=schema,
        on_conflict="null",
        comment={"by": ["a", 1]},
        timeout=50,
    )
    found = pickle.loads(pickle.dumps(query.partitions(3)))
    rows = {document["_id"]: document["u"] for part in found for document in part.to_list()}
    assert rows == {n: uuid.UUID(int=n) for n in range(50) if n != 7}
    assert found[1].schema == query.schema() == found.schema
    assert "extension<arrow.uuid>" in str(found[0].to_arrow().schema)
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(found[2]))))
    assert again.index == 2
    assert again.to_dicts() == found[2].to_dicts()
    assert again.__dask_tokenize__() == found[2].__dask_tokenize__() != found[1].__dask_tokenize__()


def test_a_forked_child_reads(collection: Any) -> None:
    found = collection.find().partitions(4)
    assert len(found[0].read()) == 125
    child = os.fork()
    if not child:
        try:
            os._exit(0 if len(found[1].read()) == 125 else 1)
        except BaseException:  # noqa: BLE001 - the child must not continue as a test run
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_asynchronous_readers(collection: Any) -> None:
    found = pickle.loads(pickle.dumps(collection.find().partitions(3)))

    async def read() -> int:
        return sum([len(await part.async_query().to_list()) for part in found])

    assert asyncio.run(read()) == ROWS


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The URI of a mongod with --auth, without user."""
    with mongod.embedded_mongod("--auth", replica_set=False) as uri:
        with pymongo.MongoClient[Any](uri) as first:
            first.admin.command("createUser", "keeper", pwd=SECRET, roles=["root"])
        with pymongo.MongoClient[Any](uri, username="keeper", password=SECRET) as keeper:
            keeper.t.c.insert_many([{"_id": number} for number in range(ROWS)])
        yield uri


def holds_secret(found: Any) -> bool:
    """Return whether a serialised form or a text of partitions holds the password or the user."""
    forms = [pickle.dumps(found, protocol) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    forms += [pickle.dumps(part) for part in found]
    objects = [found, *found, found[0]._scan, found[0]._scan.origin]
    forms += [repr(each).encode() for each in objects]
    forms += [str(getattr(each, "__dict__", "")).encode() for each in objects]
    return any(SECRET.encode() in form or b"keeper" in form for form in forms)


def test_credentials_stay_in_the_process(guarded: str) -> None:
    with MongoClient(guarded, username="keeper", password=SECRET, authSource="admin") as client:
        query = client.t.c.find()
        found = query.partitions(3)
        assert not holds_secret(found)
        # In this process, the client of the plan has them.
        assert sum(len(part.read()) for part in pickle.loads(pickle.dumps(found))) == ROWS
        ran = in_another_process(pickle.dumps(found))
        assert ran.returncode != 0
        assert b"without the credentials of its client: pass uri_env=" in ran.stderr
        assert SECRET.encode() not in ran.stderr

        permitted = query.partitions(3, credentials=True)
        assert SECRET.encode() in pickle.dumps(permitted)
        assert SECRET not in repr([permitted, *permitted])
        ran = in_another_process(pickle.dumps(permitted))
        assert ran.stdout.split()[:2] == [b"500", b"500"], ran.stderr.decode()


def test_a_uri_replaces_credentials(guarded: str) -> None:
    secret = guarded.replace("mongodb://", f"mongodb://keeper:{SECRET}@")
    with MongoClient(guarded, username="keeper", password=SECRET) as client:
        query = client.t.c.find()
        named = query.partitions(3, uri_env="PARTITIONS_URI")
        assert not holds_secret(named)
        ran = in_another_process(pickle.dumps(named), PARTITIONS_URI=secret)
        assert ran.stdout.split() == [b"500", b"500", b"0", b"1"], ran.stderr.decode()
        ran = in_another_process(pickle.dumps(named))
        assert b"the environment variable PARTITIONS_URI" in ran.stderr
        given = query.partitions(3, uri=secret)
        assert SECRET not in repr([given, *given])
        ran = in_another_process(pickle.dumps(given))
        assert ran.stdout.split()[:2] == [b"500", b"500"], ran.stderr.decode()


def test_the_rights_of_a_reader(guarded: str) -> None:
    """The role "read" suffices; so does the right to one view, whose collection is then not sampled."""
    with pymongo.MongoClient[Any](guarded, username="keeper", password=SECRET) as keeper:
        keeper.t.command("create", "v", viewOn="c", pipeline=[{"$match": {"_id": {"$ne": 3}}}])
        keeper.admin.command("createUser", "reader", pwd="right", roles=[{"role": "read", "db": "t"}])
        privileges = [
            {"resource": {"db": "t", "collection": "v"}, "actions": ["find"]},
            {"resource": {"db": "t", "collection": ""}, "actions": ["listCollections"]},
        ]
        keeper.admin.command("createRole", "viewer", privileges=privileges, roles=[])
        keeper.admin.command("createUser", "viewer", pwd="right", roles=["viewer"])
    for name in ("reader", "viewer"):
        with MongoClient(guarded, username=name, password="right") as client:
            found = client.t.v.find().partitions(4, force=True)
            assert len(found) == 4, found.reason
            assert sorted(row["_id"] for part in found for row in part) == [n for n in range(ROWS) if n != 3]


@pytest.mark.parametrize(
    ("uri", "stripped"),
    [
        ("mongodb://h:1/?a=b", "mongodb://h:1/?a=b"),
        ("mongodb://u:p%40@h:1,i:2/d?replicaSet=r&authSource=admin", "mongodb://h:1,i:2/d?replicaSet=r"),
        ("mongodb+srv://u@h/", "mongodb+srv://h/"),
        (
            "mongodb://h/?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:t&tls=true",
            "mongodb://h/?tls=true",
        ),
        (
            "mongodb://h/?tlsCertificateKeyFile=/k.pem&tlsCertificateKeyFilePassword=p&tlsCAFile=/ca",
            "mongodb://h/?tlsCAFile=/ca",
        ),
        ("mongodb://u:p@%2Ftmp%2Fx.sock", "mongodb://%2Ftmp%2Fx.sock/"),
    ],
)
def test_parts_of_a_uri(uri: str, stripped: str) -> None:
    assert without_credentials(uri) == (stripped, uri != stripped)


def test_partitions_of_a_closed_client(mongodb_uri: str, database: Database[Any]) -> None:
    from data_bridge import DataBridgeError

    database.c.insert_many([{"_id": number} for number in range(10)])
    with MongoClient(mongodb_uri) as client:
        found = client[database.name].c.find().partitions(2)
        pickled = pickle.dumps(found)
    with pytest.raises(DataBridgeError, match="the client is closed"):
        found[0].read()
    del found, client
    assert sum(len(part.read()) for part in pickle.loads(pickled)) == 10


def test_tables_need_a_common_schema(collection: Any) -> None:
    found = collection.find().partitions(3)
    assert found.schema is None
    for read in (found[0].to_arrow, found[0].stream, found[0].to_polars, found[0].__arrow_c_stream__):
        with pytest.raises(InvalidOperation, match="no common schema"):
            read()
    assert len(found[0].read()) > 0
