"""Query orders with polars' LazyFrame and with DuckDB: columns and filters reach the server.

Load the orders first: `python examples/orders.py --count 2000`.
"""

import os

import duckdb
import polars as pl

from data_bridge import MongoClient

with MongoClient(os.environ.get("MONGODB_URI", "mongodb://localhost:27017")) as client:
    orders = client["data_bridge_demo"]["orders"]

    # The server sends `status`, `customer` and `weight` of the heavy orders that were paid.
    lazy = orders.find().to_lazy()
    heavy = lazy.filter((pl.col("status") == "paid") & (pl.col("weight") > 10))
    by_country = heavy.group_by(pl.col("customer").struct.field("address").struct.field("country")).agg(
        pl.len().alias("orders"), pl.col("weight").sum()
    )
    print(by_country.sort("orders", descending=True).collect())

    dataset = orders.find().to_dataset()
    print(
        duckdb.sql("select status, count(*) as orders from dataset where weight > 10 group by status order by status")
    )
