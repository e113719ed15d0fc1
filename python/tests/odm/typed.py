"""Checked by mypy in strict mode, not run: what type checkers know of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import assert_type

from data_bridge.odm import AsyncDocument, BackLink, Document, EmbeddedDocument, Field, Link, ModelQuery, path
from data_bridge.odm.operators import In, Inc, Set


class Address(EmbeddedDocument):
    city: str
    zip: str | None = None


class Author(Document):
    name: str


class User(Document):
    name: str
    age: int
    tags: list[str] = []
    home: Address = Field(default_factory=lambda: Address(city="?"))
    address: Address | None = None
    author: Link[Author] | None = None
    back: list[BackLink[Author]] = Field(default_factory=list, original_field="x")


class Named(EmbeddedDocument):
    name: str


class Later(AsyncDocument):
    name: str


if TYPE_CHECKING:
    assert_type(User.find(User.age > 25, User.home.city == "Oslo").sort(-User.age).limit(10).to_list(), list[User])
    assert_type(User.find((User.age > 25) & (User.age < 50) | In(User.name, ["a"])), ModelQuery[User])
    assert_type(User.find(path(User.address).city == "Oslo").first_or_none(), User | None)
    assert_type(User.find_one(User.name == "x"), User | None)
    assert_type(User.get("x"), User | None)
    assert_type(User.find().project(Named).to_list(), list[Named])
    assert_type(User(name="a", age=1).insert(), User)
    assert_type(User(name="a", age=1).age, int)
    assert_type(User.insert_many([User(name="a", age=1)]), list[User])
    User.find(User.age > 1).update(Set({User.age: 5}), Inc({User.age: 1}))
    for user in User.find():
        assert_type(user, User)
        assert_type(user.tags, list[str])
    User(name=1, age=1)  # type: ignore[arg-type]
    User(age=1)  # type: ignore[call-arg]
    print(User(name="a", age=1).nope)  # type: ignore[attr-defined]

    async def check() -> None:
        assert_type(await Later.find(Later.name == "x").to_list(), list[Later])
        assert_type(await Later.get("x"), Later | None)
        assert_type(await Later(name="x").save(), Later)
        async for later in Later.find():
            assert_type(later, Later)
