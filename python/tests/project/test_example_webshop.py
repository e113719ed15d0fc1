"""The shop of examples/webshop with 100,000 documents, on Document and on AsyncDocument: PyMongo knows what is true."""

from __future__ import annotations

import ast
import asyncio
import datetime as dt
import importlib
import re
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pymongo
import pytest
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from pymongo.database import Database
from test_examples import ROOT, run

import data_bridge

COUNT = 100_000
SMALL = 2_000
KINDS = ["blocking", "awaited"]
OPTIONS: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
COLLECTIONS = ["suppliers", "products", "customers", "orders", "reviews"]
Mongo = Database[dict[str, Any]]


class Shop:
    """One of the two shops: its functions, called and waited for alike, and its database as PyMongo sees it."""

    def __init__(self, kind: str, uri: str, name: str, pymongo_client: pymongo.MongoClient[dict[str, Any]]) -> None:
        self.name = f"{name}_{kind}"
        self.kind = kind
        self._loop = asyncio.new_event_loop() if kind == "awaited" else None
        self.client = data_bridge.MongoClient(uri) if self._loop is None else data_bridge.AsyncMongoClient(uri)
        self._pymongo = pymongo_client
        self.there = self.database("")
        self.call("load.open_shop", self.client, self.name)

    def database(self, suffix: str) -> Mongo:
        return self._pymongo.get_database(self.name + suffix, codec_options=OPTIONS)

    def module(self, name: str) -> ModuleType:
        return importlib.import_module(f"examples.webshop.{self.kind}.{name}")

    def call(self, path: str, *arguments: Any) -> Any:
        """A function of the shop: `call("asking.titles", 3)`."""
        module, name = path.split(".")
        done = getattr(self.module(module), name)(*arguments)
        return done if self._loop is None else self._loop.run_until_complete(done)

    def close(self) -> None:
        if self._loop is None:
            self.client.close()
        else:
            self._loop.run_until_complete(self.client.close())
            self._loop.close()
        for suffix in ("", "_audit", "_archive", "_small"):
            self._pymongo.drop_database(self.name + suffix)


@pytest.fixture(scope="module")
def shops(mongodb_uri: str, pymongo_client: pymongo.MongoClient[dict[str, Any]]) -> Iterator[dict[str, Shop]]:
    sys.path.insert(0, str(ROOT))
    name = f"data_bridge_shop_{uuid.uuid4().hex[:8]}"
    opened = {kind: Shop(kind, mongodb_uri, name, pymongo_client) for kind in KINDS}
    opened["blocking"].call("load.load", COUNT)
    # Both loaders are compared below, with fewer documents; here the server copies them.
    for collection in COLLECTIONS:
        target = {"db": opened["awaited"].name, "coll": collection}
        opened["blocking"].there[collection].aggregate([{"$match": {}}, {"$out": target}])
    opened["awaited"].call("load.open_shop", opened["awaited"].client, opened["awaited"].name)
    yield opened
    for each in opened.values():
        each.close()
    sys.path.remove(str(ROOT))


@pytest.fixture(params=KINDS)
def shop(request: pytest.FixtureRequest, shops: dict[str, Shop]) -> Shop:
    return shops[request.param]


