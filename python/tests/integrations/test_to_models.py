"""Documents as objects of other libraries' classes: what these make of PyMongo's dicts themselves is the oracle."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import gc
import pickle
import typing
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar

import attrs
import bson
import msgspec
import pydantic
import pydantic.alias_generators
import pydantic.dataclasses
import pydantic.v1
import pymongo
import pytest
import typing_extensions
from bson import Binary, Decimal128, Int64, ObjectId
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pymongo.database import Database

import data_bridge
from data_bridge import ConversionError, InvalidQuery, Result, from_pymongo, odm, read_bson

Documents = Database[dict[str, Any]]
PURCHASE = {"product": "a", "price": Decimal128("1")}
KEY = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


class Status(enum.Enum):
    ACTIVE = "active"
    GONE = "gone"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


def document(n: int) -> dict[str, Any]:
    return {
        "_id": ObjectId(f"{n:024x}"),
        "name": f"user {n}",
        "age": Int64(n) if n % 2 else n,
        "score": n / 4,
        "balance": Decimal128(f"{n}.10"),
        "key": Binary(KEY.bytes, 4),
        "joined": dt.datetime(2024, 1, 1) + dt.timedelta(hours=n),
        "born": dt.datetime(1990, 5, 6),
        "status": ["active", "gone"][n % 2],
        "level": 1 + n % 2,
        "address": {"city": "Oslo", "zip": None} if n % 3 else None,
        "purchases": [{"product": "pen", "price": Decimal128("1.10")}] * (n % 4),
        "prices": {"a": Decimal128("2.5")},
        "keys": [Binary(KEY.bytes, 4)] * (n % 3),
        "tags": ["a", "b"][: n % 3],
        "anything": {"deep": [Int64(5), {"x": Decimal128("7")}]},
        "unknown": {"to": "all"},
        **({"maybe": n} if n % 5 else {}),
    }


DOCUMENTS = [document(n) for n in range(50)]


def result(*documents: Mapping[str, Any]) -> Result:
    return read_bson(b"".join(map(bson.encode, documents or DOCUMENTS))).read()


# ---- the same user for each library ----------------------------------------------------------------------------------


class PAddress(BaseModel):
    city: str
    zip: str | None


class PPurchase(BaseModel):
    product: str
    price: Decimal


class PUser(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    id: ObjectId = Field(alias="_id")
    name: str
    age: int
    score: float
    balance: Decimal
    key: uuid.UUID
    joined: dt.datetime
    born: dt.date
    status: Status
    level: Level
    address: PAddress | None
    purchases: list[PPurchase]
    prices: dict[str, Decimal]
    keys: list[uuid.UUID]
    tags: list[str]
    anything: Any
    maybe: int | None = None


@pydantic.dataclasses.dataclass(config=ConfigDict(arbitrary_types_allowed=True))
class PDUser:
    name: str
    age: int
    score: float
    balance: Decimal
    key: uuid.UUID
    joined: dt.datetime
    born: dt.date
    status: Status
    level: Level
    address: PAddress | None
    purchases: list[PPurchase]
    prices: dict[str, Decimal]
    keys: list[uuid.UUID]
    tags: list[str]
    anything: Any
    id: ObjectId = Field(alias="_id")
    maybe: int | None = None


class MAddress(msgspec.Struct):
    city: str
    zip: str | None


class MPurchase(msgspec.Struct):
    product: str
    price: Decimal


class MUser(msgspec.Struct):
    id: ObjectId = msgspec.field(name="_id")
    name: str
    age: int
    score: float
    balance: Decimal
    key: uuid.UUID
    joined: dt.datetime
    born: dt.date
    status: Status
    level: Level
    address: MAddress | None
    purchases: list[MPurchase]
    prices: dict[str, Decimal]
    keys: list[uuid.UUID]
    tags: list[str]
    anything: Any
    maybe: int | None = None


@dataclasses.dataclass
class DAddress:
    city: str
    zip: str | None


@dataclasses.dataclass
class DPurchase:
    product: str
    price: Decimal


@dataclasses.dataclass
class DUser:
    id: ObjectId
    name: str
    age: int
    score: float
    balance: Decimal
    key: uuid.UUID
    joined: dt.datetime
    born: dt.date
    status: Status
    level: Level
    address: DAddress | None
    purchases: list[DPurchase]
    prices: dict[str, Decimal]
    keys: list[uuid.UUID]
    tags: list[str]
    anything: Any
    maybe: int | None = None


@attrs.define
class AAddress:
    city: str
    zip: str | None


@attrs.frozen
class APurchase:
    product: str
    price: Decimal


@attrs.define
class AUser:
    id: ObjectId
    name: str = attrs.field(validator=attrs.validators.instance_of(str))
    age: int
    score: float
    balance: Decimal
    key: uuid.UUID
    joined: dt.datetime
    born: dt.date
    status: Status
    level: Level
    address: AAddress | None
    purchases: list[APurchase]
    prices: dict[str, Decimal]
    keys: list[uuid.UUID]
    tags: list[str]
    anything: Any
    maybe: int | None = None


def expected(model: Any, address: Any, purchase: Any, stored: dict[str, Any]) -> Any:
    """The user that a document means, by the constructor."""
    values = {key: value for key, value in stored.items() if key not in ("_id", "unknown")}
    values.update(
        age=int(stored["age"]),
        balance=stored["balance"].to_decimal(),
        key=KEY,
        born=stored["born"].date(),
        status=Status(stored["status"]),
        level=Level(stored["level"]),
        address=stored["address"] and address(**stored["address"]),
        purchases=[purchase(product=each["product"], price=each["price"].to_decimal()) for each in stored["purchases"]],
        prices={key: value.to_decimal() for key, value in stored["prices"].items()},
        keys=[KEY] * len(stored["keys"]),
    )
    return model(**{"_id" if model in (PUser, PDUser) else "id": stored["_id"]}, **values)


USERS = [
    (PUser, PAddress, PPurchase),
    (PDUser, PAddress, PPurchase),
    (MUser, MAddress, MPurchase),
    (DUser, DAddress, DPurchase),
    (AUser, AAddress, APurchase),
]


@pytest.mark.parametrize(("model", "address", "purchase"), USERS)
async def test_users_of_each_library(
    database: Documents, client: data_bridge.MongoClient, model: Any, address: Any, purchase: Any
) -> None:
    database.users.insert_many(DOCUMENTS)
    wanted = [expected(model, address, purchase, each) for each in DOCUMENTS]
    users = client[database.name].users
    query = users.find(sort=[("_id", 1)])
    made = query.to_models(model)
    assert made == wanted
    assert [type(each) for each in made] == [model] * len(wanted)
    assert [type(each.age) for each in made] == [int] * len(wanted)
    assert query.read().to_models(model) == query.to_models(list[model]) == result().to_models(model) == wanted
    assert query.limit(1).to_models(model) == wanted[:1]
    assert users.find({"_id": 0}).to_models(model) == []
    assert await from_pymongo(database.users, asynchronous=True).find(sort="_id").to_models(model) == wanted


def test_values_without_a_conversion_are_pymongos(database: Documents, client: data_bridge.MongoClient) -> None:
    database.users.insert_many(DOCUMENTS)
    query = client[database.name].users.find()
    for model, *_ in USERS:
        made: Any = query.to_models(model)[0]
        assert made.anything == {"deep": [Int64(5), {"x": Decimal128("7")}]}
        assert type(made.anything["deep"][1]["x"]) is Decimal128
        assert made.id == DOCUMENTS[0]["_id"]


# ---- what does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [model for model, *_ in USERS])
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"age": "old"}, ("age",)),
        ({"address": {"city": 5, "zip": None}}, ("address", "city")),
        ({"purchases": [PURCHASE, {**PURCHASE, "price": "x"}]}, ("purchases", 1, "price")),
        ({"status": "asleep"}, ("status",)),
        ({"tags": ["a", 5]}, ("tags", 1)),
        ({"key": Binary(KEY.bytes, 3)}, ("key",)),
        ({"keys": [Binary(KEY.bytes, 3)]}, ("keys", 0)),
    ],
)  # fmt: skip
def test_errors_name_the_document_and_the_place(model: Any, change: dict[str, Any], path: tuple[Any, ...]) -> None:
    documents = [*DOCUMENTS[:7], {**DOCUMENTS[7], **change}, {**DOCUMENTS[8], "age": "older"}]
    with pytest.raises(ConversionError) as raised:
        result(*documents).to_models(model)
    error = raised.value
    assert (error.document, error.id, error.path) == (7, DOCUMENTS[7]["_id"], path)
    assert isinstance(error.__cause__, Exception)
    assert repr(DOCUMENTS[7]["_id"]) in str(error)
    assert ".".join(map(str, path)) in str(error)
    assert model.__name__ in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.path, again.id) == (str(error), error.path, error.id)


@pytest.mark.parametrize("model", [model for model, *_ in USERS])
def test_a_missing_key_is_an_error_of_the_library(model: Any) -> None:
    without = {key: value for key, value in DOCUMENTS[3].items() if key != "name"}
    with pytest.raises(ConversionError) as raised:
        result(*DOCUMENTS[:3], without).to_models(model)
    assert (raised.value.document, raised.value.id) == (3, without["_id"])
    assert "name" in str(raised.value)
    kinds = (pydantic.ValidationError, msgspec.ValidationError, TypeError)
    assert isinstance(raised.value.__cause__, kinds)


def _boom(value: Any) -> Any:
    if value == 3:
        raise ZeroDivisionError("three")
    return value


class Raising(BaseModel):
    n: Annotated[int, BeforeValidator(_boom)]


class RaisingStruct(msgspec.Struct):
    n: int

    def __post_init__(self) -> None:
        _boom(self.n)


@dataclasses.dataclass
class RaisingClass:
    n: int

    def __post_init__(self) -> None:
        _boom(self.n)


@pytest.mark.parametrize("model", [Raising, RaisingStruct, RaisingClass])
def test_whatever_a_class_raises_is_chained(model: Any) -> None:
    with pytest.raises(ConversionError, match="three") as raised:
        result(*({"_id": n, "n": n} for n in range(5))).to_models(model)
    assert (raised.value.document, raised.value.id) == (3, 3)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    try:
        result().to_models(DName)
        assert gc.isenabled() == enabled
        with pytest.raises(ConversionError):
            result({"name": 5}).to_models(DName)
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


def test_an_error_without_an_id() -> None:
    with pytest.raises(ConversionError, match=r"in document 0$") as raised:
        result({"name": 5}).to_models(DName)
    assert raised.value.id is None


# ---- keys ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class DName:
    name: str


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


class Allowing(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Root(pydantic.RootModel[dict[str, Any]]):
    pass


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=pydantic.alias_generators.to_camel)
    first_name: str = ""


class Looking(BaseModel):
    name: str

    @pydantic.model_validator(mode="before")
    @classmethod
    def look(cls, data: Any) -> Any:
        return {**data, "name": f"{data['name']} {data['unknown']}"}


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class Names(BaseModel):
    one: str = Field(validation_alias=pydantic.AliasChoices("name", "title"))
    city: str | None = Field(None, validation_alias=pydantic.AliasPath("address", "city"))


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    name: str = Field(alias="title")


class Renamed(msgspec.Struct, rename="upper"):
    name: str


class Tagged(msgspec.Struct, tag_field="kind", tag="cat"):
    name: str


@dataclasses.dataclass
class Aliased:
    key: int = dataclasses.field(metadata={"alias": "_id"})
    title: str = dataclasses.field(metadata={"alias": "name"}, default="")
    id: int = 0


@attrs.define
class Private:
    _id: int
    doubled: int = attrs.field(converter=lambda value: value * 2)


def sent(query: Any, model: Any, database: Documents) -> Any:
    """The projection that `to_models` sends."""
    mark = uuid.uuid4().hex
    database.command({"profile": 2})
    try:
        query.comment(mark).to_models(model)
    finally:
        database.command({"profile": 0})
    return [each["command"].get("projection") for each in database["system.profile"].find({"command.comment": mark})]


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        (PAddress, {"city", "zip"}),
        (MAddress, {"city", "zip"}),
        (DAddress, {"city", "zip"}),
        (AAddress, {"city", "zip"}),
        (Aliased, {"_id", "name", "id"}),
        (Private, {"_id", "doubled"}),
        (Names, {"name", "title", "address"}),
        (ByName, {"name", "title"}),
        (Camel, {"firstName"}),
        (Renamed, {"NAME"}),
        (Tagged, {"kind", "name"}),
        (Forbidding, None),
        (Allowing, None),
        (Root, None),
        (Looking, None),
        (Strict, None),
        (DName | DAddress, None),
    ],
)
def test_only_keys_that_matter_are_asked_for(
    database: Documents, client: data_bridge.MongoClient, model: Any, keys: set[str] | None
) -> None:
    database.things.insert_one({"_id": 1})
    database.things.delete_many({})
    query = client[database.name].things.find()
    (projection,) = sent(query, model, database)
    assert (None if projection is None else set(projection) - {"data_bridge_nowhere"}) == keys
    # A projection of the user's own stays.
    assert sent(query.project({"name": 1}), model, database) == [{"name": 1}]


def test_keys_and_aliases() -> None:
    stored = {"_id": 1, "id": 2, "name": "n", "title": "t", "address": {"city": "Oslo"}, "NAME": "upper", "doubled": 4}
    found = result(stored)
    assert found.to_models(Aliased) == [Aliased(1, "n", 2)]
    assert found.to_models(Private) == [Private(1, 4)]
    assert found.to_models(Names) == [Names.model_validate(stored)]
    assert found.to_models(Names)[0].city == "Oslo"
    assert found.to_models(Renamed) == [Renamed("upper")]
    assert found.to_models(ByName) == [ByName(title="t")]
    assert found.to_models(DName) == [DName("n")]


def test_unknown_keys_are_each_librarys_own_matter(database: Documents, client: data_bridge.MongoClient) -> None:
    database.things.insert_one({"_id": 1, "name": "n", "unknown": 5})
    query = client[database.name].things.find()
    assert query.to_models(Allowing)[0].model_extra == {"_id": 1, "unknown": 5}
    assert query.to_models(Root) == [Root({"_id": 1, "name": "n", "unknown": 5})]
    assert query.to_models(Looking) == [Looking.model_construct(name="n 5")]
    for model in (Forbidding, Strict):
        with pytest.raises(ConversionError) as raised:
            query.to_models(model)
        assert raised.value.id == 1
    assert query.project({"_id": 0, "name": 1}).to_models(Forbidding) == [Forbidding(name="n")]
    assert query.to_models(DName) == [DName("n")]


def test_a_key_that_stands_twice(database: Documents, client: data_bridge.MongoClient) -> None:
    """The last one counts, as for PyMongo, though a projection stops at the first."""
    raw = bson.encode({"_id": 1, "name": "first"})
    body = (
        raw[4:-1]
        + b"\x02name\x00\x05\x00\x00\x00last\x00\x02zip\x00\x02\x00\x00\x00z\x00\x02city\x00\x02\x00\x00\x00c\x00\x00"
    )
    database.things.insert_one({"_id": 0, "name": "n", "city": "a", "zip": "b"})
    database.command(
        "insert", "things", documents=[bson.raw_bson.RawBSONDocument((len(body) + 4).to_bytes(4, "little") + body)]
    )
    query = client[database.name].things.find(sort="_id")
    for model in (DName, Allowing, Renamed):
        if model is not Renamed:
            assert [each.name for each in query.to_models(model)] == ["n", "last"]
    assert [(each.city, each.zip) for each in query.to_models(DAddress)] == [("a", "b"), ("c", "z")]


# ---- annotations -----------------------------------------------------------------------------------------------------

Name = NewType("Name", str)
V = TypeVar("V")


@dataclasses.dataclass
class Node:
    value: Decimal
    children: list[Node] = dataclasses.field(default_factory=list)
    by_name: dict[str, Node] = dataclasses.field(default_factory=dict)


class PNode(BaseModel):
    value: Decimal
    children: list[PNode] = []
    by_name: dict[str, PNode] = {}


class MNode(msgspec.Struct):
    value: Decimal
    children: list[MNode] = []
    by_name: dict[str, MNode] = {}


TREE = {
    "value": Decimal128("1"),
    "children": [{"value": Decimal128("2"), "children": [{"value": Decimal128("3")}]}],
    "by_name": {"a": {"value": Decimal128("4")}},
}


@pytest.mark.parametrize("model", [Node, PNode, MNode])
def test_classes_of_themselves(model: Any) -> None:
    (made,) = result(TREE).to_models(model)
    leaf = model(value=Decimal(3))
    inner = model(value=Decimal(2), children=[leaf])
    assert made == model(value=Decimal(1), children=[inner], by_name={"a": model(value=Decimal(4))})
    with pytest.raises(ConversionError) as raised:
        result(
            {"value": Decimal128("1"), "children": [{"value": Decimal128("1"), "by_name": {"k": {"value": "x"}}}]}
        ).to_models(model)
    # msgspec does not say which key of a dict it was.
    assert raised.value.path in [("children", 0, "by_name", key, "value") for key in ("k", ...)]


MD5 = Binary(b"\x01\x02", 5)


@pytest.mark.parametrize(
    ("asked", "stored", "path"),
    [
        (bytes, MD5, ("x",)),
        (bytearray, MD5, ("x",)),
        (bytes | None, MD5, ("x",)),
        (list[bytes], [b"", MD5], ("x", 1)),
        (dict[str, bytes], {"k": MD5}, ("x", "k")),
    ],
)
def test_msgspec_would_lose_the_subtype_of_a_binary(asked: Any, stored: Any, path: tuple[Any, ...]) -> None:
    struct = msgspec.defstruct("Struct", [("x", asked)])
    with pytest.raises(ConversionError, match="binary of subtype 5") as raised:
        result({"_id": 7, "x": stored}).to_models(struct)
    assert (raised.value.id, raised.value.path) == (7, path)


@pytest.mark.parametrize("asked", [Any, object, uuid.UUID | Any])
def test_where_anything_is_asked_for_a_binary_stays_one(asked: Any) -> None:
    (made,) = result({"x": MD5}).to_models(msgspec.defstruct("Struct", [("x", asked)]))
    assert (type(made.x), made.x) == (Binary, MD5)


def test_bytes_without_a_subtype_are_bytes() -> None:
    (made,) = result({"x": b"12"}).to_models(msgspec.defstruct("Struct", [("x", bytes)]))
    assert (type(made.x), made.x) == (bytes, b"12")


@pytest.mark.parametrize("kind", ["pydantic", "dataclass"])
def test_bytes_of_other_libraries_keep_the_subtype(kind: str) -> None:
    model: Any = (
        pydantic.create_model("M", x=(bytes, ...))
        if kind == "pydantic"
        else dataclasses.make_dataclass("M", [("x", bytes)])
    )
    (made,) = result({"x": MD5}).to_models(model)
    assert (type(made.x), made.x) == (Binary, MD5)


@dataclasses.dataclass
class Cat:
    name: str
    lives: int = 9


@dataclasses.dataclass
class Dog:
    name: str
    tricks: list[str] = dataclasses.field(default_factory=list)


class Box(BaseModel):
    size: int


@dataclasses.dataclass
class Many(Generic[V]):
    a: tuple[int, str]
    b: tuple[Decimal, ...]
    c: set[int]
    d: frozenset[str]
    e: Sequence[Decimal]
    f: Mapping[str, Decimal]
    g: Name
    h: Literal["x", 5]
    i: Annotated[Decimal, "of money"]
    j: int | str | None
    k: Cat | Dog
    l: list[Cat | Dog]  # noqa: E741
    m: Decimal | Decimal128
    n: Box
    o: V
    p: dict[str, Any]
    q: list
    r: Any
    s: object
    t: bytes
    hidden: int = dataclasses.field(init=False, default=7)


def test_annotations_of_dataclasses() -> None:
    stored = {
        "a": [1, "x"], "b": [Decimal128("1")], "c": [1, 1, 2], "d": ["a"], "e": [Decimal128("2")],
        "f": {"k": Decimal128("3")}, "g": "name", "h": 5, "i": Decimal128("4"), "j": "5",
        "k": {"name": "Rex", "tricks": ["roll"]}, "l": [{"name": "Tom", "lives": 3}, {"name": "Bo", "tricks": []}],
        "m": Decimal128("6"), "n": {"size": 1}, "o": Int64(5), "p": {"x": Int64(5)}, "q": [Int64(1)],
        "r": Decimal128("7"), "s": 8, "t": b"\x00", "hidden": 8,
    }  # fmt: skip
    (made,) = result(stored).to_models(Many)
    assert made == Many(
        a=(1, "x"), b=(Decimal(1),), c={1, 2}, d=frozenset({"a"}), e=[Decimal(2)], f={"k": Decimal(3)}, g=Name("name"),
        h=5, i=Decimal(4), j="5", k=Dog("Rex", ["roll"]), l=[Cat("Tom", 3), Dog("Bo")], m=Decimal128("6"),
        n=Box(size=1), o=Int64(5), p={"x": Int64(5)}, q=[Int64(1)], r=Decimal128("7"), s=8, t=b"\x00",
    )  # fmt: skip
    assert (type(made.c), type(made.e), made.hidden) == (set, list, 7)
    changes: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
        ({"a": [1]}, ("a",)), ({"c": ["x"]}, ("c", 0)), ({"n": {"size": "x"}}, ("n", "size")), ({"k": 5}, ("k",)),
        ({"p": []}, ("p",)), ({"b": None}, ("b",)), ({"h": "y"}, ("h",)),
    ]  # fmt: skip
    for change, path in changes:
        with pytest.raises(ConversionError) as raised:
            result({**stored, **change}).to_models(Many)
        assert raised.value.path == path


def test_numbers_pass_where_they_are_exact() -> None:
    @dataclasses.dataclass
    class Numbers:
        i: int
        f: float

    def made(i: Any, f: Any) -> Any:
        return result({"i": i, "f": f}).to_models(Numbers)

    assert made(3.0, 2) == [Numbers(3, 2.0)]
    for i, f in [(2.5, 1.0), (True, 1.0), (1, Int64((1 << 53) + 1)), (1, Decimal128("1")), ("1", 1.0)]:
        with pytest.raises(ConversionError):
            made(i, f)


def test_unions_of_classes() -> None:
    found = result({"name": "Rex", "tricks": ["sit"]}, {"name": "Tom", "lives": 3})
    assert found.to_models(Cat | Dog) == found.to_models(Dog | Cat) == [Dog("Rex", ["sit"]), Cat("Tom", 3)]

    tagged = result({"kind": "cat", "name": "Tom"}, {"kind": "dog", "name": "Rex", "price": Decimal128("5")})
    made = tagged.to_models(Tagged | TaggedDog)
    assert made == [Tagged("Tom"), TaggedDog("Rex", Decimal(5))]
    assert tagged.to_models(Annotated[PCat | PDog, Field(discriminator="kind")]) == [
        PCat(kind="cat", name="Tom"),
        PDog(kind="dog", name="Rex", price=Decimal(5)),
    ]


class TaggedDog(msgspec.Struct, tag_field="kind", tag="dog"):
    name: str
    price: Decimal


class PCat(BaseModel):
    kind: Literal["cat"]
    name: str


class PDog(BaseModel):
    kind: Literal["dog"]
    name: str
    price: Decimal


class OwnValidators(BaseModel):
    a: Annotated[Decimal, BeforeValidator(lambda value: value.to_decimal() + 1)]
    b: Decimal
    c: Annotated[Decimal, AfterValidator(lambda value: value + 1)]
    d: list[Annotated[Decimal, BeforeValidator(lambda value: value.to_decimal() + 1)]]
    e: Decimal | Decimal128
    model_config = ConfigDict(arbitrary_types_allowed=True)

    @pydantic.field_validator("b", mode="before")
    @classmethod
    def stored(cls, value: Any) -> Any:
        return value.to_decimal() + 1


def test_validators_of_a_model_see_what_pymongo_gives() -> None:
    one = Decimal128("1")
    (made,) = result({"a": one, "b": one, "c": one, "d": [one], "e": one}).to_models(OwnValidators)
    assert made == OwnValidators.model_construct(a=Decimal(2), b=Decimal(2), c=Decimal(2), d=[Decimal(2)], e=one)


class Either(BaseModel):
    a: uuid.UUID | bytes
    b: dt.date | dt.datetime | None = None
    c: str | Decimal = ""


def test_unions_of_values() -> None:
    made = result(
        {"a": Binary(KEY.bytes, 4), "b": dt.datetime(2024, 1, 1), "c": Decimal128("1")}, {"a": Binary(KEY.bytes, 5)}
    ).to_models(Either)
    assert made == [Either(a=KEY, b=dt.datetime(2024, 1, 1), c=Decimal(1)), Either(a=Binary(KEY.bytes, 5))]
    assert type(made[0].b) is dt.datetime


class Priced(typing_extensions.TypedDict):
    price: typing_extensions.NotRequired[Decimal]
    name: str


class Catalogue(BaseModel):
    one: Priced
    by_name: dict[str, list[Priced]]


def test_typed_dicts_within_models() -> None:
    one = {"price": Decimal128("1"), "name": "a"}
    (made,) = result({"one": one, "by_name": {"k": [one, {"name": "b"}]}}).to_models(Catalogue)
    assert made.one == {"price": Decimal(1), "name": "a"}
    assert made.by_name == {"k": [{"price": Decimal(1), "name": "a"}, {"name": "b"}]}


@dataclasses.dataclass
class Doubled:
    n: dataclasses.InitVar[Decimal]
    type: str = ""
    twice: Decimal = dataclasses.field(init=False)
    kind: typing.ClassVar[str] = "class"

    def __post_init__(self, n: Decimal) -> None:
        self.twice = n * 2


def test_arguments_of_constructors_that_are_no_fields() -> None:
    (made,) = result({"n": Decimal128("2"), "type": "t", "twice": 9, "kind": "k"}).to_models(Doubled)
    assert (made.twice, made.type, made.kind) == (Decimal(4), "t", "class")


def test_attrs_without_annotations() -> None:
    fields = {"n": attrs.field(type=int), "price": attrs.field(type=Decimal), "any": attrs.field()}
    old: Any = attrs.make_class("Old", fields)
    (made,) = result({"n": Int64(1), "price": Decimal128("2"), "any": Decimal128("3")}).to_models(old)
    assert made == old(1, Decimal(2), Decimal128("3"))
    with pytest.raises(ConversionError, match="expected int"):
        result({"n": "1", "price": Decimal128("2"), "any": 3}).to_models(old)


def test_codec_options_count(database: Documents, mongodb_uri: str) -> None:
    database.users.insert_many(DOCUMENTS[:3])
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri, tz_aware=True, uuidRepresentation="standard") as client:
        users = from_pymongo(client[database.name].users)
        for model, *_ in USERS:
            made: Any = users.find(sort="_id").to_models(model)
            assert [each.joined for each in made] == [
                each["joined"].replace(tzinfo=dt.timezone.utc) for each in DOCUMENTS[:3]
            ]
            assert made[0].key == KEY
            assert made[0].born == dt.date(1990, 5, 6)
        users.database.client.close()


# ---- what is no model ------------------------------------------------------------------------------------------------


class OldModel(pydantic.v1.BaseModel):
    name: str


class Typed(typing.TypedDict):
    name: str


class OurModel(odm.Document):
    name: str


class Plain:
    name: str


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        (Plain, "pydantic 2 model"),
        (int, "pydantic 2 model"),
        (dict, "to_dicts"),
        (Typed, "to_dicts"),
        (OldModel, "pydantic.v1"),
        (OurModel, "to_list"),
        (DName("n"), "DName"),
        (DName | PAddress, "of one library"),
        (DName | None, "NoneType"),
        (None, "None"),
        (typing.Any, "Any"),
    ],
)
def test_what_is_no_model_is_refused_before_anything_is_sent(model: Any, advice: str) -> None:
    nowhere = data_bridge.MongoClient("mongodb://nowhere.invalid/?serverSelectionTimeoutMS=1").shop.things
    with pytest.raises(TypeError, match=advice):
        nowhere.find().to_models(model)
    with pytest.raises(TypeError, match="to_models"):
        result().to_models(model)


def test_annotations_that_cannot_be() -> None:
    @dataclasses.dataclass
    class Local:
        unknown: "Nowhere"  # type: ignore[name-defined]  # noqa: F821, UP037

    with pytest.raises(TypeError, match=r"Local.*Nowhere.*defined in the module"):
        result().to_models(Local)

    class Unready(BaseModel):
        unknown: "Nowhere"  # type: ignore[name-defined]  # noqa: F821, UP037

    with pytest.raises(TypeError, match="Nowhere"):
        result().to_models(Unready)

    @dataclasses.dataclass
    class Odd:
        place: Plain | None = None

    with pytest.raises(TypeError, match="Plain"):
        result().to_models(Odd)


# ---- models of this package ------------------------------------------------------------------------------------------


class StoredUser(odm.Document):
    name: str

    class Settings:
        name = "users"


class AsyncStoredUser(odm.AsyncDocument):
    name: str

    class Settings:
        name = "users"


async def test_queries_of_models(database: Documents, client: data_bridge.MongoClient, mongodb_uri: str) -> None:
    database.users.insert_many(DOCUMENTS)
    odm.init(client[database.name], [StoredUser])
    wanted = [expected(DUser, DAddress, DPurchase, each) for each in DOCUMENTS]
    # Keys that the model does not declare come all the same.
    assert StoredUser.find().sort("_id").to_models(DUser) == wanted
    assert StoredUser.find(StoredUser.name == "user 3").to_models(DName) == [DName("user 3")]
    with pytest.raises(ConversionError, match="age"):
        StoredUser.find().project(["name"]).to_models(DUser)
    with pytest.raises(InvalidQuery, match="links"):
        StoredUser.find(fetch_links=True).to_models(DUser)
    async with data_bridge.AsyncMongoClient(mongodb_uri) as other:
        await odm.init(other[database.name], [AsyncStoredUser])
        assert await AsyncStoredUser.find().sort("_id").to_models(DUser) == wanted
