"""Linked documents: conditions and orders on their fields, levels of them, and writes and deletions with them."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest
from bson import DBRef, ObjectId

import data_bridge
from data_bridge import odm
from data_bridge.odm import (
    AsyncDocument,
    BackLink,
    DeleteRules,
    Document,
    EmbeddedDocument,
    Field,
    Link,
    NotFetched,
    OnDelete,
    StillLinked,
    WriteRules,
)
from data_bridge.odm import operators as op


class Lock(Document):
    k: int = 0


class Window(Document):
    x: int = 0
    y: int = 0
    lock: Link[Lock] | None = None


class Door(Document):
    t: int = 0
    window: Link[Window] | None = None
    locks: list[Link[Lock]] = []


class Spot(EmbeddedDocument):
    window: Link[Window] | None = None


class House(Document):
    name: str
    height: int = 0
    door: Link[Door]
    windows: list[Link[Window]] = []
    spot: Spot | None = None
    spots: list[Spot] = []
    owners: list[BackLink[Person]] = Field(default_factory=list, original_field="houses")


class Person(Document):
    name: str
    houses: list[Link[House]] = []


class Node(Document):
    n: int = 0
    next: Link[Node] | None = None


MODELS: list[Any] = [Lock, Window, Door, House, Person, Node]
H: Any = House


@pytest.fixture
def houses(ours: data_bridge.Database, database: Any) -> Any:
    """Ten houses as in Beanie's tests of relations."""
    odm.init(ours, MODELS)
    for i in range(10):
        lock = Lock(k=20 + i)
        House(
            name="test",
            height=i,
            door=Door(t=i, window=Window(x=20, y=21 + i, lock=Lock(k=30 + i)) if i % 2 == 0 else None, locks=[lock]),
            windows=[Window(x=10, y=10 + i), Window(x=11, y=11 + i, lock=lock)],
            spot=Spot(window=Window(x=1, y=i)),
            spots=[Spot(window=Window(x=2, y=i))],
        ).insert(link_rule=WriteRules.WRITE)
    Person(name="Ada", houses=[House.find_one(House.height == 3), House.find_one(House.height == 4)]).insert()
    Person(name="Bob", houses=[House.find_one(House.height == 4)]).insert()
    return database


FOUND: list[tuple[Any, list[int]]] = [
    (H.door.t > 5, [6, 7, 8, 9]),
    ({"door.t": {"$gt": 5}}, [6, 7, 8, 9]),
    ({H.door.t: 7}, [7]),
    (H.windows.y == 15, [4, 5]),
    (op.In(H.windows.y, [10, 20]), [0, 9]),
    (H.door.window.y == 25, [4]),
    (H.door.window.lock.k == 34, [4]),
    (H.door.window == None, [1, 3, 5, 7, 9]),  # noqa: E711
    (H.door.window.x == None, [1, 3, 5, 7, 9]),  # noqa: E711
    (H.door.locks.k == 23, [3]),
    (H.windows.lock.k == 25, [5]),
    (H.spot.window.y == 8, [8]),
    (H.spots.window.y == 8, [8]),
    ((H.door.t > 3) & (H.height < 6), [4, 5]),
    ((H.door.t == 3) | (H.height == 6), [3, 6]),
    (~(H.door.t < 8), [8, 9]),
    (op.And(H.door.t > 3, H.door.window.y < 28), [4, 6]),
    (H.owners.name == "Ada", [3, 4]),
    (H.owners.name == "Bob", [4]),
    ({"owners.name": "Eve"}, []),
    (op.Exists(H.door.window.lock), [0, 2, 4, 6, 8]),
    (op.RegEx(H.owners.name, "^B"), [4]),
    (H.door.t == 99, []),
]
"""Conditions, and the heights of the houses that they match."""


@pytest.mark.parametrize("fetch_links", [False, True])
def test_a_condition_on_a_linked_document(houses: Any, fetch_links: bool) -> None:
    for condition, heights in FOUND:
        query = House.find(condition, fetch_links=fetch_links).sort("height")
        found = query.to_list()
        assert [each.height for each in found] == heights, condition
        assert [each.height for each in query] == heights
        assert query.count() == len(heights)
        assert query.exists() is bool(heights)
        first = query.first_or_none()
        assert (None if first is None else first.height) == (heights[0] if heights else None)
        assert House.find_one(condition, sort="-height") == (found[-1] if found else None)
        if fetch_links:
            assert all(each.door.t == each.height for each in found)  # type: ignore[attr-defined]
            continue
        assert query.to_arrow()["height"].to_pylist() == heights
        # Lookups leave nothing behind.
        assert all(set(each) <= {*House.__odm__.by_key} for each in query.to_dicts())
        assert sum(heights) == (query.sum("height") or 0)
        assert [row["height"] for row in query.aggregate([{"$project": {"height": 1}}]).to_dicts()] == heights


