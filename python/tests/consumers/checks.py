"""Checks of the results of consumers against a column's keys, and against the values of its Arrow table."""

from __future__ import annotations

import ast
import base64
import binascii
import datetime as dt
import json
import math
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from consumers.cells import Column


class WrongResult(Exception):
    """A consumer returned a wrong result."""


class Cell(NamedTuple):
    """A column with the setting of its table, and its values."""

    column: Column
    types: str
    values: list[Any]

    def check_neighbours(self, found: Iterable[Any]) -> None:
        """Check the equality of each row and the next one."""
        for position, (expected, each) in enumerate(zip(self.column.neighbours, found, strict=True)):
            if expected is not None and (is_null(each) or bool(each) is not expected):
                raise WrongResult(f"== of rows {position} and {position + 1} is {each}")

    def check_itself(self, found: Iterable[Any]) -> None:
        """Check that each value that is not null equals itself."""
        for position, (key, each) in enumerate(zip(self.column.keys, found, strict=True)):
            if key is not None and (is_null(each) or not each):
                raise WrongResult(f"== of row {position} and itself is {each}")

    def check_groups(self, sizes: Iterable[Any]) -> None:
        """Check the sizes of the groups."""
        found = sorted(map(int, sizes))
        if found != self.column.groups:
            raise WrongResult(f"groups of {found} rows instead of {self.column.groups}")

    def check_order(self, numbers: Iterable[Any]) -> None:
        """Check the numbers of the sorted rows: equal values beside each other, nulls at one end."""
        found = [int(number) for number in numbers]
        keys = [self.column.keys[number] for number in found]
        if sorted(found) != list(range(len(self.column.keys))):
            raise WrongResult(f"rows {found} after sorting")
        runs = [key for at, key in enumerate(keys) if at == 0 or keys[at - 1] != key]
        if len(runs) != len(set(runs)):
            raise WrongResult(f"sorted as {keys}")
        if None in runs and runs.index(None) not in (0, len(runs) - 1):
            raise WrongResult(f"sorted as {keys}")
        ordered = [key for key in runs if key is not None]
        if self.column.is_ordered(self.types) and ordered != sorted(ordered):
            raise WrongResult(f"sorted as {keys}")

    def check_join(self, rows: int, *, nulls: bool = False) -> None:
        """Check the number of rows of an inner join with itself."""
        expected = self.column.joined(nulls=nulls)
        if rows != expected:
            raise WrongResult(f"{rows} rows instead of {expected}")

    def check_sum(self, found: Any) -> None:
        """Check the sum: exact, except for doubles, whose sums are exact here."""
        expected = self.column.sum()
        if is_null(found) or not is_same(expected, found):
            raise WrongResult(f"a sum of {found} instead of {expected}")

    def check_values(self, found: Iterable[Any]) -> None:
        """Check values that were written and read back in a format that keeps types."""
        normal = [normalised(value) for value in found]
        if normal != self.values:
            raise WrongResult(f"read back as {short(normal)} instead of {short(self.values)}")

    def check_json(self, found: Iterable[Any]) -> None:
        """Check values that were written and read back as JSON, which has text for dates and bytes."""
        normal = [normalised(value) for value in found]
        if len(normal) != len(self.values):
            raise WrongResult(f"{len(normal)} rows instead of {len(self.values)}")
        for value, each in zip(self.values, normal, strict=True):
            if not is_same(value, each):
                raise WrongResult(f"read back as {short(each)} instead of {short(value)}")

    def check_texts(self, found: Iterable[Any]) -> None:
        """Check the texts of CSV: of scalars the value, of nested values one text for equal values."""
        texts = [None if is_null(text) or text == "" else str(text) for text in found]
        if len(texts) != len(self.values):
            raise WrongResult(f"{len(texts)} rows instead of {len(self.values)}")
        for key, value, text in zip(self.column.keys, self.values, texts, strict=True):
            if text is None:
                if key is not None and value not in ([], {}):
                    raise WrongResult(f"an empty cell instead of {short(value)}")
            elif value is None or (not isinstance(value, (dict, list)) and not is_same(value, text)):
                raise WrongResult(f"read back as {text!r} instead of {short(value)}")
        pairs = {(key, text) for key, text in zip(self.column.keys, texts, strict=True) if text is not None}
        if any(count > 1 for at in (0, 1) for count in Counter(pair[at] for pair in pairs).values()):
            raise WrongResult(f"different values have one text, or equal ones several: {short(texts)}")


class Instant(NamedTuple):
    """A date, also outside the years of `datetime`."""

    milliseconds: int


def values_of(table: pa.Table) -> list[Any]:
    """Return the values of the column `x` in normal form."""
    column = table.column("x")
    # A cast of a list of nulls to its own type makes an invalid array in pyarrow 26.
    numbers = _numbers(column.type)
    if numbers != column.type:
        column = column.cast(numbers)
    restored = partial(_restored, _storage(table.schema.field("x").type))
    return [restored(value) for value in column.to_pylist()]


def _storage(kind: pa.DataType) -> pa.DataType:
    """Return the storage of extension types, at every level."""
    return _mapped(kind, lambda leaf: leaf)


def _numbers(kind: pa.DataType) -> pa.DataType:
    """Return the storage, with integers for dates."""
    return _mapped(kind, lambda leaf: pa.int64() if pa.types.is_timestamp(leaf) else leaf)


