"""Queries with operators that are not comparisons: places, text, numbers, parts of lists, JavaScript."""

from __future__ import annotations

from data_bridge.odm import trusted
from data_bridge.odm.operators import All, BitsAllSet, Expr, GeoWithin, Mod, Near, NotIn, Text, Type

from ..values import Status
from .models import Customer, Order, Product, Supplier

IBERIA = [[[-10.0, 36.0], [4.0, 36.0], [4.0, 44.0], [-10.0, 44.0], [-10.0, 36.0]]]
TWO_LINES = "this.lines.length == 2"


async def nearest_suppliers(longitude: float, latitude: float, kilometres: float) -> list[Supplier]:
    """Sort by distance: the nearest supplier is first."""
    near = Near(Supplier.place, longitude, latitude, max_distance=kilometres * 1000)
    return await Supplier.find(near).to_list()


async def more_counts() -> dict[str, int]:
    """Count with other conditions than comparisons, each with a timeout of five seconds."""
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
    """Run JavaScript on the server. It is refused unless it is marked as trusted; never mark user input."""
    orders = Order.find(Order.id < below, trusted({"$where": TWO_LINES})).sort("id")
    return [order.id for order in await orders.to_list()]
