"""Writes of instances: the stored documents, read with PyMongo, and the commands in the server's profiler."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from bson import Int64, ObjectId
from shop import Address, Color, Item, User

import data_bridge
from data_bridge import odm
from data_bridge.odm import (
    Document,
    DocumentNotFound,
    EmbeddedDocument,
    Event,
    Field,
    PartlyRead,
    RevisionConflict,
    UnsavedChanges,
    ValidationError,
    after_event,
    before_event,
    path,
)
from data_bridge.odm import operators as op


@pytest.fixture
def sent(database: Any) -> Iterator[Any]:
    """Return the updates that a call sends, from the server's profiler."""

    def run(call: Any) -> list[dict[str, Any]]:
        database["system.profile"].drop()
        database.command("profile", 2)
        try:
            call()
        finally:
            database.command("profile", 0)
        return [each["command"]["u"] for each in database["system.profile"].find({"op": "update"})]

    return run


def stored(users: Any) -> dict[str, Any]:
    (document,) = users.find()
    return document  # type: ignore[no-any-return]


def ada(**changes: Any) -> User:
    return User(**{"name": "Ada", "age": 36, **changes})


def test_insert(users: Any) -> None:
    user = ada(address=Address(city="Oslo"), seen=dt.datetime(2024, 1, 1, 0, 0, 0, 123456))
    assert user.insert() is user
    document = stored(users)
    assert next(iter(document)) == "_id"
    assert document["_id"] == user.id
    assert document["address"] == {"city": "Oslo", "zip": None, "size": 0}
    assert user.seen == document["seen"]  # in milliseconds, like the value of a query
    assert User.find_one() == user
    with pytest.raises(data_bridge.DataBridgeError):
        user.insert()
    assert ada().id is None


def test_insert_keeps_the_objects_of_the_instance(users: Any) -> None:
    tags = ["a"]
    user = ada(tags=tags).insert()
    assert user.tags is tags
    tags.append("b")
    user.save()
    assert stored(users)["tags"] == ["a", "b"]


def test_insert_many(users: Any) -> None:
    made = User.insert_many([ada(age=each) for each in range(5)])
    assert [each["_id"] for each in users.find()] == [each.id for each in made]
    assert User.insert_many([]) == []
    with pytest.raises(TypeError):
        User.insert_many([Item(name="x")])  # type: ignore[list-item]
    assert users.count_documents({}) == 5


def test_insert_many_that_fails(users: Any) -> None:
    """Errors contain the documents, although bytes are sent; a document that cannot be encoded prevents all inserts."""
    first = ada(age=1).insert()
    with pytest.raises(data_bridge.BulkWriteError) as caught:
        User.insert_many([ada(age=2), ada(id=first.id, age=3), ada(age=4)])
    (error,) = caught.value.details["writeErrors"]
    assert (error["index"], error["op"]["_id"], error["op"]["age"]) == (1, first.id, 3)
    assert [each["age"] for each in users.find()] == [1, 2]
    with pytest.raises(data_bridge.InvalidQuery, match=r"documents\[1\] cannot be encoded at \['extra'\]"):
        User.insert_many([ada(age=5), ada(extra=2**70)])
    with pytest.raises(data_bridge.InvalidQuery, match=r"document cannot be encoded at \['extra'\]"):
        ada(extra=2**70).insert()
    assert users.count_documents({}) == 2


def test_save_sends_what_changed_and_nothing_else(users: Any, sent: Any) -> None:
    users.insert_one(
        {
            "name": "Ada",
            "age": Int64(36),
            "tags": ["a"],
            "address": {"city": "Oslo", "zip": "1", "size": 1, "other": True},
            "items": [{"name": "pen", "count": Int64(1)}],
            "extra": {"n": Int64(1)},
            "undeclared": 1,
        }
    )
    user = User.find_one()
    assert user is not None
    # Read, not changed.
    _ = (user.name, user.tags, user.address, user.items[0].count_, user.extra, user.labels, user.homes)
    assert sent(user.save) == []
    user.age = 36
    assert sent(user.save) == []
    user.name = "Eve"
    assert sent(user.save) == [{"$set": {"name": "Eve"}}]
    assert sent(user.save) == []
    user.tags.append("b")
    assert sent(user.save) == [{"$set": {"tags": ["a", "b"]}}]
    assert user.address is not None
    user.address.city = "Rome"
    assert sent(user.save) == [{"$set": {"address.city": "Rome"}}]
    user.address.size = 2
    user.mail = "x"
    assert sent(user.save) == [{"$set": {"address.size": 2, "e-mail": "x"}}]
    user.items[0].name = "ink"
    assert sent(user.save) == [{"$set": {"items": [{"name": "ink", "count": Int64(1)}]}}]
    user.labels.add("new")
    user.color = Color.BLUE
    user.address = None
    assert sent(user.save) == [{"$set": {"labels": ["new"], "color": "blue", "address": None}}]
    document = stored(users)
    assert document["undeclared"] == 1
    assert type(document["age"]) is Int64
    assert User.find_one() == user


