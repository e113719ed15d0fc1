"""A second, slow implementation of docs/types.md: from BSON documents to the schema and cells their table must have.

It shares nothing with the package, and reads BSON itself, because PyMongo's decoder makes one type of several (symbol
and string, undefined and null, dbPointer and DBRef).

A value is (type byte, payload): a dict of values for a document, a list of values for a list, (code, scope) for code
with scope, the bytes of the value for all others. Null and missing are both None in a column.
"""

from __future__ import annotations

import struct
from typing import Any

import pyarrow as pa

Value = tuple[int, Any]

DOUBLE, STRING, DOCUMENT, LIST, BINARY, UNDEFINED, OBJECT_ID, BOOLEAN, DATE, NULL, REGEX = range(1, 12)
DBPOINTER, CODE, SYMBOL, CODE_WITH_SCOPE, INT32, TIMESTAMP, INT64, DECIMAL128 = range(12, 20)
MAX_KEY, MIN_KEY = 0x7F, 0xFF

MAX_LEVELS = 48
MAX_KEYS = 1_000

# ---- BSON ------------------------------------------------------------------------------------------------------------

WIDTHS = {
    DOUBLE: 8, UNDEFINED: 0, OBJECT_ID: 12, BOOLEAN: 1, DATE: 8, NULL: 0, INT32: 4, TIMESTAMP: 8, INT64: 8,
    DECIMAL128: 16, MAX_KEY: 0, MIN_KEY: 0,
}  # fmt: skip


def _int32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<i", data, at)[0])


def split(data: bytes) -> list[bytes]:
    """Documents one after the other, each on its own."""
    found = []
    at = 0
    while at < len(data):
        found.append(data[at : at + _int32(data, at)])
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
        end = at + 4 + _int32(data, at)
    elif kind == BINARY:
        end = at + 5 + _int32(data, at)
    elif kind == DBPOINTER:
        end = at + 4 + _int32(data, at) + 12
    elif kind == REGEX:
        end = data.index(0, data.index(0, at) + 1) + 1
    else:
        end = at + _int32(data, at)
    payload: Any = data[at:end]
    if kind == DOCUMENT:
        payload = document(payload)
    elif kind == LIST:
        payload = [item for _, item in _elements(payload)]  # a list's keys may be any bytes
    elif kind == CODE_WITH_SCOPE:
        middle = 8 + _int32(payload, 4)
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


# ---- types -----------------------------------------------------------------------------------------------------------

PLAIN = {
    DOUBLE: pa.float64(), STRING: pa.utf8(), BOOLEAN: pa.bool_(), DATE: pa.timestamp("ms", "UTC"), INT32: pa.int32(),
    INT64: pa.int64(),
}  # fmt: skip
SUBTYPED = ("data_bridge.binary", pa.struct([("subtype", pa.uint8()), ("data", pa.binary())]))
MIXED = ("data_bridge.mixed", pa.binary())
EXTENSIONS = {
    UNDEFINED: ("data_bridge.undefined", pa.bool_()),
    MIN_KEY: ("data_bridge.minkey", pa.bool_()),
    MAX_KEY: ("data_bridge.maxkey", pa.bool_()),
    OBJECT_ID: ("data_bridge.objectid", pa.binary(12)),
    REGEX: ("data_bridge.regex", pa.struct([("pattern", pa.utf8()), ("options", pa.utf8())])),
    DBPOINTER: ("data_bridge.dbpointer", pa.struct([("namespace", pa.utf8()), ("id", pa.binary(12))])),
    CODE: ("data_bridge.code", pa.utf8()),
    SYMBOL: ("data_bridge.symbol", pa.utf8()),
    CODE_WITH_SCOPE: ("data_bridge.code_with_scope", pa.struct([("code", pa.utf8()), ("scope", pa.binary())])),
    TIMESTAMP: ("data_bridge.timestamp", pa.struct([("time", pa.uint32()), ("increment", pa.uint32())])),
    DECIMAL128: ("data_bridge.decimal128", pa.binary(16)),
}

# Comparison of cells: floats as their bits and dates as milliseconds, so that NaN, -0.0 and far dates differ.


def _string(data: bytes) -> str:
    return data[4:-1].decode()


def _binary(data: bytes) -> dict[str, Any]:
    return {"subtype": data[4], "data": data[9 if data[4] == 2 else 5 :]}


