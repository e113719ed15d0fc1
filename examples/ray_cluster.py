"""A Ray cluster with two workers on this machine: read, aggregate and write back many orders, and show the plan.

`python examples/ray_cluster.py --count 5000000`. The orders are made first, in a database of their own.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import ray
from ray.cluster_utils import Cluster

from data_bridge import MongoClient

URI = os.environ.setdefault("MONGODB_URI", "mongodb://localhost:27017")
DATABASE = "data_bridge_cluster"
CUSTOMERS = 1_000
BATCH = 50_000


def orders(count: int) -> Iterator[pa.RecordBatch]:
    """Yield the orders."""
    for start in range(0, count, BATCH):
        ids = pa.array(range(start, min(start + BATCH, count)), pa.int64())
        customer = pc.subtract(ids, pc.multiply(pc.divide(ids, CUSTOMERS), CUSTOMERS))
        total = pc.divide(pc.cast(pc.add(customer, 100), pa.float64()), 4.0)
        yield pa.record_batch({"_id": ids, "customer": customer, "total": total})


def subtotals(batch: pa.Table) -> pa.Table:
    """Return the sums of a batch by customer, with the worker that made them. Runs in a worker."""
    sums = batch.group_by("customer").aggregate([("total", "sum"), ("total", "count")])
    worker = ray.get_runtime_context().get_node_id()[:8]
    return sums.append_column("worker", pa.array([worker] * sums.num_rows))


def with_tax(batch: pa.Table) -> pa.Table:
    """Return the ids of orders with their tax. Runs in a worker."""
    return pa.table({"_id": batch["_id"], "tax": pc.multiply(batch["total"], 0.25)})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000, help="number of orders")
    parser.add_argument("--partitions", type=int, default=16)
    options = parser.parse_args()
    # The head has no CPU: tasks run on the two workers.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    with MongoClient(URI) as client:
        database = client[DATABASE]
        database.drop_collection("orders")
        begun = time.perf_counter()
        batches = pa.RecordBatchReader.from_batches(next(orders(1)).schema, orders(options.count))
        made = database.orders.insert_arrow(batches).inserted_count
        print(f"{made:,} orders made in {time.perf_counter() - begun:.1f} s")

        begun = time.perf_counter()
        partitions = database.orders.find().partitions(options.partitions, infer_rows=100, uri_env="MONGODB_URI")
        print(f"plan: {partitions.reason}; {time.perf_counter() - begun:.2f} s")
        for partition in partitions:
            print(f"  partition {partition.index}: about {partition.estimated_rows or 0:,} orders")

        begun = time.perf_counter()
        dataset = partitions.to_ray()
        parts = dataset.select_columns(["customer", "total"]).map_batches(subtotals, batch_format="pyarrow")
        sums = pa.concat_tables(ray.get(parts.to_arrow_refs()))
        totals = sums.group_by("customer").aggregate([("total_sum", "sum"), ("total_count", "sum")])
        read = pc.sum(totals["total_count_sum"]).as_py()
        print(f"{read:,} orders of {totals.num_rows:,} customers added up in {time.perf_counter() - begun:.1f} s")
        for worker in sums.group_by("worker").aggregate([("total_count", "sum")]).to_pylist():
            print(f"  worker {worker['worker']}: {worker['total_count_sum']:,} orders")

        begun = time.perf_counter()
        taxed = dataset.select_columns(["_id", "total"]).map_batches(with_tax, batch_format="pyarrow")
        result = database.orders.task_writer("update", uri_env="MONGODB_URI").write_ray(taxed)
        print(f"{result.modified_count:,} orders changed in {time.perf_counter() - begun:.1f} s")
        assert read == result.matched_count == made
        client.drop_database(DATABASE)
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main()
