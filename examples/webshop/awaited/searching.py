"""What else a shop looks for: places, words, numbers, parts of lists; and what it hands to code without models."""

from __future__ import annotations

import copy
import pickle

from data_bridge import AsyncMongoClient, DeleteOne, InsertOne
from data_bridge.odm import trusted
from data_bridge.odm.operators import All, BitsAllSet, Expr, GeoWithin, Mod, Near, NotIn, Text, Type

from ..values import Receipt, Status
from .models import Customer, Order, Product, Supplier

IBERIA = [[[-10.0, 36.0], [4.0, 36.0], [4.0, 44.0], [-10.0, 44.0], [-10.0, 36.0]]]
TWO_LINES = "this.lines.length == 2"


async def nearest_suppliers(longitude: float, latitude: float, kilometres: float) -> list[Supplier]:
    """Nearest first."""
    near = Near(Supplier.place, longitude, latitude, max_distance=kilometres * 1000)
    return await Supplier.find(near).to_list()


async def more_counts() -> dict[str, int]:
    """Conditions that are no comparisons. The server is given five seconds for each."""
    on_sale = Product.find(All(Product.tags, ["sale", "gift"]), timeout=5).with_children()
    left_open = NotIn(Order.status, [Status.SHIPPED, Status.CANCELLED])
    return {
        "suppliers in Iberia": await Supplier.find(GeoWithin(Supplier.place, "Polygon", IBERIA), timeout=5).count(),
        "teapots": await Product.find(Text("teapot"), timeout=5).with_children().count(),
        "gifts on sale": await on_sale.count(),
        "left open": await Order.find(left_open, timeout=5).count(),
        "with a note that is text": await Order.find(Type(Order.note, "string"), timeout=5).count(),
        "every seventh": await Order.find(Mod(Order.id, 7, 0), timeout=5).count(),
        "odd points": await Customer.find(BitsAllSet(Customer.points, [0]), timeout=5).count(),
        "worth more than their first line": await Order.find(
            Expr({"$gt": ["$total", {"$first": "$lines.price"}]}), timeout=5
        ).count(),
    }


async def of_two_lines(below: int) -> list[int]:
    """Code that runs on the server is refused, unless its author vouches for it; never let it come from outside."""
    orders = Order.find(Order.id < below, trusted({"$where": TWO_LINES})).sort("id")
    return [order.id for order in await orders.to_list()]


async def receipts(status: Status, count: int) -> list[Receipt]:
    """Instances of a dataclass, made in bulk. Classes of pydantic, attrs and msgspec are made by their libraries."""
    return await Order.find(Order.status == status).sort("id").limit(count).to_models(Receipt)


def park(order: Order) -> bytes:
    """An instance as bytes, with what was changed and not saved: for a queue, or another process."""
    parked = copy.deepcopy(order)
    parked.note = "parked"
    return pickle.dumps(parked)


async def fetch_parked(parked: bytes) -> Order:
    """What another process does with it: it saves what was changed, and nothing else."""
    order: Order = pickle.loads(parked)
    return await order.save()


async def write_without_models(client: AsyncMongoClient, name: str) -> dict[str, int]:
    """The collections below: PyMongo's names, for everything."""
    pages = client[name]["page_counts"]
    await pages.insert_one({"page": "/a", "count": 1})
    await pages.insert_many([{"page": "/b", "count": 2}, {"page": "/c", "count": 3}])
    changed = (await pages.update_many({"page": {"$in": ["/a", "/b"]}}, {"$inc": {"count": 10}})).modified_count
    replaced = (await pages.replace_one({"page": "/c"}, {"page": "/c", "count": 0})).modified_count
    before = await pages.find_one_and_update({"page": "/a"}, {"$set": {"count": 5}})
    done = await pages.bulk_write([InsertOne({"page": "/d", "count": 4}), DeleteOne({"page": "/b"})])
    gone = (await pages.delete_one({"page": "/a"})).deleted_count
    gone += (await pages.delete_many({"page": {"$in": ["/c", "/d"]}})).deleted_count
    return {
        "changed": changed,
        "replaced": replaced,
        "before": 0 if before is None else before["count"],
        "in bulk": done.inserted_count + done.deleted_count,
        "gone": gone,
    }
