"""Connection of the models to collections, and the initial documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from data_bridge import AsyncMongoClient
from data_bridge.odm import AsyncDocument, init

from .. import data
from .models import SHOP, AuditEntry, Book, Customer, Garment, Order, Product, Review, Supplier

D = TypeVar("D", bound=AsyncDocument)
BATCH_SIZE = 5_000
"""Number of documents that are made and sent together, which bounds the memory."""


async def open_shop(client: AsyncMongoClient, name: str) -> None:
    """Bind the models and make their indexes. Some models live in another database, as they could on another server."""
    await init(client[name], SHOP)
    await init(client[f"{name}_audit"], [AuditEntry])


async def empty(client: AsyncMongoClient, name: str) -> None:
    """Remove the documents of an earlier run."""
    for model in SHOP:
        await model.delete_all()
    # `delete_all` of the root of a tree of models deletes only documents of the root class.
    await Product.find().with_children().delete()
    await AuditEntry.delete_all()
    await client[f"{name}_archive"]["orders"].delete_many({})


async def load(count: int) -> data.Sizes:
    """Insert `count` documents, thousands at a time."""
    sizes = data.Sizes.of(count)
    await insert(Supplier, (Supplier(**each) for each in data.suppliers(sizes)))
    await insert(Product, (product_of(each) for each in data.products(sizes)))
    await insert(Customer, (Customer(**each) for each in data.customers(sizes)))
    await insert(Order, (Order(**each) for each in data.orders(sizes)))
    await insert(Review, (Review(**each) for each in data.reviews(sizes)))
    return sizes


async def insert(model: type[D], instances: Iterable[D]) -> None:
    """Insert any number of instances, a bounded number at a time."""
    for batch in batches(instances):
        await model.insert_many(batch, ordered=False)


def product_of(values: dict[str, Any]) -> Product:
    """Return a product of the class that has these values."""
    if "author" in values:
        return Book(**values)
    return Garment(**values) if "size" in values else Product(**values)


def batches(instances: Iterable[D]) -> Iterator[list[D]]:
    """Yield lists of BATCH_SIZE instances."""
    rest = iter(instances)
    while batch := list(islice(rest, BATCH_SIZE)):
        yield batch
