"""Checked by mypy and pyright, both strict: what type checkers know of models, and which mistakes they report.

Each `type: ignore` has to be needed, by both: one that is not is an error of its own. Only the classes are run.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from bson import ObjectId
from typing_extensions import assert_type

from data_bridge import AsyncMongoClient, DeleteResult, MongoClient, Query, Result, UpdateResult
from data_bridge.odm import (
    AsyncBulkWriter,
    AsyncDocument,
    AsyncFindOne,
    AsyncModelQuery,
    BackLink,
    BulkWriter,
    DeleteRules,
    Document,
    EmbeddedDocument,
    Event,
    Expression,
    Field,
    Link,
    ModelQuery,
    View,
    WriteRules,
    before_event,
    detach,
    init,
    path,
)
from data_bridge.odm.operators import AddToSet, ElemMatch, Eq, In, Inc, Not, Pull, Push, Set, Unset


class Color(enum.Enum):
    RED = "red"


class Address(EmbeddedDocument):
    city: str
    zip: str | None = None


@dataclasses.dataclass
class Plain:
    name: str


class Adults(View):
    name: str
    age: int

    class Settings:
        source = "User"
        pipeline = [{"$match": {"age": {"$gt": 17}}}]


class Author(Document):
    name: str
    users: list[BackLink[User]] = Field(default_factory=list, original_field="author")


class User(Document):
    name: str
    age: int
    tags: list[str] = []
    color: Color = Color.RED
    money: Decimal | None = None
    home: Address = Field(default_factory=lambda: Address(city="?"))
    address: Address | None = None
    homes: dict[str, Address] = {}
    others: list[Address] = []
    author: Link[Author] | None = None
    count_: int = Field(default=0, alias="count")

    class Settings:
        indexes = ["name", ("age", -1)]

    @before_event(Event.INSERT)
    def tidy(self) -> None:
        self.name = self.name.strip()


class Member(User):
    id: UUID
    since: int = 0


class Named(EmbeddedDocument):
    name: str


class Later(AsyncDocument):
    id: str
    name: str
    author: Link[LaterAuthor] | None = None


class LaterAuthor(AsyncDocument):
    name: str
    books: list[BackLink[Later]] = Field(default_factory=list, original_field="author")


if TYPE_CHECKING:
    user = User(name="a", age=1)

    # Instances.
    assert_type(user.age, int)
    assert_type(user.tags, list[str])
    assert_type(user.color, Color)
    assert_type(user.home.city, str)
    assert_type(user.homes["a"].zip, str | None)
    assert_type(Member(id=UUID(int=0), name="a", age=1).id, UUID)
    assert_type(User(name="a", age=1, count=5).count_, int)
    assert_type(detach(user), User)
    user.age = "x"  # type: ignore[assignment]
    user.tags.append(1)  # type: ignore[arg-type]
    print(user.nope)  # type: ignore[attr-defined]
    print(user.address.city)  # type: ignore[union-attr]
    User(name=1, age=1)  # type: ignore[arg-type]
    User(age=1)  # type: ignore[call-arg]
    User("a", 1)  # type: ignore[call-arg]
    User(name="a", age=1, nope=1)  # type: ignore[call-arg]
    Member(name="a", age=1)  # type: ignore[call-arg]

    # Conditions: comparisons that Python allows.
    User.find(User.age > 25, User.home.city == "Oslo", User.color == Color.RED)
    User.find((User.age > 25) & (User.age < 50) | (User.name == "a"))
    User.find(path(User.address).city == "Oslo", path(User.tags) == "new", User.homes["work"].city == "Oslo")
    User.find(User.others[0].city == "Oslo", ElemMatch(User.others, Address.city == "Oslo"))
    User.find(User.money == Decimal(1), Eq(User.money, None), {"age": {"$gt": 25}})
    assert_type(In(User.name, ["a"]), Expression)
    assert_type(Not(User.age > 1) & In(User.name, ["a"]), Expression)
    User.find(User.age > "x")  # type: ignore[operator]
    User.find(User.name < 5)  # type: ignore[operator]
    User.find(User.home.town == "Oslo")  # type: ignore[attr-defined]
    User.find(User.nope == 1)  # type: ignore[attr-defined]
    User.find(User.address.city == "Oslo")  # type: ignore[union-attr]
    User.find(User.age == "x")  # type: ignore[comparison-overlap]
    User.find(User.others[0].town == "Oslo")  # type: ignore[attr-defined]
    User.find(User.author.id == ObjectId())  # type: ignore[union-attr]

    # Queries.
    assert_type(User.find(User.age > 25).sort(-User.age, "name").skip(1).limit(10), ModelQuery[User])
    assert_type(User.find(User.age > 25).to_list(), list[User])
    assert_type(User.find_all().to_list(), list[User])
    assert_type(Member.find().with_children().fetch_links().to_list(), list[Member])
    assert_type(User.find().first_or_none(), User | None)
    assert_type(User.find_one(User.name == "x"), User | None)
    assert_type(User.get("x"), User | None)
    assert_type(User.find().project(Named), ModelQuery[Named])
    assert_type(User.find().project(Named).to_list(), list[Named])
    assert_type(User.find().validate(), list[User])
    assert_type(User.find().count(), int)
    assert_type(User.find().exists(), bool)
    assert_type(User.find().read(), Result)
    assert_type(User.find().to_dicts(), list[dict[str, Any]])
    assert_type(User.aggregate([]), Query)
    assert_type(User.from_arrow(User.find().read()), list[User])
    assert_type(Named.from_arrow(User.find().read()), list[Named])
    for each in User.find():
        assert_type(each, User)
    print(User.get("x").name)  # type: ignore[union-attr]
    User.find().to_lits()  # type: ignore[attr-defined]
    User.find().skip("x")  # type: ignore[arg-type]
    User.find().project(int)  # type: ignore[type-var]
    for _ in Later.find():  # type: ignore[attr-defined]
        pass

    # Writes.
    assert_type(user.insert(), User)
    assert_type(user.save(), User)
    assert_type(user.replace(overwrite=True), User)
    assert_type(user.reload(), User)
    assert_type(user.delete(), DeleteResult)
    assert_type(user.update(Set({User.age: 5, User.name: "b"}), Inc({User.age: 1}), Unset(User.money)), User)
    assert_type(User.insert_one(user), User)
    assert_type(User.insert_many([user]), list[User])
    assert_type(User.update_all(Push(User.tags, "a"), Pull(User.others, Address.city == "Oslo")), UpdateResult)
    assert_type(User.find().upsert(AddToSet(User.tags, "a"), on_insert=user), UpdateResult)
    assert_type(User.find().find_one_and_update(Set(User.age, 5)), User | None)
    assert_type(User.find().find_one_and_replace(user), User | None)
    assert_type(User.find().find_one_and_delete(), User | None)
    assert_type(User.delete_many(User.age > 1).deleted_count, int)
    with User.bulk_writer() as bulk:
        bulk.save(user)
    with BulkWriter() as mixed:
        mixed.save(user)
        mixed.insert(Author(name="a"))
    assert_type(user.create(), User)
    assert_type(user.set({User.age: 5}), User)
    assert_type(user.inc({User.age: 1}, ignore_revision=True, skip_actions=["before"]), User)
    assert_type(user.insert(link_rule=WriteRules.WRITE), User)
    assert_type(user.delete(link_rule=DeleteRules.DELETE_LINKS), DeleteResult)
    assert_type(user.fetch_all_links(), None)
    assert_type(user.to_model(Plain), Plain)
    assert_type(User.find().set({User.age: 5}), UpdateResult)
    assert_type(User.find().update([{"$set": {"age": 1}}]), UpdateResult)
    assert_type(User.find().to_list(5), list[User])
    assert_type(User.find().iter_models(Plain), Iterator[Plain])
    assert_type(User.find().fetch_links(nesting_depth=2), ModelQuery[User])
    assert_type(Adults.find(Adults.age > 3).to_list(), list[Adults])
    Adults(name="a", age=1).save()  # type: ignore[attr-defined]
    User.insert_many([Named(name="a")])  # type: ignore[list-item]
    User.find().find_one_and_replace(Named(name="a"))  # type: ignore[arg-type]
    User.find().upsert(Set(User.age, 5), on_insert=Named(name="a"))  # type: ignore[arg-type]

    # Links.
    author = Author(name="a")
    assert_type(Link(author), Link[Author])
    assert_type(Link(author).document, Author | None)
    assert_type(author.users, list[BackLink[User]])
    assert_type(author.users[0].document, User | None)
    User(name="a", age=1, author=Link(author))
    User(name="a", age=1, author=Link(user))  # type: ignore[arg-type]

    # Databases: of the same side as the models.
    init(MongoClient()["a"], [User, Author, Member])
    init(MongoClient()["a"], [Later])  # type: ignore[list-item]
    init(AsyncMongoClient()["a"], [User])  # type: ignore[list-item]
    assert_type(User.on(MongoClient()["b"]), type[User])

    async def awaited() -> None:
        """The asynchronous side: awaited calls return the same types."""
        later = Later(id="a", name="a")
        await init(AsyncMongoClient()["a"], [Later, LaterAuthor])
        assert_type(Later.find(Later.name == "x").sort("-name").limit(1), AsyncModelQuery[Later])
        assert_type(await Later.find(Later.name == "x").to_list(), list[Later])
        assert_type(await Later.find().first_or_none(), Later | None)
        assert_type(await Later.find_one(Later.name == "x"), Later | None)
        assert_type(Later.find_one(Later.name == "x"), AsyncFindOne[Later])
        assert_type(await Later.find_one(Later.name == "x").update(Set(Later.name, "b")), UpdateResult)
        assert_type(await Later.find_one(Later.name == "x").to_model(Plain), Plain | None)
        assert_type(await Later.find_one(Later.name == "x").project(Named), Named | None)
        async for plain in Later.find().iter_models(Plain):
            assert_type(plain, Plain)
        async with AsyncBulkWriter() as mixed:
            mixed.insert(later)
        assert_type(await Later.get("x"), Later | None)
        assert_type(await Later.find().project(Named).to_list(), list[Named])
        assert_type(await Later.find().validate(), list[Later])
        assert_type(await Later.count(), int)
        assert_type(await Later.find().exists(), bool)
        assert_type(await Later.find().read(), Result)
        assert_type(Later.from_arrow(await Later.find().read()), list[Later])
        assert_type(await later.insert(), Later)
        assert_type(await later.save(), Later)
        assert_type(await later.update(Set(Later.name, "b")), Later)
        assert_type(await later.delete(), DeleteResult)
        assert_type(await Later.insert_many([later]), list[Later])
        assert_type(await Later.update_all(Set({Later.name: "b"})), UpdateResult)
        assert_type(await Later.find().find_one_and_update(Set({Later.name: "b"})), Later | None)
        assert_type(Link(LaterAuthor(name="a")), Link[LaterAuthor])
        async for each in Later.find():
            assert_type(each, Later)
        async with Later.bulk_writer() as bulk:
            bulk.save(later)
        print((await Later.get("x")).name)  # type: ignore[union-attr]
        print(Later.get("x").name)  # type: ignore[attr-defined]
        later.save()  # type: ignore[unused-coroutine]
        Later.find(Later.name < 5)  # type: ignore[operator]
        async for _ in User.find():  # type: ignore[attr-defined]
            pass
        with Later.bulk_writer():  # type: ignore[attr-defined]
            pass