def test_documents_that_a_lookup_found_are_saved(houses: Any) -> None:
    for each in House.find(H.door.t > 5):
        each.name = "saved"
        each.save()
    assert House.find(House.name == "saved").count() == 4
    assert houses["House"].find_one({"height": 9}).keys() == {
        "_id",
        "name",
        "height",
        "door",
        "windows",
        "spot",
        "spots",
    }


def test_a_mapping_takes_links_and_no_documents(houses: Any) -> None:
    house: Any = House.find_one(House.height == 3)
    assert House.find({"door": house.door}).count() == 1
    assert House.find({"windows": {"$in": list(house.windows)}}).count() == 1
    house.fetch_all_links()
    with pytest.raises(data_bridge.InvalidQuery, match="expected a Link or an _id"):
        House.find({"door": house.door.document})
    assert House.find(House.door == house.door.document).count() == 1


def test_an_order_by_a_linked_document(houses: Any) -> None:
    for key in (-H.door.t, "-door.t", [("door.t", -1)]):
        assert [each.height for each in House.find(sort=key)] == [*range(9, -1, -1)]
        assert [each.height for each in House.find().sort(key).skip(2).limit(3)] == [7, 6, 5]
    assert [each.height for each in House.find(H.door.window.y > 22).sort(-H.door.window.y)] == [8, 6, 4, 2]
    assert House.find().sort(H.door.t).to_list(2) == House.find().sort("height").limit(2).to_list()


def test_a_condition_finds_links_that_are_bare_ids(houses: Any) -> None:
    for house in houses["House"].find():
        windows = [each.id for each in house["windows"]]
        houses["House"].update_one({"_id": house["_id"]}, {"$set": {"door": house["door"].id, "windows": windows}})
    for person in houses["Person"].find():
        ids = [each.id for each in person["houses"]]
        houses["Person"].update_one({"_id": person["_id"]}, {"$set": {"houses": ids}})
    assert [each.height for each in House.find(H.door.t > 7).sort("height")] == [8, 9]
    assert House.find(H.windows.y == 15).count() == 2
    assert House.find(H.owners.name == "Ada").count() == 2


def test_a_link_to_no_document_is_a_missing_one(houses: Any) -> None:
    Door.find(Door.t == 5).delete()
    houses["Door"].insert_one({"_id": None, "t": 5})
    assert House.find(H.door.t == 5).count() == 0
    assert [each.height for each in House.find(H.door.t == None)] == [5]  # noqa: E711


CONDITIONS: list[dict[str, Any]] = [
    {key: value}
    for key in (
        "door.t",
        "door.window.y",
        "windows.y",
        "windows.lock.k",
        "spot.window.y",
        "spots.window.y",
        "owners.name",
    )
    for value in (
        *(5, None, {"$ne": 5}, {"$gt": 4}, {"$not": {"$gt": 4}}, {"$in": [3, 24, None]}, {"$nin": [3, 24]}),
        *({"$exists": True}, {"$exists": False}, {"$type": "int"}, {"$mod": [2, 0]}, {"$gte": 3, "$lt": 8}, "Ada"),
    )
]
CONDITIONS += [
    {operator: [{"door.t": 3}, {"windows.y": 15}, {"height": {"$gt": 8}}]} for operator in ("$or", "$nor", "$and")
]
CONDITIONS += [
    {"door.t": {"$gt": 2}, "windows.y": {"$lt": 18}, "height": {"$ne": 5}},
    {"windows": {"$size": 2}, "windows.y": 12},
    {"door.locks.k": {"$all": [23]}},
    {"door.window": None},
    {"owners.name": {"$all": ["Ada", "Bob"]}},
    {"owners.name": {"$regex": "^A"}},
]


