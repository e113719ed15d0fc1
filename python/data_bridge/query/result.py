"""A result that was read: rows, documents and tables over the same memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .. import _core
from .._core import Codec, Document, NativeTableOptions, ResultData, Schema
from ..connection.codec import DEFAULT, native
from ..errors import SchemaConflict
from . import conflicts
from .extensions import extension
from .report import Report
from .table_options import TableOptions

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from bson.codec_options import CodecOptions

    from .._typing import TableSchema

T = TypeVar("T")


class Result:
    """Everything a query found. Reading it in several ways runs nothing again, and shares memory where Arrow can.

    It is a sequence of Documents, and an Arrow stream for any consumer: `polars.DataFrame(result)`,
    `pyarrow.table(result)`, DuckDB's `from result`.
    """

    __slots__ = ("__weakref__", "_codec", "_data", "_form")

    def __init__(self, data: ResultData, form: NativeTableOptions | None, codec: Codec) -> None:
        self._data = data
        self._form = form
        self._codec = codec

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Document]:
        return self._data.documents()

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> list[Document]: ...
    def __getitem__(self, index: int | slice) -> Document | list[Document]:
        """The document at a position, counted from the end when negative; a list of them for a slice."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self._data))
            if step == 1:
                return list(self._data.documents(start, max(start, stop)))
            return [self._data.document(position) for position in range(start, stop, step)]
        if not hasattr(index, "__index__"):
            raise TypeError(f"a Result is indexed by int or slice, got {type(index).__name__}")
        position = index.__index__()
        if position < 0:
            position += len(self._data)
        if not 0 <= position < len(self._data):
            raise IndexError(f"position {index} in a Result of {len(self._data)} documents")
        return self._data.document(position)

    @property
    def schema(self) -> Schema:
        """The Arrow schema of the table.

        Raises
        ------
        SchemaConflict
            When the documents make no table, or do not fit the schema that was given.
        """
        return self._data.schema(self._form)

    @property
    def report(self) -> Report:
        """The report of the run, with the values that did not fit once a table was made."""
        return Report(self._data.report(self._form))

    def conflicts(self, schema: object = None) -> Iterator[SchemaConflict]:
        """Every value that does not fit a schema, in result order; no table is made.

        Parameters
        ----------
        schema
            As for `Collection.find`; without one, the query's.

        Yields
        ------
        SchemaConflict
            Not raised: its `document`, `id`, `path`, `expected` and `found` say what is where.

        Raises
        ------
        ValueError
            When no schema was given, here or to the query.
        """
        return conflicts.of_result(self._data, conflicts.form_of(self._form, schema))

    def to_list(self) -> list[Document]:
        """All Documents."""
        return self._data.document_list()

    def to_dicts(self) -> list[dict[str, Any]]:
        """All documents as dicts, equal to what PyMongo gives."""
        return self._data.to_dicts()

    @overload
    def to_models(self, model: type[T]) -> list[T]: ...
    @overload
    def to_models(self, model: object) -> list[Any]: ...
    def to_models(self, model: object) -> list[Any]:
        """All documents as objects of a class, which its own library makes, in bulk where it can.

        A key goes to the field that pydantic's alias, msgspec's `name` or `rename`, or `metadata={"alias": ...}` of a
        dataclass or attrs field names, else to the field of that name; `_id` of a document to the field `id` of a
        dataclass or attrs class. Pydantic and msgspec ignore or refuse other keys, as the class declares;
        dataclasses and attrs classes ignore them. For a field annotated as Decimal, UUID or date, decimal128, binary of
        subtype 4 and midnight in UTC become one, and for one annotated as str an ObjectId becomes its digits; all other
        values reach pydantic and msgspec as PyMongo gives them. A dataclass or attrs class gets values that fit its
        annotations, nested classes included.

        Parameters
        ----------
        model
            A pydantic 2 model or dataclass, a dataclass, an attrs class, a msgspec Struct, a Beanie document; or a
            union of such classes of one library.

        Raises
        ------
        TypeError
            When `model` is no such class, or an annotation of it cannot be resolved.
        ConversionError
            For the first document that does not fit, with its `_id` and the path; chained to the library's error.
        """
        made: list[Any] = extension("target_of")(model).make(self.to_dicts())
        return made

    def to_arrow(self, *, shapes: bool = False) -> pa.Table:
        """A pyarrow Table over this result's memory.

        Parameters
        ----------
        shapes
            Add a last column `_shapes`, with which `from_arrow` gives these documents exactly: null and missing keys,
            the order of keys, the types of values in widened columns. It is null in rows that need nothing of it. Rows
            may be filtered, sliced, concatenated, written to Parquet and read back; columns and their values must stay
            as they are. With a schema, keys that it does not name stay left out, and values that `on_conflict="null"`
            dropped stay null.

        Raises
        ------
        ImportError
            When pyarrow is not installed.
        SchemaConflict
            As `schema`.
        ValueError
            With `shapes`: when there is a column `_shapes` already, or a value that no document can hold (a uint64
            above int64, a decimal of more than 34 digits).
        """
        return _table(self, _import("pyarrow", "to_arrow()", "arrow"), shapes)

    def to_polars(self) -> pl.DataFrame:
        """A polars DataFrame; polars copies what it stores otherwise. Text comes laid out as polars has it.

        Raises
        ------
        ImportError
            When polars is not installed.
        SchemaConflict
            As `schema`.
        """
        table = _Table(self._data, self._form and self._form.with_views())
        frame: pl.DataFrame = _import("polars", "to_polars()", "polars").DataFrame(table)
        return frame

    def to_pandas(self, *, dtype_backend: str = "pyarrow") -> pd.DataFrame:
        """A pandas DataFrame.

        Parameters
        ----------
        dtype_backend
            "pyarrow" gives ArrowDtype columns, which keep everything. "numpy_nullable" gives pandas' own nullable
            types, as `pandas.read_parquet` does: Int64, Float64, boolean, string. "numpy" gives numpy's, and is lossy:
            integers with nulls become floats. Dates are pandas' with both; nested values and bytes become objects.

        Raises
        ------
        ImportError
            When pandas or pyarrow is not installed.
        SchemaConflict
            As `schema`.
        ValueError
            For an unknown `dtype_backend`.
        """
        from . import pandas_frames  # beside pandas, which is loaded here, too

        pandas_frames.check_backend(dtype_backend)
        _import("pandas", "to_pandas()", "pandas")
        table = _table(self, _import("pyarrow", "to_pandas()", "pandas"), shapes=False)
        return pandas_frames.frame(table, dtype_backend)

    def to_pylist(self) -> list[dict[str, Any]]:
        """The rows of the table as dicts of PyMongo's values, with aware datetimes.

        Every column is in every dict, at each level: its nulls, and keys that a document does not have, are None.
        Values are those of the table with exact types: only the columns of a given schema, and as it converts them, and
        text where `mixed="json"` requests it. A value has the type
        that PyMongo gives for its column: `ObjectId`, `Decimal128`, `Int64` for a column of int64, also where a
        document has an int32. A DBRef is a dict. `to_dicts()` gives the documents themselves.

        Raises
        ------
        ImportError
            When pyarrow is not installed.
        SchemaConflict
            As `schema`.
        ValueError
            For a value of a given schema that no document can hold: a uint64 above int64, a decimal of more than 34
            digits, parts of a millisecond.
        """
        from . import pylists  # beside pyarrow, which is loaded here, too

        pyarrow = _import("pyarrow", "to_pylist()", "arrow")
        form = self._form and self._form.with_exact()
        return pylists.rows(_Table(self._data, form), pyarrow.schema(self._data.schema(form)), self._codec)

    def __arrow_c_schema__(self) -> Any:
        """The schema as a PyCapsule."""
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        """The table as a PyCapsule, any number of times; all of them share this result's memory."""
        return self._data.arrow_stream(self._form, requested_schema)

    def __repr__(self) -> str:
        return f"Result({len(self._data):,} documents)"

    def _repr_html_(self) -> str:
        """Schema, first rows and report, for notebooks; never queries."""
        from . import html  # needed by notebooks only

        return html.page(self._data, self._form, self.report)


