"""Models in pydantic: validation, errors, JSON schemas, models in models; without pydantic, models still work."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

import pydantic
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex
from pydantic import BaseModel, TypeAdapter

from data_bridge import odm
from data_bridge.odm import Document, EmbeddedDocument, Field, Link, PydanticObjectId, field_validator, model_validator

ID = "0123456789abcdef01234567"


class Kind(enum.Enum):
    A = "a"
    B = "b"


class Circle(EmbeddedDocument):
    kind: Literal["circle"] = "circle"
    size: float


class Square(EmbeddedDocument):
    kind: Literal["square"] = "square"
    side: float


class Shape(EmbeddedDocument):
    label: str = ""

    class Settings:
        is_root = True


class Star(Shape):
    points: int


class Node(EmbeddedDocument):
    value: int
    below: list[Node] = []


class Owner(Document):
    name: str


class Everything(Document):
    """One field of each kind."""

    text: str = Field(min_length=1, description="A text")
    number: int = Field(1, ge=0, le=10)
    ratio: float = 0.5
    flag: bool = False
    at: dt.datetime | None = None
    day: dt.date | None = None
    price: Decimal | None = Field(None, ge=0)
    key: uuid.UUID | None = None
    data: bytes = b""
    binary: Binary | None = None
    ref: ObjectId | None = None
    refs: list[ObjectId] = []
    kind: Kind = Kind.A
    choice: Literal[1, "x"] = 1
    pair: tuple[int, str] | None = None
    many: tuple[int, ...] = ()
    names: set[str] = set()
    counts: dict[str, int] = {}
    shape: Circle | Square | None = None
    shapes: list[Circle | Square] = []
    tree: Shape | None = None
    node: Node | None = None
    owner: Link[Owner] | None = None
    sizes: list[Annotated[str, Field(choices=["S", "M"])]] = Field(default_factory=list, max_length=2)
    long: Int64 = Int64(0)
    pattern: Regex | None = None
    amount: Decimal128 | None = None
    anything: Any = None
    renamed: int = Field(0, alias="re-named")


BODY: dict[str, Any] = {
    "_id": ID,
    "text": "t",
    "number": 3,
    "at": "2024-05-06T07:08:09Z",
    "day": "2024-05-06",
    "price": "1.10",
    "key": "00000000-0000-0000-0000-000000000005",
    "data": "/wA=",
    "binary": "eA==",
    "ref": ID,
    "refs": [ID],
    "kind": "b",
    "choice": "x",
    "pair": [1, "a"],
    "many": [1, 2],
    "names": ["n"],
    "counts": {"a": 1},
    "shape": {"kind": "square", "side": 2},
    "shapes": [{"kind": "circle", "size": 1}, {"kind": "square", "side": 1}],
    "tree": {"_class_id": "Shape.Star", "label": "l", "points": 5},
    "node": {"value": 1, "below": [{"value": 2, "below": []}]},
    "owner": ID,
    "sizes": ["S"],
    "long": 7,
    "pattern": {"$regularExpression": {"pattern": "a", "options": ""}},
    "amount": "2.5",
    "anything": {"a": [1]},
    "re-named": 4,
}
ADAPTER = TypeAdapter(Everything)


@pytest.mark.parametrize("read", [ADAPTER.validate_python, lambda body: ADAPTER.validate_json(json.dumps(body))])
def test_json_and_back(read: Any) -> None:
    made = read(BODY)
    assert type(made) is Everything
    assert made.model_dump() == Everything(
        id=ID, text="t", number=3, at=dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.timezone.utc), day=dt.date(2024, 5, 6),
        price=Decimal("1.10"), key=uuid.UUID(int=5), data=b"\xff\x00", binary=Binary(b"x", 0), ref=ObjectId(ID),
        refs=[ObjectId(ID)], kind=Kind.B, choice="x", pair=(1, "a"), many=(1, 2), names={"n"}, counts={"a": 1},
        shape=Square(side=2), shapes=[Circle(size=1), Square(side=1)], tree=Star(label="l", points=5),
        node=Node(value=1, below=[Node(value=2)]), owner=Link(Owner, ID), sizes=["S"], long=Int64(7),
        pattern=Regex("a"), amount=Decimal128("2.5"), anything={"a": [1]}, renamed=4,
    ).model_dump()  # fmt: skip
    assert type(made.long) is Int64
    want = {**BODY, "ratio": 0.5, "flag": False}
    assert ADAPTER.dump_python(made, mode="json", by_alias=True) == want
    assert json.loads(ADAPTER.dump_json(made, by_alias=True)) == want == json.loads(made.model_dump_json(by_alias=True))
    assert ADAPTER.dump_python(made) == made.model_dump()
    assert ADAPTER.validate_python(made) is made
    assert ADAPTER.validate_python(made.model_dump()) == made


class Part(BaseModel):
    x: int = 1
    at: dt.datetime


@dataclasses.dataclass
class Pair:
    y: int = 2


class Others(EmbeddedDocument):
    length: dt.timedelta
    time: dt.time
    part: Part
    pair: Pair = Field(default_factory=Pair)
    numbers: Sequence[int] = []
    named: Mapping[str, int] = {}
    by_number: dict[int, str] = {}
    by_kind: dict[Kind, int] = {}
    url: pydantic.HttpUrl | None = None
    parts: list[Part] = []


def test_types_of_other_libraries() -> None:
    body = {
        "length": "PT1H",
        "time": "10:00:00",
        "part": {"x": 1, "at": "2024-01-01T00:00:00Z"},
        "pair": {"y": 3},
        "numbers": [1],
        "named": {"a": 1},
        "by_number": {"5": "x"},
        "by_kind": {"a": 1},
        "url": "http://a.b/",
        "parts": [{"x": 2, "at": "2024-01-01T00:00:00"}],
    }
    adapter = TypeAdapter(Others)
    made = adapter.validate_json(json.dumps(body))
    assert (made.by_number, made.by_kind, made.pair) == ({5: "x"}, {Kind.A: 1}, Pair(3))
    assert json.loads(made.model_dump_json()) == body == json.loads(adapter.dump_json(made))
    assert adapter.validate_python(made.model_dump()) == made
    with pytest.raises(pydantic.ValidationError, match="by_number"):
        adapter.validate_python({**body, "by_number": {"five": "x"}})


def test_names_and_aliases() -> None:
    assert ADAPTER.validate_python({"text": "t", "renamed": 5}).renamed == 5
    assert ADAPTER.validate_python({"text": "t", "re-named": 5, "id": ID}).id == ObjectId(ID)
    made = Everything(text="t")
    dumped = ADAPTER.dump_python(made, include={"renamed", "id"}, by_alias=True)
    assert dumped == {"_id": None, "re-named": 0}
    assert ADAPTER.dump_python(made, exclude_unset=True) == {"text": "t"}


@pytest.mark.parametrize(
    ("body", "location", "kind"),
    [
        ({}, ("text",), "missing"),
        ({"text": ""}, ("text",), "string_too_short"),
        ({"text": "t", "number": 11}, ("number",), "less_than_equal"),
        ({"text": "t", "number": "x"}, ("number",), "int_parsing"),
        ({"text": "t", "price": -1}, ("price",), "greater_than_equal"),
        ({"text": "t", "ref": "12"}, ("ref",), "string_pattern_mismatch"),
        ({"text": "t", "refs": [ID, "12"]}, ("refs", 1), "string_pattern_mismatch"),
        ({"text": "t", "node": {"value": 1, "below": [{"value": "x"}]}}, ("node", "below", 0, "value"), "int_parsing"),
        ({"text": "t", "kind": "c"}, ("kind",), "enum"),
        ({"text": "t", "data": "?"}, ("data",), "value_error"),
        ({"text": "t", "unknown": 1}, ("unknown",), "extra_forbidden"),
        ({"text": "t", "tree": {"_class_id": "Shape.Moon"}}, ("tree",), "union_tag_invalid"),
        ({"text": "t", "sizes": ["XL"]}, ("sizes", 0), "value_error"),
        ({"text": "t", "sizes": ["S", "S", "S"]}, ("sizes",), "value_error"),
        ({"text": "t", "pattern": 5}, ("pattern",), "value_error"),
    ],
)
def test_errors_have_pydantics_locations(body: dict[str, Any], location: tuple[Any, ...], kind: str) -> None:
    with pytest.raises(pydantic.ValidationError) as raised:
        ADAPTER.validate_python(body)
    assert [(each["loc"], each["type"]) for each in raised.value.errors()] == [(location, kind)]


def test_patterns_are_pythons() -> None:
    class Coded(EmbeddedDocument):
        code: str = Field(pattern=r"^(?!0)\d+$")
        other: str | None = Field(None, pattern=r"(a)\1")

    adapter = TypeAdapter(Coded)
    assert adapter.validate_python({"code": "10", "other": "baac"}) == Coded(code="10", other="baac")
    assert adapter.json_schema()["properties"]["code"]["pattern"] == r"^(?!0)\d+$"
    for body in ({"code": "01"}, {"code": "1", "other": "ab"}):
        with pytest.raises(pydantic.ValidationError) as raised:
            adapter.validate_python(body)
        assert raised.value.errors()[0]["type"] == "string_pattern_mismatch"
        with pytest.raises(odm.ValidationError, match="expected text that matches"):
            Coded(**body)


def test_several_errors_are_told_at_once() -> None:
    with pytest.raises(pydantic.ValidationError) as raised:
        ADAPTER.validate_python({"number": -1, "shapes": [{"kind": "circle"}]})
    assert {each["loc"][0] for each in raised.value.errors()} == {"text", "number", "shapes"}


def test_json_schema() -> None:
    schema = ADAPTER.json_schema()
    definitions = schema["$defs"]
    properties = schema["properties"]
    assert schema["title"] == "Everything"
    assert schema["description"] == "One field of each kind."
    assert schema["required"] == ["text"]
    assert schema["additionalProperties"] is False
    assert properties["text"] == {"type": "string", "minLength": 1, "description": "A text", "title": "Text"}
    assert {"minimum": 0, "maximum": 10, "default": 1}.items() <= properties["number"].items()
    assert properties["refs"]["items"] == {"type": "string", "pattern": "^[0-9a-fA-F]{24}$"}
    assert properties["_id"]["default"] is None
    assert properties["data"]["contentEncoding"] == "base64"
    assert properties["sizes"]["maxItems"] == 2
    assert properties["sizes"]["items"]["enum"] == ["S", "M"]
    assert properties["kind"]["default"] == "a"
    assert definitions["Node"]["properties"]["below"]["items"] == {"$ref": "#/$defs/Node"}
    assert set(definitions) >= {"Circle", "Square", "Shape", "Star", "Node"}
    assert set(ADAPTER.json_schema(mode="serialization")["properties"]) == set(properties)
    # Two models of one name are two definitions.
    other = type(EmbeddedDocument)("Circle", (EmbeddedDocument,), {"__annotations__": {"x": int}, "__module__": "json"})
    both = TypeAdapter(tuple[Circle, other]).json_schema()["$defs"]  # type: ignore[valid-type]
    assert len(both) == 2


class Team(BaseModel):
    lead: Everything
    members: list[Everything] = []
    by_name: dict[str, Circle] = {}
    maybe: Everything | None = None
    id: PydanticObjectId


def test_models_in_models_of_pydantic() -> None:
    team = Team.model_validate({"lead": BODY, "members": [{"text": "m"}], "by_name": {"c": {"size": 1}}, "id": ID})
    assert isinstance(team.lead, Everything)
    assert team.by_name["c"] == Circle(size=1)
    assert team.id == ObjectId(ID)
    instance = Everything(text="i")
    assert Team(lead=instance, id=ObjectId(ID)).lead is instance
    loaded = json.loads(team.model_dump_json(by_alias=True))
    assert loaded["lead"] == json.loads(team.lead.model_dump_json(by_alias=True))
    assert loaded["id"] == ID
    assert Team.model_validate(loaded) == team
    partial = team.model_dump(include={"members": {0: {"text"}}, "lead": {"node": {"below": {0: {"value"}}}}})
    assert partial == {"members": [{"text": "m"}], "lead": {"node": {"below": [{"value": 2}]}}}
    with pytest.raises(pydantic.ValidationError) as raised:
        Team.model_validate({"lead": {"text": ""}, "id": "x"})
    assert {each["loc"] for each in raised.value.errors()} == {("lead", "text"), ("id",)}
    assert "Everything" in Team.model_json_schema()["$defs"]


def test_a_view_of_another_model() -> None:
    class View(EmbeddedDocument):
        text: str
        number: int

    made = TypeAdapter(View).validate_python(Everything(text="t", number=5))
    assert made == View(text="t", number=5)
    assert View.model_validate(Everything(text="t", number=5)) == made


@dataclasses.dataclass
class Place:
    x: int
    at: dt.datetime


class Price(BaseModel):
    amount: Decimal


class Catalogue(EmbeddedDocument):
    place: Place
    prices: list[Price]
    by_kind: dict[Kind, int]
    by_number: dict[int, str]


def test_objects_and_typed_keys() -> None:
    at = dt.datetime(2024, 1, 1)
    made = Catalogue(place=Place(1, at), prices=[Price(amount=Decimal("1.5"))], by_kind={Kind.A: 1}, by_number={2: "b"})
    assert made.model_dump() == {
        "place": {"x": 1, "at": at},
        "prices": [{"amount": Decimal("1.5")}],
        "by_kind": {Kind.A: 1},
        "by_number": {2: "b"},
    }
    adapter = TypeAdapter(Catalogue)
    text = adapter.dump_json(made)
    assert json.loads(text)["by_kind"] == {"a": 1}
    for read in (adapter.validate_json(text), adapter.validate_python(made.model_dump())):
        assert read == made
        assert [*read.by_kind] == [Kind.A]
        assert [*read.by_number] == [2]
    with pytest.raises(pydantic.ValidationError) as caught:
        adapter.validate_json(text.replace(b'"a":1', b'"z":1'))
    assert caught.value.errors()[0]["loc"][0] == "by_kind"


class Checked(EmbeddedDocument):
    tags: list[str] = []
    low: int = 0
    high: int = 1
    secret: str = Field("s", exclude=True)

    @field_validator("tags", mode="before")
    @classmethod
    def split(cls, value: Any) -> Any:
        if value == "":
            raise AssertionError("no tags")
        return value.split(",") if isinstance(value, str) else value

    @field_validator("high")
    @classmethod
    def above(cls, value: int, info: Any) -> int:
        if value <= info.data.get("low", 0):
            raise ValueError(f"{info.field_name} is not above")
        return value + 0

    @model_validator(mode="before")
    @classmethod
    def prepare(cls, data: Any) -> Any:
        return {"low" if key == "lowest" else key: value for key, value in data.items()}

    @model_validator(mode="after")
    def check(self) -> None:
        if self.high > 100:
            raise ValueError("too high")


def test_validators_run_once_in_bodies() -> None:
    adapter = TypeAdapter(Checked)
    made = adapter.validate_python({"tags": "a,b", "lowest": 2, "high": 3})
    assert made.model_dump() == {"tags": ["a", "b"], "low": 2, "high": 3}
    for body, location, message in (
        ({"tags": ""}, ("tags",), "Assertion failed, no tags"),
        ({"low": 5, "high": 5}, ("high",), "Value error, high is not above"),
        ({"high": 101}, (), "Value error, too high"),
    ):
        with pytest.raises(pydantic.ValidationError) as raised:
            adapter.validate_python(body)
        assert [(each["loc"], each["msg"]) for each in raised.value.errors()] == [(location, message)]
    assert "secret" in adapter.json_schema()["properties"]
    assert "secret" not in adapter.json_schema(mode="serialization")["properties"]
    assert adapter.dump_python(Checked(secret="x")) == {"tags": [], "low": 0, "high": 1}


def test_model_validate() -> None:
    made = Circle.model_validate({"size": 1})
    assert made == Circle(size=1)
    assert Circle.model_validate(made) is made
    with pytest.raises(odm.ValidationError, match="Circle: value: expected a mapping, found int 5"):
        Circle.model_validate(5)
    with pytest.raises(odm.ValidationError, match="size: expected float, found str 'x'"):
        Circle.model_validate({"size": "x"})

    class Plain:
        size = 2.0

    assert Circle.model_validate(Plain(), from_attributes=True) == Circle(size=2.0)


def test_without_pydantic() -> None:
    """Models with constraints, validators and dumps need no pydantic, and import none."""
    program = """
