"""Decimals in plain tables: the precision and scale of their columns, and what consumers compute with them."""

from __future__ import annotations

import decimal
import functools
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import bson
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from bson import Decimal128, Int64
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import DECIMALS, INT32, INT64, PRICES
from table_model import PLAIN, STREAM, Tables, check_table, columns
from test_oracle import check_tables, cuts, examples, streamed

import data_bridge
from data_bridge import Query, SchemaConflict

PAGE = (Path(__file__).parents[3] / "docs" / "types.md").read_text(encoding="utf-8")


def encoded(values: list[Any]) -> list[bytes]:
    """A document for each value; None is null, ... is missing."""
    return [
        bson.encode({"_id": number} | ({} if value is ... else {"x": value})) for number, value in enumerate(values)
    ]


def query(*values: Any, **options: Any) -> Query:
    return data_bridge.read_bson(encoded([as_stored(value) for value in values]), **options)


def as_stored(value: Any) -> Any:
    return Decimal128(value) if isinstance(value, (str, Decimal)) else value


def type_of(*values: Any, **options: Any) -> pa.DataType:
    return query(*values, **options).to_arrow().field("x").type


# ---- precision and scale ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["1.50", "2"], (18, 2)),
        (["15E+3"], (18, 0)),
        (["0E-30", "-0E+40", "0.1"], (18, 1)),
        (["0E-3"], (18, 0)),
        (["-0"], (18, 0)),
        (["999999999999999999"], (18, 0)),
        (["1E+18"], (38, 0)),
        (["-0.000000000000000001"], (18, 18)),
        (["1E-19"], (38, 19)),
        (["1E+34"], (38, 0)),
        (["1E+35"], None),
        (["1E-35"], (38, 35)),
        (["1E-36"], None),
        # The written scale if it fits, otherwise without the zeros at the end.
        (["1E+30", "1.500"], (38, 3)),
        (["1E+33", "1.500"], (38, 1)),
        (["1E+34", "1.5"], None),
        (["NaN"], None),
        (["1", "Infinity"], None),
        (["sNaN", "0"], None),
        # Integers beside decimals count with their digits.
        (["0.25", 7], (18, 2)),
        (["0.25", Int64(10**16)], (38, 2)),
        (["0.25", Int64(-(2**63)), None, ...], (38, 2)),
        (["1E-17", Int64(10**17)], (38, 17)),
        (["1E-17", Int64(10**18)], None),
        ([0, "0.00"], (18, 0)),
        (["NaN", 5], None),
    ],
    ids=repr,
)
def test_rules(values: list[Any], wanted: tuple[int, int] | None) -> None:
    expected = pa.string() if wanted is None else pa.decimal128(*wanted)
    for ordered in (values, values[::-1]):
        assert type_of(*ordered) == expected
        check_table(query(*ordered).to_arrow(), columns(encoded([as_stored(each) for each in ordered]), PLAIN))


NUMBERS = st.one_of(
    PRICES, PRICES, st.integers(*INT32), st.integers(*INT64).map(Int64), st.integers(-9, 9).map(Int64), st.none()
)
COLUMNS = st.one_of(
    st.lists(PRICES, max_size=12),
    st.lists(NUMBERS, max_size=12),
    st.lists(st.one_of(NUMBERS, st.just(...)), max_size=12),
    st.lists(st.one_of(NUMBERS, DECIMALS, st.floats(), st.booleans()), max_size=8),
    st.lists(st.builds(lambda digits, exponent: Decimal128(Decimal(digits).scaleb(exponent)),
                       st.integers(-(10**34) + 1, 10**34 - 1), st.integers(-40, 6)), max_size=6),
)  # fmt: skip


@examples(200)
@example([Decimal128("1E+33"), 5, Decimal128("1.500")])
@example([Decimal128("0.1"), Int64(-(2**63)), Decimal128("-0.00")])
@given(COLUMNS)
def test_columns_of_decimals_are_those_of_the_model(values: list[Any]) -> None:
    """At the top, in documents and in lists."""
    made = [
        bson.encode({} if value is ... else {"x": value, "d": {"x": value}, "l": [value, 1, None]}) for value in values
    ]
    wanted = Tables.of(made)
    for name in ("bytes", "one by one", "three by three"):
        check_tables(cuts(made)[name], wanted, len(made))
    schema = pa.schema([field for field, _ in wanted.plain])
    check_tables_of_schema(made, schema, wanted)


