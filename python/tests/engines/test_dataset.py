"""`to_dataset()`: DuckDB and pyarrow over a query, the filters sent, and every method that is inherited."""

from __future__ import annotations

import datetime as dt
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import duckdb
import pushdown_zoo as zoo
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
from cursors import wait_until_closed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from data_bridge import MongoClient
from data_bridge.engines.predicates import UNKNOWN, All, AnyOf, Compare, IsIn, IsPresent, IsTrue
from data_bridge.engines.substrait_predicates import condition

UTC = dt.timezone.utc
f = pc.field


@pytest.fixture(scope="module")
def collection(pymongo_client: Any, mongodb_uri: str) -> Iterator[Any]:
    """Our collection of the zoo, without dates that DuckDB does not have."""
    database = pymongo_client["data_bridge_dataset_zoo"]
    pymongo_client.drop_database(database)
    documents = zoo.documents()
    for document in documents:
        if document.get("t") in zoo.FAR:
            document["t"] = None
    database.c.insert_many(documents)
    with MongoClient(mongodb_uri) as client:
        yield client[database.name].c
    pymongo_client.drop_database(database)


@pytest.fixture(scope="module")
def dataset(collection: Any) -> Any:
    return collection.find().to_dataset("all")


@pytest.fixture(scope="module")
def table(collection: Any) -> pa.Table:
    return collection.find().to_arrow()


LITERALS: dict[str, Any] = {
    "i": st.sampled_from([value for value in zoo.INTS if value is not None]),
    "f": st.sampled_from([value for value in zoo.FLOATS if value is not None]),
    "s": st.sampled_from([value for value in zoo.TEXTS if value is not None]),
    "o": st.sampled_from([str(value) for value in zoo.IDS] + ["not an id"]),
    "b": st.booleans(),
    "t": st.sampled_from([zoo.START, dt.datetime(1970, 1, 1)]).map(
        lambda time: pa.scalar(time.replace(tzinfo=UTC), pa.timestamp("ms", "UTC"))
    ),
}


@st.composite
def atoms(draw: st.DrawFn) -> Any:
    """An expression of pyarrow over one column."""
    name = draw(st.sampled_from([*LITERALS]))
    kind, value = draw(st.integers(0, 5)), draw(LITERALS[name])
    if kind == 0:
        return draw(st.sampled_from([f(name).is_null(), f(name).is_valid(), f("b"), ~f("b")]))
    if kind == 1 and name != "t":
        values = draw(st.lists(st.one_of(st.none(), LITERALS[name]), max_size=3))
        kinds = {"i": pa.int64(), "f": pa.float64(), "b": pa.bool_()}
        return f(name).isin(pa.array(values, kinds.get(name, pa.string())))
    if kind == 2:
        return f("n", "x") > draw(st.sampled_from([1, 5, 7]))
    compare = draw(st.sampled_from(["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"]))
    found = getattr(f(name), compare)(value)
    return ~found if kind == 3 else found


EXPRESSIONS = st.recursive(
    atoms(),
    lambda inner: st.builds(lambda a, b, both: a & b if both else a | b, inner, inner, st.booleans()),
    max_leaves=4,
)


@settings(max_examples=150, suppress_health_check=[*HealthCheck])
@given(EXPRESSIONS)
def test_filters_change_no_row(dataset: Any, table: pa.Table, expression: Any) -> None:
    expected = table.filter(expression)
    assert dataset.to_table(filter=expression).sort_by("_id").equals(expected.sort_by("_id")) or _has_nan(expected)
    found = dataset.to_table(columns=["_id"], filter=expression)
    assert sorted(found["_id"].to_pylist()) == sorted(expected["_id"].to_pylist())
    assert dataset.count_rows(filter=expression) == expected.num_rows
    assert dataset.filter(expression).to_table(columns=["_id"]).num_rows == expected.num_rows


def _has_nan(table: pa.Table) -> bool:
    return "nan" in str(table.to_pylist())


