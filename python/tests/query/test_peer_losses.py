"""Input on which other readers of MongoDB lose or change values, and what each must become: at once, as documents and
as a stream, for any size of a batch and number of threads. Comments say what PyMongoArrow 1.15 or another made of it.
"""

from __future__ import annotations

import itertools
import json
import math
import struct
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import bson
import pyarrow as pa
import pymongo
import pytest
from bson import Binary, CodecOptions, Decimal128, Int64, ObjectId, Regex, json_util
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument
from oracle import assert_same, plain
from strategies import EXACT_PYMONGO, document_of, elements, framed, one_of_each, string
from table_model import TYPES
from test_oracle import BATCH_SIZES, OPTIONS, streamed

from data_bridge import Collection, DecodeError, MongoClient, Query, SchemaConflict, read_bson

OIDS = [ObjectId(bytes([number]) * 12) for number in range(4)]
NAN = math.nan


class Case(NamedTuple):
    """Documents (an `_id` is added where there is none) and what columns they must make: type and cells. A type is
    Arrow's, or the name of one that Arrow does not have, whose cells are then values of BSON."""

    documents: list[Any]
    columns: dict[str, tuple[pa.DataType | str, list[Any]]]


def mixed(*values: Any) -> tuple[str, list[Any]]:
    """A mixed column of these values; None is null."""
    return "mixed", list(values)


def xs(*values: Any) -> list[dict[str, Any]]:
    return [{"x": value} for value in values]


def number(value: int) -> bytes:
    return struct.pack("<i", value)


TWICE = framed([(0x10, "a", number(1)), (0x10, "b", number(2)), (0x10, "a", number(3))])
STRUCT = pa.struct([("a", pa.int32())])

CASES = {
    # 1, 2: the fraction gone, with a schema as well; threads gave 1, 2.5.
    "int32, then a fraction": Case(xs(1, 2.5), {"x": (pa.float64(), [1.0, 2.5])}),
    # -9223372036854775808
    "int64, then a large double": Case(xs(Int64(7), 1e300), {"x": (pa.float64(), [7.0, 1e300])}),
    "int64 no double can hold, then a double": Case(xs(Int64(2**53 + 1), 1e300), {"x": mixed(Int64(2**53 + 1), 1e300)}),
    # The whole query failed.
    "int32, then a double above it": Case(xs(1, 1e12), {"x": (pa.float64(), [1.0, 1e12])}),
    "int32, then an int64 above it": Case(xs(1, Int64(10**12)), {"x": (pa.int64(), [1, 10**12])}),
    # The string null; with threads an ArrowTypeError.
    "int, then string": Case(xs(1, "a", 2), {"x": mixed(1, "a", 2)}),
    # Primary keys null; partitions bounded by $gte and $lt lost most rows.
    "ids of several types": Case(
        [{"_id": 1}, {"_id": "a"}, {"_id": OIDS[1]}, {"_id": 2.5}, {"_id": {"k": 1}}],
        {"_id": mixed(1, "a", OIDS[1], 2.5, {"k": 1})},
    ),
    # []
    "list, then scalar": Case(xs([1], 5, [2]), {"x": mixed([1], 5, [2])}),
    "list, then document": Case(xs([1], {"a": 1}), {"x": mixed([1], {"a": 1})}),
    # {a: null}
    "document, then string": Case(xs({"a": 1}, "s"), {"x": mixed({"a": 1}, "s")}),
    # The first items gone, the others moved.
    "null first in a list": Case(xs([None, 1, 2]), {"x": (pa.list_(pa.int32()), [[None, 1, 2]])}),
    "NaN first in a list": Case(xs([NAN, 1.5]), {"x": (pa.list_(pa.float64()), [[NAN, 1.5]])}),
    "regex first in a list": Case(
        xs([Regex("a+", "i"), 1]),
        {"x": ("mixed items", [[Regex("a+", "i"), 1]])},
    ),
    # All three {a: null}.
    "document, null, empty and missing": Case(
        [{"x": {"a": 1}}, {"x": None}, {"x": {}}, {}], {"x": (STRUCT, [{"a": 1}, None, {"a": None}, None])}
    ),
    # The query failed.
    "documents that are always empty": Case(xs({}, {}, None), {"x": mixed({}, {}, None)}),
    # null
    "NaN": Case(xs(1.5, NAN, math.inf), {"x": (pa.float64(), [1.5, NAN, math.inf])}),
    # Values moved to other rows.
    "keys that occur twice": Case(
        [{"a": 7, "b": 8}, TWICE, {"a": 9}], {"a": (pa.int32(), [7, 3, 9]), "b": (pa.int32(), [8, 2, None])}
    ),
    # KeyError; nested ones became columns.
    "keys with dots": Case(
        [{"a.b": 1, "a": {"b": 2, "c.d": 3}}],
        {"a.b": (pa.int32(), [1]), "a": (pa.struct([("b", pa.int32()), ("c.d", pa.int32())]), [{"b": 2, "c.d": 3}])},
    ),
    # Types that became null columns, or doubles.
    "types without one of Arrow": Case(
        [{"d": Decimal128("1.10"), "r": Regex("a", "x"), "b": Binary(b"x", 5), "m": bson.MinKey()}],
        {
            "d": ("decimal128", [Decimal128("1.10")]),
            "r": ("regex", [{"pattern": "a", "options": "x"}]),
            "b": ("binary", [{"subtype": 5, "data": b"x"}]),
            "m": ("minkey", [True]),
        },
    ),
    # Text
    "documents in lists": Case(xs([{"a": 1}, {"a": 2}], []), {"x": (pa.list_(STRUCT), [[{"a": 1}, {"a": 2}], []])}),
    # ""
    "a string that is missing": Case([{"x": "a"}, {}, {"x": ""}], {"x": (pa.utf8(), ["a", None, ""])}),
    # What the first document or the most of the first 100 show was taken for all.
    "another type after many": Case(xs(*[1] * 150, "s"), {"x": mixed(*[1] * 150, "s")}),
    "a key only the last one has": Case([*xs(*[1] * 150), {"y": 1}], {"y": (pa.int32(), [*[None] * 150, 1])}),
    # 3,000: what skip and limit divide does not always add up.
    "a number no partition divides": Case(xs(*range(3001)), {"x": (pa.int32(), list(range(3001)))}),
    # 0 and 1,000
    "a thousand ids of each of three types": Case(
        [{"_id": each} for at in range(1000) for each in (at, str(at), ObjectId(f"{at:024x}"))],
        {"_id": mixed(*(each for at in range(1000) for each in (at, str(at), ObjectId(f"{at:024x}"))))},
    ),
}


