"""What of an instance differs from what is stored."""

from __future__ import annotations

from typing import Any

import bson
from bson.codec_options import CodecOptions

from .errors import ValidationError
from .plans import Plan

_COMPARED: CodecOptions[Any] = CodecOptions(uuid_representation=bson.binary.UuidRepresentation.STANDARD)


def changes(instance: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `$set` and `$unset` have to do: values that differ from what the stored document gives."""
    document = instance._document()
    if document is None:
        return instance._dump(), {}
    sets: dict[str, Any] = {}
    unsets: dict[str, Any] = {}
    if not instance._is_touched:
        return sets, unsets
    assigned, fields = instance._assigned, type(instance).__odm__.fields
    for name, value in {**instance._kept, **assigned}.items():
        field = fields[name]
        if field.plan.virtual or not (name in assigned or field.plan.keeps):
            continue
        new = field.dump(value)
        if field.key not in document:
            if name in assigned or field.required or not _equal(new, field.dump(field.default())):
                sets[field.key] = new
            continue
        try:
            old = field.dump(field._load(document[field.key], None))
        except ValidationError:
            sets[field.key] = new
            continue
        _differences(field.key, field.plan, old, new, sets, unsets)
    return sets, unsets


def _differences(key: str, plan: Plan, old: Any, new: Any, sets: dict[str, Any], unsets: dict[str, Any]) -> None:
    if _equal(old, new):
        return
    # Within an embedded model only the fields that changed are sent, so that others may change other ones meanwhile.
    if plan.model is None or not isinstance(old, dict) or not isinstance(new, dict) or not all(
        each and "." not in each and not each.startswith("$") for each in (*old, *new)
    ):  # fmt: skip
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


def _equal(old: Any, new: Any) -> bool:
    if type(old) is not bool and type(new) is not bool and isinstance(old, int) and isinstance(new, int):
        return old == new  # an Int64 and an int
    return bson.encode({"": old}, codec_options=_COMPARED) == bson.encode({"": new}, codec_options=_COMPARED)
