"""Compares docs/types.md, for each type under each argument and for joined types, with the columns of tables."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pytest
from bson import Binary, Code, CodecOptions, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from bson.binary import UuidRepresentation
from strategies import framed, one_of_each, string
from table_model import TYPES

import data_bridge

PAGE = (Path(__file__).parents[3] / "docs" / "types.md").read_text(encoding="utf-8")
TEXT = (0x02, string("x"))
# What one_of_each() calls the rows of the table that are not called the same.
NAMES = {
    "binary of subtype 0": "binary",
    "UUID: binary of subtype 4 and 16 bytes": "uuid",
    "binary of another subtype": "user binary",
    "ObjectId": "object id",
    "javascript": "code",
    "javascript with scope": "code with scope",
    "decimal128 `1.25`": "decimal128",
}
# Those with strings in them, which strings= is to reach.
NESTED = {
    'document `{"a": "x"}`': (0x03, framed([(TEXT[0], "a", TEXT[1])])),
    'list `["x"]`': (0x04, framed([(TEXT[0], "0", TEXT[1])])),
}
MIXED = "several types (mixed)"


def rows_of(title: str) -> list[list[str]]:
    """The first table of a section, with its header."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table is not None
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()]
    return [rows[0], *rows[2:]]


def switches_of_the_page() -> tuple[list[str], dict[str, dict[tuple[str, str], str]]]:
    """The options, and for each row its type under (option, value)."""
    header, *rows = rows_of("Other representations")
    options = [cell.strip("`=") for cell in header[1:]]
    found = {}
    for name, *cells in rows:
        others = {}
        for option, cell in zip(options, cells, strict=True):
            entries = re.findall(r'`"([^`]+)"`: `([^`]+)`', cell)
            # Nothing in a cell goes unread.
            assert cell == "; ".join(f'`"{value}"`: `{kind}`' for value, kind in entries)
            others.update({(option, value): kind for value, kind in entries})
        found[name] = others
    return options, found


ROWS = {name: (plain.strip("`"), exact.strip("`"), stored.strip("`"))
        for name, plain, exact, stored in rows_of("Arrow type of each BSON type")[1:]}  # fmt: skip
OPTIONS, SWITCHES = switches_of_the_page()
BASES = [(option, base) for option in OPTIONS for base in TYPES]
VALUES = sorted({key for others in SWITCHES.values() for key in others} | set(BASES))
# The row whose column an option chooses with "plain" or "exact".
SWITCHED = {"objectid": "ObjectId", "uuid": "UUID: binary of subtype 4 and 16 bytes", "decimal": "decimal128 `1.25`",
            "mixed": MIXED}  # fmt: skip


def documents_of(row: str) -> bytes:
    if row == MIXED:
        return framed([(0x10, "x", b"\1\0\0\0")]) + framed([(TEXT[0], "x", TEXT[1])])
    kind, value = example_of(row)
    return framed([(kind, "x", value)])


def example_of(row: str) -> tuple[int, bytes]:
    """Type byte and bytes."""
    return NESTED[row] if row in NESTED else one_of_each()[NAMES.get(row, row.lower())]


def test_the_page_has_every_type_and_option() -> None:
    shown = {example_of(row)[0] for row in ROWS if row != MIXED}
    assert shown == {*range(0x01, 0x14), 0x7F, 0xFF}, "all 21 types"
    assert {*NAMES, *NESTED, MIXED} <= set(ROWS)
    assert set(SWITCHES) <= set(ROWS)
    assert OPTIONS == ["objectid", "uuid", "decimal", "mixed", "strings"]
    for option in OPTIONS:
        with pytest.raises(ValueError, match=f"{option} must be") as refused:
            data_bridge.read_bson(b"", **{option: "guess"})
        # The code accepts the values of the page; a type given as text stands for all types.
        taken = re.findall(r'"([^"]+)"', str(refused.value).split(", got")[0])
        accepted = sorted(value for name, value in VALUES if name == option)
        # As a layout of strings, the bases are the default.
        assert sorted(taken) == accepted if option != "strings" else sorted({*taken, *TYPES}) == accepted
    with pytest.raises(ValueError, match="types must be"):
        data_bridge.read_bson(b"", types="guess")


