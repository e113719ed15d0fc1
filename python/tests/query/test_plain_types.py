"""Plain and exact types of tables: switches, casts to text, schemas taken from tables, and where `types` is set."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import functools
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Optional

import bson
import pyarrow as pa
import pytest
from bson import Binary, Code, CodecOptions, DatetimeMS, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from bson.binary import ALL_UUID_REPRESENTATIONS, UuidRepresentation
from hypothesis import given
from hypothesis import strategies as st
from strategies import UUIDS, framed, one_of_each, string
from table_model import TYPES, cells, describe
from test_oracle import RESULTS, examples, streamed

import data_bridge
from data_bridge import MongoClient, Query, SchemaConflict, odm

OID, UID = ObjectId("0123456789abcdef01234567"), uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")


def query(documents: list[dict[str, Any]], **options: Any) -> Query:
    return data_bridge.read_bson([bson.encode(document) for document in documents], **options)


def field(documents: list[dict[str, Any]], **options: Any) -> pa.Field:
    return query(documents, **options).to_arrow().field("x")


def same(found: pa.Table, expected: pa.Table) -> None:
    """Fail unless schemas and cells are equal; NaN equals NaN."""
    found.validate(full=True)
    assert [describe(each) for each in found.schema] == [describe(each) for each in expected.schema]
    for name, column, wanted in zip(found.schema.names, found.columns, expected.columns, strict=True):
        assert cells(column.combine_chunks()) == cells(wanted.combine_chunks()), name


# ---- schemas taken from tables ---------------------------------------------------------------------------------------

SWITCHES: list[dict[str, str]] = [
    {},
    {"objectid": "plain", "uuid": "plain", "decimal": "plain", "mixed": "plain", "strings": "plain"},
    {"objectid": "exact", "uuid": "exact", "decimal": "exact", "mixed": "exact", "strings": "exact"},
    {"objectid": "hex", "uuid": "string", "decimal": "string", "mixed": "json", "strings": "large"},
    {"objectid": "hex", "uuid": "string", "decimal": "string", "mixed": "plain", "strings": "view"},
    {"objectid": "binary", "uuid": "binary", "decimal": "binary", "strings": "large"},
]


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("switches", SWITCHES, ids=lambda each: " ".join(each.values()) or "none")
@pytest.mark.parametrize("legacy", [UuidRepresentation.UNSPECIFIED, UuidRepresentation.JAVA_LEGACY])
@examples(8)
@given(made=RESULTS)
def test_a_schema_of_a_table_restores_the_table(
    types: str, switches: dict[str, str], legacy: int, made: list[bytes]
) -> None:
    """With the same switches, for a result and for a stream; also the schema of a stream."""
    codec: CodecOptions[Any] = CodecOptions(uuid_representation=legacy)
    read = functools.partial(data_bridge.read_bson, made, codec_options=codec, types=types, **switches)
    table = read().to_arrow()
    same(read(schema=table.schema).to_arrow(), table)
    stream = streamed(read())
    if stream is not None:
        same(streamed(read(schema=table.schema)), table)
        same(streamed(read(schema=stream.schema)), stream)
        same(read(schema=stream.schema).to_arrow(), stream)


@pytest.mark.parametrize("types", TYPES)
def test_a_schema_of_a_table_refuses_what_its_type_does_not_hold(types: str) -> None:
    """A column of ids takes no text, although its plain cells are text."""
    schema = query([{"x": OID, "u": Binary.from_uuid(UID)}], types=types).to_arrow().schema
    for other in ({"x": str(OID)}, {"u": str(UID)}, {"x": 1}, {"u": b"x"}, {"u": Binary(bytes(16), 3)}):
        with pytest.raises(SchemaConflict):
            query([other], schema=schema, types=types).to_arrow()
    legacy: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.CSHARP_LEGACY)
    old = query([{"u": Binary(UID.bytes_le, 3)}], schema=schema, types=types, codec_options=legacy)
    assert old.to_arrow().to_pylist() == [{"x": None, "u": UID if types == "exact" else str(UID)}]


# ---- casts to text ---------------------------------------------------------------------------------------------------

TEXTS: list[tuple[Any, str]] = [
    ("ä", "ä"),
    (OID, str(OID)),
    (Binary.from_uuid(UID), str(UID)),
    (Decimal128("1.50"), "1.50"),
    (Decimal128("1E+3"), "1E+3"),
    (Decimal128("-0"), "-0"),
    (Decimal128("NaN"), "NaN"),
]
OTHERS: list[tuple[Any, str]] = [
    (1, "1"),
    (Int64(2**62), str(2**62)),
    (1.5, "1.5"),
    (-0.0, "-0.0"),
    (float("nan"), "NaN"),
    (float("-inf"), "-Infinity"),
    (True, "true"),
    (DatetimeMS(1), "1970-01-01T00:00:00.001Z"),
    (DatetimeMS(-1), "-1"),
    (DatetimeMS(253_402_300_800_000), "253402300800000"),
    (Code("f()"), "f()"),
    (Binary(b"x", 5), '{"$binary": {"base64": "eA==", "subType": "05"}}'),
    (Binary(b"x", 4), '{"$binary": {"base64": "eA==", "subType": "04"}}'),
    (b"x", '{"$binary": {"base64": "eA==", "subType": "00"}}'),
    (Regex("a", "i"), '{"$regularExpression": {"pattern": "a", "options": "i"}}'),
    (Timestamp(1, 2), '{"$timestamp": {"t": 1, "i": 2}}'),
    (MinKey(), '{"$minKey": 1}'),
    ({"a": [1, OID]}, f'{{"a": [1, {{"$oid": "{OID}"}}]}}'),
    ([], "[]"),
]
STRINGS = [str, pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("kind", STRINGS, ids=str)
def test_text_accepts_values_whose_plain_form_is_text(kind: Any, types: str) -> None:
    documents = [{"x": value} for value, _ in TEXTS] + [{"x": None}, {}]
    wanted = [text for _, text in TEXTS] + [None, None]
    schema = {"x": kind}
    for read in (Query.to_arrow, streamed):
        table = read(query(documents, schema=schema, types=types))
        table.validate(full=True)
        assert table.column("x").to_pylist() == wanted
        nested = [{"x": [document]} for document in documents]
        assert read(query(nested, schema={"x": [schema]}, types=types)).column("x").to_pylist() == [
            [{"x": text}] for text in wanted
        ]
    for value, _ in OTHERS:
        with pytest.raises(SchemaConflict, match="expected string"):
            query([{"x": value}], schema=schema, types=types).to_arrow()
    with pytest.raises(SchemaConflict):
        query([{"x": Binary(UID.bytes, 3)}], schema=schema, types=types).to_arrow()
    rescued = query([{"x": 1}], schema=schema, types=types, on_conflict="rescue").to_arrow()
    assert rescued.column("x").to_pylist() == [None]


@pytest.mark.parametrize("types", TYPES)
def test_the_name_text_accepts_every_value(types: str) -> None:
    every = TEXTS + OTHERS
    documents = [{"x": value} for value, _ in every] + [{"x": None}]
    for read in (Query.to_arrow, streamed):
        table = read(query(documents, schema={"x": "text"}, types=types))
        assert table.field("x").type == pa.string()
        assert table.column("x").to_pylist() == [text for _, text in every] + [None]
    again = query(documents, schema=table.schema, types=types).to_arrow()
    same(again, table)
    for name, (kind, data) in one_of_each().items():
        (cell,) = data_bridge.read_bson(framed([(kind, "x", data)]), schema={"x": "text"}).to_arrow()["x"].to_pylist()
        assert (cell is None) == (name == "null")
    (cell,) = data_bridge.read_bson(framed([(0x0E, "x", string("sy"))]), schema={"x": "text"}).to_arrow()["x"]
    assert cell.as_py() == "sy"


@pytest.mark.parametrize("representation", ALL_UUID_REPRESENTATIONS)
def test_text_of_uuids_of_subtype_3(representation: int) -> None:
    codec: CodecOptions[Any] = CodecOptions(uuid_representation=representation)
    data = bson.encode({"x": Binary(UID.bytes, 3)})
    (document,) = data_bridge.read_bson(data, codec_options=codec).to_dicts()
    query = data_bridge.read_bson(data, codec_options=codec, schema={"x": str}, on_conflict="null")
    wanted = str(document["x"]) if isinstance(document["x"], uuid.UUID) else None
    assert query.to_arrow().column("x").to_pylist() == [wanted]


# ---- mappings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "plain", "exact"),
    [
        (int, pa.int64(), pa.int64()),
        (int | None, pa.int64(), pa.int64()),
        (Optional[str], pa.string(), pa.string()),  # noqa: UP045  (the older form)
        (None | dt.datetime, pa.timestamp("ms", "UTC"), pa.timestamp("ms", "UTC")),
        (list[int], pa.list_(pa.int64()), pa.list_(pa.int64())),
        (list[int | None] | None, pa.list_(pa.int64()), pa.list_(pa.int64())),
        ([float], pa.list_(pa.float64()), pa.list_(pa.float64())),
        (dict[str, int], pa.map_(pa.string(), pa.int64()), pa.map_(pa.string(), pa.int64())),
        (dict[str, list[str]], pa.map_(pa.string(), pa.list_(pa.string())), ...),
        (list, pa.list_(pa.string()), pa.list_(pa.binary())),
        (dict, pa.map_(pa.string(), pa.string()), pa.map_(pa.string(), pa.binary())),
        (ObjectId, pa.string(), pa.binary(12)),
        (ObjectId | None, pa.string(), pa.binary(12)),
        (uuid.UUID, pa.string(), pa.uuid()),
        (decimal.Decimal, pa.decimal128(38, 10), pa.binary(16)),
        (Decimal128, pa.decimal128(38, 10), pa.binary(16)),
        (Regex, pa.struct([("pattern", pa.string()), ("options", pa.string())]), ...),
        (Binary, pa.struct([("subtype", pa.uint8()), ("data", pa.binary())]), ...),
        (Code, pa.string(), pa.string()),
        (MinKey, pa.bool_(), pa.bool_()),
        (list[ObjectId], pa.list_(pa.string()), pa.list_(pa.binary(12))),
        ({"a": ObjectId}, pa.struct([("a", pa.string())]), pa.struct([("a", pa.binary(12))])),
        # Names and Arrow types are literal.
        ("objectid", pa.binary(12), pa.binary(12)),
        ("mixed", pa.binary(), pa.binary()),
        ("decimal128(10, 2)", pa.decimal128(10, 2), pa.decimal128(10, 2)),
        (pa.binary(12), pa.binary(12), pa.binary(12)),
        (pa.uuid(), pa.uuid(), pa.uuid()),
    ],
    ids=str,
)
def test_types_of_a_mapping(annotation: Any, plain: pa.DataType, exact: Any) -> None:
    for types, wanted in (("plain", plain), ("exact", plain if exact is ... else exact)):
        assert field([], schema={"x": annotation}, types=types).type == wanted
    for misfit in (int | str, dict[int, str], tuple[int, str], set, type(None), int | str | None):
        with pytest.raises(TypeError, match=r'schema path \["x"\]'):
            query([], schema={"x": misfit})


def test_cells_of_a_mapping() -> None:
    documents: list[dict[str, Any]] = [
        {"o": OID, "d": Decimal128("1.5"), "l": [1, "a", OID], "m": {"k": 1.5}, "n": [{"o": OID}]},
        {"d": 7, "l": [], "m": {}, "n": None},
    ]
    schema = {"o": ObjectId | None, "d": decimal.Decimal, "l": list, "m": dict[str, float], "n": list[dict]}
    assert query(documents, schema=schema).to_arrow().to_pylist() == [
        {
            "o": str(OID),
            "d": Decimal("1.5"),
            "l": ["1", '"a"', f'{{"$oid": "{OID}"}}'],
            "m": [("k", 1.5)],
            "n": [[("o", f'{{"$oid": "{OID}"}}')]],
        },
        {"o": None, "d": Decimal(7), "l": [], "m": [], "n": None},
    ]
    with pytest.raises(SchemaConflict, match="decimal="):
        query([{"d": Decimal128("1E-11")}], schema=schema).to_arrow()
    exact = query([{"d": Decimal128("1E-11")}], schema=schema, types="exact").to_arrow()
    assert exact.column("d").to_pylist() == [Decimal128("1E-11").bid]


# ---- keys that no document has ---------------------------------------------------------------------------------------


def absent(query: Query) -> list[tuple[Any, bool]]:
    """Paths, each with the fact whether the entry has a hint."""
    assert query.report is not None
    entries = [entry for entry in query.report.paths if entry["action"] == "absent"]
    assert all("flatten=True" in entry["reason"] for entry in entries if "reason" in entry)
    assert all(entry["count"] == 0 for entry in entries)
    return [(entry["path"], "reason" in entry) for entry in entries]


ABSENT_SCHEMA: dict[str, Any] = {
    "a": int,
    "typo": int,
    "n": {"b": int, "other": int, "deep": {"c": int}},
    "l": [{"b": int, "no": int}],
    "n.b": int,
    "n.deep.c": int,
    "n.zz": int,
    "q.b": int,
    "a.b": int,
    "null": int,
}
ABSENT_DOCUMENTS: list[dict[str, Any]] = [
    {"a": 1, "null": None},
    {"n": {"b": 1}, "l": [{"b": 1}, {}]},
    # Values that do not fit have keys, too.
    {"n": {"deep": {"c": 1}}, "l": 5},
    {"n": 7, "l": []},
    {"n": [{"b": 2}]},
    {},
]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("live", [False, True])
def test_absent_keys(size: int, live: bool) -> None:
    data = [bson.encode(document) for document in ABSENT_DOCUMENTS]
    buffers = [b"".join(data[at : at + size]) for at in range(0, len(data), size)]
    for policy in ("null", "rescue"):
        query = data_bridge.read_bson(buffers, schema=ABSENT_SCHEMA, on_conflict=policy)
        _ = streamed(query) if live else query.to_arrow()
        assert absent(query) == [
            (("typo",), False),
            (("n", "other"), False),
            (("l", ..., "no"), False),
            (("n.b",), True),
            (("n.deep.c",), True),
            (("n.zz",), False),
            (("q.b",), False),
            (("a.b",), False),
        ]


def test_the_hint_for_absent_keys_names_a_schema_that_finds_them() -> None:
    documents = [{"_id": 1, "n": {"b": 1}, "l": [{"b": 2}], "m": {"l": [{"x": {"b": 3}}]}}, {"_id": 2, "l": 5, "m": 5}]
    data = [bson.encode(document) for document in documents]
    for made in ([data[0]], data, [data[1], data[0]]):
        query = data_bridge.read_bson(made, schema={"n.b": int, "l.b": int, "m.l.x.b": int}, on_conflict="null")
        query.to_arrow()
        assert query.report is not None
        hints = [entry["reason"] for entry in query.report.paths if entry["action"] == "absent"]
        assert ["flatten=True" in hint for hint in hints] == [True, False, False]
        assert ["list" in hint for hint in hints] == [False, True, True]
    schema = {"n": {"b": int}, "l": [{"b": int}], "m": {"l": [{"x": {"b": int}}]}}
    found = data_bridge.read_bson(data[:1], schema=schema).to_arrow().to_pylist()
    assert found == [{key: value for key, value in documents[0].items() if key != "_id"}]


def test_absent_keys_are_shown_and_harmless() -> None:
    result = query([{"n": {"b": 1}}], schema={"n.b": int}).read()
    assert result.to_arrow().to_pylist() == [{"n.b": None}]
    assert "n.b" in str(result.report)
    assert "flatten=True" in str(result.report)
    # An empty result has no absent keys, and an inferred schema neither.
    for other in (query([], schema={"a": int}), query([{"a": 1}, {"b": 1}])):
        other.to_arrow()
        assert absent(other) == []
    flat = query([{"n": {"b": 1}}], schema={"n.b": int}, flatten=True)
    assert flat.to_arrow().to_pylist() == [{"n.b": 1}]
    assert absent(flat) == []


# ---- empty results ---------------------------------------------------------------------------------------------------

EMPTY: list[tuple[str, Any, list[str]]] = [
    ("find", None, []),
    ("find", {"a": 1}, ["_id", "a"]),
    ("find", ["a", "b"], ["_id", "a", "b"]),
    ("find", {"_id": 0, "b": 1, "a": True}, ["b", "a"]),
    ("find", {"a.x": 1, "a.y": 1, "b": 1}, ["_id", "a", "b"]),
    ("find", {"a": 0}, []),
    ("find", {"_id": 0}, []),
    ("find", {"l": {"$slice": 1}}, []),
    ("find", {"a": 1, "l": {"$slice": 1}}, ["_id", "a", "l"]),
    ("find", {"new": "$a", "a": 1}, ["_id", "new", "a"]),
    ("aggregate", [], []),
    ("aggregate", [{"$project": {"a": 1}}], ["_id", "a"]),
    ("aggregate", [{"$match": {"a": 1}}, {"$project": {"_id": 0, "a": 1}}, {"$sort": {"a": 1}}, {"$limit": 2}], ["a"]),
    ("aggregate", [{"$project": {"total": {"$sum": "$l"}, "a": 1}}], ["_id", "total", "a"]),
    ("aggregate", [{"$project": {"a": 1}}, {"$set": {"b": 1}}], []),
    ("aggregate", [{"$project": {"a": 0}}], []),
]


@pytest.mark.parametrize(("call", "argument", "wanted"), EMPTY, ids=str)
def test_empty_results_have_the_columns_of_the_projection(
    client: MongoClient, mongodb_uri: str, database: Any, call: str, argument: Any, wanted: list[str]
) -> None:
    def made(collection: Any, **options: Any) -> Any:
        if call == "find":
            return collection.find({"a": "no such value"}, argument, **options)
        return collection.aggregate([{"$match": {"a": "no such value"}}, *argument], **options)

    database.c.insert_one({"a": 1})
    for options in ({}, {"types": "exact"}, {"on_conflict": "rescue"}, {"flatten": True}):
        query = made(client[database.name].c, **options)
        table = query.to_arrow()
        assert (table.num_rows, table.schema.names) == (0, wanted)
        assert set(table.schema.types) <= {pa.null()}
        assert query.to_polars().columns == wanted
        assert list(query.to_pandas().columns) == wanted
        with query.stream() as stream:
            names = wanted if options.get("on_conflict") != "rescue" else [*wanted, "_rescued"]
            assert pa.schema(stream.schema).names == names
            assert list(stream) == []
    given = made(client[database.name].c, schema={"z": int}).to_arrow()
    assert given.schema == pa.schema({"z": pa.int64()})

    async def awaited() -> list[str]:
        async with data_bridge.AsyncMongoClient(mongodb_uri) as other:
            names: list[str] = (await made(other[database.name].c).to_arrow()).schema.names
            return names

    assert asyncio.run(awaited()) == wanted


def test_results_with_documents_have_their_own_columns(client: MongoClient, database: Any) -> None:
    database.c.insert_one({"_id": 1, "a": 1})
    assert client[database.name].c.find({}, {"a": 1, "b": 1}).to_arrow().schema.names == ["_id", "a"]


# ---- UUIDs of older drivers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("representation", ALL_UUID_REPRESENTATIONS)
@examples(30)
@given(values=st.lists(st.tuples(UUIDS, st.sampled_from([3, 4])), min_size=1, max_size=8))
def test_uuids_are_those_of_the_documents(representation: int, values: list[tuple[uuid.UUID, int]]) -> None:
    """Text in plain tables, and `to_dicts()` equal to PyMongo's."""
    codec: CodecOptions[Any] = CodecOptions(uuid_representation=representation)
    data = [bson.encode({"x": Binary(value.bytes, subtype)}) for value, subtype in values]
    expected = [bson.decode(each, codec) for each in data]
    query = data_bridge.read_bson(data, codec_options=codec)
    assert query.to_dicts() == expected
    table, exact = query.to_arrow(), data_bridge.read_bson(data, codec_options=codec, types="exact").to_arrow()
    subtypes = {subtype for _, subtype in values}
    legacy = representation not in (UuidRepresentation.UNSPECIFIED, UuidRepresentation.STANDARD)
    if not legacy and subtypes != {4}:
        assert table.field("x").metadata == {b"data_bridge.type": b"binary"}
        assert exact.field("x").metadata == {b"ARROW:extension:name": b"data_bridge.binary"}
        return
    # PyMongo makes UUIDs of subtype 3 only, in these representations; tables also those of subtype 4.
    wanted = [
        document["x"] if subtype == 3 and legacy else value
        for document, (value, subtype) in zip(expected, values, strict=True)
    ]
    assert table.column("x").to_pylist() == list(map(str, wanted))
    assert exact.field("x").type == pa.uuid()
    assert exact.column("x").to_pylist() == wanted


