"""The asynchronous client: two concurrent queries, then an iteration.

Load the orders first: `python examples/orders.py --count 2000`.
"""

import asyncio
import os

from data_bridge import AsyncMongoClient


async def main() -> None:
    async with AsyncMongoClient(os.environ.get("MONGODB_URI", "mongodb://localhost:27017")) as client:
        orders = client["data_bridge_demo"]["orders"]
        paid, returned = await asyncio.gather(
            orders.find({"status": "paid"}).to_polars(),
            orders.find({"status": "returned"}).to_polars(),
        )
        print(f"{paid.height} paid, {returned.height} returned")

        async for order in orders.find({"customer.vip": True}, sort=[("placed", -1)], limit=3):
            print(order["number"], order["customer"]["name"], order["total"])


asyncio.run(main())