def check_tables_of_schema(made: list[bytes], schema: pa.Schema, wanted: Tables) -> None:
    check_table(data_bridge.read_bson(made, schema=schema).to_arrow(), wanted.plain)
    stream = streamed(data_bridge.read_bson(made, schema=schema))
    if stream is not None:
        check_table(stream, wanted.plain)


def test_values_written_with_another_exponent_are_counted() -> None:
    found = query("1.50", "1.5", 7, "15E-1", "-0", None, "2.25")
    result = found.read()
    entries = [entry for entry in result.report.paths if entry["action"] == "rescaled"]
    assert [(entry["path"], entry["count"], entry["first_id"]) for entry in entries] == [(("x",), 3, 1)]
    assert not [entry for entry in query("1.50", "2.25").read().report.paths if entry["action"] == "rescaled"]
    # Other storage keeps the exponent.
    for options in ({"types": "exact"}, {"decimal": "string"}):
        report = query("1.50", "1.5", **options).read().report
        assert not [entry for entry in report.paths if entry["action"] == "rescaled"]


def test_integers_beside_decimals_of_another_storage_are_mixed() -> None:
    for options in (
        {"decimal": "exact"},
        {"decimal": "string"},
        {"decimal": "binary"},
        {"decimal": "decimal128(20, 2)"},
    ):
        field = query("1.5", 1, **options).to_arrow().field("x")
        assert (field.type, field.metadata) == (pa.string(), {b"data_bridge.type": b"mixed"})
    assert type_of("1.5", 1, types="exact", decimal="plain") == pa.decimal128(18, 1)


# ---- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "wanted"),
    [
        ("1.99", (38, 10)),
        ("5", (38, 10)),
        ("0", (38, 10)),
        ("1E-12", (38, 12)),
        ("1E+24", (38, 10)),
        ("1E+25", (38, 0)),
        ("1E+30", (38, 0)),
        ("12345678901234567890123456.5", (38, 1)),
        ("NaN", None),
        ("1E+35", None),
    ],
)
def test_the_schema_of_a_stream_has_room(first: str, wanted: tuple[int, int] | None) -> None:
    expected = pa.string() if wanted is None else pa.decimal128(*wanted)
    for infer_rows in (1, 2, 1000):
        with query(first, None).stream(infer_rows) as stream:
            assert pa.schema(stream.schema).field("x").type == expected
    check_table(streamed(query(first, None)), columns(encoded([Decimal128(first), None]), STREAM))


def test_later_values_of_a_stream() -> None:
    rows = streamed(query("1.5", "0.0123456789", "1E+27", 7, Int64(2**62), None, "-0"), 1).column("x").to_pylist()
    assert rows == [Decimal("1.5"), Decimal("0.0123456789"), Decimal(10**27), 7, 2**62, None, 0]
    for value in ("1E-11", "1E+28", "NaN", "-Infinity", 1.5, "text"):
        later = value if value == "text" else as_stored(value)
        documents = encoded([Decimal128("1.5"), later])
        with pytest.raises(SchemaConflict) as raised:
            streamed(data_bridge.read_bson(documents), 1)
        assert (raised.value.document, raised.value.path) == (1, ("x",))
        assert "decimal=" in str(raised.value)
        rescued = streamed(data_bridge.read_bson(documents, on_conflict="rescue"), 1)
        assert rescued.column("x").to_pylist() == [Decimal("1.5"), None]
        (entry,) = rescued.column("_rescued").to_pylist()[1]
        assert repr(bson.decode(entry["value"])[""]) == repr(later)
    # Text holds every later decimal, and integers.
    assert streamed(query("NaN", "1E+40", 5), 1).column("x").to_pylist() == ["NaN", "1E+40", "5"]


# ---- consumers -------------------------------------------------------------------------------------------------------

