"""One column for each leaf of embedded documents."""

from __future__ import annotations

import json
from typing import Any

import bson
import pyarrow as pa
import pytest
from bson import Decimal128, ObjectId
from hypothesis import given
from oracle import assert_same
from strategies import results
from table_model import TYPES, Column, Tables, check_table
from test_oracle import examples, streamed

import data_bridge
from data_bridge import MongoClient, Query, SchemaConflict


def query(documents: list[dict[str, Any]], **options: Any) -> Query:
    return data_bridge.read_bson([bson.encode(document) for document in documents], flatten=True, **options)


def flattened(columns: list[Column], path: tuple[str, ...] = ()) -> list[Column]:
    """The model: columns of the leaves, null below a null document. Metadata has keys with points."""
    found: list[Column] = []
    for field, cells in columns:
        keys = (*path, field.name)
        if not field.metadata and pa.types.is_struct(field.type):
            inner = [field.type.field(position) for position in range(field.type.num_fields)]
            below = [(each, [None if cell is None else cell[each.name] for cell in cells]) for each in inner]
            found += flattened(below, keys)
            continue
        flat = field.with_name(".".join(keys))
        if any("." in key for key in keys):
            text = json.dumps(keys, ensure_ascii=False, separators=(",", ":"))
            flat = flat.with_metadata({**(field.metadata or {}), b"data_bridge.path": text.encode()})
        found.append((flat, cells))
    return found


@pytest.mark.parametrize("types", TYPES)
@examples(80)
@given(found=results())
def test_columns_are_the_leaves(types: str, found: list[dict[str, Any]]) -> None:
    made = [bson.encode(document) for document in found]
    tables = Tables.of(made)
    wanted = flattened(tables.of_result(types))
    names = [field.name for field, _ in wanted]
    make = query(found, types=types)
    if len(set(names)) < len(names):
        for read in (Query.to_arrow, streamed, Query.schema):
            with pytest.raises(ValueError, match="two columns of the flattened table"):
                read(make)
        return
    check_table(make.to_arrow(), wanted)
    assert pa.schema(make.schema()) == make.to_arrow().schema
    assert_same(make.to_dicts(), data_bridge.read_bson(made).to_dicts())
    stream = streamed(make)
    if stream is not None:
        check_table(stream, flattened(tables.of_stream(types)))
    # The flattened schema, given, makes the same table.
    schema = pa.schema([field for field, _ in wanted])
    check_table(query(found, types=types, schema=schema).to_arrow(), wanted)
    again = streamed(query(found, types=types, schema=schema))
    if again is not None:
        check_table(again, wanted)


DOCUMENTS: list[dict[str, Any]] = [
    {"_id": 1, "a": {"b": {"c": 1}, "x": "t"}, "l": [{"k": {"v": 1}}]},
    {"_id": 2, "a": None, "l": []},
    {"_id": 3, "a": {"b": None}, "l": None},
    {"_id": 4},
    {"_id": 5, "a": {}},
]


def test_null_parents_and_lists() -> None:
    for read in (Query.to_arrow, streamed, lambda query: query.read().to_arrow(), lambda query: pa.table(query)):
        table = read(query(DOCUMENTS))
        assert table.schema.names == ["_id", "a.b.c", "a.x", "l"]
        assert table.schema.field("l").type == pa.list_(pa.struct([("k", pa.struct([("v", pa.int32())]))]))
        assert table.column("a.b.c").to_pylist() == [1, None, None, None, None]
        assert table.column("a.x").to_pylist() == ["t", None, None, None, None]
        assert table.column("l").to_pylist() == [[{"k": {"v": 1}}], [], None, None, None]
        assert table.column("a.b.c").null_count == 4
    assert query(DOCUMENTS).to_polars().columns == ["_id", "a.b.c", "a.x", "l"]
    assert list(query(DOCUMENTS).to_pandas().columns) == ["_id", "a.b.c", "a.x", "l"]


def test_parts_of_a_type_are_no_columns() -> None:
    parts = {"r": bson.Regex("a", "i"), "o": ObjectId(bytes(12)), "x": Decimal128("1.5"), "m": bson.MinKey()}
    for types in TYPES:
        assert query([{"d": parts}], types=types).to_arrow().schema.names == ["d.r", "d.o", "d.x", "d.m"]


def test_empty_documents_are_mixed() -> None:
    table = query([{"a": {}}, {"a": {}}]).to_arrow()
    assert (table.schema.names, table.column("a").to_pylist()) == (["a"], ["{}", "{}"])


@pytest.mark.parametrize(
    "documents",
    [
        [{"a": {"b": 1}, "a.b": 2}],
        [{"a.b": 2}, {"a": {"b": 1}}],
        [{"a": {"b.c": 1, "b": {"c": 2}}}],
        [{"a": {"b": {"c": 1}}}, {"a.b": {"c": 1}}],
    ],
    ids=str,
)
def test_two_columns_of_one_name_are_an_error(documents: list[dict[str, Any]]) -> None:
    for read in (Query.to_arrow, streamed, Query.schema, Query.to_polars, Query.to_pandas):
        with pytest.raises(ValueError, match=r"two columns of the flattened table have the name \"a\.b"):
            read(query(documents))
    # Documents are as ever, and so is a table that is not flattened.
    assert query(documents).to_dicts() == documents
    assert query(documents).read().to_list() is not None
    data_bridge.read_bson([bson.encode(document) for document in documents]).to_arrow().validate(full=True)


