"""PyMongo's ways to use a cursor that queries do not have: the errors say what to write instead."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pymongo import CursorType
from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.database import Database
from pymongo.synchronous.command_cursor import CommandCursor
from pymongo.synchronous.cursor import Cursor

from data_bridge import AsyncMongoClient, MongoClient, Query, read_bson
from data_bridge.query.async_query import AsyncQuery

Mongo = Database[dict[str, Any]]
ROWS = [{"_id": i, "a": i % 3} for i in range(10)]


@pytest.fixture
def query(client: MongoClient, database: Mongo) -> Any:
    database.c.insert_many(ROWS)
    return client[database.name].c.find(sort="_id")


@pytest.fixture
async def awaited(mongodb_uri: str, database: Mongo) -> AsyncIterator[Any]:
    async with AsyncMongoClient(mongodb_uri) as opened:
        yield opened[database.name].c.find(sort="_id")


NAMES = sorted(
    {
        name
        for kind in (Cursor, CommandCursor, AsyncCursor, AsyncCommandCursor)
        for name in dir(kind)
        if not name.startswith("_")
    }
)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_a_cursor_works_or_says_what_to_write(query: Any, awaited: Any, name: str) -> None:
    for each in (query, awaited):
        if name in ("sort", "skip", "limit", "explain", "to_list") or hasattr(type(each), name):
            assert callable(getattr(each, name))
            continue
        with pytest.raises(AttributeError, match=rf"'{type(each).__name__}' object has no attribute '{name}': \w+"):
            getattr(each, name)
        assert not hasattr(each, name)


@pytest.mark.parametrize(
    ("use", "hint"),
    [
        (lambda query: query.distinct("a"), "use collection.distinct(key, filter)"),
        (lambda query: query.count(), "use collection.count_documents(filter)"),
        (lambda query: query.next(), "use query.first(), or next(iter(query))"),
        (lambda query: query.where("true"), 'pass {"$where": code} in the filter of find()'),
        (lambda query: query.rewind(), "use it again"),
        (lambda query: query.clone(), "use it again"),
    ],
)
def test_hints_of_names(query: Any, use: Callable[[Any], Any], hint: str) -> None:
    with pytest.raises(AttributeError) as raised:
        use(query)
    assert str(raised.value).endswith(hint)


async def test_hints_of_names_of_asynchronous_queries(awaited: Any) -> None:
    for use, hint in (
        (lambda: awaited.distinct("a"), "use await collection.distinct(key, filter)"),
        (lambda: awaited.next(), "use await query.first(), or anext(aiter(query))"),
        (lambda: awaited.try_next(), "use to_pymongo()"),
    ):
        with pytest.raises(AttributeError) as raised:
            use()
        assert str(raised.value).endswith(hint)


def test_a_name_that_no_cursor_has(query: Any, awaited: Any) -> None:
    for each in (query, awaited, read_bson(b"")):
        with pytest.raises(AttributeError, match=r"object has no attribute 'to_polar'$"):
            each.to_polar()
        assert getattr(each, "__array__", None) is None


def test_indices(query: Any, awaited: Any) -> None:
    with pytest.raises(TypeError, match=r"query\.skip\(index\)\.first\(\), or an index of query\.read\(\)"):
        query[3]
    with pytest.raises(TypeError, match=r"query\.skip\(start\)\.limit\(stop - start\), or slice query\.read\(\)"):
        query[2:5]
    with pytest.raises(TypeError, match=r"await query\.skip\(index\)\.first\(\)"):
        awaited[3]
    # The forms that the hints name.
    assert query.skip(3).first() == query.read()[3] == ROWS[3]
    assert query.skip(2).limit(3).to_dicts() == ROWS[2:5]
    assert [document.to_dict() for document in query.read()[2:5]] == ROWS[2:5]


async def test_next(query: Any, awaited: Any) -> None:
    with pytest.raises(TypeError, match=r"use query\.first\(\), or next\(iter\(query\)\)"):
        next(query)
    with pytest.raises(TypeError, match=r"use await query\.first\(\), or anext\(aiter\(query\)\)"):
        await anext(awaited)
    with pytest.raises(TypeError, match=r"use await query\.first\(\)"):
        next(awaited)
    assert next(iter(query)) == query.first() == ROWS[0]
    assert await anext(aiter(awaited)) == await awaited.first() == ROWS[0]


async def test_lengths_of_lists(query: Any, awaited: Any) -> None:
    for give in (lambda each: each.to_list(5), lambda each: each.to_list(length=5)):
        with pytest.raises(TypeError, match=r"use query\.limit\(5\)\.to_list\(\)"):
            give(query)
        with pytest.raises(TypeError, match=r"use await query\.limit\(5\)\.to_list\(\)"):
            await give(awaited)
    assert [each.to_dict() for each in query.to_list(length=None)] == ROWS
    assert [each.to_dict() for each in await awaited.to_list(None)] == ROWS
    assert [each.to_dict() for each in await awaited.limit(5).to_list()] == ROWS[:5]


async def test_await(client: MongoClient, query: Query, awaited: AsyncQuery) -> None:
    aggregated: Any = client["test"].c.aggregate([])
    for synchronous in (query, aggregated, read_bson(b"")):
        with pytest.raises(TypeError, match="this query is synchronous: read it without `await`"):
            await synchronous
    for asynchronous in (awaited, awaited.limit(1)):
        with pytest.raises(TypeError, match=r"is not awaited itself: use `await query\.to_list\(\)`"):
            await asynchronous


async def test_await_of_an_aggregate(mongodb_uri: str, query: Query, database: Mongo) -> None:
    async with AsyncMongoClient(mongodb_uri) as client:
        for aggregated in (
            client[database.name].c.aggregate([{"$sort": {"_id": 1}}]),
            client[database.name].aggregate([{"$documents": ROWS}]),
        ):
            with pytest.raises(TypeError, match="is not awaited itself: use `await"):
                await aggregated
            assert await aggregated.to_dicts() == ROWS


async def test_with(query: Any, awaited: Any) -> None:
    with pytest.raises(TypeError, match=r"is no context manager: .*stream\(\)"), query:
        pass
    with pytest.raises(TypeError, match=r"is no context manager: .*stream\(\)"):
        async with awaited:
            pass


# ---- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [name for name in inspect.signature(Cursor.__init__).parameters if name not in ("self", "collection")],
)
@pytest.mark.usefixtures("query")
def test_every_argument_of_a_cursor_has_its_default(client: MongoClient, database: Mongo, name: str) -> None:
    default = inspect.signature(Cursor.__init__).parameters[name].default
    ours = client[database.name].c
    assert len(ours.find(**{name: default}).read()) == len(ROWS)
    assert ours.find_one(**({"filter": default} if name == "filter" else {name: default})) is not None


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            {"cursor_type": CursorType.TAILABLE},
            ValueError,
            r"tailable cursors are not supported yet: use to_pymongo\(\)",
        ),
        ({"cursor_type": CursorType.TAILABLE_AWAIT}, ValueError, "tailable cursors are not supported yet"),
        ({"cursor_type": CursorType.EXHAUST}, ValueError, "exhaust cursors are not supported: leave it out"),
        ({"oplog_replay": True}, ValueError, "leave it out"),
        ({"max_scan": 5}, ValueError, "use limit or max_time_ms"),
        ({"snapshot": True}, ValueError, r"use start_session\(snapshot=True\)"),
        ({"batchSize": 5}, TypeError, r"find\(\) has no argument 'batchSize': it is called 'batch_size'"),
        ({"sesion": None}, TypeError, r"find\(\) has no argument 'sesion'$"),
    ],
)
async def test_arguments_of_find_that_are_refused(
    client: MongoClient, mongodb_uri: str, arguments: dict[str, Any], kind: type[Exception], message: str
) -> None:
    for find in (client["test"].c.find, client["test"].c.find_one):
        with pytest.raises(kind, match=message):
            find(**arguments)
    async with AsyncMongoClient(mongodb_uri) as opened:
        with pytest.raises(kind, match=message):
            opened["test"].c.find(**arguments)
        with pytest.raises(kind, match=message):
            await opened["test"].c.find_one(**arguments)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"explain": True}, r"aggregate\(\) has no option 'explain': call explain\(\)"),
        ({"cursor": {"batchSize": 5}}, "pass batch_size"),
        ({"maxAwaitTimeMS": 5}, r"to_pymongo\(\)"),
        ({"writeConcern": {"w": 1}}, r"use with_options\(write_concern=...\)"),
        ({"batchsize": 5}, r"aggregate\(\) has no option 'batchsize'$"),
    ],
)
def test_options_of_aggregate_that_are_refused(client: MongoClient, option: dict[str, Any], message: str) -> None:
    for aggregate in (client["test"].c.aggregate, client["test"].aggregate):
        with pytest.raises(TypeError, match=message):
            aggregate([], **option)


async def test_what_drop_collection_takes(mongodb_uri: str, client: MongoClient, database: Mongo) -> None:
    ours = client[database.name]
    for wrong in (5, None, b"c", ours, client, database.c, ["c"]):
        with pytest.raises(TypeError, match=r"drop_collection\(\) takes a name or a collection, got"):
            ours.drop_collection(wrong)  # type: ignore[arg-type]
    async with AsyncMongoClient(mongodb_uri) as awaited:
        theirs = awaited[database.name]
        with pytest.raises(TypeError, match=r"takes a name or a collection, got int"):
            await theirs.drop_collection(5)  # type: ignore[arg-type]
        for drop in ("c", theirs.c):
            database.c.insert_one({})
            await theirs.drop_collection(drop)
            assert database.list_collection_names() == []
    for name in ("c", ours.c):
        database.c.insert_one({})
        ours.drop_collection(name)
        assert database.list_collection_names() == []


async def test_what_is_no_session(mongodb_uri: str, client: MongoClient, database: Mongo) -> None:
    async with AsyncMongoClient(mongodb_uri) as awaited:
        for wrong in (5, "session", object()):
            ours, theirs = client[database.name], awaited[database.name]
            with pytest.raises(TypeError, match="session must come from start_session"):
                ours.create_collection("c", session=wrong)
            with pytest.raises(TypeError, match="session must come from start_session"):
                await theirs.create_collection("c", session=wrong)
            with pytest.raises(TypeError, match="session must come from start_session"):
                ours.drop_collection("c", session=wrong)
            with pytest.raises(TypeError, match="session must come from start_session"):
                ours.c.aggregate([{"$out": "b"}], session=wrong)
    assert database.list_collection_names() == []
