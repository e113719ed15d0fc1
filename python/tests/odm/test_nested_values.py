"""Embedded values of three levels: kept on first access, changed in place, saved, and read by several threads."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, Document, EmbeddedDocument, ValidationError
from data_bridge.odm import operators as op
from data_bridge.odm.models import diff

COUNT = 10_000


class Part(EmbeddedDocument):
    name: str
    weights: list[float] = []


class Item(EmbeddedDocument):
    name: str
    price: float = 0.0
    part: Part | None = None
    parts: list[Part] = []
    by_name: dict[str, Part] = {}


class Basket(EmbeddedDocument):
    label: str
    items: list[Item] = []


class Order(Document):
    id: int
    basket: Basket
    items: list[Item] = []
    maybe: list[Item] | None = None
    pairs: tuple[Item, ...] = ()

    class Settings:
        name = "orders"


class Guarded(Document):
    items: list[Item] = []

    class Settings:
        name = "orders"
        use_revision = True


class AsyncOrder(AsyncDocument):
    items: list[Item] = []

    class Settings:
        name = "orders"


def part(name: str) -> dict[str, Any]:
    return {"name": name, "weights": [1.0, 2.0]}


def item(name: str) -> dict[str, Any]:
    # In another order than the model declares.
    return {
        "price": 1.5,
        "name": name,
        "part": part("p"),
        "parts": [part("a"), part("b")],
        "by_name": {"x": part("x")},
        "unknown": 1,
    }


@pytest.fixture
def orders(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Order, Guarded])
    return database["orders"]


def stored(orders: Any, count: int = 8) -> Order:
    items = [item(str(number)) for number in range(count)]
    orders.insert_one(
        {"_id": 1, "basket": {"label": "l", "items": items}, "items": items, "pairs": items, "maybe": items}
    )
    order = Order.get(1)
    assert order is not None
    return order


@pytest.fixture
def sent(database: Any) -> Iterator[Callable[[], list[Any]]]:
    """Return a function that gives the updates that the server was sent, as pairs of filter and update."""
    database.command("profile", 2)

    def updates() -> list[Any]:
        database.command("profile", 0)
        found = [
            (each["command"]["q"], each["command"]["u"]) for each in database["system.profile"].find({"op": "update"})
        ]
        database["system.profile"].drop()
        database.command("profile", 2)
        return found

    yield updates
    database.command("profile", 0)


CHANGES: dict[str, tuple[Callable[[Order], Any], str, Any]] = {
    "field of an item": (lambda order: setattr(order.items[3], "price", 9.5), "items.3.price", 9.5),
    "field of an item's part": (
        lambda order: setattr(order.items[3].part, "name", "new"),
        "items.3.part.name",
        "new",
    ),
    "item of a list three levels down": (
        lambda order: order.items[3].parts[1].weights.append(3.0),
        "items.3.parts.1.weights",
        [1.0, 2.0, 3.0],
    ),
    "value of a dict": (
        lambda order: setattr(order.items[3].by_name["x"], "name", "new"),
        "items.3.by_name.x.name",
        "new",
    ),
    "within an embedded model": (
        lambda order: setattr(order.basket.items[3].parts[0], "name", "new"),
        "basket.items.3.parts.0.name",
        "new",
    ),
    "of an optional list": (lambda order: setattr(order.maybe[3], "name", "new"), "maybe.3.name", "new"),  # type: ignore[index]
    "of a tuple": (lambda order: setattr(order.pairs[3], "name", "new"), "pairs.3.name", "new"),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("read_all", [False, True])
def test_a_change_in_place_is_saved(orders: Any, name: str, read_all: bool) -> None:
    change, path, value = CHANGES[name]
    order = stored(orders)
    if read_all:
        repr(order)
    before = orders.find_one()
    change(order)
    order.save()
    expected = copy.deepcopy(before)
    place = expected
    *above, last = path.split(".")
    for step in above:
        place = place[int(step)] if isinstance(place, list) else place[step]
    assert place[last] != value
    place[last] = value
    assert orders.find_one() == expected
    assert diff.difference(order) == ({}, {})
    assert Order.get(1) == order


def test_reading_is_no_change(orders: Any) -> None:
    order = stored(orders)
    repr(order)
    assert diff.difference(order) == ({}, {})
    assert order.items[2] is order.items[2]
    assert order.items[2].parts[1] is order.items[2].parts[1]
    assert order.items[2].by_name["x"] is order.items[2].by_name["x"]
    assert order.basket.items[0].part is order.basket.items[0].part


def test_one_of_many_items_is_saved_as_one_set_of_it(orders: Any, sent: Any) -> None:
    order = stored(orders, COUNT)
    assert sum(each.price for each in order.items) == 1.5 * COUNT
    order.items[COUNT // 2].price = 7.0
    sent()
    order.save()
    ((found_by, update),) = sent()
    changed = f"items.{COUNT // 2}"
    assert found_by.keys() == {"_id", changed}
    assert update.keys() == {"$set"}
    assert update["$set"] == {changed: item(str(COUNT // 2)) | {"price": 7.0}}
    found = orders.find_one()["items"]
    assert [position for position, each in enumerate(found) if each != item(str(position))] == [COUNT // 2]
    # The instance reads the written document: nothing is left to save, and the next change is sent alone as well.
    order.save()
    assert sent() == []
    order.items[7].parts[1].name = "later"
    order.save()
    ((_, update),) = sent()
    assert list(update["$set"]) == ["items.7"]
    assert orders.find_one()["items"][7]["parts"][1]["name"] == "later"


def test_other_changes_are_sent_in_the_same_update(orders: Any, sent: Any) -> None:
    order = stored(orders)
    order.items[1].price = 2.0
    order.basket.label = "new"
    order.maybe = None
    sent()
    order.save()
    ((_, update),) = sent()
    assert update["$set"].keys() == {"items.1", "basket.label", "maybe"}


@pytest.mark.parametrize(
    "change",
    [
        lambda items: items.pop(),
        lambda items: items.append(Item(name="new")),
        lambda items: items.reverse(),
        lambda items: items.sort(key=lambda each: each.name, reverse=True),
        lambda items: items.clear(),
        lambda items: [setattr(each, "price", 3.0) for each in items],
        lambda items: items.__setitem__(slice(0, 2), [items[1], items[0]]),
        lambda items: items.__setitem__(3, Item(name="another")),
        lambda items: items.__setitem__(3, copy.deepcopy(items[4])),
    ],
)
def test_changes_of_lists(orders: Any, change: Callable[[list[Item]], Any]) -> None:
    order = stored(orders)
    change(order.items)
    order.save()
    assert Order.get(1) == order
    assert diff.difference(order) == ({}, {})


def test_items_that_another_writer_moved_are_saved_as_a_whole(orders: Any, sent: Any) -> None:
    order = stored(orders)
    order.items[3].price = 7.0
    orders.update_one({}, {"$push": {"items": {"$each": [item("first")], "$position": 0}}})
    sent()
    order.save()
    assert [list(update["$set"]) for _, update in sent()] == [["items.3"], ["items"]]
    assert [each["name"] for each in orders.find_one()["items"]] == [str(number) for number in range(8)]
    assert orders.find_one()["items"][3]["price"] == 7.0


def test_items_that_another_writer_changed_elsewhere_remain(orders: Any) -> None:
    order = stored(orders)
    order.items[3].price = 7.0
    orders.update_one({}, {"$set": {"items.5.price": 8.0}})
    order.save()
    assert [each["price"] for each in orders.find_one()["items"]] == [1.5, 1.5, 1.5, 7.0, 1.5, 8.0, 1.5, 1.5]


def test_a_document_that_was_deleted(orders: Any) -> None:
    order = stored(orders)
    order.items[3].price = 7.0
    orders.delete_one({})
    with pytest.raises(odm.DocumentNotFound):
        order.save()
    assert orders.find_one() is None
    assert order.items[3].price == 7.0


def test_revisions_count_for_items(orders: Any) -> None:
    Guarded(items=[Item(name=str(number)) for number in range(8)]).insert()
    one, other = Guarded.find_one(), Guarded.find_one()
    assert one is not None
    assert other is not None
    one.items[3].price = 7.0
    one.save()
    other.items[5].price = 8.0
    with pytest.raises(odm.RevisionConflict):
        other.save()
    assert Guarded.find_one() == one


def test_a_bulk_writer_saves_items(orders: Any) -> None:
    order = stored(orders)
    order.items[3].price = 7.0
    with Order.bulk_writer() as bulk:
        bulk.save(order)
    assert Order.get(1) == order


async def test_awaited_saves_of_items(mongodb_uri: str, database: Any) -> None:
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [AsyncOrder])
        await AsyncOrder(items=[Item(name=str(number)) for number in range(8)]).insert()
        order = await AsyncOrder.find_one()
        assert order is not None
        order.items[3].price = 7.0
        await order.save()
        assert [each["price"] for each in database["orders"].find_one()["items"]] == [0, 0, 0, 7, 0, 0, 0, 0]
        database["orders"].update_one({}, {"$pop": {"items": -1}})
        order.items[3].price = 8.0
        await order.save()
        assert len(database["orders"].find_one()["items"]) == 8
        assert await AsyncOrder.find_one() == order


def test_values_that_do_not_fit_name_their_place(orders: Any) -> None:
    bad = item("x") | {"parts": [part("a"), {"name": 5}]}
    orders.insert_one({"_id": 1, "basket": {"label": "l"}, "items": [item("0"), bad]})
    order = Order.get(1)
    assert order is not None
    assert order.items[1].parts[0].name == "a"
    with pytest.raises(ValidationError) as caught:
        _ = order.items[1].parts[1].name
    assert (caught.value.path, caught.value.id) == (("items", 1, "parts", 1, "name"), 1)
    order.items[0].price = 2.0
    order.save()
    assert orders.find_one()["items"][1] == bad


def test_an_update_after_reading_drops_kept_values(orders: Any) -> None:
    order = stored(orders)
    before = order.items
    order.update(op.Set({"items.3.price": 4.0}))
    assert order.items is not before
    assert order.items[3].price == 4.0


@pytest.mark.parametrize("copied", [copy.deepcopy, odm.detach, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_share_no_value(orders: Any, copied: Callable[[Any], Any]) -> None:
    order = stored(orders)
    order.items[3].parts[1].name = "mine"
    again = copied(order)
    assert again == order
    again.items[3].parts[1].name = "its own"
    assert order.items[3].parts[1].name == "mine"
    one = copied(order.items[3])
    assert one.parts[1].name == "mine"


def read_all(order: Order, start: threading.Barrier) -> list[Any]:
    start.wait()
    return [
        order.basket,
        order.items,
        *order.items,
        *(each.part for each in order.items),
        *(part for each in order.items for part in each.parts),
        *(each.by_name for each in order.items),
        *(each.parts for each in order.basket.items),
    ]


def test_threads_read_the_same_values(orders: Any) -> None:
    threads = 4
    with ThreadPoolExecutor(threads) as pool:
        for number in range(20):
            order = stored(orders) if number == 0 else Order.get(1)
            assert order is not None
            start = threading.Barrier(threads)
            first, *others = pool.map(lambda _: read_all(order, start), range(threads))  # noqa: B023
            for other in others:
                assert all(one is same for one, same in zip(first, other, strict=True))


def test_threads_change_different_values(orders: Any) -> None:
    threads = 4
    order = stored(orders, 40)
    start = threading.Barrier(threads)

    def change(thread: int) -> None:
        start.wait()
        for number in range(thread, 40, threads):
            order.items[number].parts[1].name = f"{number}"
            order.items[number].price = float(number)
            order.items[number].by_name["y"] = Part(name=f"{number}")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(change, range(threads)))
    order.save()
    for number, each in enumerate(orders.find_one()["items"]):
        assert (each["price"], each["parts"][1]["name"], each["by_name"]["y"]["name"]) == (
            number,
            f"{number}",
            f"{number}",
        )


class Node(EmbeddedDocument):
    name: str = ""
    nodes: list[Node] = []
    above: Node | None = None


class Loop(Document):
    node: Node = Node()
    anything: Any = None
    basket: Basket | None = None

    class Settings:
        name = "loops"


class Noted(EmbeddedDocument):
    __slots__ = ("note",)
    name: str = ""


class Slotted(Document):
    noted: list[Noted] = []

    class Settings:
        name = "loops"


def append_itself(loop: Loop) -> None:
    loop.node.nodes.append(loop.node)


def assign_above(loop: Loop) -> None:
    loop.node.nodes[0].above = loop.node


def hold_in_any(loop: Loop) -> None:
    loop.anything["loop"] = loop


def assign_any(loop: Loop) -> None:
    loop.anything = {"loop": loop}


@pytest.mark.parametrize("refer", [append_itself, assign_above, hold_in_any, assign_any])
def test_instances_that_refer_to_themselves_are_collected(
    ours: data_bridge.Database, database: Any, refer: Callable[[Loop], None]
) -> None:
    odm.init(ours, [Loop])
    database["loops"].insert_one({"node": {"name": "a", "nodes": [{"name": "b"}]}, "anything": {"a": 1}})
    loop = Loop.find_one()
    assert loop is not None
    refer(loop)
    kept = [weakref.ref(loop), weakref.ref(loop.node)]
    del loop
    gc.collect()
    assert [each() for each in kept] == [None, None]


def test_attributes_beside_fields_may_refer_to_anything(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Slotted])
    database["loops"].insert_one({"noted": [{"name": "a"}]})
    slotted = Slotted.find_one()
    assert slotted is not None
    slotted.noted[0].note = slotted
    kept = weakref.ref(slotted)
    del slotted
    gc.collect()
    assert kept() is None


def test_the_collector_visits_only_instances_that_may_refer_to_themselves(orders: Any) -> None:
    order = stored(orders)
    repr(order)
    values = [order, order.basket, order.items, *order.items, *(each.part for each in order.items)]
    assert not any(gc.is_tracked(each) for each in values)
    assert not any(gc.is_tracked(each.parts[0].weights) for each in order.items)
    order.basket.label = "new"
    assert gc.is_tracked(order.basket)
