"""A database: collections and commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import bson

from .._core import InvalidQuery
from .._typing import Filter, Pipeline, Progress, ReadConcern, ReadPreference, Timeout, WriteConcern
from ..commands import encode, names, server_errors
from ..commands.batches import Deadline
from ..commands.options import collation_of
from ..connection import codec
from ..connection.handle import ConfiguredHandle
from ..connection.session_state import in_transaction, native
from ..connection.settings import Settings, encode_selection, for_pymongo
from ..errors import CollectionInvalid
from ..query.async_query import AsyncQuery
from ..query.namespace import Namespace
from .collection import AsyncCollection
from .outcome import outcome
from .session import AsyncClientSession

if TYPE_CHECKING:
    import pymongo.asynchronous.database
    from bson.codec_options import CodecOptions
    from typing_extensions import Self, Unpack

    from ..query.keywords import AggregateOptions
    from .client import AsyncMongoClient


class AsyncDatabase(ConfiguredHandle):
    """A database: `client.shop`, `client["shop"]`. It holds nothing and costs nothing."""

    _kind = "database"

    def __init__(self, client: AsyncMongoClient, name: str, settings: Settings) -> None:
        self._client = client
        self._name = names.check_database(name)
        self._settings = settings
        self._namespace = Namespace(client._core, name, None, settings)

    @property
    def client(self) -> AsyncMongoClient:
        """The client it belongs to."""
        return self._client

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    def _again(self, settings: Settings) -> Self:
        return type(self)(self._client, self._name, settings)

    def get_collection(
        self,
        name: str,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: ReadPreference | None = None,
        write_concern: WriteConcern | None = None,
        read_concern: ReadConcern | None = None,
    ) -> AsyncCollection:
        """A collection, with other settings than the database's where they are given."""
        settings = self._settings.replace(codec_options, read_preference, write_concern, read_concern)
        return AsyncCollection(self, name, settings)

    def aggregate(
        self,
        pipeline: Pipeline,
        session: AsyncClientSession | None = None,
        *,
        timeout: Timeout = ...,
        progress: Progress = None,
        **options: Unpack[AggregateOptions],
    ) -> AsyncQuery:
        """Return a query over a pipeline that starts without a collection: $documents, $currentOp, ...

        The arguments are those of `AsyncCollection.aggregate`. A pipeline that ends in `$out` or `$merge` runs once.
        """
        return AsyncQuery._of_pipeline(self._namespace, pipeline, session, timeout, progress, {**options})

    async def command(
        self,
        command: str | Mapping[str, Any],
        value: object = 1,
        *,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: ReadPreference | None = None,
        session: AsyncClientSession | None = None,
        **arguments: object,
    ) -> dict[str, Any]:
        """Run a command, on the primary unless `read_preference` is given; return its reply.

        Parameters
        ----------
        command
            Its name, or all of it as a mapping.
        value
            The value of the name, when `command` is one.
        codec_options
            Options for decoding the reply; the database's by default.
        session
            A session of the same client, from `start_session`.
        arguments
            Further keys of the command.

        Raises
        ------
        OperationFailure
            When the server refuses it.
        """
        options = codec.check(codec_options) if codec_options is not None else self.codec_options
        body = {command: value} if isinstance(command, str) else command
        if not isinstance(body, Mapping):
            raise TypeError(f"command must be a str or a mapping, got {type(command).__name__}")
        if not body:
            raise InvalidQuery("a command cannot be empty")
        reply = await outcome(
            self._namespace.core.run_command(
                self._name,
                encode.document({**body, **arguments}, options, "command"),
                session=native(session, self._namespace.core),
                # As PyMongo: the database's read preference does not apply to commands.
                selection=encode_selection(read_preference, None),
                timeout=self._settings.timeout,
            )
        )
        decoded: dict[str, Any] = bson.decode(reply, options)
        return decoded

    async def list_collection_names(
        self, filter: Filter | None = None, session: AsyncClientSession | None = None
    ) -> list[str]:
        """Names of the collections, of those that match `filter` (on what listCollections gives)."""
        return await self._list_collection_names(filter, session, self._settings.timeout)

    async def create_collection(
        self,
        name: str,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: ReadPreference | None = None,
        write_concern: WriteConcern | None = None,
        read_concern: ReadConcern | None = None,
        session: AsyncClientSession | None = None,
        check_exists: bool = True,
        **kwargs: Any,
    ) -> AsyncCollection:
        """Create a collection: needed only for one with options, as a write creates a missing collection.

        Parameters
        ----------
        name
            Its name.
        codec_options, read_preference, write_concern, read_concern
            As for `get_collection`.
        session
            A session of the same client, from `start_session`.
        check_exists
            Look first whether it exists, and raise then.
        kwargs
            The server's options: capped, size, validator, timeseries, collation, viewOn, pipeline, ...

        Raises
        ------
        CollectionInvalid
            When it exists.
        OperationFailure
            For options that the server refuses; without `check_exists`, also when it exists.
        """
        collection = self.get_collection(name, codec_options, read_preference, write_concern, read_concern)
        if kwargs.get("collation") is not None:
            kwargs["collation"] = collation_of(kwargs["collation"])
        command = encode.document(
            {"create": name, **kwargs, **collection._shared(session)}, collection.codec_options, "options"
        )
        native(session, self._namespace.core)  # raises for an argument that is no session
        deadline = Deadline(self._settings.timeout)
        # A server takes a second creation with equal options for none.
        if (
            check_exists
            and not in_transaction(session)
            and await self._list_collection_names({"name": name}, session, deadline.left())
        ):
            text = f"collection {name} already exists"
            raise server_errors.made(CollectionInvalid, text, 48, None, (), "NamespaceExists")
        reply = await outcome(collection._namespace.send(command, session, False, deadline.left()))
        server_errors.decoded(reply, collection._settings.replies)
        return collection

    async def drop_collection(
        self,
        name_or_collection: str | AsyncCollection,
        session: AsyncClientSession | None = None,
        comment: object = None,
    ) -> None:
        """Drop a collection with all its documents and indexes. Without it this does nothing."""
        name = name_or_collection.name if isinstance(name_or_collection, AsyncCollection) else name_or_collection
        if not isinstance(name, str):
            raise TypeError(f"drop_collection() takes a name or a collection, got {type(name).__name__}")
        await self[name].drop(session, comment)

    def to_pymongo(self) -> pymongo.asynchronous.database.AsyncDatabase[Any]:
        """PyMongo's database with the same settings."""
        return self.client.to_pymongo().get_database(self._name, **for_pymongo(self._settings))

    async def _list_collection_names(
        self, filter: Filter | None, session: AsyncClientSession | None, timeout: float | None
    ) -> list[str]:
        return await outcome(
            self._namespace.core.list_collection_names(
                self._name,
                encode.document(filter or {}, self.codec_options),
                session=native(session, self._namespace.core),
                timeout=timeout,
            )
        )

    async def _drop(self, session: AsyncClientSession | None, comment: object) -> None:
        # Sent as the writes of any collection of the database.
        some = self["any"]
        command = encode.document({"dropDatabase": 1, **some._shared(session, comment=comment)}, self.codec_options)
        reply = await outcome(some._send(command, session, False))
        server_errors.decoded(reply, self._settings.replies)

    def __getitem__(self, name: str) -> AsyncCollection:
        return AsyncCollection(self, name, self._settings)

    def __getattr__(self, name: str) -> AsyncCollection:
        names.refuse_attribute(name, type(self).__name__, names.PYMONGO_DATABASE, "collection")
        return self[name]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, AsyncDatabase):
            return self._client is other._client and self._name == other._name
        return NotImplemented

    def __hash__(self) -> int:
        return hash((id(self._client), self._name))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._client!r}, {self._name!r})"
