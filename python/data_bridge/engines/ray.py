"""Ray Data: partitions as a Dataset, with columns pushed down, and a Datasink of a task writer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

try:
    import pyarrow as pa
    import ray.data
    from ray.data import Datasink, Datasource, ReadTask
    from ray.data.block import Block, BlockAccessor, BlockMetadata
except ImportError as error:
    raise ImportError("Ray Data is needed: pip install 'data-bridge-mongodb[ray]'") from error

from ..query.arrow_write_result import ArrowWriteResult
from ..query.partition import Partition, Partitions
from ..query.task_writer import TaskWriter

_NAME = "MongoDB"


class PartitionDatasource(Datasource):
    """Partitions as Ray reads them. They are planned once, so Ray may request the tasks any number of times."""

    def __init__(self, partitions: Partitions) -> None:
        super().__init__()
        # The base class reads it before it is set.
        self._projection_map = None
        self._partitions = partitions

    def get_name(self) -> str:
        """The name of the tasks."""
        return _NAME

    def supports_projection_pushdown(self) -> bool:
        """True: tasks request the columns that are needed."""
        return True

    def estimate_inmemory_data_size(self) -> int | None:
        """None: the size of the tables is not known."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """A task for each partition, whatever the parallelism."""
        partitions, columns = self._partitions, self._get_data_columns()
        assert partitions.schema is not None
        if columns is not None:
            # A block without columns would lose its number of rows.
            columns = list(columns) or partitions.schema.names[:1]
            partitions = partitions.select(columns)
        schema = pa.schema(partitions.schema)
        # Ray believes a number of rows, and this one would be an estimate.
        metadata = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [
            ReadTask(
                partial(read_blocks, partition, columns, per_task_row_limit),
                metadata,
                schema=schema if columns is None else pa.schema([schema.field(name) for name in columns]),
                per_task_row_limit=per_task_row_limit,
            )
            for partition in partitions
        ]


def read_blocks(partition: Partition, columns: list[str] | None, limit: int | None) -> Iterator[pa.Table]:
    """Yield the tables of a partition as they come, at least one; the task of a read."""
    left = limit
    table: pa.Table | None = None
    with partition.stream() as stream:
        for batch in stream if left != 0 else ():
            table = pa.Table.from_batches([pa.record_batch(batch)])
            table = table if columns is None else table.select(columns)
            if left is not None:
                table = table.slice(0, left)
                left -= table.num_rows
            yield table
            if left == 0:
                return
    if table is None:
        empty = pa.schema(partition.schema).empty_table()
        yield empty if columns is None else empty.select(columns)


class WriterDatasink(Datasink[ArrowWriteResult]):
    """A task writer as Ray calls it: each task writes its blocks as one stream."""

    def __init__(self, writer: TaskWriter) -> None:
        self._writer = writer
        self.result: ArrowWriteResult | None = None
        """The sum of the results of all tasks, after the write."""

    def get_name(self) -> str:
        """The name of the tasks."""
        return _NAME

    def on_write_start(self, schema: Any = None) -> None:
        """Refuse a schema that cannot be written, where Ray knows it."""
        if schema is not None:
            self._writer.check_columns(list(schema.names))

    def write(self, blocks: Iterable[Block], ctx: Any) -> ArrowWriteResult:
        """Write the blocks of one task."""
        tables = (BlockAccessor.for_block(block).to_arrow() for block in blocks)
        return ArrowWriteResult.merged(self._writer.write(table) for table in tables if table.num_rows)

    def on_write_complete(self, write_result: Any) -> None:
        """Add up the results of the tasks."""
        self.result = ArrowWriteResult.merged(write_result.write_returns)


def to_ray(partitions: Partitions) -> ray.data.Dataset:
    """Return the Dataset of partitions with a common schema."""
    return ray.data.read_datasource(PartitionDatasource(partitions), override_num_blocks=len(partitions))


def write_ray(dataset: ray.data.Dataset, writer: TaskWriter) -> ArrowWriteResult:
    """Write a Dataset; return the sum of the results."""
    sink = WriterDatasink(writer)
    dataset.write_datasink(sink)
    assert sink.result is not None
    return sink.result
