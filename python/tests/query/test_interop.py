"""Arrow consumers: each runs the query once, and takes a result's memory as it is."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pymongo.database import Database

from data_bridge import MongoClient, Query, Result, SchemaConflict

Mongo = Database[dict[str, Any]]
ROWS = 2000
TOTAL = sum(range(ROWS))


@pytest.fixture
def profiled(database: Mongo) -> Mongo:
    """A collection `c` in a database whose profiler writes down every query."""
    database.c.insert_many(
        [{"_id": i, "a": i, "s": f"text {i}", "n": {"x": i, "l": [i, i + 1]}, "f": i / 2} for i in range(ROWS)]
    )
    database.command("profile", 2)
    return database


def runs(database: Mongo, comment: str) -> int:
    """Return the number of times that the server ran a find with this comment."""
    return database.system.profile.count_documents({"command.comment": comment, "op": "query"})


def duck(data: Any) -> int:
    with duckdb.connect() as connection:
        ((total,),) = connection.sql("select sum(a) from data").fetchall()  # finds the variable `data`
    return int(total)


CONSUMERS: dict[str, Callable[[Any], int]] = {
    "pyarrow.table": lambda q: int(pc.sum(pa.table(q)["a"]).as_py()),
    "pyarrow.RecordBatchReader": lambda q: int(pc.sum(pa.RecordBatchReader.from_stream(q).read_all()["a"]).as_py()),
    "polars.DataFrame": lambda q: int(pl.DataFrame(q)["a"].sum()),
    "polars.LazyFrame": lambda q: int(pl.LazyFrame(q).select(pl.col("a").sum()).collect().item()),
    "duckdb": duck,
    "duckdb.from_arrow": lambda q: int(duckdb.from_arrow(q).aggregate("sum(a)").fetchall()[0][0]),
    "to_arrow": lambda q: int(pc.sum(q.to_arrow()["a"]).as_py()),
    "to_polars": lambda q: int(q.to_polars()["a"].sum()),
    "to_pandas": lambda q: int(q.to_pandas()["a"].sum()),
    "iteration": lambda q: sum(document["a"] for document in q),
    "stream": lambda q: sum(pc.sum(pa.table(batch)["a"]).as_py() for batch in q.stream()),
    "pyarrow of a stream": lambda q: int(pc.sum(pa.table(q.stream())["a"]).as_py()),
}
if hasattr(pd.DataFrame, "from_arrow"):  # of pandas 3, which needs Python 3.11
    CONSUMERS["pandas.DataFrame"] = lambda q: int(pd.DataFrame.from_arrow(q)["a"].sum())


@pytest.mark.parametrize("given", [False, True], ids=["inferred", "given"])
@pytest.mark.parametrize("consumer", CONSUMERS.values(), ids=CONSUMERS.keys())
def test_each_consumer_runs_the_query_once(
    client: MongoClient, profiled: Mongo, consumer: Callable[[Any], int], given: bool
) -> None:
    comment = uuid.uuid4().hex
    schema = pa.schema({"a": pa.int64()}) if given else None
    query = client[profiled.name].c.find({}, comment=comment, schema=schema, batch_size=500)
    assert runs(profiled, comment) == 0
    assert consumer(query) == TOTAL
    assert runs(profiled, comment) == 1


def duck_rows(data: Any) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        relation = connection.sql("select * from data")
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def duck_count(data: Any) -> int:
    with duckdb.connect() as connection:
        ((count,),) = connection.sql("select count(*) from data").fetchall()
    return int(count)


ROWS_OF: dict[str, Callable[[Any], list[dict[str, Any]]]] = {
    "pyarrow": lambda q: list(pa.table(q).to_pylist()),
    "polars": lambda q: pl.DataFrame(q).to_dicts(),
    "to_pandas": lambda q: list(q.to_pandas().to_dict("records")),
    "duckdb": duck_rows,
}
if hasattr(pd.DataFrame, "from_arrow"):
    ROWS_OF["pandas"] = lambda q: list(pd.DataFrame.from_arrow(q).to_dict("records"))


@pytest.mark.parametrize("rows", ROWS_OF.values(), ids=ROWS_OF.keys())
def test_each_consumer_has_the_rows_of_pymongo(
    client: MongoClient, profiled: Mongo, rows: Callable[[Any], list[dict[str, Any]]]
) -> None:
    comment = uuid.uuid4().hex
    query = client[profiled.name].c.find({}, sort="_id", comment=comment, batch_size=500)
    assert plain(rows(query)) == list(profiled.c.find(sort={"_id": 1}))
    assert runs(profiled, comment) == 1


def plain(value: Any) -> Any:
    """Without numpy, whose arrays pandas gives for lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, np.ndarray)):
        return [plain(item) for item in value]
    return value


