"""Memory: what an eager read may keep, what a slow consumer costs, and 10 GB through little of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

import data_bridge
from data_bridge import AsyncMongoClient, MongoClient, ResultTooLarge, read_bson

Mongo = Database[dict[str, Any]]
MB = 1 << 20

# Documents that no disk holds: `rows(count, size)` gives so many of about so many bytes.
CHILD = """
import json, sys, time
import data_bridge

def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name + ":"))

def rows(count, size):
    outer = min(count, 1000)
    return client.admin.aggregate([
        {"$documents": [{"i": {"$range": [0, outer]}}]},
        {"$unwind": "$i"},
        {"$set": {"j": {"$range": [0, count // outer]}}},
        {"$unwind": "$j"},
        {"$project": {"i": 1, "j": 1, "s": "x" * (size - 40)}},
    ])

client = data_bridge.MongoClient(sys.argv[1])
rows(100, 1000).to_dicts()  # threads, pools and modules are there before anything is measured
"""


def child(uri: str, code: str, *arguments: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", CHILD + code, uri, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture
def limit() -> Iterator[int]:
    data_bridge.config(max_result_bytes=MB)
    yield MB
    data_bridge.config(max_result_bytes=0)


@pytest.fixture
def large(database: Mongo) -> str:
    """About 2 MB."""
    database.c.insert_many([{"_id": i, "s": "x" * 1000} for i in range(2_000)])
    return database.name


def test_an_eager_read_that_is_too_large(
    client: MongoClient, large: str, limit: int, pymongo_client: Any, mongodb_uri: str
) -> None:
    query = client[large].c.find(batch_size=100)
    for read in (query.read, query.to_dicts, query.to_arrow, query.to_polars):
        with pytest.raises(ResultTooLarge, match=r"stream\(\)") as caught:
            read()
        error = caught.value
        assert error.limit == limit
        assert limit < error.bytes < limit + 200_000  # one reply more, and no further
        assert f"{error.bytes} bytes" in str(error)
    assert query.report is not None
    assert isinstance(query.report.error, ResultTooLarge)
    # What keeps nothing has no such limit, and what is smaller is read.
    assert sum(1 for _ in query) == 2_000
    assert sum(batch.num_rows for batch in query.stream()) == 2_000
    assert len(query.limit(900).read()) == 900
    document = client[large].c.find_one()
    assert document is not None

    async def read_async() -> None:
        async with AsyncMongoClient(mongodb_uri) as other:
            with pytest.raises(ResultTooLarge):
                await other[large].c.find().read()

    import asyncio

    asyncio.run(read_async())


def test_bytes_and_files_have_the_same_limit(limit: int, tmp_path: Any) -> None:
    import bson

    data = bson.encode({"s": "x" * 1000}) * 2_000
    path = tmp_path / "large.bson"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(ResultTooLarge):
            read_bson(source).read()
        assert sum(1 for _ in read_bson(source)) == 2_000
    assert len(read_bson(data[: len(data) // 4]).read()) == 500


@pytest.mark.parametrize("what", [{"max_result_bytes": -1}, {"slow_seconds": -1}, {"slow_seconds": float("nan")}])
def test_settings_out_of_range(what: dict[str, Any]) -> None:
    before = data_bridge.config()
    with pytest.raises(ValueError, match="must be 0 or more"):
        data_bridge.config(**what)
    for name in what:
        with pytest.raises(TypeError):
            data_bridge.config(**{name: "1"})
    assert data_bridge.config() == before


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@needs_proc
@pytest.mark.parametrize("how", ["iter(q)", "iter(q.stream())"])
def test_a_slow_consumer_holds_the_budget_and_no_more(mongodb_uri: str, how: str) -> None:
    code = """
q = rows(400_000, 10_000)  # 4 GB
it = eval(sys.argv[2])
next(it)
before = kilobytes("VmRSS")
time.sleep(2)  # for 300 MB, if nothing held them back
print(json.dumps([kilobytes("VmRSS") - before, kilobytes("VmHWM")]))
"""
    grown, peak = child(mongodb_uri, code, how)
    assert grown << 10 <= 128 * MB
    assert peak << 10 <= 400 * MB


@needs_proc
def test_under_a_ceiling_the_limit_comes_first(mongodb_uri: str) -> None:
    """An allocation that the system refuses ends the process, so a limit has to be set before it does."""
    code = """
import resource
data_bridge.config(max_result_bytes=100 << 20)
ceiling = (kilobytes("VmSize") << 10) + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
try:
    rows(400_000, 10_000).read()
except data_bridge.ResultTooLarge as error:
    print(json.dumps([error.bytes, len(rows(1_000, 10_000).read()), kilobytes("VmHWM")]))
"""
    received, after, peak = child(mongodb_uri, code)
    assert 100 * MB < received <= 120 * MB
    assert after == 1_000
    assert peak << 10 <= 500 * MB


@needs_proc
def test_a_table_takes_little_more_than_itself(mongodb_uri: str) -> None:
    """At most 1.5 times the table, and what may be prefetched: `make scaling` measures how much it is."""
    code = """
import pyarrow
q = client.admin.aggregate([
    {"$documents": [{"i": {"$range": [0, 1000]}}]}, {"$unwind": "$i"},
    {"$set": {"j": {"$range": [0, 500]}}}, {"$unwind": "$j"},
    {"$project": {"i": 1, "j": 1, "k": {"$add": ["$i", "$j"]}, "d": {"$multiply": ["$i", 1.5]}, "s": "x" * 200}},
])
before = kilobytes("VmRSS")
table = q.to_arrow()
print(json.dumps([table.nbytes, kilobytes("VmHWM") - before, table.num_rows]))
"""
    size, peak, count = child(mongodb_uri, code)
    assert count == 500_000
    assert size > 100 * MB
    assert peak << 10 <= 1.5 * size + 32 * MB + 64 * MB


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize(
    "count_rows",
    ["sum(batch.num_rows for batch in q.stream())", "sum(1 for document in q if document['j'] >= 0)"],
    ids=["stream", "iteration"],
)
def test_ten_gigabytes_in_half_of_one(mongodb_uri: str, count_rows: str) -> None:
    code = f"""
q = rows(1_000_000, 10_000)
count = {count_rows}
print(json.dumps([count, q.report.bytes, kilobytes("VmHWM")]))
"""
    count, received, peak = child(mongodb_uri, code)
    assert count == 1_000_000
    assert received >= 9.9e9
    assert peak << 10 <= 512 * MB
