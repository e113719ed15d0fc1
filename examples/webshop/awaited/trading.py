"""What the shop writes: customers, orders, stock."""

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
    """There is less of a product than somebody wants."""


async def register(id: UUID, name: str, email: str) -> Customer:
    """A new customer. `Customer.tidy` runs before it is inserted."""
    return await Customer(id=id, name=name, email=email, joined=dt.date(2025, 1, 1)).insert()


async def move_house(customer: Customer, street: str, city: str) -> None:
    """Change values where they are; `save` finds out what differs and sends that, not the document."""
    if customer.home is None:
        customer.home = Address(street=street, city=city)
    else:
        customer.home.street, customer.home.city = street, city
    customer.addresses["former"] = Address(street="unknown", city="unknown")
    customer.favourites.add("moving")
    await customer.save()


async def place_order(client: AsyncMongoClient, id: int, customer: Customer, cart: dict[str, int]) -> Order:
    """Take the products from the shelf and write the order: all of it, or nothing."""

    async def work(session: AsyncClientSession) -> Order:
        lines: list[Line] = []
        for product, quantity in cart.items():
            found = await take(product, quantity, session)
            lines.append(Line(product=product, quantity=quantity, price=found.price))
        order = Order(id=id, customer=Link(customer), lines=lines, placed=dt.datetime(2025, 1, 1, 12))
        return await order.insert(session=session)

    async with client.start_session() as session:
        # Again from the start where another transaction was in the way.
        return await session.with_transaction(work)


async def take(product: str, quantity: int, session: AsyncClientSession) -> Product:
    """Take some of a product, if there is as much; the product as it is now."""
    enough = Product.find(Product.id == product, Product.stock >= quantity, session=session).with_children()
    found = await enough.find_one_and_update(Inc({Product.stock: -quantity}), return_document=ReturnDocument.AFTER)
    if found is None:
        raise OutOfStock(product)
    return found


async def pay(order: Order, points: int) -> None:
    """Operators on one document, which is read again; and on a document that was not read at all."""
    paid = Happened(what=Status.PAID, at=dt.datetime(2025, 1, 1, 13))
    await order.update(Set({Order.status: Status.PAID}), Push(Order.history, paid))
    await Customer.find(Customer.id == order.customer.id).update_one(Inc({Customer.points: points}))


async def start_sale(below: Decimal) -> UpdateResult:
    """Tag everything that is cheap, whatever class of product it is."""
    cheap = Product.find(Product.price < below).with_children()
    return await cheap.update(AddToSet(Product.tags, Each(["sale", "cheap"])))


async def end_sale() -> UpdateResult:
    """Remove a tag from all lists that hold it."""
    return await Product.find(path(Product.tags) == "cheap").with_children().update(Pull(Product.tags, "cheap"))


async def forget_newsletter_answers() -> UpdateResult:
    """Remove a key from all documents."""
    return await Customer.update_all(Unset(Customer.newsletter))


async def count_view(page: str) -> int:
    """Count one more, from the first one on; how many it was."""
    counted = PageCount.find(PageCount.page == page)
    await counted.upsert(Inc({PageCount.count_: 1}), on_insert=PageCount(page=page, count=1))
    found = await PageCount.find_one(PageCount.page == page)
    assert found is not None
    return found.count_


async def restock(delivery: dict[str, int]) -> BulkWriteResult | None:
    """Change many documents, each in its own way, in one command."""
    wanted = Product.find(In(Product.id, list(delivery))).with_children()
    async with Product.bulk_writer() as bulk:
        async for product in wanted:
            product.stock += delivery[product.id]
            bulk.save(product)
    return bulk.result


async def ship_next() -> Order | None:
    """The oldest paid order is on its way; the order as it is then. No two packers get the same one."""
    shipped = Happened(what=Status.SHIPPED, at=dt.datetime(2025, 1, 2))
    change = Set({Order.status: Status.SHIPPED}), Push(Order.history, shipped)
    waiting = Order.find(Order.status == Status.PAID).sort("placed")
    return await waiting.find_one_and_update(*change, return_document=ReturnDocument.AFTER)


async def rewrite_review(review: Review, stars: int) -> Review | None:
    """Another review in the place of one; the one that was there."""
    written = Review(id=review.id, product=review.product, customer=review.customer, stars=stars, text="Rewritten.")
    return await Review.find(Review.id == review.id).find_one_and_replace(written)


async def correct_order(order: Order, lines: list[Line]) -> Order:
    """Write a whole document: keys that the model does not know are gone, which has to be asked for."""
    order.lines = lines
    order.add_up()
    return await order.replace(overwrite=True)


async def drop_worst_review() -> Review | None:
    """Delete the first document of an order, and see what it was."""
    return await Review.find(Review.stars == 1).sort("id").find_one_and_delete()


async def withdraw(product: Product) -> int:
    """Delete a product with its reviews; the product's hook leaves a note in the audit database."""
    await product.delete()
    return (await Review.delete_many(Review.product.id == product.id)).deleted_count


async def two_clerks(product_id: str) -> tuple[Product, str]:
    """Two clerks change one product. The second one is told, and changes what is there now."""
    first, second = await get_product(product_id), await get_product(product_id)
    first.stock -= 1
    await first.save()
    second.price += 1
    try:
        await second.save()
    except RevisionConflict as conflict:
        told = str(conflict)
        await second.reload()
        second.price += 1
        await second.save()
        return second, told
    raise AssertionError("the second clerk has overwritten what the first one did")


async def get_product(product_id: str) -> Product:
    """The product of whatever class.

    Raises
    ------
    LookupError
        When there is none.
    """
    product = await Product.get(product_id, with_children=True)
    if product is None:
        raise LookupError(product_id)
    return product
