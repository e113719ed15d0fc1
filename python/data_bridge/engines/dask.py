"""Dask: partitions as a DataFrame, with columns pushed down, and writes of its partitions by a task writer."""

from __future__ import annotations

from collections.abc import Sequence

try:
    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa
except ImportError as error:
    raise ImportError("dask.dataframe is needed: pip install 'data-bridge-mongodb[dask]'") from error

from ..query import pandas_frames
from ..query.arrow_write_result import ArrowWriteResult
from ..query.partition import Partition, Partitions
from ..query.task_writer import TaskWriter

_BACKEND = "pyarrow"
_RESULT = "result"


def to_dask(partitions: Partitions) -> dd.DataFrame:
    """Return the DataFrame of partitions with a common schema."""
    empty = pandas_frames.frame(pa.schema(partitions.schema).empty_table(), _BACKEND)
    # Without enforce_metadata, a part with other columns would pass.
    return dd.from_map(read_part, list(partitions), meta=empty, label="read-mongodb", enforce_metadata=True)


def read_part(partition: Partition, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a partition; the task of a read. Dask gives it the columns that are needed."""
    if columns is None:
        return partition.to_pandas(dtype_backend=_BACKEND)
    assert partition.schema is not None
    # A table without columns would lose its number of rows.
    frame = partition.select(list(columns) or partition.schema.names[:1]).to_pandas(dtype_backend=_BACKEND)
    return frame[list(columns)]


def write_dask(frame: dd.DataFrame, writer: TaskWriter) -> ArrowWriteResult:
    """Write a DataFrame; return the sum of the results."""
    writer.check_columns([str(name) for name in frame.columns])
    meta = pd.DataFrame({_RESULT: pd.Series(dtype=object)})
    results = frame.map_partitions(write_part, writer, meta=meta, enforce_metadata=False).compute()
    return ArrowWriteResult.merged(results[_RESULT])


def write_part(part: pd.DataFrame, writer: TaskWriter) -> pd.DataFrame:
    """Write a partition; the task of a write."""
    table = pa.Table.from_pandas(part, preserve_index=False)
    result = writer.write(table) if len(part) else ArrowWriteResult.merged([])
    return pd.DataFrame({_RESULT: pd.Series([result], dtype=object)})
