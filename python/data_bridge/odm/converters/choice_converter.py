"""Converters of choices: Literal and Enum."""

from __future__ import annotations

import enum
from typing import Any

from ..._core import NativeConverter
from .converter import Converter


class ChoiceConverter(Converter):
    """A choice of values: Literal, or the values of an Enum. 1, 1.0 and True are three values."""

    def __init__(self, name: str, members: list[tuple[Any, Any]]) -> None:
        self.name = name
        self._stored = members

    @classmethod
    def of_enum(cls, kind: type[enum.Enum]) -> ChoiceConverter:
        return cls(f"{kind.__name__} ({_options(each.value for each in kind)})", [(each.value, each) for each in kind])

    @classmethod
    def of_literal(cls, values: tuple[Any, ...]) -> ChoiceConverter:
        pairs = [(each.value if isinstance(each, enum.Enum) else each, each) for each in values]
        return cls(f"one of {_options(values)}", pairs)

    @property
    def stored(self) -> list[Any]:
        """The choices as they are stored."""
        return [known for known, _ in self._stored]

    def load(self, stored: object, place: object) -> Any:
        for known, member in self._stored:
            if is_same(known, stored):
                return member
        raise self.fail(stored)

    def native(self) -> NativeConverter | None:
        return NativeConverter.choice(self._stored)

    def accept(self, value: object) -> Any:
        for _, member in self._stored:
            if value is member:
                return member
        return self.load(value, None)

    def dump(self, value: object) -> Any:
        member = self.accept(value)
        return next(known for known, each in self._stored if each is member)

    def exact(self, value: object) -> bool:
        return any(value is member or is_same(known, value) for known, member in self._stored)


def is_same(known: object, value: object) -> bool:
    """Return whether a value is a choice: 1, 1.0 and True are three values."""
    if isinstance(known, (bool, float)) or isinstance(value, (bool, float)):
        return type(known) is type(value) and known == value
    return bool(known == value)


def _options(values: Any) -> str:
    return ", ".join(repr(each) for each in values)


class FlagConverter(Converter):
    """An enum.Flag or IntFlag: the int of its members, which combine."""

    def __init__(self, kind: type[enum.Flag]) -> None:
        self.kind = kind
        self.name = f"{kind.__name__} ({_options(each.value for each in kind)} and their combinations)"

    def load(self, stored: object, place: object) -> enum.Flag:
        if isinstance(stored, self.kind):
            return stored
        if not isinstance(stored, int) or isinstance(stored, bool):
            raise self.fail(stored)
        try:
            made = self.kind(int(stored))
        except ValueError:
            raise self.fail(stored) from None
        # An IntFlag keeps bits without a member as a plain int.
        if not isinstance(made, self.kind):
            raise self.fail(stored)
        return made

    def accept(self, value: object) -> enum.Flag:
        return self.load(value, None)

    def dump(self, value: object) -> int:
        return int(self.accept(value).value)

    def exact(self, value: object) -> bool:
        return isinstance(value, self.kind)
