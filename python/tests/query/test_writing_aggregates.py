"""Pipelines that end in $out or $merge: run once, with the write concern; their queries are empty afterwards."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from data_bridge import (
    AsyncMongoClient,
    InvalidOperation,
    InvalidQuery,
    MongoClient,
    OperationFailure,
    odm,
)

Mongo = Database[dict[str, Any]]
ROWS = [{"_id": i, "a": i % 3} for i in range(10)]

# Each run adds one to `runs` of each document.
COUNTED: list[dict[str, Any]] = [
    {"$set": {"runs": 1}},
    {"$merge": {"into": "b", "whenMatched": [{"$set": {"runs": {"$add": ["$runs", 1]}}}]}},
]


@pytest.fixture
def loaded(database: Mongo) -> Mongo:
    database.a.insert_many(ROWS)
    return database


@pytest.fixture
async def async_client(mongodb_uri: str) -> AsyncIterator[AsyncMongoClient]:
    async with AsyncMongoClient(mongodb_uri) as opened:
        yield opened


def runs(database: Mongo) -> int:
    """Number of times that COUNTED ran."""
    counts = {document["runs"] for document in database.b.find()}
    assert len(counts) <= 1
    return counts.pop() if counts else 0


PIPELINES: dict[str, Callable[[Any], Any]] = {
    "$out": lambda database: database.a.aggregate([{"$match": {"a": 1}}, {"$out": "b"}]),
    "$out to a database": lambda database: database.a.aggregate(
        [{"$match": {"a": 1}}, {"$out": {"db": database.name, "coll": "b"}}]
    ),
    "$merge": lambda database: database.a.aggregate([{"$match": {"a": 1}}, {"$merge": {"into": "b"}}]),
    "of a database": lambda database: database.aggregate(
        [{"$documents": [row for row in ROWS if row["a"] == 1]}, {"$merge": {"into": "b"}}]
    ),
    "typed": lambda database: database.a.aggregate([{"$match": {"a": 1}}, {"$out": "b"}], schema={"_id": int}),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_the_call_writes(client: MongoClient, loaded: Mongo, name: str) -> None:
    query = PIPELINES[name](client[loaded.name])
    assert list(loaded.b.find().sort("_id")) == [row for row in ROWS if row["a"] == 1]
    assert query.report.rows == 0
    loaded.b.drop()
    assert query.to_list() == query.to_dicts() == list(query) == list(query.conflicts({"_id": int})) == []
    assert query.first() is None
    assert len(query.read()) == len(query.to_polars()) == query.to_arrow().num_rows == 0
    assert sum(batch.num_rows for batch in query.stream()) == 0
    assert loaded.list_collection_names() == ["a"]


@pytest.mark.parametrize("name", PIPELINES)
async def test_an_awaited_query_writes(async_client: AsyncMongoClient, loaded: Mongo, name: str) -> None:
    query = PIPELINES[name](async_client[loaded.name])
    assert loaded.list_collection_names() == ["a"]
    assert await query is query
    assert list(loaded.b.find().sort("_id")) == [row for row in ROWS if row["a"] == 1]
    loaded.b.drop()
    assert await query is query
    assert [document async for document in query] == await query.to_list() == await query.to_dicts() == []
    assert await query.first() is None
    assert loaded.list_collection_names() == ["a"]


async def iterated(query: Any) -> list[Any]:
    return [document async for document in query]


async def streamed(query: Any) -> list[Any]:
    return [batch async for batch in query.stream()]


async def conflicts(query: Any) -> list[Any]:
    return [conflict async for conflict in query.conflicts({"_id": int})]


@pytest.mark.parametrize(
    "read",
    [
        iterated,
        streamed,
        conflicts,
        lambda query: query.read(),
        lambda query: query.first(),
        lambda query: query.schema(),
        lambda query: query.to_list(),
        lambda query: query.to_dicts(),
        lambda query: query.to_arrow(),
        lambda query: query.to_arrow(shapes=True),
        lambda query: query.to_polars(),
        lambda query: query.to_pandas(),
    ],
)
async def test_the_first_read_writes(async_client: AsyncMongoClient, loaded: Mongo, read: Callable[[Any], Any]) -> None:
    query = async_client[loaded.name].a.aggregate(COUNTED)
    await read(query)
    assert runs(loaded) == 1
    await read(query)
    await query
    assert runs(loaded) == 1


async def test_reads_at_once_write_once(async_client: AsyncMongoClient, loaded: Mongo) -> None:
    query = async_client[loaded.name].a.aggregate(COUNTED)
    outcomes = await asyncio.gather(*(query.to_list() for _ in range(5)), return_exceptions=True)
    assert outcomes.count([]) >= 1
    assert all(isinstance(outcome, InvalidOperation) for outcome in outcomes if outcome != [])
    assert runs(loaded) == 1
    assert await query.to_list() == []


@pytest.mark.parametrize("make", [PIPELINES["$merge"], PIPELINES["of a database"]])
async def test_a_query_that_never_ran_warns(
    async_client: AsyncMongoClient, loaded: Mongo, make: Callable[[Any], Any]
) -> None:
    def left() -> None:
        make(async_client[loaded.name])
        gc.collect()

    def left_unread() -> None:
        make(async_client[loaded.name]).stream()
        gc.collect()

    for leave in (left, left_unread):
        with pytest.warns(RuntimeWarning, match=r"never awaited: \$merge wrote nothing"):
            leave()
    assert loaded.list_collection_names() == ["a"]


async def test_no_other_query_warns(client: MongoClient, async_client: AsyncMongoClient, loaded: Mongo) -> None:
    ours = async_client[loaded.name].a
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await ours.aggregate(COUNTED)
        ours.aggregate([])
        client[loaded.name].a.aggregate(COUNTED)
        for refused in ({"sesion": 1}, {"schema": 5}, {"collation": 5}, {"timeout": -1}):
            with pytest.raises((TypeError, ValueError)):
                ours.aggregate(COUNTED, **refused)
        with pytest.raises(InvalidQuery):
            ours.aggregate([{"$match": {"a": object()}}, *COUNTED])
        gc.collect()
    assert runs(loaded) == 2


@pytest.mark.parametrize(
    "options", [{"resume": True}, {"schema": 5}, {"on_conflict": "x"}, {"timeout": -1}, {"explain": True}, {"w": 1}]
)
def test_arguments_are_checked_before_the_write(client: MongoClient, loaded: Mongo, options: dict[str, Any]) -> None:
    with pytest.raises((InvalidQuery, TypeError, ValueError)):
        client[loaded.name].a.aggregate([{"$out": "b"}], **options)
    assert loaded.list_collection_names() == ["a"]


FAILING: list[list[dict[str, Any]]] = [
    [{"$out": {"x": 1}}],
    [{"$set": {"a": {"$divide": [1, "$a"]}}}, {"$out": "b"}],
    [{"$project": {"_id": 0, "a": 1}}, {"$merge": {"into": "b", "on": "a"}}],
]


@pytest.mark.parametrize("stages", FAILING)
async def test_a_run_that_failed(
    client: MongoClient, async_client: AsyncMongoClient, loaded: Mongo, stages: list[Any]
) -> None:
    with pytest.raises(OperationFailure):
        client[loaded.name].a.aggregate(stages)
    query = async_client[loaded.name].a.aggregate(stages)
    with pytest.raises(OperationFailure):
        await query
    for read in (query.to_list, query.first, lambda: iterated(query), lambda: streamed(query)):
        with pytest.raises(InvalidOperation, match=r"call aggregate\(\) again"):
            await read()


async def test_a_run_that_was_cancelled(async_client: AsyncMongoClient, loaded: Mongo) -> None:
    slow = {"$function": {"body": "function() { sleep(1000); return true; }", "args": [], "lang": "js"}}
    query = async_client[loaded.name].a.aggregate([{"$match": {"$expr": slow}}, {"$out": "b"}])
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(query.read(), 0.2)
    with pytest.raises(InvalidOperation, match="failed, or is running"):
        await query
    assert "b" not in loaded.list_collection_names()


CHAINED: list[Callable[[Any], Any]] = [
    lambda query: query.sort("a"),
    lambda query: query.skip(1),
    lambda query: query.limit(1),
    lambda query: query.project(["a"]),
    lambda query: query.hint("_id_"),
    lambda query: query.comment("x"),
    lambda query: query.batch_size(5),
    lambda query: query.max_time_ms(5),
    lambda query: query.collation({"locale": "nb"}),
    lambda query: query.allow_disk_use(True),
]


@pytest.mark.parametrize("chained", CHAINED)
async def test_nothing_is_chained(
    client: MongoClient, async_client: AsyncMongoClient, loaded: Mongo, chained: Callable[[Any], Any]
) -> None:
    for opened in (client, async_client):
        query: Any = opened[loaded.name].a.aggregate(COUNTED)
        with pytest.raises(InvalidOperation, match=r"\$merge must be the last stage|to aggregate\(\)"):
            chained(query)
        if opened is async_client:
            await query
    assert runs(loaded) == 2


async def test_explain_does_not_write(client: MongoClient, async_client: AsyncMongoClient, loaded: Mongo) -> None:
    with pytest.raises(InvalidOperation, match="explain an aggregate"):
        client[loaded.name].a.aggregate(COUNTED).explain()
    query = async_client[loaded.name].a.aggregate(COUNTED)
    with pytest.raises(InvalidOperation, match="explain an aggregate"):
        await query.explain()
    assert runs(loaded) == 1
    await query
    assert runs(loaded) == 2


async def test_models(client: MongoClient, async_client: AsyncMongoClient, loaded: Mongo) -> None:
    class Blocking(odm.Document):
        a: int

        class Settings:
            name = "a"

    class Awaited(odm.AsyncDocument):
        a: int

        class Settings:
            name = "a"

    odm.init(client[loaded.name], [Blocking])
    await odm.init(async_client[loaded.name], [Awaited])
    assert Blocking.aggregate(COUNTED).to_list() == []
    assert runs(loaded) == 1
    query = Awaited.find(Awaited.a < 5).aggregate(COUNTED)
    assert runs(loaded) == 1
    assert await (await query).to_list() == []
    assert runs(loaded) == 2


# ---- write concerns --------------------------------------------------------------------------------------------------


@pytest.fixture
def profiled(loaded: Mongo) -> Iterator[Callable[[], list[Any]]]:
    """The write concerns of aggregates that were sent since the last call."""
    loaded.command("profile", 2)

    def sent() -> list[Any]:
        loaded.command("profile", 0)
        entries = list(loaded["system.profile"].find({"command.aggregate": {"$exists": True}}).sort("ts"))
        loaded["system.profile"].drop()
        loaded.command("profile", 2)
        return [entry["command"].get("writeConcern") for entry in entries]

    yield sent
    loaded.command("profile", 0)


@pytest.mark.parametrize(
    "concern", [None, WriteConcern(), WriteConcern("majority", 5000), WriteConcern(1, j=True), WriteConcern(1)]
)
@pytest.mark.parametrize("name", ["$out", "$merge", "of a database"])
async def test_write_concerns_are_sent(
    client: MongoClient,
    async_client: AsyncMongoClient,
    loaded: Mongo,
    profiled: Callable[[], list[Any]],
    concern: WriteConcern | None,
    name: str,
) -> None:
    make = PIPELINES[name]
    if name == "of a database":
        make(loaded.client.get_database(loaded.name, write_concern=concern))
    else:
        make(_Collections(loaded.name, loaded.a.with_options(write_concern=concern)))
    expected = profiled()
    assert len(expected) == 1
    for opened in (client, async_client):
        made = opened.get_database(loaded.name, write_concern=concern)
        query = make(made)
        if opened is async_client:
            await query
        assert profiled() == expected
    # A read has none.
    client.get_database(loaded.name, write_concern=concern).a.aggregate([]).read()
    assert profiled() == [None]


class _Collections:
    """A database whose collection `a` has options of its own."""

    def __init__(self, name: str, a: Any) -> None:
        self.name, self.a = name, a


def test_the_concern_of_the_uri(
    client: MongoClient, mongodb_uri: str, loaded: Mongo, profiled: Callable[[], list[Any]]
) -> None:
    separator = "&" if "?" in mongodb_uri else "/?"
    with MongoClient(f"{mongodb_uri}{separator}w=majority&wTimeoutMS=4321") as strict:
        strict[loaded.name].a.aggregate([{"$out": "b"}])
    with MongoClient(mongodb_uri, w=1, journal=True) as strict:
        strict[loaded.name].a.aggregate([{"$merge": {"into": "b"}}])
    assert [{name: concern[name] for name in ("w", "wtimeout", "j") if name in concern} for concern in profiled()] == [
        {"w": "majority", "wtimeout": 4321},
        {"w": 1, "j": True},
    ]
    # The server refuses them in transactions, and would refuse any write concern of a command before that.
    with client.start_session() as session, session.start_transaction():
        strictly = client[loaded.name].a.with_options(write_concern=WriteConcern(1))
        with pytest.raises(OperationFailure) as refused:
            strictly.aggregate([{"$out": "b"}], session=session)
        assert refused.value.code == 263
        session.abort_transaction()


async def test_a_concern_that_is_not_met(client: MongoClient, async_client: AsyncMongoClient, loaded: Mongo) -> None:
    impossible = WriteConcern(50, wtimeout=100)
    for stage in ({"$out": "b"}, {"$merge": {"into": "d"}}):
        with pytest.raises(OperationFailure) as failed:
            client[loaded.name].a.with_options(write_concern=impossible).aggregate([stage])
        assert failed.value.code == 100
        details = failed.value.details
        assert details.get("writeConcernError", details)["errInfo"]["writeConcern"]["w"] == 50
    query = async_client[loaded.name].a.with_options(write_concern=impossible).aggregate([{"$out": "e"}])
    with pytest.raises(OperationFailure):
        await query
    # Written all the same.
    assert {"b", "d", "e"} <= set(loaded.list_collection_names())


# ---- w=0 -------------------------------------------------------------------------------------------------------------


async def test_reads_with_unacknowledged_writes(mongodb_uri: str, loaded: Mongo) -> None:
    with MongoClient(mongodb_uri, w=0) as client:
        ours = client[loaded.name].a
        assert ours.aggregate([{"$sort": {"_id": 1}}]).to_dicts() == ROWS
        assert ours.count_documents({"a": 1}) == 3
        assert client[loaded.name].aggregate([{"$documents": [{"x": 1}]}]).to_dicts() == [{"x": 1}]
        assert ours.estimated_document_count() == 10
        assert sorted(ours.distinct("a")) == [0, 1, 2]
        assert ours.find(sort="_id").to_dicts() == ours.find(resume=True).to_dicts() == ROWS
        assert ours.find().explain()["ok"] == ours.aggregate([]).explain()["ok"] == 1
        assert list(ours.index_information()) == ["_id_"]
        with client.start_session() as session:
            assert ours.aggregate([], session=session).read().report.rows == 10
            assert ours.count_documents({}, session=session) == 10
    async with AsyncMongoClient(mongodb_uri, w=0) as awaited:
        theirs = awaited[loaded.name].a
        assert await theirs.aggregate([{"$sort": {"_id": 1}}]).to_dicts() == ROWS
        assert await theirs.count_documents({"a": 1}) == 3
    for key in ("majority", 1):
        with MongoClient(mongodb_uri, w=0) as client:
            again = client[loaded.name].a.with_options(write_concern=WriteConcern(key))
            assert again.count_documents({}) == 10


async def test_unacknowledged_writes_are_waited_for(
    mongodb_uri: str, loaded: Mongo, profiled: Callable[[], list[Any]]
) -> None:
    with MongoClient(mongodb_uri, w=0) as client:
        client[loaded.name].a.aggregate(COUNTED)
    async with AsyncMongoClient(mongodb_uri, w=0) as awaited:
        await awaited[loaded.name].a.aggregate(COUNTED)
    assert [concern["w"] for concern in profiled()] == [1, 1]
    assert runs(loaded) == 2
    with MongoClient(mongodb_uri, w=0) as client, pytest.raises(OperationFailure):
        client[loaded.name].a.aggregate(FAILING[0])
