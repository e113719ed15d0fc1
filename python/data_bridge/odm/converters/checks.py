"""Checks of the values that a program gives: constraints and validators around the conversion of an annotation.

Stored values are not checked when they are read, so reading costs the same with and without checks: the native
converter and `load` are those of the annotation.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from ..._core import NativeConverter
from ..errors import Mismatch
from .converter import Converter, NoneConverter

Accept = Callable[[object], Any]


class Check(Protocol):
    """A constraint or validator."""

    def around(self, accept: Accept, /) -> Accept:
        """Return a conversion that also checks the value."""


class ValidationInfo(NamedTuple):
    """The second argument of a validator, with pydantic's names."""

    data: Mapping[str, Any]
    """The values of the other fields: of those before it in the constructor, of all in an assignment."""
    field_name: str | None = None
    mode: str = "python"
    context: Any = None
    config: Any = None


CONTEXT: ContextVar[Any] = ContextVar("context", default=None)
"""The `context` of the `model_validate` that runs."""


class FunctionCheck(NamedTuple):
    """A validator: a function of the value, and of a ValidationInfo if it takes one.

    It returns the value to use. A ValueError or AssertionError that it raises is the error of the value.
    """

    function: Callable[..., Any]
    mode: str
    """`after` the conversion to the annotated type, `before` it, `plain` in place of it, or `wrap`: around it."""

    @property
    def takes_info(self) -> bool:
        """The function takes a ValidationInfo."""
        return takes_info(self.function, 2 if self.mode == "wrap" else 1)

    def around(self, accept: Accept, info: ValidationInfo | None = None) -> Accept:
        """Return a conversion that also validates the value."""
        takes_info = self.takes_info

        def validated(value: object) -> Any:
            rest = ((info or ValidationInfo({}))._replace(context=CONTEXT.get()),) if takes_info else ()
            if self.mode == "after":
                return run(self.function, accept(value), *rest)
            if self.mode == "wrap":
                return run(self.function, value, accept, *rest)
            return accept(run(self.function, value, *rest))

        return validated


class TextCheck(FunctionCheck):
    """A change of a text, at its place among the constraints: pydantic strips, checks, then changes the case."""

    @property
    def place(self) -> int:
        """The order among constraints, which have the place 1."""
        return 0 if self.function is stripped else 2