def encoded(case: Case) -> list[bytes]:
    """Documents as they are stored."""
    found = []
    for at, document in enumerate(case.documents):
        data = document if isinstance(document, bytes) else bson.encode(document)
        has_id = not isinstance(document, bytes) and "_id" in document
        found.append(data if has_id else document_of(elements(framed([(0x10, "_id", number(at))])), elements(data)))
    return found


def check_columns(table: pa.Table, case: Case, types: str) -> None:
    table.validate(full=True)
    assert table.num_rows == len(case.documents)
    for name, (wanted, cells) in case.columns.items():
        field, found = table.schema.field(name), table.column(name).to_pylist()
        if not isinstance(wanted, str):
            assert field.type == wanted
            assert not field.metadata
            assert repr(found) == repr(cells)  # by repr, in which NaN is NaN
            continue
        if wanted == "mixed items":
            field, wanted = field.type.value_field, "mixed"
            found, cells = found[0], cells[0]
        key, prefix = ("data_bridge.type", "") if types == "plain" else ("ARROW:extension:name", "data_bridge.")
        assert field.metadata == {key.encode(): f"{prefix}{wanted}".encode()}
        assert found == [None if cell is None else SHOWN[types](wanted, cell) for cell in cells]


def plain_cell(kind: str, value: Any) -> Any:
    if kind == "mixed":
        return json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS)
    return value.to_decimal() if kind == "decimal128" else value


def exact_cell(kind: str, value: Any) -> Any:
    if kind == "mixed":
        return bson.encode({"": value})
    return value.bid if kind == "decimal128" else value


SHOWN = {"plain": plain_cell, "exact": exact_cell}


@pytest.fixture(scope="module")
def stored(
    pymongo_client: pymongo.MongoClient[dict[str, Any]],
) -> Iterator[pymongo.database.Database[dict[str, Any]]]:
    """A collection for each case."""
    name = f"data_bridge_test_{uuid.uuid4().hex}"
    found = pymongo_client.get_database(name, codec_options=OPTIONS)
    for key, case in CASES.items():
        found[key].insert_many(map(RawBSONDocument, encoded(case)))
    yield found
    pymongo_client.drop_database(name)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_lost(stored: Any, client: MongoClient, name: str) -> None:
    case = CASES[name]
    ours: Collection = client[stored.name][name]
    expected = list(stored[name].find())
    assert len(expected) == len(case.documents)
    for size in BATCH_SIZES if len(expected) < 1000 else [37, 1000, None]:
        for types in TYPES:
            for query in (ours.find(batch_size=size, types=types), ours.aggregate([], batch_size=size, types=types)):
                result = query.read()
                check_columns(result.to_arrow(), case, types)
                assert_same([plain(document) for document in result], expected)
            check_columns(streamed(ours.find(batch_size=size, types=types)), case, types)
        assert_same([plain(document) for document in ours.find(batch_size=size)], expected)


