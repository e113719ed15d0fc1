"""Opening sessions and transactions on the asynchronous side, where both wait for an `await`."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import Any, Protocol, TypeVar


class _Session(Protocol):
    @property
    def in_transaction(self) -> bool: ...
    async def _begin(self, options: bytes) -> None: ...
    async def commit_transaction(self) -> None: ...
    async def abort_transaction(self) -> None: ...


S = TypeVar("S")


def opened(session: S) -> S:
    """A session, which starts when it is awaited or entered."""
    return session


class AsyncTransaction:
    """A transaction of an `AsyncClientSession`: await it, or enter it with `async with`."""

    def __init__(self, session: _Session, options: bytes) -> None:
        self._session = session
        self._options: bytes | None = options

    async def _opened(self) -> AsyncTransaction:
        options, self._options = self._options, None
        if options is not None:
            await self._session._begin(options)
        return self

    def __await__(self) -> Generator[Any, None, AsyncTransaction]:
        return self._opened().__await__()

    async def __aenter__(self) -> AsyncTransaction:
        return await self._opened()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session.in_transaction:
            if kind is None:
                await self._session.commit_transaction()
            else:
                await self._session.abort_transaction()
