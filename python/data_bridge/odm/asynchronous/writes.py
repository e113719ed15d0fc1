"""Writes of instances: hooks, one command, and the new state of the instance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ..._typing import Timeout
from ...commands import encode
from ...commands.operations import ReturnDocument
from ...commands.write_results import DeleteResult
from ...errors import InvalidQuery
from ..errors import DocumentNotFound, RevisionConflict
from ..models import instance_state as state
from ..models.change import Change, diff, insertion, replacement, unsent
from ..models.delete_rules import has_rules
from ..models.diff import changed_fields, discard_sent
from ..models.hooks import Event, check_skipped, hooks_of
from ..models.link import held_documents, set_id
from ..models.registration import check_instance, collection_of
from ..models.write_options import DeleteRules, WriteOptions, WriteRules
from ..models.write_requests import (
    array_filters_of,
    assign_id,
    check_unchanged,
    guarded,
    id_of,
    not_found_text,
    read_projection,
    update_of,
)
from ..queries.collection_model import CollectionModel
from .delete_rules import apply_rules
from .links import fetch, forward_links
from .outcome import Session, maybe_await

M = TypeVar("M", bound=CollectionModel)


async def insert(instance: M, options: WriteOptions, *events: Event) -> M:
    """Insert the document of the instance; hooks of `events` run too, `save` for one."""
    await _run("before", instance, options, *events, Event.INSERT)
    assign_id(instance)
    await _write_linked(instance, options)
    collection = collection_of(type(instance), options.timeout)
    change = _encoded(insertion(instance), collection, "document")
    await collection.insert_one(change.document, session=options.session)
    change.apply(instance, whole=True, session=options.session)
    await _run("after", instance, options, *events, Event.INSERT)
    return instance


async def _run(when: str, instance: CollectionModel, options: WriteOptions, *events: Event) -> None:
    """Run the hooks of an instance before or after events."""
    if options.skip_actions:
        check_skipped(type(instance), options.skip_actions)
    for hook in hooks_of(when, instance, *events, skip=options.skip_actions):
        await maybe_await(hook())


async def _write_linked(instance: CollectionModel, options: WriteOptions) -> None:
    """Write the documents that the links of an instance hold, if the link rule says so: they are stored before it."""
    if options.link_rule is not WriteRules.WRITE:
        return
    for link, document in held_documents(instance):
        seen = options.seen | {id(instance)}
        if id(document) not in seen:
            inner = options._replace(seen=seen, skip_actions=frozenset())
            if document.id is None and not state.is_stored(document):
                await insert(document, inner, Event.SAVE)
            else:
                await save(document, inner)
        set_id(link, document.id)


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


async def save(instance: M, options: WriteOptions) -> M:
    """Write the fields that changed; insert an instance that is not stored."""
    session = options.session
    if not state.is_stored(instance) and instance.id is None:
        return await insert(instance, options, Event.SAVE)
    await _run("before", instance, options, Event.SAVE)
    await _write_linked(instance, options)
    change = diff(instance, options.ignore_revision)
    if change.update:
        collection, upsert = collection_of(type(instance), options.timeout), not state.is_stored(instance)
        result = None
        if change.by_items is not None:
            result = await collection.update_one(*change.by_items, session=session)
        # Without a match, another writer has changed the items: the lists are then sent as a whole.
        if result is None or not (result.acknowledged and result.matched_count):
            result = await collection.update_one(change.filter, change.update, upsert=upsert, session=session)
        if result.acknowledged and not result.matched_count and not result.did_upsert:
            await _not_there(instance, options)
        # An upsert may have found a document with more keys than these.
        whole = state.is_whole(instance) or (upsert and result.acknowledged and result.did_upsert)
        change.apply(instance, whole=whole, session=session)
    else:
        change.apply_assigned(instance, session=session)
    await _run("after", instance, options, Event.SAVE)
    return instance


async def replace(instance: M, overwrite: bool, options: WriteOptions) -> M:
    """Write the whole document."""
    await _run("before", instance, options, Event.REPLACE)
    await _write_linked(instance, options)
    change = replacement(instance, overwrite, options.ignore_revision)
    collection = collection_of(type(instance), options.timeout)
    result = await collection.replace_one(change.filter, change.document, session=options.session)
    if result.acknowledged and not result.matched_count:
        await _not_there(instance, options)
    change.apply(instance, whole=True, session=options.session)
    await _run("after", instance, options, Event.REPLACE)
    return instance


async def update(
    instance: M, updates: Iterable[Any], options: WriteOptions, array_filters: Iterable[Mapping[str, Any]] | None
) -> M:
    """Run update operators and the changes of hooks on the document, and read it again."""
    id_of(instance)
    check_unchanged(instance, "update()")
    model = type(instance)
    sent: dict[str, Any] = {}
    try:
        try:
            await _run("before", instance, options, Event.UPDATE)
        finally:
            sent = changed_fields(instance)
        found_by = guarded(instance, options.ignore_revision)
        change = update_of(model, [*updates, *unsent(instance)], instance)
        found = await collection_of(model, options.timeout).find_one_and_update(
            found_by,
            change,
            read_projection(model),
            return_document=ReturnDocument.AFTER,
            array_filters=array_filters_of(array_filters),
            session=options.session,
        )
        if found is None:
            await _not_there(instance, options)
    finally:
        # The changes of hooks were written, or the hooks of the next call make them again.
        later = discard_sent(instance, sent)
    state.restore_on_abort(instance, options.session)
    # Another thread may assign values at any time: these stay changes.
    later |= state.read_from(instance, found, whole=read_projection(model) is None)
    state.assign(instance, later)
    await _run("after", instance, options, Event.UPDATE)
    return instance


async def delete(instance: CollectionModel, options: WriteOptions) -> DeleteResult:
    """Delete the document."""
    await _run("before", instance, options, Event.DELETE)
    found_by = {"_id": id_of(instance)}
    await _delete_linked(instance, options)
    if has_rules(type(instance)):
        await apply_rules(type(instance), [found_by["_id"]], options.session, options.timeout)
    result: DeleteResult = await collection_of(type(instance), options.timeout).delete_one(
        found_by, session=options.session
    )
    await _run("after", instance, options, Event.DELETE)
    return result


async def _delete_linked(instance: CollectionModel, options: WriteOptions) -> None:
    """Delete the documents that the links of an instance lead to, if the link rule says so."""
    if options.link_rule is not DeleteRules.DELETE_LINKS:
        return
    reads = {"session": options.session, "timeout": options.timeout}
    await fetch([instance], reads, type(instance).__odm__.variants, choose=forward_links)
    seen = options.seen | {id(instance)}
    for _, document in held_documents(instance):
        if id(document) not in seen:
            seen |= {id(document)}
            await delete(document, options._replace(seen=seen, skip_actions=frozenset()))


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


async def _not_there(instance: CollectionModel, options: WriteOptions) -> None:
    """Raise the reason that no document matched."""
    if type(instance).__odm__.settings.use_revision and not options.ignore_revision:
        there = await collection_of(type(instance), options.timeout).find_one(
            {"_id": id_of(instance)}, {"_id": 1}, session=options.session
        )
        if there is not None:
            raise RevisionConflict(
                f"{not_found_text(instance)} in the revision that was read: another writer changed it. reload() the "
                "instance, and write again"
            )
    raise DocumentNotFound(not_found_text(instance))
