"""Columns of every BSON type in every placement, and the results of operations on them.

A column is a type in a placement. Each row has a number `n` and a value `x`, so that the rows of a group, a join or a
sorted table are known without a look at the values.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any, NamedTuple

from bson import Decimal128, ObjectId, encode
from strategies import cstring, framed, string

Element = tuple[int, bytes]
"""A BSON value: its type byte and its bytes."""

PLACEMENTS = ("alone", "nullable", "list", "struct", "structs", "mixed")
"""Positions of a type in a column; `structs` are lists of structs."""

QUICK_PLACEMENTS = ("nullable", "structs", "mixed")
"""Placements with nulls, and with lists and structs inside each other, of every type."""

OPERATIONS = ("values", "print", "compare", "group", "sort", "join", "sum", "csv", "json", "parquet", "ipc")


def _double(value: float) -> Element:
    return 0x01, struct.pack("<d", value)


def _text(value: str) -> Element:
    return 0x02, string(value)


def _document(value: dict[str, Any]) -> Element:
    return 0x03, encode(value)


def _list(*values: Element) -> Element:
    return 0x04, framed([(kind, str(at), data) for at, (kind, data) in enumerate(values)])


def _binary(subtype: int, data: bytes) -> Element:
    inner = struct.pack("<i", len(data)) + data if subtype == 2 else data
    return 0x05, struct.pack("<iB", len(inner), subtype) + inner


def _date(milliseconds: int) -> Element:
    return 0x09, struct.pack("<q", milliseconds)


def _int32(value: int) -> Element:
    return 0x10, struct.pack("<i", value)


def _int64(value: int) -> Element:
    return 0x12, struct.pack("<q", value)


def _decimal(value: str) -> Element:
    return 0x13, Decimal128(value).bid


def _scoped(code: str, scope: int) -> Element:
    data = string(code) + framed([(0x10, "x", struct.pack("<i", scope))])
    return 0x0F, struct.pack("<i", len(data) + 4) + data


# Bytes that are no UTF-8 reveal consumers that read binary as text.
_BYTES = (b"\x00\xff", b"a", b"ab\xfe")
_IDS = tuple(ObjectId(bytes([first, *range(11)])).binary for first in (1, 0x65, 0xFE))
_UUIDS = tuple(bytes([first, *range(15)]) for first in (1, 0x65, 0xFE))

TYPES: dict[str, tuple[Element, ...]] = {
    "double": (_double(-1.5), _double(0.25), _double(2.0)),
    "string": (_text('a "b",\n'), _text("b"), _text("ä𝄞")),
    "document": (_document({"a": 1, "b": "x"}), _document({"a": 1, "b": "y"}), _document({"a": 2, "b": "x"})),
    "empty document": (_document({}),),
    "dbref": tuple(_document({"$ref": "c", "$id": number, "$db": "d"}) for number in (1, 2, 3)),
    "list": (_list(_int32(1), _int32(2)), _list(_int32(1), _int32(3)), _list(_int32(2))),
    "binary": tuple(_binary(0, data) for data in _BYTES),
    "binary of subtype 2": tuple(_binary(2, data) for data in _BYTES),
    "binary of subtype 128": tuple(_binary(0x80, data) for data in _BYTES),
    "UUID": tuple(_binary(4, data) for data in _UUIDS),
    "undefined": ((0x06, b""),),
    "ObjectId": tuple((0x07, data) for data in _IDS),
    "bool": ((0x08, b"\0"), (0x08, b"\1")),
    "date": (_date(-86_400_001), _date(1_700_000_000_000), _date(1_700_000_000_001)),
    "date outside years 1 to 9999": (_date(-70_000_000_000_000), _date(0), _date(300_000_000_000_000)),
    "date beyond year 292,000": (_date(-(2**62)), _date(0), _date(2**62)),
    "null": ((0x0A, b""),),
    "regex": tuple((0x0B, cstring(text) + cstring("im")) for text in ("a+", "b,", "ä")),
    "dbPointer": tuple((0x0C, string("db.c") + data) for data in _IDS),
    "javascript": tuple((0x0D, string(text)) for text in ("f()", "g()", "h()")),
    "symbol": tuple((0x0E, string(text)) for text in ("s", "t", "u")),
    "javascript with scope": tuple(_scoped("f()", number) for number in (1, 2, 3)),
    "int32": (_int32(-7), _int32(0), _int32(70_000)),
    "int32, sum above 2^31": (_int32(5), _int32(2**31 - 2), _int32(2**31 - 1)),
    "timestamp": tuple((0x11, struct.pack("<II", number, 3)) for number in (1, 2, 2**32 - 1)),
    "int64": (_int64(-(2**53) - 1), _int64(0), _int64(2**60 + 1)),
    "int64, sum above 2^63": (_int64(5), _int64(2**63 - 2), _int64(2**63 - 1)),
    "decimal128": (_decimal("-1.10"), _decimal("0.05"), _decimal("12345.6")),
    "decimal128 of 35 digits": (
        _decimal("-1.10"),
        _decimal("12345678901234567890.5"),
        _decimal("12345678901234567890123456789012.34"),
    ),
    "decimal128 with NaN": (_decimal("-1.10"), _decimal("12345.6"), _decimal("NaN")),
    "minKey": ((0xFF, b""),),
    "maxKey": ((0x7F, b""),),
}
"""Values of each type in ascending order; a type with one value has one here."""

NUMBERS: dict[str, tuple[Decimal, ...]] = {
    "double": (Decimal("-1.5"), Decimal("0.25"), Decimal(2)),
    "int32": (Decimal(-7), Decimal(0), Decimal(70_000)),
    "int32, sum above 2^31": (Decimal(5), Decimal(2**31 - 2), Decimal(2**31 - 1)),
    "int64": (Decimal(-(2**53) - 1), Decimal(0), Decimal(2**60 + 1)),
    "int64, sum above 2^63": (Decimal(5), Decimal(2**63 - 2), Decimal(2**63 - 1)),
    "decimal128": (Decimal("-1.10"), Decimal("0.05"), Decimal("12345.6")),
    "decimal128 of 35 digits": (
        Decimal("-1.10"),
        Decimal("12345678901234567890.5"),
        Decimal("12345678901234567890123456789012.34"),
    ),
}
"""The values of types that have a sum."""

UNORDERED = {"document", "empty document", "dbref", "list", "dbPointer", "javascript with scope", "timestamp", "regex"}
"""Types whose order is that of a consumer, if it has one."""

_ROWS = (1, 0, 2, 1, 0, 1)
_EMPTY = -1
"""The key of an empty list."""
_OTHER = -2
"""The key of a value of another type."""


class Column(NamedTuple):
    """The documents of a column, and a key for each row: rows with equal values have equal keys."""

    type: str
    placement: str
    documents: bytes
    keys: tuple[int | None, ...]

    @property
    def name(self) -> str:
        """The type and the placement."""
        return f"{self.type}/{self.placement}"

    def is_ordered(self, types: str) -> bool:
        """Return whether the keys are in the natural order of the values."""
        if types == "exact" and self.type.startswith("decimal128"):
            return False  # bytes of the wire
        return self.placement in ("alone", "nullable") and self.type not in UNORDERED

    @property
    def neighbours(self) -> list[bool | None]:
        """Return for each row but the last whether it equals the next one; None if one of them is null."""
        pairs = zip(self.keys[:-1], self.keys[1:], strict=True)
        return [None if None in pair else pair[0] == pair[1] for pair in pairs]

    @property
    def groups(self) -> list[int]:
        """The sizes of the groups, ascending; null is a group."""
        return sorted(Counter(self.keys).values())

    def joined(self, *, nulls: bool) -> int:
        """Return the number of rows of an inner join with itself."""
        return sum(size**2 for key, size in Counter(self.keys).items() if key is not None or nulls)

    def sum(self) -> Decimal:
        """Return the sum of all numbers at every level."""
        values = NUMBERS[self.type]
        exact, total = Context(prec=60), Decimal(0)
        for key in self.keys:
            if key is not None and key >= 0:
                total = exact.add(total, values[key])
        return exact.add(total, total) if self.placement == "list" else total


def column(kind: str, placement: str) -> Column | None:
    """Make a column; None if the type is not in this placement."""
    values = TYPES[kind]
    rows: list[int | None] = [key % len(values) for key in _ROWS]
    if placement == "mixed" and kind == "null":
        return None  # a null has no type of its own to mix
    elements: list[Element | None] = [values[key or 0] for key in rows]
    if placement == "nullable":
        rows += [None, None, 0]
        elements += [(0x0A, b""), None, values[0]]
    elif placement == "list":
        elements = [_list(values[key or 0], (0x0A, b""), values[key or 0]) for key in rows]
    elif placement == "struct":
        elements = [_struct(values[key or 0]) for key in rows]
    elif placement == "structs":
        elements = [_list(_struct(values[key or 0]), _document({"w": 1})) for key in rows]
    elif placement == "mixed":
        rows.append(_OTHER)
        elements.append(_int32(5) if kind == "string" else _text("other"))
    if placement in ("list", "structs"):
        rows += [_EMPTY, _EMPTY]
        elements += [_list(), _list()]
    if kind == "null" and placement in ("alone", "nullable"):
        rows = [None] * len(rows)
    documents = [
        framed([(0x10, "n", struct.pack("<i", at)), *([] if value is None else [(value[0], "x", value[1])])])
        for at, value in enumerate(elements)
    ]
    return Column(kind, placement, b"".join(documents), tuple(rows))


def _struct(value: Element) -> Element:
    return 0x03, framed([(value[0], "v", value[1])])


def columns(placements: Sequence[str] = PLACEMENTS) -> list[Column]:
    """Make every column in the placements."""
    found = (column(kind, placement) for kind in TYPES for placement in placements)
    return [each for each in found if each is not None]


def operations(of: Column, types: str) -> list[str]:
    """Return the operations on a column; a sum only of numbers."""
    has_sum = of.type in NUMBERS and of.placement != "mixed"
    if types == "exact" and of.type.startswith("decimal128"):
        has_sum = False  # exact decimals are bytes
    return [name for name in OPERATIONS if name != "sum" or has_sum]
