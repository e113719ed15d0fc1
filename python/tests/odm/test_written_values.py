"""Values that a write returns: those that a later read gives, in milliseconds and the client's zone."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
from typing import Any

import pydantic
import pytest
from bson import Binary
from bson.codec_options import CodecOptions
from pymongo.database import Database

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, BulkWriter, Document, EmbeddedDocument
from data_bridge.odm import operators as op
from data_bridge.odm.models.change import diff

OSLO = dt.timezone(dt.timedelta(hours=2))
NOW = dt.datetime.now(dt.timezone.utc).replace(microsecond=123_456)
TIMES = [
    NOW,
    NOW.astimezone(OSLO),
    dt.datetime(2024, 5, 6, 7, 8, 9, 999_999),
    dt.datetime(1931, 1, 1, 0, 0, 0, 1, tzinfo=dt.timezone.utc),
    dt.datetime(1, 1, 1, 0, 0, 0, 500),
]
ZONES = [
    CodecOptions(),
    CodecOptions(tz_aware=True),
    CodecOptions(tz_aware=True, tzinfo=OSLO),
]


class Part(EmbeddedDocument):
    at: dt.datetime
    log: list[dt.datetime] = []
    inner: Part | None = None


class Open(EmbeddedDocument):
    x: Any = None


@dataclasses.dataclass
class Slot:
    start: dt.datetime
    note: str = ""


class Visit(pydantic.BaseModel):
    at: dt.datetime
    times: list[dt.datetime] = []


class Event(Document):
    at: dt.datetime
    maybe: dt.datetime | None = None
    either: dt.datetime | str = ""
    log: list[dt.datetime] = []
    days: set[dt.datetime] = set()
    frozen: frozenset[dt.datetime] = frozenset()
    row: tuple[dt.datetime, ...] = ()
    pair: tuple[str, dt.datetime] | None = None
    by_key: dict[str, dt.datetime] = {}
    by_number: dict[int, dt.datetime] = {}
    nested: list[dict[str, list[dt.datetime]]] = []
    part: Part | None = None
    parts: list[Part] = []
    named: dict[str, Part] = {}
    slot: Slot | None = None
    slots: list[Slot] = []
    visit: Visit | None = None
    x: Any = None
    xs: list[Any] = []
    ox: Open | None = None


def values(v: dt.datetime) -> dict[str, Any]:
    """A value at every position."""
    return {
        "at": v,
        "maybe": v,
        "either": v,
        "log": [v],
        "days": {v},
        "frozen": frozenset([v]),
        "row": (v, v),
        "pair": ("a", v),
        "by_key": {"k": v},
        "by_number": {7: v},
        "nested": [{"k": [v, v]}],
        "part": Part(at=v, log=[v], inner=Part(at=v)),
        "parts": [Part(at=v), Part(at=v, log=[v])],
        "named": {"k": Part(at=v)},
        "slot": Slot(v, "x"),
        "slots": [Slot(v)],
        "visit": Visit(at=v, times=[v]),
        "x": {"a": [v, {"b": v}], "c": "text"},
        "xs": [v, [v], {"k": v}],
        "ox": Open(x=[v]),
    }


@pytest.fixture(params=ZONES, ids=["naive", "utc", "oslo"])
def events(request: pytest.FixtureRequest, client: data_bridge.MongoClient, database: Database[Any]) -> Any:
    odm.init(client.get_database(database.name, codec_options=request.param), [Event])
    return database["Event"]


def same(event: Event) -> None:
    read = Event.get(event.id)
    assert read is not None
    assert event == read
    # `==` of aware times ignores the zone, and the repr shows it.
    assert repr(event) == repr(read)


@pytest.mark.parametrize("v", TIMES, ids=["now", "now in Oslo", "naive", "before 1970", "year 1"])
def test_a_written_time_is_the_one_that_is_read(events: Any, v: dt.datetime) -> None:
    same(Event(**values(v)).insert())

    saved = Event(id="0123456789abcdef01234567", **values(v)).save()
    same(saved)

    (first, second) = Event.insert_many([Event(**values(v)), Event(**values(v))])
    same(first)
    same(second)

    changed = Event(at=v).insert()
    for name, value in values(v + dt.timedelta(days=1)).items():
        setattr(changed, name, value)
    same(changed.save())

    replaced = Event(at=v).insert()
    for name, value in values(v + dt.timedelta(days=1)).items():
        setattr(replaced, name, value)
    same(replaced.replace())

    with BulkWriter() as bulk:
        inserted = Event(**values(v))
        bulk.insert(inserted)
        first.log.append(v)
        first.x["a"].append(v)
        bulk.save(first)
    same(inserted)
    same(first)

    upserted = Event(**values(v))
    Event.find(Event.at == dt.datetime(1999, 1, 1)).upsert(op.Set({Event.at: v}), on_insert=upserted)
    same(upserted)


def test_the_example_of_the_guide_holds(events: Any) -> None:
    v = dt.datetime.now(dt.timezone.utc)
    e = Event(at=v, log=[v]).insert()
    assert e == Event.get(e.id)


def test_lists_and_models_of_the_caller_are_the_ones_that_change(events: Any) -> None:
    log, part, inner = [NOW], Part(at=NOW), {"b": NOW}
    slot, visit, x = Slot(NOW), Visit(at=NOW), {"a": [inner]}
    event = Event(at=NOW, log=log, part=part, slot=slot, visit=visit, x=x).insert()
    assert event.log is log
    assert event.part is part
    assert event.slot is slot
    assert event.visit is visit
    assert event.x is x
    assert x["a"][0] is inner
    log.append(NOW)
    slot.note = "later"
    inner["c"] = NOW
    same(event.save())
    assert events.find_one({"_id": event.id})["slot"]["note"] == "later"


def test_an_equal_time_that_is_assigned_again_is_the_stored_one(events: Any) -> None:
    event = Event(at=NOW, log=[NOW]).insert()
    event.at, event.log = NOW, [NOW]
    same(event.save())


def test_a_value_without_a_type_is_the_one_that_is_read(events: Any) -> None:
    class Kind(enum.Enum):
        A = "a"

    for value in (
        Kind.A,
        (1, 2),
        decimal.Decimal("1.10"),
        dt.date(2024, 5, 6),
        {"k": (Kind.A, decimal.Decimal("2"))},
        Part(at=NOW),
        [Binary(b"x", 0), Binary(b"y", 5)],
        {1, 2, 3},
        dt.timedelta(seconds=1.5),
        dt.time(12, 30),
        float("nan"),
        2**40,
    ):
        event = Event(at=NOW, x=value).insert()
        assert repr(event) == repr(Event.get(event.id))
        event.xs = [value]
        event.save()
        assert repr(event) == repr(Event.get(event.id))


def test_a_change_during_the_write_stays_a_change(events: Any) -> None:
    event = Event(at=NOW, log=[NOW], x=[NOW]).insert()
    written = diff(event)
    event.log = [NOW + dt.timedelta(days=1)]
    later = diff(event)
    event.log.append(NOW)
    event.x.append(NOW)
    later.apply(event, whole=True, session=None)
    assert len(event.log) == 2
    assert len(event.x) == 2
    event.save()
    same(event)
    assert not written.update


async def test_a_written_time_of_an_async_document(mongodb_uri: str, database: Database[Any]) -> None:
    class AsyncEvent(AsyncDocument):
        at: dt.datetime
        log: list[dt.datetime] = []
        x: Any = None

    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [AsyncEvent])
        event = await AsyncEvent(at=NOW, log=[NOW], x=[NOW]).insert()
        assert event == await AsyncEvent.get(event.id)
        event.log.append(NOW)
        await event.save()
        assert event == await AsyncEvent.get(event.id)
        (other,) = await AsyncEvent.insert_many([AsyncEvent(at=NOW, log=[NOW])])
        assert other == await AsyncEvent.get(other.id)
