"""Constraints of values: bounds, lengths, patterns, choices."""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Callable, Sized
from typing import Any, NamedTuple

from ..errors import Mismatch
from .checks import leaves
from .choice_converter import ChoiceConverter, is_same
from .containers import DictConverter, EmbeddedConverter, ListConverter, TupleConverter
from .converter import AnyConverter, Converter, ScalarConverter

_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda value, bound: value > bound,
    "ge": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "le": lambda value, bound: value <= bound,
}
_NUMBERS = ("multiple_of", "max_digits", "decimal_places", "allow_inf_nan")


class Constraints(NamedTuple):
    """The constraints of one annotation or field, under pydantic's names. None is never checked against them."""

    gt: Any = None
    ge: Any = None
    lt: Any = None
    le: Any = None
    multiple_of: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    """A regular expression that matches anywhere in the text."""
    choices: tuple[Any, ...] | None = None
    """The only values; 1, 1.0 and True are three values."""
    max_digits: int | None = None
    decimal_places: int | None = None
    allow_inf_nan: bool | None = None

    @property
    def place(self) -> int:
        """The order among changes of texts: see `TextCheck`."""
        return 1

    @classmethod
    def of(cls, options: dict[str, Any]) -> Constraints | None:
        """Return the constraints among options; None if there is none."""
        given = {name: options[name] for name in cls._fields if options.get(name) is not None}
        if isinstance(given.get("pattern"), re.Pattern):
            given["pattern"] = given["pattern"].pattern
        if "choices" in given:
            given["choices"] = tuple(given["choices"])
        return cls(**given) if given else None

    def given(self) -> dict[str, Any]:
        """Return the constraints that are set, by name."""
        return {name: value for name, value in zip(self._fields, self, strict=True) if value is not None}

    def around(self, accept: Callable[[object], Any]) -> Callable[[object], Any]:
        """Return a conversion that also checks the value."""

        def checked(value: object) -> Any:
            accepted = accept(value)
            if accepted is not None:
                self.check(accepted)
            return accepted

        return checked

    def check(self, value: Any) -> None:
        """Refuse a value that violates a constraint.

        Raises
        ------
        Mismatch
            With the constraint as the expected value.
        """
        for name, holds in _COMPARED.items():
            bound = getattr(self, name)
            if bound is None:
                continue
            try:
                held = holds(value, bound)
            except TypeError:
                held = False  # such as datetimes with and without a time zone
            # No comparison with NaN is true.
            if not held:
                raise Mismatch(f"a value {_BOUNDS[name]} {bound!r}", value)
        if self.min_length is not None or self.max_length is not None:
            self._check_length(value)
        if self.pattern is not None and re.search(self.pattern, value) is None:
            raise Mismatch(f"text that matches {self.pattern!r}", value)
        if self.choices is not None and not any(is_same(each, value) for each in self.choices):
            raise Mismatch(f"one of {', '.join(repr(each) for each in self.choices)}", value)
        if any(getattr(self, name) is not None for name in _NUMBERS):
            self._check_number(value)

    def _check_length(self, value: Sized) -> None:
        unit = "character" if isinstance(value, str) else "byte" if isinstance(value, bytes) else "item"
        length = len(value)
        for limit, word, broken in (
            (self.min_length, "at least", self.min_length is not None and length < self.min_length),
            (self.max_length, "at most", self.max_length is not None and length > self.max_length),
        ):
            if broken:
                raise Mismatch(f"{word} {limit} {unit}{'' if limit == 1 else 's'}", value, found=str(length))

    def _check_number(self, value: Any) -> None:
        # NaN and infinity are multiples of nothing, and have no digits.
        finite = math.isfinite(value)
        if not finite and (self.allow_inf_nan is False or self.multiple_of is not None):
            raise Mismatch("a finite number", value)
        if self.multiple_of is not None and not _is_multiple(value, self.multiple_of):
            raise Mismatch(f"a multiple of {self.multiple_of!r}", value)
        if finite and (self.max_digits is not None or self.decimal_places is not None):
            digits, places = _digits(decimal.Decimal(value))
            if self.max_digits is not None and digits > self.max_digits:
                raise Mismatch(f"at most {self.max_digits} digits", value)
            if self.decimal_places is not None and places > self.decimal_places:
                raise Mismatch(f"at most {self.decimal_places} decimal places", value)

    def check_fits(self, converter: Converter) -> None:
        """Refuse constraints that values of an annotation cannot have.

        Raises
        ------
        TypeError
            With the name of the constraint.
        """
        for name in self.given():
            for leaf in leaves(converter):
                if not _applies(name, leaf):
                    raise TypeError(f"the constraint {name} does not apply to {leaf.name}")
        for choice in self.choices or ():
            try:
                converter.accept(choice)
            except (Mismatch, ValueError):
                raise TypeError(f"the choice {choice!r} is no {converter.name}: choices are values") from None


def _applies(name: str, converter: Converter) -> bool:
    if isinstance(converter, AnyConverter) or name == "choices":
        return True
    sized = isinstance(converter, (ListConverter, TupleConverter, DictConverter))
    kind = converter.kind if isinstance(converter, ScalarConverter) else None
    text = isinstance(kind, type) and issubclass(kind, (str, bytes))
    if name in ("min_length", "max_length"):
        return sized or text or converter.custom
    if name == "pattern":
        return kind is str
    if sized or isinstance(converter, (EmbeddedConverter, ChoiceConverter)) or converter.links is not None:
        return False
    return kind is not bool and (name not in _NUMBERS or not text)


def _is_multiple(value: Any, step: Any) -> bool:
    if not isinstance(value, float) and not isinstance(step, float):
        return bool(value % step == 0)
    # Doubles have no exact tenths: allow an error of a billionth, as pydantic does.
    rest, limit = abs(math.remainder(float(value), float(step))), abs(float(value)) / 1e9
    return rest <= limit


def _digits(number: decimal.Decimal) -> tuple[int, int]:
    """Return the digits of a number and those behind its point."""
    _, digits, exponent = number.normalize().as_tuple()
    assert isinstance(exponent, int)
    places = max(0, -exponent)
    return max(len(digits) + max(0, exponent), places), places
