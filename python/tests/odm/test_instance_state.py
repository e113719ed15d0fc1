"""State of instances: a change is made without changing the instance, and applied after the server has written it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson import Binary, ObjectId

import data_bridge
from data_bridge import odm
from data_bridge.odm import Document, DocumentNotFound, RevisionConflict
from data_bridge.odm import operators as op
from data_bridge.odm.models import instance_state as state
from data_bridge.odm.models.change import Change, diff, insertion, replacement


class Note(Document):
    text: str
    tags: list[str] = []
    revision_id: uuid.UUID | None = None

    class Settings:
        name = "notes"
        use_revision = True


@pytest.fixture
def notes(mongodb_uri: str, database: Any) -> Iterator[Any]:
    with data_bridge.MongoClient(mongodb_uri) as client:
        odm.init(client[database.name], [Note])
        yield database["notes"]


def values(note: Note) -> tuple[Any, ...]:
    kept, assigned = state.held_values(note)
    return dict(assigned), {name: list(value) for name, value in kept.items()}, note.revision_id, note.id


MADE: dict[str, Callable[[Note], Change]] = {
    "diff": diff,
    "replacement": lambda note: replacement(note, False),
    "insertion": insertion,
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_a_change_is_made_without_changing_the_instance(notes: Any, make: Callable[[Note], Change]) -> None:
    Note(text="first", tags=["a"]).insert()
    note = Note.find().first_or_none()
    assert note is not None
    note.text = "second"
    note.tags.append("b")
    before = values(note)
    change = make(note)
    assert values(note) == before
    assert (change.document["text"], change.document["tags"]) == ("second", ["a", "b"])
    assert change.document["revision_id"] not in (None, note.revision_id)
    assert make(note).document["revision_id"] != change.document["revision_id"]
    change.apply(note, whole=True, session=None)
    assert note.revision_id == change.document["revision_id"]
    assert state.held_values(note).assigned == {}


def test_a_replacement_that_fails_leaves_no_revision_to_save(notes: Any) -> None:
    note = Note(text="first").insert()
    read = note.revision_id
    other = uuid.uuid4()
    notes.update_one({}, {"$set": {"revision_id": Binary.from_uuid(other)}})
    with pytest.raises(RevisionConflict):
        note.replace()
    assert note.revision_id == read
    note.reload()
    assert note.revision_id == other
    notes.delete_one({})
    with pytest.raises(DocumentNotFound):
        note.replace()
    # A revision that was not written is no change of the instance, which update() would refuse to lose.
    with pytest.raises(DocumentNotFound):
        note.update(op.Set({Note.text: "second"}))


def test_an_insert_that_fails_leaves_the_id_but_no_revision(notes: Any) -> None:
    key = ObjectId()
    notes.insert_one({"_id": key})
    note = Note(id=key, text="first")
    with pytest.raises(data_bridge.DuplicateKeyError):
        note.insert()
    assert (note.id, note.revision_id) == (key, None)
    notes.create_index("text", unique=True)
    notes.update_one({}, {"$set": {"text": "first"}})
    note = Note(text="first")
    with pytest.raises(data_bridge.DuplicateKeyError):
        note.insert()
    # The same `_id` is sent again: a first insert whose reply was lost is then found.
    assert isinstance(note.id, ObjectId)
    assert note.revision_id is None


def test_a_save_that_fails_leaves_the_revision(notes: Any) -> None:
    note = Note(text="first").insert()
    read = note.revision_id
    note.text = "second"
    notes.delete_one({})
    with pytest.raises(DocumentNotFound):
        note.save()
    assert note.revision_id == read
    assert state.held_values(note).assigned == {"text": "second"}


def test_a_replacement_of_a_query_keeps_its_revision(notes: Any) -> None:
    Note(text="first").insert()
    other = Note(text="second")
    Note.find(Note.text == "first").find_one_and_replace(other)
    assert other.revision_id is None
    assert notes.find_one()["revision_id"] is not None


def test_a_bulk_that_fails_leaves_the_revisions(notes: Any) -> None:
    saved, replaced = Note(text="a").insert(), Note(text="b").insert()
    read = (saved.revision_id, replaced.revision_id)
    notes.delete_many({})
    saved.text = "c"
    bulk = Note.bulk_writer()
    bulk.save(saved)
    bulk.replace(replaced)
    with pytest.raises(RevisionConflict):
        bulk.commit()
    assert (saved.revision_id, replaced.revision_id) == read
    assert state.held_values(saved).assigned == {"text": "c"}