CONDITIONS = [
    "i > 5",
    "i between 0 and 7",
    "f > 1.5",
    "f < 5",
    "f >= 'nan'::double",
    "s = 'a'",
    "s > 'a'",
    "s <> 'a'",
    "s in ('a', 'z')",
    "s not in ('a')",
    "b",
    "not b",
    "b is null",
    "i is not null",
    "n.x = 5",
    "n.x > 1 and i < 7",
    "i = 5 or s = 'z'",
    "t >= timestamptz '2024-01-01 00:00:00+00'",
    "o = '000000000000000000000001'",
    "o like '%2'",
    "m = '5'",
    "len(l) > 0",
    "i = 9007199254740993",
    "f = 9007199254740993",
    "_id in (1, 2, 3) and f is not null",
    "s like 'a%'",
    "d > 1",
]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_duckdb_reads_the_same(dataset: Any, table: pa.Table, condition: str) -> None:
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    connection.register("lazy", dataset)
    connection.register("whole", table)
    for what in ("_id", "count(*)", "max(i)"):
        order = "order by _id" if what == "_id" else ""
        rows = [
            connection.execute(f"select {what} from {name} where {condition} {order}").fetchall()
            for name in ("lazy", "whole")
        ]
        assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("sql", "filter", "columns"),
    [
        ("select i from d where i > 5", {"i": {"$gt": 5}}, {"i"}),
        ("select s from d where f < 5 and i = 7", {"$and": [{"f": {"$lt": 5.0}}, {"i": {"$eq": 7}}]}, {"s", "f", "i"}),
        ("select count(*) from d where s = 'a'", {"s": {"$in": ["a"]}}, {"_id", "s"}),
        ("select i from d where o = '000000000000000000000001'", {"o": {"$in": [zoo.IDS[1]]}}, {"i", "o"}),
        ("select i from d where n.x = 5", {"n.x": {"$eq": 5}}, {"i", "n"}),
        ("select count(*) from d where s in ('a', 'z')", None, {"_id", "s"}),
        ("select i from d where i <> 5", {}, {"i"}),
        ("select i from d limit 3", {}, {"i"}),
    ],
)
def test_the_commands_of_duckdb(
    collection: Any, pymongo_client: Any, sql: str, filter: dict[str, Any] | None, columns: set[str]
) -> None:
    d = collection.find().to_dataset("all")
    connection = duckdb.connect()
    connection.register("d", d)
    with zoo.profiled(pymongo_client[collection.database.name]) as commands:
        connection.execute(sql).fetchall()
    command = commands()[-1]
    if filter is None:
        assert "'s': {'$in': ['a', 'z']}" in repr(command["filter"])
    else:
        # DuckDB 1 has the same conditions in another order.
        both = command["filter"].get("$and", [command["filter"]]), filter.get("$and", [filter])
        assert all(each in both[0] for each in both[1])
        assert len(both[0]) == len(both[1])
    assert {"_id", *command["projection"]} - {"data_bridge_nowhere"} == {"_id", *columns}


def test_a_variable_and_a_self_join(dataset: Any, table: pa.Table) -> None:
    lazy = dataset
    assert lazy is not None
    sql = "select count(*) from lazy a join lazy b on a._id = b._id where a.i > 0"
    assert duckdb.sql(sql).fetchall() == [(table.filter(f("i") > 0).num_rows,)]


