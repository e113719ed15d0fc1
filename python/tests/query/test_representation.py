"""Storage of types that Arrow has several ways for: at every depth, in files, and in the tools that read them."""

from __future__ import annotations

import asyncio
import decimal
import io
import uuid
from collections.abc import Iterator
from typing import Any

import bson
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, json_util
from pymongo.database import Database
from strategies import framed, one_of_each, string
from test_on_conflict import counts, pieces

import data_bridge
from data_bridge import MongoClient, Query, SchemaConflict

# ---- every depth -----------------------------------------------------------------------------------------------------

OID, UID = ObjectId("0123456789abcdef01234567"), uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
LEAVES: dict[str, Any] = {
    "o": OID,
    "u": Binary.from_uuid(UID),
    "d": Decimal128("1.50"),
    "s": "ä",
    "code": bson.Code("f"),
    "n": None,
}
JSON_NAME = {"ARROW:extension:name": "arrow.json", "ARROW:extension:metadata": ""}
STORED = {"objectid": "hex", "uuid": "string", "decimal": "string", "mixed": "json"}


@pytest.mark.parametrize(
    ("strings", "text"), [("utf8", pa.string()), ("large", pa.large_string()), ("view", pa.string_view())]
)
def test_every_depth(strings: str, text: pa.DataType) -> None:
    document = {"top": LEAVES, "list": [LEAVES, {}], "lists": [[["a"], None], [[]]], "m": [1, "a", {"b": [OID]}, None]}
    table = data_bridge.read_bson(bson.encode(document), strings=strings, **STORED).to_arrow()
    table.validate(full=True)
    leaves = pa.struct([("o", text), ("u", text), ("d", text), ("s", text), ("code", pa.string()), ("n", pa.null())])
    assert table.schema.types == [
        leaves,
        pa.list_(leaves),
        pa.list_(pa.list_(pa.list_(text))),
        pa.list_(pa.json_(text)),
    ]
    shown = {"o": str(OID), "u": str(UID), "d": "1.50", "s": "ä", "code": "f", "n": None}
    row = table.to_pylist()[0]
    assert row["top"] == shown
    assert row["list"] == [shown, dict.fromkeys(shown)]
    assert row["m"] == ["1", '"a"', '{"b": [{"$oid": "0123456789abcdef01234567"}]}', None]


@pytest.mark.parametrize(("strings", "text"), [("large", pa.large_string()), ("view", pa.string_view())])
def test_every_depth_of_a_given_schema(strings: str, text: pa.DataType) -> None:
    leaf: dict[str, Any] = {"o": "objectid", "s": str, "m": "mixed", "d": decimal.Decimal}
    given = data_bridge.read_bson(b"", schema=leaf, types="exact").schema()
    inner = pa.struct(pa.schema(given))
    schema = pa.schema(
        [
            ("large", pa.large_list(pa.field("item", inner))),
            ("fixed", pa.list_(pa.field("item", inner), 1)),
            ("map", pa.map_(pa.string(), inner)),
            # Requested by name, so unchanged.
            ("own", pa.large_string()),
        ]
    )
    value = {"o": OID, "s": "s", "m": 1, "d": Decimal128("2")}
    document = {"large": [value], "fixed": [value], "map": {"k": value}, "own": "s"}
    table = data_bridge.read_bson(bson.encode(document), schema=schema, strings=strings, **STORED).to_arrow()
    table.validate(full=True)
    kinds = pa.struct([("o", text), ("s", text), ("m", pa.json_(text)), ("d", text)])
    assert table.schema.types == [
        pa.large_list(kinds),
        pa.list_(kinds, 1),
        pa.map_(pa.string(), kinds),
        pa.large_string(),
    ]
    shown = {"o": str(OID), "s": "s", "m": "1", "d": "2"}
    assert table.to_pylist() == [{"large": [shown], "fixed": [shown], "map": [("k", shown)], "own": "s"}]


def test_a_schema_of_json_asks_for_json() -> None:
    data = b"".join(map(bson.encode, [{"x": 1, "l": [{"y": OID}]}, {"x": "a", "l": [{"y": 1}]}]))
    for strings in ("utf8", "large", "view"):
        table = data_bridge.read_bson(data, mixed="json", strings=strings).to_arrow()
        given = data_bridge.read_bson(data, schema=table.schema)
        assert given.to_arrow().equals(table, check_metadata=True)
    named = data_bridge.read_bson(data, schema={"x": "json"}).to_arrow()
    assert named.column("x").to_pylist() == ["1", '"a"']
    with pytest.raises(ValueError, match=r"arrow\.json"):
        data_bridge.read_bson(data, schema=pa.schema([pa.field("x", pa.binary(), metadata=JSON_NAME)])).to_arrow()


