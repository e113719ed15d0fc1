"""A scenario: calls every function of the shop once, and prints the results."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from data_bridge import AsyncMongoClient

from .. import data
from ..values import Line, Status
from . import exchange, load, maintenance, operators, queries, tables, writes

ADA = data.customer_id(10**9)


async def run(uri: str, name: str, count: int) -> None:
    """Load `count` documents and call every function."""
    async with AsyncMongoClient(uri) as client:
        await load.open_shop(client, name)
        await load.empty(client, name)
        started = time.perf_counter()
        sizes = await load.load(count)
        print(f"{sum(sizes):,} documents loaded in {time.perf_counter() - started:.1f} s")
        await run_queries()
        await run_tables()
        await run_operators()
        await run_exchange(client, name)
        await run_writes(client)
        await run_maintenance(client, name)


async def run_queries() -> None:
    print("\nQueries")
    best = await queries.best_customers("Oslo", 3)
    print("  best customers in Oslo:", [(each.name, each.points) for each in best])
    print("  their cards:", [(each.name, each.city) for each in (await queries.customer_cards("Oslo"))[:2]])
    print("  cheapest:", await queries.titles(3))
    print("  the same customer:", await queries.find_by_email(best[0].email) == await queries.customer_of(best[0].id))
    latest = await queries.latest_order(best[0])
    print("  their latest order:", None if latest is None else latest.placed)
    print("  second page of paid orders:", [each.id for each in await queries.page_of_orders(Status.PAID, 1, 5)])
    print("  counts:", await queries.counts())
    print("  figures:", await queries.figures())
    print("  all lines:", await queries.total_of_lines())
    print("  countries of suppliers:", await queries.countries())
    print("  products by class:", await queries.classes_of_products())
    product = await writes.get_product(data.product_id(0))
    print(f"  {product.title} sold out:", await queries.is_sold_out(product.id))
    print("  its supplier:", (await queries.supplier_of(product)).name)
    print("  its reviews:", (await queries.reviews_with_names(product.id))[:2])
    suppliers = await queries.suppliers_with_products("PT")
    print("  products of suppliers:", {name: len(products) for name, products in suppliers.items()})
    print("  best sellers:", [(each.product, each.sold, each.turnover) for each in await queries.best_sellers(3)])
    print("  latest review:", await queries.latest_review())


async def run_tables() -> None:
    print("\nTables")
    print("  Arrow:", await tables.columns_of_orders())
    frame = await tables.stock_frame()
    print(f"  polars: {frame.head(2)}")
    print(f"  pandas:\n{await tables.status_frame()}")
    print("  streamed:", {each.value: count for each, count in (await tables.count_streamed()).items()})
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "products.parquet"
        written = await tables.export_products(file)
        first = (await tables.import_products(file))[0]
        print(f"  Parquet: {written:,} products written, read back: a {type(first).__name__}, {first.title}")


async def run_operators() -> None:
    print("\nOperators")
    nearest = await operators.nearest_suppliers(10.4, 59.5, 1000)
    print("  nearest suppliers:", [each.name for each in nearest[:2]])
    print("  counts:", await operators.more_counts())
    print("  of two lines:", await operators.of_two_lines(20))


async def run_exchange(client: AsyncMongoClient, name: str) -> None:
    print("\nExchange")
    receipts = await exchange.receipts(Status.PAID, 3)
    print("  receipts:", receipts)
    order = (await queries.page_of_orders(Status.PAID, 0, 1))[0]
    saved = await exchange.save_pickled(exchange.pickle_changed(order))
    print("  saved from a pickle:", saved.id, saved.note)
    print("  without models:", await exchange.write_without_models(client, name))


async def run_writes(client: AsyncMongoClient) -> None:
    print("\nWrites")
    ada = await writes.register(ADA, "Ada", "  Ada@Example.com ")
    await writes.move_house(ada, "Harbour Road 1", "Oslo")
    print("  a new customer:", ada.email, ada.home)
    kettle, lamp = await writes.get_product(data.product_id(1)), await writes.get_product(data.product_id(2))
    print("  delivered:", await writes.restock({kettle.id: 10, lamp.id: 5}))
    order = await writes.place_order(client, 10**9, ada, {kettle.id: 2, lamp.id: 1})
    print("  ordered for", order.total)
    try:
        await writes.place_order(client, 10**9 + 1, ada, {kettle.id: 1, lamp.id: 10**6})
    except writes.OutOfStock as error:
        print(f"  out of stock: {error}; the transaction was aborted")
    await writes.pay(order, 7)
    print("  paid:", order.status, len(order.history), "events")
    shipped = await writes.ship_next()
    print("  shipped:", None if shipped is None else shipped.id)
    correct = await writes.correct_order(order, [Line(product=kettle.id, price=Decimal("9.90"))])
    print("  corrected to", correct.total)
    print("  tagged:", (await writes.start_sale(Decimal(10))).modified_count, "cheap products")
    print("  untagged:", (await writes.end_sale()).modified_count)
    print("  views of the front page:", [await writes.count_view("/") for _ in range(3)])
    product, message = await writes.change_concurrently(lamp.id)
    print(f"  concurrent change: {message}; then {product.stock} for {product.price}")
    worst = await writes.drop_worst_review()
    print("  worst review dropped:", None if worst is None else worst.id)
    print("  withdrawn with", await writes.withdraw(kettle), "reviews")
    print("  answers removed:", (await writes.remove_newsletter_answers()).modified_count)


async def run_maintenance(client: AsyncMongoClient, name: str) -> None:
    print("\nMaintenance")
    await maintenance.break_a_review(client, name)
    print("  valid fields:", await maintenance.read_valid_fields(maintenance.BROKEN))
    errors = await maintenance.inspect_reviews()
    print("  invalid values:", [str(each) for each in errors])
    print("  repaired:", await maintenance.repair_reviews(errors))
    ada = await queries.customer_of(ADA)
    assert ada is not None
    for message in await maintenance.refuse_mistakes(ada):
        print("  refused:", message)
    print("  archived orders:", await maintenance.archive(client, name, dt.datetime(2024, 2, 1)))
    print("  notes:", await maintenance.note("the scenario", "is complete"))
