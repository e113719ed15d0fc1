"""Declarations of other libraries in annotations and class bodies: honoured, or refused with the form to write instead.

The libraries are recognised by the names of their modules, so none of them is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from .checks import Check, Discriminated, FunctionCheck, Strict, TextCheck, lower, ordered, stripped, upper
from .constraints import Constraints

LIBRARIES = frozenset(
    {"annotated_types", "attr", "attrs", "beanie", "mongoengine", "msgspec", "odmantic", "pydantic", "pydantic_core"}
)
"""Packages whose declarations have a meaning that must not be lost."""

_VALIDATORS = {
    "AfterValidator": "after",
    "BeforeValidator": "before",
    "PlainValidator": "plain",
    "WrapValidator": "wrap",
}
_DECLARATIONS = frozenset({"Field", "FieldInfo", "ModelPrivateAttr", "_CountingAttr"})
_WITHOUT_EFFECT = frozenset({"DocInfo", "Unit"})
"""Metadata that states nothing about values."""
_TEXT: dict[str, Callable[[Any], Any]] = {"strip_whitespace": stripped, "to_upper": upper, "to_lower": lower}
_ADVICE = {
    "coerce_numbers_to_str": "write a BeforeValidator that makes a text of a number",
    "fail_fast": "remove it: a list has one error for each call",
    "union_mode": "remove it: the first member that fits exactly is used, else the first that fits",
}
_REFUSED_OPTIONS = {
    "exclude_if": "write a property, or leave the value out in model_dump(exclude=...)",
    "field_title_generator": "write title=...",
    "init": "it belongs to dataclasses",
    "init_var": "it belongs to dataclasses",
    "kw_only": "it belongs to dataclasses",
}


def library_of(value: object) -> str | None:
    """Return the library that a declaration belongs to; None for all other objects."""
    root = type(value).__module__.partition(".")[0]
    return root if root in LIBRARIES else None


def is_pydantic_field(value: object) -> bool:
    """Return whether a value is that of pydantic's `Field(...)`."""
    return library_of(value) == "pydantic" and type(value).__name__ == "FieldInfo"


def is_declaration(value: object) -> bool:
    """Return whether a value declares a field of another library."""
    root, name = type(value).__module__.partition(".")[0], type(value).__name__
    if root in ("mongoengine", "odmantic"):
        return True
    return (root == "dataclasses" or root in LIBRARIES) and name in _DECLARATIONS


def is_index(value: object) -> bool:
    """Return whether a value is that of Beanie's `Indexed(...)`."""
    return isinstance(getattr(value, "_indexed", None), tuple)


def check_library(kind: type) -> None:
    """Refuse the links of Beanie, whose documents are not those of this package.

    Raises
    ------
    TypeError
        With the class to import instead.
    """
    if kind.__module__.partition(".")[0] == "beanie" and kind.__name__ in ("Link", "BackLink"):
        raise TypeError(
            f"beanie.{kind.__name__} leads to documents of Beanie: import {kind.__name__} from data_bridge.odm"
        )


def checks_of(metadata: Iterable[Any]) -> list[Check]:
    """Return the checks in the metadata of an annotation.

    Raises
    ------
    TypeError
        For metadata of another library that models do not support.
    """
    checks: list[Check] = []
    for each in metadata:
        own = getattr(each, "checks", None)
        if isinstance(own, tuple):  # the `Field(...)` of this package
            checks += own
        elif is_pydantic_field(each):
            checks += [*checks_of(each.metadata), *_discriminators(each.discriminator)]
        elif not is_index(each) and library_of(each) is not None:
            checks += _checks_of_library(each)
    return _merged(ordered(checks))


def _checks_of_library(each: Any) -> list[Check]:
    name = type(each).__name__
    if name in _VALIDATORS:
        return [FunctionCheck(each.func, _VALIDATORS[name])]
    if name == "Predicate":
        return [FunctionCheck(_predicate(each.func), "after")]
    if name == "UuidVersion":
        return [FunctionCheck(partial(_of_version, each.uuid_version), "after")]
    if name in _WITHOUT_EFFECT:
        return []
    if name == "Discriminator":
        return _discriminators(each)
    if name == "Strict":
        return [Strict()] if each.strict else []
    if name == "FailFast" and each.fail_fast:
        raise TypeError(f"fail_fast=True is not supported: {_ADVICE['fail_fast']}")
    if name == "FailFast":
        return []
    options = _options(each)
    if options is None:
        if isinstance(each, Iterable):  # a group, such as Interval and Len
            return checks_of(each)
        raise TypeError(
            f"{each!r} in Annotated is not supported: write a constraint of Field(...), a field_validator, a "
            "field_serializer, or register_type(...) for a type with its own form in BSON"
        )
    checks: list[Check] = [TextCheck(_TEXT[key], "after") for key in _TEXT if options.get(key)]
    if options.get("strict"):
        checks.append(Strict())
    unknown = {key for key, value in options.items() if value not in (None, False)}
    unknown -= {*_TEXT, *Constraints._fields, "strict"}
    if options.get("union_mode") == "smart":
        unknown.remove("union_mode")
    for key in unknown & _ADVICE.keys():
        raise TypeError(f"{key}={options[key]!r} is not supported: {_ADVICE[key]}")
    if unknown:
        raise TypeError(f"{', '.join(sorted(unknown))} in {each!r} is not supported: write a field_validator")
    constraints = Constraints.of(options)
    return checks if constraints is None else [*checks, constraints]


