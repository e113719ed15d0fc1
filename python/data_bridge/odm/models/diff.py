"""Differences between an instance and its stored document."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument

from ..._core import Document as StoredDocument
from ..._core import ListView
from ...commands import encode
from ..converters.containers import models_of_items
from ..converters.converter import CLASS_KEY, Converter
from ..converters.nulls import without_nulls
from ..errors import Mismatch, ValidationError
from . import instance_state as state

if TYPE_CHECKING:
    from .field import FieldInfo
    from .model import Model

_COMPARED: CodecOptions[Any] = CodecOptions(uuid_representation=bson.binary.UuidRepresentation.STANDARD)

_EXACT = frozenset({bool, str, datetime, ObjectId, type(None)})
"""Types whose equal values are stored alike."""

_DISTINCT = frozenset({bool, str, ObjectId})
"""Types whose values that differ are stored differently: a datetime may differ in microseconds."""


class Difference(NamedTuple):
    """The operands of `$set` and `$unset` that make the stored document equal to the instance."""

    sets: dict[str, Any]
    unsets: dict[str, Any]


Positions = dict[str, list[int]]
"""Paths of lists of embedded models, and the positions of the items that differ from the stored ones."""


def difference(instance: Model, positions: Positions | None = None) -> Difference:
    """Return the changes of an instance: values that differ from those that the stored document gives.

    Parameters
    ----------
    positions
        Filled for lists that are as long as the stored ones. The difference has these lists as a whole.
    """
    document = state.stored_document(instance)
    if document is None:
        return Difference(instance._dump(), {})
    found = Difference({}, {})
    kept, assigned = state.held_values(instance)
    fields = type(instance).__odm__.fields
    drops_nulls = not type(instance).__odm__.settings.keep_nulls
    comparison = _Comparison(found, {} if positions is None else positions, drops_nulls)
    for name, value in {**kept, **assigned}.items():
        _compare(fields[name], document, value, name in assigned, comparison)
    return found


def whole_document(instance: Model, options: CodecOptions[Any]) -> dict[str, Any]:
    """Return the document of an instance, with unchanged elements exactly as they are stored."""
    document = instance._dump()
    stored = state.stored_document(instance)
    if stored is None:
        return document
    info = type(instance).__odm__
    sets, unsets = difference(instance)
    changed = _top_keys((*sets, *unsets))
    for key in changed & document.keys():
        document[key] = _changed(info.by_key.get(key), stored, key, document[key], options)
    if info.in_tree:
        changed.add(info.class_key)
    return encode.Kept(document, stored, [key for key in document if key not in changed and key in stored])


def document_after(instance: Model, found: Difference, options: CodecOptions[Any]) -> dict[str, Any]:
    """Return the stored document after an update of these differences; its other elements are not decoded."""
    stored = state.stored_document(instance)
    sets, unsets = found
    if stored is None:
        return dict(sets)
    document: dict[str, Any] = dict.fromkeys(stored)
    unchanged = dict(document)
    fields = type(instance).__odm__.by_key
    for key in _top_keys((*sets, *unsets)):
        # A key that is set as a whole has no nested updates.
        if key in sets:
            document[key] = sets[key]
        elif key in unsets:
            document.pop(key, None)
        else:
            field = fields[key]
            value = field.dump(state.held_value(instance, field.name))
            document[key] = _changed(field, stored, key, value, options)
        unchanged.pop(key, None)
    return encode.Kept(document, stored, list(unchanged))


def _top_keys(paths: Iterable[str]) -> set[str]:
    return {path.partition(".")[0] for path in paths}


def _changed(field: FieldInfo | None, stored: StoredDocument, key: str, new: object, options: CodecOptions[Any]) -> Any:
    """Return the value of a key that changed; within an embedded model, unchanged elements as they are stored."""
    if field is not None and field.converter.keys_below() is not None and isinstance(stored.get(key), StoredDocument):
        with contextlib.suppress(ValidationError):
            return _merged(stored[key], field.dump(field.load(stored[key], (stored, key))), new, options)
    return new


def _merged(stored: StoredDocument, old: object, new: object, options: CodecOptions[Any]) -> Any:
    """Return an embedded document that changed; elements that `save()` does not send, as they are stored."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    unchanged, merged = [], dict(new)
    for key in old.keys() & new.keys():
        if key not in stored or same(old[key], new[key]):
            unchanged.append(key)
        elif isinstance(stored[key], StoredDocument):
            merged[key] = _merged(stored[key], old[key], new[key], options)
    # Classes of other libraries do not hold undeclared keys.
    for key in stored.keys() - old.keys() - new.keys():
        merged[key] = None
        unchanged.append(key)
    try:
        # Encoded within another document: at the top level, `_id` would be moved to the front.
        data = bson.encode({"": merged}, codec_options=options)[6:-1]
        return RawBSONDocument(stored._kept_in(data, unchanged))
    except (BSONError, OverflowError):
        return new  # it cannot be stored: the write raises the error


def changed_fields(instance: Model) -> dict[str, Any]:
    """Return the fields that differ from the stored document, with their values as stored; also invalid values."""
    document, found = state.stored_document(instance), {}
    kept, assigned = state.held_values(instance)
    fields = type(instance).__odm__.fields
    drops_nulls = not type(instance).__odm__.settings.keep_nulls
    for name, value in {**kept, **assigned}.items():
        field, own = fields[name], Difference({}, {})
        try:
            _compare(field, document, value, name in assigned, _Comparison(own, {}, drops_nulls))
            if own.sets or own.unsets:
                found[name] = field.dump(value)
        except ValidationError:
            found[name] = value
    return found


