"""Tasks of Ray whose worker dies once, in the middle of a read or of a write. Workers of Ray import this module."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import engine_sources
import pyarrow as pa
import pyarrow.compute as pc
from ray.data.block import BlockAccessor

from data_bridge import ArrowWriteResult
from data_bridge.engines.ray import WriterDatasink


class DiesOnce:
    """Passes batches on; the first process that sees a number dies."""

    def __init__(self, mark: str, number: int) -> None:
        self.mark, self.number = mark, number

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return the batch."""
        if pc.any(pc.equal(batch["_id"], self.number)).as_py():
            engine_sources.die_once(self.mark)
        return batch


class KilledDatasink(WriterDatasink):
    """Dies when it has written a half of its first block."""

    def __init__(self, writer: Any, mark: str) -> None:
        super().__init__(writer)
        self.mark = mark

    def write(self, blocks: Iterable[Any], ctx: Any) -> ArrowWriteResult:
        """Write the blocks of one task."""
        kept = list(blocks)
        half = BlockAccessor.for_block(kept[0]).to_arrow()
        half = half.slice(0, half.num_rows // 2)
        engine_sources.die_once(self.mark, lambda: self._writer.write(half).rows)
        return super().write(kept, ctx)
