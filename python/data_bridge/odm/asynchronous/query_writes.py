"""Writes of the documents that a query matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ...commands.write_results import DeleteResult, UpdateResult
from ...errors import InvalidQuery
from ..models import instance_state as state
from ..models.change import insertion, replacement_document
from ..models.delete_rules import has_rules
from ..models.id_chunks import id_chunks
from ..models.registration import check_instance
from ..models.write_requests import array_filters_of, assign_id, update_of
from ..queries.query_options import WRITE_OPTIONS, find_and_options
from .delete_rules import apply_rules
from .links import fetch_links

if TYPE_CHECKING:
    from ..queries.query_spec import QuerySpec


async def update(
    spec: QuerySpec, updates: Iterable[Any], array_filters: Iterable[Mapping[str, Any]] | None, *, many: bool
) -> UpdateResult:
    """Update all documents that match, or one of them."""
    options = spec.options_for("update()" if many else "update_one()", WRITE_OPTIONS)
    change = update_of(spec.model, updates)
    if array_filters is not None:
        options["array_filters"] = array_filters_of(array_filters)
    return await _updated(spec, change, options, multi=many)


async def upsert(spec: QuerySpec, updates: Iterable[Any], on_insert: Any) -> UpdateResult:
    """Update one document that matches, or insert `on_insert` where none does."""
    options = spec.options_for("upsert()", WRITE_OPTIONS)
    check_instance(spec.model, on_insert, "upsert()")
    change = update_of(spec.model, updates)
    while True:
        result = await _updated(spec, change, options)
        if not result.acknowledged or result.matched_count:
            return result
        assign_id(on_insert)
        insert = insertion(on_insert)
        inserts = dict(insert.document)
        if _named(spec.filter) is not None:
            del inserts["_id"]
        # Inserts only if still no document matches: the document of a faster writer is updated.
        result = await _updated(spec, {"$setOnInsert": inserts}, options, upsert=True)
        if not result.acknowledged or result.did_upsert:
            # Not the whole document: the server also stores the equality conditions of the filter.
            insert.document["_id"] = result.upserted_id
            # The filter may name another `_id` than the instance has.
            state.discard(on_insert, "id")
            insert.apply(on_insert, whole=False, session=options.get("session"))
            return result


def _named(condition: Mapping[str, Any]) -> Any:
    """Return the `_id` in a filter, which the server gives to the new document; None without one."""
    named = condition.get("_id")
    if isinstance(named, Mapping) and any(str(key).startswith("$") for key in named):
        named = named.get("$eq")
    clauses = condition.get("$and", ())
    return next((each for each in map(_named, clauses) if each is not None), None) if named is None else named


async def delete(spec: QuerySpec, *, many: bool) -> DeleteResult:
    """Delete all documents that match, or one of them."""
    options = spec.options_for("delete()" if many else "delete_one()", WRITE_OPTIONS)
    if has_rules(spec.model):
        return await _delete_by_rules(spec, options, many=many)
    result: DeleteResult = await spec.write_collection._deleted(
        spec.filter, options.pop("session", None), multi=many, **options
    )
    return result


async def _delete_by_rules(spec: QuerySpec, options: dict[str, Any], *, many: bool) -> DeleteResult:
    """Delete the documents that the query finds now, after the rules of links to them."""
    session, timeout = options.pop("session", None), spec.options.get("timeout", ...)
    query = spec.write_collection.find(spec.filter, {"_id": 1}, limit=0 if many else 1, session=session, **options)
    ids = [each["_id"] for each in await query.to_dicts()]
    await apply_rules(spec.model, ids, session, timeout)
    deleted, acknowledged = 0, True
    for chunk in id_chunks(ids):
        result = await spec.write_collection.delete_many({"_id": {"$in": chunk}}, session=session)
        acknowledged = result.acknowledged
        deleted += result.deleted_count if acknowledged else 0
    return DeleteResult({"n": deleted}, acknowledged)


async def _updated(spec: QuerySpec, change: object, options: Mapping[str, Any], **more: Any) -> UpdateResult:
    options = {"upsert": False, **options, **more}
    session = options.pop("session", None)
    result: UpdateResult = await spec.write_collection._updated(spec.filter, change, session, **options)
    return result


async def find_one_and(
    spec: QuerySpec, action: str, change: Any, options: dict[str, Any], overwrite: bool = False
) -> Any:
    """Run `find_one_and_update`, `_replace` or `_delete`; return the instance before or after the write."""
    name = f"find_one_and_{action}"
    if action == "delete" and has_rules(spec.model):
        raise InvalidQuery(f"{name}() does not apply the delete rules of links to {spec.model.__name__}: use delete()")
    taken = spec.options_for(f"{name}()", WRITE_OPTIONS, "sort", "project", "fetch_links")
    given = find_and_options(spec.model, action, options)
    if action == "update":
        arguments = [update_of(spec.model, change)]
    elif action == "replace":
        if not isinstance(change, spec.model):
            raise TypeError(f"the replacement must be a {spec.model.__name__}, got {type(change).__name__}")
        arguments = [replacement_document(change, overwrite)]
    else:
        arguments = []
    sent = {"sort": spec.command.options.get("sort"), **taken, **given}
    for ours, theirs in (("max_time_ms", "maxTimeMS"), ("bypass_document_validation", "bypassDocumentValidation")):
        if ours in sent:
            sent[theirs] = sent.pop(ours)
    found = await getattr(spec.write_collection, name)(spec.filter, *arguments, projection=spec.projection, **sent)
    maker = spec.maker
    if found is None or maker is None:
        return found
    instance = maker.instance(found)
    await fetch_links(spec, [instance], given)
    return instance
