"""PyMongo is the oracle: documents of all types, through bytes and through a server, however the result is cut.

The oracle of documents is `bson.decode`. The oracle of tables is `table_model`, which follows docs/types.md.
$DATA_BRIDGE_EXAMPLES is the number of hypothesis examples a test runs.
"""

from __future__ import annotations

import functools
import hashlib
import io
import itertools
import json
import os
import random
import struct
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pymongo
import pytest
from bson import CodecOptions, DBRef
from bson.binary import ALL_UUID_REPRESENTATIONS
from bson.codec_options import DatetimeConversion
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle import assert_same, needs_exact_pymongo, plain
from pymongo.errors import BulkWriteError
from strategies import (
    collection,
    document_of,
    documents,
    elements,
    framed,
    one_of_each,
    raw_documents,
    results,
    string,
)
from table_model import EXACT, PLAIN, STREAM, TYPES, Tables, cells, check_table, columns, describe

import data_bridge
from data_bridge import DecodeError, MongoClient, Query, SchemaConflict, read_bson

OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
BATCH_SIZES = [1, 2, 3, 1000, None]
ALL = 1_000_000


def examples(count: int, most: int = 1_000_000) -> settings:
    return settings(max_examples=min(int(os.environ.get("DATA_BRIDGE_EXAMPLES", count)), most))


# Half of them have much in common, as the documents of one collection; the others nothing.
RESULTS: st.SearchStrategy[list[bytes]] = st.one_of(
    results().map(lambda made: [bson.encode(document) for document in made]),
    results().map(lambda made: [bson.encode(document) for document in made]),
    st.lists(documents().map(bson.encode), max_size=6),
    st.lists(raw_documents(), max_size=6),
)


class Dribble(io.RawIOBase):
    """A file that gives a few bytes at a time."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._file = io.BytesIO(data)
        self._sizes = itertools.cycle(sizes)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        few = next(self._sizes)
        return self._file.read(few if size < 0 else min(size, few))

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def grouped(made: list[bytes], size: int) -> list[bytes]:
    return [b"".join(made[at : at + size]) for at in range(0, len(made), size)]


def cuts(made: list[bytes]) -> dict[str, Callable[..., Query]]:
    """The same documents in all the ways bytes may come; each takes the options of a table."""
    data = b"".join(made)
    return {
        "bytes": lambda **options: read_bson(data, **options),
        "one by one": lambda **options: read_bson(made, **options),
        "two by two": lambda **options: read_bson(grouped(made, 2), **options),
        "three by three": lambda **options: read_bson(iter(grouped(made, 3)), **options),
        "with empty buffers": lambda **options: read_bson(
            [b"", *itertools.chain.from_iterable(zip(made, itertools.repeat(b"")))], **options
        ),
        "file": lambda **options: read_bson(io.BytesIO(data), **options),
        "slow file": lambda **options: read_bson(Dribble(data, [1, 7, 2, 300]), **options),
    }


def streamed(query: Query, infer_rows: int = ALL) -> pa.Table:
    stream = query.stream(infer_rows)
    batches = [pa.record_batch(batch) for batch in stream]
    return pa.Table.from_batches(batches) if batches else None


def check(make: Callable[..., Query], expected: list[dict[str, Any]], wanted: Tables) -> None:
    """A query gives the documents that PyMongo gives and the tables of the model, live and at once."""
    assert_same(make().to_dicts(), expected)
    live = list(make())
    assert_same([document.to_dict() for document in live], expected)
    assert_same([plain(document) for document in live], expected)
    result = make().read()
    assert_same([plain(document) for document in result], expected)
    assert len(result) == len(expected)
    check_tables(make, wanted, len(expected))


def check_tables(make: Callable[..., Query], wanted: Tables, rows: int) -> None:
    """A query gives the tables of the model, of each types=, and as streams."""
    for types in TYPES:
        table = make(types=types).to_arrow()
        assert table.num_rows == rows
        check_table(table, wanted.of_result(types))
        stream = streamed(make(types=types))
        if stream is None:
            assert rows == 0
        else:
            assert stream.num_rows == rows
            check_table(stream, wanted.of_stream(types))


# ---- bytes -----------------------------------------------------------------------------------------------------------


@examples(120)
@given(RESULTS)
def test_bytes_however_they_are_cut(made: list[bytes]) -> None:
    expected = [bson.decode(data, OPTIONS) for data in made]
    wanted = Tables.of(made)
    for make in cuts(made).values():
        check(make, expected, wanted)


PADDING = document_of(*[elements(framed([(0x05, "padding", struct.pack("<iB", 1 << 20, 0) + bytes(1 << 20))]))])


@examples(15, most=200)
@given(RESULTS)
def test_documents_decoded_apart(made: list[bytes]) -> None:
    """With 1 MB in each document, each is a piece of its own, and several are decoded at a time."""
    padded = b"".join(document_of(elements(data), elements(PADDING)) for data in made)
    wanted = Tables.of(made)
    for types in TYPES:
        table = read_bson(padded, types=types).to_arrow()
        check_table(table.drop_columns(["padding"]) if made else table, wanted.of_result(types))
    assert_same(read_bson(padded).to_dicts(), bson.decode_all(padded, OPTIONS))


@examples(60)
@given(RESULTS)
def test_a_table_has_its_own_schema(made: list[bytes]) -> None:
    """The schema a result has, given for the same result, changes nothing."""
    every = Tables.of(made)
    for wanted, types in ((every.plain, "plain"), (every.stream, "plain"), (every.exact, "exact")):
        schema = pa.schema([field for field, _ in wanted])
        check_table(read_bson(made, schema=schema, types=types).to_arrow(), wanted)
        stream = streamed(read_bson(made, schema=schema, types=types))
        if stream is not None:
            check_table(stream, wanted)


def outcome(make: Callable[..., Query], infer_rows: int, types: str) -> Any:
    """A stream's schema and cells, or the conflict that ended it."""
    try:
        table = streamed(make(types=types), infer_rows)
    except SchemaConflict as conflict:
        return conflict.document, conflict.path, conflict.expected, conflict.found, str(conflict)
    return None if table is None else digest(table)


