"""Writes of the tasks of distributed engines, which may run more than once: a picklable writer."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

from .._core import ArrowSource, RecordBatch, encode_arrow
from ..commands.arrow_options import ArrowWriteKeywords, ArrowWriteOptions, On
from ..connection.settings import Settings
from ..errors import InvalidOperation, InvalidQuery
from .arrow_write_result import ArrowWriteResult
from .extensions import extension
from .namespace import Namespace
from .partition_origin import Origin
from .table_options import TableOptions, native_schema

if TYPE_CHECKING:
    import dask.dataframe
    import ray.data

INSERT, INSERT_AT_LEAST_ONCE = "insert", "insert_at_least_once"
_UPDATES = frozenset(["nulls", "on_duplicate", "collation"])
_OPTIONS = {
    INSERT: frozenset(["nulls"]),
    INSERT_AT_LEAST_ONCE: frozenset(["nulls"]),
    "upsert": _UPDATES | {"nested", "check_index"},
    "update": _UPDATES | {"nested", "many"},
    "replace": _UPDATES | {"check_index"},
    "delete": frozenset(["on_duplicate", "collation", "many"]),
}
"""Options of each operation beside those of all writes."""
_WRITE_NAMES = {INSERT_AT_LEAST_ONCE: "insert", "replace": "replace_or_insert"}
_DUPLICATE_KEY = 11000
_IDS = 1_000
"""Ids in one filter."""
_VERSION = 1
_EXACT: CodecOptions[Any] = CodecOptions(
    document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_MS
)


class TaskWriter:
    """A write of Arrow data in the tasks of a distributed engine, from `Collection.task_writer`.

    It is picklable, without credentials by default. A task that runs again, or twice at a time, gives the same
    documents, except with "insert_at_least_once". Rows of one key in several tasks are written in no certain order.
    """

    __slots__ = ("_collection", "_name", "_on", "_options", "_origin", "_settings", "operation")

    operation: str
    """The operation, as it was given."""

    def __init__(
        self,
        namespace: Namespace,
        operation: str,
        on: On,
        origin: tuple[str | None, str | None, bool],
        options: Mapping[str, Any],
    ) -> None:
        if operation not in _OPTIONS:
            raise ValueError(f"operation must be one of {', '.join(_OPTIONS)}, got {operation!r}")
        assert namespace.collection is not None
        self.operation = operation
        self._name = namespace.database, namespace.collection
        self._settings = namespace.settings
        self._origin = Origin(namespace.core, *origin)
        self._on = on
        self._options = _checked(operation, on, dict(options))
        self._collection: Any = None
        if not namespace.settings.acknowledged:
            raise InvalidOperation("a write of Arrow data must be acknowledged: its write concern cannot be w=0")

    def write(self, data: object) -> ArrowWriteResult:
        """Write the rows of one task, with the client of this process.

        Parameters
        ----------
        data
            Any object with `__arrow_c_stream__`.

        Raises
        ------
        ArrowWriteError
            When the server refused rows, or stores other values under the `_id` of an inserted row.
        InvalidQuery
            For data that cannot be written: without `_id` for "insert", for example.
        """
        if self.operation == INSERT:
            return self._insert(data)
        collection = self._target()
        if self.operation == INSERT_AT_LEAST_ONCE:
            result: ArrowWriteResult = collection.insert_arrow(data, **self._options)
        elif self.operation == "replace":
            result = collection.replace_arrow(data, self._on, upsert=True, **self._options)
        else:
            result = getattr(collection, f"{self.operation}_arrow")(data, self._on, **self._options)
        return result

    def write_ray(self, dataset: ray.data.Dataset) -> ArrowWriteResult:
        """Write a Ray Dataset, each block in a task; the sum of their results."""
        result: ArrowWriteResult = extension("write_ray")(dataset, self)
        return result

    def write_dask(self, frame: dask.dataframe.DataFrame) -> ArrowWriteResult:
        """Write a Dask DataFrame without its index, each partition in a task; the sum of their results."""
        result: ArrowWriteResult = extension("write_dask")(frame, self)
        return result

    def check_columns(self, names: Sequence[str]) -> None:
        """Refuse a table that cannot be written, before a task begins.

        Raises
        ------
        InvalidQuery
            When columns are missing.
        """
        if self.operation == INSERT and "_id" not in names:
            raise InvalidQuery(
                'the rows have no _id, and a task that runs again would insert them again: add one, use "upsert" with '
                'key columns, or name it: "insert_at_least_once"'
            )

    def _target(self) -> Any:
        """Return the collection, on the client of this process."""
        if self._collection is None:
            client = extension("MongoClient")._of_core(self._origin.core, self._settings)
            self._collection = client[self._name[0]][self._name[1]]
        return self._collection

    def _insert(self, data: object) -> ArrowWriteResult:
        source = ArrowSource(data)
        try:
            self.check_columns(source.schema.names)
            results: list[ArrowWriteResult] = []
            first_row = 0
            while (batch := source.next_batch()) is not None:
                results.append(self._insert_batch(batch, first_row))
                first_row += batch.num_rows
        finally:
            source.close()
        return ArrowWriteResult.merged(results)

    def _insert_batch(self, batch: RecordBatch, first_row: int) -> ArrowWriteResult:
        import pyarrow as pa  # the engines require it

        rows = pa.record_batch(batch)
        if nulls := rows.column(rows.schema.get_field_index("_id")).null_count:
            raise InvalidQuery(f"{nulls:,} rows have no _id, and a task that runs again would insert them again")
        options = {**self._options, "on_error": "collect", "ordered": False}
        result: ArrowWriteResult = self._target().insert_arrow(batch, **options)
        repeated = [row["row"] for row in result.failed.to_dicts() if row["code"] == _DUPLICATE_KEY]
        settled: set[int] = set()
        if repeated:
            stored = self._stored(pa.Table.from_batches([rows.take(pa.array(repeated))]))
            settled = {row for row, found in zip(repeated, stored, strict=True) if found}
        result = result.with_stored(settled, first_row)
        if self._options.get("on_error", "raise") == "raise":
            result.check()
        return result

    def _stored(self, rows: Any) -> list[bool]:
        """Return whether the collection has each of these rows with the same values."""
        checked = ArrowWriteOptions(INSERT, _common(self._options), nulls=self._options.get("nulls", "keep"))
        wanted = bson.decode_all(
            encode_arrow(
                rows,
                nulls=checked.nulls,
                on_conflict=checked.on_conflict,
                round_dates="dates" in checked.rounding,
                round_decimals="decimals" in checked.rounding,
                unflatten=checked.unflatten,
                form=TableOptions(schema=checked.schema).form(self._settings.codec, self._settings.types),
            ),
            _EXACT,
        )
        stored: set[bytes] = set()
        for start in range(0, len(wanted), _IDS):
            ids = [document["_id"] for document in wanted[start : start + _IDS]]
            stored.update(_id_first(each.to_bson()) for each in self._target().find({"_id": {"$in": ids}}))
        return [_id_first(document.raw) in stored for document in wanted]

    def __getstate__(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "version": _VERSION,
            "name": self._name,
            "codec_options": settings.codec_options,
            "write_concern": settings.write_concern,
            "timeout": settings.timeout,
            "types": settings.types,
            "operation": self.operation,
            "on": self._on,
            "options": self._options,
            "origin": self._origin,
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        if state["version"] != _VERSION:
            raise InvalidOperation("the writer was pickled by another version of data_bridge")
        self.operation, self._on, self._options = state["operation"], state["on"], state["options"]
        self._name, self._origin = state["name"], state["origin"]
        concerns = None, state["write_concern"], None
        self._settings = Settings(state["codec_options"], *concerns, state["timeout"], state["types"])
        self._collection = None

    def __dask_tokenize__(self) -> str:
        state = self.__getstate__()
        # Its number differs from writer to writer.
        del state["origin"]
        return hashlib.sha256(pickle.dumps(state)).hexdigest()

    def __repr__(self) -> str:
        return f"TaskWriter({self.operation} into {'.'.join(self._name)})"


def _checked(operation: str, on: On, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a write, in a form that can be pickled.

    Raises
    ------
    TypeError, ValueError
        For an option that is not supported.
    """
    own = _OPTIONS[operation]
    unknown = [name for name in options if name not in own and name not in ArrowWriteKeywords.__annotations__]
    if unknown or (operation == INSERT and "ordered" in options):
        raise TypeError(f"the operation {operation!r} has no option {unknown[0] if unknown else 'ordered'!r}")
    inserts = operation in (INSERT, INSERT_AT_LEAST_ONCE)
    specific = {name: value for name, value in options.items() if name in own and name != "check_index"}
    checked = options if operation != INSERT else {**options, "ordered": False}
    ArrowWriteOptions(_WRITE_NAMES.get(operation, operation), _common(checked), on=() if inserts else on, **specific)
    if options.get("schema") is not None:
        options["schema"] = native_schema(options["schema"])
    return options


def _common(options: Mapping[str, Any]) -> ArrowWriteKeywords:
    known = ArrowWriteKeywords.__annotations__
    return {name: value for name, value in options.items() if name in known}  # type: ignore[return-value]


def _id_first(document: bytes) -> bytes:
    """Return a document with `_id` as its first key, as servers store it."""
    fields = dict(RawBSONDocument(document, _EXACT).items())
    return bson.encode({"_id": fields.pop("_id", None), **fields}, codec_options=_EXACT)