def test_conditions_match_as_they_do_on_embedded_documents(houses: Any) -> None:
    """The oracle: PyMongo's `find` on the same documents with the linked ones in the place of the links."""
    by_id = {each["_id"]: each for name in ("Lock", "Window", "Door") for each in houses[name].find()}

    def whole(value: Any) -> Any:
        if isinstance(value, DBRef):
            return whole(by_id[value.id])
        if isinstance(value, list):
            return [whole(each) for each in value]
        return {key: whole(each) for key, each in value.items()} if isinstance(value, dict) else value

    people = list(houses["Person"].find())
    for house in houses["House"].find():
        owners = [each for each in people if house["_id"] in [link.id for link in each["houses"]]]
        houses["whole"].insert_one({**whole(house), "owners": owners})
    different = {
        str(condition): (found, expected)
        for condition in CONDITIONS
        if (found := [each.height for each in House.find(condition).sort("height")])
        != (expected := [each["height"] for each in houses["whole"].find(condition).sort("height")])
    }
    assert different == {}
    for key in ("door.t", "door.window.y", "windows.y", "windows.lock.k", "spots.window.y", "owners.name"):
        for direction in (1, -1):
            order = [(key, direction), ("height", 1)]
            found = [each.height for each in House.find().sort(order)]
            assert found == [each["height"] for each in houses["whole"].find().sort(order)], order


@pytest.mark.parametrize(
    "ask",
    [
        lambda query: query.update(op.Set({H.name: "x"})),
        lambda query: query.update_one(op.Set({H.name: "x"})),
        lambda query: query.delete(),
        lambda query: query.delete_one(),
        lambda query: query.distinct("name"),
        lambda query: query.find_one_and_delete(),
        lambda query: query.find_one_and_update(op.Set({H.name: "x"})),
        lambda query: House.bulk_writer().update_many(query, op.Set({H.name: "x"})),
    ],
)
def test_what_cannot_look_documents_up_refuses(houses: Any, ask: Any) -> None:
    with pytest.raises(data_bridge.InvalidQuery, match="linked documents"):
        ask(House.find(H.door.t > 5))
    assert House.find().count() == 10


def test_keys_of_linked_documents_are_no_keys_of_this_one(houses: Any) -> None:
    for ask in (
        lambda: House.find().update(op.Set({H.door.t: 1})),
        lambda: House.find().update({"$set": {H.door.t: 1}}),
        lambda: House.find().update([{"$set": {"door.t": 1}}]),
        lambda: House.find().update(op.Set({H.owners.name: "x"})),
        lambda: House.find().distinct("door.t"),
        lambda: House.find().sum(H.door.t),
        lambda: House.find().project([H.door.t]),
        lambda: House.find({"windows": {"$elemMatch": {"x": 10}}}),
        lambda: House.find(op.ElemMatch(H.windows, {"x": 10})),
        lambda: House.find({"windows.0.x": 10}),
        lambda: House.find({"$expr": {"$eq": ["$door.t", 1]}}),
        lambda: House.find(H.owners == []),
    ):
        with pytest.raises(data_bridge.InvalidQuery):
            ask()
    with pytest.raises(AttributeError, match="declares no field 'nothing'"):
        _ = H.door.nothing
    with pytest.raises(data_bridge.InvalidQuery, match="expected int"):
        House.find(H.door.t == "x")

    class Indexed(Document):
        door: Link[Door]

        class Settings:
            indexes = ["door.t"]

    with pytest.raises(data_bridge.InvalidQuery, match="not stored"):
        odm.init(House.__odm__.collection.database, [Indexed])


def test_links_to_several_models_and_databases_are_refused(
    houses: Any, client: data_bridge.MongoClient, pymongo_client: Any
) -> None:
    class Either(Document):
        to: Link[Lock] | Link[Window] | None = None

    class Far(Document):
        n: int = 0

    class Near(Document):
        far: Link[Far]

    odm.init(House.__odm__.collection.database, [Either, Near])
    odm.init(client[f"{houses.name}_far"], [Far])
    with pytest.raises(data_bridge.InvalidQuery, match="several models"):
        Either.find({"to.k": 1})
    with pytest.raises(data_bridge.InvalidQuery, match="another database"):
        Near.find({"far.n": 1}).to_list()


def test_a_tree_of_linked_models_is_looked_up_by_class(ours: data_bridge.Database) -> None:
    class Vehicle(Document):
        wheels: int

        class Settings:
            is_root = True

    class Car(Vehicle):
        doors: int = 4

    class Bus(Vehicle):
        seats: int = 40

    class Owner(Document):
        car: Link[Car]

    odm.init(ours, [Vehicle, Car, Bus, Owner])
    car, bus = Car(wheels=4).insert(), Bus(wheels=4).insert()
    Owner(car=car).insert()
    wrong = Owner(car=car).insert()
    wrong.car.id = bus.id
    wrong.save()
    assert Owner.find({"car.wheels": 4}).count() == 1


