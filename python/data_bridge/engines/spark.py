"""PySpark 4: `format("data_bridge")`, a batch reader over partitions and a writer, in Arrow batches.

Spark finds `DefaultSource` by the module `pyspark_data_bridge`; `spark.dataSource.register(DefaultSource)` registers it
where modules of workers are not searched.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

try:
    import pyarrow as pa
    from pyspark.sql.datasource import (
        DataSource,
        DataSourceArrowWriter,
        DataSourceReader,
        InputPartition,
        WriterCommitMessage,
    )
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
    from pyspark.sql.types import StructType
except ImportError as error:
    raise ImportError("PySpark 4 or later is needed: pip install 'data-bridge-mongodb[spark]'") from error

from .._core import Schema
from ..errors import InvalidQuery
from ..query.arrow_write_result import ArrowWriteResult
from ..query.partition import Partition, Partitions
from ..query.task_writer import INSERT, TaskWriter
from ..synchronous.client import MongoClient
from .predicates import All, FilterBuilder
from .spark_filters import condition
from .spark_options import SparkOptions
from .spark_overwrite import Replacement
from .spark_types import spark_schema

_INFER_ROWS = 1000
_RESCUE = "rescue"
_PUSHING_WORKER = "pyspark.sql.worker.data_source_pushdown_filters"


class DefaultSource(DataSource):
    """The data source `data_bridge`."""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self._inferred: Schema | None = None

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return "data_bridge"

    def schema(self) -> StructType:
        """Infer the columns from the first documents of each partition."""
        options = SparkOptions.of_read(self.options)
        with opened(options) as client:
            partitions = _planned(client, options, infer_rows=options.get("infer_rows", _INFER_ROWS))
        # This object is pickled after the call, so the reader has the schema with its metadata.
        self._inferred = partitions.schema
        return from_arrow_schema(spark_schema(pa.schema(partitions.schema)))

    def reader(self, schema: StructType) -> SparkReader:
        """Return the reader of these columns."""
        options = SparkOptions.of_read(self.options)
        # Of a DataFrame that is used in several scans, Spark up to 4.3 reads each with the filters of the last one.
        pushes = options.get("pushdown", False) and _may_push_filters()
        return (PushingReader if pushes else SparkReader)(options, schema, self._inferred)

    def writer(self, schema: StructType, overwrite: bool) -> SparkWriter:
        """Return the writer of these columns; `overwrite` replaces the collection."""
        return SparkWriter(SparkOptions.of_write(self.options), schema.names, overwrite)


def _may_push_filters() -> bool:
    """Return whether this process is the one in which Spark pushes filters.

    Spark fails a read whose reader can take filters, unless `spark.sql.python.filterPushdown.enabled` is true. Data
    sources do not see this setting, but Spark starts the worker of this name only if it is true.
    """
    main = getattr(sys.modules["__main__"], "__spec__", None)
    return _PUSHING_WORKER in sys.modules or (main is not None and main.name == _PUSHING_WORKER)


def opened(options: SparkOptions) -> MongoClient:
    """Return the client of the options, of this process."""
    uri = options.get("uri")
    if uri is None:
        uri = os.environ.get(options.get("uri_env"))
    if uri is None:
        raise InvalidQuery(f"the environment variable {options.get('uri_env')}, which has the URI, is not set")
    return MongoClient(uri)


def _planned(
    client: MongoClient, options: SparkOptions, pushed: dict[str, Any] | None = None, **arguments: Any
) -> Partitions:
    """Plan the partitions of a read.

    Parameters
    ----------
    pushed
        A filter of the documents that are needed, beside that of the options.
    arguments
        `schema` of the query, or `infer_rows` of the partitions.
    """
    collection = client[options.get("database")][options.get("collection")]
    infer_rows = arguments.pop("infer_rows", None)
    keywords = {**options.query, **options.table, **arguments}
    pipeline = options.get("pipeline")
    if pipeline is not None:
        query = collection.aggregate([*pipeline, *([{"$match": pushed}] if pushed else [])], **keywords)
    else:
        filters = [each for each in (options.get("filter"), pushed) if each]
        both = {"$and": filters} if len(filters) > 1 else filters[0] if filters else None
        query = collection.find(both, options.get("projection"), **keywords)
    return query.partitions(infer_rows=infer_rows, **options.partitions, **options.origin)


class SparkPartition(InputPartition):
    """A partition, as Spark sends it to the worker of its task."""

    def __init__(self, partition: Partition) -> None:
        super().__init__(None)
        self.partition = partition


class SparkReader(DataSourceReader):
    """Reads the columns of a schema.

    Parameters
    ----------
    schema
        Of Spark: the inferred one, or one that the caller gave.
    inferred
        The inferred schema; None if the caller gave one.
    """

    def __init__(self, options: SparkOptions, schema: StructType, inferred: Schema | None) -> None:
        self._options = options
        if inferred is None and options.get("on_conflict") == _RESCUE:
            raise InvalidQuery('on_conflict "rescue" adds a column to the inferred ones: leave schema() out')
        self._given = None if inferred is not None else to_arrow_schema(schema, timezone="UTC")
        self._inferred = inferred
        self._filters: Sequence[Any] = ()

    def partitions(self) -> Sequence[InputPartition]:
        """Plan a task for each partition."""
        options, inferred = self._options, self._inferred
        with opened(options) as client:
            if inferred is None:
                found = _planned(client, options, self._pushed(), schema=self._given)
            else:
                converted = Schema.from_arrow(spark_schema(pa.schema(self._keys(inferred)), decoded=True))
                plan = _planned(client, options, self._pushed())
                found = plan.with_schema(converted, plan.reason)
            return [SparkPartition(partition) for partition in found]

    def _pushed(self) -> dict[str, Any] | None:
        """Return a filter that matches each document whose row meets Spark's filters; None for every document."""
        if not self._filters:
            return None
        schema = Schema.from_arrow(self._given) if self._inferred is None else self._keys(self._inferred)
        builder = FilterBuilder(schema, is_inferred=self._inferred is not None)
        return builder.filter(All([condition(each) for each in self._filters]))

    def _keys(self, schema: Schema) -> Schema:
        """Return the columns of an inferred schema that are keys of documents: all but that of rescued values."""
        return schema._select(schema.names[:-1]) if self._options.get("on_conflict") == _RESCUE else schema

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the RecordBatches of a partition as they come."""
        assert isinstance(partition, SparkPartition)
        schema: pa.Schema | None = None
        with partition.partition.stream() as stream:
            for native in stream:
                batch = pa.record_batch(native)
                schema = schema or spark_schema(batch.schema)
                yield batch if batch.schema.equals(schema) else batch.cast(schema)


class PushingReader(SparkReader):
    """Reads with Spark's filters, where Spark pushes them."""

    def pushFilters(self, filters: list[Any]) -> Iterable[Any]:
        """Keep the filters; return all of them, since the documents that match are a superset of the rows."""
        self._filters = list(filters)
        return self._filters


