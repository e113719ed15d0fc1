"""A client: a connection to MongoDB, and the way to its databases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .. import _core
from .._typing import Filter, ReadConcern, ReadPreference, WriteConcern
from ..commands import encode, names
from ..connection import settings, uri
from ..connection.codec import from_keywords
from ..connection.handle import Handle
from ..connection.process_exit import close_at_exit
from ..connection.session_state import native
from ..connection.settings import Settings
from .database import AsyncDatabase
from .outcome import outcome
from .session import AsyncClientSession
from .transaction import opened

if TYPE_CHECKING:
    import pymongo
    from bson.codec_options import CodecOptions
    from typing_extensions import Self


class AsyncMongoClient(Handle):
    """A connection to MongoDB, made on first use; safe to share between threads, and a context manager.

    Parameters
    ----------
    host
        A URI, a host, or a list of hosts; "localhost" by default.
    port
        The port of hosts that name none; 27017 by default.
    tz_aware, tzinfo, uuidRepresentation, unicode_decode_error_handler, datetime_conversion
        Conversion of values to Python objects, as PyMongo's. Dates that `datetime` cannot hold become `DatetimeMS` by
        default, where PyMongo raises.
    timeout
        Seconds that an operation may take, or a wait for the server when streaming; 600 by default, None for no
        limit. PyMongo's `timeoutMS` and `socketTimeoutMS` set it too.
    username, password
        Credentials, as they are: they need no percent-encoding here.
    read_preference
        One of PyMongo's, or a mode's name.
    types
        The types of tables, as for `Collection.find`: "plain" (default) or "exact".
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

    _kind = "client"

    def __init__(
        self,
        host: str | Iterable[str] | None = None,
        port: int | None = None,
        document_class: type | None = None,
        tz_aware: bool | None = None,
        connect: bool | None = None,
        type_registry: object = None,
        **kwargs: object,
    ) -> None:
        try:
            self._set_up(host, port, document_class, type_registry, {**kwargs, "tz_aware": tz_aware})
        except Exception as error:  # noqa: BLE001 - raised again
            # Error reports with the variables of frames must not show a password or an incomplete client.
            del self, host, kwargs
            error.__context__ = None
            raise error.with_traceback(None) from None

    def _set_up(
        self,
        host: str | Iterable[str] | None,
        port: int | None,
        document_class: type | None,
        type_registry: object,
        keywords: dict[str, Any],
    ) -> None:
        if document_class not in (None, dict):
            raise ValueError("document_class is not supported: results are Documents; to_dicts() gives plain dicts")
        if type_registry is not None:
            raise ValueError("type_registry is not supported: convert values after reading, or use to_pymongo()")
        read_preference = keywords.pop("read_preference", None)
        types = settings.check_types(keywords.pop("types", settings.DEFAULT_TYPES))
        self._address = uri.build(host, port, keywords)
        codec_options = from_keywords(self._address.codec)
        self._settings = Settings(
            codec_options, read_preference, self._address.write_concern, None, self._address.timeout, types
        )
        self._core = _core.Client(self._address.uri.reveal())
        self._pymongo: Any = None
        self._closed = False
        close_at_exit()

    @classmethod
    def _of_core(cls, core: _core.Client, settings: Settings) -> Self:
        """The client over a native one that partitions or task writers own: for reads and writes, not `to_pymongo`."""
        made = cls.__new__(cls)
        made._settings = settings
        made._core = core
        made._pymongo = None
        made._closed = False
        return made

    @property
    def codec_options(self) -> CodecOptions[Any]:
        """Conversion of values to Python objects."""
        return self._settings.codec_options

    @property
    def timeout(self) -> float | None:
        """Seconds that an operation may take, or a wait for the server when streaming; None for no limit."""
        return self._settings.timeout

    def get_database(
        self,
        name: str | None = None,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: ReadPreference | None = None,
        write_concern: WriteConcern | None = None,
        read_concern: ReadConcern | None = None,
    ) -> AsyncDatabase:
        """A database, with other settings than the client's where they are given; the URI's one without a name.

        Raises
        ------
        ValueError
            When there is no name, here or in the URI.
        InvalidQuery
            For a name that no database can have.
        """
        if name is None:
            name = self._core.default_database
            if name is None:
                raise ValueError("the URI names no default database")
        return AsyncDatabase(
            self, name, self._settings.replace(codec_options, read_preference, write_concern, read_concern)
        )

    def get_default_database(self, default: str | None = None) -> AsyncDatabase:
        """The database that the URI names, else `default`."""
        return self.get_database(self._core.default_database or default)

    def __getitem__(self, name: str) -> AsyncDatabase:
        return AsyncDatabase(self, name, self._settings)

    def __getattr__(self, name: str) -> AsyncDatabase:
        names.refuse_attribute(name, type(self).__name__, names.PYMONGO_CLIENT, "database")
        return self[name]

    def start_session(self, causal_consistency: bool | None = None, snapshot: bool = False) -> AsyncClientSession:
        # async only:
        """A session: enter it with `async with`, or await it."""
        # end
        # sync only:
        # """A session: a context manager that ends it."""
        # end
        return opened(AsyncClientSession(self, self._core, causal_consistency, snapshot))

    async def list_database_names(
        self, filter: Filter | None = None, session: AsyncClientSession | None = None
    ) -> list[str]:
        """Names of the databases, of those that match `filter`."""
        encoded = encode.document(filter or {}, self.codec_options)
        return await outcome(
            self._core.list_database_names(encoded, session=native(session, self._core), timeout=self.timeout)
        )

    async def drop_database(
        self,
        name_or_database: str | AsyncDatabase,
        session: AsyncClientSession | None = None,
        comment: object = None,
    ) -> None:
        """Drop a database with all its collections. Without it this does nothing.

        Parameters
        ----------
        name_or_database
            Its name, or a database, whose write concern then counts.
        session, comment
            As for `find`.
        """
        database = self[name_or_database] if isinstance(name_or_database, str) else name_or_database
        if not isinstance(database, AsyncDatabase) or database.client is not self:
            raise TypeError(f"expected a name or a database of this client, got {type(database).__name__}")
        await database._drop(session, comment)

    async def server_info(self) -> dict[str, Any]:
        """The server's version and build."""
        return await self["admin"].command("buildInfo")

    def to_pymongo(self) -> pymongo.AsyncMongoClient[Any]:
        """PyMongo's client with the same settings, for what we do not have. Made once; closed with this one."""
        if self._pymongo is None:
            import pymongo

            self._pymongo = pymongo.AsyncMongoClient[Any](
                self._address.uri.reveal(), **settings.client_for_pymongo(self._settings, self._address.deadline_ms)
            )
        client: pymongo.AsyncMongoClient[Any] = self._pymongo
        return client

    async def close(self) -> None:
        """Cancel what runs, kill open cursors, close connections; a second call does nothing."""
        pymongo_client, self._pymongo = self._pymongo, None
        if pymongo_client is not None:
            await pymongo_client.close()
        self._closed = True
        await outcome(self._core.close())

    async def __aenter__(self) -> AsyncMongoClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._core.summary!r})"
