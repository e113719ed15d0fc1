"""Queries over models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ...errors import InvalidQuery
from ..converters.conversions import DecimalConverter
from ..converters.converter import ScalarConverter
from ..errors import ValidationError, raise_all
from ..filters.expressions import converter_at, key_of
from ..filters.linked_paths import check_stored
from ..filters.lookup import resolve
from ..filters.updates import Inc, Set
from ..models.model import faults_of
from ..queries.folding import check_numbers, folded, number
from ..queries.query_options import COUNT_OPTIONS, FOLD_OPTIONS
from . import query_writes
from .iteration import AsyncIteration
from .links import fetch_links

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from ..._core import Document as StoredDocument
    from ...commands.write_results import DeleteResult, UpdateResult
    from ...query.async_query import AsyncQuery
    from ...query.result import Result
    from ...query.stream import AsyncStream
    from ..models.model import Model

T = TypeVar("T")
V = TypeVar("V", bound="Model")
M = TypeVar("M")


class AsyncModelQuery(AsyncIteration[T]):
    """The query that `find` of a model returns, for instances of the model."""

    __slots__ = ()

    @overload
    def project(self, view: type[V]) -> AsyncModelQuery[V]: ...
    @overload
    def project(self, view: Iterable[Any] | Mapping[str, Any]) -> AsyncModelQuery[StoredDocument]: ...
    def project(self, view: Any) -> AsyncModelQuery[Any]:
        """Read other keys: those of a model, for its instances, or a list of fields, for plain Documents."""
        return AsyncModelQuery(self._spec.projected(view))

    async def to_list(self, length: int | None = None) -> list[T]:
        """Run the query and return all instances, or the first `length` of them."""
        spec = self._spec if length is None else self._spec.limited(length)
        if length == 0:
            return []
        instances: list[T] = await spec.document_query._list(spec.maker)
        await fetch_links(spec, instances)
        return instances

    async def first_or_none(self) -> T | None:
        """Return the first instance, or None; only one document is read."""
        document = await self._spec.first_query.first()
        if document is None:
            return None
        maker = self._spec.maker
        instance: T = document if maker is None else maker.instance(document)
        await fetch_links(self._spec, [instance])
        return instance

    async def validate(self) -> list[T]:
        """Run the query, check every value, column by column, and return all instances.

        Raises
        ------
        ValidationError
            When values do not fit their fields; `errors` has one error per value, with `_id` and path.
        """
        result = await self._spec.document_query.read()
        maker = self._spec.maker
        if maker is None:
            raise InvalidQuery("validate() needs a model: a projection on keys gives plain documents")
        instances: list[Any] = result._data.instances(maker)
        doubtful: set[int] = set()
        for cls in {type(each) for each in instances}:
            if cls.__odm__.has_checks:
                # Constraints and validators need every value.
                doubtful.update(position for position, each in enumerate(instances) if type(each) is cls)
            for field in cls.__odm__.fields.values():
                # Column by column: values of matching types need no Python object.
                doubtful.update(result._data.unproven(field.slot))
        errors: list[ValidationError] = []
        for position in sorted(doubtful):
            errors.extend(faults_of(instances[position]))
        raise_all(errors)
        await fetch_links(self._spec, instances)
        return instances

    async def count(self) -> int:
        """Count the documents that match; skip and limit apply."""
        # Order, projection and links do not change the number.
        if self._spec.is_linked:
            return await self._counted()
        options = self._spec.options_for("count()", COUNT_OPTIONS, "sort", "skip", "limit", "project", "fetch_links")
        options.update({name: value for name, value in self._spec.command.options.items() if name in ("skip", "limit")})
        counted: int = await self._spec.count_collection.count_documents(self._spec.filter, **options)
        return counted

    async def _counted(self) -> int:
        """Count by a pipeline, which looks linked documents up."""
        parts = ("sort", "skip", "limit", "project", "fetch_links", "linked")
        options = self._spec.options_for("count()", FOLD_OPTIONS, *parts)
        pipeline = self._spec.pipeline([{"$count": "count"}])
        document = await self._spec.collection.aggregate(pipeline, **options).first()
        return 0 if document is None else int(document["count"])

    async def exists(self) -> bool:
        """Return whether any document matches."""
        if self._spec.is_linked:
            return await self._spec.first_query.first() is not None
        skip = self._spec.command.options.get("skip", 0)
        document = await self._spec.collection.find(self._spec.filter, {"_id": 1}, skip, **self._spec.options).first()
        return document is not None

    async def distinct(self, field: object) -> list[Any]:
        """Return the distinct values of a field, or of the items of a list."""
        found = resolve(self._spec.model, field)
        check_stored(self._spec.model, key_of(found))
        options = self._spec.options_for("distinct()", COUNT_OPTIONS)
        values = await self._spec.count_collection.distinct(key_of(found), self._spec.filter, **options)
        converter = converter_at(found)
        item = converter if converter.item is None or converter.keyed else converter.item
        return [self._spec.loaded(item, value) for value in values]

    def aggregate(self, pipeline: Iterable[Mapping[str, Any]], **options: Any) -> AsyncQuery:
        """Return the AsyncQuery of a pipeline over the documents that the query selects: plain Documents and tables.

        The query's filter, sort, skip and limit precede the stages of the pipeline. Options are those of
        `Collection.aggregate`; they replace the query's.
        """
        query: AsyncQuery = self._spec.aggregate(pipeline, options)
        return query

    async def sum(self, field: object) -> Any:
        """Return the sum of a field; None where no document matches."""
        return await self._folded("$sum", field)

    async def avg(self, field: object) -> Any:
        """Return the mean of a field; None where no document matches."""
        return await self._folded("$avg", field)

    async def min(self, field: object) -> Any:
        """Return the least value of a field."""
        return await self._folded("$min", field)

    async def max(self, field: object) -> Any:
        """Return the greatest value of a field."""
        return await self._folded("$max", field)

    async def _folded(self, operator: str, field: object) -> Any:
        found, what = resolve(self._spec.model, field), f"{operator[1:]}()"
        check_stored(self._spec.model, key_of(found))
        options = self._spec.options_for(what, FOLD_OPTIONS, "sort", "skip", "limit", "linked")
        if operator in ("$sum", "$avg"):
            check_numbers(what, found)
        stages, converter = folded(operator, found)
        document = await self._spec.collection.aggregate(self._spec.pipeline(stages), **options).first()
        if document is None:
            return None
        value = document["value"]
        # The mean of ints need not be an int, nor a sum of choices one of them.
        if operator == "$avg" or (
            operator == "$sum" and not isinstance(converter, (ScalarConverter, DecimalConverter))
        ):
            return number(value)
        return self._spec.loaded(converter, value)

    async def explain(self, verbosity: str = "allPlansExecution") -> dict[str, Any]:
        """Return the server's plan of the query, without the queries for links, like `AsyncQuery.explain`."""
        plan: dict[str, Any] = await self._spec.document_query.explain(verbosity)
        return plan

    # ---- tables: those of the query below, whose columns bear the stored keys ---------------------------------------

    def to_query(self) -> AsyncQuery:
        """Return the data_bridge AsyncQuery below this query: plain Documents, tables, streams."""
        query: AsyncQuery = self._spec.table_query
        return query

    async def read(self) -> Result:
        """Read all documents, like `AsyncQuery.read`."""
        return await self.to_query().read()

    async def to_arrow(self, *, shapes: bool = False) -> pa.Table:
        """Return a pyarrow Table, like `AsyncQuery.to_arrow`; the model's `from_arrow` reads it."""
        return await self.to_query().to_arrow(shapes=shapes)

    async def to_polars(self) -> pl.DataFrame:
        """Return a Polars frame, like `AsyncQuery.to_polars`."""
        return await self.to_query().to_polars()

    async def to_pandas(self, *, dtype_backend: str = "pyarrow") -> pd.DataFrame:
        """Return a pandas frame, like `AsyncQuery.to_pandas`."""
        return await self.to_query().to_pandas(dtype_backend=dtype_backend)

    async def to_pylist(self) -> list[dict[str, Any]]:
        """Return the rows of the table as dicts, like `AsyncQuery.to_pylist`."""
        return await self.to_query().to_pylist()

    async def to_dicts(self) -> list[dict[str, Any]]:
        """Return the dicts that PyMongo returns, like `AsyncQuery.to_dicts`."""
        return await self.to_query().to_dicts()

    @overload
    async def to_models(self, model: type[M]) -> list[M]: ...
    @overload
    async def to_models(self, model: Any) -> list[Any]: ...
    async def to_models(self, model: Any) -> list[Any]:
        """Return objects of another class, made of whole documents, like `AsyncQuery.to_models`."""
        models: list[Any] = await self._spec.object_query.to_models(model)
        return models

    @overload
    def iter_models(self, model: type[M]) -> AsyncIterator[M]: ...
    @overload
    def iter_models(self, model: Any) -> AsyncIterator[Any]: ...
    def iter_models(self, model: Any) -> AsyncIterator[Any]:
        """Return an iterator over objects of another class, made as the documents come: `AsyncQuery.iter_models`."""
        models: AsyncIterator[Any] = self._spec.object_query.iter_models(model)
        return models

    def stream(self, **arguments: Any) -> AsyncStream:
        """Return a stream of tables, like `AsyncQuery.stream`."""
        return self.to_query().stream(**arguments)

    # ---- writes -----------------------------------------------------------------------------------------------------

    async def update(self, *updates: object, array_filters: Iterable[Mapping[str, Any]] | None = None) -> UpdateResult:
        """Update all documents that match.

        Parameters
        ----------
        updates
            Operators such as `Set({User.age: 5})`, and mappings in the server's language; or one list, which is an
            aggregation pipeline.
        array_filters
            Conditions on the items that `$[name]` in keys of mappings stands for.
        """
        return await query_writes.update(self._spec, updates, array_filters, many=True)

    async def update_one(
        self, *updates: object, array_filters: Iterable[Mapping[str, Any]] | None = None
    ) -> UpdateResult:
        """Update one document that matches; parameters as for `update`."""
        return await query_writes.update(self._spec, updates, array_filters, many=False)

    async def set(self, changes: Mapping[Any, Any]) -> UpdateResult:
        """Set fields of all documents that match: `update(Set(changes))`."""
        return await self.update(Set(changes))

    async def inc(self, changes: Mapping[Any, Any]) -> UpdateResult:
        """Add to numbers of all documents that match: `update(Inc(changes))`."""
        return await self.update(Inc(changes))

    async def upsert(self, *updates: object, on_insert: T) -> UpdateResult:
        """Update one document that matches, or insert `on_insert` unchanged if none does.

        With a unique index on the fields of the filter, the second of two concurrent upserts updates the document that
        the first one inserted.
        """
        return await query_writes.upsert(self._spec, updates, on_insert)

    async def delete(self) -> DeleteResult:
        """Delete all documents that match; without a condition, all documents of the model."""
        return await query_writes.delete(self._spec, many=True)

    async def delete_one(self) -> DeleteResult:
        """Delete one document that matches."""
        return await query_writes.delete(self._spec, many=False)

    async def find_one_and_update(self, *updates: object, **options: Any) -> T | None:
        """Update the first document that matches, in the order of `sort`, and return its previous state.

        Parameters
        ----------
        options
            As for `Collection.find_one_and_update`: return_document, upsert, array_filters, ...
        """
        instance: T | None = await query_writes.find_one_and(self._spec, "update", updates, options)
        return instance

    async def find_one_and_replace(self, replacement: T, *, overwrite: bool = False, **options: Any) -> T | None:
        """Replace all keys of the first document that matches, and return its previous state.

        Raises
        ------
        PartlyRead
            When `replacement` was read for its declared fields only, without `overwrite=True`, as for `replace`.
        """
        instance: T | None = await query_writes.find_one_and(self._spec, "replace", replacement, options, overwrite)
        return instance

    async def find_one_and_delete(self, **options: Any) -> T | None:
        """Delete the first document that matches, and return it."""
        instance: T | None = await query_writes.find_one_and(self._spec, "delete", None, options)
        return instance