def expected_type(row: str, types: str, option: str, value: str) -> str:
    plain, exact, _ = ROWS[row]
    switched = SWITCHES.get(row, {}).get((option, value))
    is_text_of_another_type = option == "strings" and plain != exact
    if switched is not None and not (is_text_of_another_type and types == "exact"):
        return switched
    if value in TYPES and SWITCHED.get(option) == row:
        types = value
    return plain if types == "plain" else exact


def without_stored_types(schema: data_bridge.Schema) -> str:
    """Return the text of a schema with extension names, whose names have points, and without stored types."""
    return re.sub(r" \(\w+\)", "", repr(schema))


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize(("option", "value"), VALUES)
def test_what_leaves_is_what_the_page_says(row: str, option: str, value: str, types: str) -> None:
    expected = f"x: {expected_type(row, types, option, value)}"
    query = data_bridge.read_bson(documents_of(row), types=types, **{option: value})
    in_a_stream = expected
    if expected == "x: Decimal128(18, 2)":
        in_a_stream = "x: Decimal128(38, 10)"
    assert without_stored_types(query.schema()) == expected
    assert without_stored_types(query.read().schema) == expected
    with query.stream() as stream:
        assert without_stored_types(stream.schema) == in_a_stream
        for batch in stream:
            pa.record_batch(batch).validate(full=True)
    table = query.to_arrow()
    table.validate(full=True)


@pytest.mark.parametrize("row", ROWS)
def test_the_stored_type_is_in_the_metadata(row: str) -> None:
    plain, exact, stored = ROWS[row]
    fields = {types: data_bridge.read_bson(documents_of(row), types=types).to_arrow().field("x") for types in TYPES}
    assert fields["plain"].metadata == ({b"data_bridge.type": stored.encode()} if stored else None)
    assert (plain == exact) == (not stored)
    if stored and stored != "uuid":
        assert fields["exact"].metadata == {b"ARROW:extension:name": f"data_bridge.{stored}".encode()}


# ---- several types at one path ---------------------------------------------------------------------------------------

