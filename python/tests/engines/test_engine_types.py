"""`ENGINE_TYPES` is what the installed engines do with plain and exact tables of every type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import polars as pl
import pushdown_zoo as zoo
import pyarrow as pa
import pytest

from data_bridge import MongoClient
from data_bridge.engines.engine_types import ENGINE_TYPES


@pytest.fixture(scope="module")
def collection(pymongo_client: Any, mongodb_uri: str) -> Iterator[Any]:
    database = pymongo_client["data_bridge_engine_types"]
    pymongo_client.drop_database(database)
    database.c.insert_many([{"z": None, **document, "t": zoo.START} for document in zoo.documents()])
    with MongoClient(mongodb_uri) as client:
        yield client[database.name].c
    pymongo_client.drop_database(database)


def test_polars(collection: Any) -> None:
    types = ENGINE_TYPES["polars"]
    schema = dict(collection.find().to_lazy("all").collect_schema())
    assert schema["t"] == pl.Datetime(types.timestamp_units[0], "UTC")
    assert schema["s"] == schema["o"] == schema["m"] == pl.String
    assert schema["d"] == pl.Decimal(18, 1)
    assert (schema["z"] == pl.Null) == types.null_columns
    exact = collection.find(types="exact").to_lazy("all").collect()
    assert exact.schema["o"].base_type().__name__ == "Extension"
    assert types.extension_types
    assert exact.height == 120
    scan = collection.find()._lazy_scan("all", "polars", None, None, False)
    assert types.strings == "view"
    assert pa.schema(scan.schema).field("s").type == pa.string_view()


def test_duckdb(collection: Any) -> None:
    types = ENGINE_TYPES["duckdb"]
    d = collection.find().to_dataset("all")
    assert d.schema.field("s").type == pa.string()
    assert types.strings == "utf8"
    found = {row[0]: row[1] for row in duckdb.sql("describe select * from d").fetchall()}
    assert found["t"] == "TIMESTAMP WITH TIME ZONE"
    assert found["s"] == found["o"] == found["m"] == "VARCHAR"
    assert found["d"] == "DECIMAL(18,1)"
    assert found["l"] == "INTEGER[]"
    assert found["n"].startswith("STRUCT(x INTEGER")
    # DuckDB 1 shows such columns as INTEGER.
    assert ("NULL" in found["z"]) == types.null_columns or duckdb.__version__ < "2"
    exact = collection.find(types="exact").to_dataset("all")
    assert exact is not None
    found = {row[0]: row[1] for row in duckdb.sql("describe select * from exact").fetchall()}
    assert found["o"] == "BLOB"
    assert not types.extension_types
    assert duckdb.sql("select count(*) from exact where i > 5").fetchall()[0] == (
        collection.count_documents({"i": {"$gt": 5}}),
    )


def test_datafusion(collection: Any) -> None:
    datafusion = pytest.importorskip("datafusion")
    context = datafusion.SessionContext()
    context.register_dataset("d", collection.find().to_dataset("all"))
    schema = context.sql("select * from d limit 1").schema()
    assert schema.field("t").type == pa.timestamp("ms", "UTC")
    assert schema.field("d").type == pa.decimal128(18, 1)
    assert schema.field("z").type == pa.null()
