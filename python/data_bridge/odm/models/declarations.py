"""Declarations in class bodies beside fields: private attributes, mixins, and the settings of pydantic."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any, NamedTuple

from ..converters.annotations import is_class_variable, own_annotations
from ..converters.metadata import library_of, private_default, refuse_declaration
from .field import FieldOptions
from .hooks import is_hook
from .instance_state import MISSING
from .serializers import is_serializer
from .validators import is_validator


class PrivateAttribute:
    """An attribute of instances that is neither stored nor a field: its name starts with an underscore."""

    def __init__(self, slot: Any, options: FieldOptions) -> None:
        self._slot = slot
        self._options = options

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        try:
            return self._slot.__get__(instance, owner)
        except AttributeError:
            if self._options.default_factory is not None:
                value = self._options.default_factory()
            elif self._options.default is MISSING:
                raise
            else:
                value = copy.deepcopy(self._options.default)
            # Instances of queries are made without a call of `__init__`.
            self._slot.__set__(instance, value)
            return value

    def __set__(self, instance: Any, value: object) -> None:
        self._slot.__set__(instance, value)

    def __delete__(self, instance: Any) -> None:
        self._slot.__delete__(instance)


def private_options(model: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> dict[str, FieldOptions]:
    """Take the private attributes out of a class body, and make slots of them.

    Raises
    ------
    TypeError
        For a name that models use themselves.
    """
    annotated = [name for name, each in _annotations_of(namespace).items() if not is_class_variable(each)]
    declared = [name for name, value in namespace.items() if _is_private_attr(value)]
    options = {}
    for name in dict.fromkeys([*annotated, *declared]):
        if not name.startswith("_") or name.startswith("__"):
            continue
        if any(name in each.__dict__ and not _is_private(each, name) for base in bases for each in base.__mro__):
            raise TypeError(f"{model}.{name} would hide an attribute of models: choose another name")
        value = namespace.pop(name, MISSING)
        if _is_private_attr(value):
            value = FieldOptions(**private_default(value))
        elif not isinstance(value, FieldOptions):
            value = FieldOptions(value)
        if value.alias is not None or value.checks:
            raise TypeError(
                f"{model}.{name} is a private attribute, which is not stored; for the key {name!r} write "
                f"{name.lstrip('_') or 'name'}: ... = Field(alias={name!r})"
            )
        options[name] = value
    slots = namespace.get("__slots__", ())
    namespace["__slots__"] = (*((slots,) if isinstance(slots, str) else slots), *options)
    return options


def add_private(cls: Any, options: Mapping[str, FieldOptions]) -> None:
    """Give a class its private attributes."""
    for name, each in options.items():
        type.__setattr__(cls, name, PrivateAttribute(cls.__dict__[name], each))


def _is_private(cls: type, name: str) -> bool:
    return isinstance(cls.__dict__[name], PrivateAttribute)


def _is_private_attr(value: object) -> bool:
    return library_of(value) == "pydantic" and type(value).__name__ == "ModelPrivateAttr"


def _annotations_of(namespace: dict[str, Any]) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        annotate = annotationlib.get_annotate_from_class_namespace(namespace)
        if annotate is None:
            return {}
        return annotationlib.call_annotate_function(annotate, annotationlib.Format.FORWARDREF)
    found: dict[str, Any] = namespace.get("__annotations__", {})
    return found


def mixins_of(cls: type, bases: Iterable[Any]) -> list[type]:
    """Return the classes that a model derives from and that are no models, and no bases of its models.

    Parameters
    ----------
    bases
        The models that the class derives from.
    """
    known = {each for base in bases for each in base.__mro__}
    return [each for each in reversed(cls.__mro__[1:]) if each not in known and each is not object]


def declared_in(source: type) -> dict[str, tuple[Any, Any]]:
    """Return the annotations of a class that is no model, with the defaults, by name.

    Raises
    ------
    TypeError
        For a dataclass, whose constructor would take the place of the model's.
    """
    if "__dataclass_fields__" in source.__dict__:
        raise TypeError(f"{source.__name__} is a dataclass: a model derives from it without the decorator @dataclass")
    found = {}
    for name, annotation in own_annotations(source).items():
        if is_class_variable(annotation) or name.startswith("_"):
            continue
        default = source.__dict__.get(name, MISSING)
        found[name] = (annotation, default)
    return found


def check_members(model: str, namespace: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Refuse declarations of other libraries that would have no effect.

    Raises
    ------
    TypeError
        With the form to write instead.
    """
    if isinstance(namespace.get("meta"), dict) and "meta" not in fields:
        raise TypeError(f"{model}.meta has no effect: write an inner class Settings, with name and indexes")
    if isinstance(namespace.get("Collection"), type):
        raise TypeError(f"{model}.Collection has no effect: write an inner class Settings")
    for name, value in namespace.items():
        if name not in fields and not is_validator(value) and not is_serializer(value):
            refuse_declaration(model, name, value)
    if callable(namespace.get("model_post_init")) and "model_post_init" not in fields:
        raise TypeError(
            f"{model}.model_post_init is never called, as a read calls no code for an instance: write "
            "@model_validator(), which runs in constructors and before writes, or a private attribute with a "
            "default_factory"
        )
    if _is_method(namespace.get("clean")):
        raise TypeError(
            f"{model}.clean is never called: write @model_validator(), which runs in constructors and before writes, "
            "or @before_event(Event.INSERT, Event.SAVE); a method of another meaning needs another name"
        )