class Written(WriterCommitMessage):
    """The result of one task."""

    def __init__(self, result: ArrowWriteResult) -> None:
        self.result = result


class SparkWriter(DataSourceArrowWriter):
    """Writes rows by a task writer; when it overwrites, into a collection that takes the place of the other one."""

    def __init__(self, options: SparkOptions, columns: Sequence[str], overwrite: bool) -> None:
        self._options = options
        operation = options.get("operation", INSERT)
        if overwrite and not operation.startswith(INSERT):
            raise InvalidQuery(
                f"mode overwrite inserts all rows: leave the option operation ({operation}) out, or append"
            )
        self._replacement: Replacement | None = None
        with opened(options) as client:
            database = client[options.get("database")]
            writer = self._writer(database, options.get("collection"), operation)
            writer.check_columns(columns)
            if overwrite:
                self._replacement = Replacement.create(database, options.get("collection"))
                writer = self._writer(database, self._replacement.temporary, operation)
            self._task_writer = writer

    def _writer(self, database: Any, name: str, operation: str) -> TaskWriter:
        options = self._options
        collection = database.get_collection(name, write_concern=options.get("write_concern"))
        if options.get("timeout") is not None:
            collection = collection.with_options(timeout=options.get("timeout"))
        keys = {} if operation.startswith(INSERT) else {"on": options.get("on", ["_id"])}
        writer: TaskWriter = collection.task_writer(operation, **keys, **options.origin, **options.write)
        return writer

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WriterCommitMessage:
        """Write the rows of one task."""
        first = next(iterator, None)
        if first is None:
            return Written(ArrowWriteResult.merged([]))

        def batches() -> Iterator[pa.RecordBatch]:
            yield first
            yield from iterator

        return Written(self._task_writer.write(pa.RecordBatchReader.from_batches(first.schema, batches())))

    def commit(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        """End a write whose tasks all succeeded: put the new collection in the place of the other one."""
        if self._replacement is not None:
            with opened(self._options) as client:
                self._replacement.commit(client[self._options.get("database")])

    def abort(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        """End a write that failed: drop the new collection. Rows that were appended stay."""
        if self._replacement is not None:
            with opened(self._options) as client:
                self._replacement.abort(client[self._options.get("database")])
