"""Structs of msgspec: a whole result through one `convert`."""

from __future__ import annotations

import re
from typing import Any, get_origin

import msgspec

from ..odm.errors import Mismatch
from . import declared
from .bson_values import IdTexts, preparation
from .target import Target, one_by_one

_PLACE = re.compile(r"^(?P<text>.*) - at `(?:key in )?\$(?P<path>.*)`$", re.DOTALL)
_STEP = re.compile(r"\[(\d+|\.\.\.)\]|\.([^.\[]+)")


def target(model: Any) -> Target:
    """Return the target that makes objects of `model` with msgspec."""
    many = list[model]
    # `convert` makes bytes of a Binary, which would drop its subtype silently.
    prepared = preparation(model, keeps_subtypes=False)
    texts = IdTexts(model)

    def build(documents: list[dict[str, Any]]) -> list[Any]:
        if prepared is not None:
            one_by_one(prepared.apply, documents, model, _place)
        texts.prepare(documents)
        try:
            try:
                made: list[Any] = msgspec.convert(documents, many)
            except msgspec.ValidationError:
                if not texts.retry(documents):
                    raise
                made = msgspec.convert(documents, many)
        except Exception:
            one_by_one(lambda document: msgspec.convert(document, model), documents, model, _place)
            raise
        return made

    return Target(build, _keys(model))


def _place(error: Exception) -> tuple[str, tuple[Any, ...]]:
    """Return the text and the path of an error of one document; msgspec gives only a message."""
    if isinstance(error, Mismatch):
        return f"expected {error.expected}, found {error.found}", tuple(error.path)
    found = _PLACE.match(str(error))
    if found is None:
        return str(error), ()
    path: list[Any] = []
    for position, key in _STEP.findall(found["path"]):
        path.append(key if key else ... if position == "..." else int(position))
    return found["text"], tuple(path)


def _keys(model: Any) -> tuple[str, ...] | None:
    """The keys that a Struct reads; None when others may matter to it."""
    if get_origin(model) is not None or not declared.is_struct(model):
        return None
    config = model.__struct_config__
    if config.forbid_unknown_fields or config.array_like:
        return None
    tag = () if config.tag is None else (config.tag_field,)
    return (*tag, *model.__struct_encode_fields__)
