"""Rules for documents that link to a deleted one: `Field(delete_rule=...)` of a field of links."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, NamedTuple

from .option_checks import has_rule


class OnDelete(str, enum.Enum):
    """Treatment of the documents that link to one that is deleted."""

    DO_NOTHING = "DO_NOTHING"
    """They stay as they are, with a link to no document."""
    CASCADE = "CASCADE"
    """They are deleted too, and by their own rules those that link to them."""
    NULLIFY = "NULLIFY"
    """The link is removed from them."""
    PULL = "PULL"
    """The link is removed from the list in them."""
    DENY = "DENY"
    """The document is not deleted: StillLinked is raised."""


class Referrer(NamedTuple):
    """A field of links with a rule."""

    model: Any
    key: str
    rule: OnDelete

    def condition(self, ids: list[Any]) -> dict[str, Any]:
        """Return the filter of the documents that link to these `_id`s, by a DBRef or as a bare `_id`."""
        return {"$or": [{f"{self.key}.$id": {"$in": ids}}, {self.key: {"$in": ids}}]}

    def removal(self, ids: list[Any]) -> Any:
        """Return the update that removes the links."""
        if self.rule is OnDelete.NULLIFY:
            return {"$unset": {self.key: ""}}
        # A pipeline, as `$pull` takes no condition on `$id`.
        key = {"$getField": {"field": {"$literal": "$id"}, "input": "$$this"}}
        own = {"$cond": [{"$eq": [{"$type": "$$this"}, "object"]}, {"$ifNull": [key, "$$this"]}, "$$this"]}
        kept = {"input": f"${self.key}", "cond": {"$not": [{"$in": [own, {"$literal": ids}]}]}}
        return [{"$set": {self.key: {"$filter": kept}}}]


def register_rules(model: Any) -> None:
    """Record the rules of a model with the models that its links lead to.

    Raises
    ------
    ValueError
        For a rule that is no OnDelete.
    """
    for field in model.__odm__.fields.values():
        if has_rule(field.options):
            referrers = field.converter.links.target.__odm__.referrers
            referrers[model, field.name] = Referrer(model, field.key, OnDelete(field.options.delete_rule))


def has_rules(model: Any) -> bool:
    """Return whether documents of a model have delete rules."""
    return next(referrers_of(model), None) is not None


def referrers_of(model: Any) -> Iterator[Referrer]:
    """Yield the rules of links to a model or a model above it, in the database of the model."""
    variants = model.__odm__.variants
    for base in model.__mro__:
        info = base.__dict__.get("__odm__")
        for referrer in () if info is None else info.referrers.values():
            own = referrer.model if variants is None else variants.model(referrer.model)
            yield referrer._replace(model=own)
