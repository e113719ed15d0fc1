"""Fields of the types that models of Beanie have: dataclasses, pydantic, times, abstract containers, typed keys."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import pathlib
import uuid
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Literal

import pydantic
import pytest
from bson import Decimal128, ObjectId

import data_bridge
from data_bridge import odm
from data_bridge.odm import Document, EmbeddedDocument, Link, ValidationError
from data_bridge.odm import operators as op


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    S = 1
    L = 3


@dataclasses.dataclass
class Geo:
    lat: float
    lng: float


@dataclasses.dataclass
class Address:
    city: str
    geo: Geo | None = None
    zip_code: str = dataclasses.field(default="", metadata={"alias": "zip"})


class Money(pydantic.BaseModel):
    amount: decimal.Decimal
    currency: str = pydantic.Field(default="NOK", alias="cur", min_length=3)

    model_config = pydantic.ConfigDict(populate_by_name=True)


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str] = []


class Tree(pydantic.BaseModel):
    name: str
    children: list[Tree] = []


class Loose(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    a: int = 1


class Shop(Document):
    address: Address | None = None
    addresses: list[Address] = []
    by_name: dict[str, Address] = {}
    price: Money | None = None
    prices: list[Money] = []
    pet: Cat | Dog | None = None
    tree: Tree | None = None
    loose: Loose | None = None
    opens: dt.time | None = None
    takes: dt.timedelta | None = None
    tags: Sequence[str] = ()
    extra: Mapping[str, int] = {}
    more: MutableMapping[str, Any] = {}
    hours: dict[int, str] = {}
    stock: dict[Color, int] = {}
    sizes: dict[Size, int] = {}
    owners: dict[uuid.UUID, str] = {}
    visits: dict[dt.date, int] = {}
    choice: dict[Literal["a", "b"], int] = {}
    ids: dict[ObjectId, dict[int, Color]] = {}
    url: pydantic.HttpUrl | None = None
    secret: pydantic.SecretStr | None = None
    ip: ipaddress.IPv4Address | None = None
    file: pathlib.Path | None = None
    color: Color | None = None
    born: dt.date | None = None
    cost: decimal.Decimal | None = None


KEY, OWNER = ObjectId(), uuid.uuid4()
SHOP: dict[str, Any] = {
    "address": Address("Oslo", Geo(59.9, 10.7), "0150"),
    "addresses": [Address("Oslo"), Address("Bergen", Geo(60.4, 5.3))],
    "by_name": {"home": Address("Oslo")},
    "price": Money(amount=decimal.Decimal("1.10"), currency="EUR"),
    "prices": [Money(amount=decimal.Decimal("2"))],
    "pet": Dog(tricks=["sit"]),
    "tree": Tree(name="a", children=[Tree(name="b", children=[Tree(name="c")])]),
    "loose": Loose.model_validate({"a": 2, "b": "x"}),
    "opens": dt.time(9, 30, 0, 5),
    "takes": dt.timedelta(days=1, microseconds=7),
    "tags": ["a", "b"],
    "extra": {"a": 1},
    "more": {"a": [1]},
    "hours": {9: "open", -1: "never"},
    "stock": {Color.RED: 1, Color.BLUE: 2},
    "sizes": {Size.L: 3},
    "owners": {OWNER: "Ada"},
    "visits": {dt.date(2024, 5, 6): 3},
    "choice": {"a": 1},
    "ids": {KEY: {1: Color.RED}},
    "url": pydantic.HttpUrl("https://example.org/a?b=c"),
    "secret": pydantic.SecretStr("pw"),
    "ip": ipaddress.IPv4Address("10.0.0.1"),
    "file": pathlib.Path("/a/b"),
    "color": Color.RED,
    "born": dt.date(2000, 1, 2),
    "cost": decimal.Decimal("9.90"),
}
STORED = {
    "address": {"city": "Oslo", "geo": {"lat": 59.9, "lng": 10.7}, "zip": "0150"},
    "addresses": [
        {"city": "Oslo", "geo": None, "zip": ""},
        {"city": "Bergen", "geo": {"lat": 60.4, "lng": 5.3}, "zip": ""},
    ],
    "by_name": {"home": {"city": "Oslo", "geo": None, "zip": ""}},
    "price": {"amount": Decimal128("1.10"), "cur": "EUR"},
    "prices": [{"amount": Decimal128("2"), "cur": "NOK"}],
    "pet": {"kind": "dog", "tricks": ["sit"]},
    "tree": {"name": "a", "children": [{"name": "b", "children": [{"name": "c", "children": []}]}]},
    "loose": {"a": 2, "b": "x"},
    "opens": "09:30:00.000005",
    "takes": 86400.000007,
    "tags": ["a", "b"],
    "extra": {"a": 1},
    "more": {"a": [1]},
    "hours": {"9": "open", "-1": "never"},
    "stock": {"red": 1, "blue": 2},
    "sizes": {"3": 3},
    "owners": {str(OWNER): "Ada"},
    "visits": {"2024-05-06": 3},
    "choice": {"a": 1},
    "ids": {str(KEY): {"1": "red"}},
    "url": "https://example.org/a?b=c",
    "secret": "pw",
    "ip": "10.0.0.1",
    "file": "/a/b",
    "color": "red",
    "born": dt.datetime(2000, 1, 2),
    "cost": Decimal128("9.90"),
}


@pytest.fixture
def shops(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Shop])
    return database["Shop"]


def test_a_field_of_each_type_is_written_and_read(shops: Any) -> None:
    shop = Shop(**SHOP).insert()
    stored = shops.find_one()
    assert {key: stored[key] for key in STORED} == STORED
    read = Shop.get(shop.id)
    assert read is not None
    assert read == shop
    for name, value in SHOP.items():
        assert getattr(read, name) == value, name
        assert type(getattr(read, name)) is type(value), name
    assert read.save() is read
    assert shops.find_one() == stored
    assert Shop.find().validate() == [shop]


@pytest.mark.parametrize("name", SHOP)
def test_a_field_of_each_type_can_be_set_and_found(shops: Any, name: str) -> None:
    Shop().insert()
    field = getattr(Shop, name)
    Shop.find().update(op.Set(field, SHOP[name]))
    assert shops.find_one()[name] == STORED[name]
    if name not in ("tags",):
        assert Shop.find(field == SHOP[name]).count() == 1
    shop = Shop.find_one()
    assert shop is not None
    assert getattr(shop, name) == SHOP[name]
    setattr(shop, name, SHOP[name])
    shop.save()
    assert shops.find_one()[name] == STORED[name]


def test_objects_changed_in_place_are_saved(shops: Any) -> None:
    Shop(**SHOP).insert()
    shops.update_one({}, {"$set": {"address.unknown": 1, "price.unknown": 2}})
    shop = Shop.find_one()
    assert shop is not None
    assert shop.address is not None
    assert shop.address.geo is not None
    assert shop.price is not None
    shop.address.city = "Bergen"
    shop.address.geo.lat = 60.4
    shop.price.amount += 1
    shop.addresses.append(Address("Moss"))
    shop.hours[10] = "open"
    shop.stock[Color.RED] += 1
    assert shop.tree is not None
    shop.tree.children[0].name = "z"
    shop.save()
    stored = shops.find_one()
    # Only the changed keys are sent: what the class does not declare stays.
    assert stored["address"] == {"city": "Bergen", "geo": {"lat": 60.4, "lng": 10.7}, "zip": "0150", "unknown": 1}
    assert stored["price"] == {"amount": Decimal128("2.10"), "cur": "EUR", "unknown": 2}
    assert len(stored["addresses"]) == 3
    assert stored["hours"]["10"] == "open"
    assert stored["stock"]["red"] == 2
    assert stored["tree"]["children"][0]["name"] == "z"
    assert shop == Shop.find_one()
    shop.replace()
    assert shops.find_one()["address"]["unknown"] == 1
    assert shop == Shop.find_one()


def test_paths_lead_into_objects_and_typed_keys(shops: Any) -> None:
    Shop(**SHOP).insert()
    s: Any = Shop
    for condition in (
        s.address.city == "Oslo",
        s.address.zip_code == "0150",
        s.address.geo.lat > 50,
        s.addresses.city == "Bergen",
        s.addresses[1].geo.lng < 6,
        s.price.amount >= decimal.Decimal("1"),
        s.price.currency == "EUR",
        s.hours[9] == "open",
        s.hours["9"] == "open",
        s.stock[Color.BLUE] == 2,
        s.stock["blue"] == 2,
        s.owners[OWNER] == "Ada",
        s.visits[dt.date(2024, 5, 6)] == 3,
        s.ids[KEY][1] == Color.RED,
        s.takes > dt.timedelta(hours=3),
        s.opens < dt.time(10),
        s.by_name["home"].city == "Oslo",
        op.ElemMatch(s.addresses, {"city": "Oslo"}),
    ):
        assert Shop.find(condition).count() == 1, condition
    with pytest.raises(AttributeError, match="declares no field"):
        _ = s.address.nothing
    with pytest.raises(data_bridge.InvalidQuery, match="int"):
        _ = s.hours["nine"]
    with pytest.raises(data_bridge.InvalidQuery, match="Color"):
        _ = s.stock["green"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "no url"),
        ("price", {"amount": "x"}),
        ("price", {"amount": 1, "cur": "x"}),
        ("address", {}),
        ("address", {"city": 1}),
        ("hours", {"nine": "x"}),
        ("hours", {True: "x"}),
        ("hours", {"01": "x"}),
        ("stock", {"green": 1}),
        ("owners", {"x": "y"}),
        ("takes", "1 h"),
        ("opens", "noon"),
        ("tags", "text"),
        ("pet", {"kind": "cow"}),
        ("ip", "300.0.0.1"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_reported(shops: Any, name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        Shop(**{name: value})
    if all(isinstance(key, str) for key in (value if isinstance(value, dict) else {})):
        shops.insert_one({name: value})
        shop = Shop.find_one()
        assert shop is not None
        with pytest.raises(ValidationError, match=name):
            getattr(shop, name)
        with pytest.raises(ValidationError, match=name):
            Shop.find().validate()


def test_an_email_is_validated(ours: data_bridge.Database, database: Any) -> None:
    pytest.importorskip("email_validator")

    class Writer(Document):
        email: pydantic.EmailStr
        others: list[pydantic.EmailStr] = []

    odm.init(ours, [Writer])
    writer = Writer(email="ada@example.org", others=["bob@example.org"]).insert()
    stored = database["Writer"].find_one()
    assert stored == {"_id": writer.id, "email": "ada@example.org", "others": ["bob@example.org"]}
    assert Writer.find_one(Writer.email == "ada@example.org") == writer
    for wrong in ({"email": "ada"}, {"email": "a@example.org", "others": ["ada"]}):
        with pytest.raises(ValidationError, match="EmailStr"):
            Writer(**wrong)  # type: ignore[arg-type]


def test_mappings_and_json_make_objects_and_keys() -> None:
    shop = Shop(
        address={"city": "Oslo", "geo": {"lat": 1, "lng": 2.0}},
        price={"amount": decimal.Decimal(1), "cur": "USD"},
        pet={"kind": "cat"},
        hours={"9": "open"},
        stock={"red": 1},
        url="https://example.org/",
        opens="09:30",
    )
    assert shop.address == Address("Oslo", Geo(1.0, 2.0))
    assert shop.price == Money(amount=decimal.Decimal(1), cur="USD")
    assert shop.pet == Cat()
    assert shop.hours == {9: "open"}
    assert shop.stock == {Color.RED: 1}
    assert shop.url == pydantic.HttpUrl("https://example.org/")
    assert shop.opens == dt.time(9, 30)


def test_a_model_in_an_object_is_refused() -> None:
    class Inner(EmbeddedDocument):
        a: int

    @dataclasses.dataclass
    class Holder:
        inner: Inner

    @dataclasses.dataclass
    class Linking:
        shop: Link[Shop]

    for kind in (Holder, Linking):
        with pytest.raises(TypeError, match=r"derive .* from EmbeddedDocument"):
            type(odm.Document)("Bad", (Document,), {"__annotations__": {"x": kind}, "__module__": __name__})


def test_keys_that_no_text_stands_for_are_refused() -> None:
    for key in (float, tuple[int, int]):
        with pytest.raises(TypeError, match="keys"):
            type(odm.Document)("Bad", (Document,), {"__annotations__": {"x": dict[key, int]}, "__module__": __name__})


def test_a_mapping_as_a_filter_takes_python_values_and_fields(shops: Any) -> None:
    Shop(**SHOP).insert()
    s: Any = Shop
    for condition in (
        {"color": Color.RED},
        {"color": {"$in": [Color.RED, Color.BLUE]}},
        {"color": {"$in": {Color.RED}}},
        {"born": dt.date(2000, 1, 2)},
        {"born": {"$gte": dt.date(2000, 1, 1), "$lt": dt.date(2001, 1, 1)}},
        {"cost": decimal.Decimal("9.9")},
        {"$or": [{"cost": {"$gt": decimal.Decimal(100)}}, {"takes": {"$gt": dt.timedelta(hours=1)}}]},
        {"ip": ipaddress.IPv4Address("10.0.0.1")},
        {s.color: Color.RED},
        {s.address.city: "Oslo", s.cost: {"$gt": 1}},
        {"$and": [{s.stock[Color.RED]: 1}, s.born == dt.date(2000, 1, 2)]},
    ):
        assert Shop.find(condition).count() == 1, condition
        assert Shop.find().find(condition).exists()
        assert Shop.find(op.And(condition, s.color == Color.RED)).count() == 1
    with pytest.raises(data_bridge.InvalidQuery, match="no field of Shop"):
        Shop.find({Other.n: 1})
    with pytest.raises(data_bridge.InvalidQuery, match="34 digits"):
        Shop.find({"cost": decimal.Decimal("1" * 40)})


class Other(Document):
    n: int = 0


def test_mappings_of_updates_and_pipelines_take_python_values_and_fields(shops: Any) -> None:
    shop = Shop(**SHOP).insert()
    s: Any = Shop
    Shop.find().update({"$set": {s.color: Color.BLUE, "born": dt.date(2001, 1, 1)}, "$inc": {s.stock[Color.RED]: 2}})
    stored = shops.find_one()
    assert (stored["color"], stored["born"], stored["stock"]["red"]) == ("blue", dt.datetime(2001, 1, 1), 3)
    shop = Shop.get(shop.id)  # type: ignore[assignment]
    shop.update({"$set": {s.cost: decimal.Decimal(5)}})
    assert shop.cost == 5
    (row,) = Shop.aggregate([{"$match": {s.color: Color.BLUE}}, {"$match": s.cost > 1}]).to_dicts()
    assert row["_id"] == shop.id
    assert Shop.find().project({s.color: 1, "_id": 0}).to_dicts() == [{"color": "blue"}]
    with pytest.raises(data_bridge.InvalidQuery, match="no field of Shop"):
        Shop.find().update({"$set": {Other.n: 1}})


def test_an_update_takes_a_pipeline_and_array_filters(shops: Any) -> None:
    class Counted(Document):
        n: int = 0
        twice: int = 0
        rows: list[dict[str, int]] = []

        class Settings:
            name = "Shop"
            use_revision = True

    Counted.__odm__.collection = Shop.__odm__.collection
    c: Any = Counted
    counted = Counted(n=2, rows=[{"a": 1}, {"a": 5}]).insert()
    Counted.find().update([{"$set": {c.twice: {"$multiply": ["$n", 2]}}}, {"$set": {"n": 0}}])
    stored = shops.find_one()
    assert (stored["twice"], stored["n"]) == (4, 0)
    assert stored["revision_id"] != counted.revision_id
    counted = Counted.get(counted.id)  # type: ignore[assignment]
    assert counted.update([{"$set": {"n": {"$add": ["$twice", 1]}}}]).n == 5
    Counted.find().update({"$inc": {"rows.$[row].a": 10}}, array_filters=[{"row.a": {"$gt": 2}}])
    assert shops.find_one()["rows"] == [{"a": 1}, {"a": 15}]
    counted.reload()
    counted.update({"$inc": {"rows.$[row].a": 1}}, array_filters=[{"row.a": 1}])
    assert counted.rows == [{"a": 2}, {"a": 15}]
    assert Counted.find().update_one({"$inc": {"rows.$[r].a": 1}}, array_filters=[{"r.a": 2}]).modified_count == 1
    counted.reload()
    with Counted.bulk_writer() as bulk:
        bulk.update(counted, [{"$set": {"n": {"$add": ["$n", 1]}}}])
        bulk.update(counted, [{"$set": {"n": {"$add": ["$n", 1]}}}])
        bulk.update_many(Counted.find(), {"$inc": {"rows.$[r].a": 1}}, array_filters=[{"r.a": {"$gt": 14}}])
    assert counted.reload().n == 7
    assert counted.rows[1] == {"a": 16}
    after = Counted.find(c.n == 7).find_one_and_update([{"$set": {"twice": {"$multiply": ["$n", 2]}}}])
    assert after is not None
    assert counted.reload().twice == 14
    new = Counted(n=1)
    Counted.find(c.n == 100).upsert([{"$set": {"n": 1}}], on_insert=new)
    assert Counted.find(c.n == 1).count() == 1
    with pytest.raises(TypeError, match="not both"):
        Counted.find().update([{"$set": {"n": 1}}], op.Set({c.n: 1}))
    with pytest.raises(data_bridge.InvalidQuery, match="no stages"):
        Counted.find().update([])
    with pytest.raises(data_bridge.InvalidQuery, match="trusted"):
        Counted.find().update([{"$set": {"n": {"$function": {"body": "", "args": [], "lang": "js"}}}}])


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2


class Mark(enum.Flag):
    BOLD = enum.auto()
    ITALIC = enum.auto()


class Flagged(Document):
    access: Access = Access.READ
    marks: list[Mark] = []
    maybe: Mark | None = None
    wait: dt.timedelta = dt.timedelta()


def test_flags_combine(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Flagged])
    both = Access.READ | Access.WRITE
    made = Flagged(access=both, marks=[Mark.BOLD, Mark.BOLD | Mark.ITALIC], maybe=Mark(0)).insert()
    stored = database["Flagged"].find_one({}, {"_id": 0, "wait": 0})
    assert stored == {"access": 3, "marks": [1, 3], "maybe": 0}
    again = Flagged.find_one(Flagged.access == both)
    assert again == made
    assert type(again.access) is Access
    assert again.marks == [Mark.BOLD, Mark.BOLD | Mark.ITALIC]
    assert Flagged(access=3).access == both  # type: ignore[arg-type]
    again.update(op.Set(Flagged.access, Access.WRITE))
    assert (again.access, database["Flagged"].find_one()["access"]) == (Access.WRITE, 2)
    assert Flagged.model_validate(again.model_dump(mode="json", exclude={"wait"}) | {"id": again.id}) == again
    assert pydantic.TypeAdapter(Flagged).validate_json('{"access": 3}').access == both
    for wrong in ({"maybe": 8}, {"access": "x"}, {"access": True}, {"marks": [1.5]}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            Flagged(**wrong)  # type: ignore[arg-type]


def test_a_timedelta_that_no_double_holds_is_refused(ours: data_bridge.Database) -> None:
    odm.init(ours, [Flagged])
    for value in (dt.timedelta.max, dt.timedelta.max - dt.timedelta(days=1)):
        with pytest.raises(ValidationError, match="timedelta"):
            Flagged(wait=value).insert()
        with pytest.raises(data_bridge.InvalidQuery, match="timedelta"):
            Flagged.find({"wait": value})


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (pydantic.BaseModel, "declares no fields"),
        (pydantic.BaseModel | None, "declares no fields"),
        (list[pydantic.BaseModel], "declares no fields"),
        (pydantic.Json, "type of the parsed value"),
        (pydantic.Json[int], "Annotated is not supported"),
    ],
)
def test_classes_of_pydantic_that_are_no_values_are_refused(annotation: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type(Document)("Bad", (Document,), {"__annotations__": {"x": annotation}, "__module__": __name__})


def test_positions_in_operators_and_bulks(ours: data_bridge.Database, database: Any) -> None:
    class Row(EmbeddedDocument):
        num: int = 0
        tags: list[str] = []

    class Board(Document):
        rows: list[Row] = []
        free: Any = None
        name: str = ""

    odm.init(ours, [Board])
    board = Board(rows=[Row(num=1), Row(num=2)], free=[1, 2]).insert()
    board.update(op.Inc({"rows.$[e].num": 10}), array_filters=[{"e.num": 2}])
    board.update(op.Push("rows.$[].tags", "x"), op.Set({"free.$[f]": 5}), array_filters=[{"f": 1}])
    assert board.rows == [Row(num=1, tags=["x"]), Row(num=12, tags=["x"])]
    assert board.free == [5, 2]
    Board.find({"rows.num": 12}).update(op.Set({"rows.$.num": 13}))
    with Board.bulk_writer() as bulk:
        bulk.update(board, op.Inc({"rows.$[e].num": 1}), array_filters=[{"e.num": {"$gte": 13}}])
        bulk.update(board, {"$inc": {"rows.$[e].num": 1}}, array_filters=[{"e.num": 1}])
    assert [each["num"] for each in database["Board"].find_one()["rows"]] == [2, 14]
    for wrong in ({"rows.$[e].num": "x"}, {"rows.$[]": 5}):
        with pytest.raises(data_bridge.InvalidQuery):
            board.update(op.Set(wrong), array_filters=[{"e.num": 1}])
    with pytest.raises(AttributeError, match="nope"):
        board.update(op.Set({"rows.$[].nope": 1}))
    with pytest.raises(TypeError, match="no positions"):
        board.update(op.Set({"name.$[]": 1}))
    with pytest.raises(AttributeError):
        Board.find().sort("rows.$[].num")
