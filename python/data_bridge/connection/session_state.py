"""The state of a client session: the native session, and its transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bson

from .. import _core
from .._core import DataBridgeError, OperationFailure
from .._typing import ReadConcern, ReadPreference, WriteConcern
from . import write_concern as write_concern_
from .settings import level, preference
from .transaction_retry import UNKNOWN_RESULT, has_label


class SessionState:
    """The part of a session that waits for nothing: checks, options, and changes to undo after an abort."""

    def __init__(self, client: Any, core: _core.Client, causal_consistency: bool | None, snapshot: bool) -> None:
        if causal_consistency and snapshot:
            raise ValueError("snapshot and causal_consistency exclude each other")
        options: dict[str, Any] = {}
        if causal_consistency is not None:
            options["causalConsistency"] = bool(causal_consistency)
        if snapshot:
            options["snapshot"] = True
        self._client = client
        self._core = core
        self._options = bson.encode(options)
        self._session: _core.Session | None = None
        self._in_transaction = False
        self._undos: list[Callable[[], None]] = []

    @property
    def has_ended(self) -> bool:
        """Return whether the session has ended and cannot be used."""
        return self._session is not None and self._session.ended

    @property
    def in_transaction(self) -> bool:
        """Return whether a transaction is open."""
        return self._in_transaction

    def on_abort(self, undo: Callable[[], None]) -> None:
        """Call `undo` should the open transaction not be committed."""
        self._undos.append(undo)

    def native(self, core: _core.Client) -> _core.Session:
        """The native session, for an operation of a client.

        Raises
        ------
        ValueError
            When it belongs to another client.
        RuntimeError
            When it has ended or not started.
        """
        if self._core is not core:
            raise ValueError("the session belongs to another client")
        return self._native()

    def _native(self) -> _core.Session:
        if self._session is None:
            raise RuntimeError("the session has not started: use `async with` or `await` on start_session()")
        if self._session.ended:
            raise RuntimeError("the session has ended")
        return self._session

    def _discard_start(self) -> None:
        """Discard a transaction whose start was interrupted: the native session may have started it all the same."""
        if self._session is not None and not self._in_transaction:
            self._session.discard_start()

    def _undo(self) -> None:
        undos, self._undos = self._undos, []
        for undo in reversed(undos):
            undo()

    def _commit_failed(self, error: DataBridgeError) -> None:
        # With an unknown outcome, commit_transaction() may still be called once more.
        if isinstance(error, OperationFailure) and not has_label(error, UNKNOWN_RESULT):
            self._undo()

    def __repr__(self) -> str:
        state = "not started" if self._session is None else "ended" if self._session.ended else "open"
        return f"{type(self).__name__}({state})"

    def __reduce__(self) -> Any:
        raise TypeError("a session cannot be pickled")


def native(session: object, core: _core.Client) -> _core.Session | None:
    """The native session of a `session=` argument.

    Raises
    ------
    TypeError
        When it is no session of this package.
    ValueError
        When it belongs to another client.
    RuntimeError
        When it has ended or not started.
    """
    if session is None:
        return None
    if not isinstance(session, SessionState):
        raise TypeError(f"session must come from start_session() of this package, got {type(session).__name__}")
    return session.native(core)


def in_transaction(session: object) -> bool:
    """Return whether operations in this `session=` argument belong to an open transaction."""
    return isinstance(session, SessionState) and session.in_transaction


def transaction_options(
    read_concern: ReadConcern | None,
    write_concern: WriteConcern | None,
    read_preference: ReadPreference | None,
    max_commit_time_ms: int | None,
) -> bytes:
    """The options of a transaction, encoded.

    Raises
    ------
    TypeError, ValueError
        For an argument that cannot be used.
    """
    options: dict[str, Any] = {}
    if read_concern is not None and (name := level(read_concern)) is not None:
        options["readConcern"] = {"level": name}
    if write_concern is not None:
        options["writeConcern"] = write_concern_.document(write_concern)
    if read_preference is not None:
        options["readPreference"] = preference(read_preference)
    if max_commit_time_ms is not None:
        options["maxCommitTimeMS"] = max_commit_time_ms
    return bson.encode(options)
