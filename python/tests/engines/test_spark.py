"""PySpark on the real engine: every document once, types, filters, write modes, killed workers, no password."""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine_sources
import pushdown_zoo as zoo
import pyarrow as pa
import pytest
from bson import ObjectId
from pymongo.database import Database

from data_bridge import MongoClient
from data_bridge.engines.engine_types import ENGINE_TYPES

pytest.importorskip("pyspark.sql.datasource")

pytestmark = pytest.mark.filterwarnings("default")  # those of Spark
TESTS = Path(__file__).parents[1]
PUSHDOWN = "spark.sql.python.filterPushdown.enabled"


@pytest.fixture(scope="module")
def kept() -> Iterator[str]:
    with engine_sources.kept() as uri:
        yield uri


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spark")


@pytest.fixture(scope="module")
def spark(mongodb_uri: str, kept: str, directory: Path) -> Iterator[Any]:
    """One session for all tests. Its workers find the package where this process does."""
    from pyspark.sql import SparkSession

    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join([path for path in sys.path if path] + [str(TESTS / "support")]))
    patch.setenv("PYSPARK_PYTHON", sys.executable)
    patch.setenv("MONGODB_URI", mongodb_uri)
    patch.setenv("DATA_BRIDGE_KILL_MARK", str(directory / "mark"))
    (directory / "events").mkdir()
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.sql.session.timeZone": "UTC",
        # Pruning cached batches, Spark loses NaN.
        "spark.sql.inMemoryColumnarStorage.partitionPruning": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": (directory / "events").as_uri(),
        "spark.sql.warehouse.dir": str(directory / "warehouse"),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
        "spark.driver.host": "127.0.0.1",
    }
    builder = SparkSession.builder.master("local[2,4]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()
    patch.undo()


@pytest.fixture(scope="module")
def source(spark: Any, pymongo_client: Any) -> Iterator[Database[Any]]:
    with engine_sources.loaded(pymongo_client, "data_bridge_spark") as database:
        yield database


@pytest.fixture(scope="module")
def ours(source: Database[Any], mongodb_uri: str) -> Iterator[Any]:
    """Our database."""
    with MongoClient(mongodb_uri) as client:
        yield client[source.name]


def reader(spark: Any, collection: Any, **options: Any) -> Any:
    found = spark.read.format("data_bridge").option("database", collection.database.name)
    found = found.option("collection", collection.name)
    for name, value in options.items():
        found = found.option(name, value)
    return found


def read(spark: Any, collection: Any, **options: Any) -> Any:
    return reader(spark, collection, **options).load()


def write(frame: Any, collection: Any, mode: str = "append", **options: Any) -> None:
    writer = frame.write.format(options.pop("format", "data_bridge")).mode(mode)
    writer = writer.option("database", collection.database.name).option("collection", collection.name)
    for name, value in options.items():
        writer = writer.option(name, value)
    writer.save()


def test_read_and_write(spark: Any, ours: Any, source: Database[Any]) -> None:
    """The short test: documents with ids of 18 types come once, and are upserted by key. Spark finds the source."""
    frame = read(spark, ours.ids, partitions=8, infer_rows="all")
    assert frame.rdd.getNumPartitions() == 8
    expected = Counter(ours.ids.find().to_arrow()["_id"].to_pylist())
    assert Counter(row["_id"] for row in frame.select("_id").collect()) == expected
    rows = read(spark, ours.rows, partitions=4).selectExpr("_id", "a * 2 as a", "b", "s")
    for _ in range(2):
        write(rows, ours.copy, operation="upsert", on="_id")
    assert source.copy.count_documents({"$expr": {"$eq": ["$a", {"$multiply": ["$_id", 2]}]}}) == 20_000


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 2, 3, 40])
def test_every_document_comes_once(spark: Any, ours: Any, parts: int) -> None:
    expected = Counter(ours.ids.find().to_arrow()["_id"].to_pylist())
    for options in ({}, {"pipeline": '[{"$set": {"x": 1}}]'}):
        frame = read(spark, ours.ids, partitions=parts, infer_rows="all", **options)
        assert Counter(frame.toArrow()["_id"].to_pylist()) == expected