def test_an_assigned_default_is_stored(users: Any) -> None:
    users.insert_one({"name": "a", "age": 1})
    user = User.find_one()
    assert user is not None
    user.tags = []
    user.save()
    assert stored(users)["tags"] == []


def test_save_inserts_what_is_new(users: Any) -> None:
    user = ada().save()
    assert stored(users)["_id"] == user.id
    other = ada(id=ObjectId(), name="other").save()
    assert users.count_documents({}) == 2
    users.update_one({"_id": other.id}, {"$set": {"undeclared": 1}})
    again = ada(id=other.id, name="again").save()
    assert users.find_one({"_id": again.id})["undeclared"] == 1
    assert users.find_one({"_id": again.id})["name"] == "again"


def test_save_of_what_is_gone_says_so(users: Any) -> None:
    user = ada().insert()
    users.delete_many({})
    user.name = "x"
    with pytest.raises(DocumentNotFound):
        user.save()
    with pytest.raises(DocumentNotFound):
        user.replace()
    unchanged = ada().insert()
    users.delete_many({})
    with pytest.raises(DocumentNotFound):
        unchanged.update(op.Inc({User.age: 1}))
    with pytest.raises(DocumentNotFound):
        user.reload()
    with pytest.raises(DocumentNotFound):
        ada().delete()
    assert users.count_documents({}) == 0


def test_an_id_cannot_be_changed(users: Any) -> None:
    user = ada().insert()
    before = user.id
    user.id = ObjectId()
    with pytest.raises(ValidationError, match="_id"):
        user.save()
    assert stored(users)["_id"] == before


def test_a_failed_save_loses_nothing(users: Any) -> None:
    user = ada().insert()
    user.tags.append(5)  # type: ignore[arg-type]
    user.name = "Eve"
    with pytest.raises(ValidationError):
        user.save()
    user.tags.pop()
    user.save()
    assert stored(users)["name"] == "Eve"


def test_replace(users: Any) -> None:
    user = ada().insert()
    user.age = 1
    user.replace()
    assert stored(users)["age"] == 1
    users.update_one({}, {"$set": {"undeclared": 1}})
    read = User.find_one()
    assert read is not None
    read.age = 2
    read.replace()
    assert (stored(users)["age"], stored(users)["undeclared"]) == (2, 1)


def test_a_document_that_was_read_in_part_is_not_replaced(ours: data_bridge.Database, database: Any) -> None:
    class Part(Document):
        name: str

        class Settings:
            read_whole = False

    odm.init(ours, [Part])
    database["Part"].insert_one({"name": "a", "undeclared": 1})
    read = Part.find_one()
    assert read is not None
    with pytest.raises(KeyError):
        read["undeclared"]
    with pytest.raises(PartlyRead, match="overwrite"):
        read.replace()
    assert "undeclared" in stored(database["Part"])
    read.replace(overwrite=True)
    assert "undeclared" not in stored(database["Part"])


def test_a_document_is_replaced_whole(ours: data_bridge.Database, database: Any) -> None:
    class Whole(Document):
        name: str

    odm.init(ours, [Whole])
    database["Whole"].insert_one({"name": "a", "other": {"x": Int64(1)}})
    whole = Whole.find_one()
    assert whole is not None
    assert whole["other"]["x"] == 1
    whole.name = "b"
    whole.replace()
    document = database["Whole"].find_one()
    assert (document["name"], type(document["other"]["x"])) == ("b", Int64)


def test_update_and_reload(users: Any) -> None:
    user = ada(tags=["a"]).insert()
    users.update_one({}, {"$set": {"score": 5}})
    assert user.score == 0
    user.update(op.Inc({User.age: 1}), op.Push({User.tags: "b"}))
    assert (user.age, user.tags, user.score) == (37, ["a", "b"], 5)
    user.name = "unsaved"
    with pytest.raises(UnsavedChanges, match="name"):
        user.update(op.Set({User.age: 1}))
    assert stored(users)["age"] == 37
    assert user.reload().name == "Ada"


