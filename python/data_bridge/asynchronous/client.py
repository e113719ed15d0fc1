"""The asynchronous client, its databases and collections: the names of the synchronous ones, awaited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._core import Document
from ..connection.settings import for_pymongo
from ..handles.client_handle import ClientHandle
from ..handles.collection_handle import CollectionHandle
from ..handles.database_handle import DatabaseHandle
from ..handles.session import AsyncClientSession
from ..query.async_query import AsyncQuery
from .collection_indexes import AsyncCollectionIndexes
from .collection_writes import AsyncCollectionWrites

if TYPE_CHECKING:
    import pymongo
    import pymongo.asynchronous.collection
    import pymongo.asynchronous.database
    from bson.codec_options import CodecOptions


class AsyncCollection(CollectionHandle[AsyncQuery], AsyncCollectionWrites, AsyncCollectionIndexes):
    """As `Collection`, awaited."""

    _query_type = AsyncQuery

    @property
    def database(self) -> AsyncDatabase:
        """The database it is in."""
        return self._database  # type: ignore[no-any-return]

    async def find_one(self, filter: Any = None, *args: Any, **options: Any) -> Document | None:
        """The first document that matches, or None. As `Collection.find_one`."""
        return await self._find_one(filter, args, options).first()

    async def count_documents(self, filter: Mapping[str, Any], session: Any = None, **options: Any) -> int:
        """How many documents match. As `Collection.count_documents`."""
        return await self._count(filter, session, options).complete()

    async def estimated_document_count(self, **options: Any) -> int:
        """How many documents the collection has, from its metadata. As `Collection.estimated_document_count`."""
        return await self._estimated_count(options).complete()

    async def distinct(
        self, key: str, filter: Mapping[str, Any] | None = None, session: Any = None, **options: Any
    ) -> list[Any]:
        """The different values of a key. As `Collection.distinct`."""
        return await self._distinct(key, filter, session, options).complete()

    def to_pymongo(self) -> pymongo.asynchronous.collection.AsyncCollection[Any]:
        """PyMongo's asynchronous collection with the same settings."""
        return self.database.to_pymongo().get_collection(self._name, **for_pymongo(self._settings))


class AsyncDatabase(DatabaseHandle[AsyncCollection, AsyncQuery]):
    """As `Database`, awaited."""

    _collection_type = AsyncCollection
    _query_type = AsyncQuery

    @property
    def client(self) -> AsyncMongoClient:
        """The client it belongs to."""
        return self._client  # type: ignore[no-any-return]

    async def command(
        self,
        command: str | Mapping[str, Any],
        value: Any = 1,
        *,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: Any = None,
        session: Any = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Run a command; its reply. As `Database.command`."""
        return await self._command(command, value, codec_options, read_preference, session, arguments).complete()

    async def list_collection_names(self, filter: Mapping[str, Any] | None = None, session: Any = None) -> list[str]:
        """Names of the collections. As `Database.list_collection_names`."""
        return await self._list_collection_names(filter, session).complete()

    async def create_collection(
        self,
        name: str,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: Any = None,
        write_concern: Any = None,
        read_concern: Any = None,
        session: Any = None,
        check_exists: bool = True,
        **kwargs: Any,
    ) -> AsyncCollection:
        """Create a collection. As `Database.create_collection`."""
        return await self._create_collection(
            name, codec_options, read_preference, write_concern, read_concern, session, check_exists, kwargs
        ).complete()

    async def drop_collection(
        self, name_or_collection: str | AsyncCollection, session: Any = None, comment: Any = None
    ) -> None:
        """Drop a collection. As `Database.drop_collection`."""
        await self._drop_collection(name_or_collection, session, comment).complete()

    def to_pymongo(self) -> pymongo.asynchronous.database.AsyncDatabase[Any]:
        """PyMongo's asynchronous database with the same settings."""
        return self.client.to_pymongo().get_database(self._name, **for_pymongo(self._settings))


class AsyncMongoClient(ClientHandle[AsyncDatabase]):
    """As `MongoClient`, awaited; usable from any event loop, and an asynchronous context manager."""

    _database_type = AsyncDatabase

    def start_session(self, causal_consistency: bool | None = None, snapshot: bool = False) -> AsyncClientSession:
        """A session: enter it with `async with`, or await it."""
        return AsyncClientSession(self, causal_consistency, snapshot)

    async def list_database_names(self, filter: Mapping[str, Any] | None = None, session: Any = None) -> list[str]:
        """Names of the databases, of those that match `filter`."""
        return await self._list_database_names(filter, session).complete()

    async def drop_database(
        self, name_or_database: str | AsyncDatabase, session: Any = None, comment: Any = None
    ) -> None:
        """Drop a database with all its collections. As `MongoClient.drop_database`."""
        await self._drop_database(name_or_database, session, comment).complete()

    async def server_info(self) -> dict[str, Any]:
        """The server's version and build."""
        return await self["admin"].command("buildInfo")

    def to_pymongo(self) -> pymongo.AsyncMongoClient[Any]:
        """PyMongo's asynchronous client with the same settings. Made once; closed with this one."""
        import pymongo

        return self._pymongo_client(pymongo.AsyncMongoClient)  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Cancel what runs, kill open cursors, close connections; a second call does nothing."""
        pymongo_client, self._pymongo = self._pymongo, None
        if pymongo_client is not None:
            await pymongo_client.close()
        await self._close().complete()

    async def __aenter__(self) -> AsyncMongoClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
