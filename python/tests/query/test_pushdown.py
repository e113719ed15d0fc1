"""A table with a user's schema requests its top-level keys only, and equals the table of whole documents."""

from __future__ import annotations

from typing import Any

import bson
import pyarrow as pa
import pytest
import strategies
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from data_bridge import AsyncMongoClient, Collection, MongoClient, SchemaConflict, read_bson

Mongo = Database[dict[str, Any]]

DOCUMENTS: list[dict[str, Any]] = [
    {"_id": 1, "a": 1, "b": {"x": 1, "y": [1]}, "a.b": 5, "big": "z" * 500},
    {"b": {"y": []}, "_id": 2, "a": None, "c": {"x": 1}},
    {"_id": 3, "a": 2.0, "b": None, "A": 9, "0": "zero"},
    {"_id": 4},
]
A_B = {"a": "int64", "b": {"x": "int32"}}


@pytest.fixture
def profiled(database: Mongo) -> Mongo:
    """A collection `c` in a database whose profiler writes down every command."""
    database.c.insert_many(DOCUMENTS)
    database.command("profile", 2)
    return database


@pytest.fixture
def collection(client: MongoClient, profiled: Mongo) -> Collection:
    return client[profiled.name].c


def projection(database: Mongo, comment: str) -> Any:
    """Return the projection of the one find with this comment; ... for none."""
    (entry,) = database.system.profile.find({"command.comment": comment, "op": "query"})
    return entry["command"].get("projection", ...)


NOWHERE = "data_bridge_nowhere"  # no document has it: see the tests of keys that occur twice


READS = {
    "to_arrow": lambda query: query.to_arrow(),
    "to_polars": lambda query: query.to_polars(),
    "to_pandas": lambda query: query.to_pandas(),
    "stream": lambda query: list(query.stream()),
    "Arrow stream": lambda query: pa.table(query),
}
WHOLE = {
    "read": lambda query: query.read(),
    "iterate": lambda query: list(query),
    "to_list": lambda query: query.to_list(),
    "to_dicts": lambda query: query.to_dicts(),
    "first": lambda query: query.first(),
    "shapes": lambda query: query.to_arrow(shapes=True),
}


@pytest.mark.parametrize("read", READS)
def test_tables_ask_for_their_keys(read: str, collection: Collection, profiled: Mongo) -> None:
    READS[read](collection.find(schema=A_B, comment=read))
    assert projection(profiled, read) == {"a": 1, "b": 1, NOWHERE: 1}


@pytest.mark.parametrize("read", WHOLE)
def test_documents_come_whole(read: str, collection: Collection, profiled: Mongo) -> None:
    WHOLE[read](collection.find(schema=A_B, comment=read))
    assert projection(profiled, read) is ...


NONE: dict[str, dict[str, Any]] = {
    "no schema": {},
    "rescue": {"schema": A_B, "on_conflict": "rescue"},
    "a dot": {"schema": {"a": "int64", "a.b": "int64"}},
    "a dollar": {"schema": {"a": "int64", "$x": "int64"}},
    "an empty key": {"schema": {"a": "int64", "": "int64"}},
    "return_key": {"schema": {"_id": "int64"}, "return_key": True, "hint": [("_id", 1)]},
}


@pytest.mark.parametrize("case", NONE)
def test_nothing_is_pushed_down(case: str, collection: Collection, profiled: Mongo) -> None:
    collection.find(comment=case, **NONE[case]).to_arrow()
    assert projection(profiled, case) is ...


OWN: dict[str, tuple[Any, Any]] = {
    "an inclusion": ({"a": 1}, {"a": 1}),
    "an exclusion": ({"big": 0}, {"big": 0}),
    "a nested key": ({"b.x": 1}, {"b.x": 1}),
    "only _id": (["_id"], {"_id": 1}),
    "no _id": ({"_id": 0}, {"_id": 0, "a": 1, "b": 1, NOWHERE: 1}),
    "no _id, False": ({"_id": False}, {"_id": 0, "a": 1, "b": 1, NOWHERE: 1}),
    "nothing": ({}, {"a": 1, "b": 1, NOWHERE: 1}),
    "_id as another value": ({"_id": ""}, {"_id": ""}),
}


@pytest.mark.parametrize("case", OWN)
def test_the_users_projection_is_respected(case: str, collection: Collection, profiled: Mongo) -> None:
    own, sent = OWN[case]
    query = collection.find({}, own, schema=A_B, comment=case)
    query.to_arrow()
    assert projection(profiled, case) == sent


def test_only_the_id(collection: Collection, profiled: Mongo) -> None:
    assert collection.find(schema={"_id": "int64"}, comment="id").to_arrow()["_id"].to_pylist() == [1, 2, 3, 4]
    assert projection(profiled, "id") == {"_id": 1, NOWHERE: 1}
    nothing = collection.find({}, {"_id": 0}, schema={"_id": "int64"}, comment="none").to_arrow()
    assert nothing["_id"].null_count == 4
    assert projection(profiled, "none") == {"_id": 0, NOWHERE: 1}


