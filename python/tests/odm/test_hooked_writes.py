"""Changes of hooks are written, and a bulk may contain an instance more than once."""

from __future__ import annotations

from typing import Any

import beanie
import pymongo
import pytest
from bson import ObjectId

import data_bridge
from data_bridge import odm
from data_bridge.odm import (
    Document,
    Event,
    Field,
    RevisionConflict,
    UnsavedChanges,
    ValidationError,
    after_event,
    before_event,
)
from data_bridge.odm import operators as op


class Stamped(Document):
    n: int = 0
    changes_: int = Field(0, alias="changes")
    log: list[str] = []
    note: str | None = None

    class Settings:
        name = "stamped"

    @before_event(Event.UPDATE)
    def stamp(self) -> None:
        self.changes_ += 1
        self.log.append("updated")


class Versioned(Document):
    n: int = 0
    tags: list[str] = []

    class Settings:
        name = "versioned"
        use_revision = True


@pytest.fixture
def stamped(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Stamped])
    return database["stamped"]


@pytest.fixture
def versioned(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Versioned])
    return database["versioned"]


def test_what_a_hook_changes_is_part_of_the_update(stamped: Any) -> None:
    one = Stamped().insert()
    one.update(op.Inc({Stamped.n: 5}))
    assert (one.n, one.changes_, one.log) == (5, 1, ["updated"])
    one.update(op.Set({Stamped.note: "x"}))
    stored = stamped.find_one({}, {"_id": 0})
    assert stored == {"n": 5, "changes": 2, "log": ["updated", "updated"], "note": "x"}
    assert one.save() == Stamped.find_one()


def test_changes_from_before_the_hook_are_refused_before_it_runs(stamped: Any) -> None:
    one = Stamped().insert()
    one.note = "mine"
    with pytest.raises(UnsavedChanges):
        one.update(op.Inc({Stamped.n: 1}))
    assert (one.changes_, one.log, one.note) == (0, [], "mine")
    assert stamped.find_one()["n"] == 0


def test_a_hook_runs_again_after_an_update_that_failed(stamped: Any) -> None:
    one = Stamped(note="text").insert()
    with pytest.raises(data_bridge.OperationFailure):
        one.update({"$inc": {"note": 1}})
    assert (one.changes_, one.log) == (0, [])
    with pytest.raises(data_bridge.InvalidQuery, match="twice"):
        one.update(op.Set({Stamped.changes_: 9}))
    one.update(op.Inc({Stamped.n: 1}))
    assert stamped.find_one()["changes"] == 1
    assert stamped.find_one()["log"] == ["updated"]


def test_a_hook_that_leaves_what_cannot_be_stored(ours: data_bridge.Database) -> None:
    class Spoilt(Document):
        log: list[str] = []

        @before_event(Event.UPDATE)
        def spoil(self) -> None:
            self.log.append(5)  # type: ignore[arg-type]

    odm.init(ours, [Spoilt])
    one = Spoilt().insert()
    with pytest.raises(ValidationError):
        one.update({"$set": {"x": 1}})
    assert one.log == []


def test_a_hook_runs_again_in_the_next_attempt_of_a_transaction(stamped: Any, client: data_bridge.MongoClient) -> None:
    one = Stamped().insert()
    with client.start_session() as session:
        session.start_transaction()
        one.update(op.Inc({Stamped.n: 1}), session=session)
        session.abort_transaction()
        assert (one.n, one.changes_) == (0, 0)
        with session.start_transaction():
            one.update(op.Inc({Stamped.n: 1}), session=session)
    assert (one.n, one.changes_, one.log) == (1, 1, ["updated"])
    assert stamped.find_one({}, {"_id": 0})["log"] == ["updated"]


def test_what_a_hook_changes_is_part_of_an_update_in_a_bulk(stamped: Any) -> None:
    one, other = Stamped.insert_many([Stamped(), Stamped()])
    other.note = "not saved"
    with Stamped.bulk_writer() as bulk:
        bulk.update(one, op.Inc({Stamped.n: 5}))
        bulk.update(other, op.Inc({Stamped.n: 6}))
    expected = {"changes": 1, "log": ["updated"], "note": None}
    assert [*stamped.find({}, {"_id": 0})] == [{"n": 5, **expected}, {"n": 6, **expected}]
    assert other.note == "not saved"


