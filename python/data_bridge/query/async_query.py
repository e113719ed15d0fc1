"""The asynchronous query."""

from __future__ import annotations

from collections.abc import AsyncIterator as AsyncIteratorOf
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from .._core import AsyncIterator, Document, ModelClass, Reader, ResultData, Schema
from ..connection import event_loop
from ..errors import SchemaConflict
from . import conflicts, cursor_names
from . import progress as progress_
from .async_iterator import AsyncRun
from .base import QueryBase
from .extensions import extension
from .live_models import AsyncLiveModels
from .parallel_plan import ParallelPlan, prepared, serial
from .partition_request import PartitionRequest
from .plan import Plan, WritingPlan
from .result import Result
from .stream import AsyncStream, opened
from .table_options import DEFAULT_INFER_ROWS

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset as ds
    from typing_extensions import Self

    from .partition import Partitions

T = TypeVar("T")


class AsyncQuery(QueryBase):
    """As `Query`, for an `AsyncMongoClient`: `async for`, and terminals that are awaited.

    Arrow consumers are synchronous: give them `await query.read()`. Writes of an `AsyncCollection` take the query.

    The query of a pipeline that ends in `$out` or `$merge` is awaited itself: that runs it, once, and gives it back.
    """

    __slots__ = ()
    _awaited = True

    def __await__(self) -> Generator[Any, None, Self]:
        plan: object = self._plan
        if not isinstance(plan, WritingPlan):
            # PyMongo's find() is not awaited either, but its aggregate() is.
            raise TypeError(
                f"{self!r} is not awaited itself: use `await query.to_list()`, another of its methods, or `async for "
                "document in query`"
            )
        return self._done(plan).__await__()

    async def _done(self, plan: WritingPlan) -> Self:
        if not plan.complete:
            await self.read()
        return self

    async def read(self) -> Result:
        """Run the query and keep everything. As `Query.read`; cancelling the task cancels the query."""
        return await self._read((await prepared(self._plan)).start(self._options.timeout, eager=True))

    async def _read(self, reader: Reader) -> Result:
        try:
            data = await self._data(reader)
        except BaseException as error:
            self._failed(reader, error)
            raise
        result = Result(data, self._form(data), self._plan.codec)
        self._runs.finish(result.report)
        return result

    async def _data(self, reader: Reader) -> ResultData:
        if self._options.progress is None:
            return await event_loop.complete(reader.read_all_async())
        import asyncio  # not needed to import the package

        with progress_.Ticker(self._options.progress, reader) as ticker:
            task = asyncio.ensure_future(event_loop.complete(reader.read_all_async()))
            try:
                while not task.done():
                    await asyncio.wait([task], timeout=progress_.INTERVAL)
                    ticker.tick()
            finally:
                task.cancel()
            return task.result()

    async def to_arrow(self, *, shapes: bool = False) -> pa.Table:
        """Run the query; the result as a pyarrow Table, without a copy. As `Result.to_arrow`."""
        if shapes:
            # Of whole documents: `from_arrow` gives these back.
            return self._made(await self.read(), lambda result: result.to_arrow(shapes=True))
        return await self._table(Result.to_arrow)

    async def to_polars(self) -> pl.DataFrame:
        """Run the query; the result as a polars DataFrame."""
        return await self._table(Result.to_polars)

    async def to_pandas(self, *, dtype_backend: str = "pyarrow") -> pd.DataFrame:
        """Run the query; the result as a pandas DataFrame. As `Result.to_pandas`."""
        return await self._table(lambda result: result.to_pandas(dtype_backend=dtype_backend))

    async def to_pylist(self) -> list[dict[str, Any]]:
        """Run the query; the rows of its table as dicts of PyMongo's values. As `Result.to_pylist`."""
        return await self._table(Result.to_pylist)

    async def _table(self, make: Callable[[Result], T]) -> T:
        return self._made(await self._narrowed(self._table_plan()), make)

    async def _narrowed(self, plan: Plan) -> Result:
        result = await self._read((await prepared(plan)).start(self._options.timeout, eager=True))
        if plan is not self._plan and result.report.duplicates:
            # See `Plan.narrowed`: rare enough to run again.
            result = await self.read()
        return result

    def _made(self, result: Result, make: Callable[[Result], T]) -> T:
        table = make(result)
        # Recorded again: making the table finds the values that do not fit.
        self._runs.finish(result.report)
        return table

    async def to_list(self, length: None = None) -> list[Document]:
        """Run the query; all Documents. As `Query.to_list`."""
        cursor_names.refuse_length(length, awaited=True)
        return await self._list()

    async def _list(self, maker: ModelClass | None = None) -> list[Any]:
        """Objects of all rows: instances, or Documents."""
        data = (await self.read())._data
        return data.document_list() if maker is None else data.instances(maker)

    async def to_dicts(self) -> list[dict[str, Any]]:
        """Run the query; all documents as dicts, equal to what PyMongo gives."""
        return (await self.read()).to_dicts()

    @overload
    async def to_models(self, model: type[T]) -> list[T]: ...
    @overload
    async def to_models(self, model: object) -> list[Any]: ...
    async def to_models(self, model: object) -> list[Any]:
        """Run the query; all documents as objects of a class. As `Query.to_models`."""
        target = extension("target_of")(model)
        models: list[Any] = target.make((await self._narrowed(self._plan_of_keys(target.keys))).to_dicts())
        return models

    @overload
    def iter_models(self, model: type[T]) -> AsyncIteratorOf[T]: ...
    @overload
    def iter_models(self, model: object) -> AsyncIteratorOf[Any]: ...
    def iter_models(self, model: object) -> AsyncIteratorOf[Any]:
        """Run the query; objects of a class as the documents come, for `async for`. As `Query.iter_models`."""
        target = extension("target_of")(model)
        return AsyncLiveModels(self.__aiter__(), target)

    async def first(self) -> Document | None:
        """Run the query for its first document only; None when there is none."""
        reader = (self._plan.first() or serial(self._plan)).start(self._options.timeout, eager=True)
        try:
            data = await event_loop.complete(reader.read_all_async())
        except BaseException as error:
            self._failed(reader, error)
            raise
        self._runs.finish(data.report(self._options.form))
        return data.document(0) if len(data) else None

    def __aiter__(self) -> AsyncIterator[Document]:
        """Run the query; its Documents as they come, in bounded memory. Leaving the loop ends the run.

        The iteration belongs to the event loop that it starts in: continued in another one, or after it was cancelled,
        it raises RuntimeError.
        """
        return self._iterate()

    def _iterate(self, maker: ModelClass | None = None) -> AsyncIterator[Any]:
        """Objects of all rows as they come: instances, or Documents."""
        prepare = self._prepare if isinstance(self._plan, ParallelPlan) else None
        return AsyncRun(self._begin, Reader.next_documents_async, self._options.progress, prepare).rows(maker)

    def _begin(self) -> Reader:
        return self._begin_with(serial(self._plan))

    def _begin_with(self, plan: Plan) -> Reader:
        reader = plan.start(self._options.timeout, eager=False)
        self._runs.add(reader)
        return reader

    async def _prepare(self) -> Callable[[], Reader]:
        return partial(self._begin_with, await prepared(self._plan))

    def stream(self, infer_rows: int = DEFAULT_INFER_ROWS) -> AsyncStream:
        """RecordBatches as they come, for `async for`. As `Query.stream`."""
        return AsyncStream(self._table_plan(), self._plan, self._options, infer_rows, self._runs)

    def conflicts(self, schema: object = None) -> AsyncIterator[SchemaConflict]:
        """Run the query; every value that does not fit a schema, for `async for`. As `Query.conflicts`."""
        form = conflicts.form_of(self._options.form, schema)
        return conflicts.of_run_async(self._begin, form)

    async def schema(self) -> Schema:
        """The Arrow schema of the result: the one that was given, else the query is run to find it."""
        given = self._given
        return (await self.read()).schema if given is None else given

    async def partitions(
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
        """Plan partitions. As `Query.partitions`; their own methods are synchronous, and `async_query()` is not."""
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
        found: Partitions = await extension("AsyncPlanner")(self._plan, self._options).partitions(request)
        return found

    async def to_lazy(
        self,
        infer_rows: int | str = DEFAULT_INFER_ROWS,
        *,
        uri: str | None = None,
        uri_env: str | None = None,
        credentials: bool = False,
    ) -> pl.LazyFrame:
        """A polars LazyFrame over this query. As `Query.to_lazy`, but the columns are inferred by this call.

        polars reads in its own threads: `await lazy.collect_async()` leaves the event loop free.
        """
        scan = self._lazy_scan(infer_rows, "polars", uri, uri_env, credentials)
        await scan.prepare()
        frame: pl.LazyFrame = extension("to_lazy")(scan)
        return frame

    async def to_dataset(
        self,
        infer_rows: int | str = DEFAULT_INFER_ROWS,
        *,
        uri: str | None = None,
        uri_env: str | None = None,
        credentials: bool = False,
    ) -> ds.Dataset:
        """A pyarrow Dataset over this query. As `Query.to_dataset`; its reads block the thread that makes them."""
        scan = self._lazy_scan(infer_rows, "duckdb", uri, uri_env, credentials)
        await scan.prepare()
        found: ds.Dataset = extension("to_dataset")(scan)
        return found

    async def explain(self, verbosity: str = "allPlansExecution") -> dict[str, Any]:
        """The server's plan for this query. As `Query.explain`."""
        return self._plan.decoded(await event_loop.complete(self._plan.explain(verbosity, self._options.timeout)))

    def __iter__(self) -> NoReturn:
        raise TypeError("an AsyncQuery is iterated with `async for`, or read with `await query.read()`")

    def __arrow_c_schema__(self) -> NoReturn:
        raise TypeError("an AsyncQuery cannot be read by a synchronous consumer: pass it `await query.read()`")

    def __arrow_c_stream__(self, requested_schema: object = None) -> NoReturn:
        raise TypeError("an AsyncQuery cannot be read by a synchronous consumer: pass it `await query.read()`")

    async def _as_data(self) -> Any:
        """Return the result, or live batches of a given schema."""
        return await self.read() if self._given is None else self.stream()

    if not TYPE_CHECKING:
        # Hidden from type checkers, so that they report the use.
        def __anext__(self) -> NoReturn:
            cursor_names.refuse_next(type(self), awaited=True)

        async def __aenter__(self) -> NoReturn:
            cursor_names.refuse_with(type(self))

        async def __aexit__(self, *_: object) -> None: ...


async def arrow_data(data: object) -> object:
    """Return Arrow data that a thread can read: of a query, its result, or its live batches if it has a schema."""
    if isinstance(data, AsyncQuery):
        data = await data._as_data()
    return await opened(data) if isinstance(data, AsyncStream) else data
