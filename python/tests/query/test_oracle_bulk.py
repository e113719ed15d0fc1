"""Very many documents whose types conflict: PyMongo is the oracle of documents, `table_model` of tables.

A few thousand in `make test`, 100,000 in `make test-slow`. A failure names the seed: `Conflicts(seed).collection()`.
"""

from __future__ import annotations

import functools
import random
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pymongo
import pytest
from conflicts import Conflicts, collections, padded
from oracle import add_note, assert_same, needs_exact_pymongo, plain
from strategies import document_of
from table_model import EXACT, PLAIN, STREAM, TYPES, Tables, cells, check_table, columns, conformed
from test_oracle import BATCH_SIZES, OPTIONS, agree, check_threads, cuts, grouped, load, number_id, odd_id, streamed

from data_bridge import MongoClient, Query, read_bson

FEW = 5_000
MANY = 100_000
amount = pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])


def check_result(make: Callable[..., Query], expected: list[dict[str, Any]], wanted: Tables) -> None:
    """Tables and documents of one result."""
    result = make().read()
    assert_same(result.to_dicts(), expected)
    assert_same([plain(document) for document in result], expected)
    check_table(result.to_arrow(), wanted.plain)
    check_table(make(types="exact").to_arrow(), wanted.exact)


@amount
def test_bytes(count: int) -> None:
    """At once and live, in different cuts."""
    done = 0
    for seed, made in collections(0, count):
        expected, wanted = [bson.decode(data, OPTIONS) for data in made], Tables.of(made)
        ways = cuts(made)
        # Each is a way of its own to cut; all of them for each collection would take five times as long.
        names = list(ways)
        try:
            check_result(ways["bytes"], expected, wanted)
            check_result(ways[names[1 + seed % (len(names) - 1)]], expected, wanted)
            assert_same([document.to_dict() for document in ways[names[seed % len(names)]]()], expected)
            types = TYPES[seed % 2]
            check_table(streamed(ways[names[(seed + 3) % len(names)]](types=types)), wanted.of_stream(types))
        except Exception as error:
            add_note(error, f"seed {seed}")
            raise
        done += len(made)
    assert done >= count


def retyped(field: pa.Field, source: random.Random) -> pa.Field:
    """The field, or one that many of its values do not fit: fewer keys, other types."""
    if source.random() < 0.15:
        other = source.choice([pa.int8(), pa.int64(), pa.float64(), pa.utf8(), pa.binary(), pa.list_(pa.int32())])
        return pa.field(field.name, other)
    if not field.metadata and pa.types.is_struct(field.type):
        inner = [field.type.field(position) for position in range(field.type.num_fields)]
        kept = [retyped(each, source) for each in inner if source.random() < 0.9] or inner
        return pa.field(field.name, pa.struct(kept))
    if pa.types.is_list(field.type):
        item = retyped(field.type.value_field, source)
        return pa.field(field.name, pa.list_(item))
    return field


def check_cells(table: pa.Table, fields: list[pa.Field], wanted: list[list[Any]]) -> None:
    table.validate(full=True)
    assert table.schema.names == [field.name for field in fields]
    for field, column, expected in zip(fields, table.columns, wanted, strict=True):
        assert [cell for chunk in column.chunks for cell in cells(chunk)] == expected, field


def check_rescued(
    table: pa.Table, fields: list[pa.Field], wanted: tuple[list[list[Any]], list[Any]], types: str
) -> None:
    assert table.schema.names[-1] == "_rescued"
    value = table.schema.field("_rescued").type.value_type.field("value")
    name = {b"data_bridge.type": b"mixed"} if types == "plain" else {b"ARROW:extension:name": b"data_bridge.mixed"}
    assert (value.type, value.metadata) == (pa.binary(), name)
    check_cells(table.drop_columns("_rescued"), fields, wanted[0])
    assert [cell for chunk in table["_rescued"].chunks for cell in cells(chunk)] == wanted[1]


