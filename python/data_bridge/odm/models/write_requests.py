"""Requests for writing instances: filters, updates and documents, made without waiting for the server."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from bson.objectid import ObjectId

from ..._core import _document_from_bson
from ...commands import encode
from ..converters.converter import plain
from ..errors import DocumentNotFound, Mismatch, PartlyRead, UnsavedChanges, ValidationError
from ..filters import trust
from ..filters.updates import update_document
from .diff import changes, document_after, is_stored, whole_document
from .registration import collection_of

REVISION = "revision_id"
"""The field, and the key, that holds the revision of a document."""


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


def check_unchanged(instance: Any, what: str) -> None:
    sets, unsets = changes(instance)
    if sets or unsets:
        names = ", ".join([*sets, *unsets])
        raise UnsavedChanges(f"{what} reads the document again and would lose changes of {names}: save() or reload()")


def read_projection(model: Any) -> dict[str, Any] | None:
    projection: dict[str, Any] | None = model.__odm__.projection(False)
    return projection


def not_found_text(instance: Any) -> str:
    return f"there is no {type(instance).__name__} with _id {id_of(instance)!r}"
