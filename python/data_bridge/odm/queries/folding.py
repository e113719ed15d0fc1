"""Stages of `sum`, `avg`, `min` and `max`, which unwind the values of a field."""

from __future__ import annotations

from typing import Any

from bson.decimal128 import Decimal128
from bson.int64 import Int64

from ...errors import InvalidQuery
from ..converters.choice_converter import ChoiceConverter
from ..converters.containers import ListConverter, TupleConverter
from ..converters.conversions import DecimalConverter
from ..converters.converter import Converter, NoneConverter, ScalarConverter, to_decimal
from ..converters.unions import UnionConverter
from ..filters.expressions import FieldPath, converter_at, key_of, step_of, steps_of

_NUMBERS = (int, float, Int64, Decimal128)


def check_numbers(what: str, field: FieldPath) -> None:
    """Refuse a sum or mean of values that are no numbers, which the server would ignore.

    Raises
    ------
    InvalidQuery
        For such a field.
    """
    if not _numeric(converter_at(field)):
        raise InvalidQuery(f"{what} is for numbers, and {field!r} is declared as {converter_at(field).name}")


def folded(operator: str, field: FieldPath) -> tuple[list[dict[str, Any]], Converter]:
    """Return the stages that fold the values of a field, those of lists item by item, and the converter of one value.

    In `$group` a list is one value, which `$sum` and `$avg` ignore, like the list of the values of a path through a
    list.
    """
    stages: list[dict[str, Any]] = []
    root, *below = steps_of(field)
    value, converter = f"${key_of(root)}", converter_at(root)
    for path in below:
        if isinstance(step_of(path), int):
            item = {"$cond": [{"$isArray": [value]}, {"$arrayElemAt": [value, step_of(path)]}, "$$REMOVE"]}
            stages.append({"$project": {"_id": 0, "value": item}})
            value = "$value"
        else:
            value = _unwound(stages, value, converter)
            value = f"{value}.{step_of(path)}"
        converter = converter_at(path)
    value = _unwound(stages, value, converter)
    return [*stages, {"$group": {"_id": None, "value": {operator: value}}}], _item(converter)


def _unwound(stages: list[dict[str, Any]], value: str, converter: Converter) -> str:
    levels = _levels(converter)
    if levels and value != "$value":
        stages.append({"$project": {"_id": 0, "value": value}})
        value = "$value"
    # A missing value or an empty list stays a document, as a missing field does: a sum of nothing is 0.
    stages += [{"$unwind": {"path": value, "preserveNullAndEmptyArrays": True}}] * levels
    return value


def _levels(converter: Converter) -> int:
    """Return the depth of nested lists in a value; `$unwind` does not change other values."""
    if isinstance(converter, ListConverter):
        return 1 + _levels(converter.item)
    if isinstance(converter, (TupleConverter, UnionConverter)):
        return isinstance(converter, TupleConverter) + max((_levels(each) for each in converter.parts()), default=0)
    return int(converter.free)


def _item(converter: Converter) -> Converter:
    if isinstance(converter, ListConverter):
        return _item(converter.item)
    if isinstance(converter, TupleConverter):
        return UnionConverter([_item(each) for each in converter.items])
    if isinstance(converter, UnionConverter):
        others = [_item(each) for each in converter.members if not isinstance(each, NoneConverter)]
        return others[0] if len(others) == 1 else UnionConverter(others)
    return converter


def _numeric(converter: Converter) -> bool:
    if isinstance(converter, ScalarConverter):
        return converter.kind in _NUMBERS
    if isinstance(converter, ChoiceConverter):
        return any(isinstance(each, _NUMBERS) and not isinstance(each, bool) for each in converter.stored)
    if isinstance(converter, (ListConverter, TupleConverter, UnionConverter)):
        return any(_numeric(each) for each in converter.parts())
    return converter.free or isinstance(converter, DecimalConverter)


def number(value: object) -> Any:
    """Return a number of the server as a number of Python."""
    if isinstance(value, Decimal128):
        return to_decimal(value)
    return int(value) if isinstance(value, Int64) else value