def from_arrow(
    data: object,
    *,
    codec_options: CodecOptions[Any] | None = None,
    nulls: str = "omit",
    schema: TableSchema | None = None,
) -> Result:
    """Documents over any Arrow data: a pyarrow Table, a polars DataFrame, a result read back from Parquet.

    Columns of a table of this package have the types of its documents: text of ids, UUIDs, decimals and mixed values
    becomes ObjectIds, UUIDs, decimals and values again, as the metadata of the fields records. A table of
    `to_arrow(shapes=True)` reads as exactly the documents it was made of.

    Parameters
    ----------
    data
        Any object with `__arrow_c_stream__` or `__arrow_c_array__`.
    codec_options
        Conversion of values to Python objects.
    nulls
        The meaning of Arrow's null in a document: a missing key ("omit"), or a key whose value is null ("keep"). In a
        list it is null. Tables with shapes record it themselves.
    schema
        Types of columns, by name: the schema of an earlier result, or a mapping as for `Collection.find`. For data
        whose metadata a consumer dropped, as polars, DuckDB and pandas do. Other columns are read as they are.

    Raises
    ------
    TypeError
        When `data` is no Arrow data.
    ValueError
        For columns that BSON cannot hold (polars' Object is one), text that is not UTF-8 or is not of the type that is
        recorded, an array of structs with a null row, and shapes that were written for other columns.
    DecodeError
        For a cell of our extension types that is not what it should be.
    """
    if not (hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")):
        raise TypeError(f"from_arrow() takes an object with __arrow_c_stream__, got {type(data).__name__}")
    _refuse_polars_objects(data)
    if nulls not in ("omit", "keep"):
        raise ValueError(f'nulls must be "omit" or "keep", got {nulls!r}')
    codec = native(codec_options or DEFAULT)
    form = None if schema is None else TableOptions(schema=schema).form(codec)
    return Result(_core.from_arrow(data, codec=codec, keep_nulls=nulls == "keep", form=form), None, codec)


def _refuse_polars_objects(data: object) -> None:
    """Refuse a polars DataFrame with columns of Object: as Arrow data they are the memory addresses of their values."""
    polars = sys.modules.get("polars")
    if polars is None or not isinstance(data, (polars.DataFrame, polars.Series)):
        return
    columns = data.schema if isinstance(data, polars.DataFrame) else {data.name: data.dtype}
    for name, dtype in columns.items():
        if _holds_objects(dtype, polars.Object):
            raise ValueError(
                f"the column {name!r} is of polars' type {dtype}, which Arrow has only as memory addresses: "
                "give it a type of Arrow's, such as Struct, List or String, or leave it out"
            )


def _holds_objects(dtype: object, objects: Any) -> bool:
    inner = [getattr(dtype, "inner", None), *(field.dtype for field in getattr(dtype, "fields", ()))]
    return bool(dtype == objects) or any(_holds_objects(each, objects) for each in inner if each is not None)


class _Table:
    """The Arrow stream of a result, without its other methods: some consumers would read a sequence of values."""

    __slots__ = ("_data", "_form", "_shapes")

    def __init__(self, data: ResultData, form: NativeTableOptions | None, *, shapes: bool = False) -> None:
        self._data = data
        self._form = form
        self._shapes = shapes

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self._data.arrow_stream(self._form, requested_schema, shapes=self._shapes)


def _table(result: Result, pyarrow: Any, shapes: bool) -> pa.Table:
    # `pyarrow.table(result)` gives the same, but first imports pandas to see whether the result is a DataFrame: 0.3 s.
    return pyarrow.RecordBatchReader.from_stream(_Table(result._data, result._form, shapes=shapes)).read_all()


def _import(name: str, method: str, extra: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{method} needs {name}: pip install 'data-bridge-mongodb[{extra}]'. Without it, read() gives a Result "
            "that any Arrow library takes, and to_dicts() gives plain Python"
        ) from error
