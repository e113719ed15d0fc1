"""The report's hint after reads whose connection was the bottleneck."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import proxy as wire
import pytest
from proxy import Proxy
from pymongo.database import Database

from data_bridge import AsyncMongoClient, MongoClient, Report

Mongo = Database[dict[str, Any]]
ROWS = 3_000


@pytest.fixture
def loaded(database: Mongo) -> Mongo:
    database.c.insert_many([{"_id": i, "text": f"text {i % 7} " * 60} for i in range(ROWS)])
    return database


@pytest.fixture
def far(mongodb_uri: str, database: Mongo) -> Iterator[Proxy]:
    """A server whose replies, those to heartbeats included, take 20 ms longer."""
    address = database.client.address
    assert address is not None
    proxy = Proxy(address)
    proxy.spoil("", range(1, 10_000), wire.late(0.02))
    yield proxy
    proxy.close()


async def test_far_server(far: Proxy, loaded: Mongo) -> None:
    query = MongoClient(far.uri)[loaded.name].c.find(batch_size=100)
    result = query.read()
    assert query.report is not None
    assert query.report.hints == result.report.hints
    assert len(result.report.hints) == 1
    for part in ("waited", "ms away", "MB/s", "compressors=zstd"):
        assert part in result.report.hints[0]
    assert f"hint: {result.report.hints[0]}" in str(result.report)
    assert "compressors=zstd" in result.report._repr_html_()
    assert Report.merged([result.report, result.report]).hints == result.report.hints
    asynchronous = AsyncMongoClient(far.uri)[loaded.name].c.find(batch_size=100)
    assert len([document async for document in asynchronous]) == ROWS
    assert asynchronous.report is not None
    assert "compressors=zstd" in asynchronous.report.hints[0]
    ranges = MongoClient(far.uri)[loaded.name].c.find(batch_size=50, parallel=2).read()
    assert ranges.report.rows == ROWS


def test_reads_without_a_hint(far: Proxy, mongodb_uri: str, loaded: Mongo) -> None:
    near = MongoClient(mongodb_uri)[loaded.name].c
    compressed = MongoClient(far.uri, compressors="zstd")[loaded.name].c
    small = MongoClient(far.uri)[loaded.name].c
    for collection, limit in ((near, None), (compressed, None), (small, 10)):
        report = collection.find(batch_size=100, limit=limit).read().report
        assert report.rows == (limit or ROWS)
        assert report.hints == []
    assert "hint" not in str(report)