@examples(60)
@given(RESULTS, st.integers(1, 6))
def test_a_stream_freezes_what_its_first_documents_show(made: list[bytes], infer_rows: int) -> None:
    for types, model in (("plain", STREAM), ("exact", EXACT)):
        frozen, whole = columns(made[:infer_rows], model), columns(made, model)
        found = {name: outcome(make, infer_rows, types) for name, make in cuts(made).items()}
        assert all(other == found["bytes"] for other in found.values()), found
        if [describe(field) for field, _ in frozen] == [describe(field) for field, _ in whole]:
            assert found["bytes"] is None or isinstance(found["bytes"], str), found["bytes"]
            if made:
                check_table(streamed(read_bson(made, types=types), infer_rows), whole)


def test_a_path(tmp_path: Path) -> None:
    made = collection(3, 300)
    path = tmp_path / "dump.bson"
    path.write_bytes(b"".join(made))
    check(lambda **options: read_bson(path, **options), [bson.decode(data, OPTIONS) for data in made], Tables.of(made))


# ---- limits ----------------------------------------------------------------------------------------------------------


def nest(depth: int, lists: str) -> bytes:
    """A value under so many documents, or lists at the levels that `lists` says: "d" or "l", over and over."""
    kind, data = 0x10, struct.pack("<i", 7)
    for level in range(depth):
        inside = lists[level % len(lists)]
        kind, data = (0x03, framed([(kind, "a", data)])) if inside == "d" else (0x04, framed([(kind, "0", data)]))
    return framed([(kind, "a", data)])


