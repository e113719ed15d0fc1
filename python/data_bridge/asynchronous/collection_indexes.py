"""Indexes of an asynchronous collection: those of the synchronous one, awaited."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..handles.collection_find_and import Hint
from ..handles.indexes import IndexesHandle, information


class AsyncCollectionIndexes(IndexesHandle):
    """The indexes of `AsyncCollection`: as those of `Collection`, awaited."""

    async def create_index(self, keys: Hint, session: Any = None, comment: Any = None, **kwargs: Any) -> str:
        """Create an index, if it is not there; its name. As `Collection.create_index`."""
        return (await self._create_index(keys, session, comment, kwargs).complete())[0]

    async def create_indexes(
        self, indexes: Iterable[Any], session: Any = None, comment: Any = None, **kwargs: Any
    ) -> list[str]:
        """Create several indexes at once; their names. As `Collection.create_indexes`."""
        return await self._create_indexes(indexes, session, comment, kwargs).complete()

    async def drop_index(self, index_or_name: Hint, session: Any = None, comment: Any = None, **kwargs: Any) -> None:
        """Drop an index, by its name or its keys. As `Collection.drop_index`."""
        await self._drop_index(index_or_name, session, comment, kwargs).complete()

    async def drop_indexes(self, session: Any = None, comment: Any = None, **kwargs: Any) -> None:
        """Drop all indexes but that of `_id`. As `Collection.drop_indexes`."""
        await self._drop_index("*", session, comment, kwargs).complete()

    async def list_indexes(self, session: Any = None, comment: Any = None) -> list[dict[str, Any]]:
        """The indexes, as the server describes them. As `Collection.list_indexes`."""
        return await self._list_indexes(session, comment).complete()

    async def index_information(self, session: Any = None, comment: Any = None) -> dict[str, Any]:
        """The indexes by name, each with its `key` as a list of pairs. As `Collection.index_information`."""
        return information(await self._list_indexes(session, comment).complete())

    async def rename(self, new_name: str, session: Any = None, comment: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Rename the collection within its database. As `Collection.rename`."""
        return await self._rename(new_name, session, comment, kwargs).complete()

    async def drop(self, session: Any = None, comment: Any = None) -> None:
        """Drop the collection with all its documents and indexes. As `Collection.drop`."""
        await self._drop(session, comment).complete()
