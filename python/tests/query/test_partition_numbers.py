"""Every number of partitions from 1 to 64, in every form of reading: the rows are those of one cursor."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import partition_keys as keys
import pyarrow as pa
import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from configured import prefetch_bytes

from data_bridge import AsyncMongoClient, from_arrow

RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
PIPELINE: list[Any] = [{"$match": {"even": {"$ne": True}}}, {"$set": {"copies": [1, 2]}}, {"$unwind": "$copies"}]
MOST = 64

Rows = Iterable[Any]


def tables(partitions: Any) -> Rows:
    """The documents of one table of all partitions: they have one schema."""
    table = pa.concat_tables([pa.table(part.to_arrow()) for part in partitions])
    return from_arrow(table).to_list()


def streams(partitions: Any) -> Rows:
    for part in partitions:
        with part.stream() as stream:
            for batch in stream:
                yield from from_arrow(batch).to_list()


FORMS: dict[str, Callable[[Any, int], Rows]] = {
    "documents": lambda query, n: (row for part in query.partitions(n, force=True) for row in part),
    "exact": lambda query, n: (row for part in query.partitions(n, exact=True, force=True) for row in part.to_list()),
    "pickled": lambda query, n: (
        row for part in pickle.loads(pickle.dumps(query.partitions(n, force=True))) for row in part
    ),
    "tables": lambda query, n: tables(query.partitions(n, infer_rows="all", force=True)),
    "streams": lambda query, n: streams(query.partitions(n, infer_rows="all", force=True)),
}


def in_tables(rows: Counter[str]) -> Counter[str]:
    """The same rows without the key of the null: tables do not tell it from a missing one."""
    return Counter({row.replace("{'_id': None, ", "{"): count for row, count in rows.items()})


@pytest.fixture(scope="module")
def ids(pymongo_client: Any) -> Iterator[Any]:
    database = pymongo_client["data_bridge_partition_numbers"]
    keys.store(database)
    yield database
    pymongo_client.drop_database(database)


@pytest.fixture
def small_ranges() -> Iterator[None]:
    """A limit with which small collections have many ranges."""
    with prefetch_bytes(64 << 10):
        yield


def expected(ids: Any, name: str, pipeline: bool) -> Counter[str]:
    stored = ids.get_collection(name, RAW)
    rows = keys.rows(stored.aggregate(PIPELINE) if pipeline else stored.find())
    assert max(rows.values()) == 1
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", [False, True], ids=["find", "aggregate"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", keys.NAMES)
def test_a_number_of_partitions(name: str, form: str, pipeline: bool, client: Any, ids: Any) -> None:
    rows = expected(ids, name, pipeline)
    collection = client[ids.name][name].with_options(types="exact")
    query = collection.aggregate(PIPELINE) if pipeline else collection.find()
    if form in ("tables", "streams"):
        rows = in_tables(rows)
    for n in range(1, MOST + 1):
        assert keys.rows(FORMS[form](query, n)) == rows, n


@pytest.mark.slow
@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("name", keys.NAMES)
def test_a_number_of_cursors(name: str, ordered: bool, client: Any, ids: Any, mongodb_uri: str) -> None:
    rows = expected(ids, name, pipeline=False)

    async def awaited(n: int) -> list[Any]:
        async with AsyncMongoClient(mongodb_uri) as other:
            return [row async for row in other[ids.name][name].find(parallel=n, ordered=ordered)]

    for n in range(1, MOST + 1):
        query = client[ids.name][name].find(parallel=n, ordered=ordered, types="exact")
        assert keys.rows(query) == rows, n
        assert n == 1 or " ranges of _id, " in query.report.plan
        assert keys.rows(from_arrow(query.to_arrow()).to_list()) == in_tables(rows), n
        with query.stream() as stream:
            assert keys.rows(row for batch in stream for row in from_arrow(batch).to_list()) == in_tables(rows), n
        assert keys.rows(asyncio.run(awaited(n))) == rows, n
