"""Writes of a synchronous collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..commands.write_results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult
from ..handles.collection_find_and import CollectionFindAnd, Hint, Update


class CollectionWrites(CollectionFindAnd):
    """The writing half of `Collection`: PyMongo's names, arguments and results.

    All raise OperationFailure for what the server refuses, InvalidQuery for what cannot be encoded, TypeError and
    ValueError for arguments that make no sense. `session` is what `start_session` gave; `collation`, `hint`, `let`
    and `comment` are as for `find`; `bypass_document_validation` writes what the collection's validator refuses.
    `timeout` is the seconds that the call may take, in place of the client's; None sets no limit.
    """

    def insert_one(
        self,
        document: Mapping[str, Any],
        bypass_document_validation: bool | None = None,
        session: Any = None,
        comment: Any = None,
        *,
        timeout: Any = ...,
    ) -> InsertOneResult:
        """Insert a document. Without an `_id` it gets an ObjectId, also in the dict that was given.

        Raises
        ------
        DuplicateKeyError
            When a unique index has its key already.
        """
        return self._within(timeout)._insert_one(document, bypass_document_validation, session, comment).wait()

    def insert_many(
        self,
        documents: Iterable[Mapping[str, Any]],
        ordered: bool = True,
        bypass_document_validation: bool | None = None,
        session: Any = None,
        comment: Any = None,
        *,
        timeout: Any = ...,
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
        return (
            self._within(timeout)._insert_many(documents, ordered, bypass_document_validation, session, comment).wait()
        )

    def update_one(
        self,
        filter: Mapping[str, Any],
        update: Update,
        upsert: bool = False,
        bypass_document_validation: bool | None = None,
        collation: Any = None,
        array_filters: list[Mapping[str, Any]] | None = None,
        hint: Hint | None = None,
        session: Any = None,
        let: Mapping[str, Any] | None = None,
        sort: Any = None,
        comment: Any = None,
        *,
        timeout: Any = ...,
    ) -> UpdateResult:
        """Update the first document that matches.

        Parameters
        ----------
        update
            Update operators, or a pipeline.
        upsert
            Insert a document when none matches.
        array_filters
            Which elements of lists `$[name]` means.
        sort
            Which document is the first; servers from 8.0.
        """
        return (
            self._within(timeout)
            ._update(
                filter,
                update,
                session,
                upsert=upsert,
                bypass=bypass_document_validation,
                collation=collation,
                array_filters=array_filters,
                hint=hint,
                let=let,
                sort=sort,
                comment=comment,
            )
            .wait()
        )

    def update_many(
        self,
        filter: Mapping[str, Any],
        update: Update,
        upsert: bool = False,
        array_filters: list[Mapping[str, Any]] | None = None,
        bypass_document_validation: bool | None = None,
        collation: Any = None,
        hint: Hint | None = None,
        session: Any = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        *,
        timeout: Any = ...,
    ) -> UpdateResult:
        """Update all documents that match; as `update_one`."""
        return (
            self._within(timeout)
            ._update(
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
            .wait()
        )

    def replace_one(
        self,
        filter: Mapping[str, Any],
        replacement: Mapping[str, Any],
        upsert: bool = False,
        bypass_document_validation: bool | None = None,
        collation: Any = None,
        hint: Hint | None = None,
        session: Any = None,
        let: Mapping[str, Any] | None = None,
        sort: Any = None,
        comment: Any = None,
        *,
        timeout: Any = ...,
    ) -> UpdateResult:
        """Replace the first document that matches with another, which keeps its `_id`; as `update_one`."""
        return (
            self._within(timeout)
            ._update(
                filter,
                replacement,
                session,
                replace=True,
                upsert=upsert,
                bypass=bypass_document_validation,
                collation=collation,
                hint=hint,
                let=let,
                sort=sort,
                comment=comment,
            )
            .wait()
        )

    def delete_one(
        self,
        filter: Mapping[str, Any],
        collation: Any = None,
        hint: Hint | None = None,
        session: Any = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        *,
        timeout: Any = ...,
    ) -> DeleteResult:
        """Delete the first document that matches."""
        return (
            self._within(timeout)
            ._delete(filter, session, collation=collation, hint=hint, let=let, comment=comment)
            .wait()
        )

    def delete_many(
        self,
        filter: Mapping[str, Any],
        collation: Any = None,
        hint: Hint | None = None,
        session: Any = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        *,
        timeout: Any = ...,
    ) -> DeleteResult:
        """Delete all documents that match; `{}` deletes all there are."""
        return (
            self._within(timeout)
            ._delete(filter, session, multi=True, collation=collation, hint=hint, let=let, comment=comment)
            .wait()
        )

    def bulk_write(
        self,
        requests: Iterable[Any],
        ordered: bool = True,
        bypass_document_validation: bool | None = None,
        session: Any = None,
        comment: Any = None,
        let: Mapping[str, Any] | None = None,
        *,
        timeout: Any = ...,
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
        return (
            self._within(timeout)
            ._bulk_write(requests, ordered, bypass_document_validation, session, let, comment)
            .wait()
        )
