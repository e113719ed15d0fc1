"""`sum`, `avg`, `min` and `max` of model queries, compared with PyMongo's values and MongoEngine's results."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import statistics
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import mongoengine
import pytest
from bson import Decimal128, Int64

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, Document, EmbeddedDocument, Field


class Level(enum.Enum):
    LOW = 1
    MIDDLE = 2
    HIGH = 3


class Line(EmbeddedDocument):
    count_: int = Field(default=0, alias="count")
    parts: list[int] = []
    name: str = ""


class Order(Document):
    name: str = ""
    numbers: list[int] = Field(default_factory=list, alias="n")
    grid: list[list[float]] = []
    marks: set[int] = Field(default_factory=set)
    pair: tuple[int, float] | None = None
    words: list[str] = []
    prices: list[decimal.Decimal] | None = None
    lines: list[Line] = []
    first: Line | None = None
    by_name: dict[str, list[int]] = {}
    free: Any = None
    mixed: int | list[int] | str | None = None
    big: Int64 | None = None
    level: Level = Level.LOW
    digit: Literal[1, 2, 3] = 1
    flag: bool = False
    at: dt.datetime | None = None
    data: bytes = b""
    size: int | None = None

    class Settings:
        name = "orders"


class AsyncOrder(AsyncDocument):
    numbers: list[int] = Field(default_factory=list, alias="n")
    lines: list[Line] = []
    name: str = ""

    class Settings:
        name = "orders"


class TheirLine(mongoengine.EmbeddedDocument):
    count_ = mongoengine.IntField(db_field="count")
    meta = {"strict": False}


class TheirOrder(mongoengine.Document):
    n = mongoengine.ListField(mongoengine.IntField())
    lines = mongoengine.ListField(mongoengine.EmbeddedDocumentField(TheirLine))
    meta = {"collection": "orders", "strict": False, "db_alias": "folding"}


F: Any = Order
STORED: list[dict[str, Any]] = [
    {
        "name": "a",
        "n": [1, 2],
        "grid": [[1.5, 2.5], []],
        "marks": [4],
        "pair": [1, 0.5],
        "words": ["x", "y"],
        "prices": None,
        "lines": [{"count": 2, "parts": [1, 2], "name": "q"}, {"count": 5, "parts": [3]}],
        "first": {"count": 7, "parts": [10]},
        "by_name": {"a": [1, 2]},
        "free": [1, 2],
        "mixed": 4,
        "big": Int64(1 << 40),
        "level": 1,
        "digit": 2,
        "size": 3,
    },
    {
        "name": "b",
        "n": [10],
        "grid": [[3.0]],
        "lines": [{"count": 1}],
        "free": 5,
        "mixed": [1, 2],
        "level": 2,
        "digit": 2,
    },
    {"name": "c", "n": [], "mixed": "text"},
]


@pytest.fixture
def orders(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Order])
    database["orders"].insert_many(STORED)
    return database["orders"]


@pytest.fixture
async def async_orders(orders: Any, mongodb_uri: str, database: Any) -> AsyncIterator[Any]:
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [AsyncOrder])
        yield orders


def every(document: Any, *path: Any) -> list[Any]:
    """Return the values at a path, with the items of lists, in plain Python."""
    if isinstance(document, list) and not (path and isinstance(path[0], int)):
        return [value for each in document for value in every(each, *path)]
    if not path:
        return [] if document is None else [document]
    if isinstance(path[0], int):
        found = document[path[0]] if isinstance(document, list) and len(document) > path[0] else None
        return every(found, *path[1:])
    return every(document.get(path[0]), *path[1:]) if isinstance(document, dict) else []


NUMBERS: list[tuple[Any, tuple[Any, ...]]] = [
    (F.numbers, ("n",)),
    (F.grid, ("grid",)),
    (F.marks, ("marks",)),
    (F.pair, ("pair",)),
    (F.lines.count_, ("lines", "count")),
    (F.lines.parts, ("lines", "parts")),
    (F.lines[0].count_, ("lines", 0, "count")),
    (F.lines[0].parts[1], ("lines", 0, "parts", 1)),
    (F.lines[1].parts, ("lines", 1, "parts")),
    (F.numbers[0], ("n", 0)),
    (F.first.count_, ("first", "count")),
    (F.first.parts, ("first", "parts")),
    (F.by_name["a"], ("by_name", "a")),
    (F.free, ("free",)),
    (F.big, ("big",)),
    (F.size, ("size",)),
    (F.level, ("level",)),
    (F.digit, ("digit",)),
]


@pytest.mark.parametrize(("field", "path"), NUMBERS, ids=lambda each: repr(each))
def test_numbers_are_folded_one_by_one(orders: Any, field: Any, path: Any) -> None:
    values = [value for document in orders.find() for value in every(document, *path)]
    assert values
    dotted = repr(field).removeprefix("Order.").replace("[", ".").replace("]", "").replace("'", "")
    for given in (field, dotted):
        query = Order.find()
        assert query.sum(given) == sum(values)
        assert query.avg(given) == pytest.approx(statistics.mean(values))
        assert getattr(query.min(given), "value", query.min(given)) == min(values)
        assert getattr(query.max(given), "value", query.max(given)) == max(values)


async def test_numbers_of_async_documents_are_folded_one_by_one(async_orders: Any) -> None:
    query = AsyncOrder.find()
    assert await query.sum("numbers") == 13
    assert await query.avg("lines.count_") == pytest.approx(8 / 3)
    assert await query.min("lines.parts") == 1
    assert await query.max("n") == 10
    with pytest.raises(data_bridge.InvalidQuery, match=r"sum\(\) is for numbers"):
        await query.sum("name")


def test_figures_are_those_of_mongoengine(orders: Any, mongodb_uri: str) -> None:
    mongoengine.connect(orders.database.name, host=mongodb_uri, alias="folding", uuidRepresentation="standard")
    try:
        theirs = TheirOrder.objects()
        assert Order.find().sum(F.numbers) == theirs.sum("n")
        assert Order.find().avg(F.numbers) == theirs.average("n")
        with_lines = Order.find(odm.operators.Size(F.lines, 1))
        assert with_lines.sum(F.lines[0].count_) == with_lines.sum(F.lines.count_) == 1
    finally:
        mongoengine.disconnect(alias="folding")


@pytest.mark.parametrize(
    "field", ["name", "words", "lines.name", "flag", "at", "data", "lines", "first", "by_name", "lines.0.name"]
)
@pytest.mark.parametrize("fold", ["sum", "avg"])
def test_a_sum_of_what_is_no_number_is_refused(orders: Any, field: str, fold: str) -> None:
    with pytest.raises(data_bridge.InvalidQuery, match=rf"{fold}\(\) is for numbers, and Order\.\w+"):
        getattr(Order.find(), fold)(field)


def test_words_have_a_least_and_a_greatest(orders: Any) -> None:
    assert (Order.find().min("name"), Order.find().max("name")) == ("a", "c")
    assert (Order.find().min("words"), Order.find().max("words")) == ("x", "y")
    assert Order.find().max(F.lines.name) == "q"


def test_answers_have_the_type_of_one_item(orders: Any) -> None:
    orders.update_many({}, {"$set": {"prices": [Decimal128("1.10"), Decimal128("2")]}})
    cases: list[tuple[Callable[..., Any], Any, Any]] = [
        (Order.find().sum, F.prices, decimal.Decimal("9.30")),
        (Order.find().avg, F.prices, decimal.Decimal("1.55")),
        (Order.find().max, F.prices, decimal.Decimal(2)),
        (Order.find().max, F.big, Int64(1 << 40)),
        (Order.find().min, F.level, Level.LOW),
        (Order.find().sum, F.level, 3),
        (Order.find().sum, F.grid, 7.0),
        (Order.find().sum, F.numbers, 13),
    ]
    for fold, field, expected in cases:
        found = fold(field)
        assert (type(found), found) == (type(expected), expected), field


def test_nothing_to_fold(orders: Any) -> None:
    nothing = Order.find(F.name == "absent")
    assert (nothing.sum(F.numbers), nothing.avg(F.numbers), nothing.max(F.lines.count_)) == (None, None, None)
    empty = Order.find(F.name == "c")
    assert (empty.sum(F.numbers), empty.avg(F.numbers), empty.min(F.numbers)) == (0, None, None)
    assert (empty.sum(F.lines.count_), empty.sum(F.size)) == (0, 0)


def test_a_union_is_folded_where_it_holds_numbers(orders: Any) -> None:
    assert Order.find().sum(F.mixed) == 7
    assert Order.find().avg(F.mixed) == pytest.approx(7 / 3)
