"""`to_lazy()`: the rows of polars without pushdown, and the commands that polars' requests become."""

from __future__ import annotations

import datetime as dt
import io
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import polars as pl
import pushdown_zoo as zoo
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pymongo.database import Database

from data_bridge import AsyncMongoClient, InvalidQuery, MongoClient, SchemaConflict, read_bson
from data_bridge.engines import polars_predicates
from data_bridge.engines.predicates import UNKNOWN, All, AnyOf, Compare, IsIn, IsPresent, IsTrue, StartsWith

col = pl.col
UTC = dt.timezone.utc


@pytest.fixture(scope="module")
def source(pymongo_client: Any, mongodb_uri: str) -> Iterator[Any]:
    """Our collection of the zoo."""
    database = pymongo_client["data_bridge_lazy_zoo"]
    pymongo_client.drop_database(database)
    database.c.insert_many(zoo.documents())
    with MongoClient(mongodb_uri) as client:
        yield client[database.name].c
    pymongo_client.drop_database(database)


@pytest.fixture(scope="module")
def frame(source: Any) -> pl.DataFrame:
    """The whole table, which polars filters by itself."""
    found: pl.DataFrame = source.find().to_polars()
    return found


LITERALS: dict[str, st.SearchStrategy[Any]] = {
    "i": st.one_of(st.sampled_from([value for value in zoo.INTS if value is not None]), st.integers(-10, 10)),
    "f": st.sampled_from([value for value in zoo.FLOATS if value is not None]),
    "s": st.sampled_from([value for value in zoo.TEXTS if value is not None]),
    "o": st.sampled_from([str(value) for value in zoo.IDS] + ["not an id", "F" * 24]),
    "b": st.booleans(),
    "t": st.sampled_from([zoo.START, dt.datetime(1970, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 0, 500)]).map(
        lambda time: time.replace(tzinfo=UTC)
    ),
    "m": st.sampled_from(["5", '"5"', "null"]),
    "u": st.sampled_from(["00000000-0000-0000-0000-000000000001"]),
}
COMPARISONS = [
    lambda column, value: column == value,
    lambda column, value: column != value,
    lambda column, value: column < value,
    lambda column, value: column <= value,
    lambda column, value: column > value,
    lambda column, value: column >= value,
    lambda column, value: column.eq_missing(value),
    lambda column, value: ~(column > value),
    lambda column, value: pl.lit(value) < column,
]


@st.composite
def atoms(draw: st.DrawFn) -> pl.Expr:
    """A comparison, or a test of another kind."""
    name = draw(st.sampled_from([*LITERALS]))
    kind = draw(st.integers(0, 5))
    literal = LITERALS[name]
    if kind == 0:
        some = col(draw(st.sampled_from([name, "l", "n", "d", "y"])))
        return draw(st.sampled_from([some.is_null(), some.is_not_null(), some.is_not_null(), col("b"), ~col("b")]))
    if kind == 1:
        values = draw(st.lists(st.one_of(st.none(), literal), max_size=3))
        expression = col(name).is_in(values, nulls_equal=draw(st.booleans()))
        return expression if draw(st.booleans()) else ~expression
    if kind == 2 and name not in ("b", "m", "u"):
        closed = draw(st.sampled_from(["both", "left", "right", "none"]))
        return col(name).is_between(pl.lit(draw(literal)), pl.lit(draw(literal)), closed=closed)
    if kind == 3:
        return col("s").str.starts_with(draw(st.sampled_from(["", "a", "a.", "ä", "f"])))
    if kind == 4:
        nested = draw(st.sampled_from(["x", "y"]))
        return draw(st.sampled_from(COMPARISONS[:6]))(col("n").struct.field(nested), draw(st.sampled_from([1, 5, 5.5])))
    comparison = draw(st.sampled_from(COMPARISONS if name != "b" else COMPARISONS[:2]))
    return comparison(col(name), draw(literal))


def _dtype(name: str) -> Any:
    return {"i": pl.Int64, "f": pl.Float64, "b": pl.Boolean, "t": pl.Datetime("ms", "UTC")}.get(name, pl.String)


PREDICATES = st.recursive(
    atoms(),
    lambda inner: st.one_of(st.builds(lambda a, b: a & b, inner, inner), st.builds(lambda a, b: a | b, inner, inner)),
    max_leaves=4,
)


