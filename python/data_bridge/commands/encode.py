"""Filters, pipelines and options to BSON, refused before they can do harm.

`bson.encode` recurses in C, and servers limit the levels of documents: depth is checked first, without recursion.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import bson
from bson.code import Code
from bson.codec_options import CodecOptions
from bson.dbref import DBRef
from bson.errors import InvalidBSON
from bson.errors import InvalidDocument as NotEncodable

from .._core import Document, InvalidDocument, ListView, encode_dict
from .._typing import Pipeline

MAX_DEPTH = 100
"""Levels of documents and lists in a filter or a pipeline that the server takes."""
SERVER_DEPTH = 180
"""Levels of a document that the server stores."""
STORED_DEPTH = SERVER_DEPTH + 10
"""Levels of a document that is sent to be stored: the server itself reports one that is a little too deep, and takes a
command of 200 levels.
"""
MAX_VALUES = 4_000_000
"""More values than any message holds (48 MB, a dozen bytes a list element): stops structures that share parts."""
EMPTY = bson.encode({})

_SCALARS = frozenset({str, int, float, bool, type(None), bytes, datetime, bson.ObjectId, bson.Int64})


class Encoded(dict[str, Any]):
    """A document to insert together with its BSON: callers that need both encode it once."""

    __slots__ = ("data",)

    def __init__(self, value: Mapping[str, Any], options: CodecOptions[Any], what: str) -> None:
        """
        Raises
        ------
        InvalidDocument
            As `document`.
        """
        super().__init__(value)
        self.data = document(value, options, what, STORED_DEPTH)


class Kept(dict[str, Any]):
    """A document to write, some of whose elements stay just as they are stored: undefined or a symbol, say, which no
    Python value is written as."""

    __slots__ = ("keys_kept", "stored")

    def __init__(self, value: Mapping[str, Any], stored: Document, keys_kept: list[str]) -> None:
        super().__init__(value)
        self.stored = stored
        self.keys_kept = keys_kept


_DICTS = frozenset({dict, Encoded, Kept})


def document(
    value: Mapping[str, Any], options: CodecOptions[Any], what: str = "filter", depth: int = MAX_DEPTH
) -> bytes:
    """`value` as BSON.

    Parameters
    ----------
    what
        The user's name for the argument, for messages.
    depth
        Levels that it may have.

    Raises
    ------
    TypeError
        When `value` is no mapping.
    InvalidDocument
        When it is nested deeper than `depth` levels, contains itself, or holds something that BSON cannot.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} must be a mapping, got {type(value).__name__}")
    if isinstance(value, Document):
        return value.to_bson()
    encoded = _encode(value, options, what, depth)
    return value.stored._kept_in(encoded, value.keys_kept) if isinstance(value, Kept) else encoded


def pipeline(stages: Pipeline, options: CodecOptions[Any], what: str = "pipeline", depth: int = MAX_DEPTH) -> bytes:
    """The BSON document {"pipeline": stages}.

    Raises
    ------
    TypeError
        When `stages` is no list or tuple of mappings.
    InvalidDocument
        As `document`.
    """
    if isinstance(stages, (str, bytes, Mapping)) or not isinstance(stages, (list, tuple)):
        raise TypeError(f"{what} must be a list, got {type(stages).__name__}")
    for position, stage in enumerate(stages):
        if not isinstance(stage, Mapping):
            raise TypeError(f"{what}[{position}] must be a mapping, got {type(stage).__name__}")
    return _encode({"pipeline": list(stages)}, options, what, depth)


def _encode(value: Mapping[str, Any], options: CodecOptions[Any], what: str, deepest: int) -> bytes:
    if (plain := encode_dict(value, options, deepest)) is not None:
        return plain
    if not _is_shallow(value) and check_depth(value, what, deepest):
        value = _plain(value)
    try:
        return bson.encode(value, codec_options=options)
    except RecursionError as error:
        raise InvalidDocument(f"{what} is nested too deep, or contains itself") from error
    except (NotEncodable, InvalidBSON, OverflowError, UnicodeError, ValueError, TypeError) as error:
        path = _culprit(value, options)
        place = " at " + "".join(f"[{step!r}]" for step in path) if path else ""
        raise InvalidDocument(f"{what} cannot be encoded{place}: {error}") from error


def _is_shallow(value: Mapping[str, Any]) -> bool:
    """Return whether it has one level, or two as `{"$set": {...}}` has; most have."""
    if type(value) not in _DICTS:
        return False
    left = MAX_VALUES - len(value)
    for child in value.values():
        if type(child) in _SCALARS:
            continue
        if type(child) is not dict or not _SCALARS.issuperset(map(type, child.values())):
            return False
        left -= len(child)
    return left > 0


def _children(value: object) -> list[tuple[Any, Any]]:
    """Keys and values one level down; none for what is no container."""
    if isinstance(value, Mapping):
        if isinstance(getattr(value, "raw", None), bytes):
            return []  # RawBSONDocument: bytes, which the native module checks
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, Code) and value.scope:
        return [("scope", value.scope)]
    if isinstance(value, DBRef):
        return list(value.as_doc().items())
    return []


def _values(value: Any) -> Collection[Any]:
    """Values one level down."""
    if type(value) in (list, tuple):
        return value  # type: ignore[no-any-return]
    if type(value) is dict:
        return value.values()
    return [child for _, child in _children(value)]


def check_depth(value: object, what: str, deepest: int = MAX_DEPTH) -> bool:
    """Refuse what is too deep or too large; True when some view has to be made plain before it can be encoded."""
    views = isinstance(value, ListView)
    seen = 0
    level = [value]
    depth = 0
    while level:
        depth += 1
        if depth > deepest:
            raise InvalidDocument(f"{what} is nested deeper than {deepest} levels, or contains itself")
        below: list[Any] = []
        for container in level:
            values = _values(container)
            seen += len(values)
            if seen > MAX_VALUES:
                raise InvalidDocument(f"{what} holds more than {MAX_VALUES:,} values, or contains itself")
            for child in values:
                if type(child) in _SCALARS:
                    continue
                if isinstance(child, (Mapping, list, tuple, Code, DBRef)):
                    views = views or isinstance(child, (Document, ListView))
                    below.append(child)
        level = below
    return views


def _plain(value: object) -> Any:
    """The same with views as dicts and lists; recursion is bounded, as the depth was checked."""
    if isinstance(value, Document):
        return value.to_dict()
    if isinstance(value, ListView):
        return value.to_list()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping) and not isinstance(getattr(value, "raw", None), bytes):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _culprit(value: object, options: CodecOptions[Any]) -> tuple[Any, ...]:
    """The path of the first value or key that cannot be encoded; empty when none fails by itself."""
    stack: list[tuple[tuple[Any, ...], Any]] = [((), value)]
    while stack:
        path, current = stack.pop()
        children = _children(current)
        if not children and path:
            try:
                bson.encode({"": current}, codec_options=options)
            except (NotEncodable, InvalidBSON, OverflowError, UnicodeError, ValueError, TypeError):
                return path
        for key, child in reversed(children):
            if isinstance(current, Mapping) and not (isinstance(key, str) and "\0" not in key):
                return (*path, key)
            stack.append(((*path, key), child))
    return ()
