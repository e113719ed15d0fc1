"""A collection: queries, counts, and what its bases add: writes, writes of Arrow data, and indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import bson

from .._core import Document
from .._typing import (
    Filter,
    Pipeline,
    Progress,
    Projection,
    ReadConcern,
    ReadPreference,
    Sort,
    Timeout,
)
from ..commands import encode, names
from ..commands.options import check_bool, encoded_options
from ..connection.session_state import native
from ..connection.settings import Settings, for_pymongo
from ..query.async_query import AsyncQuery
from ..query.find_command import FindCommand
from ..query.namespace import Namespace
from ..query.parallel_plan import parallel_plan
from ..query.plan import FindPlan
from ..query.table_options import ReadOptions, TableOptions
from .collection_arrow import AsyncCollectionArrow
from .outcome import outcome
from .session import AsyncClientSession

if TYPE_CHECKING:
    import pymongo.asynchronous.collection
    from typing_extensions import Self, Unpack

    from ..query.keywords import AggregateOptions, FindOptions
    from .database import AsyncDatabase


class AsyncCollection(AsyncCollectionArrow):
    """A collection: `client.shop.orders`, `client["shop"]["orders"]`. It holds nothing and costs nothing."""

    _kind = "collection"

    def __init__(self, database: AsyncDatabase, name: str, settings: Settings) -> None:
        self._database = database
        self._name = names.check_collection(database.name, name)
        self._settings = settings
        self._namespace = Namespace(database._namespace.core, database.name, name, settings)
        self._heads = {}

    @property
    def database(self) -> AsyncDatabase:
        """The database it is in."""
        return self._database

    @property
    def name(self) -> str:
        """Its name, without the database's."""
        return self._name

    @property
    def full_name(self) -> str:
        """Its namespace: database and collection."""
        return f"{self._database.name}.{self._name}"

    def _again(self, settings: Settings) -> Self:
        return type(self)(self._database, self._name, settings)

    def find(
        self,
        filter: Filter | None = None,
        projection: Projection | None = None,
        skip: int = 0,
        limit: int = 0,
        no_cursor_timeout: bool = False,
        *,
        sort: Sort | None = None,
        session: AsyncClientSession | None = None,
        read_preference: ReadPreference | None = None,
        read_concern: ReadConcern | None = None,
        timeout: Timeout = ...,
        resume: bool = False,
        progress: Progress = None,
        parallel: int = 1,
        ordered: bool = True,
        **options: Unpack[FindOptions],
    ) -> AsyncQuery:
        """Return a query for the documents that match. Nothing runs before the query is read.

        Parameters
        ----------
        filter
            Conditions on documents; None for all.
        projection
            Keys to return: a list of them, or a projection document. An empty one returns all, as PyMongo's does.
        skip, limit
            Number of documents to leave out, and to return at most; 0 returns all.
        no_cursor_timeout
            Keep the server from closing an idle cursor.
        sort
            A key, a mapping, or a list of keys and (key, direction) pairs.
        session
            A session of the same client, from `start_session`.
        read_preference, read_concern
            PyMongo's objects, or their names; the collection's by default.
        timeout
            Seconds: for eager reads of the whole operation, else of each wait for the server. None for no limit; the
            default is the client's.
        resume
            Read in `_id` order, and continue behind the last row when the cursor is lost: the connection broke, the
            primary stepped down, the cursor was killed. For sorts by `_id` or none. The read raises InvalidQuery for
            any other sort, in a transaction, and for a view, a sharded cluster, and a collection with a collation or
            clustered by `_id`.
        progress
            True for a tqdm bar, or a callable of (documents, bytes) so far.
        parallel
            Cursors to read on at once: for large results, where the server or the connection limits one cursor. The
            result is split by `_id` as `Query.partitions` does it, and raises InvalidQuery when it is read if it cannot
            be; a small result, and one whose filter uses an index, is read on one cursor. Rows come in the order of
            `_id`. One limit of bytes, `config(prefetch_bytes=)`, counts for all cursors. Default 1.
        ordered
            False gives the rows of several cursors in the order in which they arrive. Default True.
        options
            The options below. PyMongo's other arguments, such as `cursor_type`, may have their defaults only.

        Other Parameters
        ----------------
        batch_size
            Documents in one server reply; the result does not depend on it. None: it follows from their size.
        hint
            The index to use, by name or by its keys.
        collation
            Rules for comparing strings: a mapping or PyMongo's Collation.
        max_time_ms
            Milliseconds the server may work on the query.
        comment
            For the server's logs and profiler.
        let
            Variables for `$expr`.
        allow_disk_use, allow_partial_results, min, max, return_key, show_record_id
            As the server's find command.
        schema
            The schema of the table: anything with `__arrow_c_schema__`, or a mapping of names to types. Every value is
            checked against it, and keys that it does not name are left out. Without it the schema is inferred from the
            whole result.
        on_conflict
            Handling of a value that does not fit a given schema, the schema that a stream inferred, or the type that
            `decimal` requests: "error" raises SchemaConflict. "rescue" makes its cell null and keeps the value, exact,
            in a trailing column `_rescued`: a list of {path, value}. "null" makes its cell null and loses the value.
            The report counts both. Default "error".
        types
            The types of a table: "plain" (text, numbers and dates that every consumer computes with, no extension
            types) or "exact" (extension types keep every BSON type). The collection's by default, which is "plain"
            unless it was set. The options below override it for one type; each also takes "plain" and "exact".
        objectid, uuid
            Storage in a table: as text (objectid "hex", uuid "string"), or "binary" (the bytes without an extension
            name).
        decimal
            Storage of decimal128 in a table: "string" (every digit), "binary", or Arrow's decimals with one scale:
            "decimal128(38, 10)", say. A value that these do not hold exactly is handled as `on_conflict` says;
            "decimal128(38, 10) rounded" rounds digits after the last place.
        mixed
            Storage in a table of columns that hold several types: "json" (MongoDB Extended JSON, relaxed, as the
            extension type `arrow.json`). Plain tables have the same text without the name, exact ones BSON.
        strings
            Layout of strings in a table: "utf8" (default), "large" or "view".
        flatten
            One column for each leaf of embedded documents, named by its path with points; lists stay lists. A schema
            then names its columns in the same way. Default False.

        Raises
        ------
        TypeError, ValueError
            For an argument that is not supported.
        InvalidQuery
            For a filter that cannot be sent.
        """
        return self._found(
            filter,
            FindCommand.of(projection, sort),
            skip=skip,
            limit=limit,
            session=session,
            read_preference=read_preference,
            read_concern=read_concern,
            timeout=timeout,
            resume=resume,
            progress=progress,
            parallel=parallel,
            ordered=ordered,
            no_cursor_timeout=no_cursor_timeout,
            **options,
        )

    def _found(
        self,
        filter: Filter | None,
        command: FindCommand,
        *,
        session: AsyncClientSession | None = None,
        read_preference: ReadPreference | None = None,
        read_concern: ReadConcern | None = None,
        timeout: Timeout = ...,
        resume: bool = False,
        progress: Progress = None,
        parallel: int = 1,
        ordered: bool = True,
        **options: Any,
    ) -> AsyncQuery:
        """Return the query of a command that has a part of its options; the others are arguments, as for `find`."""
        table = TableOptions.take(options)
        command = command.with_keywords(options)
        replaced = self._settings.replace(None, read_preference, None, read_concern)
        encoded = encode.EMPTY if filter is None else encode.document(filter, replaced.codec_options)
        check_bool("resume", resume)
        plan = FindPlan(self._namespace._replace(settings=replaced), encoded, command, session, resume)
        seconds = replaced.timeout if timeout is ... else timeout
        checked = ReadOptions.check(table, seconds, progress, replaced.codec, replaced.types)
        return AsyncQuery(parallel_plan(plan, checked, parallel, ordered), checked)

    def aggregate(
        self,
        pipeline: Pipeline,
        session: AsyncClientSession | None = None,
        *,
        timeout: Timeout = ...,
        progress: Progress = None,
        **options: Unpack[AggregateOptions],
    ) -> AsyncQuery:
        """Return a query for the results of a pipeline. Only a pipeline that writes runs before the query is read.

        A pipeline that ends in `$out` or `$merge` runs once, with the collection's write concern. A synchronous call
        runs it, and returns a finished query without documents. An asynchronous query runs it when it is awaited or
        first read; one that never is emits a RuntimeWarning. Reading it again gives no documents and writes nothing; it
        raises InvalidOperation while the run is in progress, and after it failed. Chained methods and `explain` always
        raise InvalidOperation.

        Parameters
        ----------
        pipeline
            A list of stages.
        session, timeout, progress
            As for `find`.
        options
            allow_disk_use, batch_size, bypass_document_validation, collation, comment, hint, let, max_time_ms,
            read_preference, read_concern, parallel, ordered, schema, on_conflict, types, objectid, uuid, decimal,
            mixed, strings, flatten; as for `find`. PyMongo's spelling (allowDiskUse, maxTimeMS, ...) works too.

        Raises
        ------
        TypeError, ValueError
            For an argument that is not supported.
        InvalidQuery
            For a pipeline that cannot be sent.
        OperationFailure
            For a write that failed: WriteConcernError when the write was done and its write concern was not met.
        """
        return AsyncQuery._of_pipeline(self._namespace, pipeline, session, timeout, progress, {**options})

    async def find_one(self, filter: Any = None, *args: Any, **options: Any) -> Document | None:
        """The first document that matches, or None.

        Parameters
        ----------
        filter
            As for `find`; any value that is no mapping is taken for the value of `_id`.
        args, options
            As for `find`.
        """
        by_id = filter is not None and not isinstance(filter, Mapping)
        return await self.find({"_id": filter} if by_id else filter, *args, **options).first()

    async def count_documents(
        self, filter: Filter, session: AsyncClientSession | None = None, **options: object
    ) -> int:
        """Count the documents that match.

        Parameters
        ----------
        filter
            As for `find`.
        session
            A session of the same client, from `start_session`.
        options
            skip, limit, hint, collation, maxTimeMS, comment.
        """
        return await outcome(
            self._namespace.core.count_documents(
                self._namespace.database,
                self._name,
                encode.document({} if filter is None else filter, self.codec_options),
                encoded_options("count", options, self.codec_options),
                session=native(session, self._namespace.core),
                selection=self._namespace.selection(session),
                timeout=self._settings.timeout,
            )
        )

    async def estimated_document_count(self, **options: object) -> int:
        """The number of documents in the collection, from its metadata: at once, but not exact.

        Parameters
        ----------
        options
            maxTimeMS, comment.
        """
        return await outcome(
            self._namespace.core.estimated_document_count(
                self._namespace.database,
                self._name,
                encoded_options("estimate", options, self.codec_options),
                selection=self._settings.selection,
                timeout=self._settings.timeout,
            )
        )

    async def distinct(
        self, key: str, filter: Filter | None = None, session: AsyncClientSession | None = None, **options: object
    ) -> list[Any]:
        """The different values of a key.

        Parameters
        ----------
        key
            The key, dotted for nested ones.
        filter
            As for `find`.
        session
            A session of the same client, from `start_session`.
        options
            hint, collation, maxTimeMS, comment.
        """
        if not isinstance(key, str):
            raise TypeError(f"key must be a str, got {type(key).__name__}")
        reply = await outcome(
            self._namespace.core.distinct(
                self._namespace.database,
                self._name,
                key,
                encode.document({} if filter is None else filter, self.codec_options),
                encoded_options("distinct", options, self.codec_options),
                session=native(session, self._namespace.core),
                selection=self._namespace.selection(session),
                timeout=self._settings.timeout,
            )
        )
        return list(bson.decode(reply, self.codec_options)["values"])

    def to_pymongo(self) -> pymongo.asynchronous.collection.AsyncCollection[Any]:
        """PyMongo's collection with the same settings, for what we do not have: change streams, search indexes, ..."""
        return self.database.to_pymongo().get_collection(self._name, **for_pymongo(self._settings))

    def __getitem__(self, name: str) -> Self:
        return type(self)(self._database, f"{self._name}.{name}", self._settings)

    def __getattr__(self, name: str) -> Self:
        names.refuse_attribute(name, type(self).__name__, names.PYMONGO_COLLECTION, "sub-collection")
        return self[name]

    def __call__(self, *_: object, **__: object) -> NoReturn:
        method = self._name.rpartition(".")[2]
        raise TypeError(f"a collection has no method {method}(), and cannot be called")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, AsyncCollection):
            return bool(self._database == other._database) and self._name == other._name
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self._database, self._name))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database!r}, {self._name!r})"
