"""Indexes of a synchronous collection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..handles.collection_find_and import Hint
from ..handles.indexes import IndexesHandle, information


class CollectionIndexes(IndexesHandle):
    """The indexes of `Collection`: PyMongo's names and arguments."""

    def create_index(self, keys: Hint, session: Any = None, comment: Any = None, **kwargs: Any) -> str:
        """Create an index, if it is not there; its name.

        Parameters
        ----------
        keys
            A key, a mapping, or a list of keys and (key, direction) pairs.
        session, comment
            As for `find`.
        kwargs
            The server's options: name, unique, sparse, expireAfterSeconds, partialFilterExpression, collation, ...;
            and maxTimeMS, commitQuorum.

        Raises
        ------
        DuplicateKeyError
            For a unique index on keys that documents share.
        OperationFailure
            For an index of that name with other options, and all else that the server refuses.
        """
        return self._create_index(keys, session, comment, kwargs).wait()[0]

    def create_indexes(
        self, indexes: Iterable[Any], session: Any = None, comment: Any = None, **kwargs: Any
    ) -> list[str]:
        """Create several indexes at once; their names.

        Parameters
        ----------
        indexes
            IndexModel of this package or of PyMongo.
        session, comment
            As for `find`.
        kwargs
            maxTimeMS, commitQuorum.
        """
        return self._create_indexes(indexes, session, comment, kwargs).wait()

    def drop_index(self, index_or_name: Hint, session: Any = None, comment: Any = None, **kwargs: Any) -> None:
        """Drop an index, by its name or its keys. Without the collection this does nothing."""
        self._drop_index(index_or_name, session, comment, kwargs).wait()

    def drop_indexes(self, session: Any = None, comment: Any = None, **kwargs: Any) -> None:
        """Drop all indexes but that of `_id`."""
        self._drop_index("*", session, comment, kwargs).wait()

    def list_indexes(self, session: Any = None, comment: Any = None) -> list[dict[str, Any]]:
        """The indexes, as the server describes them."""
        return self._list_indexes(session, comment).wait()

    def index_information(self, session: Any = None, comment: Any = None) -> dict[str, Any]:
        """The indexes by name, each with its `key` as a list of pairs."""
        return information(self._list_indexes(session, comment).wait())

    def rename(self, new_name: str, session: Any = None, comment: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Rename the collection within its database; the server's answer. This object keeps the old name.

        Parameters
        ----------
        new_name
            The name it gets.
        session, comment
            As for `find`.
        kwargs
            dropTarget: drop a collection of that name first; maxTimeMS.

        Raises
        ------
        OperationFailure
            When the collection does not exist, or another one of that name does.
        InvalidQuery
            For a name that no collection can have.
        """
        return self._rename(new_name, session, comment, kwargs).wait()

    def drop(self, session: Any = None, comment: Any = None) -> None:
        """Drop the collection with all its documents and indexes. Without it this does nothing."""
        self._drop(session, comment).wait()
