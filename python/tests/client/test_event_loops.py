"""Iterations that are interrupted, or go on in another event loop: an error, and never an early end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from pymongo.database import Database

from data_bridge import AsyncMongoClient, AsyncQuery, MongoClient, Query, odm, read_bson

Mongo = Database[dict[str, Any]]
ROWS = 500
SLOWLY = {"$where": "this._id < 60 || sleep(1000) || true"}


@pytest.fixture
def loaded(database: Mongo) -> Mongo:
    database.c.insert_many([{"_id": i, "a": i} for i in range(ROWS)])
    return database


def models(database: Any, base: type[Any]) -> type[Any]:
    """A model of the collection."""

    class Row(base):  # type: ignore[misc]
        id: int
        a: int

        class Settings:
            name = "c"

    indexes = odm.init(database, [Row])
    if indexes is not None:
        indexes.close()  # type: ignore[unreachable]
    return Row


Start = Callable[[Any, dict[str, Any]], Any]


def _query(database: Any, **options: Any) -> Any:
    return database.c.find(batch_size=20, **options)


ASYNC: dict[str, Start] = {
    "documents": lambda database, where: aiter(_query(database, filter=where)),
    "progress": lambda database, where: aiter(_query(database, filter=where, progress=lambda documents, size: None)),
    "stream": lambda database, where: _query(database, filter=where).stream(infer_rows=5),
    "stream of a schema": lambda database, where: _query(database, filter=where, schema={"a": int}).stream(),
    "conflicts": lambda database, where: _query(database, filter=where).conflicts({"a": str}),
    "models": lambda database, where: aiter(
        models(database, odm.AsyncDocument).find(odm.trusted(where), batch_size=20)
    ),
    "linked models": lambda database, where: aiter(
        models(database, odm.AsyncDocument).find(odm.trusted(where), batch_size=20).fetch_links()
    ),
}
SYNC: dict[str, Start] = {
    "documents": lambda database, where: iter(_query(database, filter=where)),
    "progress": lambda database, where: iter(_query(database, filter=where, progress=lambda documents, size: None)),
    "stream": lambda database, where: _query(database, filter=where).stream(infer_rows=5),
    "stream of a schema": lambda database, where: _query(database, filter=where, schema={"a": int}).stream(),
    "conflicts": lambda database, where: _query(database, filter=where).conflicts({"a": str}),
    "models": lambda database, where: iter(models(database, odm.Document).find(odm.trusted(where), batch_size=20)),
    "linked models": lambda database, where: iter(
        models(database, odm.Document).find(odm.trusted(where), batch_size=20).fetch_links()
    ),
}


async def rest(iterator: Any) -> list[Any]:
    return [each async for each in iterator]


async def impatient(iterator: Any) -> None:
    while True:
        await asyncio.wait_for(anext(iterator), 0.3)


async def started(uri: str, name: str, way: str, filter: dict[str, Any]) -> Any:
    iterator = ASYNC[way](AsyncMongoClient(uri)[name], filter)
    for _ in range(1 if way.startswith("stream") else 2):
        await anext(iterator)
    return iterator


@pytest.mark.parametrize("way", ASYNC)
@pytest.mark.parametrize("filter", [{}, {"_id": {"$lt": 20}}], ids=["rows on the server", "rows at hand"])
def test_an_iteration_that_goes_on_in_a_second_run(
    mongodb_uri: str, loaded: Mongo, way: str, filter: dict[str, Any]
) -> None:
    iterator = asyncio.run(started(mongodb_uri, loaded.name, way, filter))
    for _ in range(2):
        with pytest.raises(RuntimeError, match="event loop that has ended: iterate over the query again"):
            asyncio.run(rest(iterator))


@pytest.mark.parametrize("way", ASYNC)
def test_an_iteration_that_goes_on_in_another_loop(mongodb_uri: str, loaded: Mongo, way: str) -> None:
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        iterator = first.run_until_complete(started(mongodb_uri, loaded.name, way, {}))
        for _ in range(2):
            with pytest.raises(RuntimeError, match="another event loop"):
                second.run_until_complete(rest(iterator))
    finally:
        first.close()
        second.close()


class Unwatching(asyncio.SelectorEventLoop):
    """A loop that cannot watch files, as the proactor of Windows."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("way", ["documents", "stream"])
def test_a_loop_that_cannot_watch_files_ends(mongodb_uri: str, loaded: Mongo, way: str) -> None:
    loop = Unwatching()
    try:
        iterator = loop.run_until_complete(started(mongodb_uri, loaded.name, way, {}))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    with pytest.raises(RuntimeError, match="event loop that has ended"):
        asyncio.run(rest(iterator))


