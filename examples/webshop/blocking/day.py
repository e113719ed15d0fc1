"""A day at the shop: every part of it once, with what comes of it."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from data_bridge import MongoClient

from .. import data
from ..values import Line, Status
from . import asking, care, load, searching, tables, trading

ADA = data.customer_id(10**9)


def run(uri: str, name: str, count: int) -> None:
    """Load `count` documents and do everything there is to do."""
    with MongoClient(uri) as client:
        load.open_shop(client, name)
        load.empty(client, name)
        started = time.perf_counter()
        sizes = load.load(count)
        print(f"{sum(sizes):,} documents loaded in {time.perf_counter() - started:.1f} s")
        ask()
        read_tables()
        search(client, name)
        trade(client)
        look_after(client, name)


def ask() -> None:
    print("\nAsking")
    best = asking.best_customers("Oslo", 3)
    print("  best customers in Oslo:", [(each.name, each.points) for each in best])
    print("  their cards:", [(each.name, each.city) for each in asking.customer_cards("Oslo")[:2]])
    print("  cheapest:", asking.titles(3))
    print("  the same customer:", asking.find_by_email(best[0].email) == asking.customer_of(best[0].id))
    latest = asking.latest_order(best[0])
    print("  their latest order:", None if latest is None else latest.placed)
    print("  second page of paid orders:", [each.id for each in asking.page_of_orders(Status.PAID, 1, 5)])
    print("  counts:", asking.how_many())
    print("  figures:", asking.figures())
    print("  all lines:", asking.total_of_lines())
    print("  countries of suppliers:", asking.countries())
    print("  products by class:", asking.classes_of_products())
    product = trading.get_product(data.product_id(0))
    print(f"  {product.title} sold out:", asking.is_sold_out(product.id))
    print("  its supplier:", asking.supplier_of(product).name)
    print("  its reviews:", asking.reviews_with_names(product.id)[:2])
    suppliers = asking.suppliers_with_products("PT")
    print("  products of suppliers:", {name: len(products) for name, products in suppliers.items()})
    print("  best sellers:", [(each.product, each.sold, each.turnover) for each in asking.best_sellers(3)])
    print("  latest review:", asking.latest_review())


def read_tables() -> None:
    print("\nTables")
    print("  Arrow:", tables.columns_of_orders())
    print(f"  polars: {tables.stock_frame().head(2)}")
    print(f"  pandas:\n{tables.status_frame()}")
    print("  streamed:", {each.value: count for each, count in tables.count_streamed().items()})
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "products.parquet"
        written = tables.export_products(file)
        first = tables.import_products(file)[0]
        print(f"  Parquet: {written:,} products written, read back: a {type(first).__name__}, {first.title}")


def search(client: MongoClient, name: str) -> None:
    print("\nSearching")
    nearest = searching.nearest_suppliers(10.4, 59.5, 1000)
    print("  nearest suppliers:", [each.name for each in nearest[:2]])
    print("  counts:", searching.more_counts())
    print("  of two lines:", searching.of_two_lines(20))
    receipts = searching.receipts(Status.PAID, 3)
    print("  receipts:", receipts)
    order = (asking.page_of_orders(Status.PAID, 0, 1))[0]
    parked = searching.fetch_parked(searching.park(order))
    print("  parked:", parked.id, parked.note)
    print("  without models:", searching.write_without_models(client, name))


def trade(client: MongoClient) -> None:
    print("\nTrading")
    ada = trading.register(ADA, "Ada", "  Ada@Example.com ")
    trading.move_house(ada, "Harbour Road 1", "Oslo")
    print("  a new customer:", ada.email, ada.home)
    kettle, lamp = trading.get_product(data.product_id(1)), trading.get_product(data.product_id(2))
    print("  delivered:", trading.restock({kettle.id: 10, lamp.id: 5}))
    order = trading.place_order(client, 10**9, ada, {kettle.id: 2, lamp.id: 1})
    print("  ordered for", order.total)
    try:
        trading.place_order(client, 10**9 + 1, ada, {kettle.id: 1, lamp.id: 10**6})
    except trading.OutOfStock as error:
        print(f"  out of stock: {error}; the kettle is back on the shelf")
    trading.pay(order, 7)
    print("  paid:", order.status, len(order.history), "events")
    shipped = trading.ship_next()
    print("  shipped:", None if shipped is None else shipped.id)
    correct = trading.correct_order(order, [Line(product=kettle.id, price=Decimal("9.90"))])
    print("  corrected to", correct.total)
    print("  on sale:", trading.start_sale(Decimal(10)).modified_count, "cheap ones, then not:", end=" ")
    print(trading.end_sale().modified_count)
    print("  views of the front page:", [trading.count_view("/") for _ in range(3)])
    product, told = trading.two_clerks(lamp.id)
    print(f"  two clerks: {told}; then {product.stock} for {product.price}")
    worst = trading.drop_worst_review()
    print("  worst review dropped:", None if worst is None else worst.id)
    print("  withdrawn with", trading.withdraw(kettle), "reviews")
    print("  answers forgotten:", trading.forget_newsletter_answers().modified_count)


def look_after(client: MongoClient, name: str) -> None:
    print("\nCare")
    care.break_a_review(client, name)
    print("  what fits is read:", care.read_what_fits(care.BROKEN))
    errors = care.inspect_reviews()
    print("  all that does not fit:", [str(each) for each in errors])
    print("  repaired:", care.repair_reviews(errors))
    ada = asking.customer_of(ADA)
    assert ada is not None
    for told in care.refuse_mistakes(ada):
        print("  refused:", told)
    print("  archived orders:", care.archive(client, name, dt.datetime(2024, 2, 1)))
    print("  notes:", care.note("the day", "is over"))
