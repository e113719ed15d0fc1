"""Queries of Beanie, taken as they are: what they find themselves is what ours must find."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pydantic
import pymongo
import pytest
from pymongo.collation import Collation
from pymongo.database import Database

import data_bridge
from data_bridge import AsyncQuery, InvalidQuery, from_query

beanie = pytest.importorskip("beanie")
operators = pytest.importorskip("beanie.operators")

Documents = Database[dict[str, Any]]
NO_CASE = Collation("en", strength=2)


class Author(beanie.Document):
    name: str

    class Settings:
        name = "authors"


class Address(pydantic.BaseModel):
    city: str


class Book(beanie.Document):
    title: str
    pages: int = 0
    price: beanie.DecimalAnnotation | None = None
    address: Address | None = None
    tags: list[str] = []
    author: beanie.Link[Author] | None = None

    class Settings:
        name = "books"


class Title(pydantic.BaseModel):
    title: str


class City(pydantic.BaseModel):
    city: str

    class Settings:
        projection = {"city": "$address.city"}


class Vehicle(beanie.Document):
    wheels: int

    class Settings:
        name = "vehicles"
        is_root = True


class Car(Vehicle):
    doors: int


class Bicycle(Vehicle):
    gears: int


class Cached(beanie.Document):
    n: int

    class Settings:
        name = "cached"
        use_cache = True
        cache_expiration_time = dt.timedelta(minutes=5)


class Parts(beanie.UnionDoc):
    class Settings:
        name = "parts"


class Screw(beanie.Document):
    size: int

    class Settings:
        union_doc = Parts


class Bolt(beanie.Document):
    length: int

    class Settings:
        union_doc = Parts


MODELS: list[Any] = [Author, Book, Vehicle, Car, Bicycle, Cached, Parts, Screw, Bolt]


@pytest.fixture
async def books(database: Documents, mongodb_uri: str) -> AsyncIterator[Documents]:
    client: Any = pymongo.AsyncMongoClient(mongodb_uri)
    await beanie.init_beanie(database=client[database.name], document_models=MODELS)
    authors = [Author(name=name) for name in ("Ada", "Bob")]
    for author in authors:
        await author.insert()
    await Book.insert_many(
        [
            Book(
                title=f"Title {n % 7}",
                pages=n,
                price=Decimal(n) / 4 if n % 2 else None,
                address=Address(city="Oslo" if n % 3 else "Rome"),
                tags=["a", "b"][: n % 3],
                author=authors[n % 2],
            )
            for n in range(40)
        ]
    )
    yield database
    await data_bridge.from_pymongo(client).close()
    await client.close()


async def beanies(query: Any) -> list[dict[str, Any]]:
    """The arguments that Beanie passes to PyMongo, and the result."""
    return await (await query.get_cursor()).to_list()


def dumped(models: list[Any]) -> list[Any]:
    """The values of models: Beanie's links are not equal to each other."""
    return [each.model_dump(mode="json") for each in models]


