"""Results, columns, documents and keys past the sizes at which 32 bits or memory end."""

from __future__ import annotations

import itertools
import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import bson
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from oracle import assert_same, plain
from strategies import framed, string
from table_model import Tables, check_table

from data_bridge import DecodeError, MongoClient, Result, read_bson

# ---- keys ------------------------------------------------------------------------------------------------------------

KEYS = 100_000


def spread(inside: bool, per_document: int) -> list[bytes]:
    """`KEYS` different keys over documents, at the top or under `a`; every seventh value is null."""
    made = []
    for start in range(0, KEYS, per_document):
        values = {f"k{at}": None if at % 7 == 0 else at for at in range(start, start + per_document)}
        made.append(bson.encode({"_id": start, "a": values} if inside else {"_id": start, **values}))
    return made


# Grows by what reading takes, in a process of its own: the memory of an earlier test would hide it.
MEMORY = """
import json, resource, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent / "support")]
import pyarrow as pa
from data_bridge import SchemaConflict, read_bson
from test_sizes import spread
made = spread(False, int(sys.argv[2]))
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
read_bson(made[:1]).to_arrow()
before = peak()
try:
    read_bson(made).to_arrow()
except SchemaConflict as conflict:
    print(json.dumps([str(conflict), peak() - before, sum(map(len, made))]))
"""


@pytest.mark.parametrize("per_document", [1, 100])
def test_very_many_top_level_keys_are_no_table(request: pytest.FixtureRequest, per_document: int) -> None:
    """An error that names the action to take, in bounded memory."""
    command = [sys.executable, "-c", MEMORY, str(request.path.parent), str(per_document)]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    message, grown, size = json.loads(output)
    assert "10000" in message.replace(",", "")
    assert "projection" in message
    print(f"{per_document} keys a document: {size} bytes took {grown}")
    assert grown < 512 << 20


@pytest.mark.parametrize("per_document", [100, KEYS])
def test_very_many_top_level_keys_as_documents(per_document: int) -> None:
    made = spread(False, per_document)
    assert_same(read_bson(made).to_dicts(), [bson.decode(data) for data in made])
    for found in (read_bson(made), read_bson(made).read()):
        assert_same([plain(document) for document in found], [bson.decode(data) for data in made])


@pytest.mark.parametrize("per_document", [1, 100, KEYS])
def test_very_many_keys_under_one_path(per_document: int) -> None:
    """One mixed column."""
    made = spread(True, per_document)
    wanted = Tables.of(made)
    for types, key, name in (
        ("plain", b"data_bridge.type", b"mixed"),
        ("exact", b"ARROW:extension:name", b"data_bridge.mixed"),
    ):
        table = read_bson(made, types=types).to_arrow()
        check_table(table, wanted.of_result(types))
        assert table.schema.field("a").metadata == {key: name}
    assert_same([plain(document) for document in read_bson(made)], [bson.decode(data) for data in made])


def test_keys_of_documents_of_several_shapes() -> None:
    """The shape of a null tells null from missing; long shapes are not searched for it."""
    made = []
    for count, step in itertools.product((1, 15, 16, 17, 100, 3000), (1, -1, 7)):
        keys = [f"k{at * step % 3001}" for at in range(count)]
        made.append(bson.encode({key: None if at % 2 else at for at, key in enumerate(keys)}))
    for found in (
        read_bson(made),
        read_bson(made).read(),
        read_bson([bson.encode({"d": bson.decode(made[-1])}), *made]),
    ):
        for document in found:
            expected = document.to_dict()
            for at in range(-1, 3002):
                key = f"k{at}"
                assert (key in document) == (key in expected)
                assert document.get(key, "missing") == expected.get(key, "missing")


# ---- gigabytes -------------------------------------------------------------------------------------------------------

GIB = 1 << 30
OVER = 2 * GIB + (64 << 20)
SIZE = 50_000


