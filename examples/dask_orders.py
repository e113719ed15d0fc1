"""Read orders with Dask, and write a column back by key: each order comes once, whatever the types of `_id`.

Load the orders first: `python examples/orders.py --count 2000`.
"""

import os

from data_bridge import MongoClient

URI = os.environ.setdefault("MONGODB_URI", "mongodb://localhost:27017")


def main() -> None:
    with MongoClient(URI) as client:
        demo = client["data_bridge_demo"]
        # Tasks hold no credentials: workers read the URI from their environment.
        partitions = demo.orders.find().partitions(4, infer_rows=1000, uri_env="MONGODB_URI")
        print(partitions)
        frame = partitions.to_dask()
        print(frame.groupby("status")["weight"].mean().compute())
        grams = frame[["_id", "weight"]].assign(grams=frame["weight"] * 1000).drop(columns="weight")
        # pandas keeps no record that `_id` was an ObjectId.
        writer = demo.grams.task_writer("upsert", uri_env="MONGODB_URI", schema=partitions.select(["_id"]).schema)
        print(writer.write_dask(grams))


if __name__ == "__main__":
    main()
