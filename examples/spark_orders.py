"""Read orders with Spark, and write a column back by key: each order comes once, whatever the types of `_id`.

Load the orders first: `python examples/orders.py --count 2000`. Java 17 or later is needed.
"""

import os
import sys

from pyspark.sql import SparkSession

# Workers read the URI from their environment: Spark shows options in plans and logs.
os.environ.setdefault("MONGODB_URI", "mongodb://localhost:27017")
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
ORDERS = {"database": "data_bridge_demo", "collection": "orders"}
GRAMS = {"database": "data_bridge_demo", "collection": "grams"}


def main() -> None:
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    orders = spark.read.format("data_bridge").options(partitions=4, **ORDERS).load()
    # The server filters, and sends two columns.
    heavy = spark.read.format("data_bridge").schema("status string, weight double")
    heavy = heavy.options(filter='{"weight": {"$gt": 10}}', **ORDERS).load()
    heavy.groupBy("status").count().orderBy("status").show()
    grams = orders.selectExpr("_id", "weight * 1000 as grams")
    # Spark keeps no record that `_id` was an ObjectId.
    keys = {"operation": "upsert", "on": "_id", "schema": '{"_id": "objectid"}'}
    grams.write.format("data_bridge").mode("append").options(**keys, **GRAMS).save()
    print(spark.read.format("data_bridge").options(**GRAMS).load().count(), "orders written")
    spark.stop()


if __name__ == "__main__":
    main()
