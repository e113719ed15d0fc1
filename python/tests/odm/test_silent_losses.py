"""Values that must not be lost or changed silently: each call keeps the value or raises."""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import operator
import struct
import threading
from typing import Any

import pytest
from bson import ObjectId, Regex
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from shop import Address, Item, User
from strategies import framed, one_of_each

import data_bridge
from data_bridge import odm
from data_bridge.odm import (
    Document,
    DocumentNotFound,
    EmbeddedDocument,
    Event,
    Field,
    Link,
    PartlyRead,
    RevisionConflict,
)
from data_bridge.odm import operators as op


class Versioned(Document):
    n: int = 0
    tags: list[str] = []

    class Settings:
        use_revision = True


LONG = decimal.Decimal("1." + "1" * 40)


@pytest.mark.parametrize(("value", "path"), [(LONG, ("extra",)), ({"a": [1, {"b": LONG}]}, ("extra", "a", 1, "b"))])
def test_a_decimal_that_is_too_long_is_named_also_where_anything_goes(users: Any, value: Any, path: Any) -> None:
    with pytest.raises(odm.ValidationError, match="34 digits") as raised:
        ada(extra=value).insert()
    assert raised.value.path == path
    with pytest.raises(data_bridge.InvalidQuery, match="34 digits"):
        User.find(User.extra == value)
    for update in (op.Set(User.extra, value), op.Push(User.extra, value), op.PullAll(User.extra, [value])):
        with pytest.raises(data_bridge.InvalidQuery, match="34 digits"):
            User.find().update(update)
    assert users.count_documents({}) == 0


def ada(**changes: Any) -> User:
    return User(**{"name": "Ada", "age": 36, **changes})


# ---- filters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [{"$and": []}, {"$or": []}, {"$and": {}}, {"$nor": []}])
def test_a_filter_without_clauses_deletes_nothing(users: Any, empty: dict[str, Any]) -> None:
    users.insert_many([{"name": "a", "age": 1}, {"name": "b", "age": 2}])
    conditions: list[Any] = [User.find(empty), User.find(User.find(empty).get_filter_query())]
    for query in conditions:
        with pytest.raises(data_bridge.OperationFailure):
            query.delete()
    assert users.count_documents({}) == 2


def test_many_alternatives_are_one_list(users: Any) -> None:
    users.insert_many([{"name": "a", "age": age} for age in range(200)])
    assert User.find(functools.reduce(operator.or_, [User.age == age for age in range(150)])).count() == 150
    both = ((User.age == 1) | (User.age == 2)) & ((User.age == 2) | (User.age == 3))
    assert [user.age for user in User.find(both)] == [2]
    assert ((User.age == 1) | {"age": 2}).document == {"$or": [{"age": 1}, {"age": 2}]}


def test_a_pattern_is_no_value_of_in(users: Any) -> None:
    for take in (op.In, op.NotIn, op.All):
        with pytest.raises(data_bridge.InvalidQuery, match="pattern"):
            take(User.extra, [Regex("a")])
    with pytest.raises(data_bridge.InvalidQuery, match="pattern"):
        op.Pull({User.extra: Regex("a")}).document(User)


@pytest.mark.parametrize("wrong", ["abc", b"abc", {"a": 1}, 5])
def test_what_is_no_list_is_not_taken_apart(wrong: Any) -> None:
    with pytest.raises(TypeError):
        op.Each(wrong)
    with pytest.raises(TypeError):
        op.PullAll({User.tags: wrong}).document(User)


def test_a_value_too_deep_to_show_is_an_error_of_ours() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    try:
        with pytest.raises(data_bridge.InvalidQuery):
            _ = User.age == deep
        with pytest.raises(data_bridge.InvalidQuery):
            _ = User.address == {"city": deep}
        with pytest.raises(data_bridge.InvalidQuery):
            op.Push({User.extra: deep}).document(User)
    finally:
        while deep:  # its deallocation would recurse
            deep = deep.pop()


# ---- writes of instances --------------------------------------------------------------------------------------------