def check_mixin(model: str, mixin: type, namespace: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Refuse declarations of a class that is no model where they would have no effect.

    Raises
    ------
    TypeError
        With the form to write instead.
    """
    check_members(mixin.__name__, mixin.__dict__, fields)
    if isinstance(mixin.__dict__.get("Settings"), type) and "Settings" not in namespace:
        raise TypeError(
            f"{mixin.__name__}.Settings has no effect, as the class is no model: write "
            f"class Settings({mixin.__name__}.Settings) in {model}"
        )
    config, own = mixin.__dict__.get("model_config"), namespace.get("model_config", {})
    if isinstance(config, Mapping) and not config.keys() <= own.keys():
        raise TypeError(
            f"{mixin.__name__}.model_config has no effect, as the class is no model: write "
            f"model_config = {{**{mixin.__name__}.model_config}} in {model}"
        )


def _is_method(value: object) -> bool:
    """Return whether a class member is a method without arguments that is neither a hook nor a validator."""
    if not isinstance(value, FunctionType) or is_hook(value) or is_validator(value):
        return False
    return len(inspect.signature(value).parameters) == 1


def _is(*values: object) -> Callable[[object], bool]:
    return lambda value: any(value is each or value == each for each in values)


def _is_generator(value: object) -> bool:
    return callable(value) and library_of(value) is None


_CONFIG: dict[str, tuple[Callable[[object], bool], str]] = {
    "alias_generator": (_is_generator, "write a function of the name; the alias is the one key of a value"),
    "arbitrary_types_allowed": (lambda _: True, ""),
    "extra": (_is("forbid", "ignore"), "declare the fields: undeclared keys of stored documents are kept in any case"),
    "frozen": (lambda value: isinstance(value, bool), "write True or False"),
    "from_attributes": (lambda value: isinstance(value, bool), "write True or False"),
    "json_encoders": (_is(None), "write a field_serializer"),
    "json_schema_extra": (lambda value: isinstance(value, dict), "write a dict"),
    "populate_by_name": (_is(True), "constructors take names and aliases"),
    "protected_namespaces": (lambda _: True, ""),
    "revalidate_instances": (_is("never"), "call validate()"),
    "str_strip_whitespace": (_is(False), "write Annotated[str, StringConstraints(strip_whitespace=True)]"),
    "strict": (_is(False, None), "write StrictInt, StrictStr or Annotated[..., Strict()] for the fields"),
    "title": (lambda value: isinstance(value, str), "write a text"),
    "use_enum_values": (_is(False), "read the attribute `value` of a member"),
    "validate_assignment": (_is(True), "assignments are checked"),
    "validate_by_alias": (_is(True), "constructors take names and aliases"),
    "validate_by_name": (_is(True), "constructors take names and aliases"),
    "validate_default": (lambda _: True, ""),
}
"""Settings of pydantic that models honour: the values that they have here, and the advice for another value."""


class ModelConfig(NamedTuple):
    """The settings that a model states as pydantic's `model_config`."""

    extra: str = "forbid"
    frozen: bool = False
    from_attributes: bool = False
    """Values may be objects with the attributes of fields."""
    alias_generator: Callable[[str], str] | None = None
    """Makes the keys of fields that state none."""
    title: str | None = None
    json_schema_extra: Mapping[str, Any] | None = None

    def alias_of(self, name: str) -> str | None:
        """Return the key of a field that states none; None for its name."""
        return None if self.alias_generator is None else self.alias_generator(name)

    @classmethod
    def of(cls, model: str, namespace: Mapping[str, Any], inherited: ModelConfig | None) -> ModelConfig:
        """Return the settings of a class.

        Raises
        ------
        TypeError
            For a setting that models do not have.
        """
        if isinstance(namespace.get("Config"), type):
            raise TypeError(f"{model}.Config has no effect: write model_config = {{...}}")
        stated = namespace.get("model_config", {})
        for name, value in stated.items():
            accepted, advice = _CONFIG.get(name, (None, "the package's own settings are those of class Settings"))
            if accepted is None or not accepted(value):
                raise TypeError(f"{model}.model_config: {name}={value!r} is not supported: {advice}")
        own = {name: value for name, value in stated.items() if name in cls._fields}
        return (inherited or cls())._replace(**{"title": None, **own})