async def test_awaited(mongodb_uri: str, profiled: Mongo) -> None:
    async with AsyncMongoClient(mongodb_uri) as client:
        query = client[profiled.name].c.find(schema=A_B, comment="awaited")
        table = await query.to_arrow()
    assert table.num_rows == 4
    assert projection(profiled, "awaited") == {"a": 1, "b": 1, NOWHERE: 1}


SCHEMAS: list[Any] = [
    A_B,
    {"b": "mixed", "a": "float64"},
    {"A": "int32", "0": "string", "nowhere": "bool"},
    {"_id": "int64", "c": {"x": "int32"}},
    {},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
@pytest.mark.parametrize("on_conflict", ["error", "null"])
def test_the_table_is_the_same(schema: Any, on_conflict: str, collection: Collection) -> None:
    options: dict[str, Any] = {"schema": schema, "on_conflict": on_conflict, "sort": [("big", 1), ("_id", -1)]}
    query = collection.find(**options)
    pushed, whole = query.to_arrow(), query.read().to_arrow()
    assert pushed.equals(whole)
    assert pushed.schema.equals(whole.schema, check_metadata=True)


def test_the_conflict_is_the_same(collection: Collection) -> None:
    query = collection.find(schema={"c": "int32"}, sort=[("_id", 1)])
    with pytest.raises(SchemaConflict) as pushed:
        query.to_arrow()
    with pytest.raises(SchemaConflict) as whole:
        query.read().to_arrow()
    for name in ("document", "id", "path", "expected", "found"):
        assert getattr(pushed.value, name) == getattr(whole.value, name)
    assert pushed.value.id == 2


def test_any_collection(client: MongoClient, database: Mongo) -> None:
    data = strategies.collection(11, 300)
    database.c.insert_many([RawBSONDocument(document) for document in data])
    result = client[database.name].c.find().read()
    names = [name for name in result.schema.names if name != "_id"]
    schema = {name: "mixed" for name in names if not name.startswith("$") and "." not in name and name}
    assert len(schema) > 5
    for some in (schema, dict(list(schema.items())[::2])):
        query = client[database.name].c.find(schema=some, sort=[("_id", 1)])
        assert query.to_arrow().equals(query.read().to_arrow())


# The server stops a projection after as many keys as it names, also when some of them are one key.
TWICE = {
    "the last": [("k", 1), ("z", 2), ("k", 3)],
    "before another": [("k", 1), ("k", 2), ("m", 3)],
    "many": [("k", 1), ("m", 0), ("k", 2), ("k", 3), ("k", 4), ("m", 5), ("k", 6)],
    "elsewhere": [("z", 1), ("k", 1), ("z", 2), ("m", 2)],
}


@pytest.fixture(params=TWICE)
def twice(request: pytest.FixtureRequest, client: MongoClient, database: Mongo) -> Collection:
    """A collection in which one document holds a key twice."""
    keys = [("_id", 7), *TWICE[request.param]]
    document = strategies.document_of(*[bson.encode({key: value})[4:-1] for key, value in keys])
    database.c.insert_many([{"_id": 1, "k": 1, "m": 1}, RawBSONDocument(document), {"_id": 9, "m": 9}])
    return client[database.name].c


@pytest.mark.parametrize(
    "schema", [{"k": "int32"}, {"k": "int32", "m": "int32"}, {"m": "int32", "k": "int32", "z": "int32"}]
)
def test_a_key_that_occurs_twice(twice: Collection, schema: dict[str, str]) -> None:
    query = twice.find(schema=schema, sort=[("_id", 1)])
    assert query.to_arrow().equals(query.read().to_arrow())


def test_a_key_that_occurs_twice_in_a_stream(twice: Collection, request: pytest.FixtureRequest) -> None:
    query = twice.find(schema={"k": "int32", "m": "int32"}, sort=[("_id", 1)])
    whole = query.read().to_arrow().to_pylist()
    if "elsewhere" in request.node.name:
        assert pa.table(query).to_pylist() == whole
    else:
        with pytest.raises(ValueError, match="pass a projection"):
            list(query.stream())
        assert query.report is not None
        assert "projection" in str(query.report.error)
    # The action that the message names.
    assert pa.table(query.project({"nothing": 0})).to_pylist() == whole


def test_a_key_that_occurs_twice_further_down_is_no_matter(client: MongoClient, database: Mongo) -> None:
    below = strategies.document_of(b"\x10x\0" + (1).to_bytes(4, "little"), b"\x10x\0" + (2).to_bytes(4, "little"))
    database.c.insert_one(RawBSONDocument(strategies.document_of(b"\x10_id\0" + bytes(4), b"\x03b\0" + below)))
    query = client[database.name].c.find(schema={"b": {"x": "int32"}})
    assert pa.table(query).to_pylist() == [{"b": {"x": 2}}]
    assert query.report is not None
    assert query.report.duplicates == 1


def test_without_a_server_there_is_none() -> None:
    data = b"".join(bson.encode(document) for document in DOCUMENTS)
    assert read_bson(data, schema=A_B).to_arrow().schema.names == ["a", "b"]
