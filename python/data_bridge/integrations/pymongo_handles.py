"""PyMongo's clients, databases and collections, taken over with their settings."""

from __future__ import annotations

import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from ..asynchronous.client import AsyncMongoClient
from ..asynchronous.collection import AsyncCollection
from ..asynchronous.database import AsyncDatabase
from ..connection import codec
from ..connection.settings import Settings
from ..errors import InvalidOperation
from ..synchronous.client import MongoClient
from ..synchronous.collection import Collection
from ..synchronous.database import Database
from . import pymongo_arguments

if TYPE_CHECKING:
    from typing import TypeAlias

    import pymongo
    import pymongo.asynchronous.collection
    import pymongo.asynchronous.database
    import pymongo.collection
    import pymongo.database
    from bson.codec_options import CodecOptions

    _Client: TypeAlias = pymongo.MongoClient[Any]
    _Database: TypeAlias = pymongo.database.Database[Any]
    _Collection: TypeAlias = pymongo.collection.Collection[Any]
    _AsyncClient: TypeAlias = pymongo.AsyncMongoClient[Any]
    _AsyncDatabase: TypeAlias = pymongo.asynchronous.database.AsyncDatabase[Any]
    _AsyncCollection: TypeAlias = pymongo.asynchronous.collection.AsyncCollection[Any]

_PLACES = [
    ("pymongo.synchronous.mongo_client", "MongoClient", "client", False),
    ("pymongo.asynchronous.mongo_client", "AsyncMongoClient", "client", True),
    ("pymongo.synchronous.database", "Database", "database", False),
    ("pymongo.asynchronous.database", "AsyncDatabase", "database", True),
    ("pymongo.synchronous.collection", "Collection", "collection", False),
    ("pymongo.asynchronous.collection", "AsyncCollection", "collection", True),
]
"""The modules of PyMongo's classes; a module that is not loaded has no objects."""


class _OwnClients(NamedTuple):
    client: weakref.ref[Any]
    ours: dict[Any, Any]


# By identity: PyMongo's clients are equal when their servers are, whatever their settings.
_own_clients: dict[int, _OwnClients] = {}
_lock = threading.RLock()


@overload
def from_pymongo(source: _AsyncCollection, *, asynchronous: None = None) -> AsyncCollection: ...
@overload
def from_pymongo(source: _AsyncDatabase, *, asynchronous: None = None) -> AsyncDatabase: ...
@overload
def from_pymongo(source: _AsyncClient, *, asynchronous: None = None) -> AsyncMongoClient: ...
@overload
def from_pymongo(source: _Collection, *, asynchronous: None = None) -> Collection: ...
@overload
def from_pymongo(source: _Database, *, asynchronous: None = None) -> Database: ...
@overload
def from_pymongo(source: _Client, *, asynchronous: None = None) -> MongoClient: ...
@overload
def from_pymongo(source: _Collection | _AsyncCollection, *, asynchronous: Literal[False]) -> Collection: ...
@overload
def from_pymongo(source: _Collection | _AsyncCollection, *, asynchronous: Literal[True]) -> AsyncCollection: ...
@overload
def from_pymongo(source: _Database | _AsyncDatabase, *, asynchronous: Literal[False]) -> Database: ...
@overload
def from_pymongo(source: _Database | _AsyncDatabase, *, asynchronous: Literal[True]) -> AsyncDatabase: ...
@overload
def from_pymongo(source: _Client | _AsyncClient, *, asynchronous: Literal[False]) -> MongoClient: ...
@overload
def from_pymongo(source: _Client | _AsyncClient, *, asynchronous: Literal[True]) -> AsyncMongoClient: ...
def from_pymongo(source: object, *, asynchronous: bool | None = None) -> Any:
    """Our client, database or collection with the settings of PyMongo's.

    The client's own settings are taken over: hosts, replica set, credentials, TLS, timeouts, compressors, pool sizes,
    app name, ...; read preference, read and write concern and codec options are those of `source` itself. Settings that
    the client was not given have this package's defaults: 30 s of server selection, 600 s for an operation. `connect`
    and `driver`, on which no result depends, are left out.

    Connections are not shared. There is one client of ours for each PyMongo client, however often it is passed, while
    the caller holds both. Closing one does not close the other; a closed one of ours is replaced at
    the next call. PyMongo's sessions cannot be used here: `start_session` of the client that this gives can.

    Parameters
    ----------
    source
        A PyMongo MongoClient, Database or Collection, or one of their asynchronous twins.
    asynchronous
        True gives an asynchronous handle, False a synchronous one; by default as `source` is.

    Raises
    ------
    TypeError
        When `source` is something else.
    ValueError
        For a setting that is not supported, by its name: `server_api`, `event_listeners`, `auto_encryption_opts`,
        `type_registry`, ... Of codec options, those of a database or collection count where they are its own.
    InvalidOperation
        When the PyMongo client is closed.
    """
    return taken_over(source, asynchronous)


