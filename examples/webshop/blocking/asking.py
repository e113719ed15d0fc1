"""What the shop asks for: documents, parts of documents, figures, and what links refer to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from data_bridge.odm import path
from data_bridge.odm.operators import ElemMatch, Eq, Exists, In, Ne, RegEx, Size

from ..values import CustomerCard, Line, ProductSales, Status
from .models import Book, Customer, Garment, Order, Product, Review, Supplier


def best_customers(city: str, count: int) -> list[Customer]:
    """Conditions, an order and a limit. `path` is for type checkers: `home` may be None, and is meant as a field."""
    rich = Customer.find(path(Customer.home).city == city, Customer.points > 500)
    return rich.sort(-Customer.points, "id").limit(count).to_list()


def page_of_orders(status: Status, number: int, size: int = 20) -> list[Order]:
    """One page of a list."""
    return Order.find(Order.status == status).sort("-placed").skip(number * size).limit(size).to_list()


def customer_cards(city: str) -> list[CustomerCard]:
    """Read two values of each document, as a model of their own."""
    return Customer.find(path(Customer.home).city == city).sort("name", "id").project(CustomerCard).to_list()


def titles(count: int) -> list[str]:
    """Read single keys, without a model: plain documents."""
    cheapest = Product.find_all().with_children().sort("price", "id").limit(count)
    return [each["title"] for each in cheapest.project([Product.title]).to_list()]


def find_by_email(email: str) -> Customer | None:
    """One document, or None."""
    return Customer.find_one(Customer.email == email)


def customer_of(id: UUID) -> Customer | None:
    """One document by its `_id`."""
    return Customer.get(id)


def latest_order(customer: Customer) -> Order | None:
    """The first one of an order."""
    return Order.find(Order.customer.id == customer.id).sort("-placed").first_or_none()


def total_of_lines() -> Decimal:
    """Walk through all orders in bounded memory, however many there are."""
    total = Decimal(0)
    for order in Order.find():
        for line in order.lines:
            total += line.price * line.quantity
    return total


def how_many() -> dict[str, int]:
    """Counts, by the server."""
    much = ElemMatch(Order.lines, Line.quantity >= 3, Line.price > Decimal(150))
    cheap_or_gone = (Product.price < Decimal(10)) | (Product.stock == 0)
    return {
        "orders": Order.count(),
        "open": Order.find(In(Order.status, [Status.PLACED, Status.PAID])).count(),
        "with a note": Order.find(Ne(Order.note, None)).count(),
        "of two lines": Order.find(Size(Order.lines, 2)).count(),
        "of much of one thing": Order.find(much).count(),
        "without a home": Customer.find(Eq(Customer.home, None)).count(),
        "with work in Oslo": Customer.find(Customer.addresses["work"].city == "Oslo").count(),
        "without an answer": Customer.find(Exists(Customer.newsletter, False)).count(),
        "kettles": Product.find(RegEx(Product.title, "^KETTLE", "i")).with_children().count(),
        "cheap or gone": Product.find(cheap_or_gone).with_children().count(),
    }


def is_sold_out(product_id: str) -> bool:
    """Whether there is such a document; the server sends one `_id` at most."""
    return Product.find(Product.id == product_id, Product.stock == 0).with_children().exists()


def countries() -> list[str]:
    """The different values of a field."""
    return Supplier.distinct(Supplier.country)


def figures() -> dict[str, Any]:
    """One figure of many documents."""
    paid = Order.find(Order.status == Status.PAID)
    return {
        "turnover": paid.sum(Order.total),
        "mean": paid.avg(Order.total),
        "first": paid.min(Order.placed),
        "last": paid.max(Order.placed),
    }


def classes_of_products() -> dict[str, int]:
    """A model reads its own documents; with children also those of derived classes, each as what it is."""
    counts = {
        "products that are nothing else": Product.find().count(),
        "books": Book.count(),
        "garments": Garment.count(),
        "instances of Book": 0,
    }
    for product in Product.find().with_children():
        if isinstance(product, Book):
            counts["instances of Book"] += 1
    return counts


def reviews_with_names(product_id: str) -> list[str]:
    """Follow links: one query for all products, and one for all customers, however many reviews there are."""
    reviews = Review.find(Review.product.id == product_id).sort("id").fetch_links().to_list()
    return [f"{each.stars} stars for {each.product.title} from {each.customer.name}" for each in reviews]


def suppliers_with_products(country: str) -> dict[str, list[str]]:
    """Follow links from the other end."""
    suppliers = Supplier.find(Supplier.country == country, fetch_links=True).to_list()
    return {each.name: sorted(product.id for product in each.products) for each in suppliers}


def supplier_of(product: Product) -> Supplier:
    """Follow a single link."""
    supplier: Supplier | None = product.supplier.fetch()
    if supplier is None:
        raise LookupError(f"the supplier of {product.id} is gone")
    return supplier


def best_sellers(count: int) -> list[ProductSales]:
    """Aggregate on the server; the rows become instances of a model."""
    return ProductSales.from_arrow(Order.aggregate(sales(count)).read())


def sales(count: int) -> list[dict[str, Any]]:
    """The pipeline: what was sold of each product, the most valuable first."""
    turnover = {"$multiply": ["$lines.price", "$lines.quantity"]}
    sums = {"_id": "$lines.product", "sold": {"$sum": "$lines.quantity"}, "turnover": {"$sum": turnover}}
    return [{"$unwind": "$lines"}, {"$group": sums}, {"$sort": {"turnover": -1, "_id": 1}}, {"$limit": count}]


def latest_review() -> list[dict[str, Any]]:
    """The same without a model: documents as PyMongo gives them."""
    return Review.aggregate([{"$sort": {"_id": -1}}, {"$limit": 1}, {"$project": {"stars": 1}}]).to_dicts()