def text(row: int) -> str:
    return f"{row:010}" * (SIZE // 10)


def number(value: int) -> bytes:
    return struct.pack("<i", value)


def value(kind: str, row: int) -> tuple[int, bytes]:
    """A value of `SIZE` bytes in Arrow."""
    data = text(row)
    if kind == "string":
        return 0x02, string(data)
    if kind == "binary":
        return 0x05, struct.pack("<iB", SIZE, 0) + data.encode()
    if kind == "subtypes":
        return 0x05, struct.pack("<iB", SIZE, row % 100 + 5) + data.encode()
    if kind == "list of strings":
        return 0x04, framed([(0x02, str(at), string(f"{row:010}" * 500)) for at in range(SIZE // 5000)])
    # Long lists are slow to write here: one for all, but for its first item.
    return 0x04, NUMBERS.replace(MARK, struct.pack("<q", row), 1)


MARK = b"\xff" * 8
NUMBERS = framed([(0x12, str(at), struct.pack("<q", at) if at else MARK) for at in range(SIZE // 8)])


def named(kind: int, data: bytes) -> tuple[int, str, bytes]:
    return kind, "v", data


def large(kind: str, rows: int) -> Iterator[bytes]:
    """Documents one by one, some hundred in a buffer."""
    for start in range(0, rows, 200):
        numbers = range(start, min(rows, start + 200))
        yield b"".join(framed([(0x10, "_id", number(at)), named(*value(kind, at))]) for at in numbers)


def inner(array: pa.Array) -> pa.Array:
    """The array that holds the bytes, of one chunk."""
    if pa.types.is_struct(array.type):
        return array.field("data")
    return array.values if pa.types.is_list(array.type) else array


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "strings"),
    [
        ("string", "utf8"),
        ("string", "large"),
        ("string", "view"),
        ("binary", "utf8"),
        ("subtypes", "utf8"),
        ("list of strings", "utf8"),
        ("list of numbers", "utf8"),
    ],
)
def test_over_two_gigabytes_in_a_column(kind: str, strings: str) -> None:
    rows = OVER // SIZE
    table = read_bson(large(kind, rows), strings=strings).to_arrow()
    assert table["_id"].to_pylist() == list(range(rows))
    total = 0
    for chunk in table["v"].chunks:
        chunk.validate(full=True)
        held = inner(chunk)
        if pa.types.is_string_view(held.type):
            held = held.cast(pa.large_string())  # lengths of views cannot be read
        size = len(held) * 8 if pa.types.is_int64(held.type) else pc.sum(pc.binary_length(held)).as_py()
        assert size < 2 * GIB or strings != "utf8"
        total += size
    assert total == rows * (SIZE // 8 * 8 if kind == "list of numbers" else SIZE)
    assert total > 2**31
    for row in [0, 1, 199, 200, rows // 2, rows - 2, rows - 1, *range(7, rows, 997)]:
        found = table["v"][row].as_py()
        if kind == "subtypes":
            assert found == {"subtype": row % 100 + 5, "data": text(row).encode()}
        elif kind == "list of strings":
            assert found == [f"{row:010}" * 500] * (SIZE // 5000)
        elif kind == "list of numbers":
            assert found == [row, *range(1, SIZE // 8)]
        else:
            assert found == (text(row) if kind == "string" else text(row).encode())


@pytest.mark.slow
def test_over_two_gigabytes_from_a_server(client: MongoClient, database: Any) -> None:
    database.c.insert_one({"_id": 0, "v": "x" * (2 << 20)})
    count = OVER // (2 << 20)
    pipeline = [{"$project": {"v": 1, "n": {"$range": [0, count]}}}, {"$unwind": "$n"}]
    table = client[database.name].c.aggregate(pipeline).to_arrow()
    assert table["n"].to_pylist() == list(range(count))
    lengths = [length for chunk in table["v"].chunks for length in pc.binary_length(chunk).to_pylist()]
    assert lengths == [2 << 20] * count
    assert sum(lengths) > 2**31


def check_long_list(result: Result, count: int) -> None:
    document = result[0]
    assert len(document["v"]) == count
    with pytest.raises(ValueError, match="2 GiB"):
        document.to_bson()
    column = result.to_arrow()["v"]
    assert column[0].is_valid
    assert column.chunk(0).offsets.to_pylist() == [0, count]


@pytest.mark.slow
def test_a_list_that_is_over_two_gigabytes_with_its_keys_written_out() -> None:
    """Its keys are empty as it comes; ours count, and make it five times as long: too long to be BSON again."""
    count = 220_000_000
    items = b"\x0a\0" * count
    listed = struct.pack("<i", len(items) + 5) + items + b"\0"
    del items
    data = framed([(0x10, "_id", number(7)), (0x04, "v", listed)])
    check_long_list(read_bson([data]).read(), count)
    other = bson.encode({"_id": 8, "v": 1})
    # A mixed column of an exact table would hold it as BSON.
    with pytest.raises(ValueError, match="2 GiB"):
        read_bson([data, other], types="exact").to_arrow()
    column = read_bson([data, other]).to_arrow()["v"]
    assert [length for chunk in column.chunks for length in pc.binary_length(chunk).to_pylist()] == [count * 6, 1]
    with pytest.raises(ValueError, match="2 GiB"):
        read_bson([data], schema={"v": int}, on_conflict="rescue").to_arrow()
    # Beside a number in a list it is kept as BSON from the start.
    data = framed([(0x04, "v", framed([(0x04, "0", listed), (0x10, "1", number(1))]))])
    with pytest.raises(DecodeError, match="2 GiB"):
        read_bson([data]).read()
