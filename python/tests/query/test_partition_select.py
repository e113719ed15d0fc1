"""`Partitions.select`: tables of some columns, whose keys only are requested from the server."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import engine_sources
import pushdown_zoo as zoo
import pyarrow as pa
import pytest
from pymongo.database import Database

from data_bridge import InvalidOperation, MongoClient


@pytest.fixture(scope="module")
def collection(pymongo_client: Any, mongodb_uri: str) -> Iterator[Any]:
    """Our collection of the zoo."""
    database = pymongo_client["data_bridge_partition_select"]
    pymongo_client.drop_database(database)
    database.c.insert_many(zoo.documents())
    with MongoClient(mongodb_uri) as client:
        yield client[database.name].c
    pymongo_client.drop_database(database)


def whole(partitions: Any) -> pa.Table:
    return pa.concat_tables([part.to_arrow() for part in partitions])


@pytest.mark.parametrize("columns", [["i"], ["s", "_id"], ["m", "o", "d"], ["n", "t", "l", "u", "y"]])
def test_columns_are_those_of_the_whole_table(collection: Any, columns: list[str]) -> None:
    partitions = collection.find().partitions(4, infer_rows="all")
    expected = whole(partitions).select(columns)
    found = partitions.select(columns)
    assert found.schema.names == columns
    assert engine_sources.values(whole(found)) == engine_sources.values(expected)
    sent = pickle.loads(pickle.dumps([part.select(columns) for part in partitions]))
    assert whole(sent).cast(expected.schema).num_rows == 120
    assert sent[0].schema == found[0].schema
    assert sent[1].__dask_tokenize__() == found[1].__dask_tokenize__() != partitions[1].__dask_tokenize__()


def test_the_commands_sent(collection: Any, pymongo_client: Any) -> None:
    partitions = collection.find().partitions(3, infer_rows="all").select(["i", "f"])
    with zoo.profiled(pymongo_client[collection.database.name]) as commands:
        whole(partitions)
    sent = commands()
    assert len(sent) >= 3
    assert all(set(each["projection"]) - {"data_bridge_nowhere", "_id"} == {"i", "f"} for each in sent)


def test_pipelines_and_given_schemas(collection: Any) -> None:
    pipeline = collection.aggregate([{"$set": {"twice": {"$multiply": ["$f", 2]}}}])
    found = pipeline.partitions(3, infer_rows="all").select(["twice"])
    assert whole(found).num_rows == 120
    given = collection.find(schema={"_id": int, "i": int, "f": float}).partitions(3).select(["f"])
    assert whole(given).schema.names == ["f"]


def test_rescued_values_need_all_columns(client: MongoClient, database: Database[Any]) -> None:
    database.c.insert_many([{"_id": n, "a": n, "b": n} for n in range(20)])
    database.c.insert_one({"_id": 20, "a": "text", "b": 1})
    query = client[database.name].c.find(on_conflict="rescue", schema={"_id": int, "a": int, "b": int})
    found = query.partitions(2).select(["b"])
    assert whole(found).column_names == ["_id", "a", "b", "_rescued"]


def test_refusals(collection: Any) -> None:
    partitions = collection.find().partitions(2, infer_rows=10)
    with pytest.raises(ValueError, match="expected some of the columns"):
        partitions.select(["i", "nothing"])
    with pytest.raises(ValueError, match="expected some of the columns"):
        partitions[0].select([])
    with pytest.raises(InvalidOperation, match="no common schema"):
        collection.find().partitions(2).select(["i"])
    with pytest.raises(InvalidOperation, match="no common schema"):
        collection.find().partitions(2).to_dask()
