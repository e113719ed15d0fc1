"""Indexes and collections: made, listed and dropped as PyMongo does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pymongo
import pytest
from pymongo.collation import Collation
from pymongo.database import Database
from test_writes import outcome, tidy

import data_bridge
from data_bridge import IndexModel, MongoClient, OperationFailure

Mongo = Database[dict[str, Any]]
BOTH_SIDES = True


CALLS: dict[str, Callable[[Any], Any]] = {
    "create_index": lambda c: c.create_index("a"),
    "create_index pairs": lambda c: c.create_index([("a", 1), ("b", -1), "c"]),
    "create_index mapping": lambda c: c.create_index({"a": 1, "b": "text"}),
    "create_index options": lambda c: c.create_index(
        [("z", 1)], name="n", unique=True, sparse=True, collation=Collation("en"), comment="x", maxTimeMS=9_000
    ),
    "create_index partial": lambda c: c.create_index("a", partialFilterExpression={"a": {"$gt": 1}}),
    "create_index twice": lambda c: c.create_index("old"),
    "create_index conflict": lambda c: c.create_index("old", unique=True),
    "create_index duplicates": lambda c: c.create_index("same", unique=True),
    "create_index nothing": lambda c: c.create_index([]),
    "create_index direction": lambda c: c.create_index([("a", 1.5)]),
    "create_indexes": lambda c: c.create_indexes(
        [pymongo.IndexModel("a"), pymongo.IndexModel([("b", -1)], sparse=True)]
    ),
    "create_indexes wrong": lambda c: c.create_indexes([{"key": {"a": 1}}]),
    "drop_index name": lambda c: c.drop_index("old_1"),
    "drop_index keys": lambda c: c.drop_index([("old", 1)]),
    "drop_index missing": lambda c: c.drop_index("none"),
    "drop_index number": lambda c: c.drop_index(1),
    "drop_indexes": lambda c: c.drop_indexes(),
    "index_information": lambda c: c.index_information(),
    "drop": lambda c: c.drop(),
}


@pytest.mark.parametrize("name", CALLS)
async def test_as_pymongo(name: str, client: MongoClient, database: Mongo) -> None:
    seen = []
    for collection in (database.c, client[database.name].c):
        database.c.drop()
        database.c.insert_many([{"_id": 1, "same": 1}, {"_id": 2, "same": 1}])
        database.c.create_index("old")
        found = await outcome(CALLS[name], collection)
        if name == "create_index duplicates":  # its message has ids that were made up for it
            found[3].pop("errmsg")
        seen.append((found, tidy(database.c.index_information())))
    theirs, ours = seen
    assert ours == theirs


def test_our_models(client: MongoClient, database: Mongo) -> None:
    options: dict[str, Any] = {"unique": True, "collation": Collation("nb"), "expireAfterSeconds": 9}
    for keys in ("a", [("a", 1), ("b", -1)], {"a": "2d"}):
        assert IndexModel(keys, **options).document == pymongo.IndexModel(keys, **options).document  # type: ignore[arg-type]
    assert client[database.name].c.create_indexes([IndexModel("a"), IndexModel("b", name="n")]) == ["a_1", "n"]


def test_list_indexes(client: MongoClient, database: Mongo) -> None:
    ours = client[database.name].c
    assert ours.list_indexes() == []
    assert ours.index_information() == {}
    database.c.create_indexes([pymongo.IndexModel([(f"k{i}", 1)]) for i in range(63)])
    assert ours.list_indexes() == [dict(index) for index in database.c.list_indexes()]
    ours.drop()
    ours.drop()
    ours.drop_indexes()
    ours.drop_index("x")


def test_collections(client: MongoClient, database: Mongo) -> None:
    ours = client[database.name]
    validator = {"$jsonSchema": {"required": ["a"]}}
    made = ours.create_collection("strict", validator=validator, collation=Collation("nb"), write_concern={"w": 1})
    assert made == ours.strict
    assert made.write_concern == {"w": 1}
    with pytest.raises(data_bridge.WriteError) as caught:
        made.insert_one({"b": 1})
    assert caught.value.code == 121
    assert caught.value.details["errInfo"]["details"]["operatorName"] == "$jsonSchema"
    made.insert_one({"b": 1}, bypass_document_validation=True)
    made.insert_many([{"b": 1}], bypass_document_validation=True)
    made.update_many({}, {"$set": {"c": 1}}, bypass_document_validation=True)
    made.find_one_and_update({}, {"$set": {"c": 2}}, bypassDocumentValidation=True)
    with pytest.raises(OperationFailure, match="already exists") as exists:
        ours.create_collection("strict")
    assert exists.value.code == 48
    capped = ours.create_collection("capped", capped=True, size=4096)
    assert capped.count_documents({}) == 0
    assert database.capped.options() == {"capped": True, "size": 4096}
    ours.drop_collection("strict")
    ours.drop_collection("strict")
    ours.drop_collection(capped)
    assert database.list_collection_names() == []
    with pytest.raises(OperationFailure):
        ours.create_collection("c", nonsense=1)
    with client.start_session() as session, session.start_transaction():
        ours.create_collection("in_transaction", session=session).insert_one({"_id": 1}, session=session)
    assert database.in_transaction.find_one() == {"_id": 1}
