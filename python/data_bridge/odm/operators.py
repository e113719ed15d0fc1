"""Operators for filters and updates, with the names that Beanie uses.

They are functions, not methods of fields, so that a field may have the name `size` or `type`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bson.regex import Regex

from ..errors import InvalidQuery
from .filters import trust
from .filters.expressions import (
    Expression,
    FieldPath,
    all_of,
    as_filter,
    expression_of,
    key_of,
    operand_of,
    root_of,
    roots_of,
)
from .filters.lookup import check_items
from .filters.updates import (
    AddToSet,
    CurrentDate,
    Each,
    Inc,
    Max,
    Min,
    Mul,
    Pop,
    Pull,
    PullAll,
    Push,
    Rename,
    Set,
    SetOnInsert,
    Unset,
    Update,
)

__all__ = [
    "AddToSet",
    "All",
    "And",
    "BitsAllClear",
    "BitsAllSet",
    "BitsAnyClear",
    "BitsAnySet",
    "Box",
    "CurrentDate",
    "Each",
    "ElemMatch",
    "Eq",
    "Exists",
    "Expr",
    "GeoIntersects",
    "GeoWithin",
    "Gt",
    "Gte",
    "In",
    "Inc",
    "Lt",
    "Lte",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Ne",
    "Near",
    "Nor",
    "Not",
    "NotIn",
    "Or",
    "Pop",
    "Pull",
    "PullAll",
    "Push",
    "RegEx",
    "Rename",
    "Set",
    "SetOnInsert",
    "Size",
    "Text",
    "Type",
    "Unset",
    "Update",
]  # fmt: skip


def Eq(field: object, value: object) -> Expression:
    """`field == value`."""
    return _expression(_path(field) == value)


def Ne(field: object, value: object) -> Expression:
    """`field != value`."""
    return _expression(_path(field) != value)


def Gt(field: object, value: object) -> Expression:
    """`field > value`."""
    return _expression(_path(field) > value)


def Gte(field: object, value: object) -> Expression:
    """`field >= value`."""
    return _expression(_path(field) >= value)


def Lt(field: object, value: object) -> Expression:
    """`field < value`."""
    return _expression(_path(field) < value)


def Lte(field: object, value: object) -> Expression:
    """`field <= value`."""
    return _expression(_path(field) <= value)


def In(field: object, values: Iterable[Any]) -> Expression:
    """The field, or one of its items, is one of `values`."""
    return _several(field, "$in", values)


def NotIn(field: object, values: Iterable[Any]) -> Expression:
    """The field is missing or is none of `values`."""
    return _several(field, "$nin", values)


def All(field: object, values: Iterable[Any]) -> Expression:
    """The list contains all of `values`."""
    return _several(field, "$all", values)


def And(*filters: object) -> Expression:
    """All conditions hold. At least one is required: without conditions, every document would match."""
    if not filters:
        raise TypeError("And takes at least one condition")
    return expression_of(all_of(filters), roots_of(*filters))


def Or(*filters: object) -> Expression:
    """At least one condition holds."""
    return expression_of({"$or": _some("Or", filters)}, roots_of(*filters))


def Nor(*filters: object) -> Expression:
    """No condition holds."""
    return expression_of({"$nor": _some("Nor", filters)}, roots_of(*filters))


def Not(condition: object) -> Expression:
    """The condition does not hold: `~condition`."""
    return Nor(condition)


def Exists(field: object, exists: bool = True) -> Expression:
    """The document has the field, also with null; with False, it does not have it."""
    return _condition(field, "$exists", _is(bool, exists))


def Type(field: object, kind: str | int | list[str | int]) -> Expression:
    """The stored value has this type: an alias or number of BSON, or several."""
    kinds = kind if isinstance(kind, list) else [kind]
    return _condition(field, "$type", [_is((str, int), each) for each in kinds])


def RegEx(field: object, pattern: str | re.Pattern[str] | Regex[str], options: str = "") -> Expression:
    """The string matches. `options` are the server's letters i, m, s, x; a compiled pattern has its own flags."""
    if isinstance(pattern, (re.Pattern, Regex)):
        if options:
            raise TypeError("RegEx takes options with a str pattern only: set the flags of the compiled pattern")
        return _condition(field, "$regex", pattern)
    condition = {"$regex": _is(str, pattern)}
    if options:
        condition["$options"] = _is(str, options)
    return expression_of({key_of(_path(field)): condition}, [root_of(_path(field))])


def ElemMatch(field: object, *filters: object) -> Expression:
    """One item of the list matches all of `filters`: expressions of the item's model, or a mapping."""
    if not filters:
        raise TypeError("ElemMatch takes at least one condition")
    condition = all_of(filters)
    check_items(_path(field), roots_of(*filters))
    return _condition(field, "$elemMatch", condition)


def Size(field: object, size: int) -> Expression:
    """The list has `size` items."""
    return _condition(field, "$size", _is(int, size))


def Mod(field: object, divisor: int, remainder: int) -> Expression:
    """The number, divided by `divisor`, has this remainder."""
    return _condition(field, "$mod", [_is(int, divisor), _is(int, remainder)])