LEGACY = CodecOptions[dict[str, Any]](uuid_representation=UuidRepresentation.PYTHON_LEGACY)
UID, OLD_UID = Binary(bytes(16), 4), Binary(bytes(16), 3)
JOINED: dict[str, list[list[Any]]] = {
    "only nulls": [[None, None], [None]],
    "lists that are all empty, or hold only nulls": [[[], []], [[None], []]],
    "documents that are all empty (`{}`)": [[{}, {}], [{}, None]],
    'an empty document and `{"a": 1}`': [[{}, {"a": 1}]],
    'documents `{"a": 1}` and `{"b": "x"}`: joined key by key': [[{"a": 1}, {"b": "x"}]],
    'lists `[1]` and `["x"]`: joined by element': [[[1], ["x"]]],
    "int32 and int64": [[1, Int64(1)]],
    "double and integers, each integer the same number as a double": [[1.5, 1], [0.5, Int64(2**53)]],
    "double and an integer that no double holds (2^53 + 1)": [[1.5, Int64(2**53 + 1)]],
    "decimal128 and integers": [[Decimal128("0.25"), 7], [Int64(10**15), Decimal128("0.25"), None]],
    "decimal128 and integers of more than 18 digits together": [[Decimal128("0.25"), Int64(10**16)]],
    "decimal128 and integers of more than 35 digits together": [[Decimal128("1E-17"), Int64(10**18)]],
    "decimals, one of them NaN or infinite": [
        [Decimal128("1"), Decimal128("NaN")],
        [Decimal128("-Infinity")],
    ],
    "decimals of more than 35 digits together": [[Decimal128("1E+30"), Decimal128("1E-5")], [Decimal128("1E+35")]],
    "decimal128 and double": [[Decimal128("1"), 1.0]],
    "ObjectId and null": [[ObjectId(), None]],
    "ObjectId and string": [[ObjectId(), str(ObjectId())]],
    "binary of subtype 0 and of subtype 5": [[b"x", Binary(b"x", 5)]],
    "binary of subtype 0 and a UUID of subtype 4": [[b"x", UID], [bytes(16), UID]],
    "binary of subtype 4, one of them not of 16 bytes": [[UID, Binary(b"x", 4)], [Binary(b"", 4)]],
    "binary of subtype 3": [[OLD_UID], [OLD_UID, UID], [Binary(b"x", 3)]],
    "binary of subtypes 3 and 4, 16 bytes, `uuid_representation` legacy": [[OLD_UID, UID], [OLD_UID], [UID]],
    "binary of subtype 3 and another length, `uuid_representation` legacy": [[OLD_UID, Binary(b"x", 3)]],
    "minKey and null": [[MinKey(), None]],
    "minKey and maxKey": [[MinKey(), MaxKey()]],
    "minKey and an int32": [[MinKey(), 1]],
    "bool and an int32": [[True, 1]],
    "date and timestamp": [[bson.DatetimeMS(0), Timestamp(0, 0)]],
    "string and symbol, or string and javascript": [["x", Code("x")]],
    "any other two types": [[1, "x"], [{"a": 1}, [1]], [[1], 1], [Decimal128("1"), "1"], [b"x", "x"]],
}


# The stored type that a note in parentheses stands for.
NOTED = {"mixed": b"mixed", "digits": b"decimal128", "UUIDs": b"uuid", "hexadecimal digits": b"objectid"}


@pytest.mark.parametrize("row", rows_of("Several types at one path")[1:], ids=lambda row: row[0])
def test_joined_types_are_what_the_page_says(row: list[str]) -> None:
    seen, *kinds = row
    options = LEGACY if "legacy" in seen else None
    for values in JOINED[seen]:
        # Keys are in order of first appearance; nothing else depends on the order.
        for ordered in (values, values if "key by key" in seen else values[::-1]):
            documents = [bson.encode({"x": value}) for value in ordered]
            for types, kind in zip(TYPES, kinds, strict=True):
                shown = re.fullmatch(r"`([^`]+)`(?: \(([^)]+)\))?", kind)
                assert shown is not None
                query = data_bridge.read_bson(documents, codec_options=options, types=types)
                field, described = query.to_arrow().field("x"), without_stored_types(query.schema())
                name, note = shown.groups()
                if name.startswith("List(") and note == "mixed":
                    field, name = field.type.value_field, name.removesuffix(")")
                    assert described.startswith(f"x: {name}")
                else:
                    assert described == f"x: {name}"
                if note is not None and types == "plain":
                    assert field.metadata == {b"data_bridge.type": NOTED[note]}


def test_every_row_of_joined_types_has_an_example() -> None:
    assert [row[0] for row in rows_of("Several types at one path")[1:]] == list(JOINED)


def test_symbols_do_not_join_strings() -> None:
    documents = [framed([(kind, "x", string("x"))]) for kind in (0x02, 0x0E)]
    assert data_bridge.read_bson(documents).to_arrow().field("x").metadata == {b"data_bridge.type": b"mixed"}


def test_undefined_joins_null_only() -> None:
    undefined, null, one = (0x06, b""), (0x0A, b""), (0x10, struct.pack("<i", 1))
    for other, kind in ((null, pa.bool_()), (one, pa.string())):
        documents = [framed([(each[0], "x", each[1])]) for each in (undefined, other)]
        assert data_bridge.read_bson(documents).to_arrow().field("x").type == kind
