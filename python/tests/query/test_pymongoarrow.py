"""PyMongoArrow's extension types and Schema, recognised without an import of PyMongoArrow."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import bson
import pyarrow as pa
import pytest
import strategies
from bson import Binary, Code, Decimal128, ObjectId
from bson.codec_options import CodecOptions

import data_bridge
from data_bridge import SchemaConflict, read_bson

OID = ObjectId("0123456789ab0123456789ab")
AMOUNT = Decimal128("1.50")
STANDARD: CodecOptions[Any] = CodecOptions(uuid_representation=4)


def field(name: str, storage: pa.DataType, extension: str, metadata: str = "") -> pa.Field:
    pairs = {"ARROW:extension:name": f"pymongoarrow.{extension}", "ARROW:extension:metadata": metadata}
    return pa.field(name, storage, metadata=pairs)


def binary(name: str, subtype: Any, storage: pa.DataType | None = None) -> pa.Field:
    return field(name, pa.binary() if storage is None else storage, "binary", f"subtype={subtype}")


def table(fields: list[pa.Field], rows: list[list[Any]]) -> pa.Table:
    columns = [pa.array(values, each.type) for each, values in zip(fields, rows, strict=True)]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def test_values_of_each_type() -> None:
    fields = [
        field("oid", pa.binary(12), "objectid"),
        field("dec", pa.binary(16), "decimal128"),
        field("code", pa.string(), "code"),
        binary("bin", 5),
    ]
    made = table(fields, [[OID.binary, None], [AMOUNT.bid, None], ["f()", None], [b"md5", None]])
    result = data_bridge.from_arrow(made)
    assert result.to_dicts() == [{"oid": OID, "dec": AMOUNT, "code": Code("f()"), "bin": Binary(b"md5", 5)}, {}]
    assert type(result[0]["code"]) is Code
    assert result[0]["bin"].subtype == 5


@pytest.mark.parametrize("storage", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
@pytest.mark.parametrize("subtype", [0, 1, 2, 3, 4, 5, 6, 9, 128, strategies.HIGHEST_SUBTYPE])
def test_a_binary_keeps_its_subtype(subtype: int, storage: pa.DataType) -> None:
    values = [b"", b"abc", bytes(range(16)), None]
    result = data_bridge.from_arrow(table([binary("b", subtype, storage)], [values]))
    wanted = [{"b": Binary(value, subtype)} if value is not None else {} for value in values]
    encoded = [bson.encode(document) for document in wanted]
    assert [bson.encode(document) for document in result.to_dicts()] == encoded
    # And into a table and back.
    again = data_bridge.from_arrow(read_bson(encoded, types="exact").to_arrow())
    assert [bson.encode(document) for document in again.to_dicts()] == encoded


def test_uuids_are_uuids() -> None:
    key = UUID(int=7)
    made = table([binary("u", 4)], [[key.bytes, None]])
    result = data_bridge.from_arrow(made, codec_options=STANDARD)
    assert result.to_dicts() == [{"u": key}, {}]
    assert [row["u"] for row in data_bridge.from_arrow(made).to_dicts() if row] == [Binary(key.bytes, 4)]


def test_releases_that_wrote_a_bool() -> None:
    for written, subtype in (("True", 1), ("False", 0)):
        (row,) = data_bridge.from_arrow(table([binary("b", written)], [[b"x"]])).to_dicts()
        assert Binary(row["b"], getattr(row["b"], "subtype", 0)) == Binary(b"x", subtype)


def test_inside_documents_and_lists() -> None:
    inner = pa.struct([binary("b", 128), field("c", pa.string(), "code")])
    items = pa.list_(binary("item", 5))
    made = pa.table(
        {
            "d": pa.array([{"b": b"x", "c": "f"}, {"b": None, "c": "g"}], inner),
            "l": pa.array([[b"1", None, b"22"], []], items),
        }
    )
    assert data_bridge.from_arrow(made).to_dicts() == [
        {"d": {"b": Binary(b"x", 128), "c": Code("f")}, "l": [Binary(b"1", 5), None, Binary(b"22", 5)]},
        {"d": {"c": Code("g")}, "l": []},
    ]


@pytest.mark.parametrize("metadata", ["", "subtype=", "subtype=256", "subtype=-1", "5"])
def test_a_binary_without_a_subtype_is_refused(metadata: str) -> None:
    lost = field("b", pa.binary(), "binary", metadata)
    with pytest.raises(ValueError, match=r'has no subtype.*path \["b"\]'):
        data_bridge.from_arrow(table([lost], [[b"x"]]))
    with pytest.raises(ValueError, match="has no subtype"):
        read_bson(b"", schema=pa.schema([lost])).to_arrow()


ROWS = [
    {"oid": OID, "dec": AMOUNT, "code": Code("f()"), "bin": Binary(b"md5", 5), "raw": b"x"},
    {"oid": None, "bin": Binary(b"other", 128), "raw": b""},
]
FIELDS = [
    field("oid", pa.binary(12), "objectid"),
    field("dec", pa.binary(16), "decimal128"),
    field("code", pa.string(), "code"),
    binary("bin", 5),
    binary("raw", 0),
]


@pytest.mark.parametrize("kind", ["schema", "mapping", "Schema"])
def test_a_given_schema(kind: str) -> None:
    types: Any = {each.name: each for each in FIELDS}
    given: Any = pa.schema(FIELDS)
    if kind == "mapping":
        given = types
    elif kind == "Schema":
        # A class of theirs by its module and attribute, as the library is not imported.
        given = type("Schema", (SimpleNamespace,), {"__module__": "pymongoarrow.schema"})(typemap=types)
    data = b"".join(bson.encode(row) for row in ROWS)
    made = read_bson(data, schema=given).to_arrow()
    assert made.schema.names == [each.name for each in FIELDS]
    names = [(each.metadata or {}).get(b"ARROW:extension:name", b"").decode() for each in made.schema]
    assert names == ["data_bridge.objectid", "data_bridge.decimal128", "data_bridge.code", "data_bridge.binary", ""]
    wanted = [{key: value for key, value in row.items() if value is not None} for row in ROWS]
    assert data_bridge.from_arrow(made).to_dicts() == wanted
    with pytest.raises(SchemaConflict):
        read_bson(bson.encode({"raw": Binary(b"x", 5)}), schema=given).to_arrow()


def test_other_objects_are_no_schema() -> None:
    with pytest.raises(TypeError, match=r"pymongoarrow\.schema\.Schema"):
        read_bson(b"", schema=SimpleNamespace(typemap={}))


def test_code_in_a_mapping() -> None:
    data = bson.encode({"c": Code("f()")})
    made = read_bson(data, schema={"c": Code}, types="exact").to_arrow()
    assert data_bridge.from_arrow(made).to_dicts() == [{"c": Code("f()")}]


@pytest.mark.skipif(find_spec("pymongoarrow") is None, reason="PyMongoArrow is not installed")
def test_the_library_itself(mongodb_uri: str, tmp_path: Path) -> None:
    """In a process of its own: an import of PyMongoArrow registers types with pyarrow."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            import pyarrow as pa
            from bson import Binary, Code, Decimal128, ObjectId
            import pymongo
            from pymongoarrow.api import Schema, find_arrow_all
            import data_bridge

            rows = [
                {"_id": 1, "o": ObjectId(), "d": Decimal128("1"), "c": Code("f"), "b": Binary(b"x", 5), "n": {"k": 3}},
                {"_id": 2, "b": Binary(b"yy", 5), "l": [1, 2]},
            ]
            theirs = pymongo.MongoClient(sys.argv[1])
            collection = theirs.pymongoarrow_test.c
            collection.drop()
            collection.insert_many(rows)
            schema = Schema({"_id": int, "o": ObjectId, "d": Decimal128, "c": Code, "b": pymongoarrow_binary(5),
                             "n": {"k": int}, "l": [int]})
            table = find_arrow_all(collection, {}, schema=schema)
            found = data_bridge.from_arrow(table).to_dicts()
            found = [{k: v for k, v in row.items() if v not in ({}, [])} for row in found]
            assert found == rows, found
            with data_bridge.MongoClient(sys.argv[1]) as client:
                ours = client.pymongoarrow_test.c.find(schema=schema).to_arrow()
            assert data_bridge.from_arrow(ours).to_dicts() == rows
            collection.drop()
            """
        ).replace("pymongoarrow_binary(5)", "__import__('pymongoarrow.types').types.BinaryType(5)")
    )
    subprocess.run([sys.executable, "-W", "ignore", str(script), mongodb_uri], check=True, timeout=120)
