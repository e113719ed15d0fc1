"""Plain JSON of values: text, numbers, lists and objects, without the type names of Extended JSON."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp

from .._core import ListView


def json_default(value: object) -> Any:
    """Return a value that `json` can write, for its argument `default`: `json.dumps(document, default=json_default)`.

    Documents and instances of models become objects, lists of documents become lists, and other values their plain
    form: an ObjectId its 24 hex digits, a UUID, decimal or date its text, and a binary its base64. Types without a
    plain form, such as `Regex` and `Timestamp`, become relaxed Extended JSON.

    Raises
    ------
    TypeError
        For a value that is no BSON value.
    """
    if isinstance(value, (Mapping, ListView)):
        return dict(value) if isinstance(value, Mapping) else list(value)
    dump = getattr(type(value), "__data_bridge_json__", None)
    if dump is not None:
        return dump(value)
    return scalar_json(value)


def is_scalar(kind: type) -> bool:
    """Return whether a class, other than its subclasses, has a plain form."""
    return kind in _PLAIN


def scalar_json(value: Any) -> Any:
    """Return the plain form of a value that is no document, list or model.

    Raises
    ------
    TypeError
        For a value that is no BSON value.
    """
    convert = _PLAIN.get(type(value))
    if convert is not None:
        return convert(value)
    if isinstance(value, enum.Enum):
        return scalar_json(value.value)
    for kind, convert in _PLAIN.items():
        if isinstance(value, kind):
            return convert(value)
    raise TypeError(f"a {type(value).__name__} has no form in JSON: {value!r:.60}")


def key_json(key: Any) -> str:
    """Return the text of a key."""
    if isinstance(key, enum.Enum):
        key = key.value
    return key if isinstance(key, str) else str(scalar_json(key))


def _datetime(value: dt.datetime) -> str:
    text = value.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def _milliseconds(value: DatetimeMS) -> Any:
    try:
        return _datetime(value.as_datetime())
    except (OverflowError, ValueError):
        return int(value)  # a year that Python's calendar does not have


def _duration(value: dt.timedelta) -> str:
    """Return an ISO 8601 duration."""
    sign, seconds = ("-", -value) if value < dt.timedelta(0) else ("", value)
    hours, rest = divmod(seconds.seconds, 3600)
    minutes, whole = divmod(rest, 60)
    fraction = f".{seconds.microseconds:06d}" if seconds.microseconds else ""
    time = "".join(
        f"{number}{unit}"
        for number, unit in ((hours, "H"), (minutes, "M"), (f"{whole}{fraction}", "S"))
        if number not in (0, "0")
    )
    days = f"{seconds.days}D" if seconds.days else ""
    return f"{sign}P{days}{'T' if time or not days else ''}{time or ('' if days else '0S')}"


def _extended(value: Any) -> Any:
    # Imported on use: it imports `json`, which most programs do not need.
    from bson import json_util

    return json_util.default(value, json_util.RELAXED_JSON_OPTIONS)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


# Subclasses before their bases: a Binary is bytes, a Code is text, a datetime is a date.
_PLAIN: dict[type, Callable[[Any], Any]] = {
    type(None): lambda value: value,
    bool: bool,
    Code: _extended,
    str: str,
    int: int,
    float: float,
    ObjectId: str,
    dt.datetime: _datetime,
    dt.date: dt.date.isoformat,
    dt.time: dt.time.isoformat,
    dt.timedelta: _duration,
    uuid.UUID: str,
    decimal.Decimal: str,
    Decimal128: str,
    Binary: _base64,
    bytes: _base64,
    DatetimeMS: _milliseconds,
    DBRef: lambda value: json_default(value.as_doc()),
    MaxKey: _extended,
    MinKey: _extended,
    Regex: _extended,
    Timestamp: _extended,
}