@pytest.mark.parametrize("way", ASYNC)
def test_one_loop_that_runs_twice_goes_on(mongodb_uri: str, loaded: Mongo, way: str) -> None:
    loop = asyncio.new_event_loop()
    try:
        iterator = loop.run_until_complete(started(mongodb_uri, loaded.name, way, {}))
        left = loop.run_until_complete(rest(iterator))
        if way.startswith("stream"):
            assert sum(len(batch) for batch in left) >= ROWS - 100
        else:
            assert len(left) == ROWS - 2
        assert loop.run_until_complete(rest(iterator)) == []
    finally:
        loop.close()


@pytest.mark.parametrize("way", ASYNC)
def test_what_ended_or_was_closed_stays_at_its_end(mongodb_uri: str, loaded: Mongo, way: str) -> None:
    async def whole() -> Any:
        iterator = ASYNC[way](AsyncMongoClient(mongodb_uri)[loaded.name], {})
        assert await rest(iterator) != []
        return iterator

    async def closed() -> Any:
        iterator = await started(mongodb_uri, loaded.name, way, {})
        await iterator.aclose()
        await iterator.aclose()
        return iterator

    for end in (whole, closed):
        assert asyncio.run(rest(asyncio.run(end()))) == []


@pytest.mark.parametrize("way", ASYNC)
def test_an_iteration_that_goes_on_after_its_cancellation(mongodb_uri: str, loaded: Mongo, way: str) -> None:
    async def use() -> None:
        async with AsyncMongoClient(mongodb_uri) as client:
            iterator = ASYNC[way](client[loaded.name], SLOWLY)
            with pytest.raises(asyncio.TimeoutError):
                await impatient(iterator)
            for _ in range(2):
                with pytest.raises(RuntimeError, match="interrupted before its end"):
                    await anext(iterator)

    asyncio.run(use())


async def test_tasks_that_share_an_iteration_get_no_early_end(mongodb_uri: str, loaded: Mongo) -> None:
    async with AsyncMongoClient(mongodb_uri) as client:
        stream = client[loaded.name].c.find(SLOWLY, batch_size=20, schema={"a": int}).stream()
        await anext(stream)
        tasks = [asyncio.ensure_future(rest(stream)) for _ in range(3)]
        await asyncio.sleep(0.5)
        tasks[0].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert all(isinstance(outcome, Exception) for outcome in outcomes[1:]), outcomes


async def test_awaited_steps_in_tasks_of_their_own(mongodb_uri: str, loaded: Mongo) -> None:
    async with AsyncMongoClient(mongodb_uri) as client:
        iterator = aiter(client[loaded.name].c.find(sort="_id", batch_size=7))
        found = [await asyncio.wait_for(anext(iterator), 30) for _ in range(10)]
        found += [await asyncio.create_task(anext(iterator)) for _ in range(10)]
        assert await anext(iterator, None) is not None
        assert [document["_id"] for document in found] == list(range(20))
        assert len(await rest(iterator)) == ROWS - 21
        assert await anext(iterator, None) is None


def test_operations_go_on_in_a_second_run(mongodb_uri: str, loaded: Mongo) -> None:
    """Clients, queries and sessions belong to no event loop: only what is half read does."""
    client = AsyncMongoClient(mongodb_uri)
    query = client[loaded.name].c.find(batch_size=20)

    async def read() -> tuple[int, int, int]:
        return len(await query.read()), len(await rest(query)), sum([len(batch) async for batch in query.stream()])

    async def first() -> Any:
        session = await client.start_session()
        assert await client[loaded.name].c.count_documents({}, session=session) == ROWS
        return session

    async def second(session: Any) -> None:
        assert await client[loaded.name].c.count_documents({}, session=session) == ROWS
        await session.end_session()

    assert asyncio.run(read()) == asyncio.run(read()) == (ROWS, ROWS, ROWS)
    asyncio.run(second(asyncio.run(first())))
    asyncio.run(client.close())


class Alarm(Exception):
    """Raised by a signal handler."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("way", SYNC)
def test_an_iteration_that_goes_on_after_a_signal(client: MongoClient, loaded: Mongo, way: str) -> None:
    iterator = SYNC[way](client[loaded.name], SLOWLY)
    found: list[Any] = []
    with pytest.raises(Alarm), alarm(1.5):
        found.extend(iterator)
    with pytest.raises(RuntimeError, match="interrupted before its end"):
        found.extend(iterator)
    # No row before the signal is lost, though links are fetched for a block of rows.
    assert found


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_an_iterable_that_goes_on_after_its_error() -> None:
    document = b"\x0c\0\0\0\x10a\0\1\0\0\0\0"

    def buffers() -> Iterator[bytes]:
        yield document * 1000
        time.sleep(1)
        yield document

    documents = iter(read_bson(buffers()))
    with pytest.raises(Alarm), alarm(0.3):
        list(documents)
    with pytest.raises(RuntimeError, match="interrupted before its end"):
        list(documents)


def typed(query: Query, other: AsyncQuery) -> None:
    """For mypy."""
    iter(query)
    aiter(other)
