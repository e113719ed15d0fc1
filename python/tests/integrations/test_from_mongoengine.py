"""QuerySets of MongoEngine, taken as they are: what `as_pymongo` gives is what ours must find."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import mongoengine
import pymongo
import pytest
from mongoengine import Q
from pymongo.database import Database

import data_bridge
from data_bridge import InvalidQuery, Query, from_query

Documents = Database[dict[str, Any]]


class Shelf(mongoengine.EmbeddedDocument):  # type: ignore[misc]
    room = mongoengine.StringField(db_field="r")


class Item(mongoengine.Document):  # type: ignore[misc]
    name = mongoengine.StringField(db_field="n")
    count_ = mongoengine.IntField(db_field="c")
    price = mongoengine.Decimal128Field()
    shelf = mongoengine.EmbeddedDocumentField(Shelf, db_field="s")
    tags = mongoengine.ListField(mongoengine.StringField())
    other = mongoengine.ReferenceField("self")
    meta = {"collection": "items", "ordering": ["-count_"], "indexes": [{"fields": ["$name"]}, "count_"]}


class Animal(mongoengine.Document):  # type: ignore[misc]
    legs = mongoengine.IntField()
    meta = {"allow_inheritance": True, "collection": "animals"}


class Dog(Animal):
    name = mongoengine.StringField()


class Puppy(Dog):
    weeks = mongoengine.IntField()


@pytest.fixture
def items(database: Documents, mongodb_uri: str) -> Iterator[Documents]:
    client = mongoengine.connect(database.name, host=mongodb_uri, uuidRepresentation="standard")
    first = None
    for n in range(30):
        item = Item(
            name=f"item {n % 5}",
            count_=n,
            price=Decimal(n),
            shelf=Shelf(room=f"room {n % 3}"),
            tags=["a", "b", "c"][: n % 4],
            other=first,
        ).save()
        first = first or item
    for animal in (Animal(legs=4), Dog(legs=4, name="Rex"), Puppy(legs=3, name="Bo", weeks=5)):
        animal.save()
    yield database
    data_bridge.from_pymongo(client).close()
    mongoengine.disconnect_all()


SETS = {
    "all": lambda: Item.objects,
    "called": lambda: Item.objects(),
    "conditions": lambda: Item.objects(count___gt=5, name__in=["item 1", "item 2"]),
    "q": lambda: Item.objects(Q(count___lt=3) | Q(shelf__room="room 1")),
    "raw": lambda: Item.objects(__raw__={"c": {"$mod": [3, 0]}}),
    "order": lambda: Item.objects.order_by("name", "-count_"),
    "no order": lambda: Item.objects.order_by(),
    "raw order": lambda: Item.objects.order_by(__raw__=[("c", 1)]),
    "slice": lambda: Item.objects[3:8],
    "from": lambda: Item.objects[25:],
    "to": lambda: Item.objects[:4],
    "from 0": lambda: Item.objects[0:4],
    "skip and limit": lambda: Item.objects.skip(2).limit(3),
    "limit 0": lambda: Item.objects.limit(0),
    "only": lambda: Item.objects.only("name", "shelf.room"),
    "exclude": lambda: Item.objects.exclude("shelf", "id"),
    "fields": lambda: Item.objects.fields(slice__tags=1),
    "text": lambda: Item.objects.search_text("item").order_by("count_"),
    "text by score": lambda: Item.objects.search_text("item").order_by("$text_score", "count_").only("name"),
    "where": lambda: Item.objects.where("this[~count_] < 4"),
    "hint": lambda: Item.objects(count___gte=3).hint([("c", 1)]).order_by(),
    "no hint": lambda: Item.objects.hint("_id_").hint(None),
    "collation": lambda: Item.objects(name="ITEM 1").collation({"locale": "en", "strength": 2}),
    "options": lambda: Item.objects.batch_size(3).comment("c").max_time_ms(5000).allow_disk_use(True).timeout(False),
    "reads": lambda: Item.objects.read_preference(pymongo.ReadPreference.NEAREST).read_concern({"level": "majority"}),
    "plain": lambda: Item.objects.as_pymongo().no_dereference(),
    "a root": lambda: Animal.objects.order_by("id"),
    "a child": lambda: Dog.objects.order_by("id"),
    "a grandchild": lambda: Puppy.objects(legs=3),
    "a child's only": lambda: Dog.objects.only("name").order_by("id"),
    "without classes": lambda: Dog.objects.clear_cls_query().order_by("id"),
    "no children": lambda: Dog.objects.no_sub_classes(),
    "a condition on the class": lambda: Dog.objects(__raw__={"_cls": "Animal.Dog"}),
}


@pytest.mark.parametrize("name", SETS)
async def test_mongoengine_finds_the_same(items: Documents, name: str) -> None:
    query = SETS[name]()
    ours = from_query(query)
    assert type(ours) is Query
    expected = list(query.as_pymongo())
    assert expected
    assert ours.to_dicts() == expected
    assert await from_query(query, asynchronous=True).to_dicts() == expected
    assert len(ours.read()) == len(expected)


@pytest.mark.parametrize("query", [lambda: Item.objects.none(), lambda: Item.objects[5:5], lambda: Dog.objects.none()])
def test_mongoengine_finds_nothing(items: Documents, query: Any) -> None:
    assert list(query()) == []
    assert from_query(query()).to_dicts() == []


def test_a_used_queryset_starts_anew(items: Documents) -> None:
    query = Item.objects.order_by("count_")
    assert next(iter(query)).count_ == 0
    assert len(from_query(query).to_dicts()) == 30
    assert len(from_query(query.limit(3)).to_dicts()) == 3


def test_a_queryset_of_another_database(items: Documents, mongodb_uri: str) -> None:
    mongoengine.register_connection("other", db=f"{items.name}_other", host=mongodb_uri, uuidRepresentation="standard")
    with mongoengine.context_managers.switch_db(Item, "other") as other:
        other(name="far").save()
    query = Item.objects.using("other")
    try:
        assert from_query(query).to_dicts() == list(query.as_pymongo())
        assert len(from_query(query).to_dicts()) == 1
    finally:
        data_bridge.from_pymongo(mongoengine.get_connection("other")).close()
        items.client.drop_database(f"{items.name}_other")


def test_values_instead_of_documents_are_refused(items: Documents) -> None:
    for query in (Item.objects.scalar("name"), Item.objects.values_list("name", "count_")):
        with pytest.raises(InvalidQuery, match=r"scalar\(\).*name"):
            from_query(query)
    for other in (Item, Item.objects.first(), Item.objects.aggregate([]), Item.objects.select_related()):
        with pytest.raises(TypeError, match="QuerySet of MongoEngine"):
            from_query(other)


def test_a_session_of_the_thread_is_refused(items: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    """MongoEngine 0.30 has one within `run_in_transaction()`; before it had none."""
    sessions: list[Any] = []
    monkeypatch.setattr(
        "mongoengine.connection._get_session", lambda: sessions[-1] if sessions else None, raising=False
    )
    query = Item.objects(name="item 1")
    assert len(from_query(query).to_dicts()) == 6
    with items.client.start_session() as session:
        sessions.append(session)
        for asked in (query, Item.objects, Item.objects.only("name").limit(2)):
            with pytest.raises(InvalidQuery, match=r"session: run_in_transaction\(\)"):
                from_query(asked)
    sessions.clear()
    assert len(from_query(query).to_dicts()) == 6
