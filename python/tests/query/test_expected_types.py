"""Columns of real documents without any option: the types that polars, pandas and DuckDB users expect."""

from __future__ import annotations

import random
import sys
import uuid
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import bson
import duckdb
import pandas as pd
import polars as pl
import pytest
from bson import Binary, ObjectId

import data_bridge
import shapes
from data_bridge import Result

sys.path.insert(0, str(Path(__file__).parents[3] / "examples"))
import orders

SEED = 7
TIME = pl.Datetime("ms", "UTC")
PLACE = {"type": "Point", "coordinates": [10.75, 59.91]}
AREA = {"type": "Polygon", "coordinates": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]}


def result_of(documents: list[dict[str, Any]]) -> Result:
    return data_bridge.read_bson([bson.encode(document) for document in documents]).read()


def duckdb_types(result: Result) -> dict[str, str]:
    assert result is not None
    return dict(duckdb.sql("select column_name, column_type from (describe from result)").fetchall())


@pytest.fixture(scope="module")
def some_orders() -> Result:
    rng = random.Random(SEED)
    return result_of([{**orders.order(rng), "_id": ObjectId()} for _ in range(200)])


def test_orders(some_orders: Result) -> None:
    frame = some_orders.to_polars()
    kinds = frame.schema
    assert kinds["_id"] == kinds["status"] == pl.String
    assert kinds["placed"] == TIME
    assert kinds["total"] == pl.Decimal(18, 2)
    assert kinds["weight"] == pl.Float64
    item = kinds["items"].inner  # type: ignore[attr-defined]
    assert {field.name: field.dtype for field in item.fields}["price"] == pl.Decimal(18, 2)

    documents = some_orders.to_dicts()
    total = sum(document["total"].to_decimal() for document in documents)
    assert frame["total"].sum() == total
    pandas = some_orders.to_pandas()
    assert pandas["total"].sum() == total
    assert str(pandas["placed"].dtype) == "timestamp[ms, tz=UTC][pyarrow]"
    assert {"_id": "VARCHAR", "total": "DECIMAL(18,2)", "placed": "TIMESTAMP WITH TIME ZONE"}.items() <= duckdb_types(
        some_orders
    ).items()
    assert duckdb.sql("select sum(total) from some_orders").fetchall() == [(total,)]
    prices = sum(item["price"].to_decimal() for document in documents for item in document["items"])
    unnested = "select sum(item.price) from (select unnest(items) as item from some_orders)"
    assert duckdb.sql(unnested).fetchall() == [(prices,)]
    by_status = frame.group_by("status").agg(pl.col("total").sum())
    assert dict(by_status.rows()) == {
        status: sum((d["total"].to_decimal() for d in documents if d["status"] == status), Decimal(0))
        for status in {document["status"] for document in documents}
    }
    shown = str(frame) + some_orders.to_pandas().to_string()
    assert "\\x" not in shown, "no bytes"
    assert str(documents[0]["_id"]) in frame["_id"].to_list()


def test_users_with_uuids() -> None:
    ids = [uuid.UUID(int=number) for number in range(5)]
    users = result_of(
        [
            {"_id": Binary.from_uuid(each), "name": f"user {n}", "friends": [Binary.from_uuid(f) for f in ids[:n]]}
            for n, each in enumerate(ids)
        ]
    )
    frame = users.to_polars()
    assert dict(frame.schema) == {"_id": pl.String, "name": pl.String, "friends": pl.List(pl.String)}
    assert frame["_id"].to_list() == [str(each) for each in ids]
    joined = frame.explode("friends").drop_nulls().join(frame, left_on="friends", right_on="_id")
    assert joined.height == 1 + 2 + 3 + 4
    assert users.to_pandas()["_id"].tolist() == [str(each) for each in ids]
    assert duckdb_types(users)["friends"] == "VARCHAR[]"


def test_geojson() -> None:
    points = result_of([{"name": "Oslo", "location": PLACE}, {"name": "nowhere", "location": None}])
    assert points.to_polars().schema["location"] == pl.Struct({"type": pl.String, "coordinates": pl.List(pl.Float64)})
    assert duckdb.sql("select location.coordinates[2] from points where name = 'Oslo'").fetchall() == [(59.91,)]
    areas = result_of([{"area": AREA}])
    assert duckdb_types(areas)["area"] == """STRUCT("type" VARCHAR, coordinates DOUBLE[][][])"""
    # Points and areas beside each other have coordinates of several types: text that shows all of them.
    both = result_of([{"shape": PLACE}, {"shape": AREA}])
    coordinates = both.to_polars()["shape"].struct.field("coordinates")
    assert "10.75" in "".join(map(str, coordinates.to_list()))


def test_tweets() -> None:
    rng = random.Random(SEED)
    tweets = result_of([shapes.tweets(rng, number) for number in range(300)])
    kinds = tweets.to_polars().schema
    assert kinds["id"] == kinds["in_reply_to_status_id"] == pl.Int64
    assert kinds["created_at"] == TIME
    user = {field.name: field.dtype for field in kinds["user"].fields}  # type: ignore[attr-defined]
    assert (user["verified"], user["created_at"], user["location"]) == (pl.Boolean, TIME, pl.String)
    hashtags = "select count(*) from (select unnest(entities.hashtags) from tweets)"
    expected = sum(len(document["entities"]["hashtags"]) for document in tweets.to_dicts())
    assert duckdb.sql(hashtags).fetchall() == [(expected,)]
    newest = tweets.to_pandas()["created_at"].max()
    assert pd.Timestamp(newest).to_pydatetime().replace(tzinfo=None) == max(d["created_at"] for d in tweets.to_dicts())
    assert isinstance(newest, datetime)
