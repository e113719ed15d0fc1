"""The same queries as tables: Arrow, polars, pandas, a file and back, and a stream for what is larger than memory."""

# pyarrow and pandas come without types: what they give is unknown to strict checkers.
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
    """All orders as an Arrow table: lists and embedded documents are columns too."""
    table = await Order.find().sort("id").to_arrow()
    return {field.name: str(field.type) for field in table.schema}


async def stock_frame() -> pl.DataFrame:
    """Some columns as polars has them, prices as exact numbers."""
    query = Product.find(Product.stock > 0, decimal="decimal128(12, 2)").with_children().sort("id")
    return await query.project(["id", "price", "stock"]).to_polars()


async def status_frame() -> pd.DataFrame:
    """An aggregation as a pandas frame."""
    count = {"$group": {"_id": "$status", "orders": {"$sum": 1}}}
    return await Order.aggregate([count, {"$sort": {"_id": 1}}]).to_pandas()


async def count_streamed() -> dict[Status, int]:
    """Record batches as they come: memory holds a few, not the result."""
    counts = dict.fromkeys(Status, 0)
    async with Order.find().project([Order.status]).stream() as stream:
        async for batch in stream:
            for status in batch_values(batch, "status"):
                counts[Status(status)] += 1
    return counts


def batch_values(batch: Any, column: str) -> list[Any]:
    """The values of a column of a batch, which any Arrow library takes."""
    values: list[Any] = pa.record_batch(batch).column(column).to_pylist()
    return values


async def export_products(file: Path) -> int:
    """Write products of all classes to a file; `shapes` keeps what Arrow does not tell apart, null and missing, say."""
    table = await Product.find().with_children().sort("id").to_arrow(shapes=True)
    pq.write_table(table, file)
    rows: int = table.num_rows
    return rows


async def import_products(file: Path) -> list[Product]:
    """Read them back: instances of the models, as if a query had read them."""
    return Product.from_arrow(pq.read_table(file))
