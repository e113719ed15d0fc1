"""Changes: one write of an instance, made without waiting for the server and without changing the instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bson.raw_bson import RawBSONDocument

from ..._core import Document as StoredDocument
from ...commands import encode
from ...connection.session_state import SessionState
from ...errors import InvalidQuery
from ..errors import PartlyRead
from ..filters import trust
from . import instance_state as state
from .check_changes import check_changes
from .diff import Positions, contains, difference, document_after, whole_document
from .registration import collection_of, read_bson
from .write_requests import REVISION, check_writable, guarded, id_of, new_revision
from .written_values import settle

if TYPE_CHECKING:
    from .model import Model


class ItemUpdate(NamedTuple):
    """An update of items of lists, by their positions."""

    filter: dict[str, Any]
    """Finds the document only where the stored items are still at these positions."""
    update: dict[str, Any]


class Change(NamedTuple):
    """One write of an instance. `apply` makes it the state of the instance, once the server has acknowledged it."""

    filter: dict[str, Any]
    """Finds the document, in the revision that was read."""
    update: dict[str, Any]
    """Update operators; empty where nothing differs from the stored document, and for inserts and replacements."""
    document: dict[str, Any]
    """The document after the write."""
    made_with: dict[str, Any]
    """The values beside the stored document that the new document was made with, by the names of fields; or earlier."""
    by_items: ItemUpdate | None = None
    """The same update without the unchanged items of lists of embedded models; None if it would be no smaller."""

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
        drops_nulls = not type(instance).__odm__.settings.keep_nulls
        for name, value in state.move_to(instance, written, whole=whole).items():
            if value is None and drops_nulls and fields[name].key not in document:
                state.release_kept(instance, name)
                continue
            # Another task or thread assigned it during the write: it is not stored yet.
            if fields[name].key not in document and fields[name].stored:
                state.assign(instance, {name: value})
                state.release_kept(instance, name)
        # A default of a key that is not stored is kept: its factory would make another value.
        for name in state.kept_fields(instance):
            if fields[name].key not in document:
                continue
            if fields[name].converter.keeps:
                if fields[name].settles:
                    settle(instance, fields[name], document, written, collection.codec_options)
            else:
                value = state.release_kept(instance, name)
                # Values that are not kept for changes in place are immutable.
                if name == REVISION or value is state.MISSING or value is self.made_with.get(name, state.MISSING):
                    continue
                if not contains(document, fields[name], value):
                    state.assign(instance, {name: value})

    def apply_assigned(self, instance: Model, *, session: SessionState | None) -> None:
        """Apply a change that is not sent: assigned values are stored alike, but need not be what a read gives."""
        if state.held_values(instance).assigned:
            self.apply(instance, whole=state.is_whole(instance), session=session)


def diff(instance: Model, ignore_revision: bool = False) -> Change:
    """Return the change that `save()` writes: the fields that differ from the stored document.

    Parameters
    ----------
    ignore_revision
        Write also where another writer has changed the document.

    Raises
    ------
    ValidationError
        For a value that does not fit its field, and for another `_id` than the stored one.
    PartlyRead
        For a key that `Settings.projection` computes or reads a part of.
    """
    model, found_by = type(instance), guarded(instance, ignore_revision)
    info, stored = model.__odm__, state.is_stored(instance)
    if not stored:
        # An instance made by hand may replace a document of its own class, never one of another class.
        found_by.update(info.class_filter(False))
    check_changes(instance)
    made_with = state.own_values(instance)
    positions: Positions = {}
    found = difference(instance, positions)
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
    by_items = _by_items(instance, found_by, update, positions) if positions else None
    return Change(found_by, update, document if stored else {"_id": own_id, **document}, made_with, by_items)


def _by_items(
    instance: Model, found_by: dict[str, Any], update: dict[str, Any], positions: Positions
) -> ItemUpdate | None:
    """Return an update with only the changed items of lists, where these are few."""
    found_by, sets = dict(found_by), dict(update["$set"])
    for path, changed in positions.items():
        stored: Any = state.stored_document(instance)
        for key in path.split("."):
            stored = stored[key]
        if len(changed) * _FEW > len(stored) or not _are_small([stored[position] for position in changed]):
            continue
        items = sets.pop(path)
        for position in changed:
            # Another writer may have moved the items: the position then means another one.
            found_by[f"{path}.{position}"] = {"$eq": _as_stored(stored[position])}
            sets[f"{path}.{position}"] = items[position]
    return ItemUpdate(found_by, {**update, "$set": sets}) if sets.keys() != update["$set"].keys() else None


def _as_stored(item: Any) -> Any:
    """Return an item whose BSON is as it is stored."""
    return RawBSONDocument(item.to_bson()) if isinstance(item, StoredDocument) else item


def _are_small(items: list[Any]) -> bool:
    """Return whether a filter may contain these stored items."""
    try:
        encode.check_depth(items, "items", encode.MAX_DEPTH - 3)
    except InvalidQuery:
        return False
    return sum(len(each.to_bson()) for each in items if isinstance(each, StoredDocument)) <= _LARGEST


_FEW = 4
"""Items are sent one by one if at most one in as many has changed; a filter and an update contain each of them."""
_LARGEST = 1 << 20
"""Bytes of items in a filter: the server limits a filter and its update together."""


def insertion(instance: Model) -> Change:
    """Return the insert of an instance, which has an `_id`.

    Raises
    ------
    ValidationError
        For a value that does not fit its field.
    """
    check_changes(instance)
    made_with = state.own_values(instance)
    document = instance._dump()
    change: dict[str, Any] = {"_id": document.pop("_id"), **document}
    return Change({}, {}, _with_revision(instance, change), made_with)


def replacement(instance: Model, overwrite: bool, ignore_revision: bool = False) -> Change:
    """Return the replacement of the document of an instance.

    Raises
    ------
    PartlyRead
        When the stored document may have keys that were not read.
    """
    made_with = state.own_values(instance)
    return Change(guarded(instance, ignore_revision), {}, replacement_document(instance, overwrite), made_with)


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
    check_changes(instance)
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
    check_changes(instance)
    updates: list[trust.Trusted] = []
    for operator, then, now in zip(("$set", "$unset"), before, difference(instance), strict=True):
        if new := {key: value for key, value in now.items() if key not in then or then[key] != value}:
            check_writable(instance, new)
            # Values of the instance are values, whatever their keys look like.
            updates.append(trust.trusted({operator: new}))
    return updates