def plain(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the revisions, which are random."""
    return [{key: value for key, value in each.items() if key != "revision_id"} for each in documents]


def test_both_kinds_are_one_program() -> None:
    """Without `async` and `await` the files of one kind are those of the other."""
    files = sorted(each.name for each in (ROOT / "examples/webshop/blocking").glob("*.py"))
    assert files == sorted(each.name for each in (ROOT / "examples/webshop/awaited").glob("*.py"))
    for file in files:
        blocking, awaited = ((ROOT / "examples/webshop" / kind / file).read_text(encoding="utf-8") for kind in KINDS)
        waiting = re.sub(r"\b(async |await )", "", awaited)
        waiting = re.sub(r"\bAsync(?=Document|MongoClient|ClientSession)", "", waiting)
        assert _tree(waiting) == _tree(blocking), file


def _tree(code: str) -> str:
    tree = ast.parse(code)
    for each in ast.walk(tree):
        if isinstance(each, ast.ImportFrom):
            each.names.sort(key=lambda name: name.name)
    return ast.dump(tree)


def test_the_program(mongodb_uri: str, pymongo_client: Any) -> None:
    """As the README runs it; both days print the same."""
    name = f"data_bridge_shop_{uuid.uuid4().hex[:8]}"
    try:
        output = run(
            ["-m", "examples.webshop", mongodb_uri, "--count", str(SMALL), "--database", name], mongodb_uri, ROOT
        )
    finally:
        for suffix in ("", "_audit", "_archive"):
            pymongo_client.drop_database(name + suffix)
            pymongo_client.drop_database(f"{name}_awaited{suffix}")
    blocking, awaited = re.sub(r" in [\d.]+ s", "", output).split("\nAwaited: AsyncDocument\n")
    assert blocking.removeprefix("Blocking: Document\n").strip() == awaited.strip()
    assert f"{SMALL:,} documents loaded" in blocking
    assert "out of stock" in blocking


def test_both_loaders_load_the_same(shops: dict[str, Shop]) -> None:
    for each in shops.values():
        each.call("load.open_shop", each.client, f"{each.name}_small")
        each.call("load.load", SMALL)
        each.call("load.open_shop", each.client, each.name)
    small = [each.database("_small") for each in shops.values()]
    assert sum(small[0][each].count_documents({}) for each in COLLECTIONS) == SMALL
    for each in COLLECTIONS:
        first, second = (plain(list(database[each].find().sort("_id"))) for database in small)
        assert first == second


def test_what_was_loaded(shop: Shop) -> None:
    counts = {each: shop.there[each].count_documents({}) for each in COLLECTIONS}
    assert sum(counts.values()) == COUNT
    data = importlib.import_module("examples.webshop.data")
    assert counts == data.Sizes.of(COUNT)._asdict()
    # The hook added up each order.
    total = {"$sum": {"$map": {"input": "$lines", "in": {"$multiply": ["$$this.price", "$$this.quantity"]}}}}
    assert shop.there.orders.count_documents({"$expr": {"$ne": ["$total", total]}}) == 0
    assert shop.there.customers.find_one({"email": {"$regex": "[A-Z ]"}}) is None
    indexes = [list(each["key"].items()) for each in shop.there.orders.list_indexes()]
    assert indexes == [[("_id", 1)], [("status", 1), ("placed", -1)], [("customer.$id", 1)]]
    assert shop.there.customers.index_information()["email_1"]["unique"]


def test_documents(shop: Shop) -> None:
    customers, orders, products = shop.there.customers, shop.there.orders, shop.there.products
    found = customers.find({"home.city": "Oslo", "points": {"$gt": 500}}).sort([("points", -1), ("_id", 1)]).limit(50)
    best = shop.call("asking.best_customers", "Oslo", 50)
    assert [(each.id, each.name, each.points, each.home.street) for each in best] == [
        (each["_id"], each["name"], each["points"], each["home"]["street"]) for each in found
    ]
    first = best[0]
    assert shop.call("asking.customer_of", first.id) == shop.call("asking.find_by_email", first.email) == first
    assert first._dump() == customers.find_one(first.id)
    assert shop.call("asking.find_by_email", "nobody@example.com") is None
    status = shop.module("asking").Status
    page = shop.call("asking.page_of_orders", status.PAID, 3, 20)
    expected = list(orders.find({"status": "paid"}).sort("placed", -1).skip(60).limit(20))
    assert [each._dump() for each in page] == expected
    latest = orders.find_one({"customer.$id": first.id}, sort=[("placed", -1)])
    assert shop.call("asking.latest_order", first)._dump() == latest
    cards = [(each.name, each.city) for each in shop.call("asking.customer_cards", "Lisbon")]
    assert cards == [(each["name"], "Lisbon") for each in customers.find({"home.city": "Lisbon"}).sort("name")]
    titles = [each["title"] for each in products.find().sort([("price", 1), ("_id", 1)]).limit(30)]
    assert shop.call("asking.titles", 30) == titles


def test_figures(shop: Shop) -> None:
    customers, orders, products = shop.there.customers, shop.there.orders, shop.there.products
    assert shop.call("asking.how_many") == {
        "orders": orders.count_documents({}),
        "open": orders.count_documents({"status": {"$in": ["placed", "paid"]}}),
        "with a note": orders.count_documents({"note": {"$ne": None}}),
        "of two lines": orders.count_documents({"lines": {"$size": 2}}),
        "of much of one thing": orders.count_documents(
            {"lines": {"$elemMatch": {"quantity": {"$gte": 3}, "price": {"$gt": 150}}}}
        ),
        "without a home": customers.count_documents({"home": None}),
        "with work in Oslo": customers.count_documents({"addresses.work.city": "Oslo"}),
        "without an answer": customers.count_documents({"news": {"$exists": False}}),
        "kettles": products.count_documents({"title": {"$regex": "^kettle"}}),
        "cheap or gone": products.count_documents({"$or": [{"price": {"$lt": 10}}, {"stock": 0}]}),
    }
    pipeline = [
        {"$match": {"status": "paid"}},
        {"$group": {"_id": None, "s": {"$sum": "$total"}, "a": {"$avg": "$total"}, "l": {"$max": "$placed"}}},
    ]
    (sums,) = orders.aggregate(pipeline)
    figures = shop.call("asking.figures")
    assert figures["turnover"] == sums["s"].to_decimal()
    assert figures["mean"] == sums["a"].to_decimal()
    assert figures["last"] == sums["l"]
    everything = sum(each["total"].to_decimal() for each in orders.find({}, {"total": 1}))
    assert shop.call("asking.total_of_lines") == everything
    assert shop.call("asking.countries") == shop.there.suppliers.distinct("country")
    for product in products.find().limit(3):
        assert shop.call("asking.is_sold_out", product["_id"]) == (product["stock"] == 0)
    classes = Counter(each.get("_class_id") for each in products.find())
    assert sorted(classes) == ["Product", "Product.Book", "Product.Garment"]
    assert shop.call("asking.classes_of_products") == {
        "products that are nothing else": classes["Product"],
        "books": classes["Product.Book"],
        "garments": classes["Product.Garment"],
        "instances of Book": classes["Product.Book"],
    }
    sold = list(orders.aggregate(shop.module("asking").sales(25)))
    best = shop.call("asking.best_sellers", 25)
    assert [each._dump() for each in best] == sold
    assert all(type(each.turnover) is Decimal for each in best)
    last = next(shop.there.reviews.find({}, {"stars": 1}).sort("_id", -1).limit(1))
    assert shop.call("asking.latest_review") == [last]


def test_searching(shop: Shop) -> None:
    customers, orders, products = shop.there.customers, shop.there.orders, shop.there.products
    suppliers, searching = shop.there.suppliers, shop.module("searching")
    point = {"type": "Point", "coordinates": [10.4, 59.5]}
    near = suppliers.find({"place": {"$nearSphere": {"$geometry": point, "$maxDistance": 1_000_000}}})
    nearest = shop.call("searching.nearest_suppliers", 10.4, 59.5, 1000)
    assert [each._dump()["place"] for each in nearest] == [each["place"] for each in near]
    assert nearest[0].place.coordinates == (10.75, 59.91)
    assert shop.call("searching.more_counts") == {
        "suppliers in Iberia": suppliers.count_documents({"country": "PT"}),
        "teapots": products.count_documents({"title": {"$regex": "^teapot"}}),
        "gifts on sale": products.count_documents({"tags": {"$all": ["gift", "sale"]}}),
        "left open": orders.count_documents({"status": {"$nin": ["shipped", "cancelled"]}}),
        "with a note that is text": orders.count_documents({"note": {"$ne": None}}),
        "every seventh": sum(each % 7 == 0 for each in orders.distinct("_id")),
        "odd points": sum(each["points"] % 2 for each in customers.find({}, {"points": 1})),
        "worth more than their first line": orders.count_documents(
            {"$or": [{"lines.1": {"$exists": True}}, {"lines.0.quantity": {"$gt": 1}}]}
        ),
    }
    two = orders.find({"_id": {"$lt": 200}, "lines": {"$size": 2}}).sort("_id")
    assert shop.call("searching.of_two_lines", 200) == [each["_id"] for each in two]
    receipts = shop.call("searching.receipts", searching.Status.PAID, 1000)
    paid = orders.find({"status": "paid"}).sort("_id").limit(1000)
    assert receipts == [searching.Receipt(each["_id"], each["placed"], each["total"].to_decimal()) for each in paid]
    (order,) = shop.call("asking.page_of_orders", searching.Status.PAID, 0, 1)
    before = orders.find_one(order.id)
    assert shop.call("searching.fetch_parked", searching.park(order)).id == order.id
    assert order.note != "parked"
    assert orders.find_one(order.id) == {**before, "note": "parked"}  # type: ignore[dict-item]
    assert shop.call("searching.write_without_models", shop.client, shop.name) == {
        "changed": 2,
        "replaced": 1,
        "before": 11,
        "in bulk": 2,
        "gone": 3,
    }
    assert shop.there.page_counts.count_documents({"page": {"$in": ["/a", "/b", "/c", "/d"]}}) == 0


def test_links(shop: Shop) -> None:
    there = shop.there
    product = shop.call("trading.get_product", "B-00003")
    assert type(product).__name__ == "Book"
    names = {each["_id"]: each["name"] for each in there.customers.find({}, {"name": 1})}
    reviews = there.reviews.find({"product.$id": product.id}).sort("_id")
    assert shop.call("asking.reviews_with_names", product.id) == [
        f"{each['stars']} stars for {product.title} from {names[each['customer'].id]}" for each in reviews
    ]
    supplier = there.suppliers.find_one(there.products.find_one(product.id)["supplier"].id)  # type: ignore[index]
    assert shop.call("asking.supplier_of", product)._dump() == supplier
    assert shop.call("asking.suppliers_with_products", "PT") == {
        each["name"]: sorted(product["_id"] for product in there.products.find({"supplier.$id": each["_id"]}))
        for each in there.suppliers.find({"country": "PT"})
    }


def test_tables(shop: Shop, tmp_path: Path) -> None:
    columns = shop.call("tables.columns_of_orders")
    assert list(columns) == ["_id", "customer", "lines", "status", "placed", "total", "history", "note"]
    stock = [(each["_id"], each["price"].to_decimal(), each["stock"]) for each in _in_stock(shop.there)]
    assert shop.call("tables.stock_frame").rows() == stock
    count = {"$group": {"_id": "$status", "orders": {"$sum": 1}}}
    statuses = {each["_id"]: each["orders"] for each in shop.there.orders.aggregate([count])}
    frame = shop.call("tables.status_frame")
    assert dict(zip(frame["_id"], frame["orders"], strict=True)) == statuses
    assert {each.value: found for each, found in shop.call("tables.count_streamed").items()} == statuses
    file = tmp_path / "products.parquet"
    products = list(shop.there.products.find().sort("_id"))
    assert shop.call("tables.export_products", file) == len(products)
    read = shop.call("tables.import_products", file)
    assert [each._dump() for each in read] == products
    assert {type(each).__name__ for each in read} == {"Product", "Book", "Garment"}


def _in_stock(there: Mongo) -> Any:
    return there.products.find({"stock": {"$gt": 0}}).sort("_id")


def test_a_customer_orders(shop: Shop) -> None:
    there, trading = shop.there, shop.module("trading")
    ada = shop.call("trading.register", uuid.uuid4(), "Ada", "  Ada@Example.COM ")
    shop.call("trading.move_house", ada, "Harbour Road 1", "Oslo")
    stored = there.customers.find_one(ada.id)
    assert stored is not None
    assert (stored["email"], stored["home"]["city"]) == ("ada@example.com", "Oslo")
    assert (stored["addresses"]["former"]["city"], stored["favourites"]) == ("unknown", ["moving"])
    cart = {"G-00001": 2, "P-00002": 1}
    before = {each: _product(there, each) for each in cart}
    delivered = shop.call("trading.restock", {"G-00001": 10, "P-00002": 5})
    assert delivered.modified_count == 2
    order = shop.call("trading.place_order", shop.client, 10**9, ada, cart)
    after = {each: _product(there, each) for each in cart}
    assert [after[each]["stock"] - before[each]["stock"] for each in cart] == [8, 4]
    assert all(after[each]["revision_id"] != before[each]["revision_id"] for each in cart)
    total = sum(before[each]["price"].to_decimal() * quantity for each, quantity in cart.items())
    assert there.orders.find_one(10**9)["total"].to_decimal() == order.total == total  # type: ignore[index]
    # The second order takes nothing from the shelf, as not all of it is there.
    with pytest.raises(trading.OutOfStock):
        shop.call("trading.place_order", shop.client, 10**9 + 1, ada, {"G-00001": 1, "P-00002": 10**6})
    assert {each: _product(there, each) for each in cart} == after
    assert there.orders.find_one(10**9 + 1) is None
    shop.call("trading.pay", order, 7)
    paid = there.orders.find_one(10**9)
    assert order._dump() == paid
    assert paid is not None
    assert (paid["status"], len(paid["history"])) == ("paid", 1)
    assert there.customers.find_one(ada.id)["points"] == 7  # type: ignore[index]
    there.orders.update_one({"_id": 10**9}, {"$set": {"unknown": 1}})
    line = shop.module("trading").Line(product="G-00001", price=Decimal("9.90"))
    assert shop.call("trading.correct_order", order, [line]).total == Decimal("9.90")
    corrected = there.orders.find_one(10**9)
    assert corrected == order._dump()
    assert "unknown" not in corrected


def _product(there: Mongo, key: str) -> dict[str, Any]:
    found = there.products.find_one(key)
    assert found is not None
    return found


def test_the_shop_trades(shop: Shop) -> None:
    there = shop.there
    oldest = next(there.orders.find({"status": "paid"}).sort("placed", 1).limit(1))
    shipped = shop.call("trading.ship_next")
    assert shipped._dump() == there.orders.find_one(oldest["_id"])
    assert (shipped.status.value, len(shipped.history)) == ("shipped", len(oldest["history"]) + 1)
    cheap = there.products.count_documents({"price": {"$lt": 10}})
    assert shop.call("trading.start_sale", Decimal(10)).matched_count == cheap > 0
    assert there.products.count_documents({"tags": {"$all": ["sale", "cheap"]}}) == cheap
    assert shop.call("trading.end_sale").modified_count == cheap
    assert there.products.count_documents({"tags": "cheap"}) == 0
    assert [shop.call("trading.count_view", "/") for _ in range(3)] == [1, 2, 3]
    assert [each["count"] for each in there.page_counts.find()] == [3]
    stock = _product(there, "B-00006")
    product, told = shop.call("trading.two_clerks", "B-00006")
    assert "another writer changed it" in told
    assert product._dump() == _product(there, "B-00006")
    assert product.stock == stock["stock"] - 1
    assert product.price == stock["price"].to_decimal() + 1
    worst = next(there.reviews.find({"stars": 1}).sort("_id", 1).limit(1))
    assert shop.call("trading.drop_worst_review")._dump() == worst
    assert there.reviews.find_one(worst["_id"]) is None
    review = shop.module("models").Review.find_one()
    review = review if shop.kind == "blocking" else shop._loop.run_until_complete(review)  # type: ignore[union-attr]
    assert shop.call("trading.rewrite_review", review, 5).stars == review.stars
    written = there.reviews.find_one(review.id)
    assert written is not None
    assert (written["stars"], written["text"], written["product"].id) == (5, "Rewritten.", review.product.id)
    reviews = there.reviews.count_documents({"product.$id": "P-00005"})
    assert shop.call("trading.withdraw", shop.call("trading.get_product", "P-00005")) == reviews
    assert there.products.find_one("P-00005") is None
    note = shop.database("_audit").audit.find_one({"about": "P-00005"}, {"_id": 0})
    assert note == {"about": "P-00005", "what": "deleted"}
    shop.call("trading.forget_newsletter_answers")
    assert there.customers.count_documents({"news": {"$exists": True}}) == 0


def test_care(shop: Shop) -> None:
    care = shop.module("care")
    shop.call("care.break_a_review", shop.client, shop.name)
    fits, wrong = shop.call("care.read_what_fits", care.BROKEN)
    assert fits == "product: B-00000"
    assert wrong == f"stars of {care.BROKEN}: str 'many' where int belongs"
    errors = shop.call("care.inspect_reviews")
    assert [(each.id, each.path) for each in errors] == [(care.BROKEN, ("customer",)), (care.BROKEN, ("stars",))]
    assert shop.call("care.repair_reviews", errors) == 1
    assert shop.there.reviews.find_one(care.BROKEN) is None
    (customer,) = shop.call("asking.best_customers", "Oslo", 1)
    assert shop.call("care.refuse_mistakes", customer) == [
        "Customer: joined: expected date, found str 'today'",
        "Customer: points: expected int, found str 'many'",
        f"duplicate key: {{'email': {customer.email!r}}}",
    ]
    before = dt.datetime(2024, 3, 1)
    old = list(shop.there.orders.find({"placed": {"$lt": before}}).sort("_id"))
    assert shop.call("care.archive", shop.client, shop.name, before) == len(old) > 1000
    assert list(shop.database("_archive").orders.find().sort("_id")) == old
    assert shop.there.orders.count_documents({"placed": {"$lt": before}}) == 0
    assert [shop.call("care.note", "us", "tested") for _ in range(2)] == [1, 2]
    assert shop.database("_audit").audit.count_documents({"about": "us"}) == 2
