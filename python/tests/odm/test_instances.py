"""Comparisons of instances, values that they refuse, and results with the type of the annotation."""

from __future__ import annotations

import decimal
from typing import Any

import pytest
from bson import Decimal128, Int64
from shop import Address, User

import data_bridge
from data_bridge import odm
from data_bridge.odm import BackLink, Document, EmbeddedDocument, Expression, Field, Link, ValidationError, trusted
from data_bridge.odm import operators as op

F: Any = User

# ---- == -------------------------------------------------------------------------------------------------------------

WRONG = [
    {"age": "old"},
    {"age": None},
    {"tags": ["a", 5]},
    {"address": {"city": 5}},
    {"items": [{"name": "pen"}, "ink"]},
    {"kind": "z"},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_comparing_raises_nothing(users: Any, wrong: dict[str, Any]) -> None:
    users.insert_many([{"_id": n, "name": "Ada", "age": 1, **wrong} for n in (1, 2)])
    first, again, other = (User.find({"_id": n}).to_list()[0] for n in (1, 1, 2))
    assert first == again
    assert first != other  # they have different _ids
    assert first != User(name="Ada", age=1)
    other = User.find({"_id": 1}).to_list()[0]
    other.name = "Eve"
    assert first != other
    users.update_one({"_id": 1}, {"$set": {"age": "older"}})
    if "age" in wrong:
        assert first != User.find({"_id": 1}).to_list()[0]


def test_a_missing_value_equals_a_missing_value_only(users: Any) -> None:
    users.insert_many([{"_id": 1, "name": "Ada"}])
    first, again = User.find({"_id": 1}).to_list() + User.find({"_id": 1}).to_list()
    assert first == again
    users.update_one({"_id": 1}, {"$set": {"age": None}})
    assert first != User.find({"_id": 1}).to_list()[0]
    again.age = 5
    assert first != again


# ---- fields that are not stored --------------------------------------------------------------------------------------


class Maker(Document):
    name: str
    things: list[BackLink[Thing]] = Field(default_factory=list, original_field="maker")
    thing: BackLink[Thing] | None = Field(None, original_field="maker")

    class Settings:
        name = "makers"


class Thing(Document):
    maker: Link[Maker]

    class Settings:
        name = "things"


@pytest.mark.parametrize("field", ["things", "thing"])
def test_a_back_link_takes_no_value(field: str) -> None:
    for value in ([], None, [Thing(maker=Link(Maker, "a" * 24))]):
        with pytest.raises(ValidationError) as caught:
            Maker(name="a", **{field: value})
        assert caught.value.path == (field,)
        with pytest.raises(ValidationError):
            setattr(Maker(name="a"), field, value)


def test_a_back_link_is_no_field_of_filters_and_updates(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Maker, Thing])
    Maker.insert_many([Maker(name="a"), Maker(name="b")])
    M: Any = Maker
    asks: list[Any] = [
        lambda: Maker.find(M.things == None).delete(),  # noqa: E711
        lambda: Maker.find(M.thing == None).delete(),  # noqa: E711
        lambda: Maker.find(op.Exists(M.things, False)).delete(),
        lambda: Maker.find().sort("things"),
        lambda: Maker.find().update(op.Set({M.thing: None})),
        lambda: Maker.find().update(op.Unset("things")),
        lambda: Maker.distinct(M.things),
        lambda: Maker.find().project([M.things]),
    ]
    for ask in asks:
        with pytest.raises(data_bridge.InvalidQuery, match="not stored"):
            ask()
    assert database["makers"].count_documents({}) == 2


@pytest.mark.parametrize("annotation", [dict[str, BackLink[Maker]], tuple[BackLink[Maker], int]])
def test_a_back_link_stands_alone_or_in_a_list(annotation: Any) -> None:
    with pytest.raises(TypeError, match="BackLink, which is not stored, cannot be part of this type"):
        type(Document)("Odd", (Document,), {"__annotations__": {"x": annotation}, "__module__": __name__})


