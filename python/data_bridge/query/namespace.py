"""The place of an operation: a client's collection or database, with the settings in force there."""

from __future__ import annotations

from typing import NamedTuple

from .._core import Client, Operation, WriteCommand
from ..commands.encode import EMPTY
from ..connection.session_state import SessionState, in_transaction, native
from ..connection.settings import Settings, encode_selection


class Namespace(NamedTuple):
    """A collection, or a database when `collection` is None."""

    core: Client
    database: str
    collection: str | None
    settings: Settings

    @property
    def name(self) -> str:
        """The namespace, for messages."""
        return self.database if self.collection is None else f"{self.database}.{self.collection}"

    def selection(self, session: SessionState | None) -> bytes:
        """Read preference and read concern, encoded; within a transaction its own are in force."""
        return EMPTY if in_transaction(session) else self.settings.selection

    def preference_only(self, session: SessionState | None) -> bytes:
        """The read preference alone: commands such as explain refuse read concerns."""
        if in_transaction(session):
            return EMPTY
        return encode_selection(self.settings.read_preference, None)

    def send(
        self,
        command: bytes,
        session: SessionState | None,
        retry: bool,
        timeout: float | None,
        database: str | None = None,
    ) -> Operation[bytes]:
        """Start a command that writes. In a transaction, and without an answer, nothing is sent twice.

        Parameters
        ----------
        retry
            True when the command may be sent a second time after a lost reply.
        timeout
            Seconds; None for no limit.
        database
            Another database to run it on.
        """
        return self.core.write(
            self.database if database is None else database,
            command,
            session=native(session, self.core),
            retry=retry and self.settings.acknowledged and not in_transaction(session),
            timeout=timeout,
        )

    def send_statements(
        self, command: WriteCommand, session: SessionState | None, retry: bool, timeout: float | None
    ) -> Operation[bytes]:
        """Start a command that was encoded with its statements; as `send`."""
        return self.core.write_statements(
            self.database,
            self.collection or "",
            command,
            session=native(session, self.core),
            retry=retry and self.settings.acknowledged and not in_transaction(session),
            timeout=timeout,
        )
