"""pyarrow, without registered types."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

import data_bridge
from consumers.checks import Cell, values_of

NAME = "pyarrow"
VERSION = pa.__version__


def load(result: data_bridge.Result) -> pa.Table:
    return result.to_arrow()


def values(table: pa.Table, cell: Cell, directory: Path) -> None:
    table.validate(full=True)
    cell.check_values(table.column("x").to_pylist())


def print_(table: pa.Table, cell: Cell, directory: Path) -> None:
    str(table)
    table.to_string(preview_cols=10)
    repr(table.column("x"))


def compare(table: pa.Table, cell: Cell, directory: Path) -> None:
    x = table.column("x")
    cell.check_itself(pc.equal(x, x).to_pylist())
    cell.check_neighbours(pc.equal(x.slice(0, len(x) - 1), x.slice(1)).to_pylist())


def group(table: pa.Table, cell: Cell, directory: Path) -> None:
    cell.check_groups(table.group_by("x").aggregate([("n", "count")]).column("n_count").to_pylist())


def sort(table: pa.Table, cell: Cell, directory: Path) -> None:
    cell.check_order(table.sort_by("x").column("n").to_pylist())


def join(table: pa.Table, cell: Cell, directory: Path) -> None:
    cell.check_join(table.join(table.rename_columns(["m", "x"]), keys="x", join_type="inner").num_rows)


def sum_(table: pa.Table, cell: Cell, directory: Path) -> None:
    x = table.column("x")
    if cell.column.placement in ("list", "structs"):
        x = pc.list_flatten(x)
    if cell.column.placement in ("struct", "structs"):
        x = pc.struct_field(x, "v")
    cell.check_sum(pc.sum(x).as_py())


def csv(table: pa.Table, cell: Cell, directory: Path) -> None:
    pa.csv.write_csv(table, directory / "t.csv")
    options = pa.csv.ConvertOptions(column_types={"x": pa.string()}, strings_can_be_null=True, null_values=[""])
    parsing = pa.csv.ParseOptions(newlines_in_values=True)
    back = pa.csv.read_csv(directory / "t.csv", parse_options=parsing, convert_options=options)
    cell.check_texts(back.column("x").to_pylist())


def json(table: pa.Table, cell: Cell, directory: Path) -> None:
    raise NotImplementedError("pyarrow has no writer of JSON")


def parquet(table: pa.Table, cell: Cell, directory: Path) -> None:
    pa.parquet.write_table(table, directory / "t.parquet")
    cell.check_values(values_of(pa.parquet.read_table(directory / "t.parquet")))


def ipc(table: pa.Table, cell: Cell, directory: Path) -> None:
    pa.feather.write_feather(table, directory / "t.arrow")
    cell.check_values(values_of(pa.feather.read_table(directory / "t.arrow", memory_map=False)))
