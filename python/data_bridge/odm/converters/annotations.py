"""Converters of annotations."""

from __future__ import annotations

import enum
import inspect
import sys
import types
import typing
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

from .choice_converter import ChoiceConverter
from .containers import DictConverter, ListConverter, TupleConverter
from .conversions import PythonTypeConverter
from .converter import DIRECT, AnyConverter, Converter, NoneConverter, ScalarConverter
from .stored_values import STORED
from .unions import UnionConverter

_SCALARS = {
    *DIRECT, bson.Int64, Binary, Code, DatetimeMS, DBRef, Decimal128, MaxKey, MinKey, Regex, Timestamp
}  # fmt: skip
_LISTS: dict[Any, type] = {list: list, set: set, frozenset: frozenset}

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
    if annotation is Any or annotation is object:
        return AnyConverter()
    if annotation is None or annotation is type(None):
        return NoneConverter()
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return converter_of(arguments[0], names)
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
    # Models and links have their own converters.
    own = getattr(kind, "_converter_of", None)
    if own is not None:
        return own([evaluated(each, names) for each in arguments])  # type: ignore[no-any-return]
    if kind in _LISTS:
        return ListConverter(_LISTS[kind], converter_of(arguments[0] if arguments else Any, names))
    if kind is tuple:
        if not arguments or arguments[-1] is ...:
            return ListConverter(tuple, converter_of(arguments[0] if arguments else Any, names))
        return TupleConverter([converter_of(each, names) for each in arguments])
    if kind is dict:
        if arguments and evaluated(arguments[0], names) is not str:
            raise TypeError(f"the keys of {annotation!r} must be str, as BSON's are")
        return DictConverter(converter_of(arguments[1] if arguments else Any, names))
    if kind in PythonTypeConverter.kinds:
        return PythonTypeConverter.kinds[kind]()
    if issubclass(kind, enum.Enum):
        return ChoiceConverter.of_enum(kind)
    if kind in _SCALARS:
        return STORED.get(kind, ScalarConverter)(kind)
    raise TypeError(f"the annotation {annotation!r} is not supported; use Any for values of any type")


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
