"""Serializers and computed fields of pydantic: members of a model that shape its dumps, never what is stored."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..converters.checks import takes_info
from ..converters.metadata import is_undefined, library_of


class SerializationInfo(NamedTuple):
    """The last argument of a serializer, with pydantic's names."""

    mode: str
    by_alias: bool
    exclude_unset: bool
    exclude_defaults: bool
    exclude_none: bool
    field_name: str | None = None
    include: Any = None
    exclude: Any = None
    context: Any = None
    round_trip: bool = False
    exclude_computed_fields: bool = False
    serialize_as_any: bool = False

    def mode_is_json(self) -> bool:
        """Return whether the values are those of JSON."""
        return self.mode == "json"


class Serializer(NamedTuple):
    """A method that returns the value to dump: of a field, or of the whole instance."""

    function: Callable[..., Any]
    takes_self: bool
    wraps: bool
    """It takes the usual dump as an argument."""
    takes_info: bool
    when_used: str
    returns: Any
    """The annotation of its result, for JSON schemas; Any if it has none."""

    def applies(self, value: object, *, json: bool) -> bool:
        """Return whether it is used for a value."""
        if self.when_used.startswith("json") and not json:
            return False
        return value is not None or not self.when_used.endswith("unless-none")

    def run(self, instance: Any, values: list[Any], dump: Callable[[Any], Any], info: SerializationInfo) -> Any:
        """Return its result; `values` is the value of a field, or empty for a whole instance."""
        own = [instance] if self.takes_self else []
        return self.function(*own, *values, *([dump] if self.wraps else []), *([info] if self.takes_info else []))


class ComputedField(NamedTuple):
    """A property that dumps contain."""

    alias: str | None
    returns: Any
    described: Mapping[str, Any]
    """Keywords of the JSON schema."""


class ModelSerializers(NamedTuple):
    """The serializers and computed fields of a model class, with those of its bases."""

    of_fields: Mapping[str, Serializer]
    of_model: Serializer | None
    computed: Mapping[str, ComputedField]

    @classmethod
    def of(cls, model: type[Any], fields: Mapping[str, Any]) -> ModelSerializers:
        """Return the serializers of a class.

        Raises
        ------
        TypeError
            For a serializer of an unknown field, and for a computed field that models do not support.
        """
        of_model = None
        computed: dict[str, ComputedField] = {}
        of_fields: dict[str, Serializer] = {}
        named: list[tuple[str, Any, Any]] = []
        for name, member, info in _members(model):
            kind = type(info).__name__
            if kind == "ComputedFieldInfo":
                alias = info.alias or model.__odm__.config.alias_of(name)
                computed[name] = _computed(f"{model.__name__}.{name}", member, info, alias)
            elif kind == "ModelSerializerDecoratorInfo":
                of_model = _serializer(getattr(model, name), info, 0)
            else:
                named.append((name, member, info))
        for name, _, info in named:
            serializer = _serializer(getattr(model, name), info, 1)
            for field in [*fields, *computed] if "*" in info.fields else info.fields:
                if field in fields or field in computed:
                    of_fields[field] = serializer
                elif info.check_fields is not False:
                    raise TypeError(f"{model.__name__}.{name} serializes {field!r}, which is no field of the model")
        return cls(of_fields, of_model, computed)


NONE = ModelSerializers({}, None, {})
"""Those of a model without any."""

_KINDS = frozenset({"ComputedFieldInfo", "FieldSerializerDecoratorInfo", "ModelSerializerDecoratorInfo"})


def is_serializer(member: Any) -> bool:
    """Return whether a class member is a serializer or a computed field of pydantic."""
    return library_of(member) == "pydantic" and type(getattr(member, "decorator_info", None)).__name__ in _KINDS


def _members(model: type[Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the serializers and computed fields of a class, those of its bases first."""
    for name in dict.fromkeys(name for base in reversed(model.__mro__) for name in base.__dict__):
        member = next(base.__dict__[name] for base in model.__mro__ if name in base.__dict__)
        if is_serializer(member):
            yield name, member.wrapped, member.decorator_info


def _serializer(function: Callable[..., Any], info: Any, values: int) -> Serializer:
    # As in pydantic, the name of the first parameter makes a serializer of a field one of the instance.
    takes_self = values == 0 or next(iter(inspect.signature(function).parameters), None) == "self"
    wraps = info.mode == "wrap"
    own = takes_self + values + wraps
    return Serializer(function, takes_self, wraps, takes_info(function, own), info.when_used, _returned(function, info))


def _computed(place: str, member: Any, info: Any, alias: str | None) -> ComputedField:
    if not isinstance(member, property):
        raise TypeError(f"{place}: a computed_field must be a @property, as instances keep no other values")
    if member.fset is not None or getattr(info, "exclude_if", None) is not None:
        raise TypeError(f"{place}: a computed_field takes no setter and no exclude_if: write a property and a method")
    described = {"readOnly": True}
    for name in ("title", "description", "examples"):
        if getattr(info, name) is not None:
            described[name] = getattr(info, name)
    if isinstance(info.json_schema_extra, dict):
        described.update(info.json_schema_extra)
    return ComputedField(alias, _returned(member.fget, info), described)


def _returned(function: Any, info: Any) -> Any:
    """Return the annotation of a result; Any for none, and for one that names an unknown class."""
    if not is_undefined(info.return_type):
        return info.return_type
    try:
        return typing.get_type_hints(function, include_extras=True).get("return", Any)
    except (NameError, TypeError):
        return Any
