"""Changes by another task or thread during a write: none is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from bson import ObjectId

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, Event, before_event
from data_bridge.odm import operators as op
from data_bridge.odm.asynchronous import writes
from data_bridge.odm.models import change, diff, instance_state


class Task(AsyncDocument):
    name: str
    n: int = 0
    done: bool = False
    tags: list[str] = []
    stamped: int = 0

    class Settings:
        name = "tasks"

    @before_event(Event.UPDATE)
    def stamp(self) -> None:
        self.stamped += 1


@pytest.fixture
async def tasks(mongodb_uri: str, database: Any) -> AsyncIterator[Any]:
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [Task])
        yield database["tasks"]


async def meanwhile(write: Awaitable[Any], change: Callable[[], None]) -> None:
    """Change the instance while the write waits for its reply."""
    running = asyncio.ensure_future(write)
    await asyncio.sleep(0)
    assert not running.done()
    change()
    await running


WRITES: dict[str, Callable[[Task], Awaitable[Any]]] = {
    "save": lambda task: task.save(),
    "replace": lambda task: task.replace(),
    "update": lambda task: task.update(op.Set({Task.name: "second"})),
    "bulk": lambda task: _bulk(task),
}


async def _bulk(task: Task) -> None:
    async with Task.bulk_writer() as bulk:
        bulk.save(task)


@pytest.mark.parametrize("name", WRITES)
async def test_a_change_during_a_write_is_written_by_the_next(tasks: Any, name: str) -> None:
    task = await Task(name="first").insert()

    def change() -> None:
        task.n = 7
        task.done = True
        task.tags.append("late")

    if name != "update":
        task.name = "second"
        task.n = 1
    await meanwhile(WRITES[name](task), change)
    assert (task.name, task.n, task.done, task.tags) == ("second", 7, True, ["late"])
    await task.save()
    stored = tasks.find_one({}, {"_id": 0, "stamped": 0})
    assert stored == {"name": "second", "n": 7, "done": True, "tags": ["late"]}
    assert tasks.find_one()["stamped"] == (1 if name == "update" else 0)
    assert await Task.find_one() == task


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("name", WRITES)
async def test_a_change_of_what_is_not_stored_yet(tasks: Any, name: str, read: bool) -> None:
    tasks.insert_one({"_id": ObjectId(), "name": "first"})
    task = await Task.find_one()
    assert task is not None
    if read:
        assert (task.n, task.done, task.tags) == (0, False, [])
    if name != "update":
        task.name = "second"

    def change() -> None:
        task.n = 7
        task.tags = ["late"]

    await meanwhile(WRITES[name](task), change)
    assert (task.name, task.n, task.tags) == ("second", 7, ["late"])
    await task.save()
    stored = tasks.find_one({}, {"_id": 0})
    assert (stored["name"], stored["n"], stored["tags"]) == ("second", 7, ["late"])
    assert await Task.find_one() == task


async def test_a_change_of_another_thread_once_the_answer_is_there(tasks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads may switch at any point, also while the change is applied."""
    tasks.insert_one({"_id": ObjectId(), "name": "first"})
    task = await Task.find_one()
    assert task is not None
    task.name, before = "second", change.read_bson

    def told(collection: Any, data: bytes) -> Any:
        other = threading.Thread(target=setattr, args=(task, "n", 7))
        other.start()
        other.join()
        return before(collection, data)

    monkeypatch.setattr(change, "read_bson", told)
    await task.save()
    monkeypatch.undo()
    assert task.n == 7
    await task.save()
    assert tasks.find_one()["n"] == 7


async def test_a_change_during_an_insert(tasks: Any) -> None:
    task = Task(name="first")
    await meanwhile(task.insert(), lambda: setattr(task, "n", 7))
    assert task.n == 7
    await task.save()
    assert tasks.find_one()["n"] == 7


async def test_a_change_during_an_update_that_fails(tasks: Any) -> None:
    task = await Task(name="first").insert()
    with pytest.raises(data_bridge.OperationFailure):
        await meanwhile(task.update({"$inc": {"name": 1}}), lambda: setattr(task, "n", 7))
    assert (task.n, task.stamped) == (7, 0)
    await task.save()
    assert tasks.find_one()["n"] == 7


async def test_a_value_that_was_written_is_no_change(tasks: Any) -> None:
    task = await Task(name="first").insert()
    task.n = 3
    await task.save()
    assert task._assigned == {}


@pytest.mark.parametrize(
    ("module", "step", "field"),
    [
        (writes, "discard_sent", "n"),  # before the reply is read
        (instance_state, "restore_on_abort", "n"),  # between both
        (diff, "changed_fields", "stamped"),  # while a change of a hook is compared with the sent one
        (writes, "read_projection", "n"),
    ],
)
async def test_an_assignment_of_another_thread_while_update_takes_the_answer(
    tasks: Any, monkeypatch: pytest.MonkeyPatch, module: Any, step: str, field: str
) -> None:
    task = await Task(name="first").insert()
    original, calls = getattr(module, step), []

    def interrupted(*arguments: Any) -> Any:
        result = original(*arguments)
        calls.append(step)
        if module is not diff or len(calls) == 1:
            other = threading.Thread(target=setattr, args=(task, field, 70))
            other.start()
            other.join()
        return result

    monkeypatch.setattr(module, step, interrupted)
    await task.update(op.Set({Task.name: "second"}))
    monkeypatch.undo()
    assert calls
    assert (task.name, getattr(task, field)) == ("second", 70)
    await task.save()
    assert tasks.find_one()[field] == 70