def test_dropping_a_reader_ends_the_read(client: MongoClient, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": number, "x": "x" * 2000} for number in range(20_000)])
    dataset = client[database.name].c.find(batch_size=100).to_dataset()
    reader = dataset.scanner().to_reader()
    reader.read_next_batch()
    del reader
    assert dataset.head(5).num_rows == 5
    wait_until_closed(database)


def test_conditions_of_pyarrow() -> None:
    nested = pa.struct([("x", pa.int32()), ("y", pa.string())])
    schema = pa.schema([("a", pa.int64()), ("s", pa.string()), ("b", pa.bool_()), ("n", nested), ("f", pa.float64())])

    def read(expression: Any) -> Any:
        return condition(expression, schema)

    assert read(f("a") > -5) == Compare(("a",), ">", -5)
    assert read(pc.scalar(5) > f("a")) == Compare(("a",), "<", 5)
    assert read((f("s") == "x") & f("b")) == All([Compare(("s",), "==", "x"), IsTrue(("b",))])
    assert read((f("f") <= 1.5) | ~f("b")) == AnyOf([Compare(("f",), "<=", 1.5), UNKNOWN])
    assert read(f("a").isin([1, 2])) == IsIn(("a",), [1, 2])
    assert read(f("a").isin([1, None])) == UNKNOWN
    assert read(f("n", "y") == "x") == Compare(("n", "y"), "==", "x")
    assert read(f("a").is_valid()) == IsPresent(("a",))
    assert read(f("a") != 5) == UNKNOWN
    assert read(f("nothing") == 5) == UNKNOWN
    assert read(pc.starts_with(f("s"), "x")) == UNKNOWN
    assert read(f("a") + 1 > 5) == UNKNOWN


METHODS = """
import pickle, sys
import pyarrow as pa, pyarrow.compute as pc, pyarrow.dataset as ds
dataset = pickle.load(sys.stdin.buffer)
other = pa.table({"_id": pa.array([1, 2], pa.int32()), "z": [1, 2]})
calls = {
    "schema": lambda: dataset.schema, "partition_expression": lambda: dataset.partition_expression,
    "files": lambda: dataset.files, "format": lambda: dataset.format, "filesystem": lambda: dataset.filesystem,
    "partitioning": lambda: dataset.partitioning,
    "__reduce__": lambda: pickle.loads(pickle.dumps(dataset)).count_rows(),
    "scanner": lambda: dataset.scanner().to_table().num_rows, "to_table": lambda: dataset.to_table().num_rows,
    "to_batches": lambda: sum(b.num_rows for b in dataset.to_batches()), "count_rows": lambda: dataset.count_rows(),
    "head": lambda: dataset.head(2).num_rows, "take": lambda: dataset.take([0, 1]).num_rows,
    "filter": lambda: dataset.filter(pc.field("a") > 3).count_rows(),
    "sort_by": lambda: dataset.sort_by("_id").to_table().num_rows,
    "join": lambda: dataset.join(other, "_id", join_type="inner").to_table().num_rows,
    "join_asof": lambda: dataset.join_asof(other, on="_id", by=[], tolerance=0).to_table().num_rows,
    "get_fragments": lambda: [x.count_rows() for x in dataset.get_fragments()],
    "_get_fragments": lambda: [x.count_rows() for x in dataset._get_fragments(None)],
    "replace_schema": lambda: dataset.replace_schema(dataset.schema),
    "_scanner_options": lambda: dataset._scanner_options({}),
    "dataset": lambda: ds.dataset([dataset]).to_table().num_rows,
    "union": lambda: ds.UnionDataset(dataset.schema, [dataset]).to_table().num_rows,
    "from_dataset": lambda: ds.Scanner.from_dataset(dataset).to_table().num_rows,
    "write": lambda: ds.write_dataset(dataset.scanner().to_reader(), sys.argv[1], format="parquet"),
    "base to_table": lambda: ds.Dataset.to_table(dataset).num_rows,
    "base count_rows": lambda: ds.Dataset.count_rows(dataset),
    "base get_fragments": lambda: [x.count_rows() for x in ds.Dataset.get_fragments(dataset)],
    "base filter": lambda: ds.Dataset.filter(dataset, pc.field("a") > 3).to_table().num_rows,
    "base sort_by": lambda: ds.Dataset.sort_by(dataset, "a").to_table().num_rows,
    "base replace_schema": lambda: ds.Dataset.replace_schema(dataset, dataset.schema).to_table().num_rows,
}
known = [*calls, "from_paths", "_scan_options"]
unknown = [name for name in dir(ds.FileSystemDataset) if name not in known and not name.startswith("__")]
print("unknown", unknown)
for name, call in calls.items():
    try:
        print(name, "=", repr(call())[:60].replace("\\n", " "), flush=True)
    except Exception as error:
        print(name, "!", type(error).__name__, str(error)[:90].replace("\\n", " "), flush=True)
"""


def test_no_inherited_method_crashes_or_lies(client: MongoClient, database: Database[Any], tmp_path: Any) -> None:
    database.c.insert_many([{"_id": number, "a": number} for number in range(10)])
    dataset = client[database.name].c.find().to_dataset()
    arguments = [sys.executable, "-c", METHODS, str(tmp_path / "out")]
    ran = subprocess.run(arguments, input=pickle.dumps(dataset), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    lines = {}
    for line in ran.stdout.decode().splitlines():
        name, sign, rest = re.split(r" ([=!]|\[.*\]$) ?", line, maxsplit=1)
        lines[name] = f"{sign} {rest}".strip()
    assert lines.pop("unknown") == "[]", ran.stdout.decode()
    right = dict.fromkeys(["scanner", "to_table", "to_batches", "count_rows", "__reduce__", "sort_by"], "10")
    right |= {"head": "2", "take": "2", "filter": "6", "join": "2", "get_fragments": "[10]", "_get_fragments": "[10]"}
    for name, value in right.items():
        assert lines[name] == f"= {value}", ran.stdout.decode()
    refused = [name for name in lines if name in ("dataset", "union", "from_dataset") or name.startswith("base")]
    for name in refused:
        # Either the rows, or an error: never other rows.
        assert lines[name].startswith("!") or lines[name] in ("= 10", "= [10]", "= 6"), ran.stdout.decode()
    for name in ("union", "from_dataset"):
        assert "a data_bridge dataset is read by" in lines[name], ran.stdout.decode()
    assert ds.dataset(tmp_path / "out").to_table().num_rows == 10


def test_schemas_and_columns(dataset: Any, table: pa.Table) -> None:
    assert dataset.schema == table.schema
    scanner = dataset.scanner(columns={"twice": f("f") * 2, "i": f("i")})
    assert scanner.projected_schema.names == ["twice", "i"]
    assert scanner.to_table().num_rows == table.num_rows
    with pytest.raises(pa.ArrowInvalid, match="no column 'nothing'"):
        dataset.to_table(columns=["nothing"])
    with pytest.raises(TypeError, match="expected a pyarrow Expression"):
        dataset.filter("i > 5")
    assert repr(dataset).startswith("QueryDataset(")


def test_datafusion(dataset: Any, table: pa.Table) -> None:
    datafusion = pytest.importorskip("datafusion")
    context = datafusion.SessionContext()
    context.register_dataset("d", dataset)
    found = context.sql("select count(*) as n, sum(f) as f from d where i > 0 and s <> 'a'").to_pydict()
    assert found["n"] == [table.filter((f("i") > 0) & (f("s") != "a")).num_rows]
