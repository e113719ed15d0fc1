"""polars: a query as a LazyFrame, with columns, predicates and the number of rows pushed down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .lazy_scan import LazyScan
from .polars_predicates import condition

if TYPE_CHECKING:
    import polars as pl


class PolarsSource:
    """The source that polars calls for each read; a serialised LazyFrame contains its pickle."""

    def __init__(self, scan: LazyScan) -> None:
        self._scan = scan

    def schema(self) -> pl.Schema:
        """Return the columns with their types; the first call infers them, if the query has no schema."""
        import polars as pl

        return pl.DataFrame(_NoRows(self._scan.schema)).schema

    def __call__(
        self, with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        """Yield frames with these columns, and with the rows that meet the predicate."""
        import polars as pl

        pushed = None if predicate is None else condition(predicate)
        # polars requests no rows after a predicate; a source must return no more than it requests.
        left = n_rows
        with self._scan.open(with_columns, pushed, None if predicate is not None else n_rows) as stream:
            for batch in stream if left != 0 else ():
                frame = pl.DataFrame(batch)
                if with_columns is not None:
                    frame = frame.select(with_columns)
                if predicate is not None:
                    frame = frame.filter(predicate)
                if left is not None:
                    frame = frame.head(left)
                    left -= frame.height
                yield frame
                if left == 0:
                    return


class _NoRows:
    """An Arrow stream without rows."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        from .. import _core
        from ..connection.codec import DEFAULT, native
        from ..query.table_options import TableOptions

        codec = native(DEFAULT)
        form = TableOptions(schema=self._schema).form(codec)
        return _core.read_bytes(b"", codec=codec, eager=True).read_all().arrow_stream(form, requested_schema)


def to_lazy(scan: LazyScan) -> pl.LazyFrame:
    """Return the LazyFrame of a scan. Nothing is read before it is collected.

    Raises
    ------
    ImportError
        When polars is not installed, or has no sources of this kind.
    """
    try:
        from polars.io.plugins import register_io_source
    except ImportError as error:
        raise ImportError("to_lazy() needs polars 1.21 or later: pip install 'data-bridge-mongodb[polars]'") from error
    source = PolarsSource(scan)
    frame: pl.LazyFrame = register_io_source(source, schema=source.schema)
    return frame
