"""Writes of instances: hooks, one command, and the new state of the instance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from ..._typing import Timeout
from ...commands import encode
from ...commands.operations import ReturnDocument
from ...commands.write_results import DeleteResult
from ...errors import InvalidQuery
from ..errors import DocumentNotFound, RevisionConflict
from ..models import instance_state as state
from ..models.change import Change, diff, insertion, replacement, unsent
from ..models.diff import changed_fields, discard_sent
from ..models.hooks import Event, hooks_of
from ..models.registration import check_instance, collection_of
from ..models.write_requests import (
    assign_id,
    check_unchanged,
    guarded,
    id_of,
    not_found_text,
    read_projection,
    update_of,
)
from ..queries.collection_model import CollectionModel
from .outcome import Session, maybe_await

M = TypeVar("M", bound=CollectionModel)


async def insert(instance: M, session: Session, timeout: Timeout, *events: Event) -> M:
    """Insert the document of the instance; hooks of `events` run too, `save` for one."""
    for hook in hooks_of("before", instance, *events, Event.INSERT):
        await maybe_await(hook())
    collection = collection_of(type(instance), timeout)
    assign_id(instance)
    change = _encoded(insertion(instance), collection, "document")
    await collection.insert_one(change.document, session=session)
    change.apply(instance, whole=True, session=session)
    for hook in hooks_of("after", instance, *events, Event.INSERT):
        await maybe_await(hook())
    return instance


def _encoded(change: Change, collection: Any, what: str) -> Change:
    """Return an insert whose document is encoded once, for the server and for the instance."""
    return change._replace(document=encode.Encoded(change.document, collection.codec_options, what))


async def insert_many(
    model: type[M], instances: Iterable[M], ordered: bool, session: Session, timeout: Timeout
) -> list[M]:
    """Insert the documents of instances."""
    instances = list(instances)
    changes = []
    if len({id(each) for each in instances}) < len(instances):
        raise InvalidQuery(f"{model.__name__}.insert_many was given one instance twice")
    for position, each in enumerate(instances):
        check_instance(model, each, f"{model.__name__}.insert_many")
        for hook in hooks_of("before", each, Event.INSERT):
            await maybe_await(hook())
        assign_id(each)
        changes.append(_encoded(insertion(each), collection_of(model), f"documents[{position}]"))
    if instances:
        documents = [change.document for change in changes]
        await collection_of(model, timeout).insert_many(documents, ordered=ordered, session=session)
    for each, change in zip(instances, changes, strict=True):
        change.apply(each, whole=True, session=session)
        for hook in hooks_of("after", each, Event.INSERT):
            await maybe_await(hook())
    return instances


async def save(instance: M, session: Session, timeout: Timeout) -> M:
    """Write the fields that changed; insert an instance that is not stored."""
    if not state.is_stored(instance) and instance.id is None:
        return await insert(instance, session, timeout, Event.SAVE)
    for hook in hooks_of("before", instance, Event.SAVE):
        await maybe_await(hook())
    change = diff(instance)
    if change.update:
        collection, upsert = collection_of(type(instance), timeout), not state.is_stored(instance)
        result = await collection.update_one(change.filter, change.update, upsert=upsert, session=session)
        if result.acknowledged and not result.matched_count and not result.did_upsert:
            await _not_there(instance, session, timeout)
        # An upsert may have found a document with more keys than these.
        whole = state.is_whole(instance) or (upsert and result.acknowledged and result.did_upsert)
        change.apply(instance, whole=whole, session=session)
    for hook in hooks_of("after", instance, Event.SAVE):
        await maybe_await(hook())
    return instance


async def replace(instance: M, overwrite: bool, session: Session, timeout: Timeout) -> M:
    """Write the whole document."""
    for hook in hooks_of("before", instance, Event.REPLACE):
        await maybe_await(hook())
    change = replacement(instance, overwrite)
    result = await collection_of(type(instance), timeout).replace_one(change.filter, change.document, session=session)
    if result.acknowledged and not result.matched_count:
        await _not_there(instance, session, timeout)
    change.apply(instance, whole=True, session=session)
    for hook in hooks_of("after", instance, Event.REPLACE):
        await maybe_await(hook())
    return instance


async def update(instance: M, updates: Iterable[Any], session: Session, timeout: Timeout) -> M:
    """Run update operators and the changes of hooks on the document, and read it again."""
    id_of(instance)
    check_unchanged(instance, "update()")
    model = type(instance)
    sent: dict[str, Any] = {}
    try:
        try:
            for hook in hooks_of("before", instance, Event.UPDATE):
                await maybe_await(hook())
        finally:
            sent = changed_fields(instance)
        found_by, change = guarded(instance), update_of(model, [*updates, *unsent(instance)])
        found = await collection_of(model, timeout).find_one_and_update(
            found_by, change, read_projection(model), return_document=ReturnDocument.AFTER, session=session
        )
        if found is None:
            await _not_there(instance, session, timeout)
    finally:
        # The changes of hooks were written, or the hooks of the next call make them again.
        later = discard_sent(instance, sent)
    state.restore_on_abort(instance, session)
    # Another thread may assign values at any time: these stay changes.
    later |= state.read_from(instance, found, whole=read_projection(model) is None)
    state.assign(instance, later)
    for hook in hooks_of("after", instance, Event.UPDATE):
        await maybe_await(hook())
    return instance


async def delete(instance: CollectionModel, session: Session, timeout: Timeout) -> DeleteResult:
    """Delete the document."""
    for hook in hooks_of("before", instance, Event.DELETE):
        await maybe_await(hook())
    result: DeleteResult = await collection_of(type(instance), timeout).delete_one(
        {"_id": id_of(instance)}, session=session
    )
    for hook in hooks_of("after", instance, Event.DELETE):
        await maybe_await(hook())
    return result


async def reload(instance: M, session: Session, timeout: Timeout) -> M:
    """Read the document again and discard unsaved changes."""
    model = type(instance)
    found = await collection_of(model, timeout).find_one(
        {"_id": id_of(instance)}, read_projection(model), session=session
    )
    if found is None:
        raise DocumentNotFound(not_found_text(instance))
    state.restore_on_abort(instance, session)
    state.read_from(instance, found, whole=read_projection(model) is None)
    return instance


async def _not_there(instance: CollectionModel, session: Session, timeout: Timeout) -> None:
    """Raise the reason that no document matched."""
    if type(instance).__odm__.settings.use_revision:
        there = await collection_of(type(instance), timeout).find_one(
            {"_id": id_of(instance)}, {"_id": 1}, session=session
        )
        if there is not None:
            raise RevisionConflict(
                f"{not_found_text(instance)} in the revision that was read: another writer changed it. reload() the "
                "instance, and write again"
            )
    raise DocumentNotFound(not_found_text(instance))
