"""pyarrow's expressions as conditions, from their Substrait form, the only one that can be read.

Substrait is protobuf: a message is a sequence of numbered fields. The few messages of comparisons are read here without
a library for it. Anything else is a condition that is not understood.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from bson import DatetimeMS

from .predicates import UNKNOWN, All, AnyOf, Compare, Condition, IsIn, IsPresent, IsTrue

_OPERATORS = {"equal": "==", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_FLIPPED = {"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
# Numbers of fields: github.com/substrait-io/substrait, proto/substrait/algebra.proto and extended_expression.proto.
_LITERAL, _SELECTION, _FUNCTION, _IF_THEN, _SINGULAR_OR_LIST = 1, 2, 3, 6, 8
_BOOLEAN, _FLOAT64, _STRING, _TIMESTAMP_TZ, _NULL = 1, 11, 12, 27, 29
_INTEGERS = (2, 3, 5, 7)

Field = tuple[int, Any]


class _NotRead(Exception):
    """A message that is not understood."""


def condition(expression: Any, schema: Any) -> Condition:
    """Return the condition of a pyarrow Expression over a pyarrow Schema; unknown where a part is not understood."""
    try:
        fields = [*_fields(bytes(expression.to_substrait(schema)))]
        declared = [part for number, value in fields if number == 2 for part in _fields(value)]
        # Others declare types, which stand for columns.
        functions = dict(_function(value) for number, value in declared if number == 3)
        [reference] = [value for number, value in fields if number == 3]
        return _Reader(functions, schema).condition(_only(_fields(reference), 1))
    except Exception:  # noqa: BLE001 - pyarrow raises many kinds for what has no Substrait form
        return UNKNOWN


def _function(declaration: bytes) -> tuple[int, str]:
    """Return the number and the name of a function."""
    found = dict(_fields(declaration))
    return found.get(2, 0), found[3].decode().partition(":")[0]


class _Reader:
    """Reads expressions with these functions over a schema."""

    def __init__(self, functions: dict[int, str], schema: Any) -> None:
        self._functions = functions
        self._schema = schema

    def condition(self, message: bytes) -> Condition:
        """Return the condition of an Expression."""
        try:
            return self._read(message)
        except (_NotRead, KeyError, IndexError, ValueError, struct.error):
            return UNKNOWN

    def _read(self, message: bytes) -> Condition:
        number, value = _single(message)
        if number == _SELECTION:
            return IsTrue(self._path(value))
        if number == _IF_THEN:
            return self._if_then([*_fields(value)])
        if number == _SINGULAR_OR_LIST:
            parts = [*_fields(value)]
            options = [part for each, part in parts if each == 2]
            return IsIn(self._column(_only(iter(parts), 1)), [self._literal(option) for option in options])
        if number != _FUNCTION:
            raise _NotRead
        parts = [*_fields(value)]
        name = self._functions[dict(parts).get(1, 0)]
        arguments = [_only(_fields(part), 3) for each, part in parts if each == 4]
        if name == "and":
            return All([self.condition(each) for each in arguments])
        if name == "or":
            return AnyOf([self.condition(each) for each in arguments])
        if name == "is_not_null":
            return IsPresent(self._column(arguments[0]))
        sign = _OPERATORS[name]
        left, right = arguments
        if _single(left)[0] == _SELECTION:
            return Compare(self._column(left), sign, self._literal(right))
        return Compare(self._column(right), _FLIPPED[sign], self._literal(left))

    def _if_then(self, parts: list[Field]) -> Condition:
        """Return the condition of `if a then b else null`, as which DuckDB has `IN`."""
        clause = [*_fields(_only(iter(parts), 1))]
        number, otherwise = _single(_only(iter(parts), 2))
        if number != _LITERAL or _single(otherwise)[0] != _NULL:
            raise _NotRead
        return All([self.condition(_only(iter(clause), 1)), self.condition(_only(iter(clause), 2))])

    def _column(self, message: bytes) -> tuple[str, ...]:
        number, value = _single(message)
        if number != _SELECTION:
            raise _NotRead
        return self._path(value)

    def _path(self, reference: bytes) -> tuple[str, ...]:
        """Return the names of a FieldReference, which has positions."""
        segment: bytes | None = _only(_fields(reference), 1)
        fields: Any = self._schema
        names: list[str] = []
        while segment is not None:
            number, value = _single(segment)
            if number != 2:
                raise _NotRead
            parts = dict(_fields(value))
            field = fields.field(parts.get(1, 0))
            names.append(field.name)
            fields = field.type
            segment = parts.get(2)
        return tuple(names)

    def _literal(self, message: bytes) -> Any:
        number, literal = _single(message)
        if number != _LITERAL:
            raise _NotRead
        number, value = _single(literal)
        if number == _BOOLEAN:
            return bool(value)
        if number in _INTEGERS:
            return value - (1 << 64) if value >> 63 else value
        if number == _FLOAT64:
            return struct.unpack("<d", value)[0]
        if number == _STRING:
            return value.decode()
        if number == _TIMESTAMP_TZ:
            micros = value - (1 << 64) if value >> 63 else value
            if micros % 1000 == 0:
                return DatetimeMS(micros // 1000)
        raise _NotRead


def _fields(message: bytes) -> Iterator[Field]:
    """Yield the fields of a protobuf message: numbers, or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise _NotRead
        if at + length > len(message):
            raise _NotRead
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _only(fields: Iterator[Field], number: int) -> Any:
    """Return the value of the one field with a number."""
    [value] = [value for each, value in fields if each == number]
    return value


def _single(message: bytes) -> Field:
    """Return the only field of a message."""
    [field] = _fields(message)
    return field
