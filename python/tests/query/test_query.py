"""Queries and results against PyMongo on a real server, and over BSON at hand."""

from __future__ import annotations

import datetime as dt
import io
import pickle
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pytest
from bson import CodecOptions, DBRef, Decimal128, Int64, ObjectId, Regex, Timestamp
from pymongo.collation import Collation
from pymongo.database import Database

import data_bridge
from data_bridge import Collection, DecodeError, Document, MongoClient, OperationFailure, SchemaConflict, read_bson

Mongo = Database[dict[str, Any]]

DOCUMENTS: list[dict[str, Any]] = [
    {
        "_id": i,
        "total": i * 1.5,
        "name": f"n{i % 7}",
        "tags": ["a", i],
        "address": {"city": "Oslo", "zip": Int64(i)},
        **({"extra": None} if i % 2 else {}),
    }
    for i in range(300)
]


@pytest.fixture
def orders(client: MongoClient, database: Mongo) -> Collection:
    database.orders.insert_many(DOCUMENTS)
    database.orders.create_index("name")
    return client[database.name].orders


FINDS: list[dict[str, Any]] = [
    {},
    {"filter": {"total": {"$gt": 25}}, "sort": [("total", -1)], "limit": 7},
    {"filter": {"name": "n3"}, "projection": {"_id": 0, "name": 1}, "skip": 3},
    {"projection": ["total"], "batch_size": 11},
    {"projection": []},
    {"sort": {"name": 1, "_id": -1}, "limit": 30, "allow_disk_use": True},
    {"filter": {"name": "n3"}, "hint": "name_1", "comment": "hello", "max_time_ms": 60_000},
    {"filter": {"name": "n3"}, "hint": [("name", 1)]},
    {"filter": {"name": "N3"}, "collation": Collation("en", strength=2)},
    {"filter": {"$expr": {"$eq": ["$name", "$$wanted"]}}, "let": {"wanted": "n2"}},
    {"hint": [("_id", 1)], "min": {"_id": 10}, "max": {"_id": 20}},
    {"hint": "name_1", "return_key": True, "limit": 2},
    {"show_record_id": True, "limit": 2},
    {"limit": -5},
    {"no_cursor_timeout": True, "allow_partial_results": True, "limit": 4},
]


@pytest.mark.parametrize("arguments", FINDS, ids=str)
def test_find_as_pymongo(orders: Collection, database: Mongo, arguments: dict[str, Any]) -> None:
    expected = list(database.orders.find(**arguments))
    query = orders.find(**arguments)
    assert query.to_dicts() == expected
    assert [document.to_dict() for document in query] == expected
    assert query.read().to_arrow().num_rows == len(expected)


def test_shorter_arguments_than_pymongo_takes(orders: Collection, database: Mongo) -> None:
    assert orders.find(sort="total", limit=3).to_dicts() == list(database.orders.find().sort("total").limit(3))
    bounded = orders.find(hint=[("_id", 1)], min=[("_id", 10)], max=[("_id", 20)])
    expected = database.orders.find().hint([("_id", 1)]).min([("_id", 10)]).max([("_id", 20)])
    assert bounded.to_dicts() == list(expected)


def test_chaining_replaces_and_leaves_the_first_query_alone(orders: Collection, database: Mongo) -> None:
    query = orders.find({"name": "n1"}, sort="total", limit=5)
    chained = (
        query.sort("total", -1).skip(2).limit(3).project(["total"]).hint("name_1").batch_size(2).comment("c")
        .max_time_ms(10_000).allow_disk_use(True).collation({"locale": "simple"})
    )  # fmt: skip
    expected = database.orders.find({"name": "n1"}, ["total"]).sort("total", -1).skip(2).limit(3)
    assert chained.to_dicts() == list(expected)
    assert query.to_dicts() == list(database.orders.find({"name": "n1"}).sort("total", 1).limit(5))


def test_a_query_is_what_it_was_when_it_was_made(orders: Collection) -> None:
    given = {"name": "n1"}
    query = orders.find(given)
    given["name"] = "n2"
    assert {document["name"] for document in query} == {"n1"}


