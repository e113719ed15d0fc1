"""Queries: documents, projections, counts, aggregates, links."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from data_bridge.odm import path
from data_bridge.odm.operators import ElemMatch, Eq, Exists, In, Ne, RegEx, Size

from ..values import CustomerCard, Line, ProductSales, Status
from .models import Book, Customer, Garment, Order, Product, Review, Supplier


async def best_customers(city: str, count: int) -> list[Customer]:
    """Find with conditions, a sort and a limit. `path` is for type checkers, because `home` may be None."""
    rich = Customer.find(path(Customer.home).city == city, Customer.points > 500)
    return await rich.sort(-Customer.points, "id").limit(count).to_list()


async def page_of_orders(status: Status, number: int, size: int = 20) -> list[Order]:
    """Read one page of a list."""
    return await Order.find(Order.status == status).sort("-placed").skip(number * size).limit(size).to_list()


async def customer_cards(city: str) -> list[CustomerCard]:
    """Read two values of each document, as a model of their own."""
    return await Customer.find(path(Customer.home).city == city).sort("name", "id").project(CustomerCard).to_list()


async def titles(count: int) -> list[str]:
    """Read single keys, without a model: plain documents."""
    cheapest = Product.find_all().with_children().sort("price", "id").limit(count)
    return [each["title"] for each in await cheapest.project([Product.title]).to_list()]


async def find_by_email(email: str) -> Customer | None:
    """Read one document, or None."""
    return await Customer.find_one(Customer.email == email)


async def customer_of(id: UUID) -> Customer | None:
    """Read one document by its `_id`."""
    return await Customer.get(id)


async def latest_order(customer: Customer) -> Order | None:
    """Read the first document in sort order, or None."""
    return await Order.find(Order.customer.id == customer.id).sort("-placed").first_or_none()


async def total_of_lines() -> Decimal:
    """Iterate over all orders in bounded memory."""
    total = Decimal(0)
    async for order in Order.find():
        for line in order.lines:
            total += line.price * line.quantity
    return total


async def counts() -> dict[str, int]:
    """Count documents on the server."""
    much = ElemMatch(Order.lines, Line.quantity >= 3, Line.price > Decimal(150))
    cheap_or_gone = (Product.price < Decimal(10)) | (Product.stock == 0)
    return {
        "orders": await Order.count(),
        "open": await Order.find(In(Order.status, [Status.PLACED, Status.PAID])).count(),
        "with a note": await Order.find(Ne(Order.note, None)).count(),
        "of two lines": await Order.find(Size(Order.lines, 2)).count(),
        "of much of one thing": await Order.find(much).count(),
        "without a home": await Customer.find(Eq(Customer.home, None)).count(),
        "with work in Oslo": await Customer.find(Customer.addresses["work"].city == "Oslo").count(),
        "without an answer": await Customer.find(Exists(Customer.newsletter, False)).count(),
        "kettles": await Product.find(RegEx(Product.title, "^KETTLE", "i")).with_children().count(),
        "cheap or gone": await Product.find(cheap_or_gone).with_children().count(),
    }


async def is_sold_out(product_id: str) -> bool:
    """Return whether a document matches; the server sends at most one `_id`."""
    return await Product.find(Product.id == product_id, Product.stock == 0).with_children().exists()


async def countries() -> list[str]:
    """Read the distinct values of a field."""
    return await Supplier.distinct(Supplier.country)


async def figures() -> dict[str, Any]:
    """Calculate sums, averages and extremes on the server."""
    paid = Order.find(Order.status == Status.PAID)
    return {
        "turnover": await paid.sum(Order.total),
        "mean": await paid.avg(Order.total),
        "first": await paid.min(Order.placed),
        "last": await paid.max(Order.placed),
    }


async def classes_of_products() -> dict[str, int]:
    """Count by class. A model reads its own documents; `with_children` adds those of derived classes."""
    counts = {
        "products that are nothing else": await Product.find().count(),
        "books": await Book.count(),
        "garments": await Garment.count(),
        "instances of Book": 0,
    }
    async for product in Product.find().with_children():
        if isinstance(product, Book):
            counts["instances of Book"] += 1
    return counts


async def reviews_with_names(product_id: str) -> list[str]:
    """Follow links with one query for all products and one for all customers, independent of the number of reviews."""
    reviews = await Review.find(Review.product.id == product_id).sort("id").fetch_links().to_list()
    return [f"{each.stars} stars for {each.product.title} from {each.customer.name}" for each in reviews]


async def suppliers_with_products(country: str) -> dict[str, list[str]]:
    """Follow links from the other end."""
    suppliers = await Supplier.find(Supplier.country == country, fetch_links=True).to_list()
    return {each.name: sorted(product.id for product in each.products) for each in suppliers}


async def supplier_of(product: Product) -> Supplier:
    """Follow a single link."""
    supplier: Supplier | None = await product.supplier.fetch()
    if supplier is None:
        raise LookupError(f"the supplier of {product.id} is gone")
    return supplier


async def best_sellers(count: int) -> list[ProductSales]:
    """Aggregate on the server; the rows become instances of a model."""
    return ProductSales.from_arrow(await Order.aggregate(sales(count)).read())


def sales(count: int) -> list[dict[str, Any]]:
    """Return the pipeline of quantity and turnover per product, the highest turnover first."""
    turnover = {"$multiply": ["$lines.price", "$lines.quantity"]}
    sums = {"_id": "$lines.product", "sold": {"$sum": "$lines.quantity"}, "turnover": {"$sum": turnover}}
    return [{"$unwind": "$lines"}, {"$group": sums}, {"$sort": {"turnover": -1, "_id": 1}}, {"$limit": count}]


async def latest_review() -> list[dict[str, Any]]:
    """Aggregate without a model: the rows are dicts, as in PyMongo."""
    return await Review.aggregate([{"$sort": {"_id": -1}}, {"$limit": 1}, {"$project": {"stars": 1}}]).to_dicts()