def test_keys_with_points_are_found_again_by_the_schema_of_their_table(client: MongoClient, database: Any) -> None:
    documents: list[dict[str, Any]] = [
        {"_id": 1, "a.b": 2, "c": {"d.e": {"f": 3}}},
        {"_id": 2, "a": {"x": 5}, "c": {"d.e": None}},
    ]
    database.c.insert_many(documents)
    collection = client[database.name].c
    table = collection.find(sort="_id", flatten=True).to_arrow()
    assert table.schema.names == ["_id", "a.b", "c.d.e.f", "a.x"]
    again = collection.find(sort="_id", flatten=True, schema=table.schema)
    assert again.to_arrow() == table
    assert again.report is not None
    assert not again.report.paths
    # A name alone is a path.
    named = collection.find(sort="_id", flatten=True, schema={"a.b": int, "a.x": int})
    assert named.to_arrow().to_pylist() == [{"a.b": None, "a.x": None}, {"a.b": None, "a.x": 5}]
    wrong = pa.schema([pa.field("a.b", pa.int32(), metadata={"data_bridge.path": "a.b"})])
    with pytest.raises(ValueError, match="must be a JSON array of keys"):
        collection.find(flatten=True, schema=wrong)


def test_a_given_schema_names_columns_in_the_same_way() -> None:
    for schema in ({"a.b.c": "int64", "a.x": str}, {"a": {"b": {"c": "int64"}, "x": str}}):
        for read in (Query.to_arrow, streamed):
            table = read(query(DOCUMENTS, schema=schema))
            assert table.schema.names == ["a.b.c", "a.x"]
            assert table.column("a.b.c").to_pylist() == [1, None, None, None, None]
    # Columns of one document may be apart: they come together.
    apart = query(DOCUMENTS, schema={"a.x": str, "_id": int, "a.b.c": int}).to_arrow()
    assert sorted(apart.schema.names) == ["_id", "a.b.c", "a.x"]
    for wrong in ({"a": int, "a.b": int}, {"a.b": int, "a": int}, {"a.b": int, "a.b.c": int}):
        with pytest.raises(ValueError, match="lies below another column"):
            query(DOCUMENTS, schema=wrong)


def test_conflicts_name_the_path() -> None:
    documents = [{"a": {"b": 1}}, {"a": {"b": "x"}}, {"a": 5}]
    with pytest.raises(SchemaConflict) as raised:
        query(documents, schema={"a.b": int}).to_arrow()
    assert (raised.value.document, raised.value.path) == (1, ("a", "b"))
    for read in (Query.to_arrow, streamed):
        table = read(query(documents, schema={"a.b": int}, on_conflict="rescue"))
        assert table.schema.names == ["a.b", "_rescued"]
        assert table.column("a.b").to_pylist() == [1, None, None]
        rescued = [cell and [(item["path"], bson.decode(item["value"])[""]) for item in cell]
                   for cell in table.column("_rescued").to_pylist()]  # fmt: skip
        assert rescued == [None, [(["a", "b"], "x")], [(["a"], 5)]]
    frozen = query(documents, on_conflict="rescue").stream(1)
    rows = [row for batch in frozen for row in pa.record_batch(batch).to_pylist()]
    assert [row["a.b"] for row in rows] == [1, None, None]


def test_shapes_are_not_flattened() -> None:
    table = query(DOCUMENTS).read().to_arrow(shapes=True)
    assert table.schema.names == ["_id", "a", "l", "_shapes"]
    assert data_bridge.from_arrow(table).to_dicts() == DOCUMENTS


def test_through_a_server(client: MongoClient, database: Any) -> None:
    database.c.insert_many(DOCUMENTS)
    collection = client[database.name].c
    for size in (1, 2, 1000):
        for made in (
            collection.find({}, sort="_id", flatten=True, batch_size=size),
            collection.aggregate([{"$sort": {"_id": 1}}], flatten=True, batch_size=size),
        ):
            for read in (Query.to_arrow, streamed):
                assert read(made).column("a.b.c").to_pylist() == [1, None, None, None, None]
    # The server is sent top-level keys only.
    narrow = collection.find({}, sort="_id", flatten=True, schema={"a.b.c": int})
    assert narrow.to_arrow().to_pylist()[0] == {"a.b.c": 1}
    assert data_bridge.read_bson(b"", flatten=True, schema={"a.b": int}).to_arrow().schema.names == ["a.b"]
    with pytest.raises(TypeError):
        collection.find({}, flatten="yes")  # type: ignore[arg-type]