def test_aggregate(orders: Collection, database: Mongo) -> None:
    stages: list[Any] = [{"$group": {"_id": "$name", "n": {"$sum": 1}}}]
    query = orders.aggregate(stages, allowDiskUse=True, batch_size=2, comment="x", hint="name_1")
    appended = [{"$sort": {"_id": -1}}, {"$skip": 1}, {"$limit": 3}, {"$project": {"n": 1}}]
    expected = list(database.orders.aggregate([*stages, *appended]))
    assert query.sort("_id", -1).skip(1).limit(3).project(["n"]).to_dicts() == expected
    assert query.sort("_id").first() == next(database.orders.aggregate([*stages, {"$sort": {"_id": 1}}]))
    assert len(stages) == 1
    variables = orders.aggregate([{"$match": {"$expr": {"$lt": ["$_id", "$$n"]}}}], let={"n": 3}, max_time_ms=9000)
    assert len(variables.read()) == 3
    with pytest.raises(TypeError, match=r"aggregate\(\) has no option"):
        orders.aggregate([], sort=1)


def test_aggregate_on_a_database(client: MongoClient, database: Mongo) -> None:
    query = client[database.name].aggregate([{"$documents": [{"a": 1}, {"a": 2}]}])
    assert query.to_dicts() == [{"a": 1}, {"a": 2}]


def test_first(orders: Collection) -> None:
    first = orders.find({}, sort=[("_id", -1)]).first()
    assert first is not None
    assert first["_id"] == 299
    assert orders.find({"_id": -1}).first() is None
    assert orders.aggregate([{"$match": {"_id": {"$gt": 5}}}, {"$sort": {"_id": 1}}]).first()["_id"] == 6  # type: ignore[index]


def test_result_is_a_sequence(orders: Collection) -> None:
    result = orders.find(sort="_id").read()
    assert len(result) == 300
    assert result[0]["_id"] == 0
    assert result[-1]["_id"] == 299
    assert [document["_id"] for document in result[5:8]] == [5, 6, 7]
    assert [document["_id"] for document in result[::-100]] == [299, 199, 99]
    assert result[10:5] == []
    assert [document["_id"] for document in result] == list(range(300))
    assert all(isinstance(document, Document) for document in result.to_list())
    for position in (300, -301):
        with pytest.raises(IndexError):
            _ = result[position]
    with pytest.raises(TypeError):
        _ = result["a"]  # type: ignore[call-overload]


def test_fidelity(client: MongoClient, database: Mongo) -> None:
    document = {
        "_id": ObjectId(),
        "none": None,
        "true": True,
        "int": 1,
        "long": Int64(1 << 40),
        "float": 1.5,
        "text": "naïve",
        "date": dt.datetime(2020, 1, 2, 3, 4, 5, 6000),
        "bytes": b"\0\1",
        "binary": bson.Binary(b"x", 128),
        "decimal": Decimal128("1.50"),
        "regex": Regex("a+", "i"),
        "timestamp": Timestamp(5, 6),
        "code": bson.Code("f()"),
        "scoped": bson.Code("f()", {"a": 1}),
        "min": bson.MinKey(),
        "max": bson.MaxKey(),
        "reference": DBRef("c", 1),
        "empty": {},
        "list": [],
        "nested": {"a": [{"b": 1}, [2, "x", None]]},
        "a.b": 1,
    }
    database.c.insert_one(document)
    ours, theirs = client[database.name].c.find().to_dicts()[0], database.c.find_one()
    assert theirs is not None
    assert ours == theirs
    assert list(ours) == list(theirs)
    assert [type(value) for value in ours.values()] == [type(value) for value in theirs.values()]


def test_views_can_be_used_in_filters(orders: Collection, database: Mongo) -> None:
    database.keys.insert_one({"wanted": [3, 5], "address": {"city": "Oslo", "zip": Int64(3)}})
    found = orders.database.keys.find_one()
    assert found is not None
    assert [d["_id"] for d in orders.find({"_id": {"$in": found["wanted"]}})] == [3, 5]
    assert [d["_id"] for d in orders.find({"address": found["address"]})] == [3]


def test_streams(orders: Collection) -> None:
    with orders.find(sort="_id", batch_size=50).stream() as stream:
        schema = stream.schema
        batches = list(stream)
    assert sum(len(batch) for batch in batches) == 300
    assert pa.table(batches[0]).schema == pa.schema(schema)
    assert stream.report is not None
    assert stream.report.rows == 300
    assert list(stream) == []
    with pytest.raises(ValueError, match="closed"):
        _ = stream.schema
    with pytest.raises(ValueError, match="positive"):
        orders.find().stream(infer_rows=0)