def _mapped(kind: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _mapped(kind.storage_type, change)
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _mapped(field.type, change)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(_mapped(kind.value_type, change))
    if pa.types.is_large_list(kind):
        return pa.large_list(_mapped(kind.value_type, change))
    return change(kind)


_UNITS = {"s": 1000, "ms": 1}
_PARTS = {"us": 1000, "ns": 1_000_000}


def _restored(kind: pa.DataType, value: Any) -> Any:
    if isinstance(value, dict):
        return {field.name: _restored(field.type, value[field.name]) for field in kind}
    if isinstance(value, list):
        return [_restored(kind.value_type, each) for each in value]
    if value is not None and pa.types.is_timestamp(kind):
        return Instant(value * _UNITS.get(kind.unit, 1) // _PARTS.get(kind.unit, 1))
    return normalised(value)


def normalised(value: Any) -> Any:
    """Return the value as Python's own type: None for nulls, instants for dates, bytes for UUIDs."""
    if isinstance(value, Instant):
        return value
    if isinstance(value, dict):
        return {key: normalised(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [normalised(each) for each in value]
    if hasattr(value, "to_list") and not isinstance(value, (str, bytes)):
        return normalised(value.to_list())
    if is_null(value):
        return None
    if hasattr(value, "to_datetime64"):
        value = value.to_datetime64()
    if isinstance(value, np.datetime64):
        return Instant(int(value.astype("datetime64[ms]").astype("int64")))
    if isinstance(value, dt.datetime):
        value = value.replace(tzinfo=dt.timezone.utc) if value.tzinfo is None else value
        return Instant((value - _EPOCH) // dt.timedelta(milliseconds=1))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, uuid.UUID):
        return value.bytes
    return value


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def is_null(value: Any) -> bool:
    """Return whether a consumer shows a null with this: None, NaN, NaT, NA."""
    if value is None:
        return True
    if isinstance(value, (float, np.floating)):
        return math.isnan(value)
    return type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, np.datetime64) and bool(np.isnat(value)))


def is_same(value: Any, read: Any) -> bool:
    """Return whether a value of a text format is the value: the same number, instant, text or bytes."""
    if isinstance(value, dict):
        read = _parsed(read)
        return isinstance(read, dict) and all(is_same(value.get(key), read.get(key)) for key in {*value, *read})
    if isinstance(value, list):
        read = _parsed(read)
        return isinstance(read, list) and len(read) == len(value) and all(map(is_same, value, read))
    if value is None or read is None:
        return value is read
    if isinstance(value, bool):
        return str(read).lower() == str(value).lower()
    if isinstance(value, (int, float, Decimal)):
        return _is_number(value, read)
    if isinstance(value, Instant):
        return _is_instant(value, read)
    if isinstance(value, bytes):
        return isinstance(read, (bytes, str)) and value in _bytes(read)
    if isinstance(read, bytes) and len(read) == 16:
        return bool(value == str(uuid.UUID(bytes=read)))  # a text that is read as a UUID
    return bool(value == read)


def _is_number(value: float | Decimal, read: object) -> bool:
    if isinstance(read, dt.datetime):
        return False
    try:
        return Decimal(str(read)) == Decimal(str(value))
    except InvalidOperation:
        return False


_DATE = re.compile(r"([+-]?\d+)-(\d\d)-(\d\d)( \(BC\))?[T ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z| UTC| ?\+00(?::?00)?)?")


def _is_instant(value: Instant, read: Any) -> bool:
    if isinstance(read, (int, float)):
        return bool(read == value.milliseconds)
    if not isinstance(read, str):
        return bool(normalised(read) == value)
    found = _DATE.fullmatch(read.strip())
    if found is None:
        return False
    year, month, day, hour, minute, second = (int(found[at]) for at in (1, 2, 3, 5, 6, 7))
    if found[4]:
        year = 1 - year
    # The calendar repeats after 400 years, which are 146,097 days.
    cycles, within = divmod(year, 400)
    days = (dt.date(within + 400, month, day) - dt.date(1970, 1, 1)).days + (cycles - 1) * 146_097
    fraction = int((found[8] or "0").ljust(3, "0")[:3])
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + fraction == value.milliseconds


def _parsed(read: Any) -> Any:
    if isinstance(read, str):
        try:
            return json.loads(read)
        except ValueError:
            return None
    return read


def _bytes(read: bytes | str) -> set[bytes]:
    """Return the bytes that a text may mean: hexadecimal, base64, escapes, a literal of Python, a UUID."""
    if isinstance(read, bytes):
        return {read}
    found = set()
    for decode in (bytes.fromhex, uuid.UUID, _base64, _escaped, _literal):
        try:
            made: Any = decode(read)
        except (ValueError, binascii.Error, SyntaxError):
            continue
        found.add(made.bytes if isinstance(made, uuid.UUID) else made)
    return found


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _escaped(text: str) -> bytes:
    r"""Decode \xFF as DuckDB writes it; raw control characters are no escapes."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError
    return re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())


def _literal(text: str) -> bytes:
    made = ast.literal_eval(text)
    if not isinstance(made, bytes):
        raise ValueError
    return made


def short(value: object) -> str:
    """Return the text of a value, cut."""
    text = repr(value)
    return text if len(text) <= 200 else text[:199] + "\N{HORIZONTAL ELLIPSIS}"
