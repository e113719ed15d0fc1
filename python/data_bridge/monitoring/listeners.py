"""Listeners: callbacks at the start and the end of each operation, for tracing and metrics."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple


class _Operation:
    __slots__ = ()

    operation: str
    database: str
    collection: str | None
    request_id: int

    def _names(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "db.system.name": "mongodb",
            "db.namespace": self.database,
            "db.operation.name": self.operation,
        }
        if self.collection is not None:
            attributes["db.collection.name"] = self.collection
        return attributes

    @property
    def name(self) -> str:
        """Operation and target, as OpenTelemetry names spans: "find shop.orders"."""
        return f"{self.operation} {self.database}" + ("" if self.collection is None else f".{self.collection}")


class _Started(NamedTuple):
    operation: str
    database: str
    collection: str | None
    request_id: int


class OperationStarted(_Started, _Operation):
    """An operation started.

    Attributes
    ----------
    operation : str
        The server's command: "find", "aggregate", "insert", "listCollections", ...
    database : str
        The database it runs on.
    collection : str | None
        The collection, where there is one.
    request_id : int
        The same in all events of one operation.
    """

    __slots__ = ()

    @property
    def attributes(self) -> dict[str, Any]:
        """Its facts under the names of OpenTelemetry's semantic conventions."""
        return self._names()


class _Succeeded(NamedTuple):
    operation: str
    database: str
    collection: str | None
    request_id: int
    seconds: float
    rows: int | None
    bytes: int | None


class OperationSucceeded(_Succeeded, _Operation):
    """An operation ended, or its reader ended it early.

    Attributes
    ----------
    operation, database, collection, request_id
        As in `OperationStarted`.
    seconds : float
        From its start to its end. Of an iteration or a stream that includes the time its consumer took.
    rows, bytes : int | None
        Documents that a find or an aggregate read, and their bytes of BSON; None of other operations.
    """

    __slots__ = ()

    @property
    def attributes(self) -> dict[str, Any]:
        """Its facts under the names of OpenTelemetry's semantic conventions."""
        attributes = self._names()
        if self.rows is not None:
            attributes["db.response.returned_rows"] = self.rows
        return attributes


class _Failed(NamedTuple):
    operation: str
    database: str
    collection: str | None
    request_id: int
    seconds: float
    error_type: str
    code: int | None


class OperationFailed(_Failed, _Operation):
    """An operation failed, or was cancelled.

    Attributes
    ----------
    operation, database, collection, request_id
        As in `OperationStarted`.
    seconds : float
        From its start to its end.
    error_type : str
        The name of the exception's class; "Cancelled" when Ctrl-C or asyncio ended it. The message is not here: the
        server's quote values.
    code : int | None
        The server's error code, if it answered.
    """

    __slots__ = ()

    @property
    def attributes(self) -> dict[str, Any]:
        """Its facts under the names of OpenTelemetry's semantic conventions."""
        attributes = self._names()
        attributes["error.type"] = self.error_type
        if self.code is not None:
            attributes["db.response.status_code"] = str(self.code)
        return attributes


class Listener:
    """The argument of `add_listener`: derive from it and override the methods that you need.

    The methods are called on the thread that runs the operation, before it goes on: they should be quick. Operations
    that run at the same time have events that mix; `request_id` identifies them. The end of a read that was dropped
    rather than finished or closed, or that another library read as an Arrow stream, is reported with the next
    operation, on the thread that runs it. An exception of a listener is logged and does not reach the operation.
    """

    def started(self, event: OperationStarted) -> None:
        """An operation was sent to a server, or is about to be."""

    def succeeded(self, event: OperationSucceeded) -> None:
        """An operation came to its end. A write that the server refused for some documents counts as one, too."""

    def failed(self, event: OperationFailed) -> None:
        """An operation failed or was cancelled."""


_lock = threading.Lock()
listeners: tuple[Listener, ...] = ()
"""Replaced, never changed: iteration needs no lock."""


def add_listener(listener: Listener) -> None:
    """Have `listener` called for every operation of this process that starts from now on.

    Raises
    ------
    TypeError
        When it is no `Listener`.
    """
    global listeners
    if not isinstance(listener, Listener):
        raise TypeError(f"a listener must be a data_bridge.Listener, got {type(listener).__name__}")
    with _lock:
        listeners = (*listeners, listener)


def remove_listener(listener: Listener) -> None:
    """Call `listener` no more.

    Raises
    ------
    ValueError
        When it was not added.
    """
    global listeners
    with _lock:
        kept = list(listeners)
        kept.remove(listener)
        listeners = tuple(kept)


def notify(event: str, fields: Mapping[str, Any]) -> None:
    """Call the listeners.

    An exception of a listener is logged under `data_bridge`, with its traceback; a BaseException that is no Exception
    is raised.
    """
    if not listeners or event not in ("started", "succeeded", "failed"):
        return
    names = (fields["operation"], fields["database"], fields.get("collection"), fields["request_id"])
    for listener in listeners:
        try:
            if event == "started":
                listener.started(OperationStarted(*names))
            elif event == "succeeded":
                counts = fields.get("rows"), fields.get("bytes")
                listener.succeeded(OperationSucceeded(*names, fields["seconds"], *counts))
            else:
                listener.failed(OperationFailed(*names, fields["seconds"], fields["error_type"], fields.get("code")))
        except Exception:
            from logging import getLogger

            getLogger("data_bridge").exception("a listener raised in %s()", event)