@pytest.mark.slow
def test_types(spark: Any, ours: Any) -> None:
    from data_bridge.engines.spark_types import spark_schema

    frame = read(spark, ours.c, partitions=3, infer_rows="all")
    expected = ours.c.find().to_arrow()
    found = frame.toArrow().sort_by("_id")
    wanted = expected.cast(spark_schema(expected.schema))
    assert engine_sources.values(found.cast(wanted.schema)) == engine_sources.values(wanted)
    names = dict(frame.dtypes)
    assert names["t"] == "timestamp"
    assert names["d"] == "decimal(18,1)"
    assert names["o"] == names["s"] == names["u"] == names["m"] == "string"
    assert names["n"].startswith("struct<x:int")
    assert names["y"] == "binary"


@pytest.mark.slow
def test_the_table_of_types(spark: Any, ours: Any) -> None:
    types = ENGINE_TYPES["spark"]
    pipeline = '[{"$project": {"z": {"$literal": null}, "t": 1, "i": 1}}]'
    frame = read(spark, ours.c, pipeline=pipeline, infer_rows="all", partitions=2)
    assert (dict(frame.dtypes)["z"] == "void") == types.null_columns
    assert frame.filter("z is null").count() == 120
    assert frame.select("t").toArrow().schema.field("t").type.unit == types.timestamp_units[0]
    assert not types.extension_types
    assert not types.unsigned


@pytest.mark.slow
def test_exact_types_are_refused(spark: Any, ours: Any) -> None:
    for exact in ("objectid", "uuid", "decimal"):
        with pytest.raises(Exception, match="has an extension type, and Spark has none"):
            read(spark, ours.c, infer_rows="all", **{exact: "exact"})
    frame = read(spark, ours.c, objectid="binary", uuid="binary", infer_rows="all")
    assert dict(frame.dtypes)["o"] == dict(frame.dtypes)["u"] == "binary"
    assert frame.count() == 120


CONDITIONS = [
    "i > 5",
    "i between 0 and 7",
    "f > 1.5d",
    "f < 5d",
    "f = double('nan')",
    "f >= double('nan')",
    "f = 0d",
    "s = 'a'",
    "s > 'a'",
    "s <> 'a'",
    "s in ('a', 'z')",
    "s not in ('a')",
    "s like 'a%'",
    "s like '%a'",
    "b",
    "not b",
    "b is null",
    "i is not null",
    "i <=> 5",
    "i <=> null",
    "n.x = 5",
    "n.x > 1 and i < 7",
    "i = 5 or s = 'z'",
    "t >= timestamp '2024-01-01 00:00:00'",
    "t = timestamp '2024-01-01 00:00:00.001'",
    "o = '000000000000000000000001'",
    "o like '%2'",
    "m = '5'",
    "size(l) > 0",
    "i = 9007199254740993",
    "_id in (1, 2, 3) and f is not null",
    "d > 1",
    "y = x'6279746573'",
]


@pytest.mark.slow
def test_filters_change_no_row(spark: Any, ours: Any) -> None:
    """With pushdown, without, and on a table that Spark has in memory."""
    memory = read(spark, ours.c, partitions=1, infer_rows="all").cache()
    assert memory.count() == 120
    # Text of a given schema takes no mixed values, and its decimals no negative zero.
    schema = memory.drop("m", "d").schema

    def scans(condition: str) -> list[Any]:
        """Fresh DataFrames: one for each scan."""
        options = {"partitions": 2, "infer_rows": "all", "pushdown": "single_scan"}
        found = [read(spark, ours.c, **options)]
        return (
            found
            if condition in ("m = '5'", "d > 1")
            else [*found, reader(spark, ours.c, **options).schema(schema).load()]
        )

    for condition in CONDITIONS:
        expected = sorted(row["_id"] for row in memory.filter(condition).select("_id").collect())
        for pushes in ("true", "false"):
            spark.conf.set(PUSHDOWN, pushes)
            try:
                for each in scans(condition):
                    found = sorted(row["_id"] for row in each.filter(condition).select("_id").collect())
                    assert found == expected, (condition, pushes)
            finally:
                spark.conf.unset(PUSHDOWN)


@pytest.mark.slow
def test_a_frame_that_is_used_in_several_scans(spark: Any, ours: Any) -> None:
    """Spark 4.3 would give all of them the filters that were pushed last: nothing is pushed by default."""
    spark.conf.set(PUSHDOWN, "true")
    try:
        frame = read(spark, ours.c, partitions=2, infer_rows="all")
        counts = [frame.filter(condition).count() for condition in ("i = 5", "true", "i = 5 or s = 'z'", "true")]
        assert counts[1] == counts[3] == 120
        both = frame.filter("i = 5").unionAll(frame.filter("s = 'a'"))
        assert both.count() == counts[0] + frame.filter("s = 'a'").count()
    finally:
        spark.conf.unset(PUSHDOWN)


