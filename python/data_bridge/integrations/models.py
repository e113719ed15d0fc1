"""`to_models`: which library builds objects of a class, and what becomes of its errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_args, get_origin

from . import declared
from .target import Target

_ADVICE = "to_models() takes a pydantic 2 model, a dataclass, an attrs class or a msgspec Struct, or a union of these"


def target_of(model: object) -> Target:
    """Return the target that makes objects of `model`; found once per class.

    Raises
    ------
    TypeError
        When it is no class of a supported library, or an annotation of it cannot be resolved.
    """
    if get_origin(model) is list and len(get_args(model)) == 1:
        model = get_args(model)[0]
    # Unions are equal in any order, and theirs counts; others cannot be hashed.
    return _of_class(model) if isinstance(model, type) else _maker_of(model)(model)


@lru_cache(maxsize=256)  # not by weak references: what makes an object refers to its class
def _of_class(model: type) -> Target:
    return _maker_of(model)(model)


def _maker_of(model: object) -> Callable[[Any], Target]:
    makers = {_family(get_origin(each) or each, model) for each in declared.members(declared.bare(model))}
    if len(makers) > 1:
        raise TypeError(f"{_ADVICE}: of one library, or of dataclasses and attrs classes")
    family = makers.pop()
    # Imported on use: each needs its library, or the models' annotations.
    if family == "beanie":
        from .beanie_models import target
    elif family == "pydantic":
        from .pydantic_models import target
    elif family == "msgspec":
        from .msgspec_models import target
    else:
        from .class_models import target
    return target


def _family(cls: object, model: object) -> str:
    if not isinstance(cls, type):
        raise TypeError(f"{_ADVICE}, got {model!r}")
    if hasattr(cls, "get_model_type") and "beanie" in sys.modules:
        return "beanie"
    if declared.is_pydantic(cls):
        return "pydantic"
    if declared.is_struct(cls):
        return "msgspec"
    if declared.is_plain_class(cls):
        return "class"
    raise _refused(cls)


def _refused(cls: type) -> TypeError:
    advice = ""
    if hasattr(cls, "__odm__"):
        advice = f": queries of models give their own instances, as {cls.__name__}.find(...).to_list() does"
    elif any(base.__module__.startswith("mongoengine.") for base in cls.__mro__):
        advice = ": MongoEngine's documents are made by its own queries only"
    elif any(base.__module__.startswith("pydantic.v1") for base in cls.__mro__):
        advice = ": derive it from pydantic.BaseModel, not from pydantic.v1"
    elif issubclass(cls, dict) or declared.is_typed_dict(cls):
        advice = ": to_dicts() gives dicts"
    return TypeError(f"{_ADVICE}, got {cls.__qualname__}{advice}")
