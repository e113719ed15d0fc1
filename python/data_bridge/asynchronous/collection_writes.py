"""Writes of an asynchronous collection: those of the synchronous one, awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..commands.write_results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult
from ..handles.collection_find_and import Hint, Update
from .collection_find_and import AsyncCollectionFindAnd


class AsyncCollectionWrites(AsyncCollectionFindAnd):
    """The writing half of `AsyncCollection`: as that of `Collection`, awaited."""

    async def insert_one(
        self,
        document: Mapping[str, Any],
        bypass_document_validation: bool | None = None,
        session: Any = None,
        comment: Any = None,
        *,
        timeout: Any = ...,
    ) -> InsertOneResult:
        """Insert a document. As `Collection.insert_one`."""
        return (
            await self._within(timeout)._insert_one(document, bypass_document_validation, session, comment).complete()
        )

    async def insert_many(
        self,
        documents: Iterable[Mapping[str, Any]],
        ordered: bool = True,
        bypass_document_validation: bool | None = None,
        session: Any = None,
        comment: Any = None,
        *,
        timeout: Any = ...,
    ) -> InsertManyResult:
        """Insert documents, in as few commands as they fit in. As `Collection.insert_many`."""
        return (
            await self._within(timeout)
            ._insert_many(documents, ordered, bypass_document_validation, session, comment)
            .complete()
        )

    async def update_one(
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
        """Update the first document that matches. As `Collection.update_one`."""
        return (
            await self._within(timeout)
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
            .complete()
        )

    async def update_many(
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
        """Update all documents that match. As `Collection.update_many`."""
        return (
            await self._within(timeout)
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
            .complete()
        )

    async def replace_one(
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
        """Replace the first document that matches with another, which keeps its `_id`. As `Collection.replace_one`."""
        return (
            await self._within(timeout)
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
            .complete()
        )

    async def delete_one(
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
        """Delete the first document that matches. As `Collection.delete_one`."""
        return (
            await self._within(timeout)
            ._delete(filter, session, collation=collation, hint=hint, let=let, comment=comment)
            .complete()
        )

    async def delete_many(
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
        """Delete all documents that match; `{}` deletes all there are. As `Collection.delete_many`."""
        return (
            await self._within(timeout)
            ._delete(filter, session, multi=True, collation=collation, hint=hint, let=let, comment=comment)
            .complete()
        )

    async def bulk_write(
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
        """Run many writes in as few commands as they fit in. As `Collection.bulk_write`."""
        return (
            await self._within(timeout)
            ._bulk_write(requests, ordered, bypass_document_validation, session, let, comment)
            .complete()
        )
