"""Changes: one write of an instance, made without waiting for the server and without changing the instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ...commands import encode
from ...connection.session_state import SessionState
from ..errors import PartlyRead
from ..filters import trust
from . import instance_state as state
from .diff import contains, difference, document_after, whole_document
from .registration import collection_of, read_bson
from .write_requests import REVISION, check_writable, guarded, id_of, new_revision

if TYPE_CHECKING:
    from .model import Model


class Change(NamedTuple):
    """One write of an instance. `apply` makes it the state of the instance, once the server has acknowledged it."""

    filter: dict[str, Any]
    """Finds the document, in the revision that was read."""
    update: dict[str, Any]
    """Update operators; empty where nothing differs from the stored document, and for inserts and replacements."""
    document: dict[str, Any]
    """The document after the write."""

    def apply(self, instance: Model, *, whole: bool, session: SessionState | None) -> None:
        """Make the instance read from the document. Values that were assigned during the write stay changes.

        Parameters
        ----------
        whole
            The document has all keys that are stored.
        session
            The session of the write; an aborted transaction restores the instance.
        """
        if session is not None:
            state.restore_on_abort(instance, session)
        document, collection = self.document, collection_of(type(instance))
        if isinstance(document, encode.Encoded):
            data = document.data
        else:
            data = encode.document(document, collection.codec_options, "document", encode.STORED_DEPTH)
        fields = type(instance).__odm__.fields
        written = read_bson(collection, data)
        for name, value in state.move_to(instance, written, whole=whole).items():
            # Another task or thread assigned it during the write: it is not stored yet.
            if fields[name].key not in document and not fields[name].converter.virtual:
                state.assign(instance, {name: value})
                state.release_kept(instance, name)
        # A default of a key that is not stored is kept: its factory would make another value.
        for name in state.kept_fields(instance):
            if not fields[name].converter.keeps and fields[name].key in document:
                value = state.release_kept(instance, name)
                if name != REVISION and value is not state.MISSING and not contains(document, fields[name], value):
                    state.assign(instance, {name: value})


def diff(instance: Model) -> Change:
    """Return the change that `save()` writes: the fields that differ from the stored document.

    Raises
    ------
    ValidationError
        For a value that does not fit its field, and for another `_id` than the stored one.
    PartlyRead
        For a key that `Settings.projection` computes or reads a part of.
    """
    model, found_by = type(instance), guarded(instance)
    info, stored = model.__odm__, state.is_stored(instance)
    if not stored:
        # An instance made by hand may replace a document of its own class, never one of another class.
        found_by.update(info.class_filter(False))
    found = difference(instance)
    check_writable(instance, [*found.sets, *found.unsets])
    own_id = found.sets.pop("_id", None)
    if info.settings.use_revision and (found.sets or found.unsets or not stored):
        found.sets[REVISION] = new_revision(model)
    update: dict[str, Any] = {}
    if found.sets:
        update["$set"] = found.sets
    if found.unsets:
        update["$unset"] = found.unsets
    if not update and not stored:
        update["$setOnInsert"] = {"_id": id_of(instance)}
    document = document_after(instance, found, collection_of(model).codec_options)
    return Change(found_by, update, document if stored else {"_id": own_id, **document})


def insertion(instance: Model) -> Change:
    """Return the insert of an instance, which has an `_id`.

    Raises
    ------
    ValidationError
        For a value that does not fit its field.
    """
    document = instance._dump()
    change: dict[str, Any] = {"_id": document.pop("_id"), **document}
    return Change({}, {}, _with_revision(instance, change))


def replacement(instance: Model, overwrite: bool) -> Change:
    """Return the replacement of the document of an instance.

    Raises
    ------
    PartlyRead
        When the stored document may have keys that were not read.
    """
    return Change(guarded(instance), {}, replacement_document(instance, overwrite))


def replacement_document(instance: Model, overwrite: bool) -> dict[str, Any]:
    """Return the whole document of an instance, with a new revision.

    Raises
    ------
    PartlyRead
        When the stored document may have keys that were not read.
    """
    if state.is_stored(instance) and not state.is_whole(instance) and not overwrite:
        raise PartlyRead(
            f"{type(instance).__name__} with _id {id_of(instance)!r} was read for its declared fields only: replacing "
            "would delete all other keys. save() sends what changed; overwrite=True deletes them"
        )
    options = collection_of(type(instance)).codec_options
    return _with_revision(instance, whole_document(instance, options))


def _with_revision(instance: Model, document: dict[str, Any]) -> dict[str, Any]:
    model = type(instance)
    if model.__odm__.settings.use_revision:
        document[REVISION] = new_revision(model)
        if isinstance(document, encode.Kept) and REVISION in document.keys_kept:
            document.keys_kept.remove(REVISION)
    return document


def unsent(instance: Model, before: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})) -> list[trust.Trusted]:
    """Return the updates for the differences that a hook has made since `before`."""
    updates: list[trust.Trusted] = []
    for operator, then, now in zip(("$set", "$unset"), before, difference(instance), strict=True):
        if new := {key: value for key, value in now.items() if key not in then or then[key] != value}:
            check_writable(instance, new)
            # Values of the instance are values, whatever their keys look like.
            updates.append(trust.trusted({operator: new}))
    return updates
