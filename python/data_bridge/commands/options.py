"""Options of finds and aggregates: from PyMongo's arguments to what the driver takes, checked one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bson.codec_options import CodecOptions

from .._core import InvalidQuery
from . import encode

CHAINED = {
    "skip": "skip",
    "limit": "limit",
    "batch_size": "batchSize",
    "hint": "hint",
    "collation": "collation",
    "max_time_ms": "maxTimeMS",
    "comment": "comment",
    "let": "let",
    "allow_disk_use": "allowDiskUse",
    "no_cursor_timeout": "noCursorTimeout",
    "allow_partial_results": "allowPartialResults",
    "bypass_document_validation": "bypassDocumentValidation",
    "min": "min",
    "max": "max",
    "return_key": "returnKey",
    "show_record_id": "showRecordId",
}
"""Arguments of `find`, `aggregate` and the methods that chain, by the driver's name."""

_CAMEL_CASE = {driver: name for name, driver in CHAINED.items() if driver != name}
_COUNTS = ("skip", "batchSize", "maxTimeMS")
_BOOLEANS = (
    "allowDiskUse",
    "noCursorTimeout",
    "allowPartialResults",
    "returnKey",
    "showRecordId",
    "bypassDocumentValidation",
)
_UNSENT: dict[str, Any] = {
    **dict.fromkeys(("skip", "limit", "batchSize", "maxTimeMS"), 0),
    **dict.fromkeys(("noCursorTimeout", "allowPartialResults"), False),
}
"""Values that say nothing to the server."""

_FIND_REFUSED: dict[str, tuple[Any, str]] = {
    "cursor_type": (0, "tailable cursors are not supported yet: use to_pymongo().find(..., cursor_type=...)"),
    "oplog_replay": (False, "servers ignore it since MongoDB 4.4: leave it out"),
    "max_scan": (None, "servers refuse it since MongoDB 4.2: use limit or max_time_ms"),
    "snapshot": (False, "servers refuse it since MongoDB 4.0: use start_session(snapshot=True)"),
}
"""PyMongo's arguments of `find` that are not taken: the value that says nothing, and what to do instead of others."""
_EXHAUST = 64
_AGGREGATE_REFUSED = {
    "cursor": "pass batch_size",
    "explain": "call explain() of the query",
    "maxAwaitTimeMS": "it belongs to change streams and tailable cursors, which to_pymongo() has",
    "readConcern": "pass read_concern",
    "readPreference": "pass read_preference",
    "writeConcern": "use with_options(write_concern=...)",
}
"""Options of the server's aggregate, and what to write instead."""
_INT64 = 1 << 63


