"""Constraints and validators of fields and models: in constructors, assignments and writes, and not in reads."""

from __future__ import annotations

import copy
import datetime as dt
import ipaddress
import pickle
from decimal import Decimal
from typing import Annotated, Any

import pydantic
import pytest
from bson import ObjectId
from pymongo.database import Database

import data_bridge
from data_bridge import odm
from data_bridge.odm import Document, EmbeddedDocument, Field, ValidationError, field_validator, model_validator

Mongo = Database[dict[str, Any]]


class Point(EmbeddedDocument):
    x: int = Field(0, ge=0)
    labels: list[str] = Field(default_factory=list, max_length=2)


class Person(Document):
    name: str = Field(min_length=1, max_length=5, pattern="^[A-Z]")
    age: int | None = Field(None, ge=0, lt=150)
    price: Decimal = Field(Decimal(1), gt=0, max_digits=5, decimal_places=2)
    step: float = Field(0.0, multiple_of=0.1, allow_inf_nan=False)
    size: str = Field("M", choices=["S", "M", "L"])
    tags: list[Annotated[str, Field(max_length=3)]] = Field(default_factory=list, max_length=2)
    marks: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    points: list[Point] = []
    home: Point | None = None

    class Settings:
        name = "people"


@pytest.fixture
def people(ours: data_bridge.Database, database: Mongo) -> Any:
    odm.init(ours, [Person])
    return database["people"]


WRONG = [
    ("name", "", "at least 1 character, found 0"),
    ("name", "ABCDEF", "at most 5 characters, found 6"),
    ("name", "ada", "text that matches '^[A-Z]', found str 'ada'"),
    ("age", -1, "a value >= 0, found int -1"),
    ("age", 150, "a value < 150, found int 150"),
    ("price", Decimal(0), "a value > 0, found Decimal Decimal('0')"),
    ("price", Decimal("1.234"), "at most 2 decimal places, found Decimal Decimal('1.234')"),
    ("price", Decimal("12345.6"), "at most 5 digits, found Decimal Decimal('12345.6')"),
    ("step", 0.25, "a multiple of 0.1, found float 0.25"),
    ("step", float("nan"), "a finite number, found float nan"),
    ("size", "XL", "one of 'S', 'M', 'L', found str 'XL'"),
    ("tags", ["a", "b", "c"], "at most 2 items, found 3"),
    ("marks", {"a": 1, "b": -1}, "a value >= 0, found int -1"),
]


