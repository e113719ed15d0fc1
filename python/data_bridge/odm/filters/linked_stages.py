"""Stages of the caller's pipelines: keys of linked documents, which no document has before a `$lookup`, are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import InvalidQuery
from . import linked_paths

_SAME_KEYS = frozenset({"$match", "$sort", "$limit", "$skip", "$sample", "$unwind", "$redact", "$geoNear"})
"""Stages whose documents have the keys of those before."""
_SETS = frozenset({"$set", "$addFields"})
_EXPRESSIONS = frozenset(
    {
        "$group", "$bucket", "$bucketAuto", "$sortByCount", "$replaceRoot", "$replaceWith", "$redact", "$unwind",
        "$setWindowFields", "$fill", "$densify", *_SETS,
    }
)  # fmt: skip
"""Stages whose texts that start with `$` are keys of the documents before."""
_ADVICE = (
    "In a pipeline, put a $lookup before the stage; or put the condition or order before the pipeline, as in "
    "find(Book.author.name == ...).aggregate([...]), which looks linked documents up"
)


def stages_of(model: Any, stages: list[Any]) -> list[Any]:
    """Return the stages of a pipeline over the documents of a model, with `a.id` of a link `a` as `a.$id`.

    Raises
    ------
    InvalidQuery
        For a key of a linked document, up to the first stage that makes other documents.
    """
    if not linked_paths.has_links(model):
        return stages
    checked: list[Any] = []
    for position, stage in enumerate(stages):
        if not isinstance(stage, Mapping) or len(stage) != 1:
            return [*checked, *stages[position:]]
        ((operator, value),) = stage.items()
        try:
            below = _checked(model, operator, value)
        except InvalidQuery as error:
            raise InvalidQuery(f"{operator}: {error}. {_ADVICE}") from None
        checked.append(stage if below is value else {operator: below})
        if operator not in _SAME_KEYS and not (operator in _SETS and _keeps_links(model, value)):
            return [*checked, *stages[position + 1 :]]
    return checked


def _checked(model: Any, operator: str, value: Any) -> Any:
    """Return the value of one stage."""
    if operator in _EXPRESSIONS:
        linked_paths.check_expression(model, value)
    elif operator == "$match" and isinstance(value, Mapping):
        value = linked_paths.stored_filter(model, value)
        for key in linked_paths.keys_of(value):
            linked_paths.check_stored(model, key)
    elif operator == "$sort" and isinstance(value, Mapping):
        return linked_paths.stored_keys(model, value)
    elif operator == "$project" and isinstance(value, Mapping):
        linked_paths.check_expression(model, value)
        for key, each in value.items():
            if isinstance(each, (bool, int, float)):
                linked_paths.check_stored(model, key)
    elif operator in ("$lookup", "$graphLookup") and isinstance(value, Mapping):
        linked_paths.check_expression(model, [value.get("let"), value.get("startWith")])
        if isinstance(value.get("localField"), str):
            linked_paths.check_expression(model, f"${value['localField']}")
    return value


def _keeps_links(model: Any, changes: object) -> bool:
    """Return whether the links of the documents are the same after these changes."""
    keys: Iterable[Any] = changes if isinstance(changes, Mapping) else ()
    return not any(linked_paths.leads_to_link(model, str(key)) for key in keys)
