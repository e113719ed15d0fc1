"""polars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

import data_bridge
from consumers.checks import Cell, values_of

NAME = "polars"
VERSION = pl.__version__
X = pl.col("x")


def load(result: data_bridge.Result) -> pl.DataFrame:
    return result.to_polars()


def values(frame: pl.DataFrame, cell: Cell, directory: Path) -> None:
    cell.check_values(frame["x"].to_list())


def print_(frame: pl.DataFrame, cell: Cell, directory: Path) -> None:
    str(frame)
    frame._repr_html_()
    frame.glimpse(return_type="string")


def compare(frame: pl.DataFrame, cell: Cell, directory: Path) -> None:
    cell.check_itself(frame.select(X == X).to_series())
    cell.check_neighbours(frame["x"][:-1] == frame["x"][1:])


def group(frame: pl.DataFrame, cell: Cell, directory: Path) -> None:
    cell.check_groups(frame.group_by("x").agg(pl.len().alias("size"))["size"])


def sort(frame: pl.DataFrame, cell: Cell, directory: Path) -> None:
    cell.check_order(frame.sort("x")["n"])


def join(frame: pl.DataFrame, cell: Cell, directory: Path) -> None:
    cell.check_join(frame.join(frame, on="x").height)


def sum_(frame: pl.DataFrame, cell: Cell, directory: Path) -> None:
    number = {
        "list": X.explode(),
        "struct": X.struct.field("v"),
        "structs": X.explode().struct.field("v"),
    }.get(cell.column.placement, X)
    cell.check_sum(frame.select(number.sum()).item())


def csv(frame: pl.DataFrame, cell: Cell, directory: Path) -> None:
    frame.write_csv(directory / "t.csv")
    cell.check_texts(pl.read_csv(directory / "t.csv", infer_schema=False)["x"])


def json(frame: pl.DataFrame, cell: Cell, directory: Path) -> None:
    frame.write_ndjson(directory / "t.json")
    back = pl.read_ndjson(directory / "t.json", infer_schema_length=None)
    cell.check_json(back["x"].to_list())


def parquet(frame: pl.DataFrame, cell: Cell, directory: Path) -> None:
    frame.write_parquet(directory / "t.parquet")
    cell.check_values(_values(pl.read_parquet(directory / "t.parquet")))


def ipc(frame: pl.DataFrame, cell: Cell, directory: Path) -> None:
    frame.write_ipc(directory / "t.arrow")
    cell.check_values(_values(pl.read_ipc(directory / "t.arrow")))


def _values(frame: pl.DataFrame) -> list[Any]:
    return values_of(frame.to_arrow())
