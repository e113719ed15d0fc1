"""Iterate over a result in bounded memory; only the values that are read become Python objects.

Load the orders first: `python examples/orders.py --count 2000`.
"""

import os

from data_bridge import MongoClient

with MongoClient(os.environ.get("MONGODB_URI", "mongodb://localhost:27017")) as client:
    orders = client["data_bridge_demo"]["orders"]

    pieces = 0
    heaviest = None
    for order in orders.find({"status": "delivered"}):
        pieces += sum(item["quantity"] for item in order["items"])
        if heaviest is None or order["weight"] > heaviest["weight"]:
            # A document keeps its whole reply in memory; a detached one keeps only itself.
            heaviest = order.detach()

    print(f"{pieces} pieces delivered")
    if heaviest is not None:
        print("the heaviest order:", heaviest.to_dict())
        print("coupon" in heaviest, heaviest.get("coupon", "no coupon"))
