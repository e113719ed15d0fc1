"""Queries as tables: Arrow, polars, pandas, Parquet files, and a stream for results that are larger than memory."""

# pyarrow and pandas have no types: their values are unknown to strict checkers.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..values import Status
from .models import Order, Product

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


async def columns_of_orders() -> dict[str, str]:
    """Read all orders as an Arrow table: lists and embedded documents are columns too."""
    table = await Order.find().sort("id").to_arrow()
    return {field.name: str(field.type) for field in table.schema}


async def stock_frame() -> pl.DataFrame:
    """Read some columns as a polars frame, with prices as exact numbers."""
    query = Product.find(Product.stock > 0, decimal="decimal128(12, 2)").with_children().sort("id")
    return await query.project(["id", "price", "stock"]).to_polars()


async def status_frame() -> pd.DataFrame:
    """Read an aggregation as a pandas frame."""
    count = {"$group": {"_id": "$status", "orders": {"$sum": 1}}}
    return await Order.aggregate([count, {"$sort": {"_id": 1}}]).to_pandas()


async def count_streamed() -> dict[Status, int]:
    """Read record batches as they arrive: memory holds a few of them, not the result."""
    counts = dict.fromkeys(Status, 0)
    async with Order.find().project([Order.status]).stream() as stream:
        async for batch in stream:
            for status in batch_values(batch, "status"):
                counts[Status(status)] += 1
    return counts


def batch_values(batch: Any, column: str) -> list[Any]:
    """Return the values of a column of a batch, which any Arrow library accepts."""
    values: list[Any] = pa.record_batch(batch).column(column).to_pylist()
    return values


async def export_products(file: Path) -> int:
    """Write products of all classes to a file; `shapes` keeps null and missing values apart."""
    table = await Product.find().with_children().sort("id").to_arrow(shapes=True)
    pq.write_table(table, file)
    rows: int = table.num_rows
    return rows


async def import_products(file: Path) -> list[Product]:
    """Read the file as instances of the models, as from a query."""
    return Product.from_arrow(pq.read_table(file))
