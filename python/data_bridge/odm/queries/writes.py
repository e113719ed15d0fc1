"""How instances are written: operations as steps, for models of both kinds."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from bson.objectid import ObjectId

from ..._core import _document_from_bson
from ...commands import encode
from ...commands.operations import ReturnDocument
from ...errors import InvalidQuery
from ..converters.converter import plain
from ..errors import DocumentNotFound, Mismatch, PartlyRead, RevisionConflict, UnsavedChanges, ValidationError
from ..filters import trust
from ..filters.updates import update_document
from ..models.diff import changed_fields, changes, document_after, forget, is_stored, whole_document
from ..models.hooks import Event
from ..models.registration import check_instance, collection_of
from .steps import Steps

REVISION = "revision_id"


def insert(instance: Any, session: Any, timeout: Any, *events: Event) -> Steps[Any]:
    """Insert a document made of the instance; `events` are what else the user asked for by that."""
    yield from _hooks("before", instance, *events, Event.INSERT)
    collection = collection_of(type(instance), timeout)
    document = encode.Encoded(new_document(instance), collection.codec_options, "document")
    yield collection.insert_one(document, session=session)
    written(instance, document, whole=True, session=session)
    yield from _hooks("after", instance, *events, Event.INSERT)
    return instance


def insert_many(model: Any, instances: Iterable[Any], ordered: bool, session: Any, timeout: Any) -> Steps[list[Any]]:
    """Insert documents made of instances."""
    instances = list(instances)
    documents = []
    if len({id(each) for each in instances}) < len(instances):
        raise InvalidQuery(f"{model.__name__}.insert_many was given one instance twice")
    for position, each in enumerate(instances):
        check_instance(model, each, f"{model.__name__}.insert_many")
        yield from _hooks("before", each, Event.INSERT)
        options = collection_of(model).codec_options
        documents.append(encode.Encoded(new_document(each), options, f"documents[{position}]"))
    if instances:
        yield collection_of(model, timeout).insert_many(documents, ordered=ordered, session=session)
    for each, document in zip(instances, documents, strict=True):
        written(each, document, whole=True, session=session)
        yield from _hooks("after", each, Event.INSERT)
    return instances


def save(instance: Any, session: Any, timeout: Any) -> Steps[Any]:
    """Write what changed; insert what is not stored yet."""
    if not instance._is_stored and instance.id is None:
        return (yield from insert(instance, session, timeout, Event.SAVE))
    yield from _hooks("before", instance, Event.SAVE)
    found_by, update, document = save_request(instance)
    if update:
        collection, upsert = collection_of(type(instance), timeout), not instance._is_stored
        result = yield collection.update_one(found_by, update, upsert=upsert, session=session)
        if result.acknowledged and not result.matched_count and not result.did_upsert:
            yield from _not_there(instance, session, timeout)
        # An upsert may have found a document with more keys than these.
        whole = instance._is_whole or (upsert and result.acknowledged and result.did_upsert)
        written(instance, document, whole=whole, session=session)
    yield from _hooks("after", instance, Event.SAVE)
    return instance


def replace(instance: Any, overwrite: bool, session: Any, timeout: Any) -> Steps[Any]:
    """Write the whole document."""
    yield from _hooks("before", instance, Event.REPLACE)
    found_by, document = replace_request(instance, overwrite)
    result = yield collection_of(type(instance), timeout).replace_one(found_by, document, session=session)
    if result.acknowledged and not result.matched_count:
        yield from _not_there(instance, session, timeout)
    written(instance, document, whole=True, session=session)
    yield from _hooks("after", instance, Event.REPLACE)
    return instance


def update(instance: Any, updates: Iterable[Any], session: Any, timeout: Any) -> Steps[Any]:
    """Run update operators on the document, and what hooks change of the instance; read it again."""
    id_of(instance)
    _no_changes(instance, "update()")
    model = type(instance)
    sent: dict[str, Any] = {}
    try:
        try:
            yield from _hooks("before", instance, Event.UPDATE)
        finally:
            sent = changed_fields(instance)
        found_by, change = guarded(instance), update_of(model, [*updates, *changed(instance, ({}, {}))])
        found = yield collection_of(model, timeout).find_one_and_update(
            found_by, change, _projection(model), return_document=ReturnDocument.AFTER, session=session
        )
        if found is None:
            yield from _not_there(instance, session, timeout)
    finally:
        # What hooks changed is written, or the hooks of the next attempt change it.
        since = forget(instance, sent)
    undo_with(session, instance)
    instance._written(found, _projection(model) is None, False)
    instance._assigned.update(since)
    yield from _hooks("after", instance, Event.UPDATE)
    return instance


def delete(instance: Any, session: Any, timeout: Any) -> Steps[Any]:
    """Delete the document."""
    yield from _hooks("before", instance, Event.DELETE)
    result = yield collection_of(type(instance), timeout).delete_one({"_id": id_of(instance)}, session=session)
    yield from _hooks("after", instance, Event.DELETE)
    return result


def reload(instance: Any, session: Any, timeout: Any) -> Steps[Any]:
    """Read the document again; what was changed and not written is forgotten."""
    model = type(instance)
    found = yield collection_of(model, timeout).find_one({"_id": id_of(instance)}, _projection(model), session=session)
    if found is None:
        raise DocumentNotFound(_no_document(instance))
    undo_with(session, instance)
    instance._written(found, _projection(model) is None, False)
    return instance


# ---- requests: what is sent, also by bulk writers --------------------------------------------------------------------


def new_document(instance: Any) -> dict[str, Any]:
    """The document to insert; the instance gets an ObjectId if it has no `_id`."""
    if instance.id is None:
        try:
            instance.id = ObjectId()
        except ValidationError:
            raise (
                Mismatch(type(instance).id._plan.name, None).under("id").error(model=type(instance).__name__)
            ) from None
    if type(instance).__odm__.settings.use_revision:
        setattr(instance, REVISION, uuid.uuid4())
    document: dict[str, Any] = instance._dump()
    return {"_id": document.pop("_id"), **document}


def save_request(instance: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Filter, update and the document as it will be; the update is empty where nothing changed."""
    found_by = guarded(instance)
    if not instance._is_stored:
        # One that was made by hand may become what is stored of its own class, never a document of another one.
        found_by.update(type(instance).__odm__.class_filter(False))
    sets, unsets = changes(instance)
    _check_writable(instance, [*sets, *unsets])
    sets.pop("_id", None)
    update: dict[str, Any] = {}
    if (sets or unsets or not instance._is_stored) and type(instance).__odm__.settings.use_revision:
        setattr(instance, REVISION, uuid.uuid4())
        sets[REVISION] = getattr(instance, REVISION)
    if sets:
        update["$set"] = sets
    if unsets:
        update["$unset"] = unsets
    if not update and not instance._is_stored:
        update["$setOnInsert"] = {"_id": id_of(instance)}
    options = collection_of(type(instance)).codec_options
    return found_by, update, document_after(instance, sets, unsets, options)


