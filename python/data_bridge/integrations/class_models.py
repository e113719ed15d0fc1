"""Dataclasses and attrs classes: by their constructors, nested classes and BSON's own types by their annotations.

These have no rules of their own for documents, so they get those of this package's models: a value must fit its
annotation, exact conversions are made, keys that no field takes are left out.
"""

from __future__ import annotations

import collections
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_origin

import bson

from ..errors import ConversionError
from ..odm.converters.annotations import converter_of
from ..odm.converters.converter import ScalarConverter
from ..odm.errors import Mismatch
from . import declared
from .models import target_of
from .target import Target, one_by_one

Convert = Callable[[Any], Any]
Test = Callable[[Any], bool]

_LISTS = (list, set, frozenset, tuple, collections.deque)


class Refused(Mismatch):
    """An exception of a constructor."""

    def __init__(self, error: Exception) -> None:
        super().__init__("", None)
        self.text = f"{type(error).__name__}: {error}"
        self.library_error = error


class ClassConverter:
    """A class, its fields and how each of their values is made."""

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        self.fields: list[tuple[str, str, Convert | None]] = []
        self.keys: frozenset[str] = frozenset()

    def suits(self, value: object) -> bool:
        """Return whether a value is a document with no keys but those of the class."""
        return type(value) is dict and self.keys.issuperset(value)

    def load(self, value: Any) -> Any:
        """An object of the class."""
        if type(value) is not dict:
            raise Mismatch(self.cls.__name__, value)
        arguments = {}
        for key, name, convert in self.fields:
            if key in value:
                each = value[key]
                if convert is not None:
                    try:
                        each = convert(each)
                    except Mismatch as mismatch:
                        raise mismatch.under(key) from mismatch.__cause__
                arguments[name] = each
        try:
            return self.cls(**arguments)
        except Exception as error:
            raise Refused(error) from error


def target(model: object) -> Target:
    """Return the target that makes objects of `model`."""
    classes: dict[tuple[Any, bool], ClassConverter] = {}
    union = declared.members(declared.bare(model))
    converters = [_class_converter(get_origin(each) or each, classes, top=True) for each in union]
    load = (
        converters[0].load
        if len(converters) == 1
        else _union([(converter.suits, converter.load) for converter in converters], union)
    )
    keys = tuple(converters[0].keys) if len(converters) == 1 else None
    return Target(lambda documents: one_by_one(load, documents, model, _place), keys)


def _place(error: Exception) -> tuple[str, tuple[Any, ...]]:
    assert isinstance(error, Mismatch)
    text = error.text if isinstance(error, Refused) else f"expected {error.expected}, found {error.found}"
    return text, tuple(error.path)


def _class_converter(cls: type[Any], classes: dict[tuple[Any, bool], ClassConverter], *, top: bool) -> ClassConverter:
    known = classes.get((cls, top))
    if known is not None:
        return known
    # Kept before its fields are looked at: these may be of the class itself.
    converter = classes[cls, top] = ClassConverter(cls)
    fields = list(declared.fields_of(cls))
    named = {key for field in fields for key in field.keys}
    for field in fields:
        (key,) = field.keys
        if top and key == "id" and not field.aliased and "_id" not in named:
            key = "_id"
        converter.fields.append((key, field.name, _convert(field.annotation, classes)))
    converter.keys = frozenset(key for key, _, _ in converter.fields)
    return converter


def _convert(annotation: object, classes: dict[tuple[Any, bool], ClassConverter]) -> Convert | None:
    """Return the function that makes values of an annotation; None for values that stay as they are."""
    annotation = declared.bare(annotation)
    if annotation is Any or annotation is object:
        return None
    union = declared.members(annotation)
    if len(union) > 1:
        return _union([_option(each, classes) for each in union], union)
    return _option(annotation, classes)[1]


