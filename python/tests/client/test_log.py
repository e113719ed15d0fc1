"""Log records: their loggers and levels, and the absence of values."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

import data_bridge
from data_bridge import AsyncMongoClient, MongoClient, OperationFailure

Mongo = Database[dict[str, Any]]


@pytest.fixture
def slow() -> Iterator[None]:
    data_bridge.config(slow_seconds=0)
    yield
    data_bridge.config(slow_seconds=1.0)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """The records from DEBUG on."""
    data_bridge._core.deliver_events()  # of earlier tests
    found: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record)

    logger, handler = logging.getLogger("data_bridge"), Keep()
    before = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(before)


def whats(records: list[logging.LogRecord], name: str) -> list[str]:
    return [record.args[0] for record in records if record.name == name and isinstance(record.args, tuple)]  # type: ignore[misc]


def fields(record: logging.LogRecord) -> dict[str, Any]:
    return record.data_bridge  # type: ignore[attr-defined,no-any-return]


def test_a_read(mongodb_uri: str, database: Mongo, records: list[logging.LogRecord]) -> None:
    database.c.insert_many([{"_id": i} for i in range(300)])
    with MongoClient(mongodb_uri) as client:
        assert len(client[database.name].c.find(batch_size=100).read()) == 300
    assert whats(records, "data_bridge.command") == ["started", "succeeded"]
    assert whats(records, "data_bridge.cursor") == ["cursor opened", "replies finished"]
    connection = whats(records, "data_bridge.connection")
    assert "connected" in connection
    assert "server found" in connection
    assert all(record.levelno == logging.DEBUG for record in records if record.name != "data_bridge.connection")
    opened = next(record for record in records if "cursor opened" in record.getMessage())
    facts = fields(opened)
    assert facts["database"] == database.name
    assert facts["collection"] == "c"
    assert facts["cursor"] != 0
    assert facts["seconds"] > 0
    assert ":" in facts["server"]
    ended = next(fields(record) for record in records if "replies finished" in record.getMessage())
    assert ended["request_id"] == facts["request_id"]
    assert ended["replies"] >= 3
    done = next(fields(record) for record in records if "succeeded" in record.getMessage())
    assert (done["rows"], done["operation"]) == (300, "find")
    assert done["bytes"] >= 300 * 14


def test_an_abandoned_cursor_is_told_with_the_next_operation(
    client: MongoClient, database: Mongo, records: list[logging.LogRecord]
) -> None:
    database.c.insert_many([{"_id": i, "s": "x" * 1000} for i in range(50_000)])
    iterator = iter(client[database.name].c.find(batch_size=10))
    next(iterator)
    opened = next(fields(record)["cursor"] for record in records if "cursor opened" in record.getMessage())
    del iterator
    gc.collect()
    killed: list[int] = []
    for _ in range(500):
        client[database.name].c.estimated_document_count()
        killed = [fields(record)["cursor"] for record in records if "killed" in record.getMessage()]
        if killed:
            break
    assert killed == [opened]
    reads = [fields(record) for record in records if "succeeded" in record.getMessage()]
    assert [facts["operation"] for facts in reads if "rows" in facts] == ["find"]


def test_errors_tell_class_and_code_and_no_message(
    client: MongoClient, database: Mongo, records: list[logging.LogRecord]
) -> None:
    with pytest.raises(OperationFailure):
        client[database.name].c.find({"$secretOperator": "topsecret"}).read()
    failed = next(record for record in records if "failed" in record.getMessage())
    assert failed.levelno == logging.INFO
    facts = fields(failed)
    assert (facts["error_type"], facts["code"], facts["collection"]) == ("OperationFailure", 2, "c")
    assert facts["seconds"] > 0


def test_no_values(mongodb_uri: str, database: Mongo, records: list[logging.LogRecord], slow: None) -> None:
    secret = "topsecret"
    with MongoClient(mongodb_uri) as client:
        there = client[database.name].c
        there.create_index("k", unique=True)
        there.insert_one({"_id": secret, "k": secret})
        there.update_one({"k": secret}, {"$set": {"v": secret}})
        there.find_one({"k": secret}, {secret: 1}, comment=secret, let={"x": secret})
        there.aggregate([{"$match": {"k": secret}}]).to_dicts()
        there.count_documents({"k": secret})
        there.distinct("k", {"k": secret})
        client[database.name].command({"ping": 1, "comment": secret})
        client[database.name].command("ping", secret)
        with pytest.raises(data_bridge.DuplicateKeyError):
            there.insert_one({"k": secret})
        with pytest.raises(OperationFailure):
            client.admin.command({"saslStart": 1, "mechanism": "PLAIN", "payload": secret.encode()})
        with pytest.raises(OperationFailure):
            there.find({"$" + secret: 1}).read()
    with (
        pytest.raises(data_bridge.ConnectionFailure),
        MongoClient(mongodb_uri, username=secret, password=secret, serverSelectionTimeoutMS=500) as client,
    ):
        client[database.name].c.find_one()
    assert len(records) > 20
    for record in records:
        assert secret not in record.getMessage(), record.getMessage()
        assert secret not in repr(fields(record))


def test_slow_exchanges(client: MongoClient, database: Mongo, caplog: pytest.LogCaptureFixture, slow: None) -> None:
    database.c.insert_many([{"_id": i} for i in range(300)])
    there = client[database.name].c
    assert len(there.find(batch_size=100).read()) == 300
    there.count_documents({})
    slow_ones = [record for record in caplog.records if "slow" in record.getMessage()]
    assert all(record.levelno == logging.WARNING for record in slow_ones)
    assert {fields(record)["operation"] for record in slow_ones} >= {"find", "getMore", "aggregate"}
    # Of the default level, nothing else.
    assert {record.args[0] for record in caplog.records if record.name != "data_bridge.connection"} == {"slow"}  # type: ignore[index]
    data_bridge.config(slow_seconds=math.inf)
    caplog.clear()
    there.find_one()
    assert not caplog.records


def test_retries(
    pymongo_client: pymongo.MongoClient[Any], client: MongoClient, database: Mongo, records: list[logging.LogRecord]
) -> None:
    database.c.insert_one({"_id": 1})
    there = client[database.name].c
    there.find_one()
    for command, act in (
        ("find", there.find_one),
        ("insert", lambda: there.insert_one({})),
        ("explain", lambda: there.find().explain()),
        ("listCollections", client[database.name].list_collection_names),
        ("listDatabases", client.list_database_names),
    ):
        fail = {"failCommands": [command], "closeConnection": True}
        try:
            pymongo_client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=fail)
        except pymongo.errors.OperationFailure:
            pytest.skip("this server has no test commands")
        act()
        assert whats(records, "data_bridge.command").count("retried") == 1, command
        assert "connection lost" in whats(records, "data_bridge.connection")
        records.clear()


def test_async(mongodb_uri: str, database: Mongo, records: list[logging.LogRecord]) -> None:
    database.c.insert_many([{"_id": i} for i in range(300)])

    async def run() -> None:
        async with AsyncMongoClient(mongodb_uri) as client:
            there = client[database.name].c
            assert len(await there.find().read()) == 300
            assert len([row async for row in there.find(batch_size=50)]) == 300
            assert len([batch async for batch in there.find().stream()]) >= 1
            await there.count_documents({})

    asyncio.run(run())
    commands = whats(records, "data_bridge.command")
    assert commands.count("started") == commands.count("succeeded") == 4


def test_cancelled(client: MongoClient, mongodb_uri: str, records: list[logging.LogRecord]) -> None:
    async def run() -> None:
        async with AsyncMongoClient(mongodb_uri) as client:
            sleep = client.admin.aggregate(
                [{"$documents": [{"a": 1}]}, {"$set": {"b": {"$function": {"body": "function() { sleep(5000) }",
                                                                           "args": [], "lang": "js"}}}}]
            )  # fmt: skip
            task = asyncio.ensure_future(sleep.read())
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    failed = [fields(record) for record in records if record.args and record.args[0] == "failed"]  # type: ignore[index]
    assert [facts["error_type"] for facts in failed] == ["Cancelled"]


def test_threads(client: MongoClient, database: Mongo, records: list[logging.LogRecord]) -> None:
    database.c.insert_many([{"_id": i} for i in range(300)])
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                assert len(client[database.name].c.find(batch_size=100).read()) == 300
        except BaseException as error:  # noqa: BLE001 - passed to the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data_bridge._core.deliver_events()
    assert not failures
    ids = [fields(record)["request_id"] for record in records if "succeeded" in record.getMessage()]
    assert len(ids) == len(set(ids)) == 320
    assert whats(records, "data_bridge.cursor").count("replies finished") == 320


def test_handlers_that_raise_or_read_break_nothing(
    client: MongoClient, database: Mongo, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise ValueError("broken handler")

    class Reads(logging.Handler):
        """As one that stores records in a collection does."""

        def emit(self, record: logging.LogRecord) -> None:
            client[database.name].log.estimated_document_count()

    logger = logging.getLogger("data_bridge")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        for handler in (Broken(), Reads()):
            logger.addHandler(handler)
            with pytest.raises(OperationFailure):
                client[database.name].c.find({"$nonsense": 1}).read()
            logger.removeHandler(handler)
    finally:
        logger.setLevel(before)
    assert "broken handler" in capsys.readouterr().err


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def test_nothing_is_printed_or_imported_unasked(mongodb_uri: str) -> None:
    code = """