@pytest.mark.parametrize("name", ["pythonLegacy", "javaLegacy", "csharpLegacy"])
def test_uuids_written_by_pymongo(mongodb_uri: str, database: Any, name: str) -> None:
    theirs = database.client.__class__(mongodb_uri, uuidRepresentation=name)
    with theirs, MongoClient(mongodb_uri, uuidRepresentation=name) as client:
        theirs[database.name].c.insert_many([{"_id": at, "u": uuid.uuid4()} for at in range(10)])
        expected = list(theirs[database.name].c.find())
        query = client[database.name].c.find()
        assert query.to_dicts() == expected
        texts = [str(document["u"]) for document in expected]
        assert query.to_arrow().column("u").to_pylist() == texts
        assert query.to_polars()["u"].to_list() == texts
        shaped = data_bridge.from_arrow(
            query.read().to_arrow(shapes=True), codec_options=theirs.codec_options
        ).to_dicts()
        assert shaped == expected
        unread = client[database.name].c.find({"u": expected[3]["u"]}).to_arrow()
        assert unread.column("_id").to_pylist() == [3]


# ---- where types is set ----------------------------------------------------------------------------------------------


def names_of(table: pa.Table) -> list[str]:
    return ["exact" if pa.types.is_fixed_size_binary(each.type) else "plain" for each in table.schema]


