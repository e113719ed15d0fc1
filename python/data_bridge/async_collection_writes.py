"""Writes of an asynchronous collection: those of the synchronous one, awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import statement
from ._core import Document
from .collection_writes import Hint, Update
from .operations import ReturnDocument
from .results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult
from .writes import WritesHandle


class AsyncCollectionWrites(WritesHandle):
    """The writing half of `AsyncCollection`: as that of `Collection`, awaited."""

    async def insert_one(
        self,
        document: Mapping[str, Any],
        bypass_document_validation: bool | None = None,
        session: Any = None,
        comment: Any = None,
    ) -> InsertOneResult:
        """Insert a document. As `Collection.insert_one`."""
        return await self._insert_one(document, bypass_document_validation, session, comment).complete()

    async def insert_many(
        self,
        documents: Iterable[Mapping[str, Any]],
        ordered: bool = True,
        bypass_document_validation: bool | None = None,
        session: Any = None,
        comment: Any = None,
    ) -> InsertManyResult:
        """Insert documents, in as few commands as they fit in. As `Collection.insert_many`."""
        return await self._insert_many(documents, ordered, bypass_document_validation, session, comment).complete()

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
    ) -> UpdateResult:
        """Update the first document that matches. As `Collection.update_one`."""
        return await self._update(
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
        ).complete()

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
    ) -> UpdateResult:
        """Update all documents that match. As `Collection.update_many`."""
        return await self._update(
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
        ).complete()

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
    ) -> UpdateResult:
        """Replace the first document that matches with another, which keeps its `_id`. As `Collection.replace_one`."""
        return await self._update(
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
        ).complete()

    async def delete_one(
        self,
        filter: Mapping[str, Any],
        collation: Any = None,
        hint: Hint | None = None,
        session: Any = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
    ) -> DeleteResult:
        """Delete the first document that matches. As `Collection.delete_one`."""
        return await self._delete(filter, session, collation=collation, hint=hint, let=let, comment=comment).complete()

    async def delete_many(
        self,
        filter: Mapping[str, Any],
        collation: Any = None,
        hint: Hint | None = None,
        session: Any = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
    ) -> DeleteResult:
        """Delete all documents that match; `{}` deletes all there are. As `Collection.delete_many`."""
        return await self._delete(
            filter, session, multi=True, collation=collation, hint=hint, let=let, comment=comment
        ).complete()

    async def bulk_write(
        self,
        requests: Iterable[Any],
        ordered: bool = True,
        bypass_document_validation: bool | None = None,
        session: Any = None,
        comment: Any = None,
        let: Mapping[str, Any] | None = None,
    ) -> BulkWriteResult:
        """Run many writes in as few commands as they fit in. As `Collection.bulk_write`."""
        return await self._bulk_write(requests, ordered, bypass_document_validation, session, let, comment).complete()

    async def find_one_and_update(
        self,
        filter: Mapping[str, Any],
        update: Update,
        projection: Mapping[str, Any] | Iterable[str] | None = None,
        sort: Any = None,
        upsert: bool = False,
        return_document: bool = ReturnDocument.BEFORE,
        array_filters: list[Mapping[str, Any]] | None = None,
        hint: Hint | None = None,
        session: Any = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        **kwargs: Any,
    ) -> Document | None:
        """Update the first document that matches, and return it. As `Collection.find_one_and_update`."""
        change = statement.changes("update", update, self._settings.codec_options, replace=False)
        return await self._find_and_modify(
            filter,
            change,
            session,
            kwargs,
            projection=projection,
            sort=sort,
            upsert=upsert,
            after=return_document,
            array_filters=array_filters,
            hint=hint,
            let=let,
            comment=comment,
        ).complete()

    async def find_one_and_replace(
        self,
        filter: Mapping[str, Any],
        replacement: Mapping[str, Any],
        projection: Mapping[str, Any] | Iterable[str] | None = None,
        sort: Any = None,
        upsert: bool = False,
        return_document: bool = ReturnDocument.BEFORE,
        hint: Hint | None = None,
        session: Any = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        **kwargs: Any,
    ) -> Document | None:
        """Replace the first document that matches, and return one of both. As `Collection.find_one_and_replace`."""
        change = statement.changes("update", replacement, self._settings.codec_options, replace=True)
        return await self._find_and_modify(
            filter,
            change,
            session,
            kwargs,
            projection=projection,
            sort=sort,
            upsert=upsert,
            after=return_document,
            hint=hint,
            let=let,
            comment=comment,
        ).complete()

    async def find_one_and_delete(
        self,
        filter: Mapping[str, Any],
        projection: Mapping[str, Any] | Iterable[str] | None = None,
        sort: Any = None,
        hint: Hint | None = None,
        session: Any = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        **kwargs: Any,
    ) -> Document | None:
        """Delete the first document that matches, and return it. As `Collection.find_one_and_delete`."""
        return await self._find_and_modify(
            filter,
            statement.REMOVE,
            session,
            kwargs,
            projection=projection,
            sort=sort,
            hint=hint,
            let=let,
            comment=comment,
        ).complete()
