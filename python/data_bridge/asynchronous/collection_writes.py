"""Writes of a collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any

import bson

from .._core import Document, Operation, _document_from_bson
from .._typing import Collation, Filter, Hint, Projection, Sort, Timeout, Update
from ..commands import batches, find_and_modify, server_errors, statement
from ..commands.batches import Batch, Deadline
from ..commands.operations import ReturnDocument
from ..commands.options import check_bool, check_option
from ..commands.statement import Statement
from ..commands.write_results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult
from ..connection.handle import ConfiguredHandle
from ..connection.session_state import in_transaction
from ..errors import InvalidOperation
from ..query.namespace import Namespace
from .outcome import outcome
from .session import AsyncClientSession

if TYPE_CHECKING:
    from typing_extensions import Self


class AsyncCollectionWrites(ConfiguredHandle):
    """The writing half of `AsyncCollection`: PyMongo's names, arguments and results.

    All raise OperationFailure for what the server refuses, InvalidQuery for what cannot be encoded, TypeError and
    ValueError for arguments that make no sense. `session` comes from `start_session`; `collation`, `hint`, `let`
    and `comment` are as for `find`; `bypass_document_validation` writes what the collection's validator refuses.
    `timeout` is the seconds that the call may take, in place of the client's; None sets no limit.
    """

    _name: str
    _namespace: Namespace
    _heads: dict[tuple[str, int], bytes]

    async def insert_one(
        self,
        document: Mapping[str, Any],
        bypass_document_validation: bool | None = None,
        session: AsyncClientSession | None = None,
        comment: Any = None,
        *,
        timeout: Timeout = ...,
    ) -> InsertOneResult:
        """Insert a document. Without an `_id` it gets an ObjectId, also in the dict that was given.

        Raises
        ------
        DuplicateKeyError
            When a unique index has its key already.
        """
        this = self._within(timeout)
        key, one = statement.insert(document, this._settings.codec_options)
        acknowledged = this._acknowledged(session)
        shared = this._shared(session, bypassDocumentValidation=bypass_document_validation, comment=comment)
        server_errors.decoded(await outcome(this._send_one(one, shared, session)), this._settings.replies)
        return InsertOneResult(key, acknowledged)

    async def insert_many(
        self,
        documents: Iterable[Mapping[str, Any]],
        ordered: bool = True,
        bypass_document_validation: bool | None = None,
        session: AsyncClientSession | None = None,
        comment: Any = None,
        *,
        timeout: Timeout = ...,
    ) -> InsertManyResult:
        """Insert documents, in as few commands as they fit in. An iterator is taken as they are sent, never held whole.

        Parameters
        ----------
        ordered
            Stop at the first that fails; else try all.

        Raises
        ------
        BulkWriteError
            When some were not inserted.
        """
        if isinstance(documents, (Mapping, str, bytes)) or not isinstance(documents, Iterable):
            raise TypeError(f"documents must be an iterable of mappings, got {type(documents).__name__}")
        if isinstance(documents, Sized) and not len(documents):
            raise TypeError("documents cannot be empty")
        this = self._within(timeout)
        ids: list[Any] = []
        options = this._settings.codec_options
        acknowledged = this._acknowledged(session)
        shared = this._shared(session, bypassDocumentValidation=bypass_document_validation, comment=comment)
        heads = batches.heads("insert", this._name, check_bool("ordered", ordered), acknowledged, shared, options)
        await this._send_many(batches.inserts(documents, heads, options, ids), ordered, acknowledged, session)
        return InsertManyResult(ids, acknowledged)

    async def update_one(
        self,
        filter: Filter,
        update: Update,
        upsert: bool = False,
        bypass_document_validation: bool | None = None,
        collation: Collation | None = None,
        array_filters: list[Mapping[str, Any]] | None = None,
        hint: Hint | None = None,
        session: AsyncClientSession | None = None,
        let: Mapping[str, Any] | None = None,
        sort: Sort | None = None,
        comment: Any = None,
        *,
        timeout: Timeout = ...,
    ) -> UpdateResult:
        """Update the first document that matches.

        Parameters
        ----------
        update
            Update operators, or a pipeline.
        upsert
            Insert a document when none matches.
        array_filters
            The elements of lists that `$[name]` stands for.
        sort
            The order that makes a document the first; servers from 8.0.
        """
        return await self._within(timeout)._updated(
            filter,
            update,
            session,
            upsert=upsert,
            bypass=bypass_document_validation,
            collation=collation,
            array_filters=array_filters,
            hint=hint,
            sort=sort,
            let=let,
            comment=comment,
        )

    async def update_many(
        self,
        filter: Filter,
        update: Update,
        upsert: bool = False,
        array_filters: list[Mapping[str, Any]] | None = None,
        bypass_document_validation: bool | None = None,
        collation: Collation | None = None,
        hint: Hint | None = None,
        session: AsyncClientSession | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        *,
        timeout: Timeout = ...,
    ) -> UpdateResult:
        """Update all documents that match; as `update_one`."""
        return await self._within(timeout)._updated(
            filter,
            update,
            session,
            multi=True,
            upsert=upsert,
            bypass=bypass_document_validation,
            collation=collation,
            array_filters=array_filters,
            hint=hint,
            let=let,
            comment=comment,
        )

    async def replace_one(
        self,
        filter: Filter,
        replacement: Mapping[str, Any],
        upsert: bool = False,
        bypass_document_validation: bool | None = None,
        collation: Collation | None = None,
        hint: Hint | None = None,
        session: AsyncClientSession | None = None,
        let: Mapping[str, Any] | None = None,
        sort: Sort | None = None,
        comment: Any = None,
        *,
        timeout: Timeout = ...,
    ) -> UpdateResult:
        """Replace the first document that matches with another, which keeps its `_id`; as `update_one`."""
        return await self._within(timeout)._updated(
            filter,
            replacement,
            session,
            replace=True,
            upsert=upsert,
            bypass=bypass_document_validation,
            collation=collation,
            hint=hint,
            sort=sort,
            let=let,
            comment=comment,
        )

    async def delete_one(
        self,
        filter: Filter,
        collation: Collation | None = None,
        hint: Hint | None = None,
        session: AsyncClientSession | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        *,
        timeout: Timeout = ...,
    ) -> DeleteResult:
        """Delete the first document that matches."""
        return await self._within(timeout)._deleted(
            filter, session, collation=collation, hint=hint, let=let, comment=comment
        )

    async def delete_many(
        self,
        filter: Filter,
        collation: Collation | None = None,
        hint: Hint | None = None,
        session: AsyncClientSession | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        *,
        timeout: Timeout = ...,
    ) -> DeleteResult:
        """Delete all documents that match; `{}` deletes all there are."""
        return await self._within(timeout)._deleted(
            filter, session, multi=True, collation=collation, hint=hint, let=let, comment=comment
        )

    async def bulk_write(
        self,
        requests: Iterable[Any],
        ordered: bool = True,
        bypass_document_validation: bool | None = None,
        session: AsyncClientSession | None = None,
        comment: Any = None,
        let: Mapping[str, Any] | None = None,
        *,
        timeout: Timeout = ...,
    ) -> BulkWriteResult:
        """Run many writes in as few commands as they fit in.

        Parameters
        ----------
        requests
            InsertOne, UpdateOne, UpdateMany, ReplaceOne, DeleteOne, DeleteMany: this package's or PyMongo's.
        ordered
            Run them in order and stop at the first that fails; else in any order, and try all.

        Raises
        ------
        BulkWriteError
            When some failed; its `details` have counts and errors, as PyMongo's.
        """
        if isinstance(requests, (Mapping, str, bytes)) or not isinstance(requests, Iterable):
            raise TypeError(f"requests must be a list of operations, got {type(requests).__name__}")
        this = self._within(timeout)
        options = this._settings.codec_options
        acknowledged = this._acknowledged(session)
        shared = this._shared(session, bypassDocumentValidation=bypass_document_validation, let=let, comment=comment)
        check_bool("ordered", ordered)
        heads = {
            kind: batches.heads(kind, this._name, ordered, acknowledged, shared, options) for kind in batches.KINDS
        }
        # All are encoded before the first is sent: a fault in a later one must not leave half of the others done.
        commands = batches.requests(list(requests), ordered, heads, options)
        details = await this._send_many(iter(commands), ordered, acknowledged, session)
        return BulkWriteResult(details if acknowledged else {}, acknowledged)

    async def find_one_and_update(
        self,
        filter: Filter,
        update: Update,
        projection: Projection | None = None,
        sort: Sort | None = None,
        upsert: bool = False,
        return_document: bool = ReturnDocument.BEFORE,
        array_filters: list[Mapping[str, Any]] | None = None,
        hint: Hint | None = None,
        session: AsyncClientSession | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        *,
        timeout: Timeout = ...,
        **kwargs: Any,
    ) -> Document | None:
        """Update the first document that matches, and return it; None when there is none.

        Parameters
        ----------
        projection, sort
            As for `find`.
        return_document
            `ReturnDocument.BEFORE` for the document as it was, `ReturnDocument.AFTER` as it is now.
        kwargs
            collation, maxTimeMS, bypassDocumentValidation.
        """
        this = self._within(timeout)
        change = statement.changes("update", update, this._settings.codec_options, replace=False)
        return await this._modified(
            filter,
            change,
            session,
            kwargs,
            let=let,
            comment=comment,
            projection=projection,
            sort=sort,
            upsert=upsert,
            after=return_document,
            array_filters=array_filters,
            hint=hint,
        )

    async def find_one_and_replace(
        self,
        filter: Filter,
        replacement: Mapping[str, Any],
        projection: Projection | None = None,
        sort: Sort | None = None,
        upsert: bool = False,
        return_document: bool = ReturnDocument.BEFORE,
        hint: Hint | None = None,
        session: AsyncClientSession | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        *,
        timeout: Timeout = ...,
        **kwargs: Any,
    ) -> Document | None:
        """Replace the first document that matches, and return one of both; as `find_one_and_update`."""
        this = self._within(timeout)
        change = statement.changes("update", replacement, this._settings.codec_options, replace=True)
        return await this._modified(
            filter,
            change,
            session,
            kwargs,
            let=let,
            comment=comment,
            projection=projection,
            sort=sort,
            upsert=upsert,
            after=return_document,
            hint=hint,
        )

    async def find_one_and_delete(
        self,
        filter: Filter,
        projection: Projection | None = None,
        sort: Sort | None = None,
        hint: Hint | None = None,
        session: AsyncClientSession | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        *,
        timeout: Timeout = ...,
        **kwargs: Any,
    ) -> Document | None:
        """Delete the first document that matches, and return it; as `find_one_and_update`."""
        this = self._within(timeout)
        return await this._modified(
            filter,
            statement.REMOVE,
            session,
            kwargs,
            let=let,
            comment=comment,
            projection=projection,
            sort=sort,
            hint=hint,
        )

    # ---- commands and replies ---------------------------------------------------------------------------------------

    async def _updated(
        self,
        filter: Filter,
        change: Update,
        session: AsyncClientSession | None,
        *,
        bypass: bool | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        max_time_ms: int | None = None,
        **options: Any,
    ) -> UpdateResult:
        """Send an update or a replacement; `options` as for `statement.update`."""
        one = statement.update(filter, change, self._settings.codec_options, **options)
        acknowledged = self._acknowledged(session)
        shared = self._shared(session, bypassDocumentValidation=bypass, let=let, comment=comment, maxTimeMS=max_time_ms)
        reply = server_errors.decoded(await outcome(self._send_one(one, shared, session)), self._settings.replies)
        if not acknowledged:
            return UpdateResult(None, False)
        # As PyMongo's: the one upserted id in place of the list, and whether a document was there.
        reply["updatedExisting"] = bool(reply.get("n") and "upserted" not in reply)
        if "upserted" in reply:
            reply["upserted"] = reply["upserted"][0]["_id"]
        return UpdateResult(reply, True)

    async def _deleted(
        self,
        filter: Filter,
        session: AsyncClientSession | None,
        *,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        max_time_ms: int | None = None,
        **options: Any,
    ) -> DeleteResult:
        """Send a deletion; `options` as for `statement.delete`."""
        one = statement.delete(filter, self._settings.codec_options, **options)
        acknowledged = self._acknowledged(session)
        shared = self._shared(session, let=let, comment=comment, maxTimeMS=max_time_ms)
        reply = server_errors.decoded(await outcome(self._send_one(one, shared, session)), self._settings.replies)
        return DeleteResult(reply if acknowledged else None, acknowledged)

    async def _modified(
        self,
        filter: Filter,
        change: bytes,
        session: AsyncClientSession | None,
        given: Mapping[str, Any],
        *,
        let: Mapping[str, Any] | None,
        comment: Any,
        **options: Any,
    ) -> Document | None:
        """Send a findAndModify; `change`, `given` and `options` as for `find_and_modify.command`."""
        settings = self._settings
        shared = self._shared(session, let=let, comment=comment)
        command = find_and_modify.command(self._name, filter, change, settings.codec_options, shared, given, **options)
        found = find_and_modify.value(await outcome(self._send(command, session, True)), settings.replies)
        return None if found is None else _document_from_bson(found, settings.codec)

    async def _send_many(
        self, commands: Iterator[Batch], ordered: bool, acknowledged: bool, session: AsyncClientSession | None
    ) -> dict[str, Any]:
        """Send all commands, each while the next one is encoded; the details of a BulkWriteResult.

        Raises
        ------
        BulkWriteError
            When some statements failed: at once if `ordered`, else after all were tried.
        """
        settings = self._settings
        deadline = Deadline(settings.timeout)
        totals = batches.Totals()
        sent: Batch | None = next(commands)
        while sent is not None:
            command = sent.command
            sending = self._namespace.send_statements(command, session, command.retryable, deadline.left())
            following: Batch | None = None
            failure: Exception | None = None
            try:
                following = next(commands, None)
            except Exception as error:  # noqa: BLE001 - raised below, after the reply
                failure = error
            except BaseException:
                sending.cancel()
                raise
            reply = await outcome(sending)
            if not totals.add(sent, bson.decode(reply, settings.replies), acknowledged or ordered) and ordered:
                break
            if failure is not None:
                raise failure
            sent = following
        if not acknowledged:
            return totals.details
        return totals.result()

    def _send_one(
        self, one: Statement, shared: Mapping[str, Any], session: AsyncClientSession | None
    ) -> Operation[bytes]:
        """Start the command of one statement."""
        command = statement.command(self._head(one.kind, shared), batches.FIELDS[one.kind], [one.encoded])
        return self._send(command, session, one.once)

    def _send(self, command: bytes, session: AsyncClientSession | None, retry: bool) -> Operation[bytes]:
        """Start a command; `retry` allows a second attempt after a lost reply."""
        return self._namespace.send(command, session, retry, self._settings.timeout)

    def _head(self, kind: str, shared: Mapping[str, Any]) -> bytes:
        """The part of a command before its one statement; encoded once for those without options of their own."""
        plain = not shared or (len(shared) == 1 and shared.get("writeConcern") is self._settings.concern)
        head = self._heads.get((kind, len(shared))) if plain else None
        if head is None:
            head = batches.head(kind, self._name, True, shared, self._settings.codec_options)
            if plain:
                self._heads[kind, len(shared)] = head
        return head

    def _within(self, timeout: Timeout) -> Self:
        """The same collection with the seconds of one call; with `...` as it is."""
        return self if timeout is ... else self.with_options(timeout=timeout)

    def _acknowledged(self, session: AsyncClientSession | None) -> bool:
        acknowledged = self._settings.acknowledged
        if session is None:
            return acknowledged
        if not acknowledged and not in_transaction(session):
            raise InvalidOperation("a write in a session must be acknowledged: its write concern cannot be w=0")
        return True

    def _shared(self, session: AsyncClientSession | None, **options: Any) -> dict[str, Any]:
        """Options of the whole command; a transaction has its own write concern."""
        checked = {name: check_option(name, value) for name, value in options.items() if value is not None}
        if self._settings.concern and not in_transaction(session):
            checked["writeConcern"] = self._settings.concern
        return checked