WORKER = """
import json, sys
import pyarrow as pa
import data_bridge
threads, uri, database, *names = sys.argv[1:]
data_bridge.config(threads=int(threads))
found = {}
with data_bridge.MongoClient(uri) as client:
    for name in names:
        # A megabyte in each document: several pieces are decoded at a time.
        for types in ("plain", "exact"):
            query = client[database][name].aggregate([{"$set": {"padding": "p" * (1 << 20)}}], types=types)
            table = query.to_arrow().drop_columns(["padding"])
            found[f"{name} {types}"] = str(table.schema), repr(table.to_pylist())
print(json.dumps(found))
"""


def test_nothing_is_lost_for_any_number_of_threads(stored: Any, client: MongoClient, mongodb_uri: str) -> None:
    names = [name for name, case in CASES.items() if len(case.documents) < 100]
    runs = []
    for threads in ("1", "4"):
        command = [sys.executable, "-c", WORKER, threads, mongodb_uri, stored.name, *names]
        runs.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    for name, types in itertools.product(names, TYPES):
        table = client[stored.name][name].find(types=types).to_arrow()
        check_columns(table, CASES[name], types)
        for run in runs:
            assert run[f"{name} {types}"] == [str(table.schema), repr(table.to_pylist())], name


@pytest.mark.parametrize("size", [1, None])
def test_a_schema_truncates_nothing(stored: Any, client: MongoClient, size: int | None) -> None:
    """A value that does not fit is an error that names it, or stands in `_rescued`; never another value."""
    for name, schema, place, kept in [
        ("int32, then a fraction", {"x": int}, 1, [1, None]),
        ("int64, then a large double", {"x": int}, 1, [7, None]),
        ("int32, then an int64 above it", {"x": "int32"}, 1, [1, None]),
        ("int, then string", {"x": int}, 1, [1, None, 2]),
        ("list, then scalar", {"x": [int]}, 1, [[1], None, [2]]),
        ("document, then string", {"x": {"a": int}}, 1, [{"a": 1}, None]),
        ("NaN first in a list", {"x": [int]}, 0, [[None, None]]),
    ]:
        query = client[stored.name][name].find(schema=schema, batch_size=size)
        with pytest.raises(SchemaConflict) as caught:
            query.to_arrow()
        assert (caught.value.document, caught.value.id) == (place, place)
        table = client[stored.name][name].find(schema=schema, batch_size=size, on_conflict="rescue").to_arrow()
        assert table["x"].to_pylist() == kept
        rescued = table["_rescued"].to_pylist()
        assert [at for at, cell in enumerate(rescued) if cell] == [place]
        original = list(stored[name].find())[place]["x"]
        for entry in rescued[place]:
            value = original[int(entry["path"][1])] if len(entry["path"]) > 1 else original
            assert_same(bson.decode(entry["value"], OPTIONS)[""], value)


def test_null_empty_and_missing_are_told_apart(stored: Any, client: MongoClient) -> None:
    found = client[stored.name]["document, null, empty and missing"].find().to_list()
    assert [document.get("x", "missing") for document in found] == [{"a": 1}, None, {}, "missing"]
    assert [len(document) for document in found] == [2, 2, 2, 1]


def test_another_collection_gives_its_own_rows(stored: Any, client: MongoClient) -> None:
    """A cache without its collection in the key gives documents of another."""
    for name, kept in [("NaN", 3), ("int, then string", 3), ("keys with dots", 1), ("NaN", 3)]:
        assert len(client[stored.name][name].find().read()) == kept


def test_text_that_is_not_utf8(database: Any, client: MongoClient) -> None:
    """Was an Arrow array of bytes that are no text."""
    database.c.insert_one(RawBSONDocument(framed([(0x10, "_id", number(7)), (0x02, "x", b"\3\0\0\0a\xff\0")])))
    query = client[database.name].c.find()
    for read in (Query.to_arrow, Query.read, list, streamed):
        with pytest.raises(DecodeError) as caught:
            read(query)  # type: ignore[operator]
        assert (caught.value.document, caught.value.id, caught.value.path) == (0, 7, ("x",))
    options: CodecOptions[Any] = CodecOptions(unicode_decode_error_handler="replace")
    mended = client[database.name].c.with_options(codec_options=options).find()
    mended.to_arrow().validate(full=True)
    assert mended.to_arrow()["x"].to_pylist() == ["a\ufffd"]


# ---- malformed documents ---------------------------------------------------------------------------------------------
# PyMongoArrow took 59 of the 75 documents of MongoDB's BSON corpus that are none. These are our own, made after the
# description of the format: the corpus may not be used commercially, so none of it is here.


