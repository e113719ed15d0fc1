"""Writes of a synchronous collection that give the document they change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._core import Document
from ..commands import statement
from ..commands.operations import ReturnDocument
from .writes import WritesHandle

Hint = str | Mapping[str, Any] | Sequence[Any]
Update = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class CollectionFindAnd(WritesHandle):
    """The writes of `Collection` that find a document, change it and return it."""

    def find_one_and_update(
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
        *,
        timeout: Any = ...,
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
        change = statement.changes("update", update, self._settings.codec_options, replace=False)
        return (
            self._within(timeout)
            ._find_and_modify(
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
            )
            .wait()
        )

    def find_one_and_replace(
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
        *,
        timeout: Any = ...,
        **kwargs: Any,
    ) -> Document | None:
        """Replace the first document that matches, and return one of both; as `find_one_and_update`."""
        change = statement.changes("update", replacement, self._settings.codec_options, replace=True)
        return (
            self._within(timeout)
            ._find_and_modify(
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
            )
            .wait()
        )

    def find_one_and_delete(
        self,
        filter: Mapping[str, Any],
        projection: Mapping[str, Any] | Iterable[str] | None = None,
        sort: Any = None,
        hint: Hint | None = None,
        session: Any = None,
        let: Mapping[str, Any] | None = None,
        comment: Any = None,
        *,
        timeout: Any = ...,
        **kwargs: Any,
    ) -> Document | None:
        """Delete the first document that matches, and return it; as `find_one_and_update`."""
        return (
            self._within(timeout)
            ._find_and_modify(
                filter,
                statement.REMOVE,
                session,
                kwargs,
                projection=projection,
                sort=sort,
                hint=hint,
                let=let,
                comment=comment,
            )
            .wait()
        )
