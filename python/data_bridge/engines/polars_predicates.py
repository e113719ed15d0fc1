"""polars' expressions as conditions, from their JSON form. An unknown node is a condition that is not understood.

The form may change with each release of polars: a node is read only if it has exactly the parts that are known.
"""

from __future__ import annotations

import io
import json
from typing import Any

from bson import DatetimeMS

from .predicates import UNKNOWN, All, AnyOf, Compare, Condition, IsIn, IsPresent, IsTrue, StartsWith

_OPERATORS = {"Eq": "==", "Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">="}
_FLIPPED = {"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NUMBERS = frozenset(["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float64"])
_CLOSED = {"Both": (">=", "<="), "Left": (">=", "<"), "Right": (">", "<="), "None": (">", "<")}


class _NotRead(Exception):
    """A node that is not understood."""


def condition(predicate: Any) -> Condition:
    """Return the condition of a polars expression; unknown where a part is not understood."""
    try:
        node = json.loads(predicate.meta.serialize(format="json"))
    except Exception:  # noqa: BLE001 - an expression without a form is not pushed down
        return UNKNOWN
    return _condition(node)


def _condition(node: Any) -> Condition:
    try:
        return _read(node)
    except (_NotRead, KeyError, TypeError, ValueError, IndexError, AttributeError):
        return UNKNOWN


def _read(node: Any) -> Condition:
    kind, value = _single(node)
    if kind == "Column":
        return IsTrue((value,))
    if kind == "BinaryExpr":
        return _binary(value)
    if kind == "Function":
        return _function(value)
    raise _NotRead


def _binary(value: dict[str, Any]) -> Condition:
    left, operator, right = value["left"], value["op"], value["right"]
    if operator in ("And", "LogicalAnd"):
        return All([_condition(left), _condition(right)])
    if operator in ("Or", "LogicalOr"):
        return AnyOf([_condition(left), _condition(right)])
    sign = _OPERATORS[operator]
    path = _path(left)
    if path is not None:
        return Compare(path, sign, _literal(right))
    path = _path(right)
    if path is None:
        raise _NotRead
    return Compare(path, _FLIPPED[sign], _literal(left))


def _function(value: dict[str, Any]) -> Condition:
    inputs = value["input"]
    path = _path(inputs[0])
    if path is None:
        raise _NotRead
    function = value["function"]
    if function == {"Boolean": "IsNotNull"}:
        return IsPresent(path)
    if function == {"StringExpr": "StartsWith"}:
        prefix = _literal(inputs[1])
        return StartsWith(path, prefix) if isinstance(prefix, str) else UNKNOWN
    name, options = _single(function["Boolean"])
    if name == "IsBetween":
        low, high = _CLOSED[options["closed"]]
        return All([Compare(path, low, _literal(inputs[1])), Compare(path, high, _literal(inputs[2]))])
    if name == "IsIn" and options == {"nulls_equal": False}:
        return IsIn(path, _list(inputs[1]))
    raise _NotRead


def _path(node: Any) -> tuple[str, ...] | None:
    """Return the path of a column or of a field of structs; None for another node."""
    kind, value = _single(node)
    if kind == "Column" and isinstance(value, str):
        return (value,)
    if kind != "Function":
        return None
    name, field = _single(value["function"])
    if name != "StructExpr" or len(value["input"]) != 1:
        return None
    what, key = _single(field)
    parent = _path(value["input"][0])
    return (*parent, key) if what == "FieldByName" and parent is not None else None


def _literal(node: Any) -> Any:
    kind, value = _single(node)
    form, scalar = _single(value)
    if kind != "Literal" or form != "Scalar":
        raise _NotRead
    name, content = _single(scalar)
    if name in _NUMBERS and isinstance(content, (int, float)) and not isinstance(content, bool):
        return content
    if (name == "String" and isinstance(content, str)) or (name == "Boolean" and isinstance(content, bool)):
        return content
    if name == "Datetime" and content[1] == "Milliseconds" and content[2] is not None:
        return DatetimeMS(content[0])
    raise _NotRead


def _list(node: Any) -> list[Any]:
    """Return the values of a list, which has the form of an Arrow stream."""
    import polars as pl

    kind, value = _single(node)
    form, scalar = _single(value)
    name, content = _single(scalar)
    if (kind, form, name) != ("Literal", "Scalar", "List"):
        raise _NotRead
    frame = pl.read_ipc_stream(io.BytesIO(bytes(content)))
    column = frame.to_series(0)
    if column.dtype == pl.Datetime("ms", "UTC"):
        return [None if each is None else DatetimeMS(each) for each in column.to_physical().to_list()]
    if column.dtype not in (pl.String, pl.Boolean, pl.Float64) and not column.dtype.is_integer():
        raise _NotRead
    return column.to_list()


def _single(node: Any) -> tuple[str, Any]:
    """Return the only key of a node and its value."""
    if not isinstance(node, dict) or len(node) != 1:
        raise _NotRead
    [(key, value)] = node.items()
    return key, value
