"""Queries over models of a synchronous client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, overload

from . import query_writes
from .query_base import FETCHED_AT_A_TIME, ModelQueryBase
from .steps import run

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from .._core import Document as StoredDocument
    from ..query import Query
    from ..result import Result
    from ..results import DeleteResult, UpdateResult
    from ..stream import Stream
    from .model import Model

T = TypeVar("T")
V = TypeVar("V", bound="Model")
M = TypeVar("M")


class LinkedInstances:
    """Instances with their links, fetched a block of instances at a time.

    What an error or Ctrl-C finds of a block stays here: no instance before it is lost, with or without going on.
    """

    __slots__ = ("_error", "_fetch", "_instances", "_ready", "_waiting")

    def __init__(self, instances: Iterator[Any], fetch: Callable[[list[Any]], None]) -> None:
        self._instances = instances
        self._fetch = fetch
        self._waiting: list[Any] = []
        self._ready: Iterator[Any] = iter(())
        self._error: Exception | None = None

    def __iter__(self) -> LinkedInstances:
        return self

    def __next__(self) -> Any:
        for instance in self._ready:
            return instance
        if self._error is None:
            try:
                self._waiting.extend(islice(self._instances, FETCHED_AT_A_TIME - len(self._waiting)))
            except Exception as error:  # noqa: BLE001
                # It comes behind the instances before it.
                self._error = error
        if not self._waiting:
            ended, self._error = self._error, None
            raise ended or StopIteration
        self._fetch(self._waiting)
        self._ready, self._waiting = iter(self._waiting), []
        return next(self._ready)

    def close(self) -> None:
        """End the run."""
        self._ready, self._waiting, self._error = iter(()), [], None
        close = getattr(self._instances, "close", None)
        if close is not None:
            close()


class ModelQuery(ModelQueryBase[T]):
    """What `User.find(...)` returns."""

    __slots__ = ()

    @overload
    def project(self, view: type[V]) -> ModelQuery[V]: ...
    @overload
    def project(self, view: Iterable[Any] | Mapping[str, Any]) -> ModelQuery[StoredDocument]: ...
    def project(self, view: Any) -> ModelQuery[Any]:
        """Read other keys: those of a model, which instances are then of, or fields, for plain Documents."""
        return self._with(**self._projected(view))

    def to_list(self) -> list[T]:
        """Run the query; all instances."""
        return run(self._list())

    def first_or_none(self) -> T | None:
        """Run the query for its first document only."""
        return run(self._first())  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[T]:
        """Run the query; instances as they come, in bounded memory. Leaving the loop ends the run."""
        documents, maker = iter(self._documents), self._maker
        # With progress the documents come through a generator of Python's.
        as_instances = getattr(documents, "instances", None)
        if maker is None:
            instances: Iterator[Any] = documents
        elif as_instances is not None:
            instances = as_instances(maker)
        else:
            instances = map(maker.instance, documents)
        if not self._asked.fetch_links:
            return instances
        return LinkedInstances(instances, lambda block: run(self._fetch(block)))

    if not TYPE_CHECKING:
        # For type checkers there is none, so that they report what this refuses.
        def __aiter__(self) -> Any:
            raise TypeError("this query is synchronous: use `for`, or an AsyncDocument")

    def validate(self) -> list[T]:
        """Run the query and look at every value, column by column; all instances.

        Raises
        ------
        ValidationError
            When values do not fit; all of them, each with `_id` and path, are in `errors`.
        """
        return run(self._validated())

    def count(self) -> int:
        """How many documents match, skip and limit counted in."""
        return run(self._count())

    def exists(self) -> bool:
        """Whether any document matches."""
        return run(self._exists())

    def distinct(self, field: Any) -> list[Any]:
        """The different values of a field, or of the items of a list."""
        return run(self._distinct(field))

    def aggregate(self, pipeline: Iterable[Mapping[str, Any]], **options: Any) -> Query:
        """A pipeline over the documents that the query selects: a data_bridge Query of plain Documents and tables.

        The query's filter, sort, skip and limit come before the stages of the pipeline. Options are those of
        `Collection.aggregate`, and replace the query's.
        """
        return self._aggregate(pipeline, options)  # type: ignore[no-any-return]

    def sum(self, field: Any) -> Any:
        """The sum of a field; None where nothing matches."""
        return run(self._folded("$sum", field))

    def avg(self, field: Any) -> Any:
        """The mean of a field; None where nothing matches."""
        return run(self._folded("$avg", field))

    def min(self, field: Any) -> Any:
        """The least value of a field."""
        return run(self._folded("$min", field))

    def max(self, field: Any) -> Any:
        """The greatest value of a field."""
        return run(self._folded("$max", field))

    def explain(self, verbosity: str = "allPlansExecution") -> dict[str, Any]:
        """The server's plan of the query itself, not of the queries for links. As `Query.explain`."""
        return self._documents.explain(verbosity)  # type: ignore[no-any-return]

    # ---- tables: those of the query below, whose columns bear the stored keys ---------------------------------------

    def to_query(self) -> Query:
        """The data_bridge Query below: plain Documents, tables, streams."""
        return self._native  # type: ignore[no-any-return]

    def read(self) -> Result:
        """As `Query.read`."""
        return self.to_query().read()

    def to_arrow(self, *, shapes: bool = False) -> pa.Table:
        """As `Query.to_arrow`; the model's `from_arrow` reads it."""
        return self.to_query().to_arrow(shapes=shapes)

    def to_polars(self) -> pl.DataFrame:
        """As `Query.to_polars`."""
        return self.to_query().to_polars()

    def to_pandas(self, *, dtype_backend: str = "pyarrow") -> pd.DataFrame:
        """As `Query.to_pandas`."""
        return self.to_query().to_pandas(dtype_backend=dtype_backend)

    def to_dicts(self) -> list[dict[str, Any]]:
        """As `Query.to_dicts`: what PyMongo gives."""
        return self.to_query().to_dicts()

    @overload
    def to_models(self, model: type[M]) -> list[M]: ...
    @overload
    def to_models(self, model: Any) -> list[Any]: ...
    def to_models(self, model: Any) -> list[Any]:
        """As `Query.to_models`: objects of a class of pydantic, dataclasses, attrs or msgspec, of whole documents."""
        return self._for_models.to_models(model)  # type: ignore[no-any-return]

    def stream(self, **arguments: Any) -> Stream:
        """As `Query.stream`."""
        return self.to_query().stream(**arguments)

    def __arrow_c_schema__(self) -> Any:
        return self.to_query().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.to_query().__arrow_c_stream__(requested_schema)

    # ---- writes -----------------------------------------------------------------------------------------------------

    def update(self, *updates: Any) -> UpdateResult:
        """Update all documents that match: `Set({User.age: 5})`, other operators, mappings."""
        return run(query_writes.update(self, updates, many=True))  # type: ignore[no-any-return]

    def update_one(self, *updates: Any) -> UpdateResult:
        """Update one document that matches."""
        return run(query_writes.update(self, updates, many=False))  # type: ignore[no-any-return]

    def upsert(self, *updates: Any, on_insert: T) -> UpdateResult:
        """Update one document that matches, or insert `on_insert` as it is where none does.

        Of two who insert at the same time the second updates what the first inserted, given a unique index on what the
        filter asks for.
        """
        return run(query_writes.upsert(self, updates, on_insert))  # type: ignore[no-any-return]

    def delete(self) -> DeleteResult:
        """Delete all documents that match; all there are where the query has no condition."""
        return run(query_writes.delete(self, many=True))  # type: ignore[no-any-return]

    def delete_one(self) -> DeleteResult:
        """Delete one document that matches."""
        return run(query_writes.delete(self, many=False))  # type: ignore[no-any-return]

    def find_one_and_update(self, *updates: Any, **options: Any) -> T | None:
        """Update the first document that matches, in the order of `sort`, and return it as it was.

        Parameters
        ----------
        options
            As for `Collection.find_one_and_update`: return_document, upsert, array_filters, ...
        """
        return run(query_writes.find_one_and(self, "update", updates, options))  # type: ignore[no-any-return]

    def find_one_and_replace(self, replacement: T, *, overwrite: bool = False, **options: Any) -> T | None:
        """Replace the first document that matches, all its keys, and return it as it was.

        Raises
        ------
        PartlyRead
            When `replacement` was read for its declared fields only, and `overwrite` is not given. As `replace`.
        """
        return run(query_writes.find_one_and(self, "replace", replacement, options, overwrite))  # type: ignore[no-any-return]

    def find_one_and_delete(self, **options: Any) -> T | None:
        """Delete the first document that matches, and return it."""
        return run(query_writes.find_one_and(self, "delete", None, options))  # type: ignore[no-any-return]