def test_types_of_a_client_a_database_and_a_collection(mongodb_uri: str, database: Any) -> None:
    database.c.insert_one({"_id": OID})

    def kind(collection: Any, **options: Any) -> str:
        (found,) = {
            read(query)
            for query in (collection.find(**options), collection.aggregate([], **options))
            for read in (
                lambda query: names_of(query.to_arrow())[0],
                lambda query: names_of(query.read().to_arrow())[0],
                lambda query: names_of(streamed(query))[0],
                lambda query: names_of(pa.table(query))[0],
            )
        }
        return found

    for types, other in (("plain", "exact"), ("exact", "plain")):
        with MongoClient(mongodb_uri, types=types) as client:
            ours = client[database.name]
            assert kind(ours.c) == types
            assert kind(ours.c.with_options(types=other)) == other
            assert kind(ours.with_options(types=other).c) == other
            # Other options keep it, and a query overrides all.
            assert kind(ours.c.with_options(types=other).with_options(timeout=10)) == other
            assert kind(ours.c.with_options(types=other).with_options(codec_options=CodecOptions())) == other
            assert kind(ours.c, types=other) == other
            assert kind(ours.c.with_options(types=other), types=types) == types
            assert kind(ours.c, objectid=other) == other
            assert kind(ours.c, types=other, objectid=types) == types
    with MongoClient(mongodb_uri) as client:
        assert kind(client[database.name].c) == "plain"