# ---- levels ----------------------------------------------------------------------------------------------------------


def test_links_are_fetched_to_a_depth(houses: Any) -> None:
    (house,) = House.find(House.height == 4).fetch_links(nesting_depth=3).to_list()
    assert house.door.window.lock.k == 34
    assert house.windows[1].lock.k == 24
    assert house.owners[0].houses[0].document is not None
    (house,) = House.find(House.height == 4, fetch_links=True, nesting_depth=2).to_list()
    assert house.door.window.y == 25  # type: ignore[attr-defined]
    with pytest.raises(NotFetched):
        _ = house.door.window.lock.k  # type: ignore[attr-defined]
    (house,) = House.find(House.height == 4, fetch_links=True).to_list()
    with pytest.raises(NotFetched):
        _ = house.door.window.y  # type: ignore[attr-defined]
    house = House.find_one(House.height == 4, fetch_links=True, nesting_depth=0)  # type: ignore[assignment]
    with pytest.raises(NotFetched):
        _ = house.door.t  # type: ignore[attr-defined]
    depths = {"door": 3, "windows": 0}
    house = House.find_one(House.height == 4, fetch_links=True, nesting_depths_per_field=depths)  # type: ignore[assignment]
    assert house.door.window.lock.k == 34  # type: ignore[attr-defined]
    with pytest.raises(NotFetched):
        _ = house.windows[0].x  # type: ignore[attr-defined]
    for wrong in ({"nesting_depth": "1"}, {"nesting_depth": True}, {"nesting_depths_per_field": [1]}):
        with pytest.raises(TypeError):
            House.find(**wrong)
    with pytest.raises(ValueError, match="negative"):
        House.find(nesting_depth=-1)


def test_a_loop_of_links_ends_at_the_depth(houses: Any) -> None:
    class Loop(Document):
        n: int = 0
        next: Link[Loop] | None = None

        class Settings:
            name = "Node"
            max_nesting_depth = 4

    Loop.__odm__.collection = Node.__odm__.collection
    loop = Loop(n=1).insert()
    loop.next = Link(loop)
    loop.save()
    found: Any = Loop.find_one(fetch_links=True)
    assert found.next.next.next.next.n == 1
    with pytest.raises(NotFetched):
        _ = found.next.next.next.next.next.n


def test_links_of_an_instance_are_fetched(houses: Any) -> None:
    house: Any = House.find_one(House.height == 4)
    house.fetch_link(House.door)
    assert house.door.t == 4
    with pytest.raises(NotFetched):
        _ = house.windows[0].x
    house.door.document.t = 99
    house.fetch_all_links()
    # A document that a link holds may have changes: it stays.
    assert house.door.t == 99
    assert house.windows[0].x == 10
    assert house.spot.window.x == 1
    assert [each.name for each in house.owners] == ["Ada", "Bob"]
    with pytest.raises(AttributeError, match="nothing"):
        house.fetch_link("nothing")
    for name in ("id", "name"):
        with pytest.raises(TypeError, match="has no links to fetch"):
            house.fetch_link(name)


# ---- writes ----------------------------------------------------------------------------------------------------------


def test_a_link_to_a_new_document_needs_the_rule(houses: Any) -> None:
    house = House(name="new", door=Door(t=1))
    with pytest.raises(odm.ValidationError, match="was inserted"):
        house.insert()
    house.insert(link_rule=WriteRules.WRITE)
    assert Door.get(house.door.id) == house.door.document
    assert isinstance(house.door.id, ObjectId)


@pytest.mark.parametrize("call", ["save", "replace"])
def test_a_write_saves_linked_documents_by_the_rule(houses: Any, call: str) -> None:
    house: Any = House.find_one(House.height == 4, fetch_links=True, nesting_depth=3)
    house.door.document.t = 100
    house.door.window.document.lock.document.k = 101
    new = Window(x=100, y=100, lock=Lock(k=102))
    house.windows = [new]
    with pytest.raises(odm.ValidationError):
        getattr(house, call)()
    getattr(house, call)(link_rule=WriteRules.WRITE)
    read: Any = House.get(house.id, fetch_links=True, nesting_depth=3)
    assert read.door.t == 100
    assert read.door.window.lock.k == 101
    assert [each.document for each in read.windows] == [new]
    assert read.windows[0].lock.k == 102
    read.door.document.t = 5
    getattr(read, call)()
    assert Door.find(Door.t == 5, Door.id == read.door.id).count() == 0


