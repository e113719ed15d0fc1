"""Partitions of a result: picklable scans that read one range each."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp

from .._core import Document, Schema
from ..commands import encode
from ..connection.settings import Settings
from ..errors import InvalidOperation
from .async_query import AsyncQuery
from .extensions import extension
from .find_command import FindCommand
from .index_check import check_index
from .key_ranges import Range
from .namespace import Namespace
from .partition_origin import Origin
from .plan import AggregatePlan, FindPlan
from .query import Query
from .ranges_plan import RangesPlan, Split
from .table_options import ReadOptions, TableOptions, native_schema

if TYPE_CHECKING:
    import dask.dataframe
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import ray.data

    from .report import Report
    from .result import Result
    from .stream import Stream

_RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
_VERSION = 1


class Scan:
    """The query that partitions share, in a form that other processes can read."""

    __slots__ = ("_inner", "_options", "_schema", "_state", "_table", "origin", "split")

    origin: Origin
    split: Split

    def __init__(
        self,
        inner: FindPlan | AggregatePlan,
        options: ReadOptions,
        table: TableOptions,
        split: Split,
        origin: Origin,
        schema: Schema | None = None,
    ) -> None:
        self._inner: FindPlan | AggregatePlan | None = inner
        self._options: ReadOptions | None = options
        self._table = table
        self._schema = schema
        self._state: Mapping[str, Any] | None = None
        self.split = split
        self.origin = origin

    @property
    def inner(self) -> FindPlan | AggregatePlan:
        """The plan of the whole result, on the client of this process."""
        if self._inner is None:
            assert self._state is not None
            self._inner = _plan_of(self._state, self.origin, self._settings())
        return self._inner

    @property
    def options(self) -> ReadOptions:
        """The options of tables and the deadline."""
        if self._options is None:
            assert self._state is not None
            settings = self._settings()
            options = ReadOptions.check(self._table, self._state["timeout"], None, settings.codec, settings.types)
            if self._schema is not None:
                options = options._replace(form=options.form.with_inferred_schema(self._schema))
            self._options = options
        return self._options

    def _settings(self) -> Settings:
        if self._inner is not None:
            return self._inner.namespace.settings
        assert self._state is not None
        state = self._state
        concerns = state["read_preference"], None, state["read_concern"]
        return Settings(state["codec_options"], *concerns, state["timeout"], state["types"])

    @property
    def name(self) -> str:
        """The namespace, for messages."""
        state = self.__getstate__()
        return f"{state['database']}.{state['collection']}"

    def with_schema(self, schema: Schema) -> Scan:
        """Return the scan whose tables have a schema that was inferred."""
        settings = self._settings()
        form = self._table.form(settings.codec, settings.types).with_inferred_schema(schema)
        return Scan(self.inner, self.options._replace(form=form), self._table, self.split, self.origin, schema)

    def selected(self, columns: Sequence[str]) -> Scan:
        """Return the scan whose tables have some columns of the common schema, in this order."""
        schema = self.options.form.schema
        if schema is None:
            raise _without_schema()
        unknown = [name for name in columns if name not in schema.names]
        if unknown or not columns:
            raise ValueError(f"expected some of the columns {schema.names}, got {list(columns)}")
        if self._table.on_conflict == "rescue":
            # A value of any key may have to be rescued.
            return self
        table = self._table._replace(schema=schema._select(list(columns)))
        settings = self._settings()
        options = self.options._replace(form=table.form(settings.codec, settings.types), table=table)
        return Scan(self.inner, options, table, self.split, self.origin)

    def __getstate__(self) -> dict[str, Any]:
        if self._state is None:
            inner, settings = self.inner, self._settings()
            schema = self._table.schema
            self._state = {
                "version": _VERSION,
                "database": inner.namespace.database,
                "collection": inner.namespace.collection,
                "codec_options": settings.codec_options,
                "read_preference": settings.read_preference,
                "read_concern": settings.read_concern,
                "types": settings.types,
                "timeout": self.options.timeout,
                "resume": isinstance(inner, FindPlan) and inner.resume,
                "filter": inner.filter if isinstance(inner, FindPlan) else None,
                "pipeline": None
                if isinstance(inner, FindPlan)
                else encode.pipeline(inner.stages, settings.codec_options),
                "options": encode.document(inner.options, settings.codec_options, "options"),
                "table": self._table._replace(schema=None if schema is None else native_schema(schema)),
            }
        return {**self._state, "schema": self._schema, "split": self.split, "origin": self.origin}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        if state["version"] != _VERSION:
            raise InvalidOperation("the partition was pickled by another version of data_bridge")
        own = dict(state)
        self.split, self.origin, self._table = own.pop("split"), own.pop("origin"), own["table"]
        self._schema = own.pop("schema")
        self._state = own
        self._inner = self._options = None


def _plan_of(state: Mapping[str, Any], origin: Origin, settings: Settings) -> FindPlan | AggregatePlan:
    """Return the plan whose parts are in the state of a scan. Nested documents stay bytes, which are sent unchanged."""
    namespace = Namespace(origin.core, state["database"], state["collection"], settings)
    options = {
        key: dict(value) if isinstance(value, Mapping) else value
        for key, value in bson.decode(state["options"], _RAW).items()
    }
    if state["filter"] is not None:
        return FindPlan(namespace, state["filter"], FindCommand(options), None, state["resume"])
    return AggregatePlan(namespace, bson.decode(state["pipeline"], _RAW)["pipeline"], options, None)


class Partition:
    """One range of a result, which any process can read: a picklable scan.

    A read that loses its cursor continues after its last row, as with `resume=True`, where the collection permits it.
    Tables need a schema that all partitions share: that of the query, or one from `partitions(infer_rows=...)`.
    """

    __slots__ = ("_query", "_range", "_scan", "estimated_rows", "index")

    index: int
    """Its position among the partitions."""
    estimated_rows: int | None
    """The number of documents in the range before the filter, estimated; None if it is unknown."""

    def __init__(self, scan: Scan, range: Range, index: int, estimated_rows: int | None) -> None:
        self._scan = scan
        self._range = range
        self.index = index
        self.estimated_rows = estimated_rows
        self._query: Query | None = None

    def query(self) -> Query:
        """Return the query of the range, on the client of this process.

        Raises
        ------
        InvalidQuery
            When the index of the key no longer covers each document once.
        """
        if self._query is None:
            self._query = Query(self._plan(), self._scan.options)
        return self._query

    def async_query(self) -> AsyncQuery:
        """As `query`, for `async for` and `await`."""
        return AsyncQuery(self._plan(), self._scan.options)

    def _plan(self) -> RangesPlan:
        scan = self._scan
        if scan.split.checks_index:
            check_index(scan.inner, scan.split, scan.options.timeout)
        return RangesPlan(scan.inner, scan.split, [self._range])

    def select(self, columns: Sequence[str]) -> Partition:
        """Return the partition whose tables have these columns only; other keys are not requested from the server.

        Under `on_conflict="rescue"` tables keep all columns, since `_rescued` has values of any of them.
        """
        return Partition(self._scan.selected(columns), self._range, self.index, self.estimated_rows)

    def _table_query(self) -> Query:
        if self._scan.options.form.schema is None:
            raise _without_schema()
        return self.query()

    def read(self) -> Result:
        """Read the range, and keep everything. As `Query.read`."""
        return self.query().read()

    def to_arrow(self) -> pa.Table:
        """Read the range as a pyarrow Table."""
        return self._table_query().to_arrow()

    def to_polars(self) -> pl.DataFrame:
        """Read the range as a polars DataFrame."""
        return self._table_query().to_polars()

    def to_pandas(self, *, dtype_backend: str = "pyarrow") -> pd.DataFrame:
        """Read the range as a pandas DataFrame."""
        return self._table_query().to_pandas(dtype_backend=dtype_backend)

    def to_list(self) -> list[Document]:
        """Read the range; all its Documents."""
        return self.query().to_list()

    def to_dicts(self) -> list[dict[str, Any]]:
        """Read the range; all its documents as dicts, equal to what PyMongo gives."""
        return self.query().to_dicts()

    def stream(self) -> Stream:
        """RecordBatches of the range as they come, in bounded memory."""
        return self._table_query().stream()

    def __iter__(self) -> Iterator[Document]:
        """Documents of the range as they come, in bounded memory."""
        return iter(self.query())

    @property
    def schema(self) -> Schema | None:
        """The schema of the tables of all partitions; None if they have none in common."""
        return self._scan.options.form.schema

    @property
    def report(self) -> Report | None:
        """The report of the latest finished read of this object; None before the first one."""
        return None if self._query is None else self._query.report

    def __arrow_c_schema__(self) -> Any:
        return self._table_query().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        """The range as a PyCapsule, live."""
        return self._table_query().__arrow_c_stream__(requested_schema)

    def __dask_tokenize__(self) -> str:
        state = self._scan.__getstate__()
        # Its number differs from plan to plan.
        del state["origin"]
        return hashlib.sha256(pickle.dumps((state, self._range))).hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        return Partition, (self._scan, self._range, self.index, self.estimated_rows)

    def __repr__(self) -> str:
        return f"Partition({self.index} of {self._scan.name})"


class Partitions(Sequence[Partition]):
    """The partitions of a result, in the order of their key: each document of the result is in exactly one of them."""

    __slots__ = ("_partitions", "_scan", "estimated_rows", "reason")

    reason: str
    """The reason for the number of partitions."""
    estimated_rows: int | None
    """The number of documents in the collection, from its metadata, before the filter; None if it is unknown."""

    def __init__(self, scan: Scan, ranges: Sequence[Range], reason: str, estimated_rows: int | None) -> None:
        self._scan = scan
        share = None if estimated_rows is None else -(-estimated_rows // len(ranges))
        self._partitions = tuple(Partition(scan, each, position, share) for position, each in enumerate(ranges))
        self.reason = reason
        self.estimated_rows = estimated_rows

    @property
    def snapshot_time(self) -> Timestamp | None:
        """The point in time that all partitions are read at; None for the time of each read."""
        snapshot = self._scan.split.snapshot
        return None if snapshot is None else snapshot.time

    @property
    def schema(self) -> Schema | None:
        """The schema of the tables of all partitions; None if they have none in common."""
        return self._scan.options.form.schema

    def with_schema(self, schema: Schema, reason: str) -> Partitions:
        """Return the partitions with one schema of their tables, and a reason that names its origin."""
        ranges = [each._range for each in self._partitions]
        return Partitions(self._scan.with_schema(schema), ranges, reason, self.estimated_rows)

    def select(self, columns: Sequence[str]) -> Partitions:
        """Return the partitions whose tables have these columns only. As `Partition.select`."""
        ranges = [each._range for each in self._partitions]
        return Partitions(self._scan.selected(columns), ranges, self.reason, self.estimated_rows)

    def to_ray(self) -> ray.data.Dataset:
        """A Ray Dataset with a read task for each partition. Ray requests only the columns that it needs.

        Raises
        ------
        ImportError
            When Ray is not installed.
        InvalidOperation
            When the partitions have no common schema.
        """
        dataset: ray.data.Dataset = extension("to_ray")(self._tables())
        return dataset

    def to_dask(self) -> dask.dataframe.DataFrame:
        """A Dask DataFrame of ArrowDtype columns with these partitions. Dask requests only the columns that it needs.

        Raises
        ------
        ImportError
            When dask.dataframe is not installed.
        InvalidOperation
            When the partitions have no common schema.
        """
        frame: dask.dataframe.DataFrame = extension("to_dask")(self._tables())
        return frame

    def _tables(self) -> Partitions:
        if self.schema is None:
            raise _without_schema()
        return self

    def __len__(self) -> int:
        return len(self._partitions)

    @overload
    def __getitem__(self, index: int) -> Partition: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Partition]: ...
    def __getitem__(self, index: int | slice) -> Partition | Sequence[Partition]:
        """Return the partition at a position, or those of a slice."""
        return self._partitions[index]

    def __reduce__(self) -> tuple[Any, ...]:
        return Partitions, (self._scan, [each._range for each in self._partitions], self.reason, self.estimated_rows)

    def __repr__(self) -> str:
        return f"Partitions({len(self)}, {self.reason})"


def _without_schema() -> InvalidOperation:
    return InvalidOperation(
        "the partitions have no common schema, and tables of them might differ: pass schema= to the query, or "
        "infer_rows= to partitions()"
    )