def test_a_late_type_is_a_conflict_in_a_stream_and_none_in_a_read(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([{"_id": i, "v": i} for i in range(200)])
    database.c.insert_one({"_id": 200, "v": "text"})
    query = client[database.name].c.find(sort="_id", batch_size=20)
    assert query.read().to_dicts()[200] == {"_id": 200, "v": "text"}
    with pytest.raises(SchemaConflict) as caught:
        list(query.stream(infer_rows=50))
    assert caught.value.id == 200
    assert caught.value.path == ("v",)


def test_given_schema(orders: Collection) -> None:
    schema = pa.schema({"_id": pa.int64(), "total": pa.float64()})
    query = orders.find(sort="_id", schema=schema)
    assert pa.schema(query.schema()) == schema
    assert query.to_arrow().schema == schema
    assert pa.table(query).num_rows == 300
    wrong = orders.find({}, schema=pa.schema({"name": pa.int32()}))
    with pytest.raises(SchemaConflict):
        wrong.to_arrow()
    for bad, error in (({"a": complex}, TypeError), (3, TypeError), ("int", TypeError)):
        with pytest.raises(error):
            orders.find(schema=bad)
    with pytest.raises(ValueError, match="on_conflict"):
        orders.find(on_conflict="guess")


def test_explain(orders: Collection) -> None:
    query = orders.find({"name": "n1"}, limit=-3, sort="total", hint="name_1", batch_size=5)
    assert "IXSCAN" in str(query.explain())
    assert query.explain("executionStats")["executionStats"]["nReturned"] == 3
    assert "stages" in str(orders.aggregate([{"$group": {"_id": "$name"}}], batch_size=3).explain())
    with pytest.raises(ValueError, match="verbosity"):
        query.explain("please")


@pytest.mark.parametrize(
    "options", [{}, {"filter": {"name": "n1"}, "sort": [("total", 1)]}, {"filter": {"name": "n1"}, "limit": 3}]
)
async def test_explain_as_pymongo_does(
    mongodb_uri: str, orders: Collection, database: Mongo, options: dict[str, Any]
) -> None:
    expected = database.orders.find(**options).explain()
    awaited = data_bridge.AsyncMongoClient(mongodb_uri)[database.name].orders
    for ours in (orders.find(**options).explain(), await awaited.find(**options).explain()):
        assert ours.keys() == expected.keys()
        assert ours["executionStats"].keys() == expected["executionStats"].keys()
        assert ours["executionStats"]["nReturned"] == expected["executionStats"]["nReturned"]
    assert "allPlansExecution" in expected["executionStats"]
    assert "allPlansExecution" in str(orders.aggregate([{"$match": {"name": "n1"}}]).explain())
    assert "executionStats" not in orders.find(**options).explain("queryPlanner")
    await awaited.database.client.close()


@pytest.mark.parametrize(
    "options",
    [
        {"allow_disk_use": False},
        {"allow_disk_use": True},
        {"return_key": False},
        {"show_record_id": False},
        {"no_cursor_timeout": False, "allow_partial_results": False},
        {"skip": 0, "limit": 0, "batch_size": 0},
        {"collation": {}},
    ],
)
def test_options_are_sent_as_pymongo_sends_them(client: MongoClient, database: Mongo, options: dict[str, Any]) -> None:
    database.orders.insert_one({"_id": 1})
    for name in ("theirs", "ours"):
        collection: Any = database.orders if name == "theirs" else client[database.name].orders
        database.command("profile", 2)
        list(collection.find({}, comment=name, **options))
        if name == "ours" and "allow_disk_use" in options:
            collection.find({}, comment="chained").allow_disk_use(options["allow_disk_use"]).read()
        database.command("profile", 0)
    theirs, ours, *chained = (
        {key: value for key, value in entry["command"].items() if key in _ASKED}
        for entry in database["system.profile"].find({"op": "query", "command.comment": {"$exists": True}}).sort("ts")
    )
    assert theirs == ours
    assert all(each == theirs for each in chained)


_ASKED = (
    *("allowDiskUse", "returnKey", "showRecordId", "noCursorTimeout", "allowPartialResults"),
    *("skip", "limit", "collation", "bypassDocumentValidation"),
)
"""Options of commands that the driver adds nothing to."""


@pytest.mark.parametrize(
    "options", [{"allowDiskUse": False}, {"allowDiskUse": True}, {"bypassDocumentValidation": False}]
)
def test_options_of_aggregates_are_sent(client: MongoClient, database: Mongo, options: dict[str, Any]) -> None:
    database.orders.insert_one({"_id": 1})
    database.command("profile", 2)
    list(database.orders.aggregate([{"$match": {}}], comment="theirs", **options))
    client[database.name].orders.aggregate([{"$match": {}}], comment="ours", **options).read()
    database.command("profile", 0)
    theirs, ours = (
        {key: value for key, value in entry["command"].items() if key in _ASKED}
        for entry in database["system.profile"].find({"command.aggregate": "orders"}).sort("ts")
    )
    assert theirs == ours == options


def test_an_empty_collation_is_none(orders: Collection) -> None:
    expected = orders.find(sort="_id").to_dicts()
    assert orders.find(sort="_id", collation={}).to_dicts() == expected
    assert orders.find({"name": "N1"}, collation={"locale": "en", "strength": 2}).collation({}).to_dicts() == []
    assert orders.aggregate([{"$sort": {"_id": 1}}], collation={}).to_dicts() == expected
    assert orders.count_documents({"name": "n1"}, collation={}) == orders.count_documents({"name": "n1"})
    assert orders.distinct("name", collation={}) == orders.distinct("name")
    assert orders.find(collation={}).explain()["ok"] == orders.aggregate([], collation={}).explain()["ok"] == 1
    assert orders.update_one({"name": "n1"}, {"$set": {"x": 1}}, collation={}).modified_count == 1
    assert orders.find_one_and_delete({"name": "n1"}, collation={}) is not None
    assert orders.delete_one({"name": "n1"}, collation={}).deleted_count == 1


def test_empty_results(client: MongoClient, database: Mongo) -> None:
    query = client[database.name].missing.find()
    assert query.to_dicts() == []
    assert list(query) == []
    assert query.to_arrow().num_rows == 0
    assert list(query.stream()) == []
    with pytest.raises(OperationFailure):
        client[database.name].missing.find({"$nope": 1}).read()


def test_what_a_query_is_not(orders: Collection) -> None:
    query = orders.find()
    with pytest.raises(TypeError, match="truth value"):
        bool(query)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(query)
    with pytest.raises(TypeError, match="synchronous"):
        query.__aiter__()
    assert repr(query) == f"Query(find on {orders.full_name})"


def test_progress(orders: Collection) -> None:
    seen: list[tuple[int, int]] = []

    def tell(documents: int, size: int) -> None:
        seen.append((documents, size))

    orders.find(progress=tell).read()
    assert seen[-1][0] == 300
    assert seen[-1][1] > 300
    seen.clear()
    assert len(list(orders.find(progress=tell, batch_size=10))) == 300
    assert seen[-1][0] == 300
    with pytest.raises(TypeError, match="progress"):
        orders.find(progress="yes")


def test_progress_bar(orders: Collection, capsys: pytest.CaptureFixture[str]) -> None:
    orders.find(progress=True).read()
    output = capsys.readouterr()
    assert "documents" in output.err
    orders.find().read()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["path", "text path", "bytes", "memoryview", "file", "stream", "list", "iterator"])