def _discriminators(discriminator: Any) -> list[Check]:
    """Return the check of pydantic's `discriminator`, a name or a Discriminator; an empty list for None."""
    key = getattr(discriminator, "discriminator", discriminator)
    if key is None:
        return []
    if not isinstance(key, str):
        raise TypeError(
            "a discriminator that is a function is not supported: give each model a field with a Literal of its own, "
            "and write its name"
        )
    return [Discriminated(key)]


def _options(each: Any) -> dict[str, Any] | None:
    """Return the constraints that metadata states; None for an object of another kind."""
    if type(each).__name__ == "StringConstraints":
        return {name: getattr(each, name) for name in type(each).__dataclass_fields__}
    found = {name: getattr(each, name) for name in Constraints._fields if hasattr(each, name)}
    if type(each).__name__ == "_PydanticGeneralMetadata":
        found.update(each.__dict__)
    # A group also has the names of its parts.
    grouped = isinstance(each, Iterable)
    return found if found and not grouped else None


def _merged(checks: list[Check]) -> list[Check]:
    """Return checks with neighbouring constraints as one."""
    merged: list[Check] = []
    for each in checks:
        before = merged[-1] if merged else None
        if isinstance(each, Constraints) and isinstance(before, Constraints):
            both = before.given().keys() & each.given().keys()
            if not both:
                merged[-1] = before._replace(**each.given())
                continue
        merged.append(each)
    return merged


def _of_version(version: int, value: Any) -> Any:
    if value.version != version:
        raise ValueError(f"UUID of version {version} expected")
    return value


def _predicate(function: Callable[[Any], bool]) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if not function(value):
            raise ValueError(f"{getattr(function, '__name__', function)!s} does not hold")
        return value

    return checked


def pydantic_options(field: Any) -> dict[str, Any]:
    """Return the arguments of this package's `Field` that mean the same as pydantic's `Field(...)`.

    Raises
    ------
    TypeError
        For an argument that models do not support.
    """
    for name, advice in _REFUSED_OPTIONS.items():
        if getattr(field, name, None) not in (None, False):
            raise TypeError(f"Field({name}=...) is not supported: {advice}")
    for name in ("validation_alias", "serialization_alias"):
        if getattr(field, name, None) not in (None, field.alias):
            raise TypeError(f"Field({name}=...) is not supported: the alias is the one key of a value; write alias=...")
    extra = field.json_schema_extra
    if callable(extra):
        raise TypeError("Field(json_schema_extra=...) takes a dict here")
    if field.deprecated:
        extra = {**(extra or {}), "deprecated": True}
    options = {
        name: getattr(field, name)
        for name in ("default_factory", "alias", "description", "title", "examples", "exclude", "frozen")
        if getattr(field, name) is not None
    }
    if not is_undefined(field.default):
        options["default"] = field.default
    if extra and extra.get("hidden"):
        raise TypeError("Field(json_schema_extra={'hidden': True}) is not supported: write exclude=True")
    if extra and "original_field" in extra:  # of a BackLink, in Beanie's form
        extra = dict(extra)
        options["original_field"] = extra.pop("original_field")
    if extra:
        options["json_schema_extra"] = extra
    if not field.repr:
        options["repr"] = False
    return options


def is_undefined(default: object) -> bool:
    """Return whether a value means that there is none."""
    return default is ... or type(default).__name__ == "PydanticUndefinedType"


def private_default(value: Any) -> dict[str, Any]:
    """Return the arguments of `Field` that mean the same as pydantic's `PrivateAttr(...)`."""
    if value.default_factory is not None:
        return {"default_factory": value.default_factory}
    return {} if is_undefined(value.default) else {"default": value.default}


def refuse_declaration(model: str, name: str, value: object) -> None:
    """Refuse a declaration in a class body that would have no effect.

    Raises
    ------
    TypeError
        With the form to write instead.
    """
    place, library = f"{model}.{name}", library_of(value)
    if is_declaration(value):
        raise TypeError(f"{place} = {type(value).__name__}(...) needs an annotation: {name}: ... = Field(...)")
    if library == "pydantic" and (info := getattr(value, "decorator_info", None)) is not None:
        decorator = _DECORATORS.get(type(info).__name__, type(info).__name__)
        raise TypeError(f"{place}: {decorator} is not supported; {_DECORATOR_ADVICE.get(decorator, 'remove it')}")
    if getattr(value, "has_action", False) and hasattr(value, "event_types"):
        raise TypeError(f"{place} is a hook of Beanie: import before_event and after_event from data_bridge.odm")


_DECORATORS = {
    "RootValidatorDecoratorInfo": "root_validator",
    "ValidatorDecoratorInfo": "validator",
}
_DECORATOR_ADVICE = {
    "root_validator": "write model_validator",
    "validator": "write field_validator",
}
