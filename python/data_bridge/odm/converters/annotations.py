"""From annotations to plans."""

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

from .choice_converter import ChoicePlan
from .containers import DictPlan, ListPlan, TuplePlan
from .conversions import ConvertedPlan
from .converter import DIRECT, AnyPlan, NonePlan, Plan, ScalarPlan
from .stored_values import STORED
from .unions import UnionPlan

_SCALARS = {
    *DIRECT, bson.Int64, Binary, Code, DatetimeMS, DBRef, Decimal128, MaxKey, MinKey, Regex, Timestamp
}  # fmt: skip
_LISTS: dict[Any, type] = {list: list, set: set, frozenset: frozenset}

Namespace = Mapping[str, Any]


def own_annotations(cls: type) -> dict[str, Any]:
    """The annotations of one class, not of its bases; what cannot be resolved yet is a string or ForwardRef."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return dict(annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF))
    return inspect.get_annotations(cls)


def is_class_variable(annotation: Any) -> bool:
    """Whether it is a ClassVar, in whatever form annotations come."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return annotation.replace("typing.", "").startswith("ClassVar")
    return annotation is ClassVar or get_origin(annotation) is ClassVar


def plan_of(annotation: Any, names: Namespace) -> Plan:
    """The plan of an annotation.

    Parameters
    ----------
    names
        What strings in it are evaluated with.

    Raises
    ------
    NameError
        For a name that is not there (yet).
    TypeError
        For an annotation that no stored value could have.
    """
    annotation = evaluated(annotation, names)
    if annotation is Any or annotation is object:
        return AnyPlan()
    if annotation is None or annotation is type(None):
        return NonePlan()
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return plan_of(arguments[0], names)
    if origin is Literal:
        return ChoicePlan.of_literal(arguments)
    if origin is Union or origin is types.UnionType:
        return UnionPlan([plan_of(each, names) for each in arguments])
    if isinstance(annotation, typing.NewType):
        return plan_of(annotation.__supertype__, names)
    kind = origin or annotation
    if not isinstance(kind, type):
        raise TypeError(f"the annotation {annotation!r} is not supported; use Any for values of any type")
    return _of_class(kind, arguments, names, annotation)


def _of_class(kind: type, arguments: tuple[Any, ...], names: Namespace, annotation: Any) -> Plan:
    # A class may bring its own plan: models, links.
    own = getattr(kind, "_plan_of", None)
    if own is not None:
        return own([evaluated(each, names) for each in arguments])  # type: ignore[no-any-return]
    if kind in _LISTS:
        return ListPlan(_LISTS[kind], plan_of(arguments[0] if arguments else Any, names))
    if kind is tuple:
        if not arguments or arguments[-1] is ...:
            return ListPlan(tuple, plan_of(arguments[0] if arguments else Any, names))
        return TuplePlan([plan_of(each, names) for each in arguments])
    if kind is dict:
        if arguments and evaluated(arguments[0], names) is not str:
            raise TypeError(f"the keys of {annotation!r} must be str, as BSON's are")
        return DictPlan(plan_of(arguments[1] if arguments else Any, names))
    if kind in ConvertedPlan.kinds:
        return ConvertedPlan.kinds[kind]()
    if issubclass(kind, enum.Enum):
        return ChoicePlan.of_enum(kind)
    if kind in _SCALARS:
        return STORED.get(kind, ScalarPlan)(kind)
    raise TypeError(f"the annotation {annotation!r} is not supported; use Any for values of any type")


def evaluated(annotation: Any, names: Namespace) -> Any:
    """The annotation that a string stands for; any other as it is.

    Raises
    ------
    NameError
        For a name that is not there (yet).
    """
    while isinstance(annotation, (str, ForwardRef)):
        text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        # What annotations are for: the class statement's author wrote it, as typing.get_type_hints trusts too.
        annotation = eval(text, {}, _Names(names))
    return annotation


class _Names(dict[str, Any]):
    """Names for `eval`, of one mapping."""

    def __init__(self, names: Namespace) -> None:
        self._names = names

    def __missing__(self, name: str) -> Any:
        return self._names[name]