@pytest.mark.parametrize("lists", ["d", "l", "dl", "ddl"])
def test_deep(lists: str) -> None:
    for depth in (1, 45, 46, 47, 48, 49, 60, 178):
        made = [nest(depth, lists), nest(1, lists), b"\5\0\0\0\0", nest(depth, lists)]
        expected, wanted = [bson.decode(data, OPTIONS) for data in made], Tables.of(made)
        for make in cuts(made).values():
            check(make, expected, wanted)


def test_many_keys() -> None:
    def wide(numbers: range) -> bytes:
        return framed([(0x10, str(number), struct.pack("<i", number)) for number in numbers])

    def under(*inner: bytes) -> list[bytes]:
        return [framed([(0x03, "a", data), (0x04, "l", framed([(0x03, "0", data)]))]) for data in inner]

    for ranges in (
        [range(1000)],
        [range(1001)],
        [range(500), range(500, 1000)],
        [range(500), range(499, 1001)],
        [range(1000), range(1000), range(0)],
        [range(2), range(1001), range(2)],
    ):
        made = under(*map(wide, ranges))
        expected, wanted = [bson.decode(data, OPTIONS) for data in made], Tables.of(made)
        for make in cuts(made).values():
            check(make, expected, wanted)
    made = [wide(range(6000)), wide(range(4000, 10_000))]
    wanted = Tables.of(made)
    for types in TYPES:
        check_table(read_bson(made, types=types).to_arrow(), wanted.of_result(types))
    made.append(wide(range(10_000, 10_001)))
    assert_same(read_bson(made).to_dicts(), [bson.decode(data) for data in made])
    for make in cuts(made).values():
        for types in TYPES:
            with pytest.raises(SchemaConflict):
                make(types=types).to_arrow()


def sparse(seed: int, count: int, keys: int, most: int) -> list[bytes]:
    """Documents that each have a few of many keys, at every level: what is stored by occupied cell."""
    source = random.Random(seed)
    values = list(one_of_each().values())
    usual = [source.choice(values) for _ in range(keys)]

    def level(depth: int) -> bytes:
        found = []
        for key in source.sample(range(keys), source.randrange(most)):
            kind, data = usual[key] if source.random() < 0.97 else source.choice(values)
            found.append((kind, f"k{key}", data))
        if depth and source.random() < 0.5:
            found.append((0x03, "d", level(depth - 1)))
        if depth and source.random() < 0.5:
            items = [(0x03, str(at), level(depth - 1)) for at in range(source.randrange(4))]
            found.append((0x04, "l", framed(items)))
            found.append((0x04, "ll", framed([(0x04, "0", framed(items)), (0x04, "1", framed(items[:1]))])))
        source.shuffle(found)
        return framed(found)

    return [level(2) for _ in range(count)]


@pytest.mark.parametrize(("count", "keys", "most"), [(40, 300, 8), (60, 900, 4), (20, 20, 10), (15, 1500, 60)])
def test_sparse(count: int, keys: int, most: int) -> None:
    made = sparse(count, count, keys, most)
    expected, wanted = [bson.decode(data, OPTIONS) for data in made], Tables.of(made)
    for name in ("bytes", "one by one", "three by three"):
        check(cuts(made)[name], expected, wanted)


NUMBERS = [
    *((0x10, struct.pack("<i", value)) for value in (0, -1, 2**31 - 1, -(2**31))),
    *(
        (0x12, struct.pack("<q", value))
        for value in (0, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**63 - 1024)
    ),
    *((0x01, struct.pack("<d", value)) for value in (0.5, -0.0, float("nan"), 2.0**63, 1e300)),
    (0x01, struct.pack("<Q", 0x7FF4_0000_0000_0001)),  # a signalling NaN
    (0x08, b"\1"),
    (0x0A, b""),
]


@pytest.mark.parametrize("inside", ["", "document", "list"])
def test_numbers_of_several_types(inside: str) -> None:
    """All ordered pairs and many triples of numbers, in one column."""
    wrap = {
        "": lambda kind, data: framed([(kind, "a", data)]),
        "document": lambda kind, data: framed([(0x03, "a", framed([(kind, "b", data)]))]),
        "list": lambda kind, data: framed([(0x04, "a", framed([(kind, "0", data)]))]),
    }[inside]
    for several in [*itertools.product(NUMBERS, repeat=2), *itertools.combinations(NUMBERS, 3)]:
        made = [wrap(*value) for value in several]
        check_tables(functools.partial(read_bson, made), Tables.of(made), len(made))


