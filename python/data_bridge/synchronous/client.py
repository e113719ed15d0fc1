"""The synchronous client, its databases and collections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._core import Document
from ..connection.settings import for_pymongo
from ..handles.client_handle import ClientHandle
from ..handles.collection_handle import CollectionHandle
from ..handles.database_handle import DatabaseHandle
from ..handles.session import ClientSession
from ..query.query import Query
from .collection_indexes import CollectionIndexes
from .collection_writes import CollectionWrites

if TYPE_CHECKING:
    import pymongo
    import pymongo.collection
    import pymongo.database
    from bson.codec_options import CodecOptions


class Collection(CollectionHandle[Query], CollectionWrites, CollectionIndexes):
    """A collection: `client.shop.orders`, `client["shop"]["orders"]`. It holds nothing and costs nothing."""

    _query_type = Query

    @property
    def database(self) -> Database:
        """The database it is in."""
        return self._database  # type: ignore[no-any-return]

    def find_one(self, filter: Any = None, *args: Any, **options: Any) -> Document | None:
        """The first document that matches, or None.

        Parameters
        ----------
        filter
            As for `find`; what is no mapping is taken for the value of `_id`.
        args, options
            As for `find`.
        """
        return self._find_one(filter, args, options).first()

    def count_documents(self, filter: Mapping[str, Any], session: Any = None, **options: Any) -> int:
        """How many documents match.

        Parameters
        ----------
        filter
            As for `find`.
        session
            What `start_session` gave.
        options
            skip, limit, hint, collation, maxTimeMS, comment.
        """
        return self._count(filter, session, options).wait()

    def estimated_document_count(self, **options: Any) -> int:
        """How many documents the collection has, from its metadata: at once, but not exact.

        Parameters
        ----------
        options
            maxTimeMS, comment.
        """
        return self._estimated_count(options).wait()

    def distinct(
        self, key: str, filter: Mapping[str, Any] | None = None, session: Any = None, **options: Any
    ) -> list[Any]:
        """The different values of a key.

        Parameters
        ----------
        key
            The key, dotted for nested ones.
        filter
            As for `find`.
        session
            What `start_session` gave.
        options
            hint, collation, maxTimeMS, comment.
        """
        return self._distinct(key, filter, session, options).wait()

    def to_pymongo(self) -> pymongo.collection.Collection[Any]:
        """PyMongo's collection with the same settings, for what we do not have: change streams, search indexes, ..."""
        return self.database.to_pymongo().get_collection(self._name, **for_pymongo(self._settings))


class Database(DatabaseHandle[Collection, Query]):
    """A database: `client.shop`, `client["shop"]`. It holds nothing and costs nothing."""

    _collection_type = Collection
    _query_type = Query

    @property
    def client(self) -> MongoClient:
        """The client it belongs to."""
        return self._client  # type: ignore[no-any-return]

    def command(
        self,
        command: str | Mapping[str, Any],
        value: Any = 1,
        *,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: Any = None,
        session: Any = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Run a command, on the primary unless `read_preference` says otherwise; its reply.

        Parameters
        ----------
        command
            Its name, or all of it as a mapping.
        value
            The value of the name, when `command` is one.
        codec_options
            How the reply becomes Python objects; the database's by default.
        session
            What `start_session` gave.
        arguments
            Further keys of the command.

        Raises
        ------
        OperationFailure
            When the server refuses it.
        """
        return self._command(command, value, codec_options, read_preference, session, arguments).wait()

    def list_collection_names(self, filter: Mapping[str, Any] | None = None, session: Any = None) -> list[str]:
        """Names of the collections, of those that match `filter` (on what listCollections gives)."""
        return self._list_collection_names(filter, session).wait()

    def create_collection(
        self,
        name: str,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: Any = None,
        write_concern: Any = None,
        read_concern: Any = None,
        session: Any = None,
        check_exists: bool = True,
        **kwargs: Any,
    ) -> Collection:
        """Create a collection: needed only for one with options, as a write creates what is not there.

        Parameters
        ----------
        name
            Its name.
        codec_options, read_preference, write_concern, read_concern
            As for `get_collection`.
        session
            What `start_session` gave.
        check_exists
            Look first whether it exists, and raise then.
        kwargs
            The server's options: capped, size, validator, timeseries, collation, viewOn, pipeline, ...

        Raises
        ------
        OperationFailure
            When it exists, and for options that the server refuses.
        """
        return self._create_collection(
            name, codec_options, read_preference, write_concern, read_concern, session, check_exists, kwargs
        ).wait()

    def drop_collection(self, name_or_collection: str | Collection, session: Any = None, comment: Any = None) -> None:
        """Drop a collection with all its documents and indexes. Without it this does nothing."""
        self._drop_collection(name_or_collection, session, comment).wait()

    def to_pymongo(self) -> pymongo.database.Database[Any]:
        """PyMongo's database with the same settings."""
        return self.client.to_pymongo().get_database(self._name, **for_pymongo(self._settings))


class MongoClient(ClientHandle[Database]):
    """A connection to MongoDB, made on first use; safe to share between threads, and a context manager.

    Parameters
    ----------
    host
        A URI, a host, or a list of hosts; "localhost" by default.
    port
        The port of hosts that name none; 27017 by default.
    tz_aware, tzinfo, uuidRepresentation, unicode_decode_error_handler, datetime_conversion
        How values become Python objects, as PyMongo's. Dates that `datetime` cannot hold become `DatetimeMS` by
        default, where PyMongo raises.
    timeout
        Seconds that an operation may take, or a wait for the server when streaming; 600 by default, None for no
        limit. PyMongo's `timeoutMS` and `socketTimeoutMS` set it too.
    username, password
        Credentials, as they are: they need no percent-encoding here.
    read_preference
        One of PyMongo's, or a mode's name.
    kwargs
        Any URI option by PyMongo's keyword: replicaSet, tls, authSource, readPreference, serverSelectionTimeoutMS
        (10,000 by default), compressors, ...

    Raises
    ------
    ValueError
        For a URI that cannot be read, and for options that are unknown or not supported.
    TypeError
        For an argument of a wrong type.
    """

    _database_type = Database

    def start_session(self, causal_consistency: bool | None = None, snapshot: bool = False) -> ClientSession:
        """A session: a context manager that ends it."""
        session = ClientSession(self, causal_consistency, snapshot)
        session._start().wait()
        return session

    def list_database_names(self, filter: Mapping[str, Any] | None = None, session: Any = None) -> list[str]:
        """Names of the databases, of those that match `filter`."""
        return self._list_database_names(filter, session).wait()

    def drop_database(self, name_or_database: str | Database, session: Any = None, comment: Any = None) -> None:
        """Drop a database with all its collections. Without it this does nothing.

        Parameters
        ----------
        name_or_database
            Its name, or a Database, whose write concern then counts.
        session, comment
            As for `find`.
        """
        self._drop_database(name_or_database, session, comment).wait()

    def server_info(self) -> dict[str, Any]:
        """The server's version and build."""
        return self["admin"].command("buildInfo")

    def to_pymongo(self) -> pymongo.MongoClient[Any]:
        """PyMongo's client with the same settings, for what we do not have. Made once; closed with this one."""
        import pymongo

        return self._pymongo_client(pymongo.MongoClient)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Cancel what runs, kill open cursors, close connections; a second call does nothing."""
        pymongo_client, self._pymongo = self._pymongo, None
        if pymongo_client is not None:
            pymongo_client.close()
        self._close().wait()

    def __enter__(self) -> MongoClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
