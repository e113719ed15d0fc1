"""Values of the key that bounds partitions, as bytes of the server: Python does not have all types of BSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument

_NESTED = frozenset([3, 4, 15])
"""Documents, lists, and code with scope: the types whose values have keys."""
_PLAIN: CodecOptions[Any] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)


class Key(NamedTuple):
    """A value of BSON: the byte of its type, and its bytes."""

    tag: int
    value: bytes

    @classmethod
    def of_document(cls, document: bytes) -> Key:
        """Return the value of the first key of a document; null for a document without keys."""
        if len(document) <= 5:
            return NULL
        start = document.index(b"\0", 5) + 1
        return cls(document[4], document[start:-1])

    def under(self, name: str) -> RawBSONDocument:
        """Return the document that has this value under `name` only."""
        body = bytes([self.tag]) + name.encode() + b"\0" + self.value + b"\0"
        return RawBSONDocument((len(body) + 4).to_bytes(4, "little") + body)

    @property
    def may_hold_text(self) -> bool:
        """Return whether a collation may count for the value."""
        return self.tag in _NESTED or self.tag in (2, 14)

    @property
    def can_be_bound(self) -> bool:
        """Return whether the driver sends the value unchanged: a nested key that occurs twice would be lost."""
        if self.tag not in _NESTED:
            return True
        document = self.under("v").raw
        try:
            return bson.encode(bson.decode(document, _PLAIN), codec_options=_PLAIN) == document
        except (InvalidBSON, ValueError, OverflowError, TypeError):
            return False


NULL = Key(10, b"")


def key_at(document: Any, path: str) -> Key:
    """Return the value at a path of keys without lists; null, as in an index, where a document does not have it."""
    *parents, _ = path.split(".")
    for key in parents:
        document = document.get(key)
        if not isinstance(document, Mapping):
            return NULL
    return Key.of_document(document.to_bson())


def quantiles(keys: Sequence[tuple[Key, int]], parts: int) -> list[Key]:
    """Return at most `parts - 1` keys that split sorted, distinct keys into parts of about equal weight."""
    total = sum(weight for _, weight in keys)
    bounds: list[Key] = []
    passed = 0
    due = 1
    for position, (key, weight) in enumerate(keys):
        if position and passed * parts >= due * total and key.can_be_bound:
            bounds.append(key)
            due = passed * parts // total + 1
        passed += weight
    return bounds


class Range(NamedTuple):
    """A half-open range of keys; None for no bound. A range without an upper bound includes MaxKey."""

    lower: Key | None
    upper: Key | None


def ranges(bounds: Iterable[Key]) -> list[Range]:
    """Return the ranges between bounds, which are distinct and in the server's order: they cover all keys."""
    edges = [None, *bounds, None]
    return [Range(lower, upper) for lower, upper in pairwise(edges)]