@settings(max_examples=200, suppress_health_check=[*HealthCheck])
@given(PREDICATES)
def test_pushdown_changes_no_row(source: Any, frame: pl.DataFrame, predicate: pl.Expr) -> None:
    found = source.find().to_lazy("all").filter(predicate).sort("_id").collect()
    assert_frame_equal(found, frame.filter(predicate).sort("_id"))


@settings(max_examples=50, suppress_health_check=[*HealthCheck])
@given(PREDICATES)
def test_pushdown_into_pipelines_and_ordered_results(source: Any, frame: pl.DataFrame, predicate: pl.Expr) -> None:
    pipeline = source.aggregate([{"$match": {"_id": {"$lt": 60}}}]).to_lazy("all")
    whole = frame.filter(col("_id") < 60)
    expected = whole.filter(predicate).select("_id").sort("_id")
    assert_frame_equal(pipeline.filter(predicate).select("_id").collect().sort("_id"), expected)
    limited = source.find(sort="_id", limit=60, schema=source.find().schema()).to_lazy()
    assert_frame_equal(limited.filter(predicate).select("_id").collect().sort("_id"), expected)
    at_once = source.find(parallel=3).to_lazy("all").filter(predicate).select("_id").collect()
    assert_frame_equal(at_once.sort("_id"), frame.filter(predicate).select("_id").sort("_id"))


@pytest.mark.parametrize(
    ("predicate", "filter"),
    [
        (col("i") > 5, {"i": {"$gt": 5}}),
        (col("i").is_between(1, 5, closed="left"), {"$and": [{"i": {"$gte": 1}}, {"i": {"$lt": 5}}]}),
        (col("f") <= 5, {"f": {"$lte": 5.0}}),
        (col("s") == "a", {"s": {"$in": ["a"]}}),
        (col("o") == str(zoo.IDS[1]), {"o": {"$in": [zoo.IDS[1]]}}),
        (col("o") == "text", {"o": {"$in": []}}),
        (col("b"), {"b": True}),
        (col("s").is_in(["a", "b"]), {"s": {"$in": ["a", "b"]}}),
        (col("n").struct.field("x") == 5, {"n.x": {"$eq": 5}}),
        (col("i").is_not_null(), {"i": {"$exists": True}}),
        (col("s").str.starts_with("a."), {"s": {"$regex": r"^a\."}}),
        ((col("i") == 5) & (col("s") > "a"), {"i": {"$eq": 5}}),
        ((col("i") == 5) | (col("s") > "a"), {}),
        ((col("i") == 5) | col("b"), {"$or": [{"i": {"$eq": 5}}, {"b": True}]}),
        (col("i") != 5, {}),
        (col("i").is_null(), {}),
        (col("m") == "5", {}),
        (col("u") == "x", {}),
        (col("d") > 5, {}),
        (col("i") + 1 > 5, {}),
    ],
)
def test_the_filters_sent(source: Any, pymongo_client: Any, predicate: pl.Expr, filter: dict[str, Any]) -> None:
    lazy = source.find().to_lazy("all")
    lazy.collect_schema()
    with zoo.profiled(pymongo_client[source.database.name]) as commands:
        lazy.filter(predicate).select("_id").collect()
    [command] = commands()
    assert command["filter"] == filter
    assert "y" not in command["projection"]
    assert command["projection"]["_id"] == 1


def test_columns_and_numbers_of_rows_are_sent(source: Any, pymongo_client: Any) -> None:
    lazy = source.find({"_id": {"$gte": 0}}, limit=100, schema={"_id": int, "i": int, "f": float}).to_lazy()
    database = pymongo_client[source.database.name]
    with zoo.profiled(database) as commands:
        assert lazy.select("i").head(7).collect().shape == (7, 1)
        assert lazy.head(200).collect().shape == (100, 3)
        assert lazy.filter(col("i") > 0).select("f").collect().width == 1
        assert lazy.select(pl.len()).collect().item() == 100
        assert lazy.head(0).collect().shape == (0, 3)
    sent = commands()
    assert [command.get("limit") for command in sent[:3]] == [7, 100, 100]
    assert set(sent[0]["projection"]) - {"data_bridge_nowhere"} == {"i"}
    assert set(sent[2]["projection"]) - {"data_bridge_nowhere"} == {"i", "f"}
    # The filter applies to the documents that the limit leaves.
    assert sent[2]["filter"] == {"_id": {"$gte": 0}}


