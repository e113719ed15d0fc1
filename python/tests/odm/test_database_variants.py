"""Models in a second database: links and classes of its instances lead to the same database."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import weakref
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, BackLink, Document, EmbeddedDocument, Field, Link
from data_bridge.odm import operators as op


class Author(Document):
    name: str
    books: list[BackLink[Book]] = Field(default_factory=list, original_field="author")

    class Settings:
        name = "authors"


class Credit(EmbeddedDocument):
    by: Link[Author]
    more: dict[str, list[Link[Author]]] = {}


class Book(Document):
    title: str
    author: Link[Author]
    others: list[Link[Author] | None] = []
    credit: Credit | None = None
    credits_: list[Credit] = Field(default_factory=list, alias="credits")

    class Settings:
        name = "books"


class Line(EmbeddedDocument):
    title: str
    author: Link[Author] | None = None
    credit: Credit | None = None


class Vehicle(Document):
    name: str
    owner: Link[Author] | None = None

    class Settings:
        name = "vehicles"
        is_root = True


class Car(Vehicle):
    doors: int = 4


class Cabrio(Car):
    open: bool = True


@pytest.fixture
def there(
    ours: data_bridge.Database, client: data_bridge.MongoClient, pymongo_client: pymongo.MongoClient[Any]
) -> Iterator[data_bridge.Database]:
    """The second database; both have documents with the same _ids and different contents."""
    odm.init(ours, [Author, Book, Vehicle])
    other = client[ours.name + "x"]
    pymongo_client.drop_database(other.name)
    for database in (ours, other):
        where = "here" if database is ours else "there"
        raw = pymongo_client[database.name]
        raw["authors"].insert_many([{"_id": n, "name": f"{where} {n}"} for n in _ids()])
        first, second = _ids()
        raw["books"].insert_one(
            {
                "title": where,
                "author": first,
                "others": [second, None],
                "credit": {"by": second, "more": {"x": [first]}},
                "credits": [{"by": first}],
            }
        )
    yield other
    pymongo_client.drop_database(other.name)


def _ids() -> list[Any]:
    from bson import ObjectId

    return [ObjectId("a" * 24), ObjectId("b" * 24)]


def every(book: Any) -> list[Link[Author]]:
    return [book.author, book.others[0], book.credit.by, book.credit.more["x"][0], book.credits_[0].by]


def test_links_lead_to_the_database_they_were_read_from(there: data_bridge.Database) -> None:
    Books = Book.on(there)
    (book,) = Books.find().to_list()
    for each in (book, copy.copy(book), copy.deepcopy(book), odm.detach(book), *Books.find()):
        names = [link.fetch().name for link in every(each)]
        assert names == [f"there {_ids()[n]}" for n in (0, 1, 1, 0, 0)]
    book.reload()
    assert book.author.fetch().name.startswith("there")
    credit = copy.deepcopy(Books.find().to_list()[0].credit)
    assert credit is not None
    assert credit.by.fetch().name.startswith("there")
    assert [link.fetch().name[:4] for link in every(Book.find().to_list()[0])] == ["here"] * 5


def test_links_are_fetched_where_they_lead(there: data_bridge.Database) -> None:
    books = [Book.on(there).find(fetch_links=True).to_list()[0], next(iter(Book.on(there).find(fetch_links=True)))]
    for book in books:
        assert book.author.name.startswith("there")  # type: ignore[attr-defined]
        assert book.others[0].name.startswith("there")  # type: ignore[union-attr]
    author = Author.on(there).find(fetch_links=True).sort("name").to_list()[0]
    assert [link.document.title for link in author.books] == ["there"]  # type: ignore[union-attr]
    assert author.books[0].document.author.fetch().name.startswith("there")  # type: ignore[union-attr]


def test_links_of_other_answers_lead_there_too(there: data_bridge.Database) -> None:
    Books = Book.on(there)
    line = Books.find().project(Line).to_list()[0]
    assert isinstance(line, Line)
    assert line.author is not None
    assert line.author.fetch().name.startswith("there")
    assert line.credit is not None
    assert line.credit.by.fetch().name.startswith("there")
    assert Books.find(fetch_links=True).project(Line).to_list()[0].author.name.startswith("there")  # type: ignore[union-attr]
    link = Books.distinct(Book.author)[0]
    assert link.fetch().name.startswith("there")
    changed = Books.find().find_one_and_update(op.Set({Book.title: "changed"}))
    assert changed is not None
    assert changed.author.fetch().name.startswith("there")
    assert Book.find_one().title == "here"  # type: ignore[union-attr]


def test_the_same_database_gives_the_same_class(there: data_bridge.Database, client: data_bridge.MongoClient) -> None:
    assert Book.on(there) is Book.on(client[there.name])
    assert Book.on(there).on(there) is Book.on(there)
    assert Book.on(there).find_one() == Book.on(client[there.name]).find_one()
    assert Book.on(there) is not Book.on(client[there.name + "y"])
    assert Book.on(there).on(client[there.name + "y"]).find().count() == 0
    key = weakref.ref(Book.on(client[there.name + "z"]))
    gc.collect()
    assert key() is None


def test_trees(there: data_bridge.Database, pymongo_client: pymongo.MongoClient[Any]) -> None:
    Vehicles, Cars, Cabrios = Vehicle.on(there), Car.on(there), Cabrio.on(there)
    Vehicle(name="here").insert()
    Vehicles.insert_many([Vehicles(name="v"), Cars(name="c"), Cabrios(name="o", owner=Link(Author, _ids()[0]))])
    stored = pymongo_client[there.name]["vehicles"]
    assert {each["name"]: each["_class_id"] for each in stored.find()} == {
        "v": "Vehicle",
        "c": "Vehicle.Car",
        "o": "Vehicle.Car.Cabrio",
    }
    every = Vehicles.find(with_children=True).sort("name").to_list()
    assert [type(each) for each in every] == [Cars, Cabrios, Vehicles]
    assert all(isinstance(each, Vehicles) for each in every)
    assert Cars.find().count() == 1
    for each in every:
        each.name += "!"
        each.save()
    cabrio = every[1]
    assert cabrio.owner is not None
    assert cabrio.owner.fetch().name.startswith("there")
    with Vehicles.bulk_writer() as bulk:
        cabrio.name = "bulk"
        bulk.save(cabrio)
    assert {each["name"] for each in stored.find()} == {"v!", "c!", "bulk"}
    assert Cars.delete_all().deleted_count == 1
    assert [each.name for each in Vehicle.find(with_children=True)] == ["here"]

    class Van(Vehicle):
        load: int = 1

    Van.on(there)(name="van").insert()
    assert type(Vehicles.find({"name": "van"}, with_children=True).to_list()[0]) is Van.on(there)


def test_an_instance_of_a_variant_is_not_pickled_without_its_database(there: data_bridge.Database) -> None:
    book = Book.on(there).find_one()
    assert book is not None
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(book)
    assert pickle.loads(pickle.dumps(Book.find_one())) == Book.find_one()


def test_a_model_needs_a_database_of_its_kind(there: data_bridge.Database) -> None:
    class Later(AsyncDocument):
        n: int = 0

    with pytest.raises(TypeError, match="AsyncDocument"):
        Later.on(there)


def test_links_of_async_documents(there: data_bridge.Database, mongodb_uri: str) -> None:
    class Writer(AsyncDocument):
        name: str

        class Settings:
            name = "authors"

    class Novel(AsyncDocument):
        author: Link[Writer]

        class Settings:
            name = "books"

    async def run() -> None:
        async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
            await odm.init(client[there.name[:-1]], [Writer, Novel])
            novel = await Novel.on(client[there.name]).find_one()
            assert novel is not None
            assert (await novel.author.fetch()).name.startswith("there")
            fetched = await Novel.on(client[there.name]).find(fetch_links=True).to_list()
            assert fetched[0].author.name.startswith("there")  # type: ignore[attr-defined]

    asyncio.run(run())
