"""DuckDB."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.feather

import data_bridge
from consumers.checks import Cell, values_of

NAME = "DuckDB"
VERSION = duckdb.__version__


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    # Extensions would be downloaded. With the last option UUIDs leave as UUIDs, not as text.
    options = {"threads": 1, "autoinstall_known_extensions": "false", "arrow_lossless_conversion": "true"}
    return duckdb.connect(config=options)


def load(result: data_bridge.Result) -> duckdb.DuckDBPyConnection:
    _connection().register("t", result)
    return _connection()


def values(connection: duckdb.DuckDBPyConnection, cell: Cell, directory: Path) -> None:
    cell.check_values(_rows(connection, "SELECT x FROM t ORDER BY n"))


def print_(connection: duckdb.DuckDBPyConnection, cell: Cell, directory: Path) -> None:
    str(connection.sql("SELECT * FROM t"))


def compare(connection: duckdb.DuckDBPyConnection, cell: Cell, directory: Path) -> None:
    cell.check_itself(_rows(connection, "SELECT x = x FROM t ORDER BY n"))
    cell.check_neighbours(_rows(connection, "SELECT a.x = b.x FROM t a JOIN t b ON b.n = a.n + 1 ORDER BY a.n"))


def group(connection: duckdb.DuckDBPyConnection, cell: Cell, directory: Path) -> None:
    cell.check_groups(_rows(connection, "SELECT count(*) FROM t GROUP BY x"))


def sort(connection: duckdb.DuckDBPyConnection, cell: Cell, directory: Path) -> None:
    cell.check_order(_rows(connection, "SELECT n FROM t ORDER BY x"))


def join(connection: duckdb.DuckDBPyConnection, cell: Cell, directory: Path) -> None:
    cell.check_join(_rows(connection, "SELECT count(*) FROM t a JOIN t b ON a.x = b.x")[0])


def sum_(connection: duckdb.DuckDBPyConnection, cell: Cell, directory: Path) -> None:
    query = {
        "list": "SELECT sum(v) FROM (SELECT unnest(x) AS v FROM t)",
        "struct": "SELECT sum(x.v) FROM t",
        "structs": "SELECT sum(v.v) FROM (SELECT unnest(x) AS v FROM t)",
    }.get(cell.column.placement, "SELECT sum(x) FROM t")
    cell.check_sum(_rows(connection, query)[0])


def csv(connection: duckdb.DuckDBPyConnection, cell: Cell, directory: Path) -> None:
    connection.execute(f"COPY t TO '{directory}/t.csv' (HEADER)")
    cell.check_texts(
        _rows(connection, f"SELECT x FROM read_csv('{directory}/t.csv', all_varchar=true) ORDER BY n::INT")
    )


def json(connection: duckdb.DuckDBPyConnection, cell: Cell, directory: Path) -> None:
    connection.execute(f"COPY t TO '{directory}/t.json' (FORMAT json)")
    cell.check_json(_rows(connection, f"SELECT x FROM read_json('{directory}/t.json') ORDER BY n"))


def parquet(connection: duckdb.DuckDBPyConnection, cell: Cell, directory: Path) -> None:
    connection.execute(f"COPY t TO '{directory}/t.parquet' (FORMAT parquet)")
    back = connection.sql(f"SELECT x FROM '{directory}/t.parquet' ORDER BY n").to_arrow_table()
    cell.check_values(values_of(back))


def ipc(connection: duckdb.DuckDBPyConnection, cell: Cell, directory: Path) -> None:
    # DuckDB itself writes no IPC: the table that it returns to pyarrow.
    pa.feather.write_feather(connection.sql("SELECT * FROM t ORDER BY n").to_arrow_table(), f"{directory}/t.arrow")
    cell.check_values(values_of(pa.feather.read_table(f"{directory}/t.arrow", memory_map=False)))


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    return [row[0] for row in connection.execute(query).fetchall()]