def test_every_two_types() -> None:
    """Any two types at a path, at the top and in lists, each also beside null, missing and another of the same."""
    kinds = one_of_each()
    for first, second in itertools.product(kinds.values(), repeat=2):
        made = [
            framed([(*_named(first),)]),
            framed([]),
            framed([_named(second)]),
            framed([(0x0A, "a", b"")]),
            framed([_named(first)]),
        ]
        made += [
            framed([(0x04, "l", framed([(first[0], "0", first[1]), (0x0A, "1", b""), (second[0], "2", second[1])]))]),
            framed([(0x04, "l", framed([]))]),
        ]
        expected, wanted = [bson.decode(data, OPTIONS) for data in made], Tables.of(made)
        for name in ("bytes", "one by one"):
            check(cuts(made)[name], expected, wanted)


def _named(value: tuple[int, bytes]) -> tuple[int, str, bytes]:
    return value[0], "a", value[1]


def test_equal_schemas_are_equal_bytes() -> None:
    """Their fields have no metadata that could come in another order."""
    made = [framed([(kind, name, data) for name, (kind, data) in one_of_each().items()])]
    for types in TYPES:
        found = {bytes(read_bson(made, types=types).to_arrow().schema.serialize()) for _ in range(30)}
        assert len(found) == 1


class Told(pa.ExtensionType):
    """One of our types, as a user of pyarrow may register it."""

    def __init__(self) -> None:
        super().__init__(pa.binary(12), "data_bridge.objectid")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> Told:
        assert (storage_type, serialized) == (pa.binary(12), b"")
        return cls()


def test_our_types_can_be_registered_in_pyarrow() -> None:
    pa.register_extension_type(Told())
    try:
        assert isinstance(read_bson([framed([(0x07, "a", bytes(12))])], types="exact").to_arrow()["a"].type, Told)
    finally:
        pa.unregister_extension_type("data_bridge.objectid")


def test_the_model_tells_tables_apart() -> None:
    made = [framed([(0x01, "a", struct.pack("<d", 0.0)), (0x05, "b", b"\1\0\0\0\0x")]), framed([])]
    table = read_bson(made).to_arrow()
    check_table(table, columns(made, PLAIN))
    for other in (
        [framed([(0x01, "a", struct.pack("<d", -0.0)), (0x05, "b", b"\1\0\0\0\0x")]), framed([])],
        [framed([(0x01, "a", struct.pack("<d", 0.0)), (0x05, "b", b"\1\0\0\0\1x")]), framed([])],
        [framed([(0x05, "b", b"\1\0\0\0\0x"), (0x01, "a", struct.pack("<d", 0.0))]), framed([])],
        made[:1],
    ):
        with pytest.raises(AssertionError):
            check_table(table, columns(other, PLAIN))


# ---- a server --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(
    pymongo_client: pymongo.MongoClient[dict[str, Any]],
) -> Iterator[pymongo.collection.Collection[dict[str, Any]]]:
    name = f"data_bridge_test_{uuid.uuid4().hex}"
    yield pymongo_client[name].get_collection("c", codec_options=OPTIONS)
    pymongo_client.drop_database(name)


@pytest.fixture(scope="module")
def ours(mongodb_uri: str, stored: Any) -> Iterator[data_bridge.Collection]:
    with MongoClient(mongodb_uri) as client:
        yield client[stored.database.name].c


def number_id(number: int) -> bytes:
    return elements(framed([(0x10, "_id", struct.pack("<i", number))]))