def test_a_deep_document_is_written_and_read_back(users: Any) -> None:
    deep: Any = "end"
    for _ in range(150):
        deep = {"a": deep}
    user = ada(extra=deep).insert()
    assert user.extra == deep
    user.name = "Eve"
    user.save()
    assert users.find_one()["name"] == "Eve"
    assert User.distinct(User.extra) == [deep]


def test_save_of_a_new_instance_runs_the_hooks_of_save(ours: data_bridge.Database, database: Any) -> None:
    ran: list[str] = []

    class Watched(Document):
        name: str

        @odm.before_event(Event.SAVE)
        def clean(self) -> None:
            self.name = self.name.strip()
            ran.append("save")

        @odm.before_event(Event.INSERT, Event.SAVE)
        def both(self) -> None:
            ran.append("both")

        @odm.after_event(Event.SAVE)
        def after(self) -> None:
            ran.append("after")

    odm.init(ours, [Watched])
    watched = Watched(name=" a ").save()
    assert ran == ["save", "both", "after"]
    assert database["Watched"].find_one()["name"] == "a"
    ran.clear()
    watched.name = "b"
    watched.save()
    assert ran == ["save", "both", "after"]


def test_an_instance_made_by_hand_overtakes_no_revision(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Versioned])
    there = Versioned(n=1).insert()
    for write in (lambda made: made.save(), lambda made: made.replace()):
        with pytest.raises((RevisionConflict, data_bridge.DuplicateKeyError)):
            write(Versioned(id=there.id, n=9))
    assert database["Versioned"].find_one()["n"] == 1
    new = Versioned(id=ObjectId(), n=5).save()
    assert database["Versioned"].find_one({"_id": new.id})["n"] == 5
    new.n = 6
    new.save()
    assert database["Versioned"].find_one({"_id": new.id})["n"] == 6


def test_what_a_projection_computed_is_not_written(ours: data_bridge.Database, database: Any) -> None:
    class Short(Document):
        name: str
        tags: list[str] = []
        items: list[Item] = []
        city: str | None = None

        class Settings:
            read_whole = True
            projection = {"name": 1, "tags": {"$slice": ["$tags", 1]}, "items.name": 1, "city": "$address.city"}

    odm.init(ours, [Short])
    first = {"name": "a", "tags": ["x", "y"], "items": [{"name": "i", "count": 3}], "address": {"city": "Oslo"}}
    database["Short"].insert_one(dict(first))
    short = Short.find_one()
    assert short is not None
    assert (short.tags, short.city) == (["x"], "Oslo")
    for change in (
        lambda: short.tags.append("z"),
        lambda: short.items.append(Item(name="j")),
        lambda: setattr(short, "city", "Bergen"),
    ):
        short.reload()
        change()
        with pytest.raises(PartlyRead, match="projection"):
            short.save()
    with pytest.raises(PartlyRead):
        short.replace()
    short.reload().name = "b"
    short.save()
    stored = database["Short"].find_one()
    del stored["_id"]
    assert stored == {**first, "name": "b"}


def test_find_one_and_replace_deletes_nothing_that_was_not_read(ours: data_bridge.Database, database: Any) -> None:
    class Part(Document):
        name: str

        class Settings:
            read_whole = False

    odm.init(ours, [Part])
    parts = database["Part"]
    parts.insert_one({"name": "a", "undeclared": 1})
    part = Part.find_one()
    assert part is not None
    with pytest.raises(PartlyRead):
        Part.find(Part.id == part.id).find_one_and_replace(part)
    assert parts.find_one()["undeclared"] == 1
    assert Part.find(Part.id == part.id).find_one_and_replace(part, overwrite=True) is not None
    assert "undeclared" not in parts.find_one()


