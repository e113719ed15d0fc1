"""Serializers and computed fields of pydantic: in dumps, responses and JSON schemas, never in stored documents."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from bson import Decimal128
from pydantic import TypeAdapter, computed_field, field_serializer, model_serializer
from pymongo.database import Database

import data_bridge
from data_bridge import odm
from data_bridge.odm import Document, EmbeddedDocument, Field, ValidationError

Mongo = Database[dict[str, Any]]
AT = dt.datetime(2024, 5, 6, tzinfo=dt.timezone.utc)


class Price(EmbeddedDocument):
    amount: Decimal
    currency: str = "NOK"

    @field_serializer("amount", when_used="json")
    def as_number(self, amount: Decimal) -> float:
        return float(amount)


class Invoice(Document):
    prices: list[Price] = []
    paid: dt.datetime | None = None
    note: str = ""

    class Settings:
        name = "invoices"

    @computed_field(title="Sum", description="Of all prices")  # type: ignore[prop-decorator]
    @property
    def total(self) -> Decimal:
        return sum((each.amount for each in self.prices), Decimal(0))

    @computed_field(alias="isPaid")  # type: ignore[prop-decorator]
    @property
    def is_paid(self) -> bool:
        return self.paid is not None

    @field_serializer("paid", when_used="json-unless-none")
    def as_seconds(self, value: dt.datetime, info: pydantic.FieldSerializationInfo) -> int:
        assert info.field_name == "paid"
        assert info.mode_is_json()
        return int(value.timestamp())

    @field_serializer("note", "total", mode="wrap")
    def marked(self, value: Any, handler: Callable[[Any], Any]) -> str:
        return f"<{handler(value)}>"


class Versioned(EmbeddedDocument):
    name: str

    @model_serializer(mode="wrap")
    def with_version(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {"version": 1, **handler(self)}


class Plain(EmbeddedDocument):
    street: str
    city: str

    @model_serializer
    def as_text(self) -> str:
        return f"{self.street}, {self.city}"


class Parcel(EmbeddedDocument):
    to: Plain
    item: Versioned


def invoice() -> Invoice:
    return Invoice(prices=[Price(amount=Decimal("1.10"))], paid=AT, note="n")


def test_dumps() -> None:
    made = invoice()
    assert made.model_dump(exclude={"id"}) == {
        "prices": [{"amount": Decimal("1.10"), "currency": "NOK"}],
        "paid": AT,
        "note": "<n>",
        "total": "<1.10>",
        "is_paid": True,
    }
    assert json.loads(made.model_dump_json(by_alias=True)) == {
        "_id": None,
        "prices": [{"amount": 1.1, "currency": "NOK"}],
        "paid": int(AT.timestamp()),
        "note": "<n>",
        "total": "<1.10>",
        "isPaid": True,
    }
    assert made.model_dump(include={"total"}) == {"total": "<1.10>"}
    assert "total" not in made.model_dump(exclude={"total"})
    assert Invoice().model_dump(mode="json", include={"paid"}) == {"paid": None}


def test_serializers_of_models() -> None:
    parcel = Parcel(to=Plain(street="Main", city="Oslo"), item=Versioned(name="x"))
    assert parcel.model_dump() == {"to": "Main, Oslo", "item": {"version": 1, "name": "x"}}
    assert TypeAdapter(list[Parcel]).dump_json([parcel]) == f"[{parcel.model_dump_json()}]".encode()


def test_documents_are_stored_without_them(ours: data_bridge.Database, database: Mongo) -> None:
    odm.init(ours, [Invoice])
    made = invoice().insert()
    assert database["invoices"].find_one({}, {"_id": 0}) == {
        "prices": [{"amount": Decimal128("1.10"), "currency": "NOK"}],
        "paid": dt.datetime(2024, 5, 6),
        "note": "n",
    }
    (read,) = Invoice.find()
    assert (read.total, read.is_paid) == (Decimal("1.10"), True)
    read.prices.append(Price(amount=Decimal(1)))
    assert read.model_dump(include={"total"}) == {"total": "<2.10>"}
    assert read.id == made.id
    with pytest.raises(TypeError):
        Invoice.find(Invoice.total > 1)
    with pytest.raises(ValidationError, match="total: expected a declared field"):
        Invoice(total=1)  # type: ignore[call-arg]


def test_schemas_of_responses() -> None:
    shown = TypeAdapter(Invoice).json_schema(mode="serialization")["properties"]
    assert {key: shown["isPaid"][key] for key in ("type", "readOnly")} == {"type": "boolean", "readOnly": True}
    assert {key: shown["total"][key] for key in ("title", "description", "readOnly")} == {
        "title": "Sum",
        "description": "Of all prices",
        "readOnly": True,
    }
    assert shown["paid"]["type"] == "integer"
    body = TypeAdapter(Invoice).json_schema()["properties"]
    assert "total" not in body
    assert body["paid"]["anyOf"][0]["format"] == "date-time"
    assert TypeAdapter(Plain).json_schema(mode="serialization")["type"] == "string"
    assert TypeAdapter(Plain).json_schema()["properties"].keys() == {"street", "city"}


def test_fastapi_shows_them() -> None:
    fastapi = pytest.importorskip("fastapi")
    pytest.importorskip("httpx2")
    from fastapi.testclient import TestClient

    app = fastapi.FastAPI()

    @app.post("/")
    def answer(made: Invoice) -> Invoice:
        return made

    response = TestClient(app).post("/", json={"prices": [{"amount": "2.5"}]})
    assert response.json()["total"] == "<2.5>"
    assert response.json()["isPaid"] is False
    assert response.json()["prices"] == [{"amount": 2.5, "currency": "NOK"}]


def test_a_class_below_has_those_of_its_bases() -> None:
    class Reminder(Invoice):
        @property
        def is_paid(self) -> bool:  # type: ignore[override] # no computed field any more
            return False

        @field_serializer("*")
        def hidden(self, value: Any) -> str:
            return "-"

    assert Reminder(note="n").model_dump(exclude={"id", "prices", "paid"}) == {"note": "-", "total": "-"}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"f": field_serializer("y")(lambda self, value: value)}, "Model.f serializes 'y', which is no field"),
        (
            {"f": computed_field(functools.cached_property(lambda self: 1))},
            r"Model.f: a computed_field must be a @prop",
        ),
        ({"f": computed_field(property(lambda self: 1, lambda self, value: None))}, "Model.f: .* takes no setter"),
    ],
)
def test_refused(members: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type(Document)("Model", (Document,), {"__annotations__": {"x": int}, "__module__": __name__, **members})


# ---- frozen fields --------------------------------------------------------------------------------------------------


class Account(Document):
    owner: str
    number: str = pydantic.Field(frozen=True, min_length=2)
    kind: str = Field("basic", frozen=True)

    class Settings:
        name = "accounts"


class Point(EmbeddedDocument):
    model_config = pydantic.ConfigDict(frozen=True)
    x: int
    y: int = 0


class Entry(Document):
    model_config = {"frozen": True}
    where: Point
    text: str = ""


class Extended(Point):
    z: int = 0


def test_frozen_fields(ours: data_bridge.Database, database: Mongo) -> None:
    odm.init(ours, [Account])
    made = Account(owner="Ada", number="12").insert()
    read = Account.get(made.id)
    assert read is not None
    for instance in (made, read):
        for name in ("number", "kind"):
            with pytest.raises(ValidationError, match=f"Account: {name}: the field is frozen"):
                setattr(instance, name, "99")
            with pytest.raises(ValidationError):
                instance[name] = "99"
    read.owner = "Bob"
    read.save()
    read.replace()
    assert database["accounts"].find_one({}, {"_id": 0}) == {"owner": "Bob", "number": "12", "kind": "basic"}
    made.reload()
    made.set({Account.kind: "gold"})
    assert made.kind == "gold"
    assert made.model_copy(update={"number": "34"}).number == "34"
    with pytest.raises(ValidationError, match="number: expected at least 2 characters"):
        Account(owner="x", number="1")


def test_frozen_models(ours: data_bridge.Database) -> None:
    odm.init(ours, [Entry])
    made = Entry(where=Point(x=1)).insert()
    assert made.id is not None
    with pytest.raises(ValidationError, match="the field is frozen"):
        made.text = "x"
    with pytest.raises(ValidationError, match="Point: x: the field is frozen"):
        made.where.x = 2
    assert Entry.get(made.id) == made
    made.update(odm.operators.Set(Entry.text, "y"))
    assert made.text == "y"
    below = Extended(x=1)
    for name in ("x", "z"):
        with pytest.raises(ValidationError, match=f"{name}: the field is frozen"):
            setattr(below, name, 5)
    assert TypeAdapter(Point).validate_python({"x": 5}) == Point(x=5)


# ---- copies ---------------------------------------------------------------------------------------------------------


def test_copies_with_other_values(ours: data_bridge.Database, database: Mongo) -> None:
    odm.init(ours, [Invoice])
    made = invoice().insert()
    other = made.model_copy(update={"note": "m", "prices": []})
    assert (made.note, other.note, other.prices, other.id) == ("n", "m", [], made.id)
    other.save()
    assert database["invoices"].find_one({}, {"_id": 0, "note": 1, "prices": 1}) == {"note": "m", "prices": []}
    assert made.model_copy().prices is made.prices
    deep = made.model_copy(deep=True)
    deep.prices[0].currency = "SEK"
    assert made.prices[0].currency == "NOK"
    with pytest.raises(ValidationError) as caught:
        made.model_copy(update={"note": 5, "nope": 1})
    assert [each.path for each in caught.value.errors] == [("note",), ("nope",)]
