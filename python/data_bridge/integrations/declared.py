"""Parts of annotations, and the fields of classes of all supported libraries."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

_REQUIREMENTS = ("Required", "NotRequired", "ReadOnly")


class FieldOf(NamedTuple):
    """A field as documents fill it."""

    name: str
    """As the constructor takes it."""
    keys: tuple[str, ...]
    """In documents, any of them."""
    annotation: Any
    """Any where the class, or a converter of its own, takes what PyMongo gives."""
    aliased: bool = False
    """True when the key was declared, false when it is the field's name."""


def bare(annotation: Any) -> Any:
    """Without `Annotated`, `NewType` and names of `type` statements; type variables as Any."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        elif isinstance(annotation, typing.TypeVar):
            return Any
        else:
            return annotation


def members(annotation: object) -> tuple[Any, ...]:
    """Return the members of a union; any other annotation alone."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(each for argument in get_args(annotation) for each in members(bare(argument)))
    return (annotation,)


def hints_of(cls: Any) -> dict[str, Any]:
    """The annotations of a class and its bases.

    Raises
    ------
    TypeError
        When a name in them is not defined in the module of the class.
    """
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"an annotation of {cls.__name__} cannot be read: {error}. Classes that annotations name as text must be "
            "defined in the module, not in a function"
        ) from error


def is_pydantic(cls: object) -> bool:
    """Return whether pydantic 2 validates the class: its models, its dataclasses."""
    return isinstance(cls, type) and "pydantic" in sys.modules and hasattr(cls, "__pydantic_validator__")


def is_struct(cls: object) -> bool:
    """Return whether the class is a msgspec Struct."""
    msgspec = sys.modules.get("msgspec")
    return msgspec is not None and isinstance(cls, type) and issubclass(cls, msgspec.Struct)


def is_plain_class(cls: object) -> bool:
    """Return whether the class is a dataclass of the standard library or an attrs class; a model is neither."""
    if not isinstance(cls, type) or hasattr(cls, "__odm__"):
        return False
    return hasattr(cls, "__attrs_attrs__") or dataclasses.is_dataclass(cls)


def is_typed_dict(cls: object) -> bool:
    """Return whether the class is a TypedDict, of typing or of typing_extensions."""
    return isinstance(cls, type) and hasattr(cls, "__total__") and hasattr(cls, "__required_keys__")


def fields_of(cls: Any) -> Iterator[FieldOf]:
    """The fields of a class of any of these libraries; of a TypedDict its keys; of any other class none."""
    if is_pydantic(cls):
        yield from _of_pydantic(cls)
    elif is_struct(cls):
        hints = hints_of(cls)
        for name, key in zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True):
            yield FieldOf(name, (key,), hints[name])
    elif is_plain_class(cls):
        yield from _of_plain_class(cls)
    elif is_typed_dict(cls):
        for name, hint in hints_of(cls).items():
            # Required, NotRequired, ReadOnly: typing's or typing_extensions'.
            marked = str(get_origin(hint)).rpartition(".")[2] in _REQUIREMENTS
            yield FieldOf(name, (name,), get_args(hint)[0] if marked else hint)


def _of_plain_class(cls: Any) -> Iterator[FieldOf]:
    hints = hints_of(cls)
    if hasattr(cls, "__attrs_attrs__"):
        found = [
            (each.name, each.alias, each.metadata, Any if each.converter else hints.get(each.name, each.type or Any))
            for each in cls.__attrs_attrs__
            if each.init
        ]
    else:
        # `InitVar`s are no fields, but arguments that must not be left out.
        extra = {name: hint.type for name, hint in hints.items() if isinstance(hint, dataclasses.InitVar)}
        fields = {each.name for each in dataclasses.fields(cls)} | set(extra)
        found = [
            (each.name, each.name, each.metadata, extra.get(each.name, hints[each.name]))
            for each in cls.__dataclass_fields__.values()
            if each.init and each.name in fields
        ]
    for name, argument, metadata, annotation in found:
        yield FieldOf(argument, (metadata.get("alias", name),), annotation, "alias" in metadata)


def _of_pydantic(cls: Any) -> Iterator[FieldOf]:
    decorators = cls.__pydantic_decorators__.field_validators.values()
    validated = {
        name for each in decorators if each.info.mode in ("before", "wrap", "plain") for name in each.info.fields
    }
    fields = getattr(cls, "__pydantic_fields__", None)  # since 2.10
    for name, field in (cls.model_fields if fields is None else fields).items():
        own = name in validated or "*" in validated or any(map(converts, field.metadata))
        yield FieldOf(name, _keys(cls, name, field), Any if own else field.annotation)


def converts(metadata: object) -> bool:
    """Return whether the metadata of an `Annotated` sees the value before pydantic does."""
    if type(metadata).__name__ == "AfterValidator":
        return False
    return hasattr(metadata, "__get_pydantic_core_schema__") or hasattr(metadata, "__get_validators__")


def _keys(cls: object, name: str, field: Any) -> tuple[str, ...]:
    alias = field.validation_alias
    if alias is None:
        return (name,)
    config = getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}
    keys = [name] if config.get("populate_by_name") or config.get("validate_by_name") else []
    for each in getattr(alias, "choices", [alias]):
        keys.append(each if isinstance(each, str) else each.path[0])
    return tuple(keys)
