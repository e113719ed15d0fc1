"""Differences between an instance and its stored document."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument

from ..._core import Document as StoredDocument
from ...commands import encode
from ..converters.converter import CLASS_KEY, Converter
from ..errors import ValidationError
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


def difference(instance: Model) -> Difference:
    """Return the changes of an instance: values that differ from those that the stored document gives."""
    document = state.stored_document(instance)
    if document is None:
        return Difference(instance._dump(), {})
    found = Difference({}, {})
    kept, assigned = state.held_values(instance)
    fields = type(instance).__odm__.fields
    for name, value in {**kept, **assigned}.items():
        _compare(fields[name], document, value, name in assigned, found)
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
        changed.add(CLASS_KEY)
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
    if field is not None and field.converter.model is not None and isinstance(stored.get(key), StoredDocument):
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
    for name, value in {**kept, **assigned}.items():
        field, own = fields[name], Difference({}, {})
        try:
            _compare(field, document, value, name in assigned, own)
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


def _compare(field: FieldInfo, document: Any, value: Any, assigned: bool, found: Difference) -> None:
    """Add the difference between a held value and the stored one."""
    if field.converter.virtual or not (assigned or field.converter.keeps):
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
    _compare_stored(field.key, field.converter, old, new, found)


def _compare_stored(key: str, converter: Converter, old: object, new: object, found: Difference) -> None:
    if same(old, new):
        return
    # Within an embedded model only the changed fields are sent: other writers may change its other fields.
    if converter.model is None or not (isinstance(old, dict) and isinstance(new, dict)) or not _same_class(old, new):
        found.sets[key] = new
        return
    fields = converter.model.__odm__.by_key
    for each in old:
        if each not in new:
            found.unsets[f"{key}.{each}"] = ""
    for each, value in new.items():
        if each not in old:
            found.sets[f"{key}.{each}"] = value
        else:
            below = fields[each].converter if each in fields else Converter()
            _compare_stored(f"{key}.{each}", below, old[each], value, found)


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
