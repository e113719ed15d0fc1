"""Constraints and validators of updates: for the values that fields get, not for amounts, factors and conditions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pydantic
import pytest
from pydantic import AfterValidator

import data_bridge
from data_bridge import InvalidQuery, odm
from data_bridge.odm import AsyncDocument, Document, EmbeddedDocument, Field, field_validator
from data_bridge.odm import operators as op


def small(value: int) -> int:
    if value > 100:
        raise ValueError(f"{value} is more than 100")
    return value


class Size(EmbeddedDocument):
    width: int = Field(default=1, ge=1)

    @field_validator("width")
    @classmethod
    def even(cls, value: int) -> int:
        if value % 2 == 0 and value > 10:
            raise ValueError("wide ones are odd")
        return value


class Fields:
    stock: int = Field(default=5, ge=0)
    optional: Annotated[int, Field(ge=0)] | None = 5
    even: int = Field(default=4, multiple_of=2)
    price: float = Field(default=8.0, gt=0)
    few: Annotated[int, AfterValidator(small)] = 5
    start: int = 0
    end: int = 10
    code: str = ""
    tags: list[Annotated[str, Field(min_length=2)]] = []
    size: Size = Field(default_factory=Size)

    @field_validator("end")
    @classmethod
    def after_start(cls, value: int, info: Any) -> int:
        if "start" in info.data and value < info.data["start"]:
            raise ValueError("the end is before the start")
        return value

    @field_validator("code", mode="before")
    @classmethod
    def upper(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("a code is needed")
        return value.upper()


class Stock(Fields, Document):
    pass


class AwaitedStock(Fields, AsyncDocument):
    class Settings:
        name = "Stock"


@pytest.fixture
def stocks(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Stock])
    return database["Stock"]


@pytest.fixture
async def awaited(mongodb_uri: str, database: Any) -> AsyncIterator[Any]:
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [AwaitedStock])
        yield database["Stock"]


def operands(model: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Return updates, with the values that they make of the defaults and of `tags: ["ab", "c"]`."""
    return [
        (op.Inc({model.stock: -1}), {"stock": 4}),
        (op.Inc({model.optional: -1}), {"optional": 4}),
        (op.Inc({model.even: 1}), {"even": 5}),
        (op.Mul({model.price: 0.0}), {"price": 0.0}),
        (op.Mul({model.price: -1.5}), {"price": -12.0}),
        (op.Inc({model.few: -200}), {"few": -195}),
        (op.Inc({model.size.width: -5}), {"size": {"width": -4}}),
        (op.Pull({model.tags: "c"}), {"tags": ["ab"]}),
        (op.PullAll({model.tags: ["c", "ab"]}), {"tags": []}),
    ]


def stored(collection: Any, names: Any) -> dict[str, Any]:
    return {name: collection.find_one()[name] for name in names}


@pytest.mark.parametrize("number", range(len(operands(Stock))))
def test_operands_are_not_checked(stocks: Any, number: int) -> None:
    update, expected = operands(Stock)[number]
    stock = Stock(code="x").insert()
    for call in (
        lambda: stock.update(update),
        lambda: Stock.find().update(update),
        lambda: Stock.find(Stock.stock == 5).find_one_and_update(update),
    ):
        stocks.update_one({}, {"$set": {**Stock(code="x").model_dump(exclude={"id"}), "tags": ["ab", "c"]}})
        stock.reload()
        call()
        assert stored(stocks, expected) == expected
    with Stock.bulk_writer() as bulk:
        stocks.update_one({}, {"$set": {**Stock(code="x").model_dump(exclude={"id"}), "tags": ["ab", "c"]}})
        bulk.update(stock, update)
    assert stored(stocks, expected) == expected


@pytest.mark.parametrize("number", range(len(operands(AwaitedStock))))
async def test_operands_are_not_checked_by_awaited_calls(awaited: Any, number: int) -> None:
    update, expected = operands(AwaitedStock)[number]
    stock = await AwaitedStock(code="x").insert()
    for call in (lambda: stock.update(update), lambda: AwaitedStock.find().update(update)):
        awaited.update_one({}, {"$set": {**AwaitedStock(code="x").model_dump(exclude={"id"}), "tags": ["ab", "c"]}})
        await stock.reload()
        await call()
        assert stored(awaited, expected) == expected


def test_a_stock_is_decremented_by_the_short_form(stocks: Any) -> None:
    stock = Stock(code="x").insert().inc({Stock.stock: -1})
    assert stock.stock == 4
    # The type of the operand is checked as before.
    for update in (op.Inc({Stock.stock: 1.5}), op.Inc({Stock.stock: None}), op.Pull({Stock.tags: 5})):
        with pytest.raises(InvalidQuery, match="expected"):
            Stock.find().update(update)


