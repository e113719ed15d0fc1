"""AsyncDocument: the awaited counterpart of Document."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cursors import wait_until_closed

import data_bridge
from data_bridge import odm
from data_bridge.odm import (
    AsyncDocument,
    AsyncModelQuery,
    BackLink,
    Document,
    DocumentNotFound,
    Event,
    Field,
    Link,
    ModelQuery,
    ValidationError,
    after_event,
    before_event,
)
from data_bridge.odm import operators as op


class Author(AsyncDocument):
    name: str
    books: list[BackLink[Book]] = Field(default_factory=list, original_field="author")

    class Settings:
        name = "authors"
        indexes = ["name"]


class Book(AsyncDocument):
    title: str
    pages: int = 0
    tags: list[str] = []
    author: Link[Author] | None = None

    class Settings:
        name = "books"

    @before_event(Event.SAVE)
    async def clean(self) -> None:
        self.title = self.title.strip()

    @after_event(Event.INSERT)
    def note(self) -> None:
        self.tags.append("inserted")


@pytest.fixture
async def models(mongodb_uri: str, database: Any) -> AsyncIterator[Any]:
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [Author, Book])
        yield database


def public(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def test_the_twins_have_the_same_names_and_arguments() -> None:
    for sync, twin, others in (
        (Document, AsyncDocument, set()),
        (ModelQuery, AsyncModelQuery, set()),
        (odm.BulkWriter, odm.AsyncBulkWriter, set()),
    ):
        assert public(sync) == public(twin) | others
        for name in public(sync):
            method, other = getattr(sync, name), getattr(twin, name)
            if inspect.isroutine(method):
                assert list(inspect.signature(method).parameters) == list(inspect.signature(other).parameters), name


async def test_writes_and_queries(models: Any) -> None:
    book = await Book(title="a", pages=10).insert()
    assert book.tags == ["inserted"]
    await Book.insert_many([Book(title=f"b{each}", pages=each) for each in range(5)])
    assert await Book.count() == 6
    assert [each.pages for each in await Book.find(Book.pages < 3).sort(-Book.pages).to_list()] == [2, 1, 0]
    assert sorted([each.pages async for each in Book.find(Book.pages > 2)]) == [3, 4, 10]
    found = await Book.get(str(book.id))
    assert found is not None
    assert found == await Book.find_one(Book.title == "a")
    found.title = "  new "
    found.tags.append("x")
    await found.save()
    assert models["books"].find_one({"_id": book.id})["title"] == "new"
    await found.update(op.Inc({Book.pages: 1}))
    assert found.pages == 11
    assert await Book.find(Book.pages == 11).exists()
    assert await Book.find().sum(Book.pages) == 21
    assert await Book.find().max(Book.pages) == 11
    assert sorted(await Book.distinct(Book.pages)) == [0, 1, 2, 3, 4, 11]
    assert (await Book.find(Book.pages < 2).update(op.Set({Book.pages: 7}))).modified_count == 2
    one = await Book.find(Book.pages == 7).find_one_and_update(op.Inc({Book.pages: 1}), return_document=True)
    assert one is not None
    assert one.pages == 8
    assert (await Book.find(Book.pages == 2).delete()).deleted_count == 1
    assert (await Book.delete_many(Book.pages > 7)).deleted_count == 2
    assert (await Book.find().to_polars()).height == 3
    assert len(await Book.find().aggregate([{"$match": {}}]).to_dicts()) == 3
    assert len(await Book.find().validate()) == 3
    with pytest.raises(DocumentNotFound):
        await one.reload()
    with pytest.raises(TypeError):
        await Book.delete_many(False)
    await Book.delete_all()
    assert await Book.count() == 0


async def test_bulk_writer(models: Any) -> None:
    books = await Book.insert_many([Book(title=f"b{each}") for each in range(3)])
    async with Book.bulk_writer() as bulk:
        books[0].title = "  changed"
        bulk.save(books[0])
        bulk.delete(books[1])
        bulk.insert(Book(title="new"))
    assert sorted(each["title"] for each in models["books"].find()) == ["b2", "changed", "new"]


async def test_links(models: Any) -> None:
    author = await Author(name="x").insert()
    await Book.insert_many([Book(title=f"b{each}", author=Link(author)) for each in range(3)])
    for books in (
        await Book.find().fetch_links().to_list(),
        [each async for each in Book.find(fetch_links=True)],
    ):
        assert [book.author.name for book in books if book.author is not None] == ["x"] * 3
    (found,) = await Author.find().fetch_links().to_list()
    assert sorted(book.title for book in found.books) == ["b0", "b1", "b2"]
    book = await Book.find_one()
    assert book is not None
    assert book.author is not None
    assert await book.author.fetch() == author


async def test_wrong_values(models: Any) -> None:
    models["books"].insert_one({"title": 5})
    book = await Book.find_one()
    assert book is not None
    with pytest.raises(ValidationError):
        _ = book.title
    with pytest.raises(ValidationError):
        await Book.find().validate()


async def test_leaving_an_iteration_ends_the_run(models: Any, database: Any) -> None:
    await Book.insert_many([Book(title="x" * 1000) for _ in range(1000)])
    query = Book.find(batch_size=10).__aiter__()
    await anext(query)
    await query.aclose()  # type: ignore[attr-defined]
    await asyncio.to_thread(wait_until_closed, database)


async def test_models_and_databases_must_be_of_one_kind(
    models: Any, client: data_bridge.MongoClient, mongodb_uri: str
) -> None:
    with pytest.raises(TypeError, match="AsyncMongoClient"):
        odm.init(client["x"], [Author])  # type: ignore[list-item]
    async with data_bridge.AsyncMongoClient(mongodb_uri) as other:
        with pytest.raises(TypeError, match="MongoClient"):
            odm.init(other["x"], [Document])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="async for"):
        list(Book.find())  # type: ignore[call-overload]
