"""Exchange with code that does not use models: dataclasses, pickles, and the collections below the models."""

from __future__ import annotations

import copy
import pickle

from data_bridge import AsyncMongoClient, DeleteOne, InsertOne

from ..values import Receipt, Status
from .models import Order


async def receipts(status: Status, count: int) -> list[Receipt]:
    """Read instances of a dataclass, made in bulk; classes of pydantic, attrs and msgspec also work."""
    return await Order.find(Order.status == status).sort("id").limit(count).to_models(Receipt)


def pickle_changed(order: Order) -> bytes:
    """Pickle an instance with its unsaved changes, for a queue or another process."""
    changed = copy.deepcopy(order)
    changed.note = "parked"
    return pickle.dumps(changed)


async def save_pickled(pickled: bytes) -> Order:
    """Save a pickled instance, for example in another process: only the changes are sent."""
    order: Order = pickle.loads(pickled)
    return await order.save()


async def write_without_models(client: AsyncMongoClient, name: str) -> dict[str, int]:
    """Write through the collection below a model, under PyMongo's names."""
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