@pytest.mark.parametrize("bulk", [False, True])
def test_what_did_not_change_stays_as_it_is_stored(ours: data_bridge.Database, database: Any, bulk: bool) -> None:
    """Also values of types that have no Python value: undefined, symbol, dbPointer."""

    class Old(Document):
        n: int
        anything: Any = None
        listed: list[Any] = []
        embedded: dict[str, Any] = {}

    odm.init(ours, [Old])
    old = Database[RawBSONDocument](database.client, database.name, CodecOptions(RawBSONDocument))["Old"]
    every = one_of_each()
    values = [(kind, str(position), value) for position, (kind, value) in enumerate(every.values())]
    number, several = (0x10, "n", struct.pack("<i", 1)), framed(values)
    for anything in every.values():
        parts = [(anything[0], "anything", anything[1]), (0x04, "listed", several), (0x03, "embedded", several)]
        others = [(kind, f"other {name}", value) for name, (kind, value) in every.items()]
        stored = framed([(0x07, "_id", bytes(12)), number, *parts, *others])
        old.delete_many({})
        old.insert_one(RawBSONDocument(stored))
        instance = Old.find_one()
        assert instance is not None
        assert old.find_one().raw == stored
        assert len(instance.listed) == len(instance.embedded) == len(every)  # built and kept
        for n in (2, 3):  # the second round changes what the first one wrote
            instance.n = n
            if n == 3:
                instance.save()
                instance.n = 1
            if bulk:
                with Old.bulk_writer() as writer:
                    writer.replace(instance)
            else:
                instance.replace()
        assert old.find_one().raw == stored


def test_a_part_that_changed_keeps_the_rest_as_it_is_stored(ours: data_bridge.Database, database: Any) -> None:
    class Inner(EmbeddedDocument):
        b: int

    class Part(EmbeddedDocument):
        a: int
        inner: Inner

    class Whole(Document):
        part: Part

    odm.init(ours, [Whole])
    raw = Database[RawBSONDocument](database.client, database.name, CodecOptions(RawBSONDocument))["Whole"]

    def stored(a: int, b: int) -> bytes:
        others = [(kind, f"other {name}", value) for name, (kind, value) in one_of_each().items()]
        inner = framed([(0x10, "b", struct.pack("<i", b)), *others])
        part = framed([(0x10, "a", struct.pack("<i", a)), (0x03, "inner", inner), *others])
        return framed([(0x07, "_id", bytes(12)), (0x03, "part", part)])

    raw.insert_one(RawBSONDocument(stored(1, 1)))
    whole = Whole.find_one()
    assert whole is not None
    whole.part.a = 2
    whole.save()
    whole.part.inner.b = 3
    whole.save()
    assert raw.find_one().raw == stored(2, 3)
    whole.replace()
    assert raw.find_one().raw == stored(2, 3)
    whole.part.inner.b = 4
    whole.replace()
    assert raw.find_one().raw == stored(2, 4)


def test_an_upsert_may_store_more_than_its_instance(users: Any) -> None:
    new = ada()
    User.find({"undeclared": 1}).upsert(op.Inc({User.age: 1}), on_insert=new)
    with pytest.raises(PartlyRead):
        new.replace()
    assert users.find_one()["undeclared"] == 1


def test_find_one_and_replace_makes_a_revision(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Versioned])
    made = Versioned(n=1).insert()
    other = Versioned.get(made.id)
    assert other is not None
    made.n = 2
    Versioned.find(Versioned.id == made.id).find_one_and_replace(made)
    other.n = 9
    with pytest.raises(RevisionConflict):
        other.save()
    assert database["Versioned"].find_one()["n"] == 2


def test_find_one_and_reads_what_was_asked_for(users: Any) -> None:
    class City(EmbeddedDocument):
        city: str | None = None

        class Settings:
            projection = {"city": "$address.city"}

    ada(address=Address(city="Oslo")).insert()
    found = User.find().project(City).find_one_and_update(op.Inc({User.age: 1}))
    assert isinstance(found, City)
    assert found.city == "Oslo"
    plain = User.find().project([User.age]).find_one_and_delete()
    assert plain is not None
    assert set(plain) == {"_id", "age"}


# ---- transactions ------------------------------------------------------------------------------------------------


