"""Values that do not fit: rescued or nulled, counted, wherever batches end."""

from __future__ import annotations

from typing import Any

import bson
import pyarrow as pa
import pytest

import data_bridge
from data_bridge import Query


def query(documents: list[dict[str, Any]], schema: Any, **options: Any) -> Query:
    return data_bridge.read_bson(b"".join(map(bson.encode, documents)), schema=schema, **options)


MESSY: list[dict[str, Any]] = [
    {"_id": 0, "x": 1, "l": [1, 2], "d": {"a": 1}, "m": {"k": "v"}},
    {"_id": 1, "x": "one", "l": [1, "two", 3], "d": {"a": 1.5}, "m": {"k": 5}},
    {"_id": 2, "x": None, "l": "no list", "d": 7},
    {"_id": 3, "x": 2.5, "l": [], "d": {"a": {"deep": [bson.MinKey()]}}, "other": 1},
    {"_id": 4, "x": {"y": 1}, "l": [[1]], "d": {"a": 2}},
]
WANTED = pa.schema(
    [
        ("x", pa.int8()),
        ("l", pa.list_(pa.int32())),
        ("d", pa.struct([("a", pa.int64())])),
        ("m", pa.map_(pa.string(), pa.string())),
    ]
)
KEPT = [
    {"x": 1, "l": [1, 2], "d": {"a": 1}, "m": [("k", "v")]},
    {"x": None, "l": [1, None, 3], "d": {"a": None}, "m": [("k", None)]},
    {"x": None, "l": None, "d": None, "m": None},
    {"x": None, "l": [], "d": {"a": None}, "m": None},
    {"x": None, "l": [None], "d": {"a": 2}, "m": None},
]
RESCUED: list[Any] = [
    None,
    [(["x"], "one"), (["l", "1"], "two"), (["d", "a"], 1.5), (["m", "k"], 5)],
    [(["l"], "no list"), (["d"], 7)],
    [(["x"], 2.5), (["d", "a"], {"deep": [bson.MinKey()]})],
    [(["x"], {"y": 1}), (["l", "0"], [1])],
]
COUNTS = [
    (("x",), ("string", "double", "document"), 3, 1),
    (("l", ...), ("string", "list"), 2, 1),
    (("d", "a"), ("double", "document"), 2, 1),
    (("m", "k"), ("int32",), 1, 1),
    (("l",), ("string",), 1, 2),
    (("d",), ("int32",), 1, 2),
]


def rescued(cells: list[Any]) -> list[Any]:
    def value(cell: bytes | None) -> Any:
        return None if cell is None else bson.decode(cell)[""]

    return [cell and [(item["path"], value(item["value"])) for item in cell] for cell in cells]


def counts(report: Any, action: str) -> list[Any]:
    assert report is not None
    entries = [entry for entry in report.paths if entry["action"] == action]
    return [(entry["path"], entry["types"], entry["count"], entry["first_id"]) for entry in entries]


def pieces(documents: list[dict[str, Any]], size: int) -> list[bytes]:
    return [b"".join(map(bson.encode, documents[start : start + size])) for start in range(0, len(documents), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("live", [False, True])
def test_rescue(size: int, live: bool) -> None:
    query = data_bridge.read_bson(pieces(MESSY, size), schema=WANTED, on_conflict="rescue")
    if live:
        table = pa.Table.from_batches([pa.record_batch(batch) for batch in query.stream()])
    else:
        table = query.to_arrow()
    table.validate(full=True)
    assert table.schema.names == ["x", "l", "d", "m", "_rescued"]
    assert table.drop_columns("_rescued").to_pylist() == KEPT
    assert rescued(table.column("_rescued").to_pylist()) == RESCUED
    assert counts(query.report, "rescued") == COUNTS
    assert pa.schema(query.schema()) == table.schema


@pytest.mark.parametrize("size", [1, 3, 100])
def test_null(size: int) -> None:
    query = data_bridge.read_bson(pieces(MESSY, size), schema=WANTED, on_conflict="null")
    assert query.to_arrow().to_pylist() == KEPT
    assert counts(query.report, "nulled") == COUNTS
    result = data_bridge.read_bson(pieces(MESSY, size), schema=WANTED, on_conflict="null").read()
    assert counts(result.report, "nulled") == []
    for _ in range(2):
        result.to_arrow()
        assert counts(result.report, "nulled") == COUNTS
    assert "nulled" in str(result.report)


def test_rescue_of_what_fits_is_null() -> None:
    table = query([{"_id": 1, "x": 1}], {"x": int}, on_conflict="rescue").to_arrow()
    assert table.column("_rescued").to_pylist() == [None]
    assert query([], {"x": int}, on_conflict="rescue").to_arrow().schema.names == ["x", "_rescued"]
    # Without a schema a whole result fits what it shows.
    assert query([{"x": 1}, {"x": "a"}], None, on_conflict="rescue").to_arrow().schema.names == ["x"]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_rescue_in_a_frozen_stream(size: int) -> None:
    documents: list[dict[str, Any]] = [
        {"_id": 0, "x": 1, "d": {"a": 1}},
        {"_id": 1, "x": 2, "d": {"a": 2, "b": "new"}},
        {"_id": 2, "x": "a", "new": None, "d": {"a": 3}},
        {"_id": 3, "x": 3, "d": {"a": 3}},
    ]
    query = data_bridge.read_bson(pieces(documents, size), on_conflict="rescue")
    table = pa.Table.from_batches([pa.record_batch(batch) for batch in query.stream(infer_rows=1)])
    assert table.column("x").to_pylist() == [1, 2, None, 3]
    assert table.column("d").to_pylist() == [{"a": 1}, {"a": 2}, {"a": 3}, {"a": 3}]
    assert rescued(table.column("_rescued").to_pylist()) == [
        None,
        [(["d", "b"], "new")],
        [(["x"], "a"), (["new"], None)],
        None,
    ]
    nulled = data_bridge.read_bson(pieces(documents, size), on_conflict="null")
    rows = [row for batch in nulled.stream(infer_rows=1) for row in pa.record_batch(batch).to_pylist()]
    assert [row["x"] for row in rows] == [1, 2, None, 3]
    paths = [(("d", "b"), 1), (("x",), 2), (("new",), 2)]
    assert [(path, first) for path, _, _, first in counts(nulled.report, "nulled")] == paths


def test_a_column_called_rescued_is_refused() -> None:
    with pytest.raises(ValueError, match="_rescued"):
        query([], {"_rescued": int}, on_conflict="rescue")
    assert query([{"_rescued": 1}], {"_rescued": int}, on_conflict="null").to_arrow().num_rows == 1
    with pytest.raises(ValueError, match="_rescued"):
        list(query([{"_rescued": 1}], None, on_conflict="rescue").stream())
