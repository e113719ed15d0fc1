"""Opening sessions and transactions on the synchronous side, where both happen at the call."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, TypeVar


class _Session(Protocol):
    @property
    def in_transaction(self) -> bool: ...
    def _begin(self, options: bytes) -> None: ...
    def _open(self) -> None: ...
    def commit_transaction(self) -> None: ...
    def abort_transaction(self) -> None: ...


S = TypeVar("S", bound=_Session)


def opened(session: S) -> S:
    """A session that has started."""
    session._open()
    return session


class Transaction:
    """An open transaction of a `ClientSession`: a context manager that commits it, or aborts it on an exception."""

    def __init__(self, session: _Session, options: bytes) -> None:
        self._session = session
        session._begin(options)

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session.in_transaction:
            if kind is None:
                self._session.commit_transaction()
            else:
                self._session.abort_transaction()
