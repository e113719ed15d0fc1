"""What the shop writes: customers, orders, stock."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import UUID

from data_bridge import BulkWriteResult, ClientSession, MongoClient, ReturnDocument, UpdateResult
from data_bridge.odm import Link, RevisionConflict, path
from data_bridge.odm.operators import AddToSet, Each, In, Inc, Pull, Push, Set, Unset

from ..values import Address, Happened, Line, Status
from .models import Customer, Order, PageCount, Product, Review


class OutOfStock(Exception):
    """There is less of a product than somebody wants."""


def register(id: UUID, name: str, email: str) -> Customer:
    """A new customer. `Customer.tidy` runs before it is inserted."""
    return Customer(id=id, name=name, email=email, joined=dt.date(2025, 1, 1)).insert()


def move_house(customer: Customer, street: str, city: str) -> None:
    """Change values where they are; `save` finds out what differs and sends that, not the document."""
    if customer.home is None:
        customer.home = Address(street=street, city=city)
    else:
        customer.home.street, customer.home.city = street, city
    customer.addresses["former"] = Address(street="unknown", city="unknown")
    customer.favourites.add("moving")
    customer.save()


def place_order(client: MongoClient, id: int, customer: Customer, cart: dict[str, int]) -> Order:
    """Take the products from the shelf and write the order: all of it, or nothing."""

    def work(session: ClientSession) -> Order:
        lines: list[Line] = []
        for product, quantity in cart.items():
            found = take(product, quantity, session)
            lines.append(Line(product=product, quantity=quantity, price=found.price))
        order = Order(id=id, customer=Link(customer), lines=lines, placed=dt.datetime(2025, 1, 1, 12))
        return order.insert(session=session)

    with client.start_session() as session:
        # Again from the start where another transaction was in the way.
        return session.with_transaction(work)


def take(product: str, quantity: int, session: ClientSession) -> Product:
    """Take some of a product, if there is as much; the product as it is now."""
    enough = Product.find(Product.id == product, Product.stock >= quantity, session=session).with_children()
    found = enough.find_one_and_update(Inc({Product.stock: -quantity}), return_document=ReturnDocument.AFTER)
    if found is None:
        raise OutOfStock(product)
    return found


def pay(order: Order, points: int) -> None:
    """Operators on one document, which is read again; and on a document that was not read at all."""
    paid = Happened(what=Status.PAID, at=dt.datetime(2025, 1, 1, 13))
    order.update(Set({Order.status: Status.PAID}), Push(Order.history, paid))
    Customer.find(Customer.id == order.customer.id).update_one(Inc({Customer.points: points}))


def start_sale(below: Decimal) -> UpdateResult:
    """Tag everything that is cheap, whatever class of product it is."""
    cheap = Product.find(Product.price < below).with_children()
    return cheap.update(AddToSet(Product.tags, Each(["sale", "cheap"])))


def end_sale() -> UpdateResult:
    """Remove a tag from all lists that hold it."""
    return Product.find(path(Product.tags) == "cheap").with_children().update(Pull(Product.tags, "cheap"))


def forget_newsletter_answers() -> UpdateResult:
    """Remove a key from all documents."""
    return Customer.update_all(Unset(Customer.newsletter))


def count_view(page: str) -> int:
    """Count one more, from the first one on; how many it was."""
    counted = PageCount.find(PageCount.page == page)
    counted.upsert(Inc({PageCount.count_: 1}), on_insert=PageCount(page=page, count=1))
    found = PageCount.find_one(PageCount.page == page)
    assert found is not None
    return found.count_


def restock(delivery: dict[str, int]) -> BulkWriteResult | None:
    """Change many documents, each in its own way, in one command."""
    wanted = Product.find(In(Product.id, list(delivery))).with_children()
    with Product.bulk_writer() as bulk:
        for product in wanted:
            product.stock += delivery[product.id]
            bulk.save(product)
    return bulk.result


def ship_next() -> Order | None:
    """The oldest paid order is on its way; the order as it is then. No two packers get the same one."""
    shipped = Happened(what=Status.SHIPPED, at=dt.datetime(2025, 1, 2))
    change = Set({Order.status: Status.SHIPPED}), Push(Order.history, shipped)
    waiting = Order.find(Order.status == Status.PAID).sort("placed")
    return waiting.find_one_and_update(*change, return_document=ReturnDocument.AFTER)


def rewrite_review(review: Review, stars: int) -> Review | None:
    """Another review in the place of one; the one that was there."""
    written = Review(id=review.id, product=review.product, customer=review.customer, stars=stars, text="Rewritten.")
    return Review.find(Review.id == review.id).find_one_and_replace(written)


def correct_order(order: Order, lines: list[Line]) -> Order:
    """Write a whole document: keys that the model does not know are gone, which has to be asked for."""
    order.lines = lines
    order.add_up()
    return order.replace(overwrite=True)


def drop_worst_review() -> Review | None:
    """Delete the first document of an order, and see what it was."""
    return Review.find(Review.stars == 1).sort("id").find_one_and_delete()


def withdraw(product: Product) -> int:
    """Delete a product with its reviews; the product's hook leaves a note in the audit database."""
    product.delete()
    return Review.delete_many(Review.product.id == product.id).deleted_count


def two_clerks(product_id: str) -> tuple[Product, str]:
    """Two clerks change one product. The second one is told, and changes what is there now."""
    first, second = get_product(product_id), get_product(product_id)
    first.stock -= 1
    first.save()
    second.price += 1
    try:
        second.save()
    except RevisionConflict as conflict:
        told = str(conflict)
        second.reload()
        second.price += 1
        second.save()
        return second, told
    raise AssertionError("the second clerk has overwritten what the first one did")


def get_product(product_id: str) -> Product:
    """The product of whatever class.

    Raises
    ------
    LookupError
        When there is none.
    """
    product = Product.get(product_id, with_children=True)
    if product is None:
        raise LookupError(product_id)
    return product
