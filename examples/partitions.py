"""Split a result into partitions, and read them in several processes: each order comes exactly once.

Load the orders first: `python examples/orders.py --count 2000`.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from data_bridge import MongoClient, Partition

URI = os.environ.get("MONGODB_URI", "mongodb://localhost:27017")


def weight(partition: Partition) -> tuple[int, float]:
    """Return the number of orders in a partition, and their weight. Runs in another process."""
    table = partition.to_arrow()
    return table.num_rows, sum(table["weight"].to_pylist())


def main() -> None:
    with MongoClient(URI) as client:
        query = client["data_bridge_demo"]["orders"].find(schema={"_id": str, "weight": float})
        # Pickles of partitions hold no credentials: other processes read the URI from their environment.
        partitions = query.partitions(4, snapshot=True, uri_env="MONGODB_URI")
        print(partitions)
        print("read at", partitions.snapshot_time)
        os.environ.setdefault("MONGODB_URI", URI)
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
            results = list(processes.map(weight, partitions))
    for partition, (count, weighed) in zip(partitions, results, strict=True):
        print(f"partition {partition.index}: {count} orders, {weighed:.1f} kg")
    print(f"all: {sum(count for count, _ in results)} orders")


if __name__ == "__main__":
    main()
