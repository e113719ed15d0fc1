"""MongoEngine's QuerySets, translated as MongoEngine does for PyMongo."""

from __future__ import annotations

import sys
from typing import Any

from bson.code import Code

from ..errors import InvalidQuery
from .queries import Read

_NOTHING = {"_id": {"$in": ()}}
_NO_HINT = -1  # as MongoEngine marks it


def is_query_set(query: object) -> bool:
    """Return whether `query` is a QuerySet."""
    return isinstance(query, sys.modules["mongoengine.queryset.base"].BaseQuerySet)


def read(query: Any) -> Read:
    """Return the collection, filter and options of a QuerySet.

    Raises
    ------
    InvalidQuery
        When it returns values instead of documents, and within MongoEngine's `run_in_transaction()`.
    """
    if query._scalar:
        raise InvalidQuery(
            "scalar() and values_list() give bare values, where a query here gives documents: use only() with "
            f"the same fields ({', '.join(query._scalar)})"
        )
    # Since 0.30 a QuerySet runs in the session of the thread's `run_in_transaction()`.
    session_of_thread = getattr(sys.modules["mongoengine.connection"], "_get_session", None)
    if session_of_thread is not None and session_of_thread() is not None:
        raise InvalidQuery(
            "session: run_in_transaction() of MongoEngine has one of PyMongo's, which cannot be used here: call "
            "from_query() outside it, or use from_pymongo(collection).find(..., session=) and a session of that client"
        )
    # The options of the find as MongoEngine hands them to PyMongo: no_cursor_timeout, allow_disk_use, projection.
    options: dict[str, Any] = dict(query._cursor_args)
    options.update(
        skip=query._skip or 0,
        limit=query._limit or 0,
        collation=query._collation,
        batch_size=query._batch_size,
        max_time_ms=query._max_time_ms,
        comment=query._comment,
        read_preference=query._read_preference,
        read_concern=query._read_concern,
    )
    if query._hint != _NO_HINT:
        options["hint"] = query._hint
    if order := _order(query):
        options["sort"] = order
    return Read(query._collection, _filter(query), options=options)


def _filter(query: Any) -> Any:
    if query._none or query._empty:
        return _NOTHING  # none(), and slices such as [5:5], which the server has no limit for
    if not query._where_clause:
        return query._query
    return {**query._query, "$where": Code(query._sub_js_fields(query._where_clause))}


def _order(query: Any) -> Any:
    """Return the order: None for a query without order_by has the class's default; an empty order is no order."""
    if query._ordering is None and query._document._meta["ordering"]:
        return query._get_order_by(query._document._meta["ordering"])
    return query._ordering