# ---- trust ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        {"$where": "sleep(1)"},
        {"$or": [{"a": 1}, {"$and": [{"$expr": {"$function": {}}}]}]},
        {"a": {"$elemMatch": {"$where": "1"}}},
    ],
)
def test_an_expression_made_by_hand_is_checked(code: dict[str, Any]) -> None:
    with pytest.raises(data_bridge.InvalidQuery, match="trusted"):
        Expression(code)
    assert Expression(trusted(code)).document == code
    with pytest.raises(TypeError):
        Expression(True)  # type: ignore[arg-type]


def test_an_expression_is_not_changed_with_what_it_was_made_of(users: Any) -> None:
    users.insert_one({"name": "a", "age": 1})
    condition: dict[str, Any] = {"$or": [{"age": 1}]}
    compared: dict[str, Any] = {"$gt": ["$age", 0]}
    by_hand, expr = Expression(condition), op.Expr(compared)
    condition["$or"].append({"$where": "true"})
    compared["$function"] = {}
    assert User.find(by_hand, expr).count() == 1


def test_a_value_that_looks_like_code_is_a_value(users: Any) -> None:
    users.insert_one({"name": "a", "age": 1, "extra": {"$where": "1"}})
    condition = (F.extra == {"$where": "1"}) & (F.age == 1) | (F.age == 5)
    assert [user.extra for user in User.find(condition, ~(F.age == 7))] == [{"$where": "1"}]


# ---- results --------------------------------------------------------------------------------------------------------


class Line(EmbeddedDocument):
    n: int
    f: float = 0.0


class Counter(Document):
    n: int
    f: float = 0.0
    big: Int64 | None = None
    money: decimal.Decimal | None = None
    ns: list[int] = []
    lines: list[Line] = []
    by_name: dict[str, list[int]] = {}

    class Settings:
        name = "counters"


C: Any = Counter


@pytest.fixture
def counters(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Counter])
    database["counters"].insert_many(
        [
            {
                "n": Int64(each),
                "f": each,
                "big": Int64(each),
                "money": Decimal128(str(each)),
                "ns": [Int64(each), 7],
                "lines": [{"n": Int64(each), "f": 1}, {"n": 9.0, "f": 2.5}],
                "by_name": {"a": [Int64(5)]},
            }
            for each in (1, 2)
        ]
    )
    return database["counters"]


def same(found: Any, expected: Any) -> None:
    assert found == expected
    if isinstance(expected, list):
        assert [type(each) for each in found] == [type(each) for each in expected]
    assert type(found) is type(expected)


def test_answers_have_the_type_of_the_annotation(counters: Any) -> None:
    same(sorted(Counter.distinct(C.n)), [1, 2])
    same(sorted(Counter.distinct(C.ns)), [1, 2, 7])
    same(sorted(Counter.distinct(C.lines.n)), [1, 2, 9])
    same(sorted(Counter.distinct("by_name.a")), [5])
    same(sorted(Counter.distinct(C.f)), [1.0, 2.0])
    same(sorted(Counter.distinct(C.big)), [Int64(1), Int64(2)])
    query = Counter.find()
    same(query.min(C.n), 1)
    same(query.max(C.n), 2)
    same(query.max(C.big), Int64(2))
    same(query.max(C.f), 2.0)
    same(query.max(C.ns), 7)
    same(query.min(C.lines.n), 1)
    same(query.sum(C.n), 3)
    same(query.sum(C.f), 3.0)
    same(query.avg(C.n), 1.5)
    same(query.avg(C.f), 1.5)
    same(Counter.find(C.n == 2).avg(C.n), 2.0)
    same(query.sum(C.money), decimal.Decimal(3))
    same(query.avg(C.money), decimal.Decimal("1.5"))


def test_lists_and_dicts_have_ints_where_ints_are_declared(counters: Any) -> None:
    one = Counter.find(C.n == 1).to_list()[0]
    same(one.ns, [1, 7])
    same([each.n for each in one.lines], [1, 9])
    same(one.by_name["a"], [5])
    before = counters.find_one({"_id": one.id})
    one.save()
    one.f = 5.0
    one.save()
    after = counters.find_one({"_id": one.id})
    assert type(after["ns"][0]) is type(before["ns"][0]) is Int64
    assert Address(city="x", size=Int64(5)).size == 5
