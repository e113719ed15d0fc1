"""A second, slow implementation of docs/types.md: from BSON documents to the schema and cells their table must have.

It shares nothing with the package. Null and missing are both None in a column.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa
from bson.binary import UuidRepresentation
from bson_values import (
    BINARY,
    BOOLEAN,
    CODE,
    CODE_WITH_SCOPE,
    DATE,
    DBPOINTER,
    DECIMAL128,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    LIST,
    MAX_KEY,
    MIN_KEY,
    NULL,
    OBJECT_ID,
    REGEX,
    STRING,
    SYMBOL,
    TIMESTAMP,
    UNDEFINED,
    Value,
    document,
    encode,
    int32,
    text,
)
from plain_values import decimal_of, decimal_text, extended_json, fits, precision, uuid_of

MAX_LEVELS = 48
MAX_KEYS = 1_000

# ---- types -----------------------------------------------------------------------------------------------------------

ARROW = {
    DOUBLE: pa.float64(), STRING: pa.utf8(), BOOLEAN: pa.bool_(), DATE: pa.timestamp("ms", "UTC"), INT32: pa.int32(),
    INT64: pa.int64(),
}  # fmt: skip
SUBTYPED = ("binary", pa.struct([("subtype", pa.uint8()), ("data", pa.binary())]))
MIXED = ("mixed", pa.binary())
NAMED = {
    UNDEFINED: ("undefined", pa.bool_()),
    MIN_KEY: ("minkey", pa.bool_()),
    MAX_KEY: ("maxkey", pa.bool_()),
    OBJECT_ID: ("objectid", pa.binary(12)),
    REGEX: ("regex", pa.struct([("pattern", pa.utf8()), ("options", pa.utf8())])),
    DBPOINTER: ("dbpointer", pa.struct([("namespace", pa.utf8()), ("id", pa.binary(12))])),
    CODE: ("code", pa.utf8()),
    SYMBOL: ("symbol", pa.utf8()),
    CODE_WITH_SCOPE: ("code_with_scope", pa.struct([("code", pa.utf8()), ("scope", pa.binary())])),
    TIMESTAMP: ("timestamp", pa.struct([("time", pa.uint32()), ("increment", pa.uint32())])),
    DECIMAL128: ("decimal128", pa.binary(16)),
}
PLAIN_STORAGE = {
    OBJECT_ID: pa.utf8(),
    DBPOINTER: pa.struct([("namespace", pa.utf8()), ("id", pa.utf8())]),
    CODE_WITH_SCOPE: pa.struct([("code", pa.utf8()), ("scope", pa.utf8())]),
}
STORED_TYPE, EXTENSION = b"data_bridge.type", b"ARROW:extension:name"

Cell = Callable[[int, Any], Any]


class Leaf(NamedTuple):
    """The type of a column without columns below it, its metadata, and the cell of a value."""

    storage: pa.DataType
    metadata: dict[bytes, bytes]
    cell: Cell


class Exact:
    """Types that keep every BSON type, by extension names."""

    def __init__(self, uuids: int = UuidRepresentation.UNSPECIFIED) -> None:
        self.uuids = uuids

    def named(self, name: str, storage: pa.DataType, cell: Cell) -> Leaf:
        return Leaf(storage, {EXTENSION: f"data_bridge.{name}".encode()}, cell)

    def mixed(self) -> Leaf:
        return self.named(*MIXED, lambda kind, data: encode({"": (kind, data)}))

    def subtyped(self) -> Leaf:
        return self.named(*SUBTYPED, lambda _, data: _binary(data))

    def uuid(self) -> Leaf:
        return Leaf(pa.uuid(), {}, lambda *value: _uuid(value, self.uuids).bytes)

    def of_kind(self, kind: int) -> Leaf:
        return self.named(*NAMED[kind], _scalar)

    def decimals(self, seen: list[Value]) -> Leaf:
        """Of decimals, and of the integers beside them."""
        kinds = {kind for kind, _ in seen}
        return self.of_kind(DECIMAL128) if kinds == {DECIMAL128} else self.mixed()


class Plain(Exact):
    """Types that every consumer has: text, numbers, and the parts of values."""

    def __init__(self, uuids: int = UuidRepresentation.UNSPECIFIED, frozen: bool = False) -> None:
        super().__init__(uuids)
        self.frozen = frozen

    def named(self, name: str, storage: pa.DataType, cell: Cell) -> Leaf:
        return Leaf(storage, {STORED_TYPE: name.encode()}, cell)

    def mixed(self) -> Leaf:
        return self.named("mixed", pa.utf8(), lambda *value: extended_json(value))

    def uuid(self) -> Leaf:
        return self.named("uuid", pa.utf8(), lambda *value: str(_uuid(value, self.uuids)))

    def of_kind(self, kind: int) -> Leaf:
        name, storage = NAMED[kind]
        return self.named(name, PLAIN_STORAGE.get(kind, storage), _plain_scalar)

    def decimals(self, seen: list[Value]) -> Leaf:
        number = precision([decimal_of(*value) for value in seen], self.frozen)
        if number is None:
            return self.named("decimal128", pa.utf8(), decimal_text)
        return self.named("decimal128", pa.decimal128(*number), decimal_of)


EXACT, PLAIN, STREAM = Exact(), Plain(), Plain(frozen=True)

# Comparison of cells: floats as their bits and dates as milliseconds, so that NaN, -0.0 and far dates differ.


def _binary(data: bytes) -> dict[str, Any]:
    return {"subtype": data[4], "data": data[9 if data[4] == 2 else 5 :]}


def _uuid(value: Value, representation: int) -> Any:
    found = uuid_of(*value, representation)
    assert found is not None
    return found


def _scalar(kind: int, data: Any) -> Any:
    if kind in (UNDEFINED, MIN_KEY, MAX_KEY):
        return True
    if kind == BOOLEAN:
        return data != b"\0"
    if kind in (DATE, INT64, DOUBLE):
        return struct.unpack("<q", data)[0]
    if kind == INT32:
        return int32(data, 0)
    if kind in (STRING, CODE, SYMBOL):
        return text(data)
    if kind == REGEX:
        pattern, options, _ = data.split(b"\0")
        return {"pattern": pattern.decode(), "options": options.decode()}
    if kind == DBPOINTER:
        return {"namespace": text(data[:-12]), "id": data[-12:]}
    if kind == CODE_WITH_SCOPE:
        return {"code": text(data[0]), "scope": encode(data[1])}
    if kind == TIMESTAMP:
        increment, time = struct.unpack("<II", data)
        return {"time": time, "increment": increment}
    return data


def _plain_scalar(kind: int, data: Any) -> Any:
    if kind == OBJECT_ID:
        return data.hex()
    if kind == DBPOINTER:
        return {"namespace": text(data[:-12]), "id": data[-12:].hex()}
    if kind == CODE_WITH_SCOPE:
        return {"code": text(data[0]), "scope": extended_json((DOCUMENT, data[1]))}
    return _scalar(kind, data)


def _exact(kind: int, data: bytes) -> bool:
    return kind == DOUBLE or int(float(_scalar(kind, data))) == _scalar(kind, data)


def _bits(kind: int, data: bytes) -> int:
    number = data if kind == DOUBLE else struct.pack("<d", _scalar(kind, data))
    return int(struct.unpack("<q", number)[0])


Column = tuple[pa.Field, list[Any]]
"""A field, and the value of each cell."""


def column(name: str, values: list[Value | None], types: Exact, level: int = 1) -> Column:
    """The column that `values` make; top-level columns are on level 1."""
    cells = [None if value is None or value[0] == NULL else value for value in values]
    seen = [value for value in cells if value is not None]
    kinds = {kind for kind, _ in seen}

    def made(data_type: pa.DataType, of: Any) -> Column:
        return pa.field(name, data_type), [None if value is None else of(*value) for value in cells]

    def leaf(found: Leaf) -> Column:
        field, made_cells = made(found.storage, found.cell)
        return (field.with_metadata(found.metadata) if found.metadata else field), made_cells

    if not kinds:
        return made(pa.null(), None)
    if DECIMAL128 in kinds and kinds <= {DECIMAL128, INT32, INT64}:
        return leaf(types.decimals(seen))
    if len(kinds) > 1:
        if kinds == {INT32, INT64}:
            return made(pa.int64(), _scalar)
        if kinds <= {DOUBLE, INT32, INT64} and all(_exact(*value) for value in seen):
            return made(pa.float64(), _bits)
        return leaf(types.mixed())
    (kind,) = kinds
    if kind in ARROW:
        return made(ARROW[kind], _scalar)
    if kind in NAMED:
        return leaf(types.of_kind(kind))
    if kind == BINARY:
        if all(data[4] == 0 for _, data in seen):
            return made(pa.binary(), lambda _, data: data[5:])
        is_uuid = all(uuid_of(*value, types.uuids) is not None for value in seen)
        return leaf(types.uuid() if is_uuid else types.subtyped())
    if level >= MAX_LEVELS:
        return leaf(types.mixed())
    if kind == LIST:
        items = [item for _, data in seen for item in data]
        field, item_cells = column("item", items, types, level + 1)
        rest = iter(item_cells)
        return made(pa.list_(field), lambda _, data: [next(rest) for _ in data])
    # A dict keeps the order of first appearance.
    keys = list(dict.fromkeys(key for _, data in seen for key in data))
    if not 0 < len(keys) <= MAX_KEYS:
        return leaf(types.mixed())
    columns = [column(key, [data.get(key) for _, data in seen], types, level + 1) for key in keys]
    rows = iter(zip(*(inner for _, inner in columns), strict=True))
    return made(pa.struct([field for field, _ in columns]), lambda *_: dict(zip(keys, next(rows), strict=True)))


def columns(documents: list[bytes], types: Exact) -> list[Column]:
    """The columns of the table that the documents make."""
    parsed = [document(data) for data in documents]
    keys = dict.fromkeys(key for found in parsed for key in found)
    return [column(key, [found.get(key) for found in parsed], types) for key in keys]


class Tables(NamedTuple):
    """The tables that documents make, by the `types` of a query."""

    plain: list[Column]
    """Of a whole result."""
    stream: list[Column]
    """Of a stream with plain types: its decimals have room for later values."""
    exact: list[Column]

    @classmethod
    def of(cls, documents: list[bytes], uuids: int = UuidRepresentation.UNSPECIFIED) -> Tables:
        """`uuids` is the UUID representation of the codec."""
        each = Plain(uuids), Plain(uuids, frozen=True), Exact(uuids)
        return cls(*(columns(documents, types) for types in each))

    def of_result(self, types: str) -> list[Column]:
        return self.plain if types == "plain" else self.exact

    def of_stream(self, types: str) -> list[Column]:
        return self.stream if types == "plain" else self.exact


TYPES = ("plain", "exact")


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


def conformed(
    fields: list[pa.Field], documents: list[bytes], inferred: bool, uuids: int = UuidRepresentation.UNSPECIFIED
) -> tuple[list[list[Any]], list[Any]]:
    """The cells of each column, and of `_rescued`, for a schema the documents need not fit. In an `inferred` one, that
    of a stream, keys without a column are rescued, and text is strings only; with a given schema they are left out."""
    rows, rescued = [], []
    for data in documents:
        fit = _Fit(inferred, uuids)
        rows.append(fit.document(fields, document(data), []))
        rescued.append(fit.misfits or None)
    return [[row[field.name] for row in rows] for field in fields], rescued


class _Fit:
    """One document in a schema, and its values that do not fit."""

    def __init__(self, inferred: bool, uuids: int) -> None:
        self.inferred = inferred
        self.uuids = uuids
        self.misfits: list[Misfit] = []

    def document(self, fields: list[pa.Field], value: dict[str, Value], path: list[str]) -> dict[str, Any]:
        row = dict.fromkeys(field.name for field in fields)
        named = {field.name: field for field in fields}
        for key, inner in value.items():
            if key in named:
                row[key] = self.value(named[key], inner, [*path, key])
            elif self.inferred:
                self._rescue([*path, key], inner)
        return row

    def _rescue(self, path: list[str], value: Value) -> None:
        self.misfits.append({"path": path, "value": None if value[0] == NULL else encode({"": value})})

    def value(self, field: pa.Field, value: Value, path: list[str]) -> Any:
        kind, data = value
        if kind == NULL:
            return None
        if not field.metadata and pa.types.is_struct(field.type) and kind == DOCUMENT:
            inner = [field.type.field(position) for position in range(field.type.num_fields)]
            return self.document(inner, data, path)
        if pa.types.is_list(field.type) and kind == LIST:
            items = field.type.value_field
            return [self.value(items, item, [*path, str(at)]) for at, item in enumerate(data)]
        cell = self._leaf(field, kind, data)
        if cell is None:
            self._rescue(path, value)
        return cell

    def _leaf(self, field: pa.Field, kind: int, data: Any) -> Any:
        """The cell, or None for a value that does not fit."""
        metadata = field.metadata or {}
        if EXTENSION in metadata:
            return self._named(metadata[EXTENSION].decode().removeprefix("data_bridge."), EXACT, field, kind, data)
        if STORED_TYPE in metadata:
            return self._named(metadata[STORED_TYPE].decode(), PLAIN, field, kind, data)
        to = field.type
        if to == pa.uuid():
            found = uuid_of(kind, data, self.uuids)
            return None if found is None else found.bytes
        if to == pa.utf8() and not self.inferred:
            return self._text(kind, data)
        if to == pa.binary():
            return data[5:] if kind == BINARY and data[4] == 0 else None
        if to == pa.float64():
            return _bits(kind, data) if kind in (DOUBLE, INT32, INT64) and _exact(kind, data) else None
        if to in RANGES:
            return _whole(kind, data, RANGES[to])
        return _scalar(kind, data) if kind in ARROW and ARROW[kind] == to else None

    def _text(self, kind: int, data: Any) -> str | None:
        """Text in a given schema: strings, and the values whose plain form is text."""
        found = uuid_of(kind, data, self.uuids)
        if found is not None:
            return str(found)
        if kind == DECIMAL128:
            return decimal_text(kind, data)
        return str(_plain_scalar(kind, data)) if kind in (STRING, OBJECT_ID) else None

    def _named(self, name: str, types: Exact, field: pa.Field, kind: int, data: Any) -> Any:
        if name == "mixed":
            return types.mixed().cell(kind, data)
        if name == "binary":
            return _binary(data) if kind == BINARY else None
        if name == "uuid":
            found = uuid_of(kind, data, self.uuids)
            return None if found is None else str(found)
        if name == "decimal128" and types is PLAIN:
            return _plain_decimal(field.type, kind, data)
        if kind in NAMED and NAMED[kind][0] == name:
            return types.of_kind(kind).cell(kind, data)
        return None


def _plain_decimal(to: pa.DataType, kind: int, data: Any) -> Any:
    if kind not in (DECIMAL128, INT32, INT64):
        return None
    if to == pa.utf8():
        return decimal_text(kind, data)
    number = decimal_of(kind, data)
    return number if fits(number, to.precision, to.scale) else None


def _whole(kind: int, data: Any, limit: int) -> int | None:
    number = struct.unpack("<d", data)[0] if kind == DOUBLE else _scalar(kind, data)
    if kind == DOUBLE and not (number.is_integer() and _bits(kind, data) != _bits(DOUBLE, struct.pack("<d", -0.0))):
        return None
    return int(number) if kind in (DOUBLE, INT32, INT64) and -limit <= number < limit else None
