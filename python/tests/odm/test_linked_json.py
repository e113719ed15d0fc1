"""Dumps of linked documents, computed fields and back links, validated again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pydantic
import pytest
from bson import DBRef, ObjectId
from pydantic import TypeAdapter, computed_field

import data_bridge
from data_bridge import odm
from data_bridge.odm import (
    AsyncDocument,
    BackLink,
    Document,
    EmbeddedDocument,
    Field,
    Link,
    ValidationError,
    WriteRules,
)


class Address(EmbeddedDocument):
    city: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def upper(self) -> str:
        return self.city.upper()


class Writer(Document):
    name: str
    born: dt.date | None = None
    address: Address | None = None
    posts: list[BackLink[Post]] = Field(default_factory=list, original_field="author")

    class Settings:
        is_root = True


class Critic(Writer):
    paper: str


class Post(Document):
    title: str
    author: Link[Writer] | None = None
    readers: list[Link[Writer]] = []
    by_role: dict[str, Link[Writer]] = {}

    @computed_field(alias="titleLength")  # type: ignore[prop-decorator]
    @property
    def title_length(self) -> int:
        return len(self.title)


class AsyncWriter(AsyncDocument):
    name: str

    class Settings:
        name = "Writer"


class AsyncPost(AsyncDocument):
    title: str
    author: Link[AsyncWriter]

    class Settings:
        name = "Post"


@pytest.fixture
def posts(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Writer, Critic, Post])
    ada = Writer(name="Ada", born=dt.date(1815, 12, 10), address=Address(city="London")).insert()
    bob = Critic(name="Bob", paper="Times").insert()
    Post(title="Notes", author=ada, readers=[ada, bob], by_role={"critic": bob}).insert()  # type: ignore[arg-type, list-item, dict-item]
    return database["Post"]


@pytest.mark.parametrize("fetch_links", [False, True])
@pytest.mark.parametrize("by_alias", [False, True])
def test_dumps_are_validated_again(posts: Any, fetch_links: bool, by_alias: bool) -> None:
    stored = posts.find_one()
    (post,) = Post.find(fetch_links=fetch_links).to_list()
    copies = [
        Post.model_validate(post.model_dump(by_alias=by_alias)),
        TypeAdapter(Post).validate_python(post.model_dump(by_alias=by_alias)),
        TypeAdapter(Post).validate_json(post.model_dump_json(by_alias=by_alias)),
        TypeAdapter(list[Post]).validate_json(TypeAdapter(list[Post]).dump_json([post], by_alias=by_alias))[0],
    ]
    for copy in copies:
        assert copy == post
        if fetch_links:
            assert copy.author is not None
            assert copy.author.document.address.city == "London"  # type: ignore[union-attr]
            assert [type(each.document) for each in copy.readers] == [Writer, Critic]
            assert copy.author.document.born == dt.date(1815, 12, 10)  # type: ignore[union-attr]
        copy.replace(overwrite=True)
        assert posts.find_one() == stored


def test_dumps_of_back_links_are_validated_again(posts: Any) -> None:
    writer = Writer.find(fetch_links=True).sort("name").to_list()[0]
    assert len(writer.posts) == 1
    assert "posts" in writer.model_dump()
    read = TypeAdapter(Writer).validate_json(writer.model_dump_json())
    for copy in (Writer.model_validate(writer.model_dump()), read):
        assert copy == writer


def test_new_linked_documents_of_a_body_are_written(posts: Any, database: Any) -> None:
    body = {"title": "New", "author": {"name": "Eve", "born": "2001-02-03"}, "readers": [{"name": "Bob", "paper": "x"}]}
    post = TypeAdapter(Post).validate_python(body)
    with pytest.raises(ValidationError, match="inserted"):
        post.insert()
    post.insert(link_rule=WriteRules.WRITE)
    stored = posts.find_one({"title": "New"})
    eve = database["Writer"].find_one({"name": "Eve"})
    assert stored["author"] == DBRef("Writer", eve["_id"])
    assert eve["born"] == dt.datetime(2001, 2, 3)
    assert database["Writer"].find_one({"paper": "x"})["_class_id"] == "Writer.Critic"
    made = Post(title="Other", author={"name": "Zoe"}).insert(link_rule=WriteRules.WRITE)  # type: ignore[arg-type]
    assert posts.find_one({"_id": made.id})["author"].id == database["Writer"].find_one({"name": "Zoe"})["_id"]


async def test_awaited(mongodb_uri: str, posts: Any, database: Any) -> None:
    client = data_bridge.AsyncMongoClient(mongodb_uri)
    await odm.init(client[database.name], [AsyncWriter, AsyncPost])
    post = TypeAdapter(AsyncPost).validate_json('{"title": "t", "author": {"name": "Eve"}}')
    await post.insert(link_rule=WriteRules.WRITE)
    (read,) = await AsyncPost.find(AsyncPost.title == "t", fetch_links=True).to_list()
    assert AsyncPost.model_validate(read.model_dump()) == read == post
    assert read.author.name == "Eve"
    await client.close()


def test_errors_name_the_place_in_the_linked_document() -> None:
    for wrong, place in (
        ({"author": {"name": 5}}, ("author", "name")),
        ({"author": {"born": None}}, ("author", "name")),
        ({"readers": [{"name": "a", "nope": 1}]}, ("readers", 0, "nope")),
    ):
        with pytest.raises(pydantic.ValidationError) as theirs:
            TypeAdapter(Post).validate_python({"title": "t", **wrong})
        locations = [each["loc"] for each in theirs.value.errors()]
        assert any(each[: len(place) - 1] == place[:-1] and each[-1] == place[-1] for each in locations), locations
        with pytest.raises(ValidationError) as ours:
            Post.model_validate({"title": "t", **wrong})
        assert ours.value.path == place


def test_constructors_and_conditions_are_as_before() -> None:
    path: Any = Post
    for condition in ({"$ne": None}, {"name": "x"}, {"_id": ObjectId(), "name": "x"}):
        with pytest.raises(data_bridge.InvalidQuery):
            assert path.author == condition
    with pytest.raises(ValidationError, match="declared field"):
        Post(title="t", title_length=1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="posts"):
        Writer(name="n", posts=[])
    with pytest.raises(ValidationError, match="nope"):
        Post.model_validate({"title": "t", "nope": 1})
