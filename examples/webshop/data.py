"""The values of the shop's documents: deterministic, equal counts give equal documents."""

from __future__ import annotations

import datetime as dt
import functools
import random
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from bson import ObjectId

from .values import Address, Happened, Line, Point, Size, Status

CITIES = [("Oslo", "NO"), ("Bergen", "NO"), ("Lisbon", "PT"), ("Kraków", "PL"), ("São Paulo", "BR"), ("東京", "JP")]
PLACES = [(10.75, 59.91), (5.32, 60.39), (-9.14, 38.72), (19.94, 50.06), (-46.63, -23.55), (139.69, 35.69)]
NAMES = ["Ada", "Bram", "Chiara", "Daniel", "Elif", "Farid", "Grace", "Hana", "Igor", "Joana", "Kofi", "Lena"]
THINGS = ["kettle", "desk lamp", "notebook", "rain jacket", "teapot", "chess set", "bicycle bell"]
TAGS = ["new", "sale", "gift", "fragile"]
OPENED = dt.datetime(2024, 1, 1)
CUSTOMERS = uuid.UUID("6f0f3f0e-8a55-4c6e-9a3f-0d2a6f0f7c11")


class Sizes(NamedTuple):
    """Number of documents of each kind."""

    suppliers: int
    products: int
    customers: int
    orders: int
    reviews: int

    @classmethod
    def of(cls, count: int) -> Sizes:
        """Return sizes of `count` documents in total, at least 100."""
        count = max(count, 100)
        suppliers, products, customers, orders = max(count // 2000, len(CITIES)), count // 50, count // 10, count // 5
        return cls(suppliers, products, customers, orders, count - suppliers - products - customers - orders)


def object_id(kind: int, number: int) -> ObjectId:
    return ObjectId(kind.to_bytes(4, "big") + number.to_bytes(8, "big"))


@functools.cache
def customer_id(number: int) -> uuid.UUID:
    return uuid.uuid5(CUSTOMERS, str(number))


def product_id(number: int) -> str:
    return f"{'BGP'[number % 3]}-{number:05}"


def suppliers(sizes: Sizes) -> Iterator[dict[str, Any]]:
    for number in range(sizes.suppliers):
        city, country = CITIES[number % len(CITIES)]
        place = Point(coordinates=PLACES[number % len(CITIES)])
        yield {"id": object_id(1, number), "name": f"{city} Trade {number}", "country": country, "place": place}


def products(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Every third product is a book, with `pages`, and every third a garment, with `size`."""
    rng = random.Random(1)
    for number in range(sizes.products):
        values: dict[str, Any] = {
            "id": product_id(number),
            "title": f"{THINGS[number % len(THINGS)]} {number}",
            "price": Decimal(rng.randrange(199, 19_999)) / 100,
            "stock": rng.randrange(200),
            "tags": rng.sample(TAGS, rng.randrange(3)),
            "supplier": object_id(1, rng.randrange(sizes.suppliers)),
        }
        if number % 3 == 0:
            values |= {"author": NAMES[number % len(NAMES)], "pages": rng.choice([None, 120, 340])}
        elif number % 3 == 1:
            values |= {"size": rng.choice(list(Size)), "colors": rng.sample(["red", "blue", "black"], 2)}
        else:
            values["measures"] = {"weight": round(rng.uniform(0.1, 12), 2)}
        yield values


def customers(sizes: Sizes) -> Iterator[dict[str, Any]]:
    rng = random.Random(2)
    for number in range(sizes.customers):
        name = NAMES[number % len(NAMES)]
        city, country = rng.choice(CITIES)
        home = Address(street=f"Harbour Road {number % 90}", city=city, country=country)
        yield {
            "id": customer_id(number),
            "name": name,
            "email": f"{name}.{number}@example.com",
            "points": rng.randrange(1000),
            "joined": OPENED.date() + dt.timedelta(days=rng.randrange(300)),
            "home": home if number % 10 else None,
            "addresses": {"work": Address(street="Main Street 1", city="Oslo")} if number % 5 == 0 else {},
            "favourites": set(rng.sample(TAGS, rng.randrange(2))),
            "newsletter": rng.choice([True, False, None]),
        }


def orders(sizes: Sizes) -> Iterator[dict[str, Any]]:
    rng = random.Random(3)
    statuses = [Status.PLACED, Status.PAID, Status.PAID, Status.SHIPPED, Status.SHIPPED, Status.CANCELLED]
    for number in range(sizes.orders):
        placed = OPENED + dt.timedelta(minutes=number * 20)
        lines = [
            Line(
                product=product_id(rng.randrange(sizes.products)),
                quantity=rng.randrange(1, 4),
                price=Decimal(rng.randrange(199, 19_999)) / 100,
            )
            for _ in range(rng.choice([1, 1, 2]))
        ]
        yield {
            "id": number,
            "customer": customer_id(rng.randrange(sizes.customers)),
            "lines": lines,
            "status": rng.choice(statuses),
            "placed": placed,
            "history": [Happened(what=Status.PLACED, at=placed)],
            "note": "leave it at the door" if number % 7 == 0 else None,
        }


def reviews(sizes: Sizes) -> Iterator[dict[str, Any]]:
    rng = random.Random(4)
    for number in range(sizes.reviews):
        yield {
            "id": object_id(2, number),
            "product": product_id(rng.randrange(sizes.products)),
            "customer": customer_id(rng.randrange(sizes.customers)),
            "stars": rng.randrange(1, 6),
        }
