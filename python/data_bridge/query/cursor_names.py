"""Names that PyMongo's cursors have and queries do not, and what to write instead."""

from __future__ import annotations

from typing import NoReturn

_ANEW = "a query does not change, and runs anew whenever it is read: use it again"
_OPTIONS = "pass options to find() by name, such as no_cursor_timeout=True"
_TAILABLE = "tailable cursors are not supported yet: use to_pymongo()"
_NO_CURSOR = "a query holds no cursor, as each read opens and closes its own"
_STATE = f"{_NO_CURSOR}; its report says what the last one read"

CURSOR = {
    "add_option": _OPTIONS,
    "address": _STATE,
    "alive": _STATE,
    "clone": _ANEW,
    "close": f"{_NO_CURSOR}; what stream() gives has close()",
    "collection": "keep the collection that the query was made of",
    "count": "use {wait}collection.count_documents(filter)",
    "cursor_id": _STATE,
    "distinct": "use {wait}collection.distinct(key, filter)",
    "max": "pass max= to find()",
    "max_await_time_ms": _TAILABLE,
    "max_scan": "servers refuse it since MongoDB 4.2: use limit() or max_time_ms()",
    "min": "pass min= to find()",
    "next": "use {wait}query.first(), or {next}",
    "remove_option": _OPTIONS,
    "retrieved": _STATE,
    "rewind": _ANEW,
    "session": "pass session= to find() or aggregate()",
    "try_next": _TAILABLE,
    "where": 'pass {{"$where": code}} in the filter of find()',
}
"""Methods and attributes of PyMongo's `Cursor` and `CommandCursor`, and `count`, which older ones have."""


def refuse_attribute(kind: type, name: str, *, awaited: bool) -> NoReturn:
    """Raise for an attribute that a query does not have.

    Raises
    ------
    AttributeError
        With what to write instead, where PyMongo's cursors have it.
    """
    hint = CURSOR.get(name)
    text = "" if hint is None else ": " + _written(hint, awaited)
    raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}{text}", name=name)


def refuse_next(kind: type, *, awaited: bool) -> NoReturn:
    """Raise for `next()` of a query.

    Raises
    ------
    TypeError
        Always.
    """
    raise TypeError(f"{kind.__name__!r} object is not an iterator: {_written(CURSOR['next'], awaited)}")


def refuse_item(kind: type, index: object, *, awaited: bool) -> NoReturn:
    """Raise for an index or a slice of a query.

    Raises
    ------
    TypeError
        Always.
    """
    if isinstance(index, slice):
        instead = "use query.skip(start).limit(stop - start), or slice {read}"
    else:
        instead = "use {wait}query.skip(index).first(), or an index of {read}"
    raise TypeError(f"{kind.__name__!r} object is not subscriptable: {_written(instead, awaited)}")


def refuse_with(kind: type) -> NoReturn:
    """Raise for a `with` block of a query.

    Raises
    ------
    TypeError
        Always.
    """
    raise TypeError(f"{kind.__name__!r} object is no context manager: {_NO_CURSOR}; what stream() gives is one")


def refuse_length(length: object, *, awaited: bool) -> None:
    """Raise for a length that `to_list` is given.

    Raises
    ------
    TypeError
        Unless it is None.
    """
    if length is not None:
        raise TypeError(
            f"to_list() takes no length: use {_written('{wait}', awaited)}query.limit({length!r}).to_list()"
        )


def _written(hint: str, awaited: bool) -> str:
    if awaited:
        return hint.format(wait="await ", next="anext(aiter(query))", read="(await query.read())")
    return hint.format(wait="", next="next(iter(query))", read="query.read()")