def test_what_an_aborted_transaction_wrote_is_written_again(users: Any, client: data_bridge.MongoClient) -> None:
    there = ada(tags=["a"]).insert()
    gone = ada(name="gone").insert()
    new = ada(name="new")
    bulked = ada(name="bulked").insert()

    def write(session: Any) -> None:
        there.age = 1
        if len(there.tags) == 1:
            there.tags.append("b")
        there.save(session=session)
        new.save(session=session)
        new.age = 7
        new.save(session=session)
        bulked.age = 3
        with User.bulk_writer(session=session) as bulk:
            bulk.save(bulked)

    def fail(session: Any) -> None:
        with session.start_transaction():
            write(session)
            gone.update(op.Set({User.age: 99}), session=session)
            raise KeyError("mine")

    before = list(users.find().sort("_id"))
    with client.start_session() as session:
        with pytest.raises(KeyError, match="mine"):
            fail(session)
        assert list(users.find().sort("_id")) == before
        assert gone.age == 36
        session.with_transaction(write)
    assert {each["name"]: each["age"] for each in users.find()} == {"Ada": 1, "gone": 36, "new": 7, "bulked": 3}
    assert users.find_one({"_id": there.id})["tags"] == ["a", "b"]
    there.age = 2
    there.save()
    new.age = 8
    new.save()
    assert {each["name"]: each["age"] for each in users.find()} == {"Ada": 2, "gone": 36, "new": 8, "bulked": 3}


def test_a_session_that_ends_aborts_its_transaction(users: Any, client: data_bridge.MongoClient) -> None:
    user = ada().insert()
    with client.start_session() as session:
        session.start_transaction()
        user.age = 1
        user.save(session=session)
    user.save()
    assert users.find_one()["age"] == 1


# ---- bulk writers ---------------------------------------------------------------------------------------------------


def test_a_bulk_writer_tells_of_documents_that_are_gone(users: Any) -> None:
    one, two = User.insert_many([ada(), ada()])
    users.delete_one({"_id": one.id})
    one.age, two.age = 1, 2
    bulk = User.bulk_writer()
    bulk.save(one)
    bulk.save(two)
    bulk.update_many(User.find(), op.Set({User.score: 1.5}))
    with pytest.raises(DocumentNotFound, match=r"1 \w+ document was not found"):
        bulk.commit()
    (stored,) = users.find()
    assert (stored["_id"], stored["age"], stored["score"]) == (two.id, 2, 1.5)


def test_a_bulk_writer_checks_revisions_also_beside_update_many(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Versioned])
    made = Versioned().insert()
    late = Versioned.get(made.id)
    assert late is not None
    made.n = 1
    made.save()
    late.n = 9
    bulk = Versioned.bulk_writer()
    bulk.save(late)
    bulk.update_many(Versioned.find(), op.Set({Versioned.tags: ["all"]}))
    with pytest.raises(RevisionConflict):
        bulk.commit()
    stored = database["Versioned"].find_one()
    assert (stored["n"], stored["tags"]) == (1, ["all"])


def test_a_bulk_writer_saves_what_is_not_stored(users: Any) -> None:
    new = ada(id=ObjectId())
    with User.bulk_writer() as bulk:
        bulk.save(new)
    assert users.find_one({"_id": new.id})["name"] == "Ada"
    new.age = 1
    new.save()
    assert users.find_one()["age"] == 1


@pytest.mark.parametrize("ordered", [True, False])
def test_details_of_a_bulk_that_was_sent_in_parts(users: Any, ordered: bool) -> None:
    there = ada().insert()
    late = ada(name="late")
    bulk = User.bulk_writer(ordered=ordered)
    bulk.insert(ada(name="first"))
    bulk.update_many(User.find(User.name == "first"), op.Set({User.age: 1}))
    bulk.insert(ada(id=there.id))
    bulk.update_many(User.find(), op.Inc({User.age: 1}))
    bulk.insert(late)
    with pytest.raises(data_bridge.BulkWriteError, match="operation 2") as caught:
        bulk.commit()
    details: Any = caught.value.details
    assert [each["index"] for each in details["writeErrors"]] == [2]
    assert (details["nInserted"], details["nMatched"]) == ((1, 1) if ordered else (2, 3))
    assert users.count_documents({"name": "late"}) == (0 if ordered else 1)


