"""Queries over models, compared with the results of PyMongo."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import functools
import gc
import pickle
import sys
import uuid
import weakref
from typing import Any

import polars as pl
import pyarrow as pa
import pymongo
import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from profiled import queries
from shop import Address, Color, Item, User

import data_bridge
from data_bridge import odm
from data_bridge.odm import BackLink, Document, EmbeddedDocument, Field, Link, NotFetched, ValidationError

DAY = dt.datetime(2024, 5, 6, 7, 8, 9, 123000)


def ada(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Ada",
        "age": 36,
        "tags": ["a", "b"],
        "address": {"city": "Oslo", "zip": "1", "size": 3, "unknown": 1},
        "items": [{"name": "pen", "count": 2}, {"name": "ink"}],
        "color": "blue",
        "kind": 1,
        "uid": Binary(uuid.UUID(int=7).bytes, 4),
        "money": Decimal128("1.10"),
        "born": dt.datetime(1815, 12, 10),
        "seen": DAY,
        "score": 2,
        "big": Int64(5),
        "either": "x",
        "homes": {"winter": {"city": "Rome"}},
        "pair": [1, "one"],
        "labels": ["x", "y"],
        "extra": {"free": [1, {"deep": Int64(1)}]},
        "e-mail": "ada@example.com",
        "undeclared": 1,
        **changes,
    }


def test_values_convert_as_their_annotations_say(users: Any) -> None:
    users.insert_one(ada())
    user = User.find_one()
    assert user is not None
    assert type(user) is User
    assert isinstance(user.id, ObjectId)
    assert (user.name, user.age, user.tags) == ("Ada", 36, ["a", "b"])
    assert user.address == Address(city="Oslo", zip="1", size=3)
    assert user.items == [Item(name="pen", count_=2), Item(name="ink", count_=1)]
    assert user.color is Color.BLUE
    assert user.kind == 1
    assert user.uid == uuid.UUID(int=7)
    assert user.money == decimal.Decimal("1.10")
    assert user.born == dt.date(1815, 12, 10)
    assert user.seen == DAY
    assert (type(user.score), user.score) == (float, 2.0)
    assert type(user.big) is Int64
    assert user.either == "x"
    assert user.homes == {"winter": Address(city="Rome")}
    assert user.pair == (1, "one")
    assert user.labels == {"x", "y"}
    assert user.extra == {"free": [1, {"deep": Int64(1)}]}
    assert user.mail == user["e-mail"] == "ada@example.com"
    assert user["undeclared"] == 1
    assert "undeclared" not in User.find().to_arrow().column_names  # tables have the declared keys
    assert user.address["unknown"] == 1
    assert user.tags is user.tags


def test_missing_keys_have_their_defaults(users: Any) -> None:
    users.insert_one({"name": "a", "age": 1})
    user = User.find_one()
    assert user is not None
    assert (user.tags, user.address, user.color, user.extra) == ([], None, Color.RED, None)
    user.tags.append("x")
    assert user.tags == ["x"]
    fresh = User.find_one()
    assert fresh is not None
    assert fresh.tags == []


def test_a_missing_key_without_a_default_is_an_error(users: Any) -> None:
    users.insert_one({"_id": ObjectId(b"1" * 12), "age": 1})
    user = User.find_one()
    assert user is not None
    with pytest.raises(ValidationError) as caught:
        _ = user.name
    assert (caught.value.path, caught.value.id, caught.value.found) == (("name",), ObjectId(b"1" * 12), "no such key")
    assert "<no such key>" in repr(user)


@pytest.mark.parametrize(
    ("change", "name", "path"),
    [
        ({"age": "x"}, "age", ("age",)),
        ({"age": None}, "age", ("age",)),
        ({"age": 1.5}, "age", ("age",)),
        ({"age": True}, "age", ("age",)),
        ({"name": 1}, "name", ("name",)),
        ({"tags": "x"}, "tags", ("tags",)),
        ({"tags": ["a", 1]}, "tags", ("tags", 1)),
        ({"address": [1]}, "address", ("address",)),
        ({"color": "green"}, "color", ("color",)),
        ({"kind": 1.0}, "kind", ("kind",)),
        ({"kind": True}, "kind", ("kind",)),
        ({"uid": b"1234567890123456"}, "uid", ("uid",)),
        ({"money": 1.1}, "money", ("money",)),
        ({"born": DAY}, "born", ("born",)),
        ({"seen": "today"}, "seen", ("seen",)),
        ({"score": "1"}, "score", ("score",)),
        ({"score": Int64(2**60 + 1)}, "score", ("score",)),
        ({"either": 1.5}, "either", ("either",)),
        ({"pair": [1]}, "pair", ("pair",)),
        ({"pair": [1, 1]}, "pair", ("pair", 1)),
    ],
)
def test_wrong_values_raise_when_touched_and_not_before(
    users: Any, change: dict[str, Any], name: str, path: tuple[Any, ...]
) -> None:
    key = users.insert_one(ada(**change)).inserted_id
    (user,) = User.find().to_list()
    assert user.extra == {"free": [1, {"deep": Int64(1)}]}
    with pytest.raises(ValidationError) as caught:
        getattr(user, name)
    assert (caught.value.path, caught.value.id) == (path, key)
    with pytest.raises(ValidationError) as caught:
        User.find().validate()
    assert [(error.path, error.id) for error in caught.value.errors] == [(path, key)]


def test_wrong_values_within_embedded_models_say_where_they_are(users: Any) -> None:
    key = users.insert_one(
        ada(items=[{"name": "ok"}, {"name": 5}], homes={"winter": {"city": 7}}, address={"size": "big"})
    ).inserted_id
    user = User.find_one()
    assert user is not None
    for touch, path in (
        (lambda: user.items[1].name, ("items", 1, "name")),
        (lambda: user.homes["winter"].city, ("homes", "winter", "city")),
        (lambda: user.address.size, ("address", "size")),  # type: ignore[union-attr]
        (lambda: user.address.city, ("address", "city")),  # type: ignore[union-attr]
    ):
        with pytest.raises(ValidationError) as caught:
            touch()
        assert (caught.value.path, caught.value.id) == (path, key)
    with pytest.raises(ValidationError) as caught:
        user.validate()
    assert len(caught.value.errors) == 4


def test_validate_gives_the_instances_where_all_fit(users: Any) -> None:
    users.insert_many([ada() for _ in range(3)])
    assert [user.name for user in User.find().validate()] == ["Ada"] * 3


def numbered(users: Any, count: int = 50) -> None:
    users.insert_many([{"name": f"n{each:02}", "age": each, "tags": [str(each % 3)]} for each in range(count)])


def test_chained_methods(users: Any) -> None:
    numbered(users)
    query = User.find(User.age > 10, User.age < 40)
    assert [user.age for user in query.sort(-User.age).skip(2).limit(3).to_list()] == [37, 36, 35]
    assert query.count() == 29
    assert query.limit(5).count() == 5
    assert query.find(User.name == "n20").count() == 1
    assert User.count() == 50
    assert len(User.find_all().to_list()) == 50
    first = query.sort("age").first_or_none()
    assert first is not None
    assert first.age == 11
    assert User.find(User.age == 99).first_or_none() is None
    assert User.find(User.age == 49).exists()
    assert not User.find(User.age == 50).exists()
    assert User.find_one(User.age == 7, {"name": "n07"}) == User.find(User.age == 7).to_list()[0]
    assert [user.age for user in User.find(User.age < 3, sort="age")] == [0, 1, 2]


def test_get(users: Any) -> None:
    numbered(users, 3)
    some = users.find_one({"age": 1})
    for key in (some["_id"], str(some["_id"])):
        user = User.get(key)
        assert user is not None
        assert user.age == 1
    assert User.get(ObjectId()) is None
    with pytest.raises(TypeError):
        User.get(None)
    with pytest.raises(data_bridge.InvalidQuery):
        User.get({"$gt": ""})


def test_folds(users: Any) -> None:
    numbered(users, 5)
    query = User.find(User.age >= 1)
    assert (query.sum(User.age), query.avg(User.age), query.min(User.age), query.max("age")) == (10, 2.5, 1, 4)
    assert sorted(query.distinct(User.tags)) == ["0", "1", "2"]
    assert sorted(User.distinct(User.age)) == [0, 1, 2, 3, 4]
    assert User.find(User.age > 99).sum(User.age) is None
    totals = query.sort("age").limit(2).aggregate([{"$group": {"_id": None, "n": {"$sum": "$age"}}}]).to_dicts()
    assert totals == [{"_id": None, "n": 3}]
    with pytest.raises(data_bridge.InvalidQuery, match="trusted"):
        query.aggregate([{"$group": {"_id": None, "x": {"$accumulator": {}}}}])


def test_distinct_converts(users: Any) -> None:
    users.insert_many([ada(), ada(color="red")])
    assert set(User.distinct(User.color)) == {Color.RED, Color.BLUE}
    assert User.distinct(User.address) == [Address(city="Oslo", zip="1", size=3)]


def test_iteration_is_live(users: Any, pymongo_client: pymongo.MongoClient[Any]) -> None:
    numbered(users, 500)
    seen = []
    for user in User.find().sort("age").find(batch_size=10):
        assert type(user) is User
        seen.append(user.age)
        if len(seen) == 25:
            break
    assert seen == list(range(25))
    assert [user.age for user in User.find(progress=lambda *_: None).sort("age").limit(2)] == [0, 1]


def test_only_declared_keys_are_read(users: Any) -> None:
    users.insert_one(ada())
    assert set(User.find().to_dicts()[0]) == {"_id", *ada()} - {"undeclared"}


def test_projections(users: Any) -> None:
    class Short(EmbeddedDocument):
        name: str
        city: str | None = Field(None, alias="address")

        class Settings:
            projection = {"name": 1, "address": "$address.city"}

    class Named(EmbeddedDocument):
        name: str

    users.insert_one(ada())
    (short,) = User.find().project(Short).to_list()
    assert (type(short), short.name, short.city) == (Short, "Ada", "Oslo")
    assert User.find().project(Named).to_list() == [Named(name="Ada")]
    (plain,) = User.find().project(["age", User.address.city]).to_list()
    assert type(plain) is data_bridge.Document
    assert set(plain) == {"_id", "age", "address"}
    assert User.find().project({"_id": 0, "age": 1}).to_dicts() == [{"age": 36}]
    with pytest.raises(AttributeError):
        User.find().project(["nope"])
    with pytest.raises(TypeError):
        User.find().project("age")


def test_tables(users: Any) -> None:
    numbered(users, 5)
    query = User.find(User.age > 1).sort("age")
    assert query.to_polars()["age"].to_list() == [2, 3, 4]
    assert query.to_arrow()["age"].to_pylist() == [2, 3, 4]
    assert list(query.to_pandas()["age"]) == [2, 3, 4]
    assert [row["age"] for row in query.to_pylist()] == [2, 3, 4]
    assert pl.DataFrame(query).height == 3
    assert pa.table(query).num_rows == 3
    assert sum(batch.num_rows for batch in query.stream()) == 3
    assert len(query.read()) == 3


def test_notebooks_show_the_request(users: Any) -> None:
    shown = User.find(User.age > 1, fetch_links=True).sort("age").limit(3)._repr_html_()
    assert "Query: find on " in shown
    assert "{&quot;age&quot;: {&quot;$gt&quot;: 1}}" in shown
    assert "{&quot;age&quot;: 1}" in shown


def test_a_session_is_handed_on(users: Any, client: data_bridge.MongoClient) -> None:
    numbered(users, 2)
    with client.start_session() as session, session.start_transaction():
        User(name="new", age=99).insert(session=session)
        assert User.find(User.age == 99, session=session).count() == 1
        assert User.get(User.find_one(User.age == 99, session=session).id, session=session) is not None  # type: ignore[union-attr]
        assert User.find(User.age == 99).count() == 0
        session.abort_transaction()
    assert User.count() == 2


def test_a_model_without_a_collection_says_so() -> None:
    class Lost(Document):
        name: str

    with pytest.raises(odm.NotInitialized, match="init"):
        Lost.find().to_list()
    with pytest.raises(TypeError, match="no Document"):
        odm.init(data_bridge.MongoClient().x, [Item])  # type: ignore[list-item]


def test_a_model_in_another_database(
    users: Any, client: data_bridge.MongoClient, pymongo_client: pymongo.MongoClient[Any]
) -> None:
    numbered(users, 3)
    other = users.database.name + "x"
    try:
        Elsewhere = User.on(client[other])
        Elsewhere(name="there", age=1).insert()
        assert [user.name for user in Elsewhere.find()] == ["there"]
        assert isinstance(Elsewhere.find_one(), User)
        assert User.count() == 3
    finally:
        pymongo_client.drop_database(other)


class Vehicle(Document):
    name: str

    class Settings:
        name = "vehicles"
        is_root = True


class Car(Vehicle):
    doors: int = 4


class Bus(Vehicle):
    seats: int


class Minibus(Bus):
    tiny: bool = True


def test_trees_of_models(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Vehicle])
    for each in (Vehicle(name="v"), Car(name="c"), Bus(name="b", seats=40), Minibus(name="m", seats=9)):
        each.insert()
    database["vehicles"].insert_one({"name": "old"})
    stored = {each["name"]: each.get("_class_id") for each in database["vehicles"].find()}
    assert stored == {"v": "Vehicle", "c": "Vehicle.Car", "b": "Vehicle.Bus", "m": "Vehicle.Bus.Minibus", "old": None}
    assert {each.name for each in Vehicle.find()} == {"v", "old"}
    every = Vehicle.find().with_children().sort("name").to_list()
    assert [type(each) for each in every] == [Bus, Car, Minibus, Vehicle, Vehicle]
    assert [each.seats for each in every if isinstance(each, Bus)] == [40, 9]
    assert [type(each) for each in Vehicle.find(with_children=True).sort("name")] == [type(each) for each in every]
    assert Bus.find().count() == 1
    assert Bus.find(with_children=True).count() == 2
    assert Bus.find(Minibus.tiny == True, with_children=True).count() == 1  # noqa: E712
    assert Bus.delete_all().deleted_count == 1
    assert database["vehicles"].count_documents({}) == 4


class Author(Document):
    name: str
    books: list[BackLink[Book]] = Field(default_factory=list, original_field="author")

    class Settings:
        name = "authors"


class Book(Document):
    title: str
    author: Link[Author]
    others: list[Link[Author]] = []
    editor: Link[Author] | None = None

    class Settings:
        name = "books"


@pytest.fixture
def books(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Author, Book])
    authors = Author.insert_many([Author(name=f"a{each}") for each in range(3)])
    Book.insert_many(
        [Book(title=f"b{each}", author=Link(authors[each % 3]), others=[Link(authors[0])]) for each in range(9)]
    )
    return database


def test_links_are_stored_as_references(books: Any) -> None:
    stored = books["books"].find_one({"title": "b1"})
    assert stored["author"].collection == "authors"
    book = Book.find_one(Book.title == "b1")
    assert book is not None
    assert book.author.id == stored["author"].id
    with pytest.raises(NotFetched):
        _ = book.author.name
    assert book.author.fetch().name == "a1"
    assert book.author.name == "a1"
    assert book.editor is None


def test_links_are_fetched_by_one_query_each(books: Any) -> None:
    found: list[Book] = []
    used = queries(books, lambda: found.extend(Book.find().sort("title").fetch_links().to_list()))
    assert [book.author.name for book in found] == ["a0", "a1", "a2"] * 3
    assert found[0].others[0].document == Author.find_one(Author.name == "a0")
    assert sorted(used) == ["authors", "authors", "books"]  # author and others; no editor has links to fetch


def test_back_links(books: Any) -> None:
    found: list[Author] = []
    used = queries(books, lambda: found.extend(Author.find(fetch_links=True).sort("name").to_list()))
    assert [sorted(book.title for book in author.books) for author in found] == [
        ["b0", "b3", "b6"],
        ["b1", "b4", "b7"],
        ["b2", "b5", "b8"],
    ]
    assert sorted(used) == ["authors", "books"]
    author = Author.find_one()
    assert author is not None
    with pytest.raises(NotFetched):
        _ = author.books
    assert "books" not in books["authors"].find_one()


def test_links_in_filters_and_a_link_to_nothing(books: Any) -> None:
    author = Author.find_one(Author.name == "a1")
    assert author is not None
    assert Book.find(Book.author.id == author.id).count() == 3
    assert Book.find(Book.author == author).count() == 3
    author.delete()
    book = Book.find_one(Book.title == "b1", fetch_links=True)
    assert book is not None
    assert book.author.document is None
    with pytest.raises(AttributeError, match="does not exist"):
        _ = book.author.name


def test_links_are_fetched_while_iterating(books: Any) -> None:
    assert sorted(book.author.name for book in Book.find().fetch_links()) == sorted(["a0", "a1", "a2"] * 3)


def test_options_hold_for_every_terminal(users: Any) -> None:
    users.insert_many([{"name": "ada", "age": 1, "tags": ["A"]}, {"name": "ADA", "age": 2, "tags": ["a"]}])
    query = User.find(User.name == "Ada", collation={"locale": "en", "strength": 2})
    assert len(query.to_list()) == query.count() == 2
    assert query.exists()
    assert len(query.distinct(User.tags)) == 1
    assert query.sum(User.age) == 3
    assert query.update({"$inc": {"age": 1}}).modified_count == 2
    with pytest.raises(data_bridge.InvalidQuery, match="limit"):
        query.limit(1).distinct(User.name)
    with pytest.raises(data_bridge.InvalidQuery, match="let"):
        User.find(let={"x": 1}).count()
    with pytest.raises(data_bridge.InvalidQuery, match="trusted"):
        User.find(let={"x": {"$function": {}}})
    assert query.delete().deleted_count == 2


def test_models_are_found_from_the_package(users: Any) -> None:
    assert data_bridge.odm is odm
    with pytest.raises(AttributeError):
        _ = data_bridge.nothing


def test_copies_and_pickles_of_what_was_read(users: Any) -> None:
    users.insert_one(ada())
    user = User.find_one()
    assert user is not None
    user.tags.append("c")
    user.name = "Eve"
    for each in (copy.copy(user), copy.deepcopy(user), pickle.loads(pickle.dumps(user)), odm.detach(user)):
        assert each == user
        assert (each.name, each.tags, each.age) == ("Eve", ["a", "b", "c"], 36)
    deep = copy.deepcopy(user)
    deep.tags.append("d")
    assert user.tags == ["a", "b", "c"]
    deep.save()
    assert users.find_one()["tags"] == ["a", "b", "c", "d"]
    assert users.find_one()["address"]["unknown"] == 1


def test_what_was_read_and_what_was_made_are_alike(users: Any) -> None:
    made = User(name="Ada", age=36, tags=["x"], address=Address(city="Oslo"), seen=DAY).insert()
    (read,) = User.find().to_list()
    assert read == made
    assert repr(read) == repr(made)
    assert read.model_dump() == made.model_dump()
    assert read.model_dump_json() == made.model_dump_json()
    assert isinstance(read, User)
    assert isinstance(read, Document)


class Cat(EmbeddedDocument):
    name: str
    lives: int = 9


class Dog(EmbeddedDocument):
    name: str
    barks: bool


class Owner(Document):
    pet: Cat | Dog | None = None
    pets: list[Cat | Dog] = []
    number: int | float | str | None = None
    color: Color | str | None = None
    numbers: list[int | float] = []
    nested: dict[str, list[dict[str, Cat]]] = {}

    class Settings:
        name = "owners"


@pytest.mark.parametrize(
    ("stored", "field", "value"),
    [
        ({"pet": {"name": "a", "barks": True}}, "pet", Dog(name="a", barks=True)),
        ({"pet": {"name": "a", "lives": 1}}, "pet", Cat(name="a", lives=1)),
        ({"pet": {"name": "a"}}, "pet", Cat(name="a")),
        ({"pets": [{"name": "a"}, {"name": "b", "barks": False}]}, "pets", [Cat(name="a"), Dog(name="b", barks=False)]),
        ({"number": 1}, "number", 1),
        ({"number": 1.5}, "number", 1.5),
        ({"number": 2.0}, "number", 2.0),
        ({"number": "x"}, "number", "x"),
        ({"number": None}, "number", None),
        ({"color": "red"}, "color", Color.RED),
        ({"color": "green"}, "color", "green"),
        ({"numbers": [1, 2.0, Int64(3)]}, "numbers", [1, 2.0, 3]),
        ({"nested": {"a": [{"b": {"name": "c"}}]}}, "nested", {"a": [{"b": Cat(name="c")}]}),
    ],
)
def test_unions_and_nesting(
    ours: data_bridge.Database, database: Any, stored: dict[str, Any], field: str, value: Any
) -> None:
    odm.init(ours, [Owner])
    database["owners"].insert_one(dict(stored))
    owner = Owner.find_one()
    found = getattr(owner, field)
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, list):
        assert [type(each) for each in found] == [type(each) for each in value]
    again = Owner(**{field: value}).insert()
    assert Owner.get(again.id) == again


@pytest.mark.parametrize("wrong", [{"pet": {"barks": True}}, {"pet": 5}, {"number": True}, {"numbers": ["x"]}])
def test_what_fits_no_member_of_a_union(ours: data_bridge.Database, database: Any, wrong: dict[str, Any]) -> None:
    odm.init(ours, [Owner])
    database["owners"].insert_one(dict(wrong))
    owner = Owner.find_one()
    assert owner is not None
    with pytest.raises(ValidationError) as caught:
        getattr(owner, next(iter(wrong)))
    assert caught.value.id == owner.id


def test_instances_leak_nothing(users: Any) -> None:
    users.insert_many([ada() for _ in range(100)])
    query = User.find()

    def use() -> None:
        for user in query.to_list():
            _ = (user.name, user.tags, user.address, user.address.city if user.address else None)

    use()
    gc.collect()
    before, held = len(gc.get_objects()), sys.getrefcount(User)
    for _ in range(10):
        use()
    gc.collect()
    assert len(gc.get_objects()) < before + 100
    assert sys.getrefcount(User) < held + 100


def test_a_model_may_ask_for_a_dict(ours: data_bridge.Database, database: Any) -> None:
    class Cached(Document):
        __slots__ = ("__dict__",)
        n: int

        @functools.cached_property
        def double(self) -> int:
            return self.n * 2

    odm.init(ours, [Cached])
    database["Cached"].insert_many([{"n": each} for each in range(3)])
    found = Cached.find().sort("n").to_list()
    assert [each.double for each in found] == [0, 2, 4]
    assert found[1].__dict__ == {"double": 2}


def test_instances_are_collected_with_what_they_refer_to(users: Any) -> None:
    users.insert_one(ada())
    user = User.find_one()
    assert user is not None
    user.extra = [user]
    alive = weakref.ref(user)
    del user
    gc.collect()
    assert alive() is None


def test_explain_has_the_verbosity_of_queries(users: Any) -> None:
    users.insert_one(ada())
    query = User.find(User.age > 1)
    assert "allPlansExecution" in query.explain()["executionStats"]
    assert query.explain().keys() == query.to_query().explain().keys()
    assert "executionStats" not in query.explain("queryPlanner")
