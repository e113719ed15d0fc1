"""Queries over models of an asynchronous client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .._core import AsyncIterator
from ..async_iterator import LoopBound
from . import query_writes
from .query_base import FETCHED_AT_A_TIME, ModelQueryBase
from .steps import run_async

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from .._core import Document as StoredDocument
    from ..async_query import AsyncQuery
    from ..result import Result
    from ..results import DeleteResult, UpdateResult
    from ..stream import AsyncStream
    from .model import Model

T = TypeVar("T")
V = TypeVar("V", bound="Model")
M = TypeVar("M")


async def _linked(
    bound: LoopBound, instances: AsyncIterator[Any], fetch: Callable[[list[Any]], Coroutine[Any, Any, None]]
) -> AsyncGenerator[Any, None]:
    """Instances with their links, fetched a block of instances at a time."""
    error: Exception | None = None
    block: list[Any] = [None]
    try:
        yield None
        while block and error is None:
            bound.check_loop()
            block = []
            try:
                async for instance in instances:
                    block.append(instance)
                    if len(block) == FETCHED_AT_A_TIME:
                        break
            except Exception as failed:  # noqa: BLE001
                # It comes behind the instances before it.
                error = failed
            if block:
                await fetch(block)
            for instance in block:
                yield instance
        if error is not None:
            raise error
    except GeneratorExit:
        raise
    except BaseException as failed:
        if failed is not error:
            # Instances of the block are lost with it.
            bound.interrupt()
        raise
    finally:
        bound.close()


class AsyncModelQuery(ModelQueryBase[T]):
    """As `ModelQuery`, for AsyncDocuments: `async for`, and terminals that are awaited."""

    __slots__ = ()

    @overload
    def project(self, view: type[V]) -> AsyncModelQuery[V]: ...
    @overload
    def project(self, view: Iterable[Any] | Mapping[str, Any]) -> AsyncModelQuery[StoredDocument]: ...
    def project(self, view: Any) -> AsyncModelQuery[Any]:
        """As `ModelQuery.project`."""
        return self._with(**self._projected(view))

    async def to_list(self) -> list[T]:
        """Run the query; all instances."""
        return await run_async(self._list())

    async def first_or_none(self) -> T | None:
        """Run the query for its first document only."""
        return await run_async(self._first())

    def __aiter__(self) -> AsyncIterator[T]:
        """Run the query; instances as they come, in bounded memory. As iteration over an `AsyncQuery`."""
        instances: AsyncIterator[T] = self._documents._iterate(self._maker)
        if not self._asked.fetch_links:
            return instances
        bound = LoopBound()
        return bound.iterator(_linked(bound, instances, lambda block: run_async(self._fetch(block))))

    if not TYPE_CHECKING:
        # For type checkers there is none, so that they report what this refuses.
        def __iter__(self) -> Any:
            raise TypeError("this query is asynchronous: use `async for`, or `await query.to_list()`")

    async def validate(self) -> list[T]:
        """As `ModelQuery.validate`."""
        return await run_async(self._validated())

    async def count(self) -> int:
        """How many documents match, skip and limit counted in."""
        return await run_async(self._count())

    async def exists(self) -> bool:
        """Whether any document matches."""
        return await run_async(self._exists())

    async def distinct(self, field: Any) -> list[Any]:
        """The different values of a field, or of the items of a list."""
        return await run_async(self._distinct(field))

    def aggregate(self, pipeline: Iterable[Mapping[str, Any]], **options: Any) -> AsyncQuery:
        """A pipeline over the documents that the query selects. As `ModelQuery.aggregate`.

        The query of one that ends in `$out` or `$merge` is awaited itself, as `Collection.aggregate` says.
        """
        return self._aggregate(pipeline, options)  # type: ignore[no-any-return]

    async def sum(self, field: Any) -> Any:
        """The sum of a field; None where nothing matches."""
        return await run_async(self._folded("$sum", field))

    async def avg(self, field: Any) -> Any:
        """The mean of a field; None where nothing matches."""
        return await run_async(self._folded("$avg", field))

    async def min(self, field: Any) -> Any:
        """The least value of a field."""
        return await run_async(self._folded("$min", field))

    async def max(self, field: Any) -> Any:
        """The greatest value of a field."""
        return await run_async(self._folded("$max", field))

    async def explain(self, verbosity: str = "allPlansExecution") -> dict[str, Any]:
        """The server's plan of the query itself, not of the queries for links. As `Query.explain`."""
        return await self._documents.explain(verbosity)  # type: ignore[no-any-return]

    # ---- tables: those of the query below, whose columns bear the stored keys ---------------------------------------

    def to_query(self) -> AsyncQuery:
        """The data_bridge AsyncQuery below: plain Documents, tables, streams."""
        return self._native  # type: ignore[no-any-return]

    async def read(self) -> Result:
        """As `AsyncQuery.read`."""
        return await self.to_query().read()

    async def to_arrow(self, *, shapes: bool = False) -> pa.Table:
        """As `AsyncQuery.to_arrow`; the model's `from_arrow` reads it."""
        return await self.to_query().to_arrow(shapes=shapes)

    async def to_polars(self) -> pl.DataFrame:
        """As `AsyncQuery.to_polars`."""
        return await self.to_query().to_polars()

    async def to_pandas(self, *, dtype_backend: str = "pyarrow") -> pd.DataFrame:
        """As `AsyncQuery.to_pandas`."""
        return await self.to_query().to_pandas(dtype_backend=dtype_backend)

    async def to_dicts(self) -> list[dict[str, Any]]:
        """As `AsyncQuery.to_dicts`: what PyMongo gives."""
        return await self.to_query().to_dicts()

    @overload
    async def to_models(self, model: type[M]) -> list[M]: ...
    @overload
    async def to_models(self, model: Any) -> list[Any]: ...
    async def to_models(self, model: Any) -> list[Any]:
        """As `Query.to_models`: objects of a class of pydantic, dataclasses, attrs or msgspec, of whole documents."""
        return await self._for_models.to_models(model)  # type: ignore[no-any-return]

    def stream(self, **arguments: Any) -> AsyncStream:
        """As `AsyncQuery.stream`."""
        return self.to_query().stream(**arguments)

    # ---- writes -----------------------------------------------------------------------------------------------------

    async def update(self, *updates: Any) -> UpdateResult:
        """Update all documents that match: `Set({User.age: 5})`, other operators, mappings."""
        return await run_async(query_writes.update(self, updates, many=True))

    async def update_one(self, *updates: Any) -> UpdateResult:
        """Update one document that matches."""
        return await run_async(query_writes.update(self, updates, many=False))

    async def upsert(self, *updates: Any, on_insert: T) -> UpdateResult:
        """Update one document that matches, or insert `on_insert` as it is where none does.

        Of two who insert at the same time the second updates what the first inserted, given a unique index on what the
        filter asks for.
        """
        return await run_async(query_writes.upsert(self, updates, on_insert))

    async def delete(self) -> DeleteResult:
        """Delete all documents that match; all there are where the query has no condition."""
        return await run_async(query_writes.delete(self, many=True))

    async def delete_one(self) -> DeleteResult:
        """Delete one document that matches."""
        return await run_async(query_writes.delete(self, many=False))

    async def find_one_and_update(self, *updates: Any, **options: Any) -> T | None:
        """Update the first document that matches, in the order of `sort`, and return it as it was.

        Parameters
        ----------
        options
            As for `Collection.find_one_and_update`: return_document, upsert, array_filters, ...
        """
        return await run_async(query_writes.find_one_and(self, "update", updates, options))

    async def find_one_and_replace(self, replacement: T, *, overwrite: bool = False, **options: Any) -> T | None:
        """Replace the first document that matches, all its keys, and return it as it was.

        Raises
        ------
        PartlyRead
            When `replacement` was read for its declared fields only, and `overwrite` is not given. As `replace`.
        """
        return await run_async(query_writes.find_one_and(self, "replace", replacement, options, overwrite))

    async def find_one_and_delete(self, **options: Any) -> T | None:
        """Delete the first document that matches, and return it."""
        return await run_async(query_writes.find_one_and(self, "delete", None, options))
