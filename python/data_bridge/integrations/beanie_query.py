"""Beanie's queries, translated as Beanie does for PyMongo."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from ..commands.options import SNAKE_CASE, options_of
from ..errors import InvalidQuery
from .queries import Read

_FIND = frozenset(options_of("find")) - {"skip", "limit"}
_AGGREGATE = frozenset(options_of("aggregate"))
_WITHOUT_EFFECT = {"cursor_type": 0, "oplog_replay": False}
"""Options of PyMongo's that are not supported, and their values without an effect."""


def reader_of(query: Any) -> Callable[[Any], Read] | None:
    """Return the reader of `query`; None for an object that is no query of Beanie, or one that writes.

    Raises
    ------
    TypeError
        For a query of Beanie 1, whose collections are Motor's.
    """
    reader = _reader_of(query)
    if reader is not None and not hasattr(query.document_model, "get_pymongo_collection"):
        raise TypeError(
            "from_query() takes queries of Beanie 2, on PyMongo's AsyncMongoClient; this one is of Beanie 1, on Motor: "
            "pass its get_filter_query() to find() of a collection of MongoClient or AsyncMongoClient"
        )
    return reader


def _reader_of(query: object) -> Callable[[Any], Read] | None:
    find = sys.modules["beanie.odm.queries.find"]
    if isinstance(query, find.FindMany):
        return _find_many
    if isinstance(query, find.FindOne):
        return _find_one
    if isinstance(query, find.AggregationQuery):
        return _aggregation
    return None


def _find_many(query: Any) -> Read:
    if query.fetch_links:
        return _aggregate(query, query.build_aggregation_pipeline(), _projection(query))
    options = _options(query, _FIND)
    if query.sort_expressions:
        options["sort"] = [(key, _direction(direction)) for key, direction in query.sort_expressions]
    options.update(projection=_projection(query), skip=query.skip_number, limit=query.limit_number)
    return Read(_collection(query), _filter(query), options=options)


def _find_one(query: Any) -> Read:
    if query.fetch_links:
        # As Beanie: the links are of the first document that a find_many with the same conditions gives.
        many = query.document_model.find_many(
            *query.find_expressions,
            session=query.session,
            fetch_links=True,
            projection_model=query.projection_model,
            nesting_depth=query.nesting_depth,
            nesting_depths_per_field=query.nesting_depths_per_field,
            **query.pymongo_kwargs,
        )
        return _find_many(many.limit(1))
    options = _options(query, _FIND)
    options.update(projection=_projection(query), limit=1)
    return Read(_collection(query), _filter(query), options=options)


def _aggregation(query: Any) -> Read:
    return _aggregate(query, query.get_aggregation_pipeline(), None)


def _aggregate(query: object, pipeline: list[Any], projection: Mapping[str, Any] | None) -> Read:
    stages = [*pipeline, {"$project": projection}] if projection is not None else list(pipeline)
    return Read(_collection(query), pipeline=stages, options=_options(query, _AGGREGATE, SNAKE_CASE))


def _collection(query: Any) -> Any:
    return query.document_model.get_pymongo_collection()


def _filter(query: Any) -> Any:
    for each in query.find_expressions:
        if not isinstance(each, Mapping):
            # Beanie's signatures allow bools, for type checkers that take comparisons of fields for these.
            raise TypeError(f"a condition of the Beanie query must be a mapping, got {type(each).__name__}")
    return query.get_filter_query()


def _projection(query: Any) -> Any:
    from beanie.odm.utils.projection import get_projection

    return get_projection(query.projection_model)


def _direction(direction: object) -> Any:
    return int(direction) if isinstance(direction, int) else direction


def _options(query: Any, known: frozenset[str], other_names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """PyMongo's options of a Beanie query by our names.

    Raises
    ------
    InvalidQuery
        For one that cannot be taken over.
    """
    if query.session is not None:
        raise InvalidQuery(
            "session: one of PyMongo's cannot be used here; leave it out, or make the query with "
            "from_pymongo(collection).find(..., session=) and a session of that client"
        )
    options: dict[str, Any] = {}
    for given, value in query.pymongo_kwargs.items():
        name = (other_names or {}).get(given, given)
        if name in known:
            options[name] = value
        elif given not in _WITHOUT_EFFECT or value != _WITHOUT_EFFECT[given]:
            raise InvalidQuery(f"{given}: this option of the Beanie query is not supported")
    return options
