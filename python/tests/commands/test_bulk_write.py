"""Many writes: batches, errors in the middle, what was counted; against PyMongo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import bson
import pymongo
import pytest
from pymongo.database import Database
from servers import wait_until
from test_writes import START, outcome

import data_bridge
from data_bridge import BulkWriteError, InvalidOperation, InvalidQuery, MongoClient
from data_bridge.commands import batches

Mongo = Database[dict[str, Any]]
BOTH_SIDES = True
MIB = 1 << 20


def mixed(o: Any) -> list[Any]:
    """Every operation, some of which fail; `o` has the classes."""
    return [
        o.InsertOne({"_id": 20, "a": 1}),
        o.UpdateOne({"_id": 20}, {"$inc": {"a": 1}}),
        o.UpdateOne({"_id": 21}, {"$inc": {"a": 1}}, upsert=True),
        o.UpdateMany({"a": 2}, [{"$set": {"b": "$a"}}]),
        o.ReplaceOne({"_id": 22}, {"x": 1}, upsert=True),
        o.InsertOne({"_id": 0, "again": True}),
        o.DeleteOne({"_id": 4}),
        o.UpdateMany({"_id": 5}, {"$set": {"l.$[e].n": 0}}, array_filters=[{"e.n": 5}]),
        o.UpdateOne({"_id": 5}, {"$inc": {"s": 1}}),
        o.ReplaceOne({"_id": 3}, {"y": 1}, hint="_id_", collation={"locale": "en"}),
        o.DeleteMany({"a": 0}, hint={"_id": 1}),
        o.InsertOne({"_id": 23}),
        o.InsertOne({"_id": 23}),
    ]


CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "ordered": lambda c, o: c.bulk_write(mixed(o)),
    "unordered": lambda c, o: c.bulk_write(mixed(o), ordered=False),
    "all succeed": lambda c, o: c.bulk_write([one for i, one in enumerate(mixed(o)) if i not in (5, 8, 12)]),
    "comment, let": lambda c, o: c.bulk_write(
        [o.UpdateOne({"$expr": {"$eq": ["$_id", "$$x"]}}, {"$set": {"q": 1}}), o.InsertOne({"_id": 30})],
        comment="a",
        let={"x": 3},
        bypass_document_validation=True,
    ),
    "nothing": lambda c, o: c.bulk_write([]),
    "no operation": lambda c, o: c.bulk_write([o.InsertOne({"_id": 40}), {"_id": 41}]),
    "no list": lambda c, o: c.bulk_write({"_id": 41}),
    "update without operators": lambda c, o: c.bulk_write([o.InsertOne({"_id": 40}), o.UpdateOne({}, {"a": 1})]),
    "replacement with operators": lambda c, o: c.bulk_write([o.ReplaceOne({}, {"$set": {"a": 1}})]),
}


@pytest.mark.parametrize("name", CALLS)
async def test_as_pymongo(name: str, client: MongoClient, database: Mongo) -> None:
    call, seen = CALLS[name], []
    ours = client[database.name].c
    for collection, classes in (
        (database.c, pymongo),
        (ours, data_bridge),
        (ours, pymongo),
    ):
        database.c.drop()
        database.c.insert_many(START)

        def run(collection: Any, classes: Any = classes) -> Any:
            return call(collection, classes)

        seen.append((await outcome(run, collection), list(database.c.find().sort("_id"))))
    theirs, *others = seen
    for other in others:
        assert other == theirs


def test_errors_show_no_documents(client: MongoClient, database: Mongo) -> None:
    ours = client[database.name].c
    database.c.insert_one({"_id": 1})
    with pytest.raises(BulkWriteError, match=r"operation 1 failed: E11000 .*; 1 more failed") as caught:
        ours.insert_many([{"_id": 0, "s": "secret"}, {"_id": 1, "s": "secret"}, {"_id": 1, "s": "secret"}], False)
    assert "secret" not in str(caught.value)
    assert caught.value.details["writeErrors"][1]["op"]["s"] == "secret"
    assert isinstance(caught.value, data_bridge.OperationFailure)
    assert caught.value.code == 65


def test_more_than_one_command_takes(client: MongoClient, database: Mongo) -> None:
    """By count, and by size: 230,000 documents, and 60 MB of them, from a generator."""
    ours = client[database.name].c
    alive: list[int] = []

    def generate(count: int, size: int) -> Iterator[dict[str, Any]]:
        for i in range(count):
            alive.append(i)
            yield {"_id": i, "s": "x" * size}

    result = ours.insert_many(generate(230_000, 0))
    assert result.inserted_ids == list(range(230_000))
    assert database.c.count_documents({}) == 230_000
    assert ours.delete_many({}).deleted_count == 230_000
    ours.insert_many(generate(60, MIB), ordered=False)
    assert [len(document["s"]) for document in database.c.find()] == [MIB] * 60
    updates = [data_bridge.UpdateOne({"_id": i}, {"$set": {"s": "y" * MIB}}) for i in range(40)]
    assert ours.bulk_write(updates).modified_count == 40


@pytest.mark.parametrize("ordered", [True, False])
def test_errors_in_later_commands(
    ordered: bool, client: MongoClient, database: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions are those among all operations, whatever command an operation was sent in."""
    monkeypatch.setattr(batches, "MAX_STATEMENTS", 4)
    documents = [{"_id": i // 2 if i in (7, 8, 13) else i} for i in range(15)]
    expected: Any = None
    for collection in (database.c, client[database.name].c):
        database.c.drop()
        with pytest.raises(Exception, match=r"operation|batch") as caught:
            collection.insert_many(documents, ordered=ordered)
        details = caught.value.details  # type: ignore[attr-defined]
        outcome = details, list(database.c.find())
        assert expected is None or outcome == expected
        expected = outcome
    assert [error["index"] for error in expected[0]["writeErrors"]] == ([7] if ordered else [7, 8, 13])


@pytest.mark.parametrize("size", [16 * MIB - 17, 16 * MIB, 16 * MIB + 1])
def test_the_largest_document(size: int, client: MongoClient, database: Mongo) -> None:
    ours = client[database.name].c
    room = size - len(bson.encode({"_id": 1, "s": ""}))
    document = {"_id": 1, "s": "x" * room}
    if size <= 16 * MIB:
        ours.insert_many([document])
        assert ours.delete_one({}).deleted_count == 1
        ours.insert_one(document)
        ours.replace_one({"_id": 1}, document)
        assert database.c.find_one() == document
    else:
        for call in (ours.insert_one, lambda one: ours.insert_many([one])):
            with pytest.raises(InvalidQuery, match="16 MiB"):
                call(document)  # type: ignore[operator]
        with pytest.raises(InvalidQuery, match="16 MiB"):
            ours.bulk_write([data_bridge.ReplaceOne({"_id": 1}, {**document, "t": "x" * MIB})])


def test_a_generator_that_fails(client: MongoClient, database: Mongo) -> None:
    def fails() -> Iterator[dict[str, Any]]:
        yield {"_id": 1}
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        client[database.name].c.insert_many(fails())
    assert database.c.count_documents({}) == 0


def test_unacknowledged(client: MongoClient, database: Mongo) -> None:
    ours = client[database.name].c.with_options(write_concern={"w": 0})
    result = ours.insert_one({"_id": 1})
    assert (result.acknowledged, result.inserted_id) == (False, 1)
    assert not ours.insert_one({"_id": 1}).acknowledged
    assert not ours.insert_many([{"_id": 2}, {"_id": 1}, {"_id": 3}], ordered=False).acknowledged
    update = ours.update_one({"_id": 1}, {"$set": {"a": 1}})
    for name in ("matched_count", "modified_count", "upserted_id", "did_upsert"):
        with pytest.raises(InvalidOperation, match=name):
            getattr(update, name)
    with pytest.raises(InvalidOperation):
        _ = ours.delete_one({"_id": 2}).deleted_count
    with pytest.raises(InvalidOperation):
        _ = ours.bulk_write([data_bridge.DeleteOne({"_id": 3})]).deleted_count
    assert list(database.c.find()) == [{"_id": 1, "a": 1}]
    with client.start_session() as session, pytest.raises(InvalidOperation, match="acknowledged"):
        ours.insert_one({"_id": 4}, session=session)


ORDERED: dict[str, tuple[list[Any], int]] = {
    # Operations of which one fails, and the number of documents after them.
    "kinds": (
        [
            data_bridge.InsertOne({"_id": 2}),
            data_bridge.InsertOne({"_id": 1}),
            data_bridge.InsertOne({"_id": 3}),
            data_bridge.UpdateOne({"_id": 2}, {"$set": {"a": 1}}),
            data_bridge.DeleteOne({"_id": 1}),
        ],
        2,
    ),
    "in the second command": (
        [
            data_bridge.InsertOne({"_id": 2}),
            data_bridge.UpdateOne({"_id": 2}, {"$set": {"_id": 9}}),
            data_bridge.DeleteMany({}),
        ],
        2,
    ),
    "in the last command": (
        [data_bridge.DeleteMany({}), data_bridge.InsertOne({"_id": 1}), data_bridge.InsertOne({"_id": 1})],
        1,
    ),
    "none": ([data_bridge.InsertOne({"_id": 2}), data_bridge.DeleteOne({"_id": 1})], 1),
}


@pytest.mark.parametrize("name", ORDERED)
async def test_ordered_without_acknowledgement(
    name: str, client: MongoClient, mongodb_uri: str, database: Mongo
) -> None:
    """It stops at the first error, as PyMongo's, and raises nothing."""
    operations, count = ORDERED[name]
    left = []
    async with data_bridge.AsyncMongoClient(mongodb_uri) as asynchronous:
        for some in (database.client, client, asynchronous):
            database.c.drop()
            database.c.insert_one({"_id": 1})
            collection = some[database.name].c
            unacknowledged = collection.with_options(write_concern=pymongo.WriteConcern(w=0))
            result = unacknowledged.bulk_write(theirs(operations) if some is database.client else operations)
            if some is asynchronous:
                result = await result
            assert not result.acknowledged
            # PyMongo does not wait for its last command.
            wait_until(lambda: database.c.count_documents({}) == count, 5)
            left.append(list(database.c.find().sort("_id")))
    assert left[0] == left[1] == left[2]
    assert len(left[0]) == count


def theirs(operations: list[Any]) -> list[Any]:
    made = {
        "InsertOne": lambda one: pymongo.InsertOne(one._doc),
        "UpdateOne": lambda one: pymongo.UpdateOne(one._filter, one._doc),
        "DeleteOne": lambda one: pymongo.DeleteOne(one._filter),
        "DeleteMany": lambda one: pymongo.DeleteMany(one._filter),
    }
    return [made[type(one).__name__](one) for one in operations]


@pytest.mark.parametrize("ordered", [True, False])
def test_documents_of_several_commands_without_acknowledgement(
    ordered: bool, client: MongoClient, database: Mongo
) -> None:
    """40 MB take three commands; the second document of the first one is there already."""
    database.c.insert_one({"_id": 1})
    documents = [{"_id": number, "text": "x" * 4_000_000} for number in range(10)]
    ours = client[database.name].c.with_options(write_concern={"w": 0})
    assert not ours.insert_many(documents, ordered=ordered).acknowledged
    assert database.c.count_documents({}) == (2 if ordered else 10)


def test_write_concern(mongodb_uri: str, database: Mongo) -> None:
    """A write concern that cannot be met, from the URI or with_options, raises after the write, as PyMongo's."""
    separator = "&" if "?" in mongodb_uri else "?"
    with MongoClient(f"{mongodb_uri}{separator}w=7&wTimeoutMS=100") as client:
        ours = client[database.name].c
        assert client["x"].write_concern == {"w": 7, "wtimeout": 100}
        theirs = database.get_collection("c", write_concern=pymongo.WriteConcern(w=7, wtimeout=100))
        calls: list[Callable[[Any], Any]] = [
            lambda c: c.insert_one({"_id": 1}),
            lambda c: c.update_one({"_id": 1}, {"$set": {"a": 1}}),
            lambda c: c.find_one_and_update({"_id": 1}, {"$set": {"a": 2}}),
            lambda c: c.insert_many([{"_id": 2}]),
            lambda c: c.create_index("a"),
        ]
        for call in calls:
            errors = []
            for collection in (theirs, ours):
                with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is compared below
                    call(collection)
                errors.append((type(caught.value).__name__, caught.value.code))  # type: ignore[attr-defined]
                if call is calls[0] or call is calls[3]:
                    database.c.delete_many({"_id": 2 if call is calls[3] else 1}) if collection is theirs else None
            assert errors[0] == errors[1]
        assert database.c.find_one({"_id": 1}) == {"_id": 1, "a": 2}
        fine = ours.with_options(write_concern=pymongo.WriteConcern(w=1))
        assert fine.insert_one({"_id": 3}).acknowledged
        for wrong in ({"w": -1}, {"x": 1}, 3, {"w": 1.5}):
            with pytest.raises((TypeError, ValueError)):
                ours.with_options(write_concern=wrong)


@pytest.mark.parametrize("short", [0, 40, 200, 2000])
def test_a_full_command_has_room_for_what_is_added_to_it(short: int, client: MongoClient, database: Mongo) -> None:
    """The driver adds a session, a transaction number and times to the command, which a server counts too."""
    room = (16 << 20) + (16 << 10) - short - len(bson.encode({"insert": "c", "ordered": True})) - 25
    documents = []
    for i in range(3):
        size = room // (3 - i)
        empty = len(bson.encode({"_id": i, "x": ""}))
        documents.append({"_id": i, "x": "y" * (size - empty - 8)})
        room -= size
    assert len(client[database.name]["c"].insert_many(documents).inserted_ids) == 3
    assert database["c"].count_documents({}) == 3
