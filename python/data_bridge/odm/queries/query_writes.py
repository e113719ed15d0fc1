"""Writes of what a query matches, as steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import InvalidQuery
from ..filters import trust
from ..models.registration import check_instance
from .steps import Steps
from .writes import new_document, replacement_of, update_of, written

if TYPE_CHECKING:
    from .query_base import ModelQueryBase

WRITTEN = {name: name for name in ("session", "hint", "collation", "let", "comment")}
"""Options of a query that writes take."""


def update(query: ModelQueryBase[Any], updates: Iterable[Any], *, many: bool) -> Steps[Any]:
    """Update all documents that match, or one of them."""
    query._unbounded("update()")
    change = update_of(query._model, updates)
    collection = query._bound
    method = collection.update_many if many else collection.update_one
    result = yield method(query._filter, change, **query._options("update()", WRITTEN))
    return result


def upsert(query: ModelQueryBase[Any], updates: Iterable[Any], on_insert: Any) -> Steps[Any]:
    """Update one document that matches, or insert `on_insert` where none does."""
    query._unbounded("upsert()")
    check_instance(query._model, on_insert, "upsert()")
    change = update_of(query._model, updates)
    options = query._options("upsert()", WRITTEN)
    while True:
        result = yield query._bound.update_one(query._filter, change, **options)
        if not result.acknowledged or result.matched_count:
            return result
        document = new_document(on_insert)
        inserts = dict(document)
        if (named := _named(query._filter)) is not None:
            document["_id"] = named
            del inserts["_id"]
        # Inserts only where still nothing matches: somebody else may have been faster, whose document is then updated.
        result = yield query._bound.update_one(query._filter, {"$setOnInsert": inserts}, upsert=True, **options)
        if not result.acknowledged or result.did_upsert:
            # Not the whole document: keys that the filter wants equal to something are stored as well.
            document["_id"] = result.upserted_id
            # The one that was made for it, where the filter names another.
            on_insert._assigned.pop("id", None)
            written(on_insert, document, whole=False, session=options.get("session"))
            return result


def _named(condition: Mapping[str, Any]) -> Any:
    """The `_id` that a filter names, which the server takes for the new document; None where it names none."""
    named = condition.get("_id")
    if isinstance(named, Mapping) and any(str(key).startswith("$") for key in named):
        named = named.get("$eq")
    clauses = condition.get("$and", ())
    return next((each for each in map(_named, clauses) if each is not None), None) if named is None else named


def delete(query: ModelQueryBase[Any], *, many: bool) -> Steps[Any]:
    """Delete all documents that match, or one of them."""
    query._unbounded("delete()")
    collection = query._bound
    method = collection.delete_many if many else collection.delete_one
    result = yield method(query._filter, **query._options("delete()", WRITTEN))
    return result


def find_one_and(
    query: ModelQueryBase[Any], action: str, change: Any, options: dict[str, Any], overwrite: bool = False
) -> Steps[Any]:
    """`find_one_and_update`, `_replace` and `_delete`: the instance before or after."""
    asked = query._asked
    if asked.skip or asked.limit:
        raise InvalidQuery(f"find_one_and_{action}() concerns the first document: skip and limit make no sense")
    if action == "update":
        arguments = [update_of(query._model, change)]
    elif action == "replace":
        if not isinstance(change, query._model):
            raise TypeError(f"a replacement must be a {query._model.__name__}, got {type(change).__name__}")
        arguments = [replacement_of(change, overwrite)]
    else:
        arguments = []
    trust.check(options, "options")
    method = getattr(query._bound, f"find_one_and_{action}")
    found = yield method(
        query._filter,
        *arguments,
        projection=query._shape,
        sort=list(asked.sort) or None,
        **{**query._options(f"find_one_and_{action}()", WRITTEN), **options},
    )
    maker = query._maker
    if found is None or maker is None:
        return found
    instance = maker.instance(found)
    yield from query._fetch([instance], options)
    return instance