def taken_over(source: Any, asynchronous: bool | None) -> Any:
    """As `from_pymongo`."""
    kind, is_async = _kind_of(source)
    if asynchronous is None:
        asynchronous = is_async
    elif not isinstance(asynchronous, bool):
        raise TypeError(f"asynchronous must be a bool or None, got {type(asynchronous).__name__}")
    if kind == "client":
        return _client(source, source.codec_options, asynchronous)
    database = source if kind == "database" else source.database
    client = _client(database.client, source.codec_options, asynchronous)
    if kind == "database":
        return client.get_database(source.name, **_own(source))
    above = database if _supported(database.codec_options) else source
    ours = client.get_database(database.name, **{**_own(database), "codec_options": above.codec_options})
    return ours.get_collection(source.name, **_own(source))


def _kind_of(source: object) -> tuple[str, bool]:
    for module, name, kind, is_async in _PLACES:
        # A module that is not loaded has made no objects.
        if module in sys.modules and isinstance(source, getattr(sys.modules[module], name)):
            return kind, is_async
    raise TypeError(
        "from_pymongo() takes a MongoClient, Database or Collection of PyMongo's, synchronous or asynchronous, "
        f"got {type(source).__module__}.{type(source).__qualname__}"
    )


def _own(source: Any) -> dict[str, Any]:
    return {
        "codec_options": source.codec_options,
        "read_preference": source.read_preference,
        "write_concern": source.write_concern,
        "read_concern": source.read_concern,
    }


def _supported(options: CodecOptions[Any]) -> bool:
    try:
        codec.check(options)
    except ValueError:
        return False
    return True


def _client(client: Any, codec_options: CodecOptions[Any], asynchronous: bool) -> Any:
    """Our client for PyMongo's, made once; with the codec options of `source` if its own are not supported."""
    if vars(client).get("_closed"):
        raise InvalidOperation("the PyMongo client is closed")
    own = client.codec_options
    if not _supported(own):
        own = codec_options
    codec.check(own)
    # All of them but the two that have to be empty.
    decoding = own.tz_aware, own.tzinfo, own.uuid_representation, own.unicode_decode_error_handler
    key = (asynchronous, *decoding, own.datetime_conversion)
    with _lock:
        kept = _own_clients.get(id(client))
        if kept is None or kept.client() is not client:
            kept = _OwnClients(weakref.ref(client, _remove(id(client))), {})
        ours = kept.ours.get(key)
        if ours is None or ours._closed:
            ours = kept.ours[key] = _made(client, own, asynchronous)
        _own_clients[id(client)] = kept
        return ours


def _remove(place: int) -> Any:
    def remove(reference: weakref.ref[Any]) -> None:
        with _lock:
            if place in _own_clients and _own_clients[place].client is reference:
                del _own_clients[place]

    return remove


def _made(client: Any, codec_options: CodecOptions[Any], asynchronous: bool) -> Any:
    arguments = pymongo_arguments.of_client(client, codec_options)
    ours: Any = (AsyncMongoClient if asynchronous else MongoClient)(**arguments)
    if client.read_concern.level is not None:
        # Not by the URI: a collection may have none where its client has one.
        settings: Settings = ours._settings
        ours._settings = settings.replace(read_concern=client.read_concern)
    return ours
