"""Conditions of engines as MongoDB filters that match a superset: the engine evaluates its condition again.

A condition is pushed down only if each document whose row meets it matches the filter, for every type that the column
may be made of. MongoDB differs from engines: a comparison with a number is false for NaN, `$ne` is true for nulls, a
list matches by its items, text never equals an ObjectId, and a collation orders text differently. So negations and
tests for null are never pushed down, nor is the order of text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from bson import DatetimeMS, ObjectId

from .._core import Schema

_OBJECT_ID = re.compile("[0-9a-f]{24}")
_INTEGERS = frozenset(["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"])
_TEXT = frozenset(["Utf8", "LargeUtf8", "Utf8View"])
_OPERATORS = {"==": "$eq", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_MOST_VALUES = 10_000
_INT64 = 1 << 63


class Compare(NamedTuple):
    """A comparison of a column with a literal."""

    path: tuple[str, ...]
    operator: str
    """==, <, <=, > or >=."""
    value: Any
    """A bool, int, float, str, or an instant as a datetime or DatetimeMS."""


class IsIn(NamedTuple):
    """A column's value is one of some literals."""

    path: tuple[str, ...]
    values: Sequence[Any]


class IsTrue(NamedTuple):
    """A column of bools is true."""

    path: tuple[str, ...]


class IsPresent(NamedTuple):
    """A column is not null."""

    path: tuple[str, ...]


class StartsWith(NamedTuple):
    """Text starts with a prefix."""

    path: tuple[str, ...]
    prefix: str


class All(NamedTuple):
    """All conditions hold."""

    conditions: Sequence[Condition]


class AnyOf(NamedTuple):
    """One of the conditions holds."""

    conditions: Sequence[Condition]


class Unknown(NamedTuple):
    """A condition that is not understood: pushes nothing down."""


Condition = Compare | IsIn | IsTrue | IsPresent | StartsWith | All | AnyOf | Unknown

UNKNOWN = Unknown()


class FilterBuilder:
    """Builds filters for the columns of one schema.

    Parameters
    ----------
    schema
        Of the table that the engine sees.
    is_inferred
        True if the column types are those of the documents: columns of text then hold strings only, where no stored
        type is recorded. A schema of the caller's may make text of other types.
    """

    def __init__(self, schema: Schema, *, is_inferred: bool) -> None:
        self._schema = schema
        self._is_inferred = is_inferred

    def filter(self, condition: Condition) -> dict[str, Any] | None:
        """Return a filter that matches each document whose row meets the condition; None for every document."""
        if isinstance(condition, All):
            parts = [part for each in condition.conditions if (part := self.filter(each)) is not None]
            return None if not parts else parts[0] if len(parts) == 1 else {"$and": parts}
        if isinstance(condition, AnyOf):
            found = [self.filter(each) for each in condition.conditions]
            if not found or any(part is None for part in found):
                return None
            return {"$or": found}
        if isinstance(condition, Unknown) or (name := _dotted(condition.path)) is None:
            return None
        column = self._schema._type_at(list(condition.path))
        if column is None:
            return None
        kind, stored = column
        if isinstance(condition, IsTrue):
            return {name: True} if kind == "Boolean" else None
        if isinstance(condition, IsPresent):
            # Some values that are present make a null: the condition is then false, and the filter true.
            return {name: {"$exists": True}}
        if isinstance(condition, StartsWith):
            return self._starts_with(name, condition.prefix, kind, stored)
        if isinstance(condition, IsIn):
            return self._is_in(name, condition.values, kind, stored)
        return self._compare(name, condition, kind, stored)

    def _compare(self, name: str, condition: Compare, kind: str, stored: str | None) -> dict[str, Any] | None:
        operator, value = condition.operator, condition.value
        if operator not in _OPERATORS:
            return None
        if kind in _TEXT:
            return self._is_in(name, [value], kind, stored) if operator == "==" else None
        literal = _literal(value, kind)
        if literal is None:
            return None
        comparison: dict[str, Any] = {name: {_OPERATORS[operator]: literal}}
        if kind == "Float64" and operator in (">", ">="):
            # Engines order NaN after all numbers; here it equals itself only.
            return {"$or": [comparison, {name: math.nan}]}
        return comparison

    def _is_in(self, name: str, values: Sequence[Any], kind: str, stored: str | None) -> dict[str, Any] | None:
        if len(values) > _MOST_VALUES:
            return None
        wanted: list[Any] = []
        for value in values:
            if value is None:
                # Equal to nothing.
                continue
            found = self._texts(value, stored) if kind in _TEXT else _literals(value, kind)
            if found is None:
                return None
            wanted += found
        return {name: {"$in": wanted}}

    def _texts(self, value: object, stored: str | None) -> list[Any] | None:
        """Return the values that a column of text may show as this text; None if they are not known."""
        if not isinstance(value, str):
            return None
        if stored is not None and stored.rpartition(".")[2] == "objectid":
            return [ObjectId(value)] if _OBJECT_ID.fullmatch(value) else []
        return [value] if stored is None and self._is_inferred else None

    def _starts_with(self, name: str, prefix: str, kind: str, stored: str | None) -> dict[str, Any] | None:
        if kind not in _TEXT or stored is not None or not self._is_inferred or "\0" in prefix:
            return None
        return {name: {"$regex": "^" + re.escape(prefix)}}


def _dotted(path: tuple[str, ...]) -> str | None:
    """Return the path as MongoDB reads it; None for keys that it would read as another path."""
    if any(not key or "." in key or "\0" in key or key.startswith("$") for key in path):
        return None
    return ".".join(path) or None


def _literals(value: object, kind: str) -> list[Any] | None:
    literal = _literal(value, kind)
    return None if literal is None else [literal]


def _literal(value: Any, kind: str) -> Any:
    """Return the value that documents are compared with; None if that is not exact."""
    if kind == "Boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if kind in _INTEGERS:
        return value if isinstance(value, int) and abs(value) < _INT64 else None
    if kind == "Float64":
        # An int is one that the engine has as a float, too.
        is_exact = isinstance(value, float) or (isinstance(value, int) and abs(value) <= 1 << 53)
        return float(value) if is_exact and not math.isnan(value) else None
    if kind.startswith("Timestamp(ms"):
        return value if isinstance(value, DatetimeMS) else _instant(value)
    return None


def _instant(value: object) -> DatetimeMS | None:
    """Return an instant in milliseconds; None for other values, and for one between milliseconds."""
    if not isinstance(value, datetime) or value.tzinfo is None or value.microsecond % 1000:
        return None
    delta = value - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return DatetimeMS(delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000)
