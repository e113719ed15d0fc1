"""One schema for the tables of all partitions, and one report."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from bson import Decimal128
from pymongo.database import Database

from data_bridge import Report, SchemaConflict

BOTH_SIDES = True
ROWS = 600


@pytest.fixture
def collection(client: Any, database: Database[Any]) -> Any:
    documents: list[dict[str, Any]] = [{"_id": number, "a": number} for number in range(ROWS)]
    documents[50]["b"] = "only here"
    documents[299]["c"] = {"d": [1, 2.5]}
    documents[599]["a"] = 0.5
    documents[400]["m"] = "text"
    documents[401]["m"] = {"x": None}
    documents[402]["n"] = None
    database.c.insert_many(documents)
    return client[database.name].c


def tables(found: Any) -> list[pa.Table]:
    return [part.to_arrow() for part in pickle.loads(pickle.dumps(found))]


@pytest.mark.parametrize("options", [{}, {"types": "exact"}, {"flatten": True}, {"mixed": "json"}, {"strings": "view"}])
@pytest.mark.parametrize("form", ["find", "aggregate"])
def test_a_whole_pass_gives_the_schema_of_one_cursor(collection: Any, options: dict[str, Any], form: str) -> None:
    query = collection.find(**options) if form == "find" else collection.aggregate([], **options)
    found = query.partitions(5, infer_rows="all")
    assert len(found) == 5
    assert found.schema == query.schema()
    assert "a schema of all documents" in found.reason
    parts = tables(found)
    assert {part.schema for part in parts} == {parts[0].schema}
    whole = pa.concat_tables(parts)
    assert whole.to_pylist() == query.to_arrow().to_pylist()
    streamed = [pa.record_batch(batch) for part in found for batch in part.stream()]
    assert sum(batch.num_rows for batch in streamed) == ROWS
    assert pa.table(found[0]).schema == parts[0].schema


def test_the_first_rows_of_every_partition_give_a_frozen_schema(collection: Any, database: Database[Any]) -> None:
    found = collection.find().partitions(2, infer_rows=1, exact=True)
    assert found.schema.names == ["_id", "a"]
    assert "the first 1 documents of each" in found.reason
    with pytest.raises(SchemaConflict):
        found[1].to_arrow()
    # A key that the first documents do not have is a conflict, too.
    with pytest.raises(SchemaConflict) as caught:
        found[0].to_arrow()
    assert (caught.value.id, caught.value.path) == (50, ("b",))
    with pytest.raises(SchemaConflict) as caught:
        [*found[0].stream()]
    assert (caught.value.id, caught.value.path) == (50, ("b",))
    more = collection.find().partitions(2, infer_rows=100, exact=True)
    assert more.schema.names == ["_id", "a", "b"]
    rescued = collection.find(on_conflict="rescue").partitions(2, infer_rows=1, exact=True)
    parts = tables(rescued)
    assert parts[0].schema == parts[1].schema
    assert parts[0].column_names == ["_id", "a", "_rescued"]
    assert [len(part.filter(pa.compute.is_valid(part["_rescued"]))) for part in parts] == [2, 4]
    nulled = collection.find(on_conflict="null").partitions(3, infer_rows=1)
    assert [part.column("a").null_count for part in tables(nulled)] == [0, 0, 1]
    database.d.insert_many([{"_id": n, "p": Decimal128(Decimal(n) / 4)} for n in range(10)])
    prices = collection.database.d.find().partitions(2, infer_rows=2)
    # A prefix does not show all digits: wider, as in a stream.
    assert str(pa.schema(prices.schema).field("p").type) == "decimal128(38, 10)"


def test_a_given_schema(collection: Any) -> None:
    query = collection.find(schema={"a": float, "_id": int})
    found = query.partitions(4, infer_rows=5)
    assert found.schema == query.schema()
    whole = pa.concat_tables(tables(found))
    assert whole.column_names == ["a", "_id"]
    assert whole.num_rows == ROWS
    streamed = pa.RecordBatchReader.from_stream(found[3]).read_all()
    assert streamed.equals(tables(found)[3])


def test_an_empty_partition_has_the_schema(client: Any, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": number, "a": number} for number in range(100)])
    found = client[database.name].c.find({"a": {"$lt": 20}}).partitions(4, infer_rows=3)
    parts = tables(found)
    assert [part.num_rows for part in parts] == [20, 0, 0, 0]
    assert {part.schema for part in parts} == {parts[0].schema}
    nothing = client[database.name].missing.find({}, {"x": 1}).partitions(4, infer_rows=3)
    assert tables(nothing)[0].column_names == ["_id", "x"]


def test_reports_are_merged(collection: Any) -> None:
    found = collection.find(schema={"_id": int, "a": int}, on_conflict="null").partitions(5)
    for part in found:
        part.to_arrow()
    reports = [pickle.loads(pickle.dumps(part.report)) for part in found]
    merged = Report.merged(reports)
    assert merged.rows == ROWS
    assert merged.bytes == sum(report.bytes for report in reports)
    [entry] = [entry for entry in merged.paths if entry["action"] == "nulled"]
    assert (entry["path"], entry["action"], entry["count"], entry["first_id"]) == (("a",), "nulled", 1, 599)
    assert merged.error is None
    assert set(merged.seconds) == {"waiting", "decoding", "conforming"}
    both = Report.merged([reports[4], reports[4], reports[0]])
    [entry] = [entry for entry in both.paths if entry["action"] == "nulled"]
    assert entry["count"] == 2
    assert len(both.paths) == len(reports[4].paths)
    assert Report.merged([]).rows == 0
