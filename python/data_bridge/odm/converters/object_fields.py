"""Fields of pydantic models and dataclasses, and their objects as documents where no type is declared."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from bson.objectid import ObjectId


class ClassField(NamedTuple):
    """A field of a class of another library."""

    name: str
    key: str
    """The key in documents: pydantic's alias, or that of `field(metadata={"alias": ...})`."""
    annotation: Any
    stored: bool = True
    """False for `Field(exclude=True)`, as in Beanie."""
    required: bool = False
    metadata: Iterable[Any] = ()


def is_pydantic(cls: object) -> bool:
    """Return whether pydantic 2 validates the class: its models, its dataclasses."""
    return isinstance(cls, type) and "pydantic" in sys.modules and hasattr(cls, "__pydantic_validator__")


def fields_of(cls: Any) -> Iterable[ClassField]:
    """Return the fields of a pydantic model or a dataclass."""
    return _pydantic_fields(cls) if is_pydantic(cls) else _dataclass_fields(cls)


def _pydantic_fields(cls: Any) -> Iterable[ClassField]:
    if hasattr(cls, "model_rebuild"):
        cls.model_rebuild()
    fields = getattr(cls, "__pydantic_fields__", None)  # since 2.10
    for name, field in (cls.model_fields if fields is None else fields).items():
        alias = field.alias or field.validation_alias
        key = alias if isinstance(alias, str) else name
        yield ClassField(name, key, field.annotation, field.exclude is not True, field.is_required(), field.metadata)


def _dataclass_fields(cls: Any) -> Iterable[ClassField]:
    for field in dataclasses.fields(cls):
        if field.init:
            yield ClassField(field.name, field.metadata.get("alias", field.name), field.type)


@lru_cache(maxsize=512)
def _stored_fields(cls: type) -> list[ClassField]:
    return [field for field in fields_of(cls) if field.stored]


@lru_cache(maxsize=512)
def _adapter(cls: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def plain_object(value: Any) -> Any:
    """Return the dict of a pydantic model or dataclass, or the plain value of a type of pydantic.

    Any other value is returned unchanged. The values in the dict are those of the object.
    """
    kind: Any = type(value)
    if isinstance(value, (str, int, float, bytes, ObjectId)):
        return value
    if hasattr(kind, "get_secret_value"):
        return value.get_secret_value()
    if getattr(kind, "__pydantic_root_model__", False):
        return value.root
    if is_pydantic(kind) or dataclasses.is_dataclass(kind):
        document = {field.key: getattr(value, field.name) for field in _stored_fields(kind)}
        return {**document, **(getattr(value, "model_extra", None) or {})}
    if "pydantic" in sys.modules and hasattr(kind, "__get_pydantic_core_schema__"):
        return _adapter(kind).dump_python(value, mode="json")
    return value


def unstored_fields(value: object) -> frozenset[str]:
    """Return the names of the fields of a pydantic object that are not stored."""
    kind: Any = type(value)
    return _unstored_fields(kind) if is_pydantic(kind) else frozenset()


@lru_cache(maxsize=512)
def _unstored_fields(cls: type) -> frozenset[str]:
    return frozenset(field.name for field in fields_of(cls) if not field.stored)