@pytest.mark.parametrize(("field", "value", "message"), WRONG)
def test_constructors_and_assignments_check(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Person(**{"name": "Ada", field: value})
    assert message in str(raised.value)
    assert raised.value.path[0] == field
    person = Person(name="Ada")
    with pytest.raises(ValidationError) as raised:
        setattr(person, field, value)
    assert message in str(raised.value)
    assert person == Person(name="Ada"), "a refused value changes nothing"


def test_valid_values_and_none_pass() -> None:
    person = Person(
        name="Zoë", age=None, price=Decimal("999.99"), step=0.3, size="L", tags=["abc"], marks={"a": 0}, home={"x": 1}
    )
    assert (person.age, person.home) == (None, Point(x=1))


def test_errors_below_name_their_path() -> None:
    with pytest.raises(ValidationError) as raised:
        Person(name="Ada", tags=["ok", "long"])
    assert raised.value.path == ("tags", 1)
    with pytest.raises(ValidationError) as raised:
        Person(name="Ada", marks={"a": -1})
    assert raised.value.path == ("marks", "a")
    with pytest.raises(ValidationError) as raised:
        Person(name="Ada", points=[{"x": 1}, {"x": -1}])
    assert raised.value.path == ("points", 1, "x")


def test_filters_are_not_checked(people: Any) -> None:
    people.insert_one({"name": "Ada", "age": -5})
    assert Person.find(Person.age < 0).count() == 1
    assert Person.find(Person.name == "").count() == 0


def test_changes_in_place_are_checked_before_writes(people: Any) -> None:
    person = Person(name="Ada", tags=["a"]).insert()
    person.tags += ["b"]
    person.save()
    person.tags.append("c")
    with pytest.raises(ValidationError, match="tags: expected at most 2 items, found 3"):
        person.save()
    assert people.find_one()["tags"] == ["a", "b"]
    person.tags.pop()
    person.points.append(Point(labels=["a", "b"]))
    person.points[0].labels.append("c")
    with pytest.raises(ValidationError) as raised:
        person.save()
    assert raised.value.path == ("points", 0, "labels")
    for write in (person.replace, lambda: copy.deepcopy(person).replace()):
        with pytest.raises(ValidationError):
            write()
    fresh = Person(name="Bob", tags=["a"])
    fresh.tags.append("long")
    for write in (fresh.insert, lambda: Person.insert_many([fresh]), fresh.save):
        with pytest.raises(ValidationError, match=r"tags\.1: expected at most 3 characters"):
            write()
    with pytest.raises(ValidationError), Person.bulk_writer() as bulk:
        bulk.insert(fresh)
    assert people.count_documents({}) == 1


def test_stored_values_that_violate_are_read_and_kept(people: Any) -> None:
    """Old documents stay readable, and a write of other fields does not need them to be repaired."""
    stored = {"name": "ada lovelace", "age": 900, "tags": ["a", "b", "c"], "points": [{"x": -1, "labels": list("abc")}]}
    people.insert_one({**stored})
    person = Person.find_one()
    assert person is not None
    assert (person.name, person.age, person.tags, person.points[0].x) == ("ada lovelace", 900, list("abc"), -1)
    assert person.points[0].labels == list("abc")
    person.size = "S"
    person.save()
    assert people.find_one({}, {"_id": 0, "size": 1}) == {"size": "S"}
    assert {key: people.find_one()[key] for key in stored} == stored
    person.age = 90
    person.save()
    assert people.find_one()["age"] == 90
    person.tags.pop(0)
    person.save()
    assert people.find_one()["tags"] == ["b", "c"]
    person.points[0].x = 1
    person.points[0].labels.append("d")
    with pytest.raises(ValidationError, match=r"points\.0\.labels"):
        person.save()


def test_validate_finds_stored_values_that_violate(people: Any) -> None:
    people.insert_many([{"name": "Ada"}, {"name": "bob", "age": 151, "points": [{"x": -1}]}])
    with pytest.raises(ValidationError) as raised:
        Person.find().validate()
    wrong = people.find_one({"name": "bob"})["_id"]
    assert [(each.id, each.path) for each in raised.value.errors] == [
        (wrong, ("name",)),
        (wrong, ("age",)),
        (wrong, ("points", 0, "x")),
    ]
    (person,) = Person.find({"name": "bob"})
    with pytest.raises(ValidationError):
        person.validate()
    assert Person.find({"name": "Ada"}).validate()[0].name == "Ada"


@pytest.mark.parametrize(
    ("annotation", "options", "message"),
    [
        (int, {"min_length": 1}, "the constraint min_length does not apply to int"),
        (list[int], {"ge": 1}, r"the constraint ge does not apply to list\[int\]"),
        (int, {"pattern": "x"}, "the constraint pattern does not apply to int"),
        (bool, {"ge": 1}, "the constraint ge does not apply to bool"),
        (str, {"multiple_of": 2}, "the constraint multiple_of does not apply to str"),
        (str, {"choices": [("S", "small")]}, r"the choice \('S', 'small'\) is no str"),
        (int | str, {"max_length": 2}, "the constraint max_length does not apply to int"),
    ],
)
def test_a_constraint_that_cannot_hold_is_refused(annotation: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=rf"^Bad\.x: {message}"):
        type(Document)(
            "Bad", (Document,), {"__annotations__": {"x": annotation}, "x": Field(**options), "__module__": __name__}
        )


def test_a_default_that_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Bad\.x: the default '' is refused: expected at least 1 character"):

        class Bad(Document):
            x: str = Field("", min_length=1)

    class Late(EmbeddedDocument):
        x: str = Field(default_factory=str, min_length=1)

    with pytest.raises(ValidationError, match="at least 1 character"):
        Late()
    assert Late(x="a").x == "a"


def test_required_fields_of_pydantic() -> None:
    class Model(EmbeddedDocument):
        x: int = Field(..., ge=1)
        y: int = ...  # type: ignore[assignment]

    with pytest.raises(ValidationError) as raised:
        Model()
    assert [each.path for each in raised.value.errors] == [("x",), ("y",)]


# ---- validators -----------------------------------------------------------------------------------------------------


class Base(Document):
    email: str
    password: str = "secret1"
    repeated: str = "secret1"
    log: list[str] = []

    class Settings:
        name = "validated"

    @field_validator("email", mode="before")
    @classmethod
    def lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("email")
    def has_at(cls, value: str) -> str:
        if "@" not in value:
            raise AssertionError(f"{value!r} has no @ ({cls.__name__})")
        return value

    @field_validator("repeated")
    @classmethod
    def equals(cls, value: str, info: Any) -> str:
        if "password" in info.data and value != info.data["password"]:
            raise ValueError("the passwords differ")
        return value

    @field_validator("log", mode="wrap")
    @classmethod
    def unique(cls, value: Any, handler: Any) -> Any:
        made = handler(value)
        return sorted(set(made))


class Derived(Base):
    @field_validator("email")
    @classmethod
    def has_at(cls, value: str) -> str:
        if not value.endswith(".org"):
            raise ValueError("not of .org")
        return value

    @model_validator(mode="after")
    def not_itself(self) -> Derived:
        if self.email == self.password:
            raise ValueError("the password is the address")
        return self

    @model_validator(mode="before")
    @classmethod
    def renamed(cls, data: Any) -> Any:
        return {("email" if key == "mail" else key): value for key, value in data.items()}


def test_field_validators() -> None:
    made = Base(email="ADA@X.ORG", log=["b", "a", "b"])
    assert (made.email, made.log) == ("ada@x.org", ["a", "b"])
    with pytest.raises(ValidationError) as raised:
        Base(email="ada")
    assert str(raised.value) == "Base: email: 'ada' has no @ (Base)"
    assert raised.value.reason == "'ada' has no @ (Base)"
    assert isinstance(raised.value.__cause__, AssertionError)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    made.email = "B@X"
    assert made.email == "b@x"
    with pytest.raises(ValidationError, match="has no @"):
        made.email = "c"
    with pytest.raises(ValidationError, match="expected str, found int 5"):
        made.email = 5  # type: ignore[assignment]


def test_validators_see_other_fields() -> None:
    with pytest.raises(ValidationError, match="repeated: the passwords differ"):
        Base(email="a@b", password="x", repeated="y")
    made = Base(email="a@b", password="x", repeated="x")
    made.password = "z"
    with pytest.raises(ValidationError, match="the passwords differ"):
        made.repeated = "x"
    made.repeated = "z"


def test_validators_of_derived_models_and_of_the_model() -> None:
    assert Derived(mail="A@x.org").email == "a@x.org"
    with pytest.raises(ValidationError, match=r"Derived: email: not of \.org"):
        Derived(email="a@x")
    assert Base(email="a@x").email == "a@x", "the base has its own validator"
    with pytest.raises(ValidationError) as raised:
        Derived(email="a@x.org", password="a@x.org", repeated="a@x.org")
    assert str(raised.value) == "Derived: value: the password is the address"


def test_validators_before_writes(ours: data_bridge.Database, database: Mongo) -> None:
    odm.init(ours, [Derived])
    there = database["Derived"]
    made = Derived(email="a@x.org").insert()
    made.log += ["b", "a", "b"]
    made.save()
    assert there.find_one()["log"] == ["a", "b"] == made.log  # type: ignore[index]
    made.password = made.email
    with pytest.raises(ValidationError, match="the password is the address"):
        made.save()
    assert there.find_one()["password"] == "secret1"  # type: ignore[index]
    # Stored values are not validated when they are read, nor when another field is written.
    there.update_one({}, {"$set": {"email": "NO", "password": "NO", "log": ["z", "a"]}})
    (read,) = Derived.find()
    assert (read.email, read.log) == ("NO", ["z", "a"])
    with pytest.raises(ValidationError, match=r"not of \.org"):
        Derived.find().validate()
    read.password = "other"
    read.save()
    assert there.find_one()["log"] == ["z", "a"]  # type: ignore[index]


def test_validators_of_pydantic_work_as_they_are() -> None:
    class Model(EmbeddedDocument):
        a: int
        b: Annotated[str, pydantic.AfterValidator(str.strip), pydantic.Field(min_length=1)] = "x"
        c: Annotated[str, pydantic.StringConstraints(strip_whitespace=True, to_upper=True, max_length=3)] = "X"
        d: pydantic.PositiveInt | None = None

        @pydantic.field_validator("a")
        @classmethod
        def even(cls, value: int, info: pydantic.ValidationInfo) -> int:
            if value % 2:
                raise ValueError(f"{info.field_name} is odd")
            return value

        @pydantic.model_validator(mode="after")
        def check(self) -> Any:
            if self.a > 100:
                raise ValueError("too large")
            return self

    assert Model(a=2, b=" y ", c=" abc ").model_dump() == {"a": 2, "b": "y", "c": "ABC", "d": None}
    for values, message in (
        ({"a": 3}, "a: a is odd"),
        ({"a": 2, "b": "  "}, "at least 1 character"),
        ({"a": 2, "c": " abcd"}, "at most 3 characters"),
        ({"a": 2, "d": 0}, "a value > 0"),
        ({"a": 102}, "too large"),
    ):
        with pytest.raises(ValidationError, match=message):
            Model(**values)


def test_faulty_validators_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Bad\.check validates 'y', which is no field"):

        class Bad(Document):
            x: int = 0

            @field_validator("y")
            @classmethod
            def check(cls, value: Any) -> Any:
                return value

    with pytest.raises(TypeError, match="names of fields"):
        field_validator()
    with pytest.raises(ValueError, match="no mode 'late'"):
        model_validator(mode="late")


# ---- custom types ---------------------------------------------------------------------------------------------------


class Money:
    def __init__(self, text: str) -> None:
        amount, self.currency = text.split()
        self.cents = int(amount)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and (self.cents, self.currency) == (other.cents, other.currency)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"{self.cents} {self.currency}"


odm.register_type(Money, str, to_bson=str, from_bson=Money)
odm.register_type(ipaddress.IPv4Address, str, to_bson=str, from_bson=ipaddress.IPv4Address)


class Account(Document):
    balance: Money
    hosts: list[ipaddress.IPv4Address] = []
    named: dict[str, Money] = {}
    maybe: Money | None = None
    anything: Any = None

    class Settings:
        name = "accounts"


def test_custom_types(ours: data_bridge.Database, database: Mongo) -> None:
    odm.init(ours, [Account])
    there = database["accounts"]
    host = ipaddress.IPv4Address("10.0.0.1")
    made = Account(balance=Money("5 EUR"), hosts=[host], named={"a": Money("1 NOK")}, anything=[host]).insert()
    assert there.find_one({}, {"_id": 0}) == {
        "balance": "5 EUR",
        "hosts": ["10.0.0.1"],
        "named": {"a": "1 NOK"},
        "maybe": None,
        "anything": ["10.0.0.1"],
    }
    read = Account.get(made.id)
    assert read == Account(id=made.id, balance="5 EUR", hosts=["10.0.0.1"], named={"a": "1 NOK"}, anything=["10.0.0.1"])
    assert read is not None
    read.balance.cents = 7
    read.save()
    assert there.find_one()["balance"] == "7 EUR"  # type: ignore[index]
    assert Account.find(Account.balance == Money("7 EUR")).count() == 1
    assert Account.find(odm.operators.In(Account.hosts, [host])).count() == 1
    Account.find().update(odm.operators.Set({Account.balance: Money("9 EUR")}))
    assert Account.find_one().balance == Money("9 EUR")  # type: ignore[union-attr]
    assert made.model_dump(mode="json")["hosts"] == ["10.0.0.1"]


def test_errors_of_custom_types(ours: data_bridge.Database, database: Mongo) -> None:
    odm.init(ours, [Account])
    with pytest.raises(ValidationError, match="balance: expected Money, found int 5"):
        Account(balance=5)
    with pytest.raises(ValidationError, match=r"hosts\.0: Expected 4 octets"):
        Account(balance="1 EUR", hosts=["10"])
    database["accounts"].insert_one({"balance": "many EUR"})
    (read,) = Account.find()
    with pytest.raises(ValidationError) as raised:
        _ = read.balance
    assert isinstance(raised.value.id, ObjectId)
    assert "invalid literal for int" in str(raised.value)
    with pytest.raises(TypeError, match="takes a class"):
        odm.register_type("Money", str, to_bson=str, from_bson=Money)  # type: ignore[type-var]


def test_dates_are_compared() -> None:
    class Model(EmbeddedDocument):
        day: dt.date = Field(ge=dt.date(2024, 1, 1))
        at: dt.datetime | None = Field(None, le=dt.datetime(2024, 1, 1))

    with pytest.raises(ValidationError, match="day: expected a value >="):
        Model(day=dt.date(2023, 1, 1))
    with pytest.raises(ValidationError, match="at: expected a value <="):
        Model(day=dt.date(2024, 1, 1), at=dt.datetime(2023, 1, 1, tzinfo=dt.timezone.utc))