# ---- decimals --------------------------------------------------------------------------------------------------------


def query(values: list[Any], **options: Any) -> Query:
    return data_bridge.read_bson(
        [bson.encode({"_id": number, "x": value}) for number, value in enumerate(values)], **options
    )


def test_decimals_as_text_are_what_python_writes() -> None:
    texts = ["0", "-0", "1.50", "1E+3", "-1E-6176", "9.999999999999999999999999999999999E+6144", "NaN", "-Infinity"]
    found = query([Decimal128(text) for text in texts], decimal="string").to_arrow()
    assert found.column("x").to_pylist() == texts


def test_decimals_of_one_scale() -> None:
    values = [Decimal128("1.5"), None, Decimal128("-12E+1"), Decimal128("0.25")]
    for read in (Query.to_arrow, lambda query: pa.table(query.stream())):
        table = read(query(values, decimal="decimal128(5, 2)"))
        assert table.schema.field("x").type == pa.decimal128(5, 2)
        expected = [decimal.Decimal(text) for text in ("1.50", "-120.00", "0.25")]
        assert table.column("x").to_pylist() == [expected[0], None, *expected[1:]]
    nested = data_bridge.read_bson(bson.encode({"l": [{"x": Decimal128("1")}]}), decimal="decimal128(5, 2)").to_arrow()
    assert nested.schema.field("l").type == pa.list_(pa.struct([("x", pa.decimal128(5, 2))]))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "0.125", "1000", "-0", "1E+6111"])
def test_a_decimal_that_does_not_fit_is_a_conflict(value: str) -> None:
    values = [Decimal128("1"), Decimal128(value)]
    for read in (Query.to_arrow, Query.to_polars, Query.to_pandas, lambda query: list(query.stream())):
        with pytest.raises(SchemaConflict) as raised:
            read(query(values, decimal="decimal128(5, 2)"))
        assert (raised.value.document, raised.value.id, raised.value.path) == (1, 1, ("x",))
    nulled = query(values, decimal="decimal128(5, 2)", on_conflict="null")
    assert nulled.to_arrow().column("x").to_pylist() == [1, None]
    assert counts(nulled.report, "nulled") == [(("x",), ("decimal128",), 1, 1)]
    rescued = query(values, decimal="decimal128(5, 2)", on_conflict="rescue")
    table = rescued.to_arrow()
    assert table.schema.names == ["_id", "x", "_rescued"]
    assert rescued.read().schema.names == table.schema.names
    cell = table.column("_rescued").to_pylist()[1][0]
    assert (cell["path"], bson.decode(cell["value"])) == (["x"], {"": Decimal128(value)})
    # Columns that hold what was found have nothing to rescue.
    assert query(values, on_conflict="rescue").to_arrow().schema.names == ["_id", "x"]


def test_decimals_rounded() -> None:
    values = [Decimal128(text) for text in ("0.125", "0.135", "-0.005", "999.995", "1E-6176", "-0")]
    found = query(values, decimal="decimal128(5, 2) rounded", on_conflict="null")
    expected = [decimal.Decimal(text) for text in ("0.12", "0.14", "0.00")]
    assert found.to_arrow().column("x").to_pylist() == [*expected, None, 0, 0]
    assert counts(found.report, "rounded") == [(("x",), ("decimal128",), 5, 0)]
    assert counts(found.report, "nulled") == [(("x",), ("decimal128",), 1, 3)]


# ---- files and consumers ---------------------------------------------------------------------------------------------

SWITCHES: list[dict[str, str]] = [
    {},
    {**STORED, "strings": "large"},
    {**STORED, "strings": "view"},
    {"objectid": "binary", "uuid": "binary", "decimal": "binary"},
    {"decimal": "decimal128(38, 10)"},
    {"objectid": "exact", "uuid": "exact", "decimal": "exact", "mixed": "exact"},
]


def written_and_read(table: pa.Table) -> Iterator[pa.Table]:
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    yield pyarrow.parquet.read_table(io.BytesIO(file.getvalue()))
    file = io.BytesIO()
    pyarrow.feather.write_feather(table, file)
    yield pyarrow.feather.read_table(io.BytesIO(file.getvalue()))
    file = io.BytesIO()
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    yield pa.ipc.open_stream(file.getvalue()).read_all()


