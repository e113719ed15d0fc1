"""Ray Data on the real engine: every document once, types, columns, writes, killed workers, no password."""

from __future__ import annotations

import os
import pickle
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine_sources
import pushdown_zoo as zoo
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pymongo.database import Database

from data_bridge import InvalidQuery, MongoClient
from data_bridge.engines.engine_types import ENGINE_TYPES

pytest.importorskip("ray.data")
import ray

pytestmark = pytest.mark.filterwarnings("default")  # those of Ray
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def kept() -> Iterator[str]:
    with engine_sources.kept() as uri:
        yield uri


@pytest.fixture(scope="module")
def session(kept: str) -> Iterator[Path]:
    """The directory of the logs of one Ray for all tests. Workers find the package where this process does."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([path for path in sys.path if path] + [str(TESTS / "support")])
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    context = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200_000_000)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield Path(context.address_info["session_dir"])
    ray.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="module")
def source(session: Path, pymongo_client: Any) -> Iterator[Database[Any]]:
    with engine_sources.loaded(pymongo_client, "data_bridge_ray") as database:
        yield database


@pytest.fixture(scope="module")
def ours(source: Database[Any], mongodb_uri: str) -> Iterator[Any]:
    """Our database."""
    with MongoClient(mongodb_uri) as client:
        yield client[source.name]


def table(dataset: Any) -> pa.Table:
    return pa.concat_tables(ray.get(dataset.to_arrow_refs()))


def test_read_and_write(ours: Any, source: Database[Any]) -> None:
    """The short test: documents with ids of 18 types come once, and are upserted by key."""
    dataset = ours.ids.find().partitions(8, infer_rows="all").to_ray()
    assert dataset.count() == source.ids.count_documents({})
    expected = Counter(ours.ids.find().to_arrow()["_id"].to_pylist())
    assert Counter(row["_id"] for row in dataset.iter_rows()) == expected
    numbered = ours.rows.find().partitions(4, infer_rows=100).to_ray().map_batches(doubled, batch_format="pyarrow")
    for written in (20_000, 0):
        result = ours.copy.task_writer("upsert").write_ray(numbered)
        assert (result.upserted_count, result.matched_count) == (written, 20_000 - written)
    assert source.copy.count_documents({"$expr": {"$eq": ["$a", {"$multiply": ["$_id", 2]}]}}) == 20_000


def doubled(batch: pa.Table) -> pa.Table:
    return batch.set_column(batch.column_names.index("a"), "a", pc.multiply(batch["a"], 2))


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 2, 3, 40])
def test_every_document_comes_once(ours: Any, parts: int) -> None:
    for query in (ours.ids.find(), ours.ids.aggregate([{"$set": {"x": 1}}])):
        dataset = query.partitions(parts, infer_rows="all").to_ray()
        found = Counter(table(dataset)["_id"].to_pylist())
        assert found == Counter(ours.ids.find().to_arrow()["_id"].to_pylist())


@pytest.mark.slow
@pytest.mark.parametrize("types", ["plain", "exact"])
def test_types(ours: Any, types: str) -> None:
    query = ours.c.find(types=types)
    found = table(query.partitions(5, infer_rows="all").to_ray()).sort_by("_id")
    expected = query.to_arrow()
    assert found.schema == expected.schema
    assert engine_sources.values(found) == engine_sources.values(expected)


@pytest.mark.slow
def test_the_table_of_types(ours: Any) -> None:
    types = ENGINE_TYPES["ray"]
    nulls = ours.c.aggregate([{"$project": {"z": {"$literal": None}, "t": 1, "s": 1}}])
    found = table(nulls.partitions(2, infer_rows="all").to_ray())
    assert (found.schema.field("z").type == pa.null()) == types.null_columns
    assert found.schema.field("t").type == pa.timestamp(types.timestamp_units[1], "UTC")
    assert found.schema.field("s").type == pa.string()
    exact = ours.c.find(types="exact").partitions(2, infer_rows="all").to_ray()
    assert (table(exact).schema.field("u").type == pa.uuid()) == types.extension_types


@pytest.mark.slow
def test_columns_reach_the_server(ours: Any, source: Database[Any]) -> None:
    partitions = ours.c.find().partitions(3, infer_rows="all")
    with zoo.profiled(source) as commands:
        assert partitions.to_ray().select_columns(["i"]).to_pandas().shape == (120, 1)
        one = commands()
        assert partitions.to_ray().count() == 120
        counted = commands()[len(one) :]
        assert len(partitions.to_ray().take(5)) == 5
    # None plans again: Ray asks for the tasks several times.
    assert {tuple(sorted(set(each["projection"]) - {"data_bridge_nowhere"})) for each in one} == {("i",)}
    assert all(set(each["projection"]) <= {"_id", "data_bridge_nowhere"} for each in counted)
    assert all("find" in each for each in one + counted)


@pytest.mark.slow
def test_empty_results(ours: Any) -> None:
    dataset = ours.nothing.find(schema={"_id": int, "a": float}).partitions().to_ray()
    assert dataset.count() == 0
    assert dataset.schema().names == ["_id", "a"]
    assert ours.copy_of_nothing.task_writer("insert").write_ray(dataset).rows == 0


@pytest.mark.slow
def test_inserts_need_an_id(ours: Any) -> None:
    dataset = ours.rows.find({}, {"_id": 0}).partitions(2, infer_rows=10).to_ray()
    with pytest.raises((InvalidQuery, ray.exceptions.RayTaskError), match="the rows have no _id"):
        ours.refused.task_writer("insert").write_ray(dataset)
    assert ours.refused.count_documents({}) == 0


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["upsert", "insert"])
def test_a_worker_is_killed(ours: Any, source: Database[Any], tmp_path: Path, operation: str) -> None:
    """In the middle of a read, and of a write whose first rows are stored."""
    from ray_killed import DiesOnce, KilledDatasink

    partitions = ours.rows.find(batch_size=500).partitions(2, infer_rows=100)
    dies = DiesOnce(str(tmp_path / "read"), 7000)
    read = partitions.to_ray().map_batches(dies.__call__, batch_size=500, batch_format="pyarrow")
    assert Counter(row["_id"] for row in read.iter_rows()) == Counter(range(20_000))
    assert (tmp_path / "read").exists()
    source.killed.drop()
    sink = KilledDatasink(ours.killed.task_writer(operation), str(tmp_path / "write"))
    partitions.to_ray().write_datasink(sink)
    assert int((tmp_path / "write").read_text()) > 0
    assert sink.result is not None
    assert sink.result.rows == 20_000
    assert list(source.killed.find().sort("_id", 1)) == list(source.rows.find().sort("_id", 1))


@pytest.mark.slow
def test_no_password_is_stored(session: Path, kept: str) -> None:
    with MongoClient(kept) as client:
        dataset = client.t.c.find().partitions(2, infer_rows=10, uri_env=engine_sources.KEPT_URI).to_ray()
        assert dataset.count() == 500
        writer = client.t.copy.task_writer("upsert", uri_env=engine_sources.KEPT_URI)
        assert writer.write_ray(dataset).upserted_count == 500
        with pytest.raises(Exception, match="without the credentials of its client") as caught:
            client.t.c.find().partitions(2, infer_rows=10).to_ray().materialize()
        assert engine_sources.SECRET not in str(caught.value)
        assert engine_sources.SECRET.encode() not in ray.cloudpickle.dumps(writer) + pickle.dumps(writer)
        assert engine_sources.SECRET not in repr(dataset) + str(dataset.stats())
    assert engine_sources.files_with(engine_sources.SECRET, session / "logs") == []
