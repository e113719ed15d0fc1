"""Shows orders in MongoDB as a polars table, beside other ways to read them: `make demo`."""

from __future__ import annotations

import argparse
import gc
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable
from datetime import datetime
from typing import Any

import polars as pl
import pymongo

import data_bridge
import orders as demo_data

FILTER = {"status": {"$in": ["paid", "shipped", "delivered"]}}
ROUNDS = 3


def heading(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")
    print("-" * len(text))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the best time of a few runs, and the last result; the previous result is released first."""
    best, result = float("inf"), None
    for _ in range(ROUNDS):
        result = None
        gc.collect()
        started = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - started)
    return best, result


def show_table(frame: pl.DataFrame) -> None:
    with pl.Config(tbl_cols=8, tbl_rows=6, tbl_width_chars=118, fmt_str_lengths=24, tbl_hide_dataframe_shape=True):
        print(frame.drop("_id", "items"))
    print(f"{frame.height:,} rows, {frame.width} columns; `items` is {frame.schema['items']}")


def compare(rows: int, size: float, ours: float, uri: str) -> None:
    """Print the times of the same query with other libraries, each the best of a few runs."""
    lines = [("data_bridge   find().to_polars()", ours, "")]
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        collection = client[demo_data.DATABASE]["orders"]
        seconds, _ = timed(lambda: list(collection.find(FILTER)))
        lines.append(("PyMongo       list(find())", seconds, "a list of dicts, not yet a table"))
        if importlib.util.find_spec("pymongoarrow"):
            with warnings.catch_warnings():
                # It warns once per array class if it was built against another pyarrow, but works.
                warnings.simplefilter("ignore", RuntimeWarning)
                from pymongoarrow.api import find_arrow_all

            seconds, table = timed(lambda: find_arrow_all(collection, FILTER))
            missing = sorted({"coupon", "customer", "items", "total"} - set(table.column_names))
            lost = f"lost {', '.join(missing)}" if missing else "guesses each type from the first value it sees"
            lines.append(("PyMongoArrow  find_arrow_all()", seconds, lost))
        else:
            lines.append(("PyMongoArrow  (not installed: pip install pymongoarrow)", 0.0, ""))
    print(f"{'':<34}{'seconds':>9}{'documents/s':>14}{'MB/s':>8}{'ratio':>8}")
    for name, seconds, note in lines:
        if seconds:
            figures = f"{seconds:>9.3f}{rows / seconds:>14,.0f}{size / seconds / 1e6:>8.0f}{seconds / ours:>7.1f}x"
            print(f"{name:<34}{figures}   {note}")
        else:
            print(name)


def show_documents(collection: Any) -> None:
    """Print a few documents. They are views: only the printed values are built."""
    started = time.perf_counter()
    result = collection.find(FILTER).read()
    documents = list(result)
    print(f"{len(documents):,} documents in {time.perf_counter() - started:.3f} s; of these, three were touched:\n")
    for document in documents[:3]:
        customer = document["customer"]
        names = ", ".join(item["name"] for item in document["items"])
        when, total = document["placed"], str(document["total"])
        print(f"  {document['number']}  {when:%Y-%m-%d}  {total:>8}  {customer['name']}: {names}")
    first = documents[0]
    print(f"\n  'coupon' in document: {'coupon' in first};  list(document): {list(first)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=200_000)
    count = parser.parse_args().count

    heading("Data")
    with pymongo.MongoClient[dict[str, Any]](demo_data.URI) as loader:
        seconds = demo_data.load(loader, count)
        database = loader[demo_data.DATABASE]
        average = database.command("collStats", "orders")["avgObjSize"]
        version = loader.server_info()["version"]
    how = f"loaded in {seconds:.1f} s" if seconds else "there already"
    print(f"{count:,} orders of {average} bytes in {demo_data.DATABASE}.orders, MongoDB {version} ({how})")

    with data_bridge.MongoClient(demo_data.URI) as client:
        collection = client[demo_data.DATABASE]["orders"]

        heading(f"orders.find({FILTER}).to_polars()")
        seconds, frame = timed(lambda: collection.find(FILTER).to_polars())
        show_table(frame)

        heading("The same query, other ways")
        compare(frame.height, frame.height * average, seconds, demo_data.URI)

        heading("The same query as lazy documents")
        show_documents(collection)

        heading("Live, in bounded memory")
        started = time.perf_counter()
        newest = datetime.min
        for document in collection.find(FILTER):
            newest = max(newest, document["placed"])
        print(
            f"walked all of them in {time.perf_counter() - started:.3f} s, one field each; the last was placed {newest}"
        )


if __name__ == "__main__":
    main()