def test_a_loop_of_new_documents_is_written_once(houses: Any) -> None:
    one, two = Node(n=1), Node(n=2)
    one.next, two.next = Link(two), Link(one)
    one.insert(link_rule=WriteRules.WRITE)
    assert Node.find().count() == 2
    read: Any = Node.get(one.id, fetch_links=True, nesting_depth=2)
    assert read.next.n == 2
    assert read.next.next.n == 1


def test_a_deletion_deletes_linked_documents_by_the_rule(houses: Any) -> None:
    house: Any = House.find_one(House.height == 4)
    doors, windows, locks = Door.find().count(), Window.find().count(), Lock.find().count()
    house.delete()
    assert (Door.find().count(), Window.find().count()) == (doors, windows)
    house = House.find_one(House.height == 6)
    house.delete(link_rule=DeleteRules.DELETE_LINKS)
    # The door, its window, two windows, two spots; the window's lock, and the lock of the door and a window.
    assert Door.find().count() == doors - 1
    assert Window.find().count() == windows - 5
    assert Lock.find().count() == locks - 2
    assert Person.find().count() == 2
    with pytest.raises(TypeError, match="link_rule"):
        house.delete(link_rule="DELETE_LINKS")


async def test_linked_documents_of_async_models(mongodb_uri: str, database: Any) -> None:
    class Hinge(AsyncDocument):
        n: int

    class Gate(AsyncDocument):
        hinge: Link[Hinge]
        hinges: list[Link[Hinge]] = []

    class Garden(AsyncDocument):
        gate: Link[Gate]

    g: Any = Garden
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [Hinge, Gate, Garden])
        for n in range(4):
            garden = Garden(gate=Gate(hinge=Hinge(n=n), hinges=[Hinge(n=n + 10)]))
            await garden.insert(link_rule=WriteRules.WRITE)
        query = Garden.find(g.gate.hinge.n > 1, fetch_links=True, nesting_depth=2).sort(-g.gate.hinge.n)
        found: list[Any] = await query.to_list()
        assert [each.gate.hinge.n for each in found] == [3, 2]
        assert await query.count() == 2
        assert [each.gate.hinge.n async for each in query] == [3, 2]  # type: ignore[attr-defined]
        assert await query.exists()
        one: Any = await Garden.find_one(g.gate.hinges.n == 12)
        await one.fetch_all_links()
        assert one.gate.hinges[0].id == found[1].gate.hinges[0].id
        await one.delete(link_rule=DeleteRules.DELETE_LINKS)
        assert (await Gate.find().count(), await Hinge.find().count()) == (3, 6)


# ---- names -----------------------------------------------------------------------------------------------------------


def test_modules_that_import_each_other_for_type_checkers(ours: data_bridge.Database) -> None:
    from mutual_authors import Favourite, MutualAuthor
    from mutual_books import MutualBook

    with pytest.raises(NameError, match="MutualBook"):
        odm.init(ours, [MutualAuthor])
    odm.init(ours, [MutualAuthor, MutualBook])
    author = MutualAuthor(name="Ada").insert()
    book = MutualBook(title="Notes", author=author).insert()
    author.favourite = Favourite(book=book)
    author.save()
    (read,) = MutualAuthor.find({"favourite.book.title": "Notes"}, fetch_links=True).to_list()
    assert read.books[0].title == "Notes"
    assert read.favourite.book.title == "Notes"
    assert MutualBook.find({"author.name": "Ada"}).count() == 1


# ---- delete rules ----------------------------------------------------------------------------------------------------


class Author(Document):
    name: str

    class Settings:
        is_root = True


class Poet(Author):
    pass


class Story(Document):
    title: str
    author: Link[Author] = Field(delete_rule=OnDelete.CASCADE)


class Review(Document):
    story: Link[Story] = Field(delete_rule=OnDelete.CASCADE)
    reader: Link[Author] | None = Field(default=None, delete_rule=OnDelete.NULLIFY)


class Shelf(Document):
    stories: list[Link[Story]] = Field(default_factory=list, delete_rule=OnDelete.PULL)


