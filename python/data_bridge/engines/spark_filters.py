"""Spark's filters as conditions. Spark evaluates all of them again."""

from __future__ import annotations

from typing import Any

from .predicates import UNKNOWN, Compare, Condition, IsIn, IsPresent, StartsWith

_OPERATORS = {
    "EqualTo": "==",
    "EqualNullSafe": "==",
    "LessThan": "<",
    "LessThanOrEqual": "<=",
    "GreaterThan": ">",
    "GreaterThanOrEqual": ">=",
}


def condition(filter: Any) -> Condition:
    """Return the condition of a filter of `pyspark.sql.datasource`; unknown for one that is not understood."""
    name = type(filter).__name__
    path = tuple(getattr(filter, "attribute", ()))
    value = getattr(filter, "value", None)
    if not path:
        return UNKNOWN
    if name in _OPERATORS:
        # With null, one is never true, and the other true of nulls.
        return UNKNOWN if value is None else Compare(path, _OPERATORS[name], value)
    if name == "In":
        return IsIn(path, list(value or ()))
    if name == "IsNotNull":
        return IsPresent(path)
    if name == "StringStartsWith" and isinstance(value, str):
        return StartsWith(path, value)
    return UNKNOWN
