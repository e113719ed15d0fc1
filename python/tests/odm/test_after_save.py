"""Instances after a save: they have the stored values, and no others."""

from __future__ import annotations

import math
import struct
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from strategies import framed, one_of_each

import data_bridge
from data_bridge import odm
from data_bridge.odm import Document, EmbeddedDocument


class Size(EmbeddedDocument):
    width: float
    unit: str = "m"


class Thing(Document):
    x: float = 0.0
    name: str = ""
    size: Size | None = None
    tags: list[str] = []


@pytest.fixture
def things(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Thing])
    return Database[RawBSONDocument](database.client, database.name, CodecOptions(RawBSONDocument))["Thing"]


def elements(document: bytes) -> dict[str, Any]:
    """Return the value of each key as bytes, also in nested documents: servers choose the order of new keys."""
    return {
        key: elements(value.raw) if isinstance(value, RawBSONDocument) else bson.encode({"": value})
        for key, value in RawBSONDocument(document).items()
    }


def read_from(thing: Thing) -> bytes:
    document: Any = thing._document()
    return bytes(document.to_bson())


def change_size(thing: Thing) -> None:
    assert thing.size is not None
    thing.size.width = 2.5


def change_all(thing: Thing) -> None:
    thing.x, thing.name, thing.size = -0.0, "b", Size(width=1.0)
    thing.tags.append("new")


@pytest.mark.parametrize(
    "change",
    [
        lambda thing: setattr(thing, "x", 2.0),
        lambda thing: setattr(thing, "name", "other"),
        lambda thing: setattr(thing, "size", None),
        lambda thing: thing.tags.append("new"),
        change_size,
        change_all,
    ],
)
@pytest.mark.parametrize("bulk", [False, True])
def test_it_is_what_is_stored(things: Any, change: Any, bulk: bool) -> None:
    others = [(kind, f"other {name}", value) for name, (kind, value) in one_of_each().items()]
    size = framed([(0x01, "width", struct.pack("<d", 1.0)), *others])
    things.insert_one(RawBSONDocument(framed([(0x07, "_id", bytes(12)), (0x03, "size", size), *others])))
    thing = Thing.find_one()
    assert thing is not None
    change(thing)
    if bulk:
        with Thing.bulk_writer() as writer:
            writer.save(thing)
    else:
        thing.save()
    assert elements(read_from(thing)) == elements(things.find_one().raw)
    again = Thing.find_one()
    assert again == thing
    thing.x = 7.0
    thing.save()
    assert elements(read_from(thing)) == elements(things.find_one().raw)


def test_a_default_that_was_read_is_not_stored(things: Any) -> None:
    things.insert_one({"_id": bson.ObjectId(), "x": 1.0})
    thing = Thing.find_one()
    assert thing is not None
    assert thing.tags == []
    thing.x = 2.0
    thing.save()
    assert "tags" not in things.find_one()
    assert "tags" not in elements(read_from(thing))
    thing.tags.append("now")
    thing.save()
    assert things.find_one()["tags"] == ["now"]


@pytest.mark.parametrize(
    ("stored", "assigned", "sent"),
    [
        (1.5, 1.5, False),
        (1.5, 2.5, True),
        (0.0, 0.0, False),
        (0.0, -0.0, True),
        (-0.0, 0.0, True),
        (-0.0, -0.0, False),
        (math.nan, math.nan, False),
        (math.nan, 1.0, True),
        (1.0, math.nan, True),
        (math.inf, -math.inf, True),
    ],
)
def test_floats_are_compared_as_they_are_stored(things: Any, stored: float, assigned: float, sent: bool) -> None:
    things.insert_one({"_id": bson.ObjectId(), "x": stored})
    thing = Thing.find_one()
    assert thing is not None
    thing.x = assigned
    things.update_one({}, {"$set": {"x": "of another writer"}})
    thing.save()
    now = things.find_one()["x"]
    assert (now != "of another writer") is sent
    if sent:
        assert struct.pack("<d", now) == struct.pack("<d", assigned)
