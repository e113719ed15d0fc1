"""Where a query runs: a client's collection or database, with the settings in force there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..commands.encode import EMPTY
from ..connection.settings import Settings, encode_selection
from ..handles.session import _SessionState

if TYPE_CHECKING:
    from ..handles.client_handle import ClientHandle


class Target(NamedTuple):
    """A collection, or a database when `collection` is None."""

    client: ClientHandle[Any]
    database: str
    collection: str | None
    settings: Settings

    @property
    def name(self) -> str:
        """The namespace, for messages."""
        return self.database if self.collection is None else f"{self.database}.{self.collection}"

    def selection(self, session: _SessionState | None) -> bytes:
        """Read preference and read concern, encoded; within a transaction its own are in force."""
        return EMPTY if session is not None and session.in_transaction else self.settings.selection

    def preference_only(self, session: _SessionState | None) -> bytes:
        """The read preference alone: commands such as explain refuse read concerns."""
        if session is not None and session.in_transaction:
            return EMPTY
        return encode_selection(self.settings.read_preference, None)
