"""pyarrow's Dataset over a query, for DuckDB and DataFusion: they push columns and filters down through it.

Both call `schema` and `scanner` of any Dataset. The base class reads files in C++, and has many other methods. One
fragment stands for its files: whatever reads it raises an error with its text, and crashes nothing. A Dataset without a
fragment, and one derived from `Dataset` itself, crash or are silently empty in some of these methods.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

try:
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.fs
except ImportError as error:
    raise ImportError("to_dataset() needs pyarrow: pip install 'data-bridge-mongodb[arrow]'") from error

from .lazy_scan import LazyScan
from .predicates import All
from .substrait_predicates import condition

_PLACEHOLDER = (
    "a data_bridge dataset is read by its scanner(), to_table() and to_batches(), not by pyarrow's own methods"
)


class QueryDataset(ds.FileSystemDataset):  # type: ignore[misc]  # pyarrow has no types
    """A query as a pyarrow Dataset: read anew each time, with columns and filters pushed down."""

    def __init__(self, scan: LazyScan, kept: Sequence[Any] = ()) -> None:
        ipc = ds.IpcFileFormat()
        files = pyarrow.fs.LocalFileSystem()
        fragment = ipc.make_fragment(_PLACEHOLDER, files)
        super().__init__([fragment], pa.schema(scan.schema), ipc, files)
        self._scan = scan
        self._kept = tuple(kept)

    def scanner(self, columns: Any = None, filter: Any = None, **options: Any) -> QueryScanner:
        """Return a scanner of some columns, and of the rows that meet a filter.

        Parameters
        ----------
        columns
            Names, or a mapping of names to expressions; None for all.
        filter
            A pyarrow Expression.
        options
            pyarrow's other options, such as `batch_size`, change nothing in the rows.
        """
        filters = (*self._kept, *(() if filter is None else (filter,)))
        return QueryScanner(self._scan, self.schema, columns, filters)

    def to_batches(self, **options: Any) -> Iterator[pa.RecordBatch]:
        """RecordBatches as they come, in bounded memory. Options as for `scanner`."""
        return self.scanner(**options).to_batches()

    def to_table(self, **options: Any) -> pa.Table:
        """Read a table. Options as for `scanner`."""
        return self.scanner(**options).to_table()

    def count_rows(self, filter: Any = None, **options: Any) -> int:
        """Count rows by reading one column."""
        return self.scanner(filter=filter).count_rows()

    def head(self, num_rows: int, **options: Any) -> pa.Table:
        """Read the first rows."""
        return self.scanner(**options).head(num_rows)

    def take(self, indices: Any, **options: Any) -> pa.Table:
        """Read the rows at some positions."""
        return self.to_table(**options).take(indices)

    def filter(self, expression: Any) -> QueryDataset:
        """Return the dataset of the rows that meet a filter, too."""
        if not isinstance(expression, ds.Expression):
            raise TypeError(f"expected a pyarrow Expression, got {type(expression).__name__}")
        return QueryDataset(self._scan, [*self._kept, expression])

    def get_fragments(self, filter: Any = None) -> Iterator[QueryFragment]:
        """One fragment, which DataFusion reads by its scanner."""
        return iter([QueryFragment(self if filter is None else self.filter(filter))])

    def sort_by(self, sorting: Any, **options: Any) -> Any:
        """Read the table, sorted, as an in-memory dataset."""
        return ds.InMemoryDataset(self.to_table(**options).sort_by(sorting))

    def join(self, right_dataset: Any, *arguments: Any, **options: Any) -> Any:
        """Read both tables and join them, as an in-memory dataset."""
        return ds.InMemoryDataset(self.to_table().join(_table(right_dataset), *arguments, **options))

    def join_asof(self, right_dataset: Any, *arguments: Any, **options: Any) -> Any:
        """Read both tables and join them by the nearest key, as an in-memory dataset."""
        return ds.InMemoryDataset(self.to_table().join_asof(_table(right_dataset), *arguments, **options))

    def replace_schema(self, schema: Any) -> NoReturn:
        """Refuse: the schema is that of the query."""
        raise NotImplementedError("pass schema= to the query instead: its documents are converted to it")

    def _get_fragments(self, filter: Any) -> Iterator[QueryFragment]:
        return self.get_fragments(filter)

    def _scanner_options(self, options: Any) -> NoReturn:
        raise NotImplementedError(_PLACEHOLDER)

    def _scan_options(self) -> NoReturn:
        raise NotImplementedError(_PLACEHOLDER)

    @property
    def files(self) -> list[str]:
        """Empty: no files are read."""
        return []

    @property
    def partition_expression(self) -> Any:
        """The condition that all rows meet: true."""
        return ds.scalar(True)

    def __reduce__(self) -> tuple[Any, ...]:
        return QueryDataset, (self._scan, self._kept)

    def __repr__(self) -> str:
        return f"QueryDataset({self._scan!r})"


class QueryFragment:
    """The only fragment of a `QueryDataset`."""

    partition_expression = ds.scalar(True)

    def __init__(self, dataset: QueryDataset) -> None:
        self._dataset = dataset

    @property
    def physical_schema(self) -> pa.Schema:
        """The schema of the dataset."""
        return self._dataset.schema

    def scanner(self, schema: Any = None, columns: Any = None, filter: Any = None, **options: Any) -> QueryScanner:
        """Return a scanner, as `QueryDataset.scanner`."""
        return self._dataset.scanner(columns=columns, filter=filter)

    def count_rows(self, filter: Any = None, **options: Any) -> int:
        """Count rows by reading one column."""
        return self._dataset.count_rows(filter=filter)

    def to_table(self, schema: Any = None, **options: Any) -> pa.Table:
        """Read a table."""
        return self._dataset.to_table(**options)

    def to_batches(self, schema: Any = None, **options: Any) -> Iterator[pa.RecordBatch]:
        """RecordBatches as they come."""
        return self._dataset.to_batches(**options)


class QueryScanner:
    """One read of a `QueryDataset`; each method that returns rows starts it anew."""

    def __init__(self, scan: LazyScan, schema: pa.Schema, columns: Any, filters: Sequence[Any]) -> None:
        self._scan = scan
        self._schema = schema
        self._filters = filters
        self._projection = _projection(schema, columns)
        self.dataset_schema = schema
        empty = schema.empty_table()
        self.projected_schema = self._projected(empty).schema

    def _projected(self, table: pa.Table) -> pa.Table:
        if all(isinstance(value, str) for value in self._projection.values()):
            return table.select([*self._projection.values()]).rename_columns([*self._projection])
        return ds.InMemoryDataset(table).to_table(
            columns={
                name: ds.field(value) if isinstance(value, str) else value for name, value in self._projection.items()
            }
        )

    def _needed(self) -> list[str] | None:
        """Return the columns to read; None for all."""
        if any(not isinstance(value, str) for value in self._projection.values()):
            return None
        names = dict.fromkeys(self._projection.values())
        for expression in self._filters:
            found = _names(expression, self._schema)
            if found is None:
                return None
            names.update(dict.fromkeys(found))
        return [*names]

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """RecordBatches as they come; closing the iterator ends the read."""
        pushed = All([condition(expression, self._schema) for expression in self._filters])
        needed = self._needed()
        with self._scan.open(needed, pushed) as stream:
            for batch in stream:
                table = pa.Table.from_batches([pa.record_batch(batch)])
                for expression in self._filters:
                    table = table.filter(expression)
                yield from self._projected(table).to_batches()

    def to_reader(self) -> pa.RecordBatchReader:
        """RecordBatches as they come. Dropping the reader ends the read."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self.to_batches())

    def to_table(self) -> pa.Table:
        """All rows as a table."""
        return pa.Table.from_batches(self.to_batches(), self.projected_schema)

    def head(self, num_rows: int) -> pa.Table:
        """The first rows as a table."""
        batches = self.to_batches()
        kept: list[pa.RecordBatch] = []
        left = num_rows
        for batch in batches if left > 0 else ():
            kept.append(batch.slice(0, left))
            left -= kept[-1].num_rows
            if left <= 0:
                break
        batches.close()  # type: ignore[attr-defined]  # a generator
        return pa.Table.from_batches(kept, self.projected_schema)

    def take(self, indices: Any) -> pa.Table:
        """The rows at some positions."""
        return self.to_table().take(indices)

    def count_rows(self) -> int:
        """The number of rows."""
        columns: dict[str, Any] = {}
        if self._schema.names:
            columns = {self._schema.names[0]: self._schema.names[0]}
        counted = QueryScanner(self._scan, self._schema, columns, self._filters)
        return sum(batch.num_rows for batch in counted.to_batches())

    def scan_batches(self) -> Iterator[Any]:
        """RecordBatches with the fragment that each comes from."""
        return (ds.TaggedRecordBatch(batch, None) for batch in self.to_batches())

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self.to_reader().__arrow_c_stream__(requested_schema)


def _projection(schema: pa.Schema, columns: Any) -> dict[str, Any]:
    """Return the columns of the result: names of columns, or expressions."""
    if columns is None:
        return {name: name for name in schema.names}
    if isinstance(columns, dict):
        return dict(columns)
    for name in columns:
        if name not in schema.names:
            raise pa.ArrowInvalid(f"no column {name!r} in {schema.names}")
    return {name: name for name in columns}


def _names(expression: Any, schema: pa.Schema) -> list[str] | None:
    """Return the columns that an expression reads; None if they are not known."""
    text = str(expression)
    if "FieldPath" in text or not all(name.isidentifier() for name in schema.names):
        return None
    # A name that occurs by chance in a literal costs a column that is not needed.
    words = set(re.findall(r"\w+", text))
    found = [name for name in schema.names if name in words]
    return found or None


def _table(data: Any) -> Any:
    return data.to_table() if isinstance(data, ds.Dataset) else data


def to_dataset(scan: LazyScan) -> QueryDataset:
    """Return the dataset of a scan."""
    return QueryDataset(scan)