def test_duckdb_counts(client: MongoClient, profiled: Mongo) -> None:
    comment = uuid.uuid4().hex
    assert duck_count(client[profiled.name].c.find({}, comment=comment)) == ROWS
    assert runs(profiled, comment) == 1


@pytest.mark.parametrize("consumer", [CONSUMERS[name] for name in CONSUMERS if "stream" not in name])
def test_a_result_is_taken_any_number_of_times(
    client: MongoClient, profiled: Mongo, consumer: Callable[[Any], int]
) -> None:
    comment = uuid.uuid4().hex
    result = client[profiled.name].c.find({}, comment=comment).read()
    assert consumer(result) == TOTAL
    assert consumer(result) == TOTAL
    assert runs(profiled, comment) == 1


def test_the_schema_hook_starts_the_run_that_the_stream_consumes(client: MongoClient, profiled: Mongo) -> None:
    comment = uuid.uuid4().hex
    query = client[profiled.name].c.find({}, comment=comment)
    assert pa.schema(query).names == ["_id", "a", "s", "n", "f"]
    assert pa.schema(query).names == ["_id", "a", "s", "n", "f"]
    assert pa.table(query).num_rows == ROWS
    assert runs(profiled, comment) == 1
    assert pa.table(query).num_rows == ROWS
    assert runs(profiled, comment) == 2


def addresses(array: Any) -> list[int]:
    """Addresses of all buffers of a pyarrow array, children's included."""
    return [buffer.address for buffer in array.buffers() if buffer is not None]


def test_pyarrow_shares_every_buffer(client: MongoClient, profiled: Mongo) -> None:
    result = client[profiled.name].c.find().read()
    first, second = pa.table(result), pa.table(result)
    for name in first.column_names:
        found = [addresses(chunk) for chunk in first[name].chunks]
        assert found == [addresses(chunk) for chunk in second[name].chunks], name
        assert any(found), name


def test_polars_shares_numeric_buffers(client: MongoClient, profiled: Mongo) -> None:
    result = client[profiled.name].c.find().read()
    table, frame = pa.table(result), pl.DataFrame(result)
    for name in ("_id", "a", "f"):
        ours = [chunk.buffers()[1].address for chunk in table[name].chunks]
        assert addresses_in_polars(frame[name]) == ours, name


def addresses_in_polars(series: pl.Series) -> list[int]:
    """Return the buffer of a numeric column in polars: a view, or an error when there can be none."""
    return [chunk.to_numpy(allow_copy=False).ctypes.data for chunk in series.get_chunks()]


def test_a_copy_in_polars_would_be_seen(client: MongoClient, profiled: Mongo) -> None:
    series = pl.DataFrame(client[profiled.name].c.find().read())["a"]
    assert addresses_in_polars(series) != addresses_in_polars(series + 0)


def test_memory_outlives_the_result_and_the_client(mongodb_uri: str, profiled: Mongo) -> None:
    with MongoClient(mongodb_uri) as client:
        result: Result | None = client[profiled.name].c.find().read()
        assert result is not None
        documents = result.to_list()
        table = pa.table(result)
        result = None
    assert pc.sum(table["a"]).as_py() == TOTAL
    assert documents[-1]["n"]["l"][1] == ROWS


def test_requested_schema(client: MongoClient, profiled: Mongo) -> None:
    result = client[profiled.name].c.find({}, {"_id": 0, "a": 1}).read()
    assert pa.table(result, schema=pa.schema({"a": pa.int32()})).num_rows == ROWS


def test_pandas_backends(client: MongoClient, profiled: Mongo) -> None:
    query: Query = client[profiled.name].c.find({}, {"n": 0})
    assert all(isinstance(kind, pd.ArrowDtype) for kind in query.to_pandas().dtypes)
    assert query.to_pandas(dtype_backend="numpy")["a"].dtype.kind == "i"
    with pytest.raises(ValueError, match="dtype_backend"):
        query.to_pandas(dtype_backend="cupy")


def test_a_live_stream_is_handed_out_once(client: MongoClient, profiled: Mongo) -> None:
    stream = client[profiled.name].c.find().stream()
    pa.table(stream)
    with pytest.raises((RuntimeError, ValueError)):
        pa.table(stream)


def test_a_conflict_in_a_live_stream_is_kept_typed(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([{"_id": i, "v": i} for i in range(500)])
    database.c.insert_one({"_id": 500, "v": "text"})
    query = client[database.name].c.find(sort="_id", schema=pa.schema({"v": pa.int64()}), batch_size=50)
    with pytest.raises(Exception, match="500") as caught:
        pa.table(query)
    assert "v" in str(caught.value)
    assert query.report is not None
    assert isinstance(query.report.error, SchemaConflict)
    assert query.report.error.id == 500
