"""What both clients share, whether answers are waited for or awaited.

A public class adds the methods that wait; what they ask and what they make of the answer is built here, as a Call. The
same holds for databases and collections.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .. import _core
from ..commands import encode, names
from ..connection import settings, uri
from ..connection.codec import from_keywords
from ..connection.settings import Settings
from .call import Call, same
from .handle import Handle
from .session import native as native_session

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions

    from .database_handle import DatabaseHandle

D = TypeVar("D", bound="DatabaseHandle[Any, Any]")

_at_exit = False
_UUID_NAMES = {0: "unspecified", 3: "pythonLegacy", 4: "standard", 5: "javaLegacy", 6: "csharpLegacy"}


class ClientHandle(Handle, Generic[D]):
    """Both clients: how an address is made, and the way to databases."""

    _kind = "client"
    _database_type: type[D]

    def __init__(
        self,
        host: str | Iterable[str] | None = None,
        port: int | None = None,
        document_class: type | None = None,
        tz_aware: bool | None = None,
        connect: bool | None = None,
        type_registry: Any = None,
        **kwargs: Any,
    ) -> None:
        try:
            self._set_up(host, port, document_class, type_registry, {**kwargs, "tz_aware": tz_aware})
        except Exception as error:  # noqa: BLE001 - raised again
            # Who reports an error with the variables of its frames finds no password in ours, and no half a client.
            del self, host, kwargs
            error.__context__ = None
            raise error.with_traceback(None) from None

    def _set_up(
        self,
        host: str | Iterable[str] | None,
        port: int | None,
        document_class: type | None,
        type_registry: Any,
        keywords: dict[str, Any],
    ) -> None:
        if document_class not in (None, dict):
            raise ValueError("document_class is not supported: results are Documents; to_dicts() gives plain dicts")
        if type_registry is not None:
            raise ValueError("type_registry is not supported: convert values after reading, or use to_pymongo()")
        read_preference = keywords.pop("read_preference", None)
        self._address = uri.build(host, port, keywords)
        codec_options = from_keywords(self._address.codec)
        self._settings = Settings(
            codec_options, read_preference, self._address.write_concern, None, self._address.timeout
        )
        self._core = _core.Client(self._address.uri.reveal())
        self._pymongo: Any = None
        self._closed = False
        _finish_at_exit()

    @property
    def codec_options(self) -> CodecOptions[Any]:
        """How values become Python objects."""
        return self._settings.codec_options

    @property
    def timeout(self) -> float | None:
        """Seconds that an operation may take, or a wait for the server when streaming; None for no limit."""
        return self._settings.timeout

    def get_database(
        self,
        name: str | None = None,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: Any = None,
        write_concern: Any = None,
        read_concern: Any = None,
    ) -> D:
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
        return self._database_type(
            self, name, self._settings.replace(codec_options, read_preference, write_concern, read_concern)
        )

    def get_default_database(self, default: str | None = None) -> D:
        """The database that the URI names, else `default`."""
        return self.get_database(self._core.default_database or default)

    def __getitem__(self, name: str) -> D:
        return self._database_type(self, name, self._settings)

    def __getattr__(self, name: str) -> D:
        names.refuse(name, type(self).__name__, names.PYMONGO_CLIENT, "database")
        return self[name]

    def _pymongo_client(self, kind: Any) -> Any:
        """PyMongo's client with the same settings, made once."""
        if self._pymongo is None:
            options = self._settings.codec_options
            keywords: dict[str, Any] = {
                "tz_aware": options.tz_aware,
                "tzinfo": options.tzinfo,
                "unicode_decode_error_handler": options.unicode_decode_error_handler,
                "datetime_conversion": int(options.datetime_conversion or 1),
                "uuidRepresentation": _UUID_NAMES[options.uuid_representation],
            }
            if self._address.deadline_ms is not None:
                keywords["timeoutMS"] = self._address.deadline_ms
            preference = settings.for_pymongo(self._settings).get("read_preference")
            if preference is not None:
                keywords["read_preference"] = preference
            if self._settings.read_concern is not None:
                keywords["readConcernLevel"] = settings.level(self._settings.read_concern)
            self._pymongo = kind(self._address.uri.reveal(), **keywords)
        return self._pymongo

    def _list_database_names(self, filter: Mapping[str, Any] | None, session: Any) -> Call[list[str]]:
        encoded = encode.document(filter or {}, self.codec_options)
        return Call(
            lambda: self._core.list_database_names(
                encoded, session=native_session(session, self), timeout=self.timeout
            ),
            same,
        )

    def _drop_database(self, name_or_database: Any, session: Any, comment: Any) -> Call[None]:
        database = name_or_database
        if isinstance(database, str):
            database = self[database]
        elif not isinstance(database, self._database_type) or database.client is not self:
            raise TypeError(f"expected a name or a database of this client, got {type(database).__name__}")
        return database._drop(session, comment)

    def _close(self) -> Call[None]:
        self._closed = True
        return Call(self._core.close, same)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._core.summary!r})"


def _finish_at_exit() -> None:
    """Close cursors when the interpreter exits: sessions keep them alive on the server for half an hour."""
    global _at_exit
    if not _at_exit:
        _at_exit = True
        atexit.register(_core.tell_events)  # run last: what the other did
        atexit.register(_core.shutdown, 1.5)  # seconds at most; a server that answers takes milliseconds
