"""Tasks that wait for operations: one turn of the event loop each, and ended as tasks of futures are."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Coroutine
from typing import Any

import pytest

from data_bridge import AsyncMongoClient
from data_bridge.connection.waiter import Waiter

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("NAME", default="outside")
SLOWLY = {"$where": "sleep(30000) || true"}


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that counts its turns."""

    turns = 0

    def _run_once(self) -> None:
        self.turns += 1
        super()._run_once()  # type: ignore[misc]


def run(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def test_an_operation_takes_one_turn(mongodb_uri: str, database: Any) -> None:
    loop = CountingLoop()

    async def work() -> int:
        async with AsyncMongoClient(mongodb_uri) as client:
            collection = client[database.name].c
            await collection.insert_one({"_id": 1})
            before = loop.turns
            for value in range(100):
                assert await collection.find_one({"_id": 1}) is not None
                await collection.update_one({"_id": 1}, {"$set": {"a": value}})
            return loop.turns - before

    assert run(loop, work()) <= 205  # timers of other parts may take a few


async def test_a_cancelled_task_ends_at_once_with_its_message(mongodb_uri: str, database: Any) -> None:
    database.c.insert_one({"_id": 1})
    async with AsyncMongoClient(mongodb_uri) as client:
        collection = client[database.name].c
        task = asyncio.ensure_future(collection.find_one(SLOWLY))
        await asyncio.sleep(0.2)
        task.cancel("enough")
        # Before Python 3.11, a task does not pass the message on to the one that awaits it.
        with pytest.raises(asyncio.CancelledError, match="enough" if sys.version_info >= (3, 11) else None):
            await task
        # Cancelled before its first step, and in the turn in which it would end.
        task = asyncio.ensure_future(collection.find_one({"_id": 1}))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(collection.find_one(SLOWLY), 0.2)
        assert await asyncio.wait_for(collection.find_one({"_id": 1}), 30) is not None


async def test_a_shielded_operation_ends(mongodb_uri: str, database: Any) -> None:
    async with AsyncMongoClient(mongodb_uri) as client:
        collection = client[database.name].c
        inner = asyncio.ensure_future(collection.insert_one({"_id": 1}))
        outer = asyncio.ensure_future(asyncio.shield(inner))
        await asyncio.sleep(0)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert (await inner).inserted_id == 1


async def test_tasks_keep_their_context_variables(mongodb_uri: str, database: Any) -> None:
    async with AsyncMongoClient(mongodb_uri) as client:
        collection = client[database.name].c

        async def named(name: str) -> tuple[str, str]:
            NAME.set(name)
            await collection.insert_one({"name": name})
            task = asyncio.current_task()
            return NAME.get(), "" if task is None else task.get_name()

        names = [f"task {number}" for number in range(50)]
        found = await asyncio.gather(*(asyncio.create_task(named(name), name=name) for name in names))
    assert found == [(name, name) for name in names]
    assert NAME.get() == "outside"


def test_an_exit_of_one_task_leaves_the_others_their_results(mongodb_uri: str, database: Any) -> None:
    database.c.insert_one({"_id": 1})
    ended: list[int] = []

    async def one(collection: Any, number: int) -> None:
        await collection.find_one({"_id": 1})
        if number == 3:
            raise SystemExit(3)
        ended.append(number)

    async def begin() -> list[asyncio.Task[None]]:
        client = AsyncMongoClient(mongodb_uri)
        tasks = [asyncio.ensure_future(one(client[database.name].c, number)) for number in range(20)]
        done, _ = await asyncio.wait(tasks)
        assert len(done) == len(tasks)
        await client.close()
        return tasks

    loop = asyncio.new_event_loop()
    work = loop.create_task(begin())
    with pytest.raises(SystemExit):
        loop.run_until_complete(work)
    tasks = run(loop, asyncio.wait_for(asyncio.shield(work), 30))
    assert sorted(ended) == [number for number in range(20) if number != 3]
    assert isinstance(tasks[3].exception(), SystemExit)


async def test_a_waiter_ends_once() -> None:
    loop = asyncio.get_running_loop()
    waiter = Waiter(loop)
    with pytest.raises(asyncio.InvalidStateError):
        waiter.result()
    waiter.wake()
    waiter.wake()
    assert (waiter.done(), waiter.cancelled(), waiter.cancel()) == (True, False, False)
    await waiter  # one that has ended does not suspend

    called: list[Waiter] = []
    waiter.add_done_callback(called.append)
    assert called == []
    await asyncio.sleep(0)
    assert called == [waiter]

    cancelled = Waiter(loop)
    assert cancelled.cancel("why")
    assert not cancelled.cancel()
    cancelled.wake()
    with pytest.raises(asyncio.CancelledError, match="why"):
        await cancelled