AMOUNTS = st.builds(lambda cents: Decimal(cents).scaleb(-2), st.integers(-(10**9), 10**9))
ROWS = st.lists(st.tuples(st.integers(0, 3), AMOUNTS), min_size=1, max_size=30)
WIDE = decimal.Context(prec=200)


def table_of(rows: list[tuple[int, Decimal]]) -> pa.Table:
    made = [bson.encode({"g": group, "d": Decimal128(amount)}) for group, amount in rows]
    # The scale of the column is 2, whatever the amounts.
    table = data_bridge.read_bson([*made, bson.encode({"g": 4, "d": Decimal128("0.01")})]).to_arrow()
    assert table.field("d").type == pa.decimal128(18, 2)
    return table.slice(0, len(rows))


def pandas_of(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def duck(table: pa.Table, select: str) -> list[Any]:
    with duckdb.connect() as connection:
        connection.register("t", table)
        return [row[0] if len(row) == 1 else row for row in connection.sql(select).fetchall()]


SUMS: dict[str, Callable[[pa.Table], Any]] = {
    "pyarrow": lambda t: pc.sum(t["d"]).as_py(),
    "pandas": lambda t: pandas_of(t)["d"].sum(),
    "polars": lambda t: pl.DataFrame(t)["d"].sum(),
    "DuckDB": lambda t: duck(t, "select sum(d) from t")[0],
}
GROUPS: dict[str, Callable[[pa.Table], dict[int, Any]]] = {
    "pyarrow": lambda t: {
        row["g"]: row["d_sum"] for row in t.group_by("g").aggregate([("d", "sum")]).to_pylist()
    },
    "pandas": lambda t: dict(pandas_of(t).groupby("g")["d"].sum()),
    "polars": lambda t: dict(pl.DataFrame(t).group_by("g").agg(pl.col("d").sum()).rows()),
    "DuckDB": lambda t: dict(duck(t, "select g, sum(d) from t group by g")),
}  # fmt: skip
JOINS: dict[str, Callable[[pa.Table, pa.Table], int]] = {
    "pyarrow": lambda t, u: t.join(u, "d", join_type="inner").num_rows,
    "pandas": lambda t, u: len(pandas_of(t).merge(pandas_of(u), on="d")),
    "polars": lambda t, u: pl.DataFrame(t).join(pl.DataFrame(u), on="d").height,
    "DuckDB": lambda t, u: duckdb.sql("select count(*) from t join u on t.d = u.d").fetchall()[0][0],
}
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


@pytest.mark.parametrize("consumer", SUMS)
@examples(25)
@given(ROWS)
def test_sums_and_groups(consumer: str, rows: list[tuple[int, Decimal]]) -> None:
    table = table_of(rows)
    assert SUMS[consumer](table) == sum(amount for _, amount in rows)
    groups: dict[int, Decimal] = {}
    for group, amount in rows:
        groups[group] = groups.get(group, Decimal(0)) + amount
    assert GROUPS[consumer](table) == groups


@pytest.mark.parametrize("consumer", JOINS)
@examples(25)
@given(ROWS)
def test_joins(consumer: str, rows: list[tuple[int, Decimal]]) -> None:
    table = table_of(rows)
    others = table_of([(0, amount) for _, amount in rows[::2]]).select(["d"])
    amounts = [amount for _, amount in rows[::2]]
    assert JOINS[consumer](table, others) == sum(amounts.count(amount) for _, amount in rows)


def computed(consumer: str, table: pa.Table, operator: str, operand: Any) -> list[Any]:
    operation = OPERATIONS[operator]
    if consumer == "pandas":
        return list(operation(pandas_of(table)["d"], operand))
    if consumer == "polars":
        return list(operation(pl.DataFrame(table)["d"], operand))
    return duck(table, f"select d {operator} {operand} from t")


@pytest.mark.parametrize("operator", OPERATIONS)
@pytest.mark.parametrize("operand", [2, 7, Decimal("1.5"), Decimal("0.03")], ids=str)
@pytest.mark.parametrize("consumer", ["pandas", "polars", "DuckDB"])
@examples(10)
@given(rows=ROWS)
def test_arithmetic(consumer: str, operator: str, operand: Any, rows: list[tuple[int, Decimal]]) -> None:
    """Exact, where the result has a place for each digit: quotients have not, and polars keeps the column's places."""
    found = computed(consumer, table_of(rows), operator, operand)
    for value, (_, amount) in zip(found, rows, strict=True):
        if isinstance(value, float):  # quotients in DuckDB
            assert operator == "/"
            assert value == pytest.approx(float(amount) / float(operand), rel=1e-12)
            continue
        exact = getattr(WIDE, {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}[operator])(amount, operand)
        place = Decimal(1).scaleb(int(value.as_tuple().exponent))
        if operator in "+-" or (operator == "*" and (consumer != "polars" or isinstance(operand, int))):
            assert value == exact
        else:
            assert abs(value - exact) < place
            assert place <= Decimal("0.01")


@pytest.mark.parametrize("consumer", ["pandas", "polars", "DuckDB"])
@pytest.mark.parametrize("operator", OPERATIONS)
@examples(10)
@given(rows=ROWS, divisors=st.lists(st.integers(1, 10**4), min_size=30, max_size=30))
def test_two_columns(consumer: str, operator: str, rows: list[tuple[int, Decimal]], divisors: list[int]) -> None:
    """Decimals with decimals and with integers, row by row."""
    others = divisors[: len(rows)]
    for kind in (pa.decimal128(18, 2), pa.int64()):
        table = table_of(rows).append_column("o", pa.array(others, pa.int64()))
        cents = table.column("o").cast(pa.decimal128(38, 2)).cast(kind)
        table = table.set_column(2, "o", cents)
        if consumer == "pandas":
            frame: Any = pandas_of(table)
            found = list(OPERATIONS[operator](frame["d"], frame["o"]))
        elif consumer == "polars":
            frame = pl.DataFrame(table)
            found = list(OPERATIONS[operator](frame["d"], frame["o"]))
        else:
            found = duck(table, f"select d {operator} o from t")
        for value, (_, amount), other in zip(found, rows, others, strict=True):
            exact = OPERATIONS[operator](amount, Decimal(other))
            if operator == "/":
                assert float(value) == pytest.approx(float(exact), abs=0.01)
            else:
                assert value == exact


def outcome_at_38_digits(consumer: str) -> str:
    """The sum of 20,000 values of 34 digits, which no decimal of 38 digits holds."""
    largest = 10**34 - 1
    many = [bson.encode({"g": 0, "d": Decimal128(Decimal(largest))})] * 20_000
    table = data_bridge.read_bson(many).to_arrow()
    assert table.field("d").type == pa.decimal128(38, 0)
    try:
        found = SUMS[consumer](table)
    except (pl.exceptions.ComputeError, duckdb.OutOfRangeException):
        return "raises"
    return "right" if found == largest * 20_000 else "wraps"


CONSUMERS = {"pyarrow": pa, "pandas": pd, "polars": pl, "DuckDB": duckdb}


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_sums_at_38_digits_are_what_the_page_says(consumer: str) -> None:
    row = re.search(rf"^\| {consumer} ([\d.]+) \| `?(\w+)", PAGE, re.MULTILINE)
    assert row is not None, "the page has a row for each consumer"
    version, shown = row.groups()
    if CONSUMERS[consumer].__version__ != version:
        pytest.skip(f"the page shows {consumer} {version}")
    assert outcome_at_38_digits(consumer) == shown


def test_queries_take_part(database: Any, client: Any) -> None:
    """From the server to a sum."""
    database.c.insert_many([{"_id": at, "price": Decimal128(f"{at}.25"), "n": at} for at in range(100)])
    query = client[database.name].c.find()
    expected = sum(Decimal(f"{at}.25") for at in range(100))
    assert query.to_polars()["price"].sum() == expected
    assert query.to_pandas()["price"].sum() == expected
    assert duckdb.sql("select sum(price * n) from query").fetchall() == [
        (sum(Decimal(f"{at}.25") * at for at in range(100)),)
    ]
    assert functools.reduce(max, query.to_arrow()["price"].to_pylist()) == Decimal("99.25")
