"""`model_dump`, plain JSON and Extended JSON of models; pydantic's own model is the oracle of selections."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import pprint
import uuid
from decimal import Decimal
from typing import Any

import bson
import pandas as pd
import pydantic
import pytest
from bson import Binary, Code, Decimal128, ObjectId, Regex, Timestamp, json_util
from hypothesis import given
from hypothesis import strategies as st
from pymongo.database import Database

import data_bridge
from data_bridge import odm
from data_bridge.odm import BackLink, Document, EmbeddedDocument, Field, Link

Mongo = Database[dict[str, Any]]
ID = ObjectId("0123456789abcdef01234567")
UTC = dt.timezone.utc


class Color(enum.Enum):
    RED = "red"


class Place(EmbeddedDocument):
    city: str = "Oslo"
    codes: list[int] = [1, 2]


class Person(Document):
    name: str = "Ada"
    age: int | None = None
    place: Place = Place()
    places: list[Place] = []
    named: dict[str, Place] = {}
    mail: str | None = Field(None, alias="e-mail")

    class Settings:
        name = "dumped"


class PydanticPlace(pydantic.BaseModel):
    city: str = "Oslo"
    codes: list[int] = [1, 2]


class PydanticPerson(pydantic.BaseModel):
    id: Any = None
    name: str = "Ada"
    age: int | None = None
    place: PydanticPlace = PydanticPlace()
    places: list[PydanticPlace] = []
    named: dict[str, PydanticPlace] = {}
    mail: str | None = pydantic.Field(None, alias="e-mail")

    model_config = pydantic.ConfigDict(populate_by_name=True)


VALUES: dict[str, Any] = {
    "name": "Bob",
    "places": [{"city": "Rome"}, {"codes": []}, {"city": "Bonn", "codes": [3]}],
    "named": {"a": {"city": "X"}, "b": {}},
}

names = st.sampled_from(["id", "name", "age", "place", "places", "named", "mail", "city", "codes", "a", "b"])
indexes = st.sampled_from([0, 1, 2, -1])
nested = st.recursive(
    st.just(True) | st.sets(names, max_size=3) | st.sets(indexes, max_size=2),
    lambda below: (
        st.dictionaries(names, below, max_size=3) | st.dictionaries(indexes | st.just("__all__"), below, max_size=2)
    ),
    max_leaves=4,
)
selections = st.none() | st.sets(names, max_size=4) | st.dictionaries(names, nested, max_size=4)


def dumped(instance: Any, arguments: dict[str, Any]) -> Any:
    try:
        return instance.model_dump(**arguments)
    except (TypeError, ValueError) as error:
        return type(error)


@given(selections, selections, st.fixed_dictionaries({}, optional={
    "by_alias": st.booleans(), "exclude_none": st.booleans(), "exclude_unset": st.booleans(),
    "exclude_defaults": st.booleans(), "mode": st.sampled_from(["python", "json"]),
}))  # fmt: skip
def test_selections_are_those_of_pydantic(include: Any, exclude: Any, options: dict[str, Any]) -> None:
    arguments = {"include": include, "exclude": exclude, **options}
    ours, theirs = Person(**VALUES), PydanticPerson(**VALUES)
    want = dumped(theirs, arguments)
    if isinstance(want, type):
        return  # pydantic refuses a selection that does not fit its value; ours selects nothing below it
    got = dumped(ours, arguments)
    if isinstance(got, dict) and "_id" in got:
        got["id"] = got.pop("_id")
    assert got == want


def test_what_was_given_counts_as_set(ours: data_bridge.Database) -> None:
    odm.init(ours, [Person])
    person = Person(name="Bob", mail=None)
    assert person.model_dump(exclude_unset=True) == {"name": "Bob", "mail": None}
    person.age = 5
    assert person.model_dump(exclude_unset=True) == {"name": "Bob", "mail": None, "age": 5}
    person.insert()
    assert person.model_dump(exclude_unset=True).keys() == person.model_dump().keys()
    (read,) = Person.find()
    assert read.model_dump(exclude_unset=True) == person.model_dump()
    Person.find().update(odm.operators.Unset(Person.age))
    assert "age" not in Person.find_one().model_dump(exclude_unset=True)  # type: ignore[union-attr]


def test_defaults_of_an_aborted_insert_stay(ours: data_bridge.Database, client: Any) -> None:
    class Keyed(Document):
        key: uuid.UUID = Field(default_factory=uuid.uuid4)
        name: str = "n"

    odm.init(ours, [Keyed])
    made = Keyed()
    key = made.key
    with client.start_session() as session:
        session.start_transaction()
        made.insert(session=session)
        session.abort_transaction()
    assert (made.key, made.name) == (key, "n")
    made.insert()
    assert Keyed.get(made.id).key == key  # type: ignore[union-attr]


class Kinds(Document):
    at: dt.datetime
    day: dt.date
    price: Decimal
    key: uuid.UUID
    data: bytes
    color: Color
    ids: set[ObjectId]
    pair: tuple[int, ObjectId]
    ratio: float
    other: Any

    class Settings:
        name = "kinds"


KINDS: dict[str, Any] = {
    "id": ID,
    "at": dt.datetime(2024, 5, 6, 7, 8, 9, 120_000, tzinfo=UTC),
    "day": dt.date(2024, 5, 6),
    "price": Decimal("1.10"),
    "key": uuid.UUID(int=5),
    "data": b"\xff\x00",
    "color": Color.RED,
    "ids": {ID},
    "pair": (1, ID),
    "ratio": 0.5,
    "other": {
        "dec": Decimal128("2.50"),
        "re": Regex("a", "i"),
        "ts": Timestamp(1, 2),
        "code": Code("f()"),
        "bin": Binary(b"x", 5),
        "int": bson.Int64(2**60),
        "naive": dt.datetime(2024, 1, 1),
        "list": [ID, None, True],
    },
}
PLAIN: dict[str, Any] = {
    "_id": "0123456789abcdef01234567",
    "at": "2024-05-06T07:08:09.120000Z",
    "day": "2024-05-06",
    "price": "1.10",
    "key": "00000000-0000-0000-0000-000000000005",
    "data": "/wA=",
    "color": "red",
    "ids": ["0123456789abcdef01234567"],
    "pair": [1, "0123456789abcdef01234567"],
    "ratio": 0.5,
    "other": {
        "dec": "2.50",
        "re": {"$regularExpression": {"pattern": "a", "options": "i"}},
        "ts": {"$timestamp": {"t": 1, "i": 2}},
        "code": {"$code": "f()"},
        "bin": "eA==",
        "int": 2**60,
        "naive": "2024-01-01T00:00:00",
        "list": ["0123456789abcdef01234567", None, True],
    },
}


def test_plain_json(ours: data_bridge.Database) -> None:
    odm.init(ours, [Kinds])
    made = Kinds(**KINDS)
    assert made.model_dump(mode="json", by_alias=True) == PLAIN
    assert json.loads(made.model_dump_json(by_alias=True)) == PLAIN
    assert json.loads(json.dumps({"x": [made]}, default=data_bridge.json_default)) == {"x": [PLAIN]}
    assert json.loads(made.model_dump_json())["id"] == PLAIN["_id"]
    made.insert()
    (read,) = Kinds.find()
    # PyMongo's client gives naive dates.
    naive = {**PLAIN, "at": PLAIN["at"][:-1]}
    assert json.loads(read.model_dump_json(by_alias=True)) == naive
    assert read.model_dump()["at"] == KINDS["at"].replace(tzinfo=None)


def test_form_of_the_text() -> None:
    place = Place(city="Kraków")
    assert place.model_dump_json() == '{"city":"Kraków","codes":[1,2]}'
    assert place.model_dump_json() == PydanticPlace(city="Kraków").model_dump_json()
    assert place.model_dump_json(indent=2) == PydanticPlace(city="Kraków").model_dump_json(indent=2)
    assert place.model_dump_json(ensure_ascii=True, include={"city"}) == '{"city":"Krak\\u00f3w"}'

    class Odd(EmbeddedDocument):
        x: float = float("nan")
        y: Any = [float("inf")]

    assert Odd().model_dump_json() == '{"x":null,"y":[null]}'
    url = pydantic.TypeAdapter(pydantic.HttpUrl).validate_python("http://a.b/")
    assert Odd(x=1.0, y={"url": url, "set": {Decimal("1.5")}}).model_dump_json() == (
        '{"x":1.0,"y":{"url":"http://a.b/","set":["1.5"]}}'
    )
    with pytest.raises(TypeError, match="a object has no form in JSON"):
        Odd(y=object()).model_dump_json()


def test_extended_json_has_its_own_name() -> None:
    made = Kinds(**KINDS)
    text = made.to_extended_json()
    assert json_util.loads(text)["_id"] == ID
    assert json.loads(text)["price"] == {"$numberDecimal": "1.10"}
    assert json.loads(Kinds(**{**KINDS, "ratio": 1.0}).to_extended_json(canonical=True))["ratio"] == {
        "$numberDouble": "1.0"
    }


def test_arguments_that_are_refused() -> None:
    with pytest.raises(ValueError, match="no mode 'text'"):
        Place().model_dump(mode="text")
    with pytest.raises(TypeError, match="take a set of names or a mapping, got 'city'"):
        Place().model_dump(include="city")
    with pytest.raises(TypeError, match="unexpected keyword"):
        Place().model_dump(nothing=True)  # type: ignore[call-arg]


class Writer(Document):
    name: str
    books: list[BackLink[Book]] = Field(default_factory=list, original_field="writer")


class Book(Document):
    title: str
    writer: Link[Writer]


def test_links(ours: data_bridge.Database) -> None:
    odm.init(ours, [Writer, Book])
    ada = Writer(name="Ada").insert()
    Book(title="Notes", writer=Link(ada)).insert()
    (book,) = Book.find()
    assert book.model_dump(exclude={"id"}) == {"title": "Notes", "writer": ada.id}
    assert book.model_dump(mode="json")["writer"] == str(ada.id)
    (book,) = Book.find(fetch_links=True)
    assert book.model_dump(mode="json", exclude={"id"}) == {
        "title": "Notes",
        "writer": {"id": str(ada.id), "name": "Ada"},
    }
    (writer,) = Writer.find(fetch_links=True)
    assert writer.model_dump(exclude={"books": {"__all__": {"id"}}})["books"] == [{"title": "Notes", "writer": ada.id}]


def test_models_are_dataclasses_for_libraries() -> None:
    person = Person(name="Bob", place={"city": "Rome"})
    assert dataclasses.is_dataclass(Person)
    want = {"id": None, "name": "Bob", "age": None, "place": {"city": "Rome", "codes": [1, 2]}, "places": []}
    assert dataclasses.asdict(person) == {**want, "named": {}, "mail": None}
    assert dataclasses.replace(person, name="Eve") == Person(name="Eve", place={"city": "Rome"})
    assert "Bob" in pprint.pformat(person)


# ---- documents and list views ---------------------------------------------------------------------------------------

STORED = {"_id": ID, "name": "a", "tags": ["x", "y"], "place": {"city": "Oslo", "at": [1, {"z": 2}]}, "empty": []}


@pytest.fixture
def document(client: Any, database: Mongo) -> Any:
    database["plain"].insert_one({**STORED})
    return client[database.name]["plain"].find_one({})


def test_documents_are_dicts_and_lists_for_other_code(document: Any) -> None:
    assert isinstance(document, dict)
    assert isinstance(document, data_bridge.Document)
    assert isinstance(document["tags"], list)
    assert type(document) is data_bridge.Document

    class Own(data_bridge.Document):
        pass

    assert Own(document).__class__ is Own
    assert json.loads(json.dumps(document, default=data_bridge.json_default)) == {**STORED, "_id": str(ID)}
    assert json.loads(json.dumps(document["place"]["at"], default=data_bridge.json_default)) == [1, {"z": 2}]
    assert json.loads(json.dumps(document, default=data_bridge.json_default, indent=1)) == {**STORED, "_id": str(ID)}


def test_json_normalize(client: Any, database: Mongo) -> None:
    documents = [{**STORED, "_id": n, "n": n} for n in range(3)]
    database["normal"].insert_many([{**each} for each in documents])
    query = client[database.name]["normal"].find()
    want = pd.json_normalize(documents)
    got = pd.json_normalize(list(query))
    assert list(got.columns) == list(want.columns)
    assert got.map(lambda value: list(value) if isinstance(value, list) else value).equals(want)
    nested = pd.json_normalize(list(query), ["tags"], ["n"])
    assert nested.equals(pd.json_normalize(documents, ["tags"], ["n"]))


def test_jsonable_encoder(document: Any) -> None:
    encoders = pytest.importorskip("fastapi.encoders")
    encode = encoders.jsonable_encoder
    assert encode(document, custom_encoder={ObjectId: str}) == {**STORED, "_id": str(ID)}
    assert encode(document["place"]) == STORED["place"]
    assert encode([Place(city="X")]) == [{"city": "X", "codes": [1, 2]}]
    assert encode(Person(id=ID), custom_encoder={ObjectId: str})["id"] == str(ID)


def test_an_endpoint_without_a_return_annotation(monkeypatch: pytest.MonkeyPatch) -> None:
    encoders = pytest.importorskip("fastapi.encoders")
    with pytest.raises(ValueError, match="ObjectId"):
        encoders.jsonable_encoder(Person(id=ID))
    monkeypatch.setitem(encoders.ENCODERS_BY_TYPE, ObjectId, str)
    assert encoders.jsonable_encoder([Person(id=ID)])[0]["id"] == str(ID)
