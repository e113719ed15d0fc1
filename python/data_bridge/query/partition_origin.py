"""The server of partitions, in this process and in others: a client, a URI, or the name of a variable that has one.

Credentials leave the process only on request. A pickle has the URI without them, and the number of the client that made
the partitions: in the same process, they use that client.
"""

from __future__ import annotations

import os
import uuid
import weakref
from collections.abc import Mapping
from typing import Any

from .. import _core
from ..connection import uri as uri_
from ..connection.process_exit import close_at_exit
from ..connection.secret import Secret
from ..errors import InvalidOperation

_SECRET_OPTIONS = frozenset(
    [
        "authmechanism",
        "authmechanismproperties",
        "authsource",
        "tlscertificatekeyfile",
        "tlscertificatekeyfilepassword",
    ]
)
"""Options that hold credentials, name a file of them, or mean nothing without."""

_clients: dict[str, _core.Client] = {}
"""The clients of this process, by URI. A native client connects anew in a forked child."""
_here: weakref.WeakValueDictionary[str, Origin] = weakref.WeakValueDictionary()
"""The origins whose client is in this process, by number."""


class Origin:
    """The server that partitions are read from.

    Parameters
    ----------
    core
        The client that the partitions were planned with.
    uri
        The URI that other processes use instead of the client's.
    uri_env
        The name of the environment variable that has the URI in other processes.
    credentials
        True if pickles may hold credentials of the client's URI.
    """

    __slots__ = ("__weakref__", "_core", "_number", "_process", "_stripped", "_uri", "_variable")

    def __init__(self, core: _core.Client, uri: str | None, uri_env: str | None, credentials: bool) -> None:
        if uri is not None and uri_env is not None:
            raise ValueError("uri and uri_env exclude each other")
        self._core: _core.Client | None = core
        self._process = os.getpid()
        self._number = uuid.uuid4().hex
        self._variable = uri_env
        self._stripped = False
        text: str | None = None
        if uri is not None:
            text = uri_.build(uri, None, {}).uri.reveal()
        elif uri_env is None:
            text = core.reveal_uri()
            if not credentials:
                text, self._stripped = without_credentials(text)
        self._uri = None if text is None else Secret(text)
        _here[self._number] = self

    @property
    def core(self) -> _core.Client:
        """The client of this process, made on first use.

        Raises
        ------
        InvalidOperation
            In another process, when the partitions came without credentials, or the variable is not set.
        """
        if self._core is None:
            self._core = self._client()
        return self._core

    def _client(self) -> _core.Client:
        if self._variable is not None:
            value = os.environ.get(self._variable)
            if value is None:
                raise InvalidOperation(
                    f"the environment variable {self._variable}, which partitions(uri_env=...) names, is not set in "
                    "this process"
                )
            text = uri_.build(value, None, {}).uri.reveal()
        elif self._stripped or self._uri is None:
            raise InvalidOperation(
                "the partition came from another process without the credentials of its client: pass uri_env= (the "
                "name of an environment variable with a URI), uri= or credentials=True to partitions()"
            )
        else:
            text = self._uri.reveal()
        client = _clients.get(text)
        if client is None:
            close_at_exit()
            client = _clients.setdefault(text, _core.Client(text))
        return client

    def state(self) -> dict[str, Any]:
        """Return plain values for `origin_of`."""
        return {
            "uri": None if self._uri is None else self._uri.reveal(),
            "uri_env": self._variable,
            "stripped": self._stripped,
            "number": self._number,
            "process": self._process,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return origin_of, (self.state(),)

    def __repr__(self) -> str:
        return "Origin(***)"


def origin_of(state: Mapping[str, Any]) -> Origin:
    """Return the origin with this state: in the process that planned the partitions, the one with their client.

    A function, not a class method: cloudpickle would copy one with the module's variables.
    """
    living = _here.get(state["number"])
    if living is not None and living._process == os.getpid() == state["process"]:
        return living
    origin = Origin.__new__(Origin)
    origin._core = None
    origin._process = state["process"]
    origin._number = state["number"]
    origin._variable = state["uri_env"]
    origin._stripped = state["stripped"]
    origin._uri = None if state["uri"] is None else Secret(state["uri"])
    return origin


def without_credentials(uri: str) -> tuple[str, bool]:
    """Return a URI without user, password, token and key file; and whether it had any of them."""
    scheme, _, rest = uri.partition("://")
    address, _, options = rest.partition("?")
    authority, slash, path = address.partition("/")
    userinfo, _, hosts = authority.rpartition("@")
    pairs = options.split("&") if options else []
    kept = [pair for pair in pairs if pair.partition("=")[0].lower() not in _SECRET_OPTIONS]
    query = "&".join(kept)
    return f"{scheme}://{hosts}{slash or '/'}{path}{'?' + query if query else ''}", bool(userinfo) or len(kept) < len(
        pairs
    )
