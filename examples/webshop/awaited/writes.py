"""Writes: customers, orders, stock; transactions, bulk writes and concurrent changes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import UUID

from data_bridge import AsyncClientSession, AsyncMongoClient, BulkWriteResult, ReturnDocument, UpdateResult
from data_bridge.odm import Link, RevisionConflict, path
from data_bridge.odm.operators import AddToSet, Each, In, Inc, Pull, Push, Set, Unset

from ..values import Address, Happened, Line, Status
from .models import Customer, Order, PageCount, Product, Review


class OutOfStock(Exception):
    """The stock of a product is smaller than the order."""


async def register(id: UUID, name: str, email: str) -> Customer:
    """Insert a new customer. `Customer.tidy` runs before the insert."""
    return await Customer(id=id, name=name, email=email, joined=dt.date(2025, 1, 1)).insert()


async def move_house(customer: Customer, street: str, city: str) -> None:
    """Change values in place; `save` sends only the changes, not the document."""
    if customer.home is None:
        customer.home = Address(street=street, city=city)
    else:
        customer.home.street, customer.home.city = street, city
    customer.addresses["former"] = Address(street="unknown", city="unknown")
    customer.favourites.add("moving")
    await customer.save()


async def place_order(client: AsyncMongoClient, id: int, customer: Customer, cart: dict[str, int]) -> Order:
    """Reduce the stock and insert the order in one transaction."""

    async def work(session: AsyncClientSession) -> Order:
        lines: list[Line] = []
        for product, quantity in cart.items():
            found = await take(product, quantity, session)
            lines.append(Line(product=product, quantity=quantity, price=found.price))
        order = Order(id=id, customer=Link(customer), lines=lines, placed=dt.datetime(2025, 1, 1, 12))
        return await order.insert(session=session)

    async with client.start_session() as session:
        # Called again if another transaction wrote the same documents.
        return await session.with_transaction(work)


async def take(product: str, quantity: int, session: AsyncClientSession) -> Product:
    """Reduce the stock of a product if it is large enough; return the updated product."""
    enough = Product.find(Product.id == product, Product.stock >= quantity, session=session).with_children()
    found = await enough.find_one_and_update(Inc({Product.stock: -quantity}), return_document=ReturnDocument.AFTER)
    if found is None:
        raise OutOfStock(product)
    return found


async def pay(order: Order, points: int) -> None:
    """Update one document, which is read again, and one that was not read, with operators."""
    paid = Happened(what=Status.PAID, at=dt.datetime(2025, 1, 1, 13))
    await order.update(Set({Order.status: Status.PAID}), Push(Order.history, paid))
    await Customer.find(Customer.id == order.customer.id).update_one(Inc({Customer.points: points}))


async def start_sale(below: Decimal) -> UpdateResult:
    """Tag cheap products of all classes."""
    cheap = Product.find(Product.price < below).with_children()
    return await cheap.update(AddToSet(Product.tags, Each(["sale", "cheap"])))


async def end_sale() -> UpdateResult:
    """Remove a tag from all lists."""
    return await Product.find(path(Product.tags) == "cheap").with_children().update(Pull(Product.tags, "cheap"))


async def remove_newsletter_answers() -> UpdateResult:
    """Remove a key from all documents."""
    return await Customer.update_all(Unset(Customer.newsletter))


async def count_view(page: str) -> int:
    """Increment a counter, or insert it with 1; return the count."""
    counted = PageCount.find(PageCount.page == page)
    await counted.upsert(Inc({PageCount.count_: 1}), on_insert=PageCount(page=page, count=1))
    found = await PageCount.find_one(PageCount.page == page)
    assert found is not None
    return found.count_


async def restock(delivery: dict[str, int]) -> BulkWriteResult | None:
    """Change many documents, each differently, in one command."""
    wanted = Product.find(In(Product.id, list(delivery))).with_children()
    async with Product.bulk_writer() as bulk:
        async for product in wanted:
            product.stock += delivery[product.id]
            bulk.save(product)
    return bulk.result


async def ship_next() -> Order | None:
    """Mark the oldest paid order as shipped and return it. The update is atomic, so each order is shipped once."""
    shipped = Happened(what=Status.SHIPPED, at=dt.datetime(2025, 1, 2))
    change = Set({Order.status: Status.SHIPPED}), Push(Order.history, shipped)
    waiting = Order.find(Order.status == Status.PAID).sort("placed")
    return await waiting.find_one_and_update(*change, return_document=ReturnDocument.AFTER)


async def rewrite_review(review: Review, stars: int) -> Review | None:
    """Replace a review; return the previous one."""
    written = Review(id=review.id, product=review.product, customer=review.customer, stars=stars, text="Rewritten.")
    return await Review.find(Review.id == review.id).find_one_and_replace(written)


async def correct_order(order: Order, lines: list[Line]) -> Order:
    """Write a whole document. `overwrite` permits the removal of keys that the model does not declare."""
    order.lines = lines
    order.add_up()
    return await order.replace(overwrite=True)


async def drop_worst_review() -> Review | None:
    """Delete the first document in sort order, and return it."""
    return await Review.find(Review.stars == 1).sort("id").find_one_and_delete()


async def withdraw(product: Product) -> int:
    """Delete a product with its reviews; the product's hook writes to the audit database."""
    await product.delete()
    return (await Review.delete_many(Review.product.id == product.id)).deleted_count


async def change_concurrently(product_id: str) -> tuple[Product, str]:
    """Save two instances of one product. The second save raises RevisionConflict, and succeeds after a reload."""
    first, second = await get_product(product_id), await get_product(product_id)
    first.stock -= 1
    await first.save()
    second.price += 1
    try:
        await second.save()
    except RevisionConflict as conflict:
        message = str(conflict)
        await second.reload()
        second.price += 1
        await second.save()
        return second, message
    raise AssertionError("the second save has overwritten the first one")


async def get_product(product_id: str) -> Product:
    """Read a product of any class.

    Raises
    ------
    LookupError
        If there is no such product.
    """
    product = await Product.get(product_id, with_children=True)
    if product is None:
        raise LookupError(product_id)
    return product