def test_types_of_the_asynchronous_side(mongodb_uri: str, database: Any) -> None:
    database.c.insert_one({"_id": OID})

    async def main() -> None:
        async with data_bridge.AsyncMongoClient(mongodb_uri, types="exact") as client:
            ours = client[database.name].c
            assert names_of(await ours.find().to_arrow()) == ["exact"]
            assert names_of(await ours.with_options(types="plain").find().to_arrow()) == ["plain"]
            assert names_of(await ours.find(types="plain").to_arrow()) == ["plain"]
            assert names_of((await ours.aggregate([], types="plain").read()).to_arrow()) == ["plain"]

    asyncio.run(main())


@pytest.mark.parametrize("value", ["Plain", "", "both", 1, b"plain"])
def test_other_types_are_refused(client: MongoClient, mongodb_uri: str, value: Any) -> None:
    error = ValueError if isinstance(value, str) else TypeError
    makers: list[Callable[[], Any]] = [
        lambda: MongoClient(mongodb_uri, types=value),
        lambda: client.get_database("d").with_options(types=value),
        lambda: client.get_database("d").c.with_options(types=value),
        lambda: client.get_database("d").c.find(types=value),
        lambda: client.get_database("d").c.aggregate([], types=value),
        lambda: data_bridge.read_bson(b"", types=value),
    ]
    for make in makers:
        with pytest.raises(error, match="types"):
            make()