def test_hooks_in_a_bulk_are_those_of_the_instance(ours: data_bridge.Database, database: Any) -> None:
    class Shape(Document):
        n: int = 0

        class Settings:
            name = "shapes"
            is_root = True

    ran: list[str] = []

    class Square(Shape):
        @before_event(Event.INSERT)
        def double(self) -> None:
            self.n *= 2

        @after_event(Event.INSERT)
        def note(self) -> None:
            ran.append("after")

    odm.init(ours, [Shape])
    with Shape.bulk_writer() as bulk:
        bulk.insert(Square(n=2))
        bulk.insert(Shape(n=3))
    assert sorted(each["n"] for each in database["shapes"].find()) == [3, 4]
    assert ran == ["after"]


# ---- one instance more than once ------------------------------------------------------------------------------------


def test_one_instance_twice_in_a_bulk_is_no_conflict(versioned: Any) -> None:
    one = Versioned(n=1).insert()
    with Versioned.bulk_writer() as bulk:
        one.n = 2
        bulk.save(one)
        one.tags.append("x")
        bulk.save(one)
        bulk.replace(one)
        bulk.update(one, op.Inc({Versioned.n: 1}))
    assert versioned.find_one()["n"] == 3
    assert versioned.find_one()["tags"] == ["x"]


def test_an_insert_and_a_save_of_one_instance_in_a_bulk(versioned: Any) -> None:
    new = Versioned(n=1)
    new.id = key = ObjectId()
    with Versioned.bulk_writer() as bulk:
        bulk.insert(new)
        new.n = 2
        bulk.save(new)
    assert versioned.find_one({}, {"revision_id": 0}) == {"_id": key, "n": 2, "tags": []}
    new.n = 3
    new.save()
    assert versioned.find_one()["n"] == 3


def test_a_conflict_with_another_writer_is_still_found(versioned: Any) -> None:
    one = Versioned(n=1).insert()
    Versioned.find().update(op.Inc({Versioned.n: 10}))
    one.n = 2
    bulk = Versioned.bulk_writer()
    bulk.save(one)
    bulk.save(one)
    with pytest.raises(RevisionConflict):
        bulk.commit()
    assert versioned.find_one()["n"] == 11


def test_an_instance_that_was_not_read_again_overtakes_no_update(versioned: Any) -> None:
    one = Versioned(n=1).insert()
    with Versioned.bulk_writer() as bulk:
        bulk.update(one, op.Inc({Versioned.n: 5}))
        one.tags.append("x")
        bulk.save(one)
    one.n += 1
    with pytest.raises(RevisionConflict):
        one.save()
    one.reload()
    one.n += 1
    one.save()
    assert versioned.find_one()["n"] == 7


def test_one_instance_cannot_be_inserted_twice(versioned: Any) -> None:
    one = Versioned()
    with pytest.raises(data_bridge.InvalidQuery, match="twice"):
        Versioned.insert_many([one, Versioned(), one])
    assert versioned.count_documents({}) == 0


async def test_save_runs_no_update_hooks_where_beanie_does(mongodb_uri: str, ours: Any, database: Any) -> None:
    ran: list[str] = []

    class Theirs(beanie.Document):
        n: int = 0

        class Settings:
            name = "hooked"

        @beanie.before_event(beanie.Save)
        def on_save(self) -> None:
            ran.append("save")

        @beanie.before_event(beanie.Update)
        def on_update(self) -> None:
            ran.append("update")

    class Ours(Document):
        n: int = 0

        class Settings:
            name = "hooked"

        @before_event(Event.SAVE)
        def on_save(self) -> None:
            ran.append("save")

        @before_event(Event.UPDATE)
        def on_update(self) -> None:
            ran.append("update")

        @before_event(Event.SAVE, Event.UPDATE)
        def on_both(self) -> None:
            ran.append("both")

    async with pymongo.AsyncMongoClient(mongodb_uri) as client:
        await beanie.init_beanie(database=client[database.name], document_models=[Theirs])
        await (await Theirs().insert()).save()
    assert ran == ["save", "update"]
    ran.clear()
    odm.init(ours, [Ours])
    instance = Ours().insert()
    instance.n = 1
    instance.save()
    assert ran == ["save", "both"]
    ran.clear()
    instance.update({"$inc": {"n": 1}})
    assert ran == ["update", "both"]
