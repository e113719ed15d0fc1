"""Writes of Arrow data to a collection: frames, tables, streams."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import bson

from .._core import ArrowSource, ArrowWriter
from .._typing import Collation, Progress, Timeout
from ..commands import arrow_options, batches
from ..commands.arrow_options import ArrowWriteOptions, On, Path
from ..connection.codec import native as native_codec
from ..connection.session_state import in_transaction, native
from ..errors import InvalidOperation, InvalidQuery
from ..query import progress as progress_
from ..query.arrow_write_result import ArrowWriteResult
from ..query.base import is_projected
from ..query.table_options import TableOptions
from .collection_indexes import AsyncCollectionIndexes
from .outcome import arrow_source, outcome, pulled, ticking
from .session import AsyncClientSession

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..commands.arrow_options import ArrowWriteKeywords
    from ..query.task_writer import TaskWriter

_ID: tuple[str, ...] = ("_id",)


class AsyncCollectionArrow(AsyncCollectionIndexes):
    """The writes of `AsyncCollection` that take Arrow data.

    `data` is any object with `__arrow_c_stream__`: a polars or pandas frame, a pyarrow table, a DuckDB relation, a
    query of this package. It is taken batch by batch and encoded on all cores without a Python object, so its memory
    is bounded, and copying a collection takes one line. A query without a schema is read as a whole first.

    Parameters
    ----------
    session, timeout, progress
        As for `insert_many` and `find`. The time includes that of the data.
    ordered
        Write the rows in order, and stop at the first that fails; else try all.
    parallel
        The number of commands in flight, for unordered writes.
    schema
        The types of columns whose type was lost on the way: a mapping such as {"_id": ObjectId}, or the schema of a
        query or a result. Columns that it does not name are written as they are.
    on_conflict
        "error", or "null" for values that BSON cannot hold. `write_result.skipped` counts them.
    rounding
        "dates" truncates times to milliseconds, "decimals" rounds to 34 digits.
    unflatten
        Make structs of columns whose names are paths, such as `a.b` and `a.c`; else such a name is one key.
    check_keys
        Refuse text for keys that the collection stores as another type, and names with dots that are paths in it.
    on_error
        "raise", or "collect" to return the result although rows failed.
    bypass_document_validation, comment
        As for `insert_many`.

    Raises
    ------
    ArrowWriteError
        When the server refused rows.
    InvalidQuery, ValueError
        For data that cannot be written; with the row and the path for a value.
    Exception
        Each exception that is raised after the write has begun has the attribute `write_result`: the acknowledged part.
    """

    async def insert_arrow(
        self,
        data: object,
        *,
        ignore_duplicates: bool = False,
        nulls: str = "keep",
        session: AsyncClientSession | None = None,
        timeout: Timeout = ...,
        progress: Progress = None,
        **options: Unpack[ArrowWriteKeywords],
    ) -> ArrowWriteResult:
        """Insert a document for each row. Rows without an `_id` get an ObjectId.

        Parameters
        ----------
        data
            The rows.
        ignore_duplicates
            Ignore rows whose `_id` is stored already. Other unique indexes still refuse rows. The write is unordered.
        nulls
            "keep" writes null, "omit" no key.
        options
            As for the class.

        Examples
        --------
        # async only:
        >>> await db.copy.insert_arrow(frame)  # doctest: +SKIP
        # end
        # sync only:
        # >>> db.copy.insert_arrow(db.orders.find())  # doctest: +SKIP
        # end
        """
        write = ArrowWriteOptions("insert", options, nulls=nulls, ignore_duplicates=ignore_duplicates)
        return await self._within(timeout)._write_arrow(data, write, session, progress)

    async def upsert_arrow(
        self,
        data: object,
        on: On = _ID,
        *,
        nulls: str = "omit",
        nested: str = "merge",
        on_duplicate: str = "error",
        check_index: bool = True,
        collation: Collation | None = None,
        session: AsyncClientSession | None = None,
        timeout: Timeout = ...,
        progress: Progress = None,
        **options: Unpack[ArrowWriteKeywords],
    ) -> ArrowWriteResult:
        """Set the given columns in the document that matches; insert one if there is none.

        Parameters
        ----------
        data
            The rows.
        on
            The key columns. A nested key is a sequence of keys: `on=[("address", "id")]`.
        nulls
            "omit" leaves the stored value, "keep" writes null, "unset" removes the key.
        nested
            "merge" sets the fields of a struct, "replace" the whole struct.
        on_duplicate
            Of rows with the same key: "error" refuses them, "last" writes them in their order.
        check_index
            Refuse keys without a unique index: several writers would insert a key twice, and each row would take long.
        collation
            As for `find`.
        options
            As for the class.
        """
        write = ArrowWriteOptions(
            "upsert", options, on=on, nulls=nulls, nested=nested, on_duplicate=on_duplicate, collation=collation
        )
        return await self._within(timeout)._write_arrow(data, write, session, progress, check_index)

    async def update_arrow(
        self,
        data: object,
        on: On = _ID,
        *,
        many: bool = False,
        nulls: str = "omit",
        nested: str = "merge",
        on_duplicate: str = "error",
        collation: Collation | None = None,
        session: AsyncClientSession | None = None,
        timeout: Timeout = ...,
        progress: Progress = None,
        **options: Unpack[ArrowWriteKeywords],
    ) -> ArrowWriteResult:
        """Set the given columns in the documents that match; rows that match none change nothing.

        Parameters
        ----------
        many
            Update all documents that match, for keys that are not unique. A lost reply then leaves rows unknown.
        data, on, nulls, nested, on_duplicate, collation, options
            As for `upsert_arrow`.
        """
        write = ArrowWriteOptions(
            "update",
            options,
            on=on,
            many=many,
            nulls=nulls,
            nested=nested,
            on_duplicate=on_duplicate,
            collation=collation,
        )
        return await self._within(timeout)._write_arrow(data, write, session, progress)

    async def replace_arrow(
        self,
        data: object,
        on: On = _ID,
        *,
        upsert: bool = False,
        overwrite: bool = False,
        nulls: str = "keep",
        on_duplicate: str = "error",
        check_index: bool = True,
        collation: Collation | None = None,
        session: AsyncClientSession | None = None,
        timeout: Timeout = ...,
        progress: Progress = None,
        **options: Unpack[ArrowWriteKeywords],
    ) -> ArrowWriteResult:
        """Replace the documents that match as a whole: keys that are no column are removed.

        Parameters
        ----------
        upsert
            Insert a document where none matches.
        overwrite
            Accept a query with a projection, whose rows lack keys of their documents.
        data, on, nulls, on_duplicate, check_index, collation, options
            As for `upsert_arrow`; nulls are kept by default.
        """
        if not overwrite and is_projected(data):
            raise InvalidQuery(
                "the query has a projection, so replace_arrow() would remove the keys that it leaves out: use "
                "update_arrow(), or pass overwrite=True"
            )
        write = ArrowWriteOptions(
            "replace_or_insert" if upsert else "replace",
            options,
            on=on,
            nulls=nulls,
            on_duplicate=on_duplicate,
            collation=collation,
        )
        return await self._within(timeout)._write_arrow(data, write, session, progress, check_index)

    async def delete_arrow(
        self,
        data: object,
        on: On = _ID,
        *,
        many: bool = False,
        on_duplicate: str = "error",
        collation: Collation | None = None,
        session: AsyncClientSession | None = None,
        timeout: Timeout = ...,
        progress: Progress = None,
        **options: Unpack[ArrowWriteKeywords],
    ) -> ArrowWriteResult:
        """Delete the documents that match. Only the key columns are used.

        Parameters
        ----------
        many
            Delete all documents that match, for keys that are not unique. A lost reply then leaves rows unknown.
        data, on, on_duplicate, collation, options
            As for `upsert_arrow`.
        """
        write = ArrowWriteOptions("delete", options, on=on, many=many, on_duplicate=on_duplicate, collation=collation)
        return await self._within(timeout)._write_arrow(data, write, session, progress)

    def task_writer(
        self,
        operation: str,
        on: On = _ID,
        *,
        uri: str | None = None,
        uri_env: str | None = None,
        credentials: bool = False,
        **options: Any,
    ) -> TaskWriter:
        """A picklable writer for the tasks of a distributed engine, which may run more than once.

        Parameters
        ----------
        operation
            "upsert", "update", "replace" (replace the document that matches, or insert one) and "delete" give the same
            documents when a task runs again. So does "insert" of rows with an `_id`: a row that is stored already
            counts as matched, and one whose `_id` is stored with other values is an error. "insert_at_least_once"
            inserts the rows of such a task again.
        on
            The key columns, as for `upsert_arrow`; not for inserts.
        uri, uri_env, credentials
            The server in other processes, as for `Query.partitions`: pickles hold no credentials by default.
        options
            Options of the method that writes: `nulls`, `nested`, `schema`, `on_conflict`, `check_index`, ...

        Raises
        ------
        TypeError, ValueError
            For an argument that is not supported.
        """
        # Imported on first use, as partitions are: other writes do not need it.
        from ..query.task_writer import TaskWriter

        return TaskWriter(self._namespace, operation, on, (uri, uri_env, credentials), options)

    async def _write_arrow(
        self,
        data: object,
        write: ArrowWriteOptions,
        session: AsyncClientSession | None,
        progress: Progress,
        check_index: bool = False,
    ) -> ArrowWriteResult:
        settings = self._settings
        if not self._acknowledged(session):
            raise InvalidOperation("a write of Arrow data must be acknowledged: its write concern cannot be w=0")
        bar = progress_.check(progress)
        codec = native_codec(settings.codec_options)
        types = TableOptions(schema=write.schema).form(codec, settings.types)
        source = await arrow_source(data)
        try:
            if write.check_keys:
                await self._check_target(source, write, types, session)
            if check_index and write.upserts and _ID not in write.on:
                await self._check_index(write, session)
            shared = self._shared(session, **write.shared)
            head = batches.head(write.kind, self._name, write.ordered, shared, settings.codec_options)
            writer = self._namespace.core.write_arrow(
                self._namespace.database,
                self._name,
                source,
                write.native(head, not in_transaction(session)),
                types=types,
                session=native(session, self._namespace.core),
                timeout=settings.timeout,
            )
            with nullcontext() if bar is None else progress_.Ticker(bar, writer) as ticker:
                await self._fed(source, writer, ticker)
        finally:
            source.close()
        result = ArrowWriteResult(writer.counts())
        if write.on_error == "raise":
            result.check()
        return result

    async def _fed(self, source: ArrowSource, writer: ArrowWriter, ticker: progress_.Ticker | None) -> None:
        """Feed all batches to the writer. An exception gets the acknowledged part of the write."""
        try:
            while (batch := await pulled(source)) is not None:
                if not await ticking(writer.feed(batch), ticker):
                    break
            await ticking(writer.finish(), ticker)
        except BaseException as error:
            # The commands in flight are awaited, so that their rows are counted.
            with suppress(Exception):  # that of the write itself is raised
                await outcome(writer.stop())
            error.write_result = ArrowWriteResult(writer.counts())  # type: ignore[attr-defined]
            raise

    async def _check_target(
        self, source: ArrowSource, write: ArrowWriteOptions, types: Any, session: AsyncClientSession | None
    ) -> None:
        """Compare the key columns, and names with dots, with documents of the collection."""
        names = source.schema.names
        keys: list[Path] = list(write.on) or ([_ID] if "_id" in names else [])
        inserts = write.kind == "insert"
        plain = [leaf for path in keys for leaf in source.plain_leaves(list(path), types)]
        leaves = [(tuple(path), kind) for path, kind in plain if arrow_options.is_checked(kind, inserts)]
        # Shapes keep the order of keys.
        structs = [] if "_shapes" in names or inserts else keys
        orders = [(path, found) for path in structs if (found := source.struct_names(list(path))) is not None]
        dotted = [] if write.unflatten else [name for name in names if "." in name]
        if not leaves and not orders and not dotted:
            return
        shown = {".".join(path): 1 for path in keys} if not dotted else {}
        sampled: list[dict[str, Any]] = []
        # Values of `_id` are in the order of their types: both ends show more of these than the first documents.
        for sort in ({"_id": 1}, {"_id": -1}):
            sampled += await self._sampled(sort, shown, session)
        for path, kind in leaves:
            arrow_options.check_key_type(path, kind, sampled, self._namespace.name, inserts)
        for path, found in orders:
            arrow_options.check_key_order(path, found, sampled, self._namespace.name)
        for name in dotted:
            arrow_options.check_dotted_name(name, sampled, self._namespace.name)

    async def _sampled(
        self, sort: dict[str, int], shown: dict[str, int], session: AsyncClientSession | None
    ) -> list[dict[str, Any]]:
        half = arrow_options.SAMPLED_DOCUMENTS // 2
        fields = {"find": self._name, "sort": sort, "projection": shown, "limit": half, "singleBatch": True}
        return list((await self._read_command(fields, session))["cursor"]["firstBatch"])

    async def _check_index(self, write: ArrowWriteOptions, session: AsyncClientSession | None) -> None:
        """Refuse an upsert whose keys no unique index covers."""
        fields = {"listCollections": 1, "filter": {"name": self._name}, "cursor": {}}
        found = (await self._read_command(fields, None))["cursor"]["firstBatch"]
        default = found[0].get("options", {}).get("collation") if found else None
        indexes = await self.list_indexes()
        keys = [".".join(path) for path in write.on]
        if not arrow_options.usable_index(indexes, write.on, write.collation, default):
            raise InvalidQuery(
                f"{self._namespace.name} has no unique index of {keys}, so writers beside this one could insert a key "
                f"twice, and each row would search the whole collection: create_index({keys!r}, unique=True) (not "
                "sparse, partial or hidden, with the collation of this write). check_index=False writes without one"
            )
        sampled = await self._sampled({"$natural": 1}, dict.fromkeys(keys, 1), session)
        for path in write.on:
            if any(isinstance(value, list) for value in arrow_options.values_at(sampled, path)):
                raise InvalidQuery(
                    f"{self._namespace.name} stores lists at {'.'.join(path)!r}: a key would match each document whose "
                    "list has it. check_index=False writes anyway"
                )

    async def _read_command(self, fields: dict[str, Any], session: AsyncClientSession | None) -> dict[str, Any]:
        decoded: dict[str, Any] = bson.decode(await self._read_on_primary(fields, session), self._settings.replies)
        return decoded
