"""Expressions: their filters, and the values that they refuse; without a server."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import pytest
from bson import Decimal128, ObjectId, Regex
from shop import Address, Color, Item, User

from data_bridge import InvalidQuery
from data_bridge.odm import Expression, Sort, operators, path, trusted
from data_bridge.odm.filters.expressions import all_of
from data_bridge.odm.filters.lookup import sort_keys
from data_bridge.odm.filters.updates import update_document

F: Any = User
"""The model with fields of type Any: tests compare them with values that type checkers refuse."""


@pytest.mark.parametrize(
    ("expression", "document"),
    [
        (F.age == 5, {"age": 5}),
        (F.age != 5, {"age": {"$ne": 5}}),
        (F.age > 5, {"age": {"$gt": 5}}),
        (F.age >= 5, {"age": {"$gte": 5}}),
        (F.age < 5.5, {"age": {"$lt": 5.5}}),
        (F.age <= 5, {"age": {"$lte": 5}}),
        (5 < F.age, {"age": {"$gt": 5}}),  # noqa: SIM300
        (F.age == None, {"age": None}),  # noqa: E711
        (F.mail == "x", {"e-mail": "x"}),
        (F.id == str(ObjectId(b"1" * 12)), {"_id": ObjectId(b"1" * 12)}),
        (F.color == Color.RED, {"color": "red"}),
        (F.born == dt.date(2020, 1, 2), {"born": dt.datetime(2020, 1, 2)}),
        (F.uid == uuid.UUID(int=1), {"uid": uuid.UUID(int=1)}),
        (F.address.city == "Oslo", {"address.city": "Oslo"}),
        (F.address.size > 1, {"address.size": {"$gt": 1}}),
        (F.items.name == "pen", {"items.name": "pen"}),
        (F.items[0].count_ == 2, {"items.0.count": 2}),
        (F.homes["winter"].city == "x", {"homes.winter.city": "x"}),
        (F.extra["a"][0]["b"] == 1, {"extra.a.0.b": 1}),
        (F.tags == "x", {"tags": "x"}),
        (F.tags == ["x", "y"], {"tags": ["x", "y"]}),
        (F.tags[0] == "x", {"tags.0": "x"}),
        (F.address == {"city": "Oslo"}, {"address": {"$eq": {"city": "Oslo"}}}),
        (F.address == Address(city="O"), {"address": {"$eq": {"city": "O", "zip": None, "size": 0}}}),
        (F.extra == {"$gt": ""}, {"extra": {"$eq": {"$gt": ""}}}),
        (F.extra == Regex("x"), {"extra": {"$eq": Regex("x")}}),
        ((F.age > 1) & (F.age < 5), {"$and": [{"age": {"$gt": 1}}, {"age": {"$lt": 5}}]}),
        ((F.age > 1) | {"name": "x"}, {"$or": [{"age": {"$gt": 1}}, {"name": "x"}]}),
        (~(F.age > 1), {"$nor": [{"age": {"$gt": 1}}]}),
        (operators.In(F.color, [Color.RED, "blue"]), {"color": {"$in": ["red", "blue"]}}),
        (operators.NotIn(F.age, (1, 2)), {"age": {"$nin": [1, 2]}}),
        (operators.All(F.tags, ["a"]), {"tags": {"$all": ["a"]}}),
        (operators.Exists(F.mail, False), {"e-mail": {"$exists": False}}),
        (operators.Type(F.age, "int"), {"age": {"$type": ["int"]}}),
        (operators.RegEx(F.name, "^a", "i"), {"name": {"$regex": "^a", "$options": "i"}}),
        (operators.Size(F.tags, 2), {"tags": {"$size": 2}}),
        (operators.Mod(F.age, 4, 0), {"age": {"$mod": [4, 0]}}),
        (operators.BitsAllSet(F.age, [0, 1]), {"age": {"$bitsAllSet": [0, 1]}}),
        (operators.Text("coffee"), {"$text": {"$search": "coffee"}}),
        (
            operators.ElemMatch(F.items, Item.name == "x"),
            {"items": {"$elemMatch": {"name": "x"}}},
        ),
        (
            operators.Near(F.extra, 1, 2, max_distance=3),
            {
                "extra": {
                    "$nearSphere": {"$geometry": {"type": "Point", "coordinates": [1.0, 2.0]}, "$maxDistance": 3.0}
                }
            },
        ),
        (operators.Expr({"$gt": ["$age", "$score"]}), {"$expr": {"$gt": ["$age", "$score"]}}),
    ],
)
def test_an_expression_is_a_filter(expression: Any, document: dict[str, Any]) -> None:
    assert isinstance(expression, Expression)
    assert expression.document == document


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: 1 < F.age < 5, TypeError),
        (lambda: F.age > 1 and F.age < 5, TypeError),
        (lambda: not F.age, TypeError),
        (lambda: not (F.age > 1), TypeError),
        (lambda: 5 in F.tags, TypeError),
        (lambda: list(F.tags), TypeError),
        (lambda: F.age > "5", InvalidQuery),
        (lambda: F.age == True, InvalidQuery),  # noqa: E712
        (lambda: F.age == {"$gt": 1}, InvalidQuery),
        (lambda: F.name == {"$ne": ""}, InvalidQuery),
        (lambda: F.name == re.compile("x"), InvalidQuery),
        (lambda: F.id == "short", InvalidQuery),
        (lambda: F.color == "green", InvalidQuery),
        (lambda: F.age == F.score, TypeError),
        (lambda: operators.In(F.name, [{"$gt": ""}]), InvalidQuery),
        (lambda: operators.In(F.extra, [{"$gt": ""}]), InvalidQuery),
        (lambda: operators.All(F.extra, [{"$elemMatch": {"$where": "1"}}]), InvalidQuery),
        (lambda: operators.In(F.name, "abc"), TypeError),
        (lambda: operators.Exists(F.name, {"$gt": ""}), TypeError),
        (lambda: operators.RegEx(F.name, {"$gt": ""}), TypeError),
        (lambda: operators.Size(F.tags, {"$gt": ""}), TypeError),
        (lambda: operators.Gt("age", 5), TypeError),
        (lambda: F.nope, AttributeError),
        (lambda: F.address.nope, AttributeError),
        (lambda: F.name.upper, AttributeError),
        (lambda: F.extra.a, AttributeError),
        (lambda: F.name[0], TypeError),
        (lambda: F.tags["x"], TypeError),
        (lambda: F.homes["a.b"], InvalidQuery),
        (lambda: F.homes["$where"], InvalidQuery),
        (lambda: F.extra[""], InvalidQuery),
        (lambda: F.tags[-1], InvalidQuery),
        (lambda: operators.Expr({"$function": {"body": "1"}}), InvalidQuery),
        (lambda: all_of([False]), TypeError),
        (lambda: all_of([None]), TypeError),
        (lambda: all_of(["age > 5"]), TypeError),
        (lambda: all_of([F.age]), TypeError),
        (lambda: all_of([[F.age > 1]]), TypeError),
    ],
)
def test_what_is_no_filter_is_refused(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


@pytest.mark.parametrize(
    "document",
    [
        {"$where": "1"},
        {"$or": [{"a": 1}, {"$where": "1"}]},
        {"a": {"$elemMatch": {"$where": "1"}}},
        {"$expr": {"$function": {"body": "1", "args": [], "lang": "js"}}},
        {"a": [[{"$accumulator": {}}]]},
    ],
)
def test_code_on_the_server_has_to_be_trusted(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuery, match="trusted"):
        User.find(document)
    assert all_of([trusted(document)]) == document


def test_trust_may_be_given_within() -> None:
    inner = {"$or": [{"a": 1}, trusted({"$where": "1"})]}
    assert all_of([inner]) == inner


def test_positions_of_tuples_have_types_of_their_own(users: Any) -> None:
    users.insert_one({"name": "a", "age": 1, "pair": [5, "x"]})
    assert User.find(F.pair[0] > 4, F.pair[1] == "x").count() == 1
    with pytest.raises(InvalidQuery, match="expected str"):
        _ = F.pair[1] == 5
    with pytest.raises(TypeError, match="has no position 2"):
        _ = F.pair[2]


def test_sorting() -> None:
    assert -User.age == Sort("age", -1) != Sort("age", 1)
    assert repr(-User.age) == "Sort('age', -1)"
    assert len({-User.age, Sort("age", -1), +User.age}) == 2
    assert sort_keys(User, [Sort("age", -1)]) == [("age", -1)]
    with pytest.raises(AttributeError):
        sort_keys(User, [Sort("agee", -1)])
    keys = sort_keys(User, [-F.age, F.name, "-e-mail", "+address.city", ("tags", -1), [F.score]])
    assert keys == [("age", -1), ("name", 1), ("e-mail", -1), ("address.city", 1), ("tags", -1), ("score", 1)]
    assert sort_keys(User, ["homes.winter.city", "items.0.name"]) == [("homes.winter.city", 1), ("items.0.name", 1)]
    for wrong in ("nope", "-address.nope", "name.x"):
        with pytest.raises(AttributeError):
            sort_keys(User, [wrong])
    with pytest.raises(InvalidQuery, match="twice"):
        sort_keys(User, ["age", -F.age])
    with pytest.raises(TypeError):
        sort_keys(User, [5])


def test_nested_names_are_not_shadowed_by_operators() -> None:
    assert (F.address.size == 1).document == {"address.size": 1}
    assert (path(User.address).size == 1).document == {"address.size": 1}


@pytest.mark.parametrize(
    ("update", "document"),
    [
        (operators.Set({F.age: 5, "name": "x"}), {"$set": {"age": 5, "name": "x"}}),
        (operators.Set({F.address.city: "x"}), {"$set": {"address.city": "x"}}),
        (operators.Set({F.extra: {"$inc": 1}}), {"$set": {"extra": {"$inc": 1}}}),
        (operators.Inc({F.age: 1}), {"$inc": {"age": 1}}),
        (operators.Unset(F.mail, "age"), {"$unset": {"e-mail": "", "age": ""}}),
        (operators.Push({F.tags: "x"}), {"$push": {"tags": {"$each": ["x"]}}}),
        (operators.Push({F.extra: {"$each": [1]}}), {"$push": {"extra": {"$each": [{"$each": [1]}]}}}),
        (
            operators.Push({F.items: operators.Each([Item(name="a")], position=0, slice=3)}),
            {"$push": {"items": {"$each": [{"name": "a", "count": 1}], "$position": 0, "$slice": 3}}},
        ),
        (operators.AddToSet({F.tags: operators.Each(["x"])}), {"$addToSet": {"tags": {"$each": ["x"]}}}),
        (operators.Pull({F.tags: "x"}), {"$pull": {"tags": {"$in": ["x"]}}}),
        (operators.Pull({F.items: Item.count_ > 3}), {"$pull": {"items": {"count": {"$gt": 3}}}}),
        (operators.Pop({F.tags: -1}), {"$pop": {"tags": -1}}),
        (operators.Set(F.extra, {"$inc": 1}), {"$set": {"extra": {"$inc": 1}}}),
        (operators.Set("mail", None), {"$set": {"e-mail": None}}),
        (operators.Push(F.tags, "x"), {"$push": {"tags": {"$each": ["x"]}}}),
        (operators.CurrentDate(F.seen), {"$currentDate": {"seen": True}}),
        (operators.CurrentDate({F.extra: True}), {"$currentDate": {"extra": True}}),
        (operators.Unset({F.extra: ""}), {"$unset": {"extra": ""}}),
        (operators.CurrentDate(F.extra), {"$currentDate": {"extra": True}}),
        (operators.Mul({F.score: 2, F.money: 3}), {"$mul": {"score": 2.0, "money": Decimal128("3")}}),
        ({"$set": {"age": 1}}, {"$set": {"age": 1}}),
    ],
)
def test_updates(update: Any, document: dict[str, Any]) -> None:
    assert update_document(User, [update]) == document


def test_updates_are_merged() -> None:
    merged = update_document(User, [operators.Set({F.age: 1}), {"$set": {"name": "x"}}, operators.Inc({F.score: 1})])
    assert merged == {"$set": {"age": 1, "name": "x"}, "$inc": {"score": 1}}


@pytest.mark.parametrize(
    ("updates", "error"),
    [
        ([], InvalidQuery),
        ([{"age": 5}], InvalidQuery),
        ([operators.Set({F.age: 1}), operators.Set({F.age: 2})], InvalidQuery),
        ([operators.Set({F.age: "x"})], InvalidQuery),
        ([operators.Set({F.age: None})], InvalidQuery),
        ([operators.Set({F.tags: "x"})], InvalidQuery),
        ([operators.Inc({F.age: 1.5})], InvalidQuery),
        ([operators.Mul({F.age: 0.5})], InvalidQuery),
        ([operators.Inc({F.age: None})], InvalidQuery),
        ([operators.CurrentDate(F.age)], InvalidQuery),
        ([operators.CurrentDate(F.born)], InvalidQuery),
        ([operators.Push({F.tags: 5})], InvalidQuery),
        ([operators.Push({F.name: "x"})], InvalidQuery),
        ([operators.Pull({F.extra: {"$gt": 1}})], InvalidQuery),
        ([operators.Set({"nope": 1})], AttributeError),
        ([{"$set": {"x": {"$function": 1}}}], InvalidQuery),
        ([F.age == 5], TypeError),
        ([True], TypeError),
    ],
)
def test_what_is_no_update_is_refused(updates: list[Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        update_document(User, updates)


@pytest.mark.parametrize("arguments", [(), (F.age,), ({},), ("age",), ([("age", 1)],), ({F.age: 1}, 2)])
def test_operators_take_a_mapping_or_a_field_and_a_value(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        operators.Set(*arguments)


@pytest.mark.parametrize(
    "twice",
    [
        lambda: {F.age: 1, "age": 2},
        lambda: {"age": 2, F.age: 1},
        lambda: {F.name: "a", "name": "b"},
        lambda: {F.age: 1, "age": 5},
        lambda: {F.items[0].name: "a", "items.0.name": "b"},
        lambda: {F.homes["a"]: 1, F.homes["a"]: 2},
        lambda: {F.mail: "a", "e-mail": "b"},
    ],
)
def test_a_key_that_a_mapping_has_twice_is_named(twice: Any) -> None:
    for make in (
        lambda: Expression(twice()),
        lambda: update_document(User, [{"$set": twice()}]),
        lambda: all_of([{"$or": [twice()]}]),
    ):
        with pytest.raises(InvalidQuery, match=r"has the key '[\w.-]+' twice: as a field and as text"):
            make()


def test_a_key_that_an_operator_has_twice_is_named() -> None:
    for changes in ({F.age: 1, "age": 2}, {F.mail: "a", "mail": "b"}, {F.mail: "a", "e-mail": "b"}):
        with pytest.raises(InvalidQuery, match=r"\$set names '[\w-]+' twice"):
            update_document(User, [operators.Set(changes)])
    each = operators.Each([], sort={"count_": 1, "count": -1})
    with pytest.raises(InvalidQuery, match="sort by is named twice"):
        update_document(User, [operators.Push(F.items, each)])


def test_fields_and_texts_are_different_keys_of_dicts() -> None:
    keys: dict[Any, int] = {F.age: 1, F.name: 2, F.items[0]: 3}
    assert (keys[F.age], keys.get("age"), keys.pop("name", None), keys.get(F.tags)) == (1, None, None, None)
    assert F.age in keys
    assert "age" not in keys
    assert User.age in {User.age}
