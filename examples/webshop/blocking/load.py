"""Models get their collections, and the collections their documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from data_bridge import MongoClient
from data_bridge.odm import Document, init

from .. import data
from .models import SHOP, AuditEntry, Book, Customer, Garment, Order, Product, Review, Supplier

D = TypeVar("D", bound=Document)
AT_ONCE = 5_000
"""Documents that are made and sent together, which bounds the memory."""


def open_shop(client: MongoClient, name: str) -> None:
    """Bind the models and make their indexes. Some models live in another database, as they could on another server."""
    init(client[name], SHOP)
    init(client[f"{name}_audit"], [AuditEntry])


def empty(client: MongoClient, name: str) -> None:
    """Remove what an earlier run left."""
    for model in SHOP:
        model.delete_all()
    # The root of a tree of models stands for documents of its own; this is for all of them.
    Product.find().with_children().delete()
    AuditEntry.delete_all()
    client[f"{name}_archive"]["orders"].delete_many({})


def load(count: int) -> data.Sizes:
    """Insert `count` documents, thousands at a time."""
    sizes = data.Sizes.of(count)
    insert(Supplier, (Supplier(**each) for each in data.suppliers(sizes)))
    insert(Product, (product_of(each) for each in data.products(sizes)))
    insert(Customer, (Customer(**each) for each in data.customers(sizes)))
    insert(Order, (Order(**each) for each in data.orders(sizes)))
    insert(Review, (Review(**each) for each in data.reviews(sizes)))
    return sizes


def insert(model: type[D], instances: Iterable[D]) -> None:
    """Insert any number of instances, a bounded number at a time."""
    for batch in batches(instances):
        model.insert_many(batch, ordered=False)


def product_of(values: dict[str, Any]) -> Product:
    """A product of the class that its values ask for."""
    if "author" in values:
        return Book(**values)
    return Garment(**values) if "size" in values else Product(**values)


def batches(instances: Iterable[D]) -> Iterator[list[D]]:
    """Lists of AT_ONCE instances."""
    rest = iter(instances)
    while batch := list(islice(rest, AT_ONCE)):
        yield batch