def test_nothing_is_read_before_it_is_collected(source: Any, pymongo_client: Any) -> None:
    with zoo.profiled(pymongo_client[source.database.name]) as commands:
        lazy = source.find(schema={"i": int}).to_lazy().filter(col("i") > 5).select("i")
        assert lazy.collect_schema() == {"i": pl.Int64}
        assert commands() == []


def test_an_unread_expression_pushes_nothing_down(
    source: Any, frame: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polars_predicates.json, "loads", lambda text: {"New": text})
    found = source.find().to_lazy("all").filter(col("i") > 5).collect()
    assert_frame_equal(found.sort("_id"), frame.filter(col("i") > 5).sort("_id"))


@pytest.mark.parametrize(
    "node",
    [
        {},
        None,
        [],
        {"Column": 5},
        {"BinaryExpr": {}},
        {"BinaryExpr": {"left": {"Column": "a"}, "op": "Gt", "right": {"Literal": {"Scalar": {"Int64": None}}}}},
        {"BinaryExpr": {"left": {"Column": "a"}, "op": "Xor", "right": {"Column": "b"}}},
        {"Function": {"input": [], "function": {"Boolean": "IsNotNull"}}},
        {"Function": {"input": [{"Column": "a"}], "function": {"Boolean": "NewTest"}}},
        {"Function": {"input": [{"Column": "a"}], "function": "IsNotNull"}},
        {"Column": "a", "Other": 1},
    ],
)
def test_nodes_that_are_not_understood(node: Any) -> None:
    found = polars_predicates._condition(node)
    assert found == UNKNOWN or found == IsTrue((5,))  # type: ignore[arg-type]


def test_nodes_of_the_installed_polars() -> None:
    def read(expression: pl.Expr) -> Any:
        return polars_predicates._condition(json.loads(expression.meta.serialize(format="json")))

    five = pl.lit(5, dtype=pl.Int64)
    assert read(col("a") > five) == Compare(("a",), ">", 5)
    assert read(five > col("a")) == Compare(("a",), "<", 5)
    assert read((col("a") == five) & col("b")) == All([Compare(("a",), "==", 5), IsTrue(("b",))])
    assert read((col("a") != five) | col("b")) == AnyOf([UNKNOWN, IsTrue(("b",))])
    assert read(col("a").is_in(["x", None])) == IsIn(("a",), ["x", None])
    assert read(col("a").is_not_null()) == IsPresent(("a",))
    assert read(col("a").str.starts_with("x")) == StartsWith(("a",), "x")
    assert read(col("a").struct.field("b") >= five) == Compare(("a", "b"), ">=", 5)


def test_a_serialised_frame_holds_no_password(mongodb_uri: str, database: Database[Any]) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    assert cloudpickle
    database.c.insert_many([{"_id": number} for number in range(10)])
    with MongoClient(mongodb_uri) as client:
        lazy = client[database.name].c.find().to_lazy()
        data = lazy.filter(col("_id") > 3).serialize()
        assert pl.LazyFrame.deserialize(io.BytesIO(data)).collect().height == 6


def test_another_process_reads_the_source(mongodb_uri: str, database: Database[Any]) -> None:
    from data_bridge.engines.polars import PolarsSource

    database.c.insert_many([{"_id": number} for number in range(10)])
    with MongoClient(mongodb_uri) as client:
        query = client[database.name].c.find()
        source = PolarsSource(query._lazy_scan(5, "polars", None, None, False))
        ran = subprocess.run(
            [sys.executable, "-c", "import pickle, sys; s = pickle.load(sys.stdin.buffer); "
             "print(sum(f.height for f in s(None, None, None, None)), s.schema())"],
            input=pickle.dumps(source), capture_output=True, check=False,
        )  # fmt: skip
    assert ran.stdout.startswith(b"10 Schema("), ran.stderr.decode()


