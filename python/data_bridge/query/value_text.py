"""Short texts of values for people: ids as hex, decimals as numbers, dates as ISO text, nested values on one line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import OLD_UUID_SUBTYPE, UUID_SUBTYPE

from .._core import Document

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_BYTES = 16
_DEPTH = 20


def short_text(value: object, width: int) -> str:
    """Return the text of a value, cut at `width` characters; strings have no quotes.

    No more of a long list or document is read than the text shows.
    """
    if isinstance(value, str) and not isinstance(value, Code):
        return cut(value, width)
    text = ""
    for part in _parts(value, _DEPTH):
        text += part
        if len(text) > width:
            break
    return cut(text, width)


def cut(text: str, width: int) -> str:
    """Return at most `width` characters of a text."""
    return text if len(text) <= width else text[: width - 1] + ELLIPSIS


def _parts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, (Document, Mapping)):
        items = ((json.dumps(key, ensure_ascii=False) + ": ", value[key]) for key in value)
        yield from _enclosed("{", items, "}", depth)
    elif isinstance(value, (list, tuple)):
        yield from _enclosed("[", (("", item) for item in value), "]", depth)
    elif isinstance(value, DBRef):
        place = value.collection if value.database is None else f"{value.database}.{value.collection}"
        yield from _enclosed(f"DBRef({place}, ", [("", value.id)], ")", depth)
    else:
        yield _scalar(value)


def _enclosed(start: str, items: Iterable[tuple[str, Any]], end: str, depth: int) -> Iterator[str]:
    yield start
    if depth == 0:
        yield ELLIPSIS + end
        return
    for position, (key, value) in enumerate(items):
        yield f", {key}" if position else key
        yield from _parts(value, depth - 1)
    yield end


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Code):
        return str(value) if value.scope is None else f"{value!s} {short_text(value.scope, 40)}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, (ObjectId, Decimal128, UUID)):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(" ", "milliseconds" if value.microsecond else "seconds")
    if isinstance(value, DatetimeMS):
        return f"{int(value):,} ms since 1970"
    if isinstance(value, bytes):
        return _bytes(value)
    if isinstance(value, Regex):
        return f"/{value.pattern}/"
    if isinstance(value, Timestamp):
        return f"Timestamp({value.time}, {value.inc})"
    if isinstance(value, (MinKey, MaxKey)):
        return type(value).__name__
    return repr(value)


def _bytes(value: bytes) -> str:
    subtype = value.subtype if isinstance(value, Binary) else 0
    if subtype in (OLD_UUID_SUBTYPE, UUID_SUBTYPE) and len(value) == 16:
        return str(UUID(bytes=bytes(value)))
    kind = f" of subtype {subtype}" if subtype else ""
    return f"{len(value):,} bytes{kind}: {value[:_BYTES].hex()}{ELLIPSIS if len(value) > _BYTES else ''}"
