"""Values that an instance holds after a write: those that a later read gives.

The server stores times in milliseconds, and a read gives them in the zone of the client's codec options. A value
without a declared type is read as PyMongo's value. Lists, dicts and embedded models are changed in place, as the caller
may hold them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bson.codec_options import CodecOptions
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.tz_util import utc

from ..._core import Document as StoredDocument
from ..._core import ModelView
from ..converters.converter import Converter
from ..converters.object_fields import unstored_fields
from ..errors import ValidationError
from . import instance_state as state
from .diff import contains
from .link import Link

if TYPE_CHECKING:
    from .field import FieldInfo

_AS_READ = frozenset({str, int, float, bool, type(None), ObjectId, Int64, Decimal128})
"""Types of values that a write does not change."""


class _NeedsRead(Exception):
    """A value whose stored form decides."""


def settle(
    instance: ModelView,
    field: FieldInfo,
    document: Mapping[str, Any],
    written: StoredDocument,
    options: CodecOptions[Any],
) -> None:
    """Make the kept value of a field the one that a read of the written document gives.

    A value that was changed during the write stays a change.
    """
    value = state.held_value(instance, field.name)
    try:
        settled = _of_field(field, value, options)
    except _NeedsRead:
        if not contains(document, field, value):
            return
        settled = _settled(value, field.load(written[field.key], (written, field.key)))
    if settled is not value:
        state.keep(instance, field.name, settled)


def stored_time(value: datetime, options: CodecOptions[Any]) -> Any:
    """Return the time that a read gives for a time that is written: milliseconds, and the zone of the codec options."""
    zone = (options.tzinfo or utc) if options.tz_aware else None
    if value.microsecond % 1000 == 0 and value.tzinfo is zone:
        return value
    return DatetimeMS(value).as_datetime(options)


def _of_field(field: FieldInfo, value: Any, options: CodecOptions[Any]) -> Any:
    return _with_times(value, options, may_be_any=_may_be_any(field.converter))


def _may_be_any(converter: Converter) -> bool:
    return converter.free or any(map(_may_be_any, converter.parts()))


def _with_times(value: Any, options: CodecOptions[Any], *, may_be_any: bool) -> Any:
    """Return a value with its times as they are read, in the same lists, dicts and models.

    Parameters
    ----------
    may_be_any
        A model may be in a place without a type, where it is read as a dict.

    Raises
    ------
    _NeedsRead
        For a value of another kind.
    """
    kind = type(value)
    if kind in _AS_READ or isinstance(value, Link):
        return value
    if kind is datetime:
        return stored_time(value, options)
    if kind is list:
        for position, each in enumerate(value):
            if (settled := _with_times(each, options, may_be_any=may_be_any)) is not each and value[position] is each:
                value[position] = settled
        return value
    if kind is dict:
        if may_be_any and any(type(key) is not str for key in value):
            raise _NeedsRead
        for key, each in list(value.items()):
            if (settled := _with_times(each, options, may_be_any=may_be_any)) is not each:
                value[key] = settled
        return value
    if isinstance(value, ModelView) and not may_be_any:
        model: Any = kind
        for name, field in model.__odm__.fields.items():
            if field.settles:
                with contextlib.suppress(ValidationError):
                    each = getattr(value, name)
                    if (settled := _of_field(field, each, options)) is not each:
                        state.replace(value, name, settled)
        return value
    raise _NeedsRead


def _settled(held: Any, read: Any) -> Any:
    """Return the value that was read; the held object where it can be made equal in place."""
    kind = type(held)
    if isinstance(held, Link):
        return held  # it may hold the fetched document
    if kind is not type(read):
        return read
    if kind is list and len(held) == len(read):
        for position, pair in enumerate(zip(held, read, strict=True)):
            if (settled := _settled(*pair)) is not pair[0] and held[position] is pair[0]:
                held[position] = settled
        return held
    if kind is dict and held.keys() == read.keys():
        for key, value in list(held.items()):
            if (settled := _settled(value, read[key])) is not value:
                held[key] = settled
        return held
    if kind is set:
        if any(type(each) not in _AS_READ for each in held):
            held.clear()
            held.update(read)
        return held
    if isinstance(held, ModelView):
        _settle_fields(held, read)
        return held
    if (kind in _AS_READ and held == read) or _settle_attributes(held, read):
        return held
    return read


def _settle_fields(held: Any, read: Any) -> None:
    for name, field in type(held).__odm__.fields.items():
        if not field.settles:
            continue
        with contextlib.suppress(ValidationError):
            value = getattr(held, name)
            if (settled := _settled(value, getattr(read, name))) is not value:
                state.replace(held, name, settled)


def _settle_attributes(held: Any, read: Any) -> bool:
    """Change the attributes of an object of another library in place; return False where that is not possible."""
    attributes = getattr(held, "__dict__", None)
    # An object with a hash may be a key, or frozen.
    if not attributes or type(held).__hash__ is not None or attributes.keys() != vars(read).keys():
        return False
    if getattr(held, "model_extra", None):
        return False  # pydantic keeps undeclared values elsewhere
    unstored = unstored_fields(held)
    for name, value in list(attributes.items()):
        if name not in unstored:
            attributes[name] = _settled(value, vars(read)[name])
    return True