def changed(instance: Any, before: tuple[dict[str, Any], dict[str, Any]]) -> list[trust.Trusted]:
    """What differs from what is stored, and did not before: updates to send with others."""
    updates = []
    for operator, then, now in zip(("$set", "$unset"), before, changes(instance), strict=True):
        if new := {key: value for key, value in now.items() if key not in then or then[key] != value}:
            _check_writable(instance, new)
            # Values of the instance are values, whatever their keys look like.
            updates.append(trust.trusted({operator: new}))
    return updates


def _check_writable(instance: Any, keys: Iterable[str]) -> None:
    """Refuse another `_id` than is stored, and what `Settings.projection` computes or reads a part of."""
    if instance._is_stored and "_id" in keys:
        raise ValidationError(("id",), "the _id that is stored", "another one", id_of(instance))
    projection = type(instance).__odm__.settings.projection
    if projection is None or not instance._is_stored or instance._is_whole:
        return
    for key in {each.partition(".")[0] for each in keys}:
        parts = [value for path, value in projection.items() if path == key or path.startswith(f"{key}.")]
        if parts and (key not in projection or parts not in ([1], [0])):
            raise PartlyRead(
                f"{type(instance).__name__} with _id {id_of(instance)!r} was read through Settings.projection, which "
                f"does not give {key!r} as it is stored: update(Set(...)) writes it"
            )


