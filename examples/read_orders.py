"""A query as a polars table. Load the orders first: `python examples/orders.py --count 2000`."""

import os

from data_bridge import MongoClient

with MongoClient(os.environ.get("MONGODB_URI", "mongodb://localhost:27017")) as client:
    orders = client["data_bridge_demo"]["orders"]
    query = orders.find({"status": {"$in": ["paid", "shipped"]}}, {"items": 0}, sort=[("placed", 1)])

    frame = query.to_polars()
    print(frame.head())
    # Nested documents are struct columns.
    cities = frame["customer"].struct.field("address").struct.field("city")
    print(cities.value_counts(sort=True))
    print(query.report)