def _scalar(kind: int, data: Any) -> Any:
    if kind in (UNDEFINED, MIN_KEY, MAX_KEY):
        return True
    if kind == BOOLEAN:
        return data != b"\0"
    if kind in (DATE, INT64, DOUBLE):
        return struct.unpack("<q", data)[0]
    if kind == INT32:
        return _int32(data, 0)
    if kind in (STRING, CODE, SYMBOL):
        return _string(data)
    if kind == REGEX:
        pattern, options, _ = data.split(b"\0")
        return {"pattern": pattern.decode(), "options": options.decode()}
    if kind == DBPOINTER:
        return {"namespace": _string(data[:-12]), "id": data[-12:]}
    if kind == CODE_WITH_SCOPE:
        return {"code": _string(data[0]), "scope": encode(data[1])}
    if kind == TIMESTAMP:
        increment, time = struct.unpack("<II", data)
        return {"time": time, "increment": increment}
    return data


def _exact(kind: int, data: bytes) -> bool:
    return kind == DOUBLE or int(float(_scalar(kind, data))) == _scalar(kind, data)


def _bits(kind: int, data: bytes) -> int:
    number = data if kind == DOUBLE else struct.pack("<d", _scalar(kind, data))
    return int(struct.unpack("<q", number)[0])


Column = tuple[pa.Field, list[Any]]
"""A field, and the value of each cell."""


def column(name: str, values: list[Value | None], level: int = 1) -> Column:
    """The column that `values` make; top-level columns are on level 1."""
    cells = [None if value is None or value[0] == NULL else value for value in values]
    seen = [value for value in cells if value is not None]
    kinds = {kind for kind, _ in seen}

    def made(data_type: pa.DataType, of: Any) -> Column:
        return pa.field(name, data_type), [None if value is None else of(*value) for value in cells]

    def extension(named: tuple[str, pa.DataType], of: Any) -> Column:
        field, made_cells = made(named[1], of)
        return field.with_metadata({"ARROW:extension:name": named[0]}), made_cells

    def mixed() -> Column:
        return extension(MIXED, lambda kind, data: encode({"": (kind, data)}))

    if not kinds:
        return made(pa.null(), None)
    if len(kinds) > 1:
        if kinds == {INT32, INT64}:
            return made(pa.int64(), _scalar)
        if kinds <= {DOUBLE, INT32, INT64} and all(_exact(*value) for value in seen):
            return made(pa.float64(), _bits)
        return mixed()
    (kind,) = kinds
    if kind in PLAIN:
        return made(PLAIN[kind], _scalar)
    if kind in EXTENSIONS:
        return extension(EXTENSIONS[kind], _scalar)
    if kind == BINARY:
        if all(data[4] == 0 for _, data in seen):
            return made(pa.binary(), lambda _, data: data[5:])
        if all(data[4] == 4 and len(data) == 21 for _, data in seen):
            return made(pa.uuid(), lambda _, data: data[5:])
        return extension(SUBTYPED, lambda _, data: _binary(data))
    if level >= MAX_LEVELS:
        return mixed()
    if kind == LIST:
        items = [item for _, data in seen for item in data]
        field, item_cells = column("item", items, level + 1)
        rest = iter(item_cells)
        return made(pa.list_(field), lambda _, data: [next(rest) for _ in data])
    # A dict keeps the order of first appearance.
    keys = list(dict.fromkeys(key for _, data in seen for key in data))
    if not 0 < len(keys) <= MAX_KEYS:
        return mixed()
    columns = [column(key, [data.get(key) for _, data in seen], level + 1) for key in keys]
    rows = iter(zip(*(inner for _, inner in columns), strict=True))
    return made(pa.struct([field for field, _ in columns]), lambda *_: dict(zip(keys, next(rows), strict=True)))


def columns(documents: list[bytes]) -> list[Column]:
    """The columns of the table that the documents make."""
    parsed = [document(data) for data in documents]
    keys = dict.fromkeys(key for found in parsed for key in found)
    return [column(key, [found.get(key) for found in parsed]) for key in keys]


# ---- a table as the same -------------------------------------------------------------------------------------------


def describe(field: pa.Field) -> Any:
    """Every property of a field, as plain Python: pyarrow's `equals` ignores some of them."""
    kind = field.type
    if pa.types.is_struct(kind):
        inner: Any = [describe(kind.field(position)) for position in range(kind.num_fields)]
    elif pa.types.is_list(kind):
        inner = [describe(kind.value_field)]
    else:
        inner = str(kind)
    metadata = {key.decode(): value.decode() for key, value in sorted((field.metadata or {}).items())}
    return field.name, kind.id, inner, field.nullable, metadata