def collect(given: Mapping[str, Any], camel_case: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The driver's options, without those that are None.

    Parameters
    ----------
    given
        By our names.
    camel_case
        The server's own names, which PyMongo's `aggregate` takes as keyword arguments: allowDiskUse, maxTimeMS, ...

    Raises
    ------
    TypeError
        For an unknown name or a wrong type.
    ValueError
        For a number out of range.
    """
    options = {CHAINED[name]: check_option(CHAINED[name], value) for name, value in given.items() if value is not None}
    for name, value in (camel_case or {}).items():
        if name not in _CAMEL_CASE:
            hint = _AGGREGATE_REFUSED.get(name)
            raise TypeError(f"aggregate() has no option {name!r}" + (f": {hint}" if hint else ""))
        if value is not None:
            options[name] = check_option(name, value)
    # The defaults of `find` are not sent. Any other False is: the server's default may be True, as of `allowDiskUse`.
    return {name: value for name, value in options.items() if name not in _UNSENT or value != _UNSENT[name]}


def refuse_find(given: Mapping[str, Any]) -> None:
    """Raise for arguments that `find` does not have, unless they are PyMongo's and say nothing.

    Raises
    ------
    ValueError
        For one of PyMongo's that is not supported.
    TypeError
        For any other.
    """
    for name, value in given.items():
        if name in _FIND_REFUSED:
            default, hint = _FIND_REFUSED[name]
            if value is None or value == default:
                continue
            if name == "cursor_type" and value == _EXHAUST:
                hint = "exhaust cursors are not supported: leave it out, replies are fetched ahead of their use anyway"
            raise ValueError(f"{name}={value!r} is not supported by find(): {hint}")
        ours = _CAMEL_CASE.get(name)
        raise TypeError(f"find() has no argument {name!r}" + (f": it is called {ours!r}" if ours else ""))


def encoded_options(given: Mapping[str, Any], allowed: frozenset[str], codec_options: CodecOptions[Any]) -> bytes:
    """Options by the driver's names, checked and encoded; those that are None are left out.

    Raises
    ------
    TypeError, ValueError
        For an option that is not among `allowed`, or a value that it cannot have.
    """
    for name in given:
        if name not in allowed:
            raise TypeError(f"unknown option {name!r}: there are {', '.join(sorted(allowed))}")
    options = {name: check_option(name, value) for name, value in given.items() if value is not None}
    return encode.document(options, codec_options, "options")


def check_option(name: str, value: Any) -> Any:
    """`value` in the driver's form; `name` is the driver's."""
    if value is None:
        return None
    if name in _COUNTS or name == "limit":
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, got {type(value).__name__}")
        if value < 0 and name != "limit":
            raise ValueError(f"{name} cannot be negative, got {value}")
        if abs(value) >= _INT64:
            raise ValueError(f"{name} does not fit 64 bits")
        return value
    if name in _BOOLEANS:
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be a bool, got {type(value).__name__}")
        return value
    if name in ("min", "max"):
        return pairs(name, value)
    if name == "hint":
        return value if isinstance(value, str) else pairs(name, value)
    if name == "collation":
        return collation_of(value)
    if name == "let" and not isinstance(value, Mapping):
        raise TypeError(f"let must be a mapping, got {type(value).__name__}")
    return value


def pairs(name: str, keys: Any, direction: int | None = None) -> dict[str, Any]:
    """Keys and directions as a document: from a key, a mapping, or a list of keys and (key, direction) pairs.

    Raises
    ------
    TypeError
        For anything else.
    InvalidQuery
        When a key comes twice.
    """
    if isinstance(keys, str):
        return {keys: 1 if direction is None else direction}
    if direction is not None:
        raise TypeError(f"{name}: a direction goes with one key, got {type(keys).__name__}")
    if isinstance(keys, Mapping):
        return dict(keys)
    if not isinstance(keys, (list, tuple)):
        raise TypeError(f"{name} must be a key, a mapping or a list of (key, direction), got {type(keys).__name__}")
    result: dict[str, Any] = {}
    for item in keys:
        if isinstance(item, str):
            key, value = item, 1
        elif isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[0], str):
            key, value = item
        else:
            raise TypeError(f"{name} must be a list of (key, direction) pairs, got {item!r} in it")
        if key in result:
            raise InvalidQuery(f"{name} names the key {key!r} twice")
        result[key] = value
    return result


def projection_of(projection: Any) -> dict[str, Any]:
    """A projection as a document: a mapping as it is, a list of keys as those to return; an empty one returns all."""
    if isinstance(projection, Mapping):
        return dict(projection)
    if isinstance(projection, (str, bytes)) or not isinstance(projection, Iterable):
        raise TypeError(f"projection must be a mapping or a list of keys, got {type(projection).__name__}")
    keys = list(projection)
    for key in keys:
        if not isinstance(key, str):
            raise TypeError(f"projection must be a list of str, got {type(key).__name__} in it")
    return dict.fromkeys(keys, 1)


def collation_of(collation: Any) -> dict[str, Any]:
    """A collation as a document, from a mapping or PyMongo's Collation."""
    document = getattr(collation, "document", collation)
    if not isinstance(document, Mapping):
        raise TypeError(f"collation must be a mapping or a pymongo Collation, got {type(collation).__name__}")
    return dict(document)