REFUSED = [
    (op.Set({Stock.stock: -1}), r"Stock\.stock: expected a value >= 0, got int -1"),
    (op.SetOnInsert({Stock.stock: -1}), "expected a value >= 0"),
    # The server stores them where the field is missing.
    (op.Min({Stock.stock: -1}), "expected a value >= 0"),
    (op.Max({Stock.stock: -1}), "expected a value >= 0"),
    (op.Push({Stock.tags: "a"}), "expected at least 2 characters"),
    (op.AddToSet({Stock.tags: op.Each(["ab", "a"])}), "expected at least 2 characters"),
    (op.Set({Stock.few: 1000}), r"Stock\.few: 1000 is more than 100"),
    (op.Set({Stock.code: ""}), r"Stock\.code: a code is needed"),
    (op.Set({Stock.size.width: 12}), "wide ones are odd"),
    (op.Set({Stock.size.width: 0}), "expected a value >= 1"),
]


@pytest.mark.parametrize(("update", "message"), REFUSED)
def test_values_that_are_stored_are_checked(stocks: Any, update: Any, message: str) -> None:
    stock = Stock(code="x").insert()
    before = stocks.find_one()
    for call in (lambda: Stock.find().update(update), lambda: stock.update(update)):
        with pytest.raises(InvalidQuery, match=message):
            call()
    with Stock.bulk_writer() as bulk, pytest.raises(InvalidQuery, match=message):
        bulk.update(stock, update)
    assert stocks.find_one() == before


def test_validators_change_values_of_updates_as_in_pydantic(stocks: Any) -> None:
    class Oracle(pydantic.BaseModel):
        code: str

        _upper = pydantic.field_validator("code", mode="before")(lambda value: value.upper())

    stock = Stock(code="x").insert().set({Stock.code: "abc"})
    assert stocks.find_one()["code"] == stock.code == Oracle(code="abc").code
    Stock.find().update(op.Set(Stock.code, "abcd"))
    assert stocks.find_one()["code"] == "ABCD"


def test_validators_see_the_instance_that_is_updated(stocks: Any) -> None:
    stock = Stock(code="x", start=5).insert()
    with pytest.raises(InvalidQuery, match="the end is before the start"):
        stock.set({Stock.end: 4})
    with Stock.bulk_writer() as bulk, pytest.raises(InvalidQuery, match="the end is before the start"):
        bulk.update(stock, op.Set({Stock.end: 4}))
    assert stock.set({Stock.end: 6}).end == 6
    # An update of a query knows no other values.
    Stock.find().update(op.Set({Stock.end: 4}))
    assert stocks.find_one()["end"] == 4


async def test_awaited_values_that_are_stored_are_checked(awaited: Any) -> None:
    stock = await AwaitedStock(code="x", start=5).insert()
    for update, message in (
        (op.Set({AwaitedStock.stock: -1}), "expected a value >= 0"),
        (op.Set({AwaitedStock.few: 1000}), "1000 is more than 100"),
        (op.Set({AwaitedStock.end: 4}), "the end is before the start"),
    ):
        with pytest.raises(InvalidQuery, match=message):
            await stock.update(update)
    assert (await stock.set({AwaitedStock.code: "abc"})).code == "ABC"


def test_filters_are_not_checked(stocks: Any) -> None:
    stocks.insert_one({"tags": ["a"], "stock": -1})
    assert Stock.find(Stock.tags == ["a"]).count() == 1
    assert Stock.find(op.In(Stock.tags, ["a"])).count() == 1
    assert Stock.find(Stock.stock == -1).count() == 1


def test_the_current_date_may_violate_a_constraint(ours: data_bridge.Database) -> None:
    import datetime as dt

    class Event(Document):
        at: dt.datetime | None = Field(default=None, ge=dt.datetime(2020, 1, 1))

    odm.init(ours, [Event])
    Event().insert()
    Event.find().update(op.CurrentDate(Event.at))
    (event,) = Event.find()
    assert event.at is not None


def test_validators_of_a_derived_class_run_for_the_fields_of_its_base() -> None:
    class Base(Document):
        name: str = ""

    class Derived(Base):
        @field_validator("name")
        @classmethod
        def short(cls, value: str) -> str:
            if len(value) > 3:
                raise ValueError("a short name is needed")
            return value

    update = op.Set({Base.name: "abcd"})
    assert update.document(Base) == {"$set": {"name": "abcd"}}
    with pytest.raises(InvalidQuery, match="a short name is needed"):
        update.document(Derived)
