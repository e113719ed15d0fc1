"""`sum`, `avg`, `min` and `max` of a field: the stages that give its values one by one."""

from __future__ import annotations

from typing import Any

from bson.decimal128 import Decimal128
from bson.int64 import Int64

from ...errors import InvalidQuery
from ..converters.choice_converter import ChoicePlan
from ..converters.containers import ListPlan, TuplePlan
from ..converters.conversions import DecimalPlan
from ..converters.converter import NonePlan, Plan, ScalarPlan
from ..converters.unions import UnionPlan
from ..filters.expressions import FieldPath, key_of, plan_at, step_of, steps_of

_NUMBERS = (int, float, Int64, Decimal128)


def check_numbers(what: str, field: FieldPath) -> None:
    """Refuse a sum or mean of values that are no numbers: the server would leave them out.

    Raises
    ------
    InvalidQuery
        For such a field.
    """
    if not _numeric(plan_at(field)):
        raise InvalidQuery(f"{what} is for numbers, and {field!r} is declared as {plan_at(field).name}")


def folded(operator: str, field: FieldPath) -> tuple[list[dict[str, Any]], Plan]:
    """Return the stages that fold the values of a field, those of lists item by item, and the plan of one value.

    In `$group` a list is one value, which `$sum` and `$avg` leave out; so is the list of the values that a path gives
    which goes through a list.
    """
    stages: list[dict[str, Any]] = []
    root, *below = steps_of(field)
    value, plan = f"${key_of(root)}", plan_at(root)
    for path in below:
        if isinstance(step_of(path), int):
            item = {"$cond": [{"$isArray": [value]}, {"$arrayElemAt": [value, step_of(path)]}, "$$REMOVE"]}
            stages.append({"$project": {"_id": 0, "value": item}})
            value = "$value"
        else:
            value = _unwound(stages, value, plan)
            value = f"{value}.{step_of(path)}"
        plan = plan_at(path)
    value = _unwound(stages, value, plan)
    return [*stages, {"$group": {"_id": None, "value": {operator: value}}}], _item(plan)


def _unwound(stages: list[dict[str, Any]], value: str, plan: Plan) -> str:
    levels = _levels(plan)
    if levels and value != "$value":
        stages.append({"$project": {"_id": 0, "value": value}})
        value = "$value"
    # A missing value or an empty list stays a document, as a missing field does: a sum of nothing is 0.
    stages += [{"$unwind": {"path": value, "preserveNullAndEmptyArrays": True}}] * levels
    return value


def _levels(plan: Plan) -> int:
    """Return how deep lists are nested in a value; `$unwind` leaves other values."""
    if isinstance(plan, ListPlan):
        return 1 + _levels(plan.item)
    if isinstance(plan, (TuplePlan, UnionPlan)):
        return isinstance(plan, TuplePlan) + max((_levels(each) for each in plan.parts()), default=0)
    return int(plan.free)


def _item(plan: Plan) -> Plan:
    if isinstance(plan, ListPlan):
        return _item(plan.item)
    if isinstance(plan, TuplePlan):
        return UnionPlan([_item(each) for each in plan.items])
    if isinstance(plan, UnionPlan):
        others = [_item(each) for each in plan.members if not isinstance(each, NonePlan)]
        return others[0] if len(others) == 1 else UnionPlan(others)
    return plan


def _numeric(plan: Plan) -> bool:
    if isinstance(plan, ScalarPlan):
        return plan.kind in _NUMBERS
    if isinstance(plan, ChoicePlan):
        return any(isinstance(each, _NUMBERS) and not isinstance(each, bool) for each in plan.stored)
    if isinstance(plan, (ListPlan, TuplePlan, UnionPlan)):
        return any(_numeric(each) for each in plan.parts())
    return plan.free or isinstance(plan, DecimalPlan)


def number(value: Any) -> Any:
    """Return a number of the server as a number of Python."""
    if isinstance(value, Decimal128):
        return value.to_decimal()
    return int(value) if isinstance(value, Int64) else value
