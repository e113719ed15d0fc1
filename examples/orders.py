"""The orders that the examples read: `python examples/orders.py --count 2000` loads them.

They are deterministic: equal counts give equal documents. They are stored in the database `data_bridge_demo`; a
collection there that this program did not load is not changed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from bson import Decimal128, ObjectId, encode
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

URI = os.environ.get("MONGODB_URI", "mongodb://localhost:27017")
DATABASE = "data_bridge_demo"
MADE = 2  # raised when the documents change, so that old ones are loaded again

CITIES = [("Oslo", "NO"), ("Lisbon", "PT"), ("Kraków", "PL"), ("São Paulo", "BR"), ("東京", "JP"), ("Nairobi", "KE")]
NAMES = ["Ada", "Bram", "Chiara", "Daniel", "Elif", "Farid", "Grace", "Hana", "Igor", "Joana", "Kofi", "Lena"]
PRODUCTS = ["kettle", "desk lamp", "notebook", "rain jacket", "headphones", "bicycle bell", "teapot", "chess set"]
STATUSES = ["paid", "shipped", "delivered", "returned", "cancelled"]
START = datetime(2024, 1, 1)
# Number of orders that are encoded; the others differ from one of them only in `_id`, number and date.
TEMPLATES = 2_000


def order(rng: random.Random) -> dict[str, Any]:
    """Return one order. The first three keys have fixed sizes and positions, which `orders` uses."""
    city, country = rng.choice(CITIES)
    name = rng.choice(NAMES)
    items: list[dict[str, Any]] = []
    cents = 0
    for _ in range(rng.choice([1, 1, 2, 2, 3, 5])):
        price, quantity = rng.randrange(199, 19_999), rng.randrange(1, 5)
        cents += price * quantity
        items.append(
            {
                "sku": f"{rng.randrange(36**6):06x}",
                "name": rng.choice(PRODUCTS),
                "quantity": quantity,
                "price": Decimal128(f"{price / 100:.2f}"),
                "tags": rng.sample(["new", "sale", "gift", "fragile"], rng.randrange(3)),
            }
        )
    document: dict[str, Any] = {
        "_id": ObjectId(b"\0" * 12),
        "number": 0,
        "placed": START,
        "status": rng.choice(STATUSES),
        "total": Decimal128(f"{cents / 100:.2f}"),
        "weight": round(rng.uniform(0.1, 12), 3),
        "customer": {
            "name": name,
            "email": f"{name.lower()}{rng.randrange(10_000)}@example.com",
            "vip": rng.random() < 0.1,
            "address": {"city": city, "country": country, "street": f"{rng.randrange(1, 200)} Harbour Road"},
        },
        "items": items,
    }
    # As in many collections, a key that is often missing and sometimes null.
    if rng.random() < 0.2:
        document["coupon"] = rng.choice(["SPRING", "WELCOME10", None])
    return document


def orders(count: int) -> Iterator[RawBSONDocument]:
    """Yield `count` orders as BSON, most of them copies of an encoded one with other `_id`, number and date."""
    rng = random.Random(20_240_101)
    templates = [bytearray(encode(order(rng))) for _ in range(min(count, TEMPLATES))]
    epoch = int((START - datetime(1970, 1, 1)) / timedelta(milliseconds=1))
    # int32 length; 0x07 "_id\0" and 12 bytes; 0x10 "number\0" and an int32; 0x12 or 0x09 "placed\0" and an int64.
    identifier, number, placed = slice(9, 21), slice(29, 33), slice(41, 49)
    for index in range(count):
        document = templates[index % len(templates)]
        milliseconds = epoch + index * 240_000
        document[identifier] = (milliseconds // 1000).to_bytes(4, "big") + index.to_bytes(8, "big")
        document[number] = (100_000 + index).to_bytes(4, "little")
        document[placed] = milliseconds.to_bytes(8, "little")
        yield RawBSONDocument(bytes(document))


def load(client: MongoClient[Any], count: int) -> float:
    """Load `count` orders unless they are stored already; return the seconds, 0.0 if they were stored."""
    database = client[DATABASE]
    mark = {"_id": "orders", "count": count, "made": MADE}
    previous = database["made_by_examples"].find_one("orders")
    if previous == mark and database["orders"].estimated_document_count() == count:
        return 0.0
    if previous is None and database["orders"].estimated_document_count():
        sys.exit(f"{DATABASE}.orders has documents that this program did not load, so it was not changed.")
    started = time.perf_counter()
    database["made_by_examples"].replace_one({"_id": "orders"}, {**mark, "count": -1}, upsert=True)
    database["orders"].drop()
    batch: list[RawBSONDocument] = []
    for document in orders(count):
        batch.append(document)
        if len(batch) == 10_000:
            database["orders"].insert_many(batch, ordered=False)
            batch.clear()
    if batch:
        database["orders"].insert_many(batch, ordered=False)
    database["made_by_examples"].replace_one({"_id": "orders"}, mark)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=200_000)
    count = parser.parse_args().count
    with MongoClient[dict[str, Any]](URI) as client:
        seconds = load(client, count)
    print(f"{count:,} orders in {DATABASE}.orders", f"(loaded in {seconds:.1f} s)" if seconds else "(there already)")


if __name__ == "__main__":
    main()