def odd_id(number: int) -> bytes:
    """Ids of many types in one collection."""
    low = struct.pack("<i", number)
    value = [
        (0x10, low),
        (0x12, low + b"\1\0\0\0"),
        (0x02, string(f"id {number}")),
        (0x03, framed([(0x10, "k", low)])),
        (0x07, bytes(8) + low),
        (0x01, struct.pack("<d", number + 0.5)),
        (0x05, b"\4\0\0\0\0" + low),
        (0x09, low + bytes(4)),
        (0x13, low + bytes(12)),
    ][number % 9]
    return elements(framed([(value[0], "_id", value[1])]))


def load(stored: Any, made: list[bytes], ids: Callable[[int], bytes]) -> list[bytes]:
    """Store documents with ids before their own keys, and give what is stored now: servers refuse some."""
    stored.delete_many({})
    with_ids = [RawBSONDocument(document_of(ids(number), elements(data))) for number, data in enumerate(made)]
    if with_ids:
        refused: list[dict[str, Any]] = []
        try:
            stored.insert_many(with_ids, ordered=False)
        except BulkWriteError as error:
            refused = (error.details or {})["writeErrors"]
        # Two `_id`, names of commands or operators in an `_id`, DBRefs that are none.
        assert {entry["code"] for entry in refused} <= {2, 52, 53, 11000}, refused
    raw = stored.with_options(codec_options=CodecOptions(document_class=RawBSONDocument))
    return [bytes(document.raw) for document in raw.find()]  # of a long reply a view of it


@examples(60)
@example([bson.encode({"$ref": "c", "$id": 1}), bson.encode({"a": 1})], number_id)
@given(RESULTS, st.sampled_from([number_id, odd_id]))
def test_through_a_server(stored: Any, ours: Any, made: list[bytes], ids: Callable[[int], bytes]) -> None:
    there = load(stored, made, ids)
    expected = [bson.decode(data, OPTIONS) for data in there]
    for found, document in zip(stored.find(), expected, strict=True):
        # PyMongo's cursors make a DBRef of a whole document that looks like one, `bson.decode` does not.
        if not isinstance(found, DBRef):
            assert_same(found, document)
    wanted = Tables.of(there)
    for size in BATCH_SIZES:
        check(functools.partial(ours.find, batch_size=size), expected, wanted)
    check(functools.partial(ours.aggregate, [], batch_size=2), expected, wanted)


@pytest.mark.parametrize("uuids", ALL_UUID_REPRESENTATIONS)
def test_codec_options_through_a_server(stored: Any, ours: Any, uuids: int) -> None:
    made = [framed([(kind, name, data)]) for name, (kind, data) in one_of_each().items()]
    made += [framed([(0x05, "u", b"\x10\0\0\0" + subtype + bytes(range(16)))]) for subtype in (b"\3", b"\4")]
    there = load(stored, made, number_id)
    assert len(there) == len(made)
    options = OPTIONS.with_options(tz_aware=True, uuid_representation=uuids)
    expected = list(stored.with_options(codec_options=options).find())
    wanted, collection = Tables.of(there, uuids), ours.with_options(codec_options=options)
    for size in BATCH_SIZES:
        check(functools.partial(collection.find, batch_size=size), expected, wanted)


@pytest.mark.parametrize("size", [1, 2, 3, 1000, None])
def test_text_that_is_not_utf8_through_a_server(stored: Any, ours: Any, size: int | None) -> None:
    """A server stores it; each reader reports its place."""
    bad = framed([(0x03, "b", framed([(0x04, "c", framed([(0x02, "0", b"\3\0\0\0a\xff\0")]))]))])
    for position in range(5):
        there = load(stored, [*[framed([])] * position, bad, *[framed([])] * (4 - position)], number_id)
        assert len(there) == 5
        with pytest.raises(InvalidBSON):
            list(stored.find(batch_size=size or 0))
        errors = set()
        for read in READS.values():
            with pytest.raises(DecodeError) as caught:
                read(ours.find(batch_size=size))
            errors.add(located(caught.value)[:4])
        assert errors == {(position, position, ("b", "c", 0), there[position].index(0xFF))}


