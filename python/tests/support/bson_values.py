"""BSON documents as values of their types, read without PyMongo: its decoder makes one type of several (symbol and
string, undefined and null, dbPointer and DBRef).

A value is (type byte, payload): a dict of values for a document, a list of values for a list, (code, scope) for code
with scope, the bytes of the value for all others.
"""

from __future__ import annotations

import struct
from typing import Any

Value = tuple[int, Any]

DOUBLE, STRING, DOCUMENT, LIST, BINARY, UNDEFINED, OBJECT_ID, BOOLEAN, DATE, NULL, REGEX = range(1, 12)
DBPOINTER, CODE, SYMBOL, CODE_WITH_SCOPE, INT32, TIMESTAMP, INT64, DECIMAL128 = range(12, 20)
MAX_KEY, MIN_KEY = 0x7F, 0xFF

WIDTHS = {
    DOUBLE: 8, UNDEFINED: 0, OBJECT_ID: 12, BOOLEAN: 1, DATE: 8, NULL: 0, INT32: 4, TIMESTAMP: 8, INT64: 8,
    DECIMAL128: 16, MAX_KEY: 0, MIN_KEY: 0,
}  # fmt: skip


def int32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<i", data, at)[0])


def text(data: bytes) -> str:
    """The text of a string, of code or of a symbol."""
    return data[4:-1].decode()


def split(data: bytes) -> list[bytes]:
    """Documents one after the other, each on its own."""
    found = []
    at = 0
    while at < len(data):
        found.append(data[at : at + int32(data, at)])
        at += len(found[-1])
    return found


def _elements(data: bytes) -> list[tuple[bytes, Value]]:
    found = []
    at = 4
    while data[at]:
        end = data.index(0, at + 1)
        value, after = _value(data[at], data, end + 1)
        found.append((data[at + 1 : end], value))
        at = after
    assert at == len(data) - 1
    return found


def document(data: bytes) -> dict[str, Value]:
    """A document's keys in order of first appearance, each with its last value."""
    return {key.decode(): value for key, value in _elements(data)}


def _value(kind: int, data: bytes, at: int) -> tuple[Value, int]:
    if kind in WIDTHS:
        end = at + WIDTHS[kind]
    elif kind in (STRING, CODE, SYMBOL):
        end = at + 4 + int32(data, at)
    elif kind == BINARY:
        end = at + 5 + int32(data, at)
    elif kind == DBPOINTER:
        end = at + 4 + int32(data, at) + 12
    elif kind == REGEX:
        end = data.index(0, data.index(0, at) + 1) + 1
    else:
        end = at + int32(data, at)
    payload: Any = data[at:end]
    if kind == DOCUMENT:
        payload = document(payload)
    elif kind == LIST:
        payload = [item for _, item in _elements(payload)]  # a list's keys may be any bytes
    elif kind == CODE_WITH_SCOPE:
        middle = 8 + int32(payload, 4)
        payload = (payload[4:middle], document(payload[middle:]))
    return (kind, payload), end


def encode(value: dict[str, Value]) -> bytes:
    """A document in normal form."""
    body = b"".join(bytes([kind]) + key.encode() + b"\0" + _payload(kind, data) for key, (kind, data) in value.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _payload(kind: int, data: Any) -> bytes:
    if kind == DOCUMENT:
        return encode(data)
    if kind == LIST:
        return encode({str(position): item for position, item in enumerate(data)})
    if kind == CODE_WITH_SCOPE:
        code, scope = data[0], encode(data[1])
        return struct.pack("<i", len(code) + len(scope) + 4) + code + scope
    return bytes(data)