def test_delete(users: Any) -> None:
    user = ada().insert()
    assert user.delete().deleted_count == 1
    assert user.delete().deleted_count == 0


def test_writes_of_queries(users: Any) -> None:
    User.insert_many([ada(name=f"n{each}", age=each) for each in range(10)])
    assert User.find(User.age < 3).update(op.Set({User.color: Color.BLUE})).modified_count == 3
    assert users.count_documents({"color": "blue"}) == 3
    assert User.find(User.age > 5).update_one(op.Inc({User.age: 100})).modified_count == 1
    assert User.update_all(op.AddToSet({User.tags: "all"})).modified_count == 10
    assert User.find(User.age > 100).delete().deleted_count == 1
    assert User.find(User.age < 5).delete_one().deleted_count == 1
    assert User.delete_many(User.color == Color.BLUE).deleted_count in (2, 3)
    for bounded in (User.find().limit(1), User.find().skip(1), User.find().sort("age")):
        with pytest.raises(data_bridge.InvalidQuery):
            bounded.delete()
        with pytest.raises(data_bridge.InvalidQuery):
            bounded.update(op.Set({User.age: 1}))
    with pytest.raises(TypeError, match="delete_all"):
        User.delete_many()
    assert users.count_documents({}) > 0
    User.delete_all()
    assert users.count_documents({}) == 0


def test_upsert(users: Any) -> None:
    new = ada(age=10, tags=["new"], address=Address(city="Oslo"))

    def run(on_insert: User) -> Any:
        query = User.find(op.RegEx(User.name, "^A"), path(User.address).city == "Oslo")
        return query.upsert(op.Inc({User.age: 1, "address.size": 1}), on_insert=on_insert)

    result = run(new)
    assert result.did_upsert
    assert new.id == result.upserted_id
    assert User.find_one() == new
    document = stored(users)
    assert (document["name"], document["age"], document["tags"]) == ("Ada", 10, ["new"])
    assert document["address"] == {"city": "Oslo", "zip": None, "size": 0}
    other = ada()
    assert not run(other).did_upsert
    assert other.id is None
    assert (stored(users)["age"], stored(users)["address"]["size"]) == (11, 1)
    new.reload().name = "Eve"
    new.save()
    key = ObjectId()
    by_id = User.find(User.id == key).upsert(op.Inc({User.age: 1}), on_insert=ada())
    assert by_id.upserted_id == key
    assert users.find_one({"_id": key})["name"] == "Ada"
    with pytest.raises(TypeError):
        User.find().upsert(op.Inc({User.age: 1}), on_insert=Item(name="x"))  # type: ignore[arg-type]


def test_find_one_and(users: Any) -> None:
    User.insert_many([ada(name=f"n{each}", age=each) for each in range(5)])
    before = User.find(User.age < 3).sort(-User.age).find_one_and_update(op.Inc({User.age: 10}))
    assert (type(before), before.age) == (User, 2)  # type: ignore[union-attr]
    after = User.find(User.age == 12).find_one_and_update(op.Inc({User.age: 1}), return_document=True)
    assert after is not None
    assert after.age == 13
    assert User.find(User.age == 99).find_one_and_delete() is None
    gone = User.find(User.age == 13).find_one_and_delete()
    assert gone is not None
    assert users.count_documents({}) == 4
    old = User.find(User.age == 0).find_one_and_replace(ada(name="other"))
    assert old is not None
    assert old.name == "n0"
    assert users.find_one({"_id": old.id})["name"] == "other"


def test_bulk_writer(users: Any, sent: Any) -> None:
    one, two, three = User.insert_many([ada(name=name) for name in "abc"])
    new = ada(name="new")
    with User.bulk_writer() as bulk:
        one.age = 1
        bulk.save(one)
        bulk.save(two)  # nothing changed
        bulk.update(two, op.Inc({User.age: 1}))
        bulk.delete(three)
        bulk.insert(new)
        bulk.update_many(User.find(User.name == "new"), op.Set({User.score: 1.5}))
    assert bulk.result is not None
    assert (bulk.result.inserted_count, bulk.result.deleted_count, bulk.result.modified_count) == (1, 1, 3)
    assert {each["name"]: each["age"] for each in users.find()} == {"a": 1, "b": 37, "new": 36}
    assert sent(one.save) == []
    with pytest.raises(TypeError), User.bulk_writer() as bulk:
        _ = bulk.delete(one), bulk.save(Item(name="x"))  # type: ignore[func-returns-value]
    assert users.count_documents({}) == 3
    with pytest.raises(TypeError):
        User.bulk_writer().save(Item(name="x"))