# ---- threads ---------------------------------------------------------------------------------------------------------

WORKER = """
import functools, json, sys
from pathlib import Path
path, threads, tests, uri, database = sys.argv[1:]
sys.path[:0] = [tests, str(Path(tests).parent / "support")]
import bson, pyarrow as pa
import data_bridge
data_bridge.config(threads=int(threads))
from data_bridge import MongoClient, read_bson
from test_oracle import bodies, digest, encoded, grouped
from bson_values import split
data = Path(path).read_bytes()
made = split(data)
client = MongoClient(uri)
server = client[database].c
queries = {
    "bytes": functools.partial(read_bson, data),
    "tens": functools.partial(read_bson, grouped(made, 10)),
    "thousands": functools.partial(read_bson, grouped(made, 1000)),
    "find": server.find,
    "find 37": functools.partial(server.find, batch_size=37),
}
found, known = {}, []
def logical(table):
    # Two tables of the same schema and buffers are the same: the slow look is for those that differ.
    table.validate(full=True)
    buffers = bodies(table)
    for schema, other, answer in known:
        if buffers == other and schema.equals(table.schema, check_metadata=True):
            return answer
    known.append((table.schema, buffers, digest(table)))
    return known[-1][2]
for name, make in queries.items():
    found[name] = {
        "dicts": encoded(make().to_dicts()),
        "live": encoded([document.to_dict() for document in make()]),
    }
    for types in ("plain", "exact"):
        table = make(types=types).to_arrow()
        batches = pa.Table.from_batches([pa.record_batch(batch) for batch in make(types=types).stream(1_000_000)])
        found[name][types] = {"table": logical(table), "stream": logical(batches), "bodies": bodies(table)}
client.close()
print(json.dumps(found))
"""


def encoded(found: list[dict[str, Any]]) -> str:
    return hashlib.sha256(b"".join(map(bson.encode, found))).hexdigest()


def digest(table: pa.Table) -> str:
    """Of what a table says, whatever its chunks and the bytes under its nulls."""
    whole = hashlib.sha256(repr([describe(field) for field in table.schema]).encode())
    for column in table.columns:
        whole.update(repr([cell for chunk in column.chunks for cell in cells(chunk)]).encode())
    return whole.hexdigest()


def bodies(table: pa.Table) -> str:
    """Of the table as IPC, one batch, without the schema."""
    whole = hashlib.sha256()
    for batch in table.combine_chunks().to_batches():
        whole.update(batch.serialize())
    return whole.hexdigest()


def check_threads(there: list[bytes], uri: str, database: str, tmp_path: Path) -> None:
    """One thread and many read the same values of a collection, from bytes and from the server."""
    data = b"".join(there)
    path = tmp_path / "dump.bson"
    path.write_bytes(data)
    arguments = [str(Path(__file__).parent), uri, database]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), threads, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for threads in ("1", "4")
    ]
    runs = []
    for process in started:
        output, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
        runs.append(json.loads(output))
    dicts, wanted = encoded(bson.decode_all(data, OPTIONS)), Tables.of(there)
    expected: dict[str, Any] = {"dicts": dicts, "live": dicts}
    for types in TYPES:
        table, stream = read_bson(data, types=types).to_arrow(), streamed(read_bson(data, types=types))
        check_table(table, wanted.of_result(types))
        check_table(stream, wanted.of_stream(types))
        expected[types] = {"table": digest(table), "stream": digest(stream), "bodies": bodies(table)}
    assert_same(read_bson(data).to_dicts(), bson.decode_all(data, OPTIONS))
    for run in runs:
        for name, found in run.items():
            assert found == expected, name


def test_threads(stored: Any, mongodb_uri: str, tmp_path: Path) -> None:
    """Several pieces that are decoded at a time and differ in their types."""
    there = load(stored, collection(11, 3500), number_id)
    assert len(there) == 3500
    assert sum(map(len, there)) > 3 << 20
    check_threads(there, mongodb_uri, stored.database.name, tmp_path)


