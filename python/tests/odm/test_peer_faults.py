"""Known faults of other object mappers: each test shows that this package does not have one."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import Any

import pytest
from bson import ObjectId
from bson.codec_options import CodecOptions
from bson.datetime_ms import DatetimeMS
from cursors import wait_until_open
from shop import User

import data_bridge
from data_bridge import odm
from data_bridge.odm import Document, ValidationError, trusted
from data_bridge.odm import operators as op

F: Any = User


def three(users: Any) -> None:
    users.insert_many([{"name": name, "age": age} for age, name in enumerate("abc")])


@pytest.mark.parametrize(
    "mistyped",
    [
        lambda: User.delete_many(False),
        lambda: User.delete_many(User(name="x", age=1).name == "y"),
        lambda: User.delete_many(None),
        lambda: User.delete_many(F.age),
        lambda: User.delete_many(F.age > 1 and F.age < 2),
        lambda: User.delete_many(1 < F.age < 2),
        lambda: User.delete_many(F.age == "1"),
        lambda: User.delete_many(F.nope == 1),
        lambda: User.delete_many(),
        lambda: User.delete_many({}),
        lambda: User.find(False).delete(),
        lambda: User.find("name == 'a'").delete(),
        lambda: User.find(not F.age).delete(),
    ],
)
def test_a_mistyped_condition_deletes_nothing_and_raises(users: Any, mistyped: Any) -> None:
    three(users)
    with pytest.raises((TypeError, AttributeError, data_bridge.InvalidQuery)):
        mistyped()
    assert users.count_documents({}) == 3


def test_comparing_the_id_deletes_only_that_document(users: Any) -> None:
    three(users)
    some = users.find_one({"name": "b"})
    assert User.delete_many(User.id == some["_id"]).deleted_count == 1
    assert User.delete_many(User.id == str(users.find_one({"name": "a"})["_id"])).deleted_count == 1
    assert [each["name"] for each in users.find()] == ["c"]


def test_an_id_as_text_finds_the_document_on_every_route(users: Any) -> None:
    three(users)
    key = users.find_one({"name": "b"})["_id"]
    routes = [
        User.get(str(key)),
        User.find_one(User.id == str(key)),
        User.find(op.In(User.id, [str(key)])).first_or_none(),
        next(iter(User.find(User.id == str(key)))),
    ]
    assert [each.name for each in routes if each is not None] == ["b"] * 4
    assert all(type(each.id) is ObjectId for each in routes if each is not None)


@pytest.mark.parametrize("aware", [False, True])
def test_dates_are_alike_on_every_route(ours: data_bridge.Database, database: Any, aware: bool) -> None:
    class Event(Document):
        at: dt.datetime
        all: list[dt.datetime] = []
        any: Any = None

    options: CodecOptions[Any] = CodecOptions(tz_aware=aware)
    odm.init(ours.with_options(codec_options=options), [Event])
    when = dt.datetime(2024, 5, 6, 7, 8, 9, 123000)
    database["Event"].insert_one({"at": when, "all": [when], "any": when})
    made = Event(at=when.replace(tzinfo=dt.timezone.utc)).insert()
    expected = when.replace(tzinfo=dt.timezone.utc) if aware else when
    first = Event.find_one()
    assert first is not None
    routes = [
        first,
        *Event.find().to_list(),
        *Event.find(),
        Event.get(first.id),
        Event.find().validate()[0],
        Event.find(Event.id == first.id).find_one_and_update(op.Set({"any": when})),
        made,
        Event.find_one(Event.id == made.id).reload(),  # type: ignore[union-attr]
    ]
    for each in routes:
        assert each is not None
        assert (each.at, each.at.utcoffset()) == (expected, expected.utcoffset())
    assert first.all == [expected]
    assert first.any == expected
    assert Event.find().min(Event.at) == expected
    assert Event.distinct(Event.at) == [expected]
    assert Event.find(Event.at == expected).count() == 2


def test_a_date_that_python_cannot_hold_fails_alone(users: Any) -> None:
    users.insert_many(
        [
            {"name": "early", "age": 1, "seen": dt.datetime(1, 1, 1)},
            {"name": "never", "age": 2, "seen": DatetimeMS(-(2**60))},
            {"name": "now", "age": 3, "seen": dt.datetime(2024, 1, 1)},
        ]
    )
    early, never, now = User.find().sort("age").to_list()
    assert early.seen == dt.datetime(1, 1, 1)
    assert now.seen == dt.datetime(2024, 1, 1)
    assert never.name == "never"
    with pytest.raises(ValidationError, match="DatetimeMS") as caught:
        _ = never.seen
    assert caught.value.id == never.id
    with pytest.raises(ValidationError) as caught:
        User.find().validate()
    assert len(caught.value.errors) == 1


def deep(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {"a": 1}
    for _ in range(levels):
        document = {"a": document}
    return document


@pytest.mark.parametrize("levels", [101, 20_000])
def test_a_filter_that_is_too_deep_is_an_error(users: Any, levels: int) -> None:
    three(users)
    condition: Any = F.age > 1
    for _ in range(levels):
        condition = ~condition
    for ask in (
        lambda: User.find(deep(levels)).to_list(),
        lambda: User.find(trusted(deep(levels))).to_list(),
        lambda: User.find(F.extra == deep(levels)).to_list(),
        lambda: User.find(condition).to_list(),
        lambda: User.delete_many(condition),
        lambda: User.find().aggregate([{"$match": deep(levels)}]).to_list(),
        lambda: User.find().update({"$set": deep(levels)}),
    ):
        with pytest.raises((data_bridge.InvalidQuery, data_bridge.OperationFailure)):
            ask()
    assert users.count_documents({}) == 3


@pytest.mark.parametrize(
    "ask",
    [
        lambda code: User.find(code),
        lambda code: User.find(User.age > 1, code),
        lambda code: User.find((F.age > 1) & code),
        lambda code: User.find({"$or": [{"$and": [code]}]}),
        lambda code: User.find_one(code),
        lambda code: User.find_all().find(code),
        lambda code: User.delete_many(code),
        lambda code: User.find().aggregate([{"$match": code}]),
        lambda code: User.aggregate([{"$facet": {"x": [{"$match": code}]}}]),
        lambda code: op.ElemMatch(F.items, code),
        lambda code: op.Or(code, F.age > 1),
        lambda code: User.find().project({"x": code}),
        lambda code: User.find().update({"$set": {"x": code}}),
    ],
)
@pytest.mark.parametrize("code", [{"$where": "sleep(1)"}, {"$expr": {"$function": {"body": "", "args": []}}}])
def test_no_route_runs_code_that_is_not_trusted(users: Any, ask: Any, code: dict[str, Any]) -> None:
    three(users)
    with pytest.raises(data_bridge.InvalidQuery, match="trusted"):
        ask(code)
    assert users.count_documents({}) == 3


def test_a_mapping_that_is_changed_after_it_was_checked_changes_nothing(users: Any) -> None:
    three(users)
    condition: dict[str, Any] = {"$or": [{"age": 1}]}
    query = User.find(condition)
    condition["$or"].append({"$where": "true"})
    condition["name"] = "nobody"
    assert query.get_filter_query() == {"$or": [{"age": 1}]}
    assert query.count() == 1


def test_trusted_code_runs(users: Any) -> None:
    three(users)
    assert [user.name for user in User.find(trusted({"$where": "this.age == 1"}))] == ["b"]


@pytest.mark.parametrize("outside", [{"$ne": None}, {"$gt": ""}, {"$where": "1"}, {"$regex": ".*"}, {"$exists": True}])
def test_a_value_from_outside_never_becomes_an_operator(users: Any, outside: dict[str, Any]) -> None:
    three(users)
    for ask in (
        lambda: User.find(F.name == outside),
        lambda: User.find(op.In(F.name, [outside])),
        lambda: User.get(outside),
        lambda: User.find(F.id == outside),
        lambda: User.find().update(op.Set({F.name: outside})),
    ):
        with pytest.raises(data_bridge.InvalidQuery):
            ask()
    assert User.find(F.extra == outside).count() == 0
    users.insert_one({"name": "d", "age": 1, "extra": outside})
    assert User.find(F.extra == outside).count() == 1


def test_iteration_gives_the_first_row_before_the_last_is_read(users: Any) -> None:
    users.insert_many([{"name": "x" * 1000, "age": each} for each in range(20_000)])
    query = User.find(batch_size=100)
    iterator = iter(query)
    assert next(iterator).age is not None
    wait_until_open(users.database)
    iterator.close()  # type: ignore[attr-defined]


def test_a_program_with_models_ends_cleanly(mongodb_uri: str, users: Any) -> None:
    three(users)
    code = (
        "import sys\nfrom data_bridge import MongoClient\nfrom data_bridge.odm import Document, init\n"
        "class User(Document):\n    name: str\n    class Settings:\n        name = 'users'\n"
        "init(MongoClient(sys.argv[1])[sys.argv[2]], [User])\nkept = iter(User.find())\nnext(kept).name\n"
    )
    done = subprocess.run([sys.executable, "-c", code, mongodb_uri, users.database.name], timeout=60, check=False)
    assert done.returncode == 0