FINDS = {
    "all": lambda: Book.find(),
    "find_all": lambda: Book.find_all(),
    "expressions": lambda: Book.find(Book.pages > 10, Book.address.city == "Oslo"),
    "operators": lambda: Book.find(operators.In(Book.pages, [1, 2, 3]), operators.RegEx(Book.title, "^title", "i")),
    "mapping": lambda: Book.find({"price": {"$gt": Decimal("2.5")}}),
    "chained": lambda: Book.find(Book.pages > 3).find(Book.pages < 30).sort(-Book.title, "+pages").skip(2).limit(7),
    "keywords": lambda: Book.find(skip=3, limit=5, sort=[("pages", -1)]),
    "view": lambda: Book.find().sort("pages").project(Title),
    "computed": lambda: Book.find().sort("pages").project(City),
    "collation": lambda: Book.find({"title": "TITLE 1"}, collation=NO_CASE),
    "hint": lambda: Book.find({"pages": {"$gt": 3}}, hint=[("_id", 1)]),
    "bounds": lambda: Book.find(hint="_id_", batch_size=3, comment="c", max_time_ms=5000, allow_disk_use=True),
    "let": lambda: Book.find({"$expr": {"$eq": ["$pages", "$$n"]}}, let={"n": 3}),
    "only keys": lambda: Book.find(hint="_id_", return_key=True),
    "ids": lambda: Book.find(show_record_id=True).sort("pages"),
    "no effect": lambda: Book.find(cursor_type=pymongo.CursorType.NON_TAILABLE, no_cursor_timeout=False),
    "lazy": lambda: Book.find(lazy_parse=True).sort("pages"),
    "links": lambda: Book.find(Book.author.name == "Ada", fetch_links=True).sort("pages").limit(4),
    "links and a view": lambda: Book.find(fetch_links=True).sort("-pages").skip(3).project(Title),
    "links and options": lambda: Book.find(fetch_links=True, allowDiskUse=True, batchSize=2, comment="c").sort("pages"),
    "stages": lambda: Book.find(Book.pages > 5).aggregate(
        [{"$group": {"_id": "$title", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
    ),
    "stages of a view": lambda: Book.aggregate([{"$sort": {"pages": 1}}], projection_model=Title),
    "stages with options": lambda: Book.aggregate([{"$match": {"title": "TITLE 1"}}], collation=NO_CASE),
    "a child": lambda: Car.find(),
    "children": lambda: Vehicle.find(with_children=True).sort("_id"),
    "the root alone": lambda: Vehicle.find(Vehicle.wheels > 1),
    "a union": lambda: Parts.find().sort("_id"),
    "a part of it": lambda: Screw.find(Screw.size > 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FINDS)
async def test_beanie_finds_the_same(books: Documents, name: str) -> None:
    for each in (Vehicle(wheels=2), Car(wheels=4, doors=2), Bicycle(wheels=2, gears=7), Screw(size=2), Bolt(length=3)):
        await each.insert()
    query = FINDS[name]()
    ours = from_query(query)
    assert type(ours) is AsyncQuery
    expected = await beanies(query)
    assert await ours.to_dicts() == expected
    assert expected
    assert from_query(query, asynchronous=False).to_dicts() == expected
    assert (await ours.to_arrow()).num_rows == len(expected)


async def test_a_query_is_not_changed_and_runs_as_often_as_asked(books: Documents) -> None:
    query = Book.find(Book.pages > 35)
    ours = from_query(query)
    assert len(await query.to_list()) == len(await ours.to_dicts()) == len(await ours.sort("pages").to_dicts()) == 4
    assert (await ours.sort("pages", -1).first() or {})["pages"] == 39


@pytest.mark.parametrize(
    "query",
    [
        lambda: Book.find_one(Book.pages == 7),
        lambda: Book.find_one({"title": "TITLE 3"}, collation=NO_CASE),
        lambda: Book.find_one(Book.pages == 7).project(Title),
        lambda: Book.find_one(Book.pages == 7, fetch_links=True),
        lambda: Book.find_one(Book.pages == -1),
    ],
)
async def test_find_one(books: Documents, query: Any) -> None:
    expected = await query()
    made = await from_query(query()).to_models(type(expected) if expected is not None else Book)
    assert dumped(made) == dumped([] if expected is None else [expected])


async def test_models_of_a_query_are_beanies_own(books: Documents) -> None:
    for each in (Car(wheels=4, doors=2), Bicycle(wheels=2, gears=7), Screw(size=2), Bolt(length=3)):
        await each.insert()
    cases: list[tuple[Any, Any]] = [
        (Book.find(Book.pages > 3).sort("pages"), Book),
        (Book.find().project(Title), Title),
        (Book.find(fetch_links=True).sort("pages"), Book),
        (Vehicle.find(with_children=True), Vehicle),
        (Parts.find(), Parts),
    ]
    for query, model in cases:
        expected = await query.to_list()
        made = await from_query(query).to_models(model)
        assert dumped(made) == dumped(expected)
        assert [type(each) for each in made] == [type(each) for each in expected]


async def test_the_server_is_asked_not_beanies_cache(books: Documents) -> None:
    await Cached(n=1).insert()
    query = Cached.find()
    assert len(await query.to_list()) == 1
    books.cached.insert_one({"n": 2})
    assert len(await query.to_list()) == 1
    assert len(await from_query(query).to_dicts()) == 2


async def test_what_beanie_queries_have_that_ours_have_not(books: Documents) -> None:
    client = Book.get_pymongo_collection().database.client
    async with client.start_session() as session:
        for query in (
            Book.find(session=session),
            Book.find_one(session=session),
            Book.find(session=session).aggregate([]),
        ):
            with pytest.raises(InvalidQuery, match="session"):
                from_query(query)
    with pytest.raises(InvalidQuery, match="cursor_type"):
        from_query(Book.find(cursor_type=pymongo.CursorType.TAILABLE))
    with pytest.raises(InvalidQuery, match="surprise"):
        from_query(Book.find(surprise=1))
    with pytest.raises(InvalidQuery, match="return_key"):
        from_query(Book.find(fetch_links=True, return_key=True))
    with pytest.raises(TypeError, match="mapping, got bool"):
        from_query(Author.find(False))


async def test_what_writes_or_ran_is_no_query(books: Documents) -> None:
    for other in (Book.find().update({"$set": {"pages": 1}}), Book.find().delete(), Book, 5, None, {}):
        with pytest.raises(TypeError, match="takes a query of Beanie 2"):
            from_query(other)
    running = Book.find().to_list()
    with pytest.raises(TypeError, match="coroutine"):
        from_query(running)
    await running


async def test_queries_of_beanie_1_are_told_from_those_of_beanie_2(books: Documents) -> None:
    class Old:
        """A model as Beanie 1 has them."""

        get_motor_collection = Book.get_pymongo_collection

    aggregation = Book.find().aggregate([])
    for query in (Book.find(), Book.find(fetch_links=True), Book.find_one(), aggregation):
        query.document_model = Old
        with pytest.raises(TypeError, match=r"Beanie 2.*Beanie 1, on Motor"):
            from_query(query)


async def test_reading_options(books: Documents) -> None:
    query = Book.find(Book.pages < 3)
    table = await from_query(query, schema={"pages": "float64"}).to_arrow()
    assert table.column_names == ["pages"]
    frame = await from_query(query, objectid="hex").to_polars()
    assert frame["_id"].to_list() == [str(each["_id"]) for each in await beanies(query)]
    with pytest.raises(TypeError, match="unknown option 'limit'"):
        from_query(query, limit=3)


def test_libraries_are_not_imported() -> None:
    code = """
import sys, data_bridge
try:
    data_bridge.from_query(object())
except TypeError as error:
    assert "Beanie" in str(error)
else:
    raise AssertionError
try:
    data_bridge.from_pymongo(object())
except TypeError:
    pass
libraries = {"beanie", "mongoengine", "pydantic", "msgspec", "attr", "pymongo.mongo_client", "data_bridge.odm"}
loaded = libraries & set(sys.modules)
assert not loaded, loaded
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