class Prize(Document):
    author: Link[Author] | None = Field(default=None, delete_rule=OnDelete.DENY)


@pytest.fixture
def stories(ours: data_bridge.Database) -> tuple[Author, Author, Author]:
    odm.init(ours, [Author, Poet, Story, Review, Shelf, Prize])
    ada, bob, eve = (kind(name=name).insert() for kind, name in ((Author, "Ada"), (Poet, "Bob"), (Author, "Eve")))
    told: list[Any] = [Story(title=f"{each.name} {n}", author=each).insert() for each in (ada, bob) for n in range(2)]
    for each in told:
        Review(story=each, reader=eve).insert()
    Shelf(stories=told).insert()
    Shelf(stories=told[2:]).insert()
    Prize(author=eve).insert()
    return ada, bob, eve


def test_a_deletion_follows_the_rules_of_links_to_the_document(stories: Any) -> None:
    ada, bob, eve = stories
    assert ada.delete().deleted_count == 1
    assert [each.title for each in Story.find().sort("title")] == ["Bob 0", "Bob 1"]
    assert Review.find().count() == 2
    assert [len(each.stories) for each in Shelf.find()] == [2, 2]
    with pytest.raises(StillLinked, match="1 documents of Prize still link by 'author'"):
        eve.delete()
    assert Author.find().count() == 1
    assert Review.find({"reader": {"$ne": None}}).count() == 2
    Prize.find().update({"$set": {"author": None}})
    assert eve.delete().deleted_count == 1
    assert [each.reader for each in Review.find()] == [None, None]
    assert Poet.find(Poet.name == "Bob").delete().deleted_count == 1
    assert (Story.find().count(), Review.find().count()) == (0, 0)
    assert [each.stories for each in Shelf.find()] == [[], []]
    assert Author.delete_all().deleted_count == 0
    assert bob.delete().deleted_count == 0


def test_rules_hold_for_bare_ids_and_deletions_of_queries(stories: Any, database: Any) -> None:
    for story in database["Story"].find():
        database["Story"].update_one({"_id": story["_id"]}, {"$set": {"author": story["author"].id}})
    for shelf in database["Shelf"].find():
        ids = [each.id for each in shelf["stories"]]
        database["Shelf"].update_one({"_id": shelf["_id"]}, {"$set": {"stories": ids}})
    assert Author.find(Author.name == "Ada").delete_one().deleted_count == 1
    assert Story.find().count() == 2
    assert [len(each.stories) for each in Shelf.find()] == [2, 2]
    assert Author.find(with_children=True).count() == 2
    with pytest.raises(StillLinked):
        Author.find(with_children=True).delete()
    assert Author.find(with_children=True).count() == 2
    assert Story.find().count() == 2


def test_deletions_that_cannot_follow_rules_are_refused(stories: Any) -> None:
    ada, *_ = stories
    with pytest.raises(data_bridge.InvalidQuery, match="delete rules"):
        Author.find().find_one_and_delete()
    bulk = Author.bulk_writer()
    with pytest.raises(data_bridge.InvalidQuery, match="delete rules"):
        bulk.delete(ada)


RULES_WITHOUT_EFFECT: list[tuple[Any, Any, OnDelete, str]] = [
    (Document, int, OnDelete.CASCADE, "for a Link or a list of Links"),
    (Document, dict[str, Link[Author]], OnDelete.DENY, "for a Link or a list of Links"),
    (Document, dict[str, Link[Author]], OnDelete.CASCADE, "for a Link or a list of Links"),
    (Document, list[list[Link[Author]]], OnDelete.PULL, "for a Link or a list of Links"),
    (Document, list[dict[str, Link[Author]]], OnDelete.PULL, "for a Link or a list of Links"),
    (Document, tuple[Link[Author], int], OnDelete.DENY, "for a Link or a list of Links"),
    (Document, Link[Author], OnDelete.PULL, "PULL is for a list of Links"),
    # The document would have no link, which its annotation does not allow.
    (Document, Link[Author], OnDelete.NULLIFY, r"write Link\[Author\] \| None"),
    (Document, list[Link[Author]], OnDelete.NULLIFY, "NULLIFY removes the link"),
    (AsyncDocument, Link[Author], OnDelete.NULLIFY, "NULLIFY removes the link"),
    (EmbeddedDocument, Link[Author], OnDelete.DENY, "declare the link in the Document"),
    (EmbeddedDocument, list[Link[Author]], OnDelete.CASCADE, "declare the link in the Document"),
    (odm.View, Link[Author], OnDelete.CASCADE, "declare the link in the Document"),
    (odm.AsyncView, Link[Author], OnDelete.CASCADE, "declare the link in the Document"),
]


