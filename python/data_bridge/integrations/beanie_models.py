"""Documents of Beanie: made by its own parser, with child classes, unions and saved states."""

from __future__ import annotations

from typing import Any

from . import declared
from .bson_values import preparation
from .pydantic_models import place
from .target import Target, one_by_one


def target(model: object) -> Target:
    """Return the target that makes documents of `model` with Beanie."""
    from beanie.odm.utils.parsing import parse_obj

    prepared = preparation(model, keeps_subtypes=True) if declared.is_pydantic(model) else None

    def make(document: dict[str, Any]) -> Any:
        return parse_obj(model, document if prepared is None else prepared.apply(document))

    return Target(lambda documents: one_by_one(make, documents, model, place), None)