def test_instances_are_written_to_their_own_collection_only(
    ours: data_bridge.Database, client: data_bridge.MongoClient, users: Any
) -> None:
    there = ada().insert()
    elsewhere = User.on(client[f"{ours.name}_archive"])
    try:
        old = elsewhere(id=there.id, name="old", age=1).insert()
        old.age = 2
        for write in (
            lambda: User.bulk_writer().save(old),
            lambda: User.bulk_writer().delete(old),
            lambda: User.bulk_writer().update_many(elsewhere.find(), op.Set({User.age: 0})),
            lambda: User.insert_many([elsewhere(name="x", age=1)]),
        ):
            with pytest.raises(TypeError, match="collection"):
                write()
        assert [each["name"] for each in users.find()] == ["Ada"]
    finally:
        users.database.client.drop_database(f"{ours.name}_archive")


def test_a_bulk_update_keeps_the_collation_of_its_query(users: Any) -> None:
    users.insert_many([{"name": "a", "age": 1}, {"name": "A", "age": 1}])
    with User.bulk_writer() as bulk:
        bulk.update_many(User.find(User.name == "a", collation={"locale": "en", "strength": 1}), op.Set({User.age: 2}))
    assert users.count_documents({"age": 2}) == 2
    with pytest.raises(data_bridge.InvalidQuery):
        User.bulk_writer().update_many(User.find(let={"x": 1}), op.Set({User.age: 2}))


# ---- declarations ---------------------------------------------------------------------------------------------------


def test_nothing_hides_an_inherited_field() -> None:
    for hidden in ("x", Field("x"), property(lambda _: "x")):
        with pytest.raises(TypeError, match="annotation"):
            type(User)("Hiding", (User,), {"__module__": __name__, "name": hidden})

    class Other(User):
        name: str = "x"

    assert Other(age=1).name == "x"


@pytest.mark.parametrize(
    ("kind", "value"), [(decimal.Decimal, decimal.Decimal("1.5")), (dt.date, dt.date(2024, 5, 6)), (str, "x")]
)
def test_links_to_ids_that_are_stored_as_another_type(
    ours: data_bridge.Database, database: Any, kind: type, value: Any
) -> None:
    class Target(Document):
        id: kind  # type: ignore[valid-type]

    class Holder(Document):
        target: Link[Target]

    class Back(Document):
        id: kind  # type: ignore[valid-type]
        holders: list[odm.BackLink[Holder]] = Field(default_factory=list, original_field="target")

        class Settings:
            name = "Target"

    odm.init(ours, [Target, Holder, Back])
    holder = Holder(target=Link(Target(id=value).insert())).insert()
    assert database["Holder"].find_one()["target"].id == database["Target"].find_one()["_id"]
    (found,) = Holder.find(fetch_links=True)
    assert (found.id, found.target.document.id) == (holder.id, value)
    (target,) = Back.find(fetch_links=True).to_list()
    assert [each.id for each in target.holders] == [holder.id]


def test_a_plan_may_be_asked_for_by_several_threads() -> None:
    field = User.__odm__.fields["address"]
    converter = field.converter
    field._resolve()  # like a thread that found no converter just before another thread made it
    assert field.converter is converter


def test_two_threads_read_one_list(ours: data_bridge.Database, database: Any) -> None:
    both = threading.Barrier(2)

    def made() -> list[str]:
        both.wait(30)
        return []

    class Shared(Document):
        tags: list[str] = Field(default_factory=made)

    odm.init(ours, [Shared])
    database["Shared"].insert_one({})
    shared = Shared.find_one()
    assert shared is not None
    seen: list[list[str]] = []
    threads = [threading.Thread(target=lambda: seen.append(shared.tags)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen[0] is seen[1] is shared.tags