def test_conflicts_and_rescued_values(client: MongoClient, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": number, "a": number} for number in range(20)])
    database.c.insert_one({"_id": 20, "a": "text", "b": 1})
    collection = client[database.name].c
    lazy = collection.find(sort="_id").to_lazy(5)
    assert lazy.collect_schema().names() == ["_id", "a"]
    with pytest.raises((SchemaConflict, pl.exceptions.ComputeError), match="_id 20"):
        lazy.collect()
    assert lazy.filter(col("a") < 10).collect().height == 10
    rescued = collection.find(sort="_id", on_conflict="rescue").to_lazy(5)
    assert rescued.collect_schema().names() == ["_id", "a", "_rescued"]
    assert rescued.filter(col("_rescued").is_not_null()).select("_id").collect().to_series().to_list() == [20]
    nulled = collection.find(sort="_id", on_conflict="null").to_lazy(5)
    assert nulled.filter(col("a").is_null()).collect().height == 1
    assert nulled.filter(col("a").is_not_null()).collect().height == 20


def test_a_given_schema_of_text_pushes_no_text_down(client: MongoClient, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": zoo.IDS[0], "s": zoo.IDS[1]}, {"_id": zoo.IDS[2], "s": "x"}])
    lazy = client[database.name].c.find(schema={"_id": str, "s": str}).to_lazy()
    assert lazy.filter(col("s") == str(zoo.IDS[1])).collect().height == 1
    assert lazy.filter(col("s").str.starts_with("0")).collect().height == 1
    assert lazy.filter(col("_id").is_in([str(zoo.IDS[2])])).collect().height == 1


def test_collations(client: MongoClient, database: Database[Any]) -> None:
    database.create_collection("c", collation={"locale": "en", "strength": 1})
    database.c.insert_many([{"s": value} for value in ("a", "A", "b", "ä", "Z")])
    lazy = client[database.name].c.find().to_lazy()
    for predicate in (
        col("s") == "a",
        col("s") > "Z",
        col("s") < "a",
        col("s").is_in(["A", "z"]),
        col("s").str.starts_with("a"),
    ):
        expected = client[database.name].c.find().to_polars().filter(predicate)
        assert_frame_equal(lazy.filter(predicate).collect().sort("_id"), expected.sort("_id"))


def test_keys_that_mongodb_reads_as_paths(client: MongoClient, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": n, "a.b": n, "$x": n, "": n, "c": {"d": n}, "0": n} for n in range(5)])
    lazy = client[database.name].c.find().to_lazy()
    for name in ("a.b", "$x", "", "0"):
        assert lazy.filter(col(name) == 3).select("_id").collect().item() == 3
    flat = client[database.name].c.find(flatten=True).to_lazy()
    assert flat.filter(col("c.d") == 3).select("_id").collect().item() == 3


def test_streaming_engine_and_self_join(source: Any, frame: pl.DataFrame) -> None:
    lazy = source.find().to_lazy("all").select("_id", "i")
    joined = lazy.join(lazy, on="_id").sort("_id")
    expected = frame.select("_id", "i").join(frame.select("_id", "i"), on="_id").sort("_id")
    for engine in ("in-memory", "streaming"):
        assert_frame_equal(joined.collect(engine=engine), expected)


def test_refusals(client: MongoClient, database: Database[Any]) -> None:
    with client.start_session() as session, pytest.raises(InvalidQuery, match="with a session"):
        client[database.name].c.find(session=session).to_lazy()
    with pytest.raises(InvalidQuery, match=r"read_bson\(\) has to_polars"):
        read_bson(b"").to_lazy()
    with pytest.raises(InvalidQuery, match="a pipeline that writes"):
        client[database.name].c.aggregate([{"$out": "d"}]).to_lazy()
    with pytest.raises(ValueError, match="infer_rows must be positive"):
        client[database.name].c.find().to_lazy(0)


async def test_an_asynchronous_query(source: Any, frame: pl.DataFrame, mongodb_uri: str) -> None:
    async with AsyncMongoClient(mongodb_uri) as client:
        collection = client[source.database.name].c
        lazy = await collection.find().to_lazy("all")
        found = await lazy.filter(col("i") > 5).sort("_id").collect_async()
        assert_frame_equal(found, frame.filter(col("i") > 5).sort("_id"))
        dataset = await collection.find(schema={"_id": int}).to_dataset()
        assert dataset.count_rows() == frame.height
