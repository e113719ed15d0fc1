"""What of an instance differs from what is stored."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument

from ..._core import Document as StoredDocument
from ...commands import encode
from ..converters.converter import CLASS_KEY, Plan
from ..errors import ValidationError

_COMPARED: CodecOptions[Any] = CodecOptions(uuid_representation=bson.binary.UuidRepresentation.STANDARD)

_GONE: Any = object()
"""The absence of a value."""

_EXACT = frozenset({bool, str, datetime, ObjectId, type(None)})
"""Types whose equal values are stored alike."""

_DISTINCT = frozenset({bool, str, ObjectId})
"""Types whose values that differ are stored differently: a datetime may differ in microseconds."""


def changes(instance: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `$set` and `$unset` have to do: values that differ from what the stored document gives."""
    document = instance._document()
    if document is None:
        return instance._dump(), {}
    sets: dict[str, Any] = {}
    unsets: dict[str, Any] = {}
    if not instance._is_touched:
        return sets, unsets
    for name in {**instance._kept, **instance._assigned}:
        _changes_of(instance, document, name, sets, unsets)
    return sets, unsets


def whole_document(instance: Any, options: CodecOptions[Any]) -> dict[str, Any]:
    """The document as it would be stored; what did not change, just as it is stored now."""
    document: dict[str, Any] = instance._dump()
    stored = instance._document()
    if stored is None:
        return document
    info = type(instance).__odm__
    sets, unsets = changes(instance)
    changed = _top((*sets, *unsets))
    for key in changed & document.keys():
        document[key] = _changed(info.by_key.get(key), stored, key, document[key], options)
    if info.in_tree:
        changed.add(CLASS_KEY)
    return encode.Kept(document, stored, [key for key in document if key not in changed and key in stored])


def document_after(
    instance: Any, sets: Mapping[str, Any], unsets: Iterable[str], options: CodecOptions[Any]
) -> dict[str, Any]:
    """The document as it is stored once these changes are written; what else it has is not looked at."""
    stored = instance._document()
    if stored is None:
        return instance._dump()  # type: ignore[no-any-return]
    document: dict[str, Any] = dict.fromkeys(stored)
    kept = dict(document)
    fields = type(instance).__odm__.by_key
    for key in _top((*sets, *unsets)):
        # Below a key that is sent as a whole nothing is.
        if key in sets:
            document[key] = sets[key]
        else:
            field = fields[key]
            document[key] = _changed(field, stored, key, field.dump(instance._held(field.name)), options)
        kept.pop(key, None)
    return encode.Kept(document, stored, list(kept))


def _top(paths: Iterable[str]) -> set[str]:
    return {path.partition(".")[0] for path in paths}


def _changed(field: Any, stored: StoredDocument, key: str, new: Any, options: CodecOptions[Any]) -> Any:
    """The value of a key that changed; of an embedded model, what did not change of it as it is stored."""
    if field is not None and field.plan.model is not None and isinstance(stored.get(key), StoredDocument):
        with contextlib.suppress(ValidationError):
            return _merged(stored[key], field.dump(field._load(stored[key], (stored, key))), new, options)
    return new


def _merged(stored: StoredDocument, old: Any, new: Any, options: CodecOptions[Any]) -> Any:
    """An embedded document that changed; what did not change of it, which `save()` does not send, as it is stored."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    kept, merged = [], dict(new)
    for key in old.keys() & new.keys():
        if key not in stored or same(old[key], new[key]):
            kept.append(key)
        elif isinstance(stored[key], StoredDocument):
            merged[key] = _merged(stored[key], old[key], new[key], options)
    try:
        # Within another one, as it is stored: of a document at the top the `_id` is put first.
        data = bson.encode({"": merged}, codec_options=options)[6:-1]
        return RawBSONDocument(stored._kept_in(data, kept))
    except (BSONError, OverflowError):
        return new  # what cannot be stored: the write will say so


def changed_fields(instance: Any) -> dict[str, Any]:
    """The fields that differ from what is stored, each with its value as it would be; also what cannot be stored."""
    document, found = instance._document(), {}
    fields = type(instance).__odm__.fields
    for name in {**instance._kept, **instance._assigned}:
        sets: dict[str, Any] = {}
        unsets: dict[str, Any] = {}
        try:
            _changes_of(instance, document, name, sets, unsets)
            if sets or unsets:
                found[name] = fields[name].dump(instance._held(name))
        except ValidationError:
            found[name] = instance._held(name)
    return found


def forget(instance: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the changes that were sent. Return the values of those that were made since, which stay changes."""
    fields = type(instance).__odm__.fields
    since = {}
    for name, value in changed_fields(instance).items():
        if name not in sent or not same(sent[name], value):
            since[name] = instance._held(name)
            continue
        # Another thread may have assigned a value after the comparison: the one that is taken out is compared again.
        taken = instance._assigned.pop(name, _GONE)
        instance._kept.pop(name, None)
        if taken is not _GONE and not _was_sent(fields[name], taken, sent[name]):
            since[name] = instance._assigned.setdefault(name, taken)
    return since


def _was_sent(field: Any, value: Any, sent: Any) -> bool:
    """Return whether a value is stored as the one that was sent."""
    try:
        return same(sent, field.dump(value))
    except ValidationError:
        return value is sent


def is_stored(field: Any, value: Any, document: Mapping[str, Any]) -> bool:
    """Whether a document that was written has this value of a field."""
    try:
        if isinstance(document, encode.Kept) and field.key in document.keys_kept:
            there = field.dump(field._load(document.stored[field.key], (document.stored, field.key)))
        else:
            there = document[field.key]
        return same(field.dump(value), there)
    except ValidationError:
        return False


def _changes_of(instance: Any, document: Any, name: str, sets: dict[str, Any], unsets: dict[str, Any]) -> None:
    field, assigned = type(instance).__odm__.fields[name], name in instance._assigned
    if field.plan.virtual or not (assigned or field.plan.keeps):
        return
    new = field.dump(instance._held(name))
    if field.key not in document:
        if assigned or field.required or not same(new, field.dump(field.default())):
            sets[field.key] = new
        return
    try:
        old = field.dump(field._load(document[field.key], (document, field.key)))
    except ValidationError:
        sets[field.key] = new
        return
    _differences(field.key, field.plan, old, new, sets, unsets)


def _differences(key: str, plan: Plan, old: Any, new: Any, sets: dict[str, Any], unsets: dict[str, Any]) -> None:
    if same(old, new):
        return
    # Within an embedded model only the fields that changed are sent, so that others may change other ones meanwhile.
    if plan.model is None or not (isinstance(old, dict) and isinstance(new, dict)) or not _alike(old, new):
        sets[key] = new
        return
    below = plan.model.__odm__.by_key
    for each in old:
        if each not in new:
            unsets[f"{key}.{each}"] = ""
    for each, value in new.items():
        if each not in old:
            sets[f"{key}.{each}"] = value
        else:
            plan_below = below[each].plan if each in below else Plan()
            _differences(f"{key}.{each}", plan_below, old[each], value, sets, unsets)


def _alike(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether two documents are of one class, and have no keys that cannot stand in paths."""
    return old.get(CLASS_KEY) == new.get(CLASS_KEY) and all(
        each and "." not in each and not each.startswith("$") for each in (*old, *new)
    )


def same(old: Any, new: Any) -> bool:
    """Whether two values are stored alike."""
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
        # What cannot be stored is not what is stored: the write will say so.
        return False


def _encoded(value: Any) -> bytes:
    return bson.encode({"": value}, codec_options=_COMPARED)
