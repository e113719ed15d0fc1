"""All conflicts of a read, one by one."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from cursors import wait_until_closed
from pymongo.database import Database

from data_bridge import AsyncMongoClient, DecodeError, MongoClient, SchemaConflict, read_bson

Mongo = Database[dict[str, Any]]

DOCUMENTS: list[dict[str, Any]] = [
    {"_id": 10, "n": 1, "l": [1, 2], "d": {"x": "a"}},
    {"_id": 11, "l": [1, "two", 3, 4.5], "n": "one", "other": 1},
    {"_id": 12, "n": None, "d": 7},
    {"_id": 13, "d": {"x": 1, "y": 2}, "n": bson.Int64(2**40)},
]
SCHEMA = {"n": "int32", "l": ["int32"], "d": {"x": "string"}}
ALL = [
    (1, 11, ("l", 1), "int32", "string"),
    (1, 11, ("l", 3), "int32", "double 4.5"),
    (1, 11, ("n",), "int32", "string"),
    (2, 12, ("d",), "document", "int32 7"),
    (3, 13, ("d", "x"), "string", "int32 1"),
    (3, 13, ("n",), "int32", "int64 1099511627776"),
]


def encoded(documents: list[dict[str, Any]]) -> bytes:
    return b"".join(bson.encode(document) for document in documents)


def shown(conflict: SchemaConflict) -> tuple[Any, ...]:
    assert type(conflict) is SchemaConflict
    return (conflict.document, conflict.id, conflict.path, conflict.expected, conflict.found)


@pytest.mark.parametrize("on_conflict", ["error", "rescue", "null"])
def test_all_are_listed(on_conflict: str) -> None:
    query = read_bson(encoded(DOCUMENTS), schema=SCHEMA, on_conflict=on_conflict)
    assert [shown(conflict) for conflict in query.conflicts()] == ALL
    assert [shown(conflict) for conflict in query.read().conflicts()] == ALL


def test_the_first_is_the_one_that_is_raised() -> None:
    query = read_bson(encoded(DOCUMENTS), schema=SCHEMA)
    with pytest.raises(SchemaConflict) as raised:
        query.to_arrow()
    assert shown(raised.value) == ALL[0]
    assert str(next(query.conflicts())) == str(raised.value)


def test_of_many_columns_in_any_order() -> None:
    names = [f"k{place}" for place in range(60)]
    schema = {"d": dict.fromkeys(names, "int32"), **dict.fromkeys(names, "string")}
    inner: dict[str, Any] = {name: "x" if place % 7 == 0 else 1 for place, name in enumerate(names)}
    outer: dict[str, Any] = {name: 1 if place % 5 == 0 else "x" for place, name in enumerate(reversed(names))}
    document = {"other": 1, **outer, "d": dict(reversed(inner.items())), "more": 2}
    query = read_bson(encoded([document, {}, document]), schema=schema, on_conflict="null")
    wanted = [(key,) for key, value in document.items() if key in names and value == 1]
    wanted += [("d", key) for key, value in document["d"].items() if value == "x"]
    assert [conflict.path for conflict in query.conflicts()] == wanted * 2
    row = query.to_arrow().to_pylist()[2]
    assert row["d"] == {key: value if value == 1 else None for key, value in inner.items()}
    assert all(row[key] == (value if value == "x" else None) for key, value in outer.items())


def test_a_schema_for_this_once() -> None:
    query = read_bson(encoded(DOCUMENTS))
    assert [shown(conflict) for conflict in query.conflicts(SCHEMA)] == ALL
    assert [shown(conflict) for conflict in query.read().conflicts(SCHEMA)] == ALL
    assert list(query.conflicts({"_id": "int64", "nowhere": "bool"})) == []
    for each in (query, query.read()):
        with pytest.raises(ValueError, match="needs a schema"):
            each.conflicts()


def test_rescued_values_are_these(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many(DOCUMENTS)
    query = client[database.name].c.find(schema=SCHEMA, on_conflict="rescue", sort=[("_id", 1)])
    rows = query.to_arrow()["_rescued"].to_pylist()
    rescued = [(row, tuple(value["path"])) for row, values in enumerate(rows) for value in values or ()]
    assert rescued == [(place, tuple(map(str, path))) for place, _, path, _, _ in ALL]
    assert query.report is not None
    assert sum(entry["count"] for entry in query.report.paths if entry["action"] == "rescued") == len(ALL)


def test_live_and_counted_through_replies(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([{"_id": i, "n": "x" if i % 100 == 99 else i} for i in range(5000)])
    query = client[database.name].c.find(schema={"n": "int32"}, sort=[("_id", 1)], batch_size=70)
    found = list(query.conflicts())
    assert [conflict.document for conflict in found] == list(range(99, 5000, 100))
    assert [conflict.id for conflict in found] == list(range(99, 5000, 100))
    assert query.report is not None
    assert query.report.rows == 5000

    some = query.conflicts()
    assert next(some).document == 99
    some.close()  # type: ignore[attr-defined]
    wait_until_closed(database)


def test_what_is_no_conflict_is_an_error() -> None:
    found = read_bson(encoded(DOCUMENTS[:2]) + b"\x08\0\0\0\x99b\0\0").conflicts(SCHEMA)
    with pytest.raises(DecodeError):
        list(found)


async def test_awaited(mongodb_uri: str, database: Mongo) -> None:
    database.c.insert_many(DOCUMENTS)
    async with AsyncMongoClient(mongodb_uri) as client:
        query = client[database.name].c.find(schema=SCHEMA, sort=[("_id", 1)])
        assert [shown(conflict) async for conflict in query.conflicts()] == ALL
        assert [shown(conflict) for conflict in (await query.read()).conflicts()] == ALL
        with pytest.raises(ValueError, match="needs a schema"):
            client[database.name].c.find().conflicts()
