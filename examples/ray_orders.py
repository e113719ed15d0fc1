"""Read orders with Ray, and write a column back by key: each order comes once, whatever the types of `_id`.

Load the orders first: `python examples/orders.py --count 2000`.
"""

import os

import pyarrow as pa
import pyarrow.compute as pc
import ray

from data_bridge import MongoClient

URI = os.environ.setdefault("MONGODB_URI", "mongodb://localhost:27017")


def with_grams(orders: pa.Table) -> pa.Table:
    """Return the ids of orders with their weight in grams. Runs in a worker."""
    return pa.table({"_id": orders["_id"], "grams": pc.multiply(orders["weight"], 1000.0)})


def main() -> None:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with MongoClient(URI) as client:
        demo = client["data_bridge_demo"]
        # Tasks hold no credentials: workers read the URI from their environment.
        partitions = demo.orders.find().partitions(4, infer_rows=1000, uri_env="MONGODB_URI")
        print(partitions)
        dataset = partitions.to_ray()
        print(f"{dataset.sum('weight'):.1f} kg")
        grams = dataset.select_columns(["_id", "weight"]).map_batches(with_grams, batch_format="pyarrow")
        # The new table has no record that `_id` was an ObjectId.
        writer = demo.grams.task_writer("upsert", uri_env="MONGODB_URI", schema=partitions.select(["_id"]).schema)
        print(writer.write_ray(grams))
    ray.shutdown()


if __name__ == "__main__":
    main()
