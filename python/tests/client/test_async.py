"""The asynchronous side: the same results, one pipe per event loop, cancellation, no leaks."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import threading
import time
import warnings
from collections.abc import AsyncIterator
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from pymongo.database import Database

import data_bridge
from data_bridge import AsyncClientSession, AsyncCollection, AsyncMongoClient, OperationFailure
from data_bridge.connection import event_loop

Mongo = Database[dict[str, Any]]
ROWS = 500


@pytest.fixture
async def async_client(mongodb_uri: str) -> AsyncIterator[AsyncMongoClient]:
    async with AsyncMongoClient(mongodb_uri) as opened:
        yield opened


@pytest.fixture
def loaded(database: Mongo) -> Mongo:
    database.c.insert_many([{"_id": i, "a": i, "s": f"text {i}"} for i in range(ROWS)])
    return database


async def test_same_answers(async_client: AsyncMongoClient, loaded: Mongo) -> None:
    ours = async_client[loaded.name].c
    expected = list(loaded.c.find().sort("_id", 1))
    query = ours.find(sort="_id", batch_size=50)
    assert await query.to_dicts() == expected
    assert [document.to_dict() async for document in query] == expected
    assert [document.to_dict() for document in await query.to_list()] == expected
    assert (await query.to_arrow()).num_rows == ROWS
    assert (await query.to_polars()).height == ROWS
    assert len(await query.to_pandas()) == ROWS
    assert sum([len(batch) async for batch in query.stream()]) == ROWS
    assert (await query.schema()).names == ["_id", "a", "s"]
    assert await query.limit(1).to_dicts() == expected[:1]
    assert await ours.find_one({"_id": 3}) == expected[3]
    assert await ours.find_one(-1) is None
    assert await ours.aggregate([{"$match": {"_id": {"$lt": 3}}}]).sort("_id").to_dicts() == expected[:3]
    assert await ours.count_documents({"_id": {"$lt": 3}}) == 3
    assert await ours.estimated_document_count() == ROWS
    assert await ours.distinct("a", {"_id": {"$lt": 3}}) == [0, 1, 2]
    assert "winningPlan" in str(await query.explain())
    assert query.report is not None
    assert await async_client[loaded.name].list_collection_names() == ["c"]
    assert loaded.name in await async_client.list_database_names()
    assert (await async_client.admin.command("ping"))["ok"] == 1
    assert "version" in await async_client.server_info()


async def test_sessions(async_client: AsyncMongoClient, loaded: Mongo) -> None:
    ours = async_client[loaded.name].c
    async with async_client.start_session() as session:
        async with session.start_transaction():
            assert len(await ours.find(session=session).read()) == ROWS
        assert not session.in_transaction
        with pytest.raises(ZeroDivisionError):
            await fail_within(session, ours)
    session = await async_client.start_session()
    transaction = await session.start_transaction()
    assert transaction is not None
    await session.abort_transaction()
    await session.end_session()
    assert session.has_ended
    with pytest.raises(RuntimeError, match="not started"):
        ours.find(session=async_client.start_session())


async def fail_within(session: AsyncClientSession, ours: AsyncCollection) -> None:
    async with session.start_transaction():
        await ours.find(session=session).read()
        raise ZeroDivisionError


async def test_streams(async_client: AsyncMongoClient, loaded: Mongo) -> None:
    async with async_client[loaded.name].c.find(batch_size=50).stream() as stream:
        assert (await stream.schema()).names == ["_id", "a", "s"]
        first = await stream.__anext__()
        assert len(first) > 0
    assert [batch async for batch in stream] == []


async def test_synchronous_consumers_are_pointed_to_read(async_client: AsyncMongoClient, loaded: Mongo) -> None:
    query = async_client[loaded.name].c.find()
    for consume in (pa.table, pl.DataFrame, pa.schema):
        with pytest.raises(TypeError, match=r"await query\.read"):
            consume(query)
    with pytest.raises(TypeError, match="async for"):
        iter(query)
    assert pa.table(await query.read()).num_rows == ROWS


async def test_errors(async_client: AsyncMongoClient, loaded: Mongo) -> None:
    ours = async_client[loaded.name].c
    with pytest.raises(OperationFailure):
        await ours.find({"$nope": 1}).read()
    with pytest.raises(OperationFailure):
        async for _ in ours.find({"$nope": 1}):
            pass
    with pytest.raises(OperationFailure):
        async for _ in ours.find({"$nope": 1}).stream():
            pass
    with pytest.raises(TypeError, match="mapping"):
        ours.find([])  # type: ignore[arg-type]


async def test_the_loop_runs_while_the_server_works(async_client: AsyncMongoClient, loaded: Mongo) -> None:
    slow = async_client[loaded.name].c.find({"_id": 1, "$where": "sleep(500) || true"})
    task = asyncio.ensure_future(slow.to_dicts())
    turns = 0
    while not task.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 10
    assert len(task.result()) == 1


async def test_cancellation_ends_the_query_on_the_server(async_client: AsyncMongoClient, loaded: Mongo) -> None:
    slow = async_client[loaded.name].c.find({"$where": "sleep(100) || true"}, comment=loaded.name)
    start = time.monotonic()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(slow.read(), 0.3)
    assert time.monotonic() - start < 1
    for _ in range(40):
        if not running(loaded):
            break
        await asyncio.sleep(0.05)
    assert not running(loaded)
    assert await async_client[loaded.name].c.count_documents({}) == ROWS


def running(database: Mongo) -> list[Any]:
    stages: list[Any] = [{"$currentOp": {}}, {"$match": {"command.comment": database.name}}]
    return list(database.client.admin.aggregate(stages))


async def test_many_at_once(async_client: AsyncMongoClient, loaded: Mongo) -> None:
    ours = async_client[loaded.name].c
    results = await asyncio.gather(*[ours.find({"_id": i % ROWS}).to_dicts() for i in range(1000)])
    assert [rows[0]["_id"] for rows in results] == [i % ROWS for i in range(1000)]


async def test_progress(async_client: AsyncMongoClient, loaded: Mongo) -> None:
    seen: list[int] = []
    query = async_client[loaded.name].c.find(progress=lambda documents, size: seen.append(documents), batch_size=100)
    await query.read()
    assert seen[-1] == ROWS
    seen.clear()
    assert len([document async for document in query]) == ROWS
    assert seen[-1] == ROWS


def descriptors() -> int:
    gc.collect()
    return len([name for name in os.listdir("/proc/self/fd") if pipe(name)])


def pipe(name: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{name}").startswith("pipe:")
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_loops_one_after_the_other_leave_nothing_behind(mongodb_uri: str, loaded: Mongo) -> None:
    async def use() -> int:
        async with AsyncMongoClient(mongodb_uri) as client:
            async for _ in client[loaded.name].c.find(batch_size=10):
                break
            return len(await client[loaded.name].c.find().read())

    assert asyncio.run(use()) == ROWS
    before = descriptors()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(10):
            assert asyncio.run(use()) == ROWS
    assert descriptors() == before
    assert not any(watch.ended() for watch in event_loop._all)


def test_one_client_in_many_loops(mongodb_uri: str, loaded: Mongo) -> None:
    client = AsyncMongoClient(mongodb_uri)

    async def count() -> int:
        return await client[loaded.name].c.count_documents({})

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(asyncio.run(count()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [ROWS] * 8
    asyncio.run(client.close())


def test_a_loop_that_cannot_watch_files_is_served_by_a_thread(mongodb_uri: str, loaded: Mongo) -> None:
    class Plain(asyncio.SelectorEventLoop):
        def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
            raise NotImplementedError

    async def use() -> list[Any]:
        async with AsyncMongoClient(mongodb_uri) as client:
            return await asyncio.gather(*[client[loaded.name].c.find({"_id": i}).to_dicts() for i in range(50)])

    loop = Plain()
    try:
        assert len(loop.run_until_complete(use())) == 50
        assert any(thread.name == "data-bridge-waiter" for thread in threading.enumerate())
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("ours", "twin"),
    [
        (data_bridge.MongoClient, data_bridge.AsyncMongoClient),
        (data_bridge.Database, data_bridge.AsyncDatabase),
        (data_bridge.Collection, data_bridge.AsyncCollection),
        (data_bridge.Query, data_bridge.AsyncQuery),
        (data_bridge.ClientSession, data_bridge.AsyncClientSession),
    ],
)
def test_twins_have_the_same_names_and_arguments(ours: type, twin: type) -> None:
    names = {name for name in dir(ours) if not name.startswith("_")}
    assert names == {name for name in dir(twin) if not name.startswith("_")}
    for name in names:
        method = getattr(ours, name)
        if inspect.isfunction(method):
            parameters = inspect.signature(method).parameters
            assert list(parameters) == list(inspect.signature(getattr(twin, name)).parameters), name
