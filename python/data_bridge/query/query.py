"""The synchronous query."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from .._core import ArrowSource, Document, ModelClass, Reader, ResultData, Schema
from ..errors import SchemaConflict
from . import conflicts, cursor_names
from . import progress as progress_
from .base import QueryBase
from .extensions import extension
from .live_models import LiveModels
from .partition_request import PartitionRequest
from .plan import Plan
from .result import Result
from .stream import Stream, live_batches
from .table_options import DEFAULT_INFER_ROWS, ReadOptions

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset as ds

    from .partition import Partitions

T = TypeVar("T")


class Query(QueryBase):
    """The query that `find`, `aggregate` and `read_bson` return. Nothing has run.

    Iterate it for live Documents in bounded memory; `read()` it, or call a `to_*` method, for everything at once; or
    pass it to any Arrow consumer: `polars.DataFrame(query)`, `pyarrow.table(query)`, DuckDB's `from query`.

    Each of these runs the query once. DuckDB reads the schema of an object before its data: the run for the schema is
    kept for the data, so a schema that is read without the data keeps a result in memory as long as the query lives.

    Examples
    --------
    >>> orders = client.shop.orders                                    # doctest: +SKIP
    >>> orders.find({"total": {"$gt": 25}}).sort("total", -1).limit(10).to_polars()    # doctest: +SKIP
    """

    __slots__ = ("_lock", "_pending")

    def __init__(self, plan: Plan, options: ReadOptions) -> None:
        super().__init__(plan, options)
        self._lock = threading.Lock()
        self._pending: Result | None = None

    def read(self) -> Result:
        """Run the query and keep everything: use it to look at one answer in several ways.

        Raises
        ------
        DataBridgeError
            The read failed: ConnectionFailure, OperationFailure, ServerTimeout, DecodeError.
        SchemaConflict
            When a value does not fit the schema that was given; without one, where a table is made.
        """
        return self._read(self._start(eager=True))

    def _run_writes(self) -> None:
        self.read()

    def _read(self, reader: Reader) -> Result:
        data = self._taken(reader, lambda: self._all(reader))
        result = Result(data, self._form(data), self._plan.codec)
        self._runs.finish(result.report)
        return result

    def _all(self, reader: Reader) -> ResultData:
        if self._options.progress is None:
            return reader.read_all()
        with progress_.Ticker(self._options.progress, reader) as ticker:
            return progress_.wait(reader.read_all_async(), ticker)

    def _taken(self, reader: Reader, take: Callable[[], T]) -> T:
        """Return the result of `take`; close the reader when it fails."""
        try:
            return take()
        except BaseException as error:
            self._failed(reader, error)
            raise

    def to_arrow(self, *, shapes: bool = False) -> pa.Table:
        """Run the query; the result as a pyarrow Table, without a copy. As `Result.to_arrow`."""
        if shapes:
            # Of whole documents: `from_arrow` gives these back.
            return self._made(self.read(), lambda result: result.to_arrow(shapes=True))
        return self._table(Result.to_arrow)

    def to_polars(self) -> pl.DataFrame:
        """Run the query; the result as a polars DataFrame."""
        return self._table(Result.to_polars)

    def to_pandas(self, *, dtype_backend: str = "pyarrow") -> pd.DataFrame:
        """Run the query; the result as a pandas DataFrame. As `Result.to_pandas`."""
        return self._table(lambda result: result.to_pandas(dtype_backend=dtype_backend))

    def to_pylist(self) -> list[dict[str, Any]]:
        """Run the query; the rows of its table as dicts of PyMongo's values. As `Result.to_pylist`."""
        return self._table(Result.to_pylist)

    def _table(self, make: Callable[[Result], T]) -> T:
        return self._made(self._narrowed(self._table_plan()), make)

    def _narrowed(self, plan: Plan) -> Result:
        result = self._read(plan.start(self._options.timeout, eager=True))
        if plan is not self._plan and result.report.duplicates:
            # See `Plan.narrowed`: rare enough to run again.
            result = self.read()
        return result

    def _made(self, result: Result, make: Callable[[Result], T]) -> T:
        table = make(result)
        # Recorded again: making the table finds the values that do not fit.
        self._runs.finish(result.report)
        return table

    def to_list(self, length: None = None) -> list[Document]:
        """Run the query; all Documents. PyMongo's `length` is None, or a TypeError that names `limit`."""
        cursor_names.refuse_length(length, awaited=False)
        return self._list()

    def to_dicts(self) -> list[dict[str, Any]]:
        """Run the query; all documents as dicts, equal to what PyMongo gives."""
        return self._list(dicts=True)

    def _list(self, maker: ModelClass | None = None, *, dicts: bool = False) -> list[Any]:
        """Objects of all rows, the first of which are made while others are decoded: instances, dicts, or Documents."""
        reader = self._start(eager=True)
        if self._options.progress is not None:
            result = self._read(reader)
            if maker is not None:
                return result._data.instances(maker)
            return result.to_dicts() if dicts else result.to_list()
        data, objects = self._taken(reader, lambda: reader.read_list(maker, dicts=dicts))
        self._runs.finish(data.report(self._options.form))
        return objects

    @overload
    def to_models(self, model: type[T]) -> list[T]: ...
    @overload
    def to_models(self, model: object) -> list[Any]: ...
    def to_models(self, model: object) -> list[Any]:
        """Run the query; all documents as objects of a class. As `Result.to_models`.

        Top-level keys that the class does not use are not requested from the server.
        """
        target = extension("target_of")(model)
        models: list[Any] = target.make(self._narrowed(self._plan_of_keys(target.keys)).to_dicts())
        return models

    @overload
    def iter_models(self, model: type[T]) -> Iterator[T]: ...
    @overload
    def iter_models(self, model: object) -> Iterator[Any]: ...
    def iter_models(self, model: object) -> Iterator[Any]:
        """Run the query; objects of a class as the documents come, in bounded memory. Otherwise as `to_models`.

        A document that does not fit is an error in its turn: the iteration then ends.
        """
        target = extension("target_of")(model)
        return LiveModels(iter(self), target)

    def first(self) -> Document | None:
        """Run the query for its first document only; None when there is none."""
        plan = self._plan.first()
        if plan is None:
            return next(iter(self), None)
        reader = plan.start(self._options.timeout, eager=True)
        data = self._taken(reader, reader.read_all)
        self._runs.finish(data.report(self._options.form))
        return data.document(0) if len(data) else None

    def __iter__(self) -> Iterator[Document]:
        """Run the query; its Documents as they come, in bounded memory. Leaving the loop ends the run."""
        reader = self._start(eager=False)
        self._runs.add(reader)
        if self._options.progress is None:
            return reader.documents()
        return progress_.TickingDocuments(reader, self._options.progress)

    def stream(self, infer_rows: int = DEFAULT_INFER_ROWS) -> Stream:
        """RecordBatches as they come, in bounded memory.

        Parameters
        ----------
        infer_rows
            The number of first documents from which the schema is inferred when the query has none. Values of later
            documents that do not fit it are conflicts, handled by `on_conflict`.
        """
        return Stream(self._table_plan(), self._plan, self._options, infer_rows, self._runs)

    def conflicts(self, schema: object = None) -> Iterator[SchemaConflict]:
        """Run the query; every value that does not fit a schema, live, in bounded memory. As `Result.conflicts`."""
        form = conflicts.form_of(self._options.form, schema)
        reader = self._start(eager=False)
        self._runs.add(reader)
        return conflicts.RunConflicts(reader, form)

    def schema(self) -> Schema:
        """The Arrow schema of the result: the one that was given, else the query is run to find it."""
        given = self._given
        return self.read().schema if given is None else given

    def partitions(
        self,
        n: int | None = None,
        by: str = "_id",
        snapshot: bool = False,
        exact: bool = False,
        *,
        force: bool = False,
        expected_seconds: float | None = None,
        infer_rows: int | str | None = None,
        uri: str | None = None,
        uri_env: str | None = None,
        credentials: bool = False,
    ) -> Partitions:
        """Plan partitions: picklable scans that cover the result exactly once, whatever the types of the key.

        The bounds come from an index, in the server's order. A document that exists while all partitions are read is in
        exactly one of them; `snapshot=True` gives all of them one point in time. Rows come in the order of the key, not
        in that of one cursor. A small collection is one partition, and so is a filter that uses another index, which
        reading by ranges would not: `Partitions.reason` says so.

        Parameters
        ----------
        n
            The number of partitions, at most. By default, one for each 64 MB of documents.
        by
            The key that bounds partitions. Any other than `_id` needs `snapshot=True`, and an ascending index on it
            alone that is not multikey, sparse, partial, hidden or of another collation. A time series is split by its
            time field.
        snapshot
            Read all partitions at one point in time, `Partitions.snapshot_time`. Servers keep its history for 300 s by
            default. Needs a replica set, and no capped collection.
        exact
            Count documents for bounds, instead of sampling: as many in each partition, and a scan of the index.
        force
            Split also where the filter uses another index, and where each partition reads the whole collection.
        expected_seconds
            The planned duration of the read, for `snapshot=True`: an error if it is longer than the server's history.
        infer_rows
            Infer one schema for the tables of all partitions, where the query has none: from so many first documents of
            each, or "all". Values of other documents that do not fit it are conflicts, handled by `on_conflict`.
        uri, uri_env
            The URI of other processes, or the name of an environment variable that has it there. By default, that of
            the client without its credentials.
        credentials
            Pickle the credentials of the client's URI: user, password, token, key file.

        Raises
        ------
        InvalidQuery
            For a query without partitions, by the name of its part: sort, skip, limit, `$group`, `$text`, a session.
        InvalidOperation
            When the server has no snapshot, or not for as long as expected.
        """
        request = PartitionRequest.check(
            n=n,
            by=by,
            snapshot=snapshot,
            exact=exact,
            force=force,
            expected_seconds=expected_seconds,
            infer_rows=infer_rows,
            uri=uri,
            uri_env=uri_env,
            credentials=credentials,
        )
        found: Partitions = extension("Planner")(self._plan, self._options).partitions(request)
        return found

    def to_lazy(
        self,
        infer_rows: int | str = DEFAULT_INFER_ROWS,
        *,
        uri: str | None = None,
        uri_env: str | None = None,
        credentials: bool = False,
    ) -> pl.LazyFrame:
        """A polars LazyFrame over this query. Nothing is read before it is collected, and each collect reads anew.

        polars requests only the columns that it needs, and the number of rows; predicates become a filter where MongoDB
        has one for a superset, and polars evaluates them again. Documents that the filter leaves out, and columns that
        are not requested, are not checked against the schema.

        Parameters
        ----------
        infer_rows
            The number of first documents from which the columns are inferred where the query has no schema, or "all".
            Values of later documents that do not fit are conflicts, handled by `on_conflict`.
        uri, uri_env, credentials
            The server in other processes, for a LazyFrame that is serialised. As for `partitions`.

        Raises
        ------
        ImportError
            When polars is not installed.
        InvalidQuery
            For a query with a session, and one that does not read from a server.
        """
        frame: pl.LazyFrame = extension("to_lazy")(self._lazy_scan(infer_rows, "polars", uri, uri_env, credentials))
        return frame

    def to_dataset(
        self,
        infer_rows: int | str = DEFAULT_INFER_ROWS,
        *,
        uri: str | None = None,
        uri_env: str | None = None,
        credentials: bool = False,
    ) -> ds.Dataset:
        """A pyarrow Dataset over this query, for DuckDB and DataFusion: columns and filters are pushed down.

        Each use reads anew. A filter reaches the server where MongoDB has one for a superset; the dataset itself
        applies it exactly. A DuckDB variable or view of it, and DataFusion's `register_dataset`, need nothing else.

        Parameters
        ----------
        infer_rows, uri, uri_env, credentials
            As for `to_lazy`. The schema is inferred by this call.

        Raises
        ------
        ImportError
            When pyarrow is not installed.
        InvalidQuery
            For a query with a session, and one that does not read from a server.
        """
        found: ds.Dataset = extension("to_dataset")(self._lazy_scan(infer_rows, "duckdb", uri, uri_env, credentials))
        return found

    def explain(self, verbosity: str = "allPlansExecution") -> dict[str, Any]:
        """The server's plan for this query.

        Parameters
        ----------
        verbosity
            "queryPlanner" (runs nothing), "executionStats", or "allPlansExecution", as PyMongo's `Cursor.explain`.
        """
        return self._plan.decoded(self._plan.explain(verbosity, self._options.timeout).wait())

    def __arrow_c_schema__(self) -> Any:
        """The schema as a PyCapsule. Unless one was given this runs the query, for `__arrow_c_stream__` to use."""
        given = self._given
        if given is not None:
            return given.__arrow_c_schema__()
        with self._lock:
            if self._pending is None:
                self._pending = self.read()
            return self._pending.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        """The result as a PyCapsule: live when a schema was given, else everything is read first."""
        if self._given is not None:
            return self.stream().__arrow_c_stream__(requested_schema)
        with self._lock:
            result, self._pending = self._pending, None
        return (self.read() if result is None else result).__arrow_c_stream__(requested_schema)

    def _as_data(self) -> Query | Stream:
        """Return this query, which is read as a whole, or live batches of a given schema."""
        return self if self._given is None else self.stream()

    def __aiter__(self) -> Any:
        raise TypeError("this query is synchronous: use `for`, or an AsyncMongoClient")

    if not TYPE_CHECKING:
        # Hidden from type checkers, so that they report the use.
        def __await__(self) -> NoReturn:
            raise TypeError("this query is synchronous: read it without `await`, or use an AsyncMongoClient")


def open_arrow(data: object) -> ArrowSource:
    """Open Arrow data for a write. A query that has a schema is read live, and its errors keep their types."""
    if isinstance(data, Query):
        data = data._as_data()
    return ArrowSource(live_batches(data) if isinstance(data, Stream) else data)