def malformed() -> dict[str, bytes]:
    """Documents with one thing wrong, by what it is."""

    def length(value: int, rest: bytes) -> bytes:
        return number(value) + rest

    found: dict[str, bytes] = {}

    def add(what: str, kind: int, value: bytes) -> None:
        found[what] = framed([(kind, "a", value)])

    for name, kind in [("string", 0x02), ("code", 0x0D), ("symbol", 0x0E)]:
        for lie in (-(2**31), -1, 0, 1, 2, 4, 100, 2**31 - 1):
            add(f"{name}: length {lie}", kind, length(lie, b"ab\0"))
        add(f"{name}: no NUL", kind, length(3, b"abc"))
        add(f"{name}: not UTF-8", kind, length(2, b"\xe9\0"))
        add(f"{name}: half a surrogate pair", kind, length(4, b"\xed\xa0\x80\0"))
        add(f"{name}: nothing", kind, b"")
    for name, kind in [("document", 0x03), ("list", 0x04)]:
        inner = framed([(0x10, "0", number(1))])
        for lie in (-1, 0, 4, 5, len(inner) - 1, len(inner) + 1, 2**31 - 1):
            add(f"{name}: length {lie}", kind, length(lie, inner[4:]))
        add(f"{name}: no NUL", kind, inner[:-1] + b"\1")
        add(f"{name}: an unknown type in it", kind, framed([(0x20, "0", b"")]))
    for lie in (-1, 3, 2**31 - 1):
        add(f"binary: length {lie}", 0x05, length(lie, b"\0ab"))
    for lie in (-1, 1, 3, 2**31 - 1):
        add(f"old binary: inner length {lie}", 0x05, length(6, b"\2" + number(lie) + b"ab"))
    add("old binary: no room for the inner length", 0x05, length(3, b"\2abc"))
    for byte in (2, 0x10, 0xFF):
        add(f"bool: {byte}", 0x08, bytes([byte]))
    add("regex: no NUL after the pattern", 0x0B, b"ab")
    add("regex: pattern not UTF-8", 0x0B, b"\xff\0i\0")
    add("regex: options not UTF-8", 0x0B, b"a\0\xff\0")
    for lie in (-1, 0, 100):
        add(f"dbPointer: length {lie}", 0x0C, length(lie, b"a\0" + bytes(12)))
    add("dbPointer: no NUL", 0x0C, length(2, b"ab" + bytes(12)))
    add("dbPointer: half an id", 0x0C, string("a") + bytes(6))
    scope = framed([(0x10, "x", number(1))])
    sound = string("f") + scope
    for lie in (-1, 0, 4, len(sound) + 3, len(sound) + 5, 100):
        add(f"scoped: length {lie}", 0x0F, length(lie, sound))
    for lie in (-1, 0, 1, 3, 100):
        add(f"scoped: code's length {lie}", 0x0F, length(len(sound) + 4, length(lie, b"f\0" + scope)))
    for lie in (4, len(scope) - 1, len(scope) + 1):
        add(f"scoped: scope's length {lie}", 0x0F, length(len(sound) + 4, string("f") + length(lie, scope[4:])))
    for name, (kind, value) in one_of_each().items():
        # Of some the last byte is one of the NULs that end things, so that less of them is the same.
        if value:
            found[f"{name}: cut short"] = number(4 + 3 + len(value)) + bytes([kind]) + b"a\0" + value[:-1] + b"\0"
    for kind in (0x00, 0x14, 0x7E, 0x80, 0xFE):
        found[f"type {kind:#x}"] = number(9) + bytes([kind]) + b"a\0\0\0"
    found["a key without NUL"] = number(8) + b"\x0aab"
    found["a key that is not UTF-8"] = number(9) + b"\x0a\xff\xff\0\0"
    found["bytes after the last element"] = number(9) + b"\x0aa\0\0\0"
    found["no NUL at the end"] = number(8) + b"\x0aa\0\1"
    for lie in (-1, 0, 4, 5, 7, 9, 2**31 - 1):
        found[f"length {lie}"] = number(lie) + b"\x0aa\0\0"
    return found


def test_malformed_documents_are_refused() -> None:
    found = malformed()
    assert len(found) > 100
    accepted = []
    for what, data in found.items():
        if EXACT_PYMONGO:
            with pytest.raises(InvalidBSON):
                bson.decode(data, OPTIONS)
        for name, read in [("table", Query.to_arrow), ("documents", list), ("stream", streamed), ("read", Query.read)]:
            try:
                read(read_bson([data]))  # type: ignore[operator]
                accepted.append((what, name))
            except DecodeError as error:
                assert error.document == 0  # noqa: PT017
    assert not accepted
