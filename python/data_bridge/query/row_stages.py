"""The parts of queries that keep rows independent of each other, and the refusals of others by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InvalidQuery
from .plan import AggregatePlan, FindPlan, Plan, WritingPlan

_PER_DOCUMENT = frozenset(
    [
        "$addFields",
        "$graphLookup",
        "$lookup",
        "$match",
        "$project",
        "$redact",
        "$replaceRoot",
        "$replaceWith",
        "$set",
        "$unset",
        "$unwind",
    ]
)
_WHOLE = {
    "$text": "its index gives the documents",
    "$near": "it orders the result by distance",
    "$nearSphere": "it orders the result by distance",
}
"""Operators of filters that need the whole result, with the reason."""
_OPTIONS = {
    "sort": "each partition would be sorted by itself: sort the union instead",
    "skip": "it would skip documents in each partition: slice the union instead",
    "limit": "each partition would have as many documents: limit the union instead",
    "min": "partitions have bounds of their own",
    "max": "partitions have bounds of their own",
    "returnKey": "partitions are read by the index of the key",
}
"""Options of a find that no partition can have, with the reason."""


def check_plan(plan: Plan, by: str) -> FindPlan | AggregatePlan:
    """Return the plan of a query whose rows are independent of each other.

    Raises
    ------
    InvalidQuery
        For any other plan, by the name of the part that prevents partitions.
    """
    if not isinstance(plan, (FindPlan, AggregatePlan)):
        raise InvalidQuery("only queries of a server have partitions: read_bson() reads files and bytes in order")
    if plan.namespace.collection is None:
        raise InvalidQuery("an aggregate on a database has no partitions: its rows have no key")
    if isinstance(plan, WritingPlan):
        raise InvalidQuery("a pipeline that writes has no partitions: it runs once")
    if plan.session is not None:
        raise _refusal("a session", "its reads run one after the other: use snapshot=True for one point in time")
    if isinstance(plan, FindPlan):
        for name, reason in _OPTIONS.items():
            if plan.options.get(name):
                raise _refusal(name, reason)
        check_filter(plan.readable_filter())
    else:
        check_stages(plan.stages, "the pipeline")
    _check_hint(plan.options.get("hint"), by)
    return plan


def _check_hint(hint: object, by: str) -> None:
    if hint is None or hint == {by: 1} or (by == "_id" and hint == "_id_"):
        return
    raise _refusal(f"the hint {hint!r}", f"partitions are read by the index of {by}: leave it out")


def check_filter(value: object) -> None:
    """Refuse operators that need the whole result.

    Raises
    ------
    InvalidQuery
        For such an operator, by its name.
    """
    if isinstance(value, Mapping):
        for key, child in value.items():
            if key in _WHOLE:
                raise _refusal(key, _WHOLE[key])
            check_filter(child)
    elif isinstance(value, (list, tuple)):
        for child in value:
            check_filter(child)


def check_stages(stages: Sequence[Mapping[str, Any]], owner: str) -> None:
    """Refuse stages whose rows depend on several documents.

    Raises
    ------
    InvalidQuery
        For the first such stage, by its name.
    """
    for stage in stages:
        name = next(iter(stage), "")
        if name not in _PER_DOCUMENT:
            raise InvalidQuery(
                f"the stage {name} of {owner} has no partitions: its rows may depend on documents of several ones. "
                "Leave it out, and apply it to the union"
            )
        if name == "$match":
            check_filter(stage[name])


def check_view(stages: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a view whose rows depend on several documents, or do not keep the `_id` of their document.

    Raises
    ------
    InvalidQuery
        For the first such stage, by its name.
    """
    check_stages(stages, "the view")
    for stage in stages:
        name, value = next(iter(stage.items()))
        if name in ("$replaceRoot", "$replaceWith") or any(_is_id(key) for key in _written(name, value)):
            raise InvalidQuery(f"the stage {name} of the view has no partitions: it replaces _id, which bounds them")


def _written(name: str, value: Any) -> list[str]:
    """Return the keys that a stage writes or removes."""
    if name in ("$lookup", "$graphLookup"):
        return [value.get("as", "")]
    if name == "$unset":
        return [value] if isinstance(value, str) else list(value)
    if name == "$unwind":
        path = value if isinstance(value, str) else value.get("path", "")
        return [path.removeprefix("$")]
    if name == "$project":
        return [key for key, kept in value.items() if not (key == "_id" and kept is not False and kept in (1, True))]
    return list(value) if name in ("$set", "$addFields") else []


def _is_id(key: str) -> bool:
    return key.partition(".")[0] == "_id"


def _refusal(name: str, reason: str) -> InvalidQuery:
    return InvalidQuery(f"a query with {name} has no partitions: {reason}")
