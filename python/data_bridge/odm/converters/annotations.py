"""Converters of annotations."""

from __future__ import annotations

import enum
import inspect
import sys
import types
import typing
from collections import abc
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, ForwardRef, Literal, Union, get_args, get_origin

import bson
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.regex import Regex
from bson.timestamp import Timestamp

from .checks import checked
from .choice_converter import ChoiceConverter, FlagConverter
from .containers import DictConverter, ListConverter, TupleConverter
from .conversions import CustomConverter
from .converter import DIRECT, AnyConverter, Converter, NoneConverter, ScalarConverter
from .custom_types import custom_type_of
from .dict_keys import TypedKeysConverter, key_type
from .metadata import check_library, checks_of, is_index
from .objects import object_converter
from .stored_values import STORED
from .text_types import PYTHON_TYPES
from .unions import UnionConverter

_SCALARS = {
    *DIRECT, bson.Int64, Binary, Code, DatetimeMS, DBRef, Decimal128, MaxKey, MinKey, Regex, Timestamp
}  # fmt: skip
_LISTS: dict[Any, type] = {
    list: list,
    set: set,
    frozenset: frozenset,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    abc.Set: set,
    abc.MutableSet: set,
}
"""The classes of lists, by the class in the annotation."""
_DICTS = (dict, abc.Mapping, abc.MutableMapping)

Namespace = Mapping[str, Any]


def own_annotations(cls: type) -> dict[str, Any]:
    """Return the annotations of a class without its bases; unresolved ones are strings or ForwardRefs."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return dict(annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF))
    return inspect.get_annotations(cls)


def is_class_variable(annotation: Any) -> bool:
    """Return whether an annotation, evaluated or not, is a ClassVar."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return annotation.replace("typing.", "").startswith("ClassVar")
    return annotation is ClassVar or get_origin(annotation) is ClassVar


def converter_of(annotation: Any, names: Namespace) -> Converter:
    """Return the converter of an annotation.

    Parameters
    ----------
    names
        The namespace for strings in the annotation.

    Raises
    ------
    NameError
        For a name that is not defined yet.
    TypeError
        For an annotation that no stored value can have.
    """
    annotation = evaluated(annotation, names)
    return _converter_of(annotation, names).annotated(annotation)


def _converter_of(annotation: Any, names: Namespace) -> Converter:
    if annotation is Any or annotation is object:
        return AnyConverter()
    if annotation is None or annotation is type(None):
        return NoneConverter()
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return checked(converter_of(arguments[0], names), checks_of(arguments[1:]))
    if origin is Literal:
        return ChoiceConverter.of_literal(arguments)
    if origin is Union or origin is types.UnionType:
        return UnionConverter([converter_of(each, names) for each in arguments])
    if isinstance(annotation, typing.NewType):
        return converter_of(annotation.__supertype__, names)
    kind = origin or annotation
    if not isinstance(kind, type):
        raise TypeError(f"the annotation {annotation!r} is not supported; use Any for values of any type")
    return _of_class(kind, arguments, names, annotation)


def _of_class(kind: type, arguments: tuple[Any, ...], names: Namespace, annotation: Any) -> Converter:
    if is_index(kind):  # Beanie's `Indexed(str)`, a class derived from `str`
        return converter_of(kind.__bases__[0], names)
    check_library(kind)
    # Models and links have their own converters.
    own = getattr(kind, "_converter_of", None)
    if own is not None:
        return own([evaluated(each, names) for each in arguments])  # type: ignore[no-any-return]
    if (custom := custom_type_of(kind)) is not None:
        return CustomConverter(custom, converter_of(custom.stored, names))
    if kind in _LISTS:
        return ListConverter(_LISTS[kind], converter_of(arguments[0] if arguments else Any, names))
    if kind is tuple:
        if not arguments or arguments[-1] is ...:
            return ListConverter(tuple, converter_of(arguments[0] if arguments else Any, names))
        return TupleConverter([converter_of(each, names) for each in arguments])
    if kind in _DICTS:
        return _of_dict(arguments, names, annotation)
    if kind in PYTHON_TYPES:
        return PYTHON_TYPES[kind]()
    if issubclass(kind, enum.Flag):
        return FlagConverter(kind)
    if issubclass(kind, enum.Enum):
        return ChoiceConverter.of_enum(kind)
    if kind in _SCALARS:
        return STORED.get(kind, ScalarConverter)(kind)
    if (found := object_converter(kind, annotation, names, converter_of)) is not None:
        return found
    raise TypeError(f"the annotation {annotation!r} is not supported; use Any for values of any type")


def _of_dict(arguments: tuple[Any, ...], names: Namespace, annotation: Any) -> Converter:
    key = evaluated(arguments[0], names) if arguments else str
    while isinstance(key, typing.NewType):
        key = key.__supertype__
    item = converter_of(arguments[1] if arguments else Any, names)
    if key is str or key is Any:
        return DictConverter(item)
    if (keys := key_type(key)) is None:
        raise TypeError(
            f"the keys of {annotation!r} must be str, int, UUID, ObjectId, date, or members of an Enum or a Literal: "
            "BSON's keys are text"
        )
    return TypedKeysConverter(keys, item)


def evaluated(annotation: Any, names: Namespace) -> Any:
    """Return the annotation that a string means; any other annotation unchanged.

    Raises
    ------
    NameError
        For a name that is not defined yet.
    """
    while isinstance(annotation, (str, ForwardRef)):
        text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        # The author of the class wrote the string; typing.get_type_hints evaluates it too.
        annotation = eval(text, {}, _Names(names))
    return annotation


class _Names(dict[str, Any]):
    """Names for `eval`, of one mapping."""

    def __init__(self, names: Namespace) -> None:
        self._names = names

    def __missing__(self, name: str) -> Any:
        return self._names[name]