def replace_request(instance: Any, overwrite: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Filter and document.

    Raises
    ------
    PartlyRead
        When the stored document may have keys that were not read.
    """
    found_by = guarded(instance)
    return found_by, replacement_of(instance, overwrite)


def replacement_of(instance: Any, overwrite: bool) -> dict[str, Any]:
    """The whole document, with a revision of its own.

    Raises
    ------
    PartlyRead
        When the stored document may have keys that were not read.
    """
    if instance._is_stored and not instance._is_whole and not overwrite:
        raise PartlyRead(
            f"{type(instance).__name__} with _id {id_of(instance)!r} was read for its declared fields only: replacing "
            "would delete all other keys. save() sends what changed; overwrite=True deletes them"
        )
    if type(instance).__odm__.settings.use_revision:
        setattr(instance, REVISION, uuid.uuid4())
    return whole_document(instance, collection_of(type(instance)).codec_options)


def guarded(instance: Any) -> dict[str, Any]:
    """The filter that finds the document of an instance, in the revision that was read."""
    found_by = {"_id": id_of(instance)}
    document = instance._document()
    if type(instance).__odm__.settings.use_revision:
        # One that was made by hand has seen no revision.
        found_by[REVISION] = None if document is None else document.get(REVISION)
    return found_by


def id_of(instance: Any) -> Any:
    """The `_id` as it is stored."""
    document = instance._document()
    if document is not None and "_id" in document:
        return plain(document["_id"])
    if instance.id is None:
        raise DocumentNotFound(f"this {type(instance).__name__} has no _id: it was not inserted")
    return type(instance).__odm__.fields["id"].dump(instance.id)


def update_of(model: Any, updates: Iterable[Any]) -> dict[str, Any]:
    """An update document of operators and mappings; where revisions are used, with a new one."""
    update = update_document(model, updates)
    if model.__odm__.settings.use_revision:
        update["$set"] = {**update.get("$set", {}), REVISION: uuid.uuid4()}
    return update


def undo_with(session: Any, instance: Any) -> None:
    """Should the transaction not be committed, the instance differs from what is stored as it does now."""
    if session is None or not session.in_transaction:
        return
    document, whole, assigned = instance._document(), instance._is_whole, dict(instance._assigned)

    def undo() -> None:
        instance._unwritten(document, whole)
        # What was assigned since counts.
        instance._assigned.update({**assigned, **instance._assigned})

    session.on_abort(undo)


def written(instance: Any, document: dict[str, Any], *, whole: bool, session: Any) -> None:
    """The document is stored: the instance reads from it, and keeps only what can be changed in place."""
    undo_with(session, instance)
    collection = collection_of(type(instance))
    if isinstance(document, encode.Encoded):
        data = document.data
    else:
        data = encode.document(document, collection.codec_options, "document", encode.STORED_DEPTH)
    fields, kept = type(instance).__odm__.fields, instance._kept
    moved = instance._written(_document_from_bson(data, collection._settings.codec), whole, True)
    for name, value in moved.items():
        # Assigned while the write was under way, by another task or thread: it is not stored yet.
        if fields[name].key not in document and not fields[name].plan.virtual:
            kept.pop(name, None)
            instance._assigned.setdefault(name, value)
    # A default of a key that is not stored stays what it was: a factory would make another one.
    for name in [name for name in list(kept) if not fields[name].plan.keeps and fields[name].key in document]:
        value = kept.pop(name)
        if name != REVISION and not is_stored(fields[name], value, document):
            instance._assigned.setdefault(name, value)


def _no_changes(instance: Any, what: str) -> None:
    sets, unsets = changes(instance)
    if sets or unsets:
        names = ", ".join([*sets, *unsets])
        raise UnsavedChanges(f"{what} reads the document again and would lose changes of {names}: save() or reload()")


def _projection(model: Any) -> dict[str, Any] | None:
    projection: dict[str, Any] | None = model.__odm__.projection(False)
    return projection


def _not_there(instance: Any, session: Any, timeout: Any) -> Steps[None]:
    """Say why no document matched."""
    if type(instance).__odm__.settings.use_revision:
        there = yield collection_of(type(instance), timeout).find_one(
            {"_id": id_of(instance)}, {"_id": 1}, session=session
        )
        if there is not None:
            raise RevisionConflict(f"{_no_document(instance)} in the revision that was read: somebody else wrote it")
    raise DocumentNotFound(_no_document(instance))


def _no_document(instance: Any) -> str:
    return f"there is no {type(instance).__name__} with _id {id_of(instance)!r}"


def _hooks(when: str, instance: Any, *events: Event) -> Iterator[Any]:
    return type(instance).__odm__.hooks.run(when, instance, *events)  # type: ignore[no-any-return]
