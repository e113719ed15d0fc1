"""Distributed engines that aggregate two columns of a collection, beside their usual readers: a part of `make bench`.

Each measurement is a process of its own. The start of the engine, and a first read of a small collection with the same
reader, come before the clock starts; planning is measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from pymongo import MongoClient

from measure import in_child
from shapes import ALL, DATABASE, load

COLUMNS = {"nested": ("total", "number"), "flat": ("x", "a")}
"""The column that is added up, and the one whose maximum is found."""
WARM = "warm"
WARM_DOCUMENTS = 1_000
WORKERS = 2
PARTS = 8

Answer = tuple[float, int]


class Target(NamedTuple):
    """The input of a job."""

    uri: str
    collection: str
    columns: tuple[str, str]


Job = Callable[[Target], Answer]
JOBS: dict[tuple[str, str], tuple[Callable[[], Any], Job]] = {}
"""(engine, reader): the start of the engine, and the job."""


def job(engine: str, reader: str, start: Callable[[], Any]) -> Callable[[Job], Job]:
    def register(function: Job) -> Job:
        JOBS[engine, reader] = start, function
        return function

    return register


def no_start() -> None:
    """Start nothing."""


def ours(target: Target) -> Any:
    import data_bridge

    return data_bridge.MongoClient(target.uri)[DATABASE][target.collection].find()


def bounds(target: Target) -> list[Any]:
    """Return ids between parts, from a sample, as readers of one type of ids split a collection."""
    with MongoClient[dict[str, Any]](target.uri) as client:
        stages: list[dict[str, Any]] = [{"$sample": {"size": 20 * PARTS}}, {"$project": {"_id": 1}}]
        ids = sorted(each["_id"] for each in client[DATABASE][target.collection].aggregate(stages))
    return [ids[len(ids) * part // PARTS] for part in range(1, PARTS)]


def filters(target: Target) -> list[dict[str, Any]]:
    keys = [None, *bounds(target), None]
    return [
        {"_id": {name: key for name, key in (("$gte", lower), ("$lt", upper)) if key is not None}}
        if lower or upper
        else {}
        for lower, upper in pairwise(keys)
    ]


# ---- a socket --------------------------------------------------------------------------------------------------------


@job("socket", "two columns, dropped", no_start)
def drain(target: Target) -> Answer:
    from socket_drain import SocketDrain

    SocketDrain(target.uri).drain(
        DATABASE,
        {"find": target.collection, "filter": {}, "projection": {"_id": 0, **dict.fromkeys(target.columns, 1)}},
    )
    return 0.0, 0


@job("socket", "all columns, dropped", no_start)
def drain_all(target: Target) -> Answer:
    from socket_drain import SocketDrain

    SocketDrain(target.uri).drain(DATABASE, {"find": target.collection, "filter": {}})
    return 0.0, 0


# ---- Ray -------------------------------------------------------------------------------------------------------------


def start_ray() -> None:
    import ray

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False


def by_ray(dataset: Any, target: Target) -> Answer:
    from ray.data.aggregate import Max, Sum

    added, largest = target.columns
    found = dataset.aggregate(Sum(added), Max(largest))
    return found[f"sum({added})"], found[f"max({largest})"]


@job("ray", "data_bridge", start_ray)
def our_ray(target: Target) -> Answer:
    dataset = ours(target).partitions(PARTS, infer_rows=100).to_ray()
    return by_ray(dataset.select_columns(list(target.columns)), target)


@job("ray", "data_bridge, all columns", start_ray)
def our_whole_ray(target: Target) -> Answer:
    return by_ray(ours(target).partitions(PARTS, infer_rows=100).to_ray(), target)


@job("ray", "read_mongo", start_ray)
def read_mongo(target: Target) -> Answer:
    import ray

    return by_ray(ray.data.read_mongo(target.uri, DATABASE, target.collection, override_num_blocks=PARTS), target)


@job("ray", "read_mongo, $project", start_ray)
def read_mongo_projected(target: Target) -> Answer:
    import ray

    pipeline = [{"$project": {"_id": 0, **dict.fromkeys(target.columns, 1)}}]
    dataset = ray.data.read_mongo(target.uri, DATABASE, target.collection, pipeline=pipeline, override_num_blocks=PARTS)
    return by_ray(dataset, target)


# ---- Dask ------------------------------------------------------------------------------------------------------------


def by_dask(frame: Any, target: Target) -> Answer:
    import dask

    added, largest = target.columns
    found = dask.compute(frame[added].sum(), frame[largest].max(), num_workers=WORKERS)
    return float(found[0]), int(found[1])


@job("dask", "data_bridge", no_start)
def our_dask(target: Target) -> Answer:
    return by_dask(ours(target).partitions(PARTS, infer_rows=100).to_dask(), target)


def read_pandas(filter: dict[str, Any], target: Target, schema: Any) -> Any:
    from pymongoarrow.api import find_pandas_all

    with MongoClient[dict[str, Any]](target.uri) as client:
        return find_pandas_all(client[DATABASE][target.collection], filter, schema=schema)


def by_pymongoarrow(target: Target, schema: Any) -> Answer:
    import dask.dataframe as dd

    meta = read_pandas({}, target._replace(collection=WARM), schema).iloc[:0]
    return by_dask(dd.from_map(read_pandas, filters(target), target=target, schema=schema, meta=meta), target)


@job("dask", "pymongoarrow", no_start)
def dask_pymongoarrow(target: Target) -> Answer:
    return by_pymongoarrow(target, None)


@job("dask", "pymongoarrow, a schema", no_start)
def dask_pymongoarrow_schema(target: Target) -> Answer:
    from pymongoarrow.schema import Schema

    return by_pymongoarrow(target, Schema({target.columns[0]: float, target.columns[1]: int}))


# ---- Spark -----------------------------------------------------------------------------------------------------------


def start_spark() -> None:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(f"local[{WORKERS}]").config("spark.ui.enabled", "false")
    session = builder.config("spark.driver.memory", "1g").config("spark.driver.host", "127.0.0.1").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")


def by_spark(format: str, target: Target) -> Answer:
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    added, largest = target.columns
    reader = spark.read.format(format).schema(f"{added} double, {largest} int").option("database", DATABASE)
    frame = reader.option("collection", target.collection).option("partitions", PARTS).load()
    [row] = frame.selectExpr(f"sum({added}) as added", f"max({largest}) as largest").collect()
    return row["added"], row["largest"]


@job("spark", "data_bridge", start_spark)
def our_spark(target: Target) -> Answer:
    return by_spark("data_bridge", target)


def plain_source(target: Target, projected: bool) -> Answer:
    """Read by a data source as Spark's documentation shows one: it yields tuples."""
    from pyspark.sql import SparkSession
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

    class Part(InputPartition):
        def __init__(self, filter: dict[str, Any]) -> None:
            self.filter = filter

    class Reader(DataSourceReader):
        def __init__(self, schema: Any) -> None:
            self.names = schema.names

        def partitions(self) -> list[Any]:
            return [Part(each) for each in parts]

        def read(self, partition: Any) -> Iterator[tuple[Any, ...]]:
            import pymongo

            with pymongo.MongoClient[dict[str, Any]](target.uri) as client:
                projection = {"_id": 0, **dict.fromkeys(self.names, 1)} if projected else None
                for document in client[DATABASE][target.collection].find(partition.filter, projection):
                    yield tuple(document.get(name) for name in self.names)

    class Plain(DataSource):
        @classmethod
        def name(cls) -> str:
            return "plain_pymongo"

        def reader(self, schema: Any) -> Any:
            return Reader(schema)

    parts = filters(target)
    SparkSession.builder.getOrCreate().dataSource.register(Plain)
    return by_spark("plain_pymongo", target)