def test_read_bson(kind: str, tmp_path: Path) -> None:
    documents = [{"_id": i, "text": "x" * (i % 50)} for i in range(2000)]
    parts = [bson.encode(document) for document in documents]
    data = b"".join(parts)
    path = tmp_path / "dump.bson"
    path.write_bytes(data)
    with path.open("rb") as file:
        source: Any = {
            "path": path,
            "text path": str(path),
            "bytes": data,
            "memoryview": memoryview(bytearray(data)),
            "file": file,
            "stream": io.BytesIO(data),
            "list": [b"".join(parts[i : i + 7]) for i in range(0, 2000, 7)],
            "iterator": iter(parts),
        }[kind]
        query = read_bson(source)
        assert query.to_dicts() == documents
        if kind == "iterator":
            with pytest.raises(RuntimeError, match="only once"):
                query.read()
            return
        assert [document.to_dict() for document in query] == documents
        assert query.to_arrow().num_rows == 2000
        assert query.first() == documents[0]
    for method in (query.explain, lambda: query.sort("a"), lambda: query.skip(1), lambda: query.limit(1)):
        with pytest.raises(TypeError, match="server"):
            method()


def test_read_bson_of_a_document_larger_than_a_chunk() -> None:
    large = [{"_id": i, "b": b"x" * (3 << 20)} for i in range(3)]
    data = b"".join(bson.encode(document) for document in large)
    assert read_bson(io.BytesIO(data)).to_dicts() == large