@amount
def test_every_cell_is_in_its_column_or_rescued(count: int) -> None:
    """Schemas that fit a part of the documents: of the first ones, and given ones that ask for less or other types."""
    rescued = 0
    for seed, made in collections(1_000_000, count):
        source = random.Random(seed)
        data = source.choice([b"".join(made), *(grouped(made, size) for size in (1, 2, 3, 50))])
        first = source.randint(1, len(made))
        types = source.choice(TYPES)
        frozen = [field for field, _ in columns(made[:first], STREAM if types == "plain" else EXACT)]
        whole = [field for field, _ in columns(made[:first], PLAIN if types == "plain" else EXACT)]
        given = [retyped(field, source) for field in whole if source.random() < 0.9] or whole
        given = given or [pa.field("a", pa.int64())]
        try:
            wanted = conformed(frozen, made, inferred=True)
            check_rescued(streamed(read_bson(data, on_conflict="rescue", types=types), first), frozen, wanted, types)
            wanted = conformed(given, made, inferred=False)
            schema = pa.schema(given)
            query = read_bson(data, schema=schema, on_conflict="rescue", types=types)
            check_rescued(query.to_arrow(), given, wanted, types)
            query = read_bson(data, schema=schema, on_conflict="null", types=types)
            check_cells(query.to_arrow(), given, wanted[0])
            lost = sum(len(row or []) for row in wanted[1])
            assert query.report is not None
            assert sum(entry["count"] for entry in query.report.paths if entry["action"] == "nulled") == lost
            rescued += lost
        except Exception as error:
            add_note(error, f"seed {seed}")
            raise
    assert rescued > count // 10


@pytest.fixture(scope="module")
def stored(
    pymongo_client: pymongo.MongoClient[dict[str, Any]],
) -> Iterator[pymongo.collection.Collection[dict[str, Any]]]:
    name = f"data_bridge_test_{uuid.uuid4().hex}"
    yield pymongo_client[name].get_collection("c", codec_options=OPTIONS)
    pymongo_client.drop_database(name)


@pytest.mark.parametrize("count", [FEW // 4, pytest.param(MANY // 10, marks=pytest.mark.slow)])
def test_through_a_server(stored: Any, mongodb_uri: str, count: int) -> None:
    """For each size of a batch and for ids of one type and of many, in turn."""
    with MongoClient(mongodb_uri) as client:
        ours = client[stored.database.name].c
        for seed, made in collections(2_000_000, count):
            there = load(stored, made, odd_id if seed % 2 else number_id)
            expected, wanted = [bson.decode(data, OPTIONS) for data in there], Tables.of(there)
            assert_same(list(stored.find()), expected)
            try:
                for size in BATCH_SIZES:
                    check_result(functools.partial(ours.find, batch_size=size), expected, wanted)
                size = BATCH_SIZES[seed % len(BATCH_SIZES)]
                assert_same([document.to_dict() for document in ours.find(batch_size=size)], expected)
                check_stream(streamed(ours.aggregate([], batch_size=size)), wanted.stream)
            except Exception as error:
                add_note(error, f"seed {seed}")
                raise


def check_stream(table: pa.Table | None, wanted: Any) -> None:
    """An empty result has no batches."""
    if table is None:
        assert not any(cells_of for _, cells_of in wanted)
    else:
        check_table(table, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_threads(stored: Any, mongodb_uri: str, tmp_path: Path, seed: int) -> None:
    """Pieces that are decoded at a time, each with conflicts of its own."""
    made = [Conflicts(3_000_000 + 10 * seed + part).collection(500) for part in range(4)]
    there = load(stored, padded([data for part in made for data in part], 4000), number_id)
    assert sum(map(len, there)) > 3 << 20
    check_threads(there, mongodb_uri, stored.database.name, tmp_path)


# ---- what is not BSON, or no longer the same -------------------------------------------------------------------------


def changed(data: bytes, source: random.Random) -> bytes:
    """A document with something done to its bytes."""
    way = source.randrange(6)
    at = source.randrange(4, len(data))
    if way == 0:
        return data[:at]
    if way == 1:  # cut, in a sound frame
        return document_of(data[4:at])
    if way == 2:  # some bytes gone, or there twice
        end = min(len(data), at + source.choice([1, 2, 4, 8]))
        return source.choice([document_of(data[4:at], data[end:-1]), document_of(data[4:end], data[at:-1])])
    edited = bytearray(data)
    if way == 3:
        edited[at] = source.randrange(256)
    elif way == 4:
        edited[at] = source.choice(b"\0\1\2\3\4\5\x08\x0b\x0c\x0f\x10\x13\x7f\x80\xff")
    else:
        for _ in range(source.choice([1, 1, 2])):
            edited[source.randrange(4, len(data))] ^= 1 << source.randrange(8)
    return bytes(edited)


@needs_exact_pymongo
@pytest.mark.parametrize("count", [FEW // 10, pytest.param(MANY // 10, marks=pytest.mark.slow)])
def test_documents_that_were_changed(count: int) -> None:
    """PyMongo and we take the same ones, and read them alike."""
    taken = done = 0
    for seed, made in collections(4_000_000, count):
        source = random.Random(seed)
        for data in made:
            for _ in range(10 if len(data) < 2000 else 1):
                edited = changed(data, source)
                try:
                    taken += agree(edited)
                except BaseException as error:
                    add_note(error, f"seed {seed}: {edited.hex(' ')}")
                    raise
                done += 1
    assert 0.05 * done < taken < 0.8 * done