def cells(array: pa.Array) -> list[Any]:
    """The values of an array, in the form of `column`."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind = array.type
    if pa.types.is_struct(kind):
        inner = [cells(child) for child in array.flatten()]
        names = [kind.field(position).name for position in range(kind.num_fields)]
        rows = zip(*inner, strict=True)
        return [
            dict(zip(names, row, strict=True)) if valid else None
            for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)
        ]
    if pa.types.is_list(kind):
        items, offsets = cells(array.values), array.offsets.to_pylist()
        return [
            items[start:end] if valid else None
            for start, end, valid in zip(offsets, offsets[1:], array.is_valid().to_pylist(), strict=False)
        ]
    if pa.types.is_timestamp(kind) or pa.types.is_float64(kind):
        array = array.view(pa.int64())
    found: list[Any] = array.to_pylist()
    return found


def check_table(table: pa.Table, expected: list[Column]) -> None:
    """Fail unless the table is sound, and the one the documents make."""
    table.validate(full=True)
    assert [describe(field) for field in table.schema] == [describe(field) for field, _ in expected]
    assert not table.schema.metadata
    for found, (field, wanted) in zip(table.columns, expected, strict=True):
        made = [cell for chunk in found.chunks for cell in cells(chunk)]
        assert made == wanted, f"{field.name!r} ({field.type}): {made!r:.1000}, expected {wanted!r:.1000}"
        assert found.null_count == sum(cell is None for cell in wanted)


# ---- values that do not fit ------------------------------------------------------------------------------------------

RANGES = {pa.int8(): 2**7, pa.int16(): 2**15, pa.int32(): 2**31, pa.int64(): 2**63}
Misfit = dict[str, Any]
"""A value that does not fit: its path, and it as a mixed cell."""


def conformed(fields: list[pa.Field], documents: list[bytes], new_keys: bool) -> tuple[list[list[Any]], list[Any]]:
    """The cells of each column, and of `_rescued`, for a schema the documents need not fit. With `new_keys` keys that
    the schema does not name are rescued, as in streams that inferred it; without, they are left out."""
    rows, rescued = [], []
    for data in documents:
        misfits: list[Misfit] = []
        rows.append(_fit_document(fields, document(data), [], new_keys, misfits))
        rescued.append(misfits or None)
    return [[row[field.name] for row in rows] for field in fields], rescued


def _fit_document(
    fields: list[pa.Field], value: dict[str, Value], path: list[str], new_keys: bool, misfits: list[Misfit]
) -> dict[str, Any]:
    row = dict.fromkeys(field.name for field in fields)
    named = {field.name: field for field in fields}
    for key, inner in value.items():
        if key in named:
            row[key] = _fit(named[key], inner, [*path, key], new_keys, misfits)
        elif new_keys:
            _rescue([*path, key], inner, misfits)
    return row


def _rescue(path: list[str], value: Value, misfits: list[Misfit]) -> None:
    misfits.append({"path": path, "value": None if value[0] == NULL else encode({"": value})})


def _fit(field: pa.Field, value: Value, path: list[str], new_keys: bool, misfits: list[Misfit]) -> Any:
    kind, data = value
    if kind == NULL:
        return None
    if not field.metadata and pa.types.is_struct(field.type) and kind == DOCUMENT:
        inner = [field.type.field(position) for position in range(field.type.num_fields)]
        return _fit_document(inner, data, path, new_keys, misfits)
    if pa.types.is_list(field.type) and kind == LIST:
        items = field.type.value_field
        return [_fit(items, item, [*path, str(at)], new_keys, misfits) for at, item in enumerate(data)]
    cell = _fit_scalar(field, kind, data)
    if cell is None:
        _rescue(path, value, misfits)
    return cell


def _fit_scalar(field: pa.Field, kind: int, data: Any) -> Any:
    """The cell, or None for a value that does not fit."""
    name = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
    to = field.type
    if name == MIXED[0]:
        return encode({"": (kind, data)})
    if name == SUBTYPED[0]:
        return _binary(data) if kind == BINARY else None
    if name:
        return _scalar(kind, data) if kind in EXTENSIONS and EXTENSIONS[kind][0] == name else None
    if to == pa.uuid():
        return data[5:] if kind == BINARY and data[4] == 4 and len(data) == 21 else None
    if to == pa.binary():
        return data[5:] if kind == BINARY and data[4] == 0 else None
    if to == pa.float64():
        return _bits(kind, data) if kind in (DOUBLE, INT32, INT64) and _exact(kind, data) else None
    if to in RANGES:
        number = struct.unpack("<d", data)[0] if kind == DOUBLE else _scalar(kind, data)
        if kind == DOUBLE and not (number.is_integer() and _bits(kind, data) != _bits(DOUBLE, struct.pack("<d", -0.0))):
            return None
        whole = kind in (DOUBLE, INT32, INT64) and -RANGES[to] <= number < RANGES[to]
        return int(number) if whole else None
    return _scalar(kind, data) if kind in PLAIN and PLAIN[kind] == to else None