@pytest.mark.slow
def test_the_commands_of_spark(spark: Any, ours: Any, source: Database[Any]) -> None:
    frame = read(spark, ours.c, partitions=1, infer_rows="all", pushdown="single_scan")
    spark.conf.set(PUSHDOWN, "true")
    try:
        for condition, conditions in [
            ("i > 5", [{"i": {"$gt": 5}}]),
            ("s = 'a'", [{"s": {"$in": ["a"]}}]),
            ("o = '000000000000000000000001'", [{"o": {"$in": [zoo.IDS[1]]}}]),
            ("n.x = 5", [{"n.x": {"$eq": 5}}]),
            ("t > timestamp '2024-01-01 00:00:00'", [{"t": {"$gt": zoo.START}}]),
        ]:
            with zoo.profiled(source) as commands:
                frame.filter(condition).select("_id").collect()
            sent = commands()[-1]["filter"]
            assert all(str(each)[1:-1] in str(sent) for each in conditions), (condition, sent)
        with zoo.profiled(source) as commands:
            read(spark, ours.c, partitions=1, infer_rows="all").filter("i > 5").count()
        assert commands()[-1]["filter"] == {}
    finally:
        spark.conf.unset(PUSHDOWN)
    with zoo.profiled(source) as commands:
        few = reader(spark, ours.c, partitions=2).schema("i bigint, o string").load()
        assert few.filter("i > 5").count() == ours.c.count_documents({"i": {"$gt": 5}})
    # Those of the plan have a limit.
    sent = [each["projection"] for each in commands() if "find" in each and "limit" not in each]
    assert sent
    assert {tuple(sorted(set(each) - {"data_bridge_nowhere"})) for each in sent} == {("i", "o")}


@pytest.mark.slow
def test_a_snapshot_and_options(spark: Any, ours: Any) -> None:
    options = {"filter": '{"_id": {"$lt": {"$numberLong": "10"}}}', "projection": '{"a": 1}', "snapshot": "true"}
    assert sorted(read(spark, ours.rows, **options).columns) == ["_id", "a"]
    assert read(spark, ours.rows, **options).count() == 10
    with pytest.raises(Exception, match="data_bridge has no option 'databse'"):
        read(spark, ours.rows, databse="x")
    with pytest.raises(Exception, match="the option uri has credentials"):
        read(spark, ours.rows, uri="mongodb://u:p@h/")
    with pytest.raises(Exception, match="the environment variable NOT_SET"):
        read(spark, ours.rows, uri_env="NOT_SET")


@pytest.mark.slow
def test_conflicts(spark: Any, ours: Any, source: Database[Any]) -> None:
    source.mixed.insert_many([{"_id": n, "a": n} for n in range(20)])
    source.mixed.insert_one({"_id": 20, "a": "text"})
    with pytest.raises(Exception, match="_id 20"):
        read(spark, ours.mixed, infer_rows=5).collect()
    assert read(spark, ours.mixed, infer_rows=5, on_conflict="null").filter("a is null").count() == 1
    rescued = read(spark, ours.mixed, infer_rows=5, on_conflict="rescue")
    assert rescued.columns == ["_id", "a", "_rescued"]
    assert [row["_id"] for row in rescued.filter("_rescued is not null").collect()] == [20]


@pytest.mark.slow
def test_appending(spark: Any, ours: Any, source: Database[Any]) -> None:
    rows = read(spark, ours.rows, partitions=2)
    for _ in range(2):
        write(rows, ours.appended)
    assert list(source.appended.find().sort("_id", 1)) == list(source.rows.find().sort("_id", 1))
    with pytest.raises(Exception, match="E11000"):
        write(rows.selectExpr("_id", "a + 1 as a"), ours.appended)
    with pytest.raises(Exception, match="the rows have no _id"):
        write(rows.select("a"), ours.refused)
    write(rows.select("a"), ours.twice, operation="insert_at_least_once")
    assert source.twice.count_documents({}) == 20_000
    source.people.insert_one({"_id": ObjectId("0" * 24), "n": 1})
    people = read(spark, ours.people)
    with pytest.raises(Exception, match="the key column '_id' is text"):
        write(people, ours.people, operation="upsert")
    write(people.selectExpr("_id", "n + 1 as n"), ours.people, operation="upsert", schema='{"_id": "objectid"}')
    assert list(source.people.find()) == [{"_id": ObjectId("0" * 24), "n": 2}]