@pytest.mark.parametrize("types", ["plain", "exact"])
@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_files_keep_every_type(switches: dict[str, str], types: str) -> None:
    each = {name: value for name, value in one_of_each().items() if name != "null"}
    full = framed([(kind, name, value) for name, (kind, value) in each.items()])
    mixed = [framed([(0x10, "mixed", b"\1\0\0\0")]), framed([(0x02, "mixed", string("x")), (0x0A, "string", b"")])]
    query = data_bridge.read_bson([full, *mixed], types=types, **switches)
    table = query.to_arrow()
    expected = query.to_dicts()
    # Null reads as missing: the one null there is.
    assert expected[2].pop("string", ...) is None
    for back in written_and_read(table):
        assert back.schema.equals(table.schema, check_metadata=False)
        for before, after in zip(table.schema, back.schema, strict=True):
            assert (after.name, after.type, after.metadata or {}) == (before.name, before.type, before.metadata or {})
        item = back.schema.field("list").type.value_field
        assert item.metadata == table.schema.field("list").type.value_field.metadata
        found = data_bridge.from_arrow(back).to_dicts()
        assert found == [shown(document, switches) for document in expected]


def shown(document: dict[str, Any], switches: dict[str, str]) -> dict[str, Any]:
    """Return the document as it is read back: fields name stored types, except for JSON and numbers of one scale."""
    made = dict(document)
    if "decimal128" in made and switches.get("decimal", "").startswith("decimal128"):
        # A number of ten places: the same number, with its zeros.
        made["decimal128"] = Decimal128("1.2500000000")
    if switches.get("mixed") == "json":
        if "mixed" in made:
            made["mixed"] = json_util.dumps(made["mixed"])
        if "list" in made:
            made["list"] = [json_util.dumps(item) for item in made["list"]]
    return made


VALUES_OF_ONE: dict[str, Any] = {
    "_id": OID,
    "u": Binary.from_uuid(UID),
    "d": Decimal128("1.25"),
    "m": {"a": [1, 2.5], "at": OID},
}


@pytest.fixture
def stored(database: Database[dict[str, Any]]) -> str:
    database["c"].insert_many([VALUES_OF_ONE, {"m": "text"}, {"m": Int64(3)}])
    return database.name


@pytest.mark.parametrize("strings", ["utf8", "large", "view"])
def test_duckdb_and_polars_take_them(client: MongoClient, stored: str, strings: str) -> None:
    collection = client[stored]["c"]
    text = {"objectid": "hex", "uuid": "string", "decimal": "string", "mixed": "json", "strings": strings}
    for query in (
        collection.find({}, sort=[("$natural", 1)], **text),
        collection.aggregate([{"$match": {}}], **text),
        client[stored].aggregate([{"$documents": []}, {"$unionWith": "c"}], **text),
    ):
        result = query.read()
        found = duckdb.sql("select _id, u, d, m, typeof(m) as kind, json_extract(m, '$.a[1]') as half from result")
        assert found.fetchall()[0] == (
            str(OID), str(UID), "1.25", json_util.dumps(VALUES_OF_ONE["m"]), "JSON", "2.5",
        )  # fmt: skip
        frame = result.to_polars()
        assert frame["_id"][0] == str(OID)
        assert frame.schema["u"] == frame.schema["d"] == pl.String
        cells = frame["m"].ext.storage()
        assert cells.to_list() == [json_util.dumps(VALUES_OF_ONE["m"]), '"text"', "3"]
        assert cells.str.json_path_match("$.at['$oid']").to_list() == [str(OID), None, None]
        assert query.to_pandas()["d"].tolist()[0] == "1.25"


def test_duckdb_and_polars_count_with_decimals(client: MongoClient, stored: str) -> None:
    result = client[stored]["c"].find(decimal="decimal128(20, 4)", uuid="binary", objectid="binary").read()
    found = duckdb.sql("select sum(d), any_value(u), typeof(any_value(d)) from result").fetchall()[0]
    assert found == (decimal.Decimal("1.2500"), UID.bytes, "DECIMAL(20,4)")
    frame = pl.DataFrame(result)
    assert frame.schema["d"] == pl.Decimal(20, 4)
    assert frame["d"].sum() == decimal.Decimal("1.2500")
    assert frame["u"][0] == UID.bytes
    assert frame["_id"][0] == OID.binary


def test_awaited_queries_have_them(mongodb_uri: str, stored: str) -> None:
    async def main() -> pa.Table:
        async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
            return await client[stored]["c"].find(objectid="hex", decimal="string", mixed="json").to_arrow()

    table = asyncio.run(main())
    assert table.schema.field("m").type == pa.json_(pa.string())
    assert table.column("d").to_pylist() == ["1.25", None, None]


def test_where_batches_end_changes_nothing() -> None:
    documents = [{"_id": n, "x": n if n % 3 else str(n), "d": Decimal128(f"{n}.25")} for n in range(20)]
    whole = None
    for size in (1, 2, 3, 100):
        made = data_bridge.read_bson(
            pieces(documents, size), mixed="json", decimal="decimal128(3, 1) rounded", on_conflict="null"
        )
        table = made.to_arrow().combine_chunks()
        assert made.report is not None
        state = (table.to_pylist(), made.report.paths)
        whole = whole or state
        assert state == whole