def test_read_bson_of_what_is_none() -> None:
    for source in (3, None, object()):
        with pytest.raises(TypeError):
            read_bson(source)
    with pytest.raises(TypeError, match="binary mode"):
        read_bson(io.StringIO("x")).read()
    with pytest.raises(FileNotFoundError):
        read_bson("/nowhere/at/all.bson").read()
    for data in (b"\5", b"\4\0\0\0\0", bson.encode({"a": 1})[:-1], bson.encode({"a": 1}) + b"\xff\xff\xff\x7f"):
        with pytest.raises(DecodeError):
            read_bson(data).read()
        with pytest.raises(DecodeError):
            read_bson(io.BytesIO(data)).read()
    assert read_bson(b"").to_dicts() == []


def test_codec_options_of_read_bson() -> None:
    data = bson.encode({"d": dt.datetime(2020, 1, 1)})
    aware = read_bson(data, codec_options=CodecOptions(tz_aware=True)).to_dicts()[0]["d"]
    assert aware == dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)
    assert read_bson(data).to_dicts()[0]["d"].tzinfo is None


def test_from_arrow(orders: Collection) -> None:
    table = pa.table({"a": [1, None], "b": ["x", "y"]})
    result = data_bridge.from_arrow(table)
    assert result.to_dicts() == [{"a": 1, "b": "x"}, {"b": "y"}]
    assert result.to_arrow().equals(table)
    with pytest.raises(TypeError, match="__arrow_c_stream__"):
        data_bridge.from_arrow([1])


class OnlyArray:
    """An object with the array half of the Arrow interface."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self.batch.__arrow_c_array__(requested_schema)


@pytest.mark.parametrize("start", range(5))
@pytest.mark.parametrize("length", range(4))
def test_from_arrow_of_slices(start: int, length: int) -> None:
    rows: list[dict[str, Any]] = [
        {
            "d": {"e": {"f": n, "g": [{"h": {"i": n + item}} for item in range(n)]}},
            "p": [{"q": {"r": n}}, {"q": {"r": -n}}],
        }
        for n in range(1, 6)
    ]
    pair = pa.list_(pa.struct([("q", pa.struct([("r", pa.int64())]))]), 2)
    table = pa.table({"d": [row["d"] for row in rows], "p": pa.array([row["p"] for row in rows], pair)})
    expected = rows[start : start + length]
    assert data_bridge.from_arrow(table.slice(start, length)).to_dicts() == expected
    (batch,) = table.to_batches()
    assert data_bridge.from_arrow(OnlyArray(batch.slice(start, length))).to_dicts() == expected
    assert data_bridge.from_arrow(batch.slice(start).slice(0, length)).to_dicts() == expected


def test_from_arrow_of_no_table() -> None:
    with pytest.raises((TypeError, ValueError)):
        data_bridge.from_arrow(pa.array([1]))
    with pytest.raises((TypeError, ValueError)):
        data_bridge.from_arrow(pa.chunked_array([[1]]))
    reader = pa.table({"a": [1]}).to_reader()
    assert data_bridge.from_arrow(reader).to_dicts() == [{"a": 1}]

    def failing() -> Any:
        yield pa.record_batch({"a": [1]})
        raise OSError("the disk is gone")

    broken = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), failing())
    with pytest.raises(ValueError, match="the disk is gone"):
        data_bridge.from_arrow(broken)


def test_notebook_view_escapes_and_never_queries(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([{"_id": i, "<b>": "<script>"} for i in range(20)])
    result = client[database.name].c.find().read()
    database.drop_collection("c")
    text = result._repr_html_()
    assert "<script>" not in text
    assert "<b>" not in text
    assert "&lt;script&gt;" in text
    assert "10 more rows" in text


def test_keywords_match_the_tables_of_options() -> None:
    """The types of keyword arguments name the options that the calls take, and no other."""
    from data_bridge.commands import options
    from data_bridge.query.table_options import TableKeywords, TableOptions

    assert set(TableKeywords.__annotations__) == set(TableOptions._fields)
    positional = {"skip", "limit", "no_cursor_timeout"}
    assert set(options.FindKeywords.__annotations__) == set(options.options_of("find")) - positional
    camel_case = {option.driver for option in options.options_of("aggregate").values()}
    both = {*options.options_of("aggregate"), *camel_case}
    assert set(options.AggregateKeywords.__annotations__) == both
