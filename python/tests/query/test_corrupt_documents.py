"""A corrupt document: live reads give the documents before it, then raise; eager reads raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bson
import pyarrow as pa
import pytest
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from data_bridge import AsyncMongoClient, DecodeError, MongoClient, odm, read_bson

Mongo = Database[dict[str, Any]]

ROWS = 3_000


def valid(number: int) -> bytes:
    return bson.encode({"_id": number, "a": number, "text": "x" * (number % 50)})


def _spoilt(number: int, at: bytes, by: bytes) -> bytes:
    document = bson.encode({"_id": number, "a": number, "text": "abc", "flag": True})
    assert document.count(at) == 1
    return document.replace(at, by)


SPOILT: dict[str, Callable[[int], bytes]] = {
    "text that is not UTF-8": lambda number: _spoilt(number, b"abc\0", b"\xff\xfe\xfd\0"),
    "a key that is not UTF-8": lambda number: _spoilt(number, b"\x02text\0", b"\x02te\xfft\0"),
    "an unknown type": lambda number: _spoilt(number, b"\x02text\0", b"\x2atext\0"),
    "a boolean of 2": lambda number: _spoilt(number, b"flag\0\x01", b"flag\0\x02"),
    "a length that lies": lambda number: _spoilt(number, b"text\0\4", b"text\0\x7f"),
    "no end": lambda number: _spoilt(number, b"flag\0\x01\0", b"flag\0\x01\1"),
    "a document too short": lambda number: b"\4\0\0\0",
    "a document cut off": lambda number: b"\xff\0\0\0",
}


def dump(at: int, spoilt: bytes, rows: int = ROWS) -> bytes:
    documents = [valid(number) for number in range(rows)]
    documents[at] = spoilt
    return b"".join(documents)


def walk(documents: Any) -> tuple[list[Any], DecodeError]:
    """The documents, and the error behind them."""
    found: list[Any] = []
    with pytest.raises(DecodeError) as caught:
        found.extend(documents)
    assert list(documents) == []
    return found, caught.value


def oracle(data: bytes) -> list[dict[str, Any]]:
    """The documents that PyMongo gives before it raises."""
    found: list[dict[str, Any]] = []
    with pytest.raises(InvalidBSON):
        found.extend(bson.decode_iter(data))
    return found


@pytest.mark.parametrize("spoilt", SPOILT)
@pytest.mark.parametrize("at", [0, 1, 1_500, ROWS - 1])
def test_documents_of_a_dump(spoilt: str, at: int, tmp_path: Any) -> None:
    data = dump(at, SPOILT[spoilt](at))
    expected = oracle(data)
    assert len(expected) == at
    path = tmp_path / "c.bson"
    path.write_bytes(data)
    for query in (read_bson(data), read_bson(path), read_bson(iter([data]))):
        found, error = walk(iter(query))
        assert [document.to_dict() for document in found] == expected
        assert error.document == at
        if at > 0 and not spoilt.startswith("a document"):
            assert error.id == at
    for query in (read_bson(data), read_bson(path)):
        for eager in (query.read, query.to_arrow, query.to_list, query.to_dicts):
            with pytest.raises(DecodeError) as caught:
                eager()
            assert caught.value.document == at
        if at > 0:
            assert query.first() == expected[0]


@pytest.mark.parametrize("rows", [10, 3_000, 40_000])
def test_the_rows_do_not_depend_on_where_a_result_is_cut(rows: int) -> None:
    """40,000 documents are several pieces, which threads decode."""
    at = rows * 2 // 3
    data = dump(at, SPOILT["text that is not UTF-8"](at), rows)
    halves = [data[: data.index(valid(at // 2))], data[data.index(valid(at // 2)) :]]
    for query in (read_bson(data), read_bson(iter(halves))):
        found, error = walk(iter(query))
        assert [document["_id"] for document in found] == list(range(at))
        assert (error.document, error.id, error.path) == (at, at, ("text",))


@pytest.mark.parametrize("options", [{"schema": {"a": int}}, {"schema": {"a": int}, "on_conflict": "null"}, {}])
@pytest.mark.parametrize("at", [1, 1_500])
def test_batches_of_a_stream(options: dict[str, Any], at: int) -> None:
    data = dump(at, SPOILT["an unknown type"](at))
    for infer_rows in (10, 1_000, 10_000):
        batches, error = walk(read_bson(data, **options).stream(infer_rows=infer_rows))
        numbers = [number for batch in batches for number in pa.record_batch(batch).column("a").to_pylist()]
        assert numbers == list(range(at))
        assert error.document == at
    stream = read_bson(data, **options).stream(infer_rows=100)
    assert stream.schema.names == (["a"] if options else ["_id", "a", "text"])
    assert pa.schema(stream).field("a").type in (pa.int32(), pa.int64())


def test_a_consumer_of_a_stream_gets_the_error() -> None:
    data = dump(1_500, SPOILT["an unknown type"](1_500))
    reader = pa.RecordBatchReader.from_stream(read_bson(data, schema={"a": int}).stream())
    batches: list[pa.RecordBatch] = []
    with pytest.raises(pa.ArrowException, match="malformed BSON"):
        batches.extend(reader)
    assert sum(batch.num_rows for batch in batches) == 1_500


def test_conflicts() -> None:
    data = dump(20, SPOILT["a boolean of 2"](20))
    conflicts, error = walk(read_bson(data).conflicts({"a": str}))
    assert [conflict.document for conflict in conflicts] == list(range(20))
    assert error.document == 20


# ---- servers: mongod stores text that is not UTF-8 -------------------------------------------------------------------


@pytest.fixture
def corrupt(database: Mongo) -> Mongo:
    """3,000 documents, in the middle one text that is not UTF-8."""
    spoilt = SPOILT["text that is not UTF-8"]
    documents = [valid(number) for number in range(ROWS)]
    documents[1_500] = spoilt(1_500)
    database.c.insert_many([RawBSONDocument(document) for document in documents])
    return database


def models(database: Any, base: type[Any]) -> type[Any]:
    class Row(base):  # type: ignore[misc]
        id: int
        a: int
        text: str

        class Settings:
            name = "c"

    indexes = odm.init(database, [Row])
    if indexes is not None:
        indexes.close()  # type: ignore[unreachable]
    return Row


@pytest.mark.parametrize("batch_size", [1, 7, 1_000, None])
def test_rows_of_a_server(client: MongoClient, corrupt: Mongo, batch_size: int | None) -> None:
    options: dict[str, Any] = {"sort": "_id", "batch_size": batch_size}
    query = client[corrupt.name].c.find(**options)
    expected = list(corrupt.c.find({"_id": {"$lt": 1_500}}, sort=[("_id", 1)]))
    for read in (query, client[corrupt.name].c.find(**options, resume=True)):
        found, error = walk(iter(read))
        assert [document.to_dict() for document in found] == expected
        assert (error.document, error.id) == (1_500, 1_500)
    with pytest.raises(DecodeError):
        query.read()
    row = models(client[corrupt.name], odm.Document)
    for rows in (row.find(), row.find().fetch_links()):
        found, error = walk(iter(rows.sort("_id")))
        assert [instance.a for instance in found] == list(range(1_500))
        assert error.document == 1_500


async def collect(iterator: Any, found: list[Any]) -> None:
    async for each in iterator:
        found.append(each)


@pytest.mark.parametrize("batch_size", [1, 7, 1_000, None])
async def test_rows_of_a_server_asynchronously(mongodb_uri: str, corrupt: Mongo, batch_size: int | None) -> None:
    async with AsyncMongoClient(mongodb_uri) as client:
        query = client[corrupt.name].c.find(sort="_id", batch_size=batch_size)
        row = models(client[corrupt.name], odm.AsyncDocument)
        for rows in (query, row.find().sort("_id"), row.find().sort("_id").fetch_links()):
            found: list[Any] = []
            iterator = aiter(rows)
            with pytest.raises(DecodeError) as caught:
                await collect(iterator, found)
            assert [document["a"] for document in found] == list(range(1_500))
            assert caught.value.document == 1_500
            assert [each async for each in iterator] == []
        batches: list[Any] = []
        with pytest.raises(DecodeError):
            await collect(query.stream(infer_rows=100), batches)
        numbers = [number for batch in batches for number in pa.record_batch(batch).column("a").to_pylist()]
        assert numbers == list(range(1_500))
        with pytest.raises(DecodeError):
            await query.read()