def discard_sent(instance: Model, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the changes that were sent. Return the values of later changes, which stay changes."""
    fields = type(instance).__odm__.fields
    later = {}
    for name, value in changed_fields(instance).items():
        if name not in sent or not same(sent[name], value):
            later[name] = state.held_value(instance, name)
            continue
        # Another thread may have assigned a value after the comparison: compare the value that is taken out.
        taken = state.discard(instance, name)
        if taken is not state.MISSING and not _was_sent(fields[name], taken, sent[name]):
            state.assign(instance, {name: taken})
            later[name] = state.held_value(instance, name)
    return later


def _was_sent(field: FieldInfo, value: object, sent: object) -> bool:
    """Return whether a value is stored as the one that was sent."""
    try:
        return same(sent, field.dump(value))
    except ValidationError:
        return value is sent


def contains(document: Mapping[str, Any], field: FieldInfo, value: object) -> bool:
    """Return whether a document that was written has this value of a field."""
    try:
        if isinstance(document, encode.Kept) and field.key in document.keys_kept:
            stored = field.dump(field.load(document.stored[field.key], (document.stored, field.key)))
        else:
            stored = document[field.key]
        return same(field.dump(value), stored)
    except ValidationError:
        return False


class _Comparison(NamedTuple):
    """The results of a comparison."""

    found: Difference
    positions: Positions
    drops_nulls: bool = False
    """The model does not store None."""

    def compare_items(self, path: str, old: list[Any], new: list[Any]) -> None:
        """Add the difference between two lists of documents."""
        if len(old) != len(new):
            self.found.sets[path] = new
            return
        differing = [position for position, pair in enumerate(zip(old, new, strict=True)) if not _same_item(*pair)]
        if differing:
            self.found.sets[path] = new
            self.positions[path] = differing


def _same_item(old: object, new: object) -> bool:
    return new is old or same(old, new)


def _compare(field: FieldInfo, document: Any, value: Any, assigned: bool, comparison: _Comparison) -> None:
    """Add the difference between a held value and the stored one."""
    if not field.stored or not (assigned or field.converter.keeps):
        return
    item, stored = models_of_items(field.converter), document.get(field.key)
    if item is not None and isinstance(value, (list, tuple)) and isinstance(stored, ListView):
        try:
            dump = partial(_dumped, item, field.drops_nulls)
            old, new = _dumped_items(item, dump, stored, value, (document, field.key))
        except Mismatch:
            pass  # the conversion of the whole value raises the error, with its place
        else:
            comparison.compare_items(field.key, old, new)
            return
    found = comparison.found
    if value is None and comparison.drops_nulls:
        if field.key in document:
            found.unsets[field.key] = ""
        return
    new = field.dump(value)
    if field.key not in document:
        if assigned or field.required or not same(new, field.dump(field.default())):
            found.sets[field.key] = new
        return
    try:
        old = field.dump(field.load(document[field.key], (document, field.key)))
    except ValidationError:
        found.sets[field.key] = new
        return
    _compare_stored(field.key, field.converter, old, new, comparison)


def _dumped(item: Converter, drops_nulls: bool, value: object) -> Any:
    stored = item.dump(value)
    return without_nulls(item, stored) if drops_nulls else stored


def _dumped_items(
    item: Converter, dump: Callable[[Any], Any], stored: ListView, values: Iterable[Any], place: Any
) -> tuple[list[Any], list[Any]]:
    """Return stored documents and instances as they are stored; one object for both where they are known to be equal.

    Raises
    ------
    Mismatch
        For a value that does not fit.
    """
    old, new = list(stored), []
    for position, value in enumerate(values):
        there = old[position] if position < len(old) else None
        if isinstance(there, StoredDocument) and item.exact(value) and state.is_unchanged(value, there):
            new.append(there)
            continue
        new.append(dump(value))
        if there is not None:
            with contextlib.suppress(Mismatch, ValidationError):
                old[position] = dump(item.load(there, (place, position)))
    return old, new


def _compare_stored(key: str, converter: Converter, old: object, new: object, comparison: _Comparison) -> None:
    if same(old, new):
        return
    found = comparison.found
    if models_of_items(converter) is not None and isinstance(old, list) and isinstance(new, list):
        comparison.compare_items(key, old, new)
        return
    # Within an embedded model only the changed fields are sent: other writers may change its other fields.
    below = converter.keys_below()
    if below is None or not (isinstance(old, dict) and isinstance(new, dict)) or not _same_class(old, new):
        found.sets[key] = new
        return
    for each in old:
        if each not in new:
            found.unsets[f"{key}.{each}"] = ""
    for each, value in new.items():
        if each not in old:
            found.sets[f"{key}.{each}"] = value
        else:
            _compare_stored(f"{key}.{each}", below.get(each) or Converter(), old[each], value, comparison)


def _same_class(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Return whether two documents are of one class, and all their keys can be parts of dotted paths."""
    return old.get(CLASS_KEY) == new.get(CLASS_KEY) and all(
        each and "." not in each and not each.startswith("$") for each in (*old, *new)
    )


def same(old: Any, new: Any) -> bool:
    """Return whether two values are stored alike."""
    if type(old) is type(new):
        if type(old) in _EXACT and old == new:
            return True
        if type(old) in _DISTINCT:
            return False
        if type(old) is float and not (math.isnan(old) or math.isnan(new)):
            return bool(old == new) and math.copysign(1.0, old) == math.copysign(1.0, new)
    if type(old) is not bool and type(new) is not bool and isinstance(old, int) and isinstance(new, int):
        return old == new  # an Int64 and an int
    try:
        return _encoded(old) == _encoded(new)
    except (BSONError, OverflowError):
        # A value that cannot be stored differs from every stored one: the write raises the error.
        return False


def _encoded(value: object) -> bytes:
    return bson.encode({"": value}, codec_options=_COMPARED)