@job("spark", "pymongo", start_spark)
def spark_pymongo(target: Target) -> Answer:
    return plain_source(target, projected=False)


@job("spark", "pymongo, a projection", start_spark)
def spark_pymongo_projected(target: Target) -> Answer:
    return plain_source(target, projected=True)


# ---- measurements ----------------------------------------------------------------------------------------------------


def measure(engine: str, reader: str, shape: str) -> None:
    """Run one job once; print its seconds and its answer. In the child."""
    start, function = JOBS[engine, reader]
    target = Target(os.environ["MONGODB_URI"], shape, COLUMNS[shape])
    start()
    function(target._replace(collection=WARM))
    begun = time.perf_counter()
    answer = function(target)
    print(json.dumps([time.perf_counter() - begun, *answer]))


def is_installed(engine: str, reader: str) -> bool:
    modules = {"ray": "ray", "dask": "dask", "spark": "pyspark"}.get(engine, "pymongo"), reader.split(",")[0]
    known = ("pymongoarrow", "data_bridge")
    return all(importlib.util.find_spec(name) for name in modules if name in (*known, "ray", "dask", "pyspark"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--shapes", nargs="+", choices=COLUMNS, default=["nested", "flat"])
    parser.add_argument("--engines", nargs="+", choices=["ray", "dask", "spark"], default=["ray", "dask", "spark"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        measure(*options.child)
        return
    uri = os.environ["MONGODB_URI"]
    for shape in options.shapes:
        with MongoClient[dict[str, Any]](uri) as client:
            count, size = load(client, shape, options.documents / ALL[shape].documents)
            warm = list(client[DATABASE][shape].find(limit=WARM_DOCUMENTS))
            client[DATABASE][WARM].drop()
            client[DATABASE][WARM].insert_many(warm)
        print(f"\n{shape}: {count:,} documents of {size / count:.0f} bytes; {WORKERS} workers, {PARTS} partitions")
        compare(shape, options.engines, options.rounds)


def compare(shape: str, engines: list[str], rounds: int) -> None:
    """Measure all jobs on a shape, and print them."""
    chosen = [key for key in JOBS if key[0] in (*engines, "socket") and is_installed(*key)]
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in chosen}
    failed: dict[tuple[str, str], str] = {}
    answers: dict[tuple[str, str], Any] = {}
    for _ in range(rounds):
        for key in chosen:
            found = in_child(Path(__file__), ["--child", *key, shape])
            print(f"  {', '.join(key)}: {found if isinstance(found, str) else found[0]}", file=sys.stderr, flush=True)
            if isinstance(found, str):
                failed[key] = found
            else:
                seconds[key].append(found[0])
                answers[key] = [round(found[1], 3), found[2]]
    for key in chosen:
        engine, reader = key
        if not seconds[key]:
            print(f"{engine:<8}{reader:<28}failed: {failed[key][:150]}")
            continue
        own = seconds.get((engine, "data_bridge"))
        ratio = f"{statistics.median(seconds[key]) / statistics.median(own):6.2f} x data_bridge" if own else ""
        wrong = "" if engine == "socket" or answers[key] == answers.get((engine, "data_bridge")) else "; another answer"
        print(f"{engine:<8}{reader:<28}{statistics.median(seconds[key]):8.2f} s  {ratio}{wrong}", flush=True)


if __name__ == "__main__":
    main()