import sys, data_bridge
data_bridge.config(slow_seconds=0)
with data_bridge.MongoClient(sys.argv[1]) as client:
    client.admin.command("ping")
print("logging" in sys.modules)
import logging
with data_bridge.MongoClient(sys.argv[1]) as client:
    client.admin.command("ping")
"""
    done = run(code, mongodb_uri)
    assert done.stderr == ""
    assert done.stdout == "False\n"


def test_after_a_fork_and_at_exit(mongodb_uri: str) -> None:
    code = """
import logging, os, sys, data_bridge
logging.basicConfig(level=logging.DEBUG, format="%(process)d %(name)s %(message)s", stream=sys.stdout)
client = data_bridge.MongoClient(sys.argv[1])
large = {"$set": {"s": "x" * 10_000}}
documents = client.admin.aggregate([{"$documents": [{"i": {"$range": [0, 100000]}}]}, {"$unwind": "$i"}, large])
rows = iter(documents)
next(rows)
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    client.admin.command("ping")
    sys.stdout.flush()
    print(os.getpid(), "child")
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
print(pid, "was the child")
"""
    done = run(code, mongodb_uri)
    lines = done.stdout.splitlines()
    child = next(line.split()[0] for line in lines if line.endswith("was the child"))
    of_child = [line for line in lines if line.startswith(child + " data_bridge")]
    assert any("succeeded" in line and "operation=ping" in line for line in of_child)
    assert not any("$documents" in line or "aggregate" in line for line in of_child)
    # The cursor was open until the interpreter left.
    assert any("data_bridge.cursor killed" in line and "operation=killCursors" in line for line in lines)