@pytest.mark.parametrize(("base", "annotation", "rule", "message"), RULES_WITHOUT_EFFECT)
def test_a_rule_without_effect_is_refused_in_the_class_statement(
    base: Any, annotation: Any, rule: OnDelete, message: str
) -> None:
    with pytest.raises(TypeError, match=f"Made.*link.*{message}"):
        type(base)("Made", (base,), {"__annotations__": {"link": annotation}, "link": Field(delete_rule=rule)})


def test_a_rule_of_a_document_that_is_embedded_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"Shelf\.stories: Story\.author has a delete_rule: it has no effect in an embedded"
    ):

        class Shelf(Document):
            stories: list[Story] = []


def test_a_rule_of_a_class_that_is_defined_later_is_refused_by_init(ours: data_bridge.Database) -> None:
    class Owned(Document):
        owner: Link[LaterOwner] = Field(delete_rule=OnDelete.NULLIFY)

    class LaterOwner(Document):
        pass

    with pytest.raises(TypeError, match=r"Owned\.owner: the delete_rule NULLIFY removes the link"):
        odm.init(ours, [LaterOwner, Owned])


def test_optional_lists_of_links_have_rules(ours: data_bridge.Database, database: Any) -> None:
    class Person(Document):
        name: str

    class Team(Document):
        authors: list[Link[Person]] | None = Field(default=None, delete_rule=OnDelete.PULL)

    odm.init(ours, [Person, Team])
    one, other = Person(name="one").insert(), Person(name="other").insert()
    Team(authors=[one, other]).insert()
    Team().insert()
    one.delete()
    assert [team.authors and [each.id for each in team.authors] for team in Team.find().sort("_id")] == [
        [other.id],
        None,
    ]


async def test_rules_of_async_models(mongodb_uri: str, database: Any) -> None:
    class AsyncAuthor(AsyncDocument):
        name: str

    class AsyncStory(AsyncDocument):
        author: Link[AsyncAuthor] = Field(delete_rule=OnDelete.CASCADE)

    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [AsyncAuthor, AsyncStory])
        author: Any = await AsyncAuthor(name="a").insert()
        await AsyncStory(author=author).insert()
        await author.delete()
        assert await AsyncStory.find().count() == 0


def test_documents_put_into_a_list_of_links(houses: Any) -> None:
    """As Beanie's users do: `house.windows.append(Window(...))`, then a write or a fetch."""
    house = House.find_one(House.height == 1)
    assert house is not None
    house.windows.append(Window(x=77))
    stored = Window(x=78).insert()
    house.windows.append(stored)
    house.save(link_rule=WriteRules.WRITE)
    assert [each.id is not None for each in house.windows] == [True] * 4
    assert Window.find(Window.x == 77).count() == 1
    assert houses["House"].find_one({"height": 1})["windows"][3] == DBRef("Window", stored.id)
    house.windows[0] = Window.get(house.windows[0].id)
    house.fetch_all_links()
    assert [each.x for each in house.windows] == [10, 11, 77, 78]
    house.windows[1] = house.windows[1].fetch()
    house.save()
    assert [each.x for each in House.find(House.height == 1, fetch_links=True).to_list()[0].windows] == [10, 11, 77, 78]


class Shown(pydantic.BaseModel):
    door: Link[Door]
    windows: list[Link[Window]] = []
    owner: Link[Person] | None = None


def test_links_in_models_of_pydantic(houses: Any) -> None:
    house = House.find(House.height == 2).fetch_links().to_list()[0]
    shown = Shown(door=house.door, windows=[Link(Window, house.windows[0].id)])
    assert shown.model_dump(mode="json")["door"]["t"] == 2
    assert shown.model_dump(mode="json")["windows"] == [str(house.windows[0].id)]
    read = Shown.model_validate_json(f'{{"door": "{house.door.id}"}}')
    assert read.door == house.door
    assert isinstance(read.door, Link)
    assert Shown.model_json_schema()["properties"]["windows"]["type"] == "array"
    with pytest.raises(pydantic.ValidationError, match="door"):
        Shown(door="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a BackLink is no field of a pydantic model"):
        pydantic.create_model("Refused", owners=BackLink[Person])
