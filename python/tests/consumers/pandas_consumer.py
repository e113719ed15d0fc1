"""pandas, with each `dtype_backend`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

import data_bridge
from consumers.checks import Cell, values_of

VERSION = pd.__version__


class Pandas:
    """The operations with one backend."""

    VERSION = VERSION

    def __init__(self, backend: str) -> None:
        self.NAME = f"pandas {backend}"
        self.backend = backend
        self.read: dict[str, Any] = {} if backend == "numpy" else {"dtype_backend": backend}

    def load(self, result: data_bridge.Result) -> pd.DataFrame:
        return result.to_pandas(dtype_backend=self.backend)

    def values(self, frame: pd.DataFrame, cell: Cell, directory: Path) -> None:
        cell.check_values(frame["x"])

    def print_(self, frame: pd.DataFrame, cell: Cell, directory: Path) -> None:
        repr(frame)
        frame.to_string()
        frame.to_html()
        frame.info(buf=io.StringIO())

    def compare(self, frame: pd.DataFrame, cell: Cell, directory: Path) -> None:
        x = frame["x"]
        cell.check_itself(x == x)
        cell.check_neighbours(x[:-1].reset_index(drop=True) == x[1:].reset_index(drop=True))

    def group(self, frame: pd.DataFrame, cell: Cell, directory: Path) -> None:
        cell.check_groups(frame.groupby("x", dropna=False).size())

    def sort(self, frame: pd.DataFrame, cell: Cell, directory: Path) -> None:
        cell.check_order(frame.sort_values("x")["n"])

    def join(self, frame: pd.DataFrame, cell: Cell, directory: Path) -> None:
        cell.check_join(len(frame.merge(frame, on="x")), nulls=True)

    def sum_(self, frame: pd.DataFrame, cell: Cell, directory: Path) -> None:
        x = frame["x"]
        if cell.column.placement in ("list", "structs"):
            x = x.explode()
        if cell.column.placement in ("struct", "structs"):
            x = x.struct.field("v") if self.backend == "pyarrow" else x.str.get("v")
        cell.check_sum(x.sum())

    def csv(self, frame: pd.DataFrame, cell: Cell, directory: Path) -> None:
        frame.to_csv(directory / "t.csv", index=False)
        cell.check_texts(pd.read_csv(directory / "t.csv", dtype=str, na_values=[""], keep_default_na=False)["x"])

    def json(self, frame: pd.DataFrame, cell: Cell, directory: Path) -> None:
        frame.to_json(directory / "t.json", orient="records", lines=True)
        options = {"orient": "records", "lines": True, "convert_dates": False, "dtype": False, **self.read}
        back = pd.read_json(directory / "t.json", **options)
        cell.check_json(back["x"])

    def parquet(self, frame: pd.DataFrame, cell: Cell, directory: Path) -> None:
        frame.to_parquet(directory / "t.parquet")
        cell.check_values(self._values(pd.read_parquet(directory / "t.parquet", **self.read)))

    def ipc(self, frame: pd.DataFrame, cell: Cell, directory: Path) -> None:
        frame.to_feather(directory / "t.arrow")
        cell.check_values(self._values(pd.read_feather(directory / "t.arrow", **self.read)))

    def _values(self, frame: pd.DataFrame) -> Any:
        if self.backend != "pyarrow":
            return frame["x"]
        # Series of dates outside the years of datetime have no Python values.
        return values_of(pa.table({"x": frame["x"].array.__arrow_array__()}))
