"""`to_models`: which library builds objects of a class, and what becomes of its errors."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, get_args, get_origin

from ..errors import ConversionError, InvalidQuery
from . import declared

_ADVICE = "to_models() takes a pydantic 2 model, a dataclass, an attrs class or a msgspec Struct, or a union of these"


class Target(NamedTuple):
    """How objects of a class are made."""

    build: Callable[[list[dict[str, Any]]], list[Any]]
    """Of documents, which it may change."""
    keys: tuple[str, ...] | None
    """The top-level keys that it takes from documents; None for all of them."""

    def make(self, documents: list[dict[str, Any]]) -> list[Any]:
        """As `build`, with the garbage collector paused: it would look again and again at objects that all stay."""
        running = gc.isenabled()
        gc.disable()
        try:
            return self.build(documents)
        finally:
            if running:
                gc.enable()


def target_of(model: Any) -> Target:
    """How to make objects of `model`; found once per class.

    Raises
    ------
    TypeError
        When it is no class of a library that is known here, or an annotation of it cannot be resolved.
    """
    if get_origin(model) is list and len(get_args(model)) == 1:
        model = get_args(model)[0]
    # Unions are equal in any order, and theirs counts; others cannot be hashed.
    return _of_class(model) if isinstance(model, type) else _maker_of(model)(model)


@lru_cache(maxsize=256)  # not by weak references: what makes an object refers to its class
def _of_class(model: type) -> Target:
    return _maker_of(model)(model)


def _maker_of(model: Any) -> Callable[[Any], Target]:
    makers = {_family(get_origin(each) or each, model) for each in declared.members(declared.bare(model))}
    if len(makers) > 1:
        raise TypeError(f"{_ADVICE}: of one library, or of dataclasses and attrs classes")
    family = makers.pop()
    # Imported by who uses them: each needs its library, or the models' annotations.
    if family == "beanie":
        from .beanie_models import target
    elif family == "pydantic":
        from .pydantic_models import target
    elif family == "msgspec":
        from .msgspec_models import target
    else:
        from .class_models import target
    return target


def _family(cls: Any, model: Any) -> str:
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


def failed(text: str, model: Any, index: int, document: Any, path: tuple[Any, ...] = ()) -> ConversionError:
    """The error for a document that `model` does not take."""
    name = getattr(model, "__name__", None) or str(model)
    return ConversionError(text, name, index, document.get("_id"), path)


def one_by_one(
    make: Callable[[dict[str, Any]], Any],
    documents: list[dict[str, Any]],
    model: Any,
    place: Callable[[Exception], tuple[str, tuple[Any, ...]]],
) -> list[Any]:
    """Objects made singly, so that an error can name its document. It is chained to what `make` raised.

    Raises
    ------
    ConversionError
        With the text and path that `place` finds in what `make` raised.
    """
    made = []
    for index, document in enumerate(documents):
        try:
            made.append(make(document))
        except Exception as error:  # noqa: BLE001 - whatever a constructor or validator raises is chained
            text, path = place(error)
            raise failed(text, model, index, document, path) from getattr(error, "library_error", error)
    return made


def unfetched() -> InvalidQuery:
    """The error for a query of models that was told to fetch links."""
    return InvalidQuery("to_models() does not fetch links: use to_list(), or ask without fetch_links")