# ---- what is not BSON ------------------------------------------------------------------------------------------------

READS: dict[str, Callable[[Query], Any]] = {
    "read": lambda query: query.read(),
    "table": lambda query: query.to_arrow(),
    "dicts": lambda query: query.to_dicts(),
    "live": lambda query: list(query),
    "stream": lambda query: list(query.stream(ALL)),
    "stream at once": lambda query: list(query.stream(1)),
}


def located(error: DecodeError) -> tuple[Any, ...]:
    return error.document, error.id, error.path, error.offset, str(error)


def broken() -> dict[str, tuple[bytes, tuple[Any, ...], int]]:
    """Documents of a sound frame with something malformed inside: the bytes of an element, its path, and where the
    offset points, counted from the element."""
    number = struct.pack("<i", 1)
    return {
        "type": (b"\x42a\0", ("a",), 0),
        "type in a list": (b"\x04a\0" + framed([(0x10, "0", number), (0x42, "1", b"")]), ("a", 1), 14),
        "boolean": (b"\x08a\0\2", ("a",), 3),
        "text": (b"\x02a\0\3\0\0\0x\xff\0", ("a",), 8),
        "key": (b"\x0aa\xff\0", ("a\ufffd",), 2),
        "string length": (b"\x02a\0\x63\0\0\0x\0", ("a",), 3),
        "string end": (b"\x02a\0\2\0\0\0xy", ("a",), 8),
        "binary length": (b"\x05a\0\x63\0\0\0\0x", ("a",), 3),
        "old binary": (b"\x05a\0\5\0\0\0\2\7\0\0\0x", ("a",), 8),
        "document": (b"\x03a\0\4\0\0\0\0", ("a",), 3),
        "document in a document": (b"\x03a\0" + framed([(0x03, "b", b"\x63\0\0\0\0")]), ("a", "b"), 10),
        "scope": (b"\x0fa\0\x11\0\0\0\2\0\0\0x\0\7\0\0\0\x42\0\0", ("a", ""), 17),
    }


@pytest.mark.parametrize("what", broken())
def test_malformed_documents_are_named(what: str) -> None:
    """Document, id, path and offset are the same wherever the bytes were cut and however they are read."""
    element, path, at = broken()[what]
    before = elements(framed([(0x10, "_id", struct.pack("<i", 77)), (0x02, "text", string("x"))]))
    bad = document_of(before, element)
    with pytest.raises(InvalidBSON):
        bson.decode(bad, OPTIONS)
    good = [
        document_of(number_id(number), elements(framed([(0x02, "text", string("y" * number))]))) for number in range(6)
    ]
    padded = [document_of(elements(data), elements(PADDING)) for data in good]
    for position in range(7):
        errors = set()
        made = [*good[:position], bad, *good[position:]]
        # A second one changes nothing.
        twice = [*made, bad]
        ways = {**cuts(made), **{f"{name}, twice": make for name, make in cuts(twice).items()}}
        if position in (0, 5):
            large = b"".join([*padded[:position], bad, *padded[position:], bad])
            ways["large"] = functools.partial(read_bson, large)
        for make in ways.values():
            for read in READS.values():
                with pytest.raises(DecodeError) as caught:
                    read(make())
                errors.add(located(caught.value))
        assert len(errors) == 1, errors
        assert errors.pop()[:4] == (position, 77, path, 4 + len(before) + at)


@pytest.mark.parametrize(
    ("length", "last", "offset"),
    [(4, 0, 0), (0, 0, 0), (-5, 0, 0), (2**31 - 1, 0, 0), (22, 0, 21), (25, 1, 24)],
)
def test_documents_with_a_wrong_frame_are_named(length: int, last: int, offset: int) -> None:
    """Not with lengths that reach into the next document: what is there depends on the cut."""
    sound = document_of(number_id(77), elements(framed([(0x02, "t", string("abc"))])))
    assert len(sound) == 25
    bad = struct.pack("<i", length) + sound[4:-1] + bytes([last])
    for position in (0, 2, 4):
        good = [document_of(number_id(number)) for number in range(4)]
        errors = set()
        for make in cuts([*good[:position], bad, *good[position:]]).values():
            for read in READS.values():
                with pytest.raises(DecodeError) as caught:
                    read(make())
                errors.add((caught.value.document, caught.value.path, caught.value.offset))
        assert errors == {(position, (), offset)}