import sys
sys.modules["pydantic"] = sys.modules["pydantic_core"] = sys.modules["annotated_types"] = None
from data_bridge.odm import Document, Field, PydanticObjectId, field_validator, register_type
class User(Document):
    name: str = Field(min_length=1)
    ref: PydanticObjectId | None = None
    _count: int = 0
    @field_validator("name")
    @classmethod
    def strip(cls, value):
        return value.strip()
user = User.model_validate({"name": " Ada ", "ref": "0123456789abcdef01234567"})
assert user.model_dump_json(exclude={"id"}) == '{"name":"Ada","ref":"0123456789abcdef01234567"}'
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    imported = "import sys, data_bridge.odm; assert not {'pydantic', 'fastapi'} & set(sys.modules), 'imported'"
    assert subprocess.run([sys.executable, "-c", imported], timeout=60).returncode == 0


@pytest.mark.filterwarnings("error")
def test_object_ids_under_beanies_name() -> None:
    class Named(BaseModel):
        key: PydanticObjectId = pydantic.Field(default_factory=PydanticObjectId)

    class Holder(Document):
        key: PydanticObjectId | None = None
        keys: list[PydanticObjectId] = []

    made = Named(key=ID)  # type: ignore[arg-type]
    assert made.model_dump() == {"key": ObjectId(ID)}
    assert made.model_dump_json() == f'{{"key":"{ID}"}}'
    assert type(Named().key) is ObjectId
    assert isinstance(ObjectId(), PydanticObjectId)
    assert not isinstance(ID, PydanticObjectId)
    holder = Holder(key=PydanticObjectId(ID), keys=[ID])  # type: ignore[list-item]
    assert (type(holder.key), holder.keys) == (ObjectId, [ObjectId(ID)])
    holder_class: Any = Holder
    assert repr(holder_class.key == ID) == repr(holder_class.key == ObjectId(ID))