class Guarded(Document):
    n: int = 0

    class Settings:
        use_revision = True


def test_revisions(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Guarded])
    Guarded().insert()
    one, other = Guarded.find_one(), Guarded.find_one()
    assert one is not None
    assert other is not None
    one.n = 1
    one.save()
    one.n = 2
    one.save()
    other.n = 9
    for write in (other.save, lambda: other.replace(overwrite=True)):
        with pytest.raises(RevisionConflict):
            write()
    other.reload()
    one.update(op.Inc({Guarded.n: 1}))
    with pytest.raises(RevisionConflict):
        other.update(op.Inc({Guarded.n: 1}))
    other.reload()
    Guarded.find().update(op.Inc({Guarded.n: 1}))
    other.n = 9
    with pytest.raises(RevisionConflict):
        other.save()
    with pytest.raises(RevisionConflict), Guarded.bulk_writer() as bulk:
        bulk.save(other)
    assert database["Guarded"].find_one()["n"] == 4


class Hooked(Document):
    name: str
    log: list[str] = []

    @before_event(Event.INSERT, Event.SAVE)
    def clean(self) -> None:
        self.name = self.name.strip()

    @before_event("delete")
    def keep(self) -> None:
        raise PermissionError(self.name)

    @after_event(Event.INSERT)
    def note(self) -> None:
        self.log.append(str(self.id))


def test_hooks(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Hooked])
    hooked = Hooked(name="  a ").insert()
    assert hooked.log == [str(hooked.id)]
    assert database["Hooked"].find_one()["name"] == "a"
    hooked.name = " b "
    hooked.save()
    assert database["Hooked"].find_one()["name"] == "b"
    with pytest.raises(PermissionError):
        hooked.delete()
    assert database["Hooked"].count_documents({}) == 1


def test_indexes(ours: data_bridge.Database, database: Any) -> None:
    class Indexed(Document):
        name: str = Field(unique=True)
        age: int = Field(0, index=-1, alias="a")
        where: Any = Field(None, index="2dsphere")
        inner: Address | None = None

        class Settings:
            indexes = ["inner.city", [("name", 1), ("age", -1)], data_bridge.IndexModel([("age", 1)], name="mine")]

    odm.init(ours, [Indexed])
    made = {name: index["key"] for name, index in database["Indexed"].index_information().items()}
    assert [("name", 1)] in made.values()
    assert [("a", -1)] in made.values()
    assert [("inner.city", 1)] in made.values()
    assert [("name", 1), ("a", -1)] in made.values()
    assert [("where", "2dsphere")] in made.values()
    assert "mine" in made
    Indexed(name="a").insert()
    with pytest.raises(data_bridge.DuplicateKeyError):
        Indexed(name="a").insert()

    class Wrong(Document):
        class Settings:
            indexes = ["nope"]

    with pytest.raises(AttributeError):
        odm.init(ours, [Wrong])


def test_ids_that_are_declared(ours: data_bridge.Database, database: Any) -> None:
    class Named(Document):
        id: str
        n: int = 0

    odm.init(ours, [Named])
    Named(id="x").insert()
    assert database["Named"].find_one() == {"_id": "x", "n": 0}
    named = Named.get("x")
    assert named is not None
    named.n = 1
    named.save()
    assert Named.find(Named.id == "x").count() == 1
    with pytest.raises(ValidationError):
        Named(n=1)


def test_embedded_documents_have_no_collection() -> None:
    assert not hasattr(EmbeddedDocument, "save")
    assert not hasattr(EmbeddedDocument, "find")


def test_a_default_that_was_made_stays(ours: data_bridge.Database, database: Any) -> None:
    class Keyed(Document):
        n: int = 0
        key: uuid.UUID = Field(default_factory=uuid.uuid4)

    odm.init(ours, [Keyed])
    database["Keyed"].insert_one({"n": 1})
    keyed = Keyed.find_one()
    assert keyed is not None
    key = keyed.key
    keyed.n = 2
    keyed.save()
    assert keyed.key == key
    assert "key" not in database["Keyed"].find_one()


def test_an_update_of_what_was_not_inserted_says_so(users: Any) -> None:
    with pytest.raises(DocumentNotFound, match="not inserted"):
        ada().update(op.Inc(User.age, 1))


def test_all_are_counted_in_the_session_too(users: Any, client: data_bridge.MongoClient) -> None:
    with client.start_session() as session, session.start_transaction():
        ada().insert(session=session)
        assert (User.count(session=session), User.count()) == (1, 0)
        session.abort_transaction()
    assert User.count() == 0