def _of_text(change: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: change(value) if isinstance(value, str) else value


stripped, upper, lower = _of_text(str.strip), _of_text(str.upper), _of_text(str.lower)


def ordered(checks: Iterable[Check]) -> list[Check]:
    """Return checks in the order of pydantic, which has one place for each constraint of a text, between validators."""
    result: list[Check] = []
    group: list[Check] = []
    for check in checks:
        if hasattr(check, "place"):
            group.append(check)
        else:
            result += [*_sorted(group), check]
            group = []
    return [*result, *_sorted(group)]


def _sorted(group: list[Any]) -> list[Any]:
    return sorted(group, key=lambda check: check.place)


@lru_cache(maxsize=512)
def takes_info(function: Callable[..., Any], own: int) -> bool:
    """Return whether a function takes an argument more than its `own` ones."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a function of C without a signature, such as `str.strip`
        return False
    required = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) and each.default is each.empty
    ]
    return len(required) > own


def run(function: Callable[..., Any], *arguments: object) -> Any:
    """Call a validator.

    Raises
    ------
    Mismatch
        With the text of the ValueError or AssertionError that it raised.
    """
    try:
        return function(*arguments)
    except Mismatch:
        raise
    except (ValueError, AssertionError) as error:
        raise Mismatch("a valid value", arguments[0], reason=str(error) or type(error).__name__) from error


class Strict(NamedTuple):
    """No conversion, also in bodies: the conversions of the types that may have it are exact."""

    strict: bool = True

    def around(self, accept: Accept) -> Accept:
        return accept

    def check_fits(self, converter: Converter) -> None:
        """Refuse annotations whose values are converted.

        Raises
        ------
        TypeError
            With the form to write instead.
        """
        for leaf in leaves(converter):
            if getattr(leaf, "kind", None) not in _EXACT:
                raise TypeError(
                    f"strict=True is for str, int, float, bool, bytes and UUID, got {leaf.name}: write "
                    "it for the items, or a BeforeValidator that checks the type"
                )


_EXACT = frozenset({str, int, float, bool, bytes, UUID})
"""Types that JSON has itself, or whose text pydantic takes in JSON within a validator too."""


def leaves(converter: Converter) -> Iterable[Converter]:
    """Yield the members of a union but None, or the converter itself."""
    members = getattr(converter, "members", None)
    if members is None:
        yield converter
        return
    for each in members:
        if not isinstance(each, NoneConverter):
            yield from leaves(each)


class Discriminated(NamedTuple):
    """The field that tells the models of a union apart, for schemas; a union finds the model without it too."""

    key: str

    def around(self, accept: Accept) -> Accept:
        return accept

    def check_fits(self, converter: Converter) -> None:
        """Refuse another annotation than a union of models, and a field that does not tell them apart.

        Raises
        ------
        TypeError
            With the form to write instead.
        """
        check = getattr(converter, "check_discriminator", None)
        if check is None:
            raise TypeError(f"discriminator={self.key!r} is for a union of models, got {converter.name}")
        check(self.key)


class CheckedConverter(Converter):
    """The part of converters with checks: `checked` makes a converter an instance of this class and of its own."""

    plain: Converter
    """The converter without the checks."""
    checks: tuple[Check, ...]
    _accept: Accept

    def accept(self, value: object) -> Any:
        return self._accept(value)

    def surround(self, plain: Converter, checks: tuple[Check, ...]) -> None:
        """Put checks around the conversion of a converter."""
        self.plain, self.checks, self._accept = plain, checks, plain.accept
        for check in checks:
            self._accept = check.around(self._accept)

    # Filters, comparisons with stored values and reads do not check.

    def load(self, stored: object, place: object) -> Any:
        return self.plain.load(stored, place)

    def native(self) -> NativeConverter | None:
        return self.plain.native()

    def dump(self, value: object) -> Any:
        return self.plain.dump(value)

    def operand(self, value: object) -> Any:
        return self.plain.operand(value)

    def unchecked(self) -> Converter:
        return self.plain.unchecked()

    def for_field(self, field: object) -> Converter:
        return checked(self.plain.for_field(field), self.checks).annotated(self.annotation)


def checked(converter: Converter, checks: Iterable[Check]) -> Converter:
    """Return a converter that also checks the values that it accepts.

    Raises
    ------
    TypeError
        For a constraint that values of the annotation cannot have.
    """
    checks = tuple(checks)
    if not checks:
        return converter
    for check in checks:
        if (fits := getattr(check, "check_fits", None)) is not None:
            fits(converter)
    if isinstance(converter, CheckedConverter):
        checks = tuple(ordered((*converter.checks, *checks)))
        converter = converter.plain
    made = copy.copy(converter)
    kind = type(converter)
    if kind not in _classes:
        _classes[kind] = type(f"Checked{kind.__name__}", (CheckedConverter, kind), {})
    made.__class__ = _classes[kind]
    made.surround(converter, checks)  # type: ignore[attr-defined]
    return made


_classes: dict[type[Converter], type[Converter]] = {}
"""Classes of converters with checks, by those without."""


PASSIVE: tuple[type[Any], ...] = (Discriminated, Strict)
"""Checks that are for schemas: the conversion of the annotation refuses the same values."""


def has_checks(converter: Converter, seen: frozenset[Any] = frozenset()) -> bool:
    """Return whether a value, or one below it, has checks.

    Parameters
    ----------
    seen
        The models above, which may contain themselves.
    """
    if isinstance(converter, CheckedConverter):
        if not all(isinstance(each, PASSIVE) for each in converter.checks):
            return True
        converter = converter.plain
    if converter.model is not None and converter.links is None:
        info = converter.model.__odm__
        # In a tree, the class may be one that is not defined yet.
        if info.in_tree or info.model_validators:
            return True
        if info not in seen:
            seen = seen | {info}
            return any(each.validators or has_checks(each.converter, seen) for each in info.fields.values())
    return any(has_checks(each, seen) for each in converter.parts())
