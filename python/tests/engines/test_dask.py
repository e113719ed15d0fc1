"""Dask on the real engine: every document once, types, columns, writes, deterministic keys without a password."""

from __future__ import annotations

import os
import pickle
from collections import Counter
from collections.abc import Iterator
from typing import Any

import engine_sources
import pandas as pd
import pushdown_zoo as zoo
import pyarrow as pa
import pytest
from pymongo.database import Database

from data_bridge import InvalidQuery, MongoClient
from data_bridge.engines.engine_types import ENGINE_TYPES

dask = pytest.importorskip("dask")
pytest.importorskip("dask.dataframe")

pytestmark = pytest.mark.filterwarnings("default")  # those of Dask


@pytest.fixture(scope="module")
def source(pymongo_client: Any) -> Iterator[Database[Any]]:
    with engine_sources.loaded(pymongo_client, "data_bridge_dask") as database:
        yield database


@pytest.fixture(scope="module")
def ours(source: Database[Any], mongodb_uri: str) -> Iterator[Any]:
    """Our database."""
    with MongoClient(mongodb_uri) as client:
        yield client[source.name]


def ids(frame: Any) -> Counter[Any]:
    return Counter(pa.array(frame["_id"].compute()).to_pylist())


def test_read_and_write(ours: Any, source: Database[Any]) -> None:
    """The short test: documents with ids of 18 types come once, and are upserted by key."""
    frame = ours.ids.find().partitions(8, infer_rows="all").to_dask()
    assert frame.npartitions == 8
    assert ids(frame) == Counter(ours.ids.find().to_arrow()["_id"].to_pylist())
    rows = ours.rows.find().partitions(4, infer_rows=100).to_dask()
    rows["a"] = rows["a"] * 2
    for written in (20_000, 0):
        result = ours.copy.task_writer("upsert").write_dask(rows)
        assert (result.upserted_count, result.matched_count) == (written, 20_000 - written)
    assert source.copy.count_documents({"$expr": {"$eq": ["$a", {"$multiply": ["$_id", 2]}]}}) == 20_000


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 2, 3, 40])
def test_every_document_comes_once(ours: Any, parts: int) -> None:
    for query in (ours.ids.find(), ours.ids.aggregate([{"$set": {"x": 1}}])):
        frame = query.partitions(parts, infer_rows="all").to_dask()
        assert ids(frame) == Counter(ours.ids.find().to_arrow()["_id"].to_pylist())


@pytest.mark.xfail(
    pd.__version__ < "3",
    raises=OverflowError,
    reason="pandas 2 joins dates as datetimes, also those that these cannot hold",
)
@pytest.mark.parametrize("types", ["plain", "exact"])
def test_types(ours: Any, types: str) -> None:
    query = ours.c.find(types=types)
    frame = query.partitions(5, infer_rows="all").to_dask()
    expected = query.to_pandas()
    found = frame.compute().sort_values("_id").reset_index(drop=True)
    assert dict(found.dtypes) == dict(expected.dtypes) == dict(frame.dtypes)
    tables = [pa.Table.from_pandas(each, preserve_index=False) for each in (found, expected)]
    assert engine_sources.values(tables[0]) == engine_sources.values(tables[1])


def test_the_table_of_types(ours: Any) -> None:
    types = ENGINE_TYPES["dask"]
    nulls = ours.c.aggregate([{"$project": {"z": {"$literal": None}, "t": 1, "s": 1}}])
    frame = nulls.partitions(2, infer_rows="all").to_dask()
    assert frame["z"].isna().sum().compute() == 120
    assert (str(frame.dtypes["z"]) == "null[pyarrow]") == types.null_columns
    assert str(frame.dtypes["t"]) == f"timestamp[{types.timestamp_units[1]}, tz=UTC][pyarrow]"
    assert str(frame.dtypes["s"]) == "string[pyarrow]"
    exact = ours.c.find(types="exact").partitions(2, infer_rows="all").to_dask()
    assert ("extension" in str(exact.dtypes["o"])) == types.extension_types


def test_columns_reach_the_server(ours: Any, source: Database[Any]) -> None:
    frame = ours.c.find().partitions(3, infer_rows="all").to_dask()
    with zoo.profiled(source) as commands:
        assert int(frame["i"].count().compute()) == ours.c.count_documents({"i": {"$ne": None}})
        one = [each for each in commands() if "find" in each]
    assert {tuple(sorted(set(each["projection"]) - {"data_bridge_nowhere"})) for each in one} == {("i",)}
    assert len(frame) == len(frame.index) == len(frame[["s"]]) == 120


def test_keys_are_deterministic(ours: Any) -> None:
    def keys() -> list[str]:
        frame = ours.rows.find({"a": {"$gt": 5}}, schema={"a": int}).partitions(3, exact=True).to_dask()
        return sorted(map(str, frame.optimize().__dask_graph__()))

    assert keys() == keys()


def test_other_processes(ours: Any, source: Database[Any], mongodb_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", mongodb_uri)
    partitions = ours.rows.find().partitions(3, infer_rows=10, uri_env="MONGODB_URI")
    with dask.config.set(scheduler="processes", num_workers=2):
        frame = partitions.to_dask()
        assert int(frame["a"].sum().compute()) == sum(range(20_000))
        writer = ours.elsewhere.task_writer("insert", uri_env="MONGODB_URI")
        assert [writer.write_dask(frame).inserted_count, writer.write_dask(frame).matched_count] == [20_000, 20_000]


def test_refusals(ours: Any) -> None:
    frame = ours.rows.find({}, {"_id": 0}).partitions(2, infer_rows=10).to_dask()
    with pytest.raises(InvalidQuery, match="the rows have no _id"):
        ours.refused.task_writer("insert").write_dask(frame)
    empty = ours.nothing.find(schema={"_id": int, "a": float}).partitions().to_dask()
    assert len(empty) == 0
    assert ours.copy_of_nothing.task_writer("insert").write_dask(empty).rows == 0
    assert isinstance(empty.compute(), pd.DataFrame)


@pytest.mark.slow
def test_no_password_in_keys_and_graphs() -> None:
    with engine_sources.kept() as uri, MongoClient(uri) as client:
        frame = client.t.c.find().partitions(2, infer_rows=10, uri_env=engine_sources.KEPT_URI).to_dask()
        graph = frame.optimize().__dask_graph__()
        assert engine_sources.SECRET not in str(list(graph)) + repr(graph) + str(graph)
        assert engine_sources.SECRET.encode() not in pickle.dumps(list(graph.values()))
        with dask.config.set(scheduler="processes", num_workers=2):
            assert len(frame) == 500
            assert os.environ[engine_sources.KEPT_URI] == uri
            writer = client.t.copy.task_writer("upsert", uri_env=engine_sources.KEPT_URI)
            assert writer.write_dask(frame).upserted_count == 500
