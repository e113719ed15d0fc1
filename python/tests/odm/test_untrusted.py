"""Values from outside stay values: a request's body is compared and stored, and never runs as an operator."""

from __future__ import annotations

from typing import Any

import pytest
from bson import ObjectId
from shop import User

import data_bridge
from data_bridge.odm import ValidationError
from data_bridge.odm import operators as op

F: Any = User
REFUSED = (data_bridge.DataBridgeError, TypeError, ValueError, AttributeError, ValidationError)

EVIL: list[Any] = [
    {"$ne": None},
    {"$gt": ""},
    {"$exists": True},
    {"$regex": ".*"},
    {"$in": ["a", "b"]},
    {"$not": {"$eq": 0}},
    {"$where": "true"},
    {"$function": {"body": "function() { return true }", "args": [], "lang": "js"}},
    {"$expr": {"$eq": [1, 1]}},
    {"$or": [{}]},
    {"$elemMatch": {"$ne": 0}},
    {"a": {"$ne": 0}},
    [{"$ne": None}],
    [["$name"]],
    "$name",
    "$$ROOT",
]


@pytest.fixture
def three(users: Any) -> Any:
    users.insert_many([{"name": name, "age": age, "extra": {"k": name}} for age, name in enumerate("abc")])
    return users


def found(query: Any) -> list[str]:
    return [each.name for each in query.to_list()]


@pytest.mark.parametrize("evil", EVIL)
def test_what_is_compared_matches_itself_only(three: Any, evil: Any) -> None:
    """The value is refused, or matches no document, as none contains it."""
    asked: list[Any] = [
        lambda: F.name == evil,
        lambda: F.age == evil,
        lambda: F.extra == evil,
        lambda: F.extra["k"] == evil,
        lambda: F.extra.k == evil,
        lambda: F.tags == evil,
        lambda: F.address == evil,
        lambda: F.address.city == evil,
        lambda: F.homes["x"] == evil,
        lambda: F.id == evil,
        lambda: F.mail == evil,
        lambda: op.Eq(F.extra, evil),
        lambda: op.In(F.extra, [evil]),
        lambda: op.In(F.name, [evil]),
        lambda: op.All(F.tags, [evil]),
        lambda: op.In(F.extra, evil),
    ]
    for number, ask in enumerate(asked):
        try:
            names = found(User.find(ask()))
        except REFUSED:
            continue
        assert names == [], number
    for lookup in (lambda: User.get(evil), lambda: User.find_one(F.id == evil)):
        try:
            assert lookup() is None
        except REFUSED:
            continue
    # The filters of fields of type Any, which accept all values.
    three.insert_one({"name": "itself", "age": 9, "extra": evil})
    if not isinstance(evil, (list, str)):
        assert found(User.find(F.extra == evil)) == ["itself"]


@pytest.mark.parametrize("evil", EVIL)
def test_what_is_stored_is_stored_as_it_is(three: Any, evil: Any) -> None:
    key = three.find_one({"name": "a"})["_id"]
    stored: list[Any] = []
    for change in (op.Set({F.extra: evil}), op.Set({"extra": evil}), op.Push({F.tags: evil})):
        try:
            User.find(F.id == key).update(change)
        except REFUSED:
            continue
        document = three.find_one({"_id": key})
        stored.append(document.get("extra"))
        assert document["name"] == "a"
    assert all(value in (evil, {"k": "a"}) for value in stored)
    try:
        User(name="new", age=1, extra=evil).insert()
    except REFUSED:
        assert three.count_documents({}) == 3
    else:
        assert three.find_one({"name": "new"})["extra"] == evil
    assert [each["name"] for each in three.find({"name": {"$in": ["b", "c"]}})] == ["b", "c"]


@pytest.mark.parametrize("name", ["$where", "__class__", "__init__", "\0", "", "a.b", "$$ROOT", "_id.x", "nope", "odm"])
def test_only_declared_fields_resolve(three: Any, name: str) -> None:
    for use in (
        lambda: User.find({name: "a"}).sort(name).to_list(),
        lambda: User.find().sort(name).to_list(),
        lambda: User.find().sum(name),
        lambda: User.find().update(op.Set({name: 1})),
        lambda: User(**{"name": "x", "age": 1, name: 1}),
        lambda: getattr(F, name) == 1 if not name.startswith("__") else User.find(**{name: 1}),
    ):
        try:
            use()
        except (*REFUSED, NameError):
            continue
    # Accepted values changed their own field only.
    assert [(each["name"], each["age"]) for each in three.find().sort("name")] == [("a", 0), ("b", 1), ("c", 2)]
    assert all(type(each) is User for each in User.find().to_list())


def test_identifiers_from_outside(three: Any) -> None:
    key = three.find_one({"name": "b"})["_id"]
    assert User.get(str(key)) is not None
    for evil in (f"{key}\0", f"{key} ", "0" * 23, "g" * 24, b"x" * 12, 7, None, True, [key], {"$oid": str(key)}):
        try:
            assert User.get(evil) is None
        except REFUSED:
            continue
    assert User.get(ObjectId()) is None