class Item(odm.Document):
    """A model whose queries make tables."""

    id: ObjectId
    owner: uuid.UUID | None = None

    class Settings:
        name = "items"


def test_types_of_model_queries(mongodb_uri: str, database: Any) -> None:
    database.items.insert_one({"_id": OID})
    for types, other in (("plain", "exact"), ("exact", "plain")):
        with MongoClient(mongodb_uri, types=types) as client:
            odm.init(client[database.name], [Item])
            assert names_of(Item.find().to_arrow()) == [types]
            assert names_of(Item.find(types=other).to_arrow()) == [other]
            assert names_of(Item.find(objectid=other).to_arrow()) == [other]
            assert names_of(Item.find(types=other).read().to_arrow()) == [other]
            flat = Item.find(flatten=True).to_arrow()
            assert flat.schema.names == ["_id"]
            odm.init(client[database.name].with_options(types=other), [Item])
            assert names_of(Item.find().to_arrow()) == [other]


def test_documents_do_not_depend_on_types() -> None:
    data = [framed([(kind, "x", value)]) for kind, value in one_of_each().values()]
    expected = [bson.decode(each) for each in data]
    for types in TYPES:
        query = data_bridge.read_bson(data, types=types)
        assert query.to_dicts() == expected
        assert [document.to_dict() for document in query] == expected
