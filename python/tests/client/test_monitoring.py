"""Listeners: their events, the thread of their calls, and their exceptions, which fail no operation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

import data_bridge
from data_bridge import (
    AsyncMongoClient,
    Listener,
    MongoClient,
    OperationFailed,
    OperationFailure,
    OperationStarted,
    OperationSucceeded,
)

Mongo = Database[dict[str, Any]]


class Recorder(Listener):
    def __init__(self) -> None:
        self.events: list[tuple[str, Any, threading.Thread]] = []

    def started(self, event: OperationStarted) -> None:
        self.events.append(("started", event, threading.current_thread()))

    def succeeded(self, event: OperationSucceeded) -> None:
        self.events.append(("succeeded", event, threading.current_thread()))

    def failed(self, event: OperationFailed) -> None:
        self.events.append(("failed", event, threading.current_thread()))

    def names(self) -> list[tuple[str, str]]:
        return [(what, event.operation) for what, event, _ in self.events]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    data_bridge._core.deliver_events()  # of earlier tests
    recorder = Recorder()
    data_bridge.add_listener(recorder)
    yield recorder
    data_bridge.remove_listener(recorder)


def test_each_operation_starts_and_ends_once(client: MongoClient, database: Mongo, recorder: Recorder) -> None:
    there = client[database.name].c
    there.insert_many([{"_id": i} for i in range(100)])
    there.find().read()
    list(there.find())
    list(there.find().stream())
    there.find_one()
    there.aggregate([]).to_dicts()
    there.count_documents({})
    there.estimated_document_count()
    there.distinct("_id")
    there.update_one({"_id": 1}, {"$set": {"a": 1}})
    there.find_one_and_delete({"_id": 2})
    there.delete_many({})
    client[database.name].list_collection_names()
    client.list_database_names()
    client.admin.command("ping")
    asked = ["insert", "find", "find", "find", "find", "aggregate", "aggregate", "count", "distinct", "update"]
    asked += ["findAndModify", "delete", "listCollections", "listDatabases", "ping"]
    assert recorder.names() == [pair for name in asked for pair in (("started", name), ("succeeded", name))]
    for first, second in zip(recorder.events[::2], recorder.events[1::2], strict=True):
        assert first[1].request_id == second[1].request_id
        assert second[1].seconds > 0
        assert first[2] is second[2] is threading.current_thread()
    read = recorder.events[3][1]
    assert read.rows == 100
    assert read.name == f"find {database.name}.c"
    assert read.attributes == {
        "db.system.name": "mongodb",
        "db.namespace": database.name,
        "db.collection.name": "c",
        "db.operation.name": "find",
        "db.response.returned_rows": 100,
    }
    assert recorder.events[-1][1].collection is None
    assert "db.collection.name" not in recorder.events[-1][1].attributes


def test_failures(client: MongoClient, database: Mongo, recorder: Recorder) -> None:
    there = client[database.name].c
    for act in (lambda: there.find({"$x": 1}).read(), lambda: list(there.find({"$x": 1})), lambda: there.distinct("")):
        with pytest.raises(OperationFailure) as caught:
            act()
        what, event, _ = recorder.events[-1]
        assert what == "failed"
        assert event.error_type == "OperationFailure"
        assert event.code == caught.value.code
        assert event.attributes["error.type"] == "OperationFailure"
        assert event.attributes["db.response.status_code"] == str(event.code)
    assert len(recorder.events) == 6


def test_a_read_that_is_left(client: MongoClient, database: Mongo, recorder: Recorder) -> None:
    database.c.insert_many([{"_id": i, "s": "x" * 1000} for i in range(5_000)])
    there = client[database.name].c
    with there.find(batch_size=1_000).stream(infer_rows=10) as stream:
        next(stream)
    assert recorder.names() == [("started", "find"), ("succeeded", "find")]
    rows = iter(there.find(batch_size=10))
    next(rows)
    del rows
    there.estimated_document_count()
    assert recorder.names()[2] == ("started", "find")
    assert recorder.names().count(("succeeded", "find")) == 2


def test_threads_hear_of_their_own(client: MongoClient, database: Mongo, recorder: Recorder) -> None:
    database.c.insert_many([{"_id": i} for i in range(300)])

    def work() -> None:
        for _ in range(10):
            client[database.name].c.find(batch_size=100).read()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_request: dict[int, list[tuple[str, threading.Thread]]] = {}
    for what, event, thread in recorder.events:
        by_request.setdefault(event.request_id, []).append((what, thread))
    assert len(by_request) == 80
    for (first, one), (second, other) in by_request.values():
        assert (first, second) == ("started", "succeeded")
        assert one is other


def test_async_ends_in_its_task(mongodb_uri: str, database: Mongo) -> None:
    from contextvars import ContextVar

    place: ContextVar[str] = ContextVar("place", default="")
    heard: list[tuple[str, str, str]] = []

    class Places(Listener):
        def started(self, event: OperationStarted) -> None:
            heard.append(("started", event.collection or "", place.get()))

        def succeeded(self, event: OperationSucceeded) -> None:
            heard.append(("succeeded", event.collection or "", place.get()))

    async def one(client: AsyncMongoClient, name: str) -> None:
        place.set(name)
        await client[database.name][name].find().read()
        async for _ in client[database.name][name].find():
            pass
        await client[database.name][name].count_documents({})

    async def run() -> None:
        async with AsyncMongoClient(mongodb_uri) as client:
            await asyncio.gather(*(one(client, f"c{number}") for number in range(20)))

    listener = Places()
    data_bridge.add_listener(listener)
    try:
        asyncio.run(run())
    finally:
        data_bridge.remove_listener(listener)
    assert len(heard) == 120
    assert all(collection == told for _, collection, told in heard)


def test_one_that_raises_breaks_nothing(
    client: MongoClient, database: Mongo, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Listener):
        def started(self, event: OperationStarted) -> None:
            raise ValueError("broken listener")

        succeeded = failed = started  # type: ignore[assignment]

    broken = Broken()
    data_bridge.add_listener(broken)
    try:
        assert client[database.name].c.find().to_dicts() == []
        with pytest.raises(OperationFailure):
            client[database.name].c.find({"$x": 1}).read()
    finally:
        data_bridge.remove_listener(broken)
    assert len(recorder.events) == 4
    raised = [record for record in caplog.records if record.name == "data_bridge"]
    assert [record.getMessage() for record in raised] == [
        f"a listener raised in {what}()" for what in ("started", "succeeded", "started", "failed")
    ]
    assert all(record.exc_info for record in raised)


def test_bad_listeners() -> None:
    with pytest.raises(TypeError):
        data_bridge.add_listener(object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not in list"):
        data_bridge.remove_listener(Listener())
