"""Options of model queries: each operation sends the options that it takes, and refuses all others by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import beanie
import pymongo
import pytest
from shop import User

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, Document, EmbeddedDocument, Link
from data_bridge.odm import operators as op


class Friend(Document):
    name: str = "a"
    age: int = 0
    friend: Link[Friend] | None = None

    class Settings:
        name = "friends"


class AsyncFriend(AsyncDocument):
    name: str = "a"
    age: int = 0
    friend: Link[AsyncFriend] | None = None

    class Settings:
        name = "friends"


class Name(EmbeddedDocument):
    name: str


F: Any = Friend
RENAME = op.Set(F.name, "b")
ASYNC_RENAME = op.Set("name", "b")
TERMINALS = {
    "count": lambda query, model: query.count(),
    "exists": lambda query, model: query.exists(),
    "distinct": lambda query, model: query.distinct("name"),
    "aggregate": lambda query, model: query.aggregate([]),
    "sum": lambda query, model: query.sum("age"),
    "max": lambda query, model: query.max("name"),
    "update": lambda query, model: query.update(ASYNC_RENAME),
    "update_one": lambda query, model: query.update_one(ASYNC_RENAME),
    "upsert": lambda query, model: query.upsert(ASYNC_RENAME, on_insert=model()),
    "delete": lambda query, model: query.delete(),
    "delete_one": lambda query, model: query.delete_one(),
    "find_one_and_update": lambda query, model: query.find_one_and_update(ASYNC_RENAME),
    "find_one_and_replace": lambda query, model: query.find_one_and_replace(model()),
    "find_one_and_delete": lambda query, model: query.find_one_and_delete(),
}
WRITES = ("update", "update_one", "upsert", "delete", "delete_one")
FIND_AND = ("find_one_and_update", "find_one_and_replace", "find_one_and_delete")
UNSENT: list[tuple[str, Any]] = [
    ("batch_size", 2),
    ("min", {"_id": 1}),
    ("max", {"_id": 1}),
    ("return_key", True),
    ("show_record_id", True),
    ("no_cursor_timeout", True),
    ("allow_partial_results", True),
    ("schema", {"name": "string"}),
    ("on_conflict", "null"),
    ("objectid", "hex"),
    ("resume", True),
    ("progress", True),
]
"""Options of finds that writes, counts and `distinct` do not have."""
_SELECTED = [("skip", 1), ("limit", 1)]
_ELSEWHERE = [("read_preference", "primary"), ("read_concern", "local")]
_LINKS = [("fetch_links", True)]
_TABLES = ("batch_size", "schema", "on_conflict", "objectid", "progress")
REFUSED: dict[str, list[tuple[str, Any]]] = {
    **{name: [*UNSENT, *_ELSEWHERE, *_SELECTED, *_LINKS, ("sort", "age")] for name in WRITES},
    **{name: [*UNSENT, *_ELSEWHERE, *_SELECTED] for name in FIND_AND},
    "count": [*UNSENT, ("let", {"x": 1}), ("allow_disk_use", True)],
    "distinct": [*UNSENT, *_SELECTED, *_LINKS, ("let", {"x": 1}), ("allow_disk_use", True), ("sort", "age")],
    "sum": [*UNSENT, *_LINKS],
    "max": [*UNSENT, *_LINKS],
    "aggregate": [*(each for each in UNSENT if each[0] not in _TABLES), *_LINKS],
}


@pytest.fixture
def friends(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Friend])
    first = Friend(name="x", age=1).insert()
    Friend(name="X", age=2, friend=Link(first)).insert()
    return database["friends"]


@pytest.fixture
async def async_friends(friends: Any, mongodb_uri: str, database: Any) -> AsyncIterator[Any]:
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [AsyncFriend])
        yield friends


@pytest.fixture
def profiled(database: Any) -> Iterator[Any]:
    """The commands that the server runs from here on."""
    database.command("profile", 2)

    def commands() -> list[dict[str, Any]]:
        database.command("profile", 0)
        return [each["command"] for each in database["system.profile"].find({"ns": f"{database.name}.friends"})]

    yield commands
    database.command("profile", 0)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("sesion", "session"), ("max_time_sm", "max_time_ms"), ("colation", "collation"), ("fetch_link", "fetch_links")],
)
def test_a_misspelt_option_is_an_error_where_the_query_is_made(friends: Any, wrong: str, meant: str) -> None:
    for ask in (
        lambda: Friend.find(F.age > 0, **{wrong: None}).delete(),
        lambda: Friend.find().find(**{wrong: None}).update(RENAME),
        lambda: Friend.find_one(**{wrong: 1}),
        lambda: Friend.find_all(**{wrong: 1}),
        lambda: Friend.get("a" * 24, **{wrong: 1}),
        lambda: Friend.count(**{wrong: 1}),
        lambda: Friend.distinct("name", **{wrong: 1}),
        lambda: Friend.aggregate([], **{wrong: 1}),
        lambda: (
            Friend.find().find_one_and_delete(**{wrong: 1}) if meant != "fetch_links" else Friend.find(**{wrong: 1})
        ),
    ):
        with pytest.raises(TypeError, match=rf"takes no option '{wrong}' \(did you mean '{meant}'\?\)"):
            ask()
    assert friends.count_documents({"name": {"$in": ["x", "X"]}}) == 2


async def test_a_misspelt_option_is_an_error_for_async_documents(async_friends: Any) -> None:
    for terminal in TERMINALS.values():
        with pytest.raises(TypeError, match=r"'sesion' \(did you mean 'session'"):
            await terminal(AsyncFriend.find(sesion=None), AsyncFriend)
    with pytest.raises(TypeError, match="'sesion'"):
        await AsyncFriend.count(sesion=None)
    with pytest.raises(TypeError, match="'uspert'"):
        await AsyncFriend.find().find_one_and_update(ASYNC_RENAME, uspert=True)
    with pytest.raises(TypeError, match="project"):
        AsyncFriend.find(projection={"name": 1})
    assert async_friends.count_documents({"name": {"$in": ["x", "X"]}}) == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_time_ms": "5"}, TypeError),
        ({"max_time_ms": -5}, ValueError),
        ({"timeout": 0}, ValueError),
        ({"collation": "de"}, TypeError),
        ({"hint": 5}, TypeError),
        ({"let": 5}, TypeError),
        ({"skip": "1"}, TypeError),
        ({"limit": 1.5}, TypeError),
    ],
)
def test_a_wrong_value_is_an_error_where_the_query_is_made(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Friend.find(**options)
    with pytest.raises(error):
        AsyncFriend.find().find(**options)


@pytest.mark.parametrize(("name", "option"), [(name, each) for name, options in REFUSED.items() for each in options])
def test_an_option_that_an_operation_does_not_take_is_refused(friends: Any, name: str, option: tuple[str, Any]) -> None:
    with pytest.raises(data_bridge.InvalidQuery, match=rf"{name}\(\) takes no {option[0]}"):
        TERMINALS[name](Friend.find(**{option[0]: option[1]}), Friend)
    assert friends.count_documents({"name": {"$in": ["x", "X"]}}) == 2


async def test_options_are_refused_for_async_documents_too(async_friends: Any) -> None:
    for name, options in REFUSED.items():
        query = AsyncFriend.find(**dict(options))
        with pytest.raises(data_bridge.InvalidQuery) as raised:
            await TERMINALS[name](query, AsyncFriend)
        for option, _ in options:
            assert option in str(raised.value)
    assert async_friends.count_documents({"name": {"$in": ["x", "X"]}}) == 2


def test_options_of_their_default_value_are_no_reason_to_refuse(friends: Any) -> None:
    defaults: dict[str, Any] = {
        "batch_size": None,
        "allow_partial_results": False,
        "schema": None,
        "on_conflict": "error",
        "resume": False,
        "timeout": ...,
        "skip": 0,
        "limit": 0,
        "sort": None,
        "fetch_links": False,
    }
    for name in ("count", "distinct", "update", "delete"):
        TERMINALS[name](Friend.find(**defaults), Friend)
    assert friends.count_documents({}) == 0


def test_a_collation_decides_what_each_operation_concerns(friends: Any) -> None:
    query = Friend.find(F.name == "x", collation={"locale": "en", "strength": 2})
    assert query.count() == 2
    assert query.distinct("name") == ["x"]
    assert query.sum("age") == 3
    assert len(query.aggregate([]).to_list()) == 2
    assert query.update(op.Set(F.age, 5)).modified_count == 2
    assert query.sort("-name").find_one_and_update(op.Inc({F.age: 1})) is not None
    assert query.upsert(op.Inc({F.age: 1}), on_insert=Friend()).matched_count == 1
    assert query.delete().deleted_count == 2


def test_a_session_is_that_of_each_operation(friends: Any, client: data_bridge.MongoClient) -> None:
    for name in (*WRITES, *FIND_AND):
        with client.start_session() as session, session.start_transaction():
            TERMINALS[name](Friend.find(session=session), Friend)
            session.abort_transaction()
    assert [each["name"] for each in friends.find().sort("age")] == ["x", "X"]
    with client.start_session() as session, session.start_transaction():
        Friend(name="new", age=10).insert(session=session)
        query = Friend.find(session=session)
        assert query.count() == 3
        assert sorted(query.distinct("name")) == ["X", "new", "x"]
        assert query.max("age") == 10
        assert len(query.aggregate([]).to_list()) == 3
        assert Friend.find(F.name == "new", session=session).exists()
        session.abort_transaction()


@pytest.mark.parametrize("name", [name for name in TERMINALS if name not in WRITES])
def test_the_server_is_sent_max_time_ms_and_comment(friends: Any, profiled: Any, name: str) -> None:
    answer = TERMINALS[name](Friend.find(max_time_ms=54_321, comment="ours"), Friend)
    if name == "aggregate":
        answer.to_list()
    sent = profiled()
    assert sent
    assert [(each.get("maxTimeMS"), each.get("comment")) for each in sent] == [(54_321, "ours")] * len(sent)


@pytest.mark.parametrize("name", [name for name in TERMINALS if name not in WRITES])
async def test_the_server_is_sent_max_time_ms_by_async_documents(async_friends: Any, profiled: Any, name: str) -> None:
    answer = TERMINALS[name](AsyncFriend.find(max_time_ms=54_321, comment="ours"), AsyncFriend)
    await (answer.to_list() if name == "aggregate" else answer)
    sent = profiled()
    assert sent
    assert [(each.get("maxTimeMS"), each.get("comment")) for each in sent] == [(54_321, "ours")] * len(sent)


SLOW = odm.trusted({"$where": "sleep(100) || true"})


@pytest.mark.parametrize("name", [*WRITES, *FIND_AND])
def test_a_write_stops_at_max_time_ms(friends: Any, name: str) -> None:
    with pytest.raises(data_bridge.ServerTimeout, match="exceeded time limit"):
        TERMINALS[name](Friend.find(SLOW, max_time_ms=20), Friend)
    assert friends.count_documents({"name": {"$in": ["x", "X"]}}) == 2


@pytest.mark.parametrize("name", [*WRITES, *FIND_AND])
async def test_an_awaited_write_stops_at_max_time_ms(async_friends: Any, name: str) -> None:
    with pytest.raises(data_bridge.ServerTimeout, match="exceeded time limit"):
        await TERMINALS[name](AsyncFriend.find(SLOW, max_time_ms=20), AsyncFriend)
    assert async_friends.count_documents({"name": {"$in": ["x", "X"]}}) == 2


def test_a_hint_reaches_each_operation(friends: Any) -> None:
    for name in ("count", "exists", "sum", "aggregate", *WRITES, *FIND_AND):
        query = Friend.find(F.age > 0, hint="no_such_index")
        with pytest.raises(data_bridge.OperationFailure, match="hint"):
            _ = query.aggregate([]).to_list() if name == "aggregate" else TERMINALS[name](query, Friend)


def test_queries_for_links_have_max_time_ms_and_comment(friends: Any, profiled: Any) -> None:
    Friend.find(F.age == 2, fetch_links=True, max_time_ms=54_321, comment="ours").to_list()
    Friend.find(F.age == 2, fetch_links=True).find_one_and_update(op.Set(F.age, 3), max_time_ms=12_345, comment="own")
    finds = [each for each in profiled() if "find" in each]
    assert [(each["maxTimeMS"], each["comment"]) for each in finds] == [(54_321, "ours")] * 2 + [(12_345, "own")]


def test_a_let_variable_reaches_writes_and_aggregates(friends: Any) -> None:
    query = Friend.find(op.Expr({"$eq": ["$age", "$$age"]}), let={"age": 2})
    assert query.max("age") == 2
    assert [each["name"] for each in query.aggregate([])] == ["X"]
    assert query.update(op.Set(F.name, "z")).modified_count == 1
    assert query.find_one_and_update(op.Set(F.name, "Z")).name == "z"  # type: ignore[union-attr]
    assert query.delete().deleted_count == 1


def test_the_order_of_a_find_one_and_write_may_be_its_own(friends: Any) -> None:
    assert Friend.find().find_one_and_update(RENAME, sort="-age").age == 2  # type: ignore[union-attr]
    assert Friend.find().sort("age").find_one_and_update(RENAME, sort=[("age", -1)]).age == 2  # type: ignore[union-attr]
    assert Friend.find().sort("-age").find_one_and_delete().age == 2  # type: ignore[union-attr]
    with pytest.raises(AttributeError, match="agee"):
        Friend.find().find_one_and_update(RENAME, sort="agee")
    with pytest.raises(TypeError, match="project"):
        Friend.find().find_one_and_update(RENAME, projection={"name": 1})
    with pytest.raises(TypeError, match="'array_filters'"):
        Friend.find().find_one_and_delete(array_filters=[])


def test_options_of_find_one_and_writes_in_either_spelling(friends: Any, profiled: Any) -> None:
    Friend.find(max_time_ms=1_000).find_one_and_update(RENAME, maxTimeMS=54_321, bypassDocumentValidation=True)
    Friend.find().find_one_and_update(RENAME, max_time_ms=54_321, bypass_document_validation=True)
    for command in profiled():
        assert (command["maxTimeMS"], command["bypassDocumentValidation"]) == (54_321, True)


def test_aggregate_takes_options_of_its_own(friends: Any, profiled: Any) -> None:
    Friend.find(max_time_ms=1_000).aggregate([], maxTimeMS=54_321, allow_disk_use=True).to_list()
    Friend.aggregate([], allowDiskUse=True, max_time_ms=54_321, bypass_document_validation=True).to_list()
    for command in profiled():
        assert (command["maxTimeMS"], command["allowDiskUse"]) == (54_321, True)
    with pytest.raises(TypeError, match="'allowDiskUes' \\(did you mean 'allow_disk_use'"):
        Friend.find().aggregate([], allowDiskUes=True)
    with pytest.raises(data_bridge.InvalidQuery, match=r"\$function"):
        Friend.find().aggregate([], let={"x": {"$function": {"body": "x"}}})


def test_aggregate_runs_over_what_the_query_selects(friends: Any) -> None:
    query = Friend.find().sort("-age").limit(1)
    assert [each["name"] for each in query.aggregate([{"$project": {"name": 1}}])] == ["X"]
    count = [{"$count": "n"}]
    assert Friend.find().skip(1).aggregate(count).to_dicts() == [{"n": 1}]
    assert Friend.find().sort("age").limit(-1).aggregate(count).to_dicts() == [{"n": 1}]
    assert Friend.find().sort("-age").limit(1).sum("age") == 2
    with pytest.raises(data_bridge.InvalidQuery, match=r"aggregate\(\) takes no project"):
        Friend.find().project(Name).aggregate(count)
    with pytest.raises(data_bridge.InvalidQuery, match=r"distinct\(\) takes no project"):
        Friend.find().project(["name"]).distinct("name")


async def test_aggregate_differs_from_beanie_in_order_skip_and_limit(friends: Any, mongodb_uri: str) -> None:
    class BeanieFriend(beanie.Document):
        name: str
        age: int

        class Settings:
            name = "friends"

    stages: list[Any] = [{"$group": {"_id": None, "n": {"$sum": 1}}}]
    sort: list[Any] = [{"$sort": {"age": -1}}, {"$limit": 1}]
    async with pymongo.AsyncMongoClient(mongodb_uri) as theirs:
        await beanie.init_beanie(database=theirs[friends.database.name], document_models=[BeanieFriend])
        query = BeanieFriend.find().sort("-age").limit(1)
        assert (await query.aggregate(stages).to_list())[0]["n"] == 2
        assert await query.avg("age") == 1.5
        names = [each["name"] for each in await query.aggregate([{"$match": {}}]).to_list()]
    assert Friend.find().sort("-age").limit(1).aggregate(stages).to_dicts()[0]["n"] == 1
    assert Friend.find().aggregate([*stages, *sort]).to_dicts()[0]["n"] == 2
    assert Friend.find().sort("-age").limit(1).avg("age") == 2
    assert [each["name"] for each in Friend.aggregate([{"$match": {}}, *sort])] == names


def test_a_bulk_writer_refuses_options_of_queries(friends: Any, client: data_bridge.MongoClient) -> None:
    bulk = Friend.bulk_writer()
    for option, value in (("comment", "c"), ("let", {"x": 1}), ("max_time_ms", 5), ("timeout", 5), ("sort", "age")):
        with pytest.raises(data_bridge.InvalidQuery, match=rf"update_many\(\) takes no {option}"):
            bulk.update_many(Friend.find(**{option: value}), RENAME)
    with client.start_session() as session:
        with pytest.raises(data_bridge.InvalidQuery, match="session"):
            bulk.update_many(Friend.find(session=session), RENAME)
        with session.start_transaction():
            with Friend.bulk_writer(session=session) as bulk:
                bulk.update_many(Friend.find(session=session), RENAME)
            session.abort_transaction()
    assert friends.count_documents({"name": "b"}) == 0


def test_the_users_of_other_tests_take_all_options_of_find(users: Any) -> None:
    users.insert_one({"name": "Ada", "age": 36})
    query = User.find(
        *(),
        batch_size=2,
        no_cursor_timeout=False,
        max_time_ms=5_000,
        allow_disk_use=True,
        read_preference="primary",
        read_concern="local",
        objectid="hex",
        comment="c",
        hint="_id_",
        timeout=None,
    )
    assert [each.name for each in query] == ["Ada"]
    assert query.exists()
    assert query.to_polars()["name"].to_list() == ["Ada"]
