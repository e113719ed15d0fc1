"""Equal objects from every way to read a model, also from tables and from files."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bson import Binary, DBRef, Decimal128, Int64, ObjectId
from shop import Address, Color, Item, User

import data_bridge
from data_bridge import odm
from data_bridge.odm import BackLink, Document, EmbeddedDocument, Field, Link
from data_bridge.odm.operators import Set


class Owner(Document):
    user: Link[User]
    pets: list[BackLink[Pet]] = Field(default_factory=list, original_field="owner")

    class Settings:
        name = "owners"


class Pet(Document):
    owner: Link[Owner]
    legs: int = 4

    class Settings:
        name = "pets"
        is_root = True
        use_revision = True


class Cat(Pet):
    lives: int = 9


@pytest.fixture
def stored(users: Any, ours: data_bridge.Database) -> list[User]:
    odm.init(ours, [Owner, Pet])
    uid = uuid.UUID(int=7)
    made = [
        User(
            name="all",
            age=2**40,
            tags=["a", "b"],
            address=Address(city="Oslo", zip="0150", size=3),
            items=[Item(name="pen", count_=2), Item(name="cup")],
            color=Color.BLUE,
            kind=1,
            uid=uid,
            money=decimal.Decimal("1.10"),
            born=dt.date(1970, 1, 2),
            seen=dt.datetime(2024, 5, 6, 7, 8, 9, 1000),
            score=0.5,
            big=Int64(5),
            either="x",
            homes={"a": Address(city="Bergen", zip="5003")},
            pair=(1, "x"),
            labels={"l", "m"},
            extra={"k": [1, 2.5, None, ObjectId(b"0" * 12), {}]},
            mail="a@b",
        ),
        User(name="defaults", age=1),
        User(
            name="other",
            age=-1,
            either=5,
            extra=Decimal128("NaN"),
            labels=set(),
            homes={"b": Address(city="x", zip="1")},
        ),
    ]
    User.insert_many(made)
    # Documents of other programs: fewer keys, more keys, null where the model has another default.
    users.insert_many(
        [
            {"_id": 1, "name": "sparse", "age": 3.0},
            {"name": "more", "age": 4, "unknown": [1], "uid": Binary(uid.bytes, 4), "address": {"city": "y", "new": 1}},
        ]
    )
    users.delete_one({"_id": 1})  # an _id of this type does not fit the model
    return User.find().sort("_id").to_list()


def test_every_way_to_read(stored: list[User]) -> None:
    every = User.find().sort("_id")
    assert list(every) == stored
    assert [user for user in stored if User.get(user.id) == user] == stored
    assert [User.find_one(User.id == user.id) for user in stored] == stored
    assert [User.find(User.id == user.id).first_or_none() for user in stored] == stored
    assert every.validate() == stored
    assert every.project(User).to_list() == stored
    assert User.from_arrow(User.aggregate([{"$sort": {"_id": 1}}]).read()) == stored
    assert User.from_arrow(every.read()) == stored
    owners = [Owner(user=Link(user)).insert() for user in stored]
    fetched = Owner.find().sort("_id").fetch_links().to_list()
    assert [each.user.document for each in fetched] == stored
    assert [Link(User, user.id).fetch() for user in stored] == stored
    Pet.insert_many([Cat(owner=Link(owner)) for owner in owners])
    pets = Pet.find().with_children().sort("_id").to_list()
    back = Owner.find().sort("_id").fetch_links().to_list()
    assert [each.pets[0].document for each in back] == pets
    assert {type(each) for each in pets} == {Cat}


@pytest.mark.parametrize("way", ["table", "parquet", "filtered", "batches", "raw query"])
def test_tables(stored: list[User], way: str, ours: data_bridge.Database, tmp_path: Path) -> None:
    query = User.find().sort("_id")
    table: Any = query.to_arrow(shapes=True)
    if way == "raw query":
        table = ours["users"].find(sort=[("_id", 1)]).to_arrow(shapes=True)
    if way == "parquet":
        pq.write_table(table, tmp_path / "users.parquet")
        table = pq.read_table(tmp_path / "users.parquet")
    if way == "filtered":
        table = pa.concat_tables([table.slice(2), table.slice(0, 2)]).take([2, 3, 0, 1])
    if way == "batches":
        table = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=1))
    read = User.from_arrow(table)
    assert read == stored
    # A table has the declared columns only; instances of a query also have the undeclared keys.
    whole = [user._dump() for user in stored]
    assert [document.pop("unknown", None) for document in whole] == [None, None, None, [1]]
    assert [user._dump() for user in read] == whole
    assert all(user.validate() for user in read)


def test_a_table_without_shapes_reads_null_as_missing(users: Any) -> None:
    users.insert_one({"name": "a", "age": 1, "score": None, "mail": None})
    users.insert_one({"name": "b", "age": 2, "score": 1.5, "mail": "m"})
    with pytest.raises(odm.ValidationError):
        _ = User.find(User.name == "a").to_list()[0].score
    first, second = User.from_arrow(User.find().sort("_id").to_arrow())
    # The default of a missing key, or None where that is the default.
    assert (first.score, first.mail) == (0.0, None)
    assert second == User.find_one(User.name == "b")
    exact = User.from_arrow(User.find().sort("_id").to_arrow(shapes=True))[0]
    with pytest.raises(odm.ValidationError):
        _ = exact.score


def test_what_was_read_from_a_table_is_stored(stored: list[User], users: Any) -> None:
    """It writes the changed fields, and refuses to write keys that it has not read."""
    table = User.find().sort("_id").to_arrow(shapes=True)
    read = User.from_arrow(table)
    more = next(user for user in read if user.name == "more")
    more.tags.append("changed")
    more.save()
    there = users.find_one(more.id)
    assert there["tags"] == ["changed"]
    assert there["unknown"] == [1]
    with pytest.raises(odm.PartlyRead):
        more.replace()
    more.update(Set({User.age: 40}))
    assert users.find_one(more.id)["age"] == more.age == 40
    more.delete()
    with pytest.raises(odm.DocumentNotFound):
        User.from_arrow(table)[read.index(more)].reload()


def test_trees_and_revisions(ours: data_bridge.Database, stored: list[User], database: Any) -> None:
    owner = Owner(user=Link(stored[0])).insert()
    Pet(owner=Link(owner)).insert()
    Cat(owner=Link(owner), lives=7).insert()
    pets = Pet.find().with_children().sort("_id")
    read = Pet.from_arrow(pets.to_arrow(shapes=True))
    assert read == pets.to_list()
    assert [type(each) for each in read] == [Pet, Cat]
    read[1].legs = 3
    read[1].save()
    stored_pet = database["pets"].find_one(read[1].id)
    assert (stored_pet["legs"], stored_pet["lives"], stored_pet["_class_id"]) == (3, 7, "Pet.Cat")
    stale = Pet.from_arrow(pets.to_arrow(shapes=True))[1]
    read[1].update(Set({Cat.lives: 1}))
    stale.legs = 2
    with pytest.raises(odm.RevisionConflict):
        stale.save()


class Free(Document):
    """A model without a database."""

    uid: uuid.UUID
    money: decimal.Decimal | None = None
    link: Link[User] | None = None


class View(EmbeddedDocument):
    city: str


def test_models_that_have_no_database(users: Any) -> None:
    uid = uuid.uuid4()
    table = pa.table(
        {
            "_id": [1],
            "uid": pa.array([uid.bytes], pa.uuid()),
            "money": pa.array([decimal.Decimal("1.10")], pa.decimal128(10, 2)),
        }
    )
    (free,) = Free.from_arrow(table)
    assert (free.uid, free.money, free.link) == (uid, decimal.Decimal("1.10"), None)
    users.insert_one({"name": "a", "address": {"city": "Oslo"}})
    rows = User.aggregate([{"$project": {"_id": 0, "city": "$address.city"}}])
    assert View.from_arrow(rows.to_arrow()) == View.from_arrow(rows.read()) == [View(city="Oslo")]


def test_what_is_no_table(users: Any) -> None:
    with pytest.raises(TypeError, match="__arrow_c_stream__"):
        User.from_arrow([{"name": "a"}])
    (wrong,) = User.from_arrow(pa.table({"_id": ["x"], "name": ["a"], "age": ["old"]}))
    with pytest.raises(odm.ValidationError) as caught:
        _ = wrong.age
    assert (caught.value.id, caught.value.path) == ("x", ("age",))
    (linked,) = Owner.from_arrow(pa.table({"user": [{"$ref": "users", "$id": "6" * 24}]}))
    assert linked._document()["user"] == DBRef("users", "6" * 24)  # type: ignore[index]


async def test_asynchronous_models(mongodb_uri: str, database: Any) -> None:
    class Later(odm.AsyncDocument):
        name: str

    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [Later])
        await Later.insert_many([Later(name="a"), Later(name="b")])
        later = await Later.find().sort("_id").to_list()
        table = await Later.find().sort("_id").to_arrow(shapes=True)
        assert Later.from_arrow(table) == later
        assert Later.from_arrow(await Later.aggregate([{"$sort": {"_id": 1}}]).read()) == later
