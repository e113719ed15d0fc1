"""Statements that are encoded from Arrow data, executed by a server."""

from __future__ import annotations

from typing import Any

import bson
import pyarrow as pa
import pytest
from bson import ObjectId
from pymongo.database import Database

from data_bridge._core import encode_arrow

Mongo = Database[dict[str, Any]]


def run(database: Mongo, data: Any, operation: str, **options: Any) -> dict[str, Any]:
    """The reply to a command with a statement for each row."""
    statements = bson.decode_all(encode_arrow(data, operation, **options))
    name, field = ("delete", "deletes") if operation == "delete" else ("update", "updates")
    return database.command({name: "things", field: statements, "ordered": False})


def stored(database: Mongo) -> list[dict[str, Any]]:
    return list(database.things.find(sort={"_id": 1}))


def counts(reply: dict[str, Any]) -> tuple[int, int, int]:
    """Matched (with upserted), modified and upserted."""
    return reply["n"], reply["nModified"], len(reply.get("upserted", []))


NESTED = pa.table({"_id": [1, 2], "a": [{"b": 5, "c": None}, {"b": 6, "c": 7}], "v": [None, 8]})


def test_structs_merge_into_the_stored_documents(database: Mongo) -> None:
    database.things.insert_many([{"_id": 1, "a": {"b": 0, "z": 9}, "v": 3}, {"_id": 2, "a": 1}])
    reply = run(database, NESTED, "update", nulls="omit")
    assert counts(reply) == (1, 1, 0)
    (error,) = reply["writeErrors"]
    assert (error["index"], error["code"]) == (1, 28), "a stored scalar is a failed row"
    assert stored(database) == [{"_id": 1, "a": {"b": 5, "z": 9}, "v": 3}, {"_id": 2, "a": 1}]
    reply = run(database, NESTED, "update", nulls="omit", nested="replace")
    assert stored(database) == [{"_id": 1, "a": {"b": 5}, "v": 3}, {"_id": 2, "a": {"b": 6, "c": 7}, "v": 8}]
    # A second run changes nothing.
    assert counts(run(database, NESTED, "update", nulls="omit", nested="replace")) == (2, 0, 0)
    assert counts(run(database, NESTED, "update", nulls="omit")) == (2, 0, 0)


@pytest.mark.parametrize(
    ("nulls", "wanted"),
    [
        ("omit", {"_id": 1, "a": {"b": 5, "c": 2}, "v": 3}),
        ("keep", {"_id": 1, "a": {"b": 5, "c": None}, "v": None}),
        ("unset", {"_id": 1, "a": {"b": 5}}),
    ],
)
def test_nulls(database: Mongo, nulls: str, wanted: dict[str, Any]) -> None:
    database.things.insert_one({"_id": 1, "a": {"b": 0, "c": 2}, "v": 3})
    run(database, NESTED.slice(0, 1), "update", nulls=nulls)
    assert stored(database) == [wanted]


def test_a_row_without_values_keeps_the_stored_document(database: Mongo) -> None:
    database.things.insert_one({"_id": 1, "v": 3})
    rows = pa.table({"_id": [1, 2], "v": pa.array([None, None], pa.int32())})
    assert counts(run(database, rows, "update", nulls="omit", upsert=True)) == (2, 0, 1)
    assert stored(database) == [{"_id": 1, "v": 3}, {"_id": 2}]


def test_upserts_by_another_key_insert_the_id(database: Mongo) -> None:
    key = ObjectId()
    database.things.insert_one({"_id": key, "k": "a", "v": 1})
    rows = pa.table({"_id": ["x", "y"], "k": ["a", "b"], "v": [2, 3]})
    assert counts(run(database, rows, "update", on=[["k"]], upsert=True)) == (2, 1, 1)
    assert stored(database) == [{"_id": "y", "k": "b", "v": 3}, {"_id": key, "k": "a", "v": 2}]


def test_names_that_are_no_paths_are_written_unchanged(database: Mongo) -> None:
    database.things.insert_many(
        [{"_id": 1, "x": {"y": 1}, "a": {"z": 9, "0": 1}}, {"_id": 2, "a": [1, 2]}, {"_id": 3, "a": "scalar"}]
    )
    below = pa.array([{"0": n} for n in (1, 2, 3, 4)])
    rows = pa.table({"_id": [1, 2, 3, 4], "x.y": [10, 20, 30, 40], "$d": [None, "a", "b", "c"], "a": below})
    reply = run(database, rows, "update", nulls="omit", upsert=True)
    assert counts(reply) == (2, 1, 1)
    assert [error["index"] for error in reply["writeErrors"]] == [1, 2], "stored lists and scalars are failed rows"
    assert stored(database) == [
        {"_id": 1, "x": {"y": 1}, "a": {"z": 9, "0": 1}, "x.y": 10},
        {"_id": 2, "a": [1, 2]},
        {"_id": 3, "a": "scalar"},
        {"_id": 4, "x.y": 40, "$d": "c", "a": {"0": 4}},
    ]
    again = rows.take([0, 3])
    assert counts(run(database, again, "update", nulls="omit", upsert=True)) == (2, 0, 0)


def test_a_pipeline_inserts_the_id_and_removes_nulls(database: Mongo) -> None:
    database.things.insert_one({"_id": 5, "k": 1, "n": 2, "a": {"b": 3, "c": 4}})
    rows = pa.table(
        {
            "_id": [6, 7],
            "k": [1, 2],
            "n": pa.array([None, 1]),
            "a": pa.array([{"b": None, "c": 5}, {"b": 1, "c": None}]),
        }
    )
    with_name = rows.append_column("x.y", pa.array([1, 2]))
    run(database, with_name, "update", on=[["k"]], nulls="keep", upsert=True)
    assert stored(database) == [
        {"_id": 5, "k": 1, "n": None, "a": {"b": None, "c": 5}, "x.y": 1},
        {"_id": 7, "k": 2, "n": 1, "a": {"b": 1, "c": None}, "x.y": 2},
    ]
    with pytest.raises(ValueError, match=r'cannot be removed.*path \["x.y"\]'):
        run(database, with_name, "update", on=[["k"]], nulls="unset")


def test_replacements_and_deletes(database: Mongo) -> None:
    database.things.insert_many([{"_id": {"a": 1, "b": 2}, "v": 1}, {"_id": 2, "v": 1, "w": 1}])
    rows = pa.table({"_id": [2, 3], "v": [5, 6]})
    assert counts(run(database, rows, "replace", upsert=True)) == (2, 2 - 1, 1)
    assert stored(database)[:2] == [{"_id": 2, "v": 5}, {"_id": 3, "v": 6}]
    # A document as a key is a value, not a filter with operators.
    keys = pa.table({"_id": pa.array([{"a": 1, "b": 2}])})
    assert run(database, keys, "delete")["n"] == 1
    assert run(database, rows, "delete", on=[["v"]], many=True)["n"] == 2
    assert stored(database) == []