def _option(annotation: object, classes: dict[tuple[Any, bool], ClassConverter]) -> tuple[Test, Convert | None]:
    """Return a test for values of a member of a union, and the function that makes one of it."""
    annotation = declared.bare(annotation)
    if annotation is Any or annotation is object:
        return _never, None
    kind: Any = get_origin(annotation) or annotation
    if declared.is_pydantic(kind) or declared.is_struct(kind):
        return _never, _other_library(annotation)
    if declared.is_plain_class(kind):
        converter = _class_converter(kind, classes, top=False)
        return converter.suits, converter.load
    if isinstance(kind, type) and not issubclass(kind, (str, bytes, enum.Enum)) and not declared.is_typed_dict(kind):
        items = get_args(annotation)
        if issubclass(kind, Mapping) and issubclass(dict, kind):
            return _never, _mapping(_convert(items[1] if items else Any, classes))
        if kind is tuple and items and items[-1] is not ...:
            return _never, _fixed_tuple([_convert(each, classes) for each in items])
        if issubclass(kind, Iterable) and (kind in _LISTS or issubclass(list, kind)):
            return _never, _list(kind if kind in _LISTS else list, _convert(items[0] if items else Any, classes))
    return _scalar(annotation)


def _scalar(annotation: Any) -> tuple[Test, Convert]:
    if hasattr(annotation, "_converter_of"):
        raise TypeError(f"{annotation.__name__} is a model of this package: it cannot be a field of a foreign class")
    converter = converter_of(annotation, {})
    kind = getattr(converter, "kind", None) if isinstance(converter, ScalarConverter) else None

    def load(value: Any) -> Any:
        found = type(value)
        if found is kind:
            return value
        if kind is int and found is bson.Int64:
            return int(value)
        if kind is str and found is bson.ObjectId:
            return str(value)
        return converter.load(value, None)

    return converter.exact, load


def _union(options: list[tuple[Test, Convert | None]], union: tuple[Any, ...]) -> Convert:
    """Return the conversion to the first member that a value belongs to, else to the first that accepts it."""
    name = " | ".join(getattr(each, "__name__", None) or str(each) for each in union)
    others = [convert for (_, convert), each in zip(options, union, strict=True) if each is not type(None)]
    if len(others) == 1 and len(union) == 2:
        (only,) = others
        return lambda value: value if value is None or only is None else only(value)

    def load(value: object) -> Any:
        ordered = [convert for suits, convert in options if suits(value)] + [convert for _, convert in options]
        for convert in ordered:
            try:
                return value if convert is None else convert(value)
            except Mismatch:
                continue
        raise Mismatch(name, value)

    return load


def _list(kind: type, item: Convert | None) -> Convert:
    def load(value: object) -> Any:
        if type(value) is not list:
            raise Mismatch(kind.__name__, value)
        if item is None:
            return value if kind is list else kind(value)
        made = [_under(position, item, each) for position, each in enumerate(value)]
        return made if kind is list else kind(made)

    return load


def _fixed_tuple(items: list[Convert | None]) -> Convert:
    def load(value: object) -> Any:
        if type(value) is not list or len(value) != len(items):
            raise Mismatch(f"a list of {len(items)}", value)
        return tuple(
            each if convert is None else _under(position, convert, each)
            for position, (convert, each) in enumerate(zip(items, value, strict=True))
        )

    return load


def _mapping(item: Convert | None) -> Convert:
    def load(value: object) -> Any:
        if type(value) is not dict:
            raise Mismatch("dict", value)
        return value if item is None else {key: _under(key, item, each) for key, each in value.items()}

    return load


def _under(key: str | int, convert: Convert, value: object) -> Any:
    try:
        return convert(value)
    except Mismatch as mismatch:
        raise mismatch.under(key) from mismatch.__cause__


def _other_library(annotation: object) -> Convert:
    build = target_of(annotation).build

    def load(value: Any) -> Any:
        try:
            return build([value])[0]
        except ConversionError as error:
            cause = error.__cause__
            refused = Refused(cause if isinstance(cause, Exception) else error)
            refused.path.extend(error.path)
            raise refused from cause

    return load


def _never(value: object) -> bool:
    return False