@pytest.mark.slow
def test_overwriting(spark: Any, ours: Any, source: Database[Any]) -> None:
    source.create_collection("over", validator={"_id": {"$type": "number"}})
    source.over.insert_many([{"_id": -n, "old": n} for n in range(1, 50)])
    source.over.create_index([("a", -1)], name="by_a", sparse=True)
    rows = read(spark, ours.rows, partitions=2)
    write(rows, ours.over, mode="overwrite")
    assert list(source.over.find().sort("_id", 1)) == list(source.rows.find().sort("_id", 1))
    assert source.over.index_information()["by_a"]["sparse"]
    assert source.over.options()["validator"] == {"_id": {"$type": "number"}}
    write(rows.filter("a < 0"), ours.over, mode="overwrite")
    assert source.over.count_documents({}) == 0
    write(rows.limit(10), ours.brand_new, mode="overwrite")
    assert source.brand_new.count_documents({}) == 10
    source.command("create", "view", viewOn="rows", pipeline=[])
    with pytest.raises(Exception, match="is a view, which cannot be overwritten"):
        write(rows, ours.view, mode="overwrite")
    with pytest.raises(Exception, match="mode overwrite inserts all rows"):
        write(rows, ours.over, mode="overwrite", operation="upsert")
    assert not [name for name in source.list_collection_names() if "data_bridge_" in name]


@pytest.mark.slow
def test_an_overwrite_that_fails_changes_nothing(spark: Any, ours: Any, source: Database[Any]) -> None:
    from spark_killed import FailingSource

    spark.dataSource.register(FailingSource)
    source.stays.insert_many([{"_id": -n} for n in range(1, 50)])
    with pytest.raises(Exception, match="this write fails"):
        write(read(spark, ours.rows, partitions=2), ours.stays, mode="overwrite", format="data_bridge_failing")
    assert source.stays.count_documents({}) == source.stays.count_documents({"_id": {"$lt": 0}}) == 49
    assert not [name for name in source.list_collection_names() if "data_bridge_" in name]


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["upsert", "insert"])
def test_a_worker_is_killed(spark: Any, ours: Any, source: Database[Any], directory: Path, operation: str) -> None:
    from spark_killed import KilledSource

    spark.dataSource.register(KilledSource)
    mark = directory / "mark"
    mark.unlink(missing_ok=True)
    reads = spark.read.format("data_bridge_killed").option("database", source.name).option("collection", "rows")
    rows = reads.option("partitions", 2).option("batch_size", 500).load()
    assert Counter(rows.toArrow()["_id"].to_pylist()) == Counter(range(20_000))
    assert mark.exists()
    mark.unlink()
    source.killed.drop()
    plain = read(spark, ours.rows, partitions=2)
    write(plain, ours.killed, operation=operation, format="data_bridge_killed")
    assert int(mark.read_text()) > 0
    assert list(source.killed.find().sort("_id", 1)) == list(source.rows.find().sort("_id", 1))


@pytest.mark.slow
def test_no_password_is_stored(spark: Any, kept: str, directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with MongoClient(kept) as client:
        frame = read(spark, client.t.c, uri_env=engine_sources.KEPT_URI, partitions=2)
        assert frame.count() == 500
        write(frame, client.t.copy, operation="upsert", uri_env=engine_sources.KEPT_URI)
        write(frame, client.t.copy, mode="overwrite", uri_env=engine_sources.KEPT_URI)
        assert client.t.copy.count_documents({}) == 500
        with pytest.raises(Exception) as caught:  # noqa: PT011 - of any kind
            write(frame.selectExpr("_id", "a + 1 as a"), client.t.copy, uri_env=engine_sources.KEPT_URI)
        assert "E11000" in str(caught.value)
    frame.explain("extended")
    written = capfd.readouterr()
    for text in (str(caught.value), written.out, written.err, str(spark.sparkContext.getConf().getAll())):
        assert engine_sources.SECRET not in text
    assert engine_sources.files_with("SparkListenerJobStart", directory / "events") != []
    assert engine_sources.files_with(engine_sources.SECRET, directory / "events") == []


def test_the_module_that_spark_finds() -> None:
    import pyspark_data_bridge
    from data_bridge.engines.spark import DefaultSource

    assert pyspark_data_bridge.DefaultSource is DefaultSource
    assert DefaultSource.name() == "data_bridge"
    assert pa is not None