def BitsAllSet(field: object, mask: int | list[int]) -> Expression:
    """All bits of a mask, or at these positions, are set."""
    return _bits(field, "$bitsAllSet", mask)


def BitsAnySet(field: object, mask: int | list[int]) -> Expression:
    """At least one bit is set."""
    return _bits(field, "$bitsAnySet", mask)


def BitsAllClear(field: object, mask: int | list[int]) -> Expression:
    """All bits are clear."""
    return _bits(field, "$bitsAllClear", mask)


def BitsAnyClear(field: object, mask: int | list[int]) -> Expression:
    """At least one bit is clear."""
    return _bits(field, "$bitsAnyClear", mask)


def Text(
    search: str, *, language: str | None = None, case_sensitive: bool = False, diacritic_sensitive: bool = False
) -> Expression:
    """A search in the collection's text index."""
    condition: dict[str, Any] = {"$search": _is(str, search)}
    if language is not None:
        condition["$language"] = _is(str, language)
    if case_sensitive:
        condition["$caseSensitive"] = True
    if diacritic_sensitive:
        condition["$diacriticSensitive"] = True
    return expression_of({"$text": condition})


def Near(
    field: object,
    longitude: float,
    latitude: float,
    *,
    max_distance: float | None = None,
    min_distance: float | None = None,
    sphere: bool = True,
) -> Expression:
    """Documents near a point, nearest first; distances in metres. The field needs a 2dsphere index."""
    condition: dict[str, Any] = {"$geometry": {"type": "Point", "coordinates": [float(longitude), float(latitude)]}}
    if max_distance is not None:
        condition["$maxDistance"] = float(max_distance)
    if min_distance is not None:
        condition["$minDistance"] = float(min_distance)
    return _condition(field, "$nearSphere" if sphere else "$near", condition)


def GeoWithin(field: object, kind: str, coordinates: list[Any]) -> Expression:
    """Within a GeoJSON geometry: `kind` is "Polygon" or "MultiPolygon"."""
    return _condition(field, "$geoWithin", _geometry(kind, coordinates))


def Box(field: object, lower_left: list[float], upper_right: list[float]) -> Expression:
    """Within a box on a plane, given by two corners, each a longitude and a latitude."""
    corners = [[float(each) for each in corner] for corner in (lower_left, upper_right)]
    return _condition(field, "$geoWithin", {"$box": corners})


def GeoIntersects(field: object, kind: str, coordinates: list[Any]) -> Expression:
    """Intersects a GeoJSON geometry."""
    return _condition(field, "$geoIntersects", _geometry(kind, coordinates))


def Expr(expression: Mapping[str, Any]) -> Expression:
    """An aggregation expression, which can compare fields with each other."""
    if not isinstance(expression, Mapping):
        raise TypeError(f"Expr takes a mapping, got {type(expression).__name__}")
    trust.check_code(expression, "Expr")
    return expression_of({"$expr": trust.copied(expression)})


def _geometry(kind: str, coordinates: list[Any]) -> dict[str, Any]:
    return {"$geometry": {"type": _is(str, kind), "coordinates": trust.copied(coordinates)}}


def _expression(condition: Any) -> Expression:
    # Type checkers take the result of `==` for a bool.
    expression: Expression = condition
    return expression


def _path(field: object) -> FieldPath:
    if isinstance(field, FieldPath):
        return field
    raise TypeError(f"an operator takes a field of a model, such as User.age, got {type(field).__name__}")


def _condition(field: object, operator: str, value: object) -> Expression:
    return expression_of({key_of(_path(field)): {operator: value}}, [root_of(_path(field))])


def _several(field: object, operator: str, values: Iterable[Any]) -> Expression:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise TypeError(f"{operator} takes a list of values, got {type(values).__name__}")
    operands = [operand_of(_path(field), value) for value in values]
    for operand in operands:
        # `$elemMatch` in `$all` and patterns in `$in` are conditions, not values.
        if isinstance(operand, Mapping) and any(str(key).startswith("$") for key in operand):
            raise InvalidQuery(f"{operator} takes values, got a mapping with operators: {operand!r}")
        if isinstance(operand, (Regex, re.Pattern)):
            raise InvalidQuery(f"{operator} takes values, got a pattern: use Or and RegEx")
    return _condition(field, operator, operands)


def _some(name: str, filters: tuple[Any, ...]) -> list[Mapping[str, Any]]:
    if not filters:
        raise TypeError(f"{name} takes at least one condition")
    return [as_filter(each) for each in filters]


def _bits(field: object, operator: str, mask: int | list[int]) -> Expression:
    return _condition(field, operator, [_is(int, each) for each in mask] if isinstance(mask, list) else _is(int, mask))


def _is(kind: Any, value: Any) -> Any:
    """Return `value` if it is of this type: a mapping from outside would change the operator."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"expected {getattr(kind, '__name__', 'str or int')}, got {type(value).__name__}")
    return value
