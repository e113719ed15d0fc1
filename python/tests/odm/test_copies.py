"""Copies, deep copies, pickles and detached copies: deep ones share no mutable value."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from bson import ObjectId
from shop import Address, Item, User

import data_bridge
from data_bridge import odm
from data_bridge.odm import BackLink, Document, Field, Link, NotFetched


class Writer(Document):
    name: str
    books: list[BackLink[Novel]] = Field(default_factory=list, original_field="author")

    class Settings:
        name = "writers"


class Novel(Document):
    title: str
    author: Link[Writer]
    others: list[Link[Writer]] = []

    class Settings:
        name = "novels"


class Noted(Document):
    __slots__ = ("__dict__",)
    n: int = 0


class Counted(Document):
    __slots__ = ("__hidden", "seen")
    n: int = 0

    def hide(self, value: Any) -> None:
        self.__hidden = value

    def hidden(self) -> Any:
        return self.__hidden


INDEPENDENT: list[Callable[[Any], Any]] = [copy.deepcopy, odm.detach, lambda each: pickle.loads(pickle.dumps(each))]
COPIES: list[Callable[[Any], Any]] = [copy.copy, *INDEPENDENT]


def read(users: Any) -> User:
    users.insert_one(
        {
            "name": "Ada",
            "age": 36,
            "tags": ["a"],
            "address": {"city": "Oslo", "unknown": 1},
            "items": [{"name": "pen", "count": 2}],
            "homes": {"x": {"city": "Rome"}},
        }
    )
    user = User.find_one()
    assert user is not None
    return user


@pytest.mark.parametrize("copied", INDEPENDENT)
def test_kept_values_are_each_copy_s_own(users: Any, copied: Callable[[Any], Any]) -> None:
    user = read(users)
    assert user.address is not None
    assert user.items[0].name == "pen"
    assert user.homes["x"].city == "Rome"
    assert user.tags == ["a"]
    user.labels = {"l"}
    again = copied(user)
    again.address.city = "Bergen"
    again.items[0].count_ = 9
    again.homes["x"].city = "Paris"
    again.tags.append("b")
    again.labels.add("m")
    assert (user.address.city, user.items[0].count_, user.homes["x"].city) == ("Oslo", 2, "Rome")
    assert (user.tags, user.labels) == (["a"], {"l"})
    again.save()
    assert users.find_one({}, {"_id": 0}) == {
        "name": "Ada",
        "age": 36,
        "tags": ["a", "b"],
        "address": {"city": "Bergen", "unknown": 1},
        "items": [{"name": "pen", "count": 9}],
        "homes": {"x": {"city": "Paris"}},
        "labels": ["l", "m"],
    }


@pytest.mark.parametrize("copied", INDEPENDENT)
def test_one_value_in_two_places_stays_one(copied: Callable[[Any], Any]) -> None:
    home = Address(city="Oslo")
    again = copied(User(name="Ada", age=1, address=home, homes={"x": home}))
    again.address.city = "Rome"
    assert again.homes["x"].city == "Rome"


@pytest.mark.parametrize("copied", COPIES)
def test_an_embedded_model_is_copied_by_itself(users: Any, copied: Callable[[Any], Any]) -> None:
    users.insert_one({"name": "Ada", "age": 36, "address": {"city": 5}})
    user = User.find_one()
    assert user is not None
    assert user.address is not None
    user.address.zip = "z"
    again = copied(user.address)
    assert again.zip == "z"
    again.zip = "y"
    assert user.address.zip == "z"
    with pytest.raises(odm.ValidationError) as caught:
        _ = again.city
    assert caught.value.path[-1] == "city"


def test_copies_say_where_embedded_values_stand(users: Any) -> None:
    users.insert_one({"name": "Ada", "age": 36, "address": {"city": 5}})
    user = User.find_one()
    assert user is not None
    assert user.address is not None
    for each in (copy.copy(user.address), copy.deepcopy(user.address), odm.detach(user.address)):
        with pytest.raises(odm.ValidationError) as caught:
            _ = each.city
        assert (caught.value.path, caught.value.id) == (("address", "city"), user.id)


@pytest.fixture
def novels(ours: data_bridge.Database) -> None:
    odm.init(ours, [Writer, Novel])
    writers = Writer.insert_many([Writer(name="a"), Writer(name="b")])
    Novel(title="t", author=Link(writers[0]), others=[Link(writers[1])]).insert()


@pytest.mark.parametrize("copied", INDEPENDENT)
def test_links(novels: None, copied: Callable[[Any], Any]) -> None:
    novel = Novel.find_one()
    assert novel is not None
    again = copied(novel)
    assert again == novel
    with pytest.raises(NotFetched):
        _ = again.author.name
    again.author.fetch()
    assert again.author.name == "a"
    with pytest.raises(NotFetched):
        _ = novel.author.name
    fetched = Novel.find(fetch_links=True).to_list()[0]
    again = copied(fetched)
    assert again.author.name == "a"
    again.author.document.name = "changed"
    assert fetched.author.name == "a"  # type: ignore[attr-defined]
    again.others.append(Link(Writer, ObjectId()))
    again.save()
    assert len(Novel.find_one().others) == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("copied", INDEPENDENT)
def test_links_that_lead_back(novels: None, copied: Callable[[Any], Any]) -> None:
    writer = Writer.find(Writer.name == "a", fetch_links=True).to_list()[0]
    writer.books[0].document.author = Link(writer)  # type: ignore[union-attr]
    again = copied(writer)
    assert again is not writer
    assert again.books[0].author.document is again


@pytest.mark.parametrize("copied", COPIES)
def test_attributes_beside_the_fields_are_copied(copied: Callable[[Any], Any]) -> None:
    noted, counted = Noted(n=1), Counted(n=2)
    noted.__dict__["note"] = "x"
    counted.seen = [1]
    counted.hide("h")
    assert copied(noted).__dict__ == {"note": "x"}
    assert copied(counted).seen == [1]
    assert copied(counted).hidden() == "h"
    assert not hasattr(copied(Counted()), "seen")


@pytest.mark.parametrize("copied", COPIES)
def test_rows_of_arrow_data(copied: Callable[[Any], Any], ours: data_bridge.Database) -> None:
    pa = pytest.importorskip("pyarrow")
    rows = data_bridge.from_arrow(pa.table({"name": ["pen", "ink"], "count": [1, 2]})).to_list()
    items = [Item._embedded(row, None) for row in rows]
    items[0].count_ = 7
    again = [copied(each) for each in items]
    assert again == items == [Item(name="pen", count_=7), Item(name="ink", count_=2)]
    assert again[0]._dump() == {"name": "pen", "count": 7}
