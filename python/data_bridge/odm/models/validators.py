"""Validators: methods of a model that check or change the values that a program gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from ..converters.checks import CONTEXT, FunctionCheck, ValidationInfo, run, takes_info
from ..converters.metadata import library_of

F = TypeVar("F", bound=Callable[..., Any])

_FIELD_MODES = ("after", "before", "plain", "wrap")
_MODEL_MODES = ("after", "before")


class _Mark(NamedTuple):
    """The declaration of a validator."""

    fields: tuple[str, ...] | None
    """Names of fields, `*` for all of them; None for a validator of the model."""
    mode: str
    must_exist: bool = True


def field_validator(*fields: str, mode: str = "after") -> Callable[[F], F]:
    """Validate fields by a class method of the model, in constructors and assignments.

    The method takes the value, and a `ValidationInfo` if it has one parameter more. It returns the value to use. A
    ValueError or AssertionError that it raises becomes a ValidationError. pydantic's decorator of this name works too.

    Parameters
    ----------
    fields
        Names of fields; `"*"` for all of them.
    mode
        `after` the conversion to the annotated type, or `before` it. `plain` is as `before`. A `wrap` validator also
        takes the conversion: `(value, handler)`.

    Raises
    ------
    TypeError, ValueError
        Without a field, and for an unknown mode.
    """
    if not fields or not all(isinstance(each, str) for each in fields):
        raise TypeError("field_validator takes the names of fields: @field_validator('name')")
    return _marked(_Mark(fields, _known(mode, _FIELD_MODES)))


def model_validator(*, mode: str = "after") -> Callable[[F], F]:
    """Validate instances, in constructors and before writes. pydantic's decorator of this name works too.

    Parameters
    ----------
    mode
        `after`: a method of the instance, which raises a ValueError or AssertionError, or changes the instance.
        `before`: a class method of the values that the constructor was given, which returns the values to use.

    Raises
    ------
    ValueError
        For an unknown mode.
    """
    return _marked(_Mark(None, _known(mode, _MODEL_MODES)))


def _known(mode: str, modes: tuple[str, ...]) -> str:
    if mode not in modes:
        raise ValueError(f"there is no mode {mode!r} of this validator; there are {', '.join(modes)}")
    return mode


def _marked(mark: _Mark) -> Callable[[F], F]:
    def decorate(method: Any) -> Any:
        bound = isinstance(method, (classmethod, staticmethod))
        function = method.__func__ if bound else method
        function.__dict__["_odm_validator"] = mark
        of_class = mark.fields is not None or mark.mode == "before"
        return classmethod(function) if of_class and not bound else method

    return decorate


class ModelValidators(NamedTuple):
    """The validators of a model class, those of its bases first."""

    of_fields: dict[str, list[FunctionCheck]]
    before: tuple[Callable[[Any], Any], ...]
    after: tuple[str, ...]
    """Names of methods."""

    def __bool__(self) -> bool:
        """Return whether there is a validator of the whole model."""
        return bool(self.before or self.after)

    @classmethod
    def of(cls, model: type[Any], fields: Mapping[str, Any]) -> ModelValidators:
        """Return the validators of a class.

        Raises
        ------
        TypeError
            For a validator of an unknown field, and for a model validator in a mode that models do not have.
        """
        of_fields: dict[str, list[FunctionCheck]] = {}
        before, after = [], []
        names = dict.fromkeys(name for base in reversed(model.__mro__) for name in base.__dict__)
        for name in names:
            mark = _mark_of(next(base.__dict__[name] for base in model.__mro__ if name in base.__dict__))
            if mark is None:
                continue
            if mark.fields is None:
                if mark.mode not in _MODEL_MODES:
                    raise TypeError(f"{model.__name__}.{name}: a model validator has the mode 'after' or 'before'")
                if mark.mode == "after":
                    after.append(name)
                else:
                    before.append(getattr(model, name))
                continue
            check = FunctionCheck(getattr(model, name), mark.mode)
            for field in fields if "*" in mark.fields else mark.fields:
                if field in fields:
                    of_fields.setdefault(field, []).append(check)
                elif mark.must_exist:
                    raise TypeError(f"{model.__name__}.{name} validates {field!r}, which is no field of the model")
        return cls(of_fields, tuple(before), tuple(after))

    def prepared(self, values: Any) -> Any:
        """Return the values that the `before` validators give.

        Raises
        ------
        Mismatch
            For values that one refuses.
        """
        # As with pydantic, the one that was defined last comes first.
        for validator in reversed(self.before):
            values = FunctionCheck(validator, "before").around(lambda prepared: prepared)(values)
        return values

    def check(self, instance: Any) -> None:
        """Run the `after` validators.

        Raises
        ------
        Mismatch
            For an instance that one refuses.
        """
        for name in self.after:
            method = getattr(type(instance), name)
            rest = (ValidationInfo({}, context=CONTEXT.get()),) if takes_info(method, 1) else ()
            made = run(method, instance, *rest)
            if made is not None and made is not instance:
                raise TypeError(f"{type(instance).__name__}.{name} must return the instance, or None")


def _mark_of(member: Any) -> _Mark | None:
    """Return the declaration of a class member that is a validator, of this package or of pydantic."""
    if library_of(member) == "pydantic" and (info := getattr(member, "decorator_info", None)) is not None:
        kind = type(info).__name__
        if kind == "FieldValidatorDecoratorInfo":
            return _Mark(info.fields, info.mode, info.check_fields is not False)
        return _Mark(None, info.mode) if kind == "ModelValidatorDecoratorInfo" else None
    return getattr(getattr(member, "__func__", member), "_odm_validator", None)


def is_validator(member: Any) -> bool:
    """Return whether a class member is a validator that models run."""
    return _mark_of(member) is not None
