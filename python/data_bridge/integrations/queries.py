"""Queries of Beanie and MongoEngine as queries of this package."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, overload

from ..commands.options import refuse_unknown
from ..query.async_query import AsyncQuery
from ..query.query import Query
from ..query.table_options import TableOptions
from .pymongo_handles import taken_over

_OPTIONS = (*TableOptions._fields, "timeout", "progress", "parallel", "ordered")


class Read(NamedTuple):
    """The parts of another library's query."""

    collection: Any
    """PyMongo's."""
    filter: Any = None
    """Of a find."""
    pipeline: list[Any] | None = None
    """Of an aggregate."""
    options: dict[str, Any] = {}


class _BeanieFind(Protocol):
    def get_filter_query(self) -> Any: ...


class _BeanieAggregation(Protocol):
    def get_aggregation_pipeline(self) -> Any: ...


class _MongoEngineQuerySet(Protocol):
    def as_pymongo(self) -> Any: ...


@overload
def from_query(query: object, *, asynchronous: Literal[True], **options: object) -> AsyncQuery: ...
@overload
def from_query(query: object, *, asynchronous: Literal[False], **options: object) -> Query: ...
@overload
def from_query(
    query: _BeanieFind | _BeanieAggregation, *, asynchronous: None = None, **options: object
) -> AsyncQuery: ...
@overload
def from_query(query: _MongoEngineQuerySet, *, asynchronous: None = None, **options: object) -> Query: ...
def from_query(query: object, *, asynchronous: bool | None = None, **options: object) -> Any:
    """Return a lazy query for the documents of a Beanie or MongoEngine query.

    The query always runs on the server, without Beanie's cache. References that MongoEngine would follow on access come
    as they are stored. `to_models` makes models of the documents.

    Parameters
    ----------
    query
        Of Beanie 2: `User.find(...)`, `User.find_one(...)`, `User.find(...).aggregate([...])`. Of MongoEngine:
        `User.objects(...)`. As it is, with filter, inheritance, sort, skip, limit, projection, links to fetch,
        collation, hint, read preference and the other options. It has not to be run, and is not run by this, but for an
        aggregate that ends in `$out` or `$merge` with `asynchronous=False`.
    asynchronous
        True gives an AsyncQuery, False a Query; by default an AsyncQuery for Beanie, a Query for MongoEngine.
    options
        schema, on_conflict, objectid, uuid, decimal, mixed, strings, timeout, progress, parallel, ordered; as for
        `Collection.find`.

    Raises
    ------
    TypeError
        When `query` is none of these, one of Beanie 1 say, or for an unknown option.
    InvalidQuery
        For a part of it that cannot be taken over, by its name: a PyMongo session, `scalar()`, a tailable cursor.
    ValueError
        For a setting of its PyMongo client that is not supported. As `from_pymongo`.
    """
    refuse_unknown(options, _OPTIONS)
    read = _reader_of(query)(query)
    collection = taken_over(read.collection, asynchronous)
    if read.pipeline is not None:
        return collection.aggregate(read.pipeline, **read.options, **options)
    return collection.find(read.filter, **read.options, **options)


def _reader_of(query: object) -> Callable[[Any], Read]:
    # A library that is not loaded has made no queries.
    if "beanie.odm.queries.find" in sys.modules:
        from . import beanie_query

        if (reader := beanie_query.reader_of(query)) is not None:
            return reader
    if "mongoengine.queryset.base" in sys.modules:
        from . import mongoengine_query

        if mongoengine_query.is_query_set(query):
            return mongoengine_query.read
    raise TypeError(
        "from_query() takes a query of Beanie 2 (find, find_one, aggregate) or a QuerySet of MongoEngine, before it is "
        f"awaited or listed, got {type(query).__module__}.{type(query).__qualname__}; for a PyMongo collection "
        "there is from_pymongo(collection).find(...)"
    )
