"""Dicts whose keys are not str: BSON's keys are text, so each key has one text."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args, get_origin

from bson.objectid import ObjectId

from ..._core import Document
from ..errors import Mismatch
from .containers import DictConverter
from .converter import Converter


class KeyType(NamedTuple):
    """The keys of one type."""

    name: str
    """The annotation, for messages."""
    text: Callable[[Any], str]
    """Return the text of a key; raises ValueError or TypeError for another value."""
    parse: Callable[[str], Any]
    """Return the key of a text; raises ValueError for another text."""


class TypedKeysConverter(DictConverter):
    """dict[K, T] of keys that are int, UUID, ObjectId, date, or members of an Enum or a Literal: a document."""

    def __init__(self, keys: KeyType, item: Converter) -> None:
        super().__init__(item)
        self.keys = keys
        self.name = f"dict[{keys.name}, {item.name}]"

    def key(self, step: object) -> str:
        return self._of_key(self._known(step))

    def load(self, stored: object, place: object) -> dict[Any, Any]:
        if not isinstance(stored, Document):
            raise self.fail(stored)
        loaded: dict[Any, Any] = {}
        for key, each in stored.items():
            try:
                parsed = self._parsed(key)
                loaded[parsed] = self.item.load(each, (place, key) if self.deep else None)
            except Mismatch as mismatch:
                raise mismatch.under(key) from None
        return loaded

    def native(self) -> None:  # type: ignore[override]
        return None

    def accept(self, value: object) -> Any:
        if not isinstance(value, Mapping):
            raise self.fail(value)
        accepted: dict[Any, Any] = {}
        for key, each in value.items():
            known = self.accept_key(key)
            try:
                accepted[known] = self.item.accept(each)
            except Mismatch as mismatch:
                raise mismatch.under(self._of_key(known)) from None
        same = type(value) is dict and all(key in value and value[key] is each for key, each in accepted.items())
        return value if same else accepted

    def dump(self, value: object) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise self.fail(value)
        return super().dump({self._of_key(key): each for key, each in value.items()})

    def accept_key(self, key: object) -> Any:
        """Return a key, which may be given as its text.

        Raises
        ------
        Mismatch
            For another value.
        """
        known = self._known(key)
        self._of_key(known)
        return known

    def _known(self, key: object) -> Any:
        """Return the key; JSON and raw documents have its text."""
        return self._parsed(key) if isinstance(key, str) and self._text(key) is None else key

    def _of_key(self, key: object) -> str:
        text = self._text(key)
        if text is None:
            raise Mismatch(f"a key that is {self.keys.name}", key)
        return text

    def _text(self, key: object) -> str | None:
        try:
            return self.keys.text(key)
        except (TypeError, ValueError):
            return None

    def _parsed(self, text: str) -> Any:
        try:
            key = self.keys.parse(text)
        except ValueError:
            key = None
        # Two texts of one key, such as "1" and "01", would be one entry.
        if key is None or self._text(key) != text:
            raise Mismatch(f"a key that is {self.keys.name}", text)
        return key


def _text_of(kind: type, text: Callable[[Any], str]) -> Callable[[Any], str]:
    def checked(key: object) -> str:
        if type(key) is not kind:
            raise TypeError(key)
        return text(key)

    return checked


_TYPES: dict[Any, KeyType] = {
    int: KeyType("int", _text_of(int, str), int),
    uuid.UUID: KeyType("UUID", _text_of(uuid.UUID, str), uuid.UUID),
    dt.date: KeyType("date", _text_of(dt.date, dt.date.isoformat), dt.date.fromisoformat),
    ObjectId: KeyType("ObjectId", _text_of(ObjectId, str), lambda text: ObjectId(text) if len(text) == 24 else None),
}


def key_type(annotation: Any) -> KeyType | None:
    """Return the keys of an annotation that is not str; None for keys that no text stands for."""
    if get_origin(annotation) is Literal:
        return _choices(str(annotation).replace("typing.", ""), [(each, each) for each in get_args(annotation)])
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _choices(annotation.__name__, [(each.value, each) for each in annotation])
    return _TYPES.get(annotation)


def _choices(name: str, pairs: list[tuple[Any, Any]]) -> KeyType | None:
    values = [getattr(value, "value", value) for value, _ in pairs]
    if not all(isinstance(value, (str, int)) for value in values):
        return None
    members = {str(value): member for value, (_, member) in zip(values, pairs, strict=True)}
    if len(members) < len(pairs):
        return None

    def text(key: object) -> str:
        # Members only: a str that equals a member is the text of it.
        return next(text for text, member in members.items() if member is key or _is_literal(member, key))

    def checked(key: object) -> str:
        try:
            return text(key)
        except StopIteration:
            raise ValueError(key) from None

    return KeyType(name, checked, members.get)


def _is_literal(member: object, key: object) -> bool:
    return not isinstance(member, enum.Enum) and type(member) is type(key) and member == key