@pytest.mark.parametrize("what", broken())
def test_documents_before_a_malformed_one(what: str) -> None:
    good = [framed([(0x10, "n", struct.pack("<i", number))]) for number in range(5)]
    seen: list[dict[str, Any]] = []
    with pytest.raises(DecodeError):
        seen.extend(document.to_dict() for document in read_bson([*good, document_of(broken()[what][0]), *good]))
    assert seen == [{"n": number} for number in range(5)]


def agree(data: bytes) -> bool:
    """Return whether PyMongo takes `data` as one document; we must do the same, and read the same."""
    try:
        expected = bson.decode(data, OPTIONS)
    except InvalidBSON:
        # Also dates and UUIDs that PyMongo refuses raise its InvalidBSON, from us as well.
        with pytest.raises((DecodeError, InvalidBSON)):
            assert read_bson(data).to_dicts() == [], data.hex(" ")
        with pytest.raises((DecodeError, InvalidBSON)):
            assert [plain(document) for document in read_bson([data])] == [], data.hex(" ")
        return False
    assert_same(read_bson(data).to_dicts(), [expected])
    assert_same([plain(document) for document in read_bson([data])], [expected])
    check_tables(functools.partial(read_bson, data), Tables.of([data]), 1)
    return True


@needs_exact_pymongo
@pytest.mark.parametrize("what", one_of_each())
def test_truncated_documents(what: str) -> None:
    kind, value = one_of_each()[what]
    data = framed([(kind, "a", value), (0x10, "z", struct.pack("<i", 7))])
    assert agree(data)
    for end in range(1, len(data)):
        assert not agree(data[:end])
        # Cut, with a frame that is sound: the elements end too early.
        agree(document_of(data[4:end]))
    assert read_bson(data[:0]).to_dicts() == []


@needs_exact_pymongo
@pytest.mark.parametrize("what", one_of_each())
def test_flipped_bits(what: str) -> None:
    """Every bit of a document of each type."""
    kind, value = one_of_each()[what]
    data = framed([(kind, "a", value), (0x10, "z", struct.pack("<i", 7))])
    taken = 0
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        taken += agree(bytes(flipped))
    assert 0 < taken < len(data) * 8


@needs_exact_pymongo
@pytest.mark.slow
@pytest.mark.parametrize("what", one_of_each())
def test_changed_bytes(what: str) -> None:
    """Every byte of a document of each type as every other byte."""
    kind, value = one_of_each()[what]
    data = framed([(kind, "a", value), (0x10, "z", struct.pack("<i", 7))])
    for at, byte in itertools.product(range(len(data)), range(256)):
        agree(data[:at] + bytes([byte]) + data[at + 1 :])


@needs_exact_pymongo
@examples(150)
@example(document_of(b"\x0a\0" * 40), [(0, 1)])
@given(
    st.one_of(documents().map(bson.encode), raw_documents()),
    st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4),
)
def test_changed_documents(data: bytes, changes: list[tuple[int, int]]) -> None:
    changed = bytearray(data)
    for at, byte in changes:
        # Not the length of the whole: every such change is refused.
        changed[4 + at % (len(data) - 4)] = byte
    agree(bytes(changed))


@pytest.mark.slow
def test_all_of_this_with_more_examples(mongodb_uri: str) -> None:
    environment = {**os.environ, "DATA_BRIDGE_EXAMPLES": "1000", "MONGODB_URI": mongodb_uri}
    arguments = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", __file__]
    assert subprocess.run(arguments, env=environment, check=False).returncode == 0
